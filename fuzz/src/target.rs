//! What reads bytes that others made: one function a parser, from any bytes to nothing, that panics if a promise breaks.
//!
//! cargo-fuzz and the tests on stable drive the same functions. They hold the promises that a crash alone would not show:
//! what is accepted lies inside its bounds, what is refused is refused in one sentence, and what is shown holds nothing
//! that a terminal would obey.

#![allow(missing_docs, unreachable_pub, dead_code, reason = "every test uses its own part of it")]

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

/// Numbers at which arithmetic breaks.
pub const NUMBERS: &[&[u8]] = &[
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
pub const WORDS: &[&[u8]] = &[
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
