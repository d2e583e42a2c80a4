//! The lock of a command that measures, and what is said where there is none.
//!
//! Who is refused learns who measures; who goes on all the same carries a warning into the run's record and its report.

use std::path::Path;

use anyhow::{Result, bail};
use isomark_core::record::Warning;
use isomark_engine::lock::{Denied, Lock, path};

use crate::exit::{self, With};

/// What keeps other runs away until this is dropped, or why nothing does.
pub(crate) struct Held {
    lock: Option<Lock>,
    /// For the run's record.
    pub warning: Option<Warning>,
}

/// Takes the lock, or refuses with exit code 6; with `without`, goes on in any case.
pub(crate) fn take(without: bool) -> Result<Held> {
    let (cause, remedy) = match Lock::take(&path()) {
        Ok(lock) => return Ok(Held { lock: Some(lock), warning: None }),
        Err(Denied::Held(who)) if !without => {
            let why = "two runs at the same time would measure each other";
            let remedy = "wait for its end, or go on with --no-lock (the report will warn)";
            let text = format!("another isomark measures on this machine ({who}): {why}; remedy: {remedy}");
            bail!(With(exit::UNFIT, text));
        }
        Err(Denied::Held(who)) => {
            let cause = format!("another isomark measured at the same time ({who}), and --no-lock was given");
            (
                cause,
                "measure again without --no-lock: the two runs took CPU, cache and memory from each other",
            )
        }
        Err(Denied::Unusable(why)) => {
            let cause = format!("nothing kept other measuring runs away: no lock can be had ({why})");
            (cause, "set ISOMARK_LOCK to a file that all users of this machine can open")
        }
    };
    eprintln!("isomark: {cause}; remedy: {remedy}");
    Ok(Held { lock: None, warning: Some(Warning { cause, remedy: remedy.into() }) })
}

impl Held {
    /// Says for whoever is refused meanwhile which folder is written to.
    pub(crate) fn tell(&mut self, folder: &Path) {
        let folder = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
        self.lock.iter_mut().for_each(|lock| lock.tell(Some(&folder)));
    }
}
