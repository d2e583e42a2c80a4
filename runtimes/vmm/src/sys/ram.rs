//! Guest memory as a mapping of this process.
//!
//! The bytes are shared with a running guest, so they are only ever touched through vm-memory's volatile accesses and
//! never as Rust references; every address is checked against the mapping first.

use std::cell::Cell;
use std::os::fd::{AsRawFd, BorrowedFd};

use vm_memory::{
    GuestAddress, GuestMemoryBackend, GuestMemoryMmap, GuestRegionMmap, MmapRegion, VolatileSlice,
};

use crate::error::Error;
use crate::layout::{BLOCK, HOST_BASE};

/// The guest's memory: `[0, len)` of its physical addresses.
#[derive(Debug)]
pub struct Ram {
    memory: GuestMemoryMmap<()>,
    host: *mut u8,
    len: u64,
    /// What is mapped: more than the guest's bytes where they had to be aligned.
    mapped: (*mut u8, usize),
    /// How often pages of a file were replaced.
    renewed: Cell<u32>,
}

/// Pages of a file are replaced by fresh ones this often, each a mapping of its own and one more behind it. A process may have
/// some 65,000; one that has them all can allocate nothing.
const RENEWALS_MAX: u32 = 8192;

const PROT: i32 = libc::PROT_READ | libc::PROT_WRITE;
const FLAGS: i32 = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;

impl Ram {
    /// Reserves `len` bytes, aligned so that host and guest blocks coincide; nothing is resident yet.
    ///
    /// # Errors
    /// If the kernel refuses the mapping.
    pub fn new(len: u64) -> Result<Self, Error> {
        let size =
            usize::try_from(len).map_err(|_| Error::Internal(format!("{len} bytes of guest memory")))?;
        let (host, mapped) = place(size)?;
        // SAFETY: `map` has just given us these bytes, readable and writable, and nobody unmaps them while the region lives.
        let region = unsafe { MmapRegion::<()>::build_raw(host, size, PROT, FLAGS) };
        let region = region.map_err(|e| Error::Internal(format!("guest memory: {e}")))?;
        let region = GuestRegionMmap::new(region, GuestAddress(0));
        let region = region.ok_or_else(|| Error::Internal("guest memory wraps around".into()))?;
        let memory = GuestMemoryMmap::from_regions(vec![region]);
        let memory = memory.map_err(|e| Error::Internal(format!("guest memory: {e}")))?;
        Ok(Self { memory, host, len, mapped, renewed: Cell::new(0) })
    }

    /// Bytes.
    #[must_use]
    pub const fn len(&self) -> u64 {
        self.len
    }

    /// Whether there is no memory at all.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Where it lies in this process.
    #[must_use]
    pub fn host_address(&self) -> u64 {
        self.host as u64
    }

    /// As vm-memory's own type, for the loader of kernels.
    #[must_use]
    pub const fn guest(&self) -> &GuestMemoryMmap<()> {
        &self.memory
    }

