//! Input that others made, against every parser: the functions of `fuzz/`, driven by mutation on a stable compiler.
//!
//! `ISOMARK_FUZZ` is how many inputs each parser gets, `ISOMARK_FUZZ_SEED` where they begin; `scripts/fuzz` asks for a
//! million. The same seed gives the same inputs. One that breaks a promise is kept in a file and named.

#![allow(clippy::unwrap_used, reason = "clippy's exception for tests does not see helpers")]

#[path = "../../../../fuzz/src/targets/mod.rs"]
mod targets;

use std::io::Write;
use std::panic::catch_unwind;
use std::path::Path;
use std::time::{Duration, Instant};

use targets::{dice::Dice, mutate, of};

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap())
}

/// Runs one parser over its seeds and what mutation makes of them.
fn drive(name: &str) {
    let (count, seed) = (number("ISOMARK_FUZZ", 2_000), number("ISOMARK_FUZZ_SEED", 1));
    let target = of(name);
    let (seeds, mut dice) = ((target.seeds)(), Dice::new(seed));
    let (began, mut slowest, mut bytes) = (Instant::now(), Duration::ZERO, 0);
    for at in 0..count {
        let input = match seeds.get(usize::try_from(at).unwrap()) {
            Some(seed) => seed.clone(),
            None => mutate::input(target, &seeds, &mut dice),
        };
        let one = Instant::now();
        if catch_unwind(|| (target.run)(&input)).is_err() {
            let kept = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{seed}-{at}"));
            std::fs::write(&kept, &input).unwrap();
            panic!("{name}: input {at} of seed {seed} breaks a promise; it is kept in {}", kept.display());
        }
        slowest = slowest.max(one.elapsed());
        bytes += input.len();
    }
    let took = began.elapsed();
    // Past the capture of the test harness: the figures are what a long run is for.
    let line = format!(
        "{name:13} {count:9} inputs {:7.1} s {:8.0} /s {:6.1} MB  slowest {:7.3} ms\n",
        took.as_secs_f64(),
        count as f64 / took.as_secs_f64(),
        bytes as f64 / 1e6,
        slowest.as_secs_f64() * 1e3
    );
    std::io::stderr().write_all(line.as_bytes()).unwrap();
}

macro_rules! parsers {
    ($($test:ident: $name:literal),* $(,)?) => {
        $(#[test]
        fn $test() {
            drive($name);
        })*

        #[test]
        fn every_parser_is_driven() {
            assert_eq!([$($name),*].to_vec(), targets::ALL.iter().map(|t| t.name).collect::<Vec<_>>());
        }
    };
}

parsers! {
    elf: "elf",
    system_calls: "system-calls",
    snapshot: "snapshot",
    kernel: "kernel",
    wire: "wire",
    plan: "plan",
    stanza: "stanza",
    claim: "claim",
    thresholds: "thresholds",
    spec: "spec",
    run: "run",
    samples: "samples",
}

/// What seeds are for: a parser that refuses its own seeds is not tried by what becomes of them.
#[test]
fn seeds_are_accepted() {
    for name in ["plan", "stanza", "claim", "thresholds", "spec", "run", "samples"] {
        assert!(!(of(name).seeds)().is_empty(), "{name}");
    }
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    for seed in (of("run").seeds)() {
        isomark_core::store::parse_run("seed", &text(seed)).unwrap();
    }
    for seed in (of("plan").seeds)() {
        isomark_engine::Plan::parse("seed", &text(seed)).unwrap();
    }
    for seed in (of("stanza").seeds)() {
        isomark_runtimes::check_stanza("seed", &text(seed)).unwrap();
    }
    for seed in (of("samples").seeds)().into_iter().take(40) {
        let all =
            isomark_core::store::parse_lines::<isomark_core::record::Sample>("seed", &seed[..]).unwrap();
        assert_eq!(all.len(), 1);
    }
    assert!(targets::machine::snapshot_seeds().iter().all(|seed| targets::machine::is_restored(seed)));
    assert!(targets::machine::elf_seeds().iter().all(|seed| targets::machine::is_planned(seed)));
    assert_eq!(
        targets::machine::kernel_seeds().iter().filter(|seed| targets::machine::boots(seed)).count(),
        2
    );
}
