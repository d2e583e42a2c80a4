//! Charts of sizes, and of anything else that has a length: memory, disk, and scenarios nobody has drawn yet.

use super::scene::{Ink, Scene};
use super::times::tip;
use super::{Chart, bars, by_params, counts, file_name, ink, matrix, texts, words};
use crate::answers::bounds;
use crate::fmt;
use crate::summary::{CellSummary, MetricSummary, Summary};
use crate::words::{comma, find, named, say, tell};

/// Memory of one instance in all accounting modes, and what a further instance costs.
#[must_use]
pub fn memory(summary: &Summary) -> Vec<Chart> {
    let many = |cell: &&CellSummary| cell.params.number("instances").is_some_and(|n| n > 1);
    let all = || summary.scenario("memory").filter(|cell| cell.headline().is_some());
    let one: Vec<&CellSummary> = all().filter(|cell| !many(cell)).collect();
    let more: Vec<&CellSummary> = all().filter(many).collect();
    let modes = panels(summary, &one, false);
    let slopes = panels(summary, &more, false);
    let caption = |cells: &[&CellSummary]| tell("chart.medians_seen", &[("n", &counts(n(cells)))]);
    let first = (!one.is_empty()).then(|| {
        let (title, axis) = (say("chart.modes"), say("chart.memory"));
        let runtimes = one.iter().map(|cell| &cell.runtime).collect::<std::collections::BTreeSet<_>>().len();
        // Hundreds of bars fit on no slide; a grid does.
        let draw = |width| {
            if runtimes > MANY {
                grid(summary, &modes, width)
            } else {
                bars::draw(&modes, "byte", &axis, width)
            }
        };
        let grid_text = || tell("chart.grid_caption", &[("n", &counts(n(&one)))]);
        let text = if runtimes > MANY { grid_text() } else { caption(&one) };
        Chart::new(("memory-modes", "memory"), title, text, draw).saying(says(&modes))
    });
    let second = (!more.is_empty()).then(|| {
        let (title, axis) = (say("chart.marginal"), say("chart.memory_each"));
        let text = tell("chart.slope_caption", &[("rest", &caption(&more))]);
        Chart::new(("memory-marginal", "memory"), title, text, |width| {
            bars::draw(&slopes, "byte", &axis, width)
        })
        .saying(says(&slopes))
    });
    first.into_iter().chain(second).collect()
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
        .map(|panel| matrix::Group {
            title: panel.title.clone(),
            rows: panel.groups.iter().map(row).collect(),
        })
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
    let panels = split(groups(summary, &cells, true));
    let n = counts(cells.iter().filter_map(|cell| cell.headline()).map(|metric| metric.n));
    let (caption, axis) = (tell("chart.disk_caption", &[("n", &n)]), say("chart.allocated"));
    let draw = |width| bars::draw(&panels, "byte", &axis, width);
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
        bars::Panel { title, groups: vec![group], high: Some(high) }
    };
    groups.into_iter().map(one).collect()
}

/// The headline metric of a scenario that nobody has drawn yet, one bar per cell.
#[must_use]
pub fn any(summary: &Summary, scenario: &str) -> Option<Chart> {
    let cells: Vec<&CellSummary> =
        summary.scenario(scenario).filter(|cell| cell.headline().is_some()).collect();
    let first = cells.first()?.headline()?;
    let alike = |cell: &&CellSummary| cell.headline().is_some_and(|metric| metric.unit == first.unit);
    let cells: Vec<&CellSummary> = cells.iter().copied().filter(alike).collect();
    let groups = by_params(&cells).into_iter().map(|(title, cells)| bars::Group {
        title,
        bars: cells.iter().filter_map(|cell| bar(summary, cell, cell.headline()?, false)).collect(),
    });
    let panels = [bars::Panel { title: String::new(), groups: groups.collect(), high: None }];
    let n = counts(cells.iter().filter_map(|cell| cell.headline()).map(|metric| metric.n));
    let caption = tell("chart.medians", &[("n", &n)]);
    let metric = named("metric", &fmt::clean(&first.name));
    let title = find("title", &format!("{scenario}-{}", first.name))
        .unwrap_or_else(|| format!("{}: {metric}", fmt::clean(scenario)));
    let name = file_name(scenario);
    let draw = |width| bars::draw(&panels, &first.unit, &metric, width);
    Some(Chart::new((&name, scenario), title, caption, draw).saying(says(&panels)))
}

fn panels(summary: &Summary, cells: &[&CellSummary], own: bool) -> Vec<bars::Panel> {
    let one = |(title, cells): (String, Vec<&CellSummary>)| bars::Panel {
        title,
        groups: groups(summary, &cells, own),
        high: None,
    };
    by_params(cells).into_iter().map(one).collect()
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
fn groups(summary: &Summary, cells: &[&CellSummary], own: bool) -> Vec<bars::Group> {
    let mut metrics: Vec<&str> = Vec::new();
    for metric in cells.iter().flat_map(|cell| &cell.metrics).filter(|m| m.n > 0 && m.unit == "byte") {
        if !metrics.contains(&&*metric.name) {
            metrics.push(&metric.name);
        }
    }
    let one = |name: &str| bars::Group {
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
