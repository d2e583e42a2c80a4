//! What files are: stat, statx, statfs, access, chmod, chown, truncate, times.
//!
//! The user is root and alone: questions of permission have one answer, kept honest for the execute bit.

use crate::error::{Served, Stop, refuse};
use crate::files::What;
use crate::fs::stat::Stat;
use crate::fs::{Kind, NodeId, Time, now};
use crate::guest::{Guest, Six, int};
use crate::memory::word;

use super::dir::walk;

const CWD: u64 = libc::AT_FDCWD as u32 as u64;

/// Serves what this family knows.
pub fn serve(guest: &mut Guest, nr: i64, [a, b, c, d, e, _]: Six) -> Option<Served> {
    Some(match nr {
        libc::SYS_fstat => of_open(guest, a).and_then(|stat| guest.memory.put(b, &stat.encode())).map(|()| 0),
        libc::SYS_stat => put_stat(guest, (CWD, a), b, 0),
        libc::SYS_lstat => put_stat(guest, (CWD, a), b, libc::AT_SYMLINK_NOFOLLOW),
        libc::SYS_newfstatat => put_stat(guest, (a, b), c, int(d)),
        libc::SYS_statx => of_path(guest, (a, b), int(c))
            .and_then(|stat| guest.memory.put(e, &stat.encode_statx()))
            .map(|()| 0),
        libc::SYS_statfs => {
            walk(guest, (CWD, a), true).and_then(|f| f.existing()).and_then(|_| statfs(guest, b))
        }
        libc::SYS_fstatfs => guest.files.open(a).map(|_| ()).and_then(|()| statfs(guest, b)),
        libc::SYS_access => access(guest, (CWD, a), int(b), 0),
        libc::SYS_faccessat => access(guest, (a, b), int(c), 0),
        libc::SYS_faccessat2 => access(guest, (a, b), int(c), int(d)),
        libc::SYS_chmod => node_at(guest, (CWD, a), 0).and_then(|id| chmod(guest, id, b)),
        libc::SYS_fchmod => guest.files.node(a).and_then(|id| chmod(guest, id, b)),
        libc::SYS_fchmodat => node_at(guest, (a, b), 0).and_then(|id| chmod(guest, id, c)),
        libc::SYS_chown => node_at(guest, (CWD, a), 0).and_then(|id| chown(guest, id, b, c)),
        libc::SYS_lchown => {
            node_at(guest, (CWD, a), libc::AT_SYMLINK_NOFOLLOW).and_then(|id| chown(guest, id, b, c))
        }
        libc::SYS_fchown => guest.files.node(a).and_then(|id| chown(guest, id, b, c)),
        libc::SYS_fchownat => node_at(guest, (a, b), int(e)).and_then(|id| chown(guest, id, c, d)),
        libc::SYS_truncate => node_at(guest, (CWD, a), 0).and_then(|id| truncate(guest, id, b)),
        libc::SYS_ftruncate => ftruncate(guest, a, b),
        libc::SYS_utimensat => utimens(guest, (a, b), c, int(d)),
        libc::SYS_utimes => utimes(guest, (CWD, a), b, 16),
        libc::SYS_futimesat => utimes(guest, (a, b), c, 16),
        libc::SYS_utime => utimes(guest, (CWD, a), b, 8),
        libc::SYS_setxattr | libc::SYS_lsetxattr | libc::SYS_fsetxattr => refuse(libc::EOPNOTSUPP),
        libc::SYS_getxattr | libc::SYS_lgetxattr | libc::SYS_fgetxattr => refuse(libc::EOPNOTSUPP),
        libc::SYS_listxattr | libc::SYS_llistxattr | libc::SYS_flistxattr => Ok(0),
        _ => return None,
    })
}

fn of_open(guest: &mut Guest, fd: u64) -> Result<Stat, Stop> {
    match guest.files.open(fd)?.what {
        What::Node(id) => of_node(guest, id),
        What::Std(n) => Ok(Stat::pipe((1 << 32) + n as u64)),
        What::PipeOut(n) | What::PipeIn(n) => Ok(Stat::pipe((2 << 32) + n as u64)),
    }
}

fn of_node(guest: &mut Guest, id: NodeId) -> Result<Stat, Stop> {
    guest.files.fs().node(id).map(|node| Stat::of(id, node))
}

/// The node of a path, or of the descriptor itself with AT_EMPTY_PATH.
fn node_at(guest: &mut Guest, (at, path): (u64, u64), flags: i32) -> Result<NodeId, Stop> {
    if flags & libc::AT_EMPTY_PATH != 0 && is_empty(guest, path)? {
        return if int(at) == libc::AT_FDCWD { Ok(guest.files.cwd()) } else { guest.files.node(at) };
    }
    walk(guest, (at, path), flags & libc::AT_SYMLINK_NOFOLLOW == 0)?.existing()
}

fn is_empty(guest: &Guest, path: u64) -> Result<bool, Stop> {
    Ok(path == 0 || guest.memory.get_array::<1>(path)? == [0])
}

