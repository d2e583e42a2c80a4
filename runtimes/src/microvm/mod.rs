//! `microvm`: isomark's own virtual machine, one VMM process per instance.
//!
//! The program runs unmodified in guest user mode behind the processor's (or the host kernel's) address-space boundary;
//! the VMM in `runtimes/vmm` serves its system calls from guest memory. This side starts that process and reads what it
//! tells at its end.

mod linux;
mod told;

pub use linux::MicrovmLinux;

use std::fs::File;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::PathBuf;
use std::sync::OnceLock;

use isomark_core::payload::{Job, Reply};
use isomark_core::runtime::Role;
use isomark_core::{
    Ability, Anatomy, Error, Exit, Identity, Instance, Kind, Runtime, Site, Spec, Step as Told, Unavailable,
    Usage,
};
use isomark_vmm::layout;
use kvm_ioctls::Kvm;
use nix::fcntl::OFlag;

use crate::launch::{Ends, Launch, Running, Step, c};
use crate::{embedded, kvm};
use told::{End, Story};

/// The runtime.
pub struct Microvm<'s> {
    site: &'s Site,
    /// One descriptor of the device serves all instances: machines belong to the process that makes them.
    device: OnceLock<Result<Kvm, Unavailable>>,
}

impl<'s> Microvm<'s> {
    /// Virtual machines whose VMM lies in `site`.
    #[must_use]
    pub const fn new(site: &'s Site) -> Self {
        Self { site, device: OnceLock::new() }
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
        Ok(Identity {
            version: env!("CARGO_PKG_VERSION").into(),
            // RAM and the one vCPU are limits by their nature.
            can: vec![Ability::Jobs, Ability::Memory, Ability::Disk, Ability::Programs, Ability::Limits],
            provisions: vec!["memory".into()],
            files: vec![vmm],
            monitor_calls: Some(isomark_vmm::confine::calls()),
            details: details.map(|(key, value)| (key.to_owned(), value)).into(),
            ..Identity::default()
        })
    }

    fn create(&self, spec: &Spec) -> Result<Box<dyn Instance>, Error> {
        if spec.provision.as_deref().is_some_and(|way| way != "memory") {
            return Err(Error::Input("microvm knows one way of provisioning: memory".into()));
        }
        let device = self.device().map_err(|why| Error::Unsupported(why.reason))?.as_raw_fd();
        let vmm = embedded::unpack(self.site, "vmm", embedded::VMM)?;
        let image = spec.program.image.path();
        let program = File::open(image).map_err(|e| Error::os(format!("open {}", image.display()), e))?;
        Ok(Box::new(Machine { spec: spec.clone(), vmm, program, device, running: None, story: None }))
    }
}

struct Machine {
    spec: Spec,
    vmm: PathBuf,
    program: File,
    /// The runtime's descriptor of the device; the runtime outlives its instances.
    device: i32,
    running: Option<Running>,
    /// What the VMM will have told once it has ended.
    story: Option<Story>,
}

impl Machine {
    fn launch(&self, status: &OwnedFd, ends: &Ends) -> Result<Launch, Error> {
        let passed = [self.program.as_raw_fd(), status.as_raw_fd(), self.device];
        let [program, told, device] = passed.map(|fd| fd.to_string());
        let memory = self.spec.memory.to_string();
        let page = if self.spec.huge_pages { "2m" } else { "4k" };
        let flags = [
            ("--program-fd", program.as_str()),
            ("--status-fd", told.as_str()),
            ("--kvm-fd", device.as_str()),
            ("--memory", memory.as_str()),
            ("--page", page),
        ];
        let mut args = vec![c("isomark-vmm")?];
        for (flag, value) in flags {
            args.extend([c(flag)?, c(value)?]);
        }
        for (key, value) in &self.spec.program.env {
            args.extend([c("--env")?, c(format!("{key}={value}"))?]);
        }
        args.push(c("--")?);
        args.extend(crate::process::argv(&self.spec.program)?);
        let mut steps = vec![Step::DieWithParent(libc::SIGKILL)];
        steps.extend(ends.steps());
        // Onto themselves: that clears close-on-exec.
        steps.extend(passed.map(|fd| Step::Descriptor { fd, to: fd }));
        steps.extend([Step::NoRootPrivileges, Step::DropCapabilities, Step::NoNewPrivileges]);
        let program = c(self.vmm.as_os_str().as_encoded_bytes())?;
        Ok(Launch { namespaces: 0, into_cgroup: None, steps, program, args, env: Vec::new() })
    }
}

impl Instance for Machine {
    fn start(&mut self) -> Result<(), Error> {
        let (ours, theirs) = nix::unistd::pipe2(OFlag::O_CLOEXEC).map_err(|e| Error::os("make a pipe", e))?;
        self.story = Some(Story::new(ours));
        let (stdio, deadline) = (self.spec.program.stdio, self.spec.deadline);
        let running = Running::spawn(stdio, deadline, |ends| self.launch(&theirs, ends))?;
        drop(theirs);
        self.running.insert(running).ready()
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
            Some(End::Signal(signal)) => Exit::Signal(signal),
            Some(End::Input(what)) => {
                return Err(Error::Input(format!("program {}: {what}", self.spec.program.name)));
            }
            Some(End::Broken(what)) => return Err(Error::Unsupported(what)),
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
            shared: vec![self.spec.program.image.path().to_owned(), self.vmm.clone()],
            files_in_memory: true,
            ..Anatomy::default()
        }
    }
}
