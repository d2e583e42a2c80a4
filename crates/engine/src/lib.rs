//! Plan to samples: which cells, in which order, on which host, and the loop.
//!
//! Runtimes and scenarios come in as arguments: the engine does not know which exist.

pub mod date;
pub mod host;
pub mod interrupt;
pub mod noise;
pub mod plan;
pub mod run;
pub mod schedule;
pub mod settle;

pub use plan::{Plan, Selection};
pub use run::{Event, Sink, run};
