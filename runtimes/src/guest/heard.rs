//! What a guest's init says on its control port, where another program than isomark's VMM carries it: a thread that
//! reads lines and stamps them as they arrive.

use std::fs::File;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use isomark_core::clock::monotonic_ns;
use isomark_core::runtime::Step;
use isomark_core::{Error, Exit};
use isomark_vmm::error::End;
use isomark_vmm::linux::control::{Control, Said};

/// What has been heard so far.
#[derive(Debug, Default)]
pub(crate) struct Story {
    /// Inner steps.
    pub(crate) steps: Vec<Step>,
    /// How the program ended, once it has.
    pub(crate) end: Option<Result<Exit, String>>,
    /// Bytes of the line that the guest has taken.
    pub(crate) taken: usize,
    /// Nothing more will be heard.
    pub(crate) over: bool,
}

/// Listens until the other end closes.
#[derive(Debug)]
pub(crate) struct Heard {
    shared: Arc<(Mutex<Story>, Condvar)>,
}

impl Heard {
    /// Listens at the reading end of a pipe.
    ///
    /// # Errors
    /// If no thread can be started.
    pub(crate) fn listen(pipe: OwnedFd) -> Result<Self, Error> {
        let shared = Arc::new((Mutex::new(Story::default()), Condvar::new()));
        let told = Arc::clone(&shared);
        let thread = std::thread::Builder::new().name("control".into()).spawn(move || listen(pipe, &told));
        thread.map_err(|e| Error::os("start a thread", e))?;
        Ok(Self { shared })
    }

    /// What has been heard so far.
    pub(crate) fn so_far(&self) -> MutexGuard<'_, Story> {
        self.shared.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until something has changed.
    pub(crate) fn wait<'g>(&self, held: MutexGuard<'g, Story>) -> MutexGuard<'g, Story> {
        self.shared.1.wait(held).unwrap_or_else(PoisonError::into_inner)
    }

    /// Everything; waits for the machine's end of the pipe to be closed.
    pub(crate) fn all(&self) -> MutexGuard<'_, Story> {
        let mut story = self.so_far();
        while !story.over {
            story = self.wait(story);
        }
        story
    }
}

fn listen(pipe: OwnedFd, told: &(Mutex<Story>, Condvar)) {
    let mut pipe = File::from(pipe);
    let (mut control, mut bytes) = (Control::default(), [0; 512]);
    loop {
        let count = pipe.read(&mut bytes).unwrap_or(0);
        let at_ns = monotonic_ns();
        let mut story = told.0.lock().unwrap_or_else(PoisonError::into_inner);
        story.over = count == 0;
        for byte in &bytes[..count] {
            if let Some(said) = control.take(&[*byte]) {
                take(&mut story, said, at_ns);
            }
        }
        told.1.notify_all();
        if count == 0 {
            return;
        }
    }
}

/// A guest may say what it likes as often as it likes; what is kept has a bound, and only its first end counts.
fn take(story: &mut Story, said: Said, at_ns: u64) {
    const MOST: usize = 16;
    let step = |name: &str| Step { name: name.into(), at_ns };
    match said {
        Said::Init | Said::Program if story.steps.len() >= MOST => {}
        Said::Init => story.steps.push(step("init")),
        Said::Program => story.steps.push(step("program")),
        Said::Took(count) => story.taken = story.taken.saturating_add(count),
        Said::End(end) if story.end.is_none() => {
            story.end = Some(match end {
                End::Exit(code) => Ok(Exit::Code(code.into())),
                End::Signal(signal) => Ok(Exit::Signal(signal)),
                // Only this VMM's own guests can be saved.
                End::Saved => Err("it told of a snapshot that nobody asked for".into()),
                End::Unserved(text) | End::Fault(text) | End::Internal(text) => Err(text),
            });
        }
        Said::End(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn lines_become_steps_and_only_the_first_end_counts() {
        let (ours, theirs) = std::io::pipe().unwrap();
        let heard = Heard::listen(ours.into()).unwrap();
        let mut theirs = File::from(OwnedFd::from(theirs));
        theirs.write_all(b"init\nprogram\ntook 7\ntook 3\nexit 3\nexit 4\nrubbish\n").unwrap();
        drop(theirs);
        let story = heard.all();
        assert_eq!(story.steps.iter().map(|s| s.name.as_str()).collect::<Vec<_>>(), ["init", "program"]);
        assert_eq!((story.end.clone(), story.taken, story.over), (Some(Ok(Exit::Code(3))), 10, true));
    }
}
