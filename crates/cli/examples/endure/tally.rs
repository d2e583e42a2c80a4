//! What was seen while runs were killed, in words.

use std::collections::{BTreeMap, BTreeSet};

/// Counts and findings.
#[derive(Default)]
pub(crate) struct Tally {
    pub(crate) kills: u64,
    pub(crate) polite: u64,
    /// Kills before the run had a folder.
    pub(crate) early: u64,
    pub(crate) reported: u64,
    pub(crate) resumed: u64,
    pub(crate) samples: usize,
    /// Kills of a run over each runtime.
    pub(crate) runtimes: BTreeMap<String, u64>,
    pub(crate) left: BTreeSet<String>,
    pub(crate) lost: Vec<String>,
    /// Names of processes that were there after the kill and not after the next command, where a guard lived.
    pub(crate) outlived: BTreeMap<String, u64>,
    /// Kills that met a guard, and a command that settled.
    pub(crate) guards: u64,
    pub(crate) settlers: u64,
    /// Kills of a process of a run that went on, by name, and failed trials of those runs.
    pub(crate) parts: BTreeMap<String, u64>,
    pub(crate) failed: usize,
    /// Runs that were stopped before they were killed.
    pub(crate) stopped: u64,
    /// Folders of which a line was cut short.
    pub(crate) torn: u64,
}

impl Tally {
    /// Keeps what is lost, and tells it at once.
    pub(crate) fn lose(&mut self, words: String) {
        println!("LOST {words}");
        self.lost.push(words);
    }

    /// Keeps what is left behind, and tells it the first time.
    pub(crate) fn leave(&mut self, object: String, what: &str) {
        if !self.left.contains(&object) {
            println!("LEFT {object} after {what}");
            self.left.insert(object);
        }
    }

    /// The lists of names, and the line that says it all.
    pub(crate) fn tell(&self, seed: u64) {
        let list = |map: &BTreeMap<String, u64>| {
            map.iter().map(|(name, n)| format!("{name} {n}")).collect::<Vec<_>>().join(", ")
        };
        println!("kills by runtime: {}", list(&self.runtimes));
        println!("processes that lived until the next command: {}", list(&self.outlived));
        println!("processes killed in runs that went on: {}", list(&self.parts));
        self.lost.iter().for_each(|why| println!("LOST {why}"));
        println!(
            "chaos: seed {seed}, {} SIGKILLs and {} polite ends, {} before there was a run folder; {} folders rendered and {} gone on with, {} samples kept; {} left behind, {} lost; {} guards and {} settling commands killed, {} runs stopped before, {} folders torn; {} runs went on without a process of theirs, {} trials failed",
            self.kills,
            self.polite,
            self.early,
            self.reported,
            self.resumed,
            self.samples,
            self.left.len(),
            self.lost.len(),
            self.guards,
            self.settlers,
            self.stopped,
            self.torn,
            self.parts.values().sum::<u64>(),
            self.failed,
        );
    }
}
