//! `summary.json`: the answers of a run, as numbers.
//!
//! Field names are the file format `isomark.summary/1`. Fields may be added, none is renamed or removed within the
//! version. Times in ns, sizes in bytes, rates per second; integers where the quantity is one. Longer than other files,
//! because it is the whole of one file format.

use isomark_core::record::Warning;
use isomark_core::runtime::Kind;
use isomark_core::{Better, Params, Phase};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::claims;
use crate::claims::outcome::{Figure as Published, Measured};
use crate::region::Region;
use crate::stats::ranks::Method;
use crate::stats::verdict::Verdict;

/// Schema name of `summary.json`.
pub const SUMMARY_SCHEMA: &str = "isomark.summary/1";

/// A number that is written as an integer if it is one.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct Number(pub f64);

impl Serialize for Number {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // Beyond 2^53 an f64 no longer holds every integer.
        if self.0.fract() == 0.0 && self.0.abs() < 9_007_199_254_740_992.0 {
            serializer.serialize_i64(self.0 as i64)
        } else {
            serializer.serialize_f64(self.0)
        }
    }
}

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        f64::deserialize(deserializer).map(Self)
    }
}

/// The answers of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// [`SUMMARY_SCHEMA`].
    pub schema: String,
    /// Where the answers come from.
    pub run: RunInfo,
    /// The answers in one table: runtimes by questions.
    pub headline: Headline,
    /// One entry per cell, in the order of the plan.
    pub cells: Vec<CellSummary>,
    /// The same cells again, and with injected work: how far the verdicts can be trusted.
    #[serde(default)]
    pub controls: Vec<Control>,
    /// Sentences from the documents with their verdicts; empty until claims are judged.
    pub claims: Vec<Claim>,
    /// What a reader must know before believing the numbers, each with its remedy.
    pub warnings: Vec<Warning>,
}

/// The run in a few words.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunInfo {
    /// Name of the run.
    pub id: String,
    /// RFC 3339, UTC.
    pub started: String,
    /// Name of the plan.
    pub plan: String,
    /// Seed of every random choice.
    pub seed: u64,
    /// SHA-256 of the payload.
    pub payload_sha256: String,
    /// Version of isomark.
    pub isomark: String,
    /// The host.
    pub host: HostInfo,
    /// Blocks that were planned.
    pub blocks: u32,
    /// Blocks in which something was measured.
    pub blocks_done: u32,
    /// Blocks in which the host was too busy with something else.
    pub blocks_noisy: Vec<u32>,
}

/// The host in a few words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostInfo {
    /// KVM class: `hardware`, `nested`, `pagetable-based`, `none`.
    pub kvm_class: String,
    /// cgroup layout: `v1`, `v2`, `hybrid`, `none`.
    pub cgroup: String,
    /// `uname -r`.
    pub kernel: String,
    /// CPU model.
    pub cpu: String,
    /// Host name.
    pub name: String,
    /// Usable CPUs.
    pub cpus: u32,
    /// Total memory in bytes.
    pub memory: u64,
    /// What the host itself runs on.
    pub hypervisor: String,
    /// `root` or `user`.
    pub user: String,
}

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

/// A place where values gather.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModeSummary {
    /// Median of the values there.
    pub at: Number,
    /// Their share of all values.
    pub share: f64,
}

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

/// The answers in one table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Headline {
    /// The questions.
    pub columns: Vec<Column>,
    /// The runtimes, in the order of the shelf; floors are no runtimes to choose.
    pub rows: Vec<Row>,
}

/// One question.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Column {
    /// The scenario.
    pub scenario: String,
    /// What the figures are, in a few words.
    pub what: String,
    /// Whether the figures exist as ratios only.
    pub relative: bool,
}

/// One runtime.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// Its name.
    pub runtime: String,
    /// What it is at heart.
    pub kind: Kind,
    /// Why it has no figures, if it cannot run here.
    pub reason: Option<String>,
    /// One figure per column, where there is one.
    pub figures: Vec<Option<Figure>>,
}

/// One answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Figure {
    /// Name of the metric.
    pub metric: String,
    /// Parameters of the cell, where it is one.
    pub params: Params,
    /// Unit of the value.
    pub unit: String,
    /// Median; none where the figure is a ratio only.
    pub value: Option<Number>,
    /// Its 95 % interval.
    pub ci95: Option<[Number; 2]>,
    /// Ratio to the plain process; none for the process itself.
    pub ratio: Option<f64>,
    /// Its 95 % interval.
    pub ratio_ci95: Option<[f64; 2]>,
    /// Median difference to the plain process, for sizes: what remains where a ratio has no meaning.
    pub difference: Option<Number>,
    /// What can be said; none for the process itself.
    pub verdict: Option<Verdict>,
    /// Why nothing can be said.
    pub why: Option<String>,
    /// Trials, or pairs where the figure is a ratio only.
    pub n: usize,
}

/// A sentence from the documents with its verdict.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Claim {
    /// Its name.
    pub id: String,
    /// The claim in a few words.
    #[serde(default)]
    pub title: String,
    /// The same in Chinese.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title_zh: Option<String>,
    /// The sentence.
    pub text: String,
    /// The same in Chinese.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text_zh: Option<String>,
    /// The documents that say it.
    #[serde(default)]
    pub documents: Vec<String>,
    /// Where they say it.
    #[serde(default)]
    pub place: String,
    /// `supported`, `refuted`, `inconclusive` or `not-testable`.
    pub verdict: claims::verdict::Verdict,
    /// Why, with rule, layer and configuration.
    pub why: String,
    /// The same for a newcomer, in a sentence.
    #[serde(default)]
    pub says: String,
    /// The same in Chinese.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sentence_zh: Option<String>,
    /// What was measured.
    pub measured: Measured,
    /// What others published.
    pub published: Vec<Published>,
}

impl Summary {
    /// Cells of a scenario in the order of the plan.
    pub fn scenario<'s>(&'s self, name: &'s str) -> impl Iterator<Item = &'s CellSummary> {
        self.cells.iter().filter(move |cell| cell.scenario == name)
    }

    /// The scenarios in the order of the plan.
    #[must_use]
    pub fn scenarios(&self) -> Vec<&str> {
        let mut all: Vec<&str> = Vec::new();
        for cell in &self.cells {
            if !all.contains(&cell.scenario.as_str()) {
                all.push(&cell.scenario);
            }
        }
        all
    }
}

impl Figure {
    /// A figure about which nothing is known yet but its metric.
    pub(crate) fn blank(metric: &str, unit: &str, n: usize) -> Self {
        Self {
            metric: metric.to_owned(),
            params: Params::new(),
            unit: unit.to_owned(),
            value: None,
            ci95: None,
            ratio: None,
            ratio_ci95: None,
            difference: None,
            verdict: None,
            why: None,
            n,
        }
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers_are_written_as_integers() {
        let write = |x: f64| serde_json::to_string(&Number(x)).unwrap();
        assert_eq!([write(3.0), write(-2.0), write(0.5), write(1e300)], ["3", "-2", "0.5", "1e+300"]);
        let back: [Number; 2] = serde_json::from_str("[3,0.5]").unwrap();
        assert_eq!(back, [Number(3.0), Number(0.5)]);
    }
}
