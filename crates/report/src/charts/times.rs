//! Charts of durations: how launches are spread, and which phase takes the time.

use isomark_core::Phase;

use super::{Chart, by_params, counts, file_name, ink, shown, stack, strip, texts, told};
use crate::answers::bounds;
use crate::charts::scene::{Ink, Scene};
use crate::dataset::Dataset;
use crate::fmt;
use crate::reference;
use crate::stats::median::median;
use crate::summary::{CellSummary, MetricSummary, Summary};
use crate::words::{comma, named, say, tell};

/// The charts of a scenario whose headline is a duration; none for others.
#[must_use]
pub fn charts(data: &Dataset<'_>, summary: &Summary, scenario: &str) -> Vec<Chart> {
    let cells: Vec<&CellSummary> = shown(data, summary, scenario)
        .into_iter()
        .filter(|cell| cell.headline().is_some_and(|metric| metric.unit == "ns"))
        .collect();
    if cells.is_empty() {
        return Vec::new();
    }
    let mut all = vec![distribution(data, summary, scenario, &cells)];
    if scenario == "startup" {
        all.push(phases(scenario, &cells));
    }
    all
}

fn distribution(data: &Dataset<'_>, summary: &Summary, scenario: &str, cells: &[&CellSummary]) -> Chart {
    let panels: Vec<strip::Panel> = by_params(cells)
        .into_iter()
        .map(|(title, cells)| strip::Panel {
            title,
            rows: cells.into_iter().filter_map(|cell| row(data, summary, cell)).collect(),
        })
        .collect();
    let title = match scenario {
        "startup" => say("chart.startup"),
        "program" => say("chart.program"),
        other => tell("chart.distribution", &[("what", &fmt::clean(other))]),
    };
    let n = counts(cells.iter().filter_map(|cell| cell.headline()).map(|metric| metric.n));
    let floors = panels.iter().flat_map(|panel| &panel.rows).any(|row| row.floor.is_some());
    let floor = if floors { say("chart.floors") } else { String::new() };
    let caption = tell("chart.dots_caption", &[("n", &n), ("floor", &floor)]);
    let axis = say("chart.time_log");
    let name = format!("{}-distribution", file_name(scenario));
    let rows = panels.iter().flat_map(|panel| panel.rows.iter().map(move |row| (panel, row)));
    let said = rows.map(|(panel, row)| {
        let between = if panel.title.is_empty() { String::new() } else { say("list.comma") };
        format!("{}{between}{} {}", row.label, panel.title, row.value)
    });
    let says = texts::listing(texts::MEDIANS, said.collect());
    let draw = |width| strip::draw(&panels, "ns", &axis, width);
    Chart::new((&name, scenario), title, caption, draw).saying(says)
}

fn row(data: &Dataset<'_>, summary: &Summary, cell: &CellSummary) -> Option<strip::Row> {
    let metric = cell.headline()?;
    let at =
        data.run.cells.iter().position(|c| {
            c.runtime == cell.runtime && c.scenario == cell.scenario && c.params == cell.params
        })?;
    let floor =
        reference::floor(data.run, at).and_then(|floor| median(&data.cells[floor].values(&metric.name)));
    let (middle, ci95) = (metric.median?.0, bounds(metric.ci95));
    Some(strip::Row {
        label: fmt::clean(&cell.runtime),
        value: fmt::quantity(&metric.unit, middle, ci95),
        ink: ink(summary, &cell.runtime),
        values: data.cells[at].values(&metric.name),
        median: middle,
        ci95,
        floor,
        tip: tip(&cell.runtime, metric),
    })
}

