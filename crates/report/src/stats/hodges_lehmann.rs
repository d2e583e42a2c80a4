//! What single shift fits these differences best?
//!
//! Hodges–Lehmann: the median of all Walsh averages (xᵢ + xⱼ) / 2 of one sample, or of all differences between two
//! samples, with the distribution-free interval that the signed-rank or rank-sum distribution gives (Hodges & Lehmann
//! 1963; Moses in Hollander & Wolfe 1999, sections 3.2, 3.3 and 4.2, 4.3). Sharper than the median where noise is
//! light-tailed, and wide where it is not: a companion, not the verdict. No pair is ever written down, so the memory
//! is that of the samples.

use super::median::sorted;
use super::normal::Z_975;
use super::order::TAIL;
use super::ranks::Method;
use super::select::{kth, middle};
use super::{rank_sum, signed_rank};

/// A shift with its interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shift {
    /// The estimate.
    pub value: f64,
    /// At least (exact) or about (normal) 95 % of confidence; none where the samples are too small.
    pub ci95: Option<[f64; 2]>,
    /// How the ranks of the interval were found.
    pub method: Method,
}

/// The location of one sample of paired differences, as if symmetric; `None` for no values.
///
/// ```
/// use isomark_report::stats::hodges_lehmann::one_sample;
///
/// let shift = one_sample(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]).unwrap();
/// assert!((shift.value - 4.0).abs() < 1e-9 && shift.ci95.is_some());
/// ```
#[must_use]
pub fn one_sample(values: &[f64]) -> Option<Shift> {
    let all = sorted(values);
    let range = [*all.first()?, *all.last()?];
    let n = all.len() as u64;
    let count = n * (n + 1) / 2;
    let (rank, method) = signed_rank_critical(all.len());
    Some(shift(count, range, rank, method, |bound| averages_at_most(&all, bound)))
}

/// How far the second sample lies above the first; `None` if one is empty.
#[must_use]
pub fn two_sample(first: &[f64], second: &[f64]) -> Option<Shift> {
    let (xs, ys) = (sorted(first), sorted(second));
    let range = [ys.first()? - xs.last()?, ys.last()? - xs.first()?];
    let count = xs.len() as u64 * ys.len() as u64;
    let (rank, method) = rank_sum_critical(xs.len(), ys.len());
    Some(shift(count, range, rank, method, |bound| differences_at_most(&xs, &ys, bound)))
}

fn shift(count: u64, range: [f64; 2], rank: u64, method: Method, at_most: impl Fn(f64) -> u64) -> Shift {
    let ci95 = (rank > 0).then(|| [kth(rank, range, &at_most), kth(count + 1 - rank, range, &at_most)]);
    Shift { value: middle(count, range, &at_most), ci95, method }
}

/// Number of Walsh averages at or below a bound: as i climbs, the last fitting partner only descends.
fn averages_at_most(sorted: &[f64], bound: f64) -> u64 {
    let (mut total, mut end) = (0, sorted.len());
    for (i, x) in sorted.iter().enumerate() {
        while end > i && (x + sorted[end - 1]) / 2.0 > bound {
            end -= 1;
        }
        if end <= i {
            break;
        }
        total += (end - i) as u64;
    }
    total
}

/// Number of differences y − x at or below a bound.
fn differences_at_most(xs: &[f64], ys: &[f64], bound: f64) -> u64 {
    let (mut total, mut end) = (0, 0);
    for x in xs {
        while end < ys.len() && ys[end] - x <= bound {
            end += 1;
        }
        total += end as u64;
    }
    total
}

/// Largest rank r with P(W < r) ≤ 2.5 %; 0 if there is none.
fn signed_rank_critical(n: usize) -> (u64, Method) {
    if n <= signed_rank::EXACT {
        return (below_tail(&signed_rank::distribution(n)), Method::Exact);
    }
    let n = n as f64;
    normal_rank(n * (n + 1.0) / 4.0, n * (n + 1.0) * (2.0 * n + 1.0) / 24.0)
}

/// Largest rank r with P(U < r) ≤ 2.5 %; 0 if there is none.
fn rank_sum_critical(m: usize, n: usize) -> (u64, Method) {
    if m <= rank_sum::EXACT && n <= rank_sum::EXACT {
        return (below_tail(&rank_sum::distribution(m, n, m * n / 2)), Method::Exact);
    }
    let (m, n) = (m as f64, n as f64);
    normal_rank(m * n / 2.0, m * n * (m + n + 1.0) / 12.0)
}

fn below_tail(mass: &[f64]) -> u64 {
    let mut sum = 0.0;
    let within = mass.iter().take_while(|mass| {
        sum += **mass;
        sum <= TAIL
    });
    within.count() as u64
}

