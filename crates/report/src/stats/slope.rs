//! By how much does y grow with x, without letting a few odd points decide?
//!
//! Theil–Sen: the median of the slopes of all pairs of points with different x (as scenarios take it,
//! [`isomark_core::slope`]), with the interval that Kendall's rank correlation gives (Sen 1968). Breaks down only when
//! 29 % of the points are odd. The interval takes points for independent of each other.

use isomark_core::slope::slopes;

use super::median::{median, sorted};
use super::normal::Z_975;
use super::select::{kth, middle};

/// Largest number of points whose slopes are all written down; beyond it they are counted.
const WRITTEN: usize = 1000;

/// A line y = `intercept` + `slope` · x.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Line {
    /// y per unit of x.
    pub slope: f64,
    /// Median of y − `slope` · x.
    pub intercept: f64,
    /// About 95 % of confidence in the slope; none for fewer than five points.
    pub ci95: Option<[f64; 2]>,
}

/// The line through `(x, y)` points; `None` unless two of them differ in x.
///
/// ```
/// use isomark_report::stats::slope::theil_sen;
///
/// let line = theil_sen(&[(0.0, 10.0), (1.0, 12.0), (2.0, 14.0), (3.0, 16.0), (4.0, 900.0)]).unwrap();
/// assert_eq!((line.slope, line.intercept), (2.0, 10.0));
/// ```
///
/// Exact up to 1000 points. Beyond, slopes are counted in O(n log n) and the answer is good to about 1e-9.
#[must_use]
pub fn theil_sen(points: &[(f64, f64)]) -> Option<Line> {
    let found = if points.len() <= WRITTEN { written(points)? } else { counted(points)? };
    let rests: Vec<f64> = points.iter().map(|(x, y)| y - found.0 * x).collect();
    Some(Line { slope: found.0, intercept: median(&rests)?, ci95: found.1 })
}

type Found = (f64, Option<[f64; 2]>);

fn written(points: &[(f64, f64)]) -> Option<Found> {
    let slopes = slopes(points);
    let ranks = ranks(points, slopes.len() as u64);
    let ci95 = ranks.and_then(|(low, high)| Some([*slopes.get(low as usize)?, *slopes.get(high as usize)?]));
    Some((median(&slopes)?, ci95))
}

/// The same without writing the slopes down: a slope lies at or below s where y − s·x does not grow.
fn counted(points: &[(f64, f64)]) -> Option<Found> {
    let mut all = points.to_vec();
    // Among equal x no pair has a slope; in the order of y none of them is counted as falling.
    all.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1)));
    let twice = |same: fn(&(f64, f64), &(f64, f64)) -> bool| -> u64 {
        all.chunk_by(same).map(|group| (group.len() * (group.len() - 1) / 2) as u64).sum()
    };
    let (level, doubled) = (twice(|a, b| a.0 == b.0), twice(|a, b| a == b));
    let n = all.len() as u64;
    let count = n * (n - 1) / 2 - level;
    if count == 0 {
        return None;
    }
    // No slope of two points is steeper than the steepest between neighbours in x.
    let low_high = |ys: fn(f64, f64) -> f64| all.iter().map(|p| p.1).fold(f64::NAN, ys);
    let height = low_high(f64::max) - low_high(f64::min);
    let steps = all.windows(2).map(|w| w[1].0 - w[0].0).filter(|step| *step > 0.0);
    let steepest = height / steps.fold(f64::INFINITY, f64::min);
    let range = [-steepest, steepest];
    let at_most = |slope: f64| {
        let rests: Vec<f64> = all.iter().map(|(x, y)| y - slope * x).collect();
        falling(rests).saturating_sub(doubled)
    };
    let ci95 =
        ranks(points, count).map(|(low, high)| [kth(low + 1, range, at_most), kth(high + 1, range, at_most)]);
    Some((middle(count, range, at_most), ci95))
}

/// Number of pairs i < j with rⱼ ≤ rᵢ, by merging.
fn falling(mut from: Vec<f64>) -> u64 {
    let mut to = vec![0.0; from.len()];
    let (mut total, mut width) = (0, 1);
    while width < from.len() {
        for (left, out) in from.chunks(2 * width).zip(to.chunks_mut(2 * width)) {
            let (a, b) = left.split_at(width.min(left.len()));
            let (mut i, mut j) = (0, 0);
            for slot in out {
                if j < b.len() && (i == a.len() || b[j] <= a[i]) {
                    total += (a.len() - i) as u64;
                    *slot = b[j];
                    j += 1;
                } else {
                    *slot = a[i];
                    i += 1;
                }
            }
        }
        std::mem::swap(&mut from, &mut to);
        width *= 2;
    }
    total
}

