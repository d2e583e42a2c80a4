//! What the VMM may still ask the kernel for once the program runs: its own seccomp filter.
//!
//! Anything else kills the process. The filter is for the one thread there is, installed after everything is open and
//! before the first instruction of the program. It is a straight list of comparisons, written by the compiler and short,
//! because installing it is part of every startup and costs by its length.

use libc::{
    BPF_ABS, BPF_IMM, BPF_JEQ, BPF_JMP, BPF_JSET, BPF_K, BPF_LD, BPF_LDX, BPF_RET, BPF_W, SECCOMP_RET_ALLOW,
    SECCOMP_RET_KILL_PROCESS, sock_filter,
};

use crate::error::Error;
use crate::sys::{host, kvm};

/// Calls without conditions: none of them opens, connects, starts or traces anything.
const FREE: [libc::c_long; 18] = [
    libc::SYS_exit_group,
    libc::SYS_clock_gettime,
    libc::SYS_nanosleep,
    libc::SYS_clock_nanosleep,
    libc::SYS_restart_syscall,
    libc::SYS_poll,
    libc::SYS_sched_yield,
    libc::SYS_getrandom,
    libc::SYS_getrusage,
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_madvise,
    libc::SYS_brk,
    libc::SYS_rt_sigreturn,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_getpid,
    libc::SYS_gettid,
];

/// Calls that depend on an argument.
const CONDITIONAL: [libc::c_long; 9] = [
    libc::SYS_ioctl,
    libc::SYS_read,
    libc::SYS_prlimit64,
    libc::SYS_write,
    libc::SYS_mmap,
    libc::SYS_mprotect,
    libc::SYS_kill,
    libc::SYS_tkill,
    libc::SYS_tgkill,
];

/// How many of the host's system calls the filter lets through, at least with some arguments.
#[must_use]
pub const fn calls() -> u64 {
    (FREE.len() + CONDITIONAL.len()) as u64
}

/// Their names.
#[must_use]
pub fn names() -> Vec<String> {
    let mut numbers = [&FREE[..], &CONDITIONAL[..]].concat();
    numbers.sort_unstable();
    numbers.into_iter().map(|nr| crate::names::word(nr as u64)).collect()
}

/// Offsets into `struct seccomp_data` (seccomp(2)).
const NUMBER: u32 = 0;
const ARCHITECTURE: u32 = 4;
const ARGUMENTS: u32 = 16;
/// `AUDIT_ARCH_X86_64`; the 32-bit entry has other numbers.
const X86_64: u32 = 0xc000_003e;

const fn instruction(code: u32, jt: u8, jf: u8, k: u32) -> sock_filter {
    sock_filter { code: code as u16, jt, jf, k }
}

/// Number of instructions.
const LEN: usize = 4 + FREE.len() + (2 + kvm::LOOP_REQUESTS.len()) + 3 + 3 + 6 + 4 + 5 + 2;
/// Where the answers are; every comparison jumps there, which halves the list.
const ALLOW: usize = LEN - 2;
const KILL: usize = LEN - 1;
/// Values that only the process knows, below where they are compared.
const OWN: usize = ALLOW - 1;
const STATUS: usize = OWN - 5 - 4;
const SAVE: usize = STATUS - 1;

/// The list while it is written.
struct Code {
    list: [sock_filter; LEN],
    at: usize,
}

impl Code {
    const fn push(mut self, code: u32, jt: u8, jf: u8, k: u32) -> Self {
        self.list[self.at] = instruction(code, jt, jf, k);
        self.at += 1;
        self
    }

    const fn load(self, offset: u32) -> Self {
        self.push(BPF_LD | BPF_W | BPF_ABS, 0, 0, offset)
    }

    const fn to(&self, target: usize) -> u8 {
        (target - self.at - 1) as u8
    }

    /// `if it is value { allow }`
    const fn allow(self, value: u32) -> Self {
        let yes = self.to(ALLOW);
        self.push(BPF_JMP | BPF_JEQ | BPF_K, yes, 0, value)
    }

    /// `if it is value { allow } else { kill }`
    const fn allow_only(self, value: u32) -> Self {
        let (yes, no) = (self.to(ALLOW), self.to(KILL));
        self.push(BPF_JMP | BPF_JEQ | BPF_K, yes, no, value)
    }

