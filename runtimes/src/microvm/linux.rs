//! `microvm-linux`: isomark's own virtual machine with a stock Linux kernel in it.
//!
//! The same VMM program in another mode (`isomark_vmm::linux`): what differs from `microvm` is the kernel inside, and
//! with it everything that a guest operating system costs.

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
use isomark_vmm::linux::control::INIT;
use kvm_ioctls::Kvm;
use nix::fcntl::OFlag;

use super::told::{End, Story, Told as Heard};
use crate::guest::{Initramfs, Kernel, Kernels, LEAST_MEMORY};
use crate::launch::{Ends, Launch, Running, Step, c};
use crate::{embedded, kvm};

/// The kernel's command line. Only what the machine lacks is switched off; mitigations stay as the kernel has them.
/// Without an i8042 driver nobody waits for a keyboard; `reboot=k` is its reset line all the same.
const COMMAND_LINE: &str =
    "console=ttyS0 quiet pci=off acpi=off reboot=k panic=-1 initcall_blacklist=i8042_init";

/// The runtime.
pub struct MicrovmLinux<'s> {
    site: &'s Site,
    kernels: std::sync::Arc<Kernels>,
    /// One descriptor of the device serves all instances: machines belong to the process that makes them.
    device: OnceLock<Result<Kvm, Unavailable>>,
}

impl<'s> MicrovmLinux<'s> {
    /// Virtual machines whose VMM and initramfs lie in `site`.
    #[must_use]
    pub const fn new(site: &'s Site, kernels: std::sync::Arc<Kernels>) -> Self {
        Self { site, kernels, device: OnceLock::new() }
    }

    /// The device, where it can run a kernel that was not written for it.
    fn device(&self) -> Result<&Kvm, Unavailable> {
        let open = || {
            let finding = kvm::classify();
            match finding.class {
                kvm::Class::Hardware | kvm::Class::Nested => kvm::open(),
                kvm::Class::PagetableBased => Err(Unavailable::new(
                    format!(
                        "this host's KVM is pagetable-based: it emulates supervisor code, and not all of it, so that no \
                         stock kernel boots ({})",
                        finding.evidence
                    ),
                    "use a host with VMX or SVM, or scripts/test-nested, which brings one",
                )),
                kvm::Class::None => Err(Unavailable::new(
                    finding.evidence,
                    "see dmesg | grep -i kvm; isomark doctor has the details",
                )),
            }
        };
        self.device.get_or_init(open).as_ref().map_err(Clone::clone)
    }
}

impl Runtime for MicrovmLinux<'_> {
    fn name(&self) -> &str {
        "microvm-linux"
    }

    fn kind(&self) -> Kind {
        Kind::Vm
    }

    fn on_request(&self) -> bool {
        true
    }

    fn probe(&self) -> Result<Identity, Unavailable> {
        self.device()?;
        let kernel = self.kernels.get()?;
        let vmm = embedded::unpack(self.site, "vmm", embedded::VMM)
            .map_err(|e| Unavailable::new(e.chain(), "give isomark a writable directory: ISOMARK_STATE"))?;
        let details = [
            ("KVM class", kvm::classify().class.word().to_owned()),
            ("command line", COMMAND_LINE.into()),
            ("vmm sha256", isomark_core::image::sha256(embedded::VMM)),
            ("init sha256", isomark_core::image::sha256(embedded::INIT)),
            ("vCPUs", "1".into()),
            ("least memory", format!("{} MiB, also where less is asked for", LEAST_MEMORY >> 20)),
            ("devices", "two serial ports, KVM's interrupt controllers and timer".into()),
            ("confinement", "own process, seccomp filter, no_new_privs, no capabilities".into()),
        ];
        let details = details.map(|(key, value)| (key.to_owned(), value));
        Ok(Identity {
            version: format!("{} with Linux {}", env!("CARGO_PKG_VERSION"), kernel.release),
            can: vec![
                Ability::Jobs,
                Ability::Fork,
                Ability::Memory,
                Ability::Disk,
                Ability::Programs,
                Ability::Features,
            ],
            provisions: vec!["initramfs".into()],
            files: vec![vmm, kernel.path.clone()],
            details: details.into_iter().chain(kernel.details.iter().cloned()).collect(),
            ..Identity::default()
        })
    }

    fn create(&self, spec: &Spec) -> Result<Box<dyn Instance>, Error> {
        if spec.provision.as_deref().is_some_and(|way| way != "initramfs") {
            return Err(Error::Input("microvm-linux knows one way of provisioning: initramfs".into()));
        }
        let device = self.device().map_err(|why| Error::Unsupported(why.reason))?.as_raw_fd();
        let vmm = embedded::unpack(self.site, "vmm", embedded::VMM)?;
        let kernel = self.kernels.need()?.clone();
        let initramfs = Initramfs::of(self.site, &spec.program)?;
        let files = [kernel.file()?, initramfs.open()?];
        let spec = Spec { memory: spec.memory.max(LEAST_MEMORY), ..spec.clone() };
        Ok(Box::new(Machine { spec, vmm, kernel, initramfs, files, device, running: None, story: None }))
    }
}

struct Machine {
    spec: Spec,
    vmm: PathBuf,
    kernel: Kernel,
    initramfs: Initramfs,
    /// Kernel and initramfs, open.
    files: [File; 2],
    /// The runtime's descriptor of the device; the runtime outlives its instances.
    device: i32,
    running: Option<Running>,
    /// What the VMM will have told once it has ended.
    story: Option<Story>,
}

