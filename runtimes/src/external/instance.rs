//! One sandbox of a tool, driven by its verbs.
//!
//! Whatever has been begun is taken away again, in the reverse order, and what should be gone is looked at: the program,
//! the processes around it, its groups and its directory.

use std::cell::OnceCell;
use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use isomark_core::clock::monotonic_ns;
use isomark_core::payload::{Job, Reply};
use isomark_core::runtime::{Role, Stdio};
use isomark_core::{Anatomy, Error, Exit, Instance, Spec, Step as Moment, Usage, account};

use super::command::Command;
use super::common::{Common, of_program, text};
use super::family::{Family, executes};
use super::{bundle, root};
use crate::catalogue::stanza::{ExitForm, GroupUse, Hook, Need, Verb};
use crate::catalogue::template::{Value, Values, fill};
use crate::launch::{Child, Running, Step, Wire, c, orphans, share_memory};
use crate::namespace::{Group, Limits, memory_group};

/// Bound on clean-up, whatever the deadline of the program was.
const CLEAN: Duration = Duration::from_secs(30);
/// Bound on the end of processes around a program that has ended.
const LEAVE: Duration = Duration::from_secs(5);

/// The sandbox.
pub(crate) struct Tool {
    common: Arc<Common>,
    spec: Spec,
    name: String,
    values: Values,
    dir: PathBuf,
    root: Option<PathBuf>,
    group: Option<Group>,
    /// Whether a verb was begun whose work `remove` takes away.
    begun: bool,
    running: Option<Running>,
    /// What its commands left running beside the program.
    adopted: Vec<Child>,
    /// The program's process, once it was looked for.
    program: OnceCell<Option<i32>>,
    /// What its commands used, and the daemons' clocks when it began.
    spent_ns: u64,
    daemons_ns: u64,
    steps: Vec<Moment>,
}

impl Tool {
    /// Prepares what the tool needs and runs its `create`.
    pub(crate) fn create(common: &Arc<Common>, name: String, spec: &Spec) -> Result<Self, Error> {
        let dir = common.home.join(&name);
        let mut tool = Self {
            common: Arc::clone(common),
            spec: spec.clone(),
            name,
            values: Values::new(),
            dir,
            root: None,
            group: None,
            begun: false,
            running: None,
            adopted: Vec::new(),
            program: OnceCell::new(),
            spent_ns: 0,
            daemons_ns: 0,
            steps: Vec::new(),
        };
        tool.daemons_ns = tool.daemons_clock();
        match tool.lay().and_then(|()| tool.call_create()) {
            Ok(()) => Ok(tool),
            Err(e) => Error::join(Err(e), tool.sweep()),
        }
    }

    /// Files and groups of the instance.
    fn lay(&mut self) -> Result<(), Error> {
        let common = Arc::clone(&self.common);
        let stanza = &common.stanza;
        fs::create_dir_all(&self.dir).map_err(|e| Error::os(format!("make {}", self.dir.display()), e))?;
        self.values = common.values.clone();
        self.values.extend(of_program(&self.spec.program));
        let host = self.name.clone();
        let unique = self.unique();
        let group = common.parent.as_ref().map(|parent| format!("{}/{unique}", parent.path()));
        let numbers = [
            ("memory", self.spec.memory.to_string()),
            ("memory-mib", (self.spec.memory >> 20).to_string()),
            ("cpus", self.spec.cpus.to_string()),
            ("pids", self.spec.tasks.to_string()),
            ("dir", text(&self.dir)),
            ("name", unique),
            ("host-name", host.clone()),
        ];
        self.values.extend(numbers.map(|(key, value)| (key.to_owned(), value.into())));
        if let Some(group) = &group {
            self.values.insert("group".into(), group.as_str().into());
            self.values.insert("group-relative".into(), group.trim_start_matches('/').into());
        }
        self.program_values()?;
        if stanza.needs.iter().any(|need| matches!(need, Need::Rootfs | Need::OciBundle)) {
            let root = self.dir.join("rootfs");
            root::make(&root, &self.spec.program, &stanza.root_files)?;
            self.values.insert("rootfs".into(), text(&root).into());
            self.root = Some(root);
        }
        if stanza.needs.contains(&Need::OciBundle) {
            let config = bundle::config(
                &self.spec,
                &common.choices,
                group.as_deref(),
                &host,
                &text(&self.dir.join("rootfs")),
            );
            self.write("config.json", &config)?;
            self.values.insert("bundle".into(), text(&self.dir).into());
        }
        if let Some(path) = common.prepared(&self.spec)? {
            self.values.insert("image".into(), text(&path).into());
        }
        if let Some(template) = &stanza.config {
            let filled = self.fill(template.get_ref())?;
            let path = self.write("config", &filled)?;
            self.values.insert("config".into(), text(&path).into());
        }
        if stanza.group == GroupUse::Join {
            let limits = Limits { memory: self.spec.memory, pids: self.spec.tasks, cpus: self.spec.cpus };
            let group = common.groups.as_ref().map(|groups| groups.instance(&host, limits)).transpose()?;
            self.group = group;
        }
        Ok(())
    }

