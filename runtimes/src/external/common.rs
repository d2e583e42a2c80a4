//! What all instances of one tool share: its programs, its daemon, its private namespaces and the images it was given.
//!
//! Made when the first instance is asked for, outside of what is timed; gone with the last who holds it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use isomark_core::image::sha256;
use isomark_core::{Error, Exit, Program, Site, Spec};

use super::command::{Command, Told, said};
use super::ground::Ground;
use super::group::Parent;
use super::root;
use super::service::Service;
use crate::catalogue::Stanza;
use crate::catalogue::stanza::{GroupUse, Hook, Need, Text};
use crate::catalogue::template::{Value, Values, fill, fill_all};
use crate::launch::adopt_descendants;
use crate::namespace::{Group, Groups, Limits};

/// The shared part.
#[derive(Debug)]
pub(crate) struct Common {
    pub(crate) stanza: Arc<Stanza>,
    /// What the user chose, defaults filled in.
    pub(crate) choices: BTreeMap<String, String>,
    /// Placeholders that are the same for all instances.
    pub(crate) values: Values,
    pub(crate) home: PathBuf,
    tag: String,
    ground: Ground,
    pub(crate) groups: Option<Arc<Groups>>,
    pub(crate) parent: Option<Parent>,
    services: Vec<Service>,
    /// Archives by the program's hash; those that `prepare` has seen.
    images: Mutex<BTreeMap<String, PathBuf>>,
    /// Programs whose bytes were seen to be what runs.
    pub(crate) seen: Mutex<BTreeSet<String>>,
}

/// A daemon may take what it needs: the group is there to find it.
const ENDLESS: u64 = 1 << 50;

impl Common {
    /// Makes namespaces and groups, and starts the daemons.
    ///
    /// # Errors
    /// What the host refused.
    pub(crate) fn open(
        site: &Site,
        stanza: &Arc<Stanza>,
        mut values: Values,
        choices: BTreeMap<String, String>,
    ) -> Result<Self, Error> {
        let home = site.dir().join(format!("{}-{}", stanza.name.get_ref(), site.instance_name()));
        // Its images and containers lie below, and its daemons and instances are processes of this command's.
        let engine = format!("{} {}", stanza.name.get_ref(), home.display());
        isomark_core::ledger::note(site.dir(), "engine", &engine)?;
        std::fs::create_dir_all(&home).map_err(|e| Error::os(format!("make {}", home.display()), e))?;
        if stanza.program.pid_file.is_some() || stanza.hooks.contains(&Hook::Adopt) {
            adopt_descendants().map_err(|e| Error::os("become the parent of orphans", e))?;
        }
        values.insert("home".into(), text(&home).into());
        values.insert("site".into(), text(site.dir()).into());
        let parent = (stanza.group == GroupUse::Path).then(|| Parent::note(site)).transpose()?;
        if let Some(parent) = &parent {
            values.insert("parent".into(), parent.path().into());
        }
        let grouped = stanza.group == GroupUse::Join || !stanza.service.is_empty();
        let groups = grouped.then(|| Groups::open(site).map(Arc::new)).transpose();
        let groups =
            groups.map_err(|why| Error::Unsupported(format!("control groups cannot be made: {why}")))?;
        let ground = Ground::open(site, &stanza.hooks)?;
        let mut common = Self {
            stanza: Arc::clone(stanza),
            choices,
            values,
            home,
            tag: site.tag().to_owned(),
            ground,
            groups,
            parent,
            services: Vec::new(),
            images: Mutex::default(),
            seen: Mutex::default(),
        };
        for (name, template) in &stanza.files {
            common.write(name, template)?;
        }
        for service in &stanza.service {
            let command = common.command(&service.command, &common.values)?;
            let ready = || common.command(&service.ready, &common.values);
            let group = common.service_group(&service.name)?;
            let command = common.grouped(command, group.as_ref())?;
            let started = Service::start(&service.name, command, &ready, group);
            let started = started.map_err(|e| common.explain(e))?;
            common.services.push(started);
        }
        Ok(common)
    }

    fn write(&self, name: &str, template: &Text) -> Result<(), Error> {
        let text = fill(template.get_ref(), &self.values).map_err(Error::Input)?;
        let path = self.home.join(name.trim_start_matches('/'));
        std::fs::write(&path, text).map_err(|e| Error::os(format!("write {}", path.display()), e))
    }

    fn service_group(&self, name: &str) -> Result<Option<Group>, Error> {
        let cpus = std::thread::available_parallelism().map_or(1, |n| u32::try_from(n.get()).unwrap_or(1));
        let limits = Limits { memory: ENDLESS, pids: 1 << 20, cpus };
        let make = |groups: &Arc<Groups>| groups.instance(&format!("{name}-{}", self.tail()), limits);
        self.groups.as_ref().map(make).transpose()
    }

    /// The name of isomark's command, which everything on the host carries.
    pub(crate) fn tag(&self) -> &str {
        &self.tag
    }

