//! The same cell again, with and without injected work: how far the verdicts can be trusted.
//!
//! A control answers for the method and never for a runtime.

use isomark_core::Params;
use serde::{Deserialize, Serialize};

use crate::region::Region;

/// What a control shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Trust {
    /// Measured twice, the same stays the same.
    Quiet,
    /// The host is too noisy for the region of this metric.
    Noisy,
    /// The injected work was found.
    Found,
    /// It was not.
    Missed,
    /// Nothing can be said; the reason stands beside it.
    Unknown,
}

impl Trust {
    /// The word used in files and reports.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Quiet => "quiet",
            Self::Noisy => "noisy",
            Self::Found => "found",
            Self::Missed => "missed",
            Self::Unknown => "unknown",
        }
    }
}

/// One metric of a control: the same cell a second time in the same blocks, with or without injected work.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Control {
    /// Runtime.
    pub runtime: String,
    /// Scenario.
    pub scenario: String,
    /// Parameters.
    pub params: Params,
    /// Metric.
    pub metric: String,
    /// Whether it is the headline metric of its cell.
    pub headline: bool,
    /// `again`, or the work that was injected: `+5 %`.
    pub label: String,
    /// Injected work as a share: 0.05 for 5 %.
    pub handicap: f64,
    /// Pairs.
    pub n: usize,
    /// Control over cell: exp(median of the log-ratios).
    pub ratio: Option<f64>,
    /// Its exact 95 % interval.
    pub ci95: Option<[f64; 2]>,
    /// Differences that count as none for the verdict of this metric.
    pub region: Region,
    /// What the rates rest on: the smaller of the region and the gate's own limit, before it is widened to the band.
    pub limit: Region,
    /// What 97.5 % of drawn A/A ratios stay within, as a share: 0.013 for ± 1.3 %.
    pub band: Option<f64>,
    /// Share of drawn A/A comparisons that are called different; none below 20 pairs.
    pub false_alarm_rate: Option<f64>,
    /// Share of drawn comparisons in which the injected work is called worse; none below 20 pairs.
    pub detection_rate: Option<f64>,
    /// Comparisons drawn.
    pub resamples: usize,
    /// What a blocked design would say of the A/A data: p of the Mann–Whitney test of first half against second.
    pub blocked_p: Option<f64>,
    /// What it shows.
    pub verdict: Trust,
    /// Why the host is too noisy, or why nothing can be said.
    pub why: Option<String>,
}
