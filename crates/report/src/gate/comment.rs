//! The comparison as a comment below a pull request.
//!
//! Begins with a marker that does not show, so that a workflow finds its own comment and replaces it. GitHub refuses
//! bodies above 65,536 characters: rows are left out from the end, and how many is said. Everything from a run is
//! escaped as in `summary.md`, also what would call a person (`@name`).

use super::compare::Comparison;
use super::finding::{Class, Finding};
use super::words;
use crate::markdown::escape;

/// Largest comment in bytes, marker included.
pub const MOST: usize = 60_000;
/// What the end of a comment may need.
const TAIL: usize = 600;

/// The comment. `name` is whatever tells several gates of one project apart.
///
/// ```
/// use isomark_report::gate::comment::marker;
/// assert_eq!(marker("nightly"), "<!-- isomark:nightly -->");
/// ```
#[must_use]
pub fn comment(name: &str, comparison: &Comparison) -> String {
    format!("{}\n{}", marker(name), summary(comparison))
}

/// What the comment is found by.
#[must_use]
pub fn marker(name: &str) -> String {
    let safe = |c: char| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '_' };
    let name: String = name.chars().take(60).map(safe).collect();
    // Two hyphens would end the comment early.
    format!("<!-- isomark:{} -->", name.replace("--", "-_"))
}

/// The comparison in Markdown without a marker, below the same limit.
#[must_use]
pub fn summary(comparison: &Comparison) -> String {
    let counts = comparison.counts();
    let mark = match (counts.regressions, comparison.is_empty()) {
        (_, true) => "⚪ nothing was compared",
        (0, false) => "✅ no regression",
        (_, false) => "❌ worse",
    };
    let mut out = format!("### isomark: {mark} · {}\n\n", words::counts(counts));
    let base = comparison.base.iter().map(|id| code(id)).collect::<Vec<_>>();
    let middle = if base.len() > 1 { "the middle of " } else { "" };
    out.push_str(&format!("{} against {middle}{}\n\n", code(&comparison.head), base.join(", ")));
    let mut left = 0;
    let mut rows = rows(comparison).into_iter();
    out.push_str("| runtime, scenario: metric | base | head | change (95 % interval) | equal within | n | verdict |\n|---|---:|---:|---:|---:|---:|---|\n");
    for row in rows.by_ref() {
        if out.len() + row.len() + TAIL > MOST {
            left += 1;
            break;
        }
        out.push_str(&row);
    }
    left += rows.count();
    if left > 0 {
        out.push_str(&format!("\n{left} more rows are left out; the JSON output has them all.\n"));
    }
    for note in comparison.notes.iter().take(3) {
        let note = crate::fmt::shortened(&escape(note), 120);
        out.push_str(&format!("\n> {note}\n"));
    }
    out
}

/// What needs attention first, then what got better; what did not change is counted above.
fn rows(comparison: &Comparison) -> Vec<String> {
    let mut all: Vec<String> = comparison
        .lost
        .iter()
        .map(|lost| {
            let mark = if lost.class == Class::Regression { "❌" } else { "❔" };
            let reason = crate::fmt::shortened(&lost.reason, 200);
            let what = escape(&words::lost(lost));
            format!("| {what} | | | | | | {mark} {}: {} |\n", escape(&lost.how), escape(&reason))
        })
        .collect();
    for (class, mark) in [
        (Class::Regression, "❌"),
        (Class::Inconclusive, "❔"),
        (Class::Improvement, "✅"),
        (Class::None, "⚪"),
    ] {
        let found = comparison.findings.iter().filter(|f| f.decides && f.class == class);
        all.extend(found.map(|finding| row(finding, mark)));
    }
    all.extend(comparison.findings.iter().filter(|f| !f.decides).map(|f| row(f, "shown only,")));
    all
}

fn row(finding: &Finding, mark: &str) -> String {
    let bold =
        |text: String| if finding.counts_as() == Class::Regression { format!("**{text}**") } else { text };
    let why = finding.why.as_ref().map_or_else(String::new, |why| format!(": {}", escape(why)));
    format!(
        "| {} | {} | {} | {} | {} | {} | {mark} {}{why} |\n",
        escape(&words::title(finding)),
        escape(&words::value(finding, finding.base)),
        escape(&words::value(finding, finding.head)),
        bold(escape(&words::change(finding))),
        escape(&words::equal(finding)),
        finding.n,
        finding.verdict.word(),
    )
}

/// A name in a box: nothing in it is markup.
fn code(text: &str) -> String {
    format!("`{}`", crate::fmt::shortened(&crate::fmt::clean(text).replace('`', "'"), 120))
}
