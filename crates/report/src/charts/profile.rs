//! Which kernels does a runtime lose at, and by how much?
//!
//! Every kernel in every runtime in one look: the process's own rate, and the others as its multiples. Only a verdict
//! gives a cell its colour.

use isomark_core::payload::catalog;

use super::matrix::{self, Cell, Group, Row, Sign};
use super::ratios::{KINDS, compared, full, labels};
use super::scene::Ink;
use super::{Chart, counts, texts};
use crate::answers::bounds;
use crate::fmt;
use crate::reference::REFERENCE;
use crate::stats::verdict::Verdict;
use crate::summary::{CellSummary, Summary};
use crate::words::{named, say, tell};

/// The metric that is profiled.
const METRIC: &str = "best";
/// A factor at which a colour is at its strongest.
const FULL: f64 = 8.0;

/// The profile of a run; none where no kernel was compared.
pub(super) fn chart(summary: &Summary) -> Option<Chart> {
    let all: Vec<&CellSummary> =
        summary.scenario("throughput").filter(|c| c.metric(METRIC).is_some()).collect();
    let named = summary.headline.rows.iter().map(|row| row.runtime.as_str());
    let columns: Vec<&str> = named
        .filter(|name| all.iter().any(|c| c.runtime == *name && compared(c, METRIC).is_some()))
        .collect();
    let groups: Vec<Group> =
        KINDS.iter().flat_map(|(kind, title)| groups(&all, &columns, *kind, title)).collect();
    if columns.is_empty() || groups.is_empty() {
        return None;
    }
    let n = counts(all.iter().filter_map(|cell| compared(cell, METRIC)).map(|(_, versus, _)| versus.n));
    let says = texts::listing(texts::PROFILE_SAYS, columns.iter().map(|name| said(&all, name)).collect());
    let names: Vec<String> = columns.iter().map(|name| fmt::clean(name)).collect();
    let draw = |width| matrix::draw(&names, &groups, width);
    Some(
        Chart::new(
            ("throughput-profile", "throughput"),
            say("chart.profile"),
            tell("chart.profile_caption", &[("n", &n)]),
            draw,
        )
        .saying(says),
    )
}

fn said(all: &[&CellSummary], runtime: &str) -> String {
    let verdicts =
        || all.iter().filter(|c| c.runtime == runtime).filter_map(|c| Some(compared(c, METRIC)?.1.verdict));
    let differ = verdicts().filter(|v| !matches!(v, Verdict::Equivalent | Verdict::Inconclusive)).count();
    tell("chart.differs", &[("who", &fmt::clean(runtime)), ("n", &differ), ("all", &verdicts().count())])
}

fn groups(all: &[&CellSummary], columns: &[&str], kind: Option<catalog::Kind>, title: &str) -> Vec<Group> {
    let of_kind = |cell: &&&CellSummary| {
        cell.params.text("kernel").and_then(catalog::kernel).map(|kernel| kernel.kind) == kind
    };
    let cells: Vec<&CellSummary> = all.iter().filter(of_kind).copied().collect();
    let mut groups: Vec<Group> = Vec::new();
    for (cell, (common, label)) in
        cells.iter().zip(labels(&cells)).filter(|(cell, _)| cell.runtime == REFERENCE)
    {
        let like = |name: &&str| cells.iter().find(|c| c.runtime == **name && c.params == cell.params);
        let full = full(&label, &common);
        let found: Vec<Option<Cell>> = columns.iter().map(|name| one(like(name)?, &full)).collect();
        let Some(metric) = cell.metric(METRIC).filter(|_| found.iter().any(Option::is_some)) else {
            continue;
        };
        let Some(rate) = metric.median else { continue };
        let note = fmt::quantity(&metric.unit, rate.0, bounds(metric.ci95));
        let row = Row { label, note, cells: found };
        match groups.iter_mut().find(|group| group.common == common) {
            Some(group) => group.rows.push(row),
            None => {
                let title = if groups.is_empty() { say(title) } else { String::new() };
                groups.push(Group { title, common, rows: vec![row] });
            }
        }
    }
    groups
}

fn one(cell: &CellSummary, label: &str) -> Option<Cell> {
    let (metric, versus, ratio) = compared(cell, METRIC)?;
    let words = fmt::ratio(ratio, versus.ci95);
    let strength = 0.12 + 0.43 * (ratio.ln().abs() / FULL.ln()).min(1.0);
    let (ground, words) = match versus.verdict {
        Verdict::Equivalent => (Some((Ink::Band, 1.0)), words),
        Verdict::Inconclusive => (None, format!("~{words}")),
        _ if ratio < 1.0 => (Some((Ink::Worse, strength)), words),
        _ => (Some((Ink::Better, strength)), words),
    };
    let interval =
        versus.ci95.map_or_else(String::new, |ci| format!(" [{}]", fmt::ratio_interval(ratio, ci)));
    let rate = metric.median.map(|rate| fmt::quantity(&metric.unit, rate.0, bounds(metric.ci95)));
    let tip = format!(
        "{} {label}: {}{interval}, {}, {}, n = {}",
        fmt::clean(&cell.runtime),
        fmt::ratio(ratio, versus.ci95),
        rate.unwrap_or_default(),
        named("word", versus.verdict.word()),
        versus.n
    );
    let range = versus.ci95.map_or_else(String::new, |ci| fmt::ratio_interval(ratio, ci));
    Some(Cell { ground, words, range, sign: Sign::None, tip })
}
