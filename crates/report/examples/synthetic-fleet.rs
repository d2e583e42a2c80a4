//! Does an interval over hosts cover what it says, and is a known effect found?
//!
//! `table` simulates fleets whose effect and spreads are known and prints how often intervals cover them (docs/METHODOLOGY.md
//! holds such a table). `make DIR` writes the folders of a fleet of 200 hosts × 5,000 samples as they come back from an
//! engine, to collect, report and query. Everything is drawn from a fixed seed.

use std::collections::BTreeMap;
use std::path::Path;

use isomark_core::record::{Block, Cell, Host, Outcome, PayloadRecord, Run, RuntimeRecord, Sample};
use isomark_core::runtime::{Identity, Kind};
use isomark_core::store::Folder;
use isomark_core::{Error, Metric, Params};
use isomark_report::fleet::cluster::{Group, components, interval};
use isomark_report::stats::median::median_in;
use isomark_report::stats::paired::location;
use isomark_report::stats::random::Random;

/// The known effect: a runtime takes this many times what the process takes, on the typical host.
const EFFECT: f64 = 1.30;
/// Standard deviation of the log-ratio between hosts.
const BETWEEN: f64 = 0.08;
/// Standard deviation of the log-ratio of one pair within a host.
const WITHIN: f64 = 0.20;
/// Hosts of each class that is written.
const HOSTS: u32 = 100;
/// Blocks of each host that is written: five cells make 5,000 samples.
const BLOCKS: u32 = 1_000;

fn main() -> Result<(), Error> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["make", dir] => make(Path::new(dir)),
        ["table"] => {
            table();
            Ok(())
        }
        _ => Err(Error::Input("say table, or make DIR".to_owned())),
    }
}

