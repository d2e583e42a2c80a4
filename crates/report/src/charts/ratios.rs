//! Charts of throughput: each kernel's rate as a ratio to the plain process.

use std::collections::BTreeSet;

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
    let mut groups: Vec<forest::Group> = Vec::new();
    for (cell, (common, label)) in cells.iter().zip(labels(&cells)) {
        let Some((_, versus, ratio)) = compared(cell, metric) else { continue };
        let words = fmt::ratio(ratio, versus.ci95);
        let full = full(&label, &common);
        let point = forest::Point {
            key: forest::Key::new(ink(summary, &cell.runtime), &cell.runtime),
            band: widened(versus.region, versus.band).ratio(),
            ratio,
            ci95: versus.ci95,
            differs: !matches!(versus.verdict, Verdict::Equivalent | Verdict::Inconclusive),
            tip: format!("{} {full}: {words}, {}", cell.runtime, named("word", versus.verdict.word())),
            words: if versus.verdict == Verdict::Inconclusive { format!("~{words}") } else { words },
        };
        if !groups.iter().any(|group| group.title == common) {
            groups.push(forest::Group { title: common.clone(), rows: Vec::new() });
        }
        let Some(group) = groups.iter_mut().find(|group| group.title == common) else { continue };
        match group.rows.iter_mut().find(|row| row.label == label) {
            Some(row) => row.points.push(point),
            None => group.rows.push(forest::Row { label, points: vec![point] }),
        }
    }
    Some(forest::Panel { title, band, groups })
}

/// A row's label with what its group has in common.
pub(super) fn full(label: &str, common: &str) -> String {
    if common.is_empty() { label.to_owned() } else { format!("{label}{}{common}", say("list.comma")) }
}

/// Parameters that tell rows of one kernel from one another. The others say how all of a group were measured.
const OF_THE_ROW: [&str; 4] = ["kernel", "isa", "n", "cpu"];

/// For each cell what its group has in common, and its label: the kernel's name with those parameters that tell it from
/// another row of the same kernel.
pub(super) fn labels(cells: &[&CellSummary]) -> Vec<(String, String)> {
    let kernel = |cell: &CellSummary| {
        cell.params.text("kernel").map_or_else(|| cell.params.to_string(), str::to_owned)
    };
    let differs = |cell: &CellSummary, key: &str| {
        let mut same = cells.iter().filter(|other| kernel(other) == kernel(cell));
        same.any(|other| other.params.get(key) != cell.params.get(key))
    };
    // How long, how many: what differs for any kernel is told of all, or a reader would take it for the same.
    let common: BTreeSet<&str> = cells
        .iter()
        .flat_map(|cell| cell.params.iter().filter(|(key, _)| differs(cell, key)).map(|(key, _)| key))
        .filter(|key| !OF_THE_ROW.contains(key))
        .collect();
    let words = |cell: &CellSummary, wanted: &dyn Fn(&str) -> bool| {
        let own = cell.params.iter().filter(|(key, _)| wanted(key));
        params::words(&own.fold(Params::new(), |all, (key, value)| all.with(key, value.clone())))
    };
    let one = |cell: &&CellSummary| {
        let own = words(cell, &|key| key != "kernel" && OF_THE_ROW.contains(&key) && differs(cell, key));
        (words(cell, &|key| common.contains(key)), full(&fmt::clean(&kernel(cell)), &own))
    };
    cells.iter().map(one).collect()
}
