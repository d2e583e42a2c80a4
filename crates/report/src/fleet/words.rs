//! A fleet's numbers in words: the same for the page, for Markdown and for a terminal.

use isomark_core::Params;

use super::summary::{ClassSummary, FleetCell, FleetClaim, FleetMetric, FleetSummary, FleetVersus, Holds};
use crate::fmt;
use crate::words::{comma, named, say, tell};

/// A question of the plan: its scenario, parameters and headline metric.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Question<'s> {
    pub(super) scenario: &'s str,
    pub(super) params: &'s Params,
    pub(super) metric: &'s FleetMetric,
}

impl Question<'_> {
    pub(super) fn title(&self) -> String {
        let blank = if self.params.is_empty() { "" } else { ", " };
        let words = crate::charts::words(self.params);
        fmt::clean(&format!("{} · {}{blank}{words}", self.scenario, self.metric.name))
    }

    pub(super) fn asks(&self, cell: &FleetCell) -> bool {
        cell.scenario == self.scenario && cell.params == *self.params
    }
}

/// All questions that any class answers, in the order of the plan.
pub(super) fn questions(summary: &FleetSummary) -> Vec<Question<'_>> {
    let mut all: Vec<Question<'_>> = Vec::new();
    for cell in summary.classes.iter().flat_map(|class| &class.cells) {
        let known = all.iter().any(|question| question.asks(cell));
        if let Some(metric) = cell.metrics.first().filter(|_| !known) {
            all.push(Question { scenario: &cell.scenario, params: &cell.params, metric });
        }
    }
    all
}

/// The runtimes that answer a question, in the order of the plan.
pub(super) fn runtimes<'s>(summary: &'s FleetSummary, question: &Question<'_>) -> Vec<&'s str> {
    let mut all: Vec<&str> = Vec::new();
    for cell in summary.classes.iter().flat_map(|c| c.cells.iter().filter(|cell| question.asks(cell))) {
        if !all.contains(&&*cell.runtime) {
            all.push(&cell.runtime);
        }
    }
    all
}

/// The headline metric of a runtime on a class.
pub(super) fn found<'s>(
    class: &'s ClassSummary,
    question: &Question<'_>,
    runtime: &str,
) -> Option<&'s FleetMetric> {
    class.cells.iter().find(|cell| question.asks(cell) && cell.runtime == runtime)?.metrics.first()
}

/// Median over hosts, with the smallest and the largest host: `1.23 ms (1.10–1.41)`.
pub(super) fn medians(metric: &FleetMetric) -> String {
    let (Some(median), Some(low), Some(high)) = (metric.median, metric.min, metric.max) else {
        return "~".into();
    };
    let value = fmt::quantity(&metric.unit, median.0, None);
    if metric.hosts < 2 {
        return value;
    }
    format!("{value} ({})", fmt::interval(&metric.unit, median.0, [low.0, high.0]))
}

/// The comparison with its interval: `1.23× (1.18–1.27)`.
pub(super) fn against(metric: &FleetMetric) -> String {
    let Some(versus) = &metric.versus else { return say("fleet.reference") };
    match (versus.ratio, versus.difference) {
        (Some(ratio), _) => {
            let text = fmt::ratio(ratio, versus.ci95);
            versus
                .ci95
                .map_or_else(|| text.clone(), |ci| format!("{text} ({})", fmt::ratio_interval(ratio, ci)))
        }
        (None, Some(apart)) => {
            let text = fmt::quantity(&metric.unit, apart.0, None);
            let ci = versus.ci95.map(|ci| fmt::interval(&metric.unit, apart.0, ci));
            let more = tell("fleet.more", &[("amount", &text)]);
            ci.map_or_else(|| more.clone(), |ci| format!("{more} ({ci})"))
        }
        (None, None) => "~".into(),
    }
}

/// Spread within hosts, between hosts and the share between them: `4.1 %`, `9.8 %`, `0.85`.
pub(super) fn spread(metric: &FleetMetric, versus: &FleetVersus) -> [String; 3] {
    let told = |sd: Option<f64>| match sd {
        // Of log-ratios: as a share.
        Some(sd) if versus.ratio.is_some() => format!("{:.1} %", sd.exp_m1() * 100.0),
        Some(sd) => fmt::quantity(&metric.unit, sd, None),
        None => "~".to_owned(),
    };
    let icc = versus.icc.map_or("~".to_owned(), |icc| format!("{icc:.2}"));
    [told(versus.within_sd), told(versus.between_sd), icc]
}

/// `supported on 9 of 10 hosts`.
pub(super) fn claim(claim: &FleetClaim, hosts: usize) -> String {
    let count = match claim.verdict {
        Holds::Supported => claim.supported,
        Holds::Refuted => claim.refuted,
        Holds::Mixed => {
            return tell("fleet.mixed", &[("yes", &claim.supported), ("no", &claim.refuted)]);
        }
        Holds::Inconclusive | Holds::NotTestable => return holds(claim.verdict),
    };
    tell("fleet.holds", &[("verdict", &holds(claim.verdict)), ("n", &count), ("all", &hosts)])
}

/// What a class says of a claim, as a reader sees it.
fn holds(verdict: Holds) -> String {
    named("word", &verdict.word().replace(' ', "-"))
}

/// How many hosts can be used, in a sentence.
pub(super) fn answer(summary: &FleetSummary) -> String {
    let one = |class: &ClassSummary| {
        let with: [(&str, &dyn std::fmt::Display); 3] =
            [("n", &class.hosts), ("all", &class.replicas), ("class", &class.label)];
        tell("fleet.of_class", &with)
    };
    let all = comma(&summary.classes.iter().map(one).collect::<Vec<_>>());
    fmt::clean(&tell("fleet.answer", &[("plan", &summary.plan), ("classes", &all)]))
}

/// Claims that at least one class decides or disputes.
pub(super) fn decided(summary: &FleetSummary) -> Vec<(&str, Vec<Option<&FleetClaim>>)> {
    let Some(first) = summary.classes.first() else { return Vec::new() };
    let row = |claim: &'_ FleetClaim| {
        summary.classes.iter().map(|class| class.claims.iter().find(|c| c.id == claim.id)).collect::<Vec<_>>()
    };
    let telling = |row: &[Option<&FleetClaim>]| {
        row.iter().flatten().any(|c| matches!(c.verdict, Holds::Supported | Holds::Refuted | Holds::Mixed))
    };
    first.claims.iter().map(|c| (&*c.title, row(c))).filter(|(_, row)| telling(row)).collect()
}
