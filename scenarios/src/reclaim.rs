//! Does memory come back to the host when the program gives it back?
//!
//! A container's freed page is the host's at once; a guest's freed page is free in the guest and, unless somebody tells,
//! still held on the host. The share that comes back is (peak - after) / (peak - before), by the instance's own pages and
//! by what the host has available.

use std::thread::sleep;
use std::time::Duration;

use isomark_core::payload::Job;
use isomark_core::{Ability, Bench, Error, Metric, Params, Refusal, Sandbox, Scenario, Trial, account};

use crate::given::{self, Is};

pub(crate) const SCENARIO: Scenario = Scenario {
    name: "reclaim",
    question: "Does memory come back to the host when the program gives it back?",
    metrics: |_| {
        let shares =
            [Metric::share("returned").higher(), Metric::share("returned-available").higher().if_any()];
        shares.into_iter().chain(["peak", "kept"].map(Metric::size)).collect()
    },
    needs: |_| vec![Ability::Jobs, Ability::Memory],
    settle,
    iterate,
};

/// What is taken and given back, in bytes.
const TAKEN: u64 = 256 << 20;
/// Memory of the instance: room for that and for the program.
const MEMORY: u64 = 512 << 20;
/// Time between the freeing and the reading, in ms.
const REST: u64 = 200;

fn settle(params: &Params, _: &Bench) -> Result<Params, Refusal> {
    given::check("reclaim", params, &[("rest_ms", Is::Number)])?;
    let params = given::number("reclaim", params.clone(), "memory", MEMORY, TAKEN * 5 / 4..=1 << 40)?;
    given::number("reclaim", params, "rest_ms", REST, 1..=60_000)
}

/// What is held, by the instance's pages and by the host's.
struct Held {
    pss: f64,
    available: f64,
}

impl Held {
    fn read(sandbox: &Sandbox<'_>) -> Result<Self, Error> {
        let pss = sandbox.memory()?.pss as f64;
        Ok(Self { pss, available: account::meminfo("MemAvailable:")? as f64 })
    }
}

/// The share of what was taken that came back.
fn share(before: f64, peak: f64, after: f64) -> f64 {
    (peak - after) / (peak - before)
}

fn iterate(trial: &Trial<'_>) -> Result<(), Error> {
    let rest = Duration::from_millis(trial.params().number("rest_ms").unwrap_or(REST));
    let mut sandbox = trial.create(&trial.spec())?;
    sandbox.start()?;
    let before = Held::read(&sandbox)?;
    sandbox.run(&Job::Touch { bytes: TAKEN })?;
    let peak = Held::read(&sandbox)?;
    sandbox.run(&Job::Free)?;
    sleep(rest);
    let after = Held::read(&sandbox)?;
    if peak.pss <= before.pss {
        let text = format!("{TAKEN} bytes were touched and the instance did not grow");
        return Err(Error::WrongAnswer(text));
    }
    trial.note("returned", share(before.pss, peak.pss, after.pss));
    // Others take and give memory meanwhile: without a drop of at least half of it the host's own number says nothing.
    if before.available - peak.available > TAKEN as f64 / 2.0 {
        trial.note("returned-available", share(-before.available, -peak.available, -after.available));
    }
    trial.note("peak", peak.pss - before.pss);
    trial.note("kept", (after.pss - before.pss).max(0.0));
    sandbox.run(&Job::Echo(3))?;
    sandbox.stop()?;
    sandbox.remove()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_share_that_came_back() {
        assert_eq!(share(10.0, 110.0, 10.0), 1.0);
        assert_eq!(share(10.0, 110.0, 110.0), 0.0);
        assert_eq!(share(10.0, 110.0, 60.0), 0.5);
    }
}