    /// `if it is value { go on } else { skip }`
    const fn if_it_is(self, value: i64, skip: usize) -> Self {
        self.push(BPF_JMP | BPF_JEQ | BPF_K, 0, skip as u8, value as u32)
    }

    /// `if it is value { skip }`
    const fn unless_it_is(self, value: i64, skip: usize) -> Self {
        self.push(BPF_JMP | BPF_JEQ | BPF_K, skip as u8, 0, value as u32)
    }
}

/// The lower half of an argument decides: descriptors, requests, flags and process numbers are 32 bits wide to the
/// kernel too.
const fn argument(number: u32) -> u32 {
    ARGUMENTS + 8 * number
}

static TEMPLATE: [sock_filter; LEN] = template();

const fn template() -> [sock_filter; LEN] {
    let code = Code { list: [instruction(0, 0, 0, 0); LEN], at: 0 };
    // `ldx #0` changes nothing. Installing a filter, Linux simulates it for every system-call number there is, to cache
    // constant answers (seccomp_cache_prepare); it gives up at an instruction that it does not simulate. A process that
    // makes few calls gains nothing from the cache, and the simulation is most of what installing costs.
    let mut code = code.push(BPF_LDX | BPF_IMM, 0, 0, 0).load(ARCHITECTURE);
    let foreign = code.to(KILL);
    code = code.push(BPF_JMP | BPF_JEQ | BPF_K, 0, foreign, X86_64).load(NUMBER);
    code = code.if_it_is(libc::SYS_ioctl, 1 + kvm::LOOP_REQUESTS.len()).load(argument(1));
    let mut i = 0;
    while i + 1 < kvm::LOOP_REQUESTS.len() {
        code = code.allow(kvm::LOOP_REQUESTS[i]);
        i += 1;
    }
    code = code.allow_only(kvm::LOOP_REQUESTS[i]);
    i = 0;
    while i < FREE.len() {
        code = code.allow(FREE[i] as u32);
        i += 1;
    }
    code = code.if_it_is(libc::SYS_read, 2).load(argument(0)).allow_only(0);
    // Its own limits: with another process's number it would reach into everything of the same user, the harness first.
    code = code.if_it_is(libc::SYS_prlimit64, 2).load(argument(0)).allow_only(0);
    // The third and fourth are the descriptors of a snapshot (or of who waits) and of the status.
    code = code.if_it_is(libc::SYS_write, 5).load(argument(0)).allow(1).allow(2).allow(2).allow_only(2);
    code = code.unless_it_is(libc::SYS_mmap, 1).if_it_is(libc::SYS_mprotect, 2).load(argument(2));
    let (no, yes) = (code.to(KILL), code.to(ALLOW));
    code = code.push(BPF_JMP | BPF_JSET | BPF_K, no, yes, libc::PROT_EXEC as u32);
    // Only itself, on the way out.
    code = code.unless_it_is(libc::SYS_kill, 2).unless_it_is(libc::SYS_tkill, 1);
    let other = code.to(KILL) as usize;
    code = code.if_it_is(libc::SYS_tgkill, other).load(argument(0)).allow_only(0);
    code = code.push(BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW);
    code.push(BPF_RET | BPF_K, 0, 0, SECCOMP_RET_KILL_PROCESS).list
}

/// The filter as the kernel's program; `status_fd` and `save_fd` may be written beside 1 and 2.
#[must_use]
pub fn program(status_fd: Option<i32>, save_fd: Option<i32>) -> [sock_filter; LEN] {
    let mut code = TEMPLATE;
    code[SAVE].k = save_fd.map_or(2, |fd| fd as u32);
    code[STATUS].k = status_fd.map_or(2, |fd| fd as u32);
    code[OWN].k = std::process::id();
    code
}

