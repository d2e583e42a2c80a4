//! Baselines: sets of runs that later runs are checked against, by name.
//!
//! `baselines/NAME/` below the results holds a copy of each run's `run.json`, `samples.jsonl` and `blocks.jsonl` in a
//! folder of its own, and `baseline.json` with the SHA-256 of every file. The list is the truth: it is replaced as a whole
//! after the files of a run are in place, and every file is verified against it when read. Nothing but `save` adds to
//! it, whatever a check finds.

use std::fs;
use std::path::{Path, PathBuf};

use isomark_core::Error;
use isomark_core::nearest::hint;
use isomark_core::store::{self, pretty};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::like::unlike;
use super::stored::Stored;

/// Schema name of `baseline.json`.
pub const SCHEMA: &str = "isomark.baseline/1";
/// The files of a run that a baseline keeps; everything else follows from them.
const FILES: [&str; 3] = ["run.json", "samples.jsonl", "blocks.jsonl"];
/// Largest `baseline.json` accepted, in bytes.
const MAX_LIST: u64 = 16 << 20;
/// Largest file that is read whole, in bytes.
const MOST: u64 = 1 << 30;

/// `baseline.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Baseline {
    /// [`SCHEMA`].
    pub schema: String,
    /// Its name.
    pub name: String,
    /// Its runs, the oldest first.
    pub runs: Vec<Entry>,
}

/// A run of a baseline.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Name of the run, and of its folder.
    pub id: String,
    /// When it began.
    pub started: String,
    /// Files and their SHA-256.
    pub files: Vec<(String, String)>,
}

/// Where the baselines of a results folder lie.
#[must_use]
pub fn shelf(results: &Path) -> PathBuf {
    results.join("baselines")
}

/// Adds runs to a baseline, making it if there is none of that name.
///
/// ```
/// use isomark_core::{record::Run, store::Folder};
/// use isomark_report::gate::baseline;
///
/// # let results = std::env::temp_dir().join(format!("isomark-baseline-{}", std::process::id()));
/// let dir = results.join("first");
/// Folder::create(&dir, &Run::new("mine", Vec::new()))?;
/// baseline::save(&results, "main", &[dir])?;
/// assert_eq!(baseline::load(&results, "main", 5)?[0].run.plan, "mine");
/// # std::fs::remove_dir_all(results).unwrap();
/// # Ok::<(), isomark_core::Error>(())
/// ```
///
/// # Errors
/// [`Error::Input`] for a name that is no file name, a run that is there already with other contents, or runs that
/// cannot stand beside each other: another payload or another host.
pub fn save(results: &Path, name: &str, runs: &[PathBuf]) -> Result<Baseline, Error> {
    let home = home(results, name)?;
    let mut all = match read(&home) {
        Ok(Some(all)) => all,
        Ok(None) => Baseline { schema: SCHEMA.to_owned(), name: name.to_owned(), runs: Vec::new() },
        Err(e) => return Err(e),
    };
    let mut known = match all.runs.last() {
        Some(last) => Some(open(&home, last)?.run),
        None => None,
    };
    for dir in runs {
        let stored = Stored::open(dir)?;
        fits(known.as_ref(), &stored, name)?;
        let entry = copy(&stored, &home, &all)?;
        all.runs.retain(|run| run.id != entry.id);
        all.runs.push(entry);
        known = Some(stored.run);
    }
    all.runs.sort_by(|a, b| (&a.started, &a.id).cmp(&(&b.started, &b.id)));
    replace(&home, &all)?;
    Ok(all)
}

/// A baseline's last `last` runs, the newest last.
///
/// # Errors
/// [`Error::Input`] with the nearest name if there is none, or naming the file that is not what was saved.
pub fn load(results: &Path, name: &str, last: usize) -> Result<Vec<Stored>, Error> {
    let home = home(results, name)?;
    let Some(all) = read(&home)? else {
        let known = known(results, name)?;
        return Err(Error::Input(format!("{name:?} is neither a run's folder nor a baseline; {known}")));
    };
    let skip = all.runs.len().saturating_sub(last);
    all.runs[skip..].iter().map(|entry| open(&home, entry)).collect()
}

/// All baselines, by name.
///
/// # Errors
/// [`Error::Input`] naming the list that cannot be read.
pub fn list(results: &Path) -> Result<Vec<Baseline>, Error> {
    let Ok(entries) = fs::read_dir(shelf(results)) else { return Ok(Vec::new()) };
    let mut homes: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    homes.sort();
    Ok(homes.iter().map(|home| read(home)).collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect())
}

/// Takes a baseline away.
///
/// # Errors
/// [`Error::Input`] if there is none; otherwise what the host refused.
pub fn remove(results: &Path, name: &str) -> Result<(), Error> {
    let home = home(results, name)?;
    if !home.join("baseline.json").is_file() {
        return Err(Error::Input(format!("there is no baseline {name:?}; {}", known(results, name)?)));
    }
    // The list first: what has no list is no baseline, however soon this is interrupted.
    let fail = |e| Error::os(format!("remove {}", home.display()), e);
    fs::remove_file(home.join("baseline.json")).map_err(fail)?;
    fs::remove_dir_all(&home).map_err(fail)
}

/// The end of a message about a baseline that is not there.
fn known(results: &Path, name: &str) -> Result<String, Error> {
    let names: Vec<String> = list(results)?.into_iter().map(|b| b.name).collect();
    if names.is_empty() {
        let shelf = shelf(results);
        return Ok(format!("{} has none; make one with isomark baseline save {name} RUN", shelf.display()));
    }
    Ok(hint(name, names.iter().map(String::as_str)))
}

