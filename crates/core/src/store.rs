//! Results on disk: one folder per run.
//!
//! `run.json` is written before the first sample and never again; `samples.jsonl` and `blocks.jsonl` only grow,
//! one line in one write at a time. A loss of power finds `run.json` on the disk from the start, and of what grows it takes at
//! most the last seconds ([`SYNC`]). A folder cut short by a crash is a valid, shorter run: a torn last line is dropped
//! on reading and cut off before the file grows again. Everything derived is replaced as a whole or not at all. A folder
//! may come from elsewhere: its files are read up to a bound, and nothing in it leads out of it.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::fcntl::OFlag;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::bounds;
use crate::error::Error;
use crate::record::{Block, RUN_SCHEMA, Run, Sample};

/// Largest `run.json` accepted, in bytes.
const MAX_RUN: u64 = 64 << 20;
/// Longest line of a `.jsonl` accepted, in bytes.
const MAX_LINE: usize = 1 << 20;
/// Largest `.jsonl` accepted, in bytes: some millions of trials.
const MAX_LINES: u64 = 1 << 30;

/// A run's folder.
///
/// ```
/// use isomark_core::Metric;
/// use isomark_core::record::{Cell, Outcome, Run, Sample};
/// use isomark_core::store::Folder;
///
/// # let dir = std::env::temp_dir().join(format!("isomark-folder-{}", std::process::id()));
/// let run = Run::new("mine", vec![Cell::new("process", "startup", vec![Metric::time("startup")])]);
/// let mut writer = Folder::create(&dir, &run)?.append()?;
/// writer.sample(&Sample::new(0, 0, Outcome::of([("startup", 88_000.0)])))?;
///
/// let (folder, again) = Folder::open(&dir)?;
/// assert_eq!((again, folder.samples()?.len()), (run, 1));
/// # std::fs::remove_dir_all(dir).unwrap();
/// # Ok::<(), isomark_core::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Folder(PathBuf);

impl Folder {
    /// Makes the folder of a new run and writes its `run.json`.
    ///
    /// # Errors
    /// [`Error::Input`] if the folder holds a run already; otherwise what the host refused.
    pub fn create(dir: &Path, run: &Run) -> Result<Self, Error> {
        let folder = Self(dir.to_owned());
        if folder.path("run.json").exists() {
            let text = format!("{} holds a run already; use --resume, or name another folder", dir.display());
            return Err(Error::Input(text));
        }
        let refuse = |why| Error::Input(format!("{}: the run's {why}; ask for less", dir.display()));
        bounds::check(run).map_err(refuse)?;
        fs::create_dir_all(dir).map_err(|e| Error::os(format!("make {}", dir.display()), e))?;
        // Before run.json: whoever finds that file finds a whole folder, however soon its command was killed.
        for name in ["samples.jsonl", "blocks.jsonl"] {
            anew(&folder.path(name)).map_err(|e| Error::os(format!("create {name}"), e))?;
        }
        folder.replaced("run.json", &pretty(run)?, true)?;
        // Names are on the disk when their directory is (fsync(2)); not every file system can be asked for it.
        for dir in [Some(dir), dir.parent()].into_iter().flatten() {
            let _ = File::open(dir).and_then(|dir| dir.sync_all());
        }
        Ok(folder)
    }

    /// Opens the folder of an existing run.
    ///
    /// # Errors
    /// [`Error::Input`] if it is none.
    pub fn open(dir: &Path) -> Result<(Self, Run), Error> {
        let folder = Self(dir.to_owned());
        let path = folder.path("run.json");
        if fs::symlink_metadata(&path).is_err_and(|e| e.kind() == io::ErrorKind::NotFound) {
            let text = "No such file or directory; name the folder of a run, such as bench-results/latest";
            return Err(Error::Input(format!("{}: {text}", path.display())));
        }
        let run = parse_run(&path.display().to_string(), &read(&path, MAX_RUN)?)?;
        Ok((folder, run))
    }

    /// A directory that takes derived files and need not hold a run, such as one of many runs.
    #[must_use]
    pub fn derived(dir: &Path) -> Self {
        Self(dir.to_owned())
    }

    /// The directory.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.0
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Whether a directory of it is no link to another place.
    fn holds(&self, dir: &Path) -> Result<(), Error> {
        if dir == self.0 { Ok(()) } else { no_link(dir) }
    }

