//! How much disk does an instance take?
//!
//! For each way in which the runtime provisions a root: what all instances share, what this one alone holds, and what
//! it holds after a fixed write of 16 MiB, wherever those bytes lie (a file system in memory only moves the cost).

use isomark_core::payload::Job;
use isomark_core::{Ability, Bench, Error, Metric, Params, Refusal, Sandbox, Scenario, Trial, account};

pub(crate) const SCENARIO: Scenario = Scenario {
    name: "disk",
    question: "How much disk does an instance take?",
    metrics,
    needs: |_| vec![Ability::Jobs, Ability::Disk],
    settle,
    iterate,
};

/// The fixed write, in bytes.
const WRITTEN: u64 = 16 << 20;

fn metrics(_: &Params) -> Vec<Metric> {
    ["after-write", "base", "logical", "marginal", "in-memory"].map(Metric::size).into()
}

fn settle(params: Params, _: &Bench) -> Result<Params, Refusal> {
    // Without a word each runtime would take its cheapest way, which differs: the cell must say which.
    match params.text("provision") {
        Some(_) => Ok(params),
        None => Err(Refusal::Input("disk: provision is missing; name a way, or \"each\"".into())),
    }
}

fn iterate(trial: &Trial<'_>) -> Result<(), Error> {
    let mut sandbox = trial.create(&trial.spec())?;
    sandbox.start()?;
    let base = account::disk(&sandbox.anatomy().shared)?;
    let before = held(&sandbox)?;
    sandbox.run(&Job::Write { bytes: WRITTEN })?;
    let after = held(&sandbox)?;
    trial.note("base", base.allocated as f64);
    trial.note("logical", before.logical as f64);
    trial.note("marginal", before.allocated as f64);
    trial.note("after-write", after.allocated as f64);
    trial.note("in-memory", after.in_memory as f64);
    sandbox.stop()?;
    sandbox.remove()
}

/// What the instance alone holds; where its files are memory of its processes, their private memory.
fn held(sandbox: &Sandbox<'_>) -> Result<account::Disk, Error> {
    let anatomy = sandbox.anatomy();
    if !anatomy.files_in_memory {
        return account::private(&anatomy);
    }
    let memory = sandbox.memory()?.uss;
    Ok(account::Disk { logical: 0, allocated: memory, in_memory: memory })
}
