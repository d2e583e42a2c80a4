//! How long until a hundred microVMs are ready, and do five hundred live at once?
//!
//! One command, one answer in words: `cargo bench --bench ready`, or `-- --hundred 100 --all 500 --threads 2 --rounds 10`.
//! From the first request to the last ready line, nothing pooled; then so many more that all live at the same time, each of
//! which answers before the first one goes. Beside it what one start costs from scratch, from a snapshot and from the
//! pool, as a ratio to its floor of the same round: the bare machine with the least that the host needs.

#![allow(missing_docs, reason = "a benchmark has no users of its items")]

#[allow(dead_code, reason = "the settings of criterion are for the benches that use it")]
mod ground;

use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use isomark_core::payload::Job;
use isomark_core::{Error, Instance, Origin, Runtime, Spec, account, together};
use isomark_report::stats::{median, order};
use isomark_runtimes::Shelf;

use ground::Ground;

/// Memory of each, in bytes: as the scenarios `startup` and `creation` have it.
const MEMORY: u64 = 32 << 20;

struct Asked {
    hundred: usize,
    all: usize,
    threads: usize,
    rounds: usize,
}

fn asked() -> Asked {
    let args = std::env::args().collect::<Vec<_>>();
    let number = |flag: &str, default: usize| {
        let at = args.iter().position(|arg| arg == flag);
        let text = at.and_then(|at| args.get(at + 1));
        text.map_or(default, |text| text.parse().unwrap_or_else(|e| panic!("{flag} {text}: {e}")))
    };
    if args.iter().any(|arg| arg == "--test") {
        return Asked { hundred: 4, all: 8, threads: 2, rounds: 1 };
    }
    Asked {
        hundred: number("--hundred", 100),
        all: number("--all", 500),
        threads: number("--threads", 2).max(1),
        rounds: number("--rounds", 10).max(1),
    }
}

fn main() {
    let asked = asked();
    let ground = Ground::new();
    let shelf = Shelf::open(ground.site(), None).unwrap_or_else(|e| panic!("{}", e.chain()));
    let all = shelf.built_in();
    let runtime = |name: &str| {
        all.iter().find(|runtime| runtime.name() == name).unwrap_or_else(|| panic!("there is no {name}"))
    };
    let (microvm, floor) = (runtime("microvm"), runtime("floor-microvm"));
    for runtime in [microvm, floor] {
        if let Err(why) = runtime.probe() {
            println!("SKIPPED ready: {} {}; remedy: {}", runtime.name(), why.reason, why.remedy);
            return;
        }
    }
    let spec = |origin| Spec { origin, memory: MEMORY, ..ground.spec() };
    let told = run(&asked, microvm.as_ref(), floor.as_ref(), &spec);
    told.unwrap_or_else(|e| panic!("{}", e.chain()));
}

fn run(
    asked: &Asked,
    microvm: &dyn Runtime,
    floor: &dyn Runtime,
    spec: &dyn Fn(Origin) -> Spec,
) -> Result<(), Error> {
    for (origin, words) in [(Origin::Fresh, ""), (Origin::Snapshot(None), ", from a snapshot")] {
        let spec = spec(origin);
        microvm.prepare(&spec)?;
        let rounds = (0..asked.rounds)
            .map(|_| many(microvm, &spec, asked.hundred, asked.threads).map(|took| took.as_secs_f64() * 1e3))
            .collect::<Result<Vec<_>, _>>()?;
        println!(
            "{} microVMs ready in {} ms{words} ({} threads)",
            asked.hundred,
            middle(&rounds, 1),
            asked.threads
        );
    }
    alive(microvm, &spec(Origin::Fresh), asked.all)?;
    ratios(asked, microvm, floor, spec)
}

/// Median, and its interval at 95 % where there are rounds enough for one.
fn middle(values: &[f64], digits: usize) -> String {
    let sorted = median::sorted(values);
    let median = median::median(values).unwrap_or(f64::NAN);
    match order::interval(&sorted, 0.5) {
        Some([low, high]) => format!("{median:.digits$} [{low:.digits$}, {high:.digits$}]"),
        None => format!("{median:.digits$}"),
    }
}

