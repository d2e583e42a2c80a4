//! A program that has been started: its process and its streams together.
//!
//! Process, namespace and microvm differ in how they start; from there on they are run and ended alike.

use std::time::Duration;

use isomark_core::payload::{Job, Reply};
use isomark_core::runtime::Stdio;
use isomark_core::{Error, Usage};

use super::child::Child;
use super::pipes::{Ends, Wire};
use super::step::Launch;

/// A started program.
#[derive(Debug)]
pub(crate) struct Running {
    child: Child,
    wire: Wire,
    stdio: Stdio,
    deadline: Duration,
}

impl Running {
    /// Connects the streams and walks the launch that `plan` makes of them.
    ///
    /// # Errors
    /// Which step failed, and why.
    pub(crate) fn spawn(
        stdio: Stdio,
        deadline: Duration,
        plan: impl FnOnce(&Ends) -> Result<Launch, Error>,
    ) -> Result<Self, Error> {
        let (wire, ends) = Wire::new(stdio)?;
        let child = Child::spawn(plan(&ends)?)?;
        Ok(Self { child, wire, stdio, deadline })
    }

    /// A program that another command has started with our streams.
    pub(crate) const fn assembled(child: Child, wire: Wire, stdio: Stdio, deadline: Duration) -> Self {
        Self { child, wire, stdio, deadline }
    }

    /// The program of an instance that should be running.
    ///
    /// # Errors
    /// If it is not.
    pub(crate) fn of(running: &mut Option<Self>) -> Result<&mut Self, Error> {
        running.as_mut().ok_or_else(|| Error::Unsupported("it is not running".into()))
    }

    /// Waits until a payload is ready; a program without a wire is as soon as it is executed.
    ///
    /// # Errors
    /// If it died, said something else or stayed silent.
    pub(crate) fn ready(&mut self) -> Result<(), Error> {
        match self.stdio {
            Stdio::Wire => self.wire.ready(&mut self.child, self.deadline),
            Stdio::Inherit | Stdio::Null => Ok(()),
        }
    }

    /// Writes bytes that are no job.
    pub(crate) fn say(&mut self, bytes: &[u8]) {
        self.wire.say(bytes);
    }

    /// Hands over a job and waits for the reply.
    ///
    /// # Errors
    /// If the payload died, refused or stayed silent.
    pub(crate) fn run(&mut self, job: &Job) -> Result<Reply, Error> {
        self.wire.ask(&mut self.child, job, self.deadline)
    }

    /// Closes the wire, waits for the end and reaps.
    ///
    /// # Errors
    /// If the program does not end; it is killed then.
    pub(crate) fn stop(&mut self) -> Result<Usage, Error> {
        self.wire.close();
        self.wire.drain(&mut self.child, self.deadline)?;
        let (exit, cpu_ns) = self.child.wait(self.deadline)?;
        Ok(Usage { steps: self.child.steps(), stderr: self.wire.stderr(), ..Usage::new(exit, cpu_ns) })
    }

    /// Its process.
    pub(crate) const fn child(&self) -> &Child {
        &self.child
    }

    /// Its pid, as the harness sees it.
    pub(crate) const fn pid(&self) -> i32 {
        self.child.pid()
    }
}
