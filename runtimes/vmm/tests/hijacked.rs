//! A VMM that its guest has taken over: while the guest runs, a debugger makes the VMM ask its kernel for this and that.
//!
//! The filter is the one that is installed, and the verdict the kernel's own: a call that it does not let through ends the
//! process by SIGSYS. `confine` has the same with every argument, on paper.

#![allow(clippy::unwrap_used, reason = "clippy's exception for tests does not see helpers")]

#[path = "support/bzimage.rs"]
mod bzimage;
mod support;

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use isomark_vmm::layout;
use isomark_vmm::linux::sum::sum;
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

/// What makes VMMs whose guest runs.
struct Maker {
    /// A program, or a kernel.
    guest: File,
    is_kernel: bool,
}

/// A file that is inherited.
fn inherited(bytes: &[u8]) -> File {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    fcntl(&file, FcntlArg::F_SETFD(FdFlag::empty())).unwrap();
    file
}

impl Maker {
    /// Of programs that say that they run, and run.
    fn program() -> Self {
        let code = [call(1, &[1, DATA, 1]), vec![0xeb, 0xfe]].concat();
        Self { guest: inherited(&elf(&code)), is_kernel: false }
    }

    /// Of kernels that do: mov dx, 0x2f8; mov al, 'x'; out dx, al; and, for that to be handed on, another port.
    fn kernel() -> Self {
        let code = [0x66, 0xba, 0xf8, 2, 0xb0, b'x', 0xee, 0x66, 0xba, 0x80, 0, 0xee, 0xeb, 0xfe];
        let mut file = bzimage::bzimage();
        file[512 * 5 + 0x200..][..code.len()].copy_from_slice(&code);
        Self { guest: inherited(&file), is_kernel: true }
    }

