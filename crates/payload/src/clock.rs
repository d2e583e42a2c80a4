//! The only clock inside an instance: the time-stamp counter.
//!
//! Never `clock_gettime`: in a small guest it may be a system call or a VM exit, so the stopwatch would weigh
//! the very thing it measures. The host calibrates the counter's rate and sends it with the job.

use crate::sys;

/// The counter, after everything before it and before everything behind it.
///
/// `lfence; rdtsc; lfence` (Intel SDM vol. 2, RDTSC): the first fence keeps the reading from overtaking the work,
/// the second keeps the next work from overtaking the reading. `rdtscp` would save the first fence, but it faults
/// in a guest whose hypervisor hides it, while plain `rdtsc` works everywhere that user code may read time.
pub(crate) fn ticks() -> u64 {
    sys::fence();
    let now = sys::time_stamp();
    sys::fence();
    now
}
