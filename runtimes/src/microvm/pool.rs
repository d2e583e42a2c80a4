//! Machines that were made ready before anybody asked for them and wait for one byte: the pool.
//!
//! A mode of its own, and told as such: what it saves was paid for before. A machine dies with the thread that made it, so
//! each thread takes its own.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::{Mutex, PoisonError};
use std::thread::{self, ThreadId};

use isomark_core::Error;

use super::told::Story;
use crate::launch::Running;

/// A machine that waits.
#[derive(Debug)]
pub(super) struct Waiting {
    running: Running,
    story: Story,
    go: UnixStream,
}

impl Waiting {
    /// Returns once the machine has said that everything is ready.
    pub(super) fn new(running: Running, story: Story, mut go: UnixStream) -> Result<Self, Error> {
        let mut byte = [0];
        go.read_exact(&mut byte).map_err(|e| Error::os("wait for a machine of the pool", e))?;
        Ok(Self { running, story, go })
    }

    /// Lets it run.
    pub(super) fn go(mut self) -> Result<(Running, Story), Error> {
        self.go.write_all(&[1]).map_err(|e| Error::os("start a machine of the pool", e))?;
        Ok((self.running, self.story))
    }
}

/// All that wait.
#[derive(Debug, Default)]
pub(super) struct Pool(Mutex<Vec<(ThreadId, String, Waiting)>>);

impl Pool {
    /// Sees to it that this thread finds one for `key`.
    pub(super) fn fill(&self, key: &str, make: impl FnOnce() -> Result<Waiting, Error>) -> Result<(), Error> {
        if self.position(key).is_none() {
            let made = make()?;
            self.all().push((thread::current().id(), key.to_owned(), made));
        }
        Ok(())
    }

    /// This thread's machine for `key`.
    pub(super) fn take(&self, key: &str) -> Option<Waiting> {
        self.position(key).map(|at| self.all().swap_remove(at).2)
    }

    fn position(&self, key: &str) -> Option<usize> {
        let own = thread::current().id();
        self.all().iter().position(|(thread, known, _)| *thread == own && known == key)
    }

    fn all(&self) -> std::sync::MutexGuard<'_, Vec<(ThreadId, String, Waiting)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
