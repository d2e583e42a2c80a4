//! How much of it does each one take? Charts of sizes: memory and disk, each panel with the quantity that it counts.
//!
//! What counts the instances leads; what is read from the whole host stands beside it, for it counts everybody.

use super::scene::{Ink, Scene};
use super::times::tip;
use super::{Chart, bars, by_params, counts, ink, matrix, texts, words};
use crate::answers::bounds;
use crate::fmt;
use crate::summary::{CellSummary, MetricSummary, Summary};
use crate::words::{comma, named, say, tell};

/// Slopes that are read from the whole host: what anything else on it takes or gives back is in them.
const OF_THE_HOST: [&str; 2] = ["marginal-available", "marginal-free"];

/// Memory of one instance in all accounting modes, and what a further instance costs.
#[must_use]
pub fn memory(summary: &Summary) -> Vec<Chart> {
    let many = |cell: &&CellSummary| cell.params.number("instances").is_some_and(|n| n > 1);
    let all = || summary.scenario("memory").filter(|cell| cell.headline().is_some());
    let one: Vec<&CellSummary> = all().filter(|cell| !many(cell)).collect();
    let more: Vec<&CellSummary> = all().filter(many).collect();
    modes(summary, &one)
        .into_iter()
        .chain(slopes(summary, &more, false))
        .chain(slopes(summary, &more, true).map(Chart::beside))
        .collect()
}

fn modes(summary: &Summary, cells: &[&CellSummary]) -> Option<Chart> {
    let modes = panels(summary, cells, &say("chart.memory"), |_| true);
    let runtimes = cells.iter().map(|cell| &cell.runtime).collect::<std::collections::BTreeSet<_>>().len();
    // Hundreds of bars fit on no slide; a grid does.
    let draw = |width| {
        if runtimes > MANY { grid(summary, &modes, width) } else { bars::draw(&modes, "byte", width) }
    };
    let key = if runtimes > MANY { "chart.grid_caption" } else { "chart.medians_seen" };
    let text = tell(key, &[("n", &counts(n(cells)))]);
    (!modes.is_empty())
        .then(|| Chart::new(("memory-modes", "memory"), say("chart.modes"), text, draw).saying(says(&modes)))
}

/// What each further instance takes: by what counts the instances, or by what counts the whole host.
fn slopes(summary: &Summary, cells: &[&CellSummary], of_host: bool) -> Option<Chart> {
    let wanted = |metric: &str| OF_THE_HOST.contains(&metric) == of_host;
    let found = panels(summary, cells, &say("chart.memory_each"), wanted);
    let rest = tell("chart.medians_seen", &[("n", &counts(n(cells)))]);
    let (name, title, caption) = if of_host {
        ("memory-marginal-host", "chart.marginal_host", "chart.slope_caption_host")
    } else {
        ("memory-marginal", "chart.marginal", "chart.slope_caption")
    };
    let draw = |width| bars::draw(&found, "byte", width);
    let text = tell(caption, &[("rest", &rest)]);
    (!found.is_empty()).then(|| Chart::new((name, "memory"), say(title), text, draw).saying(says(&found)))
}

/// How often each metric of some cells was measured.
fn n(cells: &[&CellSummary]) -> impl Iterator<Item = usize> {
    cells.iter().flat_map(|cell| &cell.metrics).filter(|m| m.n > 0).map(|m| m.n)
}

/// Runtimes from which on bars become a grid of numbers.
const MANY: usize = 8;

/// The values of bars as a grid with a runtime a column; the ground is the stronger the more it is.
fn grid(summary: &Summary, panels: &[bars::Panel], width: f64) -> Scene {
    let bars = || panels.iter().flat_map(|panel| &panel.groups).flat_map(|group| &group.bars);
    let rows = summary.headline.rows.iter().map(|row| fmt::clean(&row.runtime));
    let columns: Vec<String> = rows.filter(|name| bars().any(|bar| bar.runtime == *name)).collect();
    let most = bars().map(|bar| bar.value).fold(1.0, f64::max);
    let one = |bar: &bars::Bar| {
        // Doublings below the largest: sizes of runtimes are powers apart.
        let strength = (1.0 - (most / bar.value.max(1.0)).log2() / 12.0).clamp(0.0, 1.0);
        let ground = Some((Ink::Worse, 0.04 + 0.42 * strength));
        let (words, tip) = (bar.words.clone(), bar.tip.clone());
        matrix::Cell { ground, words, range: String::new(), sign: matrix::Sign::None, tip }
    };
    let row = |group: &bars::Group| matrix::Row {
        label: group.title.clone(),
        note: String::new(),
        cells: columns
            .iter()
            .map(|name| group.bars.iter().find(|bar| bar.runtime == *name).map(one))
            .collect(),
    };
    let groups: Vec<matrix::Group> = panels
        .iter()
        .map(|panel| matrix::Group::new(panel.title.clone(), panel.groups.iter().map(row).collect()))
        .collect();
    matrix::draw(&columns, &groups, width)
}

