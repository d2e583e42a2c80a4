//! `microvm`: isomark's own virtual machine, one VMM process per instance.
//!
//! The program runs unmodified in guest user mode behind the processor's (or the host kernel's) address-space boundary;
//! the VMM in `runtimes/vmm` serves its system calls from guest memory. This side starts that process and reads what it
//! tells at its end.

mod linux;
mod pool;
mod snapshots;
mod told;

pub use linux::MicrovmLinux;

use std::fs::File;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use isomark_core::features::Feature;
use isomark_core::payload::{Job, Reply};
use isomark_core::runtime::{Role, Stdio};
use isomark_core::{
    Ability, Anatomy, Error, Exit, Features, Identity, Instance, Kind, Origin, Runtime, Shortage, Site, Spec,
    Step as Told, Unavailable, Usage,
};
use isomark_vmm::layout;
use kvm_ioctls::Kvm;
use nix::fcntl::OFlag;

use crate::launch::{Ends, Launch, Running, Step, c};
use crate::{embedded, kvm};
use pool::{Pool, Waiting};
use snapshots::{Snapshot, Snapshots};
use told::{End, Story};

/// Why a pagetable-based KVM cannot hide features: tried with KVM_SET_CPUID2 and KVM_SET_XCRS, which succeed and change
/// nothing that the program sees.
const NATIVE: &str =
    "KVM is pagetable-based: the program's CPUID does not leave the machine, and XCR0 is the host's";

/// What the VMM is to hide, in its own words; none if nothing.
fn mask(cpu: &Features) -> Option<String> {
    let bits = |f: &Feature| format!("{:x}:{:x}:{}:{:x}", f.leaf.0, f.leaf.1, f.register, 1_u32 << f.bit);
    let states = (cpu.states() != 0).then(|| format!("xcr0:{:x}", cpu.states()));
    (!cpu.is_host()).then(|| cpu.removed().iter().map(bits).chain(states).collect::<Vec<_>>().join(","))
}

/// What it can do.
const CAN: [Ability; 7] = [
    Ability::Jobs,
    Ability::Memory,
    Ability::Disk,
    Ability::Programs,
    Ability::Limits,
    Ability::Snapshot,
    Ability::Pool,
];

/// The runtime.
pub struct Microvm<'s> {
    site: &'s Site,
    /// One descriptor of the device serves all instances: machines belong to the process that makes them.
    device: OnceLock<Result<Kvm, Unavailable>>,
    snapshots: Snapshots,
    pool: Pool,
}

impl<'s> Microvm<'s> {
    /// Virtual machines whose VMM lies in `site`.
    #[must_use]
    pub fn new(site: &'s Site) -> Self {
        Self { site, device: OnceLock::new(), snapshots: Snapshots::default(), pool: Pool::default() }
    }

    fn device(&self) -> Result<&Kvm, Unavailable> {
        self.device.get_or_init(kvm::open).as_ref().map_err(Clone::clone)
    }
}

impl Runtime for Microvm<'_> {
    fn name(&self) -> &str {
        "microvm"
    }

    fn kind(&self) -> Kind {
        Kind::Vm
    }

    fn probe(&self) -> Result<Identity, Unavailable> {
        self.device()?;
        let finding = kvm::classify();
        if finding.class == kvm::Class::None {
            return Err(Unavailable::new(
                finding.evidence,
                "see dmesg | grep -i kvm; isomark doctor has the details",
            ));
        }
        let vmm = embedded::unpack(self.site, "vmm", embedded::VMM)
            .map_err(|e| Unavailable::new(e.chain(), "give isomark a writable directory: ISOMARK_STATE"))?;
        let details = [
            ("KVM class", finding.class.word().to_owned()),
            ("guest kernel", "isomark's own: tables and stubs; system calls are served by the VMM".into()),
            ("vmm sha256", isomark_core::image::sha256(embedded::VMM)),
            ("vCPUs", "1".into()),
            ("network", "none".into()),
            ("seccomp", "the program has its own kernel; on for the VMM".into()),
            ("userns", "none: the VMM is the caller's user without capabilities".into()),
            ("limits", "RAM and one vCPU".into()),
            ("rootfs", "in the machine's memory".into()),
            ("console", "none: pipes through the VMM".into()),
            ("namespaces", "none: a virtual machine".into()),
            ("confinement", "own process, seccomp filter, no_new_privs, no capabilities".into()),
        ];
        let native = finding.class == kvm::Class::PagetableBased;
        let features = if native { None } else { Some(Ability::Features) };
        let cannot = native.then(|| (Ability::Features, NATIVE.to_owned()));
        Ok(Identity {
            version: env!("CARGO_PKG_VERSION").into(),
            // RAM and the one vCPU are limits by their nature.
            can: CAN.into_iter().chain(features).collect(),
            cannot: cannot.into_iter().collect(),
            provisions: vec!["memory".into()],
            files: vec![vmm],
            monitor_calls: Some(isomark_vmm::confine::calls()),
            details: details.map(|(key, value)| (key.to_owned(), value)).into(),
            ..Identity::default()
        })
    }

    fn prepare(&self, spec: &Spec) -> Result<(), Error> {
        match spec.origin {
            Origin::Fresh => Ok(()),
            Origin::Snapshot(_) => self.snapshot(spec).map(drop),
            Origin::Pool => self.pool.fill(&snapshots::key(spec), || self.machine(spec, None)?.wait()),
        }
    }

    fn create(&self, spec: &Spec) -> Result<Box<dyn Instance>, Error> {
        if spec.provision.as_deref().is_some_and(|way| way != "memory") {
            return Err(Error::Input("microvm knows one way of provisioning: memory".into()));
        }
        let snapshot = match spec.origin {
            Origin::Snapshot(_) => Some(self.snapshot(spec)?),
            Origin::Fresh | Origin::Pool => None,
        };
        let mut machine = self.machine(spec, snapshot)?;
        if spec.origin == Origin::Pool {
            let waiting = self.pool.take(&snapshots::key(spec));
            let empty =
                || Error::Unsupported("the pool holds no machine of this kind for this thread".into());
            machine.waiting = Some(waiting.ok_or_else(empty)?);
        }
        Ok(Box::new(machine))
    }
}

