//! How much of the host does useful work while requests stay quick?
//!
//! Tenants with bursty, seeded load, two to a core. At each load step one tenant is served alone and then all together;
//! the objective is that the 95th percentile of all is at most twice that of the one alone. The answer is the highest
//! share of the host's capacity that was served within the objective. Tenants either keep to their own core (a hard
//! partition) or share all of them (work-conserving shares).
//!
//! Capacity is cores / service time of a request in this same runtime; `service` tells that time, so that runtimes can be
//! compared in absolute terms as well.

use isomark_core::payload::Job;
use isomark_core::payload::data::Xoshiro;
use isomark_core::{
    Ability, Bench, Error, Metric, Params, Refusal, Sandbox, Scenario, Served, Trial, cpus, together,
};

use crate::given::{self, Is};
use crate::numbers::{jain, quantile};
use crate::startup;

pub(crate) const SCENARIO: Scenario = Scenario {
    name: "utilisation",
    question: "How much of the host does useful work while requests stay quick?",
    metrics: |_| {
        let shares = ["utilisation", "fairness", "served"].map(|name| Metric::share(name).higher());
        shares.into_iter().chain([Metric::ratio("tail"), Metric::time("service")]).collect()
    },
    needs: |_| vec![Ability::Jobs],
    settle,
    iterate,
};

/// Load steps, in shares of the host's capacity.
const LOADS: [f64; 4] = [0.2, 0.4, 0.6, 0.8];
/// Length of a step when a plan does not say, in ms.
const WINDOW: u64 = 400;
/// Bursts are so many times as dense as the mean.
const PEAK: f64 = 4.0;
/// A burst and the silence after it, in ns.
const PERIOD: f64 = 100e6;
/// Work of a request, in steps of the payload's chain: about 2 ms.
const STEPS: u64 = 1_000_000;
/// How much slower than alone the 95th percentile may be.
const OBJECTIVE: f64 = 2.0;

fn settle(params: &Params, _: &Bench) -> Result<Params, Refusal> {
    let own = [("policy", Is::Word), ("tenants", Is::Number), ("window_ms", Is::Number)];
    given::check("utilisation", params, &own)?;
    let cores = cpus::cores().map_or(1, |cores| cores.len() as u64);
    let params = given::word("utilisation", params.clone(), "policy", &["shares", "partition"])?;
    let params = given::number("utilisation", params, "tenants", cores * 2, 2..=256)?;
    let params = given::number("utilisation", params, "window_ms", WINDOW, 100..=60_000)?;
    let memory = params.number("memory").unwrap_or(startup::MEMORY);
    Ok(params.with("memory", memory))
}

/// Arrivals of one tenant in ns: Poisson within bursts, silent between them.
fn arrivals(chance: &mut Xoshiro, per_ns: f64, window: f64) -> Vec<u64> {
    let mut all = Vec::new();
    // Time as the bursts alone have it: they make up 1/PEAK of all time.
    let mut busy = 0.0;
    loop {
        busy += -(1.0 - chance.unit()).ln() / (per_ns * PEAK);
        let burst = PERIOD / PEAK;
        let at = (busy / burst).floor() * PERIOD + busy % burst;
        if at >= window {
            return all;
        }
        all.push(at as u64);
    }
}

/// The same arrivals, begun at another point of the window: tenants differ in when they are busy and in nothing else.
fn shifted(arrivals: &[u64], by: u64, window: u64) -> Vec<u64> {
    let mut all = arrivals.iter().map(|at| (at + by) % window).collect::<Vec<_>>();
    all.sort_unstable();
    all
}

/// What came out of one load step.
struct Step {
    /// Share of the capacity that was served.
    served: f64,
    /// 95th percentile of all over that of one alone.
    tail: f64,
    fairness: f64,
}

fn iterate(trial: &Trial<'_>) -> Result<(), Error> {
    let number = |name: &str| trial.params().number(name).unwrap_or(1);
    let (tenants, window) = (number("tenants"), number("window_ms") * 1_000_000);
    let cores = cpus::cores()?;
    let mut all = Vec::new();
    for at in 0..tenants {
        let mut sandbox = trial.create(&trial.spec())?;
        sandbox.start()?;
        if trial.params().text("policy") == Some("partition") {
            sandbox.pin(&[cores[at as usize % cores.len()]])?;
        }
        all.push(sandbox);
    }
    let service = service(&mut all[0])?;
    let host = Offer { capacity: cores.len() as f64 / service, window };
    let mut steps = Vec::new();
    for load in LOADS {
        let step = host.step(trial, &mut all, load)?;
        steps.push(step);
    }
    tell(trial, &steps);
    trial.note("service", service);
    all.into_iter().try_for_each(|mut sandbox| {
        sandbox.stop()?;
        sandbox.remove()
    })
}

