//! How are the values of a scenario spread, and which phase of an instance takes the time?
//!
//! Every value is drawn, whatever its unit: a bar of a median hides that values gather in two places.

use isomark_core::Phase;

use super::strip::Scale;
use super::{Chart, by_params, counts, file_name, ink, shown, stack, strip, texts, told};
use crate::answers::{self, bounds};
use crate::charts::scene::{Ink, Scene};
use crate::dataset::Dataset;
use crate::fmt;
use crate::reference;
use crate::stats::median::median;
use crate::summary::{CellSummary, MetricSummary, Summary};
use crate::words::{comma, data as data_words, find, named, say, tell};

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
    let panels = panels(data, summary, cells);
    let title = match scenario {
        "startup" => say("chart.startup"),
        "program" => say("chart.program"),
        other => tell("chart.distribution", &[("what", &fmt::clean(other))]),
    };
    let floors = panels.iter().flat_map(|panel| &panel.rows).any(|row| row.floor.is_some());
    let floor = if floors { say("chart.floors") } else { String::new() };
    let caption =
        tell("chart.dots_caption", &[("n", &n(cells)), ("floor", &floor), ("modes", &modes(&panels))]);
    let axis = say("chart.time_log");
    let name = format!("{}-distribution", file_name(scenario));
    let draw = |width| strip::draw(&panels, Scale::Log, "ns", &axis, width);
    Chart::new((&name, scenario), title, caption, draw).saying(says(&panels))
}

/// The headline metric of a scenario that nobody has drawn yet, whatever its unit: every value of it.
pub fn any(data: &Dataset<'_>, summary: &Summary, scenario: &str) -> Option<Chart> {
    let cells = shown(data, summary, scenario);
    let first = cells.first()?.headline()?;
    let alike = |cell: &&CellSummary| cell.headline().is_some_and(|metric| metric.unit == first.unit);
    let cells: Vec<&CellSummary> = cells.iter().copied().filter(alike).collect();
    let panels = panels(data, summary, &cells);
    let scale = scale(&first.unit, &panels);
    let metric = named("metric", &fmt::clean(&first.name));
    let title = find("title", &format!("{scenario}-{}", first.name))
        .unwrap_or_else(|| format!("{}: {metric}", fmt::clean(scenario)));
    let log = scale == Scale::Log;
    let axis = if log { tell("chart.log", &[("what", &metric)]) } else { metric };
    let text = tell("chart.values_caption", &[("n", &n(&cells)), ("modes", &modes(&panels))]);
    let draw = |width| strip::draw(&panels, scale, &first.unit, &axis, width);
    Some(Chart::new((&file_name(scenario), scenario), title, text, draw).saying(says(&panels)))
}

/// Shares and counts are seen against nothing and all; what lies decades apart, on a logarithmic axis.
fn scale(unit: &str, panels: &[strip::Panel]) -> Scale {
    let values = || panels.iter().flat_map(|panel| &panel.rows).flat_map(|row| &row.values);
    let counted = matches!(unit, "share" | "count");
    if counted || values().any(|value| *value <= 0.0) { Scale::Zero } else { Scale::Log }
}

fn n(cells: &[&CellSummary]) -> String {
    counts(cells.iter().filter_map(|cell| cell.headline()).map(|metric| metric.n))
}

/// What a reader must know of rows whose values gather in two places; nothing where there are none.
fn modes(panels: &[strip::Panel]) -> String {
    let any = panels.iter().flat_map(|panel| &panel.rows).any(|row| row.modes.is_some());
    if any { say("chart.modes_caption") } else { String::new() }
}

fn panels(data: &Dataset<'_>, summary: &Summary, cells: &[&CellSummary]) -> Vec<strip::Panel> {
    let panel = |(title, cells): (String, Vec<&CellSummary>)| strip::Panel {
        title,
        rows: cells.into_iter().filter_map(|cell| row(data, summary, cell)).collect(),
    };
    by_params(cells).into_iter().map(panel).filter(|panel| !panel.rows.is_empty()).collect()
}

/// The medians of all rows in words.
fn says(panels: &[strip::Panel]) -> String {
    let rows = panels.iter().flat_map(|panel| panel.rows.iter().map(move |row| (panel, row)));
    let said = rows.map(|(panel, row)| {
        let between = if panel.title.is_empty() { String::new() } else { say("list.comma") };
        format!("{}{between}{} {}", row.label, panel.title, row.value)
    });
    texts::listing(texts::MEDIANS, said.collect())
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
    // A median between two modes describes neither.
    let modes = metric.modes.map(|modes| modes.map(|mode| mode.at.0));
    let one = |value: f64| fmt::quantity(&metric.unit, value, None);
    let value = match modes {
        Some([low, high]) => tell("chart.two", &[("low", &one(low)), ("high", &one(high))]),
        None => fmt::quantity(&metric.unit, middle, ci95),
    };
    Some(strip::Row {
        label: fmt::clean(&cell.runtime),
        value,
        ink: ink(summary, &cell.runtime),
        values: data.cells[at].values(&metric.name),
        median: middle,
        modes,
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
    if let Some(told) = answers::modes(metric) {
        text.push_str(&format!("{}{told}", say("list.semicolon")));
    }
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
    let n = n(cells);
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
            name: fmt::clean(&data_words(&step.name)),
            at: step.median.0,
            took: step.since.map_or(0.0, |since| since.0),
            since: step.since.map_or_else(|| "–".to_owned(), |since| fmt::quantity("ns", since.0, None)),
        })
        .collect();
    all.sort_by(|a, b| a.at.total_cmp(&b.at));
    all
}
