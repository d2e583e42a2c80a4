//! Which processes belong together, as `/proc` tells it at one moment.
//!
//! A look at all processes takes milliseconds, so it is taken for accounting and for clean-up, never in a timed start.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// All processes with their parents, zombies left out: those hold nothing any more.
#[derive(Debug, Default)]
pub(crate) struct Family {
    parents: BTreeMap<i32, i32>,
}

impl Family {
    /// Looks.
    pub(crate) fn look() -> Self {
        let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
        let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
        Self { parents: pids.filter_map(|pid| Some((pid, parent(pid)?))).collect() }
    }

    /// Everything that descends from `pid`, itself included if it is there, parents before children.
    pub(crate) fn descendants(&self, pid: i32) -> Vec<i32> {
        let mut all = Vec::new();
        let mut todo = vec![pid];
        while let Some(next) = todo.pop() {
            if self.parents.contains_key(&next) {
                all.push(next);
            }
            todo.extend(self.parents.iter().filter(|(_, parent)| **parent == next).map(|(pid, _)| *pid));
        }
        all
    }

    /// What `pid` descends from, nearest first, up to (and without) one of `until`.
    pub(crate) fn ancestors(&self, pid: i32, until: &BTreeSet<i32>) -> Vec<i32> {
        let next = |pid: &i32| self.parents.get(pid).copied().filter(|p| *p > 1 && !until.contains(p));
        std::iter::successors(next(&pid), next).take(64).collect()
    }
}

/// Parent of a process that is no zombie: fields 3 and 4 of `/proc/PID/stat` (proc(5)).
fn parent(pid: i32) -> Option<i32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    if matches!(fields.next()?, "Z" | "X") {
        return None;
    }
    fields.next()?.parse().ok()
}

/// Whether a process executes this very file.
pub(crate) fn executes(pid: i32, file: &Path) -> bool {
    let same = |(a, b): (fs::Metadata, fs::Metadata)| (a.dev(), a.ino()) == (b.dev(), b.ino());
    let both = fs::metadata(format!("/proc/{pid}/exe")).ok().zip(fs::metadata(file).ok());
    both.is_some_and(same)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinship_is_followed_both_ways() {
        let parents = [(10, 1), (11, 10), (12, 11), (13, 10), (20, 1)].into();
        let family = Family { parents };
        assert_eq!(family.descendants(10).into_iter().collect::<BTreeSet<_>>(), [10, 11, 12, 13].into());
        assert_eq!(family.descendants(99), [0; 0]);
        assert_eq!(family.ancestors(12, &BTreeSet::new()), [11, 10]);
        assert_eq!(family.ancestors(12, &[10].into()), [11]);
        let own = i32::try_from(std::process::id()).unwrap();
        assert!(Family::look().descendants(own).contains(&own));
    }
}
