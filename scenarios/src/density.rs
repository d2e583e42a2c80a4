//! How many instances fit on this host?
//!
//! A ramp of instances, idle or each asked now and then, until a rule stops it: one is not ready, requests take twice as
//! long as with one, the host swaps or stalls for memory, its reserve is touched, time is over or the cap is reached. The
//! rule that stopped is part of the answer: a cap is a lower bound and no limit of the runtime.

use std::thread::sleep;
use std::time::Duration;

use isomark_core::payload::Job;
use isomark_core::slope::theil_sen;
use isomark_core::{
    Ability, Bench, Error, Metric, Params, Refusal, Sandbox, Scenario, Trial, account, together,
};

use crate::given::{self, Is};
use crate::numbers::quantile;
use crate::startup;

pub(crate) const SCENARIO: Scenario = Scenario {
    name: "density",
    question: "How many instances fit on this host?",
    metrics: |_| {
        let fits = ["instances", "packing"].map(|name| Metric::count(name).higher());
        let times = ["p95-one", "p95-last"].map(Metric::time);
        let [instances, packing] = fits;
        let slope = [Metric::size("marginal-memory"), Metric::share("idle-cpu")];
        [instances].into_iter().chain(slope).chain(times).chain([packing.if_any()]).collect()
    },
    needs: |_| vec![Ability::Jobs],
    settle,
    iterate,
};

/// Cap when a plan gives none.
const MOST: u64 = 64;
/// Length of the window in which requests are sent at each level, in ms.
const WINDOW: u64 = 300;
/// Requests of a level at the least: below, a 95th percentile is the slowest one.
const REQUESTS: u64 = 60;
/// Work of a request in steps: about 0.2 ms.
const STEPS: u64 = 100_000;
/// The ramp ends after this.
const TIME: Duration = Duration::from_secs(20);
/// Share of time in which some task waited for memory that stops the ramp (PSI).
const STALLED: f64 = 0.10;

fn settle(params: &Params, _: &Bench) -> Result<Params, Refusal> {
    let own = [("load", Is::Word), ("most", Is::Number), ("window_ms", Is::Number), ("growth", Is::Number)];
    given::check("density", params, &own)?;
    if params.number("growth").is_some() {
        given::number("density", params.clone(), "growth", 2, 2..=100)?;
    }
    let params = given::word("density", params.clone(), "load", &["idle", "light"])?;
    let params = given::number("density", params, "most", MOST, 2..=2000)?;
    let params = given::number("density", params, "window_ms", WINDOW, 20..=60_000)?;
    let memory = params.number("memory").unwrap_or(startup::MEMORY);
    Ok(params.with("memory", memory))
}

/// What the host has, in bytes.
#[derive(Clone, Copy)]
struct Host {
    total: u64,
    available: u64,
    swapped: u64,
    /// Time in which some task waited for memory, in µs since boot; none where the kernel does not tell.
    stalled: Option<u64>,
}

impl Host {
    fn read() -> Result<Self, Error> {
        let swapped = account::meminfo("SwapTotal:")?.saturating_sub(account::meminfo("SwapFree:")?);
        let psi = std::fs::read_to_string("/proc/pressure/memory").unwrap_or_default();
        let stalled = psi.lines().next().and_then(|line| line.rsplit_once("total=")?.1.trim().parse().ok());
        let (total, available) = (account::meminfo("MemTotal:")?, account::meminfo("MemAvailable:")?);
        Ok(Self { total, available, swapped, stalled })
    }

    /// Memory that is never given to instances: the host must stay usable.
    fn reserve(&self) -> u64 {
        (self.total / 10).max(1 << 30)
    }
}

/// One level of the ramp.
struct Level {
    alive: u64,
    available: u64,
    p95: f64,
}

/// 1, 2, 4, 8 and from there in steps of a half, up to the cap; or so many times as many at each step.
fn levels(most: u64, growth: Option<u64>) -> Vec<u64> {
    let next = |n: &u64| Some(growth.map_or(if *n < 8 { n * 2 } else { n + n / 2 }, |times| n * times));
    let below = std::iter::successors(Some(1_u64), next).take_while(|n| *n < most);
    below.chain([most]).collect()
}

