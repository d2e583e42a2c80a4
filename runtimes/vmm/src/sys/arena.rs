//! The allocator of a process that lives for one program: a small arena first, the C library's allocator behind it.
//!
//! Starting an instance makes a few dozen small allocations; from the C library each new size class would cost a
//! system call. Arena memory is given back only if it was the last piece: what is lost is bounded by the arena.
//! It is handed out from its end: the C library's own variables lie behind it, so that both share a page.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::UnsafeCell;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Bytes of the arena; untouched pages of it are never resident.
const ARENA: usize = 48 * 1024;
/// Larger requests go to the C library at once, which returns them to the kernel when they are freed.
const LARGE: usize = 8 * 1024;

/// The allocator.
#[derive(Debug)]
pub struct Arena {
    bytes: UnsafeCell<[u8; ARENA]>,
    /// Bytes at the end that are handed out.
    used: AtomicUsize,
}

impl Arena {
    /// An empty arena, in zero-initialised memory of the program.
    #[must_use]
    pub const fn new() -> Self {
        Self { bytes: UnsafeCell::new([0; ARENA]), used: AtomicUsize::new(0) }
    }

    fn base(&self) -> usize {
        self.bytes.get() as usize
    }

    fn take(&self, layout: Layout) -> Option<*mut u8> {
        if layout.size() > LARGE {
            return None;
        }
        let base = self.base();
        // An alignment is a power of two.
        let fit = |used: usize| {
            let start = (base + ARENA - used).checked_sub(layout.size())? & !(layout.align() - 1);
            start.checked_sub(base)
        };
        let take = |used: usize| fit(used).map(|start| ARENA - start);
        let old = self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).ok()?;
        fit(old).map(|start| self.bytes.get().cast::<u8>().wrapping_add(start))
    }
}

impl Default for Arena {
    fn default() -> Self {
        Self::new()
    }
}

// SAFETY: the bytes are only handed out by `take`, each once, by an atomic counter; nobody else refers to them.
unsafe impl Sync for Arena {}

// SAFETY: a piece of the arena is inside it, aligned, and handed out again only after it was freed as the last one;
// everything else is the system allocator's.
unsafe impl GlobalAlloc for Arena {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        match self.take(layout) {
            Some(piece) => piece,
            // SAFETY: the caller's promises are passed on.
            None => unsafe { System.alloc(layout) },
        }
    }

    unsafe fn dealloc(&self, piece: *mut u8, layout: Layout) {
        let at = (piece as usize).wrapping_sub(self.base());
        if at < ARENA {
            let (with, without) = (ARENA - at, ARENA - at - layout.size());
            let _ = self.used.compare_exchange(with, without, Ordering::Relaxed, Ordering::Relaxed);
            return;
        }
        // SAFETY: it is not from the arena, so it is from the system allocator, with this layout.
        unsafe { System.dealloc(piece, layout) };
    }

    unsafe fn realloc(&self, piece: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let at = (piece as usize).wrapping_sub(self.base());
        if at >= ARENA && size > LARGE {
            // SAFETY: it is from the system allocator, with this layout; so a large file grows without a copy.
            return unsafe { System.realloc(piece, layout, size) };
        }
        // SAFETY: the caller promises that `size` with this alignment is a valid layout.
        let wanted = unsafe { Layout::from_size_align_unchecked(size, layout.align()) };
        // SAFETY: the caller promises a size above zero.
        let new = unsafe { self.alloc(wanted) };
        if !new.is_null() {
            // SAFETY: both pieces are at least this long and do not overlap.
            unsafe { std::ptr::copy_nonoverlapping(piece, new, layout.size().min(size)) };
            // SAFETY: the caller gives the old piece up.
            unsafe { self.dealloc(piece, layout) };
        }
        new
    }
}
