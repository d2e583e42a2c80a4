//! The end of a child, through its pidfd.
#![expect(unsafe_code, reason = "waitid with usage and pidfd signals have no safe form")]

use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

/// A descriptor of a process (`pidfd_open(2)`), which names it for ever.
pub(in crate::launch) fn open(pid: i32) -> std::io::Result<OwnedFd> {
    // SAFETY: plain numbers.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
    match i32::try_from(fd) {
        // SAFETY: a descriptor that the kernel has just made for us; nobody else owns it.
        Ok(fd) if fd >= 0 => Ok(unsafe { OwnedFd::from_raw_fd(fd) }),
        _ => Err(std::io::Error::last_os_error()),
    }
}

/// Whether two processes have one address space (`kcmp(2)`), which must not be counted twice.
pub(crate) fn share_memory(a: i32, b: i32) -> bool {
    const KCMP_VM: i32 = 1;
    // SAFETY: plain numbers; compares two kernel objects and returns their order.
    unsafe { libc::syscall(libc::SYS_kcmp, a, b, KCMP_VM, 0, 0) == 0 }
}

/// Makes this process the parent of what its descendants leave behind (`PR_SET_CHILD_SUBREAPER`, prctl(2)).
pub(crate) fn adopt_descendants() -> std::io::Result<()> {
    // SAFETY: plain numbers.
    match unsafe { libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) } {
        0 => Ok(()),
        _ => Err(std::io::Error::last_os_error()),
    }
}

/// Reaps the child behind a pidfd that has ended: exit status word and CPU time (user and system) in ns.
pub(in crate::launch) fn reap(pidfd: &OwnedFd) -> std::io::Result<Option<(bool, i32, u64)>> {
    // SAFETY: plain data; zeros are valid.
    let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
    // SAFETY: plain data; zeros are valid.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    let flags = libc::WEXITED | libc::WNOHANG | libc::__WALL;
    // SAFETY: waitid(2) with its fifth argument, which the kernel takes and the C library hides.
    let done = unsafe {
        libc::syscall(
            libc::SYS_waitid,
            libc::P_PIDFD,
            pidfd.as_raw_fd(),
            &raw mut info,
            flags,
            &raw mut usage,
        )
    };
    if done < 0 {
        return Err(std::io::Error::last_os_error());
    }
    // SAFETY: filled in by the kernel for a child; zero pid means that none has ended.
    if unsafe { info.si_pid() } == 0 {
        return Ok(None);
    }
    // SAFETY: a child's end fills in the status.
    let status = unsafe { info.si_status() };
    let time = |t: libc::timeval| t.tv_sec as u64 * 1_000_000_000 + t.tv_usec as u64 * 1_000;
    Ok(Some((info.si_code == libc::CLD_EXITED, status, time(usage.ru_utime) + time(usage.ru_stime))))
}

/// Sends a signal to the process behind a pidfd; a process that has ended is no error.
pub(in crate::launch) fn signal(pidfd: &OwnedFd, signal: i32) -> std::io::Result<()> {
    // SAFETY: plain numbers; the pidfd cannot name another process.
    let done = unsafe { libc::syscall(libc::SYS_pidfd_send_signal, pidfd.as_raw_fd(), signal, 0, 0) };
    match done {
        0 => Ok(()),
        _ => match std::io::Error::last_os_error() {
            e if e.raw_os_error() == Some(libc::ESRCH) => Ok(()),
            e => Err(e),
        },
    }
}
