//! What is the answer, in a sentence?
//!
//! Sentences are built from the headline table alone and say no more than its intervals carry: a ratio comes with
//! its interval, and where there is none, the sentence says so.

use isomark_core::payload::catalog;

use crate::fmt;
use crate::reference::REFERENCE;
use crate::stats::verdict::Verdict;
use crate::summary::{Column, Figure, MetricSummary, Number, Row, Summary};
use crate::words::{clauses, comma, find, listed, say, tell};

/// The figure's value with its unit.
#[must_use]
pub fn value(figure: &Figure) -> String {
    figure.value.map_or_else(|| "~".to_owned(), |v| fmt::quantity(&figure.unit, v.0, bounds(figure.ci95)))
}

/// The figure's ratio to the plain process.
#[must_use]
pub fn ratio(figure: &Figure) -> String {
    figure.ratio.map_or_else(|| "~".to_owned(), |ratio| fmt::ratio(ratio, figure.ratio_ci95))
}

/// The figure's difference to the plain process, where a ratio has no meaning: `+16.0 KiB`.
#[must_use]
pub fn difference(figure: &Figure) -> Option<String> {
    let Number(apart) = figure.difference.filter(|_| figure.ratio.is_none())?;
    Some(if apart == 0.0 { say("answer.no_difference") } else { fmt::difference(&figure.unit, apart, None) })
}

/// An interval of numbers as plain floats.
#[must_use]
pub fn bounds(ci95: Option<[Number; 2]>) -> Option<[f64; 2]> {
    ci95.map(|ci| ci.map(|number| number.0))
}

/// Where the values of a metric gather, if that is in two places: a median between them describes neither.
pub(crate) fn modes(metric: &MetricSummary) -> Option<String> {
    let [low, high] = metric.modes?.map(|mode| {
        let share = format!("{:.0} %", mode.share * 100.0);
        tell("answer.mode", &[("at", &fmt::quantity(&metric.unit, mode.at.0, None)), ("share", &share)])
    });
    Some(tell("answer.two_modes", &[("low", &low), ("high", &high)]))
}

/// The whole run in one sentence.
#[must_use]
pub fn overall(summary: &Summary) -> String {
    let rows: Vec<&Row> = summary.headline.rows.iter().filter(|row| row.runtime != REFERENCE).collect();
    let said: Vec<String> =
        rows.iter().filter_map(|row| row_sentence(row, &summary.headline.columns)).collect();
    if said.is_empty() {
        return say("answer.nothing");
    }
    tell("answer.overall", &[("said", &said.join(&say("list.semicolon")))])
}

fn row_sentence(row: &Row, columns: &[Column]) -> Option<String> {
    let known =
        columns.iter().zip(&row.figures).filter_map(|(column, figure)| Some((column, figure.as_ref()?)));
    let parts: Vec<String> = known.filter_map(|(column, figure)| clause(column, figure)).collect();
    let who = fmt::clean(&row.runtime);
    (!parts.is_empty()).then(|| tell("answer.row", &[("who", &who), ("what", &clauses(&parts))]))
}

/// Clauses by scenario: the same, a ratio, more, less.
///
/// Not "disk" but room for files: they may lie in memory, and the figure counts them wherever they lie.
const CLAUSES: [(&str, [&str; 4]); 5] = [
    (
        "startup",
        ["answer.startup.same", "answer.startup.ratio", "answer.startup.more", "answer.startup.less"],
    ),
    ("memory", ["answer.memory.same", "answer.memory.ratio", "answer.memory.more", "answer.memory.less"]),
    ("disk", ["answer.disk.same", "answer.disk.ratio", "answer.disk.more", "answer.disk.less"]),
    (
        "throughput",
        [
            "answer.throughput.same",
            "answer.throughput.ratio",
            "answer.throughput.more",
            "answer.throughput.less",
        ],
    ),
    (
        "program",
        ["answer.program.same", "answer.program.ratio", "answer.program.more", "answer.program.less"],
    ),
];

/// "takes 4.04× the time to start", "computes as fast"; "about" where no verdict is possible.
fn clause(column: &Column, figure: &Figure) -> Option<String> {
    let (_, [same, times, more, less]) = CLAUSES.iter().find(|(name, _)| *name == column.scenario)?;
    let unsure = figure.verdict == Some(Verdict::Inconclusive);
    let about = if unsure { say("answer.about") } else { String::new() };
    match (figure.ratio, figure.difference) {
        _ if figure.verdict == Some(Verdict::Equivalent) => Some(alike(say(same), figure)),
        (Some(_), _) => Some(tell(times, &[("about", &about), ("ratio", &ratio(figure))])),
        (None, Some(Number(0.0))) => Some(say(same)),
        (None, Some(Number(apart))) => {
            let amount = fmt::quantity(&figure.unit, apart.abs(), None);
            Some(tell(if apart > 0.0 { more } else { less }, &[("about", &about), ("amount", &amount)]))
        }
        (None, None) => None,
    }
}

/// "weighs the same in memory (+68.0 KiB)": sizes are judged by how far they are apart, and what is many times as large may
/// count as the same.
fn alike(same: String, figure: &Figure) -> String {
    let near = figure.ratio.is_some_and(|ratio| (0.95..=1.05).contains(&ratio));
    match figure.difference.filter(|apart| figure.unit == "byte" && !near && apart.0 != 0.0) {
        Some(Number(apart)) => {
            let amount = fmt::difference(&figure.unit, apart, None);
            tell("answer.apart", &[("same", &same), ("amount", &amount)])
        }
        None => same,
    }
}

