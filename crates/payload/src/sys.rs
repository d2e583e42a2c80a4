//! The system calls and instructions the payload needs, one per function.
//!
//! Measuring needs only calls that a small single-threaded guest kernel can serve; the others ([`child`], [`look`],
//! [`call`]) are asked for and may be refused. Interrupted calls are repeated here, so nobody above sees `EINTR`. Each
//! error carries its call's name.

#![expect(unsafe_code, reason = "this module is where the crate meets the kernel and the CPU")]

pub(crate) mod call;
pub(crate) mod child;
pub(crate) mod look;

use crate::wire::WireError;
use std::arch::x86_64 as cpu;
use std::ffi::{CStr, c_int};
use std::io;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};
use std::ptr::{self, NonNull};

/// An error in words: what failed and why.
fn failed(op: &str) -> WireError {
    WireError(format!("{op}: {}", io::Error::last_os_error()))
}

/// Whether the last call was merely interrupted by a signal.
fn interrupted() -> bool {
    io::Error::last_os_error().kind() == io::ErrorKind::Interrupted
}

/// A file descriptor that this process opened; closed on drop.
pub(crate) struct Fd(c_int);

impl Fd {
    /// The descriptors a process starts with; never dropped by their holder.
    pub(crate) const STDIN: std::mem::ManuallyDrop<Self> = std::mem::ManuallyDrop::new(Self(0));
    /// See [`Fd::STDIN`].
    pub(crate) const STDOUT: std::mem::ManuallyDrop<Self> = std::mem::ManuallyDrop::new(Self(1));

    /// Creates or empties a file for reading and writing. `openat`, because `open` is one call more to serve.
    pub(crate) fn create(path: &CStr) -> Result<Self, WireError> {
        let flags = libc::O_RDWR | libc::O_CREAT | libc::O_TRUNC | libc::O_CLOEXEC;
        // SAFETY: path is a C string that outlives the call.
        let fd = unsafe { libc::openat(libc::AT_FDCWD, path.as_ptr(), flags, 0o644) };
        if fd < 0 { Err(failed("openat")) } else { Ok(Self(fd)) }
    }

    /// The reading and the writing end of a pipe.
    pub(crate) fn pipe() -> Result<(Self, Self), WireError> {
        let mut ends = [0; 2];
        // SAFETY: ends has room for the two descriptors the call stores.
        let status = unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC) };
        if status < 0 { Err(failed("pipe2")) } else { Ok((Self(ends[0]), Self(ends[1]))) }
    }

    /// Reads once; 0 is end of file.
    pub(crate) fn read(&self, into: &mut [u8]) -> Result<usize, WireError> {
        loop {
            // SAFETY: the pointer and length describe one live, writable slice.
            let got = unsafe { libc::read(self.0, into.as_mut_ptr().cast(), into.len()) };
            match usize::try_from(got) {
                Ok(got) => return Ok(got),
                Err(_) if interrupted() => {}
                Err(_) => return Err(failed("read")),
            }
        }
    }

    /// Writes once and tells how much was taken.
    pub(crate) fn write(&self, from: &[u8]) -> Result<usize, WireError> {
        loop {
            // SAFETY: the pointer and length describe one live slice.
            let put = unsafe { libc::write(self.0, from.as_ptr().cast(), from.len()) };
            match usize::try_from(put) {
                Ok(put) => return Ok(put),
                Err(_) if interrupted() => {}
                Err(_) => return Err(failed("write")),
            }
        }
    }

    /// Opens a file for reading.
    ///
    /// # Errors
    /// The kernel's number.
    pub(crate) fn open(path: &CStr) -> Result<Self, i32> {
        let flags = libc::O_RDONLY | libc::O_CLOEXEC | libc::O_NONBLOCK;
        // SAFETY: path is a C string that outlives the call.
        let fd = unsafe { libc::openat(libc::AT_FDCWD, path.as_ptr(), flags) };
        if fd < 0 { Err(errno()) } else { Ok(Self(fd)) }
    }

    /// Back to the first byte.
    pub(crate) fn rewind(&self) -> Result<(), WireError> {
        // SAFETY: takes no pointers.
        let at = unsafe { libc::lseek(self.0, 0, libc::SEEK_SET) };
        if at < 0 { Err(failed("lseek")) } else { Ok(()) }
    }

    /// To stable storage. `false` where the file system or the guest kernel knows no such thing: not an error,
    /// because there is then nothing more durable to wait for.
    pub(crate) fn sync(&self) -> Result<bool, WireError> {
        // SAFETY: takes no pointers.
        let status = unsafe { libc::fsync(self.0) };
        let errno = if status == 0 { 0 } else { io::Error::last_os_error().raw_os_error().unwrap_or(0) };
        match errno {
            0 => Ok(status == 0),
            libc::ENOSYS | libc::EINVAL => Ok(false),
            _ => Err(failed("fsync")),
        }
    }
}

impl Drop for Fd {
    fn drop(&mut self) {
        // SAFETY: the descriptor is ours and is not used after this. An error leaves nothing to do.
        unsafe { libc::close(self.0) };
    }
}

/// The process id, asked of the kernel each time.
pub(crate) fn getpid() -> i32 {
    // SAFETY: takes no arguments and cannot fail.
    unsafe { libc::getpid() }
}

/// The number of the error that the last call left.
fn errno() -> i32 {
    io::Error::last_os_error().raw_os_error().unwrap_or(0)
}

