//! `random`: read-modify-write at random places of a table (after HPC Challenge's RandomAccess).
//!
//! An update is an exclusive or, so the same update twice undoes itself. Iterations walk through segments that
//! together hit the whole table; at the end every segment is brought to an odd number of walks, and the table must
//! then be what one pass makes of it. Addresses do not depend on loaded values: misses may overlap.

use super::{Answer, Kernel, power_of_two, size};
use crate::counts::random_updates;
use crate::data::{EMPTY, fold, mix};
use crate::sys::Array;
use crate::wire::WireError;

/// The kernel.
pub(crate) struct Random {
    table: Array<u64>,
    /// Updates per segment.
    length: u64,
    segments: u64,
    /// Segments walked so far, over all passes.
    walked: u64,
}

impl Random {
    /// # Errors
    /// If `n` is out of bounds or the memory is not to be had.
    pub(crate) fn new(n: u64) -> Result<Self, WireError> {
        let entries = power_of_two(size(n, 8, 1 << 34)?)?;
        let mut index = 0..;
        let table = Array::filled(entries, || index.next().unwrap_or(0))?;
        let length = random_updates(n);
        Ok(Self { table, length, segments: n / length, walked: 0 })
    }

    fn walk(&mut self, segment: u64) {
        let entries = self.table.len();
        // A power of two: the mask also shows the compiler that no index is out of bounds.
        let table = &mut self.table[..entries];
        let mask = entries - 1;
        for i in segment * self.length..(segment + 1) * self.length {
            let value = mix(i);
            if let Some(word) = table.get_mut(value as usize & mask) {
                *word ^= value;
            }
        }
    }
}

impl Kernel for Random {
    fn iterate(&mut self) -> Result<(), WireError> {
        self.walk(self.walked % self.segments);
        self.walked += 1;
        Ok(())
    }

    fn answer(&mut self) -> Result<Answer, WireError> {
        for segment in 0..self.segments {
            let times = self.walked / self.segments + u64::from(segment < self.walked % self.segments);
            if times.is_multiple_of(2) {
                self.walk(segment);
            }
        }
        self.walked = self.segments;
        let xor = self.table.iter().fold(0, |x, w| x ^ w);
        Ok(Answer::new(&xor, self.table.iter().fold(EMPTY, |h, &w| fold(h, w))))
    }
}
