//! `qemu`: full virtualization as the documents mean it, with a stock kernel and an initramfs inside.
//!
//! The program and its init are those of `microvm-linux`; around them is another machine. QEMU is started like every
//! other program; the wire is its second serial port, and what init says comes through a debug port.

mod carry;
mod distribution;
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

use crate::external::{Command, PROBE, find};
use crate::guest::{Heard, Initramfs, Kernels, LEAST_MEMORY};
use crate::launch::{Launch, Running, Step, c, pipe};
use crate::{kvm, tsc};
use carry::{Carried, Theirs};
use distribution::{Distribution, WAYS};
use words::{Accel, Machine, Words};

/// Its name on the shelf.
pub(crate) const NAME: &str = "qemu";
/// The same with a distribution inside.
pub(crate) const DISTRIBUTION: &str = "qemu-debian";
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
    /// Whether the guest is a distribution on a disk.
    distribution: bool,
    tsc_hz: OnceLock<u64>,
    accelerates: OnceLock<Result<(), Unavailable>>,
}

impl<'s> Qemu<'s> {
    /// QEMU as it stands on the shelf, with an initramfs and with a distribution.
    #[must_use]
    pub fn plain(site: &'s Site, kernels: &Arc<Kernels>) -> [Self; 2] {
        [NAME, DISTRIBUTION].map(|name| {
            let parts = (Machine::Q35, None, "qemu-system-x86_64".into());
            Self::with(site, Arc::clone(kernels), (name.into(), name == DISTRIBUTION), parts)
        })
    }

    fn with(
        site: &'s Site,
        kernels: Arc<Kernels>,
        (name, distribution): (String, bool),
        (machine, accel, binary): (Machine, Option<Accel>, PathBuf),
    ) -> Self {
        let (tsc_hz, accelerates) = (OnceLock::new(), OnceLock::new());
        Self { site, kernels, name, binary, machine, accel, distribution, tsc_hz, accelerates }
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
        let distribution = variant.runtime == DISTRIBUTION;
        if distribution && machine == Machine::Microvm {
            let text =
                format!("runtime {variant}: the machine microvm has no disk that a stock initramfs finds");
            return Err(Error::Input(text));
        }
        Ok(Self::with(site, kernels, (variant.to_string(), distribution), (machine, accel, binary)))
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
        Ok(Words {
            machine: self.machine,
            accel,
            tsc_hz: *self.tsc_hz.get_or_init(tsc::calibrate),
            disk: self.distribution,
            wired,
            hidden: String::new(),
        })
    }

    fn guest(&self) -> Result<Distribution, Unavailable> {
        Distribution::open(self.site.dir().parent().unwrap_or(self.site.dir()))
    }

    /// What is the same for both kinds of guests.
    fn identity(&self, program: PathBuf, words: &Words) -> Result<Identity, Unavailable> {
        let details = [
            ("machine", words.machine.word().to_owned()),
            ("accel", words.accel.word().into()),
            ("argv", words.fixed().join(" ")),
            ("command line", words.command_line()),
            ("init sha256", isomark_core::image::sha256(crate::embedded::INIT)),
            ("vCPUs", "1".into()),
            ("least memory", format!("{} MiB, also where less is asked for", self.least_memory() >> 20)),
        ];
        Ok(Identity {
            version: version(&program)?,
            can: vec![Ability::Jobs, Ability::Fork, Ability::Memory, Ability::Disk, Ability::Features],
            files: vec![program],
            details: details.map(|(key, value)| (key.to_owned(), value)).into(),
            ..Identity::default()
        })
    }

    /// A distribution unpacks an initramfs of every driver there is, and starts a service manager.
    const fn least_memory(&self) -> u64 {
        if self.distribution { 512 << 20 } else { LEAST_MEMORY }
    }

    fn create_disk(&self, spec: &Spec, parts: (PathBuf, Words)) -> Result<Guest, Error> {
        let guest = self.guest().map_err(|why| Error::Unsupported(why.reason))?;
        if spec.program.stdio != Stdio::Wire {
            return Err(Error::Unsupported("a distribution guest runs the payload only".into()));
        }
        guest.holds(spec.program.image.sha256())?;
        let way = spec.provision.as_deref().unwrap_or(WAYS[0].0);
        let format = WAYS.iter().find(|(known, _)| *known == way).map(|(_, format)| *format);
        let format = format.ok_or_else(|| {
            Error::Input(format!("{} does not provision a root by {way:?}: qcow2, raw, reflink", self.name))
        })?;
        let path = self.site.dir().join(self.site.instance_name()).with_extension("disk");
        // From here on the disk goes with the instance, also if making it fails half way.
        let own = Own(path.clone());
        guest.provision(way, &path)?;
        let files =
            Files { kernel: guest.kernel(), initrd: guest.initrd(), disk: Some((path.clone(), format)) };
        let made = files.guest(spec, parts, Some(own)).sharing([guest.disk()]);
        Ok(Guest { private: vec![path], ..made })
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
        let mut identity = self.identity(program, &words)?;
        if self.distribution {
            let guest = self.guest()?;
            identity.provisions = guest.ways(self.site.dir());
            identity.files.extend([guest.kernel(), guest.initrd(), guest.disk()]);
            identity.details.extend(guest.details());
            return Ok(identity);
        }
        let kernel = self.kernels.get()?;
        identity.version = format!("{} with Linux {}", identity.version, kernel.release);
        identity.can.push(Ability::Programs);
        identity.provisions = vec!["initramfs".into()];
        identity.files.push(kernel.path.clone());
        identity.details.extend(kernel.details.iter().cloned());
        Ok(identity)
    }

