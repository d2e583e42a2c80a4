//! How much memory does an instance take?
//!
//! Every accounting mode side by side, for an idle payload and for one that touched 64 MiB; and what each further
//! instance takes, as the slope over 1 to `instances` of them. Virtual size is never read.

use std::thread::sleep;
use std::time::Duration;

use isomark_core::payload::Job;
use isomark_core::slope::theil_sen;
use isomark_core::{Ability, Bench, Error, Metric, Params, Refusal, Sandbox, Scenario, Trial, account};

use crate::given::{self, Is};

pub(crate) const SCENARIO: Scenario = Scenario {
    name: "memory",
    question: "How much memory does an instance take?",
    metrics,
    needs: |params| given::needs(params).into_iter().chain([Ability::Jobs, Ability::Memory]).collect(),
    settle,
    iterate,
};

/// What a loaded payload touches, in bytes.
const TOUCHED: u64 = 64 << 20;

/// More instances than this at a time are the density scenario's business.
const MOST: u64 = 1000;

fn metrics(params: &Params) -> Vec<Metric> {
    if params.number("instances").is_some() {
        let always = ["marginal-pss", "marginal-available", "marginal-free"].map(Metric::size);
        return always.into_iter().chain([Metric::size("marginal-cgroup").if_any()]).collect();
    }
    let always = ["pss", "uss", "rss"].map(Metric::size);
    always
        .into_iter()
        .chain(["cgroup", "guest-ram", "vmm", "helpers", "daemon"].map(|name| Metric::size(name).if_any()))
        .collect()
}

fn settle(params: &Params, _: &Bench) -> Result<Params, Refusal> {
    let own = [("load", Is::Word), ("instances", Is::Number), ("rest_ms", Is::Number), given::ORIGIN];
    given::check("memory", params, &own)?;
    let params = &given::origin("memory", params.clone())?;
    if params.number("instances").is_some_and(|n| !(2..=MOST).contains(&n)) {
        return Err(Refusal::Input(format!(
            "memory: instances must be 2 to {MOST}: a slope needs two points"
        )));
    }
    match params.text("load").unwrap_or("idle") {
        "idle" => Ok(params.clone().with("load", "idle")),
        "touched" => Ok(params.clone()),
        other => Err(Refusal::Input(format!("memory: load = {other:?} is neither \"idle\" nor \"touched\""))),
    }
}

fn iterate(trial: &Trial<'_>) -> Result<(), Error> {
    match trial.params().number("instances") {
        Some(most) => marginal(trial, most),
        None => single(trial),
    }
}

fn launch<'t>(trial: &'t Trial<'t>) -> Result<Sandbox<'t>, Error> {
    let mut sandbox = trial.create(&trial.spec())?;
    sandbox.start()?;
    if trial.params().text("load") == Some("touched") {
        sandbox.run(&Job::Touch { bytes: TOUCHED })?;
    }
    Ok(sandbox)
}

fn end(mut sandbox: Sandbox<'_>) -> Result<(), Error> {
    sandbox.run(&Job::Echo(1))?;
    sandbox.stop()?;
    sandbox.remove()
}

fn single(trial: &Trial<'_>) -> Result<(), Error> {
    let sandbox = launch(trial)?;
    let memory = sandbox.memory()?;
    let modes = [
        ("pss", Some(memory.pss)),
        ("uss", Some(memory.uss)),
        ("rss", Some(memory.rss)),
        ("cgroup", memory.cgroup),
        ("guest-ram", memory.guest_ram),
        ("vmm", memory.vmm),
        ("helpers", memory.helpers),
        ("daemon", memory.daemon),
    ];
    for (name, bytes) in modes {
        bytes.into_iter().for_each(|bytes| trial.note(name, bytes as f64));
    }
    end(sandbox)
}

/// Totals with `alive` instances.
struct Point {
    alive: f64,
    pss: f64,
    cgroup: Option<f64>,
    available: f64,
    free: f64,
}

fn marginal(trial: &Trial<'_>, most: u64) -> Result<(), Error> {
    // The kernel's own counters lag behind (per-CPU batches, freed pages under way): a moment of rest before each.
    let rest = Duration::from_millis(trial.params().number("rest_ms").unwrap_or(20));
    let mut alive = Vec::new();
    let mut points = Vec::new();
    for wanted in steps(most) {
        while (alive.len() as u64) < wanted {
            alive.push(launch(trial)?);
        }
        sleep(rest);
        points.push(read(&alive)?);
    }
    let slope = |of: &dyn Fn(&Point) -> Option<f64>| {
        theil_sen(&points.iter().filter_map(|p| Some((p.alive, of(p)?))).collect::<Vec<_>>())
    };
    let modes: [(&str, Option<f64>); 4] = [
        ("marginal-pss", slope(&|p| Some(p.pss))),
        // What is no longer available grows as what is available shrinks.
        ("marginal-available", slope(&|p| Some(-p.available))),
        ("marginal-free", slope(&|p| Some(-p.free))),
        ("marginal-cgroup", slope(&|p| p.cgroup)),
    ];
    for (name, value) in modes {
        value.into_iter().for_each(|value| trial.note(name, value));
    }
    tell(trial, &points);
    // Each answers before the first goes: all were alive at the same time.
    for sandbox in &mut alive {
        sandbox.run(&Job::Echo(7))?;
    }
    alive.into_iter().try_for_each(end)
}

/// One of a point's totals.
type Total = fn(&Point) -> f64;

/// The points that the slopes were laid through.
fn tell(trial: &Trial<'_>, points: &[Point]) {
    let totals: [(&str, Total); 4] =
        [("alive", |p| p.alive), ("pss", |p| p.pss), ("available", |p| p.available), ("free", |p| p.free)];
    for (name, of) in totals {
        trial.series(name, points.iter().map(of).collect());
    }
}

/// 0, 1, 2, 4 … and `most`.
fn steps(most: u64) -> Vec<u64> {
    let doubling = std::iter::successors(Some(1), |n| Some(n * 2)).take_while(|n| *n < most);
    [0].into_iter().chain(doubling).chain([most]).collect()
}

fn read(alive: &[Sandbox<'_>]) -> Result<Point, Error> {
    let each = alive.iter().map(Sandbox::memory).collect::<Result<Vec<_>, _>>()?;
    let cgroup = each.iter().map(|m| m.cgroup.map(|b| b as f64)).sum::<Option<f64>>();
    Ok(Point {
        alive: alive.len() as f64,
        pss: each.iter().map(|m| m.pss as f64).sum(),
        // The sum over no instances is 0 even for a runtime that has no groups.
        cgroup: cgroup.filter(|_| !alive.is_empty()),
        available: account::meminfo("MemAvailable:")? as f64,
        free: account::meminfo("MemFree:")? as f64,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ramp_doubles_and_ends_at_the_most() {
        assert_eq!(steps(8), [0, 1, 2, 4, 8]);
        assert_eq!(steps(2), [0, 1, 2]);
        assert_eq!(steps(100), [0, 1, 2, 4, 8, 16, 32, 64, 100]);
    }
}
