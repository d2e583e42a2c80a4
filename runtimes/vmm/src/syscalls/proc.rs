//! The process itself: identity, limits, signals, segments, the end.
//!
//! Process 1, user root, one thread, alone in its machine.

use crate::error::{End, Served, Stop, refuse};
use crate::guest::{Guest, Six, int};
use crate::machine::Base;
use crate::signals::{self, PID};
use crate::sys::host;

/// Serves what this family knows.
pub fn serve(guest: &mut Guest, nr: i64, [a, b, c, d, ..]: Six) -> Option<Served> {
    Some(match nr {
        libc::SYS_exit | libc::SYS_exit_group => Err(End::Exit(a as u8).into()),
        libc::SYS_getpid | libc::SYS_gettid | libc::SYS_set_tid_address | libc::SYS_getpgrp => Ok(PID),
        libc::SYS_getppid | libc::SYS_getuid | libc::SYS_geteuid | libc::SYS_getgid | libc::SYS_getegid => {
            Ok(0)
        }
        libc::SYS_getpgid | libc::SYS_getsid if a == 0 || a == PID => Ok(PID),
        libc::SYS_getpgid | libc::SYS_getsid => refuse(libc::ESRCH),
        libc::SYS_setpgid | libc::SYS_set_robust_list | libc::SYS_sched_yield => Ok(0),
        libc::SYS_setsid => refuse(libc::EPERM),
        libc::SYS_setuid | libc::SYS_setgid | libc::SYS_setreuid | libc::SYS_setregid => same_user(a),
        libc::SYS_setresuid | libc::SYS_setresgid => same_user(a),
        libc::SYS_getresuid | libc::SYS_getresgid => {
            [a, b, c].into_iter().try_for_each(|p| guest.memory.put(p, &[0; 4])).map(|()| 0)
        }
        libc::SYS_getgroups => Ok(0),
        libc::SYS_setgroups => refuse(libc::EPERM),
        libc::SYS_arch_prctl => arch_prctl(guest, int(a), b),
        libc::SYS_prctl => prctl(guest, int(a), b),
        libc::SYS_personality => Ok(0),
        libc::SYS_uname => uname(guest, a),
        libc::SYS_sysinfo => sysinfo(guest, a),
        libc::SYS_getrandom => getrandom(guest, a, b),
        libc::SYS_getrlimit => getrlimit(guest, a, b),
        libc::SYS_setrlimit => Ok(0),
        libc::SYS_prlimit64 if a != 0 && a != PID => refuse(libc::ESRCH),
        libc::SYS_prlimit64 if d == 0 => Ok(0),
        libc::SYS_prlimit64 => getrlimit(guest, b, d),
        libc::SYS_sched_getaffinity if b < 8 => refuse(libc::EINVAL),
        libc::SYS_sched_getaffinity => guest.memory.put(c, &1u64.to_le_bytes()).map(|()| 8),
        libc::SYS_sched_setaffinity => Ok(0),
        libc::SYS_getcpu => {
            [a, b].into_iter().try_for_each(|p| guest.memory.put_unless_null(p, &[0; 4])).map(|()| 0)
        }
        libc::SYS_getpriority => Ok(20),
        libc::SYS_setpriority => Ok(0),
        libc::SYS_futex => futex(guest, a, int(b), c, d),
        libc::SYS_rseq => refuse(libc::ENOSYS),
        _ => return signals::serve(guest, nr, [a, b, c, d, 0, 0]),
    })
}

fn same_user(id: u64) -> Served {
    if matches!(int(id), 0 | -1) { Ok(0) } else { refuse(libc::EPERM) }
}

/// arch_prctl(2) for x86-64.
fn arch_prctl(guest: &mut Guest, code: i32, address: u64) -> Served {
    const SET_GS: i32 = 0x1001;
    const SET_FS: i32 = 0x1002;
    const GET_FS: i32 = 0x1003;
    const GET_GS: i32 = 0x1004;
    match code {
        SET_FS | SET_GS if address >= 1 << 47 => refuse(libc::EPERM),
        SET_FS | SET_GS => {
            let base = if code == SET_FS { Base::Fs } else { Base::Gs };
            guest.bases[usize::from(code == SET_GS)] = address;
            guest.new_base = Some((base, address));
            Ok(0)
        }
        GET_FS | GET_GS => {
            let base = guest.bases[usize::from(code == GET_GS)];
            guest.memory.put(address, &base.to_le_bytes()).map(|()| 0)
        }
        _ => refuse(libc::EINVAL),
    }
}

