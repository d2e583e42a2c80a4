//! What an instance occupies: memory in every accounting mode side by side, and disk.
//!
//! Reads `/proc`, cgroup files and `stat(2)` only; nothing here is in a timed region. Virtual size is never read.

use std::collections::BTreeSet;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::error::Error;
use crate::runtime::{Anatomy, Role};

/// Memory of one instance in bytes, by accounting mode.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// Private pages of its processes (clean and dirty).
    pub uss: u64,
    /// Private pages plus its share of shared ones (`smaps_rollup`, proc(5)).
    pub pss: u64,
    /// Resident pages, shared ones counted in full. A sanity bound only.
    pub rss: u64,
    /// What its memory controller charges it with, page cache and kernel memory included.
    pub cgroup: Option<u64>,
    /// Guest RAM that is resident on the host.
    pub guest_ram: Option<u64>,
    /// PSS of the processes that exist for this instance beside its program: shim, monitor, client.
    pub helpers: Option<u64>,
    /// PSS of processes that all instances share, which none of the other figures contains: a fixed cost.
    pub daemon: Option<u64>,
    /// PSS of a virtual machine beyond its guest's RAM.
    pub vmm: Option<u64>,
}

/// Reads all modes for a running instance.
///
/// # Errors
/// If a process has gone or its maps cannot be read.
pub fn memory(anatomy: &Anatomy) -> Result<Memory, Error> {
    let mut sum = Memory::default();
    for (pid, role) in &anatomy.processes {
        let path = format!("/proc/{pid}/smaps_rollup");
        let text = fs::read_to_string(&path).map_err(|e| Error::os(format!("read {path}"), e))?;
        // A process that has just ended has an empty file: that is a failure and not an instance without memory.
        let need = |name: &str| field(&text, name).ok_or_else(|| lacking(&path, name));
        let pss = need("Pss:")?;
        match role {
            Role::Daemon => {
                *sum.daemon.get_or_insert(0) += pss;
                continue;
            }
            Role::Helper => *sum.helpers.get_or_insert(0) += pss,
            Role::Program => {}
        }
        sum.uss += need("Private_Clean:")? + need("Private_Dirty:")?;
        sum.pss += pss;
        sum.rss += need("Rss:")?;
    }
    sum.cgroup = anatomy.cgroup.as_deref().and_then(charged);
    if let (Some(range), Some((pid, _))) = (anatomy.guest_ram, anatomy.processes.first()) {
        let (rss, pss) = mapped(*pid, range)?;
        sum.guest_ram = Some(rss);
        sum.vmm = Some(sum.pss.saturating_sub(pss));
    }
    Ok(sum)
}

fn lacking(path: &str, name: &str) -> Error {
    Error::os(format!("read {name} in {path}"), std::io::Error::from(ErrorKind::NotFound))
}

/// CPU time that the instance's processes have used so far, in ns (`/proc/PID/task/*/schedstat`), with that of its
/// processes that have ended; `None` where the kernel
/// does not tell, or a process has gone.
#[must_use]
pub fn cpu_ns(anatomy: &Anatomy) -> Option<u64> {
    let own = anatomy.processes.iter().filter(|(_, role)| *role != Role::Daemon);
    let running = own.map(|(pid, _)| process_cpu_ns(*pid)).sum::<Option<u64>>()?;
    Some(running + anatomy.spent_ns)
}

/// The same of one process; `None` if it has gone.
#[must_use]
pub fn process_cpu_ns(pid: i32) -> Option<u64> {
    let task = |entry: std::io::Result<fs::DirEntry>| {
        let text = fs::read_to_string(entry.ok()?.path().join("schedstat")).ok()?;
        text.split(' ').next()?.parse::<u64>().ok()
    };
    fs::read_dir(format!("/proc/{pid}/task")).ok()?.map(task).sum()
}

/// How many processes the host's kernel has killed since boot because memory was out, its own or a group's
/// (`oom_kill` of `/proc/vmstat`); none where it does not tell.
#[must_use]
pub fn oom_kills() -> Option<u64> {
    let all = fs::read_to_string("/proc/vmstat").ok()?;
    all.lines().find_map(|line| line.strip_prefix("oom_kill ")?.trim().parse().ok())
}