fn checked(name: &str) -> Result<(), Error> {
    let fine = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if name.is_empty() || name.len() > 64 || name.starts_with('.') || !name.chars().all(fine) {
        let rule = "letters, digits, - _ . and at most 64 of them, no dot in front";
        return Err(Error::Input(format!(
            "{name:?} is neither a run's folder nor a baseline's name ({rule})"
        )));
    }
    Ok(())
}

/// The directory of a baseline. Results may come from elsewhere: it is no link.
fn home(results: &Path, name: &str) -> Result<PathBuf, Error> {
    checked(name)?;
    let home = shelf(results).join(name);
    store::no_link(&home)?;
    Ok(home)
}

fn fits(known: Option<&isomark_core::record::Run>, new: &Stored, name: &str) -> Result<(), Error> {
    let Some(known) = known else { return Ok(()) };
    let apart = unlike(known, &new.run);
    let why: Vec<String> = apart.payload.into_iter().chain(apart.host).collect();
    if why.is_empty() {
        return Ok(());
    }
    Err(Error::Input(format!(
        "{} cannot stand beside the runs of baseline {name}: {}; save it under another name, or take that baseline \
         away with isomark baseline rm {name}",
        new.dir.display(),
        why.join("; ")
    )))
}

/// The list of a baseline; none where there is no baseline.
fn read(home: &Path) -> Result<Option<Baseline>, Error> {
    let path = home.join("baseline.json");
    match fs::symlink_metadata(&path) {
        Err(e) if matches!(e.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory) => {
            return Ok(None);
        }
        _ => {}
    }
    let text = store::read(&path, MAX_LIST)?;
    let refuse = |why: String| Error::Input(format!("{}: {why}; save the baseline again", path.display()));
    let all: Baseline = serde_json::from_str(&text).map_err(|e| refuse(e.to_string()))?;
    if all.schema != SCHEMA {
        return Err(refuse(format!("schema {:?} is not {SCHEMA:?}", all.schema)));
    }
    // The names become paths.
    if let Some(bad) = all.runs.iter().find(|run| checked(&run.id).is_err()) {
        return Err(refuse(format!("run {:?} is no name of a folder", bad.id)));
    }
    Ok(Some(all))
}

fn open(home: &Path, entry: &Entry) -> Result<Stored, Error> {
    let dir = home.join(&entry.id);
    store::no_link(&dir)?;
    for name in FILES {
        let path = dir.join(name);
        let wanted = entry.files.iter().find(|(known, _)| known == name).map(|(_, hash)| hash.as_str());
        if wanted != Some(hash(&path)?.as_str()) {
            return Err(Error::Input(format!(
                "{} is not the file that was saved (SHA-256 differs); save the run again",
                path.display()
            )));
        }
    }
    Stored::open(&dir)
}

/// Copies a run beside the others, whole or not at all.
fn copy(stored: &Stored, home: &Path, known: &Baseline) -> Result<Entry, Error> {
    let id = &stored.run.id;
    checked(id).map_err(|_| Error::Input(format!("{}: id {id:?} is no name", stored.dir.display())))?;
    let hashed = |name: &str| Ok::<_, Error>((name.to_owned(), hash(&stored.dir.join(name))?));
    let files = FILES.into_iter().map(hashed).collect::<Result<Vec<_>, _>>()?;
    let entry = Entry { id: id.clone(), started: stored.run.started.clone(), files };
    let target = home.join(id);
    if let Some(same) = known.runs.iter().find(|run| run.id == *id) {
        if same.files == entry.files && target.is_dir() {
            return Ok(entry);
        }
        let why = "is in the baseline already with other contents; take the baseline away first";
        return Err(Error::Input(format!("{} {why}", stored.dir.display())));
    }
    let part = home.join(format!(".{id}.part"));
    let fail = |e| Error::os(format!("copy {} to {}", stored.dir.display(), target.display()), e);
    let work = || {
        // Neither is on the list: what is there was left by an interrupted save.
        for dir in [&part, &target] {
            match fs::remove_dir_all(dir) {
                Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(fail(e)),
                _ => {}
            }
        }
        fs::create_dir_all(&part).map_err(fail)?;
        for name in FILES {
            store::copy(&stored.dir.join(name), &part.join(name), MOST)?;
        }
        fs::rename(&part, &target).map_err(fail)
    };
    work().inspect_err(|_| {
        let _ = fs::remove_dir_all(&part);
    })?;
    Ok(entry)
}

fn replace(home: &Path, all: &Baseline) -> Result<(), Error> {
    let path = home.join("baseline.json");
    let part = home.join("baseline.json.part");
    let fail = |e| Error::os(format!("write {}", path.display()), e);
    store::put(&path, &part, &pretty(all)?).map_err(fail)
}

fn hash(path: &Path) -> Result<String, Error> {
    let fail = |e: std::io::Error| Error::Input(format!("{}: {e}", path.display()));
    let mut file = store::open(path, MOST)?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        let got = std::io::Read::read(&mut file, &mut buffer).map_err(fail)?;
        if got == 0 {
            break;
        }
        hasher.update(&buffer[..got]);
    }
    Ok(hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Whether a folder holds a run.
#[must_use]
pub fn is_run(dir: &Path) -> bool {
    dir.join("run.json").exists()
}
