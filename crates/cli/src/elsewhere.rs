//! Another isomark process that carries out trials: another build, or this one with another payload.
//!
//! Both arms of a comparison go the same way: if one needs a process of its own, so does the other. The process is
//! started once, idles in a read between trials, and ends when its input does.

use std::cell::RefCell;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

use isomark_core::record::{Cell, PayloadRecord, RuntimeRecord, Sample};
use isomark_core::{Error, Image};
use isomark_engine::Elsewhere;
use serde::{Deserialize, Serialize};

/// What `isomark trials` says first.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Greeting {
    /// [`Greeting::SCHEMA`].
    pub schema: String,
    /// Version of that isomark.
    pub isomark: String,
    /// Its payload.
    pub payload: PayloadRecord,
    /// The runtime as it is there.
    pub runtime: RuntimeRecord,
}

impl Greeting {
    /// Version of the conversation.
    pub(crate) const SCHEMA: &str = "isomark.trials/1";
}

/// One trial, please.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Request {
    /// The cell, its runtime by the name that it has there.
    pub cell: Cell,
    /// Seed of what the scenario leaves to chance.
    pub seed: u64,
}

/// What to start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Build {
    /// The isomark binary.
    pub binary: PathBuf,
    /// The runtime, as that isomark is to know it.
    pub runtime: String,
    /// Another payload.
    pub payload: Option<PathBuf>,
}

/// A started process.
pub(crate) struct Worker {
    child: RefCell<Child>,
    input: RefCell<Option<ChildStdin>>,
    lines: Receiver<String>,
    patience: Duration,
    name: String,
    /// Name of the runtime there.
    runtime: String,
    /// What it said of itself.
    pub greeting: Greeting,
}

/// The longest line that is listened to, in bytes; a sample with thousands of points is far shorter.
const LONGEST: u64 = 16 << 20;
/// A trial has several waits, each bounded by the deadline; beyond so many of them the process is given up.
const WAITS: u32 = 20;

impl Worker {
    /// Starts a process and hears its greeting.
    ///
    /// # Errors
    /// [`Error::Input`] if the binary is none that can carry out trials.
    pub(crate) fn start(build: &Build, catalogue: Option<&Path>, deadline: Duration) -> Result<Self, Error> {
        let name = build.binary.display().to_string();
        // Refused here, in one message, and not by two processes.
        build.payload.as_deref().map(Image::open).transpose()?;
        let mut command = Command::new(&build.binary);
        command.arg("trials").args(["--runtime", &build.runtime]);
        command.arg("--deadline").arg(format!("{}ms", deadline.as_millis()));
        if let Some(payload) = &build.payload {
            command.arg("--payload").arg(payload);
        }
        if let Some(dir) = catalogue {
            command.arg("--catalogue").arg(dir);
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let refuse = |why: &str| {
            Error::Input(format!("{name} cannot carry out trials: {why}; name an isomark that has `trials`"))
        };
        let mut child = command.spawn().map_err(|e| refuse(&e.to_string()))?;
        let (input, output) = (child.stdin.take(), child.stdout.take());
        let (sender, lines) = sync_channel(1);
        if let Some(output) = output {
            // Blocks in a read while a trial runs elsewhere: costs that trial nothing.
            if let Err(e) = std::thread::Builder::new().spawn(move || listen(output, &sender)) {
                let _ = child.kill();
                let _ = child.wait();
                return Err(Error::os("start a thread", e));
            }
        }
        let first = lines.recv_timeout(deadline);
        let greeting = first.ok().and_then(|line| serde_json::from_str::<Greeting>(&line).ok());
        let Some(greeting) = greeting.filter(|g| g.schema == Greeting::SCHEMA) else {
            let _ = child.kill();
            let _ = child.wait();
            return Err(refuse("it did not greet as one"));
        };
        Ok(Self {
            child: RefCell::new(child),
            input: RefCell::new(input),
            lines,
            patience: deadline.saturating_mul(WAITS),
            name,
            runtime: build.runtime.clone(),
            greeting,
        })
    }

    fn ask(&self, request: &Request) -> Result<Sample, Error> {
        let op = || format!("ask {} for a trial", self.name);
        let line = serde_json::to_string(request).map_err(|e| Error::os(op(), std::io::Error::from(e)))?;
        let mut input = self.input.borrow_mut();
        let gone = || Error::Unsupported(format!("{} has ended", self.name));
        let pipe = input.as_mut().ok_or_else(gone)?;
        writeln!(pipe, "{line}").and_then(|()| pipe.flush()).map_err(|e| Error::os(op(), e))?;
        let answer = self.lines.recv_timeout(self.patience).map_err(|e| match e {
            RecvTimeoutError::Timeout => Error::Timeout { op: op(), after: self.patience },
            RecvTimeoutError::Disconnected => gone(),
        })?;
        serde_json::from_str(&answer).map_err(|e| Error::os(op(), std::io::Error::from(e)))
    }
}

/// Passes lines on until one is no line: any program can be named, and some never stop talking.
fn listen(output: ChildStdout, sender: &SyncSender<String>) {
    let mut output = BufReader::new(output);
    loop {
        let mut line = String::new();
        let read = output.by_ref().take(LONGEST).read_line(&mut line);
        if read.is_err() || !line.ends_with('\n') || sender.send(line).is_err() {
            return;
        }
    }
}

impl Elsewhere for Worker {
    fn trial(&self, cell: &Cell, seed: u64) -> Result<Sample, Error> {
        let result =
            self.ask(&Request { cell: Cell { runtime: self.runtime.clone(), ..cell.clone() }, seed });
        if result.is_err() {
            // What it says later would be taken for the answer to another question.
            *self.input.borrow_mut() = None;
        }
        result
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // End of input is the request to leave; it takes its site along.
        self.input.borrow_mut().take();
        let mut child = self.child.borrow_mut();
        for _ in 0..500 {
            if !matches!(child.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        let _ = child.kill();
        let _ = child.wait();
    }
}
