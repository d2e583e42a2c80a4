//! What is the answer, in a sentence?
//!
//! Sentences are built from the headline table alone and say no more than its intervals carry: a ratio comes with
//! its interval, and where there is none, the sentence says so.

use isomark_core::payload::catalog;

use crate::fmt;
use crate::reference::REFERENCE;
use crate::stats::verdict::Verdict;
use crate::summary::{Column, Figure, Number, Row, Summary};

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
    Some(if apart == 0.0 { "no difference".to_owned() } else { fmt::difference(&figure.unit, apart, None) })
}

/// An interval of numbers as plain floats.
#[must_use]
pub fn bounds(ci95: Option<[Number; 2]>) -> Option<[f64; 2]> {
    ci95.map(|ci| ci.map(|number| number.0))
}

/// The whole run in one sentence.
#[must_use]
pub fn overall(summary: &Summary) -> String {
    let rows: Vec<&Row> = summary.headline.rows.iter().filter(|row| row.runtime != REFERENCE).collect();
    let said: Vec<String> =
        rows.iter().filter_map(|row| row_sentence(row, &summary.headline.columns)).collect();
    if said.is_empty() {
        return "Nothing was measured that could be compared with a plain process.".to_owned();
    }
    format!("Compared with a plain process, {}.", said.join("; "))
}

fn row_sentence(row: &Row, columns: &[Column]) -> Option<String> {
    let known =
        columns.iter().zip(&row.figures).filter_map(|(column, figure)| Some((column, figure.as_ref()?)));
    let parts: Vec<String> = known.filter_map(|(column, figure)| clause(column, figure)).collect();
    (!parts.is_empty()).then(|| format!("{} {}", fmt::clean(&row.runtime), listed(&parts)))
}

/// "takes 4.04× the time to start", "computes as fast"; "about" where no verdict is possible.
fn clause(column: &Column, figure: &Figure) -> Option<String> {
    let (same, verb, what, place) = match column.scenario.as_str() {
        "startup" => ("starts as fast", "takes", "the time to start", "to start"),
        "memory" => ("weighs the same in memory", "weighs", "the memory", "in memory"),
        // Not "disk": files may lie in memory, and the figure counts them wherever they lie.
        "disk" => ("takes the same room for its files", "takes", "the room for its files", "for its files"),
        "throughput" => ("computes as fast", "computes at", "the rate", ""),
        "program" => ("runs the program as fast", "takes", "the time for the program", "for the program"),
        _ => return None,
    };
    let about = if figure.verdict == Some(Verdict::Inconclusive) { "about " } else { "" };
    match (figure.ratio, figure.difference) {
        _ if figure.verdict == Some(Verdict::Equivalent) => Some(same.to_owned()),
        (Some(_), _) => Some(format!("{verb} {about}{} {what}", ratio(figure))),
        (None, Some(Number(0.0))) => Some(same.to_owned()),
        (None, Some(Number(apart))) => {
            let more = if apart > 0.0 { "more" } else { "less" };
            Some(format!("{verb} {about}{} {more} {place}", fmt::quantity(&figure.unit, apart.abs(), None)))
        }
        (None, None) => None,
    }
}

fn listed(parts: &[String]) -> String {
    match parts {
        [] => String::new(),
        [one] => one.clone(),
        [most @ .., last] => format!("{} and {last}", most.join(", ")),
    }
}

/// The answer of one scenario: every runtime's figure with its ratio.
#[must_use]
pub fn of_scenario(summary: &Summary, scenario: &str) -> String {
    let columns = &summary.headline.columns;
    let Some(at) = columns.iter().position(|column| column.scenario == scenario) else {
        return "Nothing was measured.".to_owned();
    };
    let rows = summary.headline.rows.iter().filter_map(|row| Some((row, row.figures.get(at)?.as_ref()?)));
    let said: Vec<String> = rows.filter_map(|(row, figure)| phrase(row, figure)).collect();
    if said.is_empty() {
        return "Nothing was measured.".to_owned();
    }
    let what = fmt::clean(&columns[at].what);
    let mut text = format!("{}: {}.", capital(&what), said.join(", "));
    if scenario == "throughput" {
        text.push_str(&system_calls(summary, scenario));
    }
    for (why, names) in unsure(summary, at) {
        text.push_str(&format!(" No verdict for {}: {}.", listed(&names), fmt::clean(&why)));
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
            let range = if from == to { from } else { format!("{from} to {to}") };
            format!("at {range} in {}", fmt::clean(name))
        })
        .collect();
    if said.is_empty() { String::new() } else { format!(" Operating-system calls run {}.", listed(&said)) }
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
