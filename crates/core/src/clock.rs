//! The one clock of a run: `CLOCK_MONOTONIC`, in ns.
//!
//! Everything that crosses a boundary is stamped with it on the host. `std::time::Instant` reads the same clock
//! but hides its value, which is needed here to place the steps that a VMM process stamped itself.

use nix::time::{ClockId, clock_gettime};

/// Nanoseconds of `CLOCK_MONOTONIC`; the same clock in every process of the host (`clock_gettime(2)`).
#[must_use]
pub fn monotonic_ns() -> u64 {
    read(ClockId::CLOCK_MONOTONIC)
}

/// CPU time that all threads of this process have used, in ns: what creating an instance costs the harness itself.
#[must_use]
pub fn process_cpu_ns() -> u64 {
    read(ClockId::CLOCK_PROCESS_CPUTIME_ID)
}

fn read(clock: ClockId) -> u64 {
    // Cannot fail: both clocks exist on every Linux that runs this program.
    clock_gettime(clock).map_or(0, |t| {
        u64::try_from(t.tv_sec()).unwrap_or(0) * 1_000_000_000 + u64::try_from(t.tv_nsec()).unwrap_or(0)
    })
}
