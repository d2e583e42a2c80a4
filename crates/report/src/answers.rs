//! What is the answer, in a sentence?
//!
//! Sentences are built from the headline table alone and say no more than its intervals carry: a ratio comes with
//! its interval, and where there is none, the sentence says so.

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
    let sign = if apart > 0.0 { "+" } else { "" };
    Some(if apart == 0.0 {
        "no difference".to_owned()
    } else {
        format!("{sign}{}", fmt::quantity(&figure.unit, apart, None))
    })
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

/// "starts 4.04× slower", "computes as fast".
fn clause(column: &Column, figure: &Figure) -> Option<String> {
    let times = figure.ratio.map(|_| ratio(figure));
    let same = figure.verdict == Some(Verdict::Equivalent);
    Some(match (column.scenario.as_str(), same, times) {
        ("startup", true, _) => "starts as fast".to_owned(),
        ("startup", false, Some(times)) => format!("takes {times} the time to start"),
        ("memory", true, _) => "weighs the same in memory".to_owned(),
        ("memory", false, Some(times)) => format!("weighs {times} the memory"),
        ("disk", true, _) => "takes the same disk".to_owned(),
        ("disk", false, Some(times)) => format!("takes {times} the disk"),
        ("throughput", true, _) => "computes as fast".to_owned(),
        ("throughput", false, Some(times)) => format!("computes at {times} the rate"),
        ("program", true, _) => "runs the program as fast".to_owned(),
        ("program", false, Some(times)) => format!("takes {times} the time for the program"),
        _ => return None,
    })
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
    let unsure = summary.headline.rows.iter().filter_map(|row| {
        let figure = row.figures.get(at)?.as_ref()?;
        (figure.verdict == Some(Verdict::Inconclusive)).then(|| fmt::clean(&row.runtime))
    });
    let unsure: Vec<String> = unsure.collect();
    if !unsure.is_empty() {
        text.push_str(&format!(" For {} no verdict is possible.", listed(&unsure)));
    }
    text
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

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}
