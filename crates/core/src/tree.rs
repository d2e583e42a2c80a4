//! Taking away directories that a program which nobody trusts has filled.
//!
//! Neither depth nor missing rights keep such a directory, and no mount in it leads the removal out of it.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::error::Error;
pub use crate::mounts::take_off as detach_mounts;

/// Levels of a tree that is removed at once: each takes a descriptor.
const DEPTH: usize = 64;
/// How long a path below the tree may grow, in bytes; the kernel takes 4096 (`PATH_MAX`).
const LENGTH: usize = 2048;

/// Removes a directory with everything in it; one that is not there is no error. Directories without rights for their
/// owner (an overlay's work directory) are opened up first, and what lies deeper than descriptors go is brought up.
///
/// # Errors
/// What could not be removed.
pub fn remove_tree(dir: &Path) -> Result<(), Error> {
    let gone = |e: &std::io::Error| e.kind() == ErrorKind::NotFound;
    let removed = fs::remove_dir_all(dir).or_else(|e| {
        if gone(&e) {
            return Ok(());
        }
        level(dir);
        fs::remove_dir_all(dir)
    });
    match removed {
        Err(e) if !gone(&e) => Err(Error::os(format!("remove {}", dir.display()), e)),
        _ => Ok(()),
    }
}

/// Gives the owner all rights on every directory below `top`, and moves to `top` what lies too deep. What refuses will
/// refuse removal too, and be told then.
fn level(top: &Path) {
    let all: fs::Permissions = std::os::unix::fs::PermissionsExt::from_mode(0o700);
    let open = |dir: &Path| drop(fs::set_permissions(dir, all.clone()));
    open(top);
    let long = top.as_os_str().len() + LENGTH;
    let mut number = 0;
    let mut todo = vec![(top.to_owned(), 0)];
    while let Some((dir, depth)) = todo.pop() {
        let entries = fs::read_dir(&dir).into_iter().flatten().flatten();
        for entry in entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())) {
            let path = entry.path();
            // To move a directory is to write to it: its own ".." changes.
            open(&path);
            if depth < DEPTH && path.as_os_str().len() < long {
                todo.push((path, depth + 1));
            } else if let Some(up) = brought_up(&path, top, &mut number) {
                todo.push((up, 1));
            }
        }
    }
}

/// Where a directory has been moved to; the name may have been taken, by who foresaw it too.
fn brought_up(path: &Path, top: &Path, number: &mut u64) -> Option<PathBuf> {
    for _ in 0..1000 {
        *number += 1;
        let up = top.join(format!("deep-{number}"));
        match fs::rename(path, &up) {
            Ok(()) => return Some(up),
            Err(e) if e.kind() == ErrorKind::NotFound => return None,
            Err(_) => {}
        }
    }
    None
}

/// Takes off what is mounted below a directory and removes it with everything in it: a removal would go on in a mount, and
/// what is mounted may be any directory of the host.
///
/// # Errors
/// What could not be unmounted (nothing is removed then) or removed.
pub fn take_tree(dir: &Path) -> Result<(), Error> {
    detach_mounts(dir)?;
    remove_tree(dir)
}

#[cfg(test)]
mod tests {
    use std::os::fd::OwnedFd;

    use nix::fcntl::{OFlag, openat};
    use nix::mount::{MsFlags, mount};
    use nix::sys::stat::{Mode, mkdirat};

    use super::*;

    fn deep(top: &Path, levels: usize) {
        let mut at = OwnedFd::from(fs::File::open(top).unwrap());
        for _ in 0..levels {
            mkdirat(&at, "d", Mode::S_IRWXU).unwrap();
            at = openat(&at, "d", OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty()).unwrap();
        }
    }

    #[test]
    fn depth_keeps_nothing() {
        // Deeper than a process usually has descriptors, and than a path may be long; in memory if there is a place, for
        // a disk takes its time.
        let parent = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
        let top = parent.path().join("top");
        fs::create_dir_all(top.join("deep-1/full")).unwrap();
        fs::write(top.join("deep-2"), "taken").unwrap();
        deep(&top, 2500);
        level(&top);
        let mut todo = vec![(top.clone(), 0)];
        while let Some((dir, depth)) = todo.pop() {
            assert!(depth <= DEPTH + 1, "{}", dir.display());
            let entries = fs::read_dir(&dir).unwrap().flatten();
            let dirs = entries.filter(|entry| entry.file_type().unwrap().is_dir());
            todo.extend(dirs.map(|entry| (entry.path(), depth + 1)));
        }
        deep(&top.join("deep-1"), 2500);
        remove_tree(&top).unwrap();
        assert!(!top.exists());
        remove_tree(&top).unwrap();
    }

    #[test]
    fn a_mount_does_not_lead_out() {
        let parent = tempfile::tempdir().unwrap();
        let (top, host) = (parent.path().join("top"), parent.path().join("host"));
        let at = top.join("a b/mounted");
        fs::create_dir_all(&at).unwrap();
        fs::create_dir(&host).unwrap();
        fs::write(host.join("kept"), "").unwrap();
        if let Err(why) = mount(Some(&host), &at, None::<&str>, MsFlags::MS_BIND, None::<&str>) {
            crate::lacking(&format!("mounting: {why}"));
            return;
        }
        assert!(at.join("kept").exists());
        detach_mounts(&top).unwrap();
        remove_tree(&top).unwrap();
        assert!(host.join("kept").exists() && !top.exists());
    }
}
