//! Which cells still take part: those that are not yet measured as precisely as was asked.
//!
//! Cells that are compared with each other end together, so that a block stays complete for them. The question is put
//! every few blocks and answered by the width of intervals alone.

use isomark_core::record::Cell;

use crate::run::Sink;
use crate::schedule::groups;

/// Blocks between two looks.
const EVERY: u32 = 5;
/// Blocks before the first look: below, an interval of the median says little of its own width.
const LEAST: u32 = 20;

/// The cells that still take part.
#[derive(Debug)]
pub(crate) struct Open {
    /// For each cell its group: the first cell that it is compared with.
    group: Vec<usize>,
    open: Vec<bool>,
}

impl Open {
    /// All of them.
    pub(crate) fn all(cells: &[Cell]) -> Self {
        let group = groups(cells);
        Self { open: vec![true; group.len()], group }
    }

    /// Whether a cell takes part.
    pub(crate) fn holds(&self, cell: usize) -> bool {
        self.open.get(self.group[cell]).copied().unwrap_or(true)
    }

    /// Ends every group of which all cells are precise.
    pub(crate) fn look(&mut self, block: u32, warmup: bool, sink: &mut dyn Sink) {
        if warmup || block < LEAST || !block.is_multiple_of(EVERY) {
            return;
        }
        let mut wide = vec![false; self.open.len()];
        for (cell, group) in self.group.iter().enumerate() {
            if self.open[*group] && !wide[*group] && !sink.precise(cell) {
                wide[*group] = true;
            }
        }
        for (open, wide) in self.open.iter_mut().zip(wide) {
            *open &= wide;
        }
    }
}
