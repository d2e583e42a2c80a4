//! Descriptors: numbers, what they are open on, and how bytes move through them.
//!
//! A number leads to an open file description, which `dup` shares and which knows offset and mode; both tables are
//! bounded. Only descriptors 0 to 2 ever reach the host, and only by read, write and poll.

use crate::error::{End, Stop, refuse};
use crate::fs::{Device, Fs, Kind, NodeId, ROOT};
use crate::memory::Memory;
use crate::pipes::Pipes;
use crate::space::{READ, WRITE};
use crate::sys::host;

/// Most descriptors (RLIMIT_NOFILE).
pub const FD_MAX: usize = 1024;
/// Bytes that one device transfer moves at most; callers loop over short transfers.
const DEVICE_CHUNK: u64 = 64 * 1024;

/// Index of an open file description.
pub type OpenId = usize;

/// What a description is open on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// Descriptor 0, 1 or 2 of the VMM.
    Std(i32),
    /// A node of the tree.
    Node(NodeId),
    /// The reading end of a pipe.
    PipeOut(usize),
    /// The writing end.
    PipeIn(usize),
}

/// An open file description.
#[derive(Clone, Debug)]
pub struct Open {
    /// What it is open on.
    pub what: What,
    /// Where the next transfer starts.
    pub offset: u64,
    /// Access mode and status flags.
    pub flags: i32,
    /// The last name that a listing gave.
    pub listed: Option<Vec<u8>>,
    count: u32,
}

/// All files of a program.
#[derive(Debug)]
pub struct Files {
    table: Vec<Option<(OpenId, bool)>>,
    opens: Vec<Option<Open>>,
    pipes: Pipes,
    tree: Option<Fs>,
    limit: u64,
    exe: Vec<u8>,
    cwd: NodeId,
    /// Bits that new files lack.
    pub umask: u32,
}

impl Files {
    /// Descriptors 0 to 2 and a tree that may hold `limit` bytes.
    #[must_use]
    pub fn new(limit: u64, exe: &[u8]) -> Self {
        let std = |n| Open { what: What::Std(n), offset: 0, flags: libc::O_RDWR, listed: None, count: 1 };
        Self {
            table: (0..3).map(|i| Some((i, false))).collect(),
            opens: (0..3).map(|n| Some(std(n))).collect(),
            pipes: Pipes::default(),
            tree: None,
            limit,
            exe: exe.to_vec(),
            cwd: ROOT,
            umask: 0o022,
        }
    }

    /// Its own name, if it has nothing but the three descriptors that it was born with and no file system yet.
    #[must_use]
    pub fn untouched(&self) -> Option<&[u8]> {
        let born = |(i, slot): (usize, &Option<(OpenId, bool)>)| *slot == (i < 3).then_some((i, false));
        let std = |(n, open): (usize, &Option<Open>)| {
            open.as_ref()
                .map_or(n >= 3, |o| o.what == What::Std(n as i32) && o.count == 1 && o.flags == libc::O_RDWR)
        };
        let same = self.table.iter().enumerate().all(born) && self.opens.iter().enumerate().all(std);
        (same && self.table.len() >= 3 && self.tree.is_none() && self.cwd == ROOT).then_some(&self.exe)
    }

    /// The tree; made when it is first needed, because many programs never do.
    pub fn fs(&mut self) -> &mut Fs {
        self.tree.get_or_insert_with(|| Fs::new(self.limit, &self.exe))
    }

    /// The current directory.
    #[must_use]
    pub const fn cwd(&self) -> NodeId {
        self.cwd
    }

    /// Makes `id` the current directory, which keeps it like an open descriptor does.
    ///
    /// # Errors
    /// ENOENT if it is gone.
    pub fn stand_in(&mut self, id: NodeId) -> Result<(), Stop> {
        self.fs().node_mut(id)?.opens += 1;
        let old = std::mem::replace(&mut self.cwd, id);
        self.release(old);
        Ok(())
    }

    fn release(&mut self, id: NodeId) {
        if let Ok(node) = self.fs().node_mut(id) {
            node.opens = node.opens.saturating_sub(1);
        }
        self.fs().forget(id);
    }

    fn slot(&self, fd: u64) -> Result<(OpenId, bool), Stop> {
        let entry =
            usize::try_from(fd & 0xffff_ffff).ok().and_then(|fd| self.table.get(fd).copied().flatten());
        entry.ok_or(Stop::Errno(libc::EBADF))
    }

