//! What the author of a runtime implements: two small traits.
//!
//! The author never sees a clock. The shared [`crate::Trial`] times each call; an implementation only makes it
//! happen, and may *tell* inner steps, which are shown as detail and never compared.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Unavailable};
use crate::features::Features;
use crate::image::Image;
use crate::payload::{Job, Reply};
use crate::phase::Phase;
use crate::trial::{DEFAULT_DEADLINE, DEFAULT_MEMORY, DEFAULT_TASKS};

/// A way of running a program.
pub trait Runtime: Sync {
    /// Its name, unique on the shelf.
    fn name(&self) -> &str;

    /// What it is at heart; decides where reports put it.
    fn kind(&self) -> Kind;

    /// Whether it is measured only where it is named: it takes so long that a plan for everybody could not afford it.
    fn on_request(&self) -> bool {
        false
    }

    /// Whether it is one of the catalogue's, of which a host may have any number.
    fn of_catalogue(&self) -> bool {
        false
    }

    /// Who this is on this host. Changes nothing on the host.
    ///
    /// # Errors
    /// Why it cannot run here, with the remedy.
    fn probe(&self) -> Result<Identity, Unavailable>;

    /// Makes what all instances share, and what the first of them would otherwise pay for: a daemon, an image store.
    /// Called before every create and outside of what is timed; done once.
    ///
    /// # Errors
    /// What the host refused.
    fn prepare(&self, _spec: &Spec) -> Result<(), Error> {
        Ok(())
    }

    /// Everything that can be done before the program exists.
    ///
    /// # Errors
    /// What the host refused; nothing is left behind then.
    fn create(&self, spec: &Spec) -> Result<Box<dyn Instance>, Error>;
}

/// One sandbox, called in phase order. Dropping it at any point leaves nothing behind.
pub trait Instance: Send {
    /// Starts the program; with a wire, returns once the payload said it is ready.
    ///
    /// # Errors
    /// If the program could not be started or was not ready within the deadline.
    fn start(&mut self) -> Result<(), Error>;

    /// Hands one job to the payload and waits for its reply.
    ///
    /// # Errors
    /// If the payload died, refused, or was silent beyond the deadline.
    fn run(&mut self, job: &Job) -> Result<Reply, Error>;

    /// Closes the wire, waits for the program's end (a program without a wire ends by itself) and reaps it.
    ///
    /// # Errors
    /// If the program did not end within the deadline; it is killed then.
    fn stop(&mut self) -> Result<Usage, Error>;

    /// Takes away everything that `create` made.
    ///
    /// # Errors
    /// What could not be removed.
    fn remove(self: Box<Self>) -> Result<(), Error>;

    /// Where its memory and disk are, for accounting while it runs.
    fn anatomy(&self) -> Anatomy;
}

/// What a runtime is at heart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// No box at all.
    Process,
    /// Shares the host's kernel.
    Container,
    /// Has a kernel of its own behind a virtual CPU.
    Vm,
    /// Not a way of running things: the least that the host needs for the steps a runtime cannot avoid.
    Floor,
}

impl Kind {
    /// The word used in files and reports.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Process => "process",
            Self::Container => "container",
            Self::Vm => "vm",
            Self::Floor => "floor",
        }
    }
}

/// Something that a runtime can do and another cannot; cells that need it are skipped elsewhere, with words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ability {
    /// Jobs can be handed to the payload (floors only start it).
    Jobs,
    /// The program may fork.
    Fork,
    /// Its memory can be accounted while it runs.
    Memory,
    /// It has a root file system whose disk use can be accounted.
    Disk,
    /// Programs of the user run in it.
    Programs,
    /// Memory and CPU time, and tasks where it has any, are limited as its spec says.
    Limits,
    /// It has a kernel of its own, which panics when its first process leaves.
    Kernel,
    /// It starts from a snapshot of a ready program.
    Snapshot,
    /// Instances are kept that wait for their start.
    Pool,
    /// Features of the CPU can be hidden from the program.
    Features,
}