    /// All samples, in the order they were taken. A trial for which the host was too short, and that was repeated, is there
    /// once: the file only grows, and its later line counts.
    ///
    /// # Errors
    /// [`Error::Input`] naming file and line, if a line that is not the last cannot be read.
    pub fn samples(&self) -> Result<Vec<Sample>, Error> {
        let mut all: Vec<Sample> = read_lines(&self.path("samples.jsonl"))?;
        if all.iter().any(Sample::is_exhausted) {
            let trial = |sample: &Sample| (sample.cell, sample.block, sample.warmup);
            let last: BTreeMap<_, _> =
                all.iter().enumerate().map(|(at, sample)| (trial(sample), at)).collect();
            let mut at = 0_usize..;
            all.retain(|sample| {
                let at = at.next();
                !sample.is_exhausted() || last.get(&trial(sample)).copied() == at
            });
        }
        Ok(all)
    }

    /// All blocks.
    ///
    /// # Errors
    /// As [`Folder::samples`].
    pub fn blocks(&self) -> Result<Vec<Block>, Error> {
        read_lines(&self.path("blocks.jsonl"))
    }

    /// Opens the two growing files; torn last lines are cut off first.
    ///
    /// # Errors
    /// What the host refused.
    pub fn append(&self) -> Result<Writer, Error> {
        let (samples, blocks) = (grow(&self.path("samples.jsonl"))?, grow(&self.path("blocks.jsonl"))?);
        Ok(Writer { samples, blocks, next_sync: Instant::now() + SYNC })
    }

    /// Replaces a derived file as a whole: a reader sees the old or the new one, never a part.
    ///
    /// # Errors
    /// What the host refused; the old file stays then.
    pub fn replace(&self, name: &str, bytes: &[u8]) -> Result<(), Error> {
        self.replaced(name, bytes, false)
    }

    /// The same; what is `kept` is on the disk before it has its name: what is derived can be made again.
    fn replaced(&self, name: &str, bytes: &[u8], kept: bool) -> Result<(), Error> {
        let path = self.path(name);
        let fail = |e: io::Error| Error::os(format!("write {}", path.display()), e);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(fail)?;
            self.holds(parent)?;
        }
        written(&path, &path.with_extension("part"), bytes, kept).map_err(fail)
    }

    /// Takes away those files of a directory of it that `stale` says are of no use any more. A directory that is not there
    /// holds none; what is no regular file stays.
    ///
    /// # Errors
    /// [`Error::Input`] if the directory is a link; otherwise what the host refused.
    pub fn take_away(&self, dir: &str, stale: impl Fn(&str) -> bool) -> Result<(), Error> {
        let path = self.path(dir);
        let fail = |e: io::Error| Error::os(format!("take away what is stale in {}", path.display()), e);
        self.holds(&path)?;
        let entries = match fs::read_dir(&path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
            entries => entries.map_err(fail)?,
        };
        for entry in entries {
            let entry = entry.map_err(fail)?;
            let file = entry.file_type().is_ok_and(|kind| kind.is_file());
            if file && entry.file_name().to_str().is_some_and(&stale) {
                fs::remove_file(entry.path()).map_err(fail)?;
            }
        }
        Ok(())
    }
}

/// Between two moments at which what has grown is brought to the disk: what a loss of power can take.
pub const SYNC: Duration = Duration::from_secs(10);
/// A slow disk takes no more than this part of a run's time.
const SHARE: u32 = 20;

/// The two files of a run that grow.
#[derive(Debug)]
pub struct Writer {
    samples: File,
    blocks: File,
    next_sync: Instant,
}

impl Writer {
    /// Appends one sample in one write.
    ///
    /// # Errors
    /// What the host refused (a full disk, say).
    pub fn sample(&mut self, sample: &Sample) -> Result<(), Error> {
        append(&mut self.samples, sample, "samples.jsonl")?;
        if Instant::now() < self.next_sync {
            return Ok(());
        }
        let began = Instant::now();
        self.sync()?;
        self.next_sync = Instant::now() + SYNC.max(began.elapsed() * SHARE);
        Ok(())
    }

    /// Brings what has grown to the disk.
    ///
    /// # Errors
    /// What the host refused: on some file systems a full disk shows only here.
    pub fn sync(&mut self) -> Result<(), Error> {
        let sync =
            |file: &File, name: &str| file.sync_data().map_err(|e| Error::os(format!("store {name}"), e));
        sync(&self.samples, "samples.jsonl")?;
        sync(&self.blocks, "blocks.jsonl")
    }

