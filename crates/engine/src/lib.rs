//! Plan to samples: which cells, in which order, on which host, and the loop.
//!
//! Runtimes and scenarios come in as arguments: the engine does not know which exist.

mod allot;
pub mod controls;
pub mod date;
pub mod host;
pub mod interrupt;
pub mod lock;
pub mod noise;
pub mod plan;
mod precise;
pub mod run;
pub mod schedule;
pub mod settle;

pub use plan::{Plan, Selection};
pub use run::{Elsewhere, Event, Sink, run};
