//! `qemu`: full virtualization as the documents mean it, with a stock kernel and an initramfs inside.
//!
//! The program and its init are those of `microvm-linux`; around them is another machine. QEMU is started like every
//! other program; the wire is its second serial port, and what init says comes through a debug port.

mod carry;
mod words;

use std::os::fd::AsRawFd;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use isomark_core::payload::{Job, Reply};
use isomark_core::runtime::{Role, Stdio};
use isomark_core::{
    Ability, Anatomy, Error, Identity, Instance, Kind, Runtime, Site, Spec, Unavailable, Usage, Variant,
};
use isomark_vmm::linux::line::END;

use crate::external::find;
use crate::guest::{Heard, Initramfs, Kernel, Kernels, LEAST_MEMORY};
use crate::launch::{Launch, Running, Step, c, pipe};
use crate::{kvm, tsc};
use carry::{Carried, Theirs};
use words::{Accel, Machine, Words};

/// Its name on the shelf.
pub(crate) const NAME: &str = "qemu";
/// What a variant of it may say.
pub(crate) const PARAMS: [&str; 2] = ["machine", "accel"];

/// The runtime.
pub struct Qemu<'s> {
    site: &'s Site,
    kernels: Arc<Kernels>,
    name: String,
    binary: PathBuf,
    machine: Machine,
    /// `None`: KVM where it can run a stock kernel, else the translator.
    accel: Option<Accel>,
    tsc_hz: OnceLock<u64>,
    accelerates: OnceLock<Result<(), Unavailable>>,
}

impl<'s> Qemu<'s> {
    /// QEMU as it stands on the shelf.
    #[must_use]
    pub fn plain(site: &'s Site, kernels: Arc<Kernels>) -> Self {
        Self::with(site, kernels, NAME.into(), (Machine::Q35, None, "qemu-system-x86_64".into()))
    }

    fn with(
        site: &'s Site,
        kernels: Arc<Kernels>,
        name: String,
        (machine, accel, binary): (Machine, Option<Accel>, PathBuf),
    ) -> Self {
        let (tsc_hz, accelerates) = (OnceLock::new(), OnceLock::new());
        Self { site, kernels, name, binary, machine, accel, tsc_hz, accelerates }
    }

    /// QEMU as the user named it: `qemu`, `qemu{machine=pc,accel=tcg}`, `qemu@/opt/qemu/bin/qemu-system-x86_64`.
    ///
    /// # Errors
    /// [`Error::Input`] for a parameter or a word that it does not know.
    pub fn new(site: &'s Site, kernels: Arc<Kernels>, variant: &Variant) -> Result<Self, Error> {
        let (mut machine, mut accel) = (Machine::Q35, None);
        for (key, value) in &variant.params {
            let refuse = |known: &str| {
                Error::Input(format!("runtime {variant}: {key} = {value:?} is none of {known}"))
            };
            match key.as_str() {
                "machine" => {
                    let named = Machine::ALL.into_iter().find(|m| m.word() == value);
                    machine = named.ok_or_else(|| refuse("microvm, q35, pc"))?;
                }
                "accel" => {
                    let named = Accel::ALL.into_iter().find(|a| a.word() == value);
                    accel = Some(named.ok_or_else(|| refuse("tcg, kvm"))?);
                }
                _ => {
                    let text =
                        format!("runtime {variant} has no parameter {key:?}: it has machine and accel");
                    return Err(Error::Input(text));
                }
            }
        }
        let binary = variant.binary.clone().unwrap_or_else(|| "qemu-system-x86_64".into());
        Ok(Self::with(site, kernels, variant.to_string(), (machine, accel, binary)))
    }

    fn program(&self) -> Result<PathBuf, Unavailable> {
        let name = self.binary.display().to_string();
        find(&name).ok_or_else(|| {
            Unavailable::new(
                format!("{name} is not installed"),
                "apt-get install --no-install-recommends qemu-system-x86",
            )
        })
    }

