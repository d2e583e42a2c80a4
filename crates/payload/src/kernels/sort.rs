//! `sort`: the standard library's unstable sort of random 64-bit keys.
//!
//! Each iteration sorts the same keys anew; restoring them is one copy, far below the sort itself.

use super::{Answer, Kernel, size};
use crate::data::{EMPTY, Xoshiro, fold};
use crate::sys::Array;
use crate::wire::WireError;

/// The kernel.
pub(crate) struct Sort {
    given: Array<u64>,
    keys: Array<u64>,
    sum: u64,
}

impl Sort {
    /// # Errors
    /// If `n` is out of bounds or the memory is not to be had.
    pub(crate) fn new(n: u64) -> Result<Self, WireError> {
        let n = size(n, 1, 1 << 30)?;
        let mut random = Xoshiro::named("sort");
        let given = Array::filled(n, || random.word())?;
        let sum = given.iter().fold(0, |s: u64, k| s.wrapping_add(*k));
        Ok(Self { given, keys: Array::zeroed(n)?, sum })
    }
}

impl Kernel for Sort {
    fn iterate(&mut self) -> Result<(), WireError> {
        self.keys.copy_from_slice(&self.given);
        self.keys.sort_unstable();
        Ok(())
    }

    fn answer(&mut self) -> Result<Answer, WireError> {
        let sum = self.keys.iter().fold(0, |s: u64, k| s.wrapping_add(*k));
        if !self.keys.is_sorted() || sum != self.sum {
            return Err(WireError("the keys are not the given ones in order".into()));
        }
        Ok(Answer::new(&sum, self.keys.iter().fold(EMPTY, |h, &k| fold(h, k))))
    }
}
