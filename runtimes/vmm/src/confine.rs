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
use crate::layout::GIB;
use crate::sys::host::{self, Most};
use crate::sys::kvm;

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
/// The descriptor of memory that is no file's (-1).
const NO_FILE: u32 = u32::MAX;
/// `AUDIT_ARCH_X86_64`; the 32-bit entry has other numbers.
const X86_64: u32 = 0xc000_003e;

const fn instruction(code: u32, jt: u8, jf: u8, k: u32) -> sock_filter {
    sock_filter { code: code as u16, jt, jf, k }
}

/// Number of instructions.
const LEN: usize = 4 + FREE.len() + (2 + kvm::LOOP_REQUESTS.len()) + 3 + 6 + 6 + 5 + 2;
/// Where the answers are; every comparison jumps there, which halves the list.
const ALLOW: usize = LEN - 2;
const KILL: usize = LEN - 1;
/// Values that only the process knows, below where they are compared.
const OWN: usize = ALLOW - 1;
const STATUS: usize = OWN - 5 - 6;
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
    // The third and fourth are the descriptors of a snapshot (or of who waits) and of the status.
    code = code.if_it_is(libc::SYS_write, 5).load(argument(0)).allow(1).allow(2).allow(2).allow_only(2);
    // Memory, and no file: whatever else is open here, because whoever started us had it open, stays as it is.
    code = code.if_it_is(libc::SYS_mmap, 2).load(argument(4));
    let file = code.to(KILL);
    code = code.push(BPF_JMP | BPF_JEQ | BPF_K, 1, file, NO_FILE);
    code = code.if_it_is(libc::SYS_mprotect, 2).load(argument(2));
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

/// Bytes that a VMM of a guest with `memory` bytes may map: the guest, its files and what their growth reserves, and room for
/// everything small.
const fn address_space(memory: u64) -> u64 {
    4 * memory + GIB
}

