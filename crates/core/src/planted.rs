//! Things on the host that outlive the process which made them: noted in a ledger before they are made, so that
//! whoever comes later can take them away.
//!
//! Only what carries our name is ever touched: a mount below a site, a message queue named as a canary.

use std::path::Path;

use nix::mount::{MsFlags, mount};

use crate::error::Error;
pub use crate::ledger::note;
use crate::ledger::strike;
use crate::mounts;
pub use crate::mounts::is_mounted;
use crate::payload::canary::PREFIX;

/// Mounts a small file system in memory on a directory below a site.
///
/// # Errors
/// If it cannot be noted, or the host forbids mounts.
pub fn plant_mount(site: &Path, at: &Path) -> Result<(), Error> {
    note(site, "mount", &at.display().to_string())?;
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    mount(Some("isomark"), at, Some("tmpfs"), flags, Some("size=64k"))
        .map_err(|e| Error::os(format!("mount tmpfs on {}", at.display()), e))
}

/// Unmounts what is mounted there, and on top of it, and strikes it off; nothing mounted is no error.
///
/// # Errors
/// If the kernel refuses.
pub fn take_mount(site: &Path, at: &Path) -> Result<(), Error> {
    if !is_mounted(at) {
        return Ok(());
    }
    mounts::take_off(at)?;
    strike(site, "mount", &at.display().to_string())
}

/// Whether the name is one that a canary's message queue has.
#[must_use]
pub fn is_our_queue(name: &str) -> bool {
    name.strip_prefix('/').is_some_and(|name| name.starts_with(PREFIX) && !name.contains('/'))
}

/// Takes away a canary's message queue; true if there was one.
#[must_use]
pub fn take_queue(name: &str) -> bool {
    is_our_queue(name) && nix::mqueue::mq_unlink(name).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mount_is_noted_before_it_is_made_and_taken_away_once() {
        let site = tempfile::tempdir().unwrap();
        let at = site.path().join("a b");
        std::fs::create_dir(&at).unwrap();
        let mounted = plant_mount(site.path(), &at);
        let open = || crate::ledger::open_entries(&crate::ledger::read(site.path()));
        assert_eq!(open()[0].object, at.display().to_string());
        if let Err(why) = mounted {
            crate::lacking(&format!("mounting: {}", why.chain()));
            return;
        }
        plant_mount(site.path(), &at).unwrap();
        assert!(is_mounted(&at));
        take_mount(site.path(), &at).unwrap();
        take_mount(site.path(), &at).unwrap();
        assert!(!is_mounted(&at) && open().is_empty());
    }

    #[test]
    fn only_canaries_are_ours() {
        assert!(is_our_queue("/isomark-canary-0001") && !is_our_queue("/isomark-canary-0/../x"));
        assert!(!is_our_queue("/somebody") && !is_our_queue("isomark-canary-1"));
        assert!(!take_queue("/somebody") && !take_queue("/isomark-canary-never-made"));
    }
}
