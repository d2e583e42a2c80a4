//! `namespace`: isomark's own container, a process with namespaces, limits and a root file system of its own.
//!
//! The parent plans every step and the cloned child only walks them; what the host forbids is named by its step. As
//! root the payload is the host's uid 0 without any capability; without root it is uid 0 of a user namespace of its
//! own.

mod cgroup;
mod filter;
mod network;
mod root;
mod search;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock};

use isomark_core::payload::{Job, Reply};
use isomark_core::runtime::{Role, Stdio};
use isomark_core::{
    Ability, Anatomy, Error, Identity, Instance, Kind, Runtime, Shortage, Site, Spec, Unavailable, Usage,
};

use crate::launch::{Child, Launch, Running, Step, c};
use crate::process::{argv, envp};
pub(crate) use cgroup::{Group, Groups, Limits, hierarchies, memory_group, own_path, remove as remove_group};
pub(crate) use filter::refused;
pub(crate) use network::Network;
use network::Networks;
use root::{Layer, Lower, PROGRAM, Provision};

/// Open files that an instance may have.
pub(crate) const FILES: u64 = 1024;

/// Namespaces that are new at the clone, beside the network's, which root has made by another thread meanwhile. The cgroup namespace follows once the child has joined its group (its root
/// is the group one is in, cgroup_namespaces(7)), the time namespace because clone shares the address space here.
const AT_CLONE: i32 = libc::CLONE_NEWPID | libc::CLONE_NEWNS | libc::CLONE_NEWUTS | libc::CLONE_NEWIPC;

/// `CLONE_NEWTIME`; a program that is executed after vfork enters it (time_namespaces(7), Linux 6.1).
pub(crate) const NEWTIME: i32 = 0x80;

const NEWNET: u64 = libc::CLONE_NEWNET as u64;

/// Numbers of limits as the kernel has them (asm-generic/resource.h); each C library gives them a type of its own.
const RLIMIT_CORE: u32 = 4;
/// See [`RLIMIT_CORE`].
const RLIMIT_NOFILE: u32 = 7;

/// Limits of an instance. None of the user's own travels in: a rank above others would run past the quota of its group.
/// The core limit of one byte, unlike none, also keeps a crash from starting the host's handler (core(5), the special
/// value in fs/coredump.c).
const LIMITS: [(u32, u64); 4] =
    [(RLIMIT_CORE, 1), (RLIMIT_NOFILE, FILES), (RLIMIT_NICE, 0), (RLIMIT_RTPRIO, 0)];
/// See [`RLIMIT_CORE`].
const RLIMIT_NICE: u32 = 13;
/// See [`RLIMIT_CORE`].
const RLIMIT_RTPRIO: u32 = 14;

/// The runtime.
pub struct Namespace<'s> {
    site: &'s Site,
    filter: Vec<libc::sock_filter>,
    /// Made when the first instance is; an error stays what it was.
    groups: OnceLock<Result<Option<Arc<Groups>>, String>>,
    /// For root. Without root the namespace must belong to the new user namespace, so clone3 makes it.
    networks: OnceLock<Option<Networks>>,
    merged: Mutex<Option<PathBuf>>,
}

impl<'s> Namespace<'s> {
    /// Containers whose files lie in `site`.
    #[must_use]
    pub fn new(site: &'s Site) -> Self {
        Self {
            site,
            filter: filter::compile(),
            groups: OnceLock::new(),
            networks: OnceLock::new(),
            merged: Mutex::new(None),
        }
    }

    /// Where groups go: nowhere on a host where the probe said so (and the identity tells it). But limits that the
    /// identity promises and that then cannot be set are a failure, never an instance without them.
    fn groups(&self) -> Result<Option<&Arc<Groups>>, Error> {
        let made = self.groups.get_or_init(|| match Groups::probe(self.site) {
            Err(_) => Ok(None),
            Ok(_) => Groups::open(self.site).map(|groups| Some(Arc::new(groups))),
        });
        let groups =
            made.as_ref().map_err(|why| Error::Unsupported(format!("limits cannot be set: {why}")))?;
        Ok(groups.as_ref())
    }

