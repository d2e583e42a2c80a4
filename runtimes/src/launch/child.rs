//! A started program: waited for on its pidfd, killed and reaped when dropped.
//!
//! A pidfd names one process for ever, so no signal ever reaches a stranger that inherited the pid.

use std::collections::BTreeSet;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use isomark_core::clock::monotonic_ns;
use isomark_core::{Error, Exit};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::step::{Launch, Step};
use super::sys;

/// A child process.
#[derive(Debug)]
pub(crate) struct Child {
    pid: i32,
    pidfd: OwnedFd,
    ended: Option<(Exit, u64)>,
    launch: Launch,
    /// When each step was done, ns of `CLOCK_MONOTONIC`; the clone first, the execve last.
    stamps: Vec<u64>,
}

impl Child {
    /// Walks the launch. Returns once the program has been executed.
    ///
    /// # Errors
    /// Which step failed, and why.
    pub(crate) fn spawn(launch: Launch) -> Result<Self, Error> {
        Self::walked(launch, false)
    }

    /// The same by a plain clone3 that copies the parent's memory: what a floor is measured by. A step that fails shows
    /// as the child's exit only.
    ///
    /// # Errors
    /// If the clone fails.
    pub(crate) fn fork(launch: Launch) -> Result<Self, Error> {
        Self::walked(launch, true)
    }

    fn walked(launch: Launch, copied: bool) -> Result<Self, Error> {
        for _ in 0..BUSY_TRIES {
            match Self::attempt(&launch, copied) {
                // Another thread's child, cloned while we wrote the file, holds it open until it has executed.
                Err(Error::Os { source, .. }) if source.raw_os_error() == Some(libc::ETXTBSY) => {
                    std::thread::sleep(Duration::from_millis(2));
                }
                Err(e) => return Err(e),
                Ok((pid, pidfd, stamps)) => return Ok(Self { pid, pidfd, ended: None, launch, stamps }),
            }
        }
        Self::attempt(&launch, copied).map(|(pid, pidfd, stamps)| Self {
            pid,
            pidfd,
            ended: None,
            launch,
            stamps,
        })
    }

    /// A process that became ours because its parent has gone, as if we had started it: what a tool left running when
    /// its own command ended (`PR_SET_CHILD_SUBREAPER`).
    ///
    /// # Errors
    /// If there is no such process.
    pub(crate) fn adopt(pid: i32) -> Result<Self, Error> {
        let mut own = own();
        let pidfd = sys::open(pid).map_err(|e| Error::os(format!("open process {pid}"), e))?;
        own.insert(pid);
        Ok(Self { pid, pidfd, ended: None, launch: Launch::default(), stamps: Vec::new() })
    }

    fn attempt(launch: &Launch, copied: bool) -> Result<(i32, OwnedFd, Vec<u64>), Error> {
        let pointers = |all: &[std::ffi::CString]| {
            all.iter().map(|s| s.as_ptr()).chain([std::ptr::null()]).collect::<Vec<_>>()
        };
        let (argv, envp) = (pointers(&launch.args), pointers(&launch.env));
        let parent = sys::Parent::this().map_err(|e| Error::os("open a descriptor of this thread", e))?;
        let plan = sys::Plan {
            flags: launch.namespaces,
            parent,
            copied,
            into_cgroup: launch.into_cgroup.as_ref().map(AsRawFd::as_raw_fd),
            steps: &launch.steps,
            program: &launch.program,
            argv: &argv,
            envp: &envp,
        };
        let word = sys::Word::new();
        let mut own = own();
        let mut stamps = vec![monotonic_ns()];
        let (pid, pidfd) = with_stack(|stack| sys::spawn(&plan, stack, &word))
            .map_err(|e| Error::os(format!("clone3{}", namespaces(launch.namespaces)), e))?;
        match word.failure() {
            None => {
                stamps.extend(word.stamps());
                stamps.push(monotonic_ns());
                own.insert(pid);
                Ok((pid, pidfd, stamps))
            }
            Some((step, errno)) => {
                // It has left already; reaping it is all that remains.
                reap_failed(&pidfd)?;
                let excuse = launch.steps.get(step as usize).and_then(Step::excuse);
                Err(excuse.unwrap_or_else(|| {
                    Error::os(name(launch, step), std::io::Error::from_raw_os_error(errno))
                }))
            }
        }
    }

