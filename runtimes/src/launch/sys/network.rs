//! Calls that the harness's network thread and the cloned child both make.
#![expect(unsafe_code, reason = "futex and interface requests have no safe form")]

use std::sync::atomic::AtomicU32;

use super::{errno, set_errno};
use crate::namespace::Network;

/// Brings the loopback interface of the calling thread's network namespace up.
pub(crate) fn loopback_up() -> std::io::Result<()> {
    if loopback() < 0 { Err(std::io::Error::last_os_error()) } else { Ok(()) }
}

/// Wakes who waits on `word` (`futex(2)`).
pub(crate) fn wake(word: &AtomicU32) {
    let operation = libc::FUTEX_WAKE | libc::FUTEX_PRIVATE_FLAG;
    // SAFETY: the address of a live word; the kernel only compares addresses.
    unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), operation, i32::MAX) };
}

/// Waits until a network namespace is made, or could not be; false after five seconds.
pub(super) fn wait(network: &Network) -> bool {
    let patience = libc::timespec { tv_sec: 5, tv_nsec: 0 };
    while network.made().is_none() {
        let operation = libc::FUTEX_WAIT | libc::FUTEX_PRIVATE_FLAG;
        // SAFETY: a live word of memory shared with the waking thread, and a valid timeout.
        let woken = unsafe {
            libc::syscall(libc::SYS_futex, network.word().as_ptr(), operation, 0, &raw const patience)
        };
        if woken < 0 && errno() == libc::ETIMEDOUT {
            return network.made().is_some();
        }
    }
    true
}

pub(super) fn loopback() -> i64 {
    // SAFETY: plain numbers.
    let fd = unsafe { libc::socket(libc::AF_INET, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0) };
    if fd < 0 {
        return -1;
    }
    // SAFETY: plain data; zeros are a valid request.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    request.ifr_name[0] = b'l' as libc::c_char;
    request.ifr_name[1] = b'o' as libc::c_char;
    request.ifr_ifru.ifru_flags = (libc::IFF_UP | libc::IFF_RUNNING) as libc::c_short;
    // SAFETY: SIOCSIFFLAGS reads one ifreq (netdevice(7)).
    let done = unsafe { libc::ioctl(fd, libc::SIOCSIFFLAGS as _, &raw const request) };
    let kept = errno();
    // SAFETY: opened above, closed once.
    unsafe { libc::close(fd) };
    set_errno(kept);
    i64::from(done)
}
