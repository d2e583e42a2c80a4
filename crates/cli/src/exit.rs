//! What the exit code says. Documented in the README; scripts rely on it.

use std::fmt;
use std::io;

use isomark_core::Error;

/// Everything is fine.
pub(crate) const FINE: u8 = 0;
/// isomark or the host failed.
pub(crate) const INTERNAL: u8 = 1;
/// Usage or bad input.
pub(crate) const USAGE: u8 = 2;
/// Something got worse beyond its threshold.
pub(crate) const REGRESSION: u8 = 3;
/// Nothing was selected or compared.
pub(crate) const NOTHING: u8 = 4;
/// Nothing can be said, where that was asked to count.
pub(crate) const INCONCLUSIVE: u8 = 5;
/// A required runtime is unavailable, or the host is unfit.
pub(crate) const UNFIT: u8 = 6;
/// A payload answered wrongly.
pub(crate) const WRONG: u8 = 7;

/// The code of a command that a signal ended.
pub(crate) fn of_signal(signal: usize) -> u8 {
    u8::try_from(128 + signal).unwrap_or(INTERNAL)
}

/// A failure whose code is not that of its cause.
#[derive(Debug)]
pub(crate) struct With(pub u8, pub String);

impl fmt::Display for With {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.1)
    }
}

impl std::error::Error for With {}

/// The exit code of a failure.
pub(crate) fn code(error: &anyhow::Error) -> u8 {
    if let Some(With(code, _)) = error.downcast_ref() {
        return *code;
    }
    match error.downcast_ref::<Error>() {
        Some(Error::Input(_) | Error::Damaged(_)) => USAGE,
        Some(Error::WrongAnswer(_)) => WRONG,
        _ => INTERNAL,
    }
}

/// Whether the failure is that nobody reads our output any more.
pub(crate) fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|e| e.kind() == io::ErrorKind::BrokenPipe)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_failure_has_its_code() {
        assert_eq!(code(&Error::Input("x".into()).into()), USAGE);
        assert_eq!(code(&Error::Damaged("x".into()).into()), USAGE);
        assert_eq!(code(&Error::WrongAnswer("x".into()).into()), WRONG);
        assert_eq!(code(&Error::os("x", io::Error::other("y")).into()), INTERNAL);
        assert_eq!(code(&With(NOTHING, "x".into()).into()), NOTHING);
        assert_eq!((of_signal(2), of_signal(15)), (130, 143));
    }
}
