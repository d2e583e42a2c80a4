//! The clone: a child that borrows the parent's memory until it has executed.
//!
//! Raw system calls only, nothing that locks, allocates or unwinds, from the clone to the execve.
#![expect(unsafe_code, reason = "clone3, execve and their argument blocks have no safe form")]

use std::ffi::CStr;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicI32, AtomicU32, AtomicU64, Ordering};

use isomark_core::clock::monotonic_ns;

use super::errno;
use super::parent::Parent;
use super::steps::{keep_streams_only, take};
use crate::launch::step::Step;

/// Argument block of `clone3(2)`.
#[repr(C, align(8))]
#[derive(Default)]
struct CloneArgs {
    flags: u64,
    pidfd: u64,
    child_tid: u64,
    parent_tid: u64,
    exit_signal: u64,
    stack: u64,
    stack_size: u64,
    tls: u64,
    set_tid: u64,
    set_tid_size: u64,
    cgroup: u64,
}

/// What a launch needs in the form the kernel takes it.
pub(in crate::launch) struct Plan<'a> {
    pub(in crate::launch) flags: u64,
    pub(in crate::launch) parent: Parent,
    /// Whether the child gets a copy of the parent's memory instead of borrowing it.
    pub(in crate::launch) copied: bool,
    pub(in crate::launch) into_cgroup: Option<RawFd>,
    pub(in crate::launch) steps: &'a [Step],
    pub(in crate::launch) program: &'a CStr,
    /// Pointers to the arguments, null-terminated.
    pub(in crate::launch) argv: &'a [*const libc::c_char],
    /// Pointers to the environment, null-terminated.
    pub(in crate::launch) envp: &'a [*const libc::c_char],
}

/// Where the child leaves word of a failure; it shares the parent's memory, so no pipe is needed.
pub(in crate::launch) struct Word {
    step: AtomicU32,
    errno: AtomicI32,
    /// When each step was done, ns of `CLOCK_MONOTONIC`; 0 where none was taken.
    stamps: [AtomicU64; STAMPS],
}

/// Steps that are stamped; a launch has fewer.
const STAMPS: usize = 48;

/// Step number that stands for `execve`.
const EXEC: u32 = u32::MAX;

impl Word {
    pub(in crate::launch) fn new() -> Self {
        Self {
            step: AtomicU32::new(0),
            errno: AtomicI32::new(0),
            stamps: [const { AtomicU64::new(0) }; STAMPS],
        }
    }

    /// When the steps were done, in order.
    pub(in crate::launch) fn stamps(&self) -> impl Iterator<Item = u64> + '_ {
        self.stamps.iter().map(|stamp| stamp.load(Ordering::Acquire)).take_while(|at| *at > 0)
    }

    /// Reads the clock through the vDSO: no system call, some 30 ns.
    fn stamp(&self, number: u32) {
        if let Some(stamp) = self.stamps.get(number as usize) {
            stamp.store(monotonic_ns(), Ordering::Release);
        }
    }

    /// The step that failed and its errno.
    pub(in crate::launch) fn failure(&self) -> Option<(u32, i32)> {
        let errno = self.errno.load(Ordering::Acquire);
        (errno != 0).then(|| (self.step.load(Ordering::Acquire), errno))
    }
}

/// The stack on which the child walks its steps, with a guard page below.
pub(in crate::launch) struct Stack {
    base: *mut libc::c_void,
}

const STACK: usize = 64 << 10;
const GUARD: usize = 4096;

// SAFETY: the mapping belongs to this value alone and has no thread affinity.
unsafe impl Send for Stack {}

impl Stack {
    pub(in crate::launch) fn new() -> std::io::Result<Self> {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_STACK | libc::MAP_NORESERVE;
        let read_write = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: an anonymous mapping at an address of the kernel's choice touches no memory of ours.
        let base = unsafe { libc::mmap(std::ptr::null_mut(), STACK + GUARD, read_write, flags, -1, 0) };
        if base == libc::MAP_FAILED {
            return Err(std::io::Error::last_os_error());
        }
        let stack = Self { base };
        // SAFETY: the first page of the mapping made above; nothing refers to it.
        match unsafe { libc::mprotect(base, GUARD, libc::PROT_NONE) } {
            0 => Ok(stack),
            _ => Err(std::io::Error::last_os_error()),
        }
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        // SAFETY: the mapping made in `new`, given up exactly once; no child runs on it any more.
        unsafe { libc::munmap(self.base, STACK + GUARD) };
    }
}

