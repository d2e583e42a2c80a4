//! The file system that a program sees: a tree in the VMM's memory, gone when the program ends.
//!
//! Data and nodes are bounded by one quota (the size of guest memory), so no program can make the VMM grow beyond what
//! its instance may cost. The user is root, so permission bits are kept and shown but refuse nothing.

use std::collections::BTreeMap;

use crate::error::{Stop, refuse};
use crate::sys::host;

pub mod path;
pub mod stat;

/// Number of a node: its index in the tree.
pub type NodeId = usize;
/// The root directory.
pub const ROOT: NodeId = 0;
/// Longest name, in bytes (NAME_MAX).
pub const NAME_MAX: usize = 255;
/// What a node costs beside its data, in bytes; a bound on their number through the same quota.
const NODE_COST: u64 = 512;

/// What a device file does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Device {
    /// Empty, swallows all.
    Null,
    /// Endless zeros.
    Zero,
    /// Endless zeros, always full.
    Full,
    /// Random bytes.
    Random,
    /// One of the descriptors 0 to 2.
    Std(i32),
}

/// What a node is.
#[derive(Debug)]
pub enum Kind {
    /// Names and where they lead.
    Dir {
        /// Sorted, so that listings are stable.
        entries: BTreeMap<Vec<u8>, NodeId>,
        /// What `..` means.
        parent: NodeId,
    },
    /// Bytes.
    File(Vec<u8>),
    /// A path.
    Link(Vec<u8>),
    /// A device.
    Device(Device),
}

/// Seconds and nanoseconds since 1970.
pub type Time = (i64, i64);

/// One file, directory, link or device.
#[derive(Debug)]
pub struct Node {
    /// What it is.
    pub kind: Kind,
    /// Permission bits.
    pub mode: u32,
    /// Owner and group.
    pub owner: (u32, u32),
    /// Names that lead here.
    pub links: u32,
    /// Open file descriptions.
    pub opens: u32,
    /// Access, modification, status change.
    pub times: [Time; 3],
}

/// The tree.
#[derive(Debug)]
pub struct Fs {
    nodes: Vec<Option<Node>>,
    free: Vec<NodeId>,
    used: u64,
    limit: u64,
}

/// Now, by the real-time clock.
#[must_use]
pub fn now() -> Time {
    host::clock(libc::CLOCK_REALTIME).unwrap_or_default()
}

impl Fs {
    /// The tree that every program starts with; data may take `limit` bytes. `exe` is what /proc/self/exe says.
    #[must_use]
    pub fn new(limit: u64, exe: &[u8]) -> Self {
        let mut fs = Self { nodes: Vec::with_capacity(32), free: Vec::new(), used: 0, limit };
        let root = Kind::Dir { entries: BTreeMap::new(), parent: ROOT };
        fs.nodes.push(Some(Node {
            kind: root,
            mode: 0o755,
            owner: (0, 0),
            links: 2,
            opens: 0,
            times: [now(); 3],
        }));
        let dir = |fs: &mut Self, at, name: &[u8], mode| fs.seed(at, name, Self::directory(at), mode);
        dir(&mut fs, ROOT, b"tmp", 0o1777);
        dir(&mut fs, ROOT, b"root", 0o700);
        let dev = dir(&mut fs, ROOT, b"dev", 0o755);
        for (name, device) in [
            (&b"null"[..], Device::Null),
            (b"zero", Device::Zero),
            (b"full", Device::Full),
            (b"random", Device::Random),
            (b"urandom", Device::Random),
            (b"stdin", Device::Std(0)),
            (b"stdout", Device::Std(1)),
            (b"stderr", Device::Std(2)),
        ] {
            fs.seed(dev, name, Kind::Device(device), 0o666);
        }
        let etc = dir(&mut fs, ROOT, b"etc", 0o755);
        fs.seed(etc, b"passwd", Kind::File(b"root:x:0:0:root:/root:/bin/sh\n".to_vec()), 0o644);
        fs.seed(etc, b"group", Kind::File(b"root:x:0:\n".to_vec()), 0o644);
        let proc = dir(&mut fs, ROOT, b"proc", 0o555);
        let own = dir(&mut fs, proc, b"self", 0o555);
        fs.seed(own, b"exe", Kind::Link(exe.to_vec()), 0o777);
        fs
    }

    /// Adds what cannot fail: an empty tree has room for its first twenty nodes.
    fn seed(&mut self, at: NodeId, name: &[u8], kind: Kind, mode: u32) -> NodeId {
        self.create(at, name, kind, mode).unwrap_or(ROOT)
    }

    /// An empty directory below `parent`.
    #[must_use]
    pub const fn directory(parent: NodeId) -> Kind {
        Kind::Dir { entries: BTreeMap::new(), parent }
    }

    /// The node with this number.
    ///
    /// # Errors
    /// ENOENT if it is gone.
    pub fn node(&self, id: NodeId) -> Result<&Node, Stop> {
        self.nodes.get(id).and_then(Option::as_ref).ok_or(Stop::Errno(libc::ENOENT))
    }

