//! The answers in one table: runtimes by questions.
//!
//! A figure that does not exist is absent, with its reason.

use isomark_core::Params;
use isomark_core::runtime::Kind;
use serde::{Deserialize, Serialize};

use super::number::Number;
use crate::stats::verdict::Verdict;

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
