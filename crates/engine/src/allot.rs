//! Who gets fewer turns where a time budget does not suffice for all?
//!
//! A fifth of the time is for whatever all turns are cheap of. Of the rest, first comes a sixth trial of every cell, where
//! an exact interval begins, then a twentieth, where a verdict does, then what is left. A stage that does not fit is
//! divided evenly: what costs less than its part leaves the rest to the others, so that no dear cell takes the turns of
//! cheap ones. Times decide and never values: a run that is shorter where it is slow has no other answer for it.

use crate::run::Setup;

/// Trials at which something new can be said of a cell, and the share of the time that may be spent on getting there.
const STAGES: [(u32, f64); 4] = [(u32::MAX, 0.2), (6, 1.0), (20, 1.0), (u32::MAX, 1.0)];
/// How much the latest trial says of the cost of the next.
const NEWS: f64 = 0.3;
/// The golden section: its multiples fill the unit interval evenly however far one has come (Weyl 1916).
const GOLDEN: f64 = 0.618_033_988_749_895;

/// What is known of a cell's time.
#[derive(Clone, Copy, Debug)]
struct Cell {
    /// Seconds that a trial takes; 0 as long as nobody knows.
    cost: f64,
    /// Trials that are stored.
    done: u32,
    /// Turns that are still to come.
    left: u32,
    /// The share of them that it gets.
    share: f64,
}

/// The time of a run, divided among its cells.
#[derive(Clone, Debug)]
pub(crate) struct Allot(Vec<Cell>);

impl Allot {
    /// Of cells with these turns to come.
    pub(crate) fn new<'r>(setup: &Setup<'_>, turns: impl Iterator<Item = &'r usize>) -> Self {
        let mut all = Self::of(setup.cells.len());
        turns.for_each(|cell| all.0[*cell].left += 1);
        for sample in setup.stored.iter().filter(|sample| !sample.warmup) {
            if let Some(cell) = all.0.get_mut(sample.cell) {
                cell.done += 1;
            }
        }
        all
    }

    fn of(cells: usize) -> Self {
        Self(vec![Cell { cost: 0.0, done: 0, left: 0, share: 1.0 }; cells])
    }

    /// A trial took so many seconds.
    pub(crate) fn took(&mut self, cell: usize, seconds: f64, warmup: bool) {
        let cell = &mut self.0[cell];
        cell.cost = if cell.cost > 0.0 { cell.cost + NEWS * (seconds - cell.cost) } else { seconds };
        cell.done += u32::from(!warmup);
    }

    /// The turns of these cells are over, taken or not.
    pub(crate) fn passed(&mut self, warmup: bool, cells: &[usize]) {
        for cell in cells.iter().filter(|_| !warmup) {
            self.0[*cell].left = self.0[*cell].left.saturating_sub(1);
        }
    }

    /// Seconds that a trial of each of these takes.
    pub(crate) fn expected(&self, cells: &[usize]) -> f64 {
        cells.iter().map(|cell| self.0[*cell].cost).sum()
    }

    /// Divides what is left of the time; all have all of their turns where there is no end.
    pub(crate) fn divide(&mut self, seconds: Option<f64>) {
        let granted = seconds.map(|seconds| self.granted(seconds));
        for (at, cell) in self.0.iter_mut().enumerate() {
            let turns = granted.as_ref().map(|granted| granted[at]);
            cell.share = turns.map_or(1.0, |turns| turns / f64::from(cell.left.max(1)));
        }
    }

    /// Turns that each cell can have in so many seconds.
    fn granted(&self, mut seconds: f64) -> Vec<f64> {
        let mut granted = vec![0.0; self.0.len()];
        for (stage, share) in STAGES {
            let end = |cell: &Cell| stage.min(cell.done.saturating_add(cell.left)).saturating_sub(cell.done);
            let more = |(cell, had): (&Cell, &f64)| (f64::from(end(cell)) - had).max(0.0);
            let turns = self.0.iter().zip(&granted).map(more).collect::<Vec<_>>();
            let wanted = self.0.iter().zip(&turns).map(|(cell, turns)| cell.cost * turns).collect::<Vec<_>>();
            let part = part(&wanted, seconds * share);
            for ((granted, turns), wanted) in granted.iter_mut().zip(&turns).zip(&wanted) {
                *granted += if *wanted > part { turns * part / wanted } else { *turns };
            }
            seconds -= wanted.iter().map(|wanted| wanted.min(part)).sum::<f64>();
        }
        granted
    }

    /// Whether a cell takes its turn in a block. Who has a smaller share takes part where those with a larger one do as
    /// well, so that pairs stay pairs.
    pub(crate) fn admits(&self, cell: usize, block: u32) -> bool {
        (f64::from(block) * GOLDEN).fract() < self.0[cell].share
    }
}

