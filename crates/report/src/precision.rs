//! Has this been measured precisely enough?
//!
//! Judges by how wide an interval is and never by where it lies: who stops when a difference looks significant finds
//! one in every seventh comparison of a thing with itself (the project's statistics, item 8).

use std::collections::BTreeMap;
use std::str::FromStr;

use isomark_core::Error;
use isomark_core::record::{Cell, Outcome, Run, Sample};

use crate::dataset::Dataset;
use crate::reference;
use crate::region::{quantity, region};
use crate::stats::paired::{self, Estimate};
use crate::stats::verdict::{ENOUGH, Quantity};

/// Trials after which a cell without intervals is given up.
const HOPELESS: usize = 40;

/// Half of the width that an interval may have.
///
/// ```
/// use isomark_report::precision::Target;
///
/// assert_eq!("2 %".parse::<Target>().unwrap(), Target::Share(0.02));
/// assert!("two".parse::<Target>().is_err());
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Target {
    /// Half the region of equivalence of each metric: 1 % for compute kernels, 5 % for times.
    Auto,
    /// This share of the estimate: 0.02 for 2 %.
    Share(f64),
}

impl FromStr for Target {
    type Err = Error;

    /// `auto`, or a share such as `2 %` or `0.02`.
    fn from_str(text: &str) -> Result<Self, Error> {
        let word = text.trim();
        if word == "auto" {
            return Ok(Self::Auto);
        }
        let (number, scale) = word.strip_suffix('%').map_or((word, 1.0), |n| (n.trim(), 0.01));
        let share = number.parse::<f64>().ok().map(|n| n * scale).filter(|s| (0.0001..=1.0).contains(s));
        let refuse = || {
            Error::Input(format!(
                "precision {text:?} is neither auto nor a share of 0.01 % to 100 %, such as 2%"
            ))
        };
        share.map(Self::Share).ok_or_else(refuse)
    }
}

/// What has been measured so far, by cell, of the headline metric.
#[derive(Clone, Debug)]
pub struct Precision {
    cells: Vec<Follow>,
}

/// One cell that is followed.
#[derive(Clone, Debug)]
struct Follow {
    metric: Option<String>,
    /// Whether its own interval counts.
    judged: bool,
    kind: Quantity,
    /// Half of the width that its interval may have, as a share of the base.
    width: f64,
    /// The same in the metric's own unit: whichever allows more.
    absolute: f64,
    base: Option<usize>,
    trials: usize,
    values: BTreeMap<u32, f64>,
}

impl Precision {
    /// Nothing measured yet.
    #[must_use]
    pub fn new(run: &Run, target: Target) -> Self {
        let mut cells = (0..run.cells.len()).map(|at| Follow::new(run, at, target)).collect::<Vec<_>>();
        let bases = cells.iter().filter_map(|cell| cell.base).collect::<Vec<_>>();
        // What others are compared with is as precise as they are; what injected work shows needs no precision.
        for (at, cell) in cells.iter_mut().enumerate() {
            let slowed = run.cells[at].arm.as_ref().is_some_and(|arm| arm.handicap > 0.0);
            cell.judged &= !slowed && (cell.base.is_some() || !bases.contains(&at));
        }
        Self { cells }
    }

    /// What a stored run has measured.
    #[must_use]
    pub fn of(data: &Dataset<'_>, target: Target) -> Self {
        let mut all = Self::new(data.run, target);
        for (cell, seen) in all.cells.iter_mut().zip(&data.cells) {
            cell.trials = seen.trials;
            let series = cell.metric.as_ref().and_then(|name| seen.series.get(name));
            cell.values = series.into_iter().flatten().copied().collect();
        }
        all
    }

    /// Takes one sample.
    pub fn add(&mut self, sample: &Sample) {
        let Some(cell) = self.cells.get_mut(sample.cell).filter(|_| !sample.warmup) else { return };
        cell.trials += 1;
        let Outcome::Values(values) = &sample.outcome else { return };
        if let Some(value) = cell.metric.as_ref().and_then(|name| values.get(name)) {
            cell.values.insert(sample.block, *value);
        }
    }

    /// Whether the interval of a cell is as narrow as was asked: against its base, or of its own median if it has none.
    ///
    /// A cell that fails and fails again will not become precise and holds nobody up.
    #[must_use]
    pub fn precise(&self, cell: usize) -> bool {
        let Some(of) = self.cells.get(cell).filter(|of| of.judged) else { return true };
        if of.trials >= HOPELESS && of.values.len() < of.trials / 2 {
            return true;
        }
        let base = of.base.and_then(|base| self.cells.get(base));
        base.map_or_else(|| of.alone(), |base| of.against(base))
    }
}

