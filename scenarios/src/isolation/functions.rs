//! How much of the host's kernel runs on behalf of an instance that does a fixed mix of work.
//!
//! The functions that the tracer sees in the instance's own tasks, each counted once. Interrupts that happen to come
//! meanwhile are in it, which is why one trial says little and the report takes several.

use isomark_core::payload::{Isa, Job, Probe};
use isomark_core::tracer::Tracer;
use isomark_core::{Error, Trial};

/// Files, memory, computing and the cheapest calls.
fn mix(tsc_hz: u64) -> Vec<Job> {
    let kernel =
        |name: &str, n| Job::Kernel { name: name.into(), n, isa: Isa::Auto, millis: 1, tsc_hz, injected: 0 };
    vec![
        Job::Echo(1),
        Job::Touch { bytes: 1 << 20 },
        Job::Free,
        Job::Write { bytes: 64 << 10 },
        Job::Work { steps: 100_000 },
        Job::Probe(Probe::Peek { path: "/proc/version".into(), bytes: 64 }),
        kernel("pipe", 4),
        kernel("mmap", 1),
    ]
}

/// Traces the mix and notes how many functions ran.
pub(super) fn count(trial: &Trial<'_>) -> Result<(), Error> {
    let provision = trial.identity().provisions.first().cloned();
    let mut sandbox = trial.create(&isomark_core::Spec { provision, ..trial.spec() })?;
    sandbox.start()?;
    let tracer = Tracer::open(&trial.bench().scratch, &sandbox.anatomy())?;
    let jobs = mix(trial.bench().tsc_hz);
    let (functions, lost) = tracer.trace(|| jobs.iter().try_for_each(|job| sandbox.run(job).map(drop)))?;
    trial.note("functions", functions.len() as f64);
    trial.remark("calls without room", if lost == 0 { "none" } else { "some: the count is a lower bound" });
    sandbox.stop()?;
    sandbox.remove()
}
