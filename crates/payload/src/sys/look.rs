//! What of the world outside can be seen or touched, and the canaries that others are to look for.
//!
//! Every function tells the kernel's error number, because "not there" and "not allowed" are different answers.

use std::ffi::{CStr, CString, c_int};
use std::mem::size_of;
use std::ptr;

use super::{Fd, errno};

/// A result that is -1 for an error.
fn checked(value: c_int) -> Result<c_int, i32> {
    if value < 0 { Err(errno()) } else { Ok(value) }
}

fn socket(family: c_int) -> Result<Fd, i32> {
    // SAFETY: takes no pointers.
    checked(unsafe { libc::socket(family, libc::SOCK_STREAM | libc::SOCK_CLOEXEC, 0) }).map(Fd)
}

/// An address with its length as the kernel counts it.
enum Address {
    Unix(libc::sockaddr_un, u32),
    Inet(libc::sockaddr_in),
}

impl Address {
    /// A name in the abstract namespace: behind a zero byte (unix(7)).
    fn abstract_unix(name: &str) -> Result<Self, i32> {
        let mut address =
            libc::sockaddr_un { sun_family: libc::AF_UNIX as libc::sa_family_t, sun_path: [0; 108] };
        if name.len() >= address.sun_path.len() {
            return Err(libc::ENAMETOOLONG);
        }
        for (to, from) in address.sun_path[1..].iter_mut().zip(name.bytes()) {
            *to = from as libc::c_char;
        }
        Ok(Self::Unix(address, (size_of::<libc::sa_family_t>() + 1 + name.len()) as u32))
    }

    fn loopback(port: u16) -> Self {
        Self::Inet(libc::sockaddr_in {
            sin_family: libc::AF_INET as libc::sa_family_t,
            sin_port: port.to_be(),
            sin_addr: libc::in_addr { s_addr: u32::from_be_bytes([127, 0, 0, 1]).to_be() },
            sin_zero: [0; 8],
        })
    }

    fn raw(&self) -> (*const libc::sockaddr, u32) {
        match self {
            Self::Unix(address, len) => (ptr::from_ref(address).cast(), *len),
            Self::Inet(address) => (ptr::from_ref(address).cast(), size_of::<libc::sockaddr_in>() as u32),
        }
    }
}

fn connect(fd: &Fd, address: &Address) -> Result<(), i32> {
    let (at, len) = address.raw();
    // SAFETY: the address lives across the call and is at least `len` bytes long.
    checked(unsafe { libc::connect(fd.0, at, len) }).map(drop)
}

fn listen(fd: &Fd, address: &Address) -> Result<(), i32> {
    let (at, len) = address.raw();
    // SAFETY: the address lives across the call and is at least `len` bytes long.
    checked(unsafe { libc::bind(fd.0, at, len) })?;
    // SAFETY: takes no pointers.
    checked(unsafe { libc::listen(fd.0, 16) }).map(drop)
}

/// Connects to a name in the abstract namespace.
pub(crate) fn reach_unix(name: &str) -> Result<(), i32> {
    let address = Address::abstract_unix(name)?;
    connect(&socket(libc::AF_UNIX)?, &address)
}

/// Connects to a port of 127.0.0.1.
pub(crate) fn reach_tcp(port: u16) -> Result<(), i32> {
    connect(&socket(libc::AF_INET)?, &Address::loopback(port))
}

/// Listens under a name in the abstract namespace.
pub(crate) fn listen_unix(name: &str) -> Result<Fd, i32> {
    let (fd, address) = (socket(libc::AF_UNIX)?, Address::abstract_unix(name)?);
    listen(&fd, &address).map(|()| fd)
}

/// Listens on a free port of 127.0.0.1.
pub(crate) fn listen_tcp() -> Result<(Fd, u16), i32> {
    let fd = socket(libc::AF_INET)?;
    listen(&fd, &Address::loopback(0))?;
    let mut address = libc::sockaddr_in {
        sin_family: 0,
        sin_port: 0,
        sin_addr: libc::in_addr { s_addr: 0 },
        sin_zero: [0; 8],
    };
    let mut len = size_of::<libc::sockaddr_in>() as u32;
    // SAFETY: the buffer is as long as `len` says, and both are writable.
    checked(unsafe { libc::getsockname(fd.0, (&raw mut address).cast(), &raw mut len) })?;
    Ok((fd, u16::from_be(address.sin_port)))
}

/// An attached System V segment of at least one word.
struct Segment(*mut libc::c_void);