/// From the first request to the last ready line; each answers before its thread lets it go.
fn many(runtime: &dyn Runtime, spec: &Spec, wanted: usize, threads: usize) -> Result<Duration, Error> {
    let (next, ready) = (AtomicUsize::new(0), Barrier::new(threads));
    let times = together(0..threads, |_, _| {
        let began = Instant::now();
        let own = launched(runtime, spec, || next.fetch_add(1, Ordering::Relaxed) < wanted);
        ready.wait();
        let took = began.elapsed();
        own?.into_iter().try_for_each(end).map(|()| took)
    })?;
    Ok(times.into_iter().max().unwrap_or_default())
}

fn launched(
    runtime: &dyn Runtime,
    spec: &Spec,
    more: impl Fn() -> bool,
) -> Result<Vec<Box<dyn Instance>>, Error> {
    let mut own = Vec::new();
    while more() {
        let mut instance = runtime.create(spec)?;
        instance.start()?;
        own.push(instance);
    }
    Ok(own)
}

fn end(mut instance: Box<dyn Instance>) -> Result<(), Error> {
    instance.run(&Job::Echo(7))?;
    let stopped = instance.stop().map(drop);
    Error::join(stopped, instance.remove())
}

/// All at once, each asked while all of them live.
fn alive(runtime: &dyn Runtime, spec: &Spec, wanted: usize) -> Result<(), Error> {
    let before = account::meminfo("MemAvailable:")?;
    let left = AtomicUsize::new(wanted);
    let began = Instant::now();
    let less =
        |left: &AtomicUsize| left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1));
    let mut all = launched(runtime, spec, || less(&left).is_ok())?;
    let took = began.elapsed();
    let after = account::meminfo("MemAvailable:")?;
    for (token, instance) in (0..).zip(&mut all) {
        let reply = instance.run(&Job::Echo(token))?;
        if reply.u64("token") != Ok(token) {
            return Err(Error::WrongAnswer(format!("instance {token} answered {reply}")));
        }
    }
    println!(
        "{} alive and answering: made in {:.0} ms by one thread, {:.2} MiB of the host each (MemAvailable)",
        all.len(),
        took.as_secs_f64() * 1e3,
        before.saturating_sub(after) as f64 / all.len().max(1) as f64 / f64::from(1 << 20)
    );
    all.into_iter().try_for_each(end)
}

/// One start of each kind in turn, each as a ratio to the floor of the same turn.
fn ratios(
    asked: &Asked,
    microvm: &dyn Runtime,
    floor: &dyn Runtime,
    spec: &dyn Fn(Origin) -> Spec,
) -> Result<(), Error> {
    let origins = [("fresh", Origin::Fresh), ("snapshot", Origin::Snapshot(None)), ("pool", Origin::Pool)];
    let mut found = [const { Vec::new() }; 3];
    let mut floors = Vec::new();
    // The first turn warms caches and makes the snapshot.
    for turn in 0..=asked.rounds * 10 {
        let bare = one(floor, &spec(Origin::Fresh))?;
        for ((_, origin), found) in origins.iter().zip(&mut found) {
            let took = one(microvm, &spec(origin.clone()))?;
            if turn > 0 {
                found.push(took.as_secs_f64() / bare.as_secs_f64());
            }
        }
        if turn > 0 {
            floors.push(bare.as_secs_f64() * 1e6);
        }
    }
    println!("floor-microvm {} µs", middle(&floors, 0));
    for ((word, _), ratios) in origins.iter().zip(&found) {
        println!("startup {word} / floor {}", middle(ratios, 2));
    }
    Ok(())
}

fn one(runtime: &dyn Runtime, spec: &Spec) -> Result<Duration, Error> {
    runtime.prepare(spec)?;
    let began = Instant::now();
    let mut instance = runtime.create(spec)?;
    instance.start()?;
    let took = began.elapsed();
    let stopped = instance.stop().map(drop);
    Error::join(stopped, instance.remove())?;
    Ok(took)
}
