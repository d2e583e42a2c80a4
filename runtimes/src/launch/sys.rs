//! The system calls of a launch, one per function.
//!
//! Everything in this module that takes a [`Step`] runs in the cloned child, which shares the parent's memory while
//! the parent's thread is suspended: raw system calls only, nothing that locks, allocates or unwinds.
#![expect(unsafe_code, reason = "clone3, execve and their argument blocks have no safe form")]

use std::ffi::CStr;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicI32, AtomicU32, AtomicU64, Ordering};

use isomark_core::clock::monotonic_ns;

use super::step::Step;
use crate::namespace::Network;

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
pub(super) struct Plan<'a> {
    pub(super) flags: u64,
    pub(super) into_cgroup: Option<RawFd>,
    pub(super) steps: &'a [Step],
    pub(super) program: &'a CStr,
    /// Pointers to the arguments, null-terminated.
    pub(super) argv: &'a [*const libc::c_char],
    /// Pointers to the environment, null-terminated.
    pub(super) envp: &'a [*const libc::c_char],
}

/// Where the child leaves word of a failure; it shares the parent's memory, so no pipe is needed.
pub(super) struct Word {
    step: AtomicU32,
    errno: AtomicI32,
    /// When each step was done, ns of `CLOCK_MONOTONIC`; 0 where none was taken.
    stamps: [AtomicU64; STAMPS],
}

/// Steps that are stamped; a launch has fewer.
const STAMPS: usize = 48;

/// Step number that stands for `execve`.
pub(super) const EXEC: u32 = u32::MAX;

impl Word {
    pub(super) fn new() -> Self {
        Self {
            step: AtomicU32::new(0),
            errno: AtomicI32::new(0),
            stamps: [const { AtomicU64::new(0) }; STAMPS],
        }
    }

    /// When the steps were done, in order.
    pub(super) fn stamps(&self) -> impl Iterator<Item = u64> + '_ {
        self.stamps.iter().map(|stamp| stamp.load(Ordering::Acquire)).take_while(|at| *at > 0)
    }

    /// Reads the clock through the vDSO: no system call, some 30 ns.
    fn stamp(&self, number: u32) {
        if let Some(stamp) = self.stamps.get(number as usize) {
            stamp.store(monotonic_ns(), Ordering::Release);
        }
    }

    /// The step that failed and its errno.
    pub(super) fn failure(&self) -> Option<(u32, i32)> {
        let errno = self.errno.load(Ordering::Acquire);
        (errno != 0).then(|| (self.step.load(Ordering::Acquire), errno))
    }
}

/// The stack on which the child walks its steps, with a guard page below.
pub(super) struct Stack {
    base: *mut libc::c_void,
}

const STACK: usize = 64 << 10;
const GUARD: usize = 4096;

// SAFETY: the mapping belongs to this value alone and has no thread affinity.
unsafe impl Send for Stack {}

