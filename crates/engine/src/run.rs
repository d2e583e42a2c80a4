//! The loop: block after block, one trial of every cell, each sample handed on as it ends.
//!
//! A trial that fails is a sample with its reason, and the next one begins. Only where the host itself is so short of
//! something that nobody in a block could be measured does the run end: the next block would be the same. Nothing is drawn,
//! computed or logged while a trial runs; the sink is called between trials.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use isomark_core::clock::monotonic_ns;
use isomark_core::partition::{Partition, round};
use isomark_core::record::{Block, Cell, EXHAUSTED, Failure, Outcome, Sample};
use isomark_core::{Bench, Error, Exit, Kind, Scenario, Shortage, Trial, account};

use crate::allot::Allot;
use crate::interrupt::Interrupt;
use crate::noise::Noise;
use crate::plan::{Found, Plan};
use crate::precise::Open;
use crate::schedule::{groups, order};

/// What happens during a run.
#[derive(Debug)]
pub enum Event<'a> {
    /// A trial is about to begin: how many are done of how many.
    Next(usize, usize, &'a Cell),
    /// A trial that an earlier command stored: nothing is to be stored, but intervals rest on it.
    Stored(&'a Sample),
    /// A trial has ended.
    Sample(&'a Sample),
    /// A block has ended.
    Block(&'a Block),
}

/// Where events go.
pub trait Sink {
    /// Takes one event.
    ///
    /// # Errors
    /// What could not be stored: the run ends there.
    fn on(&mut self, event: Event<'_>) -> Result<(), Error>;

    /// Whether a cell has been measured as precisely as was asked. Asked between blocks, now and then.
    ///
    /// An answer may rest on how wide an interval is and never on where it lies: who stops when a difference looks
    /// significant finds differences that are not there.
    fn precise(&mut self, _cell: usize) -> bool {
        false
    }
}

/// Keeps the samples in memory, for who wants no folder.
impl Sink for Vec<Sample> {
    fn on(&mut self, event: Event<'_>) -> Result<(), Error> {
        if let Event::Stored(sample) | Event::Sample(sample) = event {
            self.push(sample.clone());
        }
        Ok(())
    }
}

/// Carries out the trials of a runtime somewhere else than in this process.
pub trait Elsewhere {
    /// One trial of a cell; which cell and which block it was is not for it to say.
    ///
    /// # Errors
    /// If no word came back: the trial is a failed one then.
    fn trial(&self, cell: &Cell, seed: u64) -> Result<Sample, Error>;
}

/// Everything a run needs, decided before it begins.
pub struct Setup<'a> {
    /// The expanded plan.
    pub cells: &'a [Cell],
    /// The runtimes.
    pub found: &'a [Found<'a>],
    /// The scenarios.
    pub scenarios: &'a [Scenario],
    /// What all trials share.
    pub bench: &'a Bench,
    /// Seed of the order.
    pub seed: u64,
    /// Blocks.
    pub blocks: u32,
    /// Which of them are carried out here; none for all.
    pub part: Option<Partition>,
    /// Warm-up trials of each cell.
    pub warmup: u32,
    /// When the run is to be over: nothing begins that would take longer, and where there is not time for all, cells
    /// get fewer turns.
    pub until: Option<Instant>,
    /// Whether precision ends cells. Blocks are a cap then that nobody means to reach: no time is divided among them.
    pub precision: bool,
    /// Who carries out trials somewhere else, and of which cells.
    pub elsewhere: &'a [(Vec<usize>, &'a dyn Elsewhere)],
    /// Trials that are stored already: they are not run again, and later ones must agree with them. Those that a shortage of
    /// the host ended are not among them.
    pub stored: &'a [Sample],
}

