//! Which system calls can be reached from inside: each number once, in a child where there are children.
//!
//! Every argument is -1: an address that is never mapped, a descriptor that is never open, flags that are never valid.
//! The few calls to which that would be a valid wish get other arguments, and those that end or stop their caller
//! whatever they are given are not called.

use crate::job::Class;
use crate::sys::call::call;
use crate::sys::child::{Ended, in_child};
use crate::wire::{Reply, WireError};
use std::ffi::c_long;

/// Most numbers at a time; their classes must fit a line.
const MOST: u64 = 1024;

/// Calls that end, stop or replace their caller, or make the whole host wait, whatever their arguments are.
const NEVER: [c_long; 9] = [
    libc::SYS_exit,
    libc::SYS_exit_group,
    libc::SYS_rt_sigreturn,
    libc::SYS_fork,
    libc::SYS_vfork,
    libc::SYS_pause,
    libc::SYS_sync,
    libc::SYS_vhangup,
    libc::SYS_reboot,
];

/// Arguments for calls to which -1 everywhere would be a wish, or no question of theirs.
const OTHERWISE: [(c_long, [c_long; 6]); 6] = [
    // IPC_CREAT is among the flags of -1.
    (libc::SYS_msgget, [-1, 0, 0, 0, 0, 0]),
    (libc::SYS_semget, [-1, 0, 0, 0, 0, 0]),
    (libc::SYS_shmget, [-1, 0, 0, 0, 0, 0]),
    // An unknown operation is ENOSYS to these two, though they are there.
    (libc::SYS_futex, [-1, libc::FUTEX_WAKE as c_long, 1, 0, 0, 0]),
    (libc::SYS_modify_ldt, [0, 0, 0, 0, 0, 0]),
    // Without this a sweep without children would wake in a hundred years.
    (libc::SYS_alarm, [0, 0, 0, 0, 0, 0]),
];

fn class(number: c_long) -> Class {
    let args = OTHERWISE.iter().find(|(nr, _)| *nr == number).map_or([-1; 6], |(_, args)| *args);
    match call(number, args) {
        Err(libc::ENOSYS) => Class::Absent,
        Err(libc::EPERM | libc::EACCES) => Class::Refused,
        _ => Class::Reached,
    }
}

fn tried(number: c_long, children: bool) -> Result<Class, WireError> {
    if NEVER.contains(&number) {
        return Ok(Class::Uncalled);
    }
    if !children {
        return Ok(class(number));
    }
    let code = |class: Class| Class::ALL.iter().position(|one| *one == class).unwrap_or(0) as u8;
    Ok(match in_child(1, || code(class(number)))? {
        Ended::Code(at) => {
            usize::try_from(at).ok().and_then(|at| Class::ALL.get(at)).copied().unwrap_or(Class::Killed)
        }
        // It waits for something: it has been let in.
        Ended::Signal(libc::SIGALRM) => Class::Reached,
        Ended::Signal(_) => Class::Killed,
    })
}

/// The answer to the job `sweep`: one letter a number.
///
/// # Errors
/// If there are too many numbers for one line.
pub(crate) fn job(first: u64, last: u64) -> Result<Reply, WireError> {
    if first > last || last - first >= MOST {
        return Err(WireError(format!("sweep: {first} to {last} are not 1 to {MOST} numbers")));
    }
    let children = in_child(1, || 0).is_ok();
    let classes = (first..=last)
        .map(|number| tried(number as c_long, children).map(Class::word))
        .collect::<Result<String, _>>()?;
    Ok(Reply::new().with("children", u8::from(children)).with("classes", classes))
}
