//! One iteration of a scenario on a runtime, and the only stopwatch.
//!
//! A scenario gets its instances from here, so each lifecycle call is timed by the same code in the same way; a
//! runtime's author has no clock and a scenario's author no way around this one. A reply is checked before it is
//! handed on: an answer that is wrong never becomes a number.

mod load;

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::account;
use crate::clock::{monotonic_ns, process_cpu_ns};
use crate::cpus;
use crate::error::Error;
use crate::features::Features;
use crate::image::Image;
use crate::params::Params;
use crate::payload::data::Xoshiro;
use crate::payload::{Job, Reply};
use crate::phase::Phase;
use crate::runtime::{
    Ability, Anatomy, Exit, Identity, Instance, Kind, Origin, Program, Runtime, Spec, Usage,
};

pub use load::Served;

/// Memory of an instance when a plan asks for none, in bytes.
pub const DEFAULT_MEMORY: u64 = 128 << 20;

/// Inner steps that are kept of one trial: those of its first instances, for a thousand tell the same again.
const MOST_STEPS: usize = 256;

/// Tasks that an instance may have when a scenario asks for no other number.
pub const DEFAULT_TASKS: u64 = 256;

/// Bound on every blocking call when nobody names another.
pub const DEFAULT_DEADLINE: Duration = Duration::from_secs(60);

/// What every trial of a run shares.
#[derive(Clone, Debug)]
pub struct Bench {
    /// The payload.
    pub payload: Image,
    /// The user's own program, for the scenario that measures it.
    pub program: Option<Program>,
    /// Ticks of the time-stamp counter per second.
    pub tsc_hz: u64,
    /// CPUs of the host.
    pub cpus: u32,
    /// Last-level cache of the host in bytes.
    pub llc: u64,
    /// Bound on every blocking call.
    pub deadline: Duration,
    /// Directory on the file system where instances are provisioned.
    pub scratch: std::path::PathBuf,
}

/// What a trial has recorded.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Log {
    /// Each lifecycle call and how long it took, in ns, in the order of the calls.
    pub phases: Vec<(Phase, u64)>,
    /// Metric values.
    pub values: BTreeMap<String, f64>,
    /// Raw numbers behind a value, by name: each latency, each point of a ramp.
    pub series: BTreeMap<String, Vec<f64>>,
    /// Inner steps as told: name, ns since the first `create` began.
    pub steps: Vec<(String, u64)>,
    /// Words that belong to the sample: the path a kernel took, the hash of its result.
    pub notes: BTreeMap<String, String>,
    /// The phase under way, for the failure row.
    pub current: Option<Phase>,
    began_ns: Option<u64>,
    cpu_ns: u64,
    failed: bool,
}

/// One iteration of a scenario on a runtime. Several threads may share it ([`mod@crate::together`]).
pub struct Trial<'a> {
    runtime: &'a dyn Runtime,
    identity: &'a Identity,
    params: &'a Params,
    bench: &'a Bench,
    seed: u64,
    injected: u64,
    log: Mutex<Log>,
}

impl<'a> Trial<'a> {
    /// A trial that has not begun.
    #[must_use]
    pub fn new(
        runtime: &'a dyn Runtime,
        identity: &'a Identity,
        params: &'a Params,
        bench: &'a Bench,
    ) -> Self {
        Self { runtime, identity, params, bench, seed: 0, injected: 0, log: Mutex::default() }
    }

    /// The same trial with a seed for the choices that its scenario leaves to chance.
    #[must_use]
    pub fn seeded(self, seed: u64) -> Self {
        Self { seed, ..self }
    }

    /// Chance for one purpose of the scenario: the same in every repetition of this run, another in each block.
    #[must_use]
    pub fn chance(&self, purpose: &str) -> Xoshiro {
        Xoshiro::named(&format!("{purpose} {}", self.seed))
    }

    fn log(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The same trial with work injected: every `create` and `start` takes so many thousandths longer, spent busy.
    ///
    /// This is how a regression is planted whose size is known (positive control).
    #[must_use]
    pub const fn injecting(mut self, thousandths: u64) -> Self {
        self.injected = thousandths;
        self
    }

    /// Work to be injected into what a job is timed by, in thousandths of its own time.
    #[must_use]
    pub const fn injected(&self) -> u64 {
        self.injected
    }

    /// The parameters of the cell.
    #[must_use]
    pub const fn params(&self) -> &Params {
        self.params
    }

    /// What all trials of the run share.
    #[must_use]
    pub const fn bench(&self) -> &Bench {
        self.bench
    }

    /// The spec that the cell's parameters describe: the payload with `memory` bytes, `provision`, `pages`.
    #[must_use]
    pub fn spec(&self) -> Spec {
        Spec {
            memory: self.params.number("memory").unwrap_or(DEFAULT_MEMORY),
            cpus: self.bench.cpus,
            provision: self.params.text("provision").map(str::to_owned),
            huge_pages: self.params.text("pages") != Some("small"),
            origin: self.params.text("origin").map(Origin::of).unwrap_or_default(),
            // A word that means nothing was refused before the first trial.
            cpu: self.params.text("cpu").and_then(|word| word.parse().ok()).unwrap_or_default(),
            deadline: self.bench.deadline,
            ..Spec::new(Program::payload(self.bench.payload.clone()))
        }
    }

    /// Creates an instance.
    ///
    /// # Errors
    /// What the runtime says.
    pub fn create(&self, spec: &Spec) -> Result<Sandbox<'_>, Error> {
        let preparing_ns = monotonic_ns();
        self.runtime.prepare(spec)?;
        if spec.origin != Origin::Fresh {
            // What a start begins with has its price, too: told beside the start, never part of it.
            self.remark("prepared_ns", (monotonic_ns() - preparing_ns).to_string());
        }
        let began_ns = monotonic_ns();
        self.log().began_ns.get_or_insert(began_ns);
        let (instance, _) = self.timed(Phase::Create, || self.runtime.create(spec))?;
        Ok(Sandbox { trial: self, instance, cpu: spec.cpu.clone(), began_ns, ready_ns: began_ns })
    }

