//! What the VMM may still ask the kernel for once the program runs: its own seccomp filter.
//!
//! Anything else kills the process. The filter is for the one thread there is, installed after everything is open and
//! before the first instruction of the program.

use std::collections::BTreeMap;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    TargetArch, sock_filter,
};

use crate::error::Error;
use crate::sys::kvm;

/// Calls without conditions: none of them opens, connects, starts or traces anything.
const FREE: [i64; 18] = [
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

fn when(index: u8, operator: SeccompCmpOp, value: u64) -> Result<SeccompRule, Error> {
    let condition = SeccompCondition::new(index, SeccompCmpArgLen::Dword, operator, value).map_err(wrong)?;
    SeccompRule::new(vec![condition]).map_err(wrong)
}

fn wrong(error: impl std::fmt::Display) -> Error {
    Error::Internal(format!("seccomp filter: {error}"))
}

fn any(index: u8, values: impl IntoIterator<Item = u64>) -> Result<Vec<SeccompRule>, Error> {
    values.into_iter().map(|value| when(index, SeccompCmpOp::Eq, value)).collect()
}

/// The filter as the kernel's program; `status_fd` may be written beside 1 and 2.
///
/// # Errors
/// If the rules do not compile.
pub fn program(status_fd: Option<i32>) -> Result<BpfProgram, Error> {
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> = FREE.iter().map(|&nr| (nr, Vec::new())).collect();
    rules.insert(libc::SYS_ioctl, any(1, kvm::LOOP_REQUESTS)?);
    rules.insert(libc::SYS_read, any(0, [0])?);
    rules.insert(libc::SYS_write, any(0, [1, 2].into_iter().chain(status_fd.map(|fd| fd as u64)))?);
    let not_executable = || when(2, SeccompCmpOp::MaskedEq(libc::PROT_EXEC as u64), 0);
    rules.insert(libc::SYS_mmap, vec![not_executable()?]);
    rules.insert(libc::SYS_mprotect, vec![not_executable()?]);
    // Only itself, on the way out.
    let own = u64::from(std::process::id());
    rules.insert(libc::SYS_kill, any(0, [own])?);
    rules.insert(libc::SYS_tkill, any(0, [own])?);
    rules.insert(libc::SYS_tgkill, any(0, [own])?);
    let filter =
        SeccompFilter::new(rules, SeccompAction::KillProcess, SeccompAction::Allow, TargetArch::x86_64);
    filter.map_err(wrong)?.try_into().map_err(wrong)
}

/// `ldx #0`, which changes nothing. Installing a filter, Linux simulates it for every system-call number there is, to
/// cache constant answers (seccomp_cache_prepare); it gives up at an instruction that it does not simulate. A process
/// that makes few calls gains nothing from the cache, and the simulation is most of what installing costs.
const NOT_CACHEABLE: sock_filter = sock_filter { code: 0x01, jt: 0, jf: 0, k: 0 };

/// Installs the filter, after PR_SET_NO_NEW_PRIVS (seccompiler sets it).
///
/// # Errors
/// If the kernel refuses.
pub fn enter(status_fd: Option<i32>) -> Result<(), Error> {
    let mut program = program(status_fd)?;
    program.insert(0, NOT_CACHEABLE);
    seccompiler::apply_filter(&program).map_err(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_filter_compiles_and_stays_small() {
        let program = program(Some(5)).unwrap();
        assert!((100..400).contains(&program.len()), "{} instructions", program.len());
    }
}
