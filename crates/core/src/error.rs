//! What can go wrong, by what the caller does about it.
//!
//! Few variants, because the engine treats forty failing system calls alike; the operation string says what
//! failed ("mount proc on /proc"). The outer text never repeats its source.

use std::io;
use std::time::Duration;

use crate::record::EXHAUSTED;
use crate::runtime::Exit;
use crate::shortage::Shortage;

/// Why a phase of an instance failed. Always becomes a row of the results, never a number.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The host refused an operation.
    #[error("{op}")]
    Os {
        /// What was tried, in words, with its object.
        op: String,
        /// What the kernel said.
        source: io::Error,
    },
    /// A deadline passed.
    #[error("{op}: no answer within {after:?}")]
    Timeout {
        /// What was waited for.
        op: String,
        /// The deadline.
        after: Duration,
    },
    /// The program answered, and the answer is not right. Ends the command with exit code 7.
    #[error("wrong answer: {0}")]
    WrongAnswer(String),
    /// The program ended when it should not have.
    #[error("the program ended early ({exit}){}", tail(.stderr))]
    Died {
        /// How it ended.
        exit: Exit,
        /// The last of what it wrote to stderr.
        stderr: String,
    },
    /// The host has no more of something that all on it share, in the words of a tool or a VMM; the kernel's own word for it
    /// is an [`Error::Os`]. The trial is repeated when the run is gone on with.
    #[error("{0}")]
    Exhausted(String),
    /// The runtime cannot do what the spec asks for.
    #[error("{0}")]
    Unsupported(String),
    /// The input (a program, a parameter) is at fault. Ends the command with exit code 2.
    #[error("{0}")]
    Input(String),
    /// A file that instances are made of is not what it was when it was checked or written. Ends the command with exit code 2,
    /// also where it is found in the middle of a run.
    #[error("{0}")]
    Damaged(String),
    /// Cleaning up failed, perhaps after the work had failed already: both are kept.
    #[error("clean-up failed: {}{}", .cleanup.chain(), after(.work.as_deref()))]
    Cleanup {
        /// What failed first, if anything.
        work: Option<Box<Error>>,
        /// What failed while cleaning up.
        cleanup: Box<Error>,
    },
}

fn tail(stderr: &str) -> String {
    let text = stderr.trim();
    if text.is_empty() { String::new() } else { format!(": {text}") }
}

fn after(work: Option<&Error>) -> String {
    work.map_or_else(String::new, |w| format!(" (after: {})", w.chain()))
}

impl Error {
    /// An operation the host refused.
    pub fn os(op: impl Into<String>, source: impl Into<io::Error>) -> Self {
        Self::Os { op: op.into(), source: source.into() }
    }

    /// The error and its sources in one line.
    #[must_use]
    pub fn chain(&self) -> String {
        let mut text = self.to_string();
        let mut next = std::error::Error::source(self);
        while let Some(source) = next {
            text.push_str(": ");
            text.push_str(&source.to_string());
            next = source.source();
        }
        text
    }

    /// A failure in the words of a tool or a VMM: of the host if they tell of a shortage, or else of what was asked for.
    #[must_use]
    pub fn told(words: String) -> Self {
        match Shortage::in_words(&words) {
            // A tool that wants to write where this host never lets it is one that cannot run here.
            None | Some(Shortage::Writing) => Self::Unsupported(words),
            Some(_) => Self::Exhausted(words),
        }
    }

    /// The same of a program that ended before its first word: what stands on stderr are the words of whoever was to start it.
    #[must_use]
    pub fn before_ready(self) -> Self {
        match &self {
            Self::Died { stderr, .. } if Shortage::in_words(stderr).is_some() => {
                Self::Exhausted(self.chain())
            }
            _ => self,
        }
    }

    /// The word under which a failure is stored.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Os { source, .. } if Shortage::of(source).is_some() => EXHAUSTED,
            Self::Exhausted(_) => EXHAUSTED,
            // Nothing can be taken away with a tool that cannot be started; the next command does.
            Self::Cleanup { cleanup, .. } if cleanup.kind() == EXHAUSTED => EXHAUSTED,
            Self::Os { .. } => "os",
            Self::Timeout { .. } => "timeout",
            Self::WrongAnswer(_) => "wrong-answer",
            Self::Died { .. } => "died",
            Self::Unsupported(_) => "unsupported",
            Self::Input(_) => "input",
            Self::Damaged(_) => "damaged",
            Self::Cleanup { .. } => "clean-up",
        }
    }

    /// What remains to be said when `cleanup` ran after `work`: both failures, one, or none.
    ///
    /// # Errors
    /// Whichever failed.
    pub fn join<T>(work: Result<T, Self>, cleanup: Result<(), Self>) -> Result<T, Self> {
        match (work, cleanup) {
            (work, Ok(())) => work,
            (Ok(_), Err(e)) => Err(Self::Cleanup { work: None, cleanup: Box::new(e) }),
            (Err(w), Err(e)) => Err(Self::Cleanup { work: Some(Box::new(w)), cleanup: Box::new(e) }),
        }
    }
}

/// Why a runtime cannot run on this host. It skips; it does not fail.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct Unavailable {
    /// What is missing.
    pub reason: String,
    /// What the user can do about it.
    pub remedy: String,
}

impl Unavailable {
    /// A reason and its remedy.
    pub fn new(reason: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { reason: reason.into(), remedy: remedy.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_clean_up_keeps_the_failed_work() {
        let work: Result<(), _> = Err(Error::WrongAnswer("4".into()));
        let both =
            Error::join(work, Err(Error::os("rmdir x", io::Error::from_raw_os_error(16)))).unwrap_err();
        assert_eq!(both.kind(), "clean-up");
        let text = both.chain();
        assert!(text.contains("rmdir x") && text.contains("wrong answer: 4"), "{text}");
    }

    #[test]
    fn a_shortage_is_a_kind_of_its_own_whoever_tells_of_it() {
        let kernel = |errno| Error::os("clone3", io::Error::from_raw_os_error(errno));
        assert_eq!((kernel(11).kind(), kernel(12).kind(), kernel(1).kind()), (EXHAUSTED, EXHAUSTED, "os"));
        assert_eq!(Error::told("docker: no space left on device".into()).kind(), EXHAUSTED);
        assert_eq!(Error::told("docker: no such image".into()).kind(), "unsupported");
        let both = |work, cleanup| Error::join::<()>(Err(work), Err(cleanup)).unwrap_err().kind();
        assert_eq!(both(kernel(11), kernel(11)), EXHAUSTED);
        // What is left behind for another reason is what its reader must know.
        assert_eq!(both(kernel(11), kernel(16)), "clean-up");
        // What a payload itself dies of is no shortage of the host.
        let died = Error::Died { exit: Exit::Code(1), stderr: "Cannot allocate memory (os error 12)".into() };
        assert_eq!((died.kind(), died.before_ready().kind()), ("died", EXHAUSTED));
    }

    #[test]
    fn the_chain_says_operation_and_errno_once() {
        let text = Error::os("mount proc on /proc", io::Error::from_raw_os_error(1)).chain();
        assert_eq!(text, "mount proc on /proc: Operation not permitted (os error 1)");
    }
}