impl<'a> Setup<'a> {
    /// All blocks of a plan in this process, begun anew, with seed 0.
    #[must_use]
    pub const fn new(
        plan: &Plan,
        cells: &'a [Cell],
        found: &'a [Found<'a>],
        scenarios: &'a [Scenario],
        bench: &'a Bench,
    ) -> Self {
        Self {
            cells,
            found,
            scenarios,
            bench,
            seed: 0,
            blocks: plan.blocks,
            part: None,
            warmup: plan.warmup,
            until: None,
            precision: false,
            elsewhere: &[],
            stored: &[],
        }
    }
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// All blocks are done, or everything is as precise as was asked.
    Complete,
    /// The time budget was used up.
    Budget,
    /// This signal asked for it.
    Signal(usize),
}

/// Runs everything that is not done yet.
///
/// # Errors
/// What the sink could not store, or what the host is so short of that no trial of a block could be carried out.
pub fn run(setup: &Setup<'_>, interrupt: &Interrupt, sink: &mut dyn Sink) -> Result<End, Error> {
    let groups = groups(setup.cells);
    let rounds = rounds(setup, &groups);
    let total = rounds.iter().map(|round| round.cells.len()).sum();
    let began = Instant::now();
    let mut on = Loop::new(setup, interrupt, total);
    let mut open = Open::all(setup.cells);
    let mut allot = Allot::new(setup, rounds.iter().filter(|round| !round.warmup).flat_map(|r| &r.cells));
    setup.stored.iter().try_for_each(|sample| sink.on(Event::Stored(sample)))?;
    for round in &rounds {
        open.look(round.block, round.warmup, sink);
        // What is left out of statistics may take a tenth of the time.
        let until = setup.until.map(|until| if round.warmup { began + (until - began) / 10 } else { until });
        if setup.until.is_some_and(|until| Instant::now() >= until) {
            return Ok(End::Budget);
        }
        allot.divide(until.map(rest).filter(|_| !round.warmup && !setup.precision));
        let (noise, before) = (Noise::begin(), (on.done, on.short.len()));
        for group in round.cells.chunk_by(|a, b| groups[*a] == groups[*b]) {
            let open = group.iter().copied().filter(|cell| open.holds(*cell)).collect::<Vec<_>>();
            let cells = open.iter().copied().filter(|c| round.warmup || allot.admits(*c, round.block));
            let mut cells = cells.collect::<Vec<_>>();
            // Cells that are compared with each other begin together or not at all.
            if until.is_some_and(|until| rest(until) <= allot.expected(&cells)) {
                cells.clear();
            }
            on.left_out |= cells.len() < open.len() && !round.warmup;
            on.total -= group.len() - cells.len();
            if let Some(end) = on.group(round, &cells, &mut allot, sink)? {
                return Ok(end);
            }
            allot.passed(round.warmup, group);
        }
        on.worth_going_on(before)?;
        if !round.warmup && on.done > before.0 {
            sink.on(Event::Block(&noise.end(round.block)))?;
        }
    }
    Ok(if on.left_out { End::Budget } else { End::Complete })
}

/// Seconds until a moment; none are left once it has passed.
fn rest(until: Instant) -> f64 {
    until.saturating_duration_since(Instant::now()).as_secs_f64()
}

/// A run under way.
struct Loop<'a> {
    setup: &'a Setup<'a>,
    interrupt: &'a Interrupt,
    total: usize,
    done: usize,
    seen: Consistency,
    left_out: bool,
    /// How those trials failed for which the host was too short of something.
    short: Vec<String>,
}

impl<'a> Loop<'a> {
    fn new(setup: &'a Setup<'a>, interrupt: &'a Interrupt, total: usize) -> Self {
        let (seen, short) = (Consistency::of(setup), Vec::new());
        Self { setup, interrupt, total, done: 0, seen, left_out: false, short }
    }

