//! What the author of a scenario writes: a record and one function.
//!
//! A scenario cannot name a runtime and holds no stopwatch: it asks the [`Trial`] for instances, and what it
//! declares but does not record is a failure of the trial.

use crate::error::{Error, Unavailable};
use crate::metric::Metric;
use crate::params::Params;
use crate::runtime::Ability;
use crate::trial::{Bench, Trial};

/// One question asked of every runtime.
#[derive(Clone, Copy)]
pub struct Scenario {
    /// Unique on the shelf.
    pub name: &'static str,
    /// The heading of its section.
    pub question: &'static str,
    /// What every trial records under these parameters; the first is the headline.
    pub metrics: fn(&Params) -> Vec<Metric>,
    /// What a runtime must be able to do; unmet, the cell is skipped with words.
    pub needs: fn(&Params) -> Vec<Ability>,
    /// The parameters made complete and checked, before the first trial: sizes that depend on the host become numbers.
    pub settle: fn(&Params, &Bench) -> Result<Params, Refusal>,
    /// One trial.
    pub iterate: fn(&Trial<'_>) -> Result<(), Error>,
}

/// Why parameters cannot be settled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The plan is at fault: names the parameter and the remedy.
    Input(String),
    /// The host is: the cell is skipped.
    Host(Unavailable),
}
