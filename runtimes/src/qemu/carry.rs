//! The harness's own streams through QEMU's pipes, for programs of the user: input encoded and no faster than the guest
//! takes it, output as it comes.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::sync::Arc;
use std::thread::JoinHandle;

use isomark_core::Error;
use isomark_vmm::linux::line::{END, WINDOW, encode};

use crate::guest::{Heard, Story};
use crate::launch::{Step, pipe};

/// QEMU's ends, to be placed at descriptors 0, 1 and 2.
pub(super) struct Theirs([OwnedFd; 3]);

impl Theirs {
    pub(super) fn steps(&self) -> impl Iterator<Item = Step> + '_ {
        (0..).zip(&self.0).map(|(to, fd)| Step::Descriptor { fd: fd.as_raw_fd(), to })
    }
}

/// Our ends, until they are carried.
pub(super) struct Ours {
    input: OwnedFd,
    output: OwnedFd,
    errors: OwnedFd,
}

/// Threads that carry.
pub(super) struct Carried {
    outputs: Vec<JoinHandle<()>>,
}

/// Three pipes.
pub(super) fn pipes() -> Result<(Ours, Theirs), Error> {
    let (in_read, input) = pipe()?;
    let (output, out_write) = pipe()?;
    let (errors, err_write) = pipe()?;
    Ok((Ours { input, output, errors }, Theirs([in_read, out_write, err_write])))
}

impl Ours {
    /// Starts carrying.
    pub(super) fn carry(self, heard: &Arc<Heard>) -> Result<Carried, Error> {
        let heard = Arc::clone(heard);
        // Input is not waited for: it may be a terminal where nobody types.
        let stdin = std::io::stdin().as_fd().try_clone_to_owned();
        let stdin = stdin.map_err(|e| Error::os("duplicate standard input", e))?;
        let input = self.input;
        spawn("input", move || feed(&mut File::from(stdin), &mut File::from(input), &heard))?;
        let output = spawn("output", move || copy(self.output, &mut std::io::stdout()))?;
        let errors = spawn("errors", move || copy(self.errors, &mut std::io::stderr()))?;
        Ok(Carried { outputs: vec![output, errors] })
    }
}

impl Carried {
    /// Waits until everything that QEMU wrote has been carried; it has ended.
    pub(super) fn finish(self) {
        for thread in self.outputs {
            let _ = thread.join();
        }
    }
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, Error> {
    std::thread::Builder::new().name(name.into()).spawn(work).map_err(|e| Error::os("start a thread", e))
}

fn copy(from: OwnedFd, to: &mut impl Write) {
    let (mut from, mut bytes) = (File::from(from), [0; 4096]);
    while let Ok(count) = from.read(&mut bytes) {
        // Whoever no longer reads does not stop the guest.
        if count == 0 || to.write_all(&bytes[..count]).and_then(|()| to.flush()).is_err() {
            return;
        }
    }
}

fn feed(from: &mut File, to: &mut File, heard: &Heard) {
    let (mut clear, mut line, mut sent) = ([0; 1024], Vec::new(), 0_usize);
    loop {
        let count = from.read(&mut clear).unwrap_or(0);
        line.clear();
        encode(&clear[..count], &mut line);
        if count == 0 {
            line.extend(END);
        }
        let mut left = line.as_slice();
        while !left.is_empty() {
            let mut story = heard.so_far();
            // Before init has the line open its driver would throw away what has come.
            let opened = |story: &Story| story.steps.iter().any(|step| step.name == "program");
            while (!opened(&story) || sent.saturating_sub(story.taken) >= WINDOW) && !story.over {
                story = heard.wait(story);
            }
            let room = WINDOW.saturating_sub(sent.saturating_sub(story.taken)).min(left.len());
            if story.over || room == 0 {
                return;
            }
            drop(story);
            if to.write_all(&left[..room]).is_err() {
                return;
            }
            sent += room;
            left = &left[room..];
        }
        if count == 0 {
            // Closing the pipe would hang the line up under the program's output: the end has been said on the line.
            let mut story = heard.so_far();
            while !story.over {
                story = heard.wait(story);
            }
            return;
        }
    }
}
