//! The steps of a launch, one system call a function, run in the cloned child.
//!
//! The child shares the parent's memory while the parent's thread is suspended: nothing here locks, allocates or unwinds.
#![expect(unsafe_code, reason = "most of these calls have no safe form, and safe wrappers may allocate")]

use std::ffi::CStr;
use std::os::fd::RawFd;

use super::network::{loopback, wait};
use super::parent::Parent;
use super::{errno, set_errno};
use crate::launch::step::Step;
use crate::namespace::Network;

/// Takes one step; negative on failure, with errno set.
pub(super) fn take(step: &Step, parent: &Parent) -> i64 {
    match step {
        Step::DieWithParent(signal) => die_with_parent(*signal, parent),
        Step::OwnGroup => own_group(),
        Step::OwnSession => own_session(),
        Step::Descriptor { fd, to } => place(*fd, *to),
        Step::JoinGroup { dir, tasks, .. } => join_group(*dir, tasks),
        Step::WriteFile { path, bytes } => write_file(path, bytes),
        Step::Unshare { flags, .. } => unshare(*flags),
        Step::Mount { source, target, kind, flags, data } => mount(source, target, kind, *flags, data),
        Step::Directory { path, mode } => mkdir(path, *mode),
        Step::Enter { fd, .. } => enter(*fd),
        Step::Unmount { path } => unmount(path),
        Step::WorkIn { path } => chdir(path),
        Step::Pivot => pivot(),
        Step::Hostname(name) => sethostname(name),
        Step::LoopbackUp => loopback(),
        Step::EnterNetwork { network, descriptors } => enter_network(network, *descriptors),
        Step::Limit { resource, value } => limit(*resource, *value),
        Step::DropBounding => drop_bounding(),
        Step::NoRootPrivileges => no_root_privileges(),
        Step::DropCapabilities => drop_capabilities(),
        Step::SmallPages => prctl(libc::PR_SET_THP_DISABLE, 1, 0),
        Step::NoNewPrivileges => prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0),
        Step::Seccomp(filter) => seccomp(filter),
    }
}

/// A parent that dies between the clone and this has no signal left to send: whoever asks for it looks once more. The
/// kernel gives a child to its new parent before it reads what signal is wanted, so that another pid is proof. In a pid
/// namespace of its own a child sees none at all (0); there the descriptor of the parent's thread tells.
fn die_with_parent(signal: i32, parent: &Parent) -> i64 {
    let set = prctl(libc::PR_SET_PDEATHSIG, signal as u64, 0);
    if set < 0 {
        return set;
    }
    // SAFETY: takes nothing and cannot fail.
    let now = unsafe { libc::getppid() };
    let mut seen = libc::pollfd { fd: parent.thread, events: libc::POLLIN, revents: 0 };
    // SAFETY: one entry that lives until the call returns, which it does at once.
    let ended = unsafe { libc::poll(&raw mut seen, 1, 0) };
    if ended == 0 && (now == 0 || now == parent.pid) {
        return 0;
    }
    if ended >= 0 {
        set_errno(libc::ESRCH);
    }
    -1
}

fn prctl(option: i32, value: u64, third: u64) -> i64 {
    // SAFETY: options that take plain numbers only.
    i64::from(unsafe { libc::prctl(option, value, third, 0_u64, 0_u64) })
}

fn own_group() -> i64 {
    // SAFETY: plain numbers.
    i64::from(unsafe { libc::setpgid(0, 0) })
}

fn own_session() -> i64 {
    // SAFETY: takes nothing.
    i64::from(unsafe { libc::setsid() })
}

/// Marks everything but the streams close-on-exec: what the user's shell left open for the harness is nobody else's.
/// Descriptors that a program is to have are placed after this, which clears the mark. Linux below 5.11 does not know
/// the flag; there only what the harness itself has opened is marked.
pub(super) fn keep_streams_only() {
    const CLOSE_RANGE_CLOEXEC: libc::c_uint = 4;
    // SAFETY: plain numbers; the child's descriptor table is its own.
    unsafe {
        libc::syscall(libc::SYS_close_range, 3 as libc::c_uint, libc::c_uint::MAX, CLOSE_RANGE_CLOEXEC)
    };
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

fn enter(namespace: RawFd) -> i64 {
    // SAFETY: plain numbers; the child has one thread.
    i64::from(unsafe { libc::setns(namespace, 0) })
}

fn unmount(path: &CStr) -> i64 {
    // SAFETY: a valid string.
    i64::from(unsafe { libc::umount2(path.as_ptr(), libc::MNT_DETACH) })
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
