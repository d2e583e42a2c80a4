//! Charts of throughput: each kernel's rate as a ratio to the plain process.

use isomark_core::Params;
use isomark_core::payload::catalog;

use super::{Chart, counts, forest, ink, texts};
use crate::charts::params;
use crate::controls::widened;
use crate::fmt;
use crate::stats::verdict::Verdict;
use crate::summary::{CellSummary, MetricSummary, Summary, Versus};
use crate::words::{comma, named, say, tell};

/// Panels in the order of the page.
pub(super) const KINDS: [(Option<catalog::Kind>, &str); 4] = [
    (Some(catalog::Kind::Compute), "chart.compute_kernels"),
    (Some(catalog::Kind::Memory), "chart.memory_kernels"),
    (Some(catalog::Kind::Os), "chart.os_calls"),
    (None, "chart.other_kernels"),
];

/// One chart per metric of the scenario: best window, sustained.
#[must_use]
pub fn charts(summary: &Summary, scenario: &str) -> Vec<Chart> {
    let mut metrics: Vec<&str> = Vec::new();
    for metric in summary.scenario(scenario).flat_map(|cell| &cell.metrics) {
        if !metrics.contains(&&*metric.name) {
            metrics.push(&metric.name);
        }
    }
    metrics.into_iter().filter_map(|metric| chart(summary, scenario, metric)).collect()
}

pub(super) fn compared<'s>(
    cell: &'s CellSummary,
    metric: &str,
) -> Option<(&'s MetricSummary, &'s Versus, f64)> {
    let metric = cell.metric(metric)?;
    let versus = metric.versus.as_ref()?;
    Some((metric, versus, versus.ratio?))
}

fn chart(summary: &Summary, scenario: &str, metric: &str) -> Option<Chart> {
    let cells: Vec<&CellSummary> =
        summary.scenario(scenario).filter(|cell| compared(cell, metric).is_some()).collect();
    let panels: Vec<forest::Panel> =
        KINDS.iter().filter_map(|(kind, title)| panel(summary, &cells, metric, *kind, title)).collect();
    if panels.is_empty() {
        return None;
    }
    let mut runtimes: Vec<&str> = Vec::new();
    for cell in &cells {
        if !runtimes.contains(&&*cell.runtime) {
            runtimes.push(&cell.runtime);
        }
    }
    let legend: Vec<forest::Key> =
        runtimes.iter().map(|name| forest::Key::new(ink(summary, name), name)).collect();
    let n = counts(cells.iter().filter_map(|cell| compared(cell, metric)).map(|(_, versus, _)| versus.n));
    let title = match metric {
        "best" => say("chart.best"),
        "sustained" => say("chart.sustained"),
        other => tell("chart.rate_of", &[("metric", &fmt::clean(other))]),
    };
    let caption = tell("chart.ratios_caption", &[("n", &n)]);
    let says =
        texts::listing(texts::RATIOS_SAY, runtimes.iter().map(|name| said(&cells, name, metric)).collect());
    let name = format!("throughput-{}", super::file_name(metric));
    let axis = say("chart.rate_log");
    let draw = |width| forest::draw(&panels, &legend, &axis, width);
    Some(Chart::new((&name, scenario), title, caption, draw).saying(says))
}

/// The verdicts on one runtime in numbers.
fn said(cells: &[&CellSummary], runtime: &str, metric: &str) -> String {
    let mine = cells.iter().filter(|cell| cell.runtime == runtime);
    let verdicts: Vec<Verdict> = mine.filter_map(|cell| Some(compared(cell, metric)?.1.verdict)).collect();
    let kinds = [Verdict::Slower, Verdict::Faster, Verdict::Equivalent, Verdict::Inconclusive];
    let found = kinds.map(|kind| {
        (verdicts.iter().filter(|verdict| **verdict == kind).count(), named("word", kind.word()))
    });
    let words = found.iter().filter(|(n, _)| *n > 0).map(|(n, word)| format!("{n} {word}"));
    format!("{} {}", fmt::clean(runtime), comma(&words.collect::<Vec<_>>()))
}

fn panel(
    summary: &Summary,
    cells: &[&CellSummary],
    metric: &str,
    kind: Option<catalog::Kind>,
    title: &str,
) -> Option<forest::Panel> {
    let of_kind = |cell: &&CellSummary| {
        cell.params.text("kernel").and_then(catalog::kernel).map(|kernel| kernel.kind) == kind
    };
    let cells: Vec<&CellSummary> = cells.iter().copied().filter(of_kind).collect();
    let (_, versus, _) = compared(cells.first()?, metric)?;
    let band = versus.region.ratio();
    let within = format!("{:.0}", versus.region.relative * 100.0);
    let title = tell("chart.within", &[("title", &say(title)), ("within", &within)]);
    let labels = labels(&cells);
    let mut rows: Vec<forest::Row> = Vec::new();
    for (cell, label) in cells.iter().zip(labels) {
        let Some((_, versus, ratio)) = compared(cell, metric) else { continue };
        let words = fmt::ratio(ratio, versus.ci95);
        let point = forest::Point {
            key: forest::Key::new(ink(summary, &cell.runtime), &cell.runtime),
            band: widened(versus.region, versus.band).ratio(),
            ratio,
            ci95: versus.ci95,
            differs: !matches!(versus.verdict, Verdict::Equivalent | Verdict::Inconclusive),
            tip: format!("{} {label}: {words}, {}", cell.runtime, named("word", versus.verdict.word())),
            words: if versus.verdict == Verdict::Inconclusive { format!("~{words}") } else { words },
        };
        match rows.iter_mut().find(|row| row.label == label) {
            Some(row) => row.points.push(point),
            None => rows.push(forest::Row { label, points: vec![point] }),
        }
    }
    Some(forest::Panel { title, band, rows })
}

/// The kernel's name, with those parameters that tell it from another row of the same kernel.
pub(super) fn labels(cells: &[&CellSummary]) -> Vec<String> {
    let kernel = |cell: &CellSummary| {
        cell.params.text("kernel").map_or_else(|| cell.params.to_string(), str::to_owned)
    };
    let label = |cell: &&CellSummary| {
        let mut text = kernel(cell);
        for (key, value) in cell.params.iter().filter(|(key, _)| *key != "kernel") {
            let same = cells.iter().filter(|other| kernel(other) == kernel(cell));
            if same.into_iter().any(|other| other.params.get(key) != Some(value)) {
                text.push_str(&format!(", {}", params::words(&Params::new().with(key, value.clone()))));
            }
        }
        fmt::clean(&text)
    };
    cells.iter().map(label).collect()
}
