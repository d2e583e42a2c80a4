//! What a fault of isomark's own, a panic, ends as: one message and exit code 1, as any other failure of ours.
//!
//! The stack is unwound, so that what is alive is taken away on the way out as after any error. Of several panics the first
//! is told: the others follow from it.

use std::fmt;
use std::panic::{PanicHookInfo, UnwindSafe, catch_unwind};
use std::sync::OnceLock;

use isomark_core::Scenario;
use isomark_scenarios::SHELF;

/// The first panic in words, whichever thread it was in.
static FIRST: OnceLock<String> = OnceLock::new();

/// A panic that has been caught.
#[derive(Debug)]
pub(crate) struct Fault(String);

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; this is a fault of isomark's own: report it with this message", self.0)
    }
}

impl std::error::Error for Fault {}

/// From here on panics are kept for their message instead of being printed. With `RUST_BACKTRACE` they are printed as well.
pub(crate) fn watch() {
    let usual = std::panic::take_hook();
    let wanted = std::env::var_os("RUST_BACKTRACE").is_some_and(|value| value != "0");
    std::panic::set_hook(Box::new(move |info| {
        FIRST.get_or_init(|| words(info));
        if wanted {
            usual(info);
        }
    }));
}

fn words(info: &PanicHookInfo<'_>) -> String {
    let payload = info.payload();
    let said = payload.downcast_ref::<&str>().copied();
    let said = said.or(payload.downcast_ref::<String>().map(String::as_str)).unwrap_or("no word");
    let place = info.location().map_or_else(String::new, |at| format!(" ({}:{})", at.file(), at.line()));
    format!("{said}{place}")
}

/// Does `work`.
///
/// # Errors
/// If it panics.
pub(crate) fn guarded<T>(work: impl FnOnce() -> T + UnwindSafe) -> Result<T, Fault> {
    catch_unwind(work).map_err(|_| Fault(FIRST.get().cloned().unwrap_or_else(|| "it panicked".to_owned())))
}

/// A panic that nobody has caught: of a thread that nobody waited for.
pub(crate) fn unseen() -> Option<Fault> {
    FIRST.get().cloned().map(Fault)
}

/// The scenarios of the shelf.
#[cfg(not(debug_assertions))]
pub(crate) fn scenarios() -> Vec<Scenario> {
    SHELF.to_vec()
}

/// The scenarios of the shelf; with `ISOMARK_TEST_PANIC=N` every startup from the N-th on panics while its instance lives.
/// Tests provoke by it what nobody knows how to provoke otherwise; no release has it.
#[cfg(debug_assertions)]
pub(crate) fn scenarios() -> Vec<Scenario> {
    let mut all = SHELF.to_vec();
    if std::env::var_os("ISOMARK_TEST_PANIC").is_some() {
        all.iter_mut().filter(|s| s.name == "startup").for_each(|startup| startup.iterate = provoked);
    }
    all
}

#[cfg(debug_assertions)]
#[expect(clippy::panic, reason = "this is what is asked for")]
fn provoked(trial: &isomark_core::Trial<'_>) -> Result<(), isomark_core::Error> {
    use std::sync::atomic::{AtomicU64, Ordering};
    static DONE: AtomicU64 = AtomicU64::new(0);
    let wanted = std::env::var("ISOMARK_TEST_PANIC").ok().and_then(|n| n.parse().ok()).unwrap_or(1);
    if DONE.fetch_add(1, Ordering::Relaxed) + 1 < wanted {
        let startup = SHELF.iter().find(|s| s.name == "startup");
        return startup.map_or(Ok(()), |startup| (startup.iterate)(trial));
    }
    let mut sandbox = trial.create(&trial.spec())?;
    sandbox.start()?;
    panic!("ISOMARK_TEST_PANIC asked for it")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_a_message() {
        assert_eq!(guarded(|| 7).unwrap(), 7);
        let fault = guarded(|| -> u8 { panic!("numbers are {}", "gone") }).unwrap_err().to_string();
        // The hook is not set in tests: it would swallow the messages of others.
        assert!(fault.contains("fault of isomark's own") && fault.contains("report it"), "{fault}");
    }
}
