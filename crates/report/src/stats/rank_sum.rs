//! Does one group of values tend to lie above another?
//!
//! The Mann–Whitney U test for groups that are not paired (Mann & Whitney 1947; Hollander & Wolfe 1999, section 4.1):
//! exact without ties while the groups hold at most 50 values each, else the normal approximation with tie and
//! continuity corrections. It takes neighbours for independent: on data that drift it cries wolf, the more the larger
//! the groups are, which is why runs here are paired within blocks.

use super::normal;
use super::ranks::{Method, Ranked, Test, rank};

/// Largest group whose null distribution is enumerated.
pub const EXACT: usize = 50;

/// The test of two groups: its statistic is the number of pairs in which the value of `a` is larger, ties counting ½.
///
/// `None` if a group is empty.
///
/// ```
/// use isomark_report::stats::rank_sum::mann_whitney;
///
/// // The most extreme of the 20 ways to part six values, on either side.
/// let test = mann_whitney(&[4.0, 5.0, 6.0], &[1.0, 2.0, 3.0]).unwrap();
/// assert!((test.p - 0.1).abs() < 1e-12);
/// ```
#[must_use]
pub fn mann_whitney(a: &[f64], b: &[f64]) -> Option<Test> {
    if a.is_empty() || b.is_empty() {
        return None;
    }
    let Ranked { ranks, ties } = rank(&[a, b].concat());
    let (m, n) = (a.len() as f64, b.len() as f64);
    let above = ranks[..a.len()].iter().sum::<f64>() - m * (m + 1.0) / 2.0;
    let mean = m * n / 2.0;
    let size = a.len() + b.len();
    if ties == 0.0 && a.len() <= EXACT && b.len() <= EXACT {
        let least = above.min(2.0 * mean - above) as usize;
        let p = (2.0 * at_most(a.len(), b.len(), least)).min(1.0);
        return Some(Test { n: size, statistic: above, p, method: Method::Exact });
    }
    let all = m + n;
    let variance = m * n / 12.0 * (all + 1.0 - ties / (all * (all - 1.0)).max(1.0));
    let apart = ((above - mean).abs() - 0.5).max(0.0);
    let p = if variance > 0.0 { normal::two_sided(apart / variance.sqrt()) } else { 1.0 };
    Some(Test { n: size, statistic: above, p, method: Method::Normal })
}

/// P(U ≤ `limit`) for groups of `m` and `n` values without ties.
#[must_use]
pub fn at_most(m: usize, n: usize, limit: usize) -> f64 {
    // U is symmetric: the shorter tail is enumerated.
    if 2 * limit >= m * n {
        return if limit >= m * n { 1.0 } else { 1.0 - at_most(m, n, m * n - limit - 1) };
    }
    distribution(m, n, limit).iter().sum()
}

/// Probabilities of U = 0, 1, … `limit` for groups of `m` and `n` values without ties.
///
/// Counts by the recurrence c(m, n, u) = c(m, n − 1, u) + c(m − 1, n, u − n): sums only, so nothing cancels.
#[must_use]
pub fn distribution(m: usize, n: usize, limit: usize) -> Vec<f64> {
    let mut counts = vec![vec![0.0_f64; limit + 1]; m + 1];
    for row in &mut counts {
        row[0] = 1.0;
    }
    let mut arrangements = 1.0_f64;
    for b in 1..=n {
        arrangements *= (m + b) as f64 / b as f64;
        for a in 1..=m {
            let (before, row) = counts.split_at_mut(a);
            for u in b..=limit {
                row[0][u] += before[a - 1][u - b];
            }
        }
    }
    counts.swap_remove(m).iter().map(|count| count / arrangements).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn as_scipy_has_it() {
        // scipy 1.17.1: scipy.stats.mannwhitneyu(a, b, method="exact"), alternative two-sided.
        let a = [12.1, 14.3, 9.8, 15.2, 11.7, 13.9, 10.4, 16.6];
        let b = [14.8, 17.1, 15.9, 12.6, 18.4, 16.2, 19.3, 13.3, 15.5, 20.7];
        let found = mann_whitney(&a, &b).unwrap();
        assert_eq!((found.method, found.statistic), (Method::Exact, 13.0));
        assert!((found.p - 0.01554001554001554).abs() < 1e-12, "{found:?}");
        // Ties: scipy.stats.mannwhitneyu(a, b, method="asymptotic", use_continuity=True).
        let a = [1.0, 2.0, 2.0, 3.0, 5.0, 5.0, 7.0];
        let b = [2.0, 4.0, 5.0, 6.0, 6.0, 8.0, 9.0, 9.0];
        let found = mann_whitney(&a, &b).unwrap();
        assert_eq!((found.method, found.statistic), (Method::Normal, 12.0));
        assert!((found.p - 0.07029422941876672).abs() < 1e-12, "{found:?}");
        // i² mod 101 + i / 1000 for i in 1..=60, against i³ mod 103 + i / 1000 + 20: the same call.
        let a: Vec<f64> = (1..=60).map(|i| f64::from(i * i % 101) + f64::from(i) / 1000.0).collect();
        let b: Vec<f64> =
            (1..=60).map(|i| f64::from(i * i * i % 103) + f64::from(i) / 1000.0 + 20.0).collect();
        let found = mann_whitney(&a, &b).unwrap();
        assert_eq!((found.method, found.statistic), (Method::Normal, 1186.0));
        assert!((found.p - 0.0012817275121385224).abs() < 1e-12, "{found:?}");
        // scipy.stats.mannwhitneyu(range(1, 51), numpy.arange(1, 51) + 10.5, method="exact").
        let a: Vec<f64> = (1..=50).map(f64::from).collect();
        let b: Vec<f64> = a.iter().map(|x| x + 10.5).collect();
        let found = mann_whitney(&a, &b).unwrap();
        assert!(
            found.method == Method::Exact && (found.p / 0.001055016471113667 - 1.0).abs() < 1e-9,
            "{found:?}"
        );
    }

    #[test]
    fn nothing_to_tell_apart() {
        assert_eq!(mann_whitney(&[], &[1.0]), None);
        assert_eq!(mann_whitney(&[1.0; 9], &[1.0; 9]).unwrap().p, 1.0);
        assert_eq!(mann_whitney(&[1.0], &[2.0]).unwrap().p, 1.0);
    }

    proptest! {
        /// All ways to choose which ranks belong to the first group, one by one.
        #[test]
        fn enumeration_agrees(m in 1_usize..7, n in 1_usize..7, limit in 0_usize..40) {
            let size = m + n;
            let chosen = (0..1_u32 << size).filter(|bits| bits.count_ones() as usize == m);
            let above = |bits: u32| {
                let ours = (0..size).filter(|i| bits >> i & 1 == 1);
                ours.map(|i| (0..i).filter(|j| bits >> j & 1 == 0).count()).sum::<usize>()
            };
            let (mut all, mut low) = (0, 0);
            for bits in chosen {
                all += 1;
                low += usize::from(above(bits) <= limit);
            }
            prop_assert!((at_most(m, n, limit) - f64::from(low as u32) / f64::from(all)).abs() < 1e-12);
        }
    }
}
