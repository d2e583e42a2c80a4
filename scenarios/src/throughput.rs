//! How fast does the program compute, and what does the operating system cost it?
//!
//! One kernel of the payload a cell, timed inside the instance by the same code everywhere: the best window of 2–5 ms
//! (what the box can do) and the sustained rate of the whole run (ticks, exits and faults included).

use isomark_core::payload::{Isa, Job, Kernel, Kind, kernel, wire::WireError};
use isomark_core::trial::DEFAULT_MEMORY;
use isomark_core::{Ability, Bench, Error, Metric, Params, Refusal, Scenario, Trial, Unavailable, features};

use crate::given::{self, Is};

pub(crate) const SCENARIO: Scenario = Scenario {
    name: "throughput",
    question: "How fast does the program compute?",
    metrics,
    needs,
    settle,
    iterate,
};

/// More memory than any instance gets, in bytes: 16 TiB.
const MOST: u64 = 1 << 44;

/// How long a kernel runs when a plan does not say, in ms.
const MILLIS: u64 = 1000;

fn named(params: &Params) -> Option<&'static Kernel> {
    params.text("kernel").and_then(kernel)
}

fn metrics(params: &Params) -> Vec<Metric> {
    let work = named(params).map_or("work", |k| k.work);
    vec![Metric::rate("best", work), Metric::rate("sustained", work)]
}

fn needs(params: &Params) -> Vec<Ability> {
    let forks = params.text("kernel") == Some("fork");
    if forks { vec![Ability::Jobs, Ability::Fork] } else { vec![Ability::Jobs] }
}

/// What a plan may give.
const OWN: [(&str, Is); 5] =
    [("kernel", Is::Word), ("isa", Is::Word), ("n", Is::Number), ("llc", Is::Number), ("millis", Is::Number)];

/// Fills in size, path and duration; `llc = 4` makes every array four times the last-level cache (STREAM's rule).
fn settle(params: &Params, bench: &Bench) -> Result<Params, Refusal> {
    given::check("throughput", params, &OWN)?;
    let known = || isomark_core::payload::KERNELS.iter().map(|k| k.name).collect::<Vec<_>>().join(", ");
    let kernel = named(params).ok_or_else(|| {
        let given = params.get("kernel").map_or("none".to_owned(), ToString::to_string);
        Refusal::Input(format!("throughput: kernel {given} is none of {}", known()))
    })?;
    let isa = if kernel.vectorised { params.text("isa").unwrap_or("auto") } else { "baseline" };
    let path = isa.parse::<Isa>().map_err(|e| Refusal::Input(format!("throughput: {e}")))?;
    offered(path, features::best_path()).map_err(Refusal::Host)?;
    let n = match (params.number("n"), params.number("llc")) {
        (Some(n), _) => n,
        (None, Some(times)) => (times.saturating_mul(bench.llc) / 8).checked_next_power_of_two().unwrap_or(0),
        (None, None) => kernel.default_n,
    };
    let needed = footprint(kernel, n).filter(|_| n > 0);
    let needed = needed.ok_or_else(|| {
        Refusal::Input(format!(
            "throughput: n = {n} is no size of {}; its n is a {}, from 1 on and small enough to be addressed",
            kernel.name, kernel.size
        ))
    })?;
    let memory = params.number("memory").unwrap_or(needed);
    let millis = params.number("millis").unwrap_or(MILLIS);
    let settled = Params::new().with("kernel", kernel.name).with("isa", isa).with("n", n);
    let settled = settled.with("millis", millis).with("memory", memory);
    // Whatever else the plan gives (pages, provision) is for the runtime.
    Ok(params.iter().filter(|(key, _)| *key != "llc").fold(settled, |all, (key, value)| {
        if all.get(key).is_some() { all } else { all.with(key, value.clone()) }
    }))
}

/// No instance has a path that the CPU below it lacks. What an instance lacks besides is told by the payload in it.
fn offered(path: Isa, best: Isa) -> Result<(), Unavailable> {
    if path == Isa::Auto || path <= best {
        return Ok(());
    }
    let reason = format!("this CPU has no {path}; the best that it has is {best}");
    Err(Unavailable::new(reason, "nothing to do on this host; another can"))
}

/// Memory that an instance needs for a kernel of this size, in bytes, as a power of two; none if no host has so much.
pub(crate) fn footprint(kernel: &Kernel, n: u64) -> Option<u64> {
    let n = u128::from(n);
    let data = match (kernel.kind, kernel.name) {
        (Kind::Memory, "spmv") => n * 100,
        (Kind::Memory, _) => n * 8 * 3,
        (_, "dgemm" | "lu") => (n * n).saturating_mul(8 * 6),
        (_, "first-touch" | "sha256") => n * 2,
        _ => n * 64,
    };
    let bytes = u64::try_from(data.saturating_add(32 << 20)).ok()?.checked_next_power_of_two()?;
    Some(bytes.max(DEFAULT_MEMORY)).filter(|bytes| *bytes <= MOST)
}

fn iterate(trial: &Trial<'_>) -> Result<(), Error> {
    let params = trial.params();
    let number = |key: &str| params.number(key).unwrap_or(0);
    let isa = params.text("isa").and_then(|word| word.parse().ok()).unwrap_or(Isa::Auto);
    let hz = trial.bench().tsc_hz;
    let name = params.text("kernel").unwrap_or_default().to_owned();
    let job = Job::Kernel {
        name,
        n: number("n"),
        isa,
        millis: number("millis"),
        tsc_hz: hz,
        injected: trial.injected(),
    };
    let mut sandbox = trial.create(&trial.spec())?;
    sandbox.start()?;
    let reply = sandbox.run(&job)?;
    let rate = |work: &str, ticks: &str| Ok::<_, WireError>(reply.f64(work)? / reply.f64(ticks)? * hz as f64);
    let wrong = |e: WireError| Error::WrongAnswer(e.to_string());
    trial.note("best", rate("best_work", "best_ticks").map_err(wrong)?);
    trial.note("sustained", rate("total_work", "total_ticks").map_err(wrong)?);
    for key in ["isa", "bits", "windows"] {
        trial.remark(key, reply.str(key).map_err(wrong)?);
    }
    sandbox.stop()?;
    sandbox.remove()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_that_the_cpu_lacks_is_skipped_with_what_it_has() {
        let all = [Isa::Baseline, Isa::Avx2, Isa::Avx512];
        for (at, best) in all.into_iter().enumerate() {
            assert_eq!(offered(Isa::Auto, best), Ok(()));
            for (asked, path) in all.into_iter().enumerate() {
                match offered(path, best) {
                    Ok(()) => assert!(asked <= at, "{path} on {best}"),
                    Err(why) => {
                        assert!(asked > at, "{path} on {best}");
                        assert_eq!(
                            why.reason,
                            format!("this CPU has no {path}; the best that it has is {best}")
                        );
                    }
                }
            }
        }
    }
}
