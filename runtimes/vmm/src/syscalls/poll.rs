//! Waiting for descriptors: poll, ppoll, select, pselect6.
//!
//! Only descriptors 0 to 2 can make the program wait for somebody else; waiting for its own pipes without a timeout
//! is a deadlock and ends in words.

use crate::error::{End, Served, Stop, refuse};
use crate::files::{FD_MAX, What};
use crate::guest::{Guest, Six, int};
use crate::memory::word;
use crate::sys::host;

/// Serves what this family knows.
pub fn serve(guest: &mut Guest, nr: i64, [a, b, c, d, e, _]: Six) -> Option<Served> {
    Some(match nr {
        libc::SYS_poll => poll(guest, a, b, i64::from(int(c))),
        libc::SYS_ppoll => timeout(guest, c, 1_000_000).and_then(|ms| poll(guest, a, b, ms)),
        libc::SYS_select => timeout(guest, e, 1000).and_then(|ms| select(guest, a, [b, c, d], ms)),
        libc::SYS_pselect6 => timeout(guest, e, 1_000_000).and_then(|ms| select(guest, a, [b, c, d], ms)),
        _ => return None,
    })
}

/// A timespec or timeval as milliseconds, rounded up; -1 for none. `per` is how many of its fractions are one ms.
fn timeout(guest: &Guest, address: u64, per: i64) -> Result<i64, Stop> {
    if address == 0 {
        return Ok(-1);
    }
    let raw: [u8; 16] = guest.memory.get_array(address)?;
    let (seconds, fraction) = (word(&raw, 0) as i64, word(&raw, 8) as i64);
    if seconds < 0 || !(0..per * 1000).contains(&fraction) {
        return refuse(libc::EINVAL);
    }
    Ok(seconds.saturating_mul(1000).saturating_add((fraction + per - 1) / per))
}

fn poll(guest: &mut Guest, address: u64, count: u64, millis: i64) -> Served {
    if count > FD_MAX as u64 {
        return refuse(libc::EINVAL);
    }
    let mut raw = vec![0; count as usize * 8];
    guest.memory.get(address, &mut raw)?;
    let mut fds: Vec<_> = raw
        .chunks_exact(8)
        .map(|entry| word(entry, 0))
        .map(|entry| libc::pollfd { fd: int(entry), events: (entry >> 32) as i16, revents: 0 })
        .collect();
    let ready = wait(guest, &mut fds, millis)?;
    for (i, fd) in fds.iter().enumerate() {
        guest.memory.put(address + i as u64 * 8 + 6, &fd.revents.to_le_bytes())?;
    }
    Ok(ready)
}

/// Fills in what is ready; waits on the host only if nothing of the program's own is.
fn wait(guest: &Guest, fds: &mut [libc::pollfd], millis: i64) -> Served {
    let mut theirs = Vec::new();
    let mut ready = 0;
    for (i, entry) in fds.iter_mut().enumerate() {
        let Ok(fd) = u64::try_from(entry.fd) else { continue };
        entry.revents = match guest.files.open(fd).map(|open| open.what) {
            Err(_) => libc::POLLNVAL,
            Ok(What::Std(n)) => {
                theirs.push((i, libc::pollfd { fd: n, events: entry.events, revents: 0 }));
                0
            }
            Ok(_) => guest.files.ready(fd)? & (entry.events | libc::POLLERR | libc::POLLHUP),
        };
        ready += u64::from(entry.revents != 0);
    }
    if theirs.is_empty() && ready == 0 {
        return match millis {
            0 => Ok(0),
            ms if ms < 0 => {
                Err(End::Unserved("deadlock: the program polls descriptors that only it can change".into())
                    .into())
            }
            ms => super::time::pause((ms as u64).saturating_mul(1_000_000)).map(|()| 0),
        };
    }
    let mut asked: Vec<_> = theirs.iter().map(|(_, fd)| *fd).collect();
    let millis = if ready > 0 { 0 } else { i32::try_from(millis).unwrap_or(i32::MAX) };
    host_poll(&mut asked, millis)?;
    for ((i, _), answer) in theirs.iter().zip(&asked) {
        fds[*i].revents = answer.revents;
        ready += u64::from(answer.revents != 0);
    }
    Ok(ready)
}

fn host_poll(fds: &mut [libc::pollfd], millis: i32) -> Result<(), Stop> {
    loop {
        match host::poll(fds, millis) {
            Ok(_) => return Ok(()),
            Err(libc::EINTR) if host::expired() => return Err(End::Fault("deadline".into()).into()),
            Err(libc::EINTR) => {}
            Err(errno) => return refuse(errno),
        }
    }
}

fn select(guest: &mut Guest, count: u64, sets: [u64; 3], millis: i64) -> Served {
    const EVENTS: [i16; 3] = [libc::POLLIN, libc::POLLOUT, libc::POLLPRI];
    let count = usize::try_from(int(count)).ok().filter(|&n| n <= FD_MAX).ok_or(Stop::Errno(libc::EINVAL))?;
    let bytes = count.div_ceil(64) * 8;
    let mut asked = Vec::new();
    for (set, events) in sets.iter().zip(EVENTS) {
        let mut bits = vec![0; bytes];
        if *set != 0 {
            guest.memory.get(*set, &mut bits)?;
        }
        let wanted = (0..count).filter(|fd| bits[fd / 8] >> (fd % 8) & 1 != 0);
        asked.extend(wanted.map(|fd| libc::pollfd { fd: fd as i32, events, revents: 0 }));
    }
    if asked.iter().any(|fd| guest.files.open(fd.fd as u64).is_err()) {
        return refuse(libc::EBADF);
    }
    wait(guest, &mut asked, millis)?;
    let mut ready = 0;
    for (set, events) in sets.iter().zip(EVENTS) {
        let mut bits = vec![0u8; bytes];
        let hangup = if events == libc::POLLIN { libc::POLLHUP | libc::POLLERR } else { libc::POLLERR };
        for fd in asked.iter().filter(|fd| fd.events == events && fd.revents & (events | hangup) != 0) {
            bits[fd.fd as usize / 8] |= 1 << (fd.fd % 8);
            ready += 1;
        }
        guest.memory.put_unless_null(*set, &bits)?;
    }
    Ok(ready)
}
