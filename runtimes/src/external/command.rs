//! One command of a tool: started without a shell, bounded in time, its words kept.
//!
//! A command that does not end in time is killed and becomes a timeout; one that fails is told with the last it wrote.

use std::ffi::CString;
use std::fs::OpenOptions;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use isomark_core::{Error, Exit};
use nix::poll::{PollFd, PollFlags};
use nix::sys::signal::{SigSet, SigmaskHow, Signal};

use crate::launch::{Capture, Child, Ends, Launch, Step, c, pipe, poll_until};

/// What a command did.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) exit: Exit,
    pub(crate) cpu_ns: u64,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// A command, ready to start but for its streams.
#[derive(Debug, Default)]
pub(crate) struct Command {
    pub(crate) argv: Vec<String>,
    pub(crate) env: Vec<String>,
    /// What the child does before it becomes the tool: groups and namespaces to enter.
    pub(crate) steps: Vec<Step>,
    /// cgroup (v2) to be born in.
    pub(crate) into_cgroup: Option<std::fs::File>,
    /// Whether it starts with SIGCHLD blocked.
    pub(crate) block_sigchld: bool,
}

/// Finds a program by path, or by name along `PATH` and where administrators' programs are.
pub(crate) fn find(name: &str) -> Option<PathBuf> {
    if name.contains('/') {
        return Some(PathBuf::from(name)).filter(|path| path.is_file());
    }
    let path = std::env::var("PATH").unwrap_or_default();
    let dirs = path.split(':').chain(["/usr/local/sbin", "/usr/sbin", "/sbin", "/usr/bin", "/bin"]);
    dirs.filter(|dir| !dir.is_empty()).map(|dir| Path::new(dir).join(name)).find(|file| file.is_file())
}

impl Command {
    /// Its words, for messages: the tool's name and verb.
    pub(crate) fn words(&self) -> String {
        let name = |word: &String| word.rsplit('/').next().unwrap_or_default().to_owned();
        let verbs = self.argv.iter().skip(1).filter(|word| !word.starts_with('-') && !word.contains('/'));
        self.argv.first().map(name).into_iter().chain(verbs.take(1).cloned()).collect::<Vec<_>>().join(" ")
    }

    /// The launch, with the streams' ends.
    fn launch(&mut self, ends: impl Iterator<Item = Step>) -> Result<Launch, Error> {
        let name = self.argv.first().ok_or_else(|| Error::Input("a command without words".into()))?;
        let program = find(name).ok_or_else(|| {
            Error::Unsupported(format!("{name:?} is neither a program nor found along PATH"))
        })?;
        let ends = ends.collect::<Vec<_>>();
        // Not every tool keeps its program from signalling the group or typing into the terminal that it was started in.
        // Without ends the streams are the user's own.
        let apart = if ends.is_empty() { Step::OwnSession } else { Step::OwnGroup };
        let mut steps = vec![Step::DieWithParent(libc::SIGKILL), apart];
        steps.extend(ends);
        steps.append(&mut self.steps);
        Ok(Launch {
            namespaces: 0,
            into_cgroup: self.into_cgroup.take(),
            steps,
            program: c(program.as_os_str().as_encoded_bytes())?,
            args: all(&self.argv)?,
            env: all(&self.env)?,
        })
    }

    /// Starts it with these streams.
    ///
    /// # Errors
    /// Which step failed.
    pub(crate) fn spawn(mut self, ends: &Ends) -> Result<Child, Error> {
        let launch = self.launch(ends.steps())?;
        self.start(launch)
    }

    fn start(&self, launch: Launch) -> Result<Child, Error> {
        if !self.block_sigchld {
            return Child::spawn(launch);
        }
        // The child restores the mask that the calling thread had.
        let fail = |e: nix::Error| Error::os("block SIGCHLD", e);
        let mut set = SigSet::empty();
        set.add(Signal::SIGCHLD);
        let before = set.thread_swap_mask(SigmaskHow::SIG_BLOCK).map_err(fail)?;
        let child = Child::spawn(launch);
        before.thread_set_mask().map_err(fail)?;
        child
    }

