//! One folder of a fleet's results: whose it says it is, and how far it came.
//!
//! A measurement names its folder `CLASS-INDEX.NODE.jJOB.rRESTART` and ends it with `.tmp` until it is done or with
//! `.failed` if it is not. What a complete folder says of itself in `run.json` counts; its name is only where to look.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use isomark_core::Error;
use isomark_core::partition::{round, turns};
use isomark_core::record::{Outcome, Run};
use isomark_core::store::{self, Folder};

use super::check::HOSTS;
use super::collected::{SetAside, label};

/// Largest file read of a measurement that is not whole, in bytes.
const MOST: u64 = 64 << 20;

/// How far an attempt came.
#[derive(Clone, Debug)]
pub(super) enum State {
    /// It was renamed to its final name: the run as it is stored, and what is in it.
    Whole(Box<Run>, Tally),
    /// It was renamed as failed, or cannot be read.
    Failed(String),
    /// It still has the name of one under way: killed, or not done.
    Cut(String),
}

/// A folder that belongs to a host's measurement.
#[derive(Clone, Debug)]
pub(super) struct Attempt {
    pub(super) folder: String,
    pub(super) class: String,
    pub(super) index: u32,
    /// How many hosts its class was to have, if it says so.
    pub(super) of: Option<u32>,
    pub(super) node: String,
    pub(super) restart: u32,
    pub(super) state: State,
}

/// What of a plan was measured.
#[derive(Clone, Debug, Default)]
pub(super) struct Tally {
    /// Trials that the plan has.
    pub(super) planned: u64,
    /// Trials that are there.
    pub(super) found: u64,
    /// Trials that are there twice.
    pub(super) twice: usize,
    /// Whether cells end when they are precise enough: fewer trials are no gap then.
    pub(super) precise: bool,
    /// Runtimes with values in at least one cell.
    pub(super) answering: BTreeSet<String>,
    /// A payload that answered wrongly, in words.
    pub(super) wrong: Option<String>,
}

/// Everything in a directory of results, by name: attempts, and what is none with the reason.
pub(super) fn read(dir: &Path) -> Result<(Vec<Attempt>, Vec<SetAside>), Error> {
    let fail = |e: std::io::Error| Error::Input(format!("{}: {e}", dir.display()));
    let mut names = BTreeSet::new();
    for entry in fs::read_dir(dir).map_err(fail)? {
        let entry = entry.map_err(fail)?;
        if entry.file_type().map_err(fail)?.is_dir() {
            names.insert(entry.file_name().to_string_lossy().into_owned());
        }
    }
    let (mut attempts, mut strangers) = (Vec::new(), Vec::new());
    for name in names {
        match one(dir, &name) {
            Ok(attempt) => attempts.push(attempt),
            Err(why) => strangers.push(SetAside { folder: name, why }),
        }
    }
    Ok((attempts, strangers))
}

fn one(parent: &Path, folder: &str) -> Result<Attempt, String> {
    let dir = parent.join(folder);
    let (stem, ended) = match (folder.strip_suffix(".tmp"), folder.strip_suffix(".failed")) {
        (Some(stem), _) => (stem, Some(State::Cut(cut(&dir)))),
        (_, Some(stem)) => (stem, Some(State::Failed(failed(&dir)))),
        _ => (folder, None),
    };
    let named = named(stem).filter(|(class, index, ..)| label(class) && *index < HOSTS);
    let state = ended.unwrap_or_else(|| whole(&dir));
    let told = match &state {
        State::Whole(run, _) => Some(labelled(&run.labels).ok_or("run.json has no labels of a fleet")?),
        _ => None,
    };
    let told = told.filter(|(class, index, ..)| label(class) && *index < HOSTS);
    if let (State::Whole(run, _), None) = (&state, &told) {
        let of = |key: &str| run.labels.get(key).map(String::as_str).unwrap_or_default();
        return Err(format!(
            "run.json: labels class {:?} and task {:?} name no host",
            of("class"),
            of("task")
        ));
    }
    let (class, index, of, node, restart) = match (told, named) {
        (Some(told), _) => told,
        (None, Some((class, index, node, restart))) => (class, index, None, node, restart),
        (None, None) => {
            return Err("neither its name nor a run.json in it says to which host it belongs".to_owned());
        }
    };
    Ok(Attempt { folder: folder.to_owned(), class, index, of, node, restart, state })
}

