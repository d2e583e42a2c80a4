//! Everything that is text: the wire, plans, stanzas, claims, thresholds, specs, runs and samples.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    missing_docs,
    unreachable_pub,
    reason = "a promise that breaks must stop a fuzzer"
)]

use isomark_core::payload::{Job, Reply};
use isomark_core::record::{Block, Sample};
use isomark_core::store::{parse_lines, parse_run};
use isomark_core::{Error, Metric, Variant};
use isomark_engine::Plan;
use isomark_report::claims::{file::File, layers::Layers, shelf};
use isomark_report::fmt::clean;
use isomark_report::gate::Thresholds;
use isomark_report::gate::thresholds::Known;

use super::target::{JSON, TOML, Target, WORDS};
use super::told;

/// The parsers of this file.
pub const ALL: &[Target] = &[
    Target { name: "wire", run: wire, seeds: wire_seeds, words: &[WORDS], cost: 1 },
    Target { name: "plan", run: plan, seeds: plan_seeds, words: &[WORDS, TOML], cost: 1 },
    Target { name: "stanza", run: stanza, seeds: stanza_seeds, words: &[WORDS, TOML], cost: 1 },
    Target { name: "claim", run: claim, seeds: claim_seeds, words: &[WORDS, TOML], cost: 1 },
    Target { name: "thresholds", run: thresholds, seeds: thresholds_seeds, words: &[WORDS, TOML], cost: 1 },
    Target { name: "spec", run: spec, seeds: spec_seeds, words: &[WORDS], cost: 1 },
    Target { name: "run", run, seeds: run_seeds, words: &[WORDS, JSON], cost: 1 },
    Target { name: "report", run: told::report, seeds: told::report_seeds, words: &[WORDS, JSON], cost: 20 },
    Target { name: "samples", run: samples, seeds: sample_seeds, words: &[WORDS, JSON], cost: 1 },
];

/// A refusal says something, in bounds, and is the input's fault.
pub fn refused(error: &Error) {
    assert_eq!(error.kind(), "input", "{error}");
    let text = error.chain();
    assert!(!text.trim().is_empty(), "a refusal without words");
    assert!(text.len() < 1 << 20, "a refusal of {} bytes", text.len());
}

/// The text of an input; bytes that are none are refused by whoever reads the file.
fn words(data: &[u8]) -> Option<&str> {
    std::str::from_utf8(data).ok()
}

/// A line of the wire, in both directions. What is understood is spelt in one way only.
pub fn wire(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    if let Ok(reply) = Reply::parse(&text) {
        assert_eq!(Reply::parse(&reply.to_string()).as_ref(), Ok(&reply));
        for (key, _) in reply.iter() {
            let _ = (reply.u64(key), reply.str(key));
            assert!(reply.f64(key).is_ok_and(f64::is_finite) || reply.f64(key).is_err());
        }
    }
    if let Ok(job) = text.parse::<Job>() {
        assert_eq!(job.to_string().parse::<Job>().as_ref(), Ok(&job));
    }
    let shown = clean(&text);
    assert!(!shown.chars().any(|c| c.is_control() || c == '\u{202e}'), "{shown:?}");
}

pub fn wire_seeds() -> Vec<Vec<u8>> {
    let lines = [
        "ready isomark-payload/1",
        "done ns=1234 sum=0.5 isa=avx2 text=666f6f seen=1",
        "error no such kernel",
        "error wrong result: residual 3e-2",
        "echo text=68656c6c6f",
        "dgemm n=64 isa=auto seed=7",
        "touch-memory bytes=1048576",
        "probe peek path=2f6574632f706173737764 bytes=100",
        "sweep first=0 last=470",
    ];
    lines.map(|line| line.as_bytes().to_vec()).to_vec()
}

/// A plan file.
pub fn plan(data: &[u8]) {
    let Some(text) = words(data) else { return };
    match Plan::parse("p.toml", text) {
        Ok(plan) => {
            assert!((1..=100_000).contains(&plan.blocks) && !plan.ask.is_empty());
            assert!(isomark_engine::plan::size(&plan) <= isomark_engine::plan::MOST_CELLS);
        }
        Err(e) => refused(&e),
    }
}

pub fn plan_seeds() -> Vec<Vec<u8>> {
    isomark_scenarios::PLANS.iter().map(|(_, text)| text.as_bytes().to_vec()).collect()
}

