//! One metric against the same metric of another runtime, paired by block.
//!
//! A comparison without a verdict says why.

use serde::{Deserialize, Serialize};

use super::number::Number;
use crate::region::Region;
use crate::stats::ranks::Method;
use crate::stats::verdict::Verdict;

/// A metric against the same metric of another runtime, paired by block.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Versus {
    /// The reference.
    pub runtime: String,
    /// exp(median of the log-ratios); none where a value is not positive.
    pub ratio: Option<f64>,
    /// Exact 95 % interval of the ratio; none for n ≤ 5.
    pub ci95: Option<[f64; 2]>,
    /// What can be said.
    pub verdict: Verdict,
    /// Why nothing can be said.
    pub why: Option<String>,
    /// Pairs.
    pub n: usize,
    /// Differences that count as none.
    pub region: Region,
    /// The A/A band, as a share, that the region was widened to where it is the wider; none without an A/A control.
    #[serde(default)]
    pub band: Option<f64>,
    /// Median difference and its interval, for sizes: what their verdict rests on.
    pub difference: Option<Difference>,
    /// Ratio of medians by seeded bootstrap, for the headline metric.
    pub bootstrap: Option<Companion>,
    /// The same ratio without the noisy blocks, if there are some.
    pub quiet: Option<Companion>,
    /// The same difference without them, for sizes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quiet_difference: Option<Difference>,
    /// exp of the Hodges–Lehmann estimate of the log-ratios, for the headline metric.
    #[serde(default)]
    pub hodges_lehmann: Option<Companion>,
    /// Wilcoxon's test of the pairs, for the headline metric.
    #[serde(default)]
    pub wilcoxon: Option<Wilcoxon>,
    /// Cliff's delta, for the headline metric: how often it lies above the reference less how often below.
    #[serde(default)]
    pub cliff: Option<f64>,
}

/// Wilcoxon's signed-rank test.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Wilcoxon {
    /// Two-sided p-value.
    pub p: f64,
    /// The same, adjusted by Holm over all such tests of the run.
    pub p_holm: f64,
    /// How it was found.
    pub method: Method,
}

/// A difference in the metric's own unit.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Difference {
    /// Median of the differences.
    pub median: Number,
    /// Its exact 95 % interval.
    pub ci95: Option<[Number; 2]>,
}

/// A second opinion on a ratio.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Companion {
    /// The ratio.
    pub ratio: f64,
    /// Its 95 % interval.
    pub ci95: Option<[f64; 2]>,
    /// Pairs.
    pub n: usize,
}

/// A metric against the least that the host needs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Floor {
    /// The floor's name.
    pub runtime: String,
    /// exp(median of the log-ratios).
    pub ratio: f64,
    /// Its exact 95 % interval; none for n ≤ 5.
    pub ci95: Option<[f64; 2]>,
}