    /// Fails if the host was too short of something for every trial of a block: how many were done, and how many met
    /// that, before it.
    fn worth_going_on(&self, (done, short): (usize, usize)) -> Result<(), Error> {
        let (tried, met) = (self.done - done, self.short.len() - short);
        let Some(last) = self.short.last().filter(|_| met > 0 && met == tried) else { return Ok(()) };
        let (lacks, remedy) = Shortage::in_words(last)
            .map_or(("what a trial takes", "see the message"), |shortage| {
                (shortage.word(), shortage.remedy())
            });
        Err(Error::Exhausted(format!(
            "the host lacks {lacks}, and no trial could begin: {last}; remedy: {remedy}"
        )))
    }

    /// One trial of each of these cells; how the run ended, if it did.
    fn group(
        &mut self,
        round: &Round,
        cells: &[usize],
        allot: &mut Allot,
        sink: &mut dyn Sink,
    ) -> Result<Option<End>, Error> {
        for cell in cells {
            if let Some(signal) = self.interrupt.signal() {
                return Ok(Some(End::Signal(signal)));
            }
            let plan = &self.setup.cells[*cell];
            sink.on(Event::Next(self.done, self.total, plan))?;
            let mut began = Instant::now();
            let _ = self.interrupt.has_resumed();
            let mut sample = trial(self.setup, *cell, round);
            // Who was stopped in the middle of it has measured for how long.
            while self.interrupt.has_resumed() && self.interrupt.signal().is_none() {
                began = Instant::now();
                sample = trial(self.setup, *cell, round);
            }
            let sample = self.seen.check(plan, sample);
            allot.took(*cell, began.elapsed().as_secs_f64(), round.warmup);
            if let Some(signal) = self.interrupt.signal() {
                // The trial under way may have been disturbed by the same signal: it is run again on resuming.
                return Ok(Some(End::Signal(signal)));
            }
            sink.on(Event::Sample(&sample))?;
            self.done += 1;
            match sample.outcome {
                Outcome::Failed(failure) if failure.kind == EXHAUSTED => self.short.push(failure.message),
                _ => {}
            }
        }
        Ok(None)
    }
}

/// A block, or a round of warm-up.
struct Round {
    block: u32,
    warmup: bool,
    cells: Vec<usize>,
}

fn rounds(setup: &Setup<'_>, groups: &[usize]) -> Vec<Round> {
    let every = setup.cells.iter().map(|c| c.every).collect::<Vec<_>>();
    let all = vec![1; every.len()];
    let warmups = (0..setup.warmup).map(|block| (block, true, order(!setup.seed, block, &all, groups)));
    let step = round(setup.cells);
    let here = move |block: &u32| setup.part.is_none_or(|part| part.holds(*block, step));
    let blocks = (0..setup.blocks).filter(here);
    let blocks = blocks.map(|block| (block, false, order(setup.seed, block, &every, groups)));
    let stored = setup.stored.iter().map(|s| (s.cell, s.block, s.warmup)).collect::<BTreeSet<_>>();
    let open = |cell: &usize, block, warmup| {
        setup.cells[*cell].skipped.is_none() && !stored.contains(&(*cell, block, warmup))
    };
    warmups
        .chain(blocks)
        .map(|(block, warmup, mut cells)| {
            cells.retain(|cell| open(cell, block, warmup));
            Round { block, warmup, cells }
        })
        .collect()
}

fn trial(setup: &Setup<'_>, cell: usize, round: &Round) -> Sample {
    let plan = &setup.cells[cell];
    // All runtimes meet the same chance in a block: their paired ratios are not to contain it.
    let seed = setup.seed.rotate_left(32) ^ u64::from(round.block);
    let sample = match setup.elsewhere.iter().find(|(cells, _)| cells.contains(&cell)) {
        Some((_, hand)) => hand.trial(plan, seed).unwrap_or_else(|e| blank(failed(None, &e))),
        None => one(plan, seed, setup.found, setup.scenarios, setup.bench),
    };
    Sample { cell, block: round.block, warmup: round.warmup, ..sample }
}

/// A sample of this moment that has its outcome and nothing else.
fn blank(outcome: Outcome) -> Sample {
    Sample { at_ns: monotonic_ns(), ..Sample::new(0, 0, outcome) }
}

