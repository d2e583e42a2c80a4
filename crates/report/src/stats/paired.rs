//! How many times more does one arm take than the other, block by block?
//!
//! d = ln(x / base) within each block; the estimate is exp(median d) with the exact order-statistic interval of
//! that median. Noise that hits a whole block cancels. Sizes, which may be zero, are compared by difference.
//! Method: the project's statistics, items 3 and 4 (randomised complete blocks, Kalibera & Jones 2013).

use super::median::{median, sorted};
use super::order;

/// An estimate with its 95 % interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    /// Pairs it rests on.
    pub n: usize,
    /// The estimate itself.
    pub value: f64,
    /// The 95 % interval; none for n ≤ 5.
    pub ci95: Option<[f64; 2]>,
}

/// Median with the exact interval of the population's median; `None` for no values.
#[must_use]
pub fn location(values: &[f64]) -> Option<Estimate> {
    let all = sorted(values);
    let value = median(&all)?;
    Some(Estimate { n: all.len(), value, ci95: order::interval(&all, 0.5) })
}

/// The ratio x / base over `(x, base)` pairs.
///
/// `None` without pairs, and where a value is not positive: such a pair has no ratio, and leaving it out would
/// select by value.
///
/// ```
/// use isomark_report::stats::paired::ratio;
/// let pairs: Vec<(f64, f64)> = (1..=6).map(|i| (2.0 * f64::from(i), f64::from(i))).collect();
/// let twice = ratio(&pairs).unwrap();
/// assert!((twice.value - 2.0).abs() < 1e-12 && twice.ci95.is_some());
/// ```
#[must_use]
pub fn ratio(pairs: &[(f64, f64)]) -> Option<Estimate> {
    let logs = log_ratios(pairs)?;
    let found = location(&logs)?;
    Some(Estimate { value: found.value.exp(), ci95: found.ci95.map(|ci| ci.map(f64::exp)), ..found })
}

/// ln(x / base) of each pair; `None` if one of them has none.
#[must_use]
pub fn log_ratios(pairs: &[(f64, f64)]) -> Option<Vec<f64>> {
    pairs.iter().map(|(x, base)| (*x > 0.0 && *base > 0.0).then(|| (x / base).ln())).collect()
}

/// The difference x − base over `(x, base)` pairs.
#[must_use]
pub fn difference(pairs: &[(f64, f64)]) -> Option<Estimate> {
    let all: Vec<f64> = pairs.iter().map(|(x, base)| x - base).collect();
    location(&all)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn six_pairs_by_hand() {
        // Ratios 1.1, 1.2, 1.2, 1.3, 1.4, 2.0; median of the logs: √(1.2 · 1.3); interval: all six.
        let ratios = [1.1, 2.0, 1.2, 1.4, 1.2, 1.3];
        let pairs = ratios.map(|r| (r * 50.0, 50.0));
        let found = ratio(&pairs).unwrap();
        assert!((found.value - (1.2_f64 * 1.3).sqrt()).abs() < 1e-12, "{found:?}");
        let [low, high] = found.ci95.unwrap();
        assert!((low - 1.1).abs() < 1e-12 && (high - 2.0).abs() < 1e-12);
        assert_eq!(found.n, 6);
        let apart = difference(&pairs).unwrap();
        assert!((apart.value - 12.5).abs() < 1e-9, "{apart:?}");
    }

    #[test]
    fn refuses_what_has_no_ratio() {
        assert_eq!(ratio(&[]), None);
        assert_eq!(ratio(&[(1.0, 0.0), (1.0, 1.0)]), None);
        assert_eq!(ratio(&[(-1.0, 1.0)]), None);
        assert_eq!(ratio(&[(2.0, 1.0); 5]).unwrap().ci95, None);
        assert_eq!(difference(&[(1.0, 0.0)]).unwrap().value, 1.0);
    }

    proptest! {
        #[test]
        fn swapping_the_arms_inverts_the_ratio(pairs in prop::collection::vec((0.1..1e6_f64, 0.1..1e6_f64), 6..80)) {
            let swapped: Vec<_> = pairs.iter().map(|(a, b)| (*b, *a)).collect();
            let (one, other) = (ratio(&pairs).unwrap(), ratio(&swapped).unwrap());
            prop_assert!((one.value * other.value - 1.0).abs() < 1e-9);
            let ([low, high], [low2, high2]) = (one.ci95.unwrap(), other.ci95.unwrap());
            prop_assert!((low * high2 - 1.0).abs() < 1e-9 && (high * low2 - 1.0).abs() < 1e-9);
            prop_assert!(low <= one.value && one.value <= high);
        }

        #[test]
        fn a_common_factor_in_a_block_cancels(
            pairs in prop::collection::vec((0.1..1e3_f64, 0.1..1e3_f64, 0.5..20.0_f64), 6..60),
        ) {
            let plain: Vec<_> = pairs.iter().map(|(a, b, _)| (*a, *b)).collect();
            let noisy: Vec<_> = pairs.iter().map(|(a, b, f)| (a * f, b * f)).collect();
            prop_assert!((ratio(&plain).unwrap().value / ratio(&noisy).unwrap().value - 1.0).abs() < 1e-9);
        }
    }
}
