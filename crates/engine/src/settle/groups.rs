//! Groups of a dead command: who is in them is let go on, ended, and the groups are removed.
//!
//! Everything goes for a group and for those below it, and nothing is made where no group is.

use std::collections::BTreeSet;
use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// Lets the processes of a group and of those below it go on, so that they can be ended: from the top, for a group below a
/// frozen one stays frozen.
pub(super) fn thaw(group: &Path) {
    for (file, word) in [("freezer.state", "THAWED"), ("cgroup.freeze", "0")] {
        // Never made where there is none: it need not be a group at all.
        if let Ok(mut file) = OpenOptions::new().write(true).open(group.join(file)) {
            let _ = file.write_all(word.as_bytes());
        }
    }
    children(group).iter().for_each(|child| thaw(child));
}

fn children(group: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(group).into_iter().flatten().flatten();
    let dirs = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    dirs.map(|entry| entry.path()).collect()
}

/// Who is in a group and in those below it.
pub(super) fn members(group: &Path) -> BTreeSet<i32> {
    let own = fs::read_to_string(group.join("cgroup.procs")).unwrap_or_default();
    let own = own.lines().filter_map(|line| line.parse().ok()).collect::<Vec<_>>();
    own.into_iter().chain(children(group).iter().flat_map(|child| members(child))).collect()
}

/// Removes a group and its children, ending what is still in them.
pub(super) fn remove(group: &Path) {
    children(group).iter().for_each(|child| remove(child));
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
    // Only the file that the kernel made: it need not be a group at all.
    let kill_all = OpenOptions::new().write(true).open(group.join("cgroup.kill"));
    if kill_all.and_then(|mut file| file.write_all(b"1")).is_ok() {
        return;
    }
    for pid in members(group) {
        let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
    }
}
