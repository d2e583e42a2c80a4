//! Between which of the sorted values does a quantile of the population lie?
//!
//! Order-statistic intervals assume nothing about the distribution but independence: the number of values below
//! the p-quantile is binomial(n, p). Equal tails of at most 2.5 % each; where no pair of ranks reaches that, there
//! is no interval. Hahn & Meeker, *Statistical Intervals* (1991), section 5.2.

/// Share of the probability left outside on each side of a 95 % interval.
pub const TAIL: f64 = 0.025;

/// Ranks (from 1) of the values that bracket the `p`-quantile of the population with at least 95 % confidence.
///
/// For the median: `[1, 6]` at n = 6, `[6, 15]` at n = 20; none for n ≤ 5.
///
/// ```
/// use isomark_report::stats::order::ranks;
/// assert_eq!(ranks(20, 0.5), Some((6, 15)));
/// assert_eq!(ranks(5, 0.5), None);
/// ```
#[must_use]
pub fn ranks(n: usize, p: f64) -> Option<(usize, usize)> {
    ranks_within(n, p, TAIL)
}

/// The same with at most `tail` outside on each side: 0.05 for a 90 % interval.
#[must_use]
pub fn ranks_within(n: usize, p: f64, tail: f64) -> Option<(usize, usize)> {
    if n == 0 || !(p > 0.0 && p < 1.0) {
        return None;
    }
    let low = below_tail(n, p, tail)?;
    // X_(u) fails as an upper bound when at least u values lie below: the mirror image of the lower bound.
    let high = n + 1 - below_tail(n, 1.0 - p, tail)?;
    (low <= high).then_some((low, high))
}

/// Largest rank l with P(B ≤ l − 1) ≤ `tail` for B ~ binomial(n, p).
fn below_tail(n: usize, p: f64, tail: f64) -> Option<usize> {
    // In logarithms, because 0.5^n underflows from n = 1075 on.
    let odds = (p / (1.0 - p)).ln();
    let count = n as f64;
    let mut log_mass = count * (1.0 - p).ln();
    let mut sum = 0.0;
    let mut rank = 0;
    for k in 0..n {
        sum += log_mass.exp();
        if sum > tail {
            break;
        }
        rank = k + 1;
        let k = k as f64;
        log_mass += ((count - k) / (k + 1.0)).ln() + odds;
    }
    (rank > 0).then_some(rank)
}

/// How many values an interval of the median needs at the least: the extremes leave 0.5ⁿ on each side.
///
/// ```
/// use isomark_report::stats::order::{TAIL, least};
/// assert_eq!((least(TAIL), least(TAIL / 13.0)), (6, 10));
/// ```
#[must_use]
pub fn least(tail: f64) -> usize {
    (-tail.log2()).ceil().max(1.0) as usize
}

/// The 95 % interval of the `p`-quantile from values in ascending order.
#[must_use]
pub fn interval(sorted: &[f64], p: f64) -> Option<[f64; 2]> {
    interval_within(sorted, p, TAIL)
}

/// The same with at most `tail` outside on each side.
#[must_use]
pub fn interval_within(sorted: &[f64], p: f64, tail: f64) -> Option<[f64; 2]> {
    let (low, high) = ranks_within(sorted.len(), p, tail)?;
    Some([*sorted.get(low - 1)?, *sorted.get(high - 1)?])
}

