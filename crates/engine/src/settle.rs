//! What a dead command left on the host is taken away by the next one.
//!
//! Only what carries the name of a command that is gone (pid, start time, boot, and a lock that nobody holds) is touched:
//! its site below our state directory, and what the ledger there names. Nothing is struck off before it was seen to be
//! gone, and a site stays with its ledger as long as something of it does: whoever comes next tries again.

mod groups;
mod stragglers;

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::ErrorKind;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use isomark_core::ledger::{self, Entry};
use isomark_core::site::{is_alive, is_tag, remove_tree};
use isomark_core::{Error, mounts, planted, tracer};
use nix::fcntl::{Flock, FlockArg};

/// What became of the traces of dead commands.
#[derive(Debug, Default)]
pub struct Report {
    /// What was taken away (or would be), in words.
    pub gone: Vec<String>,
    /// What could not be, and why.
    pub stuck: Vec<String>,
    /// Commands that were left alone because they live.
    pub alive: Vec<String>,
}

/// The directory below which commands of this user keep their sites.
#[must_use]
pub fn state_dir() -> PathBuf {
    // A disk, not /tmp or /run: those are often in memory, where a cold start cannot be had.
    let default = || PathBuf::from(format!("/var/tmp/isomark-{}", nix::unistd::geteuid()));
    std::env::var_os("ISOMARK_STATE").filter(|v| !v.is_empty()).map_or_else(default, PathBuf::from)
}

/// Takes away what dead commands left below `state`; with `dry`, only tells.
#[must_use]
pub fn settle(state: &Path, dry: bool) -> Report {
    let mut report = Report::default();
    for entry in fs::read_dir(state).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let site = entry.path();
        if !is_tag(&name) || !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            continue;
        }
        if is_alive(&name) && ledger::is_of_this_boot(&ledger::read(&site)) {
            report.alive.push(name);
            continue;
        }
        match hold(&site, dry) {
            Ok(_held) => Settling { dir: &site, tag: &name, dry, report: &mut report }.all(),
            // Its command lives where our /proc does not show it.
            Err(()) => report.alive.push(name),
        }
    }
    report
}

/// Settles one site when its command is dead: the task of a guard, which outlives that command.
#[must_use]
pub fn settle_dead(site: &Path) -> Report {
    let mut report = Report::default();
    let name = site.file_name().unwrap_or_default().to_string_lossy().into_owned();
    // Its last descriptors may close after the one that woke us.
    let until = Instant::now() + PATIENCE;
    while is_alive(&name) && site.is_dir() && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(1));
    }
    if is_tag(&name)
        && site.is_dir()
        && !is_alive(&name)
        && let Ok(_held) = hold(site, false)
    {
        Settling { dir: site, tag: &name, dry: false, report: &mut report }.all();
    }
    report
}

/// Bound on waiting for another one who settles the same site.
const PATIENCE: Duration = Duration::from_secs(30);
/// Looks in a row that must find nobody.
const CALM: u32 = 5;
/// What a site holds while it is being settled.
const SETTLING: &str = "settling";