    fn tail(&self) -> String {
        self.home.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    /// A command of the stanza, placeholders filled in, in the shared namespaces.
    ///
    /// # Errors
    /// Which placeholder has no value.
    pub(crate) fn command(&self, texts: &[Text], values: &Values) -> Result<Command, Error> {
        let refuse = |why| Error::Input(format!("stanza {}: {why}", self.stanza.name.get_ref()));
        let argv = fill_all(texts.iter().map(|text| text.get_ref().as_str()), values).map_err(refuse)?;
        let path = std::env::var("PATH").unwrap_or_else(|_| "/usr/local/bin:/usr/bin:/bin".into());
        let mut env = vec![
            format!("PATH={path}:/usr/local/sbin:/usr/sbin:/sbin"),
            format!("HOME={}", text(&self.home)),
        ];
        for (key, template) in &self.stanza.env {
            let filled = fill_all([template.get_ref().as_str()], values).map_err(refuse)?;
            env.push(format!("{key}={}", filled.concat()));
        }
        let block_sigchld = self.stanza.hooks.contains(&Hook::BlockSigchld);
        Ok(Command { argv, env, steps: self.ground.steps().collect(), into_cgroup: None, block_sigchld })
    }

    /// The same within a group.
    ///
    /// # Errors
    /// If the group cannot be opened.
    pub(crate) fn grouped(&self, mut command: Command, group: Option<&Group>) -> Result<Command, Error> {
        if let Some(group) = group {
            command.steps.splice(0..0, group.steps()?);
            command.into_cgroup = group.birthplace()?;
        }
        Ok(command)
    }

    /// Runs one command of the stanza to its end, which must be success.
    ///
    /// # Errors
    /// How it failed, in the words of the stanza where it knows the message.
    pub(crate) fn run(&self, texts: &[Text], values: &Values, spec: &Spec) -> Result<Told, Error> {
        let command = self.command(texts, values)?;
        let words = command.words();
        let told = command.run(spec.deadline)?;
        self.succeeded(&words, told)
    }

    /// What a command told, if it succeeded.
    ///
    /// # Errors
    /// As [`Common::run`].
    pub(crate) fn succeeded(&self, words: &str, told: Told) -> Result<Told, Error> {
        if told.exit == Exit::Code(0) {
            return Ok(told);
        }
        let why = said(if told.stderr.trim().is_empty() { &told.stdout } else { &told.stderr });
        Err(self.explain(Error::Unsupported(format!("{words} failed ({}){why}", told.exit))))
    }

    /// A failure in the words of the stanza, where it knows the message.
    pub(crate) fn explain(&self, error: Error) -> Error {
        let said = error.chain();
        let known = self.stanza.condition.iter().find(|condition| said.contains(&condition.pattern));
        match known {
            Some(known) => Error::Unsupported(format!("{}; remedy: {} ({said})", known.reason, known.remedy)),
            None => match error {
                Error::Unsupported(words) => Error::told(words),
                other => other,
            },
        }
    }

    /// The image of a program, made and handed to the tool once.
    ///
    /// # Errors
    /// What the host or the tool refused.
    pub(crate) fn prepared(&self, spec: &Spec) -> Result<Option<PathBuf>, Error> {
        let mut images = self.images.lock().unwrap_or_else(PoisonError::into_inner);
        let key = name_of(&spec.program);
        let archive = self.stanza.needs.contains(&Need::ImageArchive);
        if let Some(path) = images.get(&key) {
            return Ok(archive.then(|| path.clone()));
        }
        let path = self.home.join(format!("{key}.tar"));
        if archive {
            root::archive(&path, &spec.program, &self.stanza.root_files)?;
        }
        let mut values = self.values.clone();
        values.insert("image".into(), text(&path).into());
        values.extend(of_program(&spec.program));
        for verb in &self.stanza.prepare {
            self.run(&verb.command, &values, &Spec { deadline: PREPARE, ..spec.clone() })?;
        }
        images.insert(key, path.clone());
        Ok(archive.then_some(path))
    }

    /// Processes of its daemons.
    pub(crate) fn daemons(&self) -> impl Iterator<Item = i32> + '_ {
        self.services.iter().flat_map(|service| service.pids().iter().copied())
    }
}

/// Bound on importing an image.
const PREPARE: std::time::Duration = std::time::Duration::from_secs(120);

/// Placeholders of a program.
pub(crate) fn of_program(program: &Program) -> Values {
    let values = [("program", root::inside(program)), ("image-name", name_of(program))];
    values.map(|(key, value)| (key.to_owned(), Value::One(value))).into()
}

/// Images are named after the program's bytes and its name.
fn name_of(program: &Program) -> String {
    let name = sha256(root::inside(program).as_bytes());
    format!("isomark-{}-{}", &program.image.sha256()[..16], &name[..8])
}

/// A path as text.
pub(crate) fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}
