//! What a dead command left on the host is taken away by the next one.
//!
//! Only what carries the name of a command that is gone (pid, start time, boot, and a lock that nobody holds) is touched:
//! its site below our state directory, and what the ledger there names. Nothing is struck off before it was seen to be
//! gone, and a site stays with its ledger as long as something of it does: whoever comes next tries again.

mod stragglers;

use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use isomark_core::ledger::{self, Entry};
use isomark_core::site::{is_alive, is_tag};
use isomark_core::tree::{detach_mounts, remove_tree};
use isomark_core::{Error, planted, tracer};
use nix::fcntl::{Flock, FlockArg};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

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

/// The lock on the ledger of a dead site; none is needed where there is no ledger (it was killed while it made one). Who
/// comes second waits, so that nothing is left when it goes on.
fn hold(site: &Path, dry: bool) -> Result<Option<Flock<File>>, ()> {
    let until = Instant::now() + PATIENCE;
    let Ok(mut file) = File::open(site.join(ledger::FILE)) else { return Ok(None) };
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

/// The same for who holds the names only.
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
            "engine" => 2,
            "directory" => 3,
            _ => 1,
        });
        let before = self.report.stuck.len();
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
        let mut calm = 0;
        while calm < CALM {
            calm += 1;
            for found in stragglers::of(self.dir, self.tag) {
                calm = 0;
                self.tell("process", &found.words());
                if !self.dry && !found.end() {
                    return Err(format!("process {} does not end", found.words()));
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
        Ok(())
    }

    fn group(&mut self, group: &Path) -> Result<(), String> {
        if !self.carries_our_name(group) || !group.is_dir() {
            return Ok(());
        }
        self.tell("cgroup", &group.display().to_string());
        if !self.dry {
            remove_group(group);
        }
        if self.dry || !group.exists() { Ok(()) } else { Err(format!("cgroup {} is busy", group.display())) }
    }

    /// Canaries that outlived who planted them. Mounts go before the directory does, or its removal would empty them.
    fn mount(&mut self, at: &Path) -> Result<(), String> {
        // Below our own directory and nowhere else, whatever the ledger says.
        let inside = at.starts_with(self.dir) && !at.components().any(|part| part.as_os_str() == "..");
        if !inside || !planted::is_mounted(at) {
            return Ok(());
        }
        self.tell("mount", &at.display().to_string());
        if self.dry { Ok(()) } else { planted::take_mount(self.dir, at).map_err(|e| e.chain()) }
    }

    /// A trace instance carries our name, as a group does.
    fn tracing(&mut self, at: &Path) -> Result<(), String> {
        if !self.carries_our_name(at) || !at.is_dir() {
            return Ok(());
        }
        self.tell("trace instance", &at.display().to_string());
        if self.dry || tracer::take(at) { Ok(()) } else { Err(format!("{} cannot be removed", at.display())) }
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
        self.tell("directory", &name);
        if self.dry {
            return;
        }
        let run = ledger::folder(self.dir);
        match detach_mounts(self.dir).and_then(|()| remove_tree(self.dir)) {
            Ok(()) => drop(run.map(|run| ledger::strike(&run, "directory", &name))),
            Err(why) => self.report.stuck.push(why.chain()),
        }
    }
}

/// Removes a group and its children, ending what is still in them.
fn remove_group(group: &Path) {
    let children = fs::read_dir(group).into_iter().flatten().flatten();
    for child in children.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())) {
        remove_group(&child.path());
    }
    for _ in 0..100 {
        match fs::remove_dir(group) {
            Err(e) if e.kind() != ErrorKind::NotFound => {
                end_members(group);
                std::thread::sleep(Duration::from_millis(10));
            }
            _ => return,
        }
    }
}

