//! What was measured of a claim, as `summary.json` has it.
//!
//! A claim has parts, a part has layers, a layer has points. Verdicts go upwards; what was not measured stays named, with
//! what would measure it.

use isomark_core::Params;
use serde::{Deserialize, Serialize};

use super::verdict::Verdict;
use crate::summary::Number;

/// What was measured of a claim.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// One entry per rule.
    #[serde(default)]
    pub parts: Vec<PartOutcome>,
}

/// One rule.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PartOutcome {
    /// Its name.
    pub rule: String,
    /// The quantity in a few words.
    #[serde(default)]
    pub about: String,
    /// The same in Chinese.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub about_zh: Option<String>,
    /// What it decides.
    pub asks: String,
    /// What it says.
    pub verdict: Verdict,
    /// Whether it is reported beside the others without deciding anything.
    #[serde(default)]
    pub reported: bool,
    /// Why.
    pub why: String,
    /// Layer by layer.
    pub layers: Vec<LayerOutcome>,
    /// Layers without a number.
    pub missing: Vec<Missing>,
}

/// One layer, against another where the rule compares.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LayerOutcome {
    /// Its short name.
    pub layer: String,
    /// Its name in a sentence.
    pub name: String,
    /// Short name of the layer it is compared with.
    pub against: Option<String>,
    /// What can be said.
    pub verdict: Verdict,
    /// The runtimes that stand here, each once.
    #[serde(default)]
    pub runtimes: Vec<String>,
    /// Smallest and largest estimate of its points.
    pub range: [Number; 2],
    /// Place of the point that decided.
    pub deciding: usize,
    /// Every runtime with every choice of parameters.
    pub points: Vec<PointOutcome>,
}

/// One estimate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PointOutcome {
    /// Runtime.
    pub runtime: String,
    /// Runtime that it is compared with.
    pub against: Option<String>,
    /// Parameters of its cell.
    pub params: Params,
    /// What exactly ran: runtime, machine, memory, what is inside.
    pub configuration: String,
    /// Unit of the value; `×` for a ratio.
    pub unit: String,
    /// The estimate.
    pub value: Number,
    /// Its 95 % interval.
    pub ci95: Option<[Number; 2]>,
    /// Its 90 % interval, for equivalence.
    pub ci90: Option<[Number; 2]>,
    /// How many comparisons could each decide the claim alone, and share its error; 1 for one on its own.
    #[serde(default = "alone")]
    pub among: usize,
    /// The interval that holds for all of them at once, where there are several and blocks enough.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ci_among: Option<[Number; 2]>,
    /// Blocks.
    pub n: usize,
    /// What can be said.
    pub verdict: Verdict,
    /// Why.
    pub why: String,
    /// Whether too few trials are all that stands in the way.
    #[serde(default)]
    pub few: bool,
}

const fn alone() -> usize {
    1
}

/// A layer without a number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Missing {
    /// Its short name.
    pub layer: String,
    /// Its name in a sentence.
    pub name: String,
    /// Why.
    pub why: String,
    /// Whether this host cannot measure it; otherwise the run left it out.
    pub impossible: bool,
    /// Whether the run has no runtime of the layer.
    #[serde(default)]
    pub absent: bool,
}

/// A figure that others published.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Figure {
    /// What was measured, on what, how.
    pub what: String,
    /// The figure with its unit.
    pub value: String,
    /// Who published it.
    pub source: String,
    /// How good the evidence is: `data`, `text`, `abstract`, `secondary` or `memory`.
    pub evidence: String,
}

impl LayerOutcome {
    /// The point that decided.
    #[must_use]
    pub fn decided(&self) -> Option<&PointOutcome> {
        self.points.get(self.deciding)
    }
}
