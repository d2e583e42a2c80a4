//! Which cells still take part: those that are not yet measured as precisely as was asked.
//!
//! Cells that are compared with each other end together, so that a block stays complete for them. The question is put
//! every few blocks and answered by the width of intervals alone.

use isomark_core::Params;
use isomark_core::record::Cell;

use crate::run::Sink;

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
        let group = (0..cells.len()).map(|at| group(cells, at)).collect::<Vec<_>>();
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

fn group(cells: &[Cell], at: usize) -> usize {
    // A stored run may be damaged: an arm of a later cell is an arm of nothing.
    if let Some(of) = cells[at].arm.as_ref().and_then(|arm| arm.of).filter(|of| *of < at) {
        return group(cells, of);
    }
    let key = |cell: &Cell| -> (String, Params) { (cell.scenario.clone(), cell.params.clone()) };
    let own = key(&cells[at]);
    cells.iter().position(|cell| key(cell) == own).unwrap_or(at)
}
