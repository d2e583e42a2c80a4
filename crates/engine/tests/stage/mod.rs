//! What a test of the loop plays on: scenarios, a sink that tells, and a run with the usual left out.
//!
//! The log of a run is one text, which tests pin.

#![allow(clippy::unwrap_used, reason = "clippy's exception for tests does not see the helpers of this file")]

pub(crate) mod scripted;

use std::collections::BTreeSet;
use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use isomark_core::payload::Job;
use isomark_core::record::{Outcome, Sample};
use isomark_core::{Ability, Bench, Error, Image, Metric, Phase, Runtime, Scenario, Trial};
use isomark_engine::interrupt::Interrupt;
use isomark_engine::plan::{Found, expand};
use isomark_engine::run::{End, Event, Setup, Sink};
use isomark_engine::{Plan, Selection};

pub(crate) use scripted::{Act, Log, Scripted};

/// One whole life with one job in it.
pub(crate) fn life(trial: &Trial<'_>) -> Result<(), Error> {
    let mut sandbox = trial.create(&trial.spec())?;
    sandbox.start()?;
    let reply = sandbox.run(&Job::Echo(7))?;
    trial.note("x", 1.0);
    trial.remark("isa", "avx2");
    trial.remark("bits", reply.str("bits").map_err(|e| Error::WrongAnswer(e.to_string()))?);
    sandbox.stop()?;
    sandbox.remove()
}

/// Declares a metric and does not record it.
pub(crate) fn forget(trial: &Trial<'_>) -> Result<(), Error> {
    trial.create(&trial.spec())?.remove()
}

/// Records what is no number.
pub(crate) fn divide(trial: &Trial<'_>) -> Result<(), Error> {
    trial.note("x", f64::NAN);
    trial.create(&trial.spec())?.remove()
}

pub(crate) fn scenario(name: &'static str, iterate: fn(&Trial<'_>) -> Result<(), Error>) -> Scenario {
    Scenario {
        name,
        question: "What happens?",
        metrics: |_| vec![Metric::time("x"), Metric::time("y").if_any()],
        needs: |params| {
            if params.text("disk").is_some() { vec![Ability::Disk] } else { vec![Ability::Jobs] }
        },
        settle: |params, _| Ok(params.clone()),
        iterate,
    }
}

/// A run as tests see it: the log, the samples and how it ended.
pub(crate) struct Told {
    pub(crate) log: String,
    pub(crate) samples: Vec<Sample>,
    pub(crate) end: Result<End, Error>,
}

impl Told {
    pub(crate) fn trials(&self) -> Vec<(usize, u32, bool)> {
        self.samples.iter().map(|s| (s.cell, s.block, s.warmup)).collect()
    }

    pub(crate) fn trials_without(&self, some: &[(usize, u32, bool)]) -> BTreeSet<(usize, u32, bool)> {
        self.trials().into_iter().filter(|trial| !some.contains(trial)).collect()
    }
}

/// Trials as a run folder would have them.
pub(crate) fn stored(done: &BTreeSet<(usize, u32, bool)>) -> Vec<Sample> {
    let sample = |&(cell, block, warmup): &(usize, u32, bool)| {
        let empty = r#"{"cell":0,"block":0,"at_ns":0,"values":{}}"#;
        Sample { cell, block, warmup, ..serde_json::from_str(empty).unwrap() }
    };
    done.iter().map(sample).collect()
}

/// Keeps samples, and does what a test wants done when one comes.
pub(crate) struct Keeper<'a> {
    pub(crate) log: Log,
    pub(crate) samples: Vec<Sample>,
    pub(crate) on_sample: &'a dyn Fn(usize) -> Result<(), Error>,
}

