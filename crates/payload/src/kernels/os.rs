//! `getpid`, `pipe`, `mmap`, `first-touch`, `fork`: what crossing into the (guest's) kernel costs.
//!
//! Each iteration counts what really came back, and that count is the answer: a call that silently does nothing
//! cannot look fast.

use super::{Answer, Kernel, size};
use crate::counts::{MAPPING, PAGE};
use crate::data::{EMPTY, fold};
use crate::sys::child::{Ended, in_child};
use crate::sys::{self, Array, Fd};
use crate::wire::WireError;
use std::hint::black_box;

fn counted(count: u64) -> Answer {
    Answer::new(&count, fold(EMPTY, count))
}

/// The cheapest system call.
pub(crate) struct Getpid {
    n: u64,
    pid: i32,
    same: u64,
}

impl Getpid {
    /// # Errors
    /// If `n` is out of bounds.
    pub(crate) fn new(n: u64) -> Result<Self, WireError> {
        size(n, 1, 1 << 32)?;
        Ok(Self { n, pid: sys::getpid(), same: 0 })
    }
}

impl Kernel for Getpid {
    fn iterate(&mut self) -> Result<(), WireError> {
        self.same = (0..self.n).map(|_| u64::from(sys::getpid() == self.pid)).sum();
        Ok(())
    }

    fn answer(&mut self) -> Result<Answer, WireError> {
        Ok(counted(self.same))
    }
}

/// A byte into a pipe and out of it.
pub(crate) struct Pipe {
    n: u64,
    ends: (Fd, Fd),
    sum: u64,
}

impl Pipe {
    /// # Errors
    /// If `n` is out of bounds or there are no pipes.
    pub(crate) fn new(n: u64) -> Result<Self, WireError> {
        size(n, 1, 1 << 32)?;
        Ok(Self { n, ends: Fd::pipe()?, sum: 0 })
    }
}

impl Kernel for Pipe {
    fn iterate(&mut self) -> Result<(), WireError> {
        self.sum = 0;
        for i in 0..self.n {
            let mut byte = [0];
            let moved = self.ends.1.write(&[i as u8])? + self.ends.0.read(&mut byte)?;
            if moved != 2 {
                return Err(WireError("pipe: a byte got lost".into()));
            }
            self.sum += u64::from(byte[0]);
        }
        Ok(())
    }

    fn answer(&mut self) -> Result<Answer, WireError> {
        Ok(counted(self.sum))
    }
}

/// Maps, writes to each page and unmaps; gives how many pages were otherwise zero and kept what was written.
///
/// The write comes first: a read of a fresh page would only map the shared zero page, and the write behind it
/// would fault a second time.
fn touch_pages(bytes: u64) -> Result<u64, WireError> {
    let mut map = Array::<u64>::zeroed(bytes as usize / 8)?;
    let mut good = 0;
    for (i, page) in (1..).zip(map.chunks_exact_mut(PAGE as usize / 8)) {
        *black_box(&mut page[0]) = i;
        good += u64::from(page[0] == i && page[1] == 0);
    }
    Ok(good)
}

/// Small mappings made, touched and removed.
pub(crate) struct Mmap {
    n: u64,
    pages: u64,
}

impl Mmap {
    /// # Errors
    /// If `n` is out of bounds.
    pub(crate) fn new(n: u64) -> Result<Self, WireError> {
        size(n, 1, 1 << 32)?;
        Ok(Self { n, pages: 0 })
    }
}

impl Kernel for Mmap {
    fn iterate(&mut self) -> Result<(), WireError> {
        self.pages = (0..self.n).map(|_| touch_pages(MAPPING)).sum::<Result<_, _>>()?;
        Ok(())
    }

    fn answer(&mut self) -> Result<Answer, WireError> {
        Ok(counted(self.pages))
    }
}

/// The first write to each page of a fresh mapping.
pub(crate) struct FirstTouch {
    bytes: u64,
    pages: u64,
}

impl FirstTouch {
    /// # Errors
    /// If `n` is out of bounds.
    pub(crate) fn new(n: u64) -> Result<Self, WireError> {
        size(n, 1, 1 << 40)?;
        Ok(Self { bytes: n.next_multiple_of(PAGE), pages: 0 })
    }
}

impl Kernel for FirstTouch {
    fn iterate(&mut self) -> Result<(), WireError> {
        self.pages = touch_pages(self.bytes)?;
        Ok(())
    }

    fn answer(&mut self) -> Result<Answer, WireError> {
        Ok(counted(self.pages))
    }
}

/// A child that exits at once.
pub(crate) struct Fork {
    n: u64,
    codes: u64,
}

/// What the child exits with: not 0, which a child that never ran might also seem to give.
pub(crate) const EXIT: u8 = 7;

impl Fork {
    /// # Errors
    /// If `n` is out of bounds.
    pub(crate) fn new(n: u64) -> Result<Self, WireError> {
        size(n, 1, 1 << 20)?;
        Ok(Self { n, codes: 0 })
    }
}

impl Kernel for Fork {
    fn iterate(&mut self) -> Result<(), WireError> {
        self.codes = 0;
        for _ in 0..self.n {
            self.codes += u64::from(in_child(0, || EXIT)? == Ended::Code(EXIT.into()));
        }
        Ok(())
    }

    fn answer(&mut self) -> Result<Answer, WireError> {
        Ok(counted(self.codes))
    }
}
