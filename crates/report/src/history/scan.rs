//! Which run folders are there, and what has changed since they were read?
//!
//! A folder is known by its name and by time and size of its `summary.json`; only what differs is read, and of that only
//! the few fields that a history needs. What cannot be read is remembered with its reason, told every time, and read again
//! when it changes.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::time::UNIX_EPOCH;

use isomark_core::{Better, Error, Params, store};
use serde::Deserialize;

use super::Broken;
use super::index::Index;
use crate::words::stored;

/// Largest summary accepted, in bytes.
const MOST: u64 = 256 << 20;
/// Folders read before they are written to the index together.
const BATCH: usize = 500;

/// How a folder was when it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    pub mtime: i64,
    pub size: i64,
    pub trouble: Option<String>,
}

/// One metric of one cell.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Line {
    pub runtime: String,
    pub scenario: String,
    pub params: String,
    pub metric: String,
    pub unit: String,
    pub higher: bool,
    pub place: i64,
}

/// What went wrong: with the folder, or with the index.
#[derive(Debug)]
pub enum Trouble {
    /// The folder cannot be read.
    Folder(Error),
    /// The index cannot be used.
    Index(rusqlite::Error),
}

impl Trouble {
    pub(super) fn into_error(self) -> Error {
        match self {
            Self::Folder(e) => e,
            Self::Index(e) => Error::os("use the index", std::io::Error::other(e)),
        }
    }
}

impl From<rusqlite::Error> for Trouble {
    fn from(e: rusqlite::Error) -> Self {
        Self::Index(e)
    }
}

/// Brings the index up to date with the folders; names those that hold a run which cannot be read.
///
/// # Errors
/// If the folder cannot be read, or the index not be used.
pub fn refresh(dir: &Path, index: &mut Index) -> Result<Vec<Broken>, Trouble> {
    let here = folders(dir).map_err(Trouble::Folder)?;
    let known = index.folders()?;
    let gone: Vec<&String> = known.keys().filter(|name| !here.contains_key(*name)).collect();
    let fresh = |name: &str, seen: &Seen| {
        known.get(name).is_some_and(|old| (old.mtime, old.size) == (seen.mtime, seen.size))
    };
    let stale: Vec<(&String, &Seen)> = here.iter().filter(|(name, seen)| !fresh(name, seen)).collect();
    if !gone.is_empty() {
        index.change(|change| gone.iter().try_for_each(|name| change.forget(name)))?;
    }
    let mut troubles: BTreeMap<&String, Option<String>> = BTreeMap::new();
    for batch in stale.chunks(BATCH) {
        index.change(|change| {
            for (name, seen) in batch {
                change.forget(name)?;
                let read = match &seen.trouble {
                    Some(why) => Err(why.clone()),
                    None => read(&dir.join(name)),
                };
                let trouble = match read {
                    Ok(slim) => store(change, name, &slim)?,
                    Err(why) => Some(why),
                };
                change.saw(name, &Seen { trouble: trouble.clone(), ..(*seen).clone() })?;
                troubles.insert(name, trouble);
            }
            Ok(())
        })?;
    }
    let why = |name: &String| match troubles.get(name) {
        Some(now) => now.clone(),
        None => known.get(name).and_then(|seen| seen.trouble.clone()),
    };
    Ok(here.keys().filter_map(|name| Some(Broken { folder: name.clone(), why: why(name)? })).collect())
}

/// The folders that hold a run, by name.
fn folders(dir: &Path) -> Result<BTreeMap<String, Seen>, Error> {
    let fail = |e: std::io::Error| Error::Input(format!("{}: {e}", dir.display()));
    let mut all = BTreeMap::new();
    for entry in fs::read_dir(dir).map_err(fail)? {
        let entry = entry.map_err(fail)?;
        // A link such as `latest` would count its run twice.
        let Ok(name) = entry.file_name().into_string() else { continue };
        if !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            continue;
        }
        let path = entry.path();
        if let Some(seen) = stamp(&path.join("summary.json"), None) {
            all.insert(name, seen);
        } else if let Some(seen) = stamp(&path.join("run.json"), Some(stored("no_summary", &[]))) {
            all.insert(name, seen);
        }
    }
    Ok(all)
}

fn stamp(path: &Path, trouble: Option<String>) -> Option<Seen> {
    let meta = fs::symlink_metadata(path).ok()?;
    let since = meta.modified().ok()?.duration_since(UNIX_EPOCH).unwrap_or_default();
    let mtime = i64::try_from(since.as_nanos()).unwrap_or(i64::MAX);
    // A summary that comes later has another size than none.
    let size = if trouble.is_some() { -1 } else { meta.len() as i64 };
    Some(Seen { mtime, size, trouble })
}

