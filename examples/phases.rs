//! How long does each phase of an instance take, in a runtime of your choice?
//!
//! `cargo run --release --example phases -- microvm`; `process` if none is named. No plan, no folder and no report: the
//! shelf gives a runtime, and a trial holds the stopwatch.

use isomark_core::payload::Job;
use isomark_core::{Error, Params, Trial};
use isomark_engine::{Place, host};
use isomark_report::fmt::quantity;
use isomark_runtimes::{Shelf, embedded, tsc};

fn main() -> Result<(), Error> {
    let name = std::env::args().nth(1).unwrap_or_else(|| "process".into());
    // Whatever is made on the host lies below this place, and goes with it.
    let place = Place::take()?;
    let shelf = Shelf::open(place.site(), None)?;
    let runtime = shelf.find(&name.parse()?)?;
    let identity = match runtime.probe() {
        Ok(identity) => identity,
        Err(why) => {
            println!("{name} cannot run here: {why}; remedy: {}", why.remedy);
            return Ok(());
        }
    };
    let bench = host::bench(embedded::payload(place.site())?, place.site(), tsc::calibrate());
    let params = Params::new();

    let trial = Trial::new(runtime.as_ref(), &identity, &params, &bench);
    let mut sandbox = trial.create(&trial.spec())?;
    sandbox.start()?;
    sandbox.run(&Job::Echo(42))?;
    sandbox.stop()?;
    sandbox.remove()?;

    let log = trial.finish();
    for (phase, ns) in log.phases {
        let folded = identity.folded.iter().find(|(from, _)| *from == phase);
        let remark = folded.map_or_else(String::new, |(_, into)| format!("  (its work is done in {into})"));
        println!("{:<7}{:>10}{remark}", phase.word(), quantity("ns", ns as f64, None));
    }
    for (step, ns) in log.steps {
        println!("  {} after create began: {step}", quantity("ns", ns as f64, None));
    }
    Ok(())
}
