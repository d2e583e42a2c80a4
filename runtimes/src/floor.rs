//! Floors: the least that the host needs for the steps a built-in runtime cannot avoid.
//!
//! Measured in every run, in the same blocks as the runtimes, so that a startup can be told as "1.1 × what the kernel
//! takes for it". A floor only starts: it takes no jobs and confines nothing.

mod kvm;

use std::fs::File;
use std::io::Read;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::PathBuf;

use isomark_core::payload::{Job, Reply};
use isomark_core::{
    Anatomy, Error, Exit, Identity, Instance, Kind, Phase, Runtime, Site, Spec, Unavailable, Usage,
};
use nix::fcntl::OFlag;
use nix::spawn::{PosixSpawnAttr, PosixSpawnFileActions, posix_spawn};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::Pid;

use crate::launch::{Child, Launch, Step, c};
use crate::namespace;

/// The floors in the order of their runtimes.
#[must_use]
pub fn all(site: &Site) -> Vec<Box<dyn Runtime + '_>> {
    vec![
        Box::new(Floor { name: "floor-process", of: Of::Process, site }),
        Box::new(Floor { name: "floor-namespace", of: Of::Namespace, site }),
        Box::new(Floor { name: "floor-namespace.vfork", of: Of::Borrowed, site }),
        Box::new(Floor { name: "floor-microvm", of: Of::Microvm, site }),
        Box::new(Floor { name: "floor-microvm.apic", of: Of::Apic, site }),
    ]
}

#[derive(Clone, Copy, Debug)]
enum Of {
    /// `posix_spawn` with one pipe, until the first byte.
    Process,
    /// Bare `clone3` with the same namespaces and `execve`, until the first byte.
    Namespace,
    /// The same with the semantics of vfork (`CLONE_VM`, `CLONE_VFORK`), which spares the copy of the page tables: what
    /// the runtime itself does.
    Borrowed,
    /// `posix_spawn` of a program that only exits, then a virtual machine with memory and a CPU, until its first exit.
    Microvm,
    /// The same with the cheaper CPU that the runtime itself asks for: one with a local APIC inside the kernel.
    Apic,
}

struct Floor<'s> {
    name: &'static str,
    of: Of,
    site: &'s Site,
}

impl Runtime for Floor<'_> {
    fn name(&self) -> &str {
        self.name
    }

    fn kind(&self) -> Kind {
        Kind::Floor
    }

    fn probe(&self) -> Result<Identity, Unavailable> {
        let what = match self.of {
            Of::Process => "posix_spawn with one pipe, until the first byte",
            Of::Namespace => {
                namespace::possible()?;
                "bare clone3 with the same namespaces and execve, until the first byte"
            }
            Of::Borrowed => {
                namespace::possible()?;
                "the same with the semantics of vfork"
            }
            Of::Apic => {
                kvm::available()?;
                "the same with a local APIC inside the kernel, which spares two rewritings of kernel text"
            }
            Of::Microvm => {
                kvm::available()?;
                "posix_spawn of an empty static program to its end; then create VM, memory and CPU, until the first exit"
            }
        };
        Ok(Identity {
            version: env!("CARGO_PKG_VERSION").into(),
            folded: vec![(Phase::Create, Phase::Start)],
            details: [("measures".to_owned(), what.to_owned())].into(),
            ..Identity::default()
        })
    }

    fn create(&self, spec: &Spec) -> Result<Box<dyn Instance>, Error> {
        let program = match self.of {
            Of::Microvm | Of::Apic => kvm::empty_program(self.site)?,
            Of::Process | Of::Namespace | Of::Borrowed => spec.program.image.path().to_owned(),
        };
        Ok(Box::new(Bare { of: self.of, spec: spec.clone(), program, running: None }))
    }
}

struct Bare {
    of: Of,
    spec: Spec,
    program: PathBuf,
    running: Option<Running>,
}

enum Running {
    Spawned(Pid),
    Cloned(Child),
    Machine(kvm::Machine),
}

impl Bare {
    /// The child's stdin and stdout, and ours.
    fn pipe() -> Result<(File, OwnedFd, OwnedFd), Error> {
        let null = File::open("/dev/null").map_err(|e| Error::os("open /dev/null", e))?;
        let (ours, theirs) = nix::unistd::pipe2(OFlag::O_CLOEXEC).map_err(|e| Error::os("make a pipe", e))?;
        Ok((File::from(ours), OwnedFd::from(null), theirs))
    }

