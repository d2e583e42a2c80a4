//! The comparison as annotations of GitHub Actions.
//!
//! Workflow commands: `::error title=…::message`, with `%`, carriage return and line feed escaped in messages, and `:`
//! and `,` in properties too (GitHub's documentation, "Workflow commands for GitHub Actions", and the runner's
//! `ActionCommand`). GitHub shows at most ten of a kind and step: the tenth says how many more there are.

use super::compare::Comparison;
use super::finding::Class;
use super::words;

/// Annotations of one kind that are shown.
pub const MOST: usize = 10;

/// One line per annotation.
#[must_use]
pub fn annotations(comparison: &Comparison) -> Vec<String> {
    let mut all = Vec::new();
    for (class, kind, title) in [
        (Class::Regression, "error", "regression"),
        (Class::Inconclusive, "warning", "inconclusive"),
        (Class::Improvement, "notice", "improvement"),
    ] {
        let lost = comparison.lost.iter().filter(|lost| lost.class == class).map(words::loss);
        let found = comparison.findings.iter().filter(|f| f.counts_as() == class).map(words::sentence);
        let texts: Vec<String> = lost.chain(found).collect();
        let shown = if texts.len() > MOST { MOST - 1 } else { texts.len() };
        let rest = texts.len() - shown;
        let more = (rest > 0).then(|| format!("{rest} more; see the summary of the job"));
        let title = property(&format!("isomark: {title}"));
        for text in texts.into_iter().take(shown).chain(more) {
            all.push(format!("::{kind} title={title}::{}", data(&text)));
        }
    }
    all
}

fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}
