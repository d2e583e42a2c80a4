//! The root file system of a container: a lower directory that all instances share and a layer of their own.
//!
//! The lower directory holds the program, mount points and (for root) device nodes, and is never written to once it
//! is made. The layer above is lost with the instance's mount namespace, or lies in the instance's own directory.

use std::fs;
use std::path::{Path, PathBuf};

use isomark_core::{Error, Image, Site};
use libc::{MS_BIND, MS_NODEV, MS_NOEXEC, MS_NOSUID, MS_PRIVATE, MS_RDONLY, MS_REC};
use nix::sys::stat::{Mode, SFlag, makedev, mknod};

use crate::launch::{Step, c};

/// The program's path inside.
pub(crate) const PROGRAM: &str = "/program";

/// Character devices that a program may expect, with their numbers (admin-guide/devices.txt).
const DEVICES: [(&str, u64, u64); 5] =
    [("null", 1, 3), ("zero", 1, 5), ("full", 1, 7), ("random", 1, 8), ("urandom", 1, 9)];

/// How the root of an instance is provisioned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Provision {
    /// Overlay over the shared directory, upper layer in memory.
    Ephemeral,
    /// Overlay over the shared directory, upper layer in the instance's directory on disk.
    Overlay,
    /// A full copy of the shared directory on disk.
    Copy,
}

impl Provision {
    pub(crate) const ALL: [Self; 3] = [Self::Ephemeral, Self::Overlay, Self::Copy];

    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Ephemeral => "ephemeral",
            Self::Overlay => "overlay",
            Self::Copy => "copy",
        }
    }

    pub(crate) fn named(word: Option<&str>) -> Result<Self, Error> {
        let Some(word) = word else { return Ok(Self::Ephemeral) };
        Self::ALL.into_iter().find(|p| p.word() == word).ok_or_else(|| {
            Error::Input(format!(
                "provision {word:?} is none of ephemeral, overlay, copy, which namespace knows"
            ))
        })
    }
}

/// The shared lower directory of one program.
#[derive(Clone, Debug)]
pub(crate) struct Lower {
    dir: PathBuf,
    /// Whether device nodes could be made; without, the host's are bound into each instance.
    nodes: bool,
}

impl Lower {
    /// Makes (once per program) the shared directory below the site.
    ///
    /// # Errors
    /// What the host refused.
    pub(crate) fn of(site: &Site, image: &Image) -> Result<Self, Error> {
        let dir = site.dir().join(format!("root-{}", &image.sha256()[..16]));
        let nodes = nix::unistd::geteuid().is_root() && may_hold_devices(site.dir());
        let lower = Self { dir, nodes };
        if lower.dir.join("program").exists() {
            return Ok(lower);
        }
        let fail = |what: &Path, e: std::io::Error| Error::os(format!("make {}", what.display()), e);
        for name in ["proc", "dev", "tmp"] {
            let path = lower.dir.join(name);
            fs::create_dir_all(&path).map_err(|e| fail(&path, e))?;
        }
        for (name, major, minor) in DEVICES {
            lower.device(name, major, minor)?;
        }
        let program = lower.dir.join("program");
        // A name of the same file where that is possible: one set of cached pages for every runtime.
        fs::hard_link(image.path(), &program)
            .or_else(|_| fs::copy(image.path(), &program).map(drop))
            .map_err(|e| fail(&program, e))?;
        Ok(lower)
    }

    fn device(&self, name: &str, major: u64, minor: u64) -> Result<(), Error> {
        let path = self.dir.join("dev").join(name);
        let mode = Mode::from_bits_truncate(0o666);
        if self.nodes && mknod(&path, SFlag::S_IFCHR, mode, makedev(major, minor)).is_ok() {
            let open_to_all = std::os::unix::fs::PermissionsExt::from_mode(0o666);
            return fs::set_permissions(&path, open_to_all)
                .map_err(|e| Error::os("open a device node to all", e));
        }
        fs::write(&path, "").map_err(|e| Error::os(format!("make {}", path.display()), e))
    }