fn of_path(guest: &mut Guest, (at, path): (u64, u64), flags: i32) -> Result<Stat, Stop> {
    let by_number = flags & libc::AT_EMPTY_PATH != 0 && int(at) != libc::AT_FDCWD;
    if by_number && is_empty(guest, path)? {
        return of_open(guest, at);
    }
    let id = node_at(guest, (at, path), flags)?;
    of_node(guest, id)
}

fn put_stat(guest: &mut Guest, path: (u64, u64), buffer: u64, flags: i32) -> Served {
    let stat = of_path(guest, path, flags)?;
    guest.memory.put(buffer, &stat.encode()).map(|()| 0)
}

fn statfs(guest: &mut Guest, buffer: u64) -> Served {
    const TMPFS_MAGIC: u64 = 0x0102_1994;
    let (used, limit) = guest.files.fs().usage();
    let free = (limit - used) / 4096;
    let words = [TMPFS_MAGIC, 4096, limit / 4096, free, free, 65_536, 65_536, 0, 255, 4096, 0, 0, 0, 0, 0];
    let bytes: Vec<u8> = words.iter().flat_map(|word: &u64| word.to_le_bytes()).collect();
    guest.memory.put(buffer, &bytes).map(|()| 0)
}

/// Root may read and write everything, and execute what has any execute bit (access(2)).
fn access(guest: &mut Guest, path: (u64, u64), mode: i32, flags: i32) -> Served {
    let id = node_at(guest, path, flags)?;
    let node = guest.files.fs().node(id)?;
    let executable = matches!(node.kind, Kind::Dir { .. }) || node.mode & 0o111 != 0;
    if mode & libc::X_OK != 0 && !executable { refuse(libc::EACCES) } else { Ok(0) }
}

fn chmod(guest: &mut Guest, id: NodeId, mode: u64) -> Served {
    let node = guest.files.fs().node_mut(id)?;
    node.mode = mode as u32 & 0o7777;
    node.times[2] = now();
    Ok(0)
}

fn chown(guest: &mut Guest, id: NodeId, user: u64, group: u64) -> Served {
    let node = guest.files.fs().node_mut(id)?;
    let keep = |new: u64, old: u32| if int(new) == -1 { old } else { new as u32 };
    node.owner = (keep(user, node.owner.0), keep(group, node.owner.1));
    node.times[2] = now();
    Ok(0)
}

fn truncate(guest: &mut Guest, id: NodeId, len: u64) -> Served {
    if len > i64::MAX as u64 {
        return refuse(libc::EINVAL);
    }
    guest.files.fs().resize(id, len).map(|()| 0)
}

fn ftruncate(guest: &mut Guest, fd: u64, len: u64) -> Served {
    let id = guest.files.node(fd)?;
    if guest.files.open(fd)?.flags & libc::O_ACCMODE == libc::O_RDONLY {
        return refuse(libc::EINVAL);
    }
    truncate(guest, id, len)
}

fn set_times(guest: &mut Guest, id: NodeId, access: Option<Time>, modify: Option<Time>) -> Served {
    let node = guest.files.fs().node_mut(id)?;
    node.times[0] = access.unwrap_or(node.times[0]);
    node.times[1] = modify.unwrap_or(node.times[1]);
    node.times[2] = now();
    Ok(0)
}

fn utimens(guest: &mut Guest, (at, path): (u64, u64), times: u64, flags: i32) -> Served {
    let id = if path == 0 { guest.files.node(at)? } else { node_at(guest, (at, path), flags)? };
    if times == 0 {
        let now = now();
        return set_times(guest, id, Some(now), Some(now));
    }
    let raw: [u8; 32] = guest.memory.get_array(times)?;
    let one = |at: usize| match word(&raw, at + 8) as i64 {
        libc::UTIME_NOW => Ok(Some(now())),
        libc::UTIME_OMIT => Ok(None),
        nanos @ 0..=999_999_999 => Ok(Some((word(&raw, at) as i64, nanos))),
        _ => refuse(libc::EINVAL),
    };
    let (access, modify) = (one(0)?, one(16)?);
    set_times(guest, id, access, modify)
}

/// The older calls: two times of `size` bytes each, whole seconds or with microseconds.
fn utimes(guest: &mut Guest, path: (u64, u64), times: u64, size: usize) -> Served {
    let id = node_at(guest, path, 0)?;
    if times == 0 {
        let now = now();
        return set_times(guest, id, Some(now), Some(now));
    }
    let mut raw = [0; 32];
    guest.memory.get(times, &mut raw[..2 * size])?;
    let micros =
        |at: usize| if size == 16 { (word(&raw, at + 8) as i64).clamp(0, 999_999) * 1000 } else { 0 };
    let one = |at: usize| Some((word(&raw, at) as i64, micros(at)));
    let (access, modify) = (one(0), one(size));
    set_times(guest, id, access, modify)
}