/// A stanza of the catalogue.
pub fn stanza(data: &[u8]) {
    let Some(text) = words(data) else { return };
    if let Err(e) = isomark_runtimes::check_stanza("s.toml", text) {
        refused(&e);
    }
}

pub fn stanza_seeds() -> Vec<Vec<u8>> {
    isomark_runtimes::stanzas().map(|(_, text)| text.as_bytes().to_vec()).collect()
}

/// A claim, and the layers that claims stand on.
pub fn claim(data: &[u8]) {
    use std::sync::OnceLock;
    static LAYERS: OnceLock<Layers> = OnceLock::new();
    let Some(text) = words(data) else { return };
    let layers = LAYERS.get_or_init(|| shelf::load().unwrap().0);
    if let Err(e) = File::parse("c.toml", text, layers) {
        refused(&e);
    }
    if let Err(e) = Layers::parse("layers.toml", text) {
        refused(&e);
    }
}

pub fn claim_seeds() -> Vec<Vec<u8>> {
    let layers = include_str!("../../scenarios/claims/layers.toml");
    let all = shelf::CLAIMS.iter().map(|(_, text)| *text).chain([layers]);
    all.map(|text| text.as_bytes().to_vec()).collect()
}

/// A thresholds file.
pub fn thresholds(data: &[u8]) {
    let Some(text) = words(data) else { return };
    let mut known = Known::default();
    known.runtime("process");
    known.metric("startup", &Metric::time("startup"));
    known.metric("memory", &Metric::size("pss"));
    if let Err(e) = Thresholds::parse("t.toml", text, &known) {
        refused(&e);
    }
}

pub fn thresholds_seeds() -> Vec<Vec<u8>> {
    let texts = [
        "[default]\ntime = \"3%\"\nsize = { relative = \"5%\", absolute = \"64 KiB\" }\n",
        "[[limit]]\nruntime = \"process\"\nscenario = \"startup\"\nmetric = \"startup\"\nrelative = 0.05\nabsolute = \"20 us\"\n",
        "[[limit]]\nmetric = \"pss\"\nignore = true\n",
    ];
    texts.map(|text| text.as_bytes().to_vec()).to_vec()
}

/// A runtime with parameters, and a list of them.
pub fn spec(data: &[u8]) {
    let Some(text) = words(data) else { return };
    match text.parse::<Variant>() {
        Ok(variant) => assert_eq!(variant.to_string().parse::<Variant>().as_ref().ok(), Some(&variant)),
        Err(e) => refused(&e),
    }
    if let Err(e) = Variant::list(text) {
        refused(&e);
    }
}

pub fn spec_seeds() -> Vec<Vec<u8>> {
    let texts =
        ["process", "docker{network=bridge,root=x}", "crun@/opt/crun{a=b}", "runc,crun,microvm{page=4k}"];
    texts.map(|text| text.as_bytes().to_vec()).to_vec()
}

pub const RUN: &str = include_str!("../../crates/report/tests/data/run/run.json");
pub const SAMPLES: &str = include_str!("../../crates/report/tests/data/run/samples.jsonl");
pub const BLOCKS: &str = include_str!("../../crates/report/tests/data/run/blocks.jsonl");

/// A `run.json`.
pub fn run(data: &[u8]) {
    let Some(text) = words(data) else { return };
    match parse_run("run.json", text) {
        Ok(run) => assert_eq!(run.schema, isomark_core::record::RUN_SCHEMA),
        Err(e) => refused(&e),
    }
}

pub fn run_seeds() -> Vec<Vec<u8>> {
    // The whole, and one that leaves more of the mutations where they matter.
    let mut small: serde_json::Value = serde_json::from_str(RUN).unwrap();
    for list in ["cells", "runtimes"] {
        small[list].as_array_mut().unwrap().truncate(2);
    }
    vec![serde_json::to_vec(&small).unwrap()]
}

/// Lines of `samples.jsonl` and of `blocks.jsonl`.
pub fn samples(data: &[u8]) {
    if let Err(e) = parse_lines::<Sample>("samples.jsonl", data) {
        refused(&e);
    }
    if let Err(e) = parse_lines::<Block>("blocks.jsonl", data) {
        refused(&e);
    }
}

pub fn sample_seeds() -> Vec<Vec<u8>> {
    let some =
        |text: &str| text.lines().take(40).map(|line| format!("{line}\n").into_bytes()).collect::<Vec<_>>();
    [some(SAMPLES), some(BLOCKS)].concat()
}