impl Ability {
    /// The word used in reasons.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Jobs => "jobs",
            Self::Fork => "fork",
            Self::Memory => "memory accounting",
            Self::Disk => "a root file system of its own",
            Self::Programs => "programs of the user",
            Self::Kernel => "a kernel of its own that can panic",
            Self::Snapshot => "starting from a snapshot",
            Self::Pool => "a pool of instances that wait for their start",
            Self::Limits => "limits on memory, CPU time and tasks",
            Self::Features => "hiding features of the CPU",
        }
    }
}

/// Who a runtime is on this host.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Identity {
    /// Version text of the tool or of isomark.
    pub version: String,
    /// What it can do.
    pub can: Vec<Ability>,
    /// What it can do elsewhere and not here, and why.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub cannot: Vec<(Ability, String)>,
    /// Phases that are done inside another phase: `(phase, inside which)`. Shown as "in start", never as 0.9 µs.
    pub folded: Vec<(Phase, Phase)>,
    /// Ways in which it can provision a root file system; the first is the default.
    pub provisions: Vec<String>,
    /// Files of its own that it reads at every start: what a cold start evicts.
    pub files: Vec<PathBuf>,
    /// System calls of the host that its own filter lets its monitor make; none where the program itself calls the host's
    /// kernel, or nobody knows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub monitor_calls: Option<u64>,
    /// Everything else that tells this configuration from another: namespaces, limits, argv, hashes.
    pub details: BTreeMap<String, String>,
}

/// The program inside an instance and how the harness talks to it.
#[derive(Clone, Debug)]
pub struct Program {
    /// The static ELF.
    pub image: Image,
    /// What it sees as its own name (`argv[0]`).
    pub name: String,
    /// Arguments, without the program's own name.
    pub args: Vec<String>,
    /// Environment, complete: nothing is inherited.
    pub env: Vec<(String, String)>,
    /// How its standard streams are connected.
    pub stdio: Stdio,
}

impl Program {
    /// The payload: no arguments, an empty environment, the wire on stdin and stdout.
    #[must_use]
    pub fn payload(image: Image) -> Self {
        Self { image, name: "payload".into(), args: Vec::new(), env: Vec::new(), stdio: Stdio::Wire }
    }
}

/// How the standard streams of a program are connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stdio {
    /// The wire: jobs on stdin, replies on stdout; stderr is kept for error messages.
    Wire,
    /// The harness's own streams, passed through.
    Inherit,
    /// `/dev/null` in and out; stderr is kept for error messages.
    Null,
}

/// What an instance is to be.
#[derive(Clone, Debug)]
pub struct Spec {
    /// What runs inside.
    pub program: Program,
    /// Memory limit of a container, RAM of a virtual machine, in bytes.
    pub memory: u64,
    /// CPUs that the instance may use.
    pub cpus: u32,
    /// Tasks (processes and threads) that the instance may have, where the runtime limits them.
    pub tasks: u64,
    /// How the root file system is provisioned; `None`: the runtime's cheapest way.
    pub provision: Option<String>,
    /// Whether the instance may count on huge pages for its memory.
    pub huge_pages: bool,
    /// What a start begins with.
    pub origin: Origin,
    /// What the program is shown of the CPU.
    pub cpu: Features,
    /// Bound on every blocking call.
    pub deadline: Duration,
}

impl Spec {
    /// An instance of one CPU and 128 MiB for this program, provisioned in the runtime's cheapest way.
    #[must_use]
    pub fn new(program: Program) -> Self {
        Self {
            program,
            memory: DEFAULT_MEMORY,
            cpus: 1,
            tasks: DEFAULT_TASKS,
            provision: None,
            huge_pages: true,
            origin: Origin::Fresh,
            cpu: Features::default(),
            deadline: DEFAULT_DEADLINE,
        }
    }
}

