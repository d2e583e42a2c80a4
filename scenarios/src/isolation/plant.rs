//! Canaries on the host: a process with its sockets, segment and queue, a file, and a mount.
//!
//! The process is a payload outside of every box, so what it holds goes with it, and it goes when the harness does (end
//! of file on its wire). The mount and the queue could outlive both and are noted in the ledger first.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread::sleep;
use std::time::Duration;

use isomark_core::payload::{Job, Probe, READY, Reply, answers, canary};
use isomark_core::{Error, Trial, planted};

use super::wrong;

/// How often a program whose file is busy is tried again.
const BUSY_TRIES: u32 = 100;

/// A name, the probe that finds it, and what it must tell to be found.
pub(super) type Canary = (&'static str, Probe, Option<Vec<u8>>);

/// What the outsider plants: its name, the field that tells where, and the probe for a token and what the field tells.
type Planting = (&'static str, &'static str, fn(u64, u64) -> Probe);

const OF_PROCESS: [Planting; 5] = [
    ("process", "process", |token, _| Probe::Process { name: canary::process(token) }),
    ("abstract socket", "unix", |token, _| Probe::Unix { name: canary::socket(token) }),
    ("loopback listener", "tcp", |_, port| Probe::Tcp { port }),
    ("shared memory", "segment", |token, id| Probe::Segment { id, word: token }),
    ("message queue", "queue", |token, _| Probe::Queue { name: canary::queue(token) }),
];

/// Everything planted for one trial; taken away when dropped.
pub(super) struct Plants {
    dir: PathBuf,
    outsider: Option<Outsider>,
    canaries: Vec<Canary>,
    missing: Vec<&'static str>,
}

impl Plants {
    /// Plants what this host lets us plant.
    pub(super) fn new(trial: &Trial<'_>) -> Result<Self, Error> {
        let token = trial.chance("canary").word() ^ u64::from(std::process::id());
        let scratch = &trial.bench().scratch;
        let dir = scratch.join(format!("{}{token:016x}", canary::PREFIX));
        let mut plants = Self { dir, outsider: None, canaries: Vec::new(), missing: Vec::new() };
        fs::create_dir_all(plants.mount()).map_err(|e| plants.failed("make", e))?;
        planted::note(scratch, "queue", &canary::queue(token))?;
        let image = trial.bench().payload.path();
        let mut outsider = Outsider::start(image, &plants.dir, trial.bench().deadline)?;
        let told = outsider.ask(&Job::Plant { token })?;
        plants.outsider = Some(outsider);
        plants.of_process(token, &told)?;
        plants.of_files(token, scratch)?;
        let host = fs::read_to_string("/proc/sys/kernel/hostname").map_err(|e| plants.failed("name", e))?;
        plants.canaries.push(("host name", Probe::Host, Some(host.trim_end().into())));
        Ok(plants)
    }

    fn mount(&self) -> PathBuf {
        self.dir.join("mount")
    }

    fn failed(&self, what: &str, e: std::io::Error) -> Error {
        Error::os(format!("{what} a canary in {}", self.dir.display()), e)
    }

    /// What the outsider said it has planted.
    fn of_process(&mut self, token: u64, told: &Reply) -> Result<(), Error> {
        for (name, field, probe) in OF_PROCESS {
            match told.str(field).map_err(wrong)?.parse() {
                Ok(number) => self.canaries.push((name, probe(token, number), None)),
                // An error number: this kernel has no such thing, so nobody can be accused of showing it.
                Err(_) => self.missing.push(name),
            }
        }
        Ok(())
    }

    /// A file outside of every root, and one that only a mount of the host's shows.
    fn of_files(&mut self, token: u64, site: &Path) -> Result<(), Error> {
        let text = format!("{token:016x}");
        let peek = |path: &Path| Probe::Peek { path: path.display().to_string(), bytes: 16 };
        let file = self.dir.join("file");
        fs::write(&file, &text).map_err(|e| self.failed("write", e))?;
        self.canaries.push(("file", peek(&file), Some(text.clone().into())));
        let inside = self.mount().join("file");
        let mounted = planted::plant_mount(site, &self.mount())
            .and_then(|()| fs::write(&inside, &text).map_err(|e| self.failed("write", e)));
        match mounted {
            Ok(()) => self.canaries.push(("mount", peek(&inside), Some(text.into()))),
            Err(_) => self.missing.push("mount"),
        }
        Ok(())
    }

    /// Where each is to be looked for.
    pub(super) fn probes(&self) -> Vec<Canary> {
        self.canaries.clone()
    }

    /// What could not be planted here.
    pub(super) fn missing(&self) -> &[&'static str] {
        &self.missing
    }

    /// Takes everything away.
    pub(super) fn end(mut self) -> Result<(), Error> {
        self.take()
    }

    fn take(&mut self) -> Result<(), Error> {
        drop(self.outsider.take());
        planted::take_mount(self.dir.parent().unwrap_or(&self.dir), &self.mount())?;
        isomark_core::site::take_tree(&self.dir)
    }
}

impl Drop for Plants {
    fn drop(&mut self) {
        // After `end` there is nothing left; after a failure the ledger settles what this cannot.
        let _ = self.take();
    }
}

/// Another thread's child, cloned while the program's file was written, holds that open until it has executed.
fn patient(command: &mut Command) -> std::io::Result<Child> {
    for _ in 0..BUSY_TRIES {
        match command.spawn() {
            Err(e) if e.kind() == std::io::ErrorKind::ExecutableFileBusy => sleep(Duration::from_millis(2)),
            done => return done,
        }
    }
    command.spawn()
}

/// A payload outside of every box.
struct Outsider {
    child: Child,
    jobs: Option<ChildStdin>,
    lines: Receiver<String>,
    deadline: Duration,
}

impl Outsider {
    fn start(image: &Path, dir: &Path, deadline: Duration) -> Result<Self, Error> {
        let mut command = Command::new(image);
        command
            .env_clear()
            .current_dir(dir)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        let mut child = patient(&mut command).map_err(|e| Error::os("start the canary process", e))?;
        let (jobs, output) = (child.stdin.take(), child.stdout.take());
        let lines = lines(output).map_err(|e| {
            // Nobody could hear it.
            let _ = child.kill();
            let _ = child.wait();
            Error::os("start a thread", e)
        })?;
        let outsider = Self { child, jobs, lines, deadline };
        match outsider.line()? {
            line if line == READY.trim_end() => Ok(outsider),
            line => Err(wrong(format!("the canary process began with {line:?}"))),
        }
    }

    fn line(&self) -> Result<String, Error> {
        let late = |_| Error::Timeout { op: "wait for the canary process".into(), after: self.deadline };
        self.lines.recv_timeout(self.deadline).map_err(late)
    }

    fn ask(&mut self, job: &Job) -> Result<Reply, Error> {
        let written = self.jobs.as_mut().map(|jobs| jobs.write_all(format!("{job}\n").as_bytes()));
        written.transpose().map_err(|e| Error::os("ask the canary process", e))?;
        let reply = Reply::parse(&self.line()?).map_err(wrong)?;
        answers::check(job, &reply).map_err(wrong)?;
        Ok(reply)
    }
}

/// Lines as they come, read by a thread so that waiting has a bound; it ends with the process.
fn lines(output: Option<ChildStdout>) -> std::io::Result<Receiver<String>> {
    let (to, lines) = channel();
    let work = move || {
        let output = output.map(BufReader::new).into_iter().flat_map(BufRead::lines);
        for line in output.map_while(Result::ok) {
            if to.send(line).is_err() {
                return;
            }
        }
    };
    std::thread::Builder::new().spawn(work).map(|_| lines)
}

impl Drop for Outsider {
    fn drop(&mut self) {
        // End of file lets it take its queue away; the thread sees its end.
        drop(self.jobs.take());
        let left = self.lines.recv_timeout(self.deadline);
        if left != Err(std::sync::mpsc::RecvTimeoutError::Disconnected) {
            let _ = self.child.kill();
        }
        let _ = self.child.wait();
    }
}
