//! Ctrl-C, SIGTERM and a terminal that closes: asked for between trials, so that a run ends in order with what was measured.
//!
//! A process that was stopped and goes on (Ctrl-Z and `fg`) is told as well: the trial in which that happened says nothing.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use signal_hook::consts::{SIGCONT, SIGHUP, SIGINT, SIGTERM};

/// The signal that asked the command to end, if one did.
#[derive(Clone, Debug, Default)]
pub struct Interrupt {
    signal: Arc<AtomicUsize>,
    resumed: Arc<AtomicBool>,
}

impl Interrupt {
    /// Takes over SIGINT, SIGTERM and, unless the caller ignores it as nohup(1) does, SIGHUP. The second of a kind ends the
    /// process at once, as without this.
    ///
    /// # Errors
    /// If the handlers cannot be installed.
    pub fn install() -> io::Result<Self> {
        let new = Self::default();
        for signal in ends() {
            let number = usize::try_from(signal).unwrap_or(0);
            // Order matters: the conditional default acts on what an earlier signal stored.
            let again = Arc::new(AtomicBool::new(false));
            signal_hook::flag::register_conditional_default(signal, Arc::clone(&again))?;
            signal_hook::flag::register(signal, again)?;
            signal_hook::flag::register_usize(signal, Arc::clone(&new.signal), number)?;
        }
        signal_hook::flag::register(SIGCONT, Arc::clone(&new.resumed))?;
        Ok(new)
    }

    /// The signal, if one came: 1, 2 or 15.
    #[must_use]
    pub fn signal(&self) -> Option<usize> {
        Some(self.signal.load(Ordering::Relaxed)).filter(|signal| *signal != 0)
    }

    /// Whether this process was stopped and goes on since this was asked last.
    #[must_use]
    pub fn has_resumed(&self) -> bool {
        self.resumed.swap(false, Ordering::Relaxed)
    }

    /// Asks as a signal would; for tests.
    pub fn raise(&self, signal: usize) {
        if i32::try_from(signal) == Ok(SIGCONT) {
            self.resumed.store(true, Ordering::Relaxed);
        } else {
            self.signal.store(signal, Ordering::Relaxed);
        }
    }
}

/// The signals that ask a command to end. Who was started with SIGHUP ignored is to outlive the terminal.
#[must_use]
pub fn ends() -> Vec<i32> {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mut all = vec![SIGINT, SIGTERM];
    if !ignores(&status, SIGHUP) {
        all.push(SIGHUP);
    }
    all
}

/// Whether a process ignores a signal: a bit of `SigIgn` in `/proc/PID/status` (proc_pid_status(5)).
fn ignores(status: &str, signal: i32) -> bool {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .is_some_and(|mask| mask >> (signal - 1) & 1 == 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_ignored_is_read_from_the_mask() {
        let cases =
            [("SigIgn:\t0000000000000001\n", true), ("SigIgn:\t0000000000001000\n", false), ("", false)];
        for (status, ignored) in cases {
            assert_eq!(ignores(status, SIGHUP), ignored, "{status}");
        }
    }
}
