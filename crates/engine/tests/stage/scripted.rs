//! A runtime that does as it is told, and writes each call into a log.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use isomark_core::payload::{Job, Reply};
use isomark_core::{
    Ability, Anatomy, Error, Exit, Identity, Instance, Kind, Phase, Runtime, Spec, Unavailable, Usage,
};
use isomark_engine::interrupt::Interrupt;

/// What everybody writes into.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<String>>);

impl Log {
    pub(crate) fn add(&self, text: &str) {
        self.0.lock().unwrap().push_str(text);
    }

    pub(crate) fn text(&self) -> String {
        self.0.lock().unwrap().trim().to_owned()
    }
}

/// What an instance does out of turn.
#[derive(Clone)]
pub(crate) enum Act {
    /// Fails in this phase.
    Fail(Phase),
    /// The host has no task for it.
    Short,
    /// Panics, as only a fault of isomark's own does.
    Panic,
    /// Gives another answer than was asked for.
    Lie,
    /// Tells other bits than its neighbours.
    OtherBits,
    /// Is still busy when this moment has passed.
    SlowUntil(Instant),
    /// Asks the run to end, as a signal would while the trial is under way.
    Signal(Interrupt, usize),
}

/// A runtime that does as it is told: `acts` by the number of the instance, from 0.
pub(crate) struct Scripted {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) catalogue: bool,
    pub(crate) probe: Result<Identity, Unavailable>,
    pub(crate) log: Log,
    pub(crate) acts: BTreeMap<usize, Act>,
    pub(crate) created: Mutex<usize>,
}

impl Scripted {
    pub(crate) fn new(name: &'static str, log: &Log) -> Self {
        let can = vec![Ability::Jobs, Ability::Memory];
        let identity = Identity { version: "1".into(), can, ..Identity::default() };
        let (log, acts, created) = (log.clone(), BTreeMap::new(), Mutex::new(0));
        Self { name, kind: Kind::Process, catalogue: false, probe: Ok(identity), log, acts, created }
    }

    pub(crate) fn with(mut self, instance: usize, act: Act) -> Self {
        self.acts.insert(instance, act);
        self
    }

    pub(crate) fn of_catalogue(mut self) -> Self {
        self.catalogue = true;
        self
    }

    pub(crate) fn unavailable(mut self) -> Self {
        self.probe = Err(Unavailable::new("no such device", "buy one"));
        self
    }
}

pub(crate) fn refused(phase: Phase) -> Error {
    Error::os(format!("scripted {phase}"), std::io::Error::from_raw_os_error(5))
}

impl Runtime for Scripted {
    fn name(&self) -> &str {
        self.name
    }

    fn kind(&self) -> Kind {
        self.kind
    }

    fn of_catalogue(&self) -> bool {
        self.catalogue
    }

    fn probe(&self) -> Result<Identity, Unavailable> {
        self.probe.clone()
    }

    fn create(&self, _: &Spec) -> Result<Box<dyn Instance>, Error> {
        self.log.add(" create");
        let mut created = self.created.lock().unwrap();
        let act = self.acts.get(&*created).cloned();
        *created += 1;
        if matches!(act, Some(Act::Fail(Phase::Create))) {
            return Err(refused(Phase::Create));
        }
        if matches!(act, Some(Act::Short)) {
            return Err(Error::os("clone3", std::io::Error::from_raw_os_error(11)));
        }
        Ok(Box::new(Puppet { log: self.log.clone(), act, removed: false }))
    }
}

pub(crate) struct Puppet {
    pub(crate) log: Log,
    pub(crate) act: Option<Act>,
    pub(crate) removed: bool,
}

impl Puppet {
    pub(crate) fn call(&self, phase: Phase) -> Result<(), Error> {
        self.log.add(&format!(" {phase}"));
        match &self.act {
            Some(Act::Fail(at)) if *at == phase => Err(refused(phase)),
            _ => Ok(()),
        }
    }
}

impl Instance for Puppet {
    fn start(&mut self) -> Result<(), Error> {
        if let Some(Act::SlowUntil(moment)) = self.act {
            std::thread::sleep(moment.saturating_duration_since(Instant::now()));
        }
        if let Some(Act::Signal(interrupt, signal)) = &self.act {
            interrupt.raise(*signal);
        }
        self.call(Phase::Start)?;
        assert!(!matches!(self.act, Some(Act::Panic)), "a fault of isomark's own");
        Ok(())
    }

    fn run(&mut self, job: &Job) -> Result<Reply, Error> {
        self.call(Phase::Run)?;
        let Job::Echo(token) = job else { return Err(Error::Unsupported("only echo".into())) };
        let token = if matches!(self.act, Some(Act::Lie)) { token + 1 } else { *token };
        let bits = if matches!(self.act, Some(Act::OtherBits)) { "f00d" } else { "cafe" };
        Ok(Reply::new().with("token", token).with("bits", bits))
    }

    fn stop(&mut self) -> Result<Usage, Error> {
        self.call(Phase::Stop)?;
        Ok(Usage::new(Exit::Code(0), 1))
    }

    fn remove(mut self: Box<Self>) -> Result<(), Error> {
        self.call(Phase::Remove)?;
        self.removed = true;
        Ok(())
    }

    fn anatomy(&self) -> Anatomy {
        Anatomy::default()
    }
}

impl Drop for Puppet {
    fn drop(&mut self) {
        if !self.removed {
            self.log.add(" drop");
        }
    }
}
