//! The answers of one cell: its metrics, its phases and what its failures said.
//!
//! A cell without numbers says why; nothing that is missing is written as zero.

use isomark_core::runtime::Kind;
use isomark_core::{Better, Params, Phase};
use serde::{Deserialize, Serialize};

use super::number::Number;
use super::versus::{Floor, Versus};

/// How a cell ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Every declared metric has values.
    Ok,
    /// It does not run on this host.
    Skipped,
    /// A declared metric has no value at all.
    Failed,
}

impl Status {
    /// The word used in files and reports.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Skipped => "skipped",
            Self::Failed => "failed",
        }
    }
}

/// The answers of one cell.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CellSummary {
    /// Runtime.
    pub runtime: String,
    /// What the runtime is at heart.
    pub kind: Option<Kind>,
    /// Scenario.
    pub scenario: String,
    /// Parameters.
    pub params: Params,
    /// Which of two variants it is (`a`, `b`), in a comparison of a runtime with itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// How it ended.
    pub status: Status,
    /// Why it was skipped or failed.
    pub reason: Option<String>,
    /// What the user can do about that.
    pub remedy: Option<String>,
    /// SHA-256 of what ran inside: the payload, or the user's program in scenario `program`.
    pub payload_sha256: String,
    /// Trials, warm-ups left out.
    pub trials: usize,
    /// Metrics, the headline first.
    pub metrics: Vec<MetricSummary>,
    /// Median time in each lifecycle phase.
    pub phases: Vec<PhaseSummary>,
    /// Median of each inner step as told.
    pub steps: Vec<StepSummary>,
    /// What failed trials said.
    pub failures: Vec<FailureSummary>,
}

impl CellSummary {
    /// A metric by name, if it has a value.
    #[must_use]
    pub fn metric(&self, name: &str) -> Option<&MetricSummary> {
        self.metrics.iter().find(|m| m.name == name && m.n > 0)
    }

    /// The first metric, if it has a value.
    #[must_use]
    pub fn headline(&self) -> Option<&MetricSummary> {
        self.metrics.first().filter(|m| m.n > 0)
    }
}

/// One metric of a cell.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MetricSummary {
    /// Unique within its scenario.
    pub name: String,
    /// `ns`, `byte`, or a rate such as `flop/s`.
    pub unit: String,
    /// Which direction is better.
    pub better: Better,
    /// Trials with a value.
    pub n: usize,
    /// Trials without one.
    pub failed: usize,
    /// Smallest value.
    pub min: Option<Number>,
    /// Median.
    pub median: Option<Number>,
    /// Exact 95 % interval of the median; none for n ≤ 5.
    pub ci95: Option<[Number; 2]>,
    /// 95th percentile; none for n < 20.
    pub p95: Option<Number>,
    /// Exact 95 % interval of the 95th percentile; none for n < 72.
    pub p95_ci95: Option<[Number; 2]>,
    /// 99th percentile; none for n < 100.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p99: Option<Number>,
    /// Exact 95 % interval of the 99th percentile; none for n < 368.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p99_ci95: Option<[Number; 2]>,
    /// Largest value.
    pub max: Option<Number>,
    /// Median absolute deviation.
    pub mad: Option<Number>,
    /// Lag-1 autocorrelation over the blocks.
    pub autocorrelation: Option<f64>,
    /// Two places where its values gather, of the headline metric, if the median lies between them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub modes: Option<[ModeSummary; 2]>,
    /// The phase that really does the work of the phase this metric is named after; its value means nothing then.
    pub folded: Option<Phase>,
    /// Against the plain process, or the first of two variants; none for the process itself and where there is none.
    pub versus: Option<Versus>,
    /// Against the floor measured in the same run.
    pub floor: Option<Floor>,
}

/// A place where values gather.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModeSummary {
    /// Median of the values there.
    pub at: Number,
    /// Their share of all values.
    pub share: f64,
}

/// Median time in a lifecycle phase.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PhaseSummary {
    /// The phase.
    pub phase: Phase,
    /// Median in ns.
    pub median: Number,
    /// The phase in which its work is really done; its own time means nothing then.
    pub folded: Option<Phase>,
}

/// Median of an inner step as told.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StepSummary {
    /// What was done.
    pub name: String,
    /// Median of when it was done, in ns since `create` began.
    pub median: Number,
    /// Median of the time since the step before in the same trial, in ns: not the difference of two medians.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Number>,
    /// Times it was told.
    pub n: usize,
}

/// Failures that said the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailureSummary {
    /// The phase under way.
    pub phase: Option<Phase>,
    /// Kind of error.
    pub kind: String,
    /// What happened.
    pub message: String,
    /// How many said so.
    pub count: usize,
    /// Block of the first.
    pub block: u32,
}
