//! What runs inside every instance, and the wire both sides share.
//!
//! One definition of jobs, replies, data and work counts is compiled into the payload and into the harness, so
//! the two cannot disagree. Without the `program` feature this crate has no dependencies and no `unsafe`.
//!
//! ```
//! use isomark_payload::{Job, Reply, answers, kernel};
//!
//! let job = Job::Echo(42);
//! assert_eq!(job.to_string(), "echo token=42");
//! assert!(answers::check(&job, &Reply::parse("done token=42").unwrap()).is_ok());
//! assert!(answers::check(&job, &Reply::parse("done token=41").unwrap()).is_err());
//! assert_eq!(kernel("dgemm").map(|kernel| kernel.work), Some("flop"));
//! ```

pub mod answers;
pub mod canary;
pub mod catalog;
pub mod counts;
pub mod data;
pub mod job;
pub mod wire;

#[cfg(feature = "program")]
mod clock;
#[cfg(feature = "program")]
mod cpu;
#[cfg(feature = "program")]
mod files;
#[cfg(feature = "program")]
mod kernels;
#[cfg(feature = "program")]
mod lines;
#[cfg(feature = "program")]
mod probe;
#[cfg(feature = "program")]
pub mod program;
#[cfg(feature = "program")]
mod simd;
#[cfg(feature = "program")]
mod storm;
#[cfg(feature = "program")]
mod sweep;
#[cfg(feature = "program")]
mod sys;
#[cfg(feature = "program")]
mod windows;
#[cfg(feature = "program")]
mod wreck;

pub use catalog::{KERNELS, Kernel, Kind, kernel};
pub use job::{Break, Class, Job, Probe, Storm};
pub use wire::{Isa, READY, Reply, WireError};
