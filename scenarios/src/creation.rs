//! How fast can many instances be made?
//!
//! `concurrency` threads create and start instances until `instances` of them are ready, all alive at the same time; the
//! rate is their number over the time from the first request to the last ready. Each launch is kept with the number of
//! instances that ran already, because a launch that grows slower with them is a limit that a single one does not show.

use std::sync::Barrier;
use std::sync::atomic::{AtomicU64, Ordering};

use isomark_core::payload::Job;
use isomark_core::slope::theil_sen;
use isomark_core::{
    Ability, Bench, Error, Metric, Params, Refusal, Sandbox, Scenario, Trial, account, together,
};

use crate::given::{self, Is};
use crate::numbers::quantile;
use crate::startup;

pub(crate) const SCENARIO: Scenario = Scenario {
    name: "creation",
    question: "How fast can many instances be made?",
    metrics: |_| {
        let rate = [Metric::rate("rate", "instance")];
        let times = ["latency", "latency-p95", "latency-last", "growth"].map(Metric::time);
        rate.into_iter().chain(times).chain([Metric::size("peak-memory")]).collect()
    },
    needs: |params| given::needs(params).into_iter().chain([Ability::Jobs]).collect(),
    settle,
    iterate,
};

/// Instances of a trial when a plan does not say.
const INSTANCES: u64 = 50;

fn settle(params: &Params, _: &Bench) -> Result<Params, Refusal> {
    let own = [("concurrency", Is::Number), ("instances", Is::Number), given::ORIGIN];
    given::check("creation", params, &own)?;
    let params = &given::origin("creation", params.clone())?;
    if params.text("origin") == Some("pool") {
        return Err(Refusal::Input(
            "creation: a pool is filled one by one, which is what would be timed".into(),
        ));
    }
    let params = given::number("creation", params.clone(), "instances", INSTANCES, 2..=1000)?;
    let most = params.number("instances").unwrap_or(INSTANCES);
    let params = given::number("creation", params, "concurrency", 1, 1..=most.min(64))?;
    let memory = params.number("memory").unwrap_or(startup::MEMORY);
    Ok(params.with("memory", memory))
}

/// When a launch began and was ready, in ns.
type Birth = (u64, u64);

fn iterate(trial: &Trial<'_>) -> Result<(), Error> {
    let number = |name: &str| trial.params().number(name).unwrap_or(1);
    let (wanted, threads) = (number("instances"), number("concurrency") as usize);
    let before = account::meminfo("MemAvailable:")?;
    let (next, alive, read) = (AtomicU64::new(0), Barrier::new(threads), Barrier::new(threads));
    // Whoever created an instance must also end it, so each thread keeps its own until all are there.
    let made = together(0..threads, |at, _| {
        let launched = launch(trial, &next, wanted);
        alive.wait();
        let available = if at == 0 { Some(account::meminfo("MemAvailable:")) } else { None };
        read.wait();
        let own = launched?;
        let births = own.iter().map(Sandbox::born).collect::<Vec<_>>();
        own.into_iter().try_for_each(end)?;
        Ok((births, available.transpose()?))
    })?;
    let after = made.iter().find_map(|(_, available)| *available).unwrap_or(before);
    let births = made.into_iter().flat_map(|(births, _)| births).collect::<Vec<_>>();
    tell(trial, births);
    trial.note("peak-memory", before.saturating_sub(after) as f64);
    Ok(())
}

/// Launches instances as long as there are some to launch.
fn launch<'t>(trial: &'t Trial<'t>, next: &AtomicU64, wanted: u64) -> Result<Vec<Sandbox<'t>>, Error> {
    let mut own = Vec::new();
    while next.fetch_add(1, Ordering::Relaxed) < wanted {
        let mut sandbox = trial.create(&trial.spec())?;
        sandbox.start()?;
        own.push(sandbox);
    }
    Ok(own)
}

fn end(mut sandbox: Sandbox<'_>) -> Result<(), Error> {
    sandbox.run(&Job::Echo(11))?;
    sandbox.stop()?;
    sandbox.remove()
}

/// How many ran already when each began, and how long it took; in the order of their begins.
fn launches(mut births: Vec<Birth>) -> Vec<(f64, f64)> {
    births.sort_unstable();
    let running = |began: u64| births.iter().filter(|(_, ready)| *ready <= began).count() as f64;
    births.iter().map(|(began, ready)| (running(*began), (ready - began) as f64)).collect()
}

fn tell(trial: &Trial<'_>, births: Vec<Birth>) {
    let first = births.iter().map(|birth| birth.0).min().unwrap_or(0);
    let last = births.iter().map(|birth| birth.1).max().unwrap_or(0);
    let launches = launches(births);
    let took = launches.iter().map(|launch| launch.1).collect::<Vec<_>>();
    // The last tenth: what a launch costs when nearly all the others run.
    let late = &took[took.len() - took.len().div_ceil(10)..];
    trial.note("rate", took.len() as f64 / ((last - first) as f64 / 1e9));
    trial.note("latency", quantile(&took, 0.5));
    trial.note("latency-p95", quantile(&took, 0.95));
    trial.note("latency-last", quantile(late, 0.5));
    trial.note("growth", theil_sen(&launches).unwrap_or(0.0));
    trial.series("running", launches.iter().map(|launch| launch.0).collect());
    trial.series("latency", took);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_launch_counts_those_that_were_ready_when_it_began() {
        let births = vec![(20, 30), (0, 10), (5, 12), (11, 19)];
        assert_eq!(launches(births), [(0.0, 10.0), (0.0, 7.0), (1.0, 8.0), (3.0, 10.0)]);
    }
}