    /// The program's arguments and environment as the tool takes them.
    fn program_values(&mut self) -> Result<(), Error> {
        let program = &self.spec.program;
        let mut env = Vec::new();
        for (key, value) in &program.env {
            let variable = [("key", key), ("value", value)];
            let variable = variable.map(|(name, text)| (name.to_owned(), Value::One(text.clone()))).into();
            for template in &self.common.stanza.pass_env {
                env.push(fill(template.get_ref(), &variable).map_err(Error::Input)?);
            }
        }
        self.values.insert("args".into(), Value::Many(program.args.clone()));
        self.values.insert("env".into(), Value::Many(env));
        Ok(())
    }

    /// The name that no other instance on the host has.
    fn unique(&self) -> String {
        format!("isomark-{}-{}", self.common.tag(), self.name)
    }

    fn fill(&self, template: &str) -> Result<String, Error> {
        fill(template, &self.values).map_err(Error::Input)
    }

    fn write(&self, name: &str, content: &str) -> Result<PathBuf, Error> {
        let path = self.dir.join(name);
        fs::write(&path, content).map_err(|e| Error::os(format!("write {}", path.display()), e))?;
        Ok(path)
    }

    fn command(&self, verb: &Verb) -> Result<Command, Error> {
        let command = self.common.command(&verb.command, &self.values)?;
        self.common.grouped(command, self.group.as_ref())
    }

    /// The command that starts the program: where it works and what environment it has may be the program's.
    fn start_command(&self, verb: &Verb) -> Result<Command, Error> {
        let mut command = self.command(verb)?;
        if self.common.stanza.inherits_env {
            let env = self.spec.program.env.iter();
            command.env = env.map(|(key, value)| format!("{key}={value}")).collect();
            for (key, template) in &self.common.stanza.env {
                command.env.push(format!("{key}={}", self.fill(template.get_ref())?));
            }
        }
        if let Some(template) = &self.common.stanza.work_in {
            command.steps.push(Step::WorkIn { path: c(self.fill(template.get_ref())?)? });
        }
        Ok(command)
    }

    fn tell(&mut self, what: &str) {
        self.steps.push(Moment { name: what.to_owned(), at_ns: monotonic_ns() });
    }

    fn call_create(&mut self) -> Result<(), Error> {
        let common = Arc::clone(&self.common);
        let Some(verb) = &common.stanza.create else { return Ok(()) };
        self.begun = true;
        if verb.streams {
            return self.create_with_streams(verb);
        }
        let command = self.command(verb)?;
        self.finish(command)?;
        self.tell("create command");
        Ok(())
    }

    /// Runs a command that must succeed.
    fn finish(&mut self, command: Command) -> Result<(), Error> {
        let words = command.words();
        let told = command.run(self.spec.deadline).map_err(|e| self.common.explain(e))?;
        self.spent_ns += told.cpu_ns;
        self.common.succeeded(&words, told).map(drop)
    }

    /// The command ends, and the program that it made holds the streams and waits to be started.
    fn create_with_streams(&mut self, verb: &Verb) -> Result<(), Error> {
        let command = self.command(verb)?;
        let words = command.words();
        let (mut wire, ends) = Wire::new(self.spec.program.stdio)?;
        let mut child = command.spawn(&ends)?;
        drop(ends);
        wire.drain(&mut child, self.spec.deadline)?;
        let (exit, cpu_ns) = child.wait(self.spec.deadline)?;
        self.spent_ns += cpu_ns;
        if exit != Exit::Code(0) {
            let told = super::command::Told { exit, cpu_ns, stdout: String::new(), stderr: wire.stderr() };
            return self.common.succeeded(&words, told).map(drop);
        }
        self.tell("create command");
        let (stdio, deadline) = (self.spec.program.stdio, self.spec.deadline);
        self.running = Some(Running::assembled(Child::adopt(self.pid_file()?)?, wire, stdio, deadline));
        self.adopt();
        Ok(())
    }

    fn pid_file(&self) -> Result<i32, Error> {
        let Some(template) = &self.common.stanza.program.pid_file else {
            return Err(Error::Unsupported("the stanza names no pid-file".into()));
        };
        let path = self.fill(template.get_ref())?;
        let content = fs::read_to_string(&path).map_err(|e| Error::os(format!("read {path}"), e))?;
        let pid = content.trim().parse::<i32>().ok().filter(|pid| *pid > 1);
        pid.ok_or_else(|| Error::Unsupported(format!("{path} holds {content:?} and no pid")))
    }