/// Whether something, or the end of the input, waits on standard input.
pub(crate) fn input_waits() -> bool {
    let mut fd = libc::pollfd { fd: 0, events: libc::POLLIN, revents: 0 };
    // SAFETY: one live, writable entry, as the count says.
    unsafe { libc::poll(&raw mut fd, 1, 0) != 0 }
}

/// Types for which all-zero bytes, and any other bytes, are a value.
///
/// # Safety
/// Implemented here only, for plain numbers.
pub(crate) unsafe trait Number: Copy {}
// SAFETY: an integer without padding.
unsafe impl Number for u8 {}
// SAFETY: an integer without padding.
unsafe impl Number for u32 {}
// SAFETY: an integer without padding.
unsafe impl Number for u64 {}
// SAFETY: every bit pattern is a double.
unsafe impl Number for f64 {}

/// A zeroed array in its own anonymous mapping: page-aligned (so 64-aligned), fresh pages each time, and the
/// same system call under every C library. No `madvise`: huge pages come by the host's policy or not at all.
pub(crate) struct Array<T: Number> {
    start: NonNull<T>,
    /// Elements left out at the start of the mapping.
    skip: usize,
    len: usize,
    owns: PhantomData<T>,
}

impl<T: Number> Array<T> {
    /// Maps room for `len` numbers.
    pub(crate) fn zeroed(len: usize) -> Result<Self, WireError> {
        Self::shifted(len, 0)
    }

    /// The same, starting `skip` elements behind a page boundary. All mappings start on a page, so elements of the
    /// same index in several of them compete for one set of the first-level cache unless they are shifted.
    pub(crate) fn shifted(len: usize, skip: usize) -> Result<Self, WireError> {
        let bytes = len
            .max(1)
            .saturating_add(skip)
            .checked_mul(size_of::<T>())
            .filter(|&b| b <= isize::MAX as usize)
            .ok_or_else(|| WireError(format!("mmap: {len} elements do not fit the address space")))?;
        let start = map(bytes).map_err(|e| WireError(format!("{} ({bytes} bytes)", e.0)))?;
        Ok(Self { start: start.cast(), skip, len, owns: PhantomData })
    }

    /// Maps room for the numbers and fills them in order.
    pub(crate) fn filled(len: usize, mut next: impl FnMut() -> T) -> Result<Self, WireError> {
        let mut array = Self::zeroed(len)?;
        array.iter_mut().for_each(|v| *v = next());
        Ok(array)
    }
}

impl Array<u64> {
    /// The same memory as bytes.
    pub(crate) fn bytes(&self) -> &[u8] {
        let words: &[u64] = self;
        // SAFETY: these are the bytes of the words, any of which is a u8, borrowed for as long.
        unsafe { std::slice::from_raw_parts(words.as_ptr().cast(), words.len() * 8) }
    }
}

/// Fresh zeroed pages.
fn map(bytes: usize) -> Result<NonNull<u8>, WireError> {
    let (access, kind) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
    // SAFETY: a new mapping at an address of the kernel's choice touches no memory that exists.
    let start = unsafe { libc::mmap(ptr::null_mut(), bytes, access, kind, -1, 0) };
    if start == libc::MAP_FAILED {
        return Err(failed("mmap"));
    }
    NonNull::new(start.cast()).ok_or_else(|| WireError("mmap: gave address 0".into()))
}

impl<T: Number> Deref for Array<T> {
    type Target = [T];

    #[inline]
    fn deref(&self) -> &[T] {
        // SAFETY: the mapping holds skip + len initialised numbers and lives as long as self.
        let all = unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.skip + self.len) };
        &all[self.skip..]
    }
}

impl<T: Number> DerefMut for Array<T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut [T] {
        // SAFETY: as above, and self is borrowed mutably, so this is the only reference.
        let all = unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr(), self.skip + self.len) };
        &mut all[self.skip..]
    }
}

impl<T: Number> Drop for Array<T> {
    fn drop(&mut self) {
        let bytes = (self.skip + self.len.max(1)) * size_of::<T>();
        // SAFETY: the mapping is ours, of this length, and no reference outlives self.
        unsafe { libc::munmap(self.start.as_ptr().cast(), bytes) };
    }
}

/// Waits until all earlier instructions are done.
pub(crate) fn fence() {
    // SAFETY: the instruction exists on every x86-64.
    unsafe { cpu::_mm_lfence() }
}

/// The time-stamp counter.
pub(crate) fn time_stamp() -> u64 {
    // SAFETY: user code may read the counter unless CR4.TSD is set, which no runtime here does.
    unsafe { cpu::_rdtsc() }
}

/// One CPUID leaf: eax, ebx, ecx, edx.
pub(crate) fn cpuid(leaf: u32, sub_leaf: u32) -> [u32; 4] {
    let r = cpu::__cpuid_count(leaf, sub_leaf);
    [r.eax, r.ebx, r.ecx, r.edx]
}

/// XCR0, the register states that the operating system saves; only with CPUID's OSXSAVE bit.
pub(crate) fn xcr0(osxsave: bool) -> u64 {
    if osxsave { xgetbv() } else { 0 }
}

fn xgetbv() -> u64 {
    let (low, high): (u32, u32);
    // SAFETY: the one caller has seen OSXSAVE, which makes the instruction legal in user mode.
    unsafe {
        std::arch::asm!("xgetbv", in("ecx") 0, out("eax") low, out("edx") high, options(nomem, nostack));
    }
    (u64::from(high) << 32) | u64::from(low)
}