    /// Appends one block in one write.
    ///
    /// # Errors
    /// What the host refused.
    pub fn block(&mut self, block: &Block) -> Result<(), Error> {
        append(&mut self.blocks, block, "blocks.jsonl")
    }
}

/// A value as indented JSON with a final newline.
///
/// # Errors
/// If the value cannot be written as JSON.
pub fn pretty(value: &impl Serialize) -> Result<Vec<u8>, Error> {
    let mut bytes = serde_json::to_vec_pretty(value).map_err(|e| Error::os("write JSON", e))?;
    bytes.push(b'\n');
    Ok(bytes)
}

fn append(file: &mut File, line: &impl Serialize, name: &str) -> Result<(), Error> {
    let mut bytes = serde_json::to_vec(line).map_err(|e| Error::os("write JSON", e))?;
    bytes.push(b'\n');
    file.write_all(&bytes).map_err(|e| Error::os(format!("append to {name}"), e))
}

/// A new empty file in place of whatever lies there: opened anew, a link is not followed.
fn anew(path: &Path) -> io::Result<File> {
    match fs::remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
        _ => {}
    }
    OpenOptions::new().write(true).create_new(true).open(path)
}

/// Replaces a file as a whole by way of `part`, a name beside it: a reader sees the old or the new one, never a part, and no
/// link that somebody laid under either name is written through.
///
/// # Errors
/// What the host refused; the old file stays then.
pub fn put(path: &Path, part: &Path, bytes: &[u8]) -> io::Result<()> {
    written(path, part, bytes, false)
}

/// The same; what is `kept` is on the disk before it has its name.
fn written(path: &Path, part: &Path, bytes: &[u8], kept: bool) -> io::Result<()> {
    let write = || {
        let mut file = anew(part)?;
        file.write_all(bytes)?;
        if kept {
            file.sync_all()?;
        }
        fs::rename(part, path)
    };
    write().inspect_err(|_| {
        let _ = fs::remove_file(part);
    })
}

/// Why a link in a run's folder is refused.
const LINK: &str = "a link, which could lead anywhere; put what it leads to there itself";

/// Opens a file of a folder that may come from elsewhere: no link, no pipe that never answers, no more than `most` bytes.
fn own(path: &Path, most: u64, options: &mut OpenOptions) -> Result<File, Error> {
    let refuse = |why: String| Error::Input(format!("{}: {why}", path.display()));
    let flags = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK;
    let file = options.custom_flags(flags.bits()).open(path).map_err(|e| match e.raw_os_error() {
        Some(code) if code == nix::errno::Errno::ELOOP as i32 => refuse(LINK.into()),
        _ => refuse(e.to_string()),
    })?;
    let kind = file.metadata().map_err(|e| refuse(e.to_string()))?;
    match kind.len() {
        _ if !kind.is_file() => Err(refuse("not a regular file".into())),
        len if len > most => Err(refuse(format!("larger than {most} bytes"))),
        _ => Ok(file),
    }
}

/// A file of a folder that may come from elsewhere, to be read: no link, no pipe that never answers, no device without an end,
/// and at most `most` bytes.
///
/// # Errors
/// [`Error::Input`] naming the file.
pub fn open(path: &Path, most: u64) -> Result<File, Error> {
    own(path, most, OpenOptions::new().read(true))
}

/// Copies such a file to a new one.
///
/// # Errors
/// [`Error::Input`] naming what cannot be read; otherwise what the host refused.
pub fn copy(from: &Path, to: &Path, most: u64) -> Result<(), Error> {
    let file = open(from, most)?;
    let write = || {
        let mut to = OpenOptions::new().write(true).create_new(true).open(to)?;
        io::copy(&mut file.take(most), &mut to)
    };
    write().map(drop).map_err(|e| Error::os(format!("copy {} to {}", from.display(), to.display()), e))
}

/// Refuses a directory that is a link: what is written or taken away in it would be so elsewhere.
///
/// # Errors
/// [`Error::Input`] naming the directory.
pub fn no_link(dir: &Path) -> Result<(), Error> {
    let link = fs::symlink_metadata(dir).is_ok_and(|kind| kind.is_symlink());
    if link { Err(Error::Input(format!("{}: {LINK}", dir.display()))) } else { Ok(()) }
}

