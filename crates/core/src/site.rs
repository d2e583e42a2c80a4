//! Where a command keeps what it makes on the host, and under which name.
//!
//! Everything that could outlive the command lies below one directory named after its process (pid and start
//! time, so that a reused pid is not mistaken), or is noted in the ledger there *before* it is made. The next
//! command finds the directory of a dead process and settles it. The living hold a lock on their ledger, which the
//! kernel lets go with them: a process that another container's `/proc` does not show is not taken for dead.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use nix::fcntl::{Flock, FlockArg};

use crate::error::Error;
use crate::ledger;
pub use crate::tree::remove_tree;

/// One command's place on the host.
#[derive(Debug)]
pub struct Site {
    dir: PathBuf,
    tag: String,
    next: AtomicU64,
    /// The ledger, locked for as long as this command lives.
    _alive: Flock<File>,
}

impl Site {
    /// Makes the place of this process below `parent`.
    ///
    /// # Errors
    /// If the directory cannot be made.
    pub fn open(parent: &Path) -> Result<Self, Error> {
        let start = start_time("self").map_err(|e| Error::os("read /proc/self/stat", e))?;
        // A process may hold several (tests do): their objects must not share names.
        static SITES: AtomicU64 = AtomicU64::new(0);
        let tag = format!("{}-{start}-{}", std::process::id(), SITES.fetch_add(1, Ordering::Relaxed));
        let dir = parent.join(&tag);
        let op = |what: &str| format!("{what} {}", dir.display());
        fs::create_dir_all(&dir).map_err(|e| Error::os(op("make directory"), e))?;
        let alive = Flock::lock(ledger::begin(&dir, &tag)?, FlockArg::LockExclusiveNonblock);
        let alive = alive.map_err(|(_, e)| Error::os(op("lock the ledger in"), e))?;
        // The directory's own name is what was noted of it before it was made.
        ledger::note(&dir, "directory", &dir.display().to_string())?;
        ledger::note(&dir, "process", &tag)?;
        Ok(Self { dir, tag, next: AtomicU64::new(0), _alive: alive })
    }

    /// The directory; everything in it goes when the command ends.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The name that every host object of this command carries: pid and start time.
    #[must_use]
    pub fn tag(&self) -> &str {
        &self.tag
    }

    /// A name that no other instance of this command has.
    #[must_use]
    pub fn instance_name(&self) -> String {
        format!("i{}", self.next.fetch_add(1, Ordering::Relaxed))
    }

    /// Notes a host object outside the directory, before it is made.
    ///
    /// # Errors
    /// If the ledger cannot be written: the object must not be made then.
    pub fn note(&self, kind: &str, object: &Path) -> Result<(), Error> {
        ledger::note(&self.dir, kind, &object.display().to_string())
    }
}

/// Start time of a process in clock ticks since boot: field 22 of `/proc/PID/stat` (`proc(5)`).
///
/// # Errors
/// If there is no such process.
pub fn start_time(pid: &str) -> std::io::Result<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The command name may hold blanks and parentheses; fields are counted from its last ')'.
    let after = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    after
        .split_whitespace()
        .nth(19)
        .and_then(|f| f.parse().ok())
        .ok_or_else(|| std::io::ErrorKind::InvalidData.into())
}

/// Whether a name has the form of a tag: pid, start time and a number.
#[must_use]
pub fn is_tag(name: &str) -> bool {
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    name.split('-').count() == 3 && name.split('-').all(digits)
}

/// Whether the process that a site is named after still runs.
#[must_use]
pub fn is_alive(tag: &str) -> bool {
    let mut parts = tag.split('-');
    let owner = parts.next().zip(parts.next().and_then(|start| start.parse::<u64>().ok()));
    owner.is_some_and(|(pid, start)| start_time(pid).is_ok_and(|now| now == start))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_site_is_named_after_a_living_process_and_a_reused_pid_is_not_it() {
        let parent = std::env::temp_dir().join(format!("isomark-site-test-{}", std::process::id()));
        let site = Site::open(&parent).unwrap();
        assert!(is_alive(site.tag()));
        assert!(!is_alive(&format!("{}-1-0", std::process::id())));
        assert!(!is_alive("not a tag") && !is_alive("1"));
        assert!(is_tag(site.tag()) && !is_tag("1-2") && !is_tag("1-2-x") && !is_tag("--"));
        assert_ne!(site.tag(), Site::open(&parent).unwrap().tag());
        assert_ne!(site.instance_name(), site.instance_name());
        site.note("cgroup", Path::new("/x")).unwrap();
        let open = ledger::open_entries(&ledger::read(site.dir()));
        let kinds = open.iter().map(|entry| entry.kind.as_str()).collect::<Vec<_>>();
        assert_eq!(kinds, ["directory", "process", "cgroup"]);
        fs::remove_dir_all(parent).unwrap();
    }

    #[test]
    fn a_directory_that_forbids_looking_inside_is_removed_all_the_same() {
        let dir = std::env::temp_dir().join(format!("isomark-tree-test-{}", std::process::id()));
        fs::create_dir_all(dir.join("w/work/deep")).unwrap();
        fs::set_permissions(dir.join("w/work"), std::os::unix::fs::PermissionsExt::from_mode(0o000)).unwrap();
        remove_tree(&dir).unwrap();
        assert!(!dir.exists());
        remove_tree(&dir).unwrap();
    }
}