/// What each may have at the most, so that all together have no more than there is.
fn part(wanted: &[f64], mut seconds: f64) -> f64 {
    let mut sorted = wanted.to_vec();
    sorted.sort_by(f64::total_cmp);
    for (at, wanted) in sorted.iter().enumerate() {
        let even = seconds.max(0.0) / (sorted.len() - at) as f64;
        if *wanted > even {
            return even;
        }
        seconds -= wanted;
    }
    f64::INFINITY
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{prop, prop_assert, proptest};

    use super::*;

    /// Plays a run of cells with these costs and turns; how many trials each had, and how long it took.
    fn play(cells: &[(f64, u32)], budget: Option<f64>, blocks: u32) -> (Vec<u32>, f64) {
        let mut allot = Allot::of(cells.len());
        let turn = |at: usize, block: u32| block.is_multiple_of(cells[at].1);
        for (at, (cost, every)) in cells.iter().enumerate() {
            allot.0[at].left = blocks.div_ceil(*every);
            allot.took(at, *cost, true);
        }
        let mut spent = 0.0;
        for block in 0..blocks {
            allot.divide(budget.map(|budget| budget - spent));
            for at in (0..cells.len()).filter(|at| turn(*at, block)) {
                let fits = budget.is_none_or(|budget| spent + allot.expected(&[at]) <= budget);
                if allot.admits(at, block) && fits {
                    allot.took(at, cells[at].0, false);
                    spent += cells[at].0;
                }
                allot.passed(false, &[at]);
            }
        }
        (allot.0.iter().map(|cell| cell.done).collect(), spent)
    }

    #[test]
    fn without_an_end_and_with_time_enough_all_have_their_turns() {
        let cells = [(0.01, 1), (3.0, 2), (1.0, 3)];
        let all = vec![40, 20, 14];
        assert_eq!(play(&cells, None, 40).0, all);
        assert_eq!(play(&cells, Some(1000.0), 40).0, all);
    }

    #[test]
    fn the_dear_give_way_to_the_cheap_and_pairs_stay_pairs() {
        // 40 of the first cost nothing much; the other two share what is left, by time and not by turns.
        let (done, spent) = play(&[(0.01, 1), (1.0, 1), (4.0, 1)], Some(80.4), 40);
        assert_eq!(done[0], 40);
        assert!((18..=22).contains(&done[1]) && (13..=16).contains(&done[2]), "{done:?} in {spent}");
        let mut allot = Allot::of(2);
        (allot.0[0].share, allot.0[1].share) = (0.3, 0.7);
        assert!((0..1000).all(|block| !allot.admits(0, block) || allot.admits(1, block)));
        assert_eq!((0..1000).filter(|block| allot.admits(0, *block)).count(), 300);
    }

    #[test]
    fn an_interval_for_everybody_comes_before_a_verdict_for_some() {
        let (done, _) = play(&[(1.0, 1), (10.0, 1)], Some(70.0), 40);
        assert!(done[1] >= 5 && done[0] >= 6, "{done:?}");
        // Six of each leave thirty: more of the cheap one only.
        let (done, _) = play(&[(1.0, 1), (10.0, 1)], Some(96.0), 40);
        assert!(done[1] >= 6 && done[0] >= 18, "{done:?}");
    }

    proptest! {
        #[test]
        fn a_budget_holds_and_nobody_goes_without(
            cells in prop::collection::vec((0.001_f64..2.0, 1_u32..5), 1..12), share in 0.05_f64..2.0, more: bool
        ) {
            let whole = play(&cells, None, 40).1;
            let once: f64 = cells.iter().map(|(cost, _)| cost).sum();
            let budget = (whole * share).max(once * if more { 7.0 } else { 1.0 });
            let (done, spent) = play(&cells, Some(budget), 40);
            prop_assert!(spent <= budget + 1e-9, "{spent} of {budget}");
            prop_assert!(done.iter().all(|n| *n >= 1), "{done:?}");
        }
    }
}