/// What a history needs of a summary.
#[derive(Deserialize)]
struct Slim {
    schema: String,
    run: SlimRun,
    cells: Vec<SlimCell>,
}

#[derive(Deserialize)]
struct SlimRun {
    started: String,
    host: SlimHost,
}

#[derive(Deserialize)]
struct SlimHost {
    kvm_class: String,
    cgroup: String,
    kernel: String,
    cpu: String,
    #[serde(default)]
    cpus: u32,
    #[serde(default)]
    memory: u64,
    #[serde(default)]
    hypervisor: String,
    #[serde(default)]
    user: String,
}

#[derive(Deserialize)]
struct SlimCell {
    runtime: String,
    #[serde(default)]
    kind: Option<String>,
    scenario: String,
    /// Of a variant in a comparison within one run: no measurement of the runtime as it stands.
    #[serde(default)]
    label: Option<String>,
    #[serde(default)]
    params: Params,
    #[serde(default)]
    metrics: Vec<SlimMetric>,
}

#[derive(Deserialize)]
struct SlimMetric {
    name: String,
    unit: String,
    better: Better,
    median: Option<f64>,
    ci95: Option<[f64; 2]>,
    #[serde(default)]
    folded: Option<String>,
    #[serde(default)]
    versus: Option<SlimVersus>,
}

#[derive(Deserialize)]
struct SlimVersus {
    ratio: Option<f64>,
    ci95: Option<[f64; 2]>,
}

impl SlimHost {
    /// The kind of host in words; memory to the nearest GiB, because firmware takes its part.
    fn words(&self) -> String {
        let gib = (self.memory as f64 / f64::from(1 << 30)).round();
        let text = stored(
            "host_kind",
            &[
                ("cpus", &self.cpus),
                ("cpu", &self.cpu),
                ("gib", &gib),
                ("kernel", &self.kernel),
                ("class", &self.kvm_class),
                ("cgroup", &self.cgroup),
                ("hypervisor", &self.hypervisor),
                ("user", &self.user),
            ],
        );
        crate::fmt::clean(&text)
    }
}

fn read(folder: &Path) -> Result<Slim, String> {
    let path = folder.join("summary.json");
    // The folder is named by whoever shows this.
    let text = store::read(&path, MOST).map_err(|e| {
        let text = e.chain();
        text.strip_prefix(&format!("{}/", folder.display())).unwrap_or(&text).to_owned()
    })?;
    let slim: Slim = serde_json::from_str(&text).map_err(|e| format!("summary.json: {e}"))?;
    if slim.schema != crate::summary::SUMMARY_SCHEMA {
        return Err(format!("summary.json: schema {:?} is not known", slim.schema));
    }
    Ok(slim)
}

/// Writes a run to the index; says so if it holds nothing.
fn store(
    change: &mut super::index::Change<'_>,
    folder: &str,
    slim: &Slim,
) -> rusqlite::Result<Option<String>> {
    let host = slim.run.host.words();
    let run = change.run(folder, &slim.run.started, &host)?;
    let mut lines = BTreeSet::new();
    let ordinary = |cell: &&SlimCell| cell.kind.as_deref() != Some("floor") && cell.label.is_none();
    for cell in slim.cells.iter().filter(ordinary) {
        let params = serde_json::to_string(&cell.params).unwrap_or_default();
        for (place, metric) in cell.metrics.iter().enumerate() {
            let Some(median) = metric.median.filter(|_| metric.folded.is_none()) else { continue };
            let line = Line {
                runtime: cell.runtime.clone(),
                scenario: cell.scenario.clone(),
                params: params.clone(),
                metric: metric.name.clone(),
                unit: metric.unit.clone(),
                higher: metric.better == Better::Higher,
                place: place as i64,
            };
            let versus = metric.versus.as_ref();
            let ratio = versus.and_then(|v| v.ratio);
            let (ci95, bounds) = (metric.ci95, versus.and_then(|v| v.ci95));
            let values = [
                Some(median),
                ci95.map(|ci| ci[0]),
                ci95.map(|ci| ci[1]),
                ratio,
                bounds.map(|ci| ci[0]),
                bounds.map(|ci| ci[1]),
            ];
            change.value(run, &host, &line, values)?;
            lines.insert(line.metric);
        }
    }
    Ok(lines.is_empty().then(|| stored("no_values", &[])))
}