/// A field of `/proc/meminfo` in bytes, e.g. `MemAvailable:`.
///
/// # Errors
/// If the kernel does not tell it.
pub fn meminfo(name: &str) -> Result<u64, Error> {
    let path = "/proc/meminfo";
    let text = fs::read_to_string(path).map_err(|e| Error::os(format!("read {path}"), e))?;
    field(&text, name).ok_or_else(|| lacking(path, name))
}

/// The number after `name` at the start of a line, given in kB, as bytes.
fn field(text: &str, name: &str) -> Option<u64> {
    let rest = text.lines().find_map(|line| line.strip_prefix(name))?;
    rest.split_whitespace().next()?.parse::<u64>().ok().map(|kib| kib * 1024)
}

/// What the controller charges, through the v2 or the v1 name of the file.
fn charged(cgroup: &Path) -> Option<u64> {
    ["memory.current", "memory.usage_in_bytes"]
        .iter()
        .find_map(|name| fs::read_to_string(cgroup.join(name)).ok())
        .and_then(|text| text.trim().parse().ok())
}

/// Resident and proportional bytes of the mappings of `pid` within `range` (start, length).
fn mapped(pid: i32, range: (u64, u64)) -> Result<(u64, u64), Error> {
    let path = format!("/proc/{pid}/smaps");
    let text = fs::read_to_string(&path).map_err(|e| Error::os(format!("read {path}"), e))?;
    let (mut rss, mut pss, mut inside, mut found) = (0, 0, false, false);
    for line in text.lines() {
        if let Some(start) = mapping_start(line) {
            inside = start >= range.0 && start < range.0 + range.1;
            found |= inside;
        } else if inside {
            rss += field(line, "Rss:").unwrap_or(0);
            pss += field(line, "Pss:").unwrap_or(0);
        }
    }
    if !found {
        return Err(lacking(&path, "the guest's memory"));
    }
    Ok((rss, pss))
}

/// The start address, if this line of `smaps` opens a mapping ("55d0-55d1 r-xp …").
fn mapping_start(line: &str) -> Option<u64> {
    let (range, _) = line.split_once(' ')?;
    let (start, _) = range.split_once('-')?;
    u64::from_str_radix(start, 16).ok()
}

/// Disk of a set of files and directories in bytes; a file with several names counts once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Disk {
    /// Sum of file lengths.
    pub logical: u64,
    /// Sum of allocated blocks, wherever they are.
    pub allocated: u64,
    /// The part of `allocated` that lies in memory (tmpfs) and not on a device.
    pub in_memory: u64,
}

/// What an instance alone occupies: its files on disk, and its layer in memory if it has one.
///
/// # Errors
/// If something there cannot be read.
pub fn private(anatomy: &Anatomy) -> Result<Disk, Error> {
    let mut sum = disk(&anatomy.private)?;
    if let Some((root, lower)) = &anatomy.layer {
        let layer = walk(std::slice::from_ref(root), &|path, meta| !is_below(path, meta, root, lower))?;
        sum.logical += layer.logical;
        sum.allocated += layer.allocated;
        sum.in_memory += layer.allocated;
    }
    Ok(sum)
}

/// Adds up everything below `paths`.
///
/// # Errors
/// If something there cannot be read.
pub fn disk(paths: &[PathBuf]) -> Result<Disk, Error> {
    walk(paths, &|_, _| true)
}

/// Whether a file of an overlay is the unchanged one of its lower directory.
fn is_below(path: &Path, meta: &fs::Metadata, root: &Path, lower: &Path) -> bool {
    let Ok(inside) = path.strip_prefix(root) else { return false };
    let below = fs::symlink_metadata(lower.join(inside));
    below.is_ok_and(|b| b.is_dir() || (b.len() == meta.len() && b.mtime() == meta.mtime()))
}

