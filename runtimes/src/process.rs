//! `process`: a plain child. The floor that everything is compared with.
//!
//! Spawned with its streams on pipes and waited for on its pidfd; there is nothing between it and the host.

use std::path::PathBuf;

use isomark_core::payload::{Job, Reply};
use isomark_core::runtime::{Program, Role, Stdio};
use isomark_core::{
    Ability, Anatomy, Error, Identity, Instance, Kind, Phase, Runtime, Site, Spec, Unavailable, Usage, tree,
};

use crate::launch::{Ends, Launch, Running, Step, c};

/// The runtime.
pub struct Process<'s> {
    site: &'s Site,
}

impl<'s> Process<'s> {
    /// Processes whose working directories lie in `site`.
    #[must_use]
    pub const fn new(site: &'s Site) -> Self {
        Self { site }
    }
}

impl Runtime for Process<'_> {
    fn name(&self) -> &str {
        "process"
    }

    fn kind(&self) -> Kind {
        Kind::Process
    }

    fn probe(&self) -> Result<Identity, Unavailable> {
        Ok(Identity {
            version: env!("CARGO_PKG_VERSION").into(),
            can: vec![Ability::Jobs, Ability::Fork, Ability::Memory, Ability::Disk, Ability::Programs],
            folded: vec![(Phase::Create, Phase::Start)],
            provisions: vec!["host".into()],
            details: [
                ("isolation", "none: the host's root, users, network and processes"),
                ("network", "the host's"),
                ("seccomp", "off"),
                ("userns", "none: the caller's user"),
                ("limits", "none"),
                ("rootfs", "the host's"),
                ("console", "none: pipes"),
                ("namespaces", "none"),
            ]
            .map(|(key, fact)| (key.to_owned(), fact.to_owned()))
            .into(),
            ..Identity::default()
        })
    }

    fn create(&self, spec: &Spec) -> Result<Box<dyn Instance>, Error> {
        Ok(Box::new(Plain::new(self.site, spec, Vec::new())))
    }
}

/// A child and nothing else: an instance of `process`, and of any runtime that differs from it by what the child does to
/// itself before it becomes the program.
pub(crate) struct Plain {
    spec: Spec,
    /// Working directory; made only when the spec asks for a root, for a bare process needs none.
    dir: PathBuf,
    made: bool,
    /// Steps of its own, after those that every child takes; taken at its start.
    own: Vec<Step>,
    running: Option<Running>,
}

/// The arguments as the program sees them: its own name first.
pub(crate) fn argv(program: &Program) -> Result<Vec<std::ffi::CString>, Error> {
    std::iter::once(&program.name).chain(&program.args).map(c).collect()
}

/// The environment as `KEY=value`.
pub(crate) fn envp(program: &Program) -> Result<Vec<std::ffi::CString>, Error> {
    program.env.iter().map(|(key, value)| c(format!("{key}={value}"))).collect()
}

impl Plain {
    /// A child that has not started. Its working directory will lie in `site`.
    pub(crate) fn new(site: &Site, spec: &Spec, own: Vec<Step>) -> Self {
        let dir = site.dir().join(site.instance_name());
        Self { spec: spec.clone(), dir, made: false, own, running: None }
    }

    fn launch(&mut self, ends: &Ends) -> Result<Launch, Error> {
        let program = &self.spec.program;
        let mut steps = vec![Step::DieWithParent(libc::SIGKILL)];
        steps.extend(ends.steps());
        // A program of a user who sits at a terminal stays where signals from its keys arrive.
        steps.extend((program.stdio != Stdio::Inherit).then_some(Step::OwnGroup));
        steps.extend((!self.spec.huge_pages).then_some(Step::SmallPages));
        if self.spec.provision.is_some() {
            let path = c(self.dir.as_os_str().as_encoded_bytes())?;
            self.made = true;
            steps.extend([Step::Directory { path: path.clone(), mode: 0o700 }, Step::WorkIn { path }]);
        }
        steps.append(&mut self.own);
        Ok(Launch {
            namespaces: 0,
            into_cgroup: None,
            steps,
            program: c(program.image.path().as_os_str().as_encoded_bytes())?,
            args: argv(program)?,
            env: envp(program)?,
        })
    }
}

impl Instance for Plain {
    fn start(&mut self) -> Result<(), Error> {
        let (stdio, deadline) = (self.spec.program.stdio, self.spec.deadline);
        let running = Running::spawn(stdio, deadline, |ends| self.launch(ends))?;
        self.running.insert(running).ready()
    }

    fn run(&mut self, job: &Job) -> Result<Reply, Error> {
        Running::of(&mut self.running)?.run(job)
    }

    fn stop(&mut self) -> Result<Usage, Error> {
        Running::of(&mut self.running)?.stop()
    }

    fn remove(mut self: Box<Self>) -> Result<(), Error> {
        self.running = None;
        self.sweep()
    }

    fn anatomy(&self) -> Anatomy {
        Anatomy {
            processes: self.running.iter().map(|running| (running.pid(), Role::Program)).collect(),
            shared: vec![self.spec.program.image.path().to_owned()],
            private: self.made.then(|| self.dir.clone()).into_iter().collect(),
            ..Anatomy::default()
        }
    }
}

impl Plain {
    fn sweep(&mut self) -> Result<(), Error> {
        if std::mem::take(&mut self.made) {
            // Its program had the host's mounts at hand.
            tree::detach_mounts(&self.dir)?;
            tree::remove_tree(&self.dir)?;
        }
        Ok(())
    }
}

impl Drop for Plain {
    fn drop(&mut self) {
        self.running = None;
        let _ = self.sweep();
    }
}
