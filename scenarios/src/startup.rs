//! How long until the program runs?
//!
//! From just before `create` until the payload's first byte reaches the harness, wall and CPU time, with a warm or a
//! cold page cache of the instance's own files; with nothing prepared, from a snapshot, or from a pool (`origin`), each a cell
//! of its own. One echo afterwards proves that it really runs.

use isomark_core::payload::Job;
use isomark_core::{
    Ability, Bench, Error, Metric, Params, Phase, Refusal, Scenario, Trial, Unavailable, account,
};

use crate::given::{self, Is};

pub(crate) const SCENARIO: Scenario = Scenario {
    name: "startup",
    question: "How long until the program runs?",
    metrics,
    needs: |params| given::needs(params).into_iter().collect(),
    settle,
    iterate,
};

/// Memory when a plan names none, in bytes: a virtual machine's start grows with the RAM it is given, and a payload that
/// says it is ready needs next to none.
pub(crate) const MEMORY: u64 = 32 << 20;

fn metrics(_: &Params) -> Vec<Metric> {
    let phases = ["create", "start", "stop", "remove"].map(Metric::time);
    [Metric::time("startup")].into_iter().chain(phases).chain([Metric::time("cpu").if_any()]).collect()
}

fn settle(params: &Params, bench: &Bench) -> Result<Params, Refusal> {
    given::check("startup", params, &[("cache", Is::Word), given::ORIGIN])?;
    let memory = params.number("memory").unwrap_or(MEMORY);
    let params = given::origin("startup", params.clone().with("memory", memory))?;
    match params.text("cache").unwrap_or("warm") {
        "warm" => Ok(params.with("cache", "warm")),
        "cold" if account::in_memory(bench.payload.path()) => Err(Refusal::Host(Unavailable::new(
            format!("{} lies in memory and cannot be cold", bench.payload.path().display()),
            "set ISOMARK_STATE to a directory on a disk",
        ))),
        "cold" if params.text("origin").is_some_and(|origin| origin != "fresh") => {
            Err(Refusal::Input("startup: cache = \"cold\" goes with origin = \"fresh\" only".into()))
        }
        "cold" => Ok(params),
        other => Err(Refusal::Input(format!("startup: cache = {other:?} is neither \"warm\" nor \"cold\""))),
    }
}

fn iterate(trial: &Trial<'_>) -> Result<(), Error> {
    if trial.params().text("cache") == Some("cold") {
        trial.evict()?;
    }
    let mut sandbox = trial.create(&trial.spec())?;
    sandbox.start()?;
    trial.note("startup", (trial.total(Phase::Create) + trial.total(Phase::Start)) as f64);
    if trial.can(Ability::Jobs) {
        if let Some(own) = account::cpu_ns(&sandbox.anatomy()) {
            trial.note("cpu", (trial.harness_cpu_ns() + own) as f64);
        }
        sandbox.run(&Job::Echo(42))?;
    }
    sandbox.stop()?;
    sandbox.remove()?;
    for phase in [Phase::Create, Phase::Start, Phase::Stop, Phase::Remove] {
        trial.note(phase.word(), trial.total(phase) as f64);
    }
    Ok(())
}