    /// The directory.
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Makes the directories on disk that a way of provisioning needs for one instance.
    ///
    /// # Errors
    /// What the host refused.
    pub(crate) fn lay(&self, provision: Provision, own: &Path) -> Result<(), Error> {
        let make = |path: PathBuf| {
            fs::create_dir_all(&path).map_err(|e| Error::os(format!("make {}", path.display()), e))
        };
        match provision {
            Provision::Ephemeral => Ok(()),
            Provision::Overlay => ["u", "w"].into_iter().try_for_each(|layer| make(own.join(layer))),
            Provision::Copy => self.copy_to(own),
        }
    }

    /// Copies the directory for one instance, hard links broken.
    ///
    /// # Errors
    /// What the host refused.
    fn copy_to(&self, to: &Path) -> Result<(), Error> {
        for name in ["proc", "dev", "tmp"] {
            fs::create_dir_all(to.join(name)).map_err(|e| Error::os(format!("make {}", to.display()), e))?;
        }
        let copy = Self { dir: to.to_owned(), nodes: self.nodes };
        DEVICES.into_iter().try_for_each(|(name, major, minor)| copy.device(name, major, minor))?;
        let (from, to) = (self.dir.join("program"), to.join("program"));
        fs::copy(&from, &to).map(drop).map_err(|e| Error::os(format!("copy {}", from.display()), e))
    }
}

fn may_hold_devices(dir: &Path) -> bool {
    nix::sys::statvfs::statvfs(dir).is_ok_and(|fs| !fs.flags().contains(nix::sys::statvfs::FsFlags::ST_NODEV))
}

/// Directories of an instance's root, as the child finds them on the host before it pivots.
#[derive(Debug)]
pub(crate) struct Layer<'a> {
    pub(crate) lower: &'a Lower,
    pub(crate) provision: Provision,
    /// Where the root is assembled: an empty directory that all instances share, for each has mounts of its own.
    pub(crate) merged: &'a Path,
    /// The instance's own directory, for the ways that need one.
    pub(crate) own: &'a Path,
    /// Bound on what is written to a layer in memory, in bytes.
    pub(crate) memory: u64,
}

impl Layer<'_> {
    /// The steps that assemble the root and enter it; it remains to pivot.
    ///
    /// # Errors
    /// [`Error::Input`] if a path holds a zero byte.
    pub(crate) fn steps(&self) -> Result<Vec<Step>, Error> {
        let merged = text(self.merged);
        // Nothing that is mounted here may travel to the host's namespace (mount_namespaces(7)).
        let mut steps = vec![Step::mount("none", "/", "", MS_REC | MS_PRIVATE, "")?];
        match self.provision {
            Provision::Ephemeral => {
                let (size, upper) = (format!("mode=755,size={}", self.memory), format!("{merged}/u"));
                let work = format!("{merged}/w");
                steps.push(Step::mount("tmpfs", &merged, "tmpfs", MS_NOSUID | MS_NODEV, &size)?);
                steps.extend([Step::directory(&c(&upper)?), Step::directory(&c(&work)?)]);
                steps.push(self.overlay(&upper, &work, &merged)?);
            }
            Provision::Overlay => {
                let own = text(self.own);
                steps.push(self.overlay(&format!("{own}/u"), &format!("{own}/w"), &merged)?);
            }
            Provision::Copy => steps.push(Step::mount(&text(self.own), &merged, "", MS_BIND, "")?),
        }
        steps.push(Step::WorkIn { path: c(&merged)? });
        // Read-only as a whole: uid 0 owns /proc/sys, with or without capabilities.
        let strict = MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_RDONLY;
        steps.push(Step::mount("proc", "proc", "proc", strict, "")?);
        if !self.lower.nodes {
            for (name, ..) in DEVICES {
                steps.push(Step::mount(&format!("/dev/{name}"), &format!("dev/{name}"), "", MS_BIND, "")?);
            }
        }
        Ok(steps)
    }

    fn overlay(&self, upper: &str, work: &str, at: &str) -> Result<Step, Error> {
        let lower = text(self.lower.dir());
        let data = format!("lowerdir={lower},upperdir={upper},workdir={work}");
        let nodev = if self.lower.nodes { 0 } else { MS_NODEV };
        Step::mount("overlay", at, "overlay", MS_NOSUID | nodev, &data)
    }
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}