    fn networks(&self) -> Option<&Networks> {
        self.networks.get_or_init(|| if rooted() { Networks::open().ok() } else { None }).as_ref()
    }

    /// The empty directory on which roots are assembled, made once.
    fn merged(&self) -> Result<PathBuf, Error> {
        let mut merged = self.merged.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if merged.is_none() {
            let dir = self.site.dir().join("merged");
            std::fs::create_dir_all(&dir).map_err(|e| Error::os(format!("make {}", dir.display()), e))?;
            *merged = Some(dir);
        }
        Ok(merged.clone().unwrap_or_default())
    }
}

/// All `CLONE_NEW*` flags of clone3, for this process's rights.
pub(crate) fn flags() -> u64 {
    let user = if rooted() { 0 } else { libc::CLONE_NEWUSER };
    u64::try_from(AT_CLONE | libc::CLONE_NEWNET | user).unwrap_or(0)
}

/// Whether namespaces can be made here at all.
///
/// # Errors
/// Why not, with the remedy.
pub(crate) fn possible() -> Result<(), Unavailable> {
    match forbidden() {
        Some(unavailable) => Err(unavailable),
        None => try_clone(),
    }
}

/// A rule of the host that forbids them, if there is one.
fn forbidden() -> Option<Unavailable> {
    let read = |path: &str| std::fs::read_to_string(path).ok().and_then(|t| t.trim().parse::<u64>().ok());
    if rooted() {
        return None;
    }
    let refuse = |file: &str, value: u64| {
        let remedy = format!("run as root, or: sysctl -w {}=1", file.replace('/', "."));
        Some(Unavailable::new(format!("user namespaces are forbidden (/proc/sys/{file} is {value})"), remedy))
    };
    for file in ["kernel/unprivileged_userns_clone", "user/max_user_namespaces"] {
        if read(&format!("/proc/sys/{file}")) == Some(0) {
            return refuse(file, 0);
        }
    }
    match read("/proc/sys/kernel/apparmor_restrict_unprivileged_userns") {
        Some(1) => Some(Unavailable::new(
            "AppArmor keeps unprivileged user namespaces from mounting",
            "run as root, or: sysctl -w kernel.apparmor_restrict_unprivileged_userns=0",
        )),
        _ => None,
    }
}

/// Whether this process has the rights that namespaces without a user namespace take.
fn rooted() -> bool {
    // Asked in every create, and an answer of procfs takes longer than a mount.
    static ROOTED: OnceLock<bool> = OnceLock::new();
    *ROOTED.get_or_init(read_rights)
}

fn read_rights() -> bool {
    const CAP_SYS_ADMIN: u64 = 1 << 21;
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let mask = effective.and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok()).unwrap_or(0);
    nix::unistd::geteuid().is_root() && mask & CAP_SYS_ADMIN != 0
}

