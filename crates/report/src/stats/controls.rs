//! Would the same comparison cry wolf where nothing differs, and bark where something does?
//!
//! Paired effects of two arms whose truth is known are drawn again, block by block with replacement. For arms that are
//! the same (A/A), labels are swapped at random within each block, so that every difference that is found is a false
//! one; their spread is the A/A band, the difference that this host makes out of nothing. For an arm that was slowed on
//! purpose, labels stay, and the share of comparisons that say so is the detection rate. A drawn comparison is judged
//! by its own exact interval, as the real one is. Method: the project's statistics, item 9.

use super::median::median;
use super::order::ranks;
use super::paired::{Estimate, log_ratios};
use super::random::Random;
use super::rank_sum::mann_whitney;
use super::ranks::Test;

/// Comparisons drawn when nobody says otherwise: 7.5 % of false alarms are 30 of them.
pub const RESAMPLES: usize = 400;
/// Share of the drawn A/A effects that the band holds.
const WITHIN: f64 = 0.975;

/// What happens to the labels of a block that is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Labels {
    /// They stay: the effect is real.
    Kept,
    /// They are swapped with probability ½: no effect is real.
    Swapped,
}

/// Ratios x / base of drawn comparisons over `(x, base)` pairs, each with its exact interval.
///
/// `None` without pairs, and where a pair has no ratio.
///
/// ```
/// use isomark_report::stats::controls::{Labels, band, ratios, share};
/// use isomark_report::stats::random::Random;
/// let pairs: Vec<(f64, f64)> = (0..24).map(|i| (100.0 + f64::from(i % 5), 100.0 + f64::from(i % 3))).collect();
/// let drawn = ratios(&pairs, Labels::Swapped, 400, &mut Random::new(1)).unwrap();
/// assert!(band(&drawn).unwrap() < 0.04);
/// assert_eq!(share(&drawn, |ratio| ratio.ci95.is_some_and(|[low, _]| low > 1.10)), Some(0.0));
/// ```
#[must_use]
pub fn ratios(
    pairs: &[(f64, f64)],
    labels: Labels,
    resamples: usize,
    random: &mut Random,
) -> Option<Vec<Estimate>> {
    let mut all = drawn(&log_ratios(pairs)?, labels, resamples, random)?;
    for one in &mut all {
        one.value = one.value.exp();
        one.ci95 = one.ci95.map(|ci| ci.map(f64::exp));
    }
    Some(all)
}

/// Differences x − base of drawn comparisons, for sizes; otherwise as [`ratios`].
#[must_use]
pub fn differences(
    pairs: &[(f64, f64)],
    labels: Labels,
    resamples: usize,
    random: &mut Random,
) -> Option<Vec<Estimate>> {
    let effects: Vec<f64> = pairs.iter().map(|(x, base)| x - base).collect();
    drawn(&effects, labels, resamples, random)
}

/// Medians of effects drawn again, with the interval that each would be told with.
fn drawn(effects: &[f64], labels: Labels, resamples: usize, random: &mut Random) -> Option<Vec<Estimate>> {
    let n = effects.len();
    if n == 0 || resamples == 0 {
        return None;
    }
    let bounds = ranks(n, 0.5);
    let mut scratch = vec![0.0; n];
    let one = |_| {
        for slot in &mut scratch {
            // One draw decides both: which block, and whether its labels are swapped.
            let at = random.below(2 * n);
            let turned = labels == Labels::Swapped && at % 2 == 1;
            *slot = if turned { -effects[at / 2] } else { effects[at / 2] };
        }
        middle(&mut scratch, bounds)
    };
    Some((0..resamples).map(one).collect())
}

/// The median and its interval by selection: the values between need no order.
fn middle(values: &mut [f64], bounds: Option<(usize, usize)>) -> Estimate {
    let n = values.len();
    let half = n / 2;
    let (below, upper, above) = values.select_nth_unstable_by(half, f64::total_cmp);
    let upper = *upper;
    let lower = below.iter().copied().max_by(f64::total_cmp).filter(|_| n.is_multiple_of(2));
    let ci95 = bounds.map(|(low, high)| {
        // Ranks from 1, the lower one below the middle and the upper one at or above it.
        let low = *below.select_nth_unstable_by(low - 1, f64::total_cmp).1;
        let high = match (high - 1).checked_sub(half + 1) {
            Some(at) => *above.select_nth_unstable_by(at, f64::total_cmp).1,
            None => upper,
        };
        [low, high]
    });
    Estimate { n, value: lower.map_or(upper, |lower| lower.midpoint(upper)), ci95 }
}

/// The relative difference that 97.5 % of drawn A/A ratios stay within: 0.013 for ± 1.3 %.
///
/// On a logarithmic scale, as the region of equivalence is: `1 / (1 + band)` to `1 + band`.
#[must_use]
pub fn band(ratios: &[Estimate]) -> Option<f64> {
    let mut away: Vec<f64> = ratios.iter().map(|ratio| ratio.value.ln().abs()).collect();
    away.sort_unstable_by(f64::total_cmp);
    let rank = (WITHIN * away.len() as f64).ceil() as usize;
    Some(away.get(rank.checked_sub(1)?)?.exp_m1())
}

/// The share of drawn comparisons of which a rule says yes; `None` if none was drawn.
#[must_use]
pub fn share(drawn: &[Estimate], rule: impl Fn(&Estimate) -> bool) -> Option<f64> {
    let yes = drawn.iter().filter(|one| rule(one)).count();
    (!drawn.is_empty()).then(|| yes as f64 / drawn.len() as f64)
}

