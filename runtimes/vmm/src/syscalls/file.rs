//! Transfers and descriptors: read, write, lseek, dup, fcntl, ioctl, pipe.
//!
//! Vectors transfer part by part and stop at the first short one, as Linux does.

use crate::error::{Served, Stop, refuse};
use crate::files::What;
use crate::fs::Kind;
use crate::guest::{Guest, Six, int};
use crate::memory::IO_MAX;

/// Serves what this family knows.
pub fn serve(guest: &mut Guest, nr: i64, [a, b, c, d, ..]: Six) -> Option<Served> {
    let part = (b, c.min(IO_MAX));
    Some(match nr {
        libc::SYS_write => write(guest, a, part, None),
        libc::SYS_read => guest.files.read(&guest.memory, a, part, None),
        libc::SYS_pread64 => positioned(d).and_then(|at| guest.files.read(&guest.memory, a, part, at)),
        libc::SYS_pwrite64 => positioned(d).and_then(|at| write(guest, a, part, at)),
        libc::SYS_writev => vector(guest, a, (b, c), |guest, part, _| write(guest, a, part, None)),
        libc::SYS_readv => vector(guest, a, (b, c), |g, part, _| g.files.read(&g.memory, a, part, None)),
        libc::SYS_preadv => positioned(d).and_then(|at| {
            vector(guest, a, (b, c), |g, part, done| g.files.read(&g.memory, a, part, at.map(|at| at + done)))
        }),
        libc::SYS_pwritev => positioned(d).and_then(|at| {
            vector(guest, a, (b, c), |g, part, done| write(g, a, part, at.map(|at| at + done)))
        }),
        libc::SYS_lseek => lseek(guest, a, b as i64, int(c)),
        libc::SYS_close => guest.files.close(a).map(|()| 0),
        libc::SYS_dup => guest.files.dup(a, 0, None, false),
        libc::SYS_dup2 => dup2(guest, number(a), number(b)),
        libc::SYS_dup3 if number(a) == number(b) => refuse(libc::EINVAL),
        libc::SYS_dup3 => guest.files.dup(a, 0, Some(number(b)), int(c) & libc::O_CLOEXEC != 0),
        libc::SYS_fcntl => fcntl(guest, a, int(b), c),
        libc::SYS_ioctl => ioctl(guest, a, b, c),
        libc::SYS_pipe => pipe(guest, a, 0),
        libc::SYS_pipe2 => pipe(guest, a, int(b)),
        libc::SYS_fsync | libc::SYS_fdatasync | libc::SYS_syncfs => guest.files.open(a).map(|_| 0),
        libc::SYS_sync => Ok(0),
        libc::SYS_flock | libc::SYS_fadvise64 | libc::SYS_readahead => guest.files.open(a).map(|_| 0),
        libc::SYS_fallocate => fallocate(guest, a, int(b), c, d),
        libc::SYS_sendfile => sendfile(guest, a, b, c, d),
        libc::SYS_close_range => close_range(guest, number(a), number(b), int(c)),
        _ => return None,
    })
}

/// A descriptor has 32 bits, whatever stands above them.
const fn number(arg: u64) -> u64 {
    arg & 0xffff_ffff
}

fn positioned(offset: u64) -> Result<Option<u64>, Stop> {
    if offset > i64::MAX as u64 - IO_MAX { refuse(libc::EINVAL) } else { Ok(Some(offset)) }
}

fn write(guest: &mut Guest, fd: u64, part: (u64, u64), at: Option<u64>) -> Served {
    let first = guest.status.first_write();
    let written = guest.files.write(&guest.memory, fd, part, at);
    if first {
        // A pipe wakes its reader on the writer's CPU, as if the writer were about to sleep. The program goes on instead,
        // and the reader would wait for its next two exits (30 to 60 µs where one costs a dozen). Once: a program that
        // writes much shall not lose its CPU with every line.
        std::thread::yield_now();
    }
    if written == Err(Stop::Errno(libc::EPIPE)) {
        guest.signals.raise(libc::SIGPIPE);
    }
    written
}

fn vector(
    guest: &mut Guest,
    fd: u64,
    (address, count): (u64, u64),
    mut transfer: impl FnMut(&mut Guest, (u64, u64), u64) -> Served,
) -> Served {
    guest.files.open(fd)?;
    let mut total = 0;
    for (base, len) in guest.memory.vector(address, count)? {
        if len == 0 {
            continue;
        }
        match transfer(guest, (base, len), total) {
            Ok(got) => {
                total += got;
                if got < len {
                    break;
                }
            }
            Err(Stop::Errno(_)) if total > 0 => break,
            Err(stop) => return Err(stop),
        }
    }
    Ok(total)
}

