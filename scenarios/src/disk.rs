//! How much disk does an instance take?
//!
//! For each way in which the runtime provisions a root: what all instances share, what this one alone holds, and what
//! it holds after a fixed write of 16 MiB, wherever those bytes lie (a file system in memory only moves the cost).

use isomark_core::payload::Job;
use isomark_core::{Ability, Bench, Error, Metric, Params, Refusal, Sandbox, Scenario, Trial, account};

use crate::given;

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

fn settle(params: &Params, _: &Bench) -> Result<Params, Refusal> {
    let params = given::nothing("disk", params)?;
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
    // Where files are memory of the instance's processes, what they hold is what that memory grows by.
    let idle = private_memory(&sandbox)?;
    let before = held(&sandbox, idle)?;
    sandbox.run(&Job::Write { bytes: WRITTEN })?;
    let after = held(&sandbox, idle)?;
    trial.note("base", base.allocated as f64);
    trial.note("logical", before.logical as f64);
    trial.note("marginal", before.allocated as f64);
    trial.note("after-write", after.allocated as f64);
    trial.note("in-memory", after.in_memory as f64);
    sandbox.stop()?;
    sandbox.remove()
}

fn private_memory(sandbox: &Sandbox<'_>) -> Result<u64, Error> {
    if sandbox.anatomy().files_in_memory { Ok(sandbox.memory()?.uss) } else { Ok(0) }
}

/// What the files of the instance alone occupy.
fn held(sandbox: &Sandbox<'_>, idle: u64) -> Result<account::Disk, Error> {
    let anatomy = sandbox.anatomy();
    if !anatomy.files_in_memory {
        return account::private(&anatomy);
    }
    let grown = private_memory(sandbox)?.saturating_sub(idle);
    Ok(account::Disk { logical: 0, allocated: grown, in_memory: grown })
}
