//! Where commands under trial stand: a directory with a state and a place for temporary files of its own, and a lock.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use crate::{Failure, asked, kin};

/// Bound on the end of what is still there at the end.
const END: Duration = Duration::from_secs(20);

/// The directory; removed at the end, after everybody who descends from us has been ended and settled.
pub(crate) struct Ground {
    dir: tempfile::TempDir,
    isomark: PathBuf,
}

impl Ground {
    /// On a disk: /tmp may be in memory.
    pub(crate) fn new() -> Result<Self, Failure> {
        // Whoever a killed command leaves becomes our child, whatever it is called.
        nix::sys::prctl::set_child_subreaper(true)?;
        let dir = tempfile::Builder::new().prefix("isomark-endure-").tempdir_in("/var/tmp")?;
        std::fs::create_dir(dir.path().join("tmp"))?;
        let built = std::env::current_exe()?;
        let isomark =
            built.parent().and_then(Path::parent).ok_or("this is no example of cargo's")?.join("isomark");
        if !isomark.is_file() {
            return Err(format!("{} is not built", isomark.display()).into());
        }
        Ok(Self { dir, isomark })
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// isomark with nothing of the caller's `ISOMARK_*` but the kernel for guests.
    pub(crate) fn isomark(&self, args: &[&str]) -> Command {
        let mut command = Command::new(&self.isomark);
        for (name, _) in std::env::vars_os() {
            let word = name.to_string_lossy();
            if word.starts_with("ISOMARK_") && word != "ISOMARK_KERNEL" {
                command.env_remove(&name);
            }
        }
        command.env("ISOMARK_STATE", self.path("state")).env("ISOMARK_LOCK", self.path("lock"));
        command
            .env("TMPDIR", self.path("tmp"))
            .env_remove("GITHUB_STEP_SUMMARY")
            .current_dir(self.dir.path());
        command.args(args).stdin(Stdio::null());
        command
    }

    pub(crate) fn output(&self, args: &[&str]) -> Result<Output, Failure> {
        asked::go_on()?;
        Ok(self.isomark(args).output()?)
    }

    /// Runtimes that can run here, floors left out.
    pub(crate) fn runtimes(&self) -> Result<Vec<String>, Failure> {
        let listed = self.output(&["list", "--format", "json"])?;
        let listing: serde_json::Value = serde_json::from_slice(&listed.stdout)?;
        let runtimes = listing["runtimes"].as_array().ok_or("isomark list names no runtimes")?;
        let available = runtimes.iter().filter(|r| r["status"] == "available");
        let names = available.filter_map(|r| r["name"].as_str().map(str::to_owned));
        Ok(names.filter(|name| !name.starts_with("floor-")).collect())
    }
}

impl Drop for Ground {
    fn drop(&mut self) {
        kin::end_everybody(END);
        // Groups and mounts have no other end, and a directory with a mount in it cannot go.
        let _ = self.isomark(&["clean"]).output();
        kin::end_everybody(END);
    }
}
