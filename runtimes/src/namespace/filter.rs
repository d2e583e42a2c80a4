//! The seccomp filter of the built-in container: which system calls its payload may make.
//!
//! A list of refused numbers, compiled into a binary search. When a filter is installed the kernel simulates it for
//! every known call and keeps a bitmap of the verdicts that do not depend on arguments (seccomp(2), kernel/seccomp.c):
//! installing takes that long in every startup, so the search is short; the bitmap then spares every allowed call the
//! filter, which is worth more (getpid: 0.91 of a plain process's rate with it, 0.72 without).

use libc::{
    BPF_ABS, BPF_JEQ, BPF_JGE, BPF_JMP, BPF_K, BPF_LD, BPF_RET, BPF_W, EPERM, SECCOMP_RET_ALLOW,
    SECCOMP_RET_ERRNO, SECCOMP_RET_KILL_PROCESS, sock_filter,
};

/// Numbers with their names: what is refused is the same for other container runtimes, which want names.
macro_rules! calls {
    ($($name:ident),* $(,)?) => { &[$((stringify!($name), libc::$name)),*] };
}

/// Calls that reach parts of the kernel an isolated program has no business in: they answer EPERM.
///
/// The grounds are those that container engines agree on: loading code into the kernel, the clock, mounts and
/// namespaces, other processes' memory, keyrings (not namespaced), tracing, and interfaces with a record of escapes
/// (`userfaultfd`, `io_uring`).
const REFUSED: &[(&str, libc::c_long)] = calls![
    SYS_acct,
    SYS_add_key,
    SYS_adjtimex,
    SYS_bpf,
    SYS_chroot,
    SYS_clock_adjtime,
    SYS_clock_settime,
    SYS_delete_module,
    SYS_fanotify_init,
    SYS_finit_module,
    SYS_fsconfig,
    SYS_fsmount,
    SYS_fsopen,
    SYS_fspick,
    SYS_get_mempolicy,
    SYS_init_module,
    SYS_io_uring_enter,
    SYS_io_uring_register,
    SYS_io_uring_setup,
    SYS_ioperm,
    SYS_iopl,
    SYS_kcmp,
    SYS_kexec_file_load,
    SYS_kexec_load,
    SYS_keyctl,
    SYS_lookup_dcookie,
    SYS_mbind,
    SYS_migrate_pages,
    SYS_modify_ldt,
    SYS_mount,
    SYS_mount_setattr,
    SYS_move_mount,
    SYS_move_pages,
    SYS_name_to_handle_at,
    SYS_open_by_handle_at,
    SYS_open_tree,
    SYS_perf_event_open,
    SYS_pidfd_getfd,
    SYS_pivot_root,
    SYS_process_madvise,
    SYS_process_vm_readv,
    SYS_process_vm_writev,
    SYS_ptrace,
    SYS_quotactl,
    SYS_reboot,
    SYS_request_key,
    SYS_set_mempolicy,
    SYS_setdomainname,
    SYS_sethostname,
    SYS_setns,
    SYS_settimeofday,
    SYS_swapoff,
    SYS_swapon,
    SYS_syslog,
    SYS_umount2,
    SYS_unshare,
    SYS_uselib,
    SYS_userfaultfd,
    SYS_vhangup,
];

/// First number beyond the calls known when this list was made (Linux 6.12): later ones answer EPERM until somebody
/// has looked at them.
const UNKNOWN: u32 = 467;

/// Offsets into `struct seccomp_data`.
const NUMBER: u32 = 0;
const ARCHITECTURE: u32 = 4;
const FIRST_ARGUMENT: u32 = 16;
/// `AUDIT_ARCH_X86_64`: anything else is the 32-bit entry, whose numbers mean other calls.
const X86_64: u32 = 0xc000_003e;
/// All `CLONE_NEW*` flags of `clone(2)` (clone3 hides its flags from filters and is refused with ENOSYS, so that
/// C libraries fall back to clone).
const NEW_NAMESPACES: u32 = 0x7e02_0000;

/// The names of what is refused.
pub(crate) fn refused() -> impl Iterator<Item = &'static str> {
    REFUSED.iter().map(|(name, _)| name.trim_start_matches("SYS_"))
}

/// The filter, ready to install.
#[must_use]
pub(crate) fn compile() -> Vec<sock_filter> {
    let mut code = vec![
        load(ARCHITECTURE),
        jump(BPF_JEQ, X86_64, 1, 0),
        give(SECCOMP_RET_KILL_PROCESS),
        load(NUMBER),
        // clone: only without new namespaces.
        jump(BPF_JEQ, number(libc::SYS_clone), 0, 4),
        load(FIRST_ARGUMENT),
        jump(libc::BPF_JSET, NEW_NAMESPACES, 1, 0),
        give(SECCOMP_RET_ALLOW),
        give(refuse(EPERM)),
    ];
    code.extend(search(&intervals()));
    code
}

/// Where the verdict changes: `(first number, verdict)` in ascending order, from 0 on.
fn intervals() -> Vec<(u32, u32)> {
    let mut refused = REFUSED.iter().map(|(_, n)| number(*n)).collect::<Vec<_>>();
    refused.sort_unstable();
    let verdict = |n: u32| match n {
        n if n >= UNKNOWN || refused.binary_search(&n).is_ok() => refuse(EPERM),
        n if n == number(libc::SYS_clone3) => refuse(libc::ENOSYS),
        _ => SECCOMP_RET_ALLOW,
    };
    let mut all: Vec<(u32, u32)> = Vec::new();
    for n in 0..=UNKNOWN {
        if all.last().is_none_or(|last| last.1 != verdict(n)) {
            all.push((n, verdict(n)));
        }
    }
    all
}