    /// The node with this number, to change it.
    ///
    /// # Errors
    /// ENOENT if it is gone.
    pub fn node_mut(&mut self, id: NodeId) -> Result<&mut Node, Stop> {
        self.nodes.get_mut(id).and_then(Option::as_mut).ok_or(Stop::Errno(libc::ENOENT))
    }

    /// The names in a directory.
    ///
    /// # Errors
    /// ENOTDIR.
    pub fn entries(&self, id: NodeId) -> Result<&BTreeMap<Vec<u8>, NodeId>, Stop> {
        match &self.node(id)?.kind {
            Kind::Dir { entries, .. } => Ok(entries),
            _ => refuse(libc::ENOTDIR),
        }
    }

    fn entries_mut(&mut self, id: NodeId) -> Result<&mut BTreeMap<Vec<u8>, NodeId>, Stop> {
        let node = self.node_mut(id)?;
        node.times[1] = now();
        node.times[2] = node.times[1];
        match &mut node.kind {
            Kind::Dir { entries, .. } => Ok(entries),
            _ => refuse(libc::ENOTDIR),
        }
    }

    /// Bytes in use and bytes allowed.
    #[must_use]
    pub const fn usage(&self) -> (u64, u64) {
        (self.used, self.limit)
    }

    /// Takes `more` bytes of the quota.
    ///
    /// # Errors
    /// ENOSPC beyond it.
    fn charge(&mut self, more: u64) -> Result<(), Stop> {
        match self.used.checked_add(more) {
            Some(used) if used <= self.limit => {
                self.used = used;
                Ok(())
            }
            _ => refuse(libc::ENOSPC),
        }
    }

    /// Makes a new node and names it.
    ///
    /// # Errors
    /// EEXIST, ENOENT, ENOTDIR, ENAMETOOLONG, ENOSPC.
    pub fn create(&mut self, at: NodeId, name: &[u8], kind: Kind, mode: u32) -> Result<NodeId, Stop> {
        self.may_name(at, name)?;
        let data = match &kind {
            Kind::File(data) | Kind::Link(data) => data.len() as u64,
            _ => 0,
        };
        self.charge(NODE_COST + data)?;
        let links = if matches!(kind, Kind::Dir { .. }) { 2 } else { 1 };
        let node = Node { kind, mode: mode & 0o7777, owner: (0, 0), links, opens: 0, times: [now(); 3] };
        let id = if let Some(id) = self.free.pop() {
            self.nodes[id] = Some(node);
            id
        } else {
            self.nodes.push(Some(node));
            self.nodes.len() - 1
        };
        if links == 2 {
            self.node_mut(at)?.links += 1;
        }
        self.entries_mut(at)?.insert(name.to_vec(), id);
        Ok(id)
    }

    fn may_name(&self, at: NodeId, name: &[u8]) -> Result<(), Stop> {
        if name.len() > NAME_MAX {
            return refuse(libc::ENAMETOOLONG);
        }
        if self.entries(at)?.contains_key(name) || name.is_empty() || name == b"." || name == b".." {
            return refuse(libc::EEXIST);
        }
        if self.node(at)?.links == 0 { refuse(libc::ENOENT) } else { Ok(()) }
    }

    /// Another name for a file.
    ///
    /// # Errors
    /// EEXIST, EPERM for directories, and those of [`Self::create`].
    pub fn link(&mut self, id: NodeId, at: NodeId, name: &[u8]) -> Result<(), Stop> {
        if matches!(self.node(id)?.kind, Kind::Dir { .. }) {
            return refuse(libc::EPERM);
        }
        self.may_name(at, name)?;
        self.charge(NODE_COST)?;
        self.entries_mut(at)?.insert(name.to_vec(), id);
        self.node_mut(id)?.links += 1;
        Ok(())
    }

    /// Takes a name away; `dir` says whether it must be a directory or must not.
    ///
    /// # Errors
    /// ENOENT, EISDIR, ENOTDIR, ENOTEMPTY, EBUSY for the root.
    pub fn unlink(&mut self, at: NodeId, name: &[u8], dir: bool) -> Result<(), Stop> {
        let &id = self.entries(at)?.get(name).ok_or(Stop::Errno(libc::ENOENT))?;
        match (&self.node(id)?.kind, dir) {
            (Kind::Dir { entries, .. }, true) if !entries.is_empty() => return refuse(libc::ENOTEMPTY),
            (Kind::Dir { .. }, false) => return refuse(libc::EISDIR),
            (Kind::Dir { .. }, true) => {
                self.node_mut(at)?.links -= 1;
                let node = self.node_mut(id)?;
                node.links = 0;
                // Whoever still stands in it must not be led to a number that means another node by then.
                if let Kind::Dir { parent, .. } = &mut node.kind {
                    *parent = ROOT;
                }
            }
            (_, true) => return refuse(libc::ENOTDIR),
            (_, false) => {
                let node = self.node_mut(id)?;
                node.links = node.links.saturating_sub(1);
                if node.links > 0 {
                    self.used = self.used.saturating_sub(NODE_COST);
                }
            }
        }
        self.entries_mut(at)?.remove(name);
        self.forget(id);
        Ok(())
    }

