//! A parser and a great many inputs.
//!
//! `ISOMARK_FUZZ` is how many inputs each parser gets, `ISOMARK_FUZZ_SEED` where they begin; `scripts/fuzz` asks for a
//! million. The same seed gives the same inputs. One that breaks a promise is kept in a file and named. With
//! `ISOMARK_FUZZ_CORPUS=DIR` nothing is run: seeds and dictionaries are written there, for a fuzzer that begins with them.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    missing_docs,
    unreachable_pub,
    reason = "a promise that breaks must stop a fuzzer"
)]

use std::io::Write;
use std::panic::catch_unwind;
use std::path::Path;
use std::time::{Duration, Instant};

use super::dice::Dice;
use super::mutate;
use super::target::Target;

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap())
}

/// Runs one parser over its seeds and what mutation makes of them.
pub fn drive(all: &[Target], name: &str) {
    let (count, seed) = (number("ISOMARK_FUZZ", 2_000), number("ISOMARK_FUZZ_SEED", 1));
    let target = all.iter().find(|target| target.name == name).unwrap();
    let count = count.div_ceil(target.cost);
    let (seeds, mut dice) = ((target.seeds)(), Dice::new(seed));
    if let Some(dir) = std::env::var_os("ISOMARK_FUZZ_CORPUS") {
        return corpus(Path::new(&dir), target, &seeds);
    }
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

/// Seeds as files below a directory of the parser's name, and its words as a dictionary of libFuzzer beside that.
fn corpus(dir: &Path, target: &Target, seeds: &[Vec<u8>]) {
    let own = dir.join(target.name);
    std::fs::create_dir_all(&own).unwrap();
    for (at, seed) in seeds.iter().enumerate() {
        std::fs::write(own.join(format!("seed-{at}")), seed).unwrap();
    }
    let word = |word: &&[u8]| {
        let bytes = word.iter().map(|byte| format!("\\x{byte:02x}")).collect::<String>();
        format!("\"{bytes}\"\n")
    };
    let words = target.words.iter().copied().flatten().map(word).collect::<String>();
    std::fs::write(dir.join(format!("{}.dict", target.name)), words).unwrap();
}

/// A test a parser, and one that none is forgotten.
#[macro_export]
macro_rules! parsers {
    ($all:expr; $($test:ident: $name:literal),* $(,)?) => {
        $(#[test]
        fn $test() {
            drive::drive($all, $name);
        })*

        #[test]
        fn every_parser_is_driven() {
            assert_eq!([$($name),*].to_vec(), $all.iter().map(|t| t.name).collect::<Vec<_>>());
        }
    };
}
