//! What becomes of a trial that is told to end by SIGINT, SIGTERM or SIGHUP.
//!
//! It ends at its next wait as after any failure: what it has started is ended, and its directory goes.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::sleep;
use std::time::{Duration, Instant};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use crate::Failure;

static SIGNAL: OnceLock<Arc<AtomicUsize>> = OnceLock::new();

/// From here on these signals are kept for [`go_on`].
pub(crate) fn listen() -> Result<(), Failure> {
    let flag = SIGNAL.get_or_init(Arc::default);
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        signal_hook::flag::register_usize(signal, Arc::clone(flag), usize::try_from(signal)?)?;
    }
    Ok(())
}

/// The signal that came, if one did.
pub(crate) fn signal() -> Option<usize> {
    SIGNAL.get().map(|flag| flag.load(Ordering::Relaxed)).filter(|signal| *signal != 0)
}

/// Fails once a signal came.
pub(crate) fn go_on() -> Result<(), Failure> {
    signal().map_or(Ok(()), |signal| Err(format!("told to end by signal {signal}").into()))
}

/// Sleeps, or fails when a signal comes.
pub(crate) fn pause(time: Duration) -> Result<(), Failure> {
    let until = Instant::now() + time;
    loop {
        go_on()?;
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(());
        }
        sleep(left.min(Duration::from_millis(20)));
    }
}
