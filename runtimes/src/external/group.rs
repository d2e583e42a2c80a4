//! Control groups that a tool makes for its instances, below one of isomark's command in every hierarchy.
//!
//! Each is noted in the ledger before a tool can make it, so that a later command finds what a dead one left; after an
//! instance nothing of it may remain, and that is checked rather than believed.

use std::fs;
use std::path::{Path, PathBuf};

use isomark_core::{Error, Site};

use crate::namespace::{hierarchies, own_path, remove_group};

/// The group of isomark's command, in every hierarchy.
#[derive(Debug)]
pub(crate) struct Parent {
    /// Its path within each hierarchy.
    path: String,
    dirs: Vec<PathBuf>,
    /// Groups above it that were not there, the lowest first.
    way: Vec<PathBuf>,
}

impl Parent {
    /// Names the group in every hierarchy and notes it; a tool makes it when it needs it. Only where a new group can hold
    /// no process until it is told CPUs and memory nodes (cpusets(7)) it is made here, with its parent's.
    ///
    /// # Errors
    /// If the ledger cannot be written.
    pub(crate) fn note(site: &Site) -> Result<Self, Error> {
        let own = own_path("memory").or_else(|| own_path("")).unwrap_or_default();
        let path = format!("{}/isomark-{}", own.trim_end_matches('/'), site.tag());
        let all = hierarchies();
        let dir = |mount: &Path| mount.join(path.trim_start_matches('/'));
        let dirs = all.iter().map(|(mount, _)| dir(mount)).collect::<Vec<_>>();
        dirs.iter().try_for_each(|dir| site.note("cgroup", dir))?;
        // Tools know one path for all hierarchies, and make what is not there of the way to it.
        let way = dirs.iter().flat_map(|dir| missing_above(dir)).collect::<Vec<_>>();
        way.iter().try_for_each(|dir| site.note("way", dir))?;
        for (mount, _) in all.iter().filter(|(_, names)| names.iter().any(|name| name == "cpuset")) {
            fill_cpuset(&dir(mount)).map_err(|e| Error::os("make a cpuset group", e))?;
        }
        Ok(Self { path, dirs, way })
    }

    /// The path within a hierarchy.
    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    /// Takes away what is left of the groups of the instance with this name.
    ///
    /// # Errors
    /// What could not be removed.
    pub(crate) fn clear(&self, name: &str) -> Result<(), Error> {
        // Some put words of their own around the name (crun-NAME.scope).
        let of_instance = |path: &PathBuf| {
            let own = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            own.split_once(name).is_some_and(|(_, rest)| !rest.starts_with(|c: char| c.is_ascii_digit()))
        };
        let left = self.dirs.iter().flat_map(|dir| children(dir)).filter(of_instance);
        left.map(|path| remove_all(&path)).fold(Ok(()), Error::join)
    }
}

/// What is not there of the directories above one, the lowest first.
fn missing_above(dir: &Path) -> Vec<PathBuf> {
    dir.ancestors().skip(1).take_while(|above| !above.exists()).map(Path::to_owned).collect()
}

/// Makes a group with the CPUs and nodes of its parent, which hands them down.
fn fill_cpuset(dir: &Path) -> std::io::Result<()> {
    fs::create_dir_all(dir)?;
    let parent = dir.parent().unwrap_or(dir);
    for name in ["cpuset.cpus", "cpuset.mems"] {
        fs::write(dir.join(name), fs::read(parent.join(name))?)?;
    }
    fs::write(dir.join("cgroup.clone_children"), "1")
}

impl Drop for Parent {
    fn drop(&mut self) {
        for dir in &self.dirs {
            // What a tool made for itself beside the instances; those of other runtimes are theirs to remove.
            let of_tool = |path: &&PathBuf| {
                let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
                let instance = name.strip_prefix('i').is_some_and(|n| n.bytes().all(|b| b.is_ascii_digit()));
                !instance && !name.contains("isomark-")
            };
            children(dir).iter().filter(of_tool).for_each(|child| remove_empty(child));
            let _ = fs::remove_dir(dir);
        }
        // Where others have come to use it, it stays.
        for dir in &self.way {
            let _ = fs::remove_dir(dir);
        }
    }
}

fn remove_empty(dir: &Path) {
    children(dir).iter().for_each(|child| remove_empty(child));
    let _ = fs::remove_dir(dir);
}

fn children(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    entries
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .map(|entry| entry.path())
        .collect()
}

fn remove_all(dir: &Path) -> Result<(), Error> {
    let inner = children(dir).iter().map(|child| remove_all(child)).fold(Ok(()), Error::join);
    Error::join(inner, remove_group(dir))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Says loudly what this host lacks; where containers are required and root asks, it may lack none of it.
    fn lacking(what: &str) {
        let required = std::env::var("ISOMARK_REQUIRE").unwrap_or_default();
        let required =
            required.split(',').any(|word| word == "namespace") && nix::unistd::geteuid().is_root();
        assert!(!required, "{what}, and ISOMARK_REQUIRE has namespace");
        eprintln!("SKIPPED {what}");
    }

    #[test]
    fn what_is_missing_on_the_way_is_told_from_below() {
        let root = tempfile::tempdir().unwrap();
        let at = |name: &str| root.path().join(name);
        assert_eq!(missing_above(&at("a/b/c")), [at("a/b"), at("a")]);
        fs::create_dir(at("a")).unwrap();
        assert_eq!(missing_above(&at("a/b/c")), [at("a/b")]);
        assert!(missing_above(&at("a/b")).is_empty() && missing_above(&at("a")).is_empty());
    }

    #[test]
    fn the_way_to_a_group_goes_with_it() {
        let state = tempfile::tempdir().unwrap();
        let site = Site::open(state.path()).unwrap();
        let Ok(parent) = Parent::note(&site) else {
            lacking("cgroups: none can be made");
            return;
        };
        if parent.dirs.iter().any(|dir| fs::create_dir_all(dir).is_err()) {
            lacking("cgroups: none can be made");
        }
        let made = [parent.dirs.clone(), parent.way.clone()].concat();
        drop(parent);
        let left = made.iter().filter(|dir| dir.exists()).collect::<Vec<_>>();
        assert!(left.is_empty(), "{left:?}");
    }
}
