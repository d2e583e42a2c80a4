//! What runs inside every instance, and the wire both sides share.
//!
//! One definition of jobs and replies is compiled into the payload and into the harness, so the two cannot
//! disagree. Without the `program` feature this crate has no dependencies and no `unsafe`.

pub mod catalog;
pub mod wire;

pub use catalog::{KERNELS, Kernel, Kind, kernel};
pub use wire::{Isa, Job, Reply, WireError};