    fn create(&self, spec: &Spec) -> Result<Box<dyn Instance>, Error> {
        let unsupported = |why: Unavailable| Error::Unsupported(why.reason);
        let program = self.program().map_err(unsupported)?;
        let words = self.words(spec.program.stdio != Stdio::Null).map_err(unsupported)?;
        let words = Words { hidden: words::hidden(&spec.cpu), ..words };
        let spec = Spec { memory: spec.memory.max(self.least_memory()), ..spec.clone() };
        if self.distribution {
            return Ok(Box::new(self.create_disk(&spec, (program, words))?));
        }
        if spec.provision.as_deref().is_some_and(|way| way != "initramfs") {
            return Err(Error::Input("qemu knows one way of provisioning: initramfs".into()));
        }
        let kernel = self.kernels.need()?.path.clone();
        let initramfs = Initramfs::of(self.site, &spec.program)?;
        // QEMU copies into the guest whatever is in the file.
        initramfs.check()?;
        let files = Files { kernel, initrd: initramfs.path, disk: None };
        Ok(Box::new(files.guest(&spec, (program, words), None)))
    }
}

/// "7.2.22": the third word of what it says about itself; asked once a command.
fn version(program: &std::path::Path) -> Result<String, Unavailable> {
    let fail = |why: String| Unavailable::new(format!("{}: {why}", program.display()), "see its own message");
    let told = Command::version(program).run(PROBE).map_err(|e| fail(e.chain()))?;
    let text = told.stdout;
    let version = text.split_whitespace().nth(3).filter(|_| text.starts_with("QEMU emulator version"));
    version.map(str::to_owned).ok_or_else(|| fail("it does not say that it is QEMU".into()))
}

/// A file or directory of one instance; gone when dropped.
pub(crate) struct Own(pub(crate) PathBuf);

impl Own {
    fn remove(&self) -> Result<(), Error> {
        if self.0.is_dir() {
            return isomark_core::site::remove_tree(&self.0);
        }
        match std::fs::remove_file(&self.0) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                Err(Error::os(format!("remove {}", self.0.display()), e))
            }
            _ => Ok(()),
        }
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        // Nobody is left to be told; whatever remains lies in the site, which goes with the command.
        let _ = self.remove();
    }
}

/// What the machine is started from.
struct Files {
    kernel: PathBuf,
    initrd: PathBuf,
    /// The instance's own disk, and its format.
    disk: Option<(PathBuf, &'static str)>,
}

impl Files {
    fn guest(self, spec: &Spec, (program, words): (PathBuf, Words), own: Option<Own>) -> Guest {
        let (memory, shared) = (spec.memory, [self.kernel.clone(), self.initrd.clone()]);
        let arguments = move |control| {
            let all = words.all(memory, (&self.kernel, &self.initrd, self.disk.as_ref()), control);
            std::iter::once("qemu-system-x86_64".to_owned()).chain(all).collect()
        };
        Guest::new(spec, program, Box::new(arguments), own).sharing(shared)
    }
}

/// A machine that another program makes: started, talked to and ended in one way, whoever the program is.
pub(crate) struct Guest {
    spec: Spec,
    program: PathBuf,
    /// The program's arguments, its own name first, for the descriptor of the control pipe.
    arguments: Arguments,
    /// `CLONE_NEW*` flags of its own.
    namespaces: u64,
    shared: Vec<PathBuf>,
    private: Vec<PathBuf>,
    // Dropped in this order: once QEMU has gone, those who listen to it end by themselves.
    running: Option<Running>,
    heard: Option<Arc<Heard>>,
    carried: Option<Carried>,
    /// The instance's own disk or directory.
    own: Option<Own>,
}

/// Arguments, once the control pipe's descriptor is known.
pub(crate) type Arguments = Box<dyn Fn(i32) -> Vec<String> + Send>;

impl Guest {
    /// A machine that is made by `program`; `own` is what goes with it.
    pub(crate) fn new(spec: &Spec, program: PathBuf, arguments: Arguments, own: Option<Own>) -> Self {
        let (shared, private) = (vec![program.clone()], Vec::new());
        let spec = spec.clone();
        let (running, heard, carried) = (None, None, None);
        Self { spec, program, arguments, namespaces: 0, shared, private, running, heard, carried, own }
    }

    /// The same with files that all instances share.
    pub(crate) fn sharing(mut self, files: impl IntoIterator<Item = PathBuf>) -> Self {
        self.shared.extend(files);
        self
    }

    /// The same in namespaces of its own.
    pub(crate) fn within(mut self, namespaces: i32) -> Self {
        self.namespaces = u64::from(namespaces.unsigned_abs());
        self
    }

    fn launch(&self, control: i32, streams: Vec<Step>) -> Result<Launch, Error> {
        let mut steps = vec![Step::DieWithParent(libc::SIGKILL)];
        steps.extend(streams);
        // Onto itself: that clears close-on-exec.
        steps.push(Step::Descriptor { fd: control, to: control });
        steps.extend([Step::NoRootPrivileges, Step::DropCapabilities, Step::NoNewPrivileges]);
        let args = (self.arguments)(control).into_iter();
        Ok(Launch {
            namespaces: self.namespaces,
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
            None => failed.before_ready(),
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
        self.own.as_ref().map_or(Ok(()), Own::remove)
    }

    fn anatomy(&self) -> Anatomy {
        let pid = self.running.as_ref().map(Running::pid);
        Anatomy {
            processes: pid.map(|pid| (pid, Role::Program)).into_iter().collect(),
            guest_ram: pid.and_then(|pid| guest_ram(pid, self.spec.memory)),
            shared: self.shared.clone(),
            private: self.private.clone(),
            files_in_memory: self.private.is_empty(),
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
