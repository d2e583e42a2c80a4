//! Paths: open, mkdir, unlink, rename, links, readlink, getdents, the current directory.
//!
//! The calls without `at` are the calls with it, from the current directory.

use crate::error::{Served, Stop, refuse};
use crate::files::What;
use crate::fs::path::Found;
use crate::fs::{Fs, Kind, NodeId, stat};
use crate::guest::{Guest, Six, int};

const CWD: u64 = libc::AT_FDCWD as u32 as u64;

/// Serves what this family knows.
pub fn serve(guest: &mut Guest, nr: i64, [a, b, c, d, e, _]: Six) -> Option<Served> {
    Some(match nr {
        libc::SYS_open => open(guest, (CWD, a), int(b), c),
        libc::SYS_creat => open(guest, (CWD, a), libc::O_CREAT | libc::O_WRONLY | libc::O_TRUNC, b),
        libc::SYS_openat => open(guest, (a, b), int(c), d),
        libc::SYS_mkdir => mkdir(guest, (CWD, a), b),
        libc::SYS_mkdirat => mkdir(guest, (a, b), c),
        libc::SYS_mknod => mknod(guest, (CWD, a), b),
        libc::SYS_mknodat => mknod(guest, (a, b), c),
        libc::SYS_unlink => unlink(guest, (CWD, a), false),
        libc::SYS_rmdir => unlink(guest, (CWD, a), true),
        libc::SYS_unlinkat => unlink(guest, (a, b), int(c) & libc::AT_REMOVEDIR != 0),
        libc::SYS_rename => rename(guest, (CWD, a), (CWD, b), 0),
        libc::SYS_renameat => rename(guest, (a, b), (c, d), 0),
        libc::SYS_renameat2 => rename(guest, (a, b), (c, d), e),
        libc::SYS_symlink => symlink(guest, a, (CWD, b)),
        libc::SYS_symlinkat => symlink(guest, a, (b, c)),
        libc::SYS_link => link(guest, (CWD, a), (CWD, b), 0),
        libc::SYS_linkat => link(guest, (a, b), (c, d), int(e)),
        libc::SYS_readlink => readlink(guest, (CWD, a), b, c),
        libc::SYS_readlinkat => readlink(guest, (a, b), c, d),
        libc::SYS_getdents64 => getdents(guest, a, b, c),
        libc::SYS_getcwd => getcwd(guest, a, b),
        libc::SYS_chdir => walk(guest, (CWD, a), true).and_then(|found| chdir(guest, found.existing()?)),
        libc::SYS_fchdir => guest.files.node(a).or(refuse(libc::ENOTDIR)).and_then(|id| chdir(guest, id)),
        libc::SYS_umask => {
            let old = guest.files.umask;
            guest.files.umask = a as u32 & 0o777;
            Ok(old.into())
        }
        _ => return None,
    })
}

/// The directory that a relative path starts from.
fn base(guest: &mut Guest, at: u64, path: &[u8]) -> Result<NodeId, Stop> {
    if path.starts_with(b"/") {
        return Ok(crate::fs::ROOT);
    }
    if int(at) == libc::AT_FDCWD {
        return Ok(guest.files.cwd());
    }
    let id = guest
        .files
        .node(at)
        .map_err(|stop| if stop == Stop::Errno(libc::EINVAL) { Stop::Errno(libc::ENOTDIR) } else { stop })?;
    guest.files.fs().entries(id)?;
    Ok(id)
}

/// Walks a path of the program.
///
/// # Errors
/// Those of [`Fs::walk`], EFAULT, EBADF.
pub fn walk(guest: &mut Guest, (at, path): (u64, u64), follow: bool) -> Result<Found, Stop> {
    let path = guest.memory.string(path)?;
    let base = base(guest, at, &path)?;
    guest.files.fs().walk(base, &path, follow)
}

fn open(guest: &mut Guest, path: (u64, u64), flags: i32, mode: u64) -> Served {
    let create = flags & libc::O_CREAT != 0;
    let exclusive = create && flags & libc::O_EXCL != 0;
    let found = walk(guest, path, flags & libc::O_NOFOLLOW == 0 && !exclusive)?;
    let writes = flags & libc::O_ACCMODE != libc::O_RDONLY;
    if flags & libc::O_TMPFILE == libc::O_TMPFILE {
        return refuse(libc::EOPNOTSUPP);
    }
    let id = match found.node {
        Some(_) if exclusive => return refuse(libc::EEXIST),
        Some(id) => id,
        None if !create => return refuse(libc::ENOENT),
        None if found.slash => return refuse(libc::EISDIR),
        None => {
            let mode = mode as u32 & !guest.files.umask;
            guest.files.fs().create(found.dir, &found.name, Kind::File(Vec::new()), mode)?
        }
    };
    match &guest.files.fs().node(id)?.kind {
        Kind::Dir { .. } if writes || create => return refuse(libc::EISDIR),
        Kind::Link(_) if flags & libc::O_PATH == 0 => return refuse(libc::ELOOP),
        Kind::Dir { .. } => {}
        _ if flags & libc::O_DIRECTORY != 0 => return refuse(libc::ENOTDIR),
        Kind::File(data) if flags & libc::O_TRUNC != 0 && !data.is_empty() => {
            guest.files.fs().resize(id, 0)?;
        }
        _ => {}
    }
    guest.files.install(What::Node(id), flags)
}

