//! What would the ratio of medians be in other runs like this one?
//!
//! Percentile bootstrap that resamples whole blocks, so that the pairing survives. Secondary to the exact interval
//! of [`super::paired`]: it answers for the ratio of medians, a slightly different quantity, and rests on luck with
//! a seed, which is why the seed is the run's own.

use super::median::median_in;
use super::paired::Estimate;
use super::random::Random;

/// Resamples drawn when nobody says otherwise: the 2.5 % tail then rests on 50 of them.
pub const RESAMPLES: usize = 2000;

/// Ratio of medians x / base over `(x, base)` pairs with its bootstrap interval.
///
/// `None` without pairs, or where the median of the base is not positive. No interval for n ≤ 5, where resampling
/// pretends to know what five values cannot tell.
///
/// ```
/// use isomark_report::stats::bootstrap::{RESAMPLES, ratio_of_medians};
/// use isomark_report::stats::random::Random;
///
/// let pairs: Vec<(f64, f64)> = (10..30).map(|n| (2.0 * f64::from(n), f64::from(n))).collect();
/// let found = ratio_of_medians(&pairs, RESAMPLES, &mut Random::named(42, "mine")).unwrap();
/// assert_eq!((found.value, found.ci95), (2.0, Some([2.0, 2.0])));
/// ```
#[must_use]
pub fn ratio_of_medians(pairs: &[(f64, f64)], resamples: usize, random: &mut Random) -> Option<Estimate> {
    let n = pairs.len();
    let mut xs: Vec<f64> = pairs.iter().map(|pair| pair.0).collect();
    let mut bases: Vec<f64> = pairs.iter().map(|pair| pair.1).collect();
    let value = quotient(&mut xs, &mut bases)?;
    if n < 6 || resamples < 40 {
        return Some(Estimate { n, value, ci95: None });
    }
    let mut drawn = Vec::with_capacity(resamples);
    for _ in 0..resamples {
        for slot in 0..n {
            let (x, base) = pairs[random.below(n)];
            xs[slot] = x;
            bases[slot] = base;
        }
        drawn.push(quotient(&mut xs, &mut bases)?);
    }
    drawn.sort_unstable_by(f64::total_cmp);
    let tail = resamples / 40;
    Some(Estimate { n, value, ci95: Some([drawn[tail], drawn[resamples - 1 - tail]]) })
}

fn quotient(xs: &mut [f64], bases: &mut [f64]) -> Option<f64> {
    let (x, base) = (median_in(xs)?, median_in(bases)?);
    (base > 0.0).then(|| x / base)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_bits_and_a_constant_has_no_width() {
        let pairs: Vec<(f64, f64)> =
            (0..24).map(|i| (30.0 + f64::from(i % 7), 10.0 + f64::from(i % 5))).collect();
        let one = ratio_of_medians(&pairs, 500, &mut Random::new(9)).unwrap();
        assert_eq!(Some(one), ratio_of_medians(&pairs, 500, &mut Random::new(9)));
        // Medians 32.5 and 12.
        assert!((one.value - 32.5 / 12.0).abs() < 1e-12, "{one:?}");
        let flat = ratio_of_medians(&[(3.0, 2.0); 12], 100, &mut Random::new(1)).unwrap();
        assert_eq!(flat.ci95, Some([1.5, 1.5]));
    }

    #[test]
    fn refuses_small_and_empty_samples() {
        assert_eq!(ratio_of_medians(&[], 100, &mut Random::new(1)), None);
        assert_eq!(ratio_of_medians(&[(1.0, 0.0); 9], 100, &mut Random::new(1)), None);
        assert_eq!(ratio_of_medians(&[(1.0, 1.0); 5], 100, &mut Random::new(1)).unwrap().ci95, None);
    }

    proptest! {
        #[test]
        fn stays_within_what_was_seen(pairs in prop::collection::vec((1.0..9.0_f64, 1.0..9.0_f64), 6..40), seed: u64) {
            let [low, high] = ratio_of_medians(&pairs, 200, &mut Random::new(seed)).unwrap().ci95.unwrap();
            prop_assert!(low <= high && low >= 1.0 / 9.0 && high <= 9.0);
        }
    }
}