impl Runtime for Namespace<'_> {
    fn name(&self) -> &str {
        "namespace"
    }

    fn kind(&self) -> Kind {
        Kind::Container
    }

    fn probe(&self) -> Result<Identity, Unavailable> {
        possible()?;
        let offer = Groups::probe(self.site);
        let limits = match &offer {
            Ok(offer) => offer.words(),
            Err(why) => format!("none: {why}"),
        };
        let mut can = vec![Ability::Jobs, Ability::Fork, Ability::Memory, Ability::Disk, Ability::Programs];
        can.extend(offer.is_ok_and(|offer| offer.is_whole()).then_some(Ability::Limits));
        let user = if rooted() { "host uid 0 without capabilities" } else { "user namespace, uid 0 mapped" };
        let details = [
            ("namespaces", "pid, mount, uts, ipc, net, cgroup, time"),
            ("user", user),
            ("limits", limits.as_str()),
            ("network", "own namespace, loopback only"),
            ("seccomp", "on: isomark's list"),
            ("userns", if rooted() { "none: host uid 0 without capabilities" } else { "own, uid 0 mapped" }),
            (
                "rootfs",
                "overlay over a shared directory, upper layer in memory unless the cell says otherwise",
            ),
            ("console", "none: pipes"),
            ("root", "overlay over a shared directory, /proc, minimal /dev, loopback up"),
            ("confinement", "no capabilities, no_new_privs, seccomp filter, rlimits"),
        ];
        Ok(Identity {
            version: env!("CARGO_PKG_VERSION").into(),
            can,
            provisions: Provision::ALL.iter().map(|p| p.word().to_owned()).collect(),
            details: details.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
            ..Identity::default()
        })
    }

    fn create(&self, spec: &Spec) -> Result<Box<dyn Instance>, Error> {
        let provision = Provision::named(spec.provision.as_deref())?;
        let name = self.site.instance_name();
        let (group, network) = self.surroundings(&name, spec)?;
        let lower = Lower::of(self.site, &spec.program.image)?;
        let own = self.site.dir().join(&name);
        let mut container =
            Container { spec: spec.clone(), group, own: None, lower, network, running: None, launch: None };
        if provision != Provision::Ephemeral {
            container.own = Some(own.clone());
            container.lower.lay(provision, &own)?;
        }
        let layer = Layer {
            lower: &container.lower,
            provision,
            merged: &self.merged()?,
            own: &own,
            memory: spec.memory,
        };
        container.launch = Some(self.plan(&layer, &container, &name)?);
        Ok(Box::new(container))
    }
}

impl Namespace<'_> {
    /// What lies around an instance: its group (where one can be made) and its network, which the other thread makes from
    /// here on.
    fn surroundings(&self, name: &str, spec: &Spec) -> Result<(Option<Group>, Option<Arc<Network>>), Error> {
        let limits = Limits { memory: spec.memory, pids: spec.tasks, cpus: spec.cpus };
        let network = self.networks().map(Networks::order);
        let group = self.groups()?.map(|groups| groups.instance(name, limits)).transpose()?;
        Ok((group, network))
    }

    /// Everything between clone and exec, except for the streams, which are made at the start.
    fn plan(&self, layer: &Layer<'_>, container: &Container, name: &str) -> Result<Launch, Error> {
        let network = container.network.as_ref();
        let rooted = rooted();
        // Host uid 0 may signal the harness, and a group or session that both are in is a way that no namespace closes.
        let apart = match container.spec.program.stdio {
            Stdio::Inherit => Step::OwnSession,
            Stdio::Wire | Stdio::Null => Step::OwnGroup,
        };
        let mut steps = vec![Step::DieWithParent(libc::SIGKILL), apart];
        if !rooted {
            steps.extend(identity_map()?);
        }
        steps.push(Step::Unshare { flags: NEWTIME, what: "time" });
        steps.extend(layer.steps()?);
        steps.extend(container.group.as_ref().map_or(Ok(Vec::new()), Group::steps)?);
        steps.push(Step::Unshare { flags: libc::CLONE_NEWCGROUP, what: "cgroup" });
        steps.extend([Step::Hostname(c(name)?), Step::DropBounding]);
        steps.extend(LIMITS.map(|(resource, value)| Step::Limit { resource, value }));
        steps.push(match (network, self.networks()) {
            (Some(network), Some(networks)) => networks.enter(network),
            _ => Step::LoopbackUp,
        });
        // Not before the other thread is done: detaching the old root waits for every CPU to leave its critical
        // sections (synchronize_rcu_expedited in namespace_unlock), and making a network namespace has long ones.
        steps.push(Step::Pivot);
        steps.extend((!container.spec.huge_pages).then_some(Step::SmallPages));
        steps.extend([Step::DropCapabilities, Step::NoNewPrivileges, Step::Seccomp(self.filter.clone())]);
        Ok(Launch {
            namespaces: flags() & !if network.is_some() { NEWNET } else { 0 },
            into_cgroup: container.group.as_ref().map_or(Ok(None), Group::birthplace)?,
            steps,
            program: c(PROGRAM)?,
            args: argv(&container.spec.program)?,
            env: envp(&container.spec.program)?,
        })
    }
}

