//! What does one comparison of one metric say?
//!
//! A finding holds base and head of one metric of one cell with the verdict. A regression needs the whole 95 % interval
//! beyond the limit, widened to the A/A band where the runs know theirs; sizes are judged by their difference, times
//! and rates by their ratio. Everything that cannot be decided says why.

use isomark_core::{Better, Metric, Params};
use serde::{Deserialize, Serialize};

use super::thresholds::Limit;
use crate::region::{Region, quantity};
use crate::stats::paired::Estimate;
use crate::stats::verdict::{Quantity, Verdict, judge};
use crate::summarise::{number, rounded};
use crate::summary::{Difference, Number};

/// What follows for the gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Class {
    /// Worse beyond the limit.
    Regression,
    /// Nothing can be said.
    Inconclusive,
    /// Better beyond the limit.
    Improvement,
    /// Within the limit.
    None,
}

impl Class {
    /// The word used in files and reports.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Regression => "regression",
            Self::Inconclusive => "inconclusive",
            Self::Improvement => "improvement",
            Self::None => "none",
        }
    }
}

/// What the numbers of a comparison are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Basis {
    /// Pairs within the blocks of one run.
    Paired,
    /// Ratios to this runtime within each run, compared between two runs.
    RatioTo(String),
    /// The values themselves, of two runs.
    Absolute,
}

impl Basis {
    /// In words.
    #[must_use]
    pub fn words(&self) -> String {
        match self {
            Self::Paired => "paired within blocks".to_owned(),
            Self::RatioTo(runtime) => format!("ratio to {runtime} within each run"),
            Self::Absolute => "the values themselves".to_owned(),
        }
    }
}

/// Which metric of which cell is compared.
#[derive(Clone, Debug, PartialEq)]
pub struct Subject<'s> {
    /// Runtime.
    pub runtime: &'s str,
    /// Scenario.
    pub scenario: &'s str,
    /// Parameters.
    pub params: &'s Params,
    /// Metric.
    pub metric: &'s Metric,
}

/// What was found out about a subject.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// What the numbers are.
    pub basis: Basis,
    /// Median of the base, in the metric's unit.
    pub base: Option<f64>,
    /// Median of the head, in the metric's unit.
    pub head: Option<f64>,
    /// Head over base; none where a value is not positive.
    pub ratio: Option<Estimate>,
    /// Head minus base in the metric's unit: what a size is judged by.
    pub difference: Option<Estimate>,
    /// How far two measurements of the same differ here, as a share: the A/A band. None if that was not measured.
    pub band: Option<f64>,
}

/// One comparison of one metric of one cell.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// Runtime.
    pub runtime: String,
    /// Scenario.
    pub scenario: String,
    /// Parameters.
    #[serde(default)]
    pub params: Params,
    /// Metric.
    pub metric: String,
    /// Its unit.
    pub unit: String,
    /// Which direction is better.
    pub better: Better,
    /// What the numbers are.
    pub basis: Basis,
    /// Median of the base.
    pub base: Option<Number>,
    /// Median of the head.
    pub head: Option<Number>,
    /// Head over base.
    pub ratio: Option<f64>,
    /// 95 % interval of the ratio.
    pub ci95: Option<[f64; 2]>,
    /// Head minus base with its interval, for sizes: what their verdict rests on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub difference: Option<Difference>,
    /// The A/A band as a share, if it was measured.
    pub band: Option<f64>,
    /// The limit that was asked for.
    pub limit: Region,
    /// What was applied: the bounds of the ratio, or for a size of the difference, that count as equal.
    pub equal: [f64; 2],
    /// Trials or pairs: of two runs the smaller number.
    pub n: usize,
    /// What can be said.
    pub verdict: Verdict,
    /// Why nothing can be said.
    pub why: Option<String>,
    /// What follows for the gate.
    pub class: Class,
    /// Whether the gate heeds it. Companions of a headline metric are shown, and decide only if the thresholds name them.
    pub decides: bool,
    /// Probability of such data if the change were just at the limit, where a test was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p: Option<f64>,
}