    /// How the program ended, out of what the tool tells.
    fn exit(&self, exit: Exit) -> Exit {
        match (self.common.stanza.exit, exit) {
            (ExitForm::Shell, Exit::Code(code @ 129..=192)) => Exit::Signal(code - 128),
            (_, exit) => exit,
        }
    }

    fn mend(&self, error: Error) -> Error {
        match self.common.explain(error) {
            Error::Died { exit, stderr } => Error::Died { exit: self.exit(exit), stderr },
            other => other,
        }
    }

    fn daemons_clock(&self) -> u64 {
        self.common.daemons().filter_map(account::process_cpu_ns).sum()
    }

    /// The process that runs the program.
    fn program(&self, family: &Family) -> Option<i32> {
        *self.program.get_or_init(|| self.find_program(family))
    }

    fn find_program(&self, family: &Family) -> Option<i32> {
        let locate = &self.common.stanza.program;
        let running = self.running.as_ref()?.pid();
        if locate.pid_file.is_some() {
            return if self.common.stanza.start.streams { self.pid_file().ok() } else { Some(running) };
        }
        if !locate.command.is_empty() {
            let told = self.common.run(&locate.command, &self.values, &self.spec).ok()?;
            // The first number: some print a table.
            return told.stdout.split_whitespace().find_map(|word| word.parse().ok()).filter(|pid| *pid > 1);
        }
        let below = family.descendants(running);
        let image = self.spec.program.image.path();
        below.iter().copied().find(|pid| executes(*pid, image)).or(below.last().copied())
    }

    /// Whether the bytes that run are the program's: looked at once for each program, where the host can see them and the
    /// program has said that it is there.
    fn verify(&self) -> Result<(), Error> {
        let wanted = self.spec.program.image.sha256();
        let mut seen = self.common.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let silent = self.spec.program.stdio != Stdio::Wire;
        if silent || seen.contains(wanted) || self.common.stanza.program.within {
            return Ok(());
        }
        let Some(pid) = self.program(&Family::look()) else { return Ok(()) };
        let Ok(bytes) = fs::read(format!("/proc/{pid}/exe")) else { return Ok(()) };
        let found = isomark_core::image::sha256(&bytes);
        if found != wanted {
            let text = format!("another program ran: its SHA-256 is {found}, not {wanted}");
            return Err(Error::WrongAnswer(text));
        }
        seen.insert(wanted.to_owned());
        Ok(())
    }

    /// Everything away, in the reverse order.
    fn sweep(&mut self) -> Result<(), Error> {
        let ended = self.end();
        let common = Arc::clone(&self.common);
        let begun = std::mem::take(&mut self.begun);
        let removes = common.stanza.remove.iter().filter(|_| begun);
        let removed = removes.map(|verb| self.clean(verb)).fold(Ok(()), Error::join);
        self.adopt();
        let left = self.leave();
        let group = self.group.take().map_or(Ok(()), |group| group.remove());
        let groups = common.parent.as_ref().map_or(Ok(()), |parent| parent.clear(&self.unique()));
        let files = isomark_core::site::take_tree(&self.dir);
        [removed, left, group, groups, files].into_iter().fold(ended, Error::join)
    }

    fn clean(&self, verb: &Verb) -> Result<(), Error> {
        let command = self.command(verb)?;
        let words = command.words();
        let told = command.run(CLEAN)?;
        if verb.may_fail { Ok(()) } else { self.common.succeeded(&words, told).map(drop) }
    }

    /// Ends what still runs.
    fn end(&mut self) -> Result<(), Error> {
        let Some(running) = self.running.take() else { return self.leave() };
        if running.child().has_ended()? {
            drop(running);
            return self.leave();
        }
        let common = Arc::clone(&self.common);
        let stopped = match &common.stanza.stop {
            // It may fail because the program has just ended; what remains is killed in any case.
            Some(verb) => self.command(verb).and_then(|command| command.run(CLEAN)).map(drop),
            None => Ok(()),
        };
        // The tool's own processes are named before it goes, for they may outlive it.
        let below = Family::look().descendants(running.pid());
        self.adopted.extend(below.into_iter().skip(1).filter_map(|pid| Child::adopt(pid).ok()));
        drop(running);
        self.adopted.iter().for_each(|child| drop(child.signal(libc::SIGKILL)));
        Error::join(stopped, self.leave())
    }

    /// Takes in what the tool's commands left running for this instance: what its words or its group name.
    fn adopt(&mut self) {
        if !self.common.stanza.hooks.contains(&Hook::Adopt) {
            return;
        }
        let name = format!("-{}", self.name);
        let ends = |text: &str| {
            text.split(['\0', '\n', '/', '='])
                .any(|word| word.starts_with("isomark-") && word.ends_with(&name))
        };
        let ours = |pid: i32| {
            ["cmdline", "cgroup"].iter().any(|file| {
                fs::read(format!("/proc/{pid}/{file}"))
                    .is_ok_and(|bytes| ends(&String::from_utf8_lossy(&bytes)))
            })
        };
        self.adopted.extend(orphans(&ours));
    }

