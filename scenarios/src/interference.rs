//! How much does a bad neighbour slow a program down?
//!
//! A victim's kernel runs alone and beside a storm in another instance of the same runtime, in an order left to chance,
//! within one trial: the slowdown is the quotient of the two rates. What fair sharing alone explains (half of one CPU) is
//! divided out in `excess`. The storm must still rage when the victim is done, or the trial fails.

use isomark_core::payload::{Isa, Job, Storm, kernel};
use isomark_core::{
    Ability, Bench, Error, Metric, Params, Refusal, Sandbox, Scenario, Spec, Trial, Unavailable, cpus,
};

use crate::given::{self, Is};
use crate::throughput::footprint;

pub(crate) const SCENARIO: Scenario = Scenario {
    name: "interference",
    question: "How much does a bad neighbour slow a program down?",
    metrics,
    needs,
    settle,
    iterate,
};

/// How long the victim's kernel runs when a plan does not say, in ms.
const MILLIS: u64 = 150;
/// When a storm ends at the latest, in ms.
const STORM_MILLIS: u64 = 15_000;
/// What a victim that writes writes, in bytes.
const WRITTEN: u64 = 8 << 20;
/// The name of that victim, which is a job and no kernel.
const WRITE: &str = "write";
/// Tasks of a neighbour: limited, and as good as unlimited.
const TASKS: [u64; 2] = [16, 4096];
/// Children alive at a time in a fork storm: more than the limit lets through.
const CHILDREN: u64 = 32;

fn storm(params: &Params) -> Storm {
    params.text("storm").and_then(|word| word.parse().ok()).unwrap_or(Storm::Spin)
}

fn limited(params: &Params) -> bool {
    params.text("limits") == Some("on")
}

/// The victim that shows a storm best: it uses what the storm takes.
fn victim_of(storm: Storm) -> &'static str {
    match storm {
        Storm::Spin | Storm::Fork => "dgemm",
        Storm::Stream => "triad",
        Storm::Thrash => "random",
        Storm::Allocate => "first-touch",
        Storm::Sync => WRITE,
    }
}

/// The size of a victim: arrays beyond the last-level cache for one that streams, a table within it for one that lives in
/// it; small otherwise, so that its preparation is short.
fn size_of(name: &str, llc: u64) -> u64 {
    match name {
        "triad" | "copy" | "scale" | "add" => (llc / 8).next_power_of_two(),
        "random" => (llc / 32).max(512).next_power_of_two() / 2,
        "dgemm" | "lu" => 128,
        _ => kernel(name).map_or(0, |kernel| kernel.default_n.min(1 << 22)),
    }
}

fn metrics(params: &Params) -> Vec<Metric> {
    let victim = params.text("victim").unwrap_or_else(|| victim_of(storm(params)));
    let work = kernel(victim).map_or("byte", |kernel| kernel.work);
    let ratios = ["slowdown", "excess"].map(Metric::ratio);
    ratios.into_iter().chain(["alone", "beside"].map(|name| Metric::rate(name, work))).collect()
}

fn needs(params: &Params) -> Vec<Ability> {
    let forks = storm(params) == Storm::Fork || params.text("victim") == Some("fork");
    let more = [(forks, Ability::Fork), (limited(params), Ability::Limits)];
    [Ability::Jobs].into_iter().chain(more.into_iter().filter(|m| m.0).map(|m| m.1)).collect()
}

const OWN: [(&str, Is); 5] = [
    ("storm", Is::Word),
    ("victim", Is::Word),
    ("place", Is::Word),
    ("limits", Is::Word),
    ("millis", Is::Number),
];

fn settle(params: &Params, bench: &Bench) -> Result<Params, Refusal> {
    given::check("interference", params, &OWN)?;
    let storms = Storm::ALL.iter().map(|storm| storm.word()).collect::<Vec<_>>();
    let params = given::word("interference", params.clone(), "storm", &storms)?;
    let params = given::word("interference", params, "place", &["free", "same", "other"])?;
    let params = given::word("interference", params, "limits", &["off", "on"])?;
    let params = given::number("interference", params, "millis", MILLIS, 20..=5000)?;
    let victim = params.text("victim").unwrap_or_else(|| victim_of(storm(&params))).to_owned();
    if victim != WRITE && kernel(&victim).is_none() {
        return Err(Refusal::Input(format!("interference: victim {victim:?} is no kernel, nor \"{WRITE}\"")));
    }
    let own = kernel(&victim).and_then(|kernel| footprint(kernel, size_of(&victim, bench.llc)));
    let memory = params.number("memory").or(own).unwrap_or(isomark_core::trial::DEFAULT_MEMORY);
    let cores = cpus::cores().unwrap_or_default().len();
    if params.text("place") == Some("other") && cores < 2 {
        let why = Unavailable::new("this host has one core only", "use a host with two, or place = \"same\"");
        return Err(Refusal::Host(why));
    }
    Ok(params.with("victim", victim.as_str()).with("memory", memory))
}

/// How much a storm takes, and the spec of the neighbour in which it rages.
fn neighbour(trial: &Trial<'_>, kind: Storm) -> (u64, Spec) {
    let (limited, llc) = (limited(trial.params()), trial.bench().llc);
    let most = match kind {
        Storm::Spin => 1,
        Storm::Stream => llc * 2,
        Storm::Thrash => llc,
        Storm::Fork => CHILDREN,
        Storm::Allocate if limited => 96 << 20,
        Storm::Allocate => 256 << 20,
        Storm::Sync => 16 << 20,
    };
    let held = if kind == Storm::Fork { 0 } else { most };
    let room: u64 = if limited { 32 << 20 } else { 512 << 20 };
    let memory = (held + room).next_power_of_two();
    let cpus = if limited { 1 } else { trial.bench().cpus };
    let tasks = TASKS[usize::from(!limited)];
    (most, Spec { memory, cpus, tasks, ..trial.spec() })
}

