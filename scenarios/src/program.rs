//! How long does the user's own program take, from start to exit?
//!
//! From just before `create` until the program has been reaped; it must end with status 0, as a failed command is no
//! measurement.

use isomark_core::{Ability, Bench, Error, Metric, Params, Phase, Refusal, Scenario, Spec, Trial};

use crate::given;

pub(crate) const SCENARIO: Scenario = Scenario {
    name: "program",
    question: "How long does your program take, from start to exit?",
    metrics: |_| vec![Metric::time("total"), Metric::time("cpu")],
    needs: |_| vec![Ability::Programs],
    settle,
    iterate,
};

fn settle(params: &Params, bench: &Bench) -> Result<Params, Refusal> {
    let params = given::nothing("program", params)?;
    match bench.program {
        Some(_) => Ok(params),
        None => Err(Refusal::Input("program: no program is named; add --program 'CMD ARGS'".into())),
    }
}

fn iterate(trial: &Trial<'_>) -> Result<(), Error> {
    let program = trial.bench().program.clone();
    let program =
        program.ok_or_else(|| Error::Input("no program is named; add --program 'CMD ARGS'".into()))?;
    let mut sandbox = trial.create(&Spec { program, ..trial.spec() })?;
    sandbox.start()?;
    let usage = sandbox.stop()?;
    let phases = [Phase::Create, Phase::Start, Phase::Stop];
    trial.note("total", phases.map(|phase| trial.total(phase)).iter().sum::<u64>() as f64);
    trial.note("cpu", usage.cpu_ns as f64);
    sandbox.remove()
}
