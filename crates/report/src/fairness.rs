//! What else is different between the runtimes that a report compares?
//!
//! A ratio of two runtimes is the price of everything that they do differently. Each runtime tells the facts of its box
//! under fixed names; those on which all agree are left out, so that what remains is what a reader must weigh.

use isomark_core::Kind;
use isomark_core::record::Run;
use serde::Serialize;

use crate::fmt;
use crate::words::say;

/// The names under which identities tell the facts, in the order of the report.
pub const FACTS: [&str; 7] = ["network", "seccomp", "userns", "limits", "rootfs", "console", "namespaces"];

/// The differences: one column a fact, one row a runtime.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Fairness {
    /// Facts on which not all agree.
    pub columns: Vec<String>,
    /// Runtime and its facts.
    pub rows: Vec<(String, Vec<String>)>,
}

/// What remains different between the runtimes of a run; nothing where fewer than two tell their facts.
#[must_use]
pub fn fairness(run: &Run) -> Fairness {
    let told = |record: &isomark_core::record::RuntimeRecord| {
        let details = &record.identity.as_ref()?.details;
        let facts =
            FACTS.map(|name| details.get(name).map_or(say("fairness.not_told"), |fact| fmt::clean(fact)));
        let tells = FACTS.iter().any(|name| details.contains_key(*name));
        (record.kind != Kind::Floor && tells).then(|| (fmt::clean(&record.name), facts))
    };
    let all = run.runtimes.iter().filter_map(told).collect::<Vec<_>>();
    let differs = |at: &usize| all.iter().any(|(_, facts)| facts[*at] != all[0].1[*at]);
    let columns = (0..FACTS.len()).filter(differs).collect::<Vec<_>>();
    if columns.is_empty() {
        return Fairness::default();
    }
    let row = |(name, facts): &(String, [String; 7])| {
        (name.clone(), columns.iter().map(|at| facts[*at].clone()).collect())
    };
    Fairness {
        columns: columns.iter().map(|at| FACTS[*at].to_owned()).collect(),
        rows: all.iter().map(row).collect(),
    }
}