fn mkdir(guest: &mut Guest, path: (u64, u64), mode: u64) -> Served {
    let found = walk(guest, path, false)?;
    let mode = mode as u32 & !guest.files.umask;
    guest.files.fs().create(found.dir, &found.name, Fs::directory(found.dir), mode).map(|_| 0)
}

/// Regular files only: devices and named pipes have no use in a world of one process.
fn mknod(guest: &mut Guest, path: (u64, u64), mode: u64) -> Served {
    let kind = mode as u32 & libc::S_IFMT;
    if kind != 0 && kind != libc::S_IFREG {
        return refuse(libc::EPERM);
    }
    let found = walk(guest, path, false)?;
    let mode = mode as u32 & !guest.files.umask;
    guest.files.fs().create(found.dir, &found.name, Kind::File(Vec::new()), mode).map(|_| 0)
}

fn unlink(guest: &mut Guest, path: (u64, u64), dir: bool) -> Served {
    let found = walk(guest, path, false)?;
    found.existing()?;
    if found.name.is_empty() {
        return refuse(if dir { libc::EBUSY } else { libc::EISDIR });
    }
    guest.files.fs().unlink(found.dir, &found.name, dir).map(|()| 0)
}

fn rename(guest: &mut Guest, from: (u64, u64), to: (u64, u64), flags: u64) -> Served {
    if flags & !u64::from(libc::RENAME_NOREPLACE) != 0 {
        return refuse(libc::EINVAL);
    }
    let (from, to) = (walk(guest, from, false)?, walk(guest, to, false)?);
    from.existing()?;
    if from.name.is_empty() || to.name.is_empty() {
        return refuse(libc::EBUSY);
    }
    guest.files.fs().rename((from.dir, &from.name), (to.dir, &to.name), flags == 0).map(|()| 0)
}

fn symlink(guest: &mut Guest, target: u64, path: (u64, u64)) -> Served {
    let target = guest.memory.string(target)?;
    if target.is_empty() {
        return refuse(libc::ENOENT);
    }
    let found = walk(guest, path, false)?;
    guest.files.fs().create(found.dir, &found.name, Kind::Link(target), 0o777).map(|_| 0)
}

fn link(guest: &mut Guest, old: (u64, u64), new: (u64, u64), flags: i32) -> Served {
    let id = walk(guest, old, flags & libc::AT_SYMLINK_FOLLOW != 0)?.existing()?;
    let found = walk(guest, new, false)?;
    guest.files.fs().link(id, found.dir, &found.name).map(|()| 0)
}

fn readlink(guest: &mut Guest, path: (u64, u64), buffer: u64, len: u64) -> Served {
    let id = walk(guest, path, false)?.existing()?;
    let Kind::Link(target) = &guest.files.fs().node(id)?.kind else { return refuse(libc::EINVAL) };
    let target = target.clone();
    let len = target.len().min(usize::try_from(int(len)).unwrap_or(0));
    if len == 0 {
        return refuse(libc::EINVAL);
    }
    guest.memory.put(buffer, &target[..len]).map(|()| len as u64)
}

/// Entries in name order after the last one given; what changes in between is seen or not, as POSIX allows.
fn getdents(guest: &mut Guest, fd: u64, buffer: u64, len: u64) -> Served {
    let id = guest.files.node(fd).or(refuse(libc::ENOTDIR))?;
    let open = guest.files.open(fd)?;
    let (mut offset, mut listed) = (open.offset, open.listed.clone());
    let limit = len.min(32 * 1024) as usize;
    let fs = guest.files.fs();
    let (entries, parent) = (fs.entries(id)?, fs.parent(id)?);
    let mut out = Vec::with_capacity(limit.min(4096));
    let mut full = false;
    let mut add = |next: u64, node: NodeId, kind: u8, name: &[u8]| {
        let record = stat::dirent(node as u64 + 1, next, kind, name);
        full = full || out.len() + record.len() > limit;
        if !full {
            out.extend_from_slice(&record);
        }
        !full
    };
    if offset == 0 && add(1, id, libc::DT_DIR, b".") {
        offset = 1;
    }
    if offset == 1 && add(2, parent, libc::DT_DIR, b"..") {
        offset = 2;
    }
    let after = listed.clone().map_or(std::ops::Bound::Unbounded, std::ops::Bound::Excluded);
    if offset >= 2 {
        for (name, &node) in entries.range::<Vec<u8>, _>((after, std::ops::Bound::Unbounded)) {
            let kind = fs.node(node).map_or(libc::DT_UNKNOWN, |n| stat::kind_bits(&n.kind));
            if !add(offset + 1, node, kind, name) {
                break;
            }
            offset += 1;
            listed = Some(name.clone());
        }
    }
    if out.is_empty() && full {
        return refuse(libc::EINVAL);
    }
    guest.memory.put(buffer, &out)?;
    let open = guest.files.open_mut(fd)?;
    open.offset = offset;
    open.listed = listed;
    Ok(out.len() as u64)
}

fn getcwd(guest: &mut Guest, buffer: u64, len: u64) -> Served {
    let cwd = guest.files.cwd();
    let mut path = guest.files.fs().path_of(cwd)?;
    path.push(0);
    if path.len() as u64 > len {
        return refuse(libc::ERANGE);
    }
    guest.memory.put(buffer, &path).map(|()| path.len() as u64)
}

fn chdir(guest: &mut Guest, id: NodeId) -> Served {
    guest.files.fs().entries(id)?;
    guest.files.stand_in(id)?;
    Ok(0)
}