impl Follow {
    fn new(run: &Run, at: usize, target: Target) -> Self {
        let cell: &Cell = &run.cells[at];
        let metric = cell.metrics.first().filter(|_| cell.skipped.is_none());
        let region = metric.map(|metric| region(cell, metric));
        let (width, absolute) = match (target, region) {
            (Target::Auto, Some(region)) => (region.relative / 2.0, region.absolute.unwrap_or(0.0) / 2.0),
            (Target::Share(share), Some(region)) => (share, region.absolute.unwrap_or(0.0) / 2.0),
            (_, None) => (1.0, 0.0),
        };
        let arm = cell.arm.as_ref().and_then(|arm| arm.of);
        Self {
            judged: metric.is_some(),
            metric: metric.map(|m| m.name.to_string()),
            kind: metric.map_or(Quantity::Size, quantity),
            width,
            absolute,
            base: arm.or_else(|| reference::process(run, at)),
            trials: 0,
            values: BTreeMap::new(),
        }
    }

    fn alone(&self) -> bool {
        let values = self.values.values().copied().collect::<Vec<_>>();
        paired::location(&values).is_some_and(|found| self.narrow(&found, found.value))
    }

    fn against(&self, base: &Self) -> bool {
        let pairs = self.values.iter().filter_map(|(block, x)| Some((*x, *base.values.get(block)?)));
        let pairs = pairs.collect::<Vec<_>>();
        if self.kind == Quantity::Size {
            let bases = pairs.iter().map(|(_, base)| *base).collect::<Vec<_>>();
            let middle = paired::location(&bases).map_or(0.0, |found| found.value);
            return paired::difference(&pairs).is_some_and(|found| self.narrow(&found, middle));
        }
        paired::ratio(&pairs).is_some_and(|found| self.narrow(&found, found.value))
    }

    fn narrow(&self, found: &Estimate, of: f64) -> bool {
        let half = |[low, high]: [f64; 2]| (high - low) / 2.0;
        let allowed =
            (self.width * of.abs()).max(if self.kind == Quantity::Size { self.absolute } else { 0.0 });
        found.n >= ENOUGH && found.ci95.is_some_and(|ci| half(ci) <= allowed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_a_word_or_a_share() {
        assert_eq!("auto".parse::<Target>().unwrap(), Target::Auto);
        assert_eq!("2 %".parse::<Target>().unwrap(), Target::Share(0.02));
        assert_eq!("0.02".parse::<Target>().unwrap(), Target::Share(0.02));
        for bad in ["", "fast", "0", "200%", "-1%", "nan"] {
            assert!(bad.parse::<Target>().is_err(), "{bad:?}");
        }
    }

    fn follow(width: f64, values: impl IntoIterator<Item = f64>) -> Follow {
        let values: BTreeMap<u32, f64> = (0..).zip(values).collect();
        let (metric, kind, trials) = (Some("x".to_owned()), Quantity::Time, values.len());
        Follow { metric, judged: true, kind, width, absolute: 0.0, base: None, trials, values }
    }

    #[test]
    fn width_decides_and_place_does_not() {
        let base = follow(0.02, (0..40).map(|_| 100.0));
        let arm = |centre: f64, spread: f64| {
            let cell = follow(0.02, (0..40).map(|i| centre + spread * f64::from(i % 5 - 2)));
            Precision { cells: vec![base.clone(), Follow { base: Some(0), ..cell }] }.precise(1)
        };
        assert!(arm(100.0, 1.0) && arm(300.0, 3.0));
        assert!(!arm(100.0, 20.0) && !arm(300.0, 60.0));
    }

    #[test]
    fn few_trials_are_never_precise_and_hopeless_ones_hold_nobody_up() {
        let cells = |of: Follow| Precision { cells: vec![of] }.precise(0);
        assert!(!cells(follow(0.02, (0..19).map(|_| 1.0))));
        assert!(cells(follow(0.02, (0..20).map(|_| 1.0))));
        let failing = Follow { trials: 40, ..follow(0.02, [1.0, 2.0]) };
        assert!(cells(failing));
        assert!(cells(Follow { judged: false, ..follow(0.02, []) }));
    }
}
