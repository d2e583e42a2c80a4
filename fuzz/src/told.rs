//! Everything that is told of a stored run: from the text of its files to pages, tables, comments and other people's formats.
//!
//! What the readers of files let through must be told by everybody: no number ends in a panic or without an end, no name
//! becomes a command of a terminal or markup.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    missing_docs,
    unreachable_pub,
    reason = "a promise that breaks must stop a fuzzer"
)]

use std::path::PathBuf;

use isomark_core::Better;
use isomark_core::record::{Block, Run, Sample};
use isomark_core::store::{parse_lines, parse_run};
use isomark_report::export::{bmf, github_benchmark, junit, metrics_csv, openmetrics};
use isomark_report::gate::{Stored, Thresholds, annotate, comment, compare, words};
use isomark_report::{Dataset, Summary, charts, claims, html, markdown, samples_csv, summarise, text, view};

use super::text::{BLOCKS, RUN, SAMPLES, refused};

/// Cells beyond which an input is left alone: a fuzzer is to try much, not to wait.
const CELLS: usize = 12;

/// `run.json`, `samples.jsonl` and `blocks.jsonl` with a NUL between them.
pub fn report(data: &[u8]) {
    let mut parts = data.splitn(3, |byte| *byte == 0);
    let mut part = || parts.next().unwrap_or_default();
    let (run, samples, blocks) = (part(), part(), part());
    let Ok(run) = parse_run("run.json", &String::from_utf8_lossy(run)) else { return };
    let Ok(samples) = parse_lines::<Sample>("samples.jsonl", samples) else { return };
    let Ok(blocks) = parse_lines::<Block>("blocks.jsonl", blocks) else { return };
    if run.cells.len() > CELLS || run.cells.iter().any(|cell| cell.metrics.len() > 2 * CELLS) {
        return;
    }
    match Dataset::new(&run, &samples, blocks.clone()) {
        Ok(data) => told(&run, &samples, &data),
        Err(e) => return refused(&e),
    }
    compared(&Stored { dir: PathBuf::from("r"), run, samples, blocks });
}

fn told(run: &Run, samples: &[Sample], data: &Dataset<'_>) {
    let mut summary = summarise::summarise(data);
    summary.claims = claims::claims(data).unwrap();
    let drawn = charts::charts(data, &summary);
    let page = html::html(&view::view(run, &summary, &drawn), None).unwrap();
    assert_eq!(page.to_ascii_lowercase().matches("<script").count(), 1, "markup");
    plain(&page);
    plain(&markdown::markdown(&summary));
    plain(&text::table(&summary));
    // As others read it back.
    let json = serde_json::to_vec(&summary).unwrap();
    serde_json::from_slice::<serde_json::Value>(&json).unwrap();
    exported(run, samples, &summary);
}

fn exported(run: &Run, samples: &[Sample], summary: &Summary) {
    let csv = String::from_utf8(samples_csv::samples_csv(run, samples).unwrap()).unwrap();
    plain(&csv);
    plain(&String::from_utf8(metrics_csv::metrics_csv(summary).unwrap()).unwrap());
    let xml = junit::of_summary(summary);
    plain(&xml);
    assert!(!xml.contains("]]>") && !xml.contains("<!"), "{xml}");
    let points = openmetrics::openmetrics(summary);
    plain(&points);
    assert!(points.ends_with("# EOF\n") && points.matches("# EOF").count() == 1, "{points}");
    for bytes in [
        bmf::bmf(summary).unwrap(),
        github_benchmark::github_benchmark(summary, Better::Lower).unwrap(),
        github_benchmark::github_benchmark(summary, Better::Higher).unwrap(),
    ] {
        serde_json::from_slice::<serde_json::Value>(&bytes).unwrap();
    }
}

/// A run against itself.
fn compared(stored: &Stored) {
    let comparison = compare(stored, std::slice::from_ref(stored), &Thresholds::default()).unwrap();
    assert_eq!(comparison.counts().regressions, 0, "worse than itself");
    for line in annotate::annotations(&comparison) {
        assert!(line.starts_with("::") && !line.contains(['\n', '\r']), "{line}");
    }
    let told = comment::comment("fuzz", &comparison);
    assert!(told.len() <= comment::MOST, "a comment of {} bytes", told.len());
    plain(&told);
    plain(&junit::of_comparison("fuzz", &comparison));
    let _ = words::terminal(&comparison, true);
}

/// Nothing in it moves a cursor or turns writing around.
fn plain(text: &str) {
    let bad = text.chars().find(|c| c.is_control() && *c != '\n' || ('\u{202a}'..='\u{202e}').contains(c));
    assert_eq!(bad, None, "{text}");
}

pub fn report_seeds() -> Vec<Vec<u8>> {
    let mut run: serde_json::Value = serde_json::from_str(RUN).unwrap();
    run["cells"].as_array_mut().unwrap().truncate(CELLS - 2);
    run["runtimes"].as_array_mut().unwrap().truncate(5);
    let here = |line: &&str| {
        let sample: serde_json::Value = serde_json::from_str(line).unwrap();
        sample["cell"].as_u64().unwrap() < CELLS as u64 - 2
    };
    let lines = |all: Vec<&str>| all.iter().map(|line| format!("{line}\n")).collect::<String>();
    let seed = |trials: usize| {
        let samples = lines(SAMPLES.lines().filter(here).take(trials).collect());
        let blocks = lines(BLOCKS.lines().take(trials).collect());
        [run.to_string(), samples, blocks].join("\0").into_bytes()
    };
    // Below six pairs there is no interval, and with more there are verdicts.
    vec![seed(12), seed(300)]
}