/// Places (from 0) of the bounds among `count` slopes, by the variance of Kendall's S with ties (Hollander & Wolfe 1999,
/// section 9.3).
fn ranks(points: &[(f64, f64)], count: u64) -> Option<(u64, u64)> {
    if points.len() < 5 {
        return None;
    }
    let n = points.len() as f64;
    // Σ t(t−1)(2t+5) over groups of t equal values.
    let ties = |of: fn(&(f64, f64)) -> f64| {
        let values = sorted(&points.iter().map(of).collect::<Vec<_>>());
        let sizes = values.chunk_by(|a, b| a == b).map(|group| group.len() as f64);
        sizes.map(|t| t * (t - 1.0) * (2.0 * t + 5.0)).sum::<f64>()
    };
    let variance = (n * (n - 1.0) * (2.0 * n + 5.0) - ties(|p| p.0) - ties(|p| p.1)) / 18.0;
    let (count, reach) = (count as f64, Z_975 * variance.max(0.0).sqrt());
    let low = ((count - reach) / 2.0).round_ties_even() - 1.0;
    let high = ((count + reach) / 2.0).round_ties_even();
    (low >= 0.0 && high < count && low <= high).then_some((low as u64, high as u64))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn one_odd_point_of_six_changes_little() {
        // y = 10 + 2x but for x = 5. Of 15 slopes, the ten among the other points are 2.
        let points = [(0.0, 10.0), (1.0, 12.0), (2.0, 14.0), (3.0, 16.0), (4.0, 18.0), (5.0, 900.0)];
        let line = theil_sen(&points).unwrap();
        assert_eq!((line.slope, line.intercept), (2.0, 10.0));
    }

    #[test]
    fn a_slope_needs_two_different_x() {
        assert_eq!(theil_sen(&[]), None);
        assert_eq!(theil_sen(&[(1.0, 1.0), (1.0, 5.0)]), None);
        assert_eq!(theil_sen(&[(1.0, 1.0); 2000]), None);
        let two = Line { slope: 2.0, intercept: -1.0, ci95: None };
        assert_eq!(theil_sen(&[(1.0, 1.0), (3.0, 5.0)]), Some(two));
    }

    #[test]
    fn as_scipy_has_it() {
        // scipy 1.17.1: scipy.stats.theilslopes(y, x, alpha=0.95).
        let points = [
            (0.0, 2.2),
            (1.0, 2.18),
            (2.0, 3.75),
            (3.0, 4.92),
            (4.0, 40.0),
            (5.0, 5.61),
            (6.0, 5.45),
            (7.0, 5.72),
            (8.0, 7.75),
            (9.0, 9.13),
            (10.0, 8.27),
            (11.0, 7.27),
        ];
        let line = theil_sen(&points).unwrap();
        let [low, high] = line.ci95.unwrap();
        for (found, wanted) in [(line.slope, 0.5655), (low, 0.27666666666666656), (high, 0.7749999999999999)]
        {
            assert!((found - wanted).abs() < 1e-12, "{found} {wanted}");
        }
        // Ties in x and y, as the memory scenario has them.
        let points = [
            (0.0, 0.0),
            (1.0, 3.5),
            (2.0, 5.0),
            (4.0, 12.0),
            (8.0, 20.0),
            (0.0, 2.0),
            (1.0, 4.5),
            (2.0, 7.0),
            (4.0, 10.0),
            (8.0, 21.0),
            (0.0, 1.0),
            (1.0, 3.5),
            (2.0, 6.0),
            (4.0, 12.0),
            (8.0, 21.0),
        ];
        let line = theil_sen(&points).unwrap();
        let [low, high] = line.ci95.unwrap();
        for (found, wanted) in [(line.slope, 2.5), (low, 2.3333333333333335), (high, 2.625)] {
            assert!((found - wanted).abs() < 1e-12, "{found} {wanted}");
        }
    }

    proptest! {
        #[test]
        fn finds_any_exact_line(a in -1e3..1e3_f64, b in -1e3..1e3_f64, n in 2_u32..30) {
            let points: Vec<_> = (0..n).map(|x| (f64::from(x), a + b * f64::from(x))).collect();
            let line = theil_sen(&points).unwrap();
            prop_assert!((line.slope - b).abs() < 1e-6 && (line.intercept - a).abs() < 1e-5);
        }

        #[test]
        fn counting_agrees_with_writing_down(points in prop::collection::vec((0_i32..40, -30_i32..30), 2..60)) {
            let points: Vec<(f64, f64)> = points.into_iter().map(|(x, y)| (f64::from(x), f64::from(y) / 7.0)).collect();
            match (written(&points), counted(&points)) {
                (None, None) => {}
                (Some((a, ci_a)), Some((b, ci_b))) => {
                    prop_assert!((a - b).abs() < 1e-9, "{} {}", a, b);
                    prop_assert_eq!(ci_a.is_some(), ci_b.is_some());
                    for (x, y) in ci_a.into_iter().flatten().zip(ci_b.into_iter().flatten()) {
                        prop_assert!((x - y).abs() < 1e-9, "{} {}", x, y);
                    }
                }
                other => prop_assert!(false, "{:?}", other),
            }
        }
    }
}
