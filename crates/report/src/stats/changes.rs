//! When did a series of results change for good?
//!
//! E-divisive with a t-test for significance, as in Hunter (Fleming et al., ICPE 2023): the energy statistic proposes
//! where to split, Student's t-test of the neighbouring segments decides, and after all splits the weakest are taken
//! back until every one that stays is significant and large enough. No random permutation: the same series gives the
//! same answer. Splits are sought in overlapping windows, so that a change far away or long ago does not move one that
//! is known, and that 10,000 points cost as many windows and not a matrix.
//!
//! Unlike Hunter's, the p-value is multiplied by the number of places among which the split was the best (Bonferroni):
//! without it, one series of noise in thirty alarms per hundred points (10 of 300); with it none did.

use super::energy::best_split;
use super::student::pooled;

/// What counts as a change.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    /// Fewest points on either side of a change.
    pub least: usize,
    /// Points looked at together.
    pub window: usize,
    /// Largest p-value of a change, adjusted for the choice of its place.
    pub p: f64,
    /// Smallest relative change of the mean: 0.05 for 5 %.
    pub magnitude: f64,
}

impl Default for Settings {
    /// Five points a side, windows of 50, p < 0.001 and any magnitude.
    fn default() -> Self {
        Self { least: 5, window: 50, p: 0.001, magnitude: 0.0 }
    }
}

/// A change of a series.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Change {
    /// Index of the first point after it.
    pub at: usize,
    /// Mean from the change before (or the beginning) to here.
    pub before: f64,
    /// Mean from here to the next change (or the end).
    pub after: f64,
    /// p of Student's test of the two segments, times the places where they could have been split.
    pub p: f64,
}

impl Change {
    /// Relative change of the mean: 0.1 for 10 % more; none where the mean before is zero.
    #[must_use]
    pub fn magnitude(&self) -> Option<f64> {
        (self.before != 0.0).then(|| (self.after - self.before) / self.before.abs())
    }
}

/// A split is kept for a second look while its p is below this many times the limit: it may gain by a neighbour's loss.
const LENIENT: f64 = 10.0;

/// All changes of a series in their order.
///
/// Fewer than twice the smallest segment, or any value that is not finite, is no series: there are no changes then.
#[must_use]
pub fn changes(series: &[f64], settings: &Settings) -> Vec<Change> {
    if series.iter().any(|x| !x.is_finite()) {
        return Vec::new();
    }
    let least = settings.least.max(2);
    let settings = Settings { least, window: settings.window.max(2 * least), ..*settings };
    let mut found = proposed(series, &settings);
    take_back(series, &settings, &mut found);
    found
}

/// Splits in windows that advance by half their length, or to the last split found.
fn proposed(series: &[f64], settings: &Settings) -> Vec<Change> {
    let mut splits: Vec<usize> = Vec::new();
    let mut start = 0;
    while start < series.len() {
        let end = (start + settings.window).min(series.len());
        let mut inside = Vec::new();
        divide(&series[start..end], start, settings, &mut inside);
        // The rest of the last window lies in the one before, unless that found something on the way.
        let last = inside.iter().max().copied().unwrap_or(0);
        splits.extend(inside);
        if end == series.len() && last == 0 {
            break;
        }
        start = last.max(start + settings.window / 2);
    }
    splits.sort_unstable();
    splits.dedup();
    // Windows overlap: the same change seen twice, a few points apart, is one. The weaker goes when all are weighed.
    let mut all: Vec<Change> =
        splits.into_iter().map(|at| Change { at, before: 0.0, after: 0.0, p: 1.0 }).collect();
    for at in 0..all.len() {
        weigh(series, settings, &mut all, at);
    }
    all
}

/// Splits a segment where its statistic is largest, and both sides again while the t-test agrees.
fn divide(segment: &[f64], offset: usize, settings: &Settings, splits: &mut Vec<usize>) {
    let mut open = vec![(0, segment.len())];
    while let Some((from, to)) = open.pop() {
        let part = &segment[from..to];
        let Some((split, _)) = best_split(part, settings.least) else { continue };
        if significance(part, split, settings.least) < (settings.p * LENIENT).min(0.5) {
            splits.push(offset + from + split);
            open.extend([(from, from + split), (from + split, to)]);
        }
    }
}

/// Takes the weakest split back and weighs its neighbours anew, until all are strong and large enough.
fn take_back(series: &[f64], settings: &Settings, all: &mut Vec<Change>) {
    loop {
        let weak = |change: &Change, from: usize, to: usize| {
            let short = change.at - from < settings.least || to - change.at < settings.least;
            let small = change.magnitude().is_some_and(|m| m.abs() < settings.magnitude);
            short || small || change.p >= settings.p
        };
        let ends = |at: usize| bounds(series.len(), all, at);
        let candidates = (0..all.len()).filter(|at| weak(&all[*at], ends(*at).0, ends(*at).1));
        let Some(weakest) = candidates.max_by(|a, b| all[*a].p.total_cmp(&all[*b].p)) else { break };
        all.remove(weakest);
        // What stood before and after it has a longer segment now.
        for near in weakest.saturating_sub(1)..(weakest + 1).min(all.len()) {
            weigh(series, settings, all, near);
        }
    }
}

