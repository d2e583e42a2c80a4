//! How a finding reads: the same words in a terminal, a comment, an annotation and a test report.
//!
//! Plain words made harmless by [`fmt::clean`]; markup is escaped by whoever writes markup.

use isomark_core::Params;

use super::compare::{Comparison, Counts, Lost};
use super::finding::{Class, Finding};
use crate::fmt;
use crate::summary::Number;

/// `microvm startup cache=warm: startup`.
#[must_use]
pub fn title(finding: &Finding) -> String {
    format!(
        "{}: {}",
        cell(&finding.runtime, &finding.scenario, &finding.params),
        fmt::shortened(&fmt::clean(&finding.metric), 80)
    )
}

/// `microvm startup cache=warm: startup`, or without the metric if the whole cell is lost.
#[must_use]
pub fn lost(lost: &Lost) -> String {
    let cell = cell(&lost.runtime, &lost.scenario, &lost.params);
    lost.metric.as_ref().map_or_else(|| cell.clone(), |metric| format!("{cell}: {}", fmt::clean(metric)))
}

fn cell(runtime: &str, scenario: &str, params: &Params) -> String {
    let blank = if params.is_empty() { "" } else { " " };
    // Names come from a file that anybody may have written.
    fmt::shortened(&fmt::clean(&format!("{runtime} {scenario}{blank}{params}")), 200)
}

/// `+18.6 % [+15.9, +21.2]`, or for a size `+132 KiB [+128, +140]`.
#[must_use]
pub fn change(finding: &Finding) -> String {
    if let Some(difference) = finding.difference {
        let Number(value) = difference.median;
        let ci95 = difference.ci95.map(|ci| ci.map(|x| x.0));
        let text = fmt::difference(&finding.unit, value, ci95);
        let scale = fmt::scale(&finding.unit, value);
        return match ci95 {
            Some(ci) => {
                let [low, high] = ci.map(|x| scale.write(x, if scale.factor == 1.0 { 0 } else { 1 }));
                format!("{text} [{low}, {high}]")
            }
            None => text,
        };
    }
    let percent = |ratio: f64| signed((ratio - 1.0) * 100.0);
    match (finding.ratio, finding.ci95) {
        (Some(ratio), Some([low, high])) => {
            format!("{} % [{}, {}]", percent(ratio), percent(low), percent(high))
        }
        (Some(ratio), None) => format!("{} % [~]", percent(ratio)),
        (None, _) => "~".to_owned(),
    }
}

fn signed(percent: f64) -> String {
    let decimals = if percent.abs() < 99.5 { 1 } else { 0 };
    let text = format!("{percent:+.decimals$}");
    // A rounded zero has no direction.
    if text.trim_start_matches(['+', '-']).bytes().all(|b| matches!(b, b'0' | b'.')) {
        text.trim_start_matches(['+', '-']).to_owned()
    } else {
        text
    }
}

/// What counts as equal: `±3.0 %`, `±64.0 KiB`.
#[must_use]
pub fn equal(finding: &Finding) -> String {
    if finding.difference.is_some() {
        let apart = fmt::difference(&finding.unit, finding.equal[1], None);
        return format!("±{}", apart.trim_start_matches('+'));
    }
    format!("±{:.1} %", (finding.equal[1] - 1.0) * 100.0)
}

/// The value of base or head with its unit.
#[must_use]
pub fn value(finding: &Finding, value: Option<Number>) -> String {
    value.map_or_else(|| "~".to_owned(), |v| fmt::quantity(&finding.unit, v.0, None))
}

/// Everything of a finding in one line.
#[must_use]
pub fn sentence(finding: &Finding) -> String {
    let why = finding.why.as_ref().map_or_else(String::new, |why| format!(" ({})", fmt::clean(why)));
    format!(
        "{} {}: {}, {} → {}, equal within {}, n = {}{why}",
        title(finding),
        finding.verdict.word(),
        change(finding),
        value(finding, finding.base),
        value(finding, finding.head),
        equal(finding),
        finding.n,
    )
}

/// Everything of a loss in one line.
#[must_use]
pub fn loss(lost: &Lost) -> String {
    format!("{} {}: {}", self::lost(lost), lost.how, fmt::shortened(&fmt::clean(&lost.reason), 300))
}

/// `1 regression, 2 improvements, 34 unchanged, 1 inconclusive`.
#[must_use]
pub fn counts(counts: Counts) -> String {
    let many = |n: usize, word: &str| format!("{n} {word}{}", if n == 1 { "" } else { "s" });
    let mut text = format!(
        "{}, {}, {} unchanged, {} inconclusive",
        many(counts.regressions, "regression"),
        many(counts.improvements, "improvement"),
        counts.unchanged,
        counts.inconclusive
    );
    if counts.shown_only > 0 {
        text.push_str(&format!("; {} more are shown only", counts.shown_only));
    }
    text
}

/// The comparison for a terminal: what needs attention in full, the rest counted; with `all` every line.
#[must_use]
pub fn terminal(comparison: &Comparison, all: bool) -> String {
    let mut out = String::new();
    let mut line = |mark: &str, text: &str| out.push_str(&format!("{mark:<14}{text}\n"));
    for lost in &comparison.lost {
        line(if lost.class == Class::Regression { "regression" } else { "inconclusive" }, &loss(lost));
    }
    for class in [Class::Regression, Class::Inconclusive, Class::Improvement, Class::None] {
        let found = comparison.findings.iter().filter(|f| f.class == class);
        // What is within its limits, or decides nothing, would bury what matters.
        for finding in found.filter(|f| all || (f.decides && f.class != Class::None)) {
            let mark = match (finding.decides, class) {
                (false, _) => "shown only",
                (true, Class::None) => "unchanged",
                (true, class) => class.word(),
            };
            line(mark, &sentence(finding));
        }
    }
    for apart in &comparison.apart {
        line("not compared", &fmt::clean(&format!("{} ({})", apart.what, apart.why)));
    }
    for cell in &comparison.new {
        line("new", &fmt::clean(cell));
    }
    for note in &comparison.notes {
        line("note", &fmt::clean(note));
    }
    out.push_str(&format!("{}\n", counts(comparison.counts())));
    out
}
