//! The counter itself.
#![expect(unsafe_code, reason = "rdtsc is an intrinsic")]

/// The time-stamp counter.
pub(super) fn ticks() -> u64 {
    // SAFETY: every x86-64 has the instruction, and Linux leaves it to user mode (prctl(2), PR_SET_TSC, by default).
    unsafe { std::arch::x86_64::_rdtsc() }
}