/// The sample `p`-quantile by nearest rank: the smallest value with at least a share `p` at or below it.
///
/// Refuses while the tail beyond holds less than one expected value (n · (1 − p) < 1): p95 starts at n = 20.
#[must_use]
pub fn quantile(sorted: &[f64], p: f64) -> Option<f64> {
    let n = sorted.len() as f64;
    // A hair of slack: 20 · (1 − 0.95) is 1.0000000000000009 or 0.9999999999999998, depending on the order.
    if n * (1.0 - p) < 1.0 - 1e-9 || n * p < 1.0 - 1e-9 {
        return None;
    }
    let rank = (n * p - 1e-9).ceil() as usize;
    sorted.get(rank.saturating_sub(1)).copied()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(n: usize, p: f64, expected: Option<(usize, usize)>) {
        assert_eq!(ranks(n, p), expected, "n = {n}, p = {p}");
    }

    #[test]
    fn ranks_of_the_median_as_tabulated() {
        for n in 0..=5 {
            check(n, 0.5, None);
        }
        for (n, low, high) in [(6, 1, 6), (8, 1, 8), (10, 2, 9), (12, 3, 10), (15, 4, 12), (20, 6, 15)] {
            check(n, 0.5, Some((low, high)));
        }
        for (n, low, high) in [(25, 8, 18), (30, 10, 21), (40, 14, 27), (50, 18, 33), (60, 22, 39)] {
            check(n, 0.5, Some((low, high)));
        }
        check(100, 0.5, Some((40, 61)));
        // 90 %: P(B ≤ 5) = 0.0207 and P(B ≤ 6) = 0.0577 at n = 20; at n = 5 the extremes leave 0.031 on each side.
        assert_eq!((ranks_within(20, 0.5, 0.05), ranks_within(5, 0.5, 0.05)), (Some((6, 15)), Some((1, 5))));
        assert_eq!(ranks_within(30, 0.5, 0.05), Some((11, 20)));
        // Far beyond where 0.5^n underflows: normal approximation n/2 ± 1.96 √n/2.
        let (low, high) = ranks(100_000, 0.5).unwrap();
        assert!((49_680..=49_700).contains(&low) && low + high == 100_001, "{low} {high}");
    }

    #[test]
    fn tail_quantiles_need_enough_values() {
        // The largest value is an upper bound once p^n ≤ 0.025: 0.95^71 = 0.0262, 0.95^72 = 0.0249.
        check(71, 0.95, None);
        assert_eq!(ranks(72, 0.95).unwrap().1, 72);
        // 0.99^367 = 0.02501, 0.99^368 = 0.02476.
        check(367, 0.99, None);
        assert_eq!(ranks(368, 0.99).unwrap().1, 368);
        check(10, 0.0, None);
        check(10, 1.0, None);
    }

    #[test]
    fn tail_ranks_as_scipy_has_them() {
        // scipy 1.17.1: l = largest k with scipy.stats.binom.cdf(k - 1, n, p) <= 0.025; u = smallest k with
        // scipy.stats.binom.sf(k - 1, n, p) <= 0.025, ranks from 1.
        for (n, p, low, high) in [
            (72, 0.95, 64, 72),
            (100, 0.95, 90, 100),
            (200, 0.95, 184, 197),
            (1000, 0.95, 936, 964),
            (368, 0.99, 360, 368),
            (500, 0.99, 490, 500),
            (1000, 0.99, 983, 997),
            (10000, 0.99, 9880, 9920),
            (10000, 0.5, 4902, 5099),
        ] {
            check(n, p, Some((low, high)));
        }
    }

    #[test]
    fn point_quantiles_by_nearest_rank() {
        let values: Vec<f64> = (1..=40).map(f64::from).collect();
        assert_eq!(quantile(&values[..19], 0.95), None);
        assert_eq!(quantile(&values[..20], 0.95), Some(19.0));
        assert_eq!(quantile(&values, 0.95), Some(38.0));
        assert_eq!(quantile(&values, 0.5), Some(20.0));
        assert_eq!(quantile(&[], 0.5), None);
    }

    /// P(low ≤ B ≤ high − 1) by Pascal's triangle: an oracle that shares no code with the product.
    fn coverage(n: usize, p: f64, low: usize, high: usize) -> f64 {
        let mut row = vec![1.0];
        for _ in 0..n {
            let mut next = vec![0.0; row.len() + 1];
            for (k, mass) in row.iter().enumerate() {
                next[k] += mass * (1.0 - p);
                next[k + 1] += mass * p;
            }
            row = next;
        }
        row[low..high].iter().sum()
    }

    proptest! {
        #[test]
        fn covers_and_is_the_narrowest(n in 1_usize..300, p in 0.02..0.98_f64) {
            if let Some((low, high)) = ranks(n, p) {
                prop_assert!(coverage(n, p, low, high) >= 0.95 - 1e-9);
                prop_assert!(coverage(n, p, 0, low + 1) > TAIL - 1e-9);
                prop_assert!(coverage(n, p, high - 1, n + 1) > TAIL - 1e-9);
            } else {
                prop_assert!((1.0 - p).powi(n as i32) > TAIL - 1e-9 || p.powi(n as i32) > TAIL - 1e-9);
            }
        }
    }
}