/// Where the segments beside a change begin and end.
fn bounds(n: usize, all: &[Change], at: usize) -> (usize, usize) {
    let from = at.checked_sub(1).map_or(0, |before| all[before].at);
    (from, all.get(at + 1).map_or(n, |next| next.at))
}

fn weigh(series: &[f64], settings: &Settings, all: &mut [Change], at: usize) {
    let (from, to) = bounds(series.len(), all, at);
    let (part, split) = (&series[from..to], all[at].at - from);
    let mean = |part: &[f64]| part.iter().sum::<f64>() / part.len() as f64;
    let p = significance(part, split, settings.least);
    all[at] = Change { before: mean(&part[..split]), after: mean(&part[split..]), p, ..all[at] };
}

fn significance(part: &[f64], split: usize, least: usize) -> f64 {
    let places = (part.len() + 1).saturating_sub(2 * least).max(1);
    let p = pooled(&part[..split], &part[split..]).unwrap_or(1.0);
    (p * places as f64).min(1.0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::stats::random::Random;

    /// Roughly normal noise around each of the levels in turn, `length` points each.
    fn steps(levels: &[f64], length: usize, spread: f64, seed: u64) -> Vec<f64> {
        let mut random = Random::new(seed);
        let mut bell = || (0..12).map(|_| random.unit()).sum::<f64>() - 6.0;
        levels.iter().flat_map(|level| vec![*level; length]).map(|level| level + spread * bell()).collect()
    }

    fn places(found: &[Change]) -> Vec<usize> {
        found.iter().map(|change| change.at).collect()
    }

    #[test]
    fn clear_steps_are_found_where_they_are() {
        let series = steps(&[100.0, 110.0, 104.0, 120.0], 40, 1.0, 3);
        assert_eq!(places(&changes(&series, &Settings::default())), [40, 80, 120]);
        let first = changes(&series, &Settings::default())[0];
        assert!(first.magnitude().is_some_and(|m| (m - 0.1).abs() < 0.01) && first.p < 1e-9, "{first:?}");
        // A noiseless step at the smallest distance from an end, and a single odd point there.
        let mut short = vec![1.0; 30];
        short[25..].fill(2.0);
        assert_eq!(places(&changes(&short, &Settings::default())), [25]);
        short[25..29].fill(1.0);
        assert_eq!(places(&changes(&short, &Settings::default())), [] as [usize; 0]);
    }

    #[test]
    fn small_changes_and_single_odd_points_are_none() {
        let series = steps(&[100.0, 101.0], 40, 0.2, 5);
        assert_eq!(places(&changes(&series, &Settings::default())), [40]);
        let large = Settings { magnitude: 0.05, ..Settings::default() };
        assert!(changes(&series, &large).is_empty());
        let mut odd = steps(&[100.0], 60, 1.0, 6);
        odd[30] = 500.0;
        assert!(changes(&odd, &Settings::default()).is_empty());
        assert!(changes(&[], &Settings::default()).is_empty());
        assert!(changes(&[1.0; 500], &Settings::default()).is_empty());
        assert!(changes(&[f64::NAN; 50], &Settings::default()).is_empty());
    }

    #[test]
    fn noise_alone_rarely_changes() {
        let count = |seed| changes(&steps(&[100.0], 100, 3.0, seed), &Settings::default()).len();
        let alarmed = (0..300).filter(|seed| count(1000 + seed) > 0).count();
        assert!(alarmed <= 3, "{alarmed} of 300");
    }

    #[test]
    fn five_new_points_are_enough_for_a_clear_change() {
        let late = |seed| {
            let mut series = steps(&[100.0], 30, 2.0, seed);
            series[25..].iter_mut().for_each(|x| *x *= 1.1);
            changes(&series, &Settings::default()).first().is_some_and(|c| (24..=25).contains(&c.at))
        };
        let found = (0..200).filter(|seed| late(2000 + seed)).count();
        assert!(found >= 190, "{found} of 200");
    }

    #[test]
    fn ten_thousand_points_find_each_of_their_changes() {
        let levels: Vec<f64> = (0..50).map(|i| 100.0 + 8.0 * f64::from(i * 7 % 5)).collect();
        let series = steps(&levels, 200, 1.0, 9);
        let found = places(&changes(&series, &Settings::default()));
        assert_eq!(found, (1..50).map(|i| i * 200).collect::<Vec<_>>());
    }

    proptest! {
        #[test]
        fn every_change_meets_the_settings(series in prop::collection::vec(0_i32..12, 0..200)) {
            let series: Vec<f64> = series.into_iter().map(f64::from).collect();
            let settings = Settings { magnitude: 0.1, ..Settings::default() };
            let found = changes(&series, &settings);
            let mut ends = vec![0];
            ends.extend(places(&found));
            ends.push(series.len());
            prop_assert!(found.is_empty() || ends.windows(2).all(|w| w[1] - w[0] >= settings.least), "{:?}", ends);
            prop_assert!(found.iter().all(|c| c.p < settings.p && c.magnitude().is_none_or(|m| m.abs() >= 0.1)));
            prop_assert_eq!(&found, &changes(&series, &settings));
        }
    }
}