fn end_members(group: &Path) {
    if fs::write(group.join("cgroup.kill"), "1").is_ok() {
        return;
    }
    let pids = fs::read_to_string(group.join("cgroup.procs")).unwrap_or_default();
    for pid in pids.lines().filter_map(|line| line.parse().ok()) {
        let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_dead_are_settled() {
        let state = tempfile::tempdir().unwrap();
        let make = |name: &str| fs::create_dir_all(state.path().join(name).join("deep")).unwrap();
        let own = isomark_core::Site::open(state.path()).unwrap();
        make("999999999-1-0");
        make("not-ours");
        make("12-");
        let would = settle(state.path(), true);
        assert!(would.gone.len() == 1 && would.gone[0].ends_with("999999999-1-0"), "{would:?}");
        assert_eq!(would.alive, [own.tag()]);
        assert!(state.path().join("999999999-1-0").exists());
        assert_eq!(settle(state.path(), false).gone.len(), 1);
        assert!(!state.path().join("999999999-1-0").exists());
        assert!(
            own.dir().exists() && state.path().join("not-ours").exists() && state.path().join("12-").exists()
        );
        let _ = leave(&own);
        assert!(!own.dir().exists());
    }

    #[test]
    fn who_passes_a_life_on_is_caught_all_the_same() {
        use std::process::{Command, Stdio};
        let state = tempfile::tempdir().unwrap();
        let dead = state.path().join("999999999-1-0");
        fs::create_dir_all(&dead).unwrap();
        // Each begins the next and ends, as an engine does on its way to a container.
        let relay = state.path().join("relay");
        fs::write(&relay, "sleep 0.004; [ -e stop ] || sh ./relay &\n").unwrap();
        let began = Command::new("sh")
            .arg("./relay")
            .current_dir(state.path())
            .env("HOME", dead.join("home"))
            .stdin(Stdio::null())
            .status();
        assert!(began.unwrap().success());
        let would = (0..100).any(|_| stragglers::of(&dead, "999999999-1-0").next().is_some());
        ledger::note(&dead, "process", "relay").unwrap();
        let report = settle(state.path(), false);
        let left = (0..50).any(|_| {
            std::thread::sleep(Duration::from_millis(2));
            stragglers::of(&dead, "999999999-1-0").next().is_some()
        });
        // Whatever this finds, nothing of it outlives the test.
        let _ = fs::write(state.path().join("stop"), "");
        assert!(would, "the relay does not run");
        assert!(report.stuck.is_empty() && !left && !dead.exists(), "{report:?}");
    }

    #[test]
    fn a_mount_and_a_queue_of_the_dead_are_taken_away() {
        let state = tempfile::tempdir().unwrap();
        let dead = state.path().join("999999999-1-0");
        let (own, other) = (dead.join("mount"), state.path().join("other"));
        fs::create_dir_all(&own).unwrap();
        fs::create_dir_all(&other).unwrap();
        let mounted = planted::plant_mount(&dead, &own).and_then(|()| planted::plant_mount(&dead, &other));
        if let Err(why) = mounted {
            eprintln!("SKIPPED mounting: {}", why.chain());
            return;
        }
        planted::note(&dead, "queue", "/not-ours").unwrap();
        let would = settle(state.path(), true);
        assert!(
            would.gone.iter().any(|what| what.starts_with("mount ")) && planted::is_mounted(&own),
            "{would:?}"
        );
        let report = settle(state.path(), false);
        let left = planted::is_mounted(&other);
        planted::take_mount(state.path(), &other).unwrap();
        assert!(left, "a mount elsewhere is not ours, whatever the ledger says");
        assert!(!planted::is_mounted(&own) && !dead.exists() && report.gone.len() == 2, "{report:?}");
    }

    #[test]
    fn a_ledger_cannot_name_a_group_that_is_not_ours() {
        let state = tempfile::tempdir().unwrap();
        let victim = state.path().join("victim");
        fs::create_dir(&victim).unwrap();
        let dead = state.path().join("999999999-1-0");
        fs::create_dir(&dead).unwrap();
        planted::note(&dead, "cgroup", &victim.display().to_string()).unwrap();
        let report = settle(state.path(), false);
        assert!(victim.exists() && report.gone.len() == 1, "{report:?}");
    }

    #[test]
    fn a_process_that_outlived_its_command_is_ended_and_struck_off() {
        let (state, run) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let dead = state.path().join("999999999-1-0");
        fs::create_dir(&dead).unwrap();
        drop(ledger::begin(&dead, "999999999-1-0").unwrap());
        ledger::note(&dead, "process", "999999999-1-0").unwrap();
        ledger::follow(&dead, run.path()).unwrap();
        let program = dead.join("sleeps");
        fs::copy("/bin/sleep", &program).unwrap();
        let mut child = std::process::Command::new(&program).arg("600").spawn().unwrap();
        assert!(settle(state.path(), true).gone[0].starts_with("process "));
        assert!(child.try_wait().unwrap().is_none(), "a dry run ends nobody");
        let report = settle(state.path(), false);
        assert!(report.stuck.is_empty() && !dead.exists(), "{report:?}");
        assert!(!child.wait().unwrap().success());
        assert_eq!(ledger::open_entries(&ledger::read(run.path())), []);
    }

    #[test]
    fn who_holds_its_ledger_lives_whatever_proc_says_and_a_boot_ago_is_dead() {
        let state = tempfile::tempdir().unwrap();
        let elsewhere = state.path().join("999999999-1-0");
        fs::create_dir(&elsewhere).unwrap();
        let file = ledger::begin(&elsewhere, "999999999-1-0").unwrap();
        let held = Flock::lock(file, FlockArg::LockExclusiveNonblock).unwrap();
        let report = settle(state.path(), false);
        assert!(report.gone.is_empty() && elsewhere.exists(), "{report:?}");
        drop(held);
        assert_eq!(settle(state.path(), false).gone.len(), 1);
        let own = isomark_core::site::start_time("self").unwrap();
        let reused = state.path().join(format!("{}-{own}-99", std::process::id()));
        fs::create_dir(&reused).unwrap();
        fs::write(reused.join(ledger::FILE), "isomark.ledger/1 x boot of-long-ago\n").unwrap();
        assert_eq!(settle(state.path(), false).gone.len(), 1);
        assert!(!reused.exists());
    }
}