/// Disk of one instance for each way of provisioning its root.
#[must_use]
pub fn disk(summary: &Summary) -> Vec<Chart> {
    let cells: Vec<&CellSummary> =
        summary.scenario("disk").filter(|cell| cell.headline().is_some()).collect();
    if cells.is_empty() {
        return Vec::new();
    }
    // The parameter is the runtime's own word and belongs to the bar's label.
    let panels = split(groups(summary, &cells, true, |_| true));
    let n = counts(cells.iter().filter_map(|cell| cell.headline()).map(|metric| metric.n));
    let caption = tell("chart.disk_caption", &[("n", &n)]);
    let draw = |width| bars::draw(&panels, "byte", width);
    let title = say("chart.disk");
    vec![Chart::new(("disk", "disk"), title, caption, draw).saying(says(&panels))]
}

/// A panel for each quantity. Those of like size share their axis; below a tenth of the largest they have another.
fn split(groups: Vec<bars::Group>) -> Vec<bars::Panel> {
    let largest = |group: &bars::Group| group.bars.iter().map(|bar| bar.value).fold(0.0, f64::max);
    let top = groups.iter().map(largest).fold(0.0, f64::max);
    let small = groups.iter().map(largest).filter(|size| *size < top / 10.0).fold(0.0, f64::max);
    let one = |mut group: bars::Group| {
        let high = if largest(&group) < top / 10.0 { small } else { top };
        let title = std::mem::take(&mut group.title);
        // What is counted differs from panel to panel: file lengths are not what a disk holds.
        let axis = fmt::clean(&named("disk_axis", &group.metric));
        bars::Panel { title, axis, groups: vec![group], high: Some(high) }
    };
    groups.into_iter().map(one).collect()
}

fn panels(
    summary: &Summary,
    cells: &[&CellSummary],
    axis: &str,
    wanted: impl Fn(&str) -> bool,
) -> Vec<bars::Panel> {
    let one = |(title, cells): (String, Vec<&CellSummary>)| bars::Panel {
        title,
        axis: axis.to_owned(),
        groups: groups(summary, &cells, false, &wanted),
        high: None,
    };
    by_params(cells).into_iter().map(one).filter(|panel| !panel.groups.is_empty()).collect()
}

/// All bars in words.
fn says(panels: &[bars::Panel]) -> String {
    let groups = panels.iter().flat_map(|panel| panel.groups.iter().map(move |group| (panel, group)));
    let said = groups.map(|(panel, group)| {
        let names = [&panel.title, &group.title].map(String::as_str);
        let heads: Vec<&str> = names.into_iter().filter(|name| !name.is_empty()).collect();
        let bars = group.bars.iter().take(8).map(|bar| format!("{} {}", bar.label, bar.words));
        let between = if heads.is_empty() { "" } else { ": " };
        format!("{}{between}{}", heads.join(&say("list.comma")), comma(&bars.collect::<Vec<_>>()))
    });
    texts::listing(texts::MEDIANS, said.collect())
}

/// One group per metric, in the order of their first appearance.
fn groups(
    summary: &Summary,
    cells: &[&CellSummary],
    own: bool,
    wanted: impl Fn(&str) -> bool,
) -> Vec<bars::Group> {
    let mut metrics: Vec<&str> = Vec::new();
    for metric in cells.iter().flat_map(|cell| &cell.metrics).filter(|m| m.n > 0 && m.unit == "byte") {
        if wanted(&metric.name) && !metrics.contains(&&*metric.name) {
            metrics.push(&metric.name);
        }
    }
    let one = |name: &str| bars::Group {
        metric: name.to_owned(),
        title: fmt::clean(&if own { named("disk", name) } else { named("mode", name) }),
        bars: cells.iter().filter_map(|cell| bar(summary, cell, cell.metric(name)?, own)).collect(),
    };
    metrics.into_iter().map(one).collect()
}

fn bar(summary: &Summary, cell: &CellSummary, metric: &MetricSummary, own: bool) -> Option<bars::Bar> {
    let (value, ci95) = (metric.median?.0, bounds(metric.ci95));
    let label = match cell.params.text("provision") {
        Some(provision) if own => format!("{}, {provision}", cell.runtime),
        _ if own && !cell.params.is_empty() => format!("{}, {}", cell.runtime, words(&cell.params)),
        _ => cell.runtime.clone(),
    };
    Some(bars::Bar {
        runtime: fmt::clean(&cell.runtime),
        ink: ink(summary, &cell.runtime),
        value,
        words: fmt::quantity(&metric.unit, value, ci95),
        ci95,
        tip: tip(&label, metric),
        label: fmt::clean(&label),
    })
}
