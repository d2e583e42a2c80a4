//! The five calls of an instance's life, so that "what is timed" needs no prose.

use std::fmt;

use serde::{Deserialize, Serialize};

/// One lifecycle call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// Everything that can be done before the program exists.
    Create,
    /// From the end of `create` until the payload's first byte reaches the harness.
    Start,
    /// One job and its reply; zero or more times.
    Run,
    /// From closing the wire until the program is reaped.
    Stop,
    /// Until nothing of the instance is left on the host.
    Remove,
}

impl Phase {
    /// All phases in the order of an instance's life.
    pub const ALL: [Self; 5] = [Self::Create, Self::Start, Self::Run, Self::Stop, Self::Remove];

    /// The word used in files and reports.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Start => "start",
            Self::Run => "run",
            Self::Stop => "stop",
            Self::Remove => "remove",
        }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}
