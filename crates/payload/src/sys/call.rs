//! System calls by number, limits of the process itself, and instructions that must not succeed.

use std::arch::asm;
use std::ffi::c_long;
use std::ptr;

use super::errno;

/// Makes one system call.
///
/// # Errors
/// The kernel's number.
pub(crate) fn call(number: c_long, [a, b, c, d, e, f]: [c_long; 6]) -> Result<c_long, i32> {
    // SAFETY: the callers pass addresses that are never mapped or belong to live values, and numbers that change nothing
    // which the program relies on.
    let value = unsafe { libc::syscall(number, a, b, c, d, e, f) };
    if value == -1 { Err(errno()) } else { Ok(value) }
}

/// Limits this process to `value` of a resource. A kernel without limits refuses, which leaves the job's own bound.
pub(crate) fn limit(resource: c_long, value: u64) {
    let pair = [value, value];
    let _ = call(libc::SYS_prlimit64, [0, resource, ptr::from_ref(&pair) as c_long, 0, 0, 0]);
}

/// A file that grows beyond its limit is an error and not the end.
pub(crate) fn survive_file_limit() {
    // SAFETY: to ignore a signal needs no handler.
    unsafe { libc::signal(libc::SIGXFSZ, libc::SIG_IGN) };
}

/// Writes to the zero page.
pub(crate) fn crash() {
    // SAFETY: meant to fault: nothing is mapped there, so no memory that exists is touched.
    unsafe { asm!("mov byte ptr [{at}], 0", at = in(reg) 8_usize, options(nostack)) };
}

/// Halts the CPU, which only a kernel may.
pub(crate) fn halt() {
    // SAFETY: meant to fault: in user mode the instruction does nothing but that.
    unsafe { asm!("hlt", options(nomem, nostack)) };
}