/// `clone3` with the semantics of vfork: the child borrows this address space until it executes or exits, which
/// spares copying page tables (the harness's size would otherwise be part of every startup).
///
/// Returns the child's pid and pidfd; the calling thread is suspended until the child has executed or exited. With
/// `copied` it is a plain clone3 with the semantics of fork: nobody waits, and nobody hears of a step that failed but by
/// the child's exit.
pub(in crate::launch) fn spawn(
    plan: &Plan<'_>,
    stack: &Stack,
    word: &Word,
) -> std::io::Result<(i32, OwnedFd)> {
    let mut pidfd: RawFd = -1;
    let borrow = if plan.copied { 0 } else { libc::CLONE_VM | libc::CLONE_VFORK };
    let vfork = (borrow | libc::CLONE_PIDFD) as u64;
    let mut args = CloneArgs {
        flags: vfork | CLONE_CLEAR_SIGHAND | plan.flags,
        pidfd: &raw mut pidfd as u64,
        exit_signal: libc::SIGCHLD as u64,
        stack: stack.base as u64,
        stack_size: (STACK + GUARD) as u64,
        ..CloneArgs::default()
    };
    if let Some(fd) = plan.into_cgroup {
        args.flags |= CLONE_INTO_CGROUP;
        args.cgroup = u64::try_from(fd).unwrap_or(0);
    }
    let blocked = block_signals();
    let child = Borrowed { plan, word, signals: &blocked };
    // SAFETY: the child runs `enter` on its own stack, never returns from it, and either the parent is suspended
    // meanwhile, so that everything that `child` borrows outlives its use, or the child has a copy of all of it.
    let pid = unsafe { clone3(&raw const args, &raw const child) };
    restore_signals(&blocked);
    match i32::try_from(pid) {
        // SAFETY: a descriptor that the kernel has just made for us; nobody else owns it.
        Ok(pid) if pid > 0 => Ok((pid, unsafe { OwnedFd::from_raw_fd(pidfd) })),
        _ => Err(std::io::Error::from_raw_os_error(i32::try_from(-pid).unwrap_or(libc::EINVAL))),
    }
}

const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;
/// Handlers are the harness's code on the harness's memory: a signal must not find them in the child (Linux 5.5).
const CLONE_CLEAR_SIGHAND: u64 = 0x1_0000_0000;

struct Borrowed<'a> {
    plan: &'a Plan<'a>,
    word: &'a Word,
    signals: &'a libc::sigset_t,
}

/// The raw call. A Rust function cannot return twice on two stacks, so the child's half is entered from here.
///
/// # Safety
/// `args` names a stack of the child's own; `child` stays valid until the child has executed or exited.
unsafe fn clone3(args: *const CloneArgs, child: *const Borrowed<'_>) -> i64 {
    let result: i64;
    // SAFETY: clone3(2) with a valid argument block. In the child (result 0) the stack pointer is the new stack's
    // top, 16-byte aligned as the ABI wants at a call; `enter` does not return.
    unsafe {
        std::arch::asm!(
            "syscall",
            "test rax, rax",
            "jnz 2f",
            "xor ebp, ebp",
            "mov rdi, r12",
            "call {enter}",
            "ud2",
            "2:",
            enter = sym enter,
            inlateout("rax") libc::SYS_clone3 => result,
            in("rdi") args,
            in("rsi") std::mem::size_of::<CloneArgs>(),
            in("r12") child,
            lateout("rcx") _,
            lateout("r11") _,
            clobber_abi("C"),
        );
    }
    result
}

/// The child's half: walks the steps, then becomes the program; leaves word and exits if something fails.
extern "C" fn enter(child: *const Borrowed<'_>) -> ! {
    // SAFETY: `spawn` keeps the value alive while its thread is suspended.
    let child = unsafe { &*child };
    let failed = walk(child);
    child.word.step.store(failed.0, Ordering::Release);
    child.word.errno.store(failed.1, Ordering::Release);
    // SAFETY: ends this process without running anything of the parent's (exit handlers, destructors).
    unsafe { libc::_exit(127) }
}

fn walk(child: &Borrowed<'_>) -> (u32, i32) {
    reset_handlers();
    keep_streams_only();
    for (number, step) in (0..).zip(child.plan.steps) {
        if matches!(step, Step::Seccomp(_)) {
            // The filter may not allow this call; nothing can arrive between here and execve but SIGKILL.
            restore_signals(child.signals);
        }
        if take(step, &child.plan.parent) < 0 {
            return (number, errno());
        }
        child.word.stamp(number);
    }
    restore_signals(child.signals);
    let plan = child.plan;
    // SAFETY: null-terminated arrays of valid strings; returns only on failure.
    unsafe { libc::execve(plan.program.as_ptr(), plan.argv.as_ptr(), plan.envp.as_ptr()) };
    (EXEC, errno())
}

fn block_signals() -> libc::sigset_t {
    let mut all = empty_set();
    let mut old = empty_set();
    // SAFETY: a set of our own.
    unsafe { libc::sigfillset(&raw mut all) };
    // SAFETY: two sets of our own; affects the calling thread only.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &raw const all, &raw mut old) };
    old
}

fn restore_signals(old: &libc::sigset_t) {
    // SAFETY: a set that was read from the kernel before.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, old, std::ptr::null_mut()) };
}

fn empty_set() -> libc::sigset_t {
    // SAFETY: plain data; all zeros is the empty set on Linux.
    unsafe { std::mem::zeroed() }
}

/// What CLONE_CLEAR_SIGHAND and execve both keep: Rust ignores SIGPIPE, and a program must not inherit that.
fn reset_handlers() {
    // SAFETY: the default disposition has no requirements.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
}
