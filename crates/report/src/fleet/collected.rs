//! `fleet.json`: a collected fleet, host by host.
//!
//! Field names are the file format `isomark.fleet/1`. A collected fleet is a folder with this file and the run of every
//! host that can be used below `hosts/`; it appears as a whole or not at all.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::{fs, io};

use isomark_core::Error;
use isomark_core::record::Host;
use isomark_core::store::{self, pretty};
use serde::{Deserialize, Serialize};

/// Schema name of `fleet.json`.
pub const SCHEMA: &str = "isomark.fleet/1";
/// The file that makes a folder a collected fleet.
pub const FILE: &str = "fleet.json";
/// Largest file accepted, in bytes.
const MOST: u64 = 64 << 20;
/// What is taken of a host's folder.
const TAKEN: [&str; 3] = ["run.json", "samples.jsonl", "blocks.jsonl"];
/// Largest of these, in bytes.
const LARGEST: u64 = 1 << 30;

/// A collected fleet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Collected {
    /// [`SCHEMA`].
    pub schema: String,
    /// Its name.
    pub name: String,
    /// Name of the plan.
    pub plan: String,
    /// The payload that most hosts ran.
    pub payload_sha256: Option<String>,
    /// The isomark that measured.
    pub binary_sha256: Option<String>,
    /// Kinds of hosts, in the order of the description.
    pub classes: Vec<ClassEntry>,
    /// Every host that was asked for.
    pub hosts: Vec<HostEntry>,
    /// Folders that stand for no host, each with the reason.
    pub set_aside: Vec<SetAside>,
    /// What a reader must know.
    pub notes: Vec<String>,
}

/// A kind of host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClassEntry {
    /// Its label.
    pub label: String,
    /// Hosts that were asked for.
    pub replicas: u32,
}

/// What became of a host.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Its run is whole, and can stand beside the others.
    Ok,
    /// Nothing whole came back from it.
    #[default]
    Missing,
    /// It told that it failed, or what it left cannot be used.
    Failed,
    /// A required runtime did not run there, or the host is not what its class asks for.
    Unfit,
    /// It is another kind of host than most of its class.
    Unlike,
}

impl Status {
    /// The word used in files and reports.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Missing => "missing",
            Self::Failed => "failed",
            Self::Unfit => "unfit",
            Self::Unlike => "unlike",
        }
    }
}

/// One host.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostEntry {
    /// Label of its class.
    pub class: String,
    /// Its number within the class, from 0.
    pub index: u32,
    /// What became of it.
    pub status: Status,
    /// Why.
    pub reasons: Vec<String>,
    /// The node, as the engine calls it.
    pub node: String,
    /// The folder that stands for it, as it was called.
    pub folder: Option<String>,
    /// How often the engine had begun again.
    pub restart: u32,
    /// Folders that it left.
    pub attempts: u32,
    /// Seed of its run.
    pub seed: Option<u64>,
    /// When it began.
    pub started: Option<String>,
    /// What kind of host it is.
    pub host: Option<HostWords>,
}

/// A host in a few words.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostWords {
    /// Its own name.
    pub name: String,
    /// CPU model.
    pub cpu: String,
    /// Usable CPUs.
    pub cpus: u32,
    /// Memory in bytes.
    pub memory: u64,
    /// `uname -r`.
    pub kernel: String,
    /// KVM class.
    pub kvm_class: String,
    /// cgroup layout.
    pub cgroup: String,
}

impl HostWords {
    pub(super) fn of(host: &Host) -> Self {
        Self {
            name: host.name.clone(),
            cpu: host.cpu.clone(),
            cpus: host.cpus,
            memory: host.memory,
            kernel: host.kernel.clone(),
            kvm_class: host.kvm_class.clone(),
            cgroup: host.cgroup.clone(),
        }
    }
}

/// A folder that stands for no host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetAside {
    /// Its name.
    pub folder: String,
    /// Why.
    pub why: String,
}