    /// `len` bytes at `address`, if they exist.
    #[must_use]
    pub fn slice(&self, address: u64, len: u64) -> Option<VolatileSlice<'_, ()>> {
        self.memory.get_slice(GuestAddress(address), usize::try_from(len).ok()?).ok()
    }

    /// Copies `bytes` into the guest; false if they do not fit.
    #[must_use]
    pub fn write(&self, address: u64, bytes: &[u8]) -> bool {
        self.slice(address, bytes.len() as u64).map(|slice| slice.copy_from(bytes)).is_some()
    }

    /// Copies bytes out of the guest; false if they do not exist.
    #[must_use]
    pub fn read(&self, address: u64, bytes: &mut [u8]) -> bool {
        self.slice(address, bytes.len() as u64).map(|slice| slice.copy_to(bytes)).is_some()
    }

    /// Stores one machine word of the machine's own.
    ///
    /// # Errors
    /// If the address is outside memory.
    pub fn store(&self, address: u64, word: u64) -> Result<(), Error> {
        let stored = self.write(address, &word.to_le_bytes());
        stored
            .then_some(())
            .ok_or_else(|| Error::Internal(format!("guest address {address:#x} does not exist")))
    }

    /// Loads one machine word.
    ///
    /// # Errors
    /// If the address is outside memory.
    pub fn load(&self, address: u64) -> Result<u64, Error> {
        let mut word = [0; 8];
        let loaded = self.read(address, &mut word);
        loaded
            .then(|| u64::from_le_bytes(word))
            .ok_or_else(|| Error::Internal(format!("guest address {address:#x} does not exist")))
    }

    /// Stores consecutive words as far as memory reaches.
    pub fn store_all(&self, address: u64, words: &[u64]) {
        if let Some(slice) = self.slice(address, words.len() as u64 * 8) {
            slice.copy_from(words);
        }
    }

    /// Overwrites with zeros.
    pub fn zero(&self, address: u64, len: u64) {
        const ZEROS: [u8; 4096] = [0; 4096];
        let mut done = 0;
        while done < len {
            let step = (len - done).min(ZEROS.len() as u64);
            if !self.write(address + done, &ZEROS[..step as usize]) {
                return;
            }
            done += step;
        }
    }

    /// Puts pages of a file at `address`, copy-on-write; all three numbers are multiples of the page size.
    ///
    /// # Errors
    /// If the range is outside memory or the kernel refuses.
    pub fn map_file(&self, address: u64, len: u64, file: BorrowedFd<'_>, offset: u64) -> Result<(), Error> {
        let op = "mmap of the program";
        let slice =
            self.slice(address, len).ok_or_else(|| Error::Internal(format!("{op}: outside guest memory")))?;
        let at = slice.ptr_guard_mut().as_ptr().cast();
        let offset = i64::try_from(offset).map_err(|_| Error::Internal(format!("{op}: offset {offset}")))?;
        let flags = libc::MAP_PRIVATE | libc::MAP_FIXED;
        // SAFETY: the slice lies inside our own mapping, which holds no Rust object, so replacing it is sound.
        let got = unsafe { libc::mmap(at, slice.len(), PROT, flags, file.as_raw_fd(), offset) };
        if got == libc::MAP_FAILED { Err(Error::os(op)) } else { Ok(()) }
    }

    /// Whether a page holds nothing but zeros.
    #[must_use]
    pub fn is_zero(&self, address: u64) -> bool {
        let mut page = [0; 4096];
        self.read(address, &mut page) && page.iter().all(|byte| *byte == 0)
    }

    /// Puts fresh anonymous pages in place of what is there, whatever it was; no stale translation survives.
    pub fn renew(&self, address: u64, len: u64) {
        let Some(slice) = self.slice(address, len) else { return };
        let at = slice.ptr_guard_mut().as_ptr().cast();
        let replace = || {
            self.renewed.set(self.renewed.get() + 1);
            // SAFETY: the slice lies inside our own mapping, which holds no Rust object, so replacing it is sound.
            unsafe { libc::mmap(at, slice.len(), PROT, FLAGS | libc::MAP_FIXED, -1, 0) }
        };
        if self.renewed.get() == RENEWALS_MAX || replace() == libc::MAP_FAILED {
            // No room for another mapping: the same bytes without one.
            self.zero(address, len);
            self.forget_translations(address, len);
        }
    }

    /// Gives anonymous pages back to the host; they read zero afterwards, and no stale translation survives.
    pub fn discard(&self, address: u64, len: u64) {
        if len > 0 {
            self.advise(address, len, libc::MADV_DONTNEED);
        }
    }

    /// Asks for huge pages where whole blocks fit.
    pub fn huge(&self, address: u64, len: u64) {
        self.advise(address, len, libc::MADV_HUGEPAGE);
    }

    /// Asks for small pages only.
    pub fn small(&self, address: u64, len: u64) {
        self.advise(address, len, libc::MADV_NOHUGEPAGE);
    }

    /// Makes pages resident and writable now.
    pub fn populate(&self, address: u64, len: u64) {
        self.advise(address, len, libc::MADV_POPULATE_WRITE);
    }

    /// Maps pages that exist already.
    pub fn populate_read(&self, address: u64, len: u64) {
        self.advise(address, len, libc::MADV_POPULATE_READ);
    }

    /// Makes KVM forget every translation of these pages without losing their content: it follows changes of the
    /// host's mappings (MMU notifiers), not the host's writes to guest page tables.
    pub fn forget_translations(&self, address: u64, len: u64) {
        self.protect(address, len, libc::PROT_READ);
        self.protect(address, len, PROT);
    }

    /// Advice is advice: a refusal changes speed or residency, never content, except for DONTNEED on pages that
    /// `zero` cannot handle; those are anonymous pages of ours, which the kernel never refuses.
    fn advise(&self, address: u64, len: u64, advice: i32) {
        if let Some(slice) = self.slice(address, len) {
            // SAFETY: the range lies inside our own mapping; only volatile accesses read what may become zero.
            unsafe { libc::madvise(slice.ptr_guard_mut().as_ptr().cast(), slice.len(), advice) };
        }
    }

    fn protect(&self, address: u64, len: u64, prot: i32) {
        if let Some(slice) = self.slice(address, len) {
            // SAFETY: as above; the caller restores write access before anybody writes.
            unsafe { libc::mprotect(slice.ptr_guard_mut().as_ptr().cast(), slice.len(), prot) };
        }
    }
}

impl Drop for Ram {
    /// A VMM leaves without coming here; whoever makes many machines in one process gets its address space back.
    fn drop(&mut self) {
        // SAFETY: nothing refers to these bytes any more: every slice of them borrows `self`.
        unsafe { libc::munmap(self.mapped.0.cast(), self.mapped.1) };
    }
}

/// Where guest memory begins, and what was mapped for it.
fn place(size: usize) -> Result<(*mut u8, (*mut u8, usize)), Error> {
    match map(HOST_BASE as usize, size, libc::MAP_FIXED_NOREPLACE) {
        Ok(host) if host as u64 == HOST_BASE => return Ok((host, (host, size))),
        // A kernel that does not know the flag takes the place as a hint.
        // SAFETY: a mapping of this size was made there just now, and nobody knows of it.
        Ok(elsewhere) => unsafe { libc::munmap(elsewhere.cast(), size) },
        Err(_) => 0,
    };
    // One block more than needed, to start at the first whole one.
    let wide = size + BLOCK as usize;
    let start = map(0, wide, 0)?;
    Ok((start.wrapping_add(start.align_offset(BLOCK as usize)), (start, wide)))
}

fn map(at: usize, size: usize, flags: i32) -> Result<*mut u8, Error> {
    let at = std::ptr::without_provenance_mut(at);
    // SAFETY: a fresh anonymous mapping that replaces nothing touches nothing that exists.
    let got = unsafe { libc::mmap(at, size, PROT, FLAGS | flags, -1, 0) };
    if got == libc::MAP_FAILED {
        return Err(Error::os(format!("mmap of {size} bytes of guest memory")));
    }
    Ok(got.cast())
}