/// What the start of an instance begins with: what was done for it before anybody asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Origin {
    /// Nothing.
    #[default]
    Fresh,
    /// The program as it was saved when it was about to speak for the first time: in this file, which is made if there is
    /// none; without a name, in one of the command's own.
    Snapshot(Option<PathBuf>),
    /// An instance of its own that was made ready before and waits for its start.
    Pool,
}

impl Origin {
    /// The words that plans use, the default first.
    pub const WORDS: [&'static str; 3] = ["fresh", "snapshot", "pool"];

    /// What a word of a plan stands for.
    #[must_use]
    pub fn of(word: &str) -> Self {
        match word {
            "snapshot" => Self::Snapshot(None),
            "pool" => Self::Pool,
            _ => Self::Fresh,
        }
    }

    /// What a runtime must be able to do for it.
    #[must_use]
    pub const fn needs(&self) -> Option<Ability> {
        match self {
            Self::Fresh => None,
            Self::Snapshot(_) => Some(Ability::Snapshot),
            Self::Pool => Some(Ability::Pool),
        }
    }
}

/// How a program ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Exit {
    /// `exit(code)`.
    Code(i32),
    /// Killed by this signal.
    Signal(i32),
}

impl Exit {
    /// The status as a shell tells it: the code, or 128 + signal.
    #[must_use]
    pub const fn shell_status(self) -> i32 {
        match self {
            Self::Code(code) => code,
            Self::Signal(signal) => 128 + signal,
        }
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => write!(f, "exit status {code}"),
            Self::Signal(signal) => write!(f, "killed by signal {signal}"),
        }
    }
}

/// An inner step as the runtime told it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// What was done, a word or two.
    pub name: String,
    /// When it was done, ns of `CLOCK_MONOTONIC`.
    pub at_ns: u64,
}

/// What an instance used, known once it has stopped.
#[derive(Clone, Debug)]
pub struct Usage {
    /// How the program ended.
    pub exit: Exit,
    /// CPU time of all processes of the instance, user and system, in ns.
    pub cpu_ns: u64,
    /// Inner steps, in order.
    pub steps: Vec<Step>,
    /// What the program asked for and did not get, in words ("clone (threads or fork) ×2").
    pub unserved: Vec<String>,
    /// Counts worth keeping beside the sample (`exits`, `syscalls`).
    pub counts: BTreeMap<String, u64>,
    /// The last that the program wrote to stderr, where the harness holds it.
    pub stderr: String,
}

impl Usage {
    /// Usage of which only the end and the CPU time are known.
    #[must_use]
    pub fn new(exit: Exit, cpu_ns: u64) -> Self {
        Self {
            exit,
            cpu_ns,
            steps: Vec::new(),
            unserved: Vec::new(),
            counts: BTreeMap::new(),
            stderr: String::new(),
        }
    }
}

/// Which part a process plays in an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Runs the program itself (and, for a VMM, holds the guest's memory).
    Program,
    /// Exists for this instance only: shim, monitor.
    Helper,
    /// Shared by all instances: a fixed cost.
    Daemon,
}

/// Where an instance's memory and disk are.
#[derive(Clone, Debug, Default)]
pub struct Anatomy {
    /// Its processes, by the part they play.
    pub processes: Vec<(i32, Role)>,
    /// CPU time in ns of processes that worked for it and have ended, or that work for others as well.
    pub spent_ns: u64,
    /// Its directory in the memory controller, if it has one.
    pub cgroup: Option<PathBuf>,
    /// Host addresses of the guest's RAM in the first process: start and length.
    pub guest_ram: Option<(u64, u64)>,
    /// Files and directories that all instances share.
    pub shared: Vec<PathBuf>,
    /// Files and directories of this instance alone, on disk.
    pub private: Vec<PathBuf>,
    /// A root whose own layer lies in memory: where it can be read while it runs, and the directory below it.
    pub layer: Option<(PathBuf, PathBuf)>,
    /// Whether its files lie in its processes' memory and nowhere else (a guest's in-memory root).
    pub files_in_memory: bool,
}
