//! `uml`: User-Mode Linux, a kernel that is a process. No virtualization at all: guest system calls are caught by ptrace.
//!
//! The initramfs is that of the other guests; init tells its story on a third serial line, for there are no ports. The
//! kernel runs in a pid namespace of its own, because killing it alone would leave its stopped children behind.

use std::path::PathBuf;

use isomark_core::runtime::Stdio;
use isomark_core::{
    Ability, Error, Identity, Instance, Kind, Runtime, Site, Spec, Unavailable, image, site::remove_tree,
};

use crate::external::{Command, PROBE, find};
use crate::guest::{Initramfs, LEAST_MEMORY};
use crate::qemu::{Guest, Own};

/// The runtime.
pub struct Uml<'s> {
    site: &'s Site,
}

impl<'s> Uml<'s> {
    /// Machines whose initramfs lies in `site`.
    #[must_use]
    pub const fn new(site: &'s Site) -> Self {
        Self { site }
    }

    fn program() -> Result<PathBuf, Unavailable> {
        find("linux.uml").ok_or_else(|| {
            Unavailable::new(
                "linux.uml is not installed",
                "apt-get install --no-install-recommends user-mode-linux",
            )
        })
    }
}

impl Runtime for Uml<'_> {
    fn name(&self) -> &str {
        "uml"
    }

    fn kind(&self) -> Kind {
        Kind::Vm
    }

    fn on_request(&self) -> bool {
        true
    }

    fn probe(&self) -> Result<Identity, Unavailable> {
        let program = Self::program()?;
        if !nix::unistd::geteuid().is_root() {
            return Err(Unavailable::new(
                "User-Mode Linux leaves processes behind when it is killed, and the pid namespace against that needs root",
                "run as root",
            ));
        }
        let fail =
            |why: String| Unavailable::new(format!("{}: {why}", program.display()), "see its own message");
        let told = Command::version(&program).run(PROBE).map_err(|e| fail(e.chain()))?;
        let version = told.stdout.trim().to_owned();
        let bytes = std::fs::read(&program).map_err(|e| fail(e.to_string()))?;
        let details = [
            ("kernel", version.clone()),
            ("kernel sha256", image::sha256(&bytes)),
            ("init sha256", image::sha256(crate::embedded::INIT)),
            ("accel", "none".into()),
            ("system calls", "caught by ptrace".into()),
            ("least memory", format!("{} MiB, also where less is asked for", LEAST_MEMORY >> 20)),
        ];
        Ok(Identity {
            version,
            // Its memory is a file that each guest process maps as a process of the host: no mode of accounting fits.
            can: vec![Ability::Jobs, Ability::Fork, Ability::Disk, Ability::Programs],
            provisions: vec!["initramfs".into()],
            files: vec![program],
            details: details.map(|(key, value)| (key.to_owned(), value)).into(),
            ..Identity::default()
        })
    }

    fn create(&self, spec: &Spec) -> Result<Box<dyn Instance>, Error> {
        if spec.provision.as_deref().is_some_and(|way| way != "initramfs") {
            return Err(Error::Input("uml knows one way of provisioning: initramfs".into()));
        }
        let program = Self::program().map_err(|why| Error::Unsupported(why.reason))?;
        let initramfs = Initramfs::of(self.site, &spec.program)?;
        initramfs.check()?;
        let spec = Spec { memory: spec.memory.max(LEAST_MEMORY), ..spec.clone() };
        // Where it keeps its own pid file.
        let dir = self.site.dir().join(self.site.instance_name());
        remove_tree(&dir)?;
        std::fs::create_dir(&dir).map_err(|e| Error::os(format!("make directory {}", dir.display()), e))?;
        let wire = if spec.program.stdio == Stdio::Null { "null" } else { "fd:0,fd:1" };
        let fixed = [
            "linux.uml".to_owned(),
            format!("mem={}M", spec.memory >> 20),
            format!("initrd={}", initramfs.path.display()),
            format!("uml_dir={}/", dir.display()),
            // A descriptor can serve one line only, so the kernel's console leads nowhere; without one this kernel would print
            // its log on standard output at the end (arch/um/kernel/kmsg_dump.c).
            "con=null".into(),
            "ssl=null".into(),
            "ssl0=null,fd:2".into(),
            format!("ssl1={wire}"),
            "quiet".into(),
        ];
        let arguments =
            move |control| fixed.iter().cloned().chain([format!("ssl2=null,fd:{control}")]).collect();
        let guest = Guest::new(&spec, program, Box::new(arguments), Some(Own(dir)));
        Ok(Box::new(guest.sharing([initramfs.path]).within(libc::CLONE_NEWPID)))
    }
}
