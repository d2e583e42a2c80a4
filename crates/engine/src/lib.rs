//! Plan to samples: which cells, in which order, on which host, and the loop.
//!
//! Runtimes and scenarios come in as arguments: the engine does not know which exist.
//!
//! ```
//! use isomark_engine::Plan;
//!
//! let text = "
//!     name = 'mine'
//!     blocks = 24
//!     [[ask]]
//!     scenario = 'startup'
//!     params = { cache = ['warm', 'cold'] }
//! ";
//! let plan = Plan::parse("mine.toml", text)?;
//! assert_eq!((plan.blocks, isomark_engine::plan::size(&plan)), (24, 2));
//! let wrong = Plan::parse("mine.toml", "name = 'mine'\nblocks = 0").unwrap_err();
//! assert!(wrong.to_string().contains("blocks must be 1 to 100000"));
//! # Ok::<(), isomark_core::Error>(())
//! ```
//!
//! From there [`plan::select`] asks runtimes who they are, [`plan::expand`] makes cells, and [`run()`] carries them out and
//! hands each sample to a [`Sink`]: `examples/own-runtime.rs` is a whole run.

mod allot;
pub mod controls;
pub mod date;
pub mod host;
pub mod interrupt;
pub mod lock;
pub mod noise;
pub mod place;
pub mod plan;
mod precise;
pub mod run;
pub mod schedule;
pub mod settle;

pub use place::Place;
pub use plan::{Plan, Selection};
pub use run::{Elsewhere, Event, Sink, run};
