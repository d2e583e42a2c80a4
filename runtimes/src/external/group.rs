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
}

impl Parent {
    /// Names the group in every hierarchy and notes it; a tool makes it when it needs it.
    ///
    /// # Errors
    /// If the ledger cannot be written.
    pub(crate) fn note(site: &Site) -> Result<Self, Error> {
        let own = own_path("memory").or_else(|| own_path("")).unwrap_or_default();
        let path = format!("{}/isomark-{}", own.trim_end_matches('/'), site.tag());
        let dir = |(mount, _): (PathBuf, Vec<String>)| mount.join(path.trim_start_matches('/'));
        let dirs = hierarchies().into_iter().map(dir).collect::<Vec<_>>();
        dirs.iter().try_for_each(|dir| site.note("cgroup", dir))?;
        Ok(Self { path, dirs })
    }

    /// The path within a hierarchy.
    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    /// Takes away what is left of an instance's groups: those whose name holds one of `names`.
    ///
    /// # Errors
    /// What could not be removed.
    pub(crate) fn clear(&self, names: &[&str]) -> Result<(), Error> {
        let of_instance = |path: &Path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            names.iter().any(|wanted| !wanted.is_empty() && name.contains(wanted))
        };
        let left = self.dirs.iter().flat_map(|dir| children(dir)).filter(|path| of_instance(path));
        left.map(|path| remove_all(&path)).fold(Ok(()), Error::join)
    }
}

impl Drop for Parent {
    fn drop(&mut self) {
        for dir in &self.dirs {
            let empty = children(dir).is_empty();
            if empty {
                let _ = fs::remove_dir(dir);
            }
        }
    }
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
