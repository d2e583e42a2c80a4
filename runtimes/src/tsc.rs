//! How fast the time-stamp counter ticks: the payload tells durations in ticks, the harness in nanoseconds.
//!
//! Calibrated against `CLOCK_MONOTONIC` over a tenth of a second; both are read back to back at either end, and the
//! closest pair of several is taken, so the error is that of two clock reads: 1e-6.

mod sys;

use std::time::Duration;

use isomark_core::clock::monotonic_ns;

/// Ticks per second.
#[must_use]
pub fn calibrate() -> u64 {
    let (ticks, ns) = pair();
    std::thread::sleep(Duration::from_millis(100));
    let (later_ticks, later_ns) = pair();
    let per_ns = (later_ticks - ticks) as f64 / (later_ns - ns).max(1) as f64;
    (per_ns * 1e9).round() as u64
}

/// The counter and the clock at the same moment: of 20 tries the one with the shortest bracket.
fn pair() -> (u64, u64) {
    let attempt = || {
        let before = monotonic_ns();
        let ticks = sys::ticks();
        let after = monotonic_ns();
        (after - before, ticks, before + (after - before) / 2)
    };
    let best = (0..20).map(|_| attempt()).min_by_key(|(bracket, ..)| *bracket);
    best.map_or((0, 0), |(_, ticks, ns)| (ticks, ns))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_calibrations_agree() {
        let (a, b) = (calibrate() as f64, calibrate() as f64);
        assert!(a > 1e8 && (a / b - 1.0).abs() < 1e-3, "{a} {b}");
    }
}
