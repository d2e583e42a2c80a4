//! The seccomp filter of the built-in container: which system calls its payload may make.
//!
//! A list of refused numbers, compiled into a binary search. When a filter is installed the kernel simulates it for
//! every known call and keeps a bitmap of the verdicts that do not depend on arguments (seccomp(2), kernel/seccomp.c):
//! installing takes that long in every startup, so the search is short; the bitmap then spares every allowed call the
//! filter, which is worth more (getpid: 0.91 of a plain process's rate with it, 0.72 without). So only the few calls
//! whose arguments decide are looked at more closely, behind the search.

use libc::{
    BPF_JEQ, BPF_JSET, EAFNOSUPPORT, ENOSYS, EPERM, EPROTONOSUPPORT, SECCOMP_RET_ALLOW,
    SECCOMP_RET_KILL_PROCESS, sock_filter,
};

use super::search::{Op, To, any, give, jump, load, refuse, search};

/// Numbers with their names: what is refused is the same for other container runtimes, which want names.
macro_rules! calls {
    ($($name:ident),* $(,)?) => { &[$((stringify!($name), libc::$name)),*] };
}

/// Calls that reach parts of the kernel an isolated program has no business in: they answer EPERM.
///
/// The grounds are those that container engines agree on: loading code into the kernel, the clock, mounts and
/// namespaces, other processes' memory, keyrings (not namespaced), tracing, security modules, the host's file systems
/// and their quotas, and interfaces with a record of escapes (`userfaultfd`, `io_uring`). The list is at least as strict
/// as the default profile of the engines built on moby; beyond it are the calls that only ask and adjust the clock,
/// file handles, local descriptor tables and other processes' memory (`adjtimex`, `name_to_handle_at`, `modify_ldt`,
/// `ptrace`, `process_vm_*`). `uretprobe` is let through there and here: only the host's own probes lead to it, and a
/// program that was being probed would die of the refusal.
const REFUSED: &[(&str, libc::c_long)] = calls![
    SYS_acct,
    SYS_add_key,
    SYS_adjtimex,
    SYS_afs_syscall,
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
    SYS_getpmsg,
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
    SYS_nfsservctl,
    SYS_open_by_handle_at,
    SYS_open_tree,
    SYS_perf_event_open,
    SYS_pidfd_getfd,
    SYS_pivot_root,
    SYS_process_madvise,
    SYS_process_vm_readv,
    SYS_process_vm_writev,
    SYS_ptrace,
    SYS_putpmsg,
    SYS_quotactl,
    SYS_quotactl_fd,
    SYS_reboot,
    SYS_request_key,
    SYS_security,
    SYS_set_mempolicy,
    SYS_set_mempolicy_home_node,
    SYS_setdomainname,
    SYS_sethostname,
    SYS_setns,
    SYS_settimeofday,
    SYS_swapoff,
    SYS_swapon,
    SYS__sysctl,
    SYS_sysfs,
    SYS_syslog,
    SYS_tuxcall,
    SYS_umount2,
    SYS_unshare,
    SYS_uselib,
    SYS_userfaultfd,
    SYS_ustat,
    SYS_vhangup,
    SYS_vserver,
];

/// The same for numbers that not every C library's headers name: modules as Linux 2.4 had them, and security modules.
const REFUSED_TOO: &[(&str, libc::c_long)] = &[
    ("create_module", 174),
    ("get_kernel_syms", 177),
    ("query_module", 178),
    ("lsm_get_self_attr", 459),
    ("lsm_set_self_attr", 460),
    ("lsm_list_modules", 461),
];

/// Numbers that stand for no call (`arch/x86/entry/syscalls/syscall_64.tbl`), but for 336, `uprobe`, to which only the
/// host's own probes lead: the kernel lets it pass beside any filter.
const GAP: std::ops::RangeInclusive<u32> = 336..=423;

/// First number beyond the calls admitted here (`removexattrat`, Linux 6.13). Later ones are not there until somebody has
/// looked at them: ENOSYS, on which C libraries fall back to what they know.
const UNKNOWN: u32 = 467;

