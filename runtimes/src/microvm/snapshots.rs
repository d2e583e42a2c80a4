//! Snapshots that a command has made or was given: each is checked once and then serves any number of clones.
//!
//! A clone maps the file that was checked, through the descriptor that was checked: whoever replaces the file later
//! changes nothing.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use isomark_core::{Error, Origin, Site, Spec};
use isomark_vmm::machine::Cpu;
use isomark_vmm::mask::Mask;
use isomark_vmm::snapshot;

/// A snapshot that can be restored.
#[derive(Debug)]
pub(super) struct Snapshot {
    pub(super) path: PathBuf,
    pub(super) file: File,
}

/// The snapshots of a command, by what they are of.
#[derive(Debug, Default)]
pub(super) struct Snapshots(Mutex<BTreeMap<String, Arc<Snapshot>>>);

impl Snapshots {
    /// The one for this spec; `make` writes it into a file if there is none yet.
    pub(super) fn of(
        &self,
        site: &Site,
        spec: &Spec,
        make: impl FnOnce(&File) -> Result<(), Error>,
    ) -> Result<Arc<Snapshot>, Error> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let key = key(spec);
        if let Some(found) = known.get(&key) {
            return Ok(Arc::clone(found));
        }
        let path = match &spec.origin {
            Origin::Snapshot(Some(path)) => path.clone(),
            _ => site.dir().join(format!("snapshot-{}", known.len())),
        };
        if !path.exists() {
            write(&path, make)?;
        }
        let file = open(&path, spec)?;
        let snapshot = Arc::new(Snapshot { path, file });
        known.insert(key, Arc::clone(&snapshot));
        Ok(snapshot)
    }
}

/// Everything that is inside a snapshot or decides about it.
pub(super) fn key(spec: &Spec) -> String {
    let program = &spec.program;
    let words = (&program.name, &program.args, &program.env);
    let own = (words, spec.memory, spec.huge_pages, &spec.origin, spec.cpu.to_string());
    format!("{} {own:?}", program.image.sha256())
}

/// Under another name until it is complete: a half-written snapshot is never seen.
fn write(path: &Path, make: impl FnOnce(&File) -> Result<(), Error>) -> Result<(), Error> {
    let op = |what: &str| format!("{what} the snapshot {}", path.display());
    let mut part = path.as_os_str().to_owned();
    part.push(format!(".{}.part", std::process::id()));
    let part = PathBuf::from(part);
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&part);
    let file = file.map_err(|e| Error::Input(format!("{}: {e}", op("make"))))?;
    let made = make(&file).and_then(|()| fs::rename(&part, path).map_err(|e| Error::os(op("name"), e)));
    if made.is_err() {
        // The failure is what is told; a file that cannot be removed says so itself.
        let _ = fs::remove_file(&part);
    }
    made
}

/// Never waits: whoever opens a pipe by its name waits for the other end.
fn regular(path: &Path) -> std::io::Result<File> {
    let file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path)?;
    if file.metadata()?.is_file() { Ok(file) } else { Err(std::io::Error::other("it is not a regular file")) }
}

fn open(path: &Path, spec: &Spec) -> Result<File, Error> {
    let image = spec.program.image.path();
    let file = regular(path).map_err(|e| Error::Input(format!("{}: {e}", path.display())))?;
    let program = File::open(image).map_err(|e| Error::os(format!("open {}", image.display()), e))?;
    let args = [&spec.program.name].into_iter().chain(&spec.program.args).map(String::as_bytes);
    let env = super::variables(spec);
    let env = env.iter().map(String::as_bytes);
    let sum = snapshot::identity(program.as_fd(), args.chain(env));
    let mask =
        super::mask(&spec.cpu).map_or_else(|| Ok(Mask::default()), |mask| Mask::parse(mask.as_bytes()));
    let cpu = mask.map(|mask| Cpu::of_host().without(&mask));
    let checked = sum.and_then(|sum| cpu.and_then(|cpu| snapshot::check(&file, sum, spec.memory, &cpu)));
    checked.map_err(|e| {
        Error::Input(format!("{}: {e}; remove the file to have it made anew", path.display()))
    })?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pipe_in_place_of_a_snapshot_is_refused_and_not_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pipe");
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
        let refused = regular(&path).expect_err("it is a pipe").to_string();
        assert!(refused.contains("not a regular file"), "{refused}");
        assert!(regular(folder.path()).is_err() && regular(Path::new("/dev/null")).is_err());
    }
}
