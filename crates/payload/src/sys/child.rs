//! Children of the payload: short errands in a process of their own.
//!
//! A child that is not waited for at once dies with its parent and by an alarm, so that no fork storm outlives its
//! payload.

use std::ffi::c_int;

use super::{WireError, errno, failed, interrupted};

/// How a child ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// It left with this code.
    Code(i32),
    /// This signal ended it.
    Signal(i32),
}

/// Forks; `None` in the child.
///
/// # Errors
/// The kernel's number.
fn fork() -> Result<Option<c_int>, i32> {
    // SAFETY: the process has one thread, so the child inherits no lock that somebody else held.
    match unsafe { libc::fork() } {
        0 => Ok(None),
        child if child > 0 => Ok(Some(child)),
        _ => Err(errno()),
    }
}

/// Ends this process without running anything at its end.
pub(crate) fn leave(code: u8) -> ! {
    // SAFETY: takes no pointers and does not return.
    unsafe { libc::_exit(code.into()) }
}

/// Waits for one child (any, with -1) and gives its number and raw status; nothing if there is none.
fn wait(child: c_int) -> Option<(c_int, c_int)> {
    let mut status = 0;
    loop {
        // SAFETY: status is writable for the length of the call.
        let waited = unsafe { libc::waitpid(child, &raw mut status, 0) };
        if waited > 0 {
            return Some((waited, status));
        }
        if waited == 0 || !interrupted() {
            return None;
        }
    }
}

/// Lets the kernel end this process after so many seconds.
fn alarm(seconds: u32) {
    // SAFETY: takes no pointers and cannot fail.
    unsafe { libc::alarm(seconds) };
}

/// Lets the kernel end this process when its parent dies.
fn die_with_parent() {
    // SAFETY: this option takes a number.
    unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
}

/// Does something in a child, waits for it and tells how it ended. `seconds` bounds it; 0 for an errand without bound.
///
/// # Errors
/// If there are no children here.
pub(crate) fn in_child(seconds: u32, errand: impl FnOnce() -> u8) -> Result<Ended, WireError> {
    let forked = fork().map_err(|_| failed("fork"))?;
    let Some(child) = forked else {
        if seconds > 0 {
            alarm(seconds);
        }
        leave(errand())
    };
    let (_, status) = wait(child).ok_or_else(|| failed("waitpid"))?;
    Ok(if libc::WIFSIGNALED(status) {
        Ended::Signal(libc::WTERMSIG(status))
    } else {
        Ended::Code(libc::WEXITSTATUS(status))
    })
}

/// Children that are alive at the same time; all are ended and reaped when this is dropped.
#[derive(Default)]
pub(crate) struct Brood(Vec<c_int>);

impl Brood {
    /// Starts one more; it ends by its errand, by the alarm, or with its parent.
    ///
    /// # Errors
    /// The kernel's number.
    pub(crate) fn start(&mut self, seconds: u32, errand: impl FnOnce()) -> Result<(), i32> {
        match fork()? {
            Some(child) => self.0.push(child),
            None => {
                die_with_parent();
                alarm(seconds.max(1));
                errand();
                leave(0)
            }
        }
        Ok(())
    }

    /// How many have been started and not yet waited for.
    pub(crate) fn len(&self) -> u64 {
        self.0.len() as u64
    }

    /// Waits until one of them has ended.
    pub(crate) fn wait_one(&mut self) {
        if let Some((child, _)) = wait(-1) {
            self.0.retain(|one| *one != child);
        }
    }
}

impl Drop for Brood {
    fn drop(&mut self) {
        for child in &self.0 {
            // SAFETY: takes no pointers; the child is ours and not reaped, so the number is still its own.
            unsafe { libc::kill(*child, libc::SIGKILL) };
        }
        for child in &self.0 {
            wait(*child);
        }
    }
}

/// Sleeps until a signal comes.
pub(crate) fn pause() {
    // SAFETY: takes no pointers.
    unsafe { libc::pause() };
}