/// Verdicts at the end of the search, shared by all its branches: a shorter program is installed sooner.
const VERDICTS: [u32; 3] =
    [SECCOMP_RET_ALLOW, SECCOMP_RET_ERRNO | EPERM as u32, SECCOMP_RET_ERRNO | libc::ENOSYS as u32];

/// Binary search over intervals. Every comparison is one jump: forward to a further comparison or to a verdict.
fn search(of: &[(u32, u32)]) -> Vec<sock_filter> {
    let mut nodes = Vec::new();
    plant(of, &mut nodes);
    let end = nodes.len();
    let target = |at: usize, to: Target| {
        let place = match to {
            Target::Node(node) => node,
            Target::Verdict(verdict) => end + VERDICTS.iter().position(|v| *v == verdict).unwrap_or(1),
        };
        u8::try_from(place - at - 1).unwrap_or(u8::MAX)
    };
    let jumps = nodes.iter().enumerate();
    let jumps =
        jumps.map(|(at, node)| jump(BPF_JGE, node.from, target(at, node.above), target(at, node.below)));
    jumps.chain(VERDICTS.into_iter().map(give)).collect()
}

/// A comparison: numbers `from` on go one way, smaller ones the other.
struct Node {
    from: u32,
    below: Target,
    above: Target,
}

#[derive(Clone, Copy)]
enum Target {
    Node(usize),
    Verdict(u32),
}

fn plant(of: &[(u32, u32)], nodes: &mut Vec<Node>) -> Target {
    if let [(_, verdict)] = of {
        return Target::Verdict(*verdict);
    }
    let (low, high) = of.split_at(balanced(of));
    let at = nodes.len();
    // The branches come after their node: jumps of classic BPF go forward only.
    nodes.push(Node { from: high[0].0, below: Target::Verdict(0), above: Target::Verdict(0) });
    nodes[at].below = plant(low, nodes);
    nodes[at].above = plant(high, nodes);
    Target::Node(at)
}

/// Where to split so that about as many numbers lie on either side: the average path is short then, not the longest.
fn balanced(of: &[(u32, u32)]) -> usize {
    let first = of[0].0;
    let end = of[of.len() - 1].0 + 1;
    let uneven = |at: &usize| (of[*at].0 - first).abs_diff(end - of[*at].0);
    (1..of.len()).min_by_key(uneven).unwrap_or(1)
}

fn refuse(errno: i32) -> u32 {
    SECCOMP_RET_ERRNO | u32::try_from(errno).unwrap_or(0)
}

fn number(call: libc::c_long) -> u32 {
    u32::try_from(call).unwrap_or(u32::MAX)
}

const fn instruction(code: u32, jt: u8, jf: u8, k: u32) -> sock_filter {
    sock_filter { code: code as u16, jt, jf, k }
}

const fn load(offset: u32) -> sock_filter {
    instruction(BPF_LD | BPF_W | BPF_ABS, 0, 0, offset)
}

const fn jump(condition: u32, value: u32, yes: u8, no: u8) -> sock_filter {
    instruction(BPF_JMP | condition | BPF_K, yes, no, value)
}

const fn give(verdict: u32) -> sock_filter {
    instruction(BPF_RET | BPF_K, 0, 0, verdict)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A classic-BPF interpreter for the few instructions used here.
    fn verdict(arch: u32, nr: u32, arg0: u32) -> u32 {
        let (code, mut acc, mut at) = (compile(), 0_u32, 0_usize);
        loop {
            let i = code[at];
            at += 1;
            match u32::from(i.code) {
                c if c == BPF_LD | BPF_W | BPF_ABS => {
                    acc = match i.k {
                        NUMBER => nr,
                        ARCHITECTURE => arch,
                        FIRST_ARGUMENT => arg0,
                        other => panic!("load {other}"),
                    }
                }
                c if c == BPF_RET | BPF_K => return i.k,
                c => {
                    let holds = match c & 0xf0 {
                        BPF_JEQ => acc == i.k,
                        BPF_JGE => acc >= i.k,
                        libc::BPF_JSET => acc & i.k != 0,
                        other => panic!("jump {other}"),
                    };
                    at += usize::from(if holds { i.jt } else { i.jf });
                }
            }
        }
    }

    #[test]
    fn every_number_gets_the_verdict_of_the_list() {
        for nr in 0..600_u32 {
            let expected = if nr >= UNKNOWN || REFUSED.iter().any(|(_, r)| number(*r) == nr) {
                refuse(EPERM)
            } else if nr == number(libc::SYS_clone3) {
                refuse(libc::ENOSYS)
            } else {
                SECCOMP_RET_ALLOW
            };
            assert_eq!(verdict(X86_64, nr, 0), expected, "system call {nr}");
        }
        // The x32 numbers lie above bit 30.
        assert_eq!(verdict(X86_64, 0x4000_0000 | 1, 0), refuse(EPERM));
    }

    #[test]
    fn no_jump_is_longer_than_its_field() {
        assert!(compile().len() < 255, "{}", compile().len());
    }

    #[test]
    fn clone_may_not_make_namespaces_and_the_other_entry_is_fatal() {
        let clone = number(libc::SYS_clone);
        assert_eq!(verdict(X86_64, clone, libc::SIGCHLD as u32), SECCOMP_RET_ALLOW);
        for flag in [libc::CLONE_NEWUSER, libc::CLONE_NEWNS, libc::CLONE_NEWNET, libc::CLONE_NEWCGROUP] {
            assert_eq!(verdict(X86_64, clone, flag as u32), refuse(EPERM));
        }
        assert_eq!(verdict(0x4000_0003, number(libc::SYS_write), 0), SECCOMP_RET_KILL_PROCESS);
    }
}