    fn vmm(&self) -> Child {
        let (guest, sum) = (self.guest.as_raw_fd().to_string(), sum(b"initrd").to_string());
        let file = inherited(b"initrd");
        let initrd = file.as_raw_fd().to_string();
        let mut command = Command::new(env!("CARGO_BIN_EXE_isomark-vmm"));
        if self.is_kernel {
            command.args(["linux", "--kernel-fd", &guest, "--initrd-fd", &initrd, "--initrd-sum", &sum]);
            command.args(["--memory", "67108864", "--command-line", "quiet"]);
        } else {
            command.args(["--program-fd", &guest, "--memory", "16777216", "--", "guest"]);
        }
        let command = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        child.stdout.as_mut().unwrap().read_exact(&mut [0]).unwrap();
        child
    }
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
fn passes(maker: &Maker, nr: libc::c_long, arguments: impl Fn(u64) -> [u64; 6]) -> bool {
    answer(maker, nr, arguments).is_some()
}

/// What the kernel answers; none if it does not let it through.
fn answer(maker: &Maker, nr: libc::c_long, arguments: impl Fn(u64) -> [u64; 6]) -> Option<i64> {
    let mut child = maker.vmm();
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
fn may_debug(maker: &Maker) -> bool {
    let mut child = maker.vmm();
    let attached = ptrace::attach(Pid::from_raw(child.id() as i32));
    child.kill().unwrap();
    child.wait().unwrap();
    attached.is_err_and(|e| {
        skip("ptrace", &format!("a process cannot be debugged here: {e}"));
        true
    })
}

/// The numbers that pass with arguments that suit none of those that are looked at: a foreign descriptor, a protection that
/// executes, a request of nobody's.
fn reached(make: fn() -> Maker, tried: fn(&i64) -> bool) -> BTreeSet<i64> {
    // 335 and 336 (uretprobe and uprobe) pass every filter since Linux 6.14 and do nothing but at a breakpoint of the kernel's
    // own; then there is a gap. The first of two threads is not reaped when it exits.
    let skipped = |nr: &i64| (335..424).contains(nr) || *nr == libc::SYS_exit;
    let range = |from: i64| (from..470).step_by(2).filter(move |nr| !skipped(nr) && tried(nr));
    std::thread::scope(|scope| {
        let threads = [0, 1].map(|from| {
            scope.spawn(move || {
                let maker = make();
                range(from).filter(|nr| passes(&maker, *nr, |_| [3, 4, 7, 3, 3, 3])).collect::<Vec<_>>()
            })
        });
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    })
}

#[test]
fn a_vmm_that_is_taken_over_can_make_the_calls_that_are_listed() {
    if !kvm_works() || may_debug(&Maker::program()) {
        return;
    }
    assert_eq!(reached(Maker::program, |_| true), FREE.into_iter().collect());
    let without = [
        libc::SYS_nanosleep,
        libc::SYS_clock_nanosleep,
        libc::SYS_poll,
        libc::SYS_sched_yield,
        libc::SYS_getrandom,
        libc::SYS_getrusage,
        libc::SYS_rt_sigreturn,
    ];
    let free = FREE.into_iter().filter(|nr| !without.contains(nr)).chain([libc::SYS_futex]).collect();
    // Such a machine takes longer to make: every call that passes somewhere, and some that never do.
    let tried = |nr: &i64| nr % 5 == 0 || FREE.contains(nr) || *nr == libc::SYS_futex;
    assert_eq!(reached(Maker::kernel, tried), free, "the machine of a stock kernel");
}

#[test]
fn a_vmm_that_is_taken_over_gets_no_further_by_other_arguments() {
    let program = Maker::program();
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
    let kernel = Maker::kernel();
    for (nr, arguments, allowed) in cases {
        // It has no program's requests, and protects nothing.
        let allowed = allowed && nr != libc::SYS_mprotect;
        assert_eq!(passes(&kernel, nr, |_| arguments), allowed, "a kernel's, {nr} with {arguments:x?}");
    }
}

/// The thread that carries a kernel's input reads what the harness sends: it is confined like the other.
#[test]
fn every_thread_of_a_vmm_is_confined() {
    if !kvm_works() {
        return;
    }
    for (maker, threads) in [(Maker::program(), 1), (Maker::kernel(), 2)] {
        let mut child = maker.vmm();
        let confined = || {
            let tasks = std::fs::read_dir(format!("/proc/{}/task", child.id())).unwrap();
            let status = |task: std::io::Result<std::fs::DirEntry>| {
                std::fs::read_to_string(task.unwrap().path().join("status")).unwrap()
            };
            let has = |status: &String| ["Seccomp:\t2", "NoNewPrivs:\t1"].iter().all(|w| status.contains(w));
            // KVM may have a task of its own among them.
            let all: Vec<_> = tasks.map(status).collect();
            all.len() >= threads && all.iter().all(has)
        };
        // It may not have begun when the guest has.
        let all = (0..1000).any(|_| {
            std::thread::sleep(Duration::from_millis(5));
            confined()
        });
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(all, "{threads}");
    }
}

/// Memory of the host's is taken by mapping it; a guest of 16 MiB has a VMM that may map a little more than a GiB.
#[test]
fn a_vmm_that_is_taken_over_takes_no_more_than_its_share() {
    let program = Maker::program();
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

/// Who is to write a snapshot may write nothing longer than that, whoever speaks with its voice by then.
#[test]
fn a_vmm_that_is_taken_over_fills_no_disk_with_its_snapshot() {
    if !kvm_works() {
        return;
    }
    let (guest, snapshot) = (inherited(&elf(&[0xeb, 0xfe])), inherited(b""));
    let [guest, snapshot] = [&guest, &snapshot].map(|file| file.as_raw_fd().to_string());
    let mut child = Command::new(env!("CARGO_BIN_EXE_isomark-vmm"))
        .args(["--program-fd", &guest, "--save-fd", &snapshot, "--memory", "16777216", "--", "guest"])
        .spawn()
        .unwrap();
    let bounded = (0..1000).any(|_| {
        std::thread::sleep(Duration::from_millis(5));
        let limits = std::fs::read_to_string(format!("/proc/{}/limits", child.id())).unwrap();
        let file = limits.lines().find_map(|line| line.strip_prefix("Max file size")).unwrap();
        file.split_whitespace().next() == Some(&((16 + 64) << 20).to_string())
    });
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(bounded);
}