/// Adds up what `counts`, without leaving a starting point's file system (`/proc` in a root, say).
fn walk(paths: &[PathBuf], counts: &dyn Fn(&Path, &fs::Metadata) -> bool) -> Result<Disk, Error> {
    let mut sum = Disk::default();
    let mut seen = BTreeSet::new();
    let mut todo = paths.iter().map(|path| (path.clone(), None)).collect::<Vec<_>>();
    while let Some((path, device)) = todo.pop() {
        let fail = |e| Error::os(format!("account for {}", path.display()), e);
        let meta = fs::symlink_metadata(&path).map_err(fail)?;
        let elsewhere = meta.is_dir() && device.is_some_and(|device| device != meta.dev());
        if elsewhere || !seen.insert((meta.dev(), meta.ino())) {
            continue;
        }
        if counts(&path, &meta) {
            let allocated = meta.blocks() * 512;
            sum.logical += if meta.is_file() { meta.len() } else { 0 };
            sum.allocated += allocated;
            sum.in_memory += if in_memory(&path) { allocated } else { 0 };
        }
        if meta.is_dir() {
            match fs::read_dir(&path) {
                Ok(entries) => {
                    todo.extend(entries.flatten().map(|entry| (entry.path(), Some(meta.dev()))));
                }
                // An overlay keeps an empty directory of mode 0 in its work directory; only root can look into it.
                Err(e) if e.kind() == ErrorKind::PermissionDenied && meta.mode() & 0o777 == 0 => {}
                Err(e) => return Err(fail(e)),
            }
        }
    }
    Ok(sum)
}

/// Whether a path lies on a file system without a device behind it.
#[must_use]
pub fn in_memory(path: &Path) -> bool {
    use nix::sys::statfs::{OVERLAYFS_SUPER_MAGIC, TMPFS_MAGIC, statfs};
    // An overlay says nothing of its upper layer, so overlays are accounted by their layers and never here.
    statfs(path)
        .is_ok_and(|fs| fs.filesystem_type() == TMPFS_MAGIC && fs.filesystem_type() != OVERLAYFS_SUPER_MAGIC)
}

/// Bytes in use on the file system that holds `path`, after what is under way has been written.
///
/// # Errors
/// If the file system does not answer.
pub fn filesystem_used(path: &Path) -> Result<u64, Error> {
    let fail = |op: &str, e: nix::Error| Error::os(format!("{op} {}", path.display()), e);
    let dir = fs::File::open(path).map_err(|e| Error::os(format!("open {}", path.display()), e))?;
    nix::unistd::syncfs(&dir).map_err(|e| fail("syncfs", e))?;
    let stat = nix::sys::statvfs::fstatvfs(&dir).map_err(|e| fail("statvfs", e))?;
    Ok((stat.blocks() - stat.blocks_free()) * stat.fragment_size())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_can_account_for_itself() {
        let pid = i32::try_from(std::process::id()).unwrap();
        let held = vec![1_u8; 8 << 20];
        let own = memory(&Anatomy { processes: vec![(pid, Role::Program)], ..Anatomy::default() }).unwrap();
        assert!(
            own.pss >= held.len() as u64 && own.rss >= own.pss && own.uss >= held.len() as u64,
            "{own:?}"
        );
        assert_eq!((own.guest_ram, own.vmm), (None, None));
        assert!(meminfo("MemTotal:").unwrap() > meminfo("MemFree:").unwrap());
        assert!(meminfo("NoSuchField:").is_err());
        let nowhere = Anatomy {
            processes: vec![(pid, Role::Program)],
            guest_ram: Some((4096, 4096)),
            ..Anatomy::default()
        };
        assert!(memory(&nowhere).is_err(), "guest memory that is not there must not count as none");
        let gone = Anatomy { processes: vec![(i32::MAX, Role::Program)], ..Anatomy::default() };
        assert!(memory(&gone).is_err() && cpu_ns(&gone).is_none());
    }

    #[test]
    fn a_range_counts_only_its_own_mappings() {
        let text = mapping_start("7f00-7f10 rw-p 0000 00:00 0 [anon]");
        assert_eq!(text, Some(0x7f00));
        assert_eq!(mapping_start("Rss:  4 kB"), None);
        assert_eq!(field("Pss:   12 kB\nPss_Dirty: 3 kB", "Pss:"), Some(12 * 1024));
        assert_eq!(field("", "Pss:"), None);
    }

    #[test]
    fn a_file_with_two_names_counts_once_and_a_hole_is_not_allocated() {
        let dir = std::env::temp_dir().join(format!("isomark-disk-test-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        fs::write(dir.join("a"), vec![7_u8; 10_000]).unwrap();
        fs::hard_link(dir.join("a"), dir.join("b")).unwrap();
        fs::File::create(dir.join("hole")).unwrap().set_len(1 << 20).unwrap();
        let sum = disk(std::slice::from_ref(&dir)).unwrap();
        assert_eq!(sum.logical, 10_000 + (1 << 20));
        assert!(sum.allocated < 1 << 20, "{sum:?}");
        fs::remove_dir_all(dir).unwrap();
    }
}