    /// Frees a node that no name and no descriptor leads to.
    pub fn forget(&mut self, id: NodeId) {
        if self.node(id).is_ok_and(|n| n.links == 0 && n.opens == 0) {
            let size = self.size(id).unwrap_or(0);
            self.used = self.used.saturating_sub(size + NODE_COST);
            self.nodes[id] = None;
            self.free.push(id);
        }
    }

    /// Moves a name; what it replaces goes away.
    ///
    /// # Errors
    /// ENOENT, EINVAL for a directory into itself, and those of unlink and create.
    pub fn rename(&mut self, from: (NodeId, &[u8]), to: (NodeId, &[u8]), replace: bool) -> Result<(), Stop> {
        let &id = self.entries(from.0)?.get(from.1).ok_or(Stop::Errno(libc::ENOENT))?;
        let is_dir = matches!(self.node(id)?.kind, Kind::Dir { .. });
        if is_dir && self.is_below(to.0, id)? {
            return refuse(libc::EINVAL);
        }
        if let Some(&there) = self.entries(to.0)?.get(to.1) {
            if !replace {
                return refuse(libc::EEXIST);
            }
            if there == id {
                return Ok(());
            }
            self.unlink(to.0, to.1, is_dir)?;
        }
        self.may_name(to.0, to.1)?;
        self.entries_mut(from.0)?.remove(from.1);
        self.entries_mut(to.0)?.insert(to.1.to_vec(), id);
        if is_dir {
            self.node_mut(from.0)?.links -= 1;
            self.node_mut(to.0)?.links += 1;
            if let Kind::Dir { parent, .. } = &mut self.node_mut(id)?.kind {
                *parent = to.0;
            }
        }
        Ok(())
    }

    /// Whether `dir` is `ancestor` or lies below it. A tree is finite, so this ends.
    fn is_below(&self, mut dir: NodeId, ancestor: NodeId) -> Result<bool, Stop> {
        while dir != ROOT {
            if dir == ancestor {
                return Ok(true);
            }
            dir = self.parent(dir)?;
        }
        Ok(ancestor == ROOT)
    }

    /// What `..` means in a directory.
    ///
    /// # Errors
    /// ENOTDIR.
    pub fn parent(&self, dir: NodeId) -> Result<NodeId, Stop> {
        match &self.node(dir)?.kind {
            Kind::Dir { parent, .. } => Ok(*parent),
            _ => refuse(libc::ENOTDIR),
        }
    }

    /// Bytes of data.
    ///
    /// # Errors
    /// ENOENT.
    pub fn size(&self, id: NodeId) -> Result<u64, Stop> {
        Ok(match &self.node(id)?.kind {
            Kind::File(data) | Kind::Link(data) => data.len() as u64,
            Kind::Dir { entries, .. } => entries.len() as u64 * 32,
            Kind::Device(_) => 0,
        })
    }

    /// The bytes of a regular file.
    ///
    /// # Errors
    /// EISDIR, EINVAL.
    pub fn data(&self, id: NodeId) -> Result<&[u8], Stop> {
        match &self.node(id)?.kind {
            Kind::File(data) => Ok(data),
            Kind::Dir { .. } => refuse(libc::EISDIR),
            _ => refuse(libc::EINVAL),
        }
    }

    /// Makes a regular file `len` bytes long; new bytes are zero.
    ///
    /// # Errors
    /// EISDIR, EINVAL, ENOSPC.
    pub fn resize(&mut self, id: NodeId, len: u64) -> Result<(), Stop> {
        let old = self.data(id)?.len() as u64;
        if len > old {
            self.charge(len - old)?;
        } else {
            self.used = self.used.saturating_sub(old - len);
        }
        let node = self.node_mut(id)?;
        node.times[1] = now();
        node.times[2] = node.times[1];
        let Kind::File(data) = &mut node.kind else { return refuse(libc::EINVAL) };
        let wanted = usize::try_from(len).unwrap_or(usize::MAX);
        if wanted > data.capacity() && data.try_reserve(wanted - data.len()).is_err() {
            self.used -= len - old;
            return refuse(libc::ENOSPC);
        }
        data.resize(wanted, 0);
        // What is no longer charged is given back: files cut to a little less would hold several times the quota.
        if len < old {
            data.shrink_to_fit();
        }
        Ok(())
    }

    /// The bytes of a regular file at `offset`, `len` of them, which the file is made to have.
    ///
    /// # Errors
    /// Those of [`Self::resize`].
    pub fn room(&mut self, id: NodeId, offset: u64, len: u64) -> Result<&mut [u8], Stop> {
        let end = offset.checked_add(len).ok_or(Stop::Errno(libc::EFBIG))?;
        if end > self.data(id)?.len() as u64 {
            self.resize(id, end)?;
        }
        let node = self.node_mut(id)?;
        node.times[1] = now();
        let Kind::File(data) = &mut node.kind else { return refuse(libc::EINVAL) };
        data.get_mut(offset as usize..end as usize).ok_or(Stop::Errno(libc::EFBIG))
    }
}

#[cfg(test)]
mod tests;