/// A metric in one line, for a pointer over its mark.
pub(super) fn tip(label: &str, metric: &MetricSummary) -> String {
    let Some(middle) = metric.median else { return label.to_owned() };
    let ci95 = bounds(metric.ci95);
    let value = fmt::quantity(&metric.unit, middle.0, ci95);
    let mut text = tell("chart.median_of", &[("label", &label), ("value", &value)]);
    if let Some(ci95) = ci95 {
        text.push_str(&format!(" [{}]", fmt::interval(&metric.unit, middle.0, ci95)));
    }
    if let (Some(min), Some(max)) = (metric.min, metric.max) {
        let (min, max) = (fmt::quantity(&metric.unit, min.0, None), fmt::quantity(&metric.unit, max.0, None));
        text.push_str(&format!(", {}", tell("range", &[("from", &min), ("to", &max)])));
    }
    text.push_str(&format!(", n = {}", metric.n));
    text
}

fn phases(scenario: &str, cells: &[&CellSummary]) -> Chart {
    let panels: Vec<stack::Panel> = by_params(cells)
        .into_iter()
        .map(|(title, cells)| stack::Panel { title, rows: cells.into_iter().map(life).collect() })
        .collect();
    let used = |phase: &Phase| cells.iter().any(|cell| cell.phases.iter().any(|p| p.phase == *phase));
    let told = cells.iter().any(|cell| !cell.steps.is_empty());
    let legend: Vec<(Ink, String)> = Phase::ALL
        .iter()
        .enumerate()
        .filter(|(_, phase)| used(phase))
        .map(|(at, phase)| (Ink::Phase(at), named("phase", phase.word())))
        .chain(told.then(|| (Ink::Axis, say("chart.told_legend"))))
        .collect();
    let n = counts(cells.iter().filter_map(|cell| cell.headline()).map(|metric| metric.n));
    let below = if told { say("chart.told_caption") } else { String::new() };
    let (caption, axis) = (tell("chart.phases_caption", &[("n", &n), ("told", &below)]), say("chart.time"));
    let said = panels.iter().flat_map(|panel| &panel.rows).map(|row| {
        let parts = row.segments.iter().map(|s| {
            format!("{} {}", named("phase", Phase::ALL[s.phase % Phase::ALL.len()].word()), s.words)
        });
        format!("{}: {}", row.label, comma(&parts.collect::<Vec<_>>()))
    });
    let says = texts::listing(texts::MEDIANS, said.collect());
    let draw = |width: f64| -> Scene { stack::draw(&panels, &legend, &axis, width) };
    Chart::new(("startup-phases", scenario), say("chart.phases"), caption, draw).saying(says)
}

fn life(cell: &CellSummary) -> stack::Row {
    let drawn = || cell.phases.iter().filter(|phase| phase.folded.is_none());
    let total: f64 = drawn().map(|phase| phase.median.0).sum();
    let segments = drawn().map(|phase| {
        let words = fmt::quantity("ns", phase.median.0, None);
        stack::Segment {
            phase: Phase::ALL.iter().position(|p| *p == phase.phase).unwrap_or(0),
            length: phase.median.0,
            tip: format!("{} {}: {words}", cell.runtime, named("phase", phase.phase.word())),
            words,
        }
    });
    let folded = cell.phases.iter().filter_map(|p| {
        let (phase, into) = (named("phase", p.phase.word()), named("phase", p.folded?.word()));
        Some(tell("chart.folded", &[("phase", &phase), ("into", &into)]))
    });
    stack::Row {
        label: fmt::clean(&cell.runtime),
        value: fmt::quantity("ns", total, None),
        segments: segments.collect(),
        note: comma(&folded.collect::<Vec<_>>()),
        told: inner(cell),
    }
}

/// The inner steps in the order of their medians: a runtime that watches its own child may tell a late one first.
fn inner(cell: &CellSummary) -> Vec<told::Step> {
    let mut all: Vec<told::Step> = cell
        .steps
        .iter()
        .map(|step| told::Step {
            name: fmt::clean(&step.name),
            at: step.median.0,
            since: step.since.map_or_else(|| "–".to_owned(), |since| fmt::quantity("ns", since.0, None)),
        })
        .collect();
    all.sort_by(|a, b| a.at.total_cmp(&b.at));
    all
}
