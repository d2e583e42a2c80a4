//! The streams of a program: the wire, with bounded buffers and a deadline on every wait.
//!
//! Output is read as it comes and kept up to a bound, so that neither a flood, nor half a line, nor an early close,
//! nor silence can hang the harness or fill its memory.

use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::time::{Duration, Instant};

use isomark_core::Error;
use isomark_core::payload::wire::{MAX_LINE, READY, WRONG};
use isomark_core::payload::{Job, Reply};
use isomark_core::runtime::Stdio;
use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags};

use super::child::{Child, poll_until};
use super::step::Step;

/// How much of a program's stderr is kept, in bytes: the last of it.
const STDERR: usize = 2048;

/// The child's ends of the streams; closed in the harness once the child has its own copies.
#[derive(Debug)]
pub(crate) struct Ends(Vec<(OwnedFd, i32)>);

impl Ends {
    /// The steps that place the ends at descriptors 0, 1 and 2.
    pub(crate) fn steps(&self) -> impl Iterator<Item = Step> + '_ {
        self.0.iter().map(|(fd, to)| Step::Descriptor { fd: fd.as_raw_fd(), to: *to })
    }
}

/// The harness's ends of the streams of one program.
#[derive(Debug)]
pub(crate) struct Wire {
    jobs: Option<File>,
    replies: Option<File>,
    stderr: Option<Capture>,
    buffer: VecDeque<u8>,
}

impl Wire {
    /// Both ends, for the way a program's streams are to be connected.
    ///
    /// # Errors
    /// If the host gives no descriptors.
    pub(crate) fn new(stdio: Stdio) -> Result<(Self, Ends), Error> {
        let mut wire = Self { jobs: None, replies: None, stderr: None, buffer: VecDeque::new() };
        let mut ends = Vec::with_capacity(3);
        match stdio {
            Stdio::Inherit => return Ok((wire, Ends(ends))),
            Stdio::Wire => {
                let (theirs, ours) = pipe()?;
                ends.push((theirs, 0));
                wire.jobs = Some(unblocked(ours));
                let (ours, theirs) = pipe()?;
                ends.push((theirs, 1));
                wire.replies = Some(unblocked(ours));
            }
            Stdio::Null => {
                let null = OpenOptions::new().read(true).write(true).open("/dev/null");
                let null = OwnedFd::from(null.map_err(|e| Error::os("open /dev/null", e))?);
                let out = null.try_clone().map_err(|e| Error::os("duplicate /dev/null", e))?;
                ends.extend([(null, 0), (out, 1)]);
            }
        }
        let (ours, theirs) = pipe()?;
        ends.push((theirs, 2));
        wire.stderr = Some(Capture::new(ours));
        Ok((wire, Ends(ends)))
    }

    /// Waits for the payload's ready line.
    ///
    /// # Errors
    /// [`Error::Timeout`], [`Error::Died`], or [`Error::WrongAnswer`] if it says something else first.
    pub(crate) fn ready(&mut self, child: &mut Child, deadline: Duration) -> Result<(), Error> {
        let line =
            self.line(child, Instant::now() + deadline, deadline, "wait for the payload to be ready")?;
        if line.as_bytes() == READY.trim_end().as_bytes() {
            Ok(())
        } else {
            Err(Error::WrongAnswer(format!("its first line is {line:?}, not {:?}", READY.trim_end())))
        }
    }

    /// Hands over a job and waits for the reply.
    ///
    /// # Errors
    /// As [`Wire::ready`].
    pub(crate) fn ask(&mut self, child: &mut Child, job: &Job, deadline: Duration) -> Result<Reply, Error> {
        if self.jobs.is_none() {
            return Err(Error::Unsupported("this program has no wire".into()));
        }
        let until = Instant::now() + deadline;
        // A reply that came before its question would be timed as one that took no time.
        if !self.buffer.is_empty() {
            return Err(Error::WrongAnswer("it answered before it was asked".into()));
        }
        match self.send(format!("{job}\n").as_bytes(), until) {
            Ok(true) => {}
            Ok(false) => return Err(Error::Timeout { op: "hand over a job".into(), after: deadline }),
            Err(e) if e.kind() == io::ErrorKind::BrokenPipe => return Err(self.died(child, deadline)),
            Err(e) => return Err(Error::os("send a job", e)),
        }
        let line = self.line(child, until, deadline, "wait for a reply")?;
        Reply::parse(&line).map_err(|e| refusal(&line, &e.to_string()))
    }

