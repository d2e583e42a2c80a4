//! How much of the host does useful work while requests stay quick?
//!
//! Tenants with bursty, seeded load, two to a core, are served together at growing load; the objective is that the 95th
//! percentile of all is at most twice that of one tenant alone. The answer is the highest share of the host's capacity
//! that was served within the objective. Tenants either keep to their own core (a hard partition) or share all of them
//! (work-conserving shares).
//!
//! Two things keep chance out of the answer. What a tenant alone would see follows from its arrivals and the service time
//! by Lindley's recursion and is not sampled. And the load at which the objective fails is read off between two steps,
//! so that a percentile a little beyond it costs a little and not a whole step. All steps, runtimes and policies of a
//! block meet the same arrivals, more or less dense.
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
const WINDOW: u64 = 300;
/// Bursts are so many times as dense as the mean.
const PEAK: f64 = 4.0;
/// A burst and the silence after it, in ns.
const PERIOD: f64 = 100e6;
/// Work of a request, in steps of the payload's chain: about 1 ms.
const STEPS: u64 = 500_000;
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
    let host = Offer { capacity: cores.len() as f64 / service, service, window };
    let steps = LOADS.map(|load| host.step(trial, &mut all, load));
    let steps = steps.into_iter().collect::<Result<Vec<_>, _>>()?;
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

/// What the host could serve, in requests per ns, how long one takes, and for how long it is asked.
struct Offer {
    capacity: f64,
    service: f64,
    window: u64,
}

impl Offer {
    fn step(&self, trial: &Trial<'_>, all: &mut [Sandbox<'_>], load: f64) -> Result<Step, Error> {
        // The same for every load: a higher one brings the same requests closer together.
        let mut chance = trial.chance("utilisation");
        let shifts = all.iter().map(|_| (chance.unit() * self.window as f64) as u64).collect::<Vec<_>>();
        let per_tenant = load * self.capacity / all.len() as f64;
        let mut base = arrivals(&mut chance, per_tenant, self.window as f64);
        if base.is_empty() {
            // Slow requests at a small load: chance may send none, and of none there is no percentile.
            base.push(0);
        }
        let plans = shifts.iter().map(|by| shifted(&base, *by, self.window)).collect::<Vec<_>>();
        let job = Job::Work { steps: STEPS };
        let together = together(all.iter_mut().zip(&plans), |_, (sandbox, plan)| sandbox.serve(&job, plan))?;
        let name = format!("together at {:.0} %", load * 100.0);
        trial.series(&name, together.iter().flat_map(|served| latencies(served)).collect());
        let alone = plans.iter().flat_map(|plan| alone(plan, self.service)).collect::<Vec<_>>();
        Ok(self.outcome(&alone, &together))
    }

    fn outcome(&self, alone: &[f64], together: &[Vec<Served>]) -> Step {
        let all = together.concat();
        let end = all.iter().map(|one| one.arrival + one.latency).max().unwrap_or(0).max(self.window);
        // What each tenant got of what it asked for within the window.
        let within = |served: &Vec<Served>| {
            let done = served.iter().filter(|one| one.arrival + one.latency <= self.window).count();
            done as f64 / served.len().max(1) as f64
        };
        Step {
            served: all.len() as f64 / end as f64 / self.capacity,
            tail: quantile(&latencies(&all), 0.95) / quantile(alone, 0.95),
            fairness: jain(&together.iter().map(within).collect::<Vec<_>>()),
        }
    }
}

fn latencies(served: &[Served]) -> Vec<f64> {
    served.iter().map(|one| one.latency as f64).collect()
}

/// How long each request takes of one who serves nobody else: its own time, and what is left of its predecessor's
/// (Lindley 1952).
fn alone(arrivals: &[u64], service: f64) -> Vec<f64> {
    let mut free = 0.0_f64;
    let latency = |at: &u64| {
        free = free.max(*at as f64) + service;
        free - *at as f64
    };
    arrivals.iter().map(latency).collect()
}

/// The highest share that was served within the objective: read off between the last step that kept it and the next.
fn within(steps: &[Step]) -> f64 {
    let kept = steps.iter().rposition(|step| step.tail <= OBJECTIVE);
    // At no load nothing is served, and nobody waits for others.
    let (low, at) = kept.map_or((0.0, 1.0), |last| (steps[last].served, steps[last].tail));
    match steps.get(kept.map_or(0, |last| last + 1)) {
        Some(next) => low + (next.served - low).max(0.0) * (OBJECTIVE - at) / (next.tail - at),
        None => low,
    }
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
        let is =
            |steps: &[Step], share: f64| assert!((within(steps) - share).abs() < 1e-12, "{}", within(steps));
        is(&[step(0.2, 1.0), step(0.4, 1.5), step(0.6, 2.5), step(0.8, 5.0)], 0.5);
        // A little beyond the objective costs a little.
        is(&[step(0.2, 1.0), step(0.4, 1.0), step(0.6, 2.01)], 0.4 + 0.2 / 1.01);
        is(&[step(0.2, 3.0)], 0.1);
        is(&[step(0.2, 1.0), step(0.4, 2.0)], 0.4);
        // Who serves less at a higher load gains nothing by it.
        is(&[step(0.2, 1.0), step(0.1, 3.0)], 0.2);
    }

    #[test]
    fn who_is_alone_waits_for_himself_only() {
        assert_eq!(alone(&[0, 5, 100], 10.0), [10.0, 15.0, 10.0]);
        assert!(alone(&[], 10.0).is_empty());
    }

    #[test]
    fn an_outcome_is_of_all_tenants() {
        let offer = Offer { capacity: 0.01, service: 200.0, window: 1000 };
        let served = |arrival, latency| Served { arrival, latency };
        let step = offer.outcome(&[100.0], &[vec![served(0, 200)], vec![served(900, 200)]]);
        assert_eq!(step.tail, 2.0);
        // Two requests of ten that the capacity allows in a thousand ns; the last was done at 1100.
        assert!((step.served - 2.0 / 11.0).abs() < 1e-12, "{}", step.served);
        assert_eq!(step.fairness, 0.5);
    }
}
