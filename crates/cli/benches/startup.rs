//! How long until the program runs, for every runtime that can run here, those of the catalogue included, and for the
//! floors they stand on.
//!
//! Only `create` and `start` are timed: a launch must end before the next begins, and that is not what is asked. For
//! paired comparisons and verdicts use `isomark run`; this is for seeing quickly what a change of the code did.

mod ground;

use std::time::{Duration, Instant};

use criterion::{Criterion, criterion_group, criterion_main};
use isomark_core::{Error, Runtime, Spec};
use isomark_runtimes::Shelf;

use ground::Ground;

fn launch(runtime: &dyn Runtime, spec: &Spec) -> Result<Duration, Error> {
    let began = Instant::now();
    let mut instance = runtime.create(spec)?;
    instance.start()?;
    let took = began.elapsed();
    let stopped = instance.stop().map(drop);
    Error::join(stopped, instance.remove())?;
    Ok(took)
}

fn startup(criterion: &mut Criterion) {
    let ground = Ground::new();
    let spec = ground.spec();
    let mut group = criterion.benchmark_group("startup");
    ground::settings(&mut group);
    let shelf = Shelf::open(ground.site(), None).unwrap_or_else(|e| panic!("{}", e.chain()));
    let catalogue = shelf.catalogue().unwrap_or_else(|e| panic!("{}", e.chain()));
    let verified = catalogue.into_iter().filter(|r| shelf.verified(r.name()) == Some(true));
    for runtime in shelf.built_in().into_iter().filter(|r| !r.on_request()).chain(verified) {
        let name = runtime.name().to_owned();
        if let Err(why) = runtime.probe() {
            eprintln!("SKIPPED startup/{name}: {}; remedy: {}", why.reason, why.remedy);
            continue;
        }
        // A daemon, an image: outside of what is timed, as in a run.
        runtime.prepare(&spec).unwrap_or_else(|e| panic!("{name}: {}", e.chain()));
        let launch = || launch(runtime.as_ref(), &spec).unwrap_or_else(|e| panic!("{name}: {}", e.chain()));
        group.bench_function(&name, |bencher| {
            bencher.iter_custom(|launches| (0..launches).map(|_| launch()).sum());
        });
    }
    group.finish();
}

criterion_group!(benches, startup);
criterion_main!(benches);
