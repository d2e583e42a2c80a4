//! What reads bytes that others made: one function a parser, from any bytes to nothing, that panics if a promise breaks.
//!
//! cargo-fuzz (`fuzz/`) and the tests on stable (`crates/cli/tests/hostile`) drive the same functions. They hold the
//! promises that a crash alone would not show: what is accepted lies inside its bounds, what is refused is refused in one
//! sentence, and what is shown holds nothing that a terminal would obey.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    missing_docs,
    unreachable_pub,
    reason = "a promise that breaks must stop a fuzzer"
)]

#[path = "../dice.rs"]
pub mod dice;
pub mod machine;
pub mod mutate;
pub mod text;

use isomark_core::Error;

/// A parser, where its inputs begin, and the words that it knows.
pub struct Target {
    /// Its name.
    pub name: &'static str,
    /// Takes one input.
    pub run: fn(&[u8]),
    /// Inputs that it accepts.
    pub seeds: fn() -> Vec<Vec<u8>>,
    /// Pieces that mutations insert.
    pub words: &'static [&'static [u8]],
}

/// All of them.
pub const ALL: &[Target] = &[
    Target { name: "elf", run: machine::elf, seeds: machine::elf_seeds, words: NUMBERS },
    Target { name: "system-calls", run: machine::calls, seeds: machine::call_seeds, words: NUMBERS },
    Target { name: "snapshot", run: machine::snapshot, seeds: machine::snapshot_seeds, words: NUMBERS },
    Target { name: "kernel", run: machine::kernel, seeds: machine::kernel_seeds, words: NUMBERS },
    Target { name: "wire", run: text::wire, seeds: text::wire_seeds, words: WORDS },
    Target { name: "plan", run: text::plan, seeds: text::plan_seeds, words: WORDS },
    Target { name: "stanza", run: text::stanza, seeds: text::stanza_seeds, words: WORDS },
    Target { name: "claim", run: text::claim, seeds: text::claim_seeds, words: WORDS },
    Target { name: "thresholds", run: text::thresholds, seeds: text::thresholds_seeds, words: WORDS },
    Target { name: "spec", run: text::spec, seeds: text::spec_seeds, words: WORDS },
    Target { name: "run", run: text::run, seeds: text::run_seeds, words: WORDS },
    Target { name: "samples", run: text::samples, seeds: text::sample_seeds, words: WORDS },
];

/// The target of this name.
pub fn of(name: &str) -> &'static Target {
    ALL.iter().find(|target| target.name == name).unwrap()
}

/// Numbers at which arithmetic breaks.
const NUMBERS: &[&[u8]] = &[
    &[0; 8],
    &[0xff; 8],
    &[0, 0, 0, 0, 0, 0, 0, 0x80],
    &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f],
    &[0, 0x10, 0, 0, 0, 0, 0, 0],
    &[0, 0, 0x20, 0, 0, 0, 0, 0],
    &[0, 0, 0, 1, 0, 0, 0, 0],
    &[0xff, 0x0f, 0, 0],
    &[0xff, 0xff, 0xff, 0x7f],
    &[0, 0xf0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
];

/// Pieces of the languages that are read here, and of those that must not be spoken.
const WORDS: &[&[u8]] = &[
    b"\n",
    b"\"",
    b"'",
    b"=",
    b"{",
    b"}",
    b"[",
    b"]",
    b"[[ask]]",
    b"0",
    b"-1",
    b"1e999",
    b"nan",
    b"null",
    b"true",
    b"18446744073709551615",
    b"9223372036854775808",
    b"-9223372036854775808",
    b"\\u0000",
    b"\\ud800",
    b"\xff",
    b"\x1b[31m",
    b"\x1b]0;x\x07",
    b"../",
    b"/etc/passwd",
    b"{root}",
    b"{{",
    b"%s",
    b"\xe2\x80\xae",
    b"[[[[[[[[[[[[",
    b"{{{{{{{{{{{{",
    b"\r\n",
    b"a.b.c.d.e",
    b"0x",
    b"1_0",
    b"done ",
    b"error ",
    b"ready",
    b" ",
    b",",
];

/// A refusal says something, in bounds, and is the input's fault.
fn refused(error: &Error) {
    assert_eq!(error.kind(), "input", "{error}");
    let text = error.chain();
    assert!(!text.trim().is_empty(), "a refusal without words");
    assert!(text.len() < 1 << 20, "a refusal of {} bytes", text.len());
}