/// What a column of the headline table shows: its metric in words, and which cells of its scenario answer for it.
pub(crate) fn asked(summary: &Summary, at: usize, column: &Column) -> String {
    let what = find("metric", &column.what).unwrap_or_else(|| column.what.clone());
    // These say it themselves, or rest on many cells.
    if matches!(&*column.scenario, "memory" | "disk" | "throughput" | "program") {
        return what;
    }
    let mut all: Vec<&isomark_core::Params> = Vec::new();
    for cell in summary.scenario(&column.scenario) {
        if !all.contains(&&cell.params) {
            all.push(&cell.params);
        }
    }
    let figure = summary.headline.rows.iter().find_map(|row| row.figures.get(at)?.as_ref());
    let place = figure.and_then(|figure| all.iter().position(|params| **params == figure.params));
    let heading = place.and_then(|place| crate::charts::params::headings(&all).into_iter().nth(place));
    let parts: Vec<String> = std::iter::once(what).chain(heading).filter(|text| !text.is_empty()).collect();
    parts.join(&say("list.clause"))
}

/// The answer of one scenario: every runtime's figure with its ratio.
#[must_use]
pub fn of_scenario(summary: &Summary, scenario: &str) -> String {
    let columns = &summary.headline.columns;
    let Some(at) = columns.iter().position(|column| column.scenario == scenario) else {
        return say("answer.not_measured");
    };
    let rows = summary.headline.rows.iter().filter_map(|row| Some((row, row.figures.get(at)?.as_ref()?)));
    let said: Vec<String> = rows.filter_map(|(row, figure)| phrase(row, figure)).collect();
    if said.is_empty() {
        return say("answer.not_measured");
    }
    let what = fmt::clean(&asked(summary, at, &columns[at]));
    let mut text = tell("answer.scenario", &[("what", &capital(&what)), ("said", &comma(&said))]);
    if scenario == "throughput" {
        text.push_str(&system_calls(summary, scenario));
    }
    for (why, names) in unsure(summary, at) {
        text.push_str(&tell("answer.unsure", &[("names", &listed(&names)), ("why", &fmt::clean(&why))]));
    }
    text
}

/// What happens to operating-system calls, which the mean of the numeric kernels leaves out.
fn system_calls(summary: &Summary, scenario: &str) -> String {
    let mut ranges: Vec<(&str, f64, f64)> = Vec::new();
    for cell in summary.scenario(scenario) {
        let kernel = cell.params.text("kernel").and_then(catalog::kernel);
        let ratio = cell.headline().and_then(|metric| metric.versus.as_ref()?.ratio);
        let (Some(catalog::Kind::Os), Some(ratio)) = (kernel.map(|k| k.kind), ratio) else { continue };
        match ranges.iter_mut().find(|(name, ..)| *name == cell.runtime) {
            Some((_, low, high)) => (*low, *high) = (low.min(ratio), high.max(ratio)),
            None => ranges.push((&cell.runtime, ratio, ratio)),
        }
    }
    let said: Vec<String> = ranges
        .into_iter()
        .map(|(name, low, high)| {
            let (from, to) = (fmt::ratio(low, None), fmt::ratio(high, None));
            let range = if from == to { from } else { tell("range", &[("from", &from), ("to", &to)]) };
            tell("answer.calls_in", &[("range", &range), ("who", &fmt::clean(name))])
        })
        .collect();
    if said.is_empty() { String::new() } else { tell("answer.calls", &[("said", &listed(&said))]) }
}

/// Runtimes without a verdict in a column, by the reason.
fn unsure(summary: &Summary, at: usize) -> Vec<(String, Vec<String>)> {
    let mut all: Vec<(String, Vec<String>)> = Vec::new();
    for row in &summary.headline.rows {
        let Some(why) = row.figures.get(at).and_then(|f| f.as_ref()?.why.clone()) else { continue };
        let name = fmt::clean(&row.runtime);
        match all.iter_mut().find(|(known, _)| *known == why) {
            Some((_, names)) => names.push(name),
            None => all.push((why, vec![name])),
        }
    }
    all
}

fn phrase(row: &Row, figure: &Figure) -> Option<String> {
    let name = fmt::clean(&row.runtime);
    match (figure.value, figure.ratio) {
        (Some(_), None) => {
            let apart = difference(figure).map_or_else(String::new, |text| format!(" ({text})"));
            Some(format!("{name} {}{apart}", value(figure)))
        }
        (Some(_), Some(_)) => Some(format!("{name} {} ({})", value(figure), with_interval(figure))),
        (None, Some(_)) => Some(format!("{name} {}", with_interval(figure))),
        (None, None) => None,
    }
}

/// "4.04× [3.98–4.11]".
#[must_use]
pub fn with_interval(figure: &Figure) -> String {
    match (figure.ratio, figure.ratio_ci95) {
        (Some(r), Some(ci95)) => format!("{} [{}]", ratio(figure), fmt::ratio_interval(r, ci95)),
        (Some(_), None) => format!("{} [~]", ratio(figure)),
        (None, _) => difference(figure).unwrap_or_else(|| "~".to_owned()),
    }
}

/// The text with a capital letter in front.
pub(crate) fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}