/// Offsets into `struct seccomp_data`; of arguments the lower halves, for all that are looked at are of 32 bits.
const NUMBER: u32 = 0;
const ARCHITECTURE: u32 = 4;
const FIRST_ARGUMENT: u32 = 16;
const SECOND_ARGUMENT: u32 = 24;
const THIRD_ARGUMENT: u32 = 32;
/// `AUDIT_ARCH_X86_64`: anything else is the 32-bit entry, whose numbers mean other calls.
const X86_64: u32 = 0xc000_003e;
/// All `CLONE_NEW*` flags of `clone(2)` (clone3 hides its flags from filters and is refused with ENOSYS, so that
/// C libraries fall back to clone).
const NEW_NAMESPACES: u32 = 0x7e02_0000;
/// Families that a network namespace isolates and a program alone on its loopback has a use for. Any other makes the
/// host's kernel load a module of that name, and some (vsock, algorithms, RDMA) know no namespaces.
const FAMILIES: [i32; 3] = [libc::AF_UNIX, libc::AF_INET, libc::AF_INET6];
/// Protocols of those: the family's own (also as `PF_UNIX`, which is ICMP to the others), TCP and UDP. Others are modules.
const PROTOCOLS: [i32; 4] = [0, libc::PF_UNIX, libc::IPPROTO_TCP, libc::IPPROTO_UDP];
/// Of netlink the addresses and routes, which C libraries ask for. Others tell of the host: its devices come and go on one.
const NETLINK: [i32; 1] = [libc::NETLINK_ROUTE];
/// What `personality(2)` may be asked for, beside which one it is: 32 bits and a 2.6 version, or neither. Others make memory
/// executable that should not be, or map the page at zero.
const PERSONALITY: u32 = 0x2_0008;

/// The names of what is refused.
pub(crate) fn refused() -> impl Iterator<Item = &'static str> {
    all_refused().map(|(name, _)| name.trim_start_matches("SYS_"))
}

fn all_refused() -> impl Iterator<Item = &'static (&'static str, libc::c_long)> {
    REFUSED.iter().chain(REFUSED_TOO)
}

/// The filter, ready to install.
#[must_use]
pub(crate) fn compile() -> Vec<sock_filter> {
    let mut code =
        vec![load(ARCHITECTURE), jump(BPF_JEQ, X86_64, 1, 0), give(SECCOMP_RET_KILL_PROCESS), load(NUMBER)];
    code.extend(search(&intervals()));
    code
}

/// What becomes of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Given(u32),
    Looked(Look),
}

/// Calls whose arguments decide.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Look {
    Clone,
    Socket,
    Personality,
    Prctl,
}

impl Look {
    const ALL: [(libc::c_long, Self); 5] = [
        (libc::SYS_socket, Self::Socket),
        (libc::SYS_socketpair, Self::Socket),
        (libc::SYS_clone, Self::Clone),
        (libc::SYS_personality, Self::Personality),
        (libc::SYS_prctl, Self::Prctl),
    ];
    pub(super) const CODES: [Self; 4] = [Self::Clone, Self::Socket, Self::Personality, Self::Prctl];

    /// From the moment that the number is known to a verdict.
    pub(super) fn code(self) -> Vec<Op> {
        use Op::{If, Load};
        use To::{Give, Skip};
        let (allow, refused) = (Give(SECCOMP_RET_ALLOW), Give(refuse(EPERM)));
        match self {
            Self::Clone => vec![Load(FIRST_ARGUMENT), If(BPF_JSET, NEW_NAMESPACES, refused, allow)],
            Self::Socket => {
                let protocols = any(&PROTOCOLS, allow, Give(refuse(EPROTONOSUPPORT)));
                let families = any(&FAMILIES, Skip(0), Give(refuse(EAFNOSUPPORT)));
                let others = [&families[..], &[Load(THIRD_ARGUMENT)], &protocols].concat();
                let is_netlink = If(BPF_JEQ, libc::AF_NETLINK as u32, Skip(others.len()), Skip(0));
                let netlink = any(&NETLINK, allow, Give(refuse(EPROTONOSUPPORT)));
                [&[Load(FIRST_ARGUMENT), is_netlink], &others[..], &[Load(THIRD_ARGUMENT)], &netlink].concat()
            }
            Self::Personality => vec![
                Load(FIRST_ARGUMENT),
                If(BPF_JSET, !PERSONALITY, Skip(0), allow),
                If(BPF_JEQ, u32::MAX, allow, refused),
            ],
            // The signal that ends the container with its harness stays what it is.
            Self::Prctl => vec![
                Load(FIRST_ARGUMENT),
                If(BPF_JEQ, libc::PR_SET_PDEATHSIG as u32, Skip(0), allow),
                Load(SECOND_ARGUMENT),
                If(BPF_JEQ, libc::SIGKILL as u32, allow, refused),
            ],
        }
    }
}