/// The same A/A data as a tool would see them that measures the base first and the change afterwards.
///
/// All values of the first half of the blocks against all of the second half by the Mann–Whitney test; pairs in the
/// order of time. The middle block of an odd number is left out. `None` below two blocks.
#[must_use]
pub fn blocked(pairs: &[(f64, f64)]) -> Option<Test> {
    let half = pairs.len() / 2;
    let values = |pairs: &[(f64, f64)]| pairs.iter().flat_map(|(x, base)| [*x, *base]).collect::<Vec<_>>();
    mann_whitney(&values(&pairs[..half]), &values(&pairs[pairs.len() - half..]))
}

/// How far the middle of A/A pairs is from no difference, as a share: 0.01 for 1 %.
#[must_use]
pub fn shift(pairs: &[(f64, f64)]) -> Option<f64> {
    Some(median(&log_ratios(pairs)?)?.abs().exp_m1())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::stats::paired::location;
    use crate::stats::verdict::{Quantity, Verdict, judge};

    /// Blocks with a drift that both arms share, and noise of about 3 % of their own.
    fn blocks(n: u32, drift: f64, slower: f64, seed: u64) -> Vec<(f64, f64)> {
        let mut random = Random::new(seed);
        let mut bell = || (0..12).map(|_| random.unit()).sum::<f64>() - 6.0;
        let mut one = |at: u32, factor: f64| 100.0 * factor * (drift * f64::from(at) + 0.03 * bell()).exp();
        (0..n).map(|at| (one(at, slower), one(at, 1.0))).collect()
    }

    fn different(region: f64) -> impl Fn(&Estimate) -> bool {
        move |ratio| {
            let edges = [1.0 / (1.0 + region), 1.0 + region];
            matches!(judge(ratio, edges, Quantity::Time).0, Verdict::Slower | Verdict::Faster)
        }
    }

    #[test]
    fn arms_that_are_the_same_stay_quiet_and_a_slow_one_is_found() {
        let same = ratios(&blocks(40, 0.0, 1.0, 1), Labels::Swapped, 400, &mut Random::new(2)).unwrap();
        let band = band(&same).unwrap();
        assert!((0.005..0.04).contains(&band), "{band}");
        assert!(share(&same, different(band)).unwrap() <= 0.02);
        // Excluding 1 is a weaker demand: about 5 % by its name, a little more in drawn samples with repeats.
        assert!(share(&same, different(0.0)).unwrap() <= 0.10);
        let slow = ratios(&blocks(40, 0.0, 1.10, 3), Labels::Kept, 400, &mut Random::new(2)).unwrap();
        assert!(share(&slow, different(band)).unwrap() >= 0.95);
        assert!(share(&slow, different(0.5)).unwrap() == 0.0);
        assert_eq!(share(&[], different(0.1)), None);
    }

    #[test]
    fn drift_that_fools_a_blocked_test_cancels_within_blocks() {
        let (mut fooled, mut alarmed) = (0, 0);
        for seed in 0..40 {
            let pairs = blocks(20, 0.004, 1.0, 100 + seed);
            fooled += u32::from(blocked(&pairs).unwrap().p < 0.05);
            let found = ratios(&pairs, Labels::Swapped, 400, &mut Random::new(seed)).unwrap();
            let real = crate::stats::paired::ratio(&pairs).unwrap();
            alarmed += u32::from(different(band(&found).unwrap())(&real));
        }
        assert!(fooled >= 35 && alarmed <= 1, "blocked {fooled}, paired {alarmed} of 40");
    }

    #[test]
    fn a_constant_difference_is_found_in_every_draw() {
        let pairs = [(110.0, 100.0); 24];
        let kept = ratios(&pairs, Labels::Kept, 100, &mut Random::new(1)).unwrap();
        assert!(kept.iter().all(|r| (r.value - 1.1).abs() < 1e-12 && r.n == 24));
        let apart = differences(&pairs, Labels::Kept, 100, &mut Random::new(1)).unwrap();
        assert!(apart.iter().all(|d| d.value == 10.0 && d.ci95 == Some([10.0, 10.0])));
        // Swapped at random it is ± 10 %, seldom exactly between.
        let swapped = ratios(&pairs, Labels::Swapped, 400, &mut Random::new(1)).unwrap();
        assert!((band(&swapped).unwrap() - 0.1).abs() < 1e-9);
        assert!((shift(&pairs).unwrap() - 0.1).abs() < 1e-9);
    }

    #[test]
    fn nothing_gives_nothing() {
        assert_eq!(ratios(&[], Labels::Kept, 400, &mut Random::new(1)), None);
        assert_eq!(ratios(&[(0.0, 1.0); 9], Labels::Kept, 400, &mut Random::new(1)), None);
        assert_eq!(band(&[]), None);
        assert_eq!(blocked(&[(1.0, 2.0)]), None);
        let few = ratios(&[(1.0, 1.0); 5], Labels::Kept, 3, &mut Random::new(1)).unwrap();
        assert!(few.iter().all(|one| one.ci95.is_none()));
    }

    proptest! {
        #[test]
        fn selection_agrees_with_sorting(values in prop::collection::vec(-1e3..1e3_f64, 1..80)) {
            let mut scratch = values.clone();
            prop_assert_eq!(Some(middle(&mut scratch, ranks(values.len(), 0.5))), location(&values));
        }

        #[test]
        fn the_same_seed_gives_the_same_bits(seed: u64) {
            let pairs = blocks(12, 0.0, 1.0, 7);
            let one = ratios(&pairs, Labels::Swapped, 50, &mut Random::new(seed));
            prop_assert_eq!(one, ratios(&pairs, Labels::Swapped, 50, &mut Random::new(seed)));
        }
    }
}