impl Microvm<'_> {
    fn machine(&self, spec: &Spec, snapshot: Option<Arc<Snapshot>>) -> Result<Machine, Error> {
        let device = self.device().map_err(|why| Error::Unsupported(why.reason))?.as_raw_fd();
        let vmm = embedded::unpack(self.site, "vmm", embedded::VMM)?;
        let image = spec.program.image.path();
        let program = File::open(image).map_err(|e| Error::os(format!("open {}", image.display()), e))?;
        let spec = spec.clone();
        Ok(Machine { spec, vmm, program, snapshot, device, waiting: None, running: None, story: None })
    }

    fn snapshot(&self, spec: &Spec) -> Result<Arc<Snapshot>, Error> {
        self.snapshots.of(self.site, spec, |file| self.machine(spec, None)?.save(file))
    }
}

struct Machine {
    spec: Spec,
    vmm: PathBuf,
    program: File,
    /// What it starts from, if not from its program's file.
    snapshot: Option<Arc<Snapshot>>,
    /// The runtime's descriptor of the device; the runtime outlives its instances.
    device: i32,
    /// A machine of the pool that is to be this one.
    waiting: Option<Waiting>,
    running: Option<Running>,
    /// What the VMM will have told once it has ended.
    story: Option<Story>,
}

/// The environment as the VMM takes it.
fn variables(spec: &Spec) -> Vec<String> {
    spec.program.env.iter().map(|(key, value)| format!("{key}={value}")).collect()
}

