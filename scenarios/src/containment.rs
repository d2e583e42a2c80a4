//! When the program goes wrong, does the trouble stay inside?
//!
//! One way of going wrong a cell, in an instance with small limits, beside a neighbour of the same runtime. Contained
//! means: it ended or was refused at its limits, and all of its processes can be taken away. The neighbour must still
//! answer and the host must still start a fresh instance. Every way has a bound of its own in the payload, so that also a
//! runtime without limits cannot harm the host.

use std::fs;
use std::thread::sleep;
use std::time::Duration;

use isomark_core::payload::{Break, Job, Reply};
use isomark_core::runtime::Role;
use isomark_core::{Ability, Bench, Error, Metric, Params, Phase, Refusal, Sandbox, Scenario, Spec, Trial};

use crate::given::{self, Is};

pub(crate) const SCENARIO: Scenario = Scenario {
    name: "containment",
    question: "When the program goes wrong, does the trouble stay inside?",
    metrics: |_| {
        let verdicts = ["contained", "neighbour", "host"].map(|name| Metric::count(name).higher());
        verdicts.into_iter().chain([Metric::time("end"), Metric::share("taken").if_any()]).collect()
    },
    needs,
    settle,
    iterate,
};

/// Limits of the instance that goes wrong.
const MEMORY: u64 = 64 << 20;
const TASKS: u64 = 32;
/// How long any call may take: one that never answers is left after this.
const DEADLINE: Duration = Duration::from_millis(1500);
/// How long the payload goes on by itself at the most, in ms; longer than the deadline.
const MILLIS: u64 = 4000;

fn how(params: &Params) -> Break {
    params.text("how").and_then(|word| word.parse().ok()).unwrap_or(Break::Crash)
}

fn needs(params: &Params) -> Vec<Ability> {
    let own_kernel = (how(params) == Break::Leave).then_some(Ability::Kernel);
    [Ability::Jobs].into_iter().chain(own_kernel).collect()
}

fn settle(params: &Params, _: &Bench) -> Result<Params, Refusal> {
    given::check("containment", params, &[("how", Is::Word)])?;
    let known = Break::ALL.iter().map(|how| how.word()).collect::<Vec<_>>();
    let params = given::word("containment", params.clone(), "how", &known)?;
    given::number("containment", params, "memory", MEMORY, 16 << 20..=1 << 30)
}

/// What it may take at its limit; twice as much is asked for.
fn limit(how: Break, spec: &Spec) -> Option<u64> {
    match how {
        Break::Memory | Break::Fill => Some(spec.memory),
        Break::Fork => Some(spec.tasks),
        Break::Crash | Break::Privileged | Break::Spin | Break::Leave => None,
    }
}

fn iterate(trial: &Trial<'_>) -> Result<(), Error> {
    let how = how(trial.params());
    let mut spec = Spec { tasks: TASKS, deadline: DEADLINE, ..trial.spec() };
    // What it writes must go with it: in a directory of its own, wherever that is.
    spec.provision = spec.provision.or_else(|| trial.identity().provisions.first().cloned());
    let mut neighbour = ready(trial, &trial.spec())?;
    let mut subject = ready(trial, &spec)?;
    let processes = subject.anatomy().processes;
    let limit = limit(how, &spec);
    let most = limit.map_or(1, |limit| limit * 2);
    let job = Job::Break { how, most, millis: MILLIS, tsc_hz: trial.bench().tsc_hz };
    let spent = || trial.total(Phase::Run) + trial.total(Phase::Remove);
    let before = spent();
    let (outcome, removed) = (subject.run(&job), subject.remove());
    let end = spent() - before;
    let gone = processes.iter().all(|(pid, role)| *role == Role::Daemon || goes(*pid));
    let verdict = verdict(how, outcome, limit);
    trial.remark("outcome", verdict.words);
    trial.note("contained", f64::from(u8::from(verdict.contained && removed.is_ok() && gone)));
    trial.note("end", end as f64);
    if let (Some(taken), Some(limit)) = (verdict.taken, limit) {
        trial.note("taken", taken as f64 / limit as f64);
    }
    let lives = neighbour.run(&Job::Echo(5)).is_ok();
    trial.note("neighbour", f64::from(u8::from(lives)));
    let fresh = ready(trial, &trial.spec()).and_then(end_of);
    trial.note("host", f64::from(u8::from(fresh.is_ok())));
    end_of(neighbour)
}

