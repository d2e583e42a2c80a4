//! The distribution guest: a Debian disk that scripts/make-guest has built, and the ways to give each instance its own.
//!
//! The payload lies on that disk, so it is the built-in one or nothing: the hash that was written beside the disk decides.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use isomark_core::{Error, Unavailable};

use crate::external::find;

/// A built guest.
#[derive(Clone, Debug)]
pub(super) struct Distribution {
    dir: PathBuf,
    /// What make-guest wrote: `key=value` lines.
    facts: BTreeMap<String, String>,
}

/// Ways of provisioning, and what each gives QEMU.
pub(super) const WAYS: [(&str, &str); 3] = [("qcow2", "qcow2"), ("raw", "raw"), ("reflink", "raw")];

impl Distribution {
    /// The guest below a state directory.
    pub(super) fn open(state: &Path) -> Result<Self, Unavailable> {
        let dir = state.join("guest");
        let missing = |what: &str| {
            Unavailable::new(
                format!("there is no distribution guest: {}", dir.join(what).display()),
                "scripts/make-guest builds one from Debian's packages (as root, some minutes)",
            )
        };
        let text = std::fs::read_to_string(dir.join("guest.txt")).map_err(|_| missing("guest.txt"))?;
        if let Some(gone) =
            ["disk.raw", "vmlinuz", "initrd.img"].iter().find(|name| !dir.join(name).is_file())
        {
            return Err(missing(gone));
        }
        let pair = |line: &str| line.split_once('=').map(|(key, value)| (key.to_owned(), value.to_owned()));
        let facts = text.lines().filter_map(pair).collect();
        Ok(Self { dir, facts })
    }

    /// Whether the program on the disk is this one.
    pub(super) fn holds(&self, sha256: &str) -> Result<(), Error> {
        if self.facts.get("payload sha256").is_some_and(|own| own == sha256) {
            return Ok(());
        }
        let dir = self.dir.display();
        Err(Error::Unsupported(format!(
            "the guest in {dir} holds another program; scripts/make-guest builds it anew"
        )))
    }

    pub(super) fn kernel(&self) -> PathBuf {
        self.dir.join("vmlinuz")
    }

    pub(super) fn initrd(&self) -> PathBuf {
        self.dir.join("initrd.img")
    }

    pub(super) fn disk(&self) -> PathBuf {
        self.dir.join("disk.raw")
    }

    /// What tells it from another.
    pub(super) fn details(&self) -> impl Iterator<Item = (String, String)> + '_ {
        self.facts.iter().map(|(key, value)| (format!("guest {key}"), value.clone()))
    }

    /// The ways that this host has, tried out where that is needed; `scratch` is on the file system that instances use.
    pub(super) fn ways(&self, scratch: &Path) -> Vec<String> {
        let works = |way: &str| match way {
            "qcow2" => find("qemu-img").is_some(),
            "reflink" => {
                let (from, to) = (scratch.join("reflink-from"), scratch.join("reflink-to"));
                let cloned = std::fs::write(&from, "x").is_ok() && copy("always", &from, &to).is_ok();
                let _ = (std::fs::remove_file(from), std::fs::remove_file(to));
                cloned
            }
            _ => true,
        };
        WAYS.iter().filter(|(way, _)| works(way)).map(|(way, _)| (*way).to_owned()).collect()
    }

    /// Makes an instance's own disk.
    ///
    /// # Errors
    /// What the tool said.
    pub(super) fn provision(&self, way: &str, to: &Path) -> Result<(), Error> {
        match way {
            "qcow2" => {
                let mut tool = Command::new("qemu-img");
                tool.args(["create", "-q", "-f", "qcow2", "-F", "raw", "-b"]).arg(self.disk()).arg(to);
                run(tool)
            }
            "reflink" => copy("always", &self.disk(), to),
            // What is a hole in the original stays one: a full copy of what there is.
            _ => copy("never", &self.disk(), to),
        }
    }
}

fn copy(reflink: &str, from: &Path, to: &Path) -> Result<(), Error> {
    let mut tool = Command::new("cp");
    tool.arg(format!("--reflink={reflink}")).arg("--sparse=auto").arg(from).arg(to);
    run(tool)
}

fn run(mut tool: Command) -> Result<(), Error> {
    let name = tool.get_program().to_string_lossy().into_owned();
    let output = tool.output().map_err(|e| Error::os(format!("start {name}"), e))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(Error::os(format!("{name}: {said}"), std::io::Error::other(output.status.to_string())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guest_is_whole_or_not_there() {
        let state = tempfile::tempdir().unwrap();
        let why = Distribution::open(state.path()).unwrap_err();
        assert!(why.reason.contains("guest.txt") && why.remedy.contains("make-guest"));
        let dir = state.path().join("guest");
        std::fs::create_dir(&dir).unwrap();
        std::fs::write(dir.join("guest.txt"), "payload sha256=abc\npackages=3\n").unwrap();
        assert!(Distribution::open(state.path()).unwrap_err().reason.contains("disk.raw"));
        for name in ["disk.raw", "vmlinuz", "initrd.img"] {
            std::fs::write(dir.join(name), vec![7; 9000]).unwrap();
        }
        let guest = Distribution::open(state.path()).unwrap();
        assert!(guest.holds("abc").is_ok() && matches!(guest.holds("abd"), Err(Error::Unsupported(_))));
        assert!(guest.ways(state.path()).contains(&"raw".to_owned()));
        let own = state.path().join("own");
        guest.provision("raw", &own).unwrap();
        assert_eq!(std::fs::read(own).unwrap(), vec![7; 9000]);
    }
}
