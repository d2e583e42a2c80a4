//! A VMM that its guest has taken over: while the guest runs, a debugger makes the VMM ask its kernel for this and that.
//!
//! The filter is the one that is installed, and the verdict the kernel's own: a call that it does not let through ends the
//! process by SIGSYS. `confine` has the same with every argument, on paper.

#![allow(clippy::unwrap_used, reason = "clippy's exception for tests does not see helpers")]

mod support;

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use isomark_vmm::layout;
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::sys::ptrace;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use support::{DATA, call, elf, kvm_works, skip};

/// Calls that are let through whatever their arguments.
#[rustfmt::skip]
const FREE: [libc::c_long; 18] = [
    libc::SYS_exit_group, libc::SYS_clock_gettime, libc::SYS_nanosleep, libc::SYS_clock_nanosleep,
    libc::SYS_restart_syscall, libc::SYS_poll, libc::SYS_sched_yield, libc::SYS_getrandom, libc::SYS_getrusage,
    libc::SYS_munmap, libc::SYS_mremap, libc::SYS_madvise, libc::SYS_brk, libc::SYS_rt_sigreturn,
    libc::SYS_rt_sigaction, libc::SYS_rt_sigprocmask, libc::SYS_getpid, libc::SYS_gettid,
];

/// How long a call may take; none of these waits for anybody.
const PATIENCE: Duration = Duration::from_secs(20);

/// A program that says that it runs, and runs.
fn program() -> File {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(&elf(&[call(1, &[1, DATA, 1]), vec![0xeb, 0xfe]].concat())).unwrap();
    fcntl(&file, FcntlArg::F_SETFD(FdFlag::empty())).unwrap();
    file
}