fn iterate(trial: &Trial<'_>) -> Result<(), Error> {
    let most = trial.params().number("most").unwrap_or(MOST);
    let before = Host::read()?;
    let (mut alive, mut passed, mut stopped) = (Vec::new(), Vec::<Level>::new(), "cap".to_owned());
    for wanted in levels(most, trial.params().number("growth")) {
        if let Err(why) = fill(trial, &mut alive, wanted) {
            stopped = format!("not ready: {}", why.chain());
            break;
        }
        let level = level(trial, &mut alive)?;
        let one = passed.first().map_or(level.p95, |first| first.p95);
        let slow = level.p95 > 2.0 * one && still_slow(trial, &mut alive, one)?;
        let rule = slow.then_some("requests take more than twice as long as with one instance");
        if let Some(rule) = rule.or(broken(&before, &Host::read()?, trial.age())) {
            rule.clone_into(&mut stopped);
            break;
        }
        passed.push(level);
    }
    if passed.is_empty() {
        return Err(Error::Unsupported(format!("not even one instance passed: {stopped}")));
    }
    tell(trial, &before, &passed);
    trial.note("idle-cpu", idle_cpu(&alive)?);
    trial.remark("stopped by", stopped);
    alive.into_iter().try_for_each(end)
}

fn fill<'t>(trial: &'t Trial<'t>, alive: &mut Vec<Sandbox<'t>>, wanted: u64) -> Result<(), Error> {
    while (alive.len() as u64) < wanted {
        let mut sandbox = trial.create(&trial.spec())?;
        sandbox.start()?;
        alive.push(sandbox);
    }
    Ok(())
}

fn end(mut sandbox: Sandbox<'_>) -> Result<(), Error> {
    sandbox.run(&Job::Echo(6))?;
    sandbox.stop()?;
    sandbox.remove()
}

/// Asks the instances within a window: all of them when lightly used, the first one only when idle.
fn level(trial: &Trial<'_>, alive: &mut [Sandbox<'_>]) -> Result<Level, Error> {
    let (count, light) = (alive.len(), trial.params().text("load") == Some("light"));
    let latencies = window(trial, if light { alive } else { &mut alive[..1] })?;
    let p95 = quantile(&latencies, 0.95);
    trial.series(&format!("latency at {count}"), latencies);
    Ok(Level { alive: count as u64, available: account::meminfo("MemAvailable:")?, p95 })
}

/// How long requests take that arrive at these instances within a window, in ns.
fn window(trial: &Trial<'_>, asked: &mut [Sandbox<'_>]) -> Result<Vec<f64>, Error> {
    let window = trial.params().number("window_ms").unwrap_or(WINDOW) * 1_000_000;
    let each = REQUESTS.div_ceil(asked.len() as u64).max(2);
    let job = Job::Work { steps: STEPS };
    let served = together(asked.iter_mut(), |at, sandbox| {
        let mut chance = trial.chance(&format!("density {at}"));
        let mut arrivals = (0..each).map(|_| (chance.unit() * window as f64) as u64).collect::<Vec<_>>();
        arrivals.sort_unstable();
        sandbox.serve(&job, &arrivals)
    })?;
    Ok(served.iter().flatten().map(|one| one.latency as f64).collect())
}

