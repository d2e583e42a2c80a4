//! What is stored of a run: the types behind `run.json`, `samples.jsonl` and `blocks.jsonl`.
//!
//! Field names are the file format. A field that is added must have a default; none is renamed within a version.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::image::Image;
use crate::metric::Metric;
use crate::params::Params;
use crate::partition::Partition;
use crate::phase::Phase;
use crate::runtime::{Identity, Kind};

/// Schema name of `run.json`.
pub const RUN_SCHEMA: &str = "isomark.run/1";

/// Kind of a failure by which the host, and not the runtime, was short of something: such a trial is repeated when its run is
/// gone on with, and the repetition counts in its place.
pub const EXHAUSTED: &str = "exhausted";

/// `run.json`: everything that was decided before the first sample.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// [`RUN_SCHEMA`].
    pub schema: String,
    /// The folder's first name: UTC date-time, host, plan.
    pub id: String,
    /// RFC 3339, UTC.
    pub started: String,
    /// Version of isomark.
    pub isomark: String,
    /// The command line.
    pub argv: Vec<String>,
    /// Name of the plan.
    pub plan: String,
    /// Seed of every random choice.
    pub seed: u64,
    /// Trials of each cell before the first block; stored, and left out of statistics.
    pub warmup: u32,
    /// Blocks; at most so many where a precision is asked for.
    pub blocks: u32,
    /// Cells end when their intervals are this narrow: `auto`, or half a width such as `2 %`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub precision: Option<String>,
    /// The expanded plan.
    pub cells: Vec<Cell>,
    /// What each of its scenarios asks, by the scenario's name: whoever reads the run need not know the scenario.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub questions: BTreeMap<String, String>,
    /// Runtimes that were asked for, in the order of the shelf.
    pub runtimes: Vec<RuntimeRecord>,
    /// The host.
    pub host: Host,
    /// The payload.
    pub payload: PayloadRecord,
    /// The user's program, if the run measures one: path, hash and arguments.
    #[serde(default)]
    pub program: Option<ProgramRecord>,
    /// Which of the plan's blocks it carries out; none for all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part: Option<Partition>,
    /// What whoever started it says of it, such as its place in a fleet.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// SHA-256 of the isomark that ran, if it was to be a certain one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub binary_sha256: Option<String>,
}

impl Run {
    /// What is known of a run by its plan and its cells alone: one block, on a host of which nothing is known. Whoever
    /// carries it out fills in the rest (`Run { host, seed, ..Run::new(plan, cells) }`).
    #[must_use]
    pub fn new(plan: &str, cells: Vec<Cell>) -> Self {
        Self {
            schema: RUN_SCHEMA.into(),
            id: plan.to_owned(),
            started: String::new(),
            isomark: env!("CARGO_PKG_VERSION").into(),
            argv: Vec::new(),
            plan: plan.to_owned(),
            seed: 0,
            warmup: 0,
            blocks: 1,
            precision: None,
            cells,
            questions: BTreeMap::new(),
            runtimes: Vec::new(),
            host: Host::default(),
            payload: PayloadRecord::default(),
            program: None,
            part: None,
            labels: BTreeMap::new(),
            binary_sha256: None,
        }
    }
}

/// One cell of the expanded plan.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cell {
    /// Runtime.
    pub runtime: String,
    /// Scenario.
    pub scenario: String,
    /// Parameters.
    #[serde(default)]
    pub params: Params,
    /// It takes part in every block whose number is divisible by this.
    #[serde(default = "one")]
    pub every: u32,
    /// Metrics, the headline first.
    pub metrics: Vec<Metric>,
    /// Why it does not run here, if it does not.
    #[serde(default)]
    pub skipped: Option<Skip>,
    /// Its part in a comparison of a runtime with itself; none for an ordinary cell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arm: Option<Arm>,
}

impl Cell {
    /// A cell without parameters that takes part in every block.
    #[must_use]
    pub fn new(runtime: &str, scenario: &str, metrics: Vec<Metric>) -> Self {
        Self {
            runtime: runtime.to_owned(),
            scenario: scenario.to_owned(),
            params: Params::new(),
            every: 1,
            metrics,
            skipped: None,
            arm: None,
        }
    }
}

/// A cell's part in a comparison of a runtime with itself: a variant, or a control whose truth is known.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Arm {
    /// `a` and `b` for two variants; `again` for the same a second time; `+5 %` for the same with 5 % more work.
    pub label: String,
    /// The cell it is compared with: index into [`Run::cells`]; none for the first variant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub of: Option<usize>,
    /// Whether it is a control: its truth is known, and it answers for the method and not for a runtime.
    #[serde(default)]
    pub control: bool,
    /// Work injected, as a share of the trial's own time: 0.05 for 5 %.
    #[serde(default)]
    pub handicap: f64,
}

const fn one() -> u32 {
    1
}

/// Why a cell does not run on this host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Skip {
    /// What is missing.
    pub reason: String,
    /// What the user can do about it.
    pub remedy: String,
}

/// A runtime of the run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RuntimeRecord {
    /// Its name.
    pub name: String,
    /// What it is at heart.
    pub kind: Kind,
    /// Who it is on this host, if it is available.
    #[serde(default)]
    pub identity: Option<Identity>,
    /// Why not, if it is not.
    #[serde(default)]
    pub unavailable: Option<Skip>,
}

