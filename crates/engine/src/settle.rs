//! What a dead command left on the host is taken away by the next one.
//!
//! Only what carries the name of a process that is gone (pid and start time) is touched: a site directory below our
//! state directory, and the cgroups that its ledger names. Instances themselves die with their harness (parent-death
//! signal), so a process found in such a group is one that outlived even that.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use isomark_core::site::{LEDGER, is_alive, is_tag, remove_tree};
use isomark_core::{Error, planted, tracer};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// What was taken away, in words.
pub type Report = Vec<String>;

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
    let mut report = Report::new();
    for entry in fs::read_dir(state).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if is_tag(&name) && !is_alive(&name) {
            settle_one(&entry.path(), &name, dry, &mut report);
        }
    }
    report
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
    let mut report = Report::new();
    settle_one(dir, tag, false, &mut report);
    report
}

fn settle_one(dir: &Path, tag: &str, dry: bool, report: &mut Report) {
    let ledger = fs::read_to_string(dir.join(LEDGER)).unwrap_or_default();
    for group in ledger.lines().filter_map(|line| line.strip_prefix("cgroup ")).map(PathBuf::from) {
        // The name must be ours: a ledger is a file, and files can be wrong.
        if group.file_name().is_some_and(|name| *name == *format!("isomark-{tag}")) && group.is_dir() {
            report.push(format!("cgroup {}", group.display()));
            if !dry {
                remove_group(&group);
            }
        }
    }
    settle_planted(dir, &ledger, dry, report);
    report.push(format!("directory {}", dir.display()));
    if !dry {
        let _ = remove_tree(dir);
    }
}

/// Canaries that outlived who planted them. Mounts go before the directory does, or its removal would empty them.
fn settle_planted(dir: &Path, ledger: &str, dry: bool, report: &mut Report) {
    for at in ledger.lines().filter_map(|line| line.strip_prefix("mount ")).map(Path::new) {
        // Below our own directory and nowhere else, whatever the ledger says.
        let inside = at.starts_with(dir) && !at.components().any(|part| part.as_os_str() == "..");
        if inside && planted::is_mounted(at) {
            report.push(format!("mount {}", at.display()));
            if !dry {
                let _ = planted::take_mount(at);
            }
        }
    }
    // A trace instance carries our name, as a group does.
    let ours = |path: &&Path| {
        let tag = dir.file_name().unwrap_or_default().to_string_lossy();
        path.file_name().is_some_and(|name| *name == *format!("isomark-{tag}"))
    };
    for at in ledger.lines().filter_map(|line| line.strip_prefix("tracing ")).map(Path::new).filter(ours) {
        if at.is_dir() {
            report.push(format!("trace instance {}", at.display()));
            if !dry {
                tracer::take(at);
            }
        }
    }
    if !dry {
        let queues = ledger.lines().filter_map(|line| line.strip_prefix("queue "));
        report.extend(queues.filter(|name| planted::take_queue(name)).map(|name| format!("queue {name}")));
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
        assert!(would.len() == 1 && would[0].ends_with("999999999-1-0"), "{would:?}");
        assert!(state.path().join("999999999-1-0").exists());
        assert_eq!(settle(state.path(), false).len(), 1);
        assert!(!state.path().join("999999999-1-0").exists());
        assert!(
            own.dir().exists() && state.path().join("not-ours").exists() && state.path().join("12-").exists()
        );
        let _ = leave(&own);
        assert!(!own.dir().exists());
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
            would.iter().any(|what| what.starts_with("mount ")) && planted::is_mounted(&own),
            "{would:?}"
        );
        let report = settle(state.path(), false);
        let left = planted::is_mounted(&other);
        planted::take_mount(&other).unwrap();
        assert!(left, "a mount elsewhere is not ours, whatever the ledger says");
        assert!(!planted::is_mounted(&own) && !dead.exists() && report.len() == 2, "{report:?}");
    }

    #[test]
    fn a_ledger_cannot_name_a_group_that_is_not_ours() {
        let state = tempfile::tempdir().unwrap();
        let victim = state.path().join("victim");
        fs::create_dir(&victim).unwrap();
        let dead = state.path().join("999999999-1-0");
        fs::create_dir(&dead).unwrap();
        fs::write(dead.join(LEDGER), format!("cgroup {}\n", victim.display())).unwrap();
        let report = settle(state.path(), false);
        assert!(victim.exists() && report.len() == 1, "{report:?}");
    }
}
