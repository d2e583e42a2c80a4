//! Supported, refuted, inconclusive, or not testable here?
//!
//! The whole interval decides, never the estimate alone: supported if it lies where the rule says, refuted if it lies
//! where the rule says the opposite, inconclusive if it reaches across. "Not testable" is never the outcome of a number:
//! it is fixed before the run, or by what the host lacks.

use serde::{Deserialize, Serialize};

use super::among::{Among, whole};
use super::estimate::Found;
use super::file::{Bound, Part};
use crate::fmt;
use crate::stats::order::{self, TAIL};
use crate::stats::verdict::ENOUGH;
use crate::words::{say, tell};

/// What can be said of a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// The interval lies where the claim says.
    Supported,
    /// The interval lies where the claim says it does not.
    Refuted,
    /// Neither.
    Inconclusive,
    /// No measurement on this host could decide.
    NotTestable,
}

impl Verdict {
    /// The word used in files and reports.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Supported => "supported",
            Self::Refuted => "refuted",
            Self::Inconclusive => "inconclusive",
            Self::NotTestable => "not-testable",
        }
    }
}

/// How many must agree.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Quantifier {
    /// A sentence without a qualifier: one counterexample refutes it.
    #[default]
    Every,
    /// "Some": one example supports it.
    Some,
}

impl Quantifier {
    /// The verdict that one is enough for; the opposite one needs all.
    #[must_use]
    pub const fn by_one(self) -> Verdict {
        match self {
            Self::Every => Verdict::Refuted,
            Self::Some => Verdict::Supported,
        }
    }

    /// The verdict of several together; what is not testable decides nothing unless it is all there is.
    #[must_use]
    pub fn of(self, all: &[Verdict]) -> Verdict {
        let has = |verdict| all.contains(&verdict);
        let first = self.by_one();
        let second = if first == Verdict::Refuted { Verdict::Supported } else { Verdict::Refuted };
        match () {
            () if has(first) => first,
            () if has(Verdict::Inconclusive) || all.is_empty() => Verdict::Inconclusive,
            () if has(second) => second,
            () => Verdict::NotTestable,
        }
    }
}

/// What a rule says of an estimate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judged {
    /// The verdict.
    pub verdict: Verdict,
    /// Why.
    pub why: String,
    /// Whether too few trials are all that stands in the way.
    pub few: bool,
}

fn undecided(few: bool, why: String) -> Judged {
    Judged { verdict: Verdict::Inconclusive, why, few }
}

/// Judges an estimate by a rule, as one of several that could decide the claim.
#[must_use]
pub fn judge(found: &Found, part: &Part, among: Among) -> Judged {
    let (Some(supported), Some(refuted)) = (part.supported, part.refuted) else {
        return undecided(false, say("rule.no_thresholds"));
    };
    let (Some(ci95), Some(ci90)) = (found.ci95(), found.ci90()) else {
        return undecided(true, tell("rule.no_interval", &[("n", &found.n)]));
    };
    for (bound, verdict) in [(supported, Verdict::Supported), (refuted, Verdict::Refuted)] {
        if holds(bound, ci95, ci90) {
            return confirmed(found, part, (bound, verdict), among.of(verdict));
        }
    }
    let ([a, b], [c, d]) = (supported.range(), refuted.range());
    let gap = [b.min(d), a.max(c)];
    if gap[0] < gap[1] && ci95[0] >= gap[0] && ci95[1] <= gap[1] {
        let (from, to) = (named(gap[0], &found.unit), named(gap[1], &found.unit));
        return undecided(false, tell("rule.between", &[("from", &from), ("to", &to)]));
    }
    undecided(false, say("rule.across"))
}

