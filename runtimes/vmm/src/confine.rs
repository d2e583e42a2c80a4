//! What the VMM may still ask the kernel for once the program runs: its own seccomp filter.
//!
//! Anything else kills the process. The filter is for the one thread there is, installed after everything is open and
//! before the first instruction of the program. It is a straight list of comparisons, short because installing it is part
//! of every startup and costs by its length.

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
    libc::SYS_prlimit64,
];

/// Calls that depend on an argument.
const CONDITIONAL: [libc::c_long; 8] = [
    libc::SYS_ioctl,
    libc::SYS_read,
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

/// Offsets into `struct seccomp_data` (seccomp(2)).
const NUMBER: u32 = 0;
const ARCHITECTURE: u32 = 4;
const ARGUMENTS: u32 = 16;
/// `AUDIT_ARCH_X86_64`; the 32-bit entry has other numbers.
const X86_64: u32 = 0xc000_003e;

const ALLOW: sock_filter = instruction(BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW);
const KILL: sock_filter = instruction(BPF_RET | BPF_K, 0, 0, SECCOMP_RET_KILL_PROCESS);

const fn instruction(code: u32, jt: u8, jf: u8, k: u32) -> sock_filter {
    sock_filter { code: code as u16, jt, jf, k }
}

const fn load(offset: u32) -> sock_filter {
    instruction(BPF_LD | BPF_W | BPF_ABS, 0, 0, offset)
}

const fn jump(condition: u32, value: u32, yes: u8, no: u8) -> sock_filter {
    instruction(BPF_JMP | condition | BPF_K, yes, no, value)
}

/// One call that is allowed when an argument is one of `values`. The lower half of the argument decides: descriptors,
/// requests and process numbers are 32 bits wide to the kernel too.
fn one_of(nr: libc::c_long, argument: u32, values: &[u32]) -> Vec<sock_filter> {
    let tests = values.iter().flat_map(|value| [jump(BPF_JEQ, *value, 0, 1), ALLOW]);
    block(nr, argument, tests)
}

/// One call that is allowed when none of `bits` is set in an argument.
fn without(nr: libc::c_long, argument: u32, bits: u32) -> Vec<sock_filter> {
    block(nr, argument, [jump(BPF_JSET, bits, 1, 0), ALLOW])
}

/// `if number == nr { load argument; tests; kill }`
fn block(nr: libc::c_long, argument: u32, tests: impl IntoIterator<Item = sock_filter>) -> Vec<sock_filter> {
    let mut inside = vec![load(ARGUMENTS + 8 * argument)];
    inside.extend(tests);
    inside.push(KILL);
    let past = u8::try_from(inside.len()).unwrap_or(u8::MAX);
    inside.insert(0, jump(BPF_JEQ, number(nr), 0, past));
    inside
}

fn number(nr: libc::c_long) -> u32 {
    u32::try_from(nr).unwrap_or(u32::MAX)
}

/// The filter as the kernel's program; `status_fd` may be written beside 1 and 2.
#[must_use]
pub fn program(status_fd: Option<i32>) -> Vec<sock_filter> {
    // `ldx #0` changes nothing. Installing a filter, Linux simulates it for every system-call number there is, to cache
    // constant answers (seccomp_cache_prepare); it gives up at an instruction that it does not simulate. A process that
    // makes few calls gains nothing from the cache, and the simulation is most of what installing costs.
    let mut code = vec![
        instruction(BPF_LDX | BPF_IMM, 0, 0, 0),
        load(ARCHITECTURE),
        jump(BPF_JEQ, X86_64, 1, 0),
        KILL,
        load(NUMBER),
    ];
    for nr in FREE {
        code.extend([jump(BPF_JEQ, number(nr), 0, 1), ALLOW]);
    }
    let told = status_fd.and_then(|fd| u32::try_from(fd).ok());
    let written = [1, 2].into_iter().chain(told).collect::<Vec<_>>();
    let own = [std::process::id()];
    code.extend(one_of(libc::SYS_ioctl, 1, &kvm::LOOP_REQUESTS));
    code.extend(one_of(libc::SYS_read, 0, &[0]));
    code.extend(one_of(libc::SYS_write, 0, &written));
    for nr in [libc::SYS_mmap, libc::SYS_mprotect] {
        code.extend(without(nr, 2, libc::PROT_EXEC as u32));
    }
    // Only itself, on the way out.
    for nr in [libc::SYS_kill, libc::SYS_tkill, libc::SYS_tgkill] {
        code.extend(one_of(nr, 0, &own));
    }
    code.push(KILL);
    code
}

/// Installs the filter; nothing can be gained by executing from here on (`PR_SET_NO_NEW_PRIVS`).
///
/// # Errors
/// If the kernel refuses.
pub fn enter(status_fd: Option<i32>) -> Result<(), Error> {
    host::confine(&program(status_fd))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A classic-BPF interpreter for the few instructions used here.
    fn verdict(nr: libc::c_long, arguments: [u32; 3]) -> bool {
        verdict_of(X86_64, number(nr), arguments)
    }

    fn verdict_of(arch: u32, nr: u32, arguments: [u32; 3]) -> bool {
        let (code, mut acc, mut at) = (program(Some(5)), 0, 0);
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
    fn only_what_the_loop_needs_is_allowed() {
        assert!(FREE.iter().all(|nr| verdict(*nr, [9; 3])));
        for (nr, arguments, allowed) in [
            (libc::SYS_read, [0, 0, 0], true),
            (libc::SYS_read, [3, 0, 0], false),
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
            ["ioctl", "read", "write", "mmap", "mprotect", "kill", "tkill", "tgkill"].len() + FREE.len();
        let reachable = (0..600).filter(|nr| {
            [[0, 0xae80, 0], [1, 0, 0], [std::process::id(), 0, 0]].iter().any(|a| verdict(*nr, *a))
        });
        assert_eq!(reachable.count(), conditional);
    }
}
