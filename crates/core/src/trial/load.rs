//! Offered load: requests that arrive at planned moments, whether or not the one before is done.
//!
//! A latency counts from the planned arrival when the request had to wait for its predecessor, and from the sending
//! otherwise: queueing is the instance's, the harness's own lateness in waking up is not. These requests are raw series
//! and not phases, of which there would be thousands.

use std::time::Duration;

use super::{Sandbox, check};
use crate::clock::monotonic_ns;
use crate::error::Error;
use crate::payload::Job;

/// A request that was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Served {
    /// When it was to arrive, in ns from the beginning.
    pub arrival: u64,
    /// How long it then took, queueing included, in ns.
    pub latency: u64,
}

impl Sandbox<'_> {
    /// Serves requests that arrive at these moments, in ns from now and in ascending order.
    ///
    /// # Errors
    /// What the runtime says, or [`Error::WrongAnswer`]; the first ends it.
    pub fn serve(&mut self, job: &Job, arrivals: &[u64]) -> Result<Vec<Served>, Error> {
        let origin = monotonic_ns();
        let mut served = Vec::with_capacity(arrivals.len());
        for arrival in arrivals {
            let due = origin + arrival;
            let begun = wait_until(due);
            let reply = self.instance.run(job)?;
            let done = monotonic_ns();
            check(job, &reply, done - begun)?;
            served.push(Served { arrival: *arrival, latency: done - begun });
        }
        Ok(served)
    }
}

/// Sleeps until `due` and gives when the request begins to count: `due` if that was past already.
fn wait_until(due: u64) -> u64 {
    let now = monotonic_ns();
    if now >= due {
        return due;
    }
    std::thread::sleep(Duration::from_nanos(due - now));
    monotonic_ns()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_late_by_waiting_counts_from_the_arrival() {
        let past = monotonic_ns() - 1000;
        assert_eq!(wait_until(past), past);
        let future = monotonic_ns() + 1_000_000;
        assert!(wait_until(future) >= future);
    }
}