fn ready<'t>(trial: &'t Trial<'t>, spec: &Spec) -> Result<Sandbox<'t>, Error> {
    let mut sandbox = trial.create(spec)?;
    sandbox.start()?;
    sandbox.run(&Job::Echo(4))?;
    Ok(sandbox)
}

fn end_of(mut sandbox: Sandbox<'_>) -> Result<(), Error> {
    sandbox.stop()?;
    sandbox.remove()
}

/// Whether a process ends within a moment, which a monitor may need after its program; one that nobody has reaped yet
/// holds nothing any more.
fn goes(pid: i32) -> bool {
    let ended = || {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        stat.rsplit_once(')').is_none_or(|(_, rest)| rest.trim_start().starts_with(['Z', 'X']))
    };
    (0..400).any(|_| {
        let ended = ended();
        if !ended {
            sleep(Duration::from_millis(5));
        }
        ended
    })
}

/// How it went.
struct Verdict {
    contained: bool,
    /// How much it had when it ended or was refused, if anybody knows.
    taken: Option<u64>,
    words: &'static str,
}

fn verdict(how: Break, outcome: Result<Reply, Error>, limit: Option<u64>) -> Verdict {
    let known = |contained, words| Verdict { contained, taken: None, words };
    match (how, outcome) {
        (Break::Spin, Err(Error::Timeout { .. })) => known(true, "left at its deadline"),
        (Break::Spin, _) => known(false, "its deadline did not come"),
        (_, Err(Error::Died { .. })) => known(true, "ended"),
        // A monitor that says why its machine stopped.
        (_, Err(Error::Unsupported(_))) => known(true, "refused"),
        (_, Err(_)) => known(false, "no answer and no end"),
        (_, Ok(reply)) => {
            let taken = reply.u64("taken").ok();
            let within = taken.zip(limit).is_some_and(|(taken, limit)| taken <= limit);
            let words = match (reply.u64("refused"), within) {
                (Ok(1), true) => "refused at its limit",
                (_, true) => "stayed within its limit",
                _ => "beyond its limit: only the payload's own bound held",
            };
            Verdict { contained: within, taken, words }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use isomark_core::Exit;

    #[track_caller]
    fn is(how: Break, outcome: Result<Reply, Error>, contained: bool) {
        assert_eq!(verdict(how, outcome, Some(10)).contained, contained, "{how:?}");
    }

    fn reply(taken: u64, refused: u64) -> Result<Reply, Error> {
        Ok(Reply::new().with("taken", taken).with("refused", refused))
    }

    fn timeout() -> Result<Reply, Error> {
        Err(Error::Timeout { op: "x".into(), after: DEADLINE })
    }

    #[test]
    fn what_counts_as_contained() {
        is(Break::Memory, reply(10, 1), true);
        is(Break::Memory, reply(20, 0), false);
        // A limit that lets twice as much through before it refuses is none.
        is(Break::Fork, reply(19, 1), false);
        is(Break::Fork, reply(0, 1), true);
        is(Break::Fill, Err(Error::Died { exit: Exit::Signal(9), stderr: String::new() }), true);
        is(Break::Crash, Err(Error::Died { exit: Exit::Signal(11), stderr: String::new() }), true);
        is(Break::Crash, timeout(), false);
        is(Break::Spin, timeout(), true);
        is(Break::Spin, reply(4000, 0), false);
    }
}