/// Whether requests are still too slow when asked twice more: a busy host can spoil a window. One instance alone is asked
/// again as well, for it may be the host that has become slower since.
fn still_slow(trial: &Trial<'_>, alive: &mut [Sandbox<'_>], one: f64) -> Result<bool, Error> {
    for _ in 0..2 {
        let now = window(trial, &mut alive[..1])?;
        let all = level(trial, alive)?;
        if all.p95 <= 2.0 * one.max(quantile(&now, 0.95)) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The rule of the host that says no further, if one does.
fn broken(before: &Host, now: &Host, age: Duration) -> Option<&'static str> {
    let stalled = now.stalled.zip(before.stalled).map_or(0, |(now, before)| now.saturating_sub(before));
    let rules = [
        (now.swapped > before.swapped + (1 << 20), "the host swaps"),
        (stalled as f64 > STALLED * age.as_micros().max(1) as f64, "the host stalls for memory"),
        (now.available < now.reserve(), "the host's reserve of memory is touched"),
        (age > TIME, "time is over"),
    ];
    rules.iter().find(|(broken, _)| *broken).map(|(_, rule)| *rule)
}

/// CPU time that an idle instance takes, as a share of one CPU.
fn idle_cpu(alive: &[Sandbox<'_>]) -> Result<f64, Error> {
    const REST: Duration = Duration::from_millis(500);
    let used = || alive.iter().map(|sandbox| account::cpu_ns(&sandbox.anatomy())).sum::<Option<u64>>();
    let before = used();
    sleep(REST);
    let spent = used().zip(before).map(|(after, before)| after.saturating_sub(before));
    let spent = spent.ok_or_else(|| Error::Unsupported("this kernel does not tell CPU times".into()))?;
    Ok(spent as f64 / REST.as_nanos() as f64 / alive.len() as f64)
}

fn tell(trial: &Trial<'_>, before: &Host, passed: &[Level]) {
    let points =
        passed.iter().map(|level| (level.alive as f64, -(level.available as f64))).collect::<Vec<_>>();
    // With one level there is no slope: what is gone since the beginning, by instance.
    let gone = |level: &Level| before.available.saturating_sub(level.available) as f64 / level.alive as f64;
    let slope = theil_sen(&points).or(passed.last().map(gone)).unwrap_or(0.0);
    let last = passed.last().map_or((0, f64::NAN), |level| (level.alive, level.p95));
    trial.note("instances", last.0 as f64);
    trial.note("marginal-memory", slope);
    trial.note("p95-one", passed.first().map_or(f64::NAN, |level| level.p95));
    trial.note("p95-last", last.1);
    trial.series("alive", passed.iter().map(|level| level.alive as f64).collect());
    trial.series("available", passed.iter().map(|level| level.available as f64).collect());
    trial.series("p95", passed.iter().map(|level| level.p95).collect());
    // Memory alone, and only where an instance takes more than a page: others move the host's memory as well.
    if slope > 4096.0 {
        let (total, reserve) = (before.total, before.reserve());
        trial.note("packing", ((total - reserve) as f64 / slope).floor());
        trial
            .remark("packing", "(total memory - a reserve of a tenth, 1 GiB at the least) / marginal-memory");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ramp_grows_by_halves_and_ends_at_the_cap() {
        assert_eq!(levels(24, None), [1, 2, 4, 8, 12, 18, 24]);
        assert_eq!(levels(2, None), [1, 2]);
        assert_eq!(levels(64, None), [1, 2, 4, 8, 12, 18, 27, 40, 60, 64]);
        assert_eq!(levels(24, Some(3)), [1, 3, 9, 24]);
    }

    #[test]
    fn each_rule_stops_the_ramp() {
        const GIB: u64 = 1 << 30;
        let fine = Host { total: 16 * GIB, available: 8 * GIB, swapped: 0, stalled: Some(0) };
        let second = Duration::from_secs(1);
        assert_eq!(broken(&fine, &fine, second), None);
        let swaps = Host { swapped: GIB, ..fine };
        let stalls = Host { stalled: Some(200_000), ..fine };
        let full = Host { available: GIB, ..fine };
        for (now, age, word) in [
            (swaps, second, "swaps"),
            (stalls, second, "stalls"),
            (full, second, "reserve"),
            (fine, TIME * 2, "time"),
        ] {
            assert!(broken(&fine, &now, age).is_some_and(|rule| rule.contains(word)), "{word}");
        }
        // Where the kernel does not tell, nothing is concluded.
        assert_eq!(broken(&fine, &Host { stalled: None, ..fine }, second), None);
    }
}
