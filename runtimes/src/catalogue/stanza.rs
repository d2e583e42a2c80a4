//! What a stanza of the catalogue says: a tool described by its verbs, as data.
//!
//! The form is closed: a key that is not here is refused when the stanza is read. Text that may hold placeholders keeps
//! its place in the file, so that what is wrong with it can be told by line.

use std::collections::BTreeMap;

use isomark_core::Kind;
use serde::Deserialize;
use toml::Spanned;

/// Text with `{placeholders}`.
pub(crate) type Text = Spanned<String>;

/// One tool.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Stanza {
    /// Its name on the shelf.
    pub(crate) name: Text,
    /// `container` or `vm`.
    pub(crate) kind: Spanned<Kind>,
    /// What it is, in one line.
    pub(crate) about: String,
    /// Where it comes from.
    pub(crate) homepage: String,
    /// Whether the conformance suite passes with it. What is not verified is shown, and measured only when named.
    pub(crate) verified: bool,
    /// Whether its commands set the spec's limits on memory, CPU time and tasks.
    #[serde(default)]
    pub(crate) limits: bool,
    /// Whether it needs root.
    #[serde(default)]
    pub(crate) root: bool,
    /// What isomark prepares for it from the program's bytes.
    #[serde(default)]
    pub(crate) needs: Vec<Need>,
    /// Quirks that data cannot express.
    #[serde(default)]
    pub(crate) hooks: Vec<Hook>,
    /// Which control groups its instances lie in.
    #[serde(default)]
    pub(crate) group: GroupUse,
    /// What its exit status tells of a program that a signal ended.
    #[serde(default)]
    pub(crate) exit: ExitForm,
    /// Its programs, found along PATH. `tool` is the main one, which `NAME@BINARY` replaces.
    pub(crate) tools: BTreeMap<String, Text>,
    /// How its version is asked.
    pub(crate) probe: Probe,
    /// How it is got.
    pub(crate) install: Install,
    /// Environment of its commands.
    #[serde(default)]
    pub(crate) env: BTreeMap<String, Text>,
    /// What a user may choose: `NAME{key=value}`.
    #[serde(default)]
    pub(crate) params: BTreeMap<String, Param>,
    /// Further things in an instance's root.
    #[serde(default)]
    pub(crate) root_files: RootFiles,
    /// Daemons that instances share.
    #[serde(default)]
    pub(crate) service: Vec<Service>,
    /// Run once for each program, outside of what is timed: importing an image.
    #[serde(default)]
    pub(crate) prepare: Vec<Verb>,
    /// Everything that can be done before the program exists; folded into the start where a tool cannot tell them apart.
    pub(crate) create: Option<Verb>,
    /// Starts the program.
    pub(crate) start: Verb,
    /// Ends a program that does not end by itself.
    pub(crate) stop: Option<Verb>,
    /// Take away what `create` made, in order.
    #[serde(default)]
    pub(crate) remove: Vec<Verb>,
    /// How the program's process is found.
    #[serde(default)]
    pub(crate) program: Locate,
    /// Where its disk use lies.
    #[serde(default)]
    pub(crate) disk: Places,
    /// How one variable of the program's environment is passed: words with `{key}` and `{value}`.
    #[serde(default)]
    pub(crate) pass_env: Vec<Text>,
    /// Whether the program gets its environment from the command that starts it, unchanged.
    #[serde(default)]
    pub(crate) inherits_env: bool,
    /// Where the command that starts the program works.
    pub(crate) work_in: Option<Text>,
    /// A configuration file, written to `{config}` for each instance.
    pub(crate) config: Option<Text>,
    /// Files that all instances share, written to `{home}` by name.
    #[serde(default)]
    pub(crate) files: BTreeMap<String, Text>,
    /// What its messages mean.
    #[serde(default)]
    pub(crate) condition: Vec<Condition>,
    /// What sets its box apart from others; a report lists the differences.
    pub(crate) facts: Facts,
}

/// What isomark prepares.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Need {
    /// A root directory of the instance's own: `{rootfs}`.
    Rootfs,
    /// A root directory and a `config.json` beside it: `{bundle}`.
    OciBundle,
    /// An archive of a root, once for each program: `{image}`.
    ImageArchive,
}

/// What code does for a stanza that asks for it, because data cannot say it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Hook {
    /// All its commands run in one mount namespace that goes with isomark's command: what they mount leaves no trace.
    PrivateMounts,
    /// The same for networks: bridges, addresses and filter rules.
    PrivateNetwork,
    /// Empty /run and /dev/shm in the private mounts: state files of tools that let nobody choose their place.
    OwnRun,
    /// On hosts whose controllers are in v1, no cgroup2 in the private mounts: some tools refuse both at once.
    WithoutEmptyCgroup2,
    /// Its commands start with SIGCHLD blocked, for a tool that would miss a child that ends at once.
    BlockSigchld,
    /// Everything that its commands leave running becomes isomark's child and is waited for before it is removed.
    Adopt,
}

