//! What can be asked of the payload: one job, one line.
//!
//! Both sides write and read jobs here, so a job cannot be spelt in two ways. Every job that costs the host something
//! carries its own bound (`millis`, `most`), so that it ends even where no runtime limits it.

use std::fmt;
use std::str::FromStr;

use crate::wire::{Isa, Reply, WireError};

/// A word of the wire for each of a few things.
macro_rules! words {
    ($(#[$about:meta])* $name:ident, $what:literal: $($(#[$of:meta])* $variant:ident = $word:literal),+ $(,)?) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum $name { $($(#[$of])* $variant),+ }

        impl $name {
            /// All of them, in the order of their definition.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The word on the wire and in plans.
            #[must_use]
            pub const fn word(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
        }

        impl FromStr for $name {
            type Err = WireError;

            fn from_str(word: &str) -> Result<Self, WireError> {
                Self::ALL.iter().find(|one| one.word() == word).copied().ok_or_else(|| {
                    let all = Self::ALL.iter().map(|one| one.word()).collect::<Vec<_>>().join(", ");
                    WireError(format!("{} {word:?} is none of {all}", $what))
                })
            }
        }
    };
}

words! {
    /// A bounded nuisance that rages after its reply, until the next line comes or its time is over.
    Storm, "storm":
    /// Integer arithmetic without memory: takes a CPU.
    Spin = "spin",
    /// Streams through arrays beyond the caches: takes memory bandwidth.
    Stream = "stream",
    /// Random updates of a table as large as the shared cache: takes the cache.
    Thrash = "thrash",
    /// Starts short-lived children, many alive at a time.
    Fork = "fork",
    /// Maps and touches memory and gives it back, again and again.
    Allocate = "allocate",
    /// Writes and syncs a file.
    Sync = "sync",
}

words! {
    /// A way of going wrong on purpose.
    Break, "break":
    /// Writes to an address that is not mapped.
    Crash = "crash",
    /// Executes an instruction that only a kernel may.
    Privileged = "privileged",
    /// Takes memory until it is refused, killed or at `most` bytes.
    Memory = "memory",
    /// Starts children that stay until it is refused or at `most` of them.
    Fork = "fork",
    /// Never answers: computes until its time is over.
    Spin = "spin",
    /// Writes a file until it is refused or at `most` bytes.
    Fill = "fill",
    /// Ends without an answer, which for a guest's first process makes its kernel panic.
    Leave = "leave",
}

words! {
    /// What became of a system call that was tried.
    Class, "class":
    /// The kernel does not know it (`ENOSYS`).
    Absent = "n",
    /// Refused by a filter or for want of a right (`EPERM`, `EACCES`).
    Refused = "p",
    /// The caller was killed for it.
    Killed = "k",
    /// Answered by the kernel's own code, with whatever result.
    Reached = "r",
    /// Not called, because it ends or stops its caller whatever it is given.
    Uncalled = "-",
}

/// One look around from inside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Probe {
    /// The first `bytes` of a file.
    Peek {
        /// Its path.
        path: String,
        /// How much of it.
        bytes: u64,
    },
    /// Whether `/proc` shows a process of this name, and how many processes it shows.
    Process {
        /// As in `/proc/PID/comm`.
        name: String,
    },
    /// Whether an abstract Unix socket of this name listens.
    Unix {
        /// Without its leading zero byte.
        name: String,
    },
    /// Whether somebody listens on this port of 127.0.0.1.
    Tcp {
        /// The port.
        port: u64,
    },
    /// Whether the System V segment of this number holds this word.
    Segment {
        /// As `shmget(2)` gave it.
        id: u64,
        /// What its first eight bytes are.
        word: u64,
    },
    /// Whether there is a POSIX message queue of this name.
    Queue {
        /// With its leading slash.
        name: String,
    },
    /// The host name that `uname(2)` tells.
    Host,
}

/// One request to the payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Job {
    /// Answer with the same token: one round trip.
    Echo(u64),
    /// Map `bytes`, write to every 4 KiB page and hold them until `free` or the payload's end.
    Touch {
        /// Size in bytes.
        bytes: u64,
    },
    /// Unmap everything that `touch` holds.
    Free,
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
    /// A fixed amount of work: a chain of `steps` dependent integer operations.
    Work {
        /// Length of the chain.
        steps: u64,
    },
    /// What the CPU looks like from inside.
    Features,
    /// Answer once a storm has begun, and let it rage.
    Storm {
        /// Which.
        kind: Storm,
        /// How large: bytes of memory or file, children alive at a time.
        most: u64,
        /// When it ends at the latest, in ms from its begin.
        millis: u64,
        /// Ticks of the time-stamp counter per second.
        tsc_hz: u64,
    },
    /// End the storm and tell what it did.
    Calm,
    /// Go wrong on purpose.
    Break {
        /// How.
        how: Break,
        /// Bound in bytes or children.
        most: u64,
        /// Bound in ms.
        millis: u64,
        /// Ticks of the time-stamp counter per second.
        tsc_hz: u64,
    },
    /// Look around.
    Probe(Probe),
    /// Plant canaries named after `token`; they go with the payload.
    Plant {
        /// Names and contents are made of it.
        token: u64,
    },
    /// Try the system calls with these numbers, each with harmless arguments.
    Sweep {
        /// First number.
        first: u64,
        /// Last number.
        last: u64,
    },
}