impl Finding {
    /// Judges what was found against a limit.
    #[must_use]
    pub fn judged(subject: &Subject<'_>, found: &Found, limit: Limit) -> Self {
        let Subject { runtime, scenario, params, metric } = *subject;
        let kind = quantity(metric);
        let equal = equal(found, limit, kind);
        let judged = if kind == Quantity::Size { found.difference } else { found.ratio };
        let (verdict, why) = match judged {
            Some(estimate) => judge(&estimate, equal, kind),
            None => (Verdict::Inconclusive, Some("a value of zero or below has no ratio".to_owned())),
        };
        let why = why.map(|why| match found.band.filter(|band| *band > limit.relative) {
            Some(band) if judged.is_some_and(|e| e.ci95.is_some()) => {
                format!("{why}; the host is noisy: an A/A comparison moves by {:.1} %", band * 100.0)
            }
            _ => why,
        });
        Self {
            runtime: runtime.to_owned(),
            scenario: scenario.to_owned(),
            params: params.clone(),
            metric: metric.name.to_string(),
            unit: metric.unit.to_string(),
            better: metric.better,
            basis: found.basis.clone(),
            base: found.base.map(|x| number(metric, x)),
            head: found.head.map(|x| number(metric, x)),
            ratio: found.ratio.map(|r| rounded(r.value)),
            ci95: found.ratio.and_then(|r| r.ci95).map(|ci| ci.map(rounded)),
            difference: found.difference.filter(|_| kind == Quantity::Size).map(|d| Difference {
                median: number(metric, d.value),
                ci95: d.ci95.map(|ci| ci.map(|x| number(metric, x))),
            }),
            band: found.band.map(rounded),
            limit: limit.region(),
            equal: equal.map(rounded),
            n: judged.map_or(0, |e| e.n),
            verdict,
            why,
            class: class(verdict),
            decides: !limit.ignore,
            p: None,
        }
    }

    /// What follows for the gate: nothing if it is only shown.
    #[must_use]
    pub fn counts_as(&self) -> Class {
        if self.decides { self.class } else { Class::None }
    }

    /// Takes a verdict back.
    pub fn withdraw(&mut self, why: String) {
        self.verdict = Verdict::Inconclusive;
        self.class = Class::Inconclusive;
        self.why = Some(why);
    }
}

/// The bounds of the estimate that count as equal: the largest of limit, absolute limit and A/A band.
fn equal(found: &Found, limit: Limit, kind: Quantity) -> [f64; 2] {
    let share = limit.relative.max(found.band.unwrap_or(0.0));
    if kind == Quantity::Size {
        return Region { relative: share, absolute: limit.absolute }.difference(found.base.unwrap_or(0.0));
    }
    // An absolute limit of a time or rate, as the share that it is of the base.
    let absolute =
        limit.absolute.zip(found.base.filter(|base| *base > 0.0)).map(|(limit, base)| limit / base);
    Region { relative: share.max(absolute.unwrap_or(0.0)), absolute: None }.ratio()
}