fn iterate(trial: &Trial<'_>) -> Result<(), Error> {
    let kind = storm(trial.params());
    let writes = trial.params().text("victim") == Some(WRITE);
    let (most, spec) = neighbour(trial, kind);
    let mut victim = launch(trial, &trial.spec(), writes)?;
    let mut neighbour = launch(trial, &spec, kind == Storm::Sync)?;
    place(trial, &victim, &neighbour)?;
    let job = Job::Storm { kind, most, millis: STORM_MILLIS, tsc_hz: trial.bench().tsc_hz };
    // A first, discarded run: the victim's pages and the caches are as they will be.
    rate(trial, &mut victim)?;
    let mut beside = |victim: &mut Sandbox<'_>| {
        neighbour.run(&job)?;
        let rate = rate(trial, victim)?;
        calm(&mut neighbour)?;
        Ok::<_, Error>(rate)
    };
    let (alone, beside) = if trial.chance("interference").sign() > 0.0 {
        let alone = rate(trial, &mut victim)?;
        (alone, beside(&mut victim)?)
    } else {
        let beside = beside(&mut victim)?;
        (rate(trial, &mut victim)?, beside)
    };
    let slowdown = alone / beside;
    trial.note("slowdown", slowdown);
    trial.note("excess", slowdown / fair(trial.params(), cpus::cores()?.len()));
    trial.note("alone", alone);
    trial.note("beside", beside);
    for mut sandbox in [victim, neighbour] {
        sandbox.stop()?;
        sandbox.remove()?;
    }
    Ok(())
}

/// What sharing CPUs fairly between two instances explains by itself: the victim has one thread.
fn fair(params: &Params, cores: usize) -> f64 {
    match params.text("place") {
        Some("same") => 2.0,
        Some("other") => 1.0,
        _ => (2.0 / cores.max(1) as f64).max(1.0),
    }
}

/// A started instance; one that writes has its files on a disk if the runtime has such a way.
fn launch<'t>(trial: &'t Trial<'t>, spec: &Spec, writes: bool) -> Result<Sandbox<'t>, Error> {
    let ways = match (&spec.provision, writes) {
        (None, true) => trial.identity().provisions.iter().cloned().map(Some).collect(),
        (given, _) => vec![given.clone()],
    };
    let mut last = None;
    for provision in ways {
        drop(last.take());
        let mut sandbox = trial.create(&Spec { provision, ..spec.clone() })?;
        sandbox.start()?;
        let anatomy = sandbox.anatomy();
        let on_disk = !anatomy.private.is_empty() && !anatomy.files_in_memory;
        if !writes || on_disk {
            return Ok(sandbox);
        }
        last = Some(sandbox);
    }
    trial.remark("files", "in memory");
    last.ok_or_else(|| Error::Unsupported("the runtime provisions no root that can be written".into()))
}

fn place(trial: &Trial<'_>, victim: &Sandbox<'_>, neighbour: &Sandbox<'_>) -> Result<(), Error> {
    let cores = cpus::cores()?;
    let (first, last) = (cores.first().copied().unwrap_or(0), cores.last().copied().unwrap_or(0));
    match trial.params().text("place") {
        Some("same") => victim.pin(&[last]).and_then(|()| neighbour.pin(&[last])),
        Some("other") => victim.pin(&[last]).and_then(|()| neighbour.pin(&[first])),
        _ => Ok(()),
    }
}

/// Ends the storm; one that was over by itself did not rage beside all of the victim.
fn calm(neighbour: &mut Sandbox<'_>) -> Result<(), Error> {
    let reply = neighbour.run(&Job::Calm)?;
    match reply.u64("over") {
        Ok(0) => Ok(()),
        _ => Err(Error::Unsupported("the storm was over before its victim".into())),
    }
}

/// What the victim does per second, over the whole of its run.
fn rate(trial: &Trial<'_>, victim: &mut Sandbox<'_>) -> Result<f64, Error> {
    let params = trial.params();
    let name = params.text("victim").unwrap_or_default();
    if name == WRITE {
        let (_, took) = victim.time(&Job::Write { bytes: WRITTEN })?;
        return Ok(WRITTEN as f64 / (took as f64 / 1e9));
    }
    let (n, tsc_hz) = (size_of(name, trial.bench().llc), trial.bench().tsc_hz);
    let millis = params.number("millis").unwrap_or(MILLIS);
    let job = Job::Kernel { name: name.to_owned(), n, isa: Isa::Auto, millis, tsc_hz, injected: 0 };
    let reply = victim.run(&job)?;
    let number = |key: &str| reply.f64(key).map_err(|e| Error::WrongAnswer(e.to_string()));
    Ok(number("total_work")? / number("total_ticks")? * tsc_hz as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_storm_has_a_victim_that_can_run() {
        for kind in Storm::ALL {
            let name = victim_of(*kind);
            assert!(
                name == WRITE
                    || kernel(name).is_some_and(|k| footprint(k, size_of(name, 32 << 20)).is_some()),
                "{name}"
            );
        }
        assert_eq!(size_of("triad", 32 << 20), 4 << 20);
        assert!(size_of("random", 32 << 20) * 8 < 32 << 20);
    }

    #[test]
    fn half_a_cpu_is_fair_on_one_and_none_is_taken_on_two() {
        let at = |place: &str| Params::new().with("place", place);
        assert_eq!((fair(&at("same"), 2), fair(&at("other"), 2)), (2.0, 1.0));
        assert_eq!((fair(&at("free"), 1), fair(&at("free"), 2), fair(&at("free"), 64)), (2.0, 1.0, 1.0));
    }
}
