//! Where a command stands: its site on the host, and what dead commands left there.

use std::cell::RefCell;
use std::io::Read;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result};
use isomark_core::Site;
use isomark_engine::{self as engine, settle};

use crate::exit;

/// A command's place, with words for what is found and left there.
pub(crate) struct Place {
    place: engine::Place,
    guard: RefCell<Option<Child>>,
}

impl Place {
    /// Settles what dead commands left, then makes this command's site.
    pub(crate) fn take() -> Result<Self> {
        let place = engine::Place::take()?;
        for what in &place.found().gone {
            eprintln!("isomark: took away what an earlier command left: {what}");
        }
        for what in &place.found().stuck {
            eprintln!("isomark: an earlier command left what cannot be taken away: {what}");
        }
        Ok(Self { place, guard: RefCell::new(None) })
    }

    /// Puts a guard beside this command, which settles however it dies: what a daemon or a shim started has another parent
    /// and does not die with it, and groups and files never do. It sleeps on a pipe that ends with this command.
    pub(crate) fn guard(&self) -> Result<()> {
        // This very program, whatever became of its file.
        let mut command = Command::new("/proc/self/exe");
        command.arg("guard").arg(self.site().dir());
        // A group of its own: Ctrl-C is for the command, which is asked to end and cleans up by itself.
        command.process_group(0).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        *self.guard.borrow_mut() = Some(command.spawn().context("start a guard")?);
        Ok(())
    }

    /// The site.
    pub(crate) const fn site(&self) -> &Site {
        self.place.site()
    }
}

/// The verb of the guard: settles a site when the command that gave the pipe is gone.
pub(crate) fn stand_guard(site: &Path) -> Result<u8> {
    let mut nothing = Vec::new();
    let _ = std::io::stdin().lock().read_to_end(&mut nothing);
    Ok(if settle::settle_dead(site).stuck.is_empty() { exit::FINE } else { exit::INTERNAL })
}

impl Drop for Place {
    fn drop(&mut self) {
        for what in self.place.leave().stuck {
            eprintln!("isomark: this is left on the host: {what}; isomark clean tries again");
        }
        if let Some(mut guard) = self.guard.take() {
            // It is not needed: everything has been seen to.
            let _ = guard.kill();
            let _ = guard.wait();
        }
    }
}