fn prctl(guest: &mut Guest, option: i32, arg: u64) -> Served {
    match option {
        libc::PR_SET_NAME => {
            let mut name = guest.memory.string(arg)?;
            name.resize(15, 0);
            guest.name[..15].copy_from_slice(&name);
            Ok(0)
        }
        libc::PR_GET_NAME => guest.memory.put(arg, &guest.name).map(|()| 0),
        libc::PR_GET_DUMPABLE => Ok(1),
        libc::PR_SET_DUMPABLE
        | libc::PR_SET_NO_NEW_PRIVS
        | libc::PR_SET_PDEATHSIG
        | libc::PR_SET_THP_DISABLE => Ok(0),
        libc::PR_GET_NO_NEW_PRIVS => Ok(0),
        _ => refuse(libc::EINVAL),
    }
}

fn uname(guest: &Guest, address: u64) -> Served {
    const FIELDS: [&[u8]; 6] =
        [b"Linux", b"isomark", b"6.1.0-isomark", b"#1 isomark-vmm", b"x86_64", b"(none)"];
    let mut out = [0; 65 * 6];
    for (i, text) in FIELDS.iter().enumerate() {
        out[i * 65..][..text.len()].copy_from_slice(text);
    }
    guest.memory.put(address, &out).map(|()| 0)
}

fn sysinfo(guest: &Guest, address: u64) -> Served {
    let total = guest.memory.ram.len();
    let mapped: u64 = guest.memory.space().areas().iter().map(|a| a.end - a.start).sum();
    let uptime = host::monotonic_ns().saturating_sub(guest.started) / 1_000_000_000;
    let mut out = [0; 112];
    for (at, value) in [(0, uptime), (32, total), (40, total.saturating_sub(mapped)), (80, 1)] {
        out[at..at + 8].copy_from_slice(&u64::to_le_bytes(value));
    }
    out[104] = 1;
    guest.memory.put(address, &out).map(|()| 0)
}

/// Up to 256 bytes at a time come whole (getrandom(2)); more is cut to what one answer holds.
fn getrandom(guest: &Guest, address: u64, len: u64) -> Served {
    let mut bytes = vec![0; len.min(64 * 1024) as usize];
    host::random(&mut bytes);
    guest.memory.put(address, &bytes).map(|()| bytes.len() as u64)
}

fn getrlimit(guest: &Guest, resource: u64, address: u64) -> Served {
    let stack = guest.memory.ram.len() - guest.memory.stack_start();
    let known = |id| resource == id as u64;
    let limit = match resource {
        _ if known(libc::RLIMIT_STACK) => stack,
        _ if known(libc::RLIMIT_NOFILE) => crate::files::FD_MAX as u64,
        _ if known(libc::RLIMIT_AS) => guest.memory.ram.len(),
        _ if known(libc::RLIMIT_NPROC) => 1,
        _ if known(libc::RLIMIT_CORE) => 0,
        n if n < 16 => u64::MAX,
        _ => return refuse(libc::EINVAL),
    };
    let mut out = [0; 16];
    out[..8].copy_from_slice(&limit.to_le_bytes());
    out[8..].copy_from_slice(&limit.to_le_bytes());
    guest.memory.put_unless_null(address, &out).map(|()| 0)
}

/// One thread: waking finds nobody, and a wait that would begin can only end by its timeout.
fn futex(guest: &Guest, address: u64, op: i32, value: u64, timeout: u64) -> Served {
    match op & libc::FUTEX_CMD_MASK {
        libc::FUTEX_WAKE | libc::FUTEX_WAKE_BITSET | libc::FUTEX_REQUEUE | libc::FUTEX_CMP_REQUEUE => Ok(0),
        wait @ (libc::FUTEX_WAIT | libc::FUTEX_WAIT_BITSET) => {
            let word: [u8; 4] = guest.memory.get_array(address)?;
            if u32::from_le_bytes(word) != value as u32 {
                return refuse(libc::EAGAIN);
            }
            if timeout == 0 {
                let text = "deadlock: the program waits on a futex that only another thread could wake";
                return Err(End::Unserved(text.into()).into());
            }
            // FUTEX_WAIT_BITSET counts from the clock's start, FUTEX_WAIT from now (futex(2)).
            let since = (wait == libc::FUTEX_WAIT_BITSET).then_some(match op & libc::FUTEX_CLOCK_REALTIME {
                0 => libc::CLOCK_MONOTONIC,
                _ => libc::CLOCK_REALTIME,
            });
            super::time::pause_until(guest, timeout, since)?;
            refuse(libc::ETIMEDOUT)
        }
        _ => Err(Stop::Errno(libc::ENOSYS)),
    }
}