    /// Whether this host's KVM runs a kernel that was not written for it.
    fn accelerates(&self) -> Result<(), Unavailable> {
        let ask = || {
            let finding = kvm::classify();
            match finding.class {
                kvm::Class::Hardware | kvm::Class::Nested => Ok(()),
                _ => Err(Unavailable::new(
                    format!("KVM cannot run a stock kernel here: {}", finding.evidence),
                    "use accel=tcg, or a host with VMX or SVM",
                )),
            }
        };
        self.accelerates.get_or_init(ask).clone()
    }

    fn words(&self, wired: bool) -> Result<Words, Unavailable> {
        let accel = match self.accel {
            None if self.accelerates().is_ok() => Accel::Kvm,
            None => Accel::Tcg,
            Some(Accel::Kvm) => self.accelerates().map(|()| Accel::Kvm)?,
            Some(Accel::Tcg) => Accel::Tcg,
        };
        Ok(Words { machine: self.machine, accel, tsc_hz: *self.tsc_hz.get_or_init(tsc::calibrate), wired })
    }
}

impl Runtime for Qemu<'_> {
    fn name(&self) -> &str {
        &self.name
    }

    fn kind(&self) -> Kind {
        Kind::Vm
    }

    fn on_request(&self) -> bool {
        true
    }

    fn probe(&self) -> Result<Identity, Unavailable> {
        let program = self.program()?;
        let words = self.words(true)?;
        let kernel = self.kernels.get()?;
        let details = [
            ("machine", words.machine.word().to_owned()),
            ("accel", words.accel.word().into()),
            ("argv", words.fixed().join(" ")),
            ("command line", words.command_line()),
            ("init sha256", isomark_core::image::sha256(crate::embedded::INIT)),
            ("vCPUs", "1".into()),
            ("least memory", format!("{} MiB, also where less is asked for", LEAST_MEMORY >> 20)),
        ];
        let details = details.map(|(key, value)| (key.to_owned(), value));
        Ok(Identity {
            version: format!("{} with Linux {}", version(&program)?, kernel.release),
            can: vec![Ability::Jobs, Ability::Fork, Ability::Memory, Ability::Disk, Ability::Programs],
            provisions: vec!["initramfs".into()],
            files: vec![program, kernel.path.clone()],
            details: details.into_iter().chain(kernel.details.iter().cloned()).collect(),
            ..Identity::default()
        })
    }

    fn create(&self, spec: &Spec) -> Result<Box<dyn Instance>, Error> {
        if spec.provision.as_deref().is_some_and(|way| way != "initramfs") {
            return Err(Error::Input("qemu knows one way of provisioning: initramfs".into()));
        }
        let unsupported = |why: Unavailable| Error::Unsupported(why.reason);
        let program = self.program().map_err(unsupported)?;
        let words = self.words(spec.program.stdio != Stdio::Null).map_err(unsupported)?;
        let kernel = self.kernels.need()?.clone();
        let initramfs = Initramfs::of(self.site, &spec.program)?;
        // QEMU copies into the guest whatever is in the file.
        initramfs.check()?;
        let spec = Spec { memory: spec.memory.max(LEAST_MEMORY), ..spec.clone() };
        Ok(Box::new(Guest {
            spec,
            program,
            words,
            kernel,
            initramfs,
            running: None,
            heard: None,
            carried: None,
        }))
    }
}

/// "7.2.22": the third word of what it says about itself; asked once a command.
fn version(program: &std::path::Path) -> Result<String, Unavailable> {
    let fail = |why: String| Unavailable::new(format!("{}: {why}", program.display()), "see its own message");
    let output = std::process::Command::new(program).arg("--version").output();
    let output = output.map_err(|e| fail(e.to_string()))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let version = text.split_whitespace().nth(3).filter(|_| text.starts_with("QEMU emulator version"));
    version.map(str::to_owned).ok_or_else(|| fail("it does not say that it is QEMU".into()))
}

struct Guest {
    spec: Spec,
    program: PathBuf,
    words: Words,
    kernel: Kernel,
    initramfs: Initramfs,
    // Dropped in this order: once QEMU has gone, those who listen to it end by themselves.
    running: Option<Running>,
    heard: Option<Arc<Heard>>,
    carried: Option<Carried>,
}