/// Text as one field: it may hold blanks.
#[must_use]
pub fn hex(text: &[u8]) -> String {
    text.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The text of such a field.
///
/// # Errors
/// If it is no text in hexadecimal digits.
pub fn unhex(digits: &str) -> Result<Vec<u8>, WireError> {
    let bad = || WireError(format!("{digits:?} is not made of pairs of hexadecimal digits"));
    if !digits.is_ascii() || !digits.len().is_multiple_of(2) {
        return Err(bad());
    }
    let byte = |at: usize| u8::from_str_radix(&digits[at..at + 2], 16).map_err(|_| bad());
    (0..digits.len()).step_by(2).map(byte).collect()
}

fn text(fields: &Reply, key: &str) -> Result<String, WireError> {
    let bytes = unhex(fields.str(key)?)?;
    String::from_utf8(bytes).map_err(|_| WireError(format!("field {key} is not UTF-8")))
}

impl fmt::Display for Probe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Peek { path, bytes } => write!(f, "what=peek path={} bytes={bytes}", hex(path.as_bytes())),
            Self::Process { name } => write!(f, "what=process name={}", hex(name.as_bytes())),
            Self::Unix { name } => write!(f, "what=unix name={}", hex(name.as_bytes())),
            Self::Tcp { port } => write!(f, "what=tcp port={port}"),
            Self::Segment { id, word } => write!(f, "what=segment id={id} word={word}"),
            Self::Queue { name } => write!(f, "what=queue name={}", hex(name.as_bytes())),
            Self::Host => f.write_str("what=host"),
        }
    }
}

impl Probe {
    fn read(fields: &Reply) -> Result<Self, WireError> {
        Ok(match fields.str("what")? {
            "peek" => Self::Peek { path: text(fields, "path")?, bytes: fields.u64("bytes")? },
            "process" => Self::Process { name: text(fields, "name")? },
            "unix" => Self::Unix { name: text(fields, "name")? },
            "tcp" => Self::Tcp { port: fields.u64("port")? },
            "segment" => Self::Segment { id: fields.u64("id")?, word: fields.u64("word")? },
            "queue" => Self::Queue { name: text(fields, "name")? },
            "host" => Self::Host,
            other => return Err(WireError(format!("probe {other:?} is unknown"))),
        })
    }
}

impl fmt::Display for Job {
    /// One line without its newline.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Echo(token) => write!(f, "echo token={token}"),
            Self::Touch { bytes } => write!(f, "touch bytes={bytes}"),
            Self::Free => f.write_str("free"),
            Self::Write { bytes } => write!(f, "write bytes={bytes}"),
            Self::Kernel { name, n, isa, millis, tsc_hz, injected } => {
                write!(f, "kernel name={name} n={n} isa={isa} millis={millis} tsc_hz={tsc_hz}")?;
                if *injected == 0 { Ok(()) } else { write!(f, " injected={injected}") }
            }
            Self::Work { steps } => write!(f, "work steps={steps}"),
            Self::Features => f.write_str("features"),
            Self::Storm { kind, most, millis, tsc_hz } => {
                write!(f, "storm kind={} most={most} millis={millis} tsc_hz={tsc_hz}", kind.word())
            }
            Self::Calm => f.write_str("calm"),
            Self::Break { how, most, millis, tsc_hz } => {
                write!(f, "break how={} most={most} millis={millis} tsc_hz={tsc_hz}", how.word())
            }
            Self::Probe(probe) => write!(f, "probe {probe}"),
            Self::Plant { token } => write!(f, "plant token={token}"),
            Self::Sweep { first, last } => write!(f, "sweep first={first} last={last}"),
        }
    }
}