    /// Time since the first `create` of this trial began; none yet, no time. For bounds, not for results.
    #[must_use]
    pub fn age(&self) -> Duration {
        let began = self.log().began_ns;
        began.map_or(Duration::ZERO, |began| Duration::from_nanos(monotonic_ns().saturating_sub(began)))
    }

    /// What the runtime is at heart.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.runtime.kind()
    }

    /// Who the runtime is on this host.
    #[must_use]
    pub const fn identity(&self) -> &Identity {
        self.identity
    }

    /// Whether the runtime can do this.
    #[must_use]
    pub fn can(&self, ability: Ability) -> bool {
        self.identity.can.contains(&ability)
    }

    /// Drops the payload's and the runtime's own files from the page cache; nobody else's (`posix_fadvise(2)`).
    ///
    /// # Errors
    /// If a file cannot be opened, or the kernel does not take the advice.
    pub fn evict(&self) -> Result<(), Error> {
        use nix::fcntl::{PosixFadviseAdvice, posix_fadvise};
        let own = self.identity.files.iter().map(std::path::PathBuf::as_path);
        for path in own.chain([self.bench.payload.path()]) {
            let op = || format!("drop {} from the page cache", path.display());
            let file = std::fs::File::open(path).map_err(|e| Error::os(op(), e))?;
            posix_fadvise(&file, 0, 0, PosixFadviseAdvice::POSIX_FADV_DONTNEED)
                .map_err(|e| Error::os(op(), e))?;
        }
        Ok(())
    }

    /// Records the value of a metric that the scenario declares.
    pub fn note(&self, metric: &str, value: f64) {
        self.log().values.insert(metric.to_owned(), value);
    }

    /// Records the raw numbers behind a value; what is not a number is none.
    pub fn series(&self, name: &str, mut numbers: Vec<f64>) {
        // JSON has no word for the others, and a folder that cannot be read back is worth nothing.
        numbers.retain(|number| number.is_finite());
        self.log().series.insert(name.to_owned(), numbers);
    }

    /// Records words that belong to the sample.
    pub fn remark(&self, key: &str, words: impl Into<String>) {
        self.log().notes.insert(key.to_owned(), words.into());
    }

    /// Time spent in a phase so far, in ns; repeated calls add up.
    #[must_use]
    pub fn total(&self, phase: Phase) -> u64 {
        self.log().phases.iter().filter(|(p, _)| *p == phase).map(|(_, ns)| ns).sum()
    }

    /// CPU time that the harness itself spent inside lifecycle calls so far, in ns. Calls of several threads at a time
    /// count what their neighbours spent, too.
    #[must_use]
    pub fn harness_cpu_ns(&self) -> u64 {
        self.log().cpu_ns
    }

    /// What was recorded; ends the trial.
    #[must_use]
    pub fn finish(self) -> Log {
        self.log.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    /// The stopwatch: what the call gave and how long it took, in ns.
    fn timed<T>(&self, phase: Phase, call: impl FnOnce() -> Result<T, Error>) -> Result<(T, u64), Error> {
        self.under_way(phase);
        let cpu = process_cpu_ns();
        let began = monotonic_ns();
        let result = call();
        if matches!(phase, Phase::Create | Phase::Start) {
            spin(began, self.injected);
        }
        let took = monotonic_ns() - began;
        let mut log = self.log();
        log.cpu_ns += process_cpu_ns().saturating_sub(cpu);
        log.phases.push((phase, took));
        // What failed first is what a failure row tells, whatever other threads did meanwhile.
        match &result {
            Ok(_) if log.failed => {}
            Ok(_) => log.current = None,
            Err(_) => (log.current, log.failed) = (Some(phase), true),
        }
        result.map(|value| (value, took))
    }

    fn under_way(&self, phase: Phase) {
        let mut log = self.log();
        if !log.failed {
            log.current = Some(phase);
        }
    }

    fn told(&self, usage: &Usage) {
        let mut log = self.log();
        let began = log.began_ns.unwrap_or(0);
        let room = MOST_STEPS.saturating_sub(log.steps.len());
        // What was done before anybody asked (a machine of the pool) is no step of this start, and never one at 0 ns.
        let own = usage.steps.iter().filter_map(|s| Some((s.name.clone(), s.at_ns.checked_sub(began)?)));
        log.steps.extend(own.take(room));
        for (name, count) in &usage.counts {
            log.notes.insert(name.clone(), count.to_string());
        }
        if !usage.unserved.is_empty() {
            log.notes.insert("unserved".into(), usage.unserved.join(", "));
        }
    }
}

