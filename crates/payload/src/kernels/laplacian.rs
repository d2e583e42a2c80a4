//! `spmv`: a sparse matrix in compressed rows, the five-point Laplacian, times a vector of small integers.
//!
//! Integers keep every sum exact, so one answer holds on every path. Column numbers are read from memory as in any
//! sparse code; nothing uses that the matrix is regular.

use super::{Answer, Kernel, size};
use crate::answers::exact::{point, wrapping_sum};
use crate::counts::{grid_width, laplacian_entries};
use crate::data::{EMPTY, fold_f64s};
use crate::sys::Array;
use crate::wire::WireError;

/// The kernel.
pub(crate) struct Spmv {
    /// Where each row starts in the two arrays below, and where the last one ends.
    rows: Array<u32>,
    columns: Array<u32>,
    values: Array<f64>,
    x: Array<f64>,
    y: Array<f64>,
}

impl Spmv {
    /// # Errors
    /// If `n` is out of bounds or the memory is not to be had.
    pub(crate) fn new(n: u64) -> Result<Self, WireError> {
        let rows = size(n, 1, 1 << 28)?;
        let entries = laplacian_entries(n) as usize;
        let mut next = 0..n;
        let mut new = Self {
            rows: Array::zeroed(rows + 1)?,
            columns: Array::zeroed(entries)?,
            values: Array::zeroed(entries)?,
            x: Array::filled(rows, || next.next().map_or(0.0, |i| point(i) as f64))?,
            y: Array::zeroed(rows)?,
        };
        new.fill(n, grid_width(n));
        Ok(new)
    }

    fn fill(&mut self, n: u64, width: u64) {
        let mut at = 0;
        for i in 0..n {
            let (column, last) = (i % width, i + 1 == n);
            let entries = [
                (i >= width, i.wrapping_sub(width), -1.0),
                (column != 0, i.wrapping_sub(1), -1.0),
                (true, i, 4.0),
                (column + 1 != width && !last, i + 1, -1.0),
                (i + width < n, i + width, -1.0),
            ];
            for (_, to, value) in entries.into_iter().filter(|e| e.0) {
                self.columns[at] = to as u32;
                self.values[at] = value;
                at += 1;
            }
            self.rows[i as usize + 1] = at as u32;
        }
    }
}

impl Kernel for Spmv {
    fn iterate(&mut self) -> Result<(), WireError> {
        let x = &self.x[..];
        for (y, bounds) in self.y.iter_mut().zip(self.rows.windows(2)) {
            let row = bounds[0] as usize..bounds[1] as usize;
            let products = self.columns[row.clone()].iter().zip(&self.values[row]);
            *y = products.fold(0.0, |sum, (&c, v)| sum + v * x[c as usize]);
        }
        Ok(())
    }

    fn answer(&mut self) -> Result<Answer, WireError> {
        Ok(Answer::new(&wrapping_sum(&self.y), fold_f64s(EMPTY, &self.y)))
    }
}