    /// The inner steps of the launch; put into words here, outside of what is timed. Steps of one name in a row are told
    /// once, with the moment of the last.
    pub(crate) fn steps(&self) -> Vec<isomark_core::Step> {
        let names = self.launch.steps.iter().map(Step::told);
        let names = ["clone3".to_owned()].into_iter().chain(names).chain(["execve".to_owned()]);
        let mut told: Vec<isomark_core::Step> = Vec::new();
        for (name, at_ns) in names.zip(self.stamps.iter().copied()) {
            match told.last_mut() {
                Some(last) if last.name == name => last.at_ns = at_ns,
                _ => told.push(isomark_core::Step { name, at_ns }),
            }
        }
        told
    }

    /// Its pid, as the harness sees it.
    #[must_use]
    pub(crate) const fn pid(&self) -> i32 {
        self.pid
    }

    /// The pidfd: readable when the process has ended.
    #[must_use]
    pub(crate) fn pidfd(&self) -> BorrowedFd<'_> {
        self.pidfd.as_fd()
    }

    /// Waits for the end and reaps: how it ended and the CPU time it used, in ns.
    ///
    /// # Errors
    /// [`Error::Timeout`] after `deadline`; the process is killed and reaped then.
    pub(crate) fn wait(&mut self, deadline: Duration) -> Result<(Exit, u64), Error> {
        if let Some(ended) = self.ended {
            return Ok(ended);
        }
        if !readable(self.pidfd.as_fd(), Instant::now() + deadline)? {
            self.kill()?;
            return Err(Error::Timeout { op: "wait for the program's end".into(), after: deadline });
        }
        self.reap()
    }

    /// Whether it has ended; it stays to be reaped.
    ///
    /// # Errors
    /// If the kernel refuses to tell.
    pub(crate) fn has_ended(&self) -> Result<bool, Error> {
        Ok(self.ended.is_some() || readable(self.pidfd.as_fd(), Instant::now())?)
    }

    /// Sends a signal; a process that has ended already is no error.
    ///
    /// # Errors
    /// If the kernel refuses.
    pub(crate) fn signal(&self, signal: i32) -> Result<(), Error> {
        sys::signal(&self.pidfd, signal).map_err(|e| Error::os("signal a process", e))
    }

    /// Gives an adopted process back: dropping it does nothing to it any more.
    fn forget(&mut self) {
        own().remove(&self.pid);
        self.ended = Some((Exit::Code(0), 0));
    }

    /// Waits for the end of a process that need not be our child, kills it if it does not go, and reaps what is ours.
    ///
    /// # Errors
    /// If it does not even end when it is killed.
    pub(crate) fn leave(&mut self, deadline: Duration) -> Result<(), Error> {
        let ended = self.ended.is_some() || readable(self.pidfd.as_fd(), Instant::now() + deadline)?;
        if !ended {
            self.signal(libc::SIGKILL)?;
            readable(self.pidfd.as_fd(), Instant::now() + Duration::from_secs(30))?;
        }
        // Another's child is reaped by that one.
        let _ = self.reap();
        self.ended.get_or_insert((Exit::Signal(libc::SIGKILL), 0));
        Ok(())
    }

    /// Kills and reaps; a process that has ended already is no error.
    ///
    /// # Errors
    /// If the kernel refuses.
    pub(crate) fn kill(&mut self) -> Result<(), Error> {
        if self.ended.is_none() {
            sys::signal(&self.pidfd, libc::SIGKILL).map_err(|e| Error::os("kill the program", e))?;
            // A killed process may take a while to give back its memory, never for ever.
            readable(self.pidfd.as_fd(), Instant::now() + Duration::from_secs(30))?;
            self.reap()?;
        }
        Ok(())
    }

    fn reap(&mut self) -> Result<(Exit, u64), Error> {
        let reaped = sys::reap(&self.pidfd);
        own().remove(&self.pid);
        let reaped = reaped.map_err(|e| Error::os("reap the program", e))?;
        let (exited, status, cpu_ns) =
            reaped.ok_or_else(|| Error::os("reap the program", std::io::Error::other("it has not ended")))?;
        let exit = if exited { Exit::Code(status) } else { Exit::Signal(status) };
        self.ended = Some((exit, cpu_ns));
        Ok((exit, cpu_ns))
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // Nobody is left to be told; the ledger settles what even SIGKILL could not end.
        let _ = self.kill();
    }
}