/// Which control groups instances lie in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum GroupUse {
    /// The caller's.
    #[default]
    None,
    /// One that isomark makes, with the spec's limits, and starts the tool in.
    Join,
    /// One that the tool makes at `{group}`, or below `{parent}`.
    Path,
}

/// What an exit status tells of a signal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum ExitForm {
    /// The program's own wait status: isomark reaps the program itself.
    Own,
    /// As a shell tells it: 128 and the signal.
    #[default]
    Shell,
    /// Nothing: some other number.
    Lossy,
}

/// How a tool's version is asked.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Probe {
    pub(crate) command: Vec<Text>,
    /// Text around one `{}`, which stands for the version up to the next blank.
    pub(crate) version: Text,
}

/// How a tool is got.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Install {
    /// Debian packages.
    pub(crate) debian: Option<String>,
    /// A crate and how it is built.
    #[serde(rename = "crate")]
    pub(crate) cargo: Option<String>,
    /// Anything else, in words.
    pub(crate) other: Option<String>,
}

/// One command.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Verb {
    pub(crate) command: Vec<Text>,
    /// Whether the program's streams are this command's.
    #[serde(default)]
    pub(crate) streams: bool,
    /// Whether its failure is none: it takes away what need not be there.
    #[serde(default)]
    pub(crate) may_fail: bool,
}

/// A daemon.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Service {
    pub(crate) name: String,
    pub(crate) command: Vec<Text>,
    /// Succeeds once the daemon can be used.
    pub(crate) ready: Vec<Text>,
}

/// What a user may choose.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Param {
    pub(crate) about: String,
    pub(crate) default: Text,
    /// Allowed words; the chosen one replaces the placeholder.
    #[serde(default)]
    pub(crate) words: Vec<String>,
    /// Allowed words with the arguments that replace a placeholder standing alone.
    #[serde(default)]
    pub(crate) arguments: BTreeMap<String, Vec<String>>,
}

impl Param {
    /// The words that are allowed.
    pub(crate) fn allowed(&self) -> Vec<&str> {
        self.words.iter().chain(self.arguments.keys()).map(String::as_str).collect()
    }
}

/// Further things in an instance's root.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RootFiles {
    #[serde(default)]
    pub(crate) directories: Vec<String>,
    /// Path inside and content.
    #[serde(default)]
    pub(crate) files: BTreeMap<String, String>,
}

/// How the program's process is found. Without a word: it is what descends from the command and executes the program.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Locate {
    /// A file that holds its pid once the command with the streams is done, or has started it.
    pub(crate) pid_file: Option<Text>,
    /// A command that prints its pid.
    #[serde(default)]
    pub(crate) command: Vec<Text>,
    /// Whether that process is the tool's own and runs the program within itself, behind its own kernel.
    #[serde(default)]
    pub(crate) within: bool,
}

/// Where disk use lies, beside the root directory that isomark makes.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Places {
    /// Shared by all instances.
    #[serde(default)]
    pub(crate) shared: Vec<Text>,
    /// A command that prints the directories of this instance, one a line.
    #[serde(default)]
    pub(crate) private_command: Vec<Text>,
    /// What the way of provisioning is called; none: its disk use cannot be told.
    pub(crate) provision: Option<String>,
}

/// What a message of the tool means.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Condition {
    /// Part of the message.
    pub(crate) pattern: String,
    pub(crate) reason: String,
    pub(crate) remedy: String,
}

/// What sets a box apart.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Facts {
    pub(crate) network: Text,
    pub(crate) seccomp: Text,
    pub(crate) userns: Text,
    pub(crate) limits: Text,
    pub(crate) rootfs: Text,
    pub(crate) console: Text,
    pub(crate) namespaces: Text,
    /// Whose kernel serves the program's system calls, where it is not the host's.
    pub(crate) kernel: Option<Text>,
}

impl Facts {
    /// Each with its key in an identity.
    pub(crate) fn all(&self) -> Vec<(&'static str, &Text)> {
        let always = [
            ("network", &self.network),
            ("seccomp", &self.seccomp),
            ("userns", &self.userns),
            ("limits", &self.limits),
            ("rootfs", &self.rootfs),
            ("console", &self.console),
            ("namespaces", &self.namespaces),
        ];
        always.into_iter().chain(self.kernel.as_ref().map(|text| ("kernel", text))).collect()
    }
}
