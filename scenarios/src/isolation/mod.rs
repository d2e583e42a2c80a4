//! What of the host can be seen and reached from inside?
//!
//! Canaries that the harness plants on the host, facts of the host that its files tell, and the system calls that
//! untrusted code reaches. The answer is a vector and never one score: a box that hides everything may still reach many
//! calls. Whether a box can be broken out of is not tested here and does not follow from any of it.

mod calls;
mod facts;
mod functions;
mod plant;

use isomark_core::payload::{Job, Probe, Reply, job};
use isomark_core::{Ability, Bench, Error, Metric, Params, Refusal, Sandbox, Scenario, Spec, Trial, tracer};

use crate::given::{self, Is};
use plant::Plants;

pub use calls::{LAST as LAST_CALL, between as classes};

pub(crate) const SCENARIO: Scenario = Scenario {
    name: "isolation",
    question: "What of the host can be seen and reached from inside?",
    metrics: |params| {
        if traced(params) {
            return vec![Metric::count("functions")];
        }
        let visible = [Metric::share("leak")].into_iter();
        let counts = ["canaries-visible", "facts-visible", "calls-reached"].map(Metric::count);
        // Of the host's own system calls: what the program itself reaches, or what its monitor may call for it.
        let interface = Metric::count("interface").if_any();
        let refused =
            ["calls-refused", "calls-absent", "calls-killed"].map(|name| Metric::count(name).higher());
        let asked = ["canaries-planted", "facts-asked"].map(|name| Metric::count(name).higher());
        visible.chain(counts).chain([interface]).chain(refused).chain(asked).collect()
    },
    needs: |params| [Ability::Jobs].into_iter().chain(traced(params).then_some(Ability::Memory)).collect(),
    settle,
    iterate,
};

fn settle(params: &Params, _: &Bench) -> Result<Params, Refusal> {
    given::check("isolation", params, &[("ask", Is::Word)])?;
    match params.text("ask") {
        None => Ok(params.clone()),
        Some("functions") => tracer::available().map(|_| params.clone()).map_err(Refusal::Host),
        Some(other) => Err(Refusal::Input(format!("isolation: ask = {other:?} is none of functions"))),
    }
}

/// Whether the cell asks for functions of the host's kernel instead of what is seen and reached.
fn traced(params: &Params) -> bool {
    params.text("ask") == Some("functions")
}

fn iterate(trial: &Trial<'_>) -> Result<(), Error> {
    if traced(trial.params()) {
        return functions::count(trial);
    }
    let plants = Plants::new(trial)?;
    let looked = look(trial, &plants);
    let (canaries, facts) = Error::join(looked, plants.end())?;
    let visible = canaries.visible.len() + facts.visible.len();
    trial.note("leak", visible as f64 / (canaries.asked.len() + facts.asked.len()) as f64);
    canaries.tell(trial, ["canaries-visible", "canaries-planted"]);
    facts.tell(trial, ["facts-visible", "facts-asked"]);
    calls::sweep(trial)?;
    trial.remark("escape", "not testable by a benchmark; nothing here says anything about it");
    Ok(())
}

/// What was asked for, and what of it was seen.
#[derive(Debug, Default, PartialEq, Eq)]
struct Looks {
    asked: Vec<&'static str>,
    /// What the host itself does not have, so that nobody can be asked for it.
    untold: Vec<&'static str>,
    visible: Vec<&'static str>,
}

impl Looks {
    fn add(&mut self, name: &'static str, seen: bool) {
        self.asked.push(name);
        self.visible.extend(seen.then_some(name));
    }

    fn tell(&self, trial: &Trial<'_>, [visible, asked]: [&str; 2]) {
        trial.note(visible, self.visible.len() as f64);
        trial.note(asked, self.asked.len() as f64);
        let words = |names: &[&str]| if names.is_empty() { "none".to_owned() } else { names.join(", ") };
        trial.remark(visible, words(&self.visible));
        trial.remark(asked, words(&self.asked));
        if !self.untold.is_empty() {
            trial.remark("not told by the host", self.untold.join(", "));
        }
    }
}

fn look(trial: &Trial<'_>, plants: &Plants) -> Result<(Looks, Looks), Error> {
    let mut sandbox = trial.create(&Spec { deadline: trial.bench().deadline, ..trial.spec() })?;
    sandbox.start()?;
    let mut canaries = Looks::default();
    for (name, probe, expected) in plants.probes() {
        let reply = sandbox.run(&Job::Probe(probe))?;
        let told = text(&reply)?;
        canaries.add(name, seen(&reply)? && expected.is_none_or(|expected| expected == told));
    }
    if !plants.missing().is_empty() {
        trial.remark("not planted", plants.missing().join(", "));
    }
    let facts = facts::look(&mut sandbox)?;
    sandbox.stop()?;
    sandbox.remove()?;
    Ok((canaries, facts))
}

fn wrong(e: impl std::fmt::Display) -> Error {
    Error::WrongAnswer(e.to_string())
}

fn seen(reply: &Reply) -> Result<bool, Error> {
    Ok(reply.u64("seen").map_err(wrong)? == 1)
}

/// The text of a reply; empty for probes that have none.
fn text(reply: &Reply) -> Result<Vec<u8>, Error> {
    if reply.has("text") {
        job::unhex(reply.str("text").map_err(wrong)?).map_err(wrong)
    } else {
        Ok(Vec::new())
    }
}

/// The first bytes of a file as seen from inside, if it can be read there.
fn peek(sandbox: &mut Sandbox<'_>, path: &str) -> Result<Option<Vec<u8>>, Error> {
    let reply = sandbox.run(&Job::Probe(Probe::Peek { path: path.to_owned(), bytes: facts::BYTES }))?;
    Ok(if seen(&reply)? { Some(text(&reply)?) } else { None })
}