impl FromStr for Job {
    type Err = WireError;

    fn from_str(line: &str) -> Result<Self, WireError> {
        let (verb, rest) = line.split_once(' ').unwrap_or((line, ""));
        let fields = Reply::fields(rest)?;
        let number = |key| fields.u64(key);
        Ok(match verb {
            "echo" => Self::Echo(number("token")?),
            "touch" => Self::Touch { bytes: number("bytes")? },
            "free" => Self::Free,
            "write" => Self::Write { bytes: number("bytes")? },
            "kernel" => Self::Kernel {
                name: fields.str("name")?.to_owned(),
                n: number("n")?,
                isa: fields.str("isa")?.parse()?,
                millis: number("millis")?,
                tsc_hz: number("tsc_hz")?,
                injected: if fields.has("injected") { number("injected")? } else { 0 },
            },
            "work" => Self::Work { steps: number("steps")? },
            "features" => Self::Features,
            "storm" => Self::Storm {
                kind: fields.str("kind")?.parse()?,
                most: number("most")?,
                millis: number("millis")?,
                tsc_hz: number("tsc_hz")?,
            },
            "calm" => Self::Calm,
            "break" => Self::Break {
                how: fields.str("how")?.parse()?,
                most: number("most")?,
                millis: number("millis")?,
                tsc_hz: number("tsc_hz")?,
            },
            "probe" => Self::Probe(Probe::read(&fields)?),
            "plant" => Self::Plant { token: number("token")? },
            "sweep" => Self::Sweep { first: number("first")?, last: number("last")? },
            other => return Err(WireError(format!("job {other:?} is unknown"))),
        })
    }
}

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
        round_trips(&Job::Free);
        round_trips(&Job::Write { bytes: 0 });
        round_trips(&Job::Work { steps: 9 });
        round_trips(&Job::Features);
        round_trips(&Job::Calm);
        round_trips(&Job::Plant { token: 7 });
        round_trips(&Job::Sweep { first: 0, last: 469 });
        for isa in [Isa::Baseline, Isa::Avx2, Isa::Avx512, Isa::Auto] {
            for injected in [0, 50] {
                let (name, tsc_hz) = ("dgemm".to_owned(), 2_600_000_000);
                round_trips(&Job::Kernel { name, n: 64, isa, millis: 50, tsc_hz, injected });
            }
        }
        for kind in Storm::ALL {
            round_trips(&Job::Storm { kind: *kind, most: 5, millis: 6, tsc_hz: 7 });
        }
        for how in Break::ALL {
            round_trips(&Job::Break { how: *how, most: 5, millis: 6, tsc_hz: 7 });
        }
    }

    #[test]
    fn every_probe_survives_the_wire_with_blanks_in_its_names() {
        let name = || "a b=ü".to_owned();
        for probe in [
            Probe::Peek { path: "/tmp/x y".into(), bytes: 9 },
            Probe::Process { name: name() },
            Probe::Unix { name: name() },
            Probe::Tcp { port: 65_535 },
            Probe::Segment { id: 3, word: u64::MAX },
            Probe::Queue { name: name() },
            Probe::Host,
        ] {
            round_trips(&Job::Probe(probe));
        }
    }

    #[test]
    fn what_is_no_job_is_refused_in_words() {
        for (line, with) in [
            ("storm kind=rain most=1 millis=1 tsc_hz=1", "none of spin"),
            ("break how=badly most=1 millis=1 tsc_hz=1", "none of crash"),
            ("probe what=next", "unknown"),
            ("probe what=unix name=0", "hexadecimal"),
            ("probe what=unix name=zz", "hexadecimal"),
            ("probe what=unix name=ff", "UTF-8"),
            ("probe what=tcp", "port is missing"),
            ("sweep first=1", "last is missing"),
        ] {
            let error = line.parse::<Job>().expect_err(line).to_string();
            assert!(error.contains(with), "{line}: {error}");
        }
        assert_eq!(unhex("00ff"), Ok(vec![0, 255]));
        assert!(unhex("é").is_err() && hex(&[1, 171]) == "01ab");
    }
}