/// One trial of a cell in this process, with a seed for what its scenario leaves to chance; which cell and which block it was is for the caller to fill in.
#[must_use]
pub fn one(cell: &Cell, seed: u64, found: &[Found<'_>], scenarios: &[Scenario], bench: &Bench) -> Sample {
    let gone = Error::Unsupported("the runtime or the scenario is not here any more".into());
    let mut sample = blank(failed(None, &gone));
    let found = found.iter().find(|f| f.runtime.name() == cell.runtime);
    let scenario = scenarios.iter().find(|s| s.name == cell.scenario);
    let (Some(Found { runtime, probe: Ok(identity) }), Some(scenario)) = (found, scenario) else {
        return sample;
    };
    let injected = cell.arm.as_ref().map_or(0, |arm| (arm.handicap * 1000.0).round() as u64);
    let trial = Trial::new(*runtime, identity, &cell.params, bench).seeded(seed).injecting(injected);
    let before = account::oom_kills();
    let result = (scenario.iterate)(&trial);
    let log = trial.finish();
    sample.outcome = match result {
        Err(e) => failed(log.current, &starved(e, runtime.kind(), before)),
        Ok(()) => values(cell, log.values),
    };
    (sample.phases, sample.steps, sample.notes) = (log.phases, log.steps, log.notes);
    sample.series = log.series;
    sample
}

/// A program that the kernel killed for want of memory died of the host's shortage: a process has no limit of its own, and
/// a virtual machine's guest cannot take more than it was given. A container may have met its own limit, which is its own
/// failure.
fn starved(error: Error, kind: Kind, before: Option<u64>) -> Error {
    let killed = matches!(error, Error::Died { exit: Exit::Signal(9), .. }) && kind != Kind::Container;
    if killed && before.is_some_and(|before| account::oom_kills().is_some_and(|now| now > before)) {
        return Error::Exhausted(format!(
            "the host's kernel was out of memory and killed it: {}",
            error.chain()
        ));
    }
    error
}

fn failed(phase: Option<isomark_core::Phase>, error: &Error) -> Outcome {
    Outcome::Failed(Failure { phase, kind: error.kind().to_owned(), message: error.chain() })
}

/// The values, if every metric that the cell declares is there and is a number.
fn values(cell: &Cell, values: BTreeMap<String, f64>) -> Outcome {
    let lacking = |m: &&isomark_core::Metric| match values.get(m.name.as_ref()) {
        Some(value) => !value.is_finite(),
        None => !m.optional,
    };
    match cell.metrics.iter().find(lacking) {
        Some(metric) => Outcome::Failed(Failure {
            phase: None,
            kind: "missing".into(),
            message: format!("scenario {} did not record its metric {}", cell.scenario, metric.name),
        }),
        None => Outcome::Values(values),
    }
}

/// Results of the same kernel on the same path must be the same to the last bit in every runtime.
#[derive(Default)]
struct Consistency(BTreeMap<String, (String, String)>);

impl Consistency {
    /// What the stored trials of an interrupted run agreed on.
    fn of(setup: &Setup<'_>) -> Self {
        let mut seen = Self::default();
        for sample in setup.stored.iter().filter(|s| matches!(s.outcome, Outcome::Values(_))) {
            if let Some(cell) = setup.cells.get(sample.cell) {
                seen.check(cell, sample.clone());
            }
        }
        seen
    }

    fn check(&mut self, cell: &Cell, mut sample: Sample) -> Sample {
        let word = |key: &str| sample.notes.get(key).cloned();
        let (Some(bits), Some(isa)) = (word("bits"), word("isa")) else { return sample };
        let key = format!("{} {isa}", cell.params);
        let (first, by) = self.0.entry(key).or_insert_with(|| (bits.clone(), cell.runtime.clone()));
        if *first != bits {
            let why = format!("its result is {bits}, that of {by} on the same path was {first}");
            sample.outcome = failed(None, &Error::WrongAnswer(why));
        }
        sample
    }
}