/// Maps the user to uid 0 of its own namespace; the kernel wants setgroups denied first (user_namespaces(7)).
fn identity_map() -> Result<[Step; 3], Error> {
    let (uid, gid) = (nix::unistd::geteuid(), nix::unistd::getegid());
    let write =
        |path: &str, text: String| Ok::<_, Error>(Step::WriteFile { path: c(path)?, bytes: text.into() });
    Ok([
        write("/proc/self/setgroups", "deny".into())?,
        write("/proc/self/uid_map", format!("0 {uid} 1"))?,
        write("/proc/self/gid_map", format!("0 {gid} 1"))?,
    ])
}

/// What to do about a host that is short of something just now.
fn passing(error: &std::io::Error) -> Option<&'static str> {
    Shortage::of(error).filter(|shortage| shortage.is_passing()).map(Shortage::remedy)
}

/// Tries the clone itself with a program that is not there: the host's word on each namespace, and nothing changes.
fn try_clone() -> Result<(), Unavailable> {
    let launch = Launch {
        namespaces: flags(),
        into_cgroup: None,
        steps: Vec::new(),
        program: c"/".to_owned(),
        args: Vec::new(),
        env: Vec::new(),
    };
    match Child::spawn(launch) {
        Err(Error::Os { op, source }) if op.starts_with("clone3") => Err(Unavailable::new(
            format!("{op}: {source}"),
            passing(&source).unwrap_or(
                "run as root, or allow unprivileged user namespaces (sysctl user.max_user_namespaces), \
             or loosen the seccomp profile of the container that isomark itself runs in",
            ),
        )),
        // Executing a directory is refused, after the namespaces were made.
        _ => Ok(()),
    }
}

struct Container {
    spec: Spec,
    group: Option<Group>,
    /// Its directory on disk, for the ways of provisioning that need one.
    own: Option<PathBuf>,
    lower: Lower,
    /// Its network namespace, for root; made beside the launch.
    network: Option<Arc<Network>>,
    launch: Option<Launch>,
    running: Option<Running>,
}

impl Container {
    fn sweep(&mut self) -> Result<(), Error> {
        self.running = None;
        self.network = None;
        let group = self.group.as_ref().map_or(Ok(()), Group::remove);
        let own = self.own.take().map_or(Ok(()), |dir| isomark_core::site::remove_tree(&dir));
        Error::join(group, own)
    }
}

impl Instance for Container {
    fn start(&mut self) -> Result<(), Error> {
        let mut launch =
            self.launch.take().ok_or_else(|| Error::Unsupported("it was started before".into()))?;
        let running = Running::spawn(self.spec.program.stdio, self.spec.deadline, |ends| {
            launch.steps.splice(1..1, ends.steps());
            Ok(launch)
        })?;
        self.running.insert(running).ready()
    }

    fn run(&mut self, job: &Job) -> Result<Reply, Error> {
        Running::of(&mut self.running)?.run(job)
    }

    fn stop(&mut self) -> Result<Usage, Error> {
        Running::of(&mut self.running)?.stop()
    }

    fn remove(mut self: Box<Self>) -> Result<(), Error> {
        self.sweep()
    }

    fn anatomy(&self) -> Anatomy {
        // A layer in memory can be reached only through the instance's own root, while it runs.
        let root = self.running.as_ref().filter(|_| self.own.is_none());
        let root = root.map(|running| PathBuf::from(format!("/proc/{}/root/.", running.pid())));
        Anatomy {
            processes: self.running.iter().map(|running| (running.pid(), Role::Program)).collect(),
            cgroup: self.group.as_ref().and_then(Group::memory),
            shared: vec![self.lower.dir().to_owned()],
            private: self.own.clone().into_iter().collect(),
            layer: root.map(|root| (root, self.lower.dir().to_owned())),
            ..Anatomy::default()
        }
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        let _ = self.sweep();
    }
}