    /// Waits for what was left running; what does not go is killed.
    fn leave(&mut self) -> Result<(), Error> {
        self.adopted.drain(..).map(|mut child| child.leave(LEAVE)).fold(Ok(()), Error::join)
    }
}

impl Instance for Tool {
    fn start(&mut self) -> Result<(), Error> {
        let common = Arc::clone(&self.common);
        let verb = &common.stanza.start;
        let command = self.start_command(verb)?;
        self.begun = true;
        if verb.streams {
            let (wire, ends) = Wire::new(self.spec.program.stdio)?;
            let child = command.spawn(&ends)?;
            drop(ends);
            let (stdio, deadline) = (self.spec.program.stdio, self.spec.deadline);
            self.running = Some(Running::assembled(child, wire, stdio, deadline));
        } else {
            self.finish(command)?;
        }
        self.tell("start command");
        let ready = Running::of(&mut self.running)?.ready();
        ready.map_err(|e| self.mend(e).before_ready())?;
        self.tell("ready");
        Ok(())
    }

    fn run(&mut self, job: &Job) -> Result<Reply, Error> {
        let reply = Running::of(&mut self.running)?.run(job);
        reply.map_err(|e| self.mend(e))
    }

    fn stop(&mut self) -> Result<Usage, Error> {
        self.verify()?;
        let mut usage = Running::of(&mut self.running)?.stop().map_err(|e| self.mend(e))?;
        self.adopt();
        usage.exit = self.exit(usage.exit);
        usage.cpu_ns += self.spent_ns;
        let mut steps = std::mem::take(&mut self.steps);
        steps.append(&mut usage.steps);
        steps.sort_by_key(|step| step.at_ns);
        usage.steps = steps;
        Ok(usage)
    }

    fn remove(mut self: Box<Self>) -> Result<(), Error> {
        self.sweep()
    }

    fn anatomy(&self) -> Anatomy {
        let family = Family::look();
        let program = self.program(&family);
        let daemons = self.common.daemons().collect::<BTreeSet<_>>();
        let own = i32::try_from(std::process::id()).unwrap_or(0);
        let mut processes = Vec::new();
        let mut known = BTreeSet::new();
        let mut add = |pids: Vec<i32>, role: Role| {
            for pid in pids {
                let counted = || known.iter().any(|other| share_memory(*other, pid));
                if !daemons.contains(&pid) && pid != own && !known.contains(&pid) && !counted() {
                    known.insert(pid);
                    processes.push((pid, role));
                }
            }
        };
        if let Some(pid) = program {
            let below = family.descendants(pid);
            let (first, rest) = below.split_at(below.len().min(1));
            add(first.to_vec(), Role::Program);
            add(rest.to_vec(), if self.common.stanza.program.within { Role::Helper } else { Role::Program });
            let until = daemons.iter().copied().chain([own]).collect();
            add(family.ancestors(pid, &until), Role::Helper);
        }
        for child in self.running.iter().map(Running::child).chain(&self.adopted) {
            add(family.descendants(child.pid()), Role::Helper);
        }
        processes.extend(daemons.iter().map(|pid| (*pid, Role::Daemon)));
        let joined = self.group.as_ref().and_then(Group::memory);
        Anatomy {
            processes,
            spent_ns: self.spent_ns + self.daemons_clock().saturating_sub(self.daemons_ns),
            cgroup: joined.or_else(|| program.and_then(memory_group)),
            shared: self.shared(),
            private: self.private(),
            ..Anatomy::default()
        }
    }
}

impl Tool {
    fn shared(&self) -> Vec<PathBuf> {
        let places = &self.common.stanza.disk.shared;
        let named = places.iter().filter_map(|place| self.fill(place.get_ref()).ok()).map(PathBuf::from);
        named.filter(|path| path.exists()).chain([self.spec.program.image.path().to_owned()]).collect()
    }

    fn private(&self) -> Vec<PathBuf> {
        let command = &self.common.stanza.disk.private_command;
        let mut all =
            self.root.as_deref().map(|root| root::private(root, &self.spec.program)).unwrap_or_default();
        if !command.is_empty()
            && let Ok(told) = self.common.run(command, &self.values, &self.spec)
        {
            let named = told.stdout.lines().map(str::trim).filter(|line| line.starts_with('/'));
            all.extend(named.map(PathBuf::from).filter(|path| path.exists()));
        }
        all
    }
}

impl Drop for Tool {
    fn drop(&mut self) {
        let _ = self.sweep();
    }
}
