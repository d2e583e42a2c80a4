//! Makes a folder of synthetic runs and says how long their history takes: cold, without an index, and again with it.
//!
//! `cargo run --release -p isomark-report --example history -- DIR [RUNS]`; peak memory by `/usr/bin/time -v` around
//! `isomark history DIR`, or from the last line here. Every run has three runtimes with a drift, a step at two thirds
//! and noise from a seed; the folders hold nothing but `run.json` and `summary.json`, which is all that a history reads.

use std::error::Error;
use std::fs;
use std::path::Path;
use std::time::Instant;

use isomark_report::history::{Filter, history};
use isomark_report::stats::random::Random;
use serde_json::{Value, json};

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let dir = args.next().ok_or("name a folder that does not exist yet")?;
    let runs = args.next().map_or(Ok(10_000), |n| n.parse::<u32>())?;
    let dir = Path::new(&dir);
    if !dir.exists() {
        let began = Instant::now();
        (0..runs).try_for_each(|run| write(dir, run))?;
        println!("{runs} runs made in {:.1} s", began.elapsed().as_secs_f64());
    }
    let filter = Filter { last: 200, ..Filter::default() };
    for what in ["without an index", "with the index"] {
        let began = Instant::now();
        let found = history(dir, &filter)?;
        let changes: usize = found.series.iter().map(|series| series.changes.len()).sum();
        println!(
            "{what}: {:.2} s, {} runs, {} series, {changes} changes",
            began.elapsed().as_secs_f64(),
            found.runs,
            found.series.len()
        );
    }
    let status = fs::read_to_string("/proc/self/status")?;
    status.lines().filter(|line| line.starts_with("VmHWM")).for_each(|line| println!("peak memory {line}"));
    Ok(())
}

fn write(dir: &Path, run: u32) -> Result<(), Box<dyn Error>> {
    let (day, minute) = (run / 1440, run % 1440);
    let started = format!(
        "20{:02}-{:02}-{:02}T{:02}:{:02}:00Z",
        20 + day / 336,
        1 + day / 28 % 12,
        1 + day % 28,
        minute / 60,
        minute % 60
    );
    let name = format!("{}-bench-quick", started.replace([':', '-'], ""));
    let folder = dir.join(&name);
    fs::create_dir_all(&folder)?;
    let mut random = Random::new(u64::from(run));
    let mut cells = Vec::new();
    for (at, runtime) in ["process", "namespace", "microvm"].into_iter().enumerate() {
        for scenario in ["startup", "memory", "throughput"] {
            cells.push(cell(runtime, at, scenario, run, &mut random));
        }
    }
    let host = json!({"kvm_class": "hardware", "cgroup": "v2", "kernel": "6.8.0", "cpu": "CPU", "name": "bench",
        "cpus": 2, "memory": 8_u64 << 30, "hypervisor": "none", "user": "root"});
    let summary = json!({"schema": "isomark.summary/1", "cells": cells, "claims": [], "warnings": [],
        "run": {"id": name, "started": started, "plan": "quick", "seed": 1, "payload_sha256": "0", "isomark": "0",
            "host": host}});
    fs::write(folder.join("summary.json"), serde_json::to_vec(&summary)?)?;
    fs::write(folder.join("run.json"), b"{}")?;
    Ok(())
}

fn cell(runtime: &str, at: usize, scenario: &str, run: u32, random: &mut Random) -> Value {
    let unit = match scenario {
        "memory" => "byte",
        "throughput" => "flop/s",
        _ => "ns",
    };
    let better = if scenario == "throughput" { "higher" } else { "lower" };
    let mut metric = |name: &str, size: f64| {
        let noise = random.below(1000) as f64 / 1e5;
        let step = if run % 180 > 120 && at == 2 { 1.08 } else { 1.0 };
        let value = size * (1.0 + at as f64) * step * (1.0 + noise);
        let ratio = (1.0 + at as f64) * step * (1.0 + noise);
        let versus = json!({"runtime": "process", "ratio": ratio, "ci95": [ratio * 0.99, ratio * 1.01]});
        json!({"name": name, "unit": unit, "better": better, "n": 40, "failed": 0, "median": value,
            "ci95": [value * 0.99, value * 1.01], "p95": null, "folded": null,
            "versus": if at == 0 { Value::Null } else { versus }})
    };
    let metrics = [metric(scenario, 1e6), metric("second", 2e5), metric("third", 3e4)];
    json!({"runtime": runtime, "kind": runtime, "scenario": scenario, "params": {"cache": "warm"}, "status": "ok",
        "reason": null, "metrics": metrics})
}
