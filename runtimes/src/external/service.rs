//! A daemon of a tool's own, started and stopped by isomark.
//!
//! It works in isomark's directory with its own socket, started once a command and outside of what is timed; it lies in
//! a group that the ledger names, so that it and whatever it started ends even if isomark was killed.

use std::path::Path;
use std::sync::mpsc::{Sender, channel};
use std::time::{Duration, Instant};

use isomark_core::{Error, Exit};

use super::command::{Command, Listening, said};
use super::family::Family;
use crate::namespace::Group;

/// Bound on a daemon's being ready.
const READY: Duration = Duration::from_secs(60);
/// Bound on its end when it is asked to.
const END: Duration = Duration::from_secs(15);
/// Between two questions whether it is ready.
const PAUSE: Duration = Duration::from_millis(50);

/// A running daemon.
#[derive(Debug)]
pub(crate) struct Service {
    running: Listening,
    /// Its processes once it was ready: what instances add later is theirs.
    pids: Vec<i32>,
    /// Lets the thread go that started the daemon.
    _keeper: Sender<()>,
    /// Taken away after the daemon's end.
    _group: Option<Group>,
}

impl Service {
    /// Starts a daemon and waits until `ready` succeeds.
    ///
    /// # Errors
    /// If it ends or is not ready in time, with the last it wrote.
    pub(crate) fn start(
        name: &str,
        command: Command,
        ready: &dyn Fn() -> Result<Command, Error>,
        group: Option<Group>,
    ) -> Result<Self, Error> {
        let (running, keeper) = keep(command)?;
        let mut service = Self { running, pids: Vec::new(), _keeper: keeper, _group: group };
        let until = Instant::now() + READY;
        loop {
            if service.running.child.has_ended()? {
                let why = said(&service.running.stderr());
                return Err(Error::Unsupported(format!("the daemon {name} ended{why}")));
            }
            if ready()?.run(READY).is_ok_and(|told| told.exit == Exit::Code(0)) {
                break;
            }
            if Instant::now() > until {
                let why = said(&service.running.stderr());
                return Err(Error::Timeout { op: format!("wait for the daemon {name}{why}"), after: READY });
            }
            std::thread::sleep(PAUSE);
        }
        service.pids = Family::look().descendants(service.running.child.pid());
        Ok(service)
    }

    /// Its processes.
    pub(crate) fn pids(&self) -> &[i32] {
        &self.pids
    }
}

/// Starts a command from a thread that lives as long as the sender: children die with the thread that cloned them
/// (`PR_SET_PDEATHSIG`), and the one that asks may be a scenario's, which ends soon.
fn keep(command: Command) -> Result<(Listening, Sender<()>), Error> {
    let (tell, told) = channel();
    let (hold, held) = channel::<()>();
    let work = move || {
        // Whoever asked may have gone; the child dies with this thread then.
        let _ = tell.send(command.listen());
        let _ = held.recv();
    };
    let thread = std::thread::Builder::new().name("daemon".into()).spawn(work);
    thread.map_err(|e| Error::os("start a thread", e))?;
    let running = told.recv().map_err(|_| Error::Unsupported("the thread of a daemon ended".into()))??;
    Ok((running, hold))
}

impl Drop for Service {
    fn drop(&mut self) {
        // Asked first, so that it ends what it started; its group takes what remains.
        let _ = self.running.child.signal(libc::SIGTERM);
        let _ = self.running.end(END);
        for pid in &self.pids {
            let until = Instant::now() + Duration::from_secs(5);
            while Path::new(&format!("/proc/{pid}")).exists() && Instant::now() < until {
                std::thread::sleep(Duration::from_millis(10));
            }
        }
    }
}