impl Machine {
    /// The command line, with `more` descriptors that some ways of starting pass.
    fn launch(
        &self,
        status: &OwnedFd,
        more: Option<(&str, BorrowedFd<'_>)>,
        ends: &Ends,
    ) -> Result<Launch, Error> {
        let (flag, from) = match &self.snapshot {
            None => ("--program-fd", &self.program),
            Some(snapshot) => ("--restore-fd", &snapshot.file),
        };
        let mut passed =
            vec![(flag, from.as_raw_fd()), ("--status-fd", status.as_raw_fd()), ("--kvm-fd", self.device)];
        passed.extend(more.map(|(flag, fd)| (flag, fd.as_raw_fd())));
        let mut args = vec![c("isomark-vmm")?];
        for (flag, fd) in &passed {
            args.extend([c(flag)?, c(fd.to_string())?]);
        }
        if let Some(mask) = mask(&self.spec.cpu) {
            args.extend([c("--mask")?, c(mask)?]);
        }
        if self.snapshot.is_some() {
            args.extend([c("--checked")?, c("yes")?]);
        } else {
            let page = if self.spec.huge_pages { "2m" } else { "4k" };
            args.extend([c("--memory")?, c(self.spec.memory.to_string())?, c("--page")?, c(page)?]);
            for variable in variables(&self.spec) {
                args.extend([c("--env")?, c(variable)?]);
            }
            args.push(c("--")?);
            args.extend(crate::process::argv(&self.spec.program)?);
        }
        let mut steps = vec![Step::DieWithParent(libc::SIGKILL)];
        steps.extend(ends.steps());
        // Onto themselves: that clears close-on-exec.
        steps.extend(passed.iter().map(|(_, fd)| Step::Descriptor { fd: *fd, to: *fd }));
        steps.extend([Step::NoRootPrivileges, Step::DropCapabilities, Step::NoNewPrivileges]);
        let program = c(self.vmm.as_os_str().as_encoded_bytes())?;
        Ok(Launch { namespaces: 0, into_cgroup: None, steps, program, args, env: Vec::new() })
    }

    fn spawn(&self, stdio: Stdio, more: Option<(&str, BorrowedFd<'_>)>) -> Result<(Running, Story), Error> {
        let (ours, theirs) = nix::unistd::pipe2(OFlag::O_CLOEXEC).map_err(|e| Error::os("make a pipe", e))?;
        let running = Running::spawn(stdio, self.spec.deadline, |ends| self.launch(&theirs, more, ends))?;
        Ok((running, Story::new(ours)))
    }

    /// A VMM that ended early because the host had no more of something says so in its story; its exit status does not.
    fn explain(&mut self, failed: Error) -> Error {
        let Error::Died { .. } = &failed else { return failed };
        match self.story.as_mut().map(Story::read) {
            Some(Ok(told::Told { end: Some(End::Broken(what)), .. }))
                if Shortage::in_words(&what).is_some() =>
            {
                Error::Exhausted(what)
            }
            _ => failed,
        }
    }

    /// Has a machine of this kind made ready and wait.
    fn wait(&self) -> Result<Waiting, Error> {
        let (ours, theirs) = UnixStream::pair().map_err(|e| Error::os("make a pair of sockets", e))?;
        let (running, story) = self.spawn(self.spec.program.stdio, Some(("--wait-fd", theirs.as_fd())))?;
        drop(theirs);
        Waiting::new(running, story, ours)
    }

    /// Runs the program until it is about to speak, with nothing to read, and saves it there.
    fn save(&self, file: &File) -> Result<(), Error> {
        let (mut running, mut story) = self.spawn(Stdio::Null, Some(("--save-fd", file.as_fd())))?;
        let usage = running.stop()?;
        match story.read()?.end {
            Some(End::Saved) => Ok(()),
            Some(End::Broken(what)) if Shortage::in_words(&what).is_some() => {
                Err(Error::Exhausted(format!("make a snapshot: {what}")))
            }
            Some(End::Input(what) | End::Broken(what)) => {
                Err(Error::Input(format!("make a snapshot: {what}")))
            }
            _ => Err(Error::Input(format!(
                "make a snapshot: the program ended ({}) before it wrote anything",
                usage.exit
            ))),
        }
    }
}

impl Instance for Machine {
    fn start(&mut self) -> Result<(), Error> {
        let (running, story) = match self.waiting.take() {
            Some(waiting) => waiting.go()?,
            None => self.spawn(self.spec.program.stdio, None)?,
        };
        self.story = Some(story);
        let ready = self.running.insert(running).ready();
        ready.map_err(|failed| self.explain(failed))
    }

    fn run(&mut self, job: &Job) -> Result<Reply, Error> {
        Running::of(&mut self.running)?.run(job)
    }

    fn stop(&mut self) -> Result<Usage, Error> {
        let mut usage = Running::of(&mut self.running)?.stop()?;
        let story = self.story.as_mut().map_or_else(|| Ok(told::Told::default()), Story::read)?;
        usage.steps.extend(story.steps.into_iter().map(|(name, at_ns)| Told { name, at_ns }));
        usage.exit = match story.end {
            Some(End::Exit(code)) => Exit::Code(code),
            Some(End::Saved) => Exit::Code(0),
            Some(End::Signal(signal)) => Exit::Signal(signal),
            Some(End::Input(what)) => {
                return Err(Error::Input(format!("program {}: {what}", self.spec.program.name)));
            }
            Some(End::Broken(what)) => return Err(Error::told(what)),
            None => return Err(Error::Died { exit: usage.exit, stderr: usage.stderr }),
        };
        Ok(Usage { unserved: story.unserved, counts: story.counts, ..usage })
    }

    fn remove(mut self: Box<Self>) -> Result<(), Error> {
        self.running = None;
        Ok(())
    }

    fn anatomy(&self) -> Anatomy {
        let pid = self.running.as_ref().map(Running::pid);
        Anatomy {
            processes: pid.map(|pid| (pid, Role::Program)).into_iter().collect(),
            // The VMM lays guest RAM at a fixed place of its address space, so that accounting needs no conversation.
            guest_ram: pid.map(|_| (layout::HOST_BASE, self.spec.memory)),
            shared: [self.spec.program.image.path().to_owned(), self.vmm.clone()]
                .into_iter()
                .chain(self.snapshot.iter().map(|s| s.path.clone()))
                .collect(),
            files_in_memory: true,
            ..Anatomy::default()
        }
    }
}