    /// The description that `fd` leads to.
    ///
    /// # Errors
    /// EBADF.
    pub fn open(&self, fd: u64) -> Result<&Open, Stop> {
        let (id, _) = self.slot(fd)?;
        self.opens.get(id).and_then(Option::as_ref).ok_or(Stop::Errno(libc::EBADF))
    }

    /// The same, to change it.
    ///
    /// # Errors
    /// EBADF.
    pub fn open_mut(&mut self, fd: u64) -> Result<&mut Open, Stop> {
        let (id, _) = self.slot(fd)?;
        self.opens.get_mut(id).and_then(Option::as_mut).ok_or(Stop::Errno(libc::EBADF))
    }

    /// The node that `fd` is open on.
    ///
    /// # Errors
    /// EBADF, EINVAL for pipes and the descriptors of the host.
    pub fn node(&self, fd: u64) -> Result<NodeId, Stop> {
        match self.open(fd)?.what {
            What::Node(id) => Ok(id),
            _ => refuse(libc::EINVAL),
        }
    }

    /// A new description under the lowest free number.
    ///
    /// # Errors
    /// EMFILE.
    pub fn install(&mut self, what: What, flags: i32) -> Result<u64, Stop> {
        let fd = self.free_from(0)?;
        if let What::Node(id) = what {
            self.fs().node_mut(id)?.opens += 1;
        }
        let cloexec = flags & libc::O_CLOEXEC != 0;
        let kept = libc::O_ACCMODE | libc::O_APPEND | libc::O_NONBLOCK | libc::O_PATH | libc::O_DIRECTORY;
        let open = Open { what, offset: 0, flags: flags & kept, listed: None, count: 1 };
        let id = if let Some(id) = self.opens.iter().position(Option::is_none) {
            self.opens[id] = Some(open);
            id
        } else {
            self.opens.push(Some(open));
            self.opens.len() - 1
        };
        self.table[fd] = Some((id, cloexec));
        Ok(fd as u64)
    }

    /// The lowest free number from `least`; the table reaches it then.
    fn free_from(&mut self, least: usize) -> Result<usize, Stop> {
        let found = (least..FD_MAX).find(|&fd| self.table.get(fd).is_none_or(Option::is_none));
        let fd = found.ok_or(Stop::Errno(if least >= FD_MAX { libc::EINVAL } else { libc::EMFILE }))?;
        if fd >= self.table.len() {
            self.table.resize(fd + 1, None);
        }
        Ok(fd)
    }

    /// A second number for the same description: the lowest from `least`, or exactly `exact`.
    ///
    /// # Errors
    /// EBADF, EMFILE, EINVAL.
    pub fn dup(&mut self, fd: u64, least: u64, exact: Option<u64>, cloexec: bool) -> Result<u64, Stop> {
        let (id, _) = self.slot(fd)?;
        let new = match exact {
            Some(new) if new >= FD_MAX as u64 => return refuse(libc::EBADF),
            Some(new) => {
                let _ = self.close(new);
                self.free_from(new as usize)?
            }
            None => self.free_from(usize::try_from(least).unwrap_or(FD_MAX))?,
        };
        if let Some(open) = self.opens[id].as_mut() {
            open.count += 1;
        }
        self.table[new] = Some((id, cloexec));
        Ok(new as u64)
    }

    /// Forgets a number, and the description with its last one.
    ///
    /// # Errors
    /// EBADF.
    pub fn close(&mut self, fd: u64) -> Result<(), Stop> {
        let (id, _) = self.slot(fd)?;
        self.table[fd as u32 as usize] = None;
        let Some(open) = self.opens[id].as_mut() else { return Ok(()) };
        open.count -= 1;
        if open.count > 0 {
            return Ok(());
        }
        let what = open.what;
        self.opens[id] = None;
        match what {
            What::Std(_) => {}
            What::Node(id) => self.release(id),
            What::PipeOut(pipe) => self.pipes.close_reader(pipe),
            What::PipeIn(pipe) => self.pipes.close_writer(pipe),
        }
        Ok(())
    }

    /// Whether a number would be closed by exec; and sets that.
    ///
    /// # Errors
    /// EBADF.
    pub fn cloexec(&mut self, fd: u64, set: Option<bool>) -> Result<bool, Stop> {
        let (id, old) = self.slot(fd)?;
        if let Some(new) = set {
            self.table[fd as u32 as usize] = Some((id, new));
        }
        Ok(old)
    }