/// Slower and more are worse, whatever the unit: the verdict's words know the direction.
const fn class(verdict: Verdict) -> Class {
    match verdict {
        Verdict::Slower | Verdict::More => Class::Regression,
        Verdict::Faster | Verdict::Less => Class::Improvement,
        Verdict::Equivalent => Class::None,
        Verdict::Inconclusive => Class::Inconclusive,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LIMIT: Limit = Limit { relative: 0.03, absolute: None, ignore: false, named: false };

    fn found(value: f64, ci95: [f64; 2], n: usize) -> Found {
        let ratio = Some(Estimate { n, value, ci95: Some(ci95) });
        let basis = Basis::RatioTo("process".into());
        Found { basis, base: Some(1e6), head: Some(1e6 * value), ratio, difference: None, band: None }
    }

    fn judged(metric: &Metric, found: &Found, limit: Limit) -> Finding {
        let params = Params::new();
        let subject = Subject { runtime: "microvm", scenario: "startup", params: &params, metric };
        Finding::judged(&subject, found, limit)
    }

    #[track_caller]
    fn check(metric: &Metric, found: &Found, verdict: Verdict, class: Class) {
        let finding = judged(metric, found, LIMIT);
        assert_eq!((finding.verdict, finding.class), (verdict, class), "{finding:?}");
        assert_eq!(finding.why.is_some(), class == Class::Inconclusive);
    }

    #[test]
    fn direction_decides_what_is_worse() {
        let (time, rate) = (Metric::time("startup"), Metric::rate("best", "flop"));
        let up = found(1.1, [1.05, 1.15], 40);
        let down = found(0.9, [0.85, 0.95], 40);
        check(&time, &up, Verdict::Slower, Class::Regression);
        check(&time, &down, Verdict::Faster, Class::Improvement);
        check(&rate, &up, Verdict::Faster, Class::Improvement);
        check(&rate, &down, Verdict::Slower, Class::Regression);
        check(&time, &found(1.0, [0.98, 1.02], 40), Verdict::Equivalent, Class::None);
        check(&time, &found(1.1, [1.02, 1.2], 40), Verdict::Inconclusive, Class::Inconclusive);
        check(&time, &found(1.1, [1.05, 1.15], 19), Verdict::Inconclusive, Class::Inconclusive);
    }

    #[test]
    fn sizes_are_judged_by_their_difference() {
        let size = Metric::size("pss");
        let difference = |low: f64, high: f64| Found {
            basis: Basis::Absolute,
            base: Some(1e6),
            head: None,
            ratio: None,
            difference: Some(Estimate { n: 30, value: f64::midpoint(low, high), ci95: Some([low, high]) }),
            band: None,
        };
        check(&size, &difference(40_000.0, 50_000.0), Verdict::More, Class::Regression);
        check(&size, &difference(-50_000.0, -40_000.0), Verdict::Less, Class::Improvement);
        check(&size, &difference(-10.0, 20_000.0), Verdict::Equivalent, Class::None);
        let wide = Limit { absolute: Some(65_536.0), ..LIMIT };
        assert_eq!(judged(&size, &difference(40_000.0, 50_000.0), wide).class, Class::None);
    }

    #[test]
    fn band_and_absolute_limits_widen_and_ignored_findings_count_for_nothing() {
        let time = Metric::time("startup");
        let up = found(1.1, [1.05, 1.15], 40);
        let noisy = Found { band: Some(0.2), ..up.clone() };
        assert_eq!(judged(&time, &noisy, LIMIT).class, Class::None);
        let finding = judged(&time, &Found { band: Some(0.12), ..up.clone() }, LIMIT);
        assert!(finding.why.as_ref().is_some_and(|why| why.contains("moves by 12.0 %")), "{finding:?}");
        let absolute = Limit { absolute: Some(200_000.0), ..LIMIT };
        assert_eq!(judged(&time, &up, absolute).class, Class::None);
        let ignored = judged(&time, &up, Limit { ignore: true, ..LIMIT });
        assert_eq!((ignored.class, ignored.counts_as()), (Class::Regression, Class::None));
        let none = Found { ratio: None, ..up };
        assert_eq!(judged(&time, &none, LIMIT).class, Class::Inconclusive);
    }

    proptest! {
        #[test]
        fn a_regression_lies_wholly_beyond_the_limit(
            low in 0.5..1.5_f64, width in 0.0..0.5_f64, n in 0_usize..60, band in 0.0..0.2_f64,
        ) {
            let found = Found { band: Some(band), ..found(low, [low, low + width], n) };
            let finding = judged(&Metric::time("startup"), &found, LIMIT);
            let edge = 1.0 + band.max(0.03);
            prop_assert_eq!(finding.class == Class::Regression, n >= 20 && low > edge);
            prop_assert_eq!(finding.class == Class::Improvement, n >= 20 && low + width < 1.0 / edge);
        }

        #[test]
        fn a_finding_reads_back(low in 0.5..1.5_f64, n in 0_usize..60) {
            let finding = judged(&Metric::time("startup"), &found(low, [low, low * 1.1], n), LIMIT);
            let text = serde_json::to_string(&finding).unwrap();
            prop_assert_eq!(serde_json::from_str::<Finding>(&text).unwrap(), finding);
        }
    }
}