/// The lock on the ledger of a dead site. Who comes second waits, so that nothing is left when it goes on.
fn hold(site: &Path, dry: bool) -> Result<Option<Flock<File>>, ()> {
    let until = Instant::now() + PATIENCE;
    let mut open = OpenOptions::new();
    open.read(true).custom_flags(nix::libc::O_NOFOLLOW);
    if !dry {
        // Its command was killed before it made one, or is about to make one where our /proc does not show it: that one finds
        // ours, sees that it is locked, and makes itself another site.
        open.append(true).create(true);
    }
    // None is to be had on a file system that is read-only: then nothing is taken away there either.
    let Ok(mut file) = open.open(site.join(ledger::FILE)) else { return Ok(None) };
    // Its mark stands a moment after the lock.
    let mut looks = 0;
    loop {
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(held) => {
                // In a dry run nobody waits for us: nothing is going to be taken away.
                let _ = if dry { Ok(()) } else { fs::write(site.join(SETTLING), "") };
                return Ok(Some(held));
            }
            Err((back, _)) => file = back,
        }
        looks += 1;
        if (looks > 20 && !site.join(SETTLING).exists()) || Instant::now() > until {
            return if site.is_dir() { Err(()) } else { Ok(None) };
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Makes the state directory, and refuses one that another user could have laid in our way.
///
/// # Errors
/// What is wrong with it.
pub fn prepare(state: &Path) -> Result<(), Error> {
    use std::os::unix::fs::{DirBuilderExt, MetadataExt};
    let op = |what: &str| format!("{what} {}", state.display());
    let made = fs::DirBuilder::new().recursive(true).mode(0o755).create(state);
    made.map_err(|e| Error::os(op("make directory"), e))?;
    let meta = fs::symlink_metadata(state).map_err(|e| Error::os(op("look at"), e))?;
    let own = meta.is_dir() && meta.uid() == nix::unistd::geteuid().as_raw() && meta.mode() & 0o022 == 0;
    if own {
        return Ok(());
    }
    let text =
        format!("{} is not a directory that only this user can write to; set ISOMARK_STATE", state.display());
    Err(Error::Input(text))
}

/// Settles the site of this very process, at the end of its command.
#[must_use]
pub fn leave(site: &isomark_core::Site) -> Report {
    leave_named(site.dir(), site.tag())
}

/// Ends the processes of a site whose command is to end; the rest is for that command to take away.
pub fn end_processes(dir: &Path, tag: &str) {
    let _ = Settling { dir, tag, dry: false, report: &mut Report::default() }.processes();
}

/// The same as [`leave`] for who holds the names only.
#[must_use]
pub fn leave_named(dir: &Path, tag: &str) -> Report {
    let mut report = Report::default();
    Settling { dir, tag, dry: false, report: &mut report }.all();
    report
}

/// One site, being settled.
struct Settling<'a> {
    dir: &'a Path,
    tag: &'a str,
    dry: bool,
    report: &'a mut Report,
}

impl Settling<'_> {
    fn all(&mut self) {
        let mut open = ledger::open_entries(&ledger::read(self.dir));
        // Who still runs could make more; the directory holds the ledger and goes last.
        open.sort_by_key(|entry| match entry.kind.as_str() {
            "process" => 0,
            "way" | "engine" => 2,
            "directory" => 3,
            _ => 1,
        });
        let before = self.report.stuck.len();
        if !self.dry {
            // Nobody in a frozen group of v1 can die (kernel's cgroup-v1/freezer-subsystem.rst).
            let groups =
                open.iter().filter(|entry| entry.kind == "cgroup").map(|entry| Path::new(&entry.object));
            groups.filter(|group| self.carries_our_name(group)).for_each(groups::thaw);
        }
        open.iter().filter(|entry| entry.kind != "directory").for_each(|entry| self.one(entry));
        if self.report.stuck.len() == before {
            self.directory();
        }
    }

    fn one(&mut self, entry: &Entry) {
        let object = entry.object.as_str();
        let done = match entry.kind.as_str() {
            "process" => self.processes(),
            "cgroup" => self.group(Path::new(object)),
            "way" => self.way(Path::new(object)),
            "mount" => self.mount(Path::new(object)),
            "tracing" => self.tracing(Path::new(object)),
            "queue" => self.queue(object),
            // An engine's containers are processes, groups and directories; those have been seen to be gone.
            _ => Ok(()),
        };
        match done {
            Ok(()) if !self.dry => drop(ledger::strike(self.dir, &entry.kind, object)),
            Ok(()) => {}
            Err(why) => self.report.stuck.push(why),
        }
    }

    fn tell(&mut self, what: &str, name: &str) {
        self.report.gone.push(format!("{what} {name}"));
    }

    /// The name must be ours: a ledger is a file, and files can be wrong.
    fn carries_our_name(&self, path: &Path) -> bool {
        let dots = path.components().any(|part| part.as_os_str() == "..");
        !dots && path.file_name().is_some_and(|name| *name == *format!("isomark-{}", self.tag))
    }

    /// One look misses who forks behind it, and who is between two programs and has no words of its own for a moment. An
    /// engine that is ended while it starts a container leaves such behind; so it is looked until nobody is seen in a row.
    fn processes(&mut self) -> Result<(), String> {
        let until = Instant::now() + PATIENCE;
        let (mut calm, mut stuck) = (0, BTreeSet::new());
        while calm < CALM {
            calm += 1;
            // Without a descriptor left nobody is seen, which is not that nobody is there.
            fs::read_dir("/proc").map_err(|e| format!("processes cannot be looked for: {e}"))?;
            for found in stragglers::of(self.dir, self.tag) {
                // Who does not end is no reason to let the others live.
                if stuck.contains(&found.words()) {
                    continue;
                }
                calm = 0;
                if self.dry || found.end() {
                    self.tell("process", &found.words());
                } else {
                    stuck.insert(found.words());
                }
            }
            if self.dry {
                return Ok(());
            }
            if Instant::now() > until {
                return Err("processes come faster than they are ended".into());
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        let stuck = stuck.into_iter().collect::<Vec<_>>().join(", ");
        if stuck.is_empty() { Ok(()) } else { Err(format!("does not end: process {stuck}")) }
    }

    fn group(&mut self, group: &Path) -> Result<(), String> {
        if !self.carries_our_name(group) || !group.is_dir() {
            return Ok(());
        }
        if !self.dry {
            groups::remove(group);
        }
        if self.dry || !group.exists() {
            self.tell("cgroup", &group.display().to_string());
            return Ok(());
        }
        let who =
            groups::members(group).into_iter().map(|pid| pid.to_string()).collect::<Vec<_>>().join(", ");
        let who = if who.is_empty() { who } else { format!(": in it is process {who}") };
        Err(format!("cgroup {} is busy{who}", group.display()))
    }

    /// A group that was made on the way to ours, and is nobody's by its name: it goes if it is empty, and stays if others have
    /// come to use it.
    fn way(&mut self, group: &Path) -> Result<(), String> {
        use nix::sys::statfs::{CGROUP_SUPER_MAGIC, CGROUP2_SUPER_MAGIC, statfs};
        let kind = statfs(group).map(|told| told.filesystem_type());
        if !kind.is_ok_and(|kind| kind == CGROUP_SUPER_MAGIC || kind == CGROUP2_SUPER_MAGIC) {
            return Ok(());
        }
        if self.dry || fs::remove_dir(group).is_ok() {
            self.tell("cgroup", &group.display().to_string());
        }
        Ok(())
    }

    /// Canaries that outlived who planted them. Mounts go before the directory does, or its removal would empty them.
    fn mount(&mut self, at: &Path) -> Result<(), String> {
        // Below our own directory and nowhere else, whatever the ledger says.
        let inside = at.starts_with(self.dir) && !at.components().any(|part| part.as_os_str() == "..");
        if !inside || !planted::is_mounted(at) {
            return Ok(());
        }
        if !self.dry {
            planted::take_mount(self.dir, at).map_err(|e| e.chain())?;
        }
        self.tell("mount", &at.display().to_string());
        Ok(())
    }

    /// A trace instance carries our name, as a group does.
    fn tracing(&mut self, at: &Path) -> Result<(), String> {
        if !self.carries_our_name(at) || !at.is_dir() {
            return Ok(());
        }
        if !self.dry && !tracer::take(at) {
            return Err(format!("{} cannot be removed", at.display()));
        }
        self.tell("trace instance", &at.display().to_string());
        Ok(())
    }

    fn queue(&mut self, name: &str) -> Result<(), String> {
        if !self.dry && planted::take_queue(name) {
            self.tell("queue", name);
        }
        Ok(())
    }

    fn directory(&mut self) {
        // Gone meanwhile, by the hands of another one who settled it.
        if !self.dir.exists() {
            return;
        }
        let name = self.dir.display().to_string();
        if self.dry {
            return self.tell("directory", &name);
        }
        let run = ledger::folder(self.dir);
        match remove(self.dir) {
            Ok(()) => {
                self.tell("directory", &name);
                drop(run.map(|run| ledger::strike(&run, "directory", &name)));
            }
            Err(why) => self.report.stuck.push(why.chain()),
        }
    }
}

/// Removes a site; the ledger, by whose lock others know that somebody is at it, and the mark of that go last.
fn remove(site: &Path) -> Result<(), Error> {
    mounts::take_off(site)?;
    for entry in fs::read_dir(site).into_iter().flatten().flatten() {
        let (path, is_dir) = (entry.path(), entry.file_type().is_ok_and(|kind| kind.is_dir()));
        if is_dir {
            remove_tree(&path)?;
        } else if ![ledger::FILE, SETTLING, ledger::RUN].iter().any(|last| entry.file_name() == *last) {
            let gone = |e: &std::io::Error| e.kind() == ErrorKind::NotFound;
            fs::remove_file(&path)
                .or_else(|e| if gone(&e) { Ok(()) } else { Err(e) })
                .map_err(|e| Error::os(format!("remove {}", path.display()), e))?;
        }
    }
    let mut done = remove_tree(site);
    for _ in 0..100 {
        // Who comes between the ledger's end and the directory's makes a new one.
        if done.is_ok() || !site.exists() {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(1));
        done = remove_tree(site);
    }
    done
}

#[cfg(test)]
mod tests;
