//! Starting a program: a list of steps planned in the parent, walked by the child between `clone3` and `execve`.
//!
//! Process, namespace and microvm all start this way and differ in their steps only. After the clone nothing
//! allocates, logs or panics: every string is a `CString` already, and the child only walks the list. What fails
//! is named by the parent as "step 4, mount proc on /proc: Operation not permitted".

mod child;
mod pipes;
mod running;
mod step;
mod sys;

pub(crate) use child::{Child, orphans, poll_until};
pub(crate) use pipes::{Capture, Ends, Wire, pipe};
pub(crate) use running::Running;
pub(crate) use step::{Launch, Step, c};
pub(crate) use sys::{adopt_descendants, loopback_up, share_memory, wake};
