//! How often does the gate cry wolf, and how well does it hear?
//!
//! Real comparisons by `isomark ab`: a runtime against itself, quiet and with every core kept busy, each comparison
//! judged besides as a tool does that measures the base first and the change afterwards (Mann–Whitney, p < 0.05); then
//! a runtime with 5 % and 10 % more work. A few of each by default; the tables of docs/METHODOLOGY.md are printed by
//! `cargo bench --bench gate -- --comparisons 14 --trials 20`.

#![allow(missing_docs, reason = "a benchmark has no users of its items")]

use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;

/// What is compared with itself: a name, a SPEC and the rest of the command.
const CELLS: [(&str, &str, &[&str]); 3] = [
    ("startup of process", "process", &[]),
    ("startup of namespace", "namespace", &[]),
    (
        "sha256 in process",
        "process",
        &["--scenario", "throughput", "--param", "kernel=sha256", "--param", "millis=20"],
    ),
];

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    let args = std::env::args().collect::<Vec<_>>();
    let test = args.iter().any(|a| a == "--test");
    let number = |flag: &str, default: usize| -> Result<usize, Failure> {
        let at = args.iter().position(|a| a == flag);
        Ok(at.and_then(|at| args.get(at + 1)).map_or(Ok(default), |text| text.parse())?)
    };
    let (comparisons, trials) =
        if test { (1, 1) } else { (number("--comparisons", 2)?, number("--trials", 1)?) };
    let blocks = if test { "2" } else { "20" };
    println!("A/A: {comparisons} comparisons of a cell, {blocks} blocks each\n");
    println!(
        "| host | cell | comparisons | false regressions | false alarms of a blocked test |\n|---|---|---|---|---|"
    );
    false_alarms("quiet", comparisons, blocks)?;
    let busy = Busy::start();
    false_alarms("every core busy", comparisons, blocks)?;
    drop(busy);
    println!("\nInjected work: {trials} comparisons of a cell, each until it is precise\n");
    println!(
        "| cell | work | found | median ratio | longest comparison | median blocks |\n|---|---|---|---|---|---|"
    );
    for (name, spec, more) in CELLS {
        detection(name, spec, more, trials, test)?;
    }
    Ok(())
}

/// One comparison of a SPEC with itself.
fn compare(spec: &str, more: &[&str]) -> Result<(Value, Duration), Failure> {
    let dir = tempfile::tempdir_in("/var/tmp")?;
    let began = Instant::now();
    let out = dir.path().join("run");
    let mut command = Command::new(env!("CARGO_BIN_EXE_isomark"));
    command
        .args(["ab", "--a", spec, "--b", spec, "--format", "json", "--quiet", "--out"])
        .arg(out)
        .args(more);
    if std::env::args().any(|arg| arg == "--test") {
        // Whether it answers is asked while others may measure.
        command.env("ISOMARK_LOCK", dir.path().join("lock"));
    }
    let done = command.env_remove("GITHUB_STEP_SUMMARY").output()?;
    let took = began.elapsed();
    match done.status.code() {
        Some(0 | 3) => Ok((serde_json::from_slice(&done.stdout)?, took)),
        _ => Err(String::from_utf8_lossy(&done.stderr).into_owned().into()),
    }
}

fn false_alarms(host: &str, comparisons: usize, blocks: &str) -> Result<(), Failure> {
    let (mut all, mut wolves) = (0, 0);
    for (name, spec, more) in CELLS {
        let (mut regressions, mut blocked) = (0, 0);
        for _ in 0..comparisons {
            let (told, _) = compare(spec, &[more, &["--runs", blocks]].concat())?;
            regressions += usize::from(told["class"] == "regression");
            blocked += usize::from(told["blocked_p"].as_f64().is_some_and(|p| p < 0.05));
        }
        println!("| {host} | {name} | {comparisons} | {regressions} | {blocked} |");
        (all, wolves) = (all + comparisons, wolves + regressions);
    }
    println!("| {host} | all | {all} | {wolves} | |");
    Ok(())
}

fn detection(name: &str, spec: &str, more: &[&str], trials: usize, test: bool) -> Result<(), Failure> {
    let runs: &[&str] = if test { &["--runs", "2"] } else { &[] };
    let (mut told, mut longest) = (Vec::new(), Duration::ZERO);
    for _ in 0..trials {
        let (one, took) = compare(spec, &[more, runs].concat())?;
        longest = longest.max(took);
        told.push(one);
    }
    for (at, work) in ["+5 %", "+10 %"].iter().enumerate() {
        let found = told.iter().filter(|one| one["injected"][at]["found"] == true).count();
        let ratio = middle(told.iter().filter_map(|one| one["injected"][at]["ratio"].as_f64()).collect());
        let blocks = middle(told.iter().filter_map(|one| one["n"].as_f64()).collect());
        println!(
            "| {name} | {work} | {found} of {trials} | {ratio:.3} | {:.0} s | {blocks:.0} |",
            longest.as_secs_f64()
        );
    }
    Ok(())
}

fn middle(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// A thread on every core that does nothing but keep it busy.
struct Busy(std::sync::Arc<AtomicBool>, Vec<std::thread::JoinHandle<()>>);

impl Busy {
    fn start() -> Self {
        let stop = std::sync::Arc::new(AtomicBool::new(false));
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let spin = |_| {
            let stop = stop.clone();
            std::thread::spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    std::hint::spin_loop();
                }
            })
        };
        let threads = (0..cores).map(spin).collect();
        Self(stop.clone(), threads)
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
        self.1.drain(..).for_each(|thread| drop(thread.join()));
    }
}