/// The payload of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PayloadRecord {
    /// SHA-256 of the ELF.
    pub sha256: String,
    /// Target triple it was built for, or `external` for a file that the user named.
    pub target: String,
    /// Size in bytes.
    pub bytes: u64,
    /// The file, if the user named one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// What a reader must know of it (for the fallback target: what that costs).
    #[serde(default)]
    pub note: Option<String>,
}

impl PayloadRecord {
    /// What is stored of a payload that was built for `target`.
    #[must_use]
    pub fn of(image: &Image, target: &str) -> Self {
        Self {
            sha256: image.sha256().to_owned(),
            target: target.to_owned(),
            bytes: image.bytes(),
            ..Self::default()
        }
    }
}

/// The user's program of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProgramRecord {
    /// File as named.
    pub path: String,
    /// SHA-256 of the ELF.
    pub sha256: String,
    /// Arguments.
    pub args: Vec<String>,
}

/// The host's fingerprint: part of every result's identity.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Host {
    /// Host name.
    pub name: String,
    /// `uname -r`.
    pub kernel: String,
    /// CPU model.
    pub cpu: String,
    /// Usable CPUs.
    pub cpus: u32,
    /// Total memory in bytes.
    pub memory: u64,
    /// Last-level cache in bytes.
    pub llc: u64,
    /// KVM class: `hardware`, `nested`, `pagetable-based`, `none`.
    pub kvm_class: String,
    /// What the class was concluded from.
    pub kvm_evidence: String,
    /// cgroup layout: `v1`, `v2`, `hybrid`, `none`.
    pub cgroup: String,
    /// What the host itself runs on: `none` or the hypervisor's name.
    pub hypervisor: String,
    /// Ticks of the time-stamp counter per second.
    pub tsc_hz: u64,
    /// Best instruction-set path.
    pub isa: String,
    /// Real and effective rights: `root` or `user`.
    pub user: String,
    /// Everything else that moves results: mitigations, clock source, THP, KSM, governor, swap, …
    pub facts: BTreeMap<String, String>,
    /// What is unusual enough to warn about: cause and remedy.
    pub warnings: Vec<Warning>,
}

/// A cause and its remedy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Warning {
    /// What is unusual.
    pub cause: String,
    /// What to do about it.
    pub remedy: String,
}

/// One line of `samples.jsonl`: what one trial recorded.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// Index into [`Run::cells`].
    pub cell: usize,
    /// Block number; warm-up trials count from 0 too.
    pub block: u32,
    /// Whether it is a warm-up trial.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub warmup: bool,
    /// When it began, ns of `CLOCK_MONOTONIC`.
    pub at_ns: u64,
    /// Lifecycle calls with their durations in ns, in order.
    #[serde(default)]
    pub phases: Vec<(Phase, u64)>,
    /// Inner steps as told: name and ns since the first `create` began.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<(String, u64)>,
    /// Raw numbers behind a value, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub series: BTreeMap<String, Vec<f64>>,
    /// Words that belong to the sample.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub notes: BTreeMap<String, String>,
    /// Numbers, or the reason there are none.
    #[serde(flatten)]
    pub outcome: Outcome,
}

impl Sample {
    /// A trial of a cell in a block with nothing known of it but its outcome.
    #[must_use]
    pub fn new(cell: usize, block: u32, outcome: Outcome) -> Self {
        Self {
            cell,
            block,
            warmup: false,
            at_ns: 0,
            phases: Vec::new(),
            steps: Vec::new(),
            series: BTreeMap::new(),
            notes: BTreeMap::new(),
            outcome,
        }
    }

    /// Whether the host was short of something: the trial is to be repeated.
    #[must_use]
    pub fn is_exhausted(&self) -> bool {
        matches!(&self.outcome, Outcome::Failed(failure) if failure.kind == EXHAUSTED)
    }
}

/// Numbers or the reason there are none; never zeros.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// Metric values.
    Values(BTreeMap<String, f64>),
    /// Why there are none.
    Failed(Failure),
}

impl Outcome {
    /// Values by the names of their metrics.
    #[must_use]
    pub fn of<'n>(values: impl IntoIterator<Item = (&'n str, f64)>) -> Self {
        Self::Values(values.into_iter().map(|(metric, value)| (metric.to_owned(), value)).collect())
    }
}

/// Why a trial has no values.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// The phase under way.
    pub phase: Option<Phase>,
    /// Kind of error; `wrong-answer` ends the command with exit code 7, [`EXHAUSTED`] with 1.
    pub kind: String,
    /// What happened.
    pub message: String,
}

/// One line of `blocks.jsonl`: how noisy the host was during a block.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Block {
    /// Block number.
    pub block: u32,
    /// When it began, ns of `CLOCK_MONOTONIC`.
    pub at_ns: u64,
    /// How long it took, ns.
    pub took_ns: u64,
    /// Share of time in which some task waited for a CPU (PSI), 0 to 1.
    pub psi_cpu: Option<f64>,
    /// Share of time in which some task waited for memory (PSI), 0 to 1.
    pub psi_memory: Option<f64>,
    /// Share of time in which some task waited for a device (PSI), 0 to 1.
    pub psi_io: Option<f64>,
    /// Share of CPU time stolen by the hypervisor, 0 to 1.
    pub steal: f64,
    /// Share of CPU time used by others than the harness and its instances, 0 to 1.
    pub foreign: f64,
    /// Load average over one minute.
    pub load: f64,
}