    fn spawn(&self) -> Result<(Pid, File), Error> {
        let (mut ours, null, theirs) = Self::pipe()?;
        let fail = |e: nix::Error| Error::os("posix_spawn", e);
        let mut actions = PosixSpawnFileActions::init().map_err(fail)?;
        actions.add_dup2(null.as_raw_fd(), 0).map_err(fail)?;
        actions.add_dup2(theirs.as_raw_fd(), 1).map_err(fail)?;
        let attributes = PosixSpawnAttr::init().map_err(fail)?;
        let name = c(self.program.as_os_str().as_encoded_bytes())?;
        let no_env: [&std::ffi::CStr; 0] = [];
        let pid =
            posix_spawn(&self.program, &actions, &attributes, &[name.as_c_str()], &no_env).map_err(fail)?;
        drop(theirs);
        first_byte(&mut ours)?;
        Ok((pid, ours))
    }

    fn clone(&self) -> Result<Child, Error> {
        let (mut ours, null, theirs) = Self::pipe()?;
        let launch = Launch {
            namespaces: namespace::flags() | u64::try_from(libc::CLONE_NEWCGROUP).unwrap_or(0),
            into_cgroup: None,
            steps: vec![
                Step::Descriptor { fd: null.as_raw_fd(), to: 0 },
                Step::Descriptor { fd: theirs.as_raw_fd(), to: 1 },
                Step::Unshare { flags: namespace::NEWTIME, what: "time" },
            ],
            program: c(self.program.as_os_str().as_encoded_bytes())?,
            args: vec![c("payload")?],
            env: Vec::new(),
        };
        let vfork = matches!(self.of, Of::Borrowed);
        let child = if vfork { Child::spawn(launch)? } else { Child::fork(launch)? };
        drop(theirs);
        first_byte(&mut ours)?;
        Ok(child)
    }
}

fn first_byte(from: &mut File) -> Result<(), Error> {
    let mut line = [0_u8; 64];
    match from.read(&mut line) {
        Ok(0) => Err(Error::Died { exit: Exit::Code(0), stderr: "no first byte".into() }),
        Ok(_) => Ok(()),
        Err(e) => Err(Error::os("read the first byte", e)),
    }
}

fn reap(pid: Pid) -> Result<Exit, Error> {
    match waitpid(pid, None).map_err(|e| Error::os("wait for the program", e))? {
        WaitStatus::Exited(_, code) => Ok(Exit::Code(code)),
        WaitStatus::Signaled(_, signal, _) => Ok(Exit::Signal(signal as i32)),
        other => {
            Err(Error::os(format!("wait for the program: {other:?}"), std::io::Error::other("unexpected")))
        }
    }
}

impl Instance for Bare {
    fn start(&mut self) -> Result<(), Error> {
        self.running = Some(match self.of {
            Of::Process => Running::Spawned(self.spawn()?.0),
            Of::Namespace | Of::Borrowed => Running::Cloned(self.clone()?),
            Of::Microvm | Of::Apic => {
                let name = c(self.program.as_os_str().as_encoded_bytes())?;
                let fail = |e: nix::Error| Error::os("posix_spawn", e);
                let actions = PosixSpawnFileActions::init().map_err(fail)?;
                let attributes = PosixSpawnAttr::init().map_err(fail)?;
                let no_env: [&std::ffi::CStr; 0] = [];
                let pid = posix_spawn(&self.program, &actions, &attributes, &[name.as_c_str()], &no_env);
                reap(pid.map_err(fail)?)?;
                Running::Machine(kvm::Machine::until_first_exit(matches!(self.of, Of::Apic))?)
            }
        });
        Ok(())
    }

    fn run(&mut self, _: &Job) -> Result<Reply, Error> {
        Err(Error::Unsupported("a floor takes no jobs".into()))
    }

    fn stop(&mut self) -> Result<Usage, Error> {
        match self.running.take() {
            Some(Running::Spawned(pid)) => Ok(Usage::new(reap(pid)?, 0)),
            Some(Running::Cloned(mut child)) => {
                let (exit, cpu_ns) = child.wait(self.spec.deadline)?;
                Ok(Usage::new(exit, cpu_ns))
            }
            Some(Running::Machine(machine)) => {
                drop(machine);
                Ok(Usage::new(Exit::Code(0), 0))
            }
            None => Err(Error::Unsupported("it is not running".into())),
        }
    }

    fn remove(self: Box<Self>) -> Result<(), Error> {
        Ok(())
    }

    fn anatomy(&self) -> Anatomy {
        Anatomy::default()
    }
}

impl Drop for Bare {
    fn drop(&mut self) {
        if let Some(Running::Spawned(pid)) = self.running.take() {
            // It has no stdin to wait for and ends by itself; the signal is for a program that does not.
            let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL);
            let _ = reap(pid);
        }
    }
}