/// How long a request takes when nothing else is asked, in ns: the quickest of several, for noise only ever adds.
fn service(sandbox: &mut Sandbox<'_>) -> Result<f64, Error> {
    let job = Job::Work { steps: STEPS };
    let times =
        (0..9).map(|_| sandbox.time(&job).map(|(_, took)| took as f64)).collect::<Result<Vec<_>, _>>()?;
    Ok(times.into_iter().fold(f64::INFINITY, f64::min))
}

/// What the host could serve, in requests per ns, and for how long it is asked.
struct Offer {
    capacity: f64,
    window: u64,
}

impl Offer {
    fn step(&self, trial: &Trial<'_>, all: &mut [Sandbox<'_>], load: f64) -> Result<Step, Error> {
        let mut chance = trial.chance(&format!("utilisation {load}"));
        let per_tenant = load * self.capacity / all.len() as f64;
        let mut base = arrivals(&mut chance, per_tenant, self.window as f64);
        if base.is_empty() {
            // Slow requests at a small load: chance may send none, and of none there is no percentile.
            base.push(0);
        }
        let plans = all.iter().map(|_| {
            let by = (chance.unit() * self.window as f64) as u64;
            shifted(&base, by, self.window)
        });
        let plans = plans.collect::<Vec<_>>();
        let job = Job::Work { steps: STEPS };
        let alone = all[0].serve(&job, &plans[0])?;
        let together = together(all.iter_mut().zip(&plans), |_, (sandbox, plan)| sandbox.serve(&job, plan))?;
        let name = |what: &str| format!("{what} at {:.0} %", load * 100.0);
        trial.series(&name("alone"), latencies(&alone));
        trial.series(&name("together"), together.iter().flat_map(|served| latencies(served)).collect());
        Ok(self.outcome(&alone, &together))
    }

    fn outcome(&self, alone: &[Served], together: &[Vec<Served>]) -> Step {
        let all = together.concat();
        let end = all.iter().map(|one| one.arrival + one.latency).max().unwrap_or(0).max(self.window);
        // What each tenant got of what it asked for within the window.
        let within = |served: &Vec<Served>| {
            let done = served.iter().filter(|one| one.arrival + one.latency <= self.window).count();
            done as f64 / served.len().max(1) as f64
        };
        Step {
            served: all.len() as f64 / end as f64 / self.capacity,
            tail: quantile(&latencies(&all), 0.95) / quantile(&latencies(alone), 0.95),
            fairness: jain(&together.iter().map(within).collect::<Vec<_>>()),
        }
    }
}

fn latencies(served: &[Served]) -> Vec<f64> {
    served.iter().map(|one| one.latency as f64).collect()
}

/// The highest share that was served within the objective; none was is nothing.
fn within(steps: &[Step]) -> f64 {
    steps.iter().filter(|step| step.tail <= OBJECTIVE).map(|step| step.served).fold(0.0, f64::max)
}

fn tell(trial: &Trial<'_>, steps: &[Step]) {
    trial.note("utilisation", within(steps));
    for step in steps.last().iter() {
        trial.note("fairness", step.fairness);
        trial.note("served", step.served);
        trial.note("tail", step.tail);
    }
    trial.series("served", steps.iter().map(|step| step.served).collect());
    trial.series("tail", steps.iter().map(|step| step.tail).collect());
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: f64 = 1e6;

    #[test]
    fn bursts_are_dense_and_the_mean_is_what_was_asked() {
        let mut chance = Xoshiro::named("test");
        let all = arrivals(&mut chance, 1.0 / MS, 10_000.0 * MS);
        assert!((9_000..11_000).contains(&all.len()), "{}", all.len());
        assert!(all.is_sorted());
        assert!(all.iter().all(|at| (*at as f64) % PERIOD <= PERIOD / PEAK));
        let moved = shifted(&all, 123, (10_000.0 * MS) as u64);
        assert!(moved.is_sorted() && moved.len() == all.len());
    }

    #[test]
    fn a_load_counts_only_within_the_objective() {
        let step = |served, tail| Step { served, tail, fairness: 1.0 };
        assert_eq!(within(&[step(0.2, 1.0), step(0.4, 1.9), step(0.6, 2.1), step(0.8, 5.0)]), 0.4);
        assert_eq!(within(&[step(0.2, 3.0)]), 0.0);
    }

    #[test]
    fn an_outcome_is_of_all_tenants() {
        let offer = Offer { capacity: 0.01, window: 1000 };
        let served = |arrival, latency| Served { arrival, latency };
        let step = offer.outcome(&[served(0, 100)], &[vec![served(0, 200)], vec![served(900, 200)]]);
        assert_eq!(step.tail, 2.0);
        // Two requests of ten that the capacity allows in a thousand ns; the last was done at 1100.
        assert!((step.served - 2.0 / 11.0).abs() < 1e-12, "{}", step.served);
        assert_eq!(step.fairness, 0.5);
    }
}