/// Keeps the CPU busy for so many thousandths of the time since `began`.
fn spin(began: u64, thousandths: u64) {
    if thousandths == 0 {
        return;
    }
    let now = monotonic_ns();
    let until = now + (now - began).saturating_mul(thousandths) / 1000;
    while monotonic_ns() < until {
        std::hint::spin_loop();
    }
}

/// An instance whose lifecycle calls are timed. Dropping it leaves nothing behind.
pub struct Sandbox<'t> {
    trial: &'t Trial<'t>,
    instance: Box<dyn Instance>,
    cpu: Features,
    began_ns: u64,
    ready_ns: u64,
}

impl Sandbox<'_> {
    /// Starts the program. Where features of the CPU are hidden from it, it is asked afterwards whether they are.
    ///
    /// # Errors
    /// What the runtime says, or [`Error::WrongAnswer`] if the program sees what it should not.
    pub fn start(&mut self) -> Result<(), Error> {
        let instance = &mut self.instance;
        self.trial.timed(Phase::Start, || instance.start())?;
        self.ready_ns = monotonic_ns();
        if self.cpu.is_host() {
            return Ok(());
        }
        // Outside of what is timed, and of what is recorded as a job.
        self.cpu.check(&self.instance.run(&Job::Features)?)
    }

    /// When its `create` began and when its `start` was done, in ns of the one clock.
    #[must_use]
    pub const fn born(&self) -> (u64, u64) {
        (self.began_ns, self.ready_ns)
    }

    /// Hands over one job, waits for the reply and checks it.
    ///
    /// # Errors
    /// What the runtime says, or [`Error::WrongAnswer`].
    pub fn run(&mut self, job: &Job) -> Result<Reply, Error> {
        self.time(job).map(|(reply, _)| reply)
    }

    /// The same, and how long it took in ns, from the job's first byte to the reply's last.
    ///
    /// # Errors
    /// As [`Sandbox::run`].
    pub fn time(&mut self, job: &Job) -> Result<(Reply, u64), Error> {
        let instance = &mut self.instance;
        let (reply, took) = self.trial.timed(Phase::Run, || instance.run(job))?;
        check(job, &reply, took)?;
        Ok((reply, took))
    }

    /// Lets the payload end and reaps it: anything but exit status 0 is a failure.
    ///
    /// # Errors
    /// What the runtime says, or [`Error::Died`].
    pub fn stop(&mut self) -> Result<Usage, Error> {
        let usage = self.wait()?;
        match usage.exit {
            Exit::Code(0) => Ok(usage),
            exit => Err(Error::Died { exit, stderr: usage.stderr }),
        }
    }

    /// Waits for the end of a program that may end as it likes.
    ///
    /// # Errors
    /// What the runtime says.
    pub fn wait(&mut self) -> Result<Usage, Error> {
        let instance = &mut self.instance;
        let (usage, _) = self.trial.timed(Phase::Stop, || instance.stop())?;
        self.trial.told(&usage);
        Ok(usage)
    }

    /// Takes the instance away.
    ///
    /// # Errors
    /// What could not be removed.
    pub fn remove(self) -> Result<(), Error> {
        let Self { trial, instance, .. } = self;
        trial.timed(Phase::Remove, || instance.remove()).map(drop)
    }

    /// Keeps its processes on these CPUs from here on.
    ///
    /// # Errors
    /// If a CPU does not exist or the kernel refuses.
    pub fn pin(&self, on: &[usize]) -> Result<(), Error> {
        cpus::pin(&self.anatomy(), on)
    }

    /// Where its memory and disk are.
    #[must_use]
    pub fn anatomy(&self) -> Anatomy {
        self.instance.anatomy()
    }

    /// Memory in every accounting mode.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn memory(&self) -> Result<account::Memory, Error> {
        account::memory(&self.anatomy())
    }
}

/// Whether a reply is right, and whether the duration it tells can be true within the host's own bracket.
fn check(job: &Job, reply: &Reply, took_ns: u64) -> Result<(), Error> {
    isomark_payload::answers::check(job, reply).map_err(|e| Error::WrongAnswer(e.to_string()))?;
    let Job::Kernel { name, tsc_hz, .. } = job else { return Ok(()) };
    let ticks = reply.u64("total_ticks").map_err(|e| Error::WrongAnswer(e.to_string()))?;
    let told_ns = ticks as f64 / *tsc_hz as f64 * 1e9;
    // 2 %: the calibration of the counter is good to 1e-4, and the bracket can only be longer than what it holds.
    if told_ns > took_ns as f64 * 1.02 {
        let text = format!("{name} tells {told_ns:.0} ns of work within a host bracket of {took_ns} ns");
        return Err(Error::WrongAnswer(text));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
