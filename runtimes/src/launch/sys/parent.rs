//! The thread that clones, as its children see it.
#![expect(unsafe_code, reason = "a descriptor of a thread has no safe form")]

use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

/// Who is the parent: the death of its *thread* is what `PR_SET_PDEATHSIG` tells.
#[derive(Clone, Copy)]
pub(in crate::launch) struct Parent {
    /// Its process, as the parent itself sees it.
    pub(super) pid: i32,
    /// Readable once its thread has ended.
    pub(super) thread: RawFd,
}

impl Parent {
    /// The calling thread, whose descriptor stays open as long as it lives.
    pub(in crate::launch) fn this() -> std::io::Result<Self> {
        thread_local! {
            static OWN: std::cell::OnceCell<OwnedFd> = const { std::cell::OnceCell::new() };
        }
        let pid = std::process::id().cast_signed();
        OWN.with(|own| {
            if own.get().is_none() {
                let _ = own.set(thread(pid)?);
            }
            own.get()
                .map(|fd| Self { pid, thread: fd.as_raw_fd() })
                .ok_or_else(|| std::io::ErrorKind::NotFound.into())
        })
    }
}

/// A descriptor of the calling thread (`PIDFD_THREAD`, Linux 6.9), or of its process on older kernels, which becomes
/// readable a little later.
fn thread(pid: i32) -> std::io::Result<OwnedFd> {
    // The flag has the value of O_EXCL (`pidfd_open(2)`).
    const PIDFD_THREAD: i32 = libc::O_EXCL;
    // SAFETY: takes nothing and cannot fail.
    let own = unsafe { libc::gettid() };
    // SAFETY: plain numbers.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, own, PIDFD_THREAD) };
    match i32::try_from(fd) {
        // SAFETY: a descriptor that the kernel has just made for us; nobody else owns it.
        Ok(fd) if fd >= 0 => Ok(unsafe { OwnedFd::from_raw_fd(fd) }),
        _ => super::open(pid),
    }
}