fn normal_rank(mean: f64, variance: f64) -> (u64, Method) {
    ((mean - Z_975 * variance.sqrt()).floor().max(0.0) as u64, Method::Normal)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::stats::median::median;

    #[test]
    fn by_hand() {
        // Walsh averages of 1, 2, 6: 1, 1.5, 2, 3.5, 4, 6; their median is 2.75. Three values carry no interval.
        let found = one_sample(&[6.0, 1.0, 2.0]).unwrap();
        assert_eq!((found.value, found.ci95), (2.75, None));
        // Six values: P(W = 0) = 1/64 ≤ 2.5 %, P(W ≤ 1) = 2/64 is too much: the extreme averages.
        assert_eq!(one_sample(&[3.0, 1.0, 2.0, 5.0, 4.0, 9.0]).unwrap().ci95, Some([1.0, 9.0]));
        // Differences of 10, 20 to 1, 4: 6, 9, 16, 19.
        assert_eq!(two_sample(&[1.0, 4.0], &[10.0, 20.0]).unwrap().value, 12.5);
        assert!(one_sample(&[]).is_none() && two_sample(&[], &[1.0]).is_none());
    }

    #[test]
    fn intervals_as_numpy_and_scipy_have_them() {
        // numpy 2.4.6 and scipy 1.17.1: sorted Walsh averages, ranks by the null distributions of wilcoxon and
        // mannwhitneyu (scipy.stats._wilcoxon.WilcoxonDistribution, scipy.stats._mannwhitneyu._mwu_state).
        let d = [0.11, -0.04, 0.27, 0.08, -0.13, 0.32, 0.19, 0.05, -0.02, 0.41, 0.22, 0.17];
        let found = one_sample(&d).unwrap();
        assert!((found.value - 0.1375).abs() < 1e-12, "{found:?}");
        let [low, high] = found.ci95.unwrap();
        assert!((low - 0.03).abs() < 1e-12 && (high - 0.245).abs() < 1e-12, "{found:?}");
        let a = [12.1, 14.3, 9.8, 15.2, 11.7, 13.9, 10.4, 16.6];
        let b = [14.8, 17.1, 15.9, 12.6, 18.4, 16.2, 19.3, 13.3, 15.5, 20.7];
        let found = two_sample(&a, &b).unwrap();
        assert!((found.value - 3.3000000000000007).abs() < 1e-12, "{found:?}");
        let [low, high] = found.ci95.unwrap();
        assert!((low - 0.7000000000000011).abs() < 1e-12 && (high - 6.1).abs() < 1e-12, "{found:?}");
    }

    #[test]
    fn critical_ranks_as_tabulated() {
        // Hollander & Wolfe 1999, table A.4, and Conover 1999, table A12: n and the number of averages cut off, + 1.
        for (n, rank) in [(5, 0), (6, 1), (8, 4), (10, 9), (12, 14), (15, 26), (20, 53), (25, 90), (30, 138)]
        {
            assert_eq!(signed_rank_critical(n).0, rank, "{n}");
        }
        // Mann–Whitney, two-sided 5 %: critical U of 23 for 10 and 10, 127 for 20 and 20, 2 for 5 and 5.
        for (n, critical) in [(5, 2), (10, 23), (20, 127)] {
            assert_eq!(rank_sum_critical(n, n).0, critical + 1, "{n}");
        }
        // Both methods agree where they meet, but for a rank or two.
        let exact = below_tail(&signed_rank::distribution(60));
        let about = signed_rank_critical(60).0;
        assert!(exact.abs_diff(about) <= 2, "{exact} {about}");
    }

    #[test]
    fn twenty_thousand_pairs_need_no_square() {
        let values: Vec<f64> = (0..20_000_u32).map(|i| f64::from(i * 7919 % 20_011)).collect();
        let found = one_sample(&values).unwrap();
        let [low, high] = found.ci95.unwrap();
        assert!(
            low < found.value && found.value < high && (found.value - 10_000.0).abs() < 20.0,
            "{found:?}"
        );
    }

    proptest! {
        #[test]
        fn agrees_with_writing_all_of_them_down(
            xs in prop::collection::vec(-50_i32..50, 1..30),
            ys in prop::collection::vec(-50_i32..50, 1..30),
        ) {
            let (xs, ys): (Vec<f64>, Vec<f64>) =
                (xs.into_iter().map(|x| f64::from(x) / 3.0).collect(), ys.into_iter().map(f64::from).collect());
            let walsh: Vec<f64> =
                (0..xs.len()).flat_map(|i| (i..xs.len()).map(move |j| (i, j))).map(|(i, j)| (xs[i] + xs[j]) / 2.0).collect();
            prop_assert_eq!(one_sample(&xs).map(|s| s.value + 0.0), median(&walsh).map(|m| m + 0.0));
            let apart: Vec<f64> = ys.iter().flat_map(|y| xs.iter().map(move |x| y - x)).collect();
            prop_assert_eq!(two_sample(&xs, &ys).map(|s| s.value + 0.0), median(&apart).map(|m| m + 0.0));
        }
    }
}