/// What a VMM of a guest with `memory` bytes may take of its host. A snapshot holds that memory and a state with a bound.
pub fn bound(memory: u64, saves: bool) {
    host::bound(Most::AddressSpace, address_space(memory));
    if saves {
        host::bound(Most::File, memory + GIB / 16);
    }
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

    /// A classic-BPF interpreter for the few instructions used here, over `struct seccomp_data` as the kernel fills it.
    fn verdict_of(arch: u32, nr: u32, arguments: [u64; 6]) -> bool {
        // The instruction pointer lies between the architecture and the arguments.
        let mut data = [nr, arch, 0x1234_5678, 0x7fff, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        for (i, word) in arguments.into_iter().enumerate() {
            (data[4 + 2 * i], data[5 + 2 * i]) = (word as u32, (word >> 32) as u32);
        }
        let (code, mut acc, mut at) = (program(Some(5), Some(6)), 0, 0);
        loop {
            let i = code[at];
            at += 1;
            match u32::from(i.code) {
                c if c == BPF_LDX | BPF_IMM => {}
                c if c == BPF_LD | BPF_W | BPF_ABS => acc = data[i.k as usize / 4],
                c if c == BPF_RET | BPF_K => return i.k == SECCOMP_RET_ALLOW,
                c => {
                    let holds = if c & 0xf0 == BPF_JEQ { acc == i.k } else { acc & i.k != 0 };
                    at += usize::from(if holds { i.jt } else { i.jf });
                }
            }
        }
    }

    fn verdict(nr: libc::c_long, arguments: [u64; 6]) -> bool {
        verdict_of(X86_64, nr as u32, arguments)
    }

    /// What the filter is to say, in words that share nothing with it. The kernel takes all these arguments as numbers of 32
    /// bits, but for protections, whose upper half means nothing.
    fn meant(nr: libc::c_long, [a, b, c, _, e, _]: [u64; 6]) -> bool {
        let own = std::process::id();
        match nr {
            libc::SYS_ioctl => kvm::LOOP_REQUESTS.contains(&(b as u32)),
            libc::SYS_read => a as u32 == 0,
            libc::SYS_write => [1, 2, 5, 6].contains(&(a as u32)),
            libc::SYS_mmap => c as i32 & libc::PROT_EXEC == 0 && e as i32 == -1,
            libc::SYS_mprotect => c as i32 & libc::PROT_EXEC == 0,
            libc::SYS_kill | libc::SYS_tkill | libc::SYS_tgkill => a as u32 == own,
            nr => FREE.contains(&nr),
        }
    }

    /// Numbers that decide somewhere, those beside them, and all with something in the upper half.
    fn numbers() -> Vec<u64> {
        let own = u64::from(std::process::id());
        let requests = kvm::LOOP_REQUESTS.into_iter().map(u64::from);
        let edges = [0, 1, 2, 3, 4, 5, 6, 7, 8, own, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff];
        let near = edges.into_iter().chain(requests).flat_map(|n| [n.wrapping_sub(1), n, n + 1]);
        let high = |n: u64| [n, n | 1 << 32, n | 0xffff_ffff << 32, n << 32];
        let mut all = near.flat_map(high).collect::<Vec<_>>();
        all.sort_unstable();
        all.dedup();
        all
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
        assert!(FREE.iter().all(|nr| verdict(*nr, [9; 6])));
        let (own, heap) = (u64::from(std::process::id()), u64::MAX);
        for (nr, arguments, allowed) in [
            (libc::SYS_read, [0; 6], true),
            (libc::SYS_read, [3, 0, 0, 0, 0, 0], false),
            (libc::SYS_prlimit64, [0, 4, 0, 0, 0, 0], false),
            (libc::SYS_write, [2, 0, 0, 0, 0, 0], true),
            (libc::SYS_write, [5, 0, 0, 0, 0, 0], true),
            (libc::SYS_write, [0; 6], false),
            (libc::SYS_ioctl, [7, 0xae80, 0, 0, 0, 0], true),
            (libc::SYS_ioctl, [7, 0xae01, 0, 0, 0, 0], false),
            (libc::SYS_mmap, [0, 0, 3, 0x22, heap, 0], true),
            (libc::SYS_mmap, [0, 0, 5, 0x22, heap, 0], false),
            (libc::SYS_mmap, [0, 0, 1, 1, 9, 0], false),
            (libc::SYS_mprotect, [0, 0, 4, 0, 0, 0], false),
            (libc::SYS_kill, [own, 9, 0, 0, 0, 0], true),
            (libc::SYS_kill, [1, 9, 0, 0, 0, 0], false),
            (libc::SYS_openat, [0; 6], false),
            (libc::SYS_socket, [0; 6], false),
            (libc::SYS_execve, [0; 6], false),
            (libc::SYS_clone, [0; 6], false),
        ] {
            assert_eq!(verdict(nr, arguments), allowed, "system call {nr} with {arguments:?}");
        }
        assert!(!verdict_of(0x4000_0003, 4, [1, 0, 0, 0, 0, 0]), "the 32-bit entry is fatal");
    }

    /// Every number with every argument that could decide, each in its place beside harmless ones and beside others.
    #[test]
    fn nothing_else_is_allowed_whatever_its_arguments() {
        let (values, mut reached) = (numbers(), std::collections::BTreeSet::new());
        for (i, value) in values.iter().enumerate() {
            let other = values[i * 7 % values.len()];
            let places = (0..6).flat_map(|at| [(at, other), (at, u64::MAX)]);
            for (at, other) in places {
                let mut arguments = [other; 6];
                arguments[at] = *value;
                for nr in 0..600 {
                    let allowed = verdict(nr, arguments);
                    assert_eq!(allowed, meant(nr, arguments), "system call {nr} with {arguments:x?}");
                    if allowed {
                        reached.insert(nr);
                    }
                }
            }
            // The numbers of the x32 entry, which has the same architecture.
            assert!((0..600).all(|nr| !verdict(nr | 0x4000_0000, [*value; 6])), "{value:#x}");
        }
        let named = FREE.iter().chain(&CONDITIONAL).copied().collect();
        assert_eq!(reached, named);
        assert_eq!(reached.len() as u64, calls(), "the count that is told");
    }
}