impl Stack {
    pub(super) fn new() -> std::io::Result<Self> {
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
/// Returns the child's pid and pidfd; the calling thread is suspended until the child has executed or exited.
pub(super) fn spawn(plan: &Plan<'_>, stack: &Stack, word: &Word) -> std::io::Result<(i32, OwnedFd)> {
    let mut pidfd: RawFd = -1;
    let vfork = (libc::CLONE_VM | libc::CLONE_VFORK | libc::CLONE_PIDFD) as u64;
    let mut args = CloneArgs {
        flags: vfork | plan.flags,
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
    // SAFETY: the child runs `enter` on its own stack, never returns from it, and the parent is suspended meanwhile,
    // so everything that `child` borrows outlives its use.
    let pid = unsafe { clone3(&raw const args, &raw const child) };
    restore_signals(&blocked);
    match i32::try_from(pid) {
        // SAFETY: a descriptor that the kernel has just made for us; nobody else owns it.
        Ok(pid) if pid > 0 => Ok((pid, unsafe { OwnedFd::from_raw_fd(pidfd) })),
        _ => Err(std::io::Error::from_raw_os_error(i32::try_from(-pid).unwrap_or(libc::EINVAL))),
    }
}

const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;

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
    for (number, step) in (0..).zip(child.plan.steps) {
        if matches!(step, Step::Seccomp(_)) {
            // The filter may not allow this call; nothing can arrive between here and execve but SIGKILL.
            restore_signals(child.signals);
        }
        if take(step) < 0 {
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

/// The thread-local of the suspended parent thread, which nobody else uses meanwhile.
fn errno() -> i32 {
    nix::errno::Errno::last_raw()
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

/// Dispositions that execve keeps: Rust ignores SIGPIPE, and a program must not inherit that. (Handlers are reset by
/// execve itself; the table is not shared, since CLONE_SIGHAND is not asked for.)
fn reset_handlers() {
    // SAFETY: the default disposition has no requirements.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
}

/// Takes one step; negative on failure, with errno set.
fn take(step: &Step) -> i64 {
    match step {
        Step::DieWithParent(signal) => prctl(libc::PR_SET_PDEATHSIG, *signal as u64, 0),
        Step::Descriptor { fd, to } => place(*fd, *to),
        Step::JoinGroup { dir, tasks } => join_group(*dir, tasks),
        Step::WriteFile { path, bytes } => write_file(path, bytes),
        Step::Unshare { flags, .. } => unshare(*flags),
        Step::Mount { source, target, kind, flags, data } => mount(source, target, kind, *flags, data),
        Step::Directory { path, mode } => mkdir(path, *mode),
        Step::WorkIn { path } => chdir(path),
        Step::Pivot => pivot(),
        Step::Hostname(name) => sethostname(name),
        Step::LoopbackUp => loopback(),
        Step::EnterNetwork { network, descriptors } => enter_network(network, *descriptors),
        Step::Limit { resource, value } => limit(*resource, *value),
        Step::DropBounding => drop_bounding(),
        Step::NoRootPrivileges => no_root_privileges(),
        Step::DropCapabilities => drop_capabilities(),
        Step::NoNewPrivileges => prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0),
        Step::Seccomp(filter) => seccomp(filter),
    }
}

fn prctl(option: i32, value: u64, third: u64) -> i64 {
    // SAFETY: options that take plain numbers only.
    i64::from(unsafe { libc::prctl(option, value, third, 0_u64, 0_u64) })
}

fn place(fd: RawFd, to: RawFd) -> i64 {
    if fd == to {
        // dup2 onto itself would leave close-on-exec set.
        // SAFETY: plain numbers.
        return i64::from(unsafe { libc::fcntl(fd, libc::F_SETFD, 0) });
    }
    // SAFETY: plain numbers; the child's descriptor table is its own.
    i64::from(unsafe { libc::dup2(fd, to) })
}

fn write(fd: RawFd, bytes: &[u8]) -> i64 {
    // SAFETY: a valid buffer of the length given.
    unsafe { libc::write(fd, bytes.as_ptr().cast(), bytes.len()) as i64 }
}

fn write_file(path: &CStr, bytes: &[u8]) -> i64 {
    // SAFETY: a valid string.
    let fd = unsafe { libc::open(path.as_ptr(), libc::O_WRONLY | libc::O_CLOEXEC) };
    if fd < 0 { -1 } else { write_and_close(fd, bytes) }
}

fn write_and_close(fd: RawFd, bytes: &[u8]) -> i64 {
    let written = write(fd, bytes);
    let kept = errno();
    // SAFETY: the caller opened it for this; closed once.
    unsafe { libc::close(fd) };
    set_errno(kept);
    written
}

fn set_errno(value: i32) {
    nix::errno::Errno::set_raw(value);
}

fn unshare(flags: i32) -> i64 {
    // SAFETY: plain flags; the child has one thread.
    i64::from(unsafe { libc::unshare(flags) })
}

fn mount(source: &CStr, target: &CStr, kind: &CStr, flags: u64, data: &CStr) -> i64 {
    // SAFETY: four valid strings.
    let done = unsafe {
        libc::mount(
            source.as_ptr(),
            target.as_ptr(),
            kind.as_ptr(),
            flags as libc::c_ulong,
            data.as_ptr().cast(),
        )
    };
    i64::from(done)
}

fn mkdir(path: &CStr, mode: u32) -> i64 {
    // SAFETY: a valid string.
    match unsafe { libc::mkdir(path.as_ptr(), mode) } {
        -1 if errno() == libc::EEXIST => 0,
        done => i64::from(done),
    }
}

fn chdir(path: &CStr) -> i64 {
    // SAFETY: a valid string.
    i64::from(unsafe { libc::chdir(path.as_ptr()) })
}

fn pivot() -> i64 {
    let here = c".".as_ptr();
    // SAFETY: two valid strings.
    if unsafe { libc::syscall(libc::SYS_pivot_root, here, here) } < 0 {
        return -1;
    }
    // SAFETY: a valid string; the old root is what lies on top of "." now.
    if unsafe { libc::umount2(here, libc::MNT_DETACH) } < 0 {
        return -1;
    }
    chdir(c"/")
}

fn sethostname(name: &CStr) -> i64 {
    // SAFETY: a valid string and its length.
    i64::from(unsafe { libc::sethostname(name.as_ptr(), name.count_bytes()) })
}

/// Brings the loopback interface of the calling thread's network namespace up.
pub(crate) fn loopback_up() -> std::io::Result<()> {
    if loopback() < 0 { Err(std::io::Error::last_os_error()) } else { Ok(()) }
}

/// Wakes who waits on `word` (`futex(2)`).
pub(crate) fn wake(word: &AtomicU32) {
    let operation = libc::FUTEX_WAKE | libc::FUTEX_PRIVATE_FLAG;
    // SAFETY: the address of a live word; the kernel only compares addresses.
    unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), operation, i32::MAX) };
}

/// Waits until a network namespace is made, or could not be; false after five seconds.
pub(crate) fn wait(network: &Network) -> bool {
    let patience = libc::timespec { tv_sec: 5, tv_nsec: 0 };
    while network.made().is_none() {
        let operation = libc::FUTEX_WAIT | libc::FUTEX_PRIVATE_FLAG;
        // SAFETY: a live word of memory shared with the waking thread, and a valid timeout.
        let woken = unsafe {
            libc::syscall(libc::SYS_futex, network.word().as_ptr(), operation, 0, &raw const patience)
        };
        if woken < 0 && errno() == libc::ETIMEDOUT {
            return network.made().is_some();
        }
    }
    true
}

/// Waits until the namespace is there, finds it among the harness's descriptors (it may have been opened after this
/// process was cloned) and enters it.
fn enter_network(network: &Network, descriptors: RawFd) -> i64 {
    if !wait(network) {
        set_errno(libc::ETIMEDOUT);
        return -1;
    }
    let number = match network.made() {
        Some(Ok(fd)) => fd,
        Some(Err(errno)) => {
            set_errno(errno);
            return -1;
        }
        None => return -1,
    };
    let name = decimal(number);
    // SAFETY: a zero-terminated string.
    let fd = unsafe { libc::openat(descriptors, name.as_ptr().cast(), libc::O_RDONLY | libc::O_CLOEXEC) };
    if fd < 0 {
        return -1;
    }
    // SAFETY: plain numbers.
    i64::from(unsafe { libc::setns(fd, libc::CLONE_NEWNET) })
}

/// A descriptor's number as a zero-terminated string, without allocating.
fn decimal(number: RawFd) -> [u8; 12] {
    let (mut digits, mut rest, mut len) = ([0_u8; 12], number.unsigned_abs(), 1);
    while rest >= 10_u32.pow(len) && len < 9 {
        len += 1;
    }
    for at in (0..len as usize).rev() {
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    digits
}

fn loopback() -> i64 {
    // SAFETY: plain numbers.
    let fd = unsafe { libc::socket(libc::AF_INET, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0) };
    if fd < 0 {
        return -1;
    }
    // SAFETY: plain data; zeros are a valid request.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    request.ifr_name[0] = b'l' as libc::c_char;
    request.ifr_name[1] = b'o' as libc::c_char;
    request.ifr_ifru.ifru_flags = (libc::IFF_UP | libc::IFF_RUNNING) as libc::c_short;
    // SAFETY: SIOCSIFFLAGS reads one ifreq (netdevice(7)).
    let done = unsafe { libc::ioctl(fd, libc::SIOCSIFFLAGS as _, &raw const request) };
    let kept = errno();
    // SAFETY: opened above, closed once.
    unsafe { libc::close(fd) };
    set_errno(kept);
    i64::from(done)
}

fn limit(resource: u32, value: u64) -> i64 {
    let limit = libc::rlimit { rlim_cur: value, rlim_max: value };
    // SAFETY: a valid limit block.
    unsafe { libc::syscall(libc::SYS_setrlimit, resource, &raw const limit) }
}

/// Header of `capset(2)`.
#[repr(C)]
struct CapHeader {
    version: u32,
    pid: i32,
}

fn drop_bounding() -> i64 {
    // Up to the first number that the kernel does not know (capabilities(7): EINVAL). Without CAP_SETPCAP the set
    // stays (EPERM); no_new_privs keeps it from being of use then.
    for capability in 0..64 {
        if prctl(libc::PR_CAPBSET_DROP, capability, 0) < 0 {
            return if matches!(errno(), libc::EINVAL | libc::EPERM) { 0 } else { -1 };
        }
    }
    0
}

/// Far cheaper than emptying the bounding set capability by capability, and enough where nothing else is executed.
fn no_root_privileges() -> i64 {
    const NOROOT_NO_SETUID_FIXUP_NO_AMBIENT_ALL_LOCKED: u64 = 0b1110_1111;
    match prctl(libc::PR_SET_SECUREBITS, NOROOT_NO_SETUID_FIXUP_NO_AMBIENT_ALL_LOCKED, 0) {
        // Without CAP_SETPCAP there are no privileges of root to give up.
        -1 if errno() == libc::EPERM => 0,
        done => done,
    }
}

fn drop_capabilities() -> i64 {
    const VERSION_3: u32 = 0x2008_0522;
    let header = CapHeader { version: VERSION_3, pid: 0 };
    let none = [0_u32; 6];
    // SAFETY: a valid header and two empty data blocks of three words each.
    unsafe { libc::syscall(libc::SYS_capset, &raw const header, none.as_ptr()) }
}

/// The writing thread moves itself alone, which the kernel does without its global lock.
fn join_group(dir: RawFd, tasks: &CStr) -> i64 {
    // SAFETY: a valid string.
    let fd = unsafe { libc::openat(dir, tasks.as_ptr(), libc::O_WRONLY | libc::O_CLOEXEC) };
    if fd < 0 { -1 } else { write_and_close(fd, b"0") }
}

fn seccomp(filter: &[libc::sock_filter]) -> i64 {
    let Ok(len) = u16::try_from(filter.len()) else { return -1 };
    let program = libc::sock_fprog { len, filter: filter.as_ptr().cast_mut() };
    // SAFETY: a filter program that outlives the call; the kernel copies and verifies it.
    unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, 0, &raw const program) }
}

/// Reaps the child behind a pidfd that has ended: exit status word and CPU time (user and system) in ns.
pub(super) fn reap(pidfd: &OwnedFd) -> std::io::Result<Option<(bool, i32, u64)>> {
    // SAFETY: plain data; zeros are valid.
    let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
    // SAFETY: plain data; zeros are valid.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    let flags = libc::WEXITED | libc::WNOHANG | libc::__WALL;
    // SAFETY: waitid(2) with its fifth argument, which the kernel takes and the C library hides.
    let done = unsafe {
        libc::syscall(
            libc::SYS_waitid,
            libc::P_PIDFD,
            pidfd.as_raw_fd(),
            &raw mut info,
            flags,
            &raw mut usage,
        )
    };
    if done < 0 {
        return Err(std::io::Error::last_os_error());
    }
    // SAFETY: filled in by the kernel for a child; zero pid means that none has ended.
    if unsafe { info.si_pid() } == 0 {
        return Ok(None);
    }
    // SAFETY: a child's end fills in the status.
    let status = unsafe { info.si_status() };
    let time = |t: libc::timeval| t.tv_sec as u64 * 1_000_000_000 + t.tv_usec as u64 * 1_000;
    Ok(Some((info.si_code == libc::CLD_EXITED, status, time(usage.ru_utime) + time(usage.ru_stime))))
}

/// Sends a signal to the process behind a pidfd; a process that has ended is no error.
pub(super) fn signal(pidfd: &OwnedFd, signal: i32) -> std::io::Result<()> {
    // SAFETY: plain numbers; the pidfd cannot name another process.
    let done = unsafe { libc::syscall(libc::SYS_pidfd_send_signal, pidfd.as_raw_fd(), signal, 0, 0) };
    match done {
        0 => Ok(()),
        _ => match std::io::Error::last_os_error() {
            e if e.raw_os_error() == Some(libc::ESRCH) => Ok(()),
            e => Err(e),
        },
    }
}
