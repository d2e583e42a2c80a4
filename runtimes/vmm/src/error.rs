//! How things fail and how the program ends.
//!
//! Three kinds that never mix: the VMM cannot go on (`Error`), a system call is refused (`Stop::Errno`, which the
//! program sees), and the program has ended (`End`, which the harness sees).

use std::fmt;

/// Why the VMM could not start or go on.
#[derive(Debug)]
pub enum Error {
    /// The program is not one that this machine can run; exit status 124.
    Program(String),
    /// Anything else: usage, KVM, memory; exit status 125.
    Internal(String),
}

impl Error {
    /// The operation that failed, with the operating system's reason.
    #[must_use]
    pub fn os(op: impl fmt::Display) -> Self {
        Self::Internal(format!("{op}: {}", std::io::Error::last_os_error()))
    }

    /// The same for KVM's own error type.
    pub fn kvm(op: &'static str) -> impl FnOnce(kvm_ioctls::Error) -> Self {
        move |e| Self::Internal(format!("{op}: {}", std::io::Error::from_raw_os_error(e.errno())))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Program(text) | Self::Internal(text) => f.write_str(text),
        }
    }
}

/// How the program ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// It called `exit` or `exit_group` with this status.
    Exit(u8),
    /// It was saved and stopped, as asked.
    Saved,
    /// A signal killed it.
    Signal(i32),
    /// It waits for something that this machine cannot give.
    Unserved(String),
    /// The machine stopped it: deadline, a fault of the guest kernel, a shutdown.
    Fault(String),
    /// The VMM itself failed while running it.
    Internal(String),
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exit(code) => write!(f, "exit {code}"),
            Self::Saved => f.write_str("saved"),
            Self::Signal(signal) => write!(f, "signal {signal}"),
            Self::Unserved(text) => write!(f, "unserved {text}"),
            Self::Fault(text) => write!(f, "fault {text}"),
            Self::Internal(text) => write!(f, "internal {text}"),
        }
    }
}

/// Why a system call does not return a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stop {
    /// The program gets this error number.
    Errno(i32),
    /// The program has ended.
    End(End),
    /// All registers were replaced (`rt_sigreturn`): there is no result to store.
    Registers,
}

impl From<End> for Stop {
    fn from(end: End) -> Self {
        Self::End(end)
    }
}

/// What a system call returns.
pub type Served = Result<u64, Stop>;

/// A system call refused with `errno`.
///
/// # Errors
/// Always: that is its purpose.
pub const fn refuse<T>(errno: i32) -> Result<T, Stop> {
    Err(Stop::Errno(errno))
}