/// Installs the filter; nothing can be gained by executing from here on (`PR_SET_NO_NEW_PRIVS`).
///
/// # Errors
/// If the kernel refuses.
pub fn enter(status_fd: Option<i32>, save_fd: Option<i32>) -> Result<(), Error> {
    host::confine(&program(status_fd, save_fd))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A classic-BPF interpreter for the few instructions used here.
    fn verdict(nr: libc::c_long, arguments: [u32; 3]) -> bool {
        verdict_of(X86_64, nr as u32, arguments)
    }

    fn verdict_of(arch: u32, nr: u32, arguments: [u32; 3]) -> bool {
        let (code, mut acc, mut at) = (program(Some(5), None), 0, 0);
        loop {
            let i = code[at];
            at += 1;
            match u32::from(i.code) {
                c if c == BPF_LDX | BPF_IMM => {}
                c if c == BPF_LD | BPF_W | BPF_ABS => {
                    acc = match i.k {
                        NUMBER => nr,
                        ARCHITECTURE => arch,
                        offset => arguments[(offset - ARGUMENTS) as usize / 8],
                    }
                }
                c if c == BPF_RET | BPF_K => return i.k == SECCOMP_RET_ALLOW,
                c => {
                    let holds = if c & 0xf0 == BPF_JEQ { acc == i.k } else { acc & i.k != 0 };
                    at += usize::from(if holds { i.jt } else { i.jf });
                }
            }
        }
    }

    #[test]
    fn the_count_of_allowed_calls_is_that_of_the_filter() {
        let values = kvm::LOOP_REQUESTS.into_iter().chain([0, 1, std::process::id()]).collect::<Vec<_>>();
        let passes = |nr: &libc::c_long| values.iter().any(|v| verdict(*nr, [*v; 3]));
        let all = (0..600).filter(passes).collect::<Vec<_>>();
        assert_eq!(all.len() as u64, calls(), "{all:?}");
        assert!(all.iter().all(|nr| FREE.contains(nr) || CONDITIONAL.contains(nr)), "{all:?}");
    }

    #[test]
    fn what_only_the_process_knows_is_where_it_is_compared() {
        let (code, none) = (program(Some(77), Some(88)), program(None, None));
        assert_eq!((code[STATUS].k, code[OWN].k, none[STATUS].k), (77, std::process::id(), 2));
        let differ = (0..LEN).filter(|&i| code[i].k != TEMPLATE[i].k).collect::<Vec<_>>();
        assert_eq!(differ, [SAVE, STATUS, OWN]);
        assert_eq!((code[SAVE].k, none[SAVE].k), (88, 2));
        assert!(TEMPLATE.iter().all(|i| i.code != 0), "the list is as long as it says");
    }

    #[test]
    fn only_what_the_loop_needs_is_allowed() {
        assert!(FREE.iter().all(|nr| verdict(*nr, [9; 3])));
        for (nr, arguments, allowed) in [
            (libc::SYS_read, [0, 0, 0], true),
            (libc::SYS_read, [3, 0, 0], false),
            (libc::SYS_prlimit64, [0, 4, 0], true),
            (libc::SYS_prlimit64, [1, 4, 0], false),
            (libc::SYS_prlimit64, [std::process::id(), 4, 0], false),
            (libc::SYS_write, [2, 0, 0], true),
            (libc::SYS_write, [5, 0, 0], true),
            (libc::SYS_write, [0, 0, 0], false),
            (libc::SYS_ioctl, [7, 0xae80, 0], true),
            (libc::SYS_ioctl, [7, 0xae01, 0], false),
            (libc::SYS_mmap, [0, 0, 3], true),
            (libc::SYS_mmap, [0, 0, 5], false),
            (libc::SYS_mprotect, [0, 0, 4], false),
            (libc::SYS_kill, [std::process::id(), 9, 0], true),
            (libc::SYS_kill, [1, 9, 0], false),
            (libc::SYS_openat, [0, 0, 0], false),
            (libc::SYS_socket, [0, 0, 0], false),
            (libc::SYS_execve, [0, 0, 0], false),
            (libc::SYS_clone, [0, 0, 0], false),
        ] {
            assert_eq!(verdict(nr, arguments), allowed, "system call {nr} with {arguments:?}");
        }
        assert!(!verdict_of(0x4000_0003, 4, [1, 0, 0]), "the 32-bit entry is fatal");
    }

    #[test]
    fn nothing_else_is_allowed_whatever_its_arguments() {
        let conditional =
            ["ioctl", "read", "prlimit64", "write", "mmap", "mprotect", "kill", "tkill", "tgkill"].len()
                + FREE.len();
        let reachable = (0..600).filter(|nr| {
            [[0, 0xae80, 0], [1, 0, 0], [std::process::id(), 0, 0]].iter().any(|a| verdict(*nr, *a))
        });
        assert_eq!(reachable.count(), conditional);
    }
}