/// The text of a file that may come from elsewhere: at most `most` bytes, and no link.
///
/// # Errors
/// [`Error::Input`] naming the file.
pub fn read(path: &Path, most: u64) -> Result<String, Error> {
    let fail = |e: io::Error| Error::Input(format!("{}: {e}", path.display()));
    let file = open(path, most)?;
    let mut text = String::new();
    file.take(most + 1).read_to_string(&mut text).map_err(fail)?;
    if text.len() as u64 > most {
        return Err(Error::Input(format!("{}: larger than {most} bytes", path.display())));
    }
    Ok(text)
}

/// The same for a file that the user names, which may be a link. Devices and pipes are refused: they have no end, or never
/// answer.
///
/// # Errors
/// [`Error::Input`] naming the file.
pub fn read_named(path: &Path, most: u64) -> Result<String, Error> {
    let real = fs::canonicalize(path).map_err(|e| Error::Input(format!("{}: {e}", path.display())))?;
    // Its own name stands in the message, not where it leads.
    read(&real, most).map_err(|e| match e {
        Error::Input(text) => {
            let why = text.strip_prefix(&format!("{}: ", real.display())).unwrap_or(&text).to_owned();
            Error::Input(format!("{}: {why}", path.display()))
        }
        other => other,
    })
}

/// Reads a `run.json`; `name` is what messages call it.
///
/// # Errors
/// [`Error::Input`] naming the file, and line or field.
pub fn parse_run(name: &str, text: &str) -> Result<Run, Error> {
    let refuse = |why: String| Error::Input(format!("{name}: {why}"));
    let head: serde_json::Value = serde_json::from_str(text).map_err(|e| refuse(e.to_string()))?;
    match head.get("schema").and_then(|s| s.as_str()) {
        Some(RUN_SCHEMA) => {}
        Some(other) => {
            return Err(refuse(format!(
                "schema {other:?} is not {RUN_SCHEMA:?}; use the isomark that wrote it"
            )));
        }
        None => return Err(refuse("field schema is missing: not a run of isomark".into())),
    }
    // Read again from the text: only that knows lines.
    drop(head);
    let run = serde_json::from_str(text).map_err(|e| refuse(e.to_string()))?;
    bounds::check(&run).map_err(refuse)?;
    Ok(run)
}

fn read_lines<T: DeserializeOwned>(path: &Path) -> Result<Vec<T>, Error> {
    let file = open(path, MAX_LINES)?;
    parse_lines(&path.display().to_string(), BufReader::with_capacity(1 << 16, file))
}

/// Reads the lines of a `.jsonl`; `name` is what messages call it. A last line without its newline is left out.
///
/// # Errors
/// [`Error::Input`] naming file and line.
pub fn parse_lines<T: DeserializeOwned>(name: &str, mut reader: impl BufRead) -> Result<Vec<T>, Error> {
    let fail = |e: io::Error| Error::Input(format!("{name}: {e}"));
    let (mut all, mut line) = (Vec::new(), Vec::new());
    for number in 1_usize.. {
        line.clear();
        let limit = MAX_LINE as u64 + 1;
        (&mut reader).take(limit).read_until(b'\n', &mut line).map_err(fail)?;
        if line.len() > MAX_LINE {
            return Err(Error::Input(format!("{name} line {number}: longer than {MAX_LINE} bytes")));
        }
        // No newline: the end of the file, or a line that a crash cut short.
        if line.pop() != Some(b'\n') {
            break;
        }
        let refuse = |e: serde_json::Error| Error::Input(format!("{name} line {number}: {e}"));
        all.push(serde_json::from_slice(&line).map_err(refuse)?);
    }
    Ok(all)
}

/// Opens for appending, cut back to the last whole line.
fn grow(path: &Path) -> Result<File, Error> {
    let fail = |e: io::Error| Error::os(format!("open {}", path.display()), e);
    let mut file = own(path, MAX_LINES, OpenOptions::new().read(true).append(true))?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).map_err(fail)?;
    let whole = bytes.iter().rposition(|b| *b == b'\n').map_or(0, |at| at + 1);
    if whole < bytes.len() {
        file.set_len(whole as u64).map_err(fail)?;
    }
    Ok(file)
}