    /// Writes bytes that are no job: the end mark of a line that has no end of file. A program that has gone needs none,
    /// and one that does not take it is ended without.
    pub(crate) fn say(&mut self, bytes: &[u8]) {
        let _ = self.send(bytes, Instant::now());
    }

    /// Whether all of it went into the pipe in time: a program can fill the pipe that it should read from
    /// (`/proc/self/fd/0`), and then it takes nothing more.
    fn send(&mut self, mut bytes: &[u8], until: Instant) -> io::Result<bool> {
        let Some(jobs) = &mut self.jobs else { return Ok(false) };
        while !bytes.is_empty() {
            match jobs.write(bytes) {
                Ok(count) => bytes = &bytes[count..],
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                    let mut room = [PollFd::new(jobs.as_fd(), PollFlags::POLLOUT)];
                    if !poll_until(&mut room, until).map_err(|e| io::Error::other(e.to_string()))? {
                        return Ok(false);
                    }
                }
                Err(e) => return Err(e),
            }
        }
        Ok(true)
    }

    /// Closes the jobs' end: the payload reads end of file and ends.
    pub(crate) fn close(&mut self) {
        self.jobs = None;
    }

    /// The last that the program wrote to stderr.
    pub(crate) fn stderr(&mut self) -> String {
        self.stderr.as_mut().map(Capture::text).unwrap_or_default()
    }

    /// Waits for the program's end, keeping its output flowing meanwhile.
    ///
    /// # Errors
    /// [`Error::Timeout`]; the program is killed then.
    pub(crate) fn drain(&mut self, child: &mut Child, deadline: Duration) -> Result<(), Error> {
        let until = Instant::now() + deadline;
        while self.pump(child, until, Want::End)? {
            // Whoever never stops talking would be listened to for ever: there is always something to read.
            if Instant::now() >= until && !child.has_ended()? {
                child.kill()?;
                return Err(Error::Timeout {
                    op: "wait for the end of a flood of output".into(),
                    after: deadline,
                });
            }
        }
        Ok(())
    }

    /// The next line, waited for until `until`, which is `deadline` after the wait began.
    fn line(
        &mut self,
        child: &mut Child,
        until: Instant,
        deadline: Duration,
        op: &str,
    ) -> Result<String, Error> {
        loop {
            if let Some(at) = self.buffer.iter().position(|b| *b == b'\n') {
                let bytes = self.buffer.drain(..=at).take(at).collect::<Vec<_>>();
                return String::from_utf8(bytes)
                    .map_err(|_| Error::WrongAnswer("its line is not text".into()));
            }
            if self.buffer.len() > MAX_LINE {
                return Err(Error::WrongAnswer(format!("more than {MAX_LINE} bytes without a newline")));
            }
            if self.replies.is_none() {
                return Err(self.died(child, deadline));
            }
            if Instant::now() >= until || !self.pump(child, until, Want::Output)? {
                if self.replies.is_none() {
                    continue;
                }
                return Err(Error::Timeout { op: op.to_owned(), after: deadline });
            }
        }
    }

    /// Waits once for something to happen and takes it in. False: nothing more will happen, or time is up.
    fn pump(&mut self, child: &Child, until: Instant, want: Want) -> Result<bool, Error> {
        let mut fds = Vec::with_capacity(3);
        let open = [self.replies.as_ref().map(AsFd::as_fd), self.stderr.as_ref().and_then(Capture::fd)];
        fds.extend(open.iter().flatten().map(|fd| PollFd::new(*fd, PollFlags::POLLIN)));
        if want == Want::End {
            fds.push(PollFd::new(child.pidfd(), PollFlags::POLLIN));
        }
        if fds.is_empty() || !poll_until(&mut fds, until)? {
            return Ok(false);
        }
        let mut happened = fds.iter().map(|fd| fd.any().unwrap_or(false));
        let mut next = |open: bool| open && happened.next().unwrap_or(false);
        let (replies, stderr) = (next(open[0].is_some()), next(open[1].is_some()));
        let ended = want == Want::End && next(true);
        if replies {
            self.take_replies(want)?;
        }
        if stderr && let Some(capture) = &mut self.stderr {
            capture.pump();
        }
        Ok(!ended)
    }

    fn take_replies(&mut self, want: Want) -> Result<(), Error> {
        let Some(file) = &mut self.replies else { return Ok(()) };
        let mut chunk = [0_u8; MAX_LINE];
        match file.read(&mut chunk) {
            Ok(0) => self.replies = None,
            // Words after the last reply are read so that the program does not block, and dropped.
            Ok(len) if want == Want::Output => self.buffer.extend(&chunk[..len]),
            Ok(_) => {}
            // Another reader was faster: a program can read what it wrote itself (`/proc/self/fd/1`).
            Err(e) if matches!(e.kind(), io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock) => {}
            Err(e) => return Err(Error::os("read a reply", e)),
        }
        Ok(())
    }

    fn died(&mut self, child: &mut Child, deadline: Duration) -> Error {
        match child.wait(deadline) {
            Ok((exit, _)) => Error::Died { exit, stderr: self.stderr() },
            Err(e) => e,
        }
    }
}