/// Whether a class can be called so: its label becomes part of the name of a folder.
pub(super) fn label(text: &str) -> bool {
    !text.is_empty() && text.len() <= 64 && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

impl HostEntry {
    /// Name of its folder within a collected fleet.
    #[must_use]
    pub fn place(&self) -> String {
        format!("hosts/{}-{}", self.class, self.index)
    }

    /// What to call it: its node, or its number where no node is known.
    #[must_use]
    pub fn title(&self) -> String {
        let number = format!("{}-{}", self.class, self.index);
        if self.node.is_empty() { number } else { format!("{number} ({})", crate::fmt::clean(&self.node)) }
    }
}

impl Collected {
    /// Whether a folder is a collected fleet.
    #[must_use]
    pub fn is_one(dir: &Path) -> bool {
        // A pipe or a link under that name is refused as one, not taken for no fleet.
        fs::symlink_metadata(dir.join(FILE)).is_ok()
    }

    /// Reads a collected fleet.
    ///
    /// # Errors
    /// [`Error::Input`] naming the file and what is wrong with it.
    pub fn open(dir: &Path) -> Result<Self, Error> {
        let path = dir.join(FILE);
        let refuse = |why: String| Error::Input(format!("{}: {why}", path.display()));
        let text = store::read(&path, MOST)?;
        let found: Self = serde_json::from_str(&text).map_err(|e| refuse(e.to_string()))?;
        if found.schema != SCHEMA {
            return Err(refuse(format!(
                "schema {:?} is not {SCHEMA:?}; use the isomark that wrote it",
                found.schema
            )));
        }
        if let Some(host) = found.hosts.iter().find(|host| !label(&host.class)) {
            return Err(refuse(format!("class {:?} is no label", host.class)));
        }
        let mut seen = BTreeSet::new();
        match found.hosts.iter().find(|host| !seen.insert((&host.class, host.index))) {
            Some(host) => Err(refuse(format!("host {} is there twice; collect again", host.title()))),
            None => Ok(found),
        }
    }

    /// Hosts whose runs can be used.
    pub fn usable(&self) -> impl Iterator<Item = &HostEntry> {
        self.hosts.iter().filter(|host| host.status == Status::Ok)
    }

    /// Writes a new folder with this file and the runs of the usable hosts, taken from the results in `from`.
    ///
    /// # Errors
    /// [`Error::Input`] if `out` exists already; otherwise what the host refused. Nothing is left then.
    pub fn write(&self, from: &Path, out: &Path) -> Result<(), Error> {
        if out.exists() {
            let text = format!("{} exists already; name another folder", out.display());
            return Err(Error::Input(text));
        }
        let mut part = out.as_os_str().to_owned();
        part.push(".part");
        let part = PathBuf::from(part);
        let fail = |what: &Path, e: io::Error| Error::os(format!("write {}", what.display()), e);
        let fill = || {
            fresh(&part).map_err(|e| fail(&part, e))?;
            for host in self.usable() {
                let Some(folder) = &host.folder else { continue };
                let place = part.join(host.place());
                fs::create_dir_all(&place).map_err(|e| fail(&place, e))?;
                for name in TAKEN {
                    store::copy(&from.join(folder).join(name), &place.join(name), LARGEST)?;
                }
            }
            let file = part.join(FILE);
            fs::write(&file, pretty(self)?).map_err(|e| fail(&file, e))?;
            fs::rename(&part, out).map_err(|e| fail(out, e))
        };
        fill().inspect_err(|_| {
            let _ = fs::remove_dir_all(&part);
        })
    }
}

/// A new directory in place of what an interrupted command, or somebody else, left there.
fn fresh(part: &Path) -> io::Result<()> {
    match fs::symlink_metadata(part) {
        Ok(there) if there.is_dir() => fs::remove_dir_all(part)?,
        Ok(_) => fs::remove_file(part)?,
        Err(_) => {}
    }
    part.parent().map_or(Ok(()), fs::create_dir_all)?;
    fs::create_dir(part)
}
