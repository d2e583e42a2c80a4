//! Do paired differences lie on one side of zero more than chance allows?
//!
//! Wilcoxon's signed-rank test (Wilcoxon 1945; Hollander & Wolfe 1999, section 3.1): exact up to 50 differences without
//! ties, else the normal approximation with tie and continuity corrections. Differences of zero say nothing about a
//! side and are left out, as Wilcoxon did. A companion: a p-value is never a verdict here.

use super::normal;
use super::ranks::{Method, Ranked, Test, rank};

/// Largest number of differences whose null distribution is enumerated.
pub const EXACT: usize = 50;

/// The test of paired differences: its statistic is the sum of the ranks of the positive ones.
///
/// ```
/// use isomark_report::stats::signed_rank::wilcoxon;
/// // Five differences, all positive: 1 of 32 sign patterns on each side.
/// assert_eq!(wilcoxon(&[1.0, 2.0, 3.0, 4.0, 5.0]).p, 2.0 / 32.0);
/// ```
#[must_use]
pub fn wilcoxon(differences: &[f64]) -> Test {
    let kept: Vec<f64> = differences.iter().copied().filter(|d| *d != 0.0).collect();
    let n = kept.len();
    let sizes: Vec<f64> = kept.iter().map(|d| d.abs()).collect();
    let Ranked { ranks, ties } = rank(&sizes);
    let positive: f64 = kept.iter().zip(&ranks).filter(|(d, _)| **d > 0.0).map(|(_, rank)| rank).sum();
    let count = n as f64;
    let mean = count * (count + 1.0) / 4.0;
    // As many zeros dropped as kept ties: both break the symmetry that the enumeration rests on.
    if ties == 0.0 && n <= EXACT && n == differences.len() {
        let least = positive.min(2.0 * mean - positive);
        let p = (2.0 * distribution(n).iter().take(least as usize + 1).sum::<f64>()).min(1.0);
        return Test { n, statistic: positive, p, method: Method::Exact };
    }
    let variance = count * (count + 1.0) * (2.0 * count + 1.0) / 24.0 - ties / 48.0;
    let apart = ((positive - mean).abs() - 0.5).max(0.0);
    let p = if variance > 0.0 { normal::two_sided(apart / variance.sqrt()) } else { 1.0 };
    Test { n, statistic: positive, p, method: Method::Normal }
}

/// Probabilities of the sums 0, 1, … of the ranks 1 … n, each taken with probability ½.
#[must_use]
pub fn distribution(n: usize) -> Vec<f64> {
    let mut mass = vec![0.0; n * (n + 1) / 2 + 1];
    mass[0] = 1.0;
    let mut top = 0;
    for rank in 1..=n {
        top += rank;
        for sum in (0..=top).rev() {
            let with = if sum >= rank { mass[sum - rank] } else { 0.0 };
            mass[sum] = 0.5 * (mass[sum] + with);
        }
    }
    mass
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn as_scipy_has_it() {
        // scipy 1.17.1: scipy.stats.wilcoxon(d, method="exact").
        let d = [0.11, -0.04, 0.27, 0.08, -0.13, 0.32, 0.19, 0.05, -0.02, 0.41, 0.22, 0.17];
        let found = wilcoxon(&d);
        assert_eq!((found.method, found.n, found.statistic), (Method::Exact, 12, 69.0));
        assert!((found.p - 0.01611328125).abs() < 1e-12, "{found:?}");
        // Ties and a zero: scipy.stats.wilcoxon(d, zero_method="wilcox", correction=True, method="asymptotic").
        let d = [1.0, 2.0, -2.0, 3.0, 0.0, 4.0, 4.0, -1.0, 5.0, 6.0, -3.0, 7.0, 0.0, 2.0, 8.0];
        let found = wilcoxon(&d);
        assert_eq!((found.method, found.n), (Method::Normal, 13));
        assert!((found.p - 0.020823448710487764).abs() < 1e-12, "{found:?}");
        // Sixty values: 1, −2, 3, −4 … with every fifth positive as well; the same call.
        let d: Vec<f64> =
            (1..=60).map(|i| f64::from(i) * if i % 2 == 1 || i % 5 == 0 { 1.0 } else { -1.0 }).collect();
        let found = wilcoxon(&d);
        assert_eq!((found.method, found.statistic), (Method::Normal, 1110.0));
        assert!((found.p - 0.15219196871282245).abs() < 1e-12, "{found:?}");
    }

    #[test]
    fn no_difference_is_no_evidence_of_one() {
        assert_eq!(wilcoxon(&[]).p, 1.0);
        assert_eq!(wilcoxon(&[0.0; 30]).p, 1.0);
        assert_eq!(wilcoxon(&[1.0, -1.0]).p, 1.0);
    }

    proptest! {
        /// All 2^n sign patterns, one by one.
        #[test]
        fn enumeration_agrees(n in 1_usize..11, signs: u32) {
            let side = |bits: u32, i: usize| bits >> i & 1 == 1;
            let d: Vec<f64> = (0..n).map(|i| (i + 1) as f64 * if side(signs, i) { 1.0 } else { -1.0 }).collect();
            let sum = |bits: u32| (0..n).filter(|i| side(bits, *i)).map(|i| i as f64 + 1.0).sum::<f64>();
            let mean = (n * (n + 1)) as f64 / 4.0;
            let apart = (sum(signs) - mean).abs();
            let as_far = (0..1_u32 << n).filter(|bits| (sum(*bits) - mean).abs() >= apart).count();
            prop_assert!((wilcoxon(&d).p - as_far as f64 / f64::from(1_u32 << n)).abs() < 1e-12);
        }
    }
}
