//! The line protocol between harness and payload: one job a line down, one reply a line up.
//!
//! The payload first says [`READY`], then answers each job with `done key=value …` or `error TEXT` until end of
//! file. Both sides use these types, so a job cannot be spelt in two ways. A line is at most [`MAX_LINE`] bytes.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

pub use crate::job::{Break, Class, Job, Probe, Storm};

/// The payload's first line, newline included: its first byte ends the startup measurement.
pub const READY: &str = "ready isomark-payload/1\n";

/// Longest line either side accepts, in bytes: a flood without newlines meets a bound.
pub const MAX_LINE: usize = 4096;

/// How the text of an `error` line begins when the payload found its own result to be wrong.
pub const WRONG: &str = "wrong result: ";

/// Instruction-set path of a kernel; part of a result's identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Isa {
    /// What every x86-64 has: SSE2.
    Baseline,
    /// AVX2 with FMA.
    Avx2,
    /// AVX-512 F, VL, BW, DQ and CD.
    Avx512,
    /// The best path that the CPU reports and the operating system enables, chosen inside the instance.
    Auto,
}

impl Isa {
    /// The word on the wire, in plans and in results.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Baseline => "baseline",
            Self::Avx2 => "avx2",
            Self::Avx512 => "avx512",
            Self::Auto => "auto",
        }
    }
}

impl fmt::Display for Isa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl FromStr for Isa {
    type Err = WireError;

    fn from_str(word: &str) -> Result<Self, WireError> {
        [Self::Baseline, Self::Avx2, Self::Avx512, Self::Auto]
            .into_iter()
            .find(|isa| isa.word() == word)
            .ok_or_else(|| WireError(format!("isa {word:?} is none of baseline, avx2, avx512, auto")))
    }
}

/// The fields of a `done` line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reply(BTreeMap<String, String>);

impl Reply {
    /// A reply without fields.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The same reply with one more field; `value` must hold neither blanks nor newlines.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl fmt::Display) -> Self {
        self.0.insert(key.to_owned(), value.to_string());
        self
    }

    /// Reads one line of the payload (without its newline).
    ///
    /// # Errors
    /// The payload's own words for an `error` line; what is wrong with any other line that is not a reply.
    pub fn parse(line: &str) -> Result<Self, WireError> {
        if let Some(text) = line.strip_prefix("error ") {
            return Err(WireError(format!("the payload refused: {text}")));
        }
        match line.strip_prefix("done") {
            Some(rest) if rest.is_empty() || rest.starts_with(' ') => Self::fields(rest),
            _ => Err(WireError(format!("not a reply: {:?}", line.chars().take(80).collect::<String>()))),
        }
    }

    /// Whether a field is there.
    #[must_use]
    pub fn has(&self, key: &str) -> bool {
        self.0.contains_key(key)
    }

    pub(crate) fn fields(text: &str) -> Result<Self, WireError> {
        let pair = |word: &str| {
            word.split_once('=')
                .map(|(k, v)| (k.to_owned(), v.to_owned()))
                .ok_or_else(|| WireError(format!("{word:?} is not key=value")))
        };
        text.split(' ').filter(|w| !w.is_empty()).map(pair).collect::<Result<_, _>>().map(Self)
    }

    /// The text of a field.
    ///
    /// # Errors
    /// If the field is missing.
    pub fn str(&self, key: &str) -> Result<&str, WireError> {
        self.0.get(key).map(String::as_str).ok_or_else(|| WireError(format!("field {key} is missing")))
    }

    /// A field as an unsigned number.
    ///
    /// # Errors
    /// If the field is missing or no such number.
    pub fn u64(&self, key: &str) -> Result<u64, WireError> {
        let text = self.str(key)?;
        text.parse().map_err(|_| WireError(format!("field {key}={text} is not an unsigned number")))
    }

    /// A field as a finite number.
    ///
    /// # Errors
    /// If the field is missing or no finite number.
    pub fn f64(&self, key: &str) -> Result<f64, WireError> {
        let text = self.str(key)?;
        text.parse()
            .ok()
            .filter(|v: &f64| v.is_finite())
            .ok_or_else(|| WireError(format!("field {key}={text} is not a finite number")))
    }

    /// All fields in key order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(k, v)| (k.as_str(), v.as_str()))
    }
}

impl fmt::Display for Reply {
    /// One `done` line without its newline.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("done")?;
        self.0.iter().try_for_each(|(k, v)| write!(f, " {k}={v}"))
    }
}

/// A line that is not of the wire, in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WireError(pub String);

impl fmt::Display for WireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for WireError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn refused(line: &str, with: &str) {
        let error = Reply::parse(line).expect_err("must be refused").to_string();
        assert!(error.contains(with), "{line:?} gave {error:?}");
    }

    #[test]
    fn a_line_that_is_no_reply_says_why() {
        refused("", "not a reply");
        refused("ready", "not a reply");
        refused("donee x=1", "not a reply");
        refused("done x", "not key=value");
        refused("error no such kernel", "refused: no such kernel");
        let reply = Reply::parse("done a=1 b=nan c=-2").unwrap();
        assert_eq!(reply.u64("a"), Ok(1));
        assert!(reply.f64("b").is_err() && reply.u64("c").is_err() && reply.str("d").is_err());
    }
}
