//! Planted truth: a runtime that shows one canary is caught with that one, and one that hides all is not accused.
//!
//! The runtimes are a plain process with a censor in between: what the censor lets through is really there, what it
//! holds back is told as not there.

#![allow(clippy::unwrap_used, reason = "clippy's exception for tests does not see the helpers of this file")]

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use isomark_core::payload::{Job, Probe, Reply};
use isomark_core::trial::Log;
use isomark_core::{
    Anatomy, Bench, Error, Identity, Instance, Kind, Params, Runtime, Site, Spec, Trial, Unavailable, Usage,
};
use isomark_runtimes::{embedded, process::Process};
use isomark_scenarios::SHELF;

/// Decides whether a probe gets through.
type Censor = fn(&Probe) -> bool;

struct Censored<'s> {
    inner: Process<'s>,
    passes: Censor,
    kind: Kind,
    /// Whose kernel serves the program's calls, if it is not the host's.
    kernel: Option<&'static str>,
}

impl Runtime for Censored<'_> {
    fn name(&self) -> &str {
        "censored"
    }

    fn kind(&self) -> Kind {
        self.kind
    }

    fn probe(&self) -> Result<Identity, Unavailable> {
        let mut identity = self.inner.probe()?;
        identity.details.extend(self.kernel.map(|name| ("kernel".to_owned(), name.to_owned())));
        Ok(identity)
    }

    fn create(&self, spec: &Spec) -> Result<Box<dyn Instance>, Error> {
        Ok(Box::new(Inside { inner: self.inner.create(spec)?, passes: self.passes }))
    }
}

struct Inside {
    inner: Box<dyn Instance>,
    passes: Censor,
}

impl Instance for Inside {
    fn start(&mut self) -> Result<(), Error> {
        self.inner.start()
    }

    fn run(&mut self, job: &Job) -> Result<Reply, Error> {
        match job {
            Job::Probe(probe) if !(self.passes)(probe) => {
                Ok(Reply::new().with("seen", 0).with("errno", 2).with("text", "").with("count", 1))
            }
            _ => self.inner.run(job),
        }
    }

    fn stop(&mut self) -> Result<Usage, Error> {
        self.inner.stop()
    }

    fn remove(self: Box<Self>) -> Result<(), Error> {
        self.inner.remove()
    }

    fn anatomy(&self) -> Anatomy {
        self.inner.anatomy()
    }
}

/// One trial of the isolation scenario, and what is left in its site.
fn isolation(passes: Censor) -> (Log, Vec<String>) {
    isolation_of(passes, Kind::Vm, None)
}

fn isolation_of(passes: Censor, kind: Kind, kernel: Option<&'static str>) -> (Log, Vec<String>) {
    let parent = tempfile::tempdir_in("/var/tmp").unwrap();
    let site = Site::open(parent.path()).unwrap();
    let bench = Bench {
        payload: embedded::payload(&site).unwrap(),
        program: None,
        tsc_hz: 1_000_000_000,
        cpus: 1,
        llc: 1 << 20,
        deadline: Duration::from_secs(20),
        scratch: site.dir().to_owned(),
    };
    let runtime = Censored { inner: Process::new(&site), passes, kind, kernel };
    let (identity, params) = (runtime.probe().unwrap(), Params::new());
    let scenario = SHELF.iter().find(|s| s.name == "isolation").unwrap();
    // Names on the host are drawn from a trial's seed: two at once must not plant the same ones.
    static SEEDS: AtomicU64 = AtomicU64::new(1);
    let seed = SEEDS.fetch_add(1, Ordering::Relaxed);
    let trial = Trial::new(&runtime, &identity, &params, &bench).seeded(seed);
    (scenario.iterate)(&trial).unwrap();
    let log = trial.finish();
    let left = std::fs::read_dir(site.dir()).unwrap().flatten();
    let left = left.map(|e| e.file_name().to_string_lossy().into_owned()).filter(|n| n.contains("canary"));
    (log, left.collect())
}

/// What was seen, in the words of the sample.
fn seen(log: &Log) -> (&str, &str) {
    (log.notes["canaries-visible"].as_str(), log.notes["facts-visible"].as_str())
}

#[test]
fn a_runtime_that_hides_everything_is_not_accused() {
    let (log, left) = isolation(|_| false);
    assert_eq!(seen(&log), ("none", "none"));
    assert_eq!((log.values["leak"], log.values["canaries-visible"]), (0.0, 0.0));
    assert!(log.values["canaries-planted"] >= 5.0, "{log:?}");
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn a_runtime_that_leaks_one_canary_is_caught_with_that_one() {
    let cases: [(Censor, &str); 4] = [
        (|p| matches!(p, Probe::Unix { .. }), "abstract socket"),
        (|p| matches!(p, Probe::Tcp { .. }), "loopback listener"),
        (|p| matches!(p, Probe::Host), "host name"),
        (
            |p| matches!(p, Probe::Peek { path, .. } if path.ends_with("/file") && !path.contains("mount")),
            "file",
        ),
    ];
    for (passes, name) in cases {
        let (log, left) = isolation(passes);
        assert_eq!(seen(&log), (name, "none"));
        assert_eq!(log.values["canaries-visible"], 1.0, "{name}");
        assert!(log.values["leak"] > 0.0 && left.is_empty(), "{name}: {left:?}");
    }
}

#[test]
fn calls_that_another_kernel_serves_are_not_calls_of_the_hosts() {
    let of = |kind, kernel| isolation_of(|_| false, kind, kernel).0.values;
    let (shares, own) = (of(Kind::Container, None), of(Kind::Container, Some("its own, in user space")));
    assert_eq!(shares["interface"], shares["calls-reached"]);
    assert!(!own.contains_key("interface") && own["calls-reached"] > 200.0, "{own:?}");
}

#[test]
fn a_plain_process_sees_everything() {
    let (log, left) = isolation(|_| true);
    assert_eq!(log.values["leak"], 1.0, "{:?}", log.notes);
    assert_eq!(log.values["canaries-visible"], log.values["canaries-planted"]);
    // The censor's kind is that of a virtual machine and its monitor tells nothing: nobody knows its interface.
    assert!(!log.values.contains_key("interface") && log.values["calls-reached"] > 200.0);
    assert!(left.is_empty(), "{left:?}");
}