    /// Starts it with nothing on its stdin and its words kept.
    ///
    /// # Errors
    /// Which step failed.
    pub(crate) fn listen(mut self) -> Result<Listening, Error> {
        let null = OpenOptions::new().read(true).open("/dev/null");
        let null = OwnedFd::from(null.map_err(|e| Error::os("open /dev/null", e))?);
        let ((out, out_theirs), (err, err_theirs)) = (pipe()?, pipe()?);
        let ends = [(&null, 0), (&out_theirs, 1), (&err_theirs, 2)];
        let steps = ends.map(|(fd, to)| Step::Descriptor { fd: std::os::fd::AsRawFd::as_raw_fd(fd), to });
        let words = self.words();
        let launch = self.launch(steps.into_iter())?;
        let child = self.start(launch)?;
        Ok(Listening { child, words, out: Capture::new(out), err: Capture::new(err) })
    }

    /// A program asked for its version: with nothing in its environment, as guests' machines are started too.
    pub(crate) fn version(program: &Path) -> Self {
        let argv = vec![program.to_string_lossy().into_owned(), "--version".into()];
        Self { argv, ..Self::default() }
    }

    /// Runs it to its end.
    ///
    /// # Errors
    /// [`Error::Timeout`] after `deadline`; it is killed then.
    pub(crate) fn run(self, deadline: Duration) -> Result<Told, Error> {
        let mut running = self.listen()?;
        running.end(deadline)
    }
}

/// A command whose words are kept.
#[derive(Debug)]
pub(crate) struct Listening {
    pub(crate) child: Child,
    words: String,
    out: Capture,
    err: Capture,
}

impl Listening {
    /// Waits for its end. What it started may hold its streams open for longer, so they are not waited for.
    pub(crate) fn end(&mut self, deadline: Duration) -> Result<Told, Error> {
        let until = Instant::now() + deadline;
        loop {
            let streams = [self.out.fd(), self.err.fd()];
            let mut fds = vec![PollFd::new(self.child.pidfd(), PollFlags::POLLIN)];
            fds.extend(streams.iter().flatten().map(|fd| PollFd::new(*fd, PollFlags::POLLIN)));
            if !poll_until(&mut fds, until)? {
                return Err(self.late(deadline)?);
            }
            let ended = fds[0].any().unwrap_or(false);
            if ended {
                break;
            }
            // A tool that never stops talking always has something to read.
            if Instant::now() >= until {
                return Err(self.late(deadline)?);
            }
            self.out.pump();
            self.err.pump();
        }
        let (exit, cpu_ns) = self.child.wait(deadline)?;
        Ok(Told { exit, cpu_ns, stdout: self.out.text(), stderr: self.err.text() })
    }

    fn late(&mut self, deadline: Duration) -> Result<Error, Error> {
        self.child.kill()?;
        let op = format!("wait for {} to end{}", self.words, said(&self.err.text()));
        Ok(Error::Timeout { op, after: deadline })
    }

    /// What it has said so far.
    pub(crate) fn stderr(&mut self) -> String {
        self.err.text()
    }
}

/// Words of a tool as the tail of a message.
pub(crate) fn said(text: &str) -> String {
    let text = text.trim();
    if text.is_empty() { String::new() } else { format!(": {text}") }
}

fn all(words: &[String]) -> Result<Vec<CString>, Error> {
    words.iter().map(c).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tool_that_never_stops_talking_meets_the_deadline() {
        for stream in ["", " >&2"] {
            let argv = ["/bin/sh", "-c", &format!("exec cat /dev/zero{stream}")].map(str::to_owned);
            let path = std::env::var("PATH").unwrap_or_default();
            let command =
                Command { argv: argv.into(), env: vec![format!("PATH={path}")], ..Command::default() };
            let ended = command.run(Duration::from_millis(300)).map(|told| told.exit);
            assert!(matches!(ended, Err(Error::Timeout { .. })), "{stream}: {ended:?}");
        }
    }
}