/// A standard normal number (Box & Muller 1958).
fn normal(random: &mut Random) -> f64 {
    let (u, v) = (1.0 - random.unit(), random.unit());
    (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos()
}

fn table() {
    println!(
        "| hosts | trials each | fleets | cover the effect | trials pooled cover it | mean of the ratio (true {EFFECT:.2}) | between hosts (true {BETWEEN:.3}) | within (true {WITHIN:.3}) |"
    );
    println!("|---:|---:|---:|---:|---:|---:|---:|---:|");
    for (hosts, trials, fleets) in
        [(5, 40, 2000), (10, 40, 2000), (20, 40, 2000), (50, 40, 1000), (200, 40, 500), (200, 1000, 200)]
    {
        row(hosts, trials, fleets);
    }
}

fn row(hosts: usize, trials: usize, fleets: usize) {
    let mut random = Random::named(42, &format!("{hosts} {trials}"));
    let (mut covered, mut pooled) = (0, 0);
    let (mut ratio, mut between, mut within) = (0.0, 0.0, 0.0);
    let truth = EFFECT.ln();
    let holds =
        |ci: Option<[f64; 2]>| usize::from(ci.is_some_and(|[low, high]| low <= truth && truth <= high));
    for fleet in 0..fleets {
        let (mut middles, mut groups, mut all) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..hosts {
            let own = truth + BETWEEN * normal(&mut random);
            let mut values: Vec<f64> = (0..trials).map(|_| own + WITHIN * normal(&mut random)).collect();
            groups.extend(Group::of(&values));
            all.extend_from_slice(&values);
            middles.extend(median_in(&mut values));
        }
        covered += holds(interval(&middles, &mut Random::named(7, &format!("{hosts} {trials} {fleet}"))));
        pooled += holds(location(&all).and_then(|found| found.ci95));
        ratio += (middles.iter().sum::<f64>() / hosts as f64).exp();
        if let Some(parts) = components(&groups) {
            between += parts.between;
            within += parts.within;
        }
    }
    let all = fleets as f64;
    let share = |n: usize| 100.0 * n as f64 / all;
    println!(
        "| {hosts} | {trials} | {fleets} | {:.1} % | {:.1} % | {:.4} | {:.4} | {:.4} |",
        share(covered),
        share(pooled),
        ratio / all,
        (between / all).sqrt(),
        (within / all).sqrt()
    );
}

/// Runtimes of the written fleet: name, kind, times the process, and bytes of memory.
const RUNTIMES: [(&str, Kind, f64, f64); 3] = [
    ("process", Kind::Process, 1.0, 1.0e6),
    ("namespace", Kind::Container, EFFECT, 1.2e6),
    ("microvm", Kind::Vm, 12.0, 0.0),
];

fn make(dir: &Path) -> Result<(), Error> {
    for (class, slower) in [("fast", 1.0), ("slow", 1.6)] {
        for index in 0..HOSTS {
            host(dir, class, slower, index)?;
        }
    }
    println!("{} hosts × {} samples in {}", 2 * HOSTS, 5 * BLOCKS, dir.display());
    Ok(())
}

fn host(dir: &Path, class: &str, slower: f64, index: u32) -> Result<(), Error> {
    let node = format!("{class}{index:03}");
    let run = run(class, &node, index);
    let mut random = Random::named(run.seed, &node);
    // A host is faster or slower as a whole, which a comparison within it does not see; and each runtime fares there in
    // its own way, which is what differs between hosts.
    let speed = slower * (0.15 * normal(&mut random)).exp();
    let own: Vec<f64> = RUNTIMES
        .iter()
        .map(|(name, ..)| if *name == "process" { 0.0 } else { BETWEEN * normal(&mut random) })
        .collect();
    let folder = Folder::create(&dir.join(format!("{class}-{index}.{node}.j1.r0")), &run)?;
    let mut samples = Vec::new();
    let mut blocks = Vec::new();
    for block in 0..BLOCKS {
        // What happens to a whole block happens to all of its trials.
        let shared = 0.1 * normal(&mut random);
        for (cell, asked) in run.cells.iter().enumerate() {
            let (place, (_, _, times, bytes)) =
                RUNTIMES.iter().enumerate().find(|(_, r)| r.0 == asked.runtime).unwrap_or((0, &RUNTIMES[0]));
            // Two trials make a pair: each has half of the variance.
            let noise = WITHIN * std::f64::consts::FRAC_1_SQRT_2 * normal(&mut random);
            let value = if asked.scenario == "startup" {
                (4.0e5 * speed * times * (own[place] + shared + noise).exp()).round()
            } else {
                (bytes * (1.0 + 0.01 * normal(&mut random)) / 4096.0).round() * 4096.0
            };
            samples.push(sample(cell, block, &asked.metrics[0].name, value));
        }
        blocks.push(Block { block, took_ns: 5_000_000, ..Block::default() });
    }
    let mut writer = folder.append()?;
    samples.iter().try_for_each(|sample| writer.sample(sample))?;
    blocks.iter().try_for_each(|block| writer.block(block))
}

fn sample(cell: usize, block: u32, metric: &str, value: f64) -> Sample {
    let at_ns = u64::from(block) * 5_000_000 + cell as u64;
    Sample { at_ns, ..Sample::new(cell, block, Outcome::of([(metric, value)])) }
}

fn run(class: &str, node: &str, index: u32) -> Run {
    let cell = |runtime: &str, scenario: &str, params: Params, metric: Metric| Cell {
        params,
        ..Cell::new(runtime, scenario, vec![metric])
    };
    let warm = || Params::new().with("cache", "warm");
    let idle = || Params::new().with("load", "idle");
    let mut cells: Vec<Cell> =
        RUNTIMES.iter().map(|(name, ..)| cell(name, "startup", warm(), Metric::time("startup"))).collect();
    cells.extend(["process", "namespace"].map(|name| cell(name, "memory", idle(), Metric::size("pss"))));
    let runtimes = RUNTIMES.iter().map(|(name, kind, ..)| RuntimeRecord {
        name: (*name).to_owned(),
        kind: *kind,
        identity: Some(Identity::default()),
        unavailable: None,
    });
    let labels = [("fleet", "synthetic"), ("class", class), ("node", node), ("restart", "0")];
    let mut labels: BTreeMap<String, String> =
        labels.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    labels.insert("task".into(), format!("{index}/{HOSTS}"));
    Run {
        id: format!("synthetic-{node}"),
        started: "2026-03-01T10:15:00Z".into(),
        argv: vec!["synthetic-fleet".into()],
        seed: u64::from(index),
        blocks: BLOCKS,
        runtimes: runtimes.collect(),
        host: Host {
            name: node.to_owned(),
            kernel: "6.1.0".into(),
            cpu: format!("a {class} processor"),
            cpus: 8,
            memory: 32 << 30,
            kvm_class: "hardware".into(),
            cgroup: "v2".into(),
            ..Host::default()
        },
        payload: PayloadRecord {
            sha256: "5".repeat(64),
            target: "synthetic".into(),
            bytes: 1,
            ..PayloadRecord::default()
        },
        labels,
        ..Run::new("synthetic", cells)
    }
}
