//! `fleet.toml`: which hosts are to measure what, with which isomark, and where the results go.
//!
//! Everything that would reach a shell, an engine or a file name is checked here, and each refusal names file, line and
//! key: a description that was read can be rendered for any engine it has selectors for.

use std::collections::BTreeMap;

use isomark_core::Error;
use serde::Deserialize;
use toml::Spanned;

use super::check::{self, Place};
use super::units;

/// A value that knows its line.
pub(super) type Text = Spanned<String>;

/// A fleet as its file has it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Fleet {
    /// Its name: part of names of jobs.
    pub name: Text,
    /// Plan: a name that isomark knows, or a file beside the description.
    pub plan: Text,
    /// Seed of the first host; every further one, in the order of classes, has the next number.
    pub seed: Spanned<u64>,
    /// Longest time that one host may take: `90s`, `30m`, `2h`.
    pub time_limit: Text,
    /// Directory of the results, as every node sees it.
    pub results: Text,
    /// The isomark that measures.
    pub isomark: Binary,
    /// Trials of each cell, in place of the plan's number.
    pub runs: Option<Spanned<u32>>,
    /// Runtimes, in place of all that isomark measures by itself.
    #[serde(default)]
    pub runtimes: Vec<Text>,
    /// Scenarios, in place of all of the plan's.
    #[serde(default)]
    pub scenarios: Vec<Text>,
    /// Whether an engine may start a host's measurement again after the node died.
    #[serde(default)]
    pub requeue: bool,
    /// Environment of every measurement.
    #[serde(default)]
    pub environment: BTreeMap<String, Text>,
    /// What only Kubernetes needs.
    pub kubernetes: Option<Kubernetes>,
    /// Kinds of hosts.
    #[serde(rename = "class")]
    pub classes: Spanned<Vec<Class>>,
}

/// Which isomark.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Binary {
    /// File, as every node (or the image) has it.
    pub path: Text,
    /// Its SHA-256, as `sha256sum` prints it.
    pub sha256: Text,
}

/// A kind of host.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Class {
    /// Its name, as DNS labels are: part of names of jobs and folders.
    pub label: Text,
    /// Hosts of this kind that measure.
    pub replicas: Spanned<u32>,
    /// Runtimes without which a host of this kind is unfit.
    #[serde(default)]
    pub require: Vec<Text>,
    /// CPUs of a measurement (Kubernetes; Slurm gives the whole node).
    pub cpus: Option<Spanned<u32>>,
    /// Memory of a measurement: `8G` (Slurm: all of the node by default).
    pub memory: Option<Text>,
    /// KVM class that its hosts must have, as `isomark doctor` says it.
    pub kvm_class: Option<Text>,
    /// How engines find its hosts.
    #[serde(default)]
    pub selector: Selector,
}

/// How engines find hosts.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Selector {
    /// Options of sbatch.
    #[serde(default)]
    pub slurm: Option<Slurm>,
    /// Labels of nodes.
    #[serde(default)]
    pub kubernetes: BTreeMap<String, Text>,
}

/// What sbatch is told.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Slurm {
    /// `--partition`.
    pub partition: Option<Text>,
    /// `--constraint`.
    pub constraint: Option<Text>,
    /// `--account`.
    pub account: Option<Text>,
    /// `--qos`.
    pub qos: Option<Text>,
}

/// What only Kubernetes needs.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Kubernetes {
    /// Image with a shell, coreutils' (or busybox's) tools and the isomark named above.
    pub image: Text,
    /// Claim of a volume that every node can write to, mounted at `results`.
    pub claim: Text,
    /// Namespace of the jobs.
    pub namespace: Option<Text>,
    /// How a pod gets `/dev/kvm`: `none`, `host-path`, or the resource of a device plugin.
    pub kvm: Text,
    /// A RuntimeClass to be measured as a runtime of its own.
    pub runtime_class: Option<Text>,
}

impl Fleet {
    /// Reads a description.
    ///
    /// # Errors
    /// [`Error::Input`] naming file, line and key, with what to write instead.
    pub fn parse(file: &str, text: &str) -> Result<Self, Error> {
        let fleet: Self = toml::from_str(text).map_err(|e| Error::Input(format!("{file}: {e}")))?;
        check::fleet(&fleet, &Place::new(file, text))?;
        Ok(fleet)
    }

    /// The classes.
    #[must_use]
    pub fn classes(&self) -> &[Class] {
        self.classes.get_ref()
    }

    /// Seed of a host: its number within its class, from 0.
    #[must_use]
    pub fn seed(&self, label: &str, index: u32) -> u64 {
        let before = self.classes().iter().take_while(|class| class.label.get_ref() != label);
        let first: u64 = before.map(|class| u64::from(*class.replicas.get_ref())).sum();
        self.seed.get_ref() + first + u64::from(index)
    }

    /// Longest time of a host, in seconds.
    #[must_use]
    pub fn limit_s(&self) -> u64 {
        units::seconds(self.time_limit.get_ref()).unwrap_or(1)
    }
}

impl Class {
    /// Memory of a measurement in bytes, if it is said.
    #[must_use]
    pub fn memory_bytes(&self) -> Option<u64> {
        self.memory.as_ref().and_then(|text| units::bytes(text.get_ref()).ok())
    }
}