impl Segment {
    fn attach(id: c_int, flags: c_int) -> Result<Self, i32> {
        // SAFETY: the kernel chooses an address that is free.
        let at = unsafe { libc::shmat(id, ptr::null(), flags) };
        if at.addr() == usize::MAX { Err(errno()) } else { Ok(Self(at)) }
    }
}

impl Drop for Segment {
    fn drop(&mut self) {
        // SAFETY: the address is the one that shmat gave, detached once.
        unsafe { libc::shmdt(self.0) };
    }
}

/// The first word of a segment.
pub(crate) fn segment_word(id: c_int) -> Result<u64, i32> {
    let segment = Segment::attach(id, libc::SHM_RDONLY)?;
    // SAFETY: a segment is at least a page long, page-aligned and attached for reading.
    Ok(unsafe { segment.0.cast::<u64>().read_volatile() })
}

/// A segment that everybody may attach by its number, already marked for removal: it goes with its last user.
pub(crate) struct Planted(#[expect(dead_code, reason = "attached as long as this lives")] Segment);

/// Makes such a segment.
pub(crate) fn plant_segment(word: u64) -> Result<(Planted, c_int), i32> {
    // SAFETY: takes no pointers.
    let id = checked(unsafe { libc::shmget(libc::IPC_PRIVATE, 4096, libc::IPC_CREAT | 0o666) })?;
    let segment = Segment::attach(id, 0);
    // SAFETY: this command takes no buffer.
    unsafe { libc::shmctl(id, libc::IPC_RMID, ptr::null_mut()) };
    let segment = segment?;
    // SAFETY: a segment is at least a page long, page-aligned and attached for writing.
    unsafe { segment.0.cast::<u64>().write_volatile(word) };
    Ok((Planted(segment), id))
}

/// Opens a message queue for reading.
pub(crate) fn open_queue(name: &CStr) -> Result<Fd, i32> {
    // SAFETY: the name is a C string that outlives the call; without O_CREAT there are no further arguments.
    checked(unsafe { libc::mq_open(name.as_ptr(), libc::O_RDONLY | libc::O_NONBLOCK) }).map(Fd)
}

/// A message queue that is removed when dropped.
pub(crate) struct Queue(CString);

impl Queue {
    /// Makes one that everybody may read.
    pub(crate) fn plant(name: CString) -> Result<Self, i32> {
        let flags = libc::O_RDWR | libc::O_CREAT | libc::O_EXCL;
        let mode: libc::mode_t = 0o644;
        let default = ptr::null::<libc::mq_attr>();
        // SAFETY: the name is a C string that outlives the call; with O_CREAT a mode and an attribute pointer follow.
        let fd = checked(unsafe { libc::mq_open(name.as_ptr(), flags, mode, default) })?;
        drop(Fd(fd));
        Ok(Self(name))
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        // SAFETY: the name is a C string that outlives the call.
        unsafe { libc::mq_unlink(self.0.as_ptr()) };
    }
}

/// Gives this process a name for `/proc/PID/comm`: 15 bytes at most.
pub(crate) fn name_process(name: &CStr) -> Result<(), i32> {
    // SAFETY: this option takes a C string, which outlives the call.
    checked(unsafe { libc::prctl(libc::PR_SET_NAME, name.as_ptr()) }).map(drop)
}

/// The host name that `uname(2)` tells.
pub(crate) fn host_name() -> Result<Vec<u8>, i32> {
    // The structure's six fields of 65 bytes each (uname(2)); the second is the name.
    let mut fields = [[0_u8; 65]; 6];
    // SAFETY: the buffer is as large as the structure and writable.
    checked(unsafe { libc::uname((&raw mut fields).cast()) })?;
    Ok(fields[1].iter().copied().take_while(|byte| *byte != 0).collect())
}

/// Calls `each` with the name of every entry of a directory.
pub(crate) fn names(dir: &CStr, mut each: impl FnMut(&[u8])) -> Result<(), i32> {
    // Behind inode, offset, length and kind (getdents64(2)).
    const NAME: usize = 19;
    let dir = Fd::open(dir)?;
    let mut buffer = [0_u8; 8192];
    loop {
        let room = buffer.len() as libc::c_long;
        let args = [dir.0.into(), buffer.as_mut_ptr() as libc::c_long, room, 0, 0, 0];
        let got = super::call::call(libc::SYS_getdents64, args)? as usize;
        if got == 0 {
            return Ok(());
        }
        let mut at = 0;
        while at + NAME < got {
            let length = usize::from(u16::from_le_bytes([buffer[at + 16], buffer[at + 17]]));
            let name = &buffer[at + NAME..(at + length).min(got)];
            each(name.split(|byte| *byte == 0).next().unwrap_or_default());
            at += length.max(NAME);
        }
    }
}
