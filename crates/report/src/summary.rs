//! `summary.json`: the answers of a run, as numbers.
//!
//! Field names are the file format `isomark.summary/1`. Fields may be added, none is renamed or removed within the
//! version. Times in ns, sizes in bytes, rates per second; integers where the quantity is one.

mod cell;
mod claim;
mod control;
mod headline;
mod number;
mod versus;

use isomark_core::record::Warning;
use serde::{Deserialize, Serialize};

pub use cell::{CellSummary, FailureSummary, MetricSummary, ModeSummary, PhaseSummary, Status, StepSummary};
pub use claim::Claim;
pub use control::{Control, Trust};
pub use headline::{Column, Figure, Headline, Row};
pub use number::Number;
pub use versus::{Companion, Difference, Floor, Versus, Wilcoxon};

/// Schema name of `summary.json`.
pub const SUMMARY_SCHEMA: &str = "isomark.summary/1";

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
