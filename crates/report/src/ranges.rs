//! What is the answer where there are too many runtimes to name each in a sentence?
//!
//! The two ends of the range and who stands there, from the headline table; which is where all the others are.

use crate::answers;
use crate::fmt;
use crate::reference::REFERENCE;
use crate::stats::verdict::Verdict;
use crate::summary::{Figure, Headline, Row};
use crate::words::{say, tell};

/// Runtimes from which on a sentence names the ends only.
const MANY: usize = 7;

/// Scenarios that the answer of the whole run names.
const NAMED: [(&str, &str); 5] = [
    ("startup", "ranges.startup"),
    ("memory", "ranges.memory"),
    ("disk", "ranges.disk"),
    ("throughput", "ranges.throughput"),
    ("program", "ranges.program"),
];

/// The whole run in one sentence; none where there are few runtimes.
#[must_use]
pub fn overall(headline: &Headline) -> Option<String> {
    let has_any = |row: &&Row| row.runtime != REFERENCE && row.figures.iter().any(Option::is_some);
    let runtimes = headline.rows.iter().filter(has_any).count();
    if runtimes < MANY {
        return None;
    }
    let columns = headline.columns.iter().enumerate();
    let said: Vec<String> = columns
        .filter_map(|(at, column)| {
            let (_, key) = NAMED.iter().find(|(name, _)| *name == column.scenario)?;
            let ratio = |figure: &Figure| figure.ratio;
            let ends = ends(&figures(headline, at), ratio, answers::ratio)?;
            Some(tell(
                key,
                &[("low", &ends[0].1), ("lowest", &ends[0].0), ("high", &ends[1].1), ("highest", &ends[1].0)],
            ))
        })
        .collect();
    (!said.is_empty())
        .then(|| tell("ranges.overall", &[("n", &runtimes), ("said", &said.join(&say("ranges.then")))]))
}

/// The answer of one scenario; none where there are few runtimes.
#[must_use]
pub fn of_scenario(headline: &Headline, scenario: &str) -> Option<String> {
    let at = headline.columns.iter().position(|column| column.scenario == scenario)?;
    let all = figures(headline, at);
    if all.len() <= MANY {
        return None;
    }
    let valued = all.iter().any(|(_, figure)| figure.value.is_some());
    let ends = if valued {
        ends(&all, |figure| figure.value.map(|v| v.0), answers::value)
    } else {
        ends(&all, |figure| figure.ratio, answers::with_interval)
    }?;
    let what = answers::capital(&fmt::clean(&headline.columns[at].what));
    let [(lowest, low), (highest, high)] = ends;
    let mut text = tell(
        "ranges.scenario",
        &[
            ("what", &what),
            ("low", &low),
            ("lowest", &lowest),
            ("high", &high),
            ("highest", &highest),
            ("n", &all.len()),
        ],
    );
    let unsure = all.iter().filter(|(_, figure)| figure.verdict == Some(Verdict::Inconclusive)).count();
    if unsure > 0 {
        text.push_str(&tell("ranges.unsure", &[("n", &unsure)]));
    }
    Some(text)
}

/// Figures of a column.
fn figures(headline: &Headline, at: usize) -> Vec<(&Row, &Figure)> {
    headline.rows.iter().filter_map(|row| Some((row, row.figures.get(at)?.as_ref()?))).collect()
}

/// Names and words of the least and of the greatest.
fn ends(
    all: &[(&Row, &Figure)],
    by: impl Fn(&Figure) -> Option<f64>,
    words: impl Fn(&Figure) -> String,
) -> Option<[(String, String); 2]> {
    let mut known: Vec<(f64, &Row, &Figure)> =
        all.iter().filter_map(|(row, figure)| Some((by(figure)?, *row, *figure))).collect();
    known.sort_by(|a, b| a.0.total_cmp(&b.0));
    let told = |(_, row, figure): &(f64, &Row, &Figure)| (fmt::clean(&row.runtime), words(figure));
    Some([told(known.first()?), told(known.last()?)])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::summary::Column;
    use isomark_core::runtime::Kind;

    fn headline(runtimes: usize) -> Headline {
        let row = |at: usize| Row {
            runtime: if at == 0 { REFERENCE.into() } else { format!("box-{at}") },
            kind: Kind::Container,
            reason: None,
            figures: vec![Some(Figure {
                value: Some(crate::summary::Number(1e6 * (1.0 + at as f64))),
                ratio: (at > 0).then_some(1.0 + at as f64),
                verdict: (at == 2).then_some(Verdict::Inconclusive),
                ..Figure::blank("startup", "ns", 40)
            })],
        };
        let column = Column { scenario: "startup".into(), what: "time".into(), relative: false };
        Headline { columns: vec![column], rows: (0..runtimes).map(row).collect() }
    }

    #[test]
    fn few_are_named_and_of_many_the_ends() {
        let told = |runtimes| {
            let all = headline(runtimes);
            (overall(&all), of_scenario(&all, "startup"))
        };
        assert_eq!(told(5), (None, None));
        let (whole, one) = told(12);
        assert_eq!(
            whole.as_deref(),
            Some(
                "11 runtimes against a plain process: time to start from 2.00× in box-1 to 12.0× in box-11."
            )
        );
        assert_eq!(
            one.as_deref(),
            Some(
                "Time: from 1.00 ms in process to 12.0 ms in box-11, of 12 runtimes. No verdict for 1 of them."
            )
        );
    }
}