impl Guest {
    fn launch(&self, control: i32, streams: Vec<Step>) -> Result<Launch, Error> {
        let words = self.words.all(self.spec.memory, &self.kernel.path, &self.initramfs.path, control);
        let mut steps = vec![Step::DieWithParent(libc::SIGKILL)];
        steps.extend(streams);
        // Onto itself: that clears close-on-exec.
        steps.push(Step::Descriptor { fd: control, to: control });
        steps.extend([Step::NoRootPrivileges, Step::DropCapabilities, Step::NoNewPrivileges]);
        let args = std::iter::once("qemu-system-x86_64".to_owned()).chain(words);
        Ok(Launch {
            steps,
            program: c(self.program.as_os_str().as_encoded_bytes())?,
            args: args.map(c).collect::<Result<_, _>>()?,
            ..Launch::default()
        })
    }

    /// What init said, in place of QEMU's own status, for an end that came too early.
    fn explain(&self, failed: Error) -> Error {
        let Error::Died { stderr, .. } = &failed else { return failed };
        match self.end() {
            Some(Ok(exit)) => Error::Died { exit, stderr: stderr.clone() },
            Some(Err(why)) => Error::Unsupported(why),
            None => failed,
        }
    }

    /// How the program ended, as init told; QEMU has ended.
    fn end(&self) -> Option<Result<isomark_core::Exit, String>> {
        self.heard.as_ref().and_then(|heard| heard.all().end.clone())
    }
}

impl Instance for Guest {
    fn start(&mut self) -> Result<(), Error> {
        let (ours, control) = pipe()?;
        let heard = Arc::new(Heard::listen(ours)?);
        self.heard = Some(Arc::clone(&heard));
        let (stdio, deadline) = (self.spec.program.stdio, self.spec.deadline);
        let own = if stdio == Stdio::Inherit { Some(carry::pipes()?) } else { None };
        let running = Running::spawn(stdio, deadline, |ends| {
            let streams = own.as_ref().map_or_else(
                || ends.steps().collect(),
                |(_, theirs): &(_, Theirs)| theirs.steps().collect::<Vec<_>>(),
            );
            self.launch(control.as_raw_fd(), streams)
        })?;
        drop(control);
        let running = self.running.insert(running);
        if let Some((ours, theirs)) = own {
            drop(theirs);
            self.carried = Some(ours.carry(&heard)?);
        }
        let ready = running.ready();
        ready.map_err(|failed| self.explain(failed))
    }

    fn run(&mut self, job: &Job) -> Result<Reply, Error> {
        Running::of(&mut self.running)?.run(job)
    }

    fn stop(&mut self) -> Result<Usage, Error> {
        let running = Running::of(&mut self.running)?;
        running.say(&END);
        let mut usage = running.stop()?;
        if let Some(carried) = self.carried.take() {
            carried.finish();
        }
        match self.end() {
            Some(Ok(exit)) => usage.exit = exit,
            Some(Err(why)) => return Err(Error::Unsupported(why)),
            None => return Err(Error::Died { exit: usage.exit, stderr: usage.stderr }),
        }
        if let Some(heard) = &self.heard {
            usage.steps.append(&mut heard.so_far().steps);
        }
        Ok(usage)
    }

    fn remove(mut self: Box<Self>) -> Result<(), Error> {
        self.running = None;
        Ok(())
    }

    fn anatomy(&self) -> Anatomy {
        let pid = self.running.as_ref().map(Running::pid);
        Anatomy {
            processes: pid.map(|pid| (pid, Role::Program)).into_iter().collect(),
            guest_ram: pid.and_then(|pid| guest_ram(pid, self.spec.memory)),
            shared: vec![self.kernel.path.clone(), self.initramfs.path.clone(), self.program.clone()],
            files_in_memory: true,
            ..Anatomy::default()
        }
    }
}

/// Where QEMU has put the guest's memory: the one mapping that is exactly as large.
fn guest_ram(pid: i32, memory: u64) -> Option<(u64, u64)> {
    let maps = std::fs::read_to_string(format!("/proc/{pid}/maps")).ok()?;
    maps.lines().find_map(|line| {
        let (start, end) = line.split_whitespace().next()?.split_once('-')?;
        let [start, end] = [start, end].map(|text| u64::from_str_radix(text, 16).ok());
        Some((start?, end? - start?)).filter(|(_, len)| *len == memory)
    })
}
