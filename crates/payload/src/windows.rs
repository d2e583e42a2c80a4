//! How long a kernel takes: windows of a few milliseconds, and the whole.
//!
//! A window shorter than a scheduler slice is often undisturbed, so the best of at least ten tells what the CPU
//! can do; the whole, from the first window's start to the last one's end, keeps every tick and exit in. Windows
//! lie back to back: the end of one is the start of the next, nothing between them goes unmeasured.

use crate::clock::ticks;
use crate::kernels::Kernel;
use crate::wire::WireError;

const WARM_UPS: usize = 2;
const LEAST_WINDOWS: u64 = 10;

/// What the windows of one job measured; ticks of the time-stamp counter, work in the kernel's unit.
pub(crate) struct Windows {
    /// How many.
    pub(crate) count: u64,
    /// Ticks of the best.
    pub(crate) best_ticks: u64,
    /// Work in each.
    pub(crate) work: u64,
    /// Ticks of all.
    pub(crate) total_ticks: u64,
}

fn elapsed(since: u64, now: u64) -> Result<u64, WireError> {
    now.checked_sub(since)
        .filter(|&t| t > 0)
        .ok_or_else(|| WireError(format!("the time-stamp counter went from {since} to {now}")))
}

fn repeat(kernel: &mut dyn Kernel, times: u64) -> Result<(), WireError> {
    (0..times).try_for_each(|_| kernel.iterate())
}

/// Iterations per window, such that one takes 2–5 ms; 1 where a single iteration takes longer.
///
/// An attempt disturbed by the scheduler looks long and would make windows too short, so the attempt that ends the
/// search is made twice and the shorter one counts.
fn calibrate(kernel: &mut dyn Kernel, per_ms: u64) -> Result<u64, WireError> {
    let mut times = 1;
    for _ in 0..40 {
        let mut best = u64::MAX;
        for _ in 0..2 {
            let start = ticks();
            repeat(kernel, times)?;
            best = best.min(elapsed(start, ticks())?);
            if best < 2 * per_ms {
                break;
            }
        }
        if best >= 2 * per_ms && (best <= 5 * per_ms || times == 1) {
            break;
        }
        let ideal = (u128::from(times) * 3 * u128::from(per_ms) / u128::from(best)).max(1);
        times = u64::try_from(ideal).unwrap_or(u64::MAX).min(times.saturating_mul(100));
    }
    Ok(times)
}

/// How long to measure, and what to add.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked {
    /// At least so long, in ms.
    pub(crate) millis: u64,
    /// Ticks of the time-stamp counter per second.
    pub(crate) tsc_hz: u64,
    /// Busy time added to each window, in thousandths of what it took.
    pub(crate) injected: u64,
}

/// Keeps the CPU busy until `injected` thousandths of the window's own time have gone by; the moment it ends.
fn inject(since: u64, injected: u64) -> u64 {
    let now = ticks();
    if injected == 0 {
        return now;
    }
    let more = u128::from(now.saturating_sub(since)) * u128::from(injected) / 1000;
    let until = now.saturating_add(u64::try_from(more).unwrap_or(u64::MAX));
    loop {
        let now = ticks();
        if now >= until {
            return now;
        }
    }
}

/// Runs the kernel for `asked.millis` and at least ten windows; `work` is that of one iteration.
///
/// # Errors
/// The kernel's own, or a counter that does not advance.
pub(crate) fn measure(kernel: &mut dyn Kernel, work: u64, asked: Asked) -> Result<Windows, WireError> {
    let per_ms = (asked.tsc_hz / 1000).max(1);
    repeat(kernel, WARM_UPS as u64)?;
    let times = calibrate(kernel, per_ms)?;
    let enough = asked.millis.saturating_mul(per_ms);
    let start = ticks();
    let (mut last, mut best, mut count) = (start, u64::MAX, 0);
    while count < LEAST_WINDOWS || last - start < enough {
        repeat(kernel, times)?;
        let now = inject(last, asked.injected);
        best = best.min(elapsed(last, now)?);
        last = now;
        count += 1;
    }
    let work = work.saturating_mul(times);
    Ok(Windows { count, best_ticks: best, work, total_ticks: last - start })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::Answer;

    /// Counts its iterations and refuses to go beyond a number of them.
    struct Counter {
        done: u64,
        most: u64,
    }

    impl Kernel for Counter {
        fn iterate(&mut self) -> Result<(), WireError> {
            self.done += 1;
            if self.done > self.most { Err(WireError("tired".into())) } else { Ok(()) }
        }

        fn answer(&mut self) -> Result<Answer, WireError> {
            Ok(Answer::new(&self.done, self.done))
        }
    }

    const fn asked(millis: u64, tsc_hz: u64) -> Asked {
        Asked { millis, tsc_hz, injected: 0 }
    }

    #[test]
    fn what_is_injected_is_a_share_of_the_window() {
        for (injected, least) in [(0, 1.0), (50, 1.05), (1000, 2.0)] {
            let since = ticks();
            let worked = (0..100_000_u64).fold(0_u64, |sum, i| std::hint::black_box(sum.wrapping_add(i)));
            let plain = ticks() - since;
            let until = inject(since, injected);
            assert!(worked > 0 && (until - since) as f64 >= plain as f64 * least, "{injected}");
        }
    }

    #[test]
    fn an_iteration_longer_than_a_window_is_one() {
        // A thousand ticks a second: every iteration seems to take many milliseconds.
        let mut kernel = Counter { done: 0, most: u64::MAX };
        let windows = measure(&mut kernel, 5, asked(0, 1000)).unwrap();
        assert_eq!((windows.count, windows.work), (10, 5));
        // Two to warm up, two to see how long one takes, ten windows.
        assert_eq!(kernel.done, 14);
        assert!(windows.best_ticks * 10 <= windows.total_ticks);
    }

    #[test]
    fn short_iterations_share_a_window_and_all_are_counted() {
        let mut kernel = Counter { done: 0, most: u64::MAX };
        let windows = measure(&mut kernel, 1, asked(1, 100_000_000)).unwrap();
        assert!(windows.work > 1 && windows.count >= 10);
        assert!(windows.work * windows.count < kernel.done);
    }

    #[test]
    fn a_refusal_ends_the_measurement() {
        let refused = measure(&mut Counter { done: 0, most: 9 }, 1, asked(0, 1000)).err();
        assert_eq!(refused, Some(WireError("tired".into())));
    }
}
