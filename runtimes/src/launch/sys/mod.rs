//! The system calls of a launch, one per function.

mod clone;
mod network;
mod parent;
mod steps;
mod wait;

pub(super) use clone::{Plan, Stack, Word, spawn};
pub(crate) use network::{loopback_up, wake};
pub(super) use parent::Parent;
pub(crate) use wait::{adopt_descendants, share_memory};
pub(super) use wait::{open, reap, signal};

/// The thread-local of the suspended parent thread, which nobody else uses meanwhile.
fn errno() -> i32 {
    nix::errno::Errno::last_raw()
}

fn set_errno(value: i32) {
    nix::errno::Errno::set_raw(value);
}
