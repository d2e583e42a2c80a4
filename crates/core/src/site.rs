//! Where a command keeps what it makes on the host, and under which name.
//!
//! Everything that could outlive the command lies below one directory named after its process (pid and start
//! time, so that a reused pid is not mistaken), or is noted in the ledger there *before* it is made. The next
//! command finds the directory of a dead process and settles it. The living hold a lock on their ledger, which the
//! kernel lets go with them: a process that another container's `/proc` does not show is not taken for dead.

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use nix::fcntl::{Flock, FlockArg};

use crate::error::Error;
use crate::ledger;
pub use crate::tree::{remove_tree, take_tree};

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
        let mut last = None;
        for _ in 0..TRIES {
            let tag = format!("{}-{start}-{}", std::process::id(), SITES.fetch_add(1, Ordering::Relaxed));
            let dir = parent.join(&tag);
            match claim(&dir, &tag).inspect_err(|_| drop(fs::remove_dir_all(&dir)))? {
                None => last = Some(dir),
                Some(alive) => return Ok(Self { dir, tag, next: AtomicU64::new(0), _alive: alive }),
            }
        }
        let last = last.unwrap_or_default().display().to_string();
        Err(Error::Unsupported(format!("{last} is taken away by others as soon as it is made")))
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

/// How often a site is begun anew that was taken for a dead one's.
const TRIES: u32 = 100;

/// Makes a site's directory and ledger and locks it. Until the lock is held, who does not see our process (it is in another
/// PID namespace) takes us for dead and may take all of this away: none, then.
fn claim(dir: &Path, tag: &str) -> Result<Option<Flock<File>>, Error> {
    let op = |what: &str| format!("{what} {}", dir.display());
    fs::create_dir_all(dir).map_err(|e| Error::os(op("make directory"), e))?;
    let file = match ledger::begin(dir, tag) {
        Err(Error::Os { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        begun => begun?,
    };
    let alive = match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
        Ok(alive) if is_ledger_of(&alive, dir) => alive,
        Ok(_) | Err((_, nix::Error::EWOULDBLOCK)) => return Ok(None),
        Err((_, e)) => return Err(Error::os(op("lock the ledger in"), e)),
    };
    // The directory's own name is what was noted of it before it was made.
    ledger::note(dir, "directory", &dir.display().to_string())?;
    ledger::note(dir, "process", tag)?;
    Ok(Some(alive))
}

/// Whether an open ledger is still the one in the directory.
fn is_ledger_of(file: &File, dir: &Path) -> bool {
    let same = |(a, b): (fs::Metadata, fs::Metadata)| (a.dev(), a.ino()) == (b.dev(), b.ino());
    file.metadata().ok().zip(fs::symlink_metadata(dir.join(ledger::FILE)).ok()).is_some_and(same)
}

/// Start time of a process in clock ticks since boot: field 22 of `/proc/PID/stat` (`proc(5)`).
///
/// # Errors
/// If there is no such process.
pub fn start_time(pid: &str) -> std::io::Result<u64> {
    state(pid).map(|(_, start)| start)
}

/// State and start time of a process: fields 3 and 22 of `/proc/PID/stat` (`proc(5)`).
fn state(pid: &str) -> std::io::Result<(String, u64)> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The command name may hold blanks and parentheses; fields are counted from its last ')'.
    let after = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let mut fields = after.split_whitespace();
    let state = fields.next().map(str::to_owned);
    let start = fields.nth(18).and_then(|field| field.parse().ok());
    state.zip(start).ok_or_else(|| std::io::ErrorKind::InvalidData.into())
}

/// Whether a name has the form of a tag: pid, start time and a number.
#[must_use]
pub fn is_tag(name: &str) -> bool {
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    name.split('-').count() == 3 && name.split('-').all(digits)
}

/// Whether the process that a site is named after still runs. One that has ended and whose parent does not ask how does not:
/// where the first process of a container reaps nobody, it stays a zombie for good.
#[must_use]
pub fn is_alive(tag: &str) -> bool {
    let mut parts = tag.split('-');
    let owner = parts.next().zip(parts.next().and_then(|start| start.parse::<u64>().ok()));
    let lives = |(state, now): (String, u64), start| now == start && !matches!(state.as_str(), "Z" | "X");
    owner.is_some_and(|(pid, start)| state(pid).is_ok_and(|found| lives(found, start)))
}

#[cfg(test)]
mod tests {
    use nix::mount::{MsFlags, mount};

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
    fn a_zombie_is_dead() {
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let pid = child.id().to_string();
        let start = start_time(&pid).unwrap();
        // Its end is waited for, and it is not reaped.
        while state(&pid).unwrap().0 != "Z" {
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        assert_eq!(start_time(&pid).unwrap(), start);
        assert!(!is_alive(&format!("{pid}-{start}-0")));
        child.wait().unwrap();
    }

    #[test]
    fn a_site_that_is_taken_for_a_dead_ones_is_not_ours() {
        let parent = tempfile::tempdir().unwrap();
        let dir = parent.path().join("1-2-0");
        fs::create_dir(&dir).unwrap();
        let settler = Flock::lock(ledger::begin(&dir, "1-2-0").unwrap(), FlockArg::LockExclusive).unwrap();
        assert!(claim(&dir, "1-2-0").unwrap().is_none(), "another one holds it");
        assert!(is_ledger_of(&settler, &dir));
        fs::remove_file(dir.join(ledger::FILE)).unwrap();
        assert!(!is_ledger_of(&settler, &dir), "it holds what nobody will find");
        let ours = claim(&dir, "1-2-0").unwrap().unwrap();
        assert!(is_ledger_of(&ours, &dir));
    }

    #[test]
    fn nothing_is_removed_through_a_mount() {
        let (parent, precious) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs::write(precious.path().join("file"), "of the host").unwrap();
        let (tree, bound) = (parent.path().join("tree"), parent.path().join("tree/root/bound"));
        fs::create_dir_all(&bound).unwrap();
        let bind = |flags| mount(Some(precious.path()), &bound, None::<&str>, flags, None::<&str>);
        if let Err(why) = bind(MsFlags::MS_BIND).and_then(|()| bind(MsFlags::MS_BIND)) {
            crate::lacking(&format!("mounting: {why}"));
            return;
        }
        std::os::unix::fs::symlink(precious.path(), tree.join("link")).unwrap();
        let done = take_tree(&tree);
        // Whatever became of it, nothing of the test stays mounted.
        crate::mounts::take_off(parent.path()).unwrap();
        assert_eq!(fs::read_to_string(precious.path().join("file")).unwrap(), "of the host");
        done.unwrap();
        assert!(!tree.exists());
        take_tree(&tree).unwrap();
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