/// Whether a verdict that an interval on its own gives stands with what is left of the error where `among` share it.
fn confirmed(found: &Found, part: &Part, (bound, verdict): (Bound, Verdict), among: f64) -> Judged {
    let wide = (found.interval(TAIL / among), found.interval(2.0 * TAIL / among));
    let together = whole(among);
    let (Some(ci95), Some(ci90)) = wide else {
        let needed = order::least(TAIL / among);
        let with: [(&str, &dyn std::fmt::Display); 3] =
            [("n", &found.n), ("needed", &needed), ("together", &together)];
        return undecided(true, tell("rule.few_together", &with));
    };
    if !holds(bound, ci95, ci90) {
        return undecided(false, tell("rule.stray", &[("together", &together)]));
    }
    let enough = part.least.unwrap_or(if part.exact { 1 } else { ENOUGH });
    if found.n < enough && !far_beyond(bound, ci95) {
        return undecided(true, tell("rule.few", &[("n", &found.n), ("needed", &enough)]));
    }
    let why = words(bound, &found.unit);
    let why =
        if together > 1 { tell("rule.together", &[("why", &why), ("together", &together)]) } else { why };
    Judged { verdict, why, few: false }
}

fn holds(bound: Bound, [low, high]: [f64; 2], ci90: [f64; 2]) -> bool {
    let Bound { at_least, above, at_most, below, within } = bound;
    at_least.is_none_or(|t| low >= t)
        && above.is_none_or(|t| low > t)
        && at_most.is_none_or(|t| high <= t)
        && below.is_none_or(|t| high < t)
        && within.is_none_or(|[a, b]| ci90[0] >= a && ci90[1] <= b)
}

/// Whether the interval lies beyond the threshold by a factor of two: few trials suffice for that.
fn far_beyond(bound: Bound, [low, high]: [f64; 2]) -> bool {
    let up = bound.at_least.or(bound.above).is_some_and(|t| t > 0.0 && low >= 2.0 * t);
    let down = bound.at_most.or(bound.below).is_some_and(|t| t > 0.0 && high <= t / 2.0);
    up || down
}

/// A threshold in words.
pub(super) fn named(value: f64, unit: &str) -> String {
    match unit {
        "×" | "ratio" => format!("{}×", trimmed(value)),
        "share" => format!("{} %", trimmed(100.0 * value)),
        "count" => trimmed(value),
        "%" | "points" => format!("{} {unit}", trimmed(100.0 * value)),
        _ => fmt::quantity(unit, value, None),
    }
}

fn trimmed(value: f64) -> String {
    let text = format!("{value:.3}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

fn words(bound: Bound, unit: &str) -> String {
    let name = |value: f64| named(value, unit);
    match bound {
        Bound { at_least: Some(t), .. } => tell("rule.at_least", &[("limit", &name(t))]),
        Bound { above: Some(t), .. } => tell("rule.above", &[("limit", &name(t))]),
        Bound { at_most: Some(t), .. } => tell("rule.at_most", &[("limit", &name(t))]),
        Bound { below: Some(t), .. } => tell("rule.below", &[("limit", &name(t))]),
        Bound { within: Some([a, b]), .. } => tell("rule.within", &[("from", &name(a)), ("to", &name(b))]),
        Bound { .. } => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::Quantifier::{Every, Some};
    use super::Verdict::{Inconclusive, NotTestable, Refuted, Supported};

    #[test]
    fn who_decides() {
        for (quantifier, all, expected) in [
            (Every, vec![Supported, Supported], Supported),
            (Every, vec![Supported, Refuted], Refuted),
            (Every, vec![Supported, Inconclusive], Inconclusive),
            (Every, vec![Refuted, Inconclusive], Refuted),
            (Some, vec![Supported, Refuted], Supported),
            (Some, vec![Refuted, Refuted], Refuted),
            (Some, vec![Refuted, Inconclusive], Inconclusive),
            (Every, vec![NotTestable, Supported], Supported),
            (Some, vec![NotTestable, Refuted], Refuted),
            (Every, vec![NotTestable], NotTestable),
            (Every, vec![], Inconclusive),
        ] {
            assert_eq!(quantifier.of(&all), expected, "{quantifier:?} {all:?}");
        }
    }
}