/// A VMM whose guest runs.
fn vmm(program: &File) -> Child {
    let mut child = Command::new(env!("CARGO_BIN_EXE_isomark-vmm"))
        .args(["--program-fd", &program.as_raw_fd().to_string(), "--memory", "16777216", "--", "guest"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    child.stdout.as_mut().unwrap().read_exact(&mut [0]).unwrap();
    child
}

/// What becomes of the process.
fn next(pid: Pid) -> WaitStatus {
    let until = Instant::now() + PATIENCE;
    loop {
        match waitpid(pid, Some(WaitPidFlag::WNOHANG)).unwrap() {
            WaitStatus::StillAlive if Instant::now() < until => std::thread::sleep(Duration::from_micros(50)),
            status => return status,
        }
    }
}

/// Whether the kernel lets a taken-over VMM make this call. `own` stands for its process number.
fn passes(program: &File, nr: libc::c_long, arguments: impl Fn(u64) -> [u64; 6]) -> bool {
    answer(program, nr, arguments).is_some()
}

/// What the kernel answers; none if it does not let it through.
fn answer(program: &File, nr: libc::c_long, arguments: impl Fn(u64) -> [u64; 6]) -> Option<i64> {
    let mut child = vmm(program);
    let pid = Pid::from_raw(child.id() as i32);
    ptrace::attach(pid).unwrap();
    assert!(matches!(next(pid), WaitStatus::Stopped(..)));
    // It stands behind the SYSCALL instruction of KVM_RUN, or will the next time.
    let mut regs = ptrace::getregs(pid).unwrap();
    while ptrace::read(pid, std::ptr::without_provenance_mut(regs.rip as usize - 2)).unwrap() & 0xffff
        != 0x050f
    {
        ptrace::step(pid, None).unwrap();
        assert!(matches!(next(pid), WaitStatus::Stopped(..)));
        regs = ptrace::getregs(pid).unwrap();
    }
    let args = arguments(u64::from(child.id()));
    (regs.rip, regs.rax, regs.orig_rax) = (regs.rip - 2, nr as u64, u64::MAX);
    [regs.rdi, regs.rsi, regs.rdx, regs.r10, regs.r8, regs.r9] = args;
    ptrace::setregs(pid, regs).unwrap();
    ptrace::step(pid, None).unwrap();
    let became = next(pid);
    let answered = ptrace::getregs(pid).map_or(0, |regs| regs.rax as i64);
    if matches!(became, WaitStatus::Stopped(..) | WaitStatus::StillAlive) {
        kill(pid, Signal::SIGKILL).unwrap();
        waitpid(pid, None).unwrap();
    }
    // Reaped above, which the standard library does not know.
    let _ = child.wait();
    assert_ne!(became, WaitStatus::StillAlive, "system call {nr} with {args:x?} waits");
    (!matches!(became, WaitStatus::Signaled(_, Signal::SIGSYS, _))).then_some(answered)
}

/// Whether a process here may debug its children.
fn may_debug(program: &File) -> bool {
    let mut child = vmm(program);
    let attached = ptrace::attach(Pid::from_raw(child.id() as i32));
    child.kill().unwrap();
    child.wait().unwrap();
    attached.is_err_and(|e| {
        skip("ptrace", &format!("a process cannot be debugged here: {e}"));
        true
    })
}

/// Every number, with arguments that suit none of those that are looked at: a foreign descriptor, a protection that
/// executes, a request of nobody's.
#[test]
fn a_vmm_that_is_taken_over_can_make_the_calls_that_are_listed() {
    if !kvm_works() || may_debug(&program()) {
        return;
    }
    // 335 and 336 (uretprobe and uprobe) pass every filter since Linux 6.14 and do nothing but at a breakpoint of the kernel's
    // own; then there is a gap.
    let range = |from: i64| (from..470).step_by(2).filter(|nr| !(335..424).contains(nr));
    let reached: BTreeSet<i64> = std::thread::scope(|scope| {
        let threads = [0, 1].map(|from| {
            scope.spawn(move || {
                let program = program();
                range(from).filter(|nr| passes(&program, *nr, |_| [3, 4, 7, 3, 3, 3])).collect::<Vec<_>>()
            })
        });
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(reached, FREE.into_iter().collect());
}

#[test]
fn a_vmm_that_is_taken_over_gets_no_further_by_other_arguments() {
    let program = program();
    if !kvm_works() || may_debug(&program) {
        return;
    }
    const HIGH: u64 = 0xdead_beef << 32;
    let (none, run) = (u64::MAX, 0xae80);
    let cases: [(libc::c_long, [u64; 6], bool); 24] = [
        (libc::SYS_read, [0, 0, 0, 0, 0, 0], true),
        (libc::SYS_read, [HIGH, 0, 0, 0, 0, 0], true),
        (libc::SYS_read, [HIGH | 3, 0, 0, 0, 0, 0], false),
        (libc::SYS_write, [HIGH | 2, 0, 0, 0, 0, 0], true),
        (libc::SYS_write, [0, 0, 0, 0, 0, 0], false),
        (libc::SYS_ioctl, [3, run, 0, 0, 0, 0], true),
        (libc::SYS_ioctl, [3, HIGH | run, 0, 0, 0, 0], true),
        (libc::SYS_ioctl, [0, 0x5412, DATA, 0, 0, 0], false),
        (libc::SYS_ioctl, [3, HIGH | 0xae01, 0, 0, 0, 0], false),
        (libc::SYS_mmap, [0, 4096, 3, 0x22, none, 0], true),
        (libc::SYS_mmap, [0, 4096, HIGH | 3, 0x22, none, 0], true),
        (libc::SYS_mmap, [0, 4096, HIGH | 7, 0x22, none, 0], false),
        (libc::SYS_mmap, [0, 4096, 1, 2, 3, 0], false),
        (libc::SYS_mmap, [0, 4096, 1, 2, HIGH, 0], false),
        (libc::SYS_mprotect, [0, 4096, 3, 0, 0, 0], true),
        (libc::SYS_mprotect, [0, 4096, HIGH | 4, 0, 0, 0], false),
        (libc::SYS_kill, [1, 0, 0, 0, 0, 0], false),
        (libc::SYS_kill, [none, 0, 0, 0, 0, 0], false),
        (libc::SYS_kill, [0, 0, 0, 0, 0, 0], false),
        (libc::SYS_tgkill, [1, 1, 0, 0, 0, 0], false),
        (libc::SYS_prlimit64, [0, 4, 0, 0, 0, 0], false),
        (0x4000_0000 | libc::SYS_getpid, [0; 6], false),
        (libc::SYS_getpid | HIGH as libc::c_long, [0; 6], true),
        (libc::SYS_openat | HIGH as libc::c_long, [0; 6], false),
    ];
    for (nr, arguments, allowed) in cases {
        assert_eq!(passes(&program, nr, |_| arguments), allowed, "system call {nr} with {arguments:x?}");
    }
    assert!(passes(&program, libc::SYS_kill, |own| [own | HIGH, 0, 0, 0, 0, 0]), "only itself");
}

/// Memory of the host's is taken by mapping it; a guest of 16 MiB has a VMM that may map a little more than a GiB.
#[test]
fn a_vmm_that_is_taken_over_takes_no_more_than_its_share() {
    let program = program();
    if !kvm_works() || may_debug(&program) {
        return;
    }
    let asked = |nr, arguments: [u64; 6]| answer(&program, nr, |_| arguments);
    let map = |len| asked(libc::SYS_mmap, [0, len, 3, 0x4022, u64::MAX, 0]);
    assert!(map(256 << 20).is_some_and(|at| at > 0));
    let refused = Some(-i64::from(libc::ENOMEM));
    assert_eq!(map(2 << 30), refused);
    assert_eq!(asked(libc::SYS_mremap, [layout::HOST_BASE + (15 << 20), 4096, 2 << 30, 1, 0, 0]), refused);
}
