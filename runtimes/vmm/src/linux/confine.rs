//! What the VMM of a stock kernel may still ask its own kernel for: running the CPU, raising interrupts, carrying bytes.

use libc::{
    BPF_ABS, BPF_JEQ, BPF_JMP, BPF_K, BPF_LD, BPF_RET, BPF_W, SECCOMP_RET_ALLOW, SECCOMP_RET_KILL_PROCESS,
    sock_filter,
};

use crate::error::Error;
use crate::sys::{host, kvm};

/// Calls without conditions: none of them opens, connects, starts or traces anything.
const FREE: [libc::c_long; 13] = [
    libc::SYS_exit,
    libc::SYS_exit_group,
    libc::SYS_clock_gettime,
    libc::SYS_restart_syscall,
    libc::SYS_futex,
    libc::SYS_madvise,
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_brk,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_getpid,
    libc::SYS_gettid,
];

/// Installs the filter for this thread.
///
/// # Errors
/// If the kernel refuses.
pub(super) fn enter(status_fd: Option<i32>) -> Result<(), Error> {
    host::confine(&filter(status_fd))
}

fn filter(status_fd: Option<i32>) -> Vec<sock_filter> {
    let told = status_fd.and_then(|fd| u32::try_from(fd).ok());
    let written = [1, 2].into_iter().chain(told).collect::<Vec<_>>();
    let own = [std::process::id()];
    let mut rules = vec![
        one_of(libc::SYS_ioctl, 1, &kvm::LINUX_REQUESTS),
        one_of(libc::SYS_read, 0, &[0]),
        one_of(libc::SYS_write, 0, &written),
        memory(),
    ];
    rules.extend([libc::SYS_kill, libc::SYS_tkill, libc::SYS_tgkill].map(|nr| one_of(nr, 0, &own)));
    whole(&FREE, rules)
}

/// Offsets into `struct seccomp_data` (seccomp(2)), and the architecture whose numbers are meant.
const NUMBER: u32 = 0;
const ARCHITECTURE: u32 = 4;
const ARGUMENTS: u32 = 16;
const X86_64: u32 = 0xc000_003e;

const ALLOW: sock_filter = instruction(BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW);
const KILL: sock_filter = instruction(BPF_RET | BPF_K, 0, 0, SECCOMP_RET_KILL_PROCESS);

const fn instruction(code: u32, jt: u8, jf: u8, k: u32) -> sock_filter {
    sock_filter { code: code as u16, jt, jf, k }
}

const fn load(offset: u32) -> sock_filter {
    instruction(BPF_LD | BPF_W | BPF_ABS, 0, 0, offset)
}

const fn jump(value: u32, yes: u8, no: u8) -> sock_filter {
    instruction(BPF_JMP | BPF_JEQ | BPF_K, yes, no, value)
}

fn number(nr: libc::c_long) -> u32 {
    u32::try_from(nr).unwrap_or(u32::MAX)
}

/// `if number == nr { allow if the argument is one of values; kill }`. The lower half of the argument decides:
/// descriptors, requests and process numbers are 32 bits wide to the kernel too.
fn one_of(nr: libc::c_long, argument: u32, values: &[u32]) -> Vec<sock_filter> {
    let past = u8::try_from(2 + 2 * values.len()).unwrap_or(u8::MAX);
    let mut rule = vec![jump(number(nr), 0, past), load(ARGUMENTS + 8 * argument)];
    rule.extend(values.iter().flat_map(|value| [jump(*value, 0, 1), ALLOW]));
    rule.push(KILL);
    rule
}

/// New memory of its own, never executable and never a file's: reading and writing.
fn memory() -> Vec<sock_filter> {
    let [protection, fd] = [2, 4].map(|argument| load(ARGUMENTS + 8 * argument));
    let both = (libc::PROT_READ | libc::PROT_WRITE) as u32;
    let allowed =
        [jump(libc::PROT_NONE as u32, 1, 0), jump(both, 0, 3), fd, jump(u32::MAX, 0, 1), ALLOW, KILL];
    [jump(number(libc::SYS_mmap), 0, 7), protection].into_iter().chain(allowed).collect()
}

/// A filter that allows the `free` calls, what the rules allow, and nothing else.
fn whole(free: &[libc::c_long], rules: Vec<Vec<sock_filter>>) -> Vec<sock_filter> {
    let mut code = vec![load(ARCHITECTURE), jump(X86_64, 1, 0), KILL, load(NUMBER)];
    code.extend(free.iter().flat_map(|nr| [jump(number(*nr), 0, 1), ALLOW]));
    code.extend(rules.into_iter().flatten());
    code.push(KILL);
    code
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A classic-BPF interpreter for the few instructions used here.
    fn verdict(code: &[sock_filter], nr: u32, arguments: [u32; 5]) -> bool {
        let (mut acc, mut at) = (0, 0);
        loop {
            let i = code[at];
            at += 1;
            match u32::from(i.code) {
                c if c == BPF_LD | BPF_W | BPF_ABS => {
                    acc = match i.k {
                        NUMBER => nr,
                        ARCHITECTURE => X86_64,
                        offset => arguments[(offset - ARGUMENTS) as usize / 8],
                    }
                }
                c if c == BPF_RET | BPF_K => return i.k == SECCOMP_RET_ALLOW,
                _ => at += usize::from(if acc == i.k { i.jt } else { i.jf }),
            }
        }
    }

    #[test]
    fn only_what_is_listed_is_allowed() {
        let rules = vec![one_of(1, 0, &[1, 2, 9]), one_of(16, 1, &[7])];
        let code = whole(&[3, 4], rules);
        for (nr, [a, b], allowed) in [
            (3, [0, 0], true),
            (4, [5, 5], true),
            (1, [2, 0], true),
            (1, [9, 0], true),
            (1, [3, 0], false),
            (16, [0, 7], true),
            (16, [7, 0], false),
            (0, [1, 7], false),
        ] {
            assert_eq!(verdict(&code, nr, [a, b, 0, 0, 0]), allowed, "system call {nr} with {a} and {b}");
        }
        let reachable = (0..600).filter(|nr| verdict(&code, *nr, [1, 7, 0, 0, 0])).count();
        assert_eq!(reachable, 4);
    }

    /// Every number behind the filter that is installed, and every argument that decides.
    #[test]
    fn the_machine_of_a_kernel_asks_for_what_is_listed_and_nothing_else() {
        let code = filter(Some(7));
        let own = std::process::id();
        let meant = |nr: libc::c_long, [a, b, c, _, e]: [u32; 5]| match nr {
            libc::SYS_ioctl => kvm::LINUX_REQUESTS.contains(&b),
            libc::SYS_read => a == 0,
            libc::SYS_write => [1, 2, 7].contains(&a),
            libc::SYS_mmap => [0, 3].contains(&c) && e == u32::MAX,
            libc::SYS_kill | libc::SYS_tkill | libc::SYS_tgkill => a == own,
            nr => FREE.contains(&nr),
        };
        let edges = [0, 1, 2, 3, 4, 5, 7, own, own + 1, 0x7fff_ffff, u32::MAX];
        let values = edges.into_iter().chain(kvm::LINUX_REQUESTS).collect::<Vec<_>>();
        for (value, other) in values.iter().flat_map(|value| [(value, 3), (value, u32::MAX)]) {
            for at in 0..5 {
                let mut arguments = [other; 5];
                arguments[at] = *value;
                for nr in 0..600 {
                    let allowed = verdict(&code, number(nr), arguments);
                    assert_eq!(allowed, meant(nr, arguments), "system call {nr} with {arguments:x?}");
                }
            }
        }
    }
}