/// Where the fate changes: `(first number, fate)` in ascending order, from 0 on.
fn intervals() -> Vec<(u32, Fate)> {
    let mut all: Vec<(u32, Fate)> = Vec::new();
    for n in 0..=UNKNOWN {
        if all.last().is_none_or(|last| last.1 != fate(n)) {
            all.push((n, fate(n)));
        }
    }
    all
}

fn fate(n: u32) -> Fate {
    if n >= UNKNOWN || GAP.contains(&n) || n == number(libc::SYS_clone3) {
        return Fate::Given(refuse(ENOSYS));
    }
    if all_refused().any(|(_, refused)| number(*refused) == n) {
        return Fate::Given(refuse(EPERM));
    }
    let look = Look::ALL.iter().find(|(call, _)| number(*call) == n);
    look.map_or(Fate::Given(SECCOMP_RET_ALLOW), |(_, look)| Fate::Looked(*look))
}

fn number(call: libc::c_long) -> u32 {
    u32::try_from(call).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use libc::{BPF_ABS, BPF_JGE, BPF_K, BPF_LD, BPF_RET, BPF_W};

    use super::*;

    /// A classic-BPF interpreter for the few instructions used here.
    fn verdict(arch: u32, nr: u32, args: [u32; 3]) -> u32 {
        let (code, mut acc, mut at) = (compile(), 0_u32, 0_usize);
        loop {
            let i = code[at];
            at += 1;
            match u32::from(i.code) {
                c if c == BPF_LD | BPF_W | BPF_ABS => {
                    acc = match i.k {
                        NUMBER => nr,
                        ARCHITECTURE => arch,
                        FIRST_ARGUMENT => args[0],
                        SECOND_ARGUMENT => args[1],
                        THIRD_ARGUMENT => args[2],
                        other => panic!("load {other}"),
                    }
                }
                c if c == BPF_RET | BPF_K => return i.k,
                c => {
                    let holds = match c & 0xf0 {
                        BPF_JEQ => acc == i.k,
                        BPF_JGE => acc >= i.k,
                        BPF_JSET => acc & i.k != 0,
                        other => panic!("jump {other}"),
                    };
                    at += usize::from(if holds { i.jt } else { i.jf });
                }
            }
        }
    }

    fn on(call: libc::c_long, args: [i32; 3]) -> u32 {
        verdict(X86_64, number(call), args.map(|arg| arg as u32))
    }

    #[test]
    fn every_number_gets_the_verdict_of_the_list() {
        for nr in 0..600_u32 {
            let expected = if nr >= UNKNOWN || GAP.contains(&nr) || nr == number(libc::SYS_clone3) {
                refuse(ENOSYS)
            } else if all_refused().any(|(_, r)| number(*r) == nr) {
                refuse(EPERM)
            } else {
                SECCOMP_RET_ALLOW
            };
            // Arguments that are fine wherever they decide: a thread, a socket of TCP, Linux itself.
            let fine = if nr == number(libc::SYS_personality) { 0 } else { 2 };
            assert_eq!(verdict(X86_64, nr, [fine, 1, 6]), expected, "system call {nr}");
        }
        // The x32 numbers lie above bit 30.
        assert_eq!(verdict(X86_64, 0x4000_0000 | 1, [0; 3]), refuse(ENOSYS));
    }

    /// What the default profile of moby's engines keeps from a container without capabilities, of all that x86-64 has.
    const ENGINES_REFUSE: &[u32] = &[
        103, 134, 136, 139, 153, 155, 156, 161, 163, 164, 165, 166, 167, 168, 169, 170, 171, 172, 173, 174,
        175, 176, 177, 178, 179, 180, 181, 182, 183, 184, 185, 212, 227, 236, 237, 238, 239, 246, 248, 249,
        250, 256, 272, 279, 298, 300, 304, 308, 312, 313, 320, 321, 323, 336, 425, 426, 427, 428, 429, 430,
        431, 432, 433, 435, 438, 440, 442, 443, 450, 459, 460, 461, 467, 468, 469, 470,
    ];

    #[test]
    fn it_is_at_least_as_strict_as_what_engines_agree_on() {
        for nr in ENGINES_REFUSE {
            let ours = verdict(X86_64, *nr, [2, 1, 6]);
            assert_ne!(ours, SECCOMP_RET_ALLOW, "system call {nr} is let through");
        }
    }

    #[test]
    fn no_jump_is_longer_than_its_field() {
        assert!(compile().len() < 255, "{}", compile().len());
    }

    #[test]
    fn clone_may_not_make_namespaces_and_the_other_entry_is_fatal() {
        assert_eq!(on(libc::SYS_clone, [libc::SIGCHLD, 0, 0]), SECCOMP_RET_ALLOW);
        for flag in [libc::CLONE_NEWUSER, libc::CLONE_NEWNS, libc::CLONE_NEWNET, libc::CLONE_NEWCGROUP] {
            assert_eq!(on(libc::SYS_clone, [flag, 0, 0]), refuse(EPERM));
        }
        assert_eq!(verdict(0x4000_0003, number(libc::SYS_write), [0; 3]), SECCOMP_RET_KILL_PROCESS);
    }

    #[test]
    fn sockets_are_of_families_that_the_namespace_isolates() {
        for call in [libc::SYS_socket, libc::SYS_socketpair] {
            for family in 0..64 {
                for protocol in [0, 1, 2, 6, 15, 17, 33, 58, 132, 255, 262, -1] {
                    let expected = match family {
                        libc::AF_UNIX | libc::AF_INET | libc::AF_INET6 => match protocol {
                            0 | 1 | 6 | 17 => SECCOMP_RET_ALLOW,
                            _ => refuse(EPROTONOSUPPORT),
                        },
                        libc::AF_NETLINK if protocol == 0 => SECCOMP_RET_ALLOW,
                        libc::AF_NETLINK => refuse(EPROTONOSUPPORT),
                        _ => refuse(EAFNOSUPPORT),
                    };
                    assert_eq!(on(call, [family, 1, protocol]), expected, "{call} {family} {protocol}");
                }
            }
            assert_eq!(on(call, [-1, 1, 0]), refuse(EAFNOSUPPORT));
        }
    }

    #[test]
    fn nobody_becomes_another_person_or_outlives_the_harness() {
        for fine in [0, 0x8, 0x2_0000, 0x2_0008, -1] {
            assert_eq!(on(libc::SYS_personality, [fine, 0, 0]), SECCOMP_RET_ALLOW);
        }
        for bad in [libc::READ_IMPLIES_EXEC, libc::MMAP_PAGE_ZERO, libc::ADDR_NO_RANDOMIZE, 1] {
            assert_eq!(on(libc::SYS_personality, [bad, 0, 0]), refuse(EPERM));
        }
        let death = |signal| on(libc::SYS_prctl, [libc::PR_SET_PDEATHSIG, signal, 0]);
        assert_eq!(death(libc::SIGKILL), SECCOMP_RET_ALLOW);
        for signal in [0, libc::SIGTERM, libc::SIGCHLD, -1] {
            assert_eq!(death(signal), refuse(EPERM));
        }
        assert_eq!(on(libc::SYS_prctl, [libc::PR_SET_NAME, 0, 0]), SECCOMP_RET_ALLOW);
    }
}