/// A payload that says it cannot do a job has not answered wrongly, unless it found its own result to be wrong.
fn refusal(line: &str, why: &str) -> Error {
    let wrong = line.strip_prefix("error ").is_none_or(|text| text.starts_with(WRONG));
    if wrong { Error::WrongAnswer(why.to_owned()) } else { Error::Unsupported(why.to_owned()) }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Want {
    Output,
    End,
}

/// The reading end of a program's stderr: the last of it is kept.
#[derive(Debug)]
pub(crate) struct Capture {
    file: Option<File>,
    kept: VecDeque<u8>,
}

impl Capture {
    pub(crate) fn new(fd: OwnedFd) -> Self {
        Self { file: Some(unblocked(fd)), kept: VecDeque::new() }
    }

    pub(crate) fn fd(&self) -> Option<std::os::fd::BorrowedFd<'_>> {
        self.file.as_ref().map(AsFd::as_fd)
    }

    /// Takes in what there is, up to one buffer.
    pub(crate) fn pump(&mut self) -> bool {
        let Some(file) = &mut self.file else { return false };
        let mut chunk = [0_u8; STDERR];
        match file.read(&mut chunk) {
            Ok(0) => self.file = None,
            Ok(len) => {
                self.kept.extend(&chunk[..len]);
                let excess = self.kept.len().saturating_sub(STDERR);
                self.kept.drain(..excess);
                return true;
            }
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
            Err(_) => self.file = None,
        }
        false
    }

    pub(crate) fn text(&mut self) -> String {
        // Bounded: a pipe holds 64 KiB, and a program that still writes is not waited for.
        for _ in 0..64 {
            if !self.pump() {
                break;
            }
        }
        String::from_utf8_lossy(self.kept.make_contiguous()).into_owned()
    }
}

/// Our end of a pipe. The harness never blocks in a read or a write, whatever the other end does with it: it waits in
/// poll, which has a deadline. The program's end is another description and stays as programs expect it.
fn unblocked(fd: OwnedFd) -> File {
    let _ = nix::fcntl::fcntl(&fd, nix::fcntl::FcntlArg::F_SETFL(OFlag::O_NONBLOCK));
    File::from(fd)
}

pub(crate) fn pipe() -> Result<(OwnedFd, OwnedFd), Error> {
    nix::unistd::pipe2(OFlag::O_CLOEXEC).map_err(|e| Error::os("make a pipe", e))
}