/// `CLASS-INDEX.NODE.jJOB.rRESTART` in its parts. A node's name may have dots, a class none.
fn named(stem: &str) -> Option<(String, u32, String, u32)> {
    let (stem, restart) = stem.rsplit_once(".r")?;
    let (stem, _job) = stem.rsplit_once(".j")?;
    let (task, node) = stem.split_once('.')?;
    let (class, index) = task.rsplit_once('-')?;
    Some((class.to_owned(), index.parse().ok()?, node.to_owned(), restart.parse().ok()?))
}

type Told = (String, u32, Option<u32>, String, u32);

fn labelled(labels: &BTreeMap<String, String>) -> Option<Told> {
    let (index, of) = labels.get("task")?.split_once('/')?;
    let restart = labels.get("restart").and_then(|text| text.parse().ok()).unwrap_or(0);
    let node = labels.get("node").cloned().unwrap_or_default();
    Some((labels.get("class")?.clone(), index.parse().ok()?, of.parse().ok(), node, restart))
}

fn whole(dir: &Path) -> State {
    let read = || {
        let (folder, run) = Folder::open(dir)?;
        let tally = tally(&run, &folder)?;
        // What cannot be read is not taken along either.
        folder.blocks()?;
        Ok((run, tally))
    };
    match read() {
        Ok((run, tally)) => State::Whole(Box::new(run), tally),
        Err(e) => State::Failed(format!("cannot be read: {}", Error::chain(&e))),
    }
}

fn tally(run: &Run, folder: &Folder) -> Result<Tally, Error> {
    let step = round(&run.cells);
    let runs = |every: u32| turns(run.part, run.blocks, every, step);
    let planned = run.cells.iter().filter(|cell| cell.skipped.is_none()).map(|cell| runs(cell.every)).sum();
    let mut tally = Tally { planned, precise: run.precision.is_some(), ..Tally::default() };
    let mut seen = BTreeSet::new();
    for sample in folder.samples()?.iter().filter(|sample| !sample.warmup) {
        let Some(cell) = run.cells.get(sample.cell) else {
            return Err(Error::Input(format!("samples.jsonl: no cell {} in run.json", sample.cell)));
        };
        if seen.insert((sample.cell, sample.block)) {
            tally.found += 1;
        } else {
            tally.twice += 1;
        }
        match &sample.outcome {
            Outcome::Values(_) => {
                if !tally.answering.contains(&cell.runtime) {
                    tally.answering.insert(cell.runtime.clone());
                }
            }
            Outcome::Failed(failure) if failure.kind == "wrong-answer" && tally.wrong.is_none() => {
                tally.wrong = Some(format!("{}: {}", cell.runtime, failure.message));
            }
            Outcome::Failed(_) => {}
        }
    }
    Ok(tally)
}

fn failed(dir: &Path) -> String {
    let text = |name: &str| store::read(&dir.join(name), MOST).unwrap_or_else(|e| e.chain());
    let log = text("task.log");
    let last = log.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("its log is empty");
    format!("isomark ended with {}: {}", shown(text("status").trim()), shown(last))
}

fn cut(dir: &Path) -> String {
    let trials = store::read(&dir.join("samples.jsonl"), MOST).map(|text| text.lines().count());
    let came = trials.map_or_else(|_| "cut short".to_owned(), |n| format!("cut short after {n} trials"));
    format!("{came}: its node or its job ended, or it is still under way")
}

fn shown(text: &str) -> String {
    crate::fmt::shortened(&crate::fmt::clean(text), 200)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_apart_whatever_dots_a_node_has() {
        let parts = |text: &str| named(text);
        assert_eq!(parts("cloud-vm-12.n1.j17.r0"), Some(("cloud-vm".into(), 12, "n1".into(), 0)));
        assert_eq!(
            parts("a-0.node.r.j.example.jisomark-a-0-x2k.r3"),
            Some(("a".into(), 0, "node.r.j.example".into(), 3))
        );
        for other in
            ["", "latest", "a-0", "a-0.n1", "a-x.n1.j1.r0", "a-0.n1.j1.rx", "2026-01-01T00-00-00Z-host-quick"]
        {
            assert_eq!(parts(other), None, "{other}");
        }
    }
}