impl Machine {
    fn launch(&self, status: &OwnedFd, ends: &Ends) -> Result<Launch, Error> {
        let [kernel, initrd] = &self.files;
        let passed = [kernel.as_raw_fd(), initrd.as_raw_fd(), status.as_raw_fd(), self.device];
        let [kernel, initrd, told, device] = passed.map(|fd| fd.to_string());
        let numbers = [self.spec.memory.to_string(), self.initramfs.sum.to_string()];
        let mask = super::mask(&self.spec.cpu);
        let flags = [
            ("--kernel-fd", kernel.as_str()),
            ("--initrd-fd", initrd.as_str()),
            ("--initrd-sum", numbers[1].as_str()),
            ("--status-fd", told.as_str()),
            ("--kvm-fd", device.as_str()),
            ("--memory", numbers[0].as_str()),
            ("--page", if self.spec.huge_pages { "2m" } else { "4k" }),
            ("--command-line", COMMAND_LINE),
        ];
        let mut args = vec![c("isomark-vmm")?, c("linux")?];
        for (flag, value) in flags.into_iter().chain(mask.as_deref().map(|mask| ("--mask", mask))) {
            args.extend([c(flag)?, c(value)?]);
        }
        let mut steps = vec![Step::DieWithParent(libc::SIGKILL)];
        steps.extend(ends.steps());
        // Onto themselves: that clears close-on-exec.
        steps.extend(passed.map(|fd| Step::Descriptor { fd, to: fd }));
        steps.extend([Step::NoRootPrivileges, Step::DropCapabilities, Step::NoNewPrivileges]);
        let program = c(self.vmm.as_os_str().as_encoded_bytes())?;
        Ok(Launch { namespaces: 0, into_cgroup: None, steps, program, args, env: Vec::new() })
    }

    /// The VMM's own words for an end that came too early: they say more than its exit status.
    fn explain(&mut self, failed: Error) -> Error {
        let Error::Died { stderr, .. } = &failed else { return failed };
        match self.story.as_mut().map(Story::read) {
            Some(Ok(Heard { end: Some(End::Exit(code)), .. })) => {
                Error::Died { exit: Exit::Code(code), stderr: stderr.clone() }
            }
            Some(Ok(Heard { end: Some(End::Signal(signal)), .. })) => {
                Error::Died { exit: Exit::Signal(signal), stderr: stderr.clone() }
            }
            Some(Ok(Heard { end: Some(end), .. })) => self.fault(end),
            _ => failed,
        }
    }

    fn fault(&self, end: End) -> Error {
        match end {
            // Both were found whole when they were opened.
            End::Input(what) if what.contains("initramfs") => self.initramfs.damaged(&what),
            End::Input(what) => Error::Damaged(format!("kernel {}: {what}", self.kernel.path.display())),
            End::Broken(what) => broken(what),
            End::Exit(_) | End::Signal(_) | End::Saved => Error::Unsupported("the guest ended".into()),
        }
    }
}

/// The VMM's words may tell of a shortage of the host's; a guest's own may say so and mean nothing.
fn broken(what: String) -> Error {
    if what.contains(INIT) { Error::Unsupported(what) } else { Error::told(what) }
}

impl Instance for Machine {
    fn start(&mut self) -> Result<(), Error> {
        let (ours, theirs) = nix::unistd::pipe2(OFlag::O_CLOEXEC).map_err(|e| Error::os("make a pipe", e))?;
        self.story = Some(Story::new(ours));
        let (stdio, deadline) = (self.spec.program.stdio, self.spec.deadline);
        let running = Running::spawn(stdio, deadline, |ends| self.launch(&theirs, ends))?;
        drop(theirs);
        let ready = self.running.insert(running).ready();
        ready.map_err(|failed| self.explain(failed))
    }

    fn run(&mut self, job: &Job) -> Result<Reply, Error> {
        Running::of(&mut self.running)?.run(job)
    }

    fn stop(&mut self) -> Result<Usage, Error> {
        let mut usage = Running::of(&mut self.running)?.stop()?;
        let mut story = self.story.as_mut().map_or_else(|| Ok(Heard::default()), Story::read)?;
        usage.steps.extend(story.steps.into_iter().map(|(name, at_ns)| Told { name, at_ns }));
        // System calls are the guest kernel's business here: nobody counts them.
        story.counts.remove("syscalls");
        usage.exit = match story.end {
            Some(End::Exit(code)) => Exit::Code(code),
            Some(End::Signal(signal)) => Exit::Signal(signal),
            Some(end) => return Err(self.fault(end)),
            None => return Err(Error::Died { exit: usage.exit, stderr: usage.stderr }),
        };
        Ok(Usage { counts: story.counts, ..usage })
    }

    fn remove(mut self: Box<Self>) -> Result<(), Error> {
        self.running = None;
        Ok(())
    }

    fn anatomy(&self) -> Anatomy {
        let pid = self.running.as_ref().map(Running::pid);
        Anatomy {
            processes: pid.map(|pid| (pid, Role::Program)).into_iter().collect(),
            guest_ram: pid.map(|_| (layout::HOST_BASE, self.spec.memory)),
            shared: vec![self.kernel.path.clone(), self.initramfs.path.clone(), self.vmm.clone()],
            files_in_memory: true,
            ..Anatomy::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guest_cannot_tell_of_a_shortage_of_its_host() {
        let of = |what: &str| broken(format!("the VMM failed: {what}")).kind();
        assert_eq!(of("KVM_CREATE_VM: Cannot allocate memory"), "exhausted");
        assert_eq!(of(&format!("{INIT}Cannot allocate memory")), "unsupported");
    }
}