/// Children that somebody here waits for: all others of this process are orphans that came to it.
///
/// Held from the clone until the child is noted, so that who looks for orphans cannot see it in between.
static OWN: Mutex<BTreeSet<i32>> = Mutex::new(BTreeSet::new());

fn own() -> MutexGuard<'static, BTreeSet<i32>> {
    OWN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Adopts those children of this process that nobody here waits for and that `ours` knows; reaps the ended ones of all.
pub(crate) fn orphans(ours: &dyn Fn(i32) -> bool) -> Vec<Child> {
    let strangers = {
        let own = own();
        children().into_iter().filter(|pid| !own.contains(pid)).collect::<Vec<_>>()
    };
    let mut adopted = Vec::new();
    for pid in strangers {
        let known = ours(pid);
        let Ok(mut child) = Child::adopt(pid) else { continue };
        match child.has_ended() {
            Ok(true) => drop(child.reap()),
            _ if known => adopted.push(child),
            // Another instance's, which will come for it.
            _ => child.forget(),
        }
    }
    adopted
}

/// All children of this process (`/proc/PID/task/TID/children`, proc(5)).
fn children() -> Vec<i32> {
    let tasks = std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let lists = tasks.filter_map(|task| std::fs::read_to_string(task.path().join("children")).ok());
    lists
        .flat_map(|list| list.split_whitespace().filter_map(|pid| pid.parse().ok()).collect::<Vec<_>>())
        .collect()
}

/// How often a program whose file is busy is tried again.
const BUSY_TRIES: u32 = 100;

fn reap_failed(pidfd: &OwnedFd) -> Result<(), Error> {
    readable(pidfd.as_fd(), Instant::now() + Duration::from_secs(30))?;
    sys::reap(pidfd).map(drop).map_err(|e| Error::os("reap a child that could not start", e))
}

/// Waits until `fd` is readable (true) or `until` has passed (false).
pub(super) fn readable(fd: BorrowedFd<'_>, until: Instant) -> Result<bool, Error> {
    let mut fds = [PollFd::new(fd, PollFlags::POLLIN)];
    poll_until(&mut fds, until)
}

/// `poll(2)` that starts again after a signal and never waits beyond `until`.
pub(crate) fn poll_until(fds: &mut [PollFd<'_>], until: Instant) -> Result<bool, Error> {
    loop {
        let left = until.saturating_duration_since(Instant::now());
        // One more than the whole ms left: poll must not wake before `until`, or this would spin.
        let left = PollTimeout::try_from(left.as_millis() + 1).unwrap_or(PollTimeout::MAX);
        match poll(fds, left) {
            Ok(0) if Instant::now() < until => {}
            Ok(ready) => return Ok(ready > 0),
            Err(nix::Error::EINTR) => {}
            Err(e) => return Err(Error::os("poll", e)),
        }
    }
}

/// One stack per thread: mapping it anew would be part of every startup.
fn with_stack<T>(call: impl FnOnce(&sys::Stack) -> std::io::Result<T>) -> std::io::Result<T> {
    thread_local! {
        static STACK: std::io::Result<sys::Stack> = sys::Stack::new();
    }
    STACK.with(|stack| match stack {
        Ok(stack) => call(stack),
        Err(e) => Err(std::io::Error::from_raw_os_error(e.raw_os_error().unwrap_or(libc::ENOMEM))),
    })
}

fn name(launch: &Launch, step: u32) -> String {
    match launch.steps.get(step as usize) {
        Some(failed) => format!("step {} of {}, {failed}", step + 1, launch.steps.len()),
        None => format!("execute {}", launch.program.to_string_lossy()),
    }
}

fn namespaces(flags: u64) -> String {
    const NAMES: [(i32, &str); 7] = [
        (libc::CLONE_NEWUSER, "user"),
        (libc::CLONE_NEWPID, "pid"),
        (libc::CLONE_NEWNS, "mount"),
        (libc::CLONE_NEWUTS, "uts"),
        (libc::CLONE_NEWIPC, "ipc"),
        (libc::CLONE_NEWNET, "net"),
        (libc::CLONE_NEWCGROUP, "cgroup"),
    ];
    let set = NAMES.iter().filter(|(flag, _)| flags & *flag as u64 != 0).map(|(_, name)| *name);
    let set = set.collect::<Vec<_>>();
    if set.is_empty() { String::new() } else { format!(" with new {} namespaces", set.join(", ")) }
}