    /// A pipe: its reading and writing numbers.
    ///
    /// # Errors
    /// EMFILE.
    pub fn pipe(&mut self, flags: i32) -> Result<(u64, u64), Stop> {
        let id = self.pipes.make();
        let made = self.install(What::PipeOut(id), libc::O_RDONLY | flags).and_then(|out| {
            match self.install(What::PipeIn(id), libc::O_WRONLY | flags) {
                Ok(into) => Ok((out, into)),
                Err(stop) => {
                    self.close(out)?;
                    Err(stop)
                }
            }
        });
        if made.is_err() {
            self.pipes.forget(id);
        }
        made
    }

    /// What poll says of a descriptor that does not reach the host.
    ///
    /// # Errors
    /// EBADF.
    pub fn ready(&self, fd: u64) -> Result<i16, Stop> {
        Ok(match self.open(fd)?.what {
            What::Std(_) | What::Node(_) => libc::POLLIN | libc::POLLOUT,
            What::PipeOut(id) => self.pipes.readable(id),
            What::PipeIn(id) => self.pipes.writable(id),
        })
    }

    /// Reads at the description's offset, or at `at`.
    ///
    /// # Errors
    /// The error number, or the end of the program if it would wait for itself for ever.
    pub fn read(
        &mut self,
        memory: &Memory,
        fd: u64,
        (address, len): (u64, u64),
        at: Option<u64>,
    ) -> Result<u64, Stop> {
        let open = self.open(fd)?.clone();
        if open.flags & libc::O_ACCMODE == libc::O_WRONLY || open.flags & libc::O_PATH != 0 {
            return refuse(libc::EBADF);
        }
        let slice = memory.slice(address, len, WRITE)?;
        match open.what {
            What::Std(0) if at.is_none() => host(|| host::read(0, &slice)),
            What::Std(_) if at.is_none() => refuse(libc::EBADF),
            What::Std(_) | What::PipeIn(_) => refuse(libc::ESPIPE),
            What::PipeOut(_) if at.is_some() => refuse(libc::ESPIPE),
            What::PipeOut(id) => self.pipes.read(id, &slice, open.flags),
            What::Node(id) => {
                let from = at.unwrap_or(open.offset);
                let got = self.read_node(id, &slice, from)?;
                if at.is_none() {
                    self.open_mut(fd)?.offset = from + got;
                }
                Ok(got)
            }
        }
    }

    fn read_node(
        &mut self,
        id: NodeId,
        into: &vm_memory::VolatileSlice<'_, ()>,
        from: u64,
    ) -> Result<u64, Stop> {
        let len = into.len().min(DEVICE_CHUNK as usize);
        match &self.fs().node(id)?.kind {
            Kind::Dir { .. } => refuse(libc::EISDIR),
            Kind::Link(_) => refuse(libc::EINVAL),
            Kind::File(data) => {
                let rest = usize::try_from(from).ok().and_then(|from| data.get(from..)).unwrap_or_default();
                into.copy_from(rest);
                Ok(rest.len().min(into.len()) as u64)
            }
            Kind::Device(Device::Null) => Ok(0),
            Kind::Device(Device::Zero | Device::Full) => {
                into.copy_from(&vec![0u8; len]);
                Ok(len as u64)
            }
            Kind::Device(Device::Random) => {
                let mut bytes = vec![0; len];
                host::random(&mut bytes);
                into.copy_from(&bytes);
                Ok(len as u64)
            }
            Kind::Device(Device::Std(0)) => host(|| host::read(0, into)),
            Kind::Device(Device::Std(_)) => refuse(libc::EBADF),
        }
    }

