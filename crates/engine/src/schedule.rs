//! In which order the cells of a block run: every block in an order of its own, drawn from the seed.
//!
//! Randomised complete blocks: what drifts on a host (heat, neighbours, caches) meets every cell alike. Alternating
//! or blocked orders raise false alarms several times over (research: A/A trials of the three designs). Cells that are
//! compared with each other run one after the other, in a random order: a block of a big plan takes a minute, and what
//! happens on a host within a minute is not the same for both sides of a pair.

use std::collections::BTreeMap;

use isomark_core::payload::data::SplitMix;
use isomark_core::record::Cell;

/// For each cell its group: the first of the cells that it is compared with, those of the same scenario and parameters.
#[must_use]
pub fn groups(cells: &[Cell]) -> Vec<usize> {
    let mut first = BTreeMap::new();
    let mut groups = Vec::with_capacity(cells.len());
    for (at, cell) in cells.iter().enumerate() {
        // A stored run may be damaged: an arm of a later cell is an arm of nothing.
        let of = cell.arm.as_ref().and_then(|arm| arm.of).filter(|of| *of < at);
        let alike = || *first.entry((&cell.scenario, cell.params.to_string())).or_insert(at);
        groups.push(of.map_or_else(alike, |of| groups[of]));
    }
    groups
}

/// The cells of a block in their order: those whose `every` divides the block's number; groups are shuffled, and so are
/// the cells of each (Fisher–Yates).
///
/// Depends on seed and block alone, so that a resumed run goes on in the order it would have had.
///
/// ```
/// use isomark_engine::schedule::order;
///
/// // Three cells that are compared with each other, and one of its own that is asked in every second block.
/// let (every, groups) = ([1, 1, 1, 2], [0, 0, 0, 3]);
/// let mut cells = order(7, 1, &every, &groups);
/// assert_eq!(cells, order(7, 1, &every, &groups));
/// cells.sort();
/// assert_eq!(cells, [0, 1, 2]);
/// ```
#[must_use]
pub fn order(seed: u64, block: u32, every: &[u32], groups: &[usize]) -> Vec<usize> {
    let mut chance = SplitMix::new(seed ^ u64::from(block).wrapping_mul(0xa076_1d64_78bd_642f));
    let takes_part = |at: &usize| block.is_multiple_of(every[*at].max(1));
    let mut together: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for at in (0..every.len()).filter(takes_part) {
        together.entry(groups[at]).or_default().push(at);
    }
    let mut together = together.into_values().collect::<Vec<_>>();
    shuffle(&mut chance, &mut together);
    together.iter_mut().for_each(|cells| shuffle(&mut chance, cells));
    together.concat()
}

fn shuffle<T>(chance: &mut SplitMix, all: &mut [T]) {
    for last in (1..all.len()).rev() {
        all.swap(last, chance.below(last + 1));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{prop, prop_assert_eq, proptest};

    use super::*;

    proptest! {
        #[test]
        fn a_block_holds_each_of_its_cells_once(seed: u64, block in 0_u32..1000, every in prop::collection::vec(1_u32..5, 0..40)) {
            let groups = (0..every.len()).map(|at| at / 3 * 3).collect::<Vec<_>>();
            let mut cells = order(seed, block, &every, &groups);
            prop_assert_eq!(&cells, &order(seed, block, &every, &groups));
            let met = cells.iter().map(|at| groups[*at]).collect::<Vec<_>>();
            let runs = met.chunk_by(|a, b| a == b).map(|run| run[0]).collect::<Vec<_>>();
            prop_assert_eq!(runs.len(), runs.iter().collect::<std::collections::BTreeSet<_>>().len(), "{:?} is torn apart", met);
            cells.sort_unstable();
            let expected = (0..every.len()).filter(|at| block % every[*at] == 0).collect::<Vec<_>>();
            prop_assert_eq!(cells, expected);
        }
    }

    #[test]
    fn no_cell_has_a_place_of_its_own() {
        // 6000 blocks of three cells: each cell comes first about a third of the time (5 sigma is 183).
        for groups in [[0, 0, 0], [0, 1, 2]] {
            let first = (0..6000).map(|block| order(9, block, &[1, 1, 1], &groups)[0]);
            let mut counts = [0_i32; 3];
            first.for_each(|cell| counts[cell] += 1);
            assert!(counts.iter().all(|n| (n - 2000).abs() < 183), "{counts:?}");
        }
    }
}