fn lseek(guest: &mut Guest, fd: u64, by: i64, whence: i32) -> Served {
    let open = guest.files.open(fd)?;
    let (old, What::Node(id)) = (open.offset, open.what) else { return refuse(libc::ESPIPE) };
    let size = guest.files.fs().size(id)?;
    let is_std = matches!(guest.files.fs().node(id)?.kind, Kind::Device(crate::fs::Device::Std(_)));
    let base = match whence {
        _ if is_std => return refuse(libc::ESPIPE),
        libc::SEEK_SET => 0,
        libc::SEEK_CUR => old,
        libc::SEEK_END => size,
        libc::SEEK_DATA if (by as u64) < size => 0,
        libc::SEEK_HOLE if (by as u64) < size => return Ok(size),
        libc::SEEK_DATA | libc::SEEK_HOLE => return refuse(libc::ENXIO),
        _ => return refuse(libc::EINVAL),
    };
    let new = i64::try_from(base)
        .ok()
        .and_then(|base| base.checked_add(by))
        .and_then(|new| u64::try_from(new).ok());
    let new = new.ok_or(Stop::Errno(libc::EINVAL))?;
    let open = guest.files.open_mut(fd)?;
    open.offset = new;
    open.listed = None;
    Ok(new)
}

fn dup2(guest: &mut Guest, old: u64, new: u64) -> Served {
    if old == new {
        return guest.files.open(old).map(|_| new);
    }
    guest.files.dup(old, 0, Some(new), false)
}

fn fcntl(guest: &mut Guest, fd: u64, command: i32, arg: u64) -> Served {
    match command {
        libc::F_DUPFD => guest.files.dup(fd, number(arg), None, false),
        libc::F_DUPFD_CLOEXEC => guest.files.dup(fd, number(arg), None, true),
        libc::F_GETFD => guest.files.cloexec(fd, None).map(u64::from),
        libc::F_SETFD => guest.files.cloexec(fd, Some(arg & 1 != 0)).map(|_| 0),
        libc::F_GETFL => guest.files.open(fd).map(|open| open.flags as u64 | libc::O_LARGEFILE as u64),
        libc::F_SETFL => {
            let changeable = libc::O_APPEND | libc::O_NONBLOCK;
            let open = guest.files.open_mut(fd)?;
            open.flags = open.flags & !changeable | int(arg) & changeable;
            Ok(0)
        }
        // One process: every lock is free, and setting one always works.
        libc::F_SETLK | libc::F_SETLKW => guest.files.open(fd).map(|_| 0),
        libc::F_GETLK => {
            guest.files.open(fd)?;
            guest.memory.put(arg, &(libc::F_UNLCK as u16).to_le_bytes()).map(|()| 0)
        }
        _ => guest.files.open(fd).and_then(|_| refuse(libc::EINVAL)),
    }
}

/// Nothing here is a terminal: programs that ask learn it, whatever the host's descriptors are.
fn ioctl(guest: &mut Guest, fd: u64, request: u64, arg: u64) -> Served {
    match request as libc::Ioctl {
        libc::FIONREAD => {
            let waiting = guest.files.waiting(fd)? as u32;
            guest.memory.put(arg, &waiting.to_le_bytes()).map(|()| 0)
        }
        libc::FIOCLEX => guest.files.cloexec(fd, Some(true)).map(|_| 0),
        libc::FIONCLEX => guest.files.cloexec(fd, Some(false)).map(|_| 0),
        libc::FIONBIO => {
            let on = guest.memory.get_array::<4>(arg)? != [0; 4];
            let open = guest.files.open_mut(fd)?;
            open.flags = if on { open.flags | libc::O_NONBLOCK } else { open.flags & !libc::O_NONBLOCK };
            Ok(0)
        }
        _ => guest.files.open(fd).and_then(|_| refuse(libc::ENOTTY)),
    }
}

fn pipe(guest: &mut Guest, address: u64, flags: i32) -> Served {
    guest.memory.check(address, 8, crate::space::WRITE)?;
    let (out, into) = guest.files.pipe(flags)?;
    guest.memory.put(address, &(into << 32 | out).to_le_bytes()).map(|()| 0)
}

fn fallocate(guest: &mut Guest, fd: u64, mode: i32, offset: u64, len: u64) -> Served {
    let id = guest.files.node(fd)?;
    if mode & !libc::FALLOC_FL_KEEP_SIZE != 0 {
        return refuse(libc::EOPNOTSUPP);
    }
    let end = offset.checked_add(len).filter(|_| len > 0).ok_or(Stop::Errno(libc::EINVAL))?;
    if mode == 0 && end > guest.files.fs().size(id)? {
        guest.files.fs().resize(id, end)?;
    }
    Ok(0)
}

/// Not served: EINVAL is the answer that leads to a copy loop.
fn sendfile(guest: &mut Guest, out: u64, from: u64, offset: u64, count: u64) -> Served {
    // EINVAL is what Linux answers where it cannot splice, and every program falls back to read and write then.
    guest
        .files
        .open(out)
        .and(guest.files.open(from))
        .map(|_| (offset, count))
        .and_then(|_| refuse(libc::EINVAL))
}

fn close_range(guest: &mut Guest, first: u64, last: u64, flags: i32) -> Served {
    let last = last.min(crate::files::FD_MAX as u64);
    if first > last || flags & !(libc::CLOSE_RANGE_CLOEXEC as i32) != 0 {
        return refuse(libc::EINVAL);
    }
    for fd in first..=last {
        let _ =
            if flags == 0 { guest.files.close(fd) } else { guest.files.cloexec(fd, Some(true)).map(|_| ()) };
    }
    Ok(0)
}
