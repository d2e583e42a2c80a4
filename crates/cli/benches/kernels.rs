//! How long one iteration of each kernel of the payload takes in a plain process.
//!
//! The time is the one that the payload tells (ticks over work, scaled to one iteration), so pipes and windows are
//! not in it; the answer is checked every time.

mod ground;

use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use isomark_core::payload::{Isa, Job, KERNELS, Kernel, answers, wire::WireError};
use isomark_core::{Error, Instance, Runtime};
use isomark_runtimes::{process::Process, tsc};

use ground::Ground;

/// A payload that runs one kernel.
struct Bench {
    instance: Box<dyn Instance>,
    kernel: &'static Kernel,
    tsc_hz: u64,
    /// As the last run told; zero before the first.
    per_iteration: Duration,
}

impl Bench {
    fn start(ground: &Ground, kernel: &'static Kernel, tsc_hz: u64) -> Result<Self, Error> {
        let mut instance = Process::new(ground.site()).create(&ground.spec())?;
        instance.start()?;
        let mut bench = Self { instance, kernel, tsc_hz, per_iteration: Duration::ZERO };
        bench.run(1)?;
        Ok(bench)
    }

    /// The time of so many iterations. The payload runs about as many (never less than its ten windows), so that
    /// criterion's own estimate of what a sample costs is right.
    fn run(&mut self, iterations: u64) -> Result<Duration, Error> {
        let wanted = self.per_iteration.as_secs_f64() * iterations as f64;
        let job = Job::Kernel {
            name: self.kernel.name.to_owned(),
            n: self.kernel.default_n,
            isa: if self.kernel.vectorised { Isa::Auto } else { Isa::Baseline },
            millis: (wanted * 1e3) as u64,
            tsc_hz: self.tsc_hz,
            injected: 0,
        };
        let reply = self.instance.run(&job)?;
        answers::check(&job, &reply).map_err(|e| Error::WrongAnswer(e.to_string()))?;
        let told = |key: &str| reply.f64(key).map_err(|e: WireError| Error::WrongAnswer(e.to_string()));
        let share = told("work")? / told("total_work")?;
        let seconds = told("total_ticks")? / self.tsc_hz as f64 * share;
        self.per_iteration = Duration::from_secs_f64(seconds);
        Ok(Duration::from_secs_f64(seconds * iterations as f64))
    }

    fn end(mut self) -> Result<(), Error> {
        let stopped = self.instance.stop().map(drop);
        Error::join(stopped, self.instance.remove())
    }
}

fn kernels(criterion: &mut Criterion) {
    let ground = Ground::new();
    let tsc_hz = tsc::calibrate();
    let mut group = criterion.benchmark_group("kernels");
    ground::settings(&mut group);
    for kernel in KERNELS {
        let or_say = |e: Error| -> ! { panic!("{}: {}", kernel.name, e.chain()) };
        let mut running = None;
        group.bench_function(kernel.name, |bencher| {
            // Only here: what a filter leaves out must not be started.
            let bench = running
                .get_or_insert_with(|| Bench::start(&ground, kernel, tsc_hz).unwrap_or_else(|e| or_say(e)));
            bencher.iter_custom(|iterations| bench.run(iterations).unwrap_or_else(|e| or_say(e)));
        });
        running.map_or(Ok(()), Bench::end).unwrap_or_else(|e| or_say(e));
    }
    group.finish();
}

criterion_group!(benches, kernels);
criterion_main!(benches);