impl Sink for Keeper<'_> {
    fn on(&mut self, event: Event<'_>) -> Result<(), Error> {
        match event {
            Event::Next(done, total, cell) => {
                let params = if cell.params.is_empty() { String::new() } else { format!(" {}", cell.params) };
                self.log.add(&format!("\n{}/{total} {} {}{params}:", done + 1, cell.runtime, cell.scenario));
            }
            Event::Sample(sample) => {
                self.log.add(&told(sample));
                self.samples.push(sample.clone());
                (self.on_sample)(self.samples.len())?;
            }
            Event::Stored(_) => {}
            Event::Block(block) => self.log.add(&format!("\n-- block {}", block.block)),
        }
        Ok(())
    }
}

pub(crate) fn told(sample: &Sample) -> String {
    let mut text = format!(" = {} {}", if sample.warmup { "warm-up" } else { "block" }, sample.block);
    let written = match &sample.outcome {
        Outcome::Values(values) => write!(text, " ok {}", values.keys().cloned().collect::<String>()),
        Outcome::Failed(f) => {
            let phase = f.phase.map_or("-", Phase::word);
            write!(text, " failed in {phase}, {}: {}", f.kind, f.message)
        }
    };
    written.unwrap();
    text
}

/// What a run is made of, with the usual left out.
pub(crate) struct Stage<'a> {
    pub(crate) runtimes: &'a [&'a dyn Runtime],
    pub(crate) scenarios: &'a [Scenario],
    pub(crate) plan: &'a str,
    pub(crate) log: Log,
    pub(crate) seed: u64,
    pub(crate) until: Option<Instant>,
    pub(crate) interrupt: Interrupt,
    pub(crate) done: BTreeSet<(usize, u32, bool)>,
    pub(crate) on_sample: &'a dyn Fn(usize) -> Result<(), Error>,
}

pub(crate) const ONE: &str = "name='t'\nblocks=1\n[[ask]]\nscenario='life'";

impl<'a> Stage<'a> {
    pub(crate) fn new(
        log: &Log,
        runtimes: &'a [&'a dyn Runtime],
        scenarios: &'a [Scenario],
        plan: &'a str,
    ) -> Self {
        Self {
            runtimes,
            scenarios,
            plan,
            log: log.clone(),
            seed: 3,
            until: None,
            interrupt: Interrupt::default(),
            done: BTreeSet::new(),
            on_sample: &|_| Ok(()),
        }
    }

    pub(crate) fn play(self) -> Told {
        let dir = tempfile::tempdir().unwrap();
        let bench = bench(dir.path());
        let plan = Plan::parse("test", self.plan).unwrap();
        let found = self.runtimes.iter().map(|r| Found::probe(*r)).collect::<Vec<_>>();
        let cells = expand(&plan, &found, self.scenarios, &Selection::default(), &bench).unwrap();
        let setup = Setup {
            cells: &cells,
            found: &found,
            scenarios: self.scenarios,
            bench: &bench,
            seed: self.seed,
            blocks: plan.blocks,
            part: None,
            warmup: plan.warmup,
            until: self.until,
            precision: false,
            elsewhere: &[],
            stored: &stored(&self.done),
        };
        let mut sink = Keeper { log: self.log.clone(), samples: Vec::new(), on_sample: self.on_sample };
        let end = isomark_engine::run(&setup, &self.interrupt, &mut sink);
        Told { log: self.log.text(), samples: sink.samples, end }
    }
}

/// The smallest file that passes for a static program; it is never started.
pub(crate) fn bench(dir: &Path) -> Bench {
    let mut elf = b"\x7fELF\x02\x01\x01".to_vec();
    elf.resize(64, 0);
    elf[16] = 2;
    elf[18] = 62;
    let path = dir.join("payload");
    fs::write(&path, elf).unwrap();
    Bench {
        payload: Image::open(&path).unwrap(),
        program: None,
        tsc_hz: 1_000_000_000,
        cpus: 1,
        llc: 1 << 20,
        deadline: Duration::from_secs(1),
        scratch: dir.to_owned(),
    }
}

#[track_caller]
pub(crate) fn pins(log: &str, expected: &str) {
    assert_eq!(log, expected.trim(), "\n--- the log is\n{log}\n---");
}
