//! What is mounted where, as this process sees it.
//!
//! Paths are the kernel's: absolute and without links. Who asks about a path of its own resolves it first.

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use nix::mount::{MntFlags, umount2};

use crate::error::Error;

/// More than anybody stacks on one place.
const MOST: usize = 64;

/// Every mount point, in the order in which they were mounted; one that has several on it is there several times.
fn points() -> Result<Vec<PathBuf>, Error> {
    let table = fs::read("/proc/self/mounts").map_err(|e| Error::os("read /proc/self/mounts", e))?;
    let second = |line: &[u8]| line.split(|b| *b == b' ').nth(1).map(unescaped);
    Ok(table.split(|b| *b == b'\n').filter_map(second).collect())
}

/// Blanks, backslashes and such are written as three octal digits there (proc_pid_mounts(5), getmntent(3)).
fn unescaped(path: &[u8]) -> PathBuf {
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path;
    while let Some((first, after)) = rest.split_first() {
        let octal =
            after.get(..3).filter(|_| *first == b'\\').and_then(|digits| std::str::from_utf8(digits).ok());
        match octal.and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &after[3..];
            }
            None => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    PathBuf::from(OsString::from_vec(bytes))
}

/// Whether something is mounted there, as far as anybody can tell: where the table cannot be read, it may be.
#[must_use]
pub fn is_mounted(at: &Path) -> bool {
    points().map_or(true, |points| points.iter().any(|point| point == at))
}

/// Takes off everything that is mounted on a directory or below it, the last first.
///
/// # Errors
/// What the kernel refuses to unmount, or that it does not tell: nothing may be removed then.
pub fn take_off(dir: &Path) -> Result<(), Error> {
    // Links in the way are resolved as the kernel has done it; what is not there has nothing mounted on it.
    let Ok(dir) = dir.canonicalize() else { return Ok(()) };
    for _ in 0..MOST {
        let below = points()?.into_iter().filter(|point| point.starts_with(&dir)).collect::<Vec<_>>();
        if below.is_empty() {
            return Ok(());
        }
        for at in below.iter().rev() {
            umount2(at, MntFlags::MNT_DETACH | MntFlags::UMOUNT_NOFOLLOW)
                .map_err(|e| Error::os(format!("unmount {}", at.display()), e))?;
        }
    }
    Err(Error::Unsupported(format!("what is mounted below {} comes back", dir.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_read_as_the_kernel_writes_them() {
        for (written, path) in [
            ("/a", "/a"),
            ("/a\\040b\\011\\012\\134\\043", "/a b\t\n\\#"),
            ("/\\04", "/\\04"),
            ("/\\999", "/\\999"),
        ] {
            assert_eq!(unescaped(written.as_bytes()), Path::new(path), "{written}");
        }
        assert!(is_mounted(Path::new("/proc")) && !is_mounted(Path::new("/proc/self")));
    }
}
