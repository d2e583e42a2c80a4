//! Clocks, sleeping and CPU time.
//!
//! The guest's clocks are the host's: there is no vDSO, so each reading is a system call.

use crate::error::{End, Served, Stop, refuse};
use crate::guest::{Guest, Six, int};
use crate::memory::word;
use crate::sys::host;

/// Serves what this family knows.
pub fn serve(guest: &mut Guest, nr: i64, [a, b, c, d, ..]: Six) -> Option<Served> {
    Some(match nr {
        libc::SYS_clock_gettime => gettime(a).and_then(|now| guest.memory.put(b, &pair(now))).map(|()| 0),
        libc::SYS_clock_getres => {
            gettime(a).and_then(|_| guest.memory.put_unless_null(b, &pair((0, 1)))).map(|()| 0)
        }
        libc::SYS_gettimeofday => gettimeofday(guest, a, b),
        libc::SYS_time => time(guest, a),
        libc::SYS_nanosleep => nanosleep(guest, a, b),
        libc::SYS_clock_nanosleep => clock_nanosleep(guest, a, int(b), c, d),
        libc::SYS_clock_settime | libc::SYS_settimeofday | libc::SYS_adjtimex => refuse(libc::EPERM),
        libc::SYS_times => times(guest, a),
        libc::SYS_getrusage => getrusage(guest, b),
        _ => return None,
    })
}

fn pair((seconds, fraction): (i64, i64)) -> [u8; 16] {
    let mut out = [0; 16];
    out[..8].copy_from_slice(&seconds.to_le_bytes());
    out[8..].copy_from_slice(&fraction.to_le_bytes());
    out
}

/// Only the fixed clocks: numbers below zero name clocks of processes, and there is only this one.
fn gettime(id: u64) -> Result<(i64, i64), Stop> {
    match int(id) {
        id @ 0..=11 => host::clock(id).ok_or(Stop::Errno(libc::EINVAL)),
        _ => refuse(libc::EINVAL),
    }
}

fn gettimeofday(guest: &Guest, time: u64, zone: u64) -> Served {
    let (seconds, nanos) = gettime(libc::CLOCK_REALTIME as u64)?;
    guest.memory.put_unless_null(time, &pair((seconds, nanos / 1000)))?;
    guest.memory.put_unless_null(zone, &[0; 8])?;
    Ok(0)
}

fn time(guest: &Guest, address: u64) -> Served {
    let (seconds, _) = gettime(libc::CLOCK_REALTIME as u64)?;
    guest.memory.put_unless_null(address, &seconds.to_le_bytes())?;
    Ok(seconds as u64)
}

fn duration(guest: &Guest, address: u64) -> Result<u64, Stop> {
    let raw: [u8; 16] = guest.memory.get_array(address)?;
    let (seconds, nanos) = (word(&raw, 0) as i64, word(&raw, 8) as i64);
    if seconds < 0 || !(0..1_000_000_000).contains(&nanos) {
        return refuse(libc::EINVAL);
    }
    Ok((seconds as u64).saturating_mul(1_000_000_000).saturating_add(nanos as u64))
}

/// Sleeps `nanos` through every signal but the deadline's.
///
/// # Errors
/// The end of the program at its deadline.
pub fn pause(nanos: u64) -> Result<(), Stop> {
    let mut left = nanos;
    while let Err(rest) = host::sleep(left) {
        if host::expired() {
            return Err(End::Fault("deadline".into()).into());
        }
        left = rest;
    }
    Ok(())
}

fn nanosleep(guest: &Guest, wanted: u64, left: u64) -> Served {
    pause(duration(guest, wanted)?)?;
    guest.memory.put_unless_null(left, &[0; 16]).map(|()| 0)
}

/// Sleeps as long as the timespec at `wanted` says: from now, or until it on the clock `since`.
///
/// # Errors
/// EFAULT or EINVAL for the timespec; the end of the program at its deadline.
pub fn pause_until(guest: &Guest, wanted: u64, since: Option<libc::clockid_t>) -> Result<(), Stop> {
    let wanted = duration(guest, wanted)?;
    let (seconds, nanos) = since.map_or(Ok((0, 0)), |id| gettime(id as u64))?;
    pause(wanted.saturating_sub((seconds as u64).saturating_mul(1_000_000_000).saturating_add(nanos as u64)))
}

fn clock_nanosleep(guest: &Guest, id: u64, flags: i32, wanted: u64, left: u64) -> Served {
    gettime(id)?;
    let absolute = flags & libc::TIMER_ABSTIME != 0;
    pause_until(guest, wanted, absolute.then_some(int(id)))?;
    if !absolute {
        guest.memory.put_unless_null(left, &[0; 16])?;
    }
    Ok(0)
}

/// Ticks of a hundredth of a second, as AT_CLKTCK says.
fn times(guest: &Guest, address: u64) -> Served {
    let ticks = host::cpu_time().map(|(seconds, micros)| seconds * 100 + micros / 10_000);
    let words = [ticks[0], ticks[1], 0, 0];
    let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    guest.memory.put_unless_null(address, &bytes)?;
    Ok(host::monotonic_ns() / 10_000_000)
}

fn getrusage(guest: &Guest, address: u64) -> Served {
    let mut out = [0; 144];
    for (i, time) in host::cpu_time().into_iter().enumerate() {
        out[i * 16..][..16].copy_from_slice(&pair(time));
    }
    guest.memory.put(address, &out).map(|()| 0)
}
