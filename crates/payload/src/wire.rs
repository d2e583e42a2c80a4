//! The line protocol between harness and payload: one job a line down, one reply a line up.
//!
//! The payload first says [`READY`], then answers each job with `done key=value …` or `error TEXT` until end of
//! file. Both sides use these types, so a job cannot be spelt in two ways. A line is at most [`MAX_LINE`] bytes.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

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

/// One request to the payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Job {
    /// Answer with the same token: one round trip.
    Echo(u64),
    /// Map `bytes`, write to every 4 KiB page and hold them until the payload ends.
    Touch {
        /// Size in bytes.
        bytes: u64,
    },
    /// Write `bytes` of known content to `isomark.dat` in the current directory, sync, read back, keep the file.
    Write {
        /// Size in bytes.
        bytes: u64,
    },
    /// Run one kernel of [`crate::KERNELS`].
    Kernel {
        /// Name in the catalog.
        name: String,
        /// Size, as the catalog defines it for the kernel.
        n: u64,
        /// Instruction-set path.
        isa: Isa,
        /// How long to keep running, in ms; split into windows of 2–5 ms where one iteration is shorter.
        millis: u64,
        /// Ticks of the time-stamp counter per second, as the host calibrated it.
        tsc_hz: u64,
        /// Work injected into every window, in thousandths of its own time: a regression whose truth is known.
        injected: u64,
    },
    /// What the CPU looks like from inside.
    Features,
}

impl fmt::Display for Job {
    /// One line without its newline.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Echo(token) => write!(f, "echo token={token}"),
            Self::Touch { bytes } => write!(f, "touch bytes={bytes}"),
            Self::Write { bytes } => write!(f, "write bytes={bytes}"),
            Self::Kernel { name, n, isa, millis, tsc_hz, injected } => {
                write!(f, "kernel name={name} n={n} isa={isa} millis={millis} tsc_hz={tsc_hz}")?;
                if *injected == 0 { Ok(()) } else { write!(f, " injected={injected}") }
            }
            Self::Features => f.write_str("features"),
        }
    }
}

impl FromStr for Job {
    type Err = WireError;

    fn from_str(line: &str) -> Result<Self, WireError> {
        let (verb, rest) = line.split_once(' ').unwrap_or((line, ""));
        let fields = Reply::fields(rest)?;
        match verb {
            "echo" => Ok(Self::Echo(fields.u64("token")?)),
            "touch" => Ok(Self::Touch { bytes: fields.u64("bytes")? }),
            "write" => Ok(Self::Write { bytes: fields.u64("bytes")? }),
            "kernel" => Ok(Self::Kernel {
                name: fields.str("name")?.to_owned(),
                n: fields.u64("n")?,
                isa: fields.str("isa")?.parse()?,
                millis: fields.u64("millis")?,
                tsc_hz: fields.u64("tsc_hz")?,
                injected: if fields.0.contains_key("injected") { fields.u64("injected")? } else { 0 },
            }),
            "features" => Ok(Self::Features),
            other => Err(WireError(format!("job {other:?} is unknown"))),
        }
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
            Some(rest) if rest.is_empty() || rest.starts_with(' ') => Self::fields(rest.trim_start()),
            _ => Err(WireError(format!("not a reply: {:?}", line.chars().take(80).collect::<String>()))),
        }
    }

    fn fields(text: &str) -> Result<Self, WireError> {
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
    fn round_trips(job: &Job) {
        assert_eq!(job.to_string().parse::<Job>().as_ref(), Ok(job));
    }

    #[test]
    fn every_job_survives_the_wire() {
        round_trips(&Job::Echo(u64::MAX));
        round_trips(&Job::Touch { bytes: 64 << 20 });
        round_trips(&Job::Write { bytes: 0 });
        round_trips(&Job::Features);
        for isa in [Isa::Baseline, Isa::Avx2, Isa::Avx512, Isa::Auto] {
            for injected in [0, 50] {
                let (name, tsc_hz) = ("dgemm".to_owned(), 2_600_000_000);
                round_trips(&Job::Kernel { name, n: 64, isa, millis: 50, tsc_hz, injected });
            }
        }
    }

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