    /// Writes at the description's offset, or at `at`.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn write(
        &mut self,
        memory: &Memory,
        fd: u64,
        (address, len): (u64, u64),
        at: Option<u64>,
    ) -> Result<u64, Stop> {
        let open = self.open(fd)?.clone();
        if open.flags & libc::O_ACCMODE == libc::O_RDONLY || open.flags & libc::O_PATH != 0 {
            return refuse(libc::EBADF);
        }
        let slice = memory.slice(address, len, READ)?;
        match open.what {
            What::Std(n @ (1 | 2)) if at.is_none() => host(|| host::write(n, &slice)),
            What::Std(_) if at.is_none() => refuse(libc::EBADF),
            What::Std(_) | What::PipeOut(_) => refuse(libc::ESPIPE),
            What::PipeIn(_) if at.is_some() => refuse(libc::ESPIPE),
            What::PipeIn(id) => self.pipes.write(id, &slice, open.flags),
            What::Node(id) => {
                let append = open.flags & libc::O_APPEND != 0;
                let to = if append { self.fs().size(id)? } else { at.unwrap_or(open.offset) };
                let done = self.write_node(id, &slice, to)?;
                if at.is_none() {
                    self.open_mut(fd)?.offset = to + done;
                }
                Ok(done)
            }
        }
    }

    fn write_node(
        &mut self,
        id: NodeId,
        from: &vm_memory::VolatileSlice<'_, ()>,
        to: u64,
    ) -> Result<u64, Stop> {
        let fs = self.fs();
        match &fs.node(id)?.kind {
            Kind::Dir { .. } => refuse(libc::EISDIR),
            Kind::Link(_) => refuse(libc::EINVAL),
            Kind::File(_) if from.is_empty() => Ok(0),
            Kind::File(_) => {
                let room = fs.room(id, to, from.len() as u64)?;
                Ok(from.copy_to(room) as u64)
            }
            Kind::Device(Device::Full) => refuse(libc::ENOSPC),
            Kind::Device(Device::Null | Device::Zero | Device::Random) => Ok(from.len() as u64),
            Kind::Device(Device::Std(0)) => refuse(libc::EBADF),
            &Kind::Device(Device::Std(n)) => host(|| host::write(n, from)),
        }
    }

    /// Bytes waiting in a pipe (FIONREAD).
    ///
    /// # Errors
    /// EBADF, ENOTTY.
    pub fn waiting(&self, fd: u64) -> Result<usize, Stop> {
        match self.open(fd)?.what {
            What::PipeOut(id) => Ok(self.pipes.waiting(id)),
            _ => refuse(libc::ENOTTY),
        }
    }
}

/// A transfer with the host, again after every signal but the deadline's.
fn host(mut transfer: impl FnMut() -> Result<u64, i32>) -> Result<u64, Stop> {
    loop {
        match transfer() {
            Err(libc::EINTR) if host::expired() => return Err(End::Fault("deadline".into()).into()),
            Err(libc::EINTR) => {}
            Err(errno) => return refuse(errno),
            Ok(n) => return Ok(n),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files() -> Files {
        Files::new(1 << 20, b"/prog")
    }

    #[test]
    fn numbers_are_the_lowest_free_and_descriptions_are_shared() {
        let mut files = files();
        let null = files.fs().walk(ROOT, b"/dev/null", true).unwrap().node.unwrap();
        assert_eq!(files.install(What::Node(null), libc::O_RDWR), Ok(3));
        assert_eq!(files.dup(3, 0, None, false), Ok(4));
        assert_eq!(files.dup(3, 10, None, true), Ok(10));
        files.open_mut(4).unwrap().offset = 7;
        assert_eq!(files.open(10).unwrap().offset, 7);
        assert_eq!((files.cloexec(4, None), files.cloexec(10, None)), (Ok(false), Ok(true)));
        files.close(3).unwrap();
        assert_eq!(files.close(3), Err(Stop::Errno(libc::EBADF)));
        assert_eq!(files.dup(10, 0, Some(2), false), Ok(2));
        assert_eq!(files.dup(10, 0, Some(5000), false), Err(Stop::Errno(libc::EBADF)));
        assert_eq!(files.dup(10, 5000, None, false), Err(Stop::Errno(libc::EINVAL)));
        for fd in [2, 4, 10] {
            files.close(fd).unwrap();
        }
        assert_eq!(files.fs().node(null).unwrap().opens, 0);
    }

    #[test]
    fn the_table_is_bounded_and_pipes_come_back() {
        let mut files = files();
        let refused = (0..FD_MAX).find_map(|_| files.pipe(0).err());
        assert_eq!(refused, Some(Stop::Errno(libc::EMFILE)));
        (3..FD_MAX as u64).for_each(|fd| drop(files.close(fd)));
        let (out, into) = files.pipe(0).unwrap();
        assert_eq!((out, into), (3, 4));
        assert_eq!(files.ready(out), Ok(0));
        files.close(into).unwrap();
        assert_eq!(files.ready(out), Ok(libc::POLLHUP));
    }
}
