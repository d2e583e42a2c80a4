//! What is the middle of these numbers?
//!
//! The mean of the two middle values for an even count, so that a median of integers may end in a half.

/// The median; `None` for no values.
///
/// ```
/// use isomark_report::stats::median::median;
/// assert_eq!(median(&[3.0, 1.0, 2.0]), Some(2.0));
/// assert_eq!(median(&[4.0, 1.0]), Some(2.5));
/// assert_eq!(median(&[]), None);
/// ```
#[must_use]
pub fn median(values: &[f64]) -> Option<f64> {
    let mut scratch = values.to_vec();
    median_in(&mut scratch)
}

/// The median without a copy: `values` is reordered.
#[must_use]
pub fn median_in(values: &mut [f64]) -> Option<f64> {
    let half = values.len() / 2;
    if values.is_empty() {
        return None;
    }
    let even = values.len().is_multiple_of(2);
    let (below, middle, _) = values.select_nth_unstable_by(half, f64::total_cmp);
    let upper = *middle;
    if !even {
        return Some(upper);
    }
    let lower = below.iter().copied().max_by(f64::total_cmp)?;
    Some(lower.midpoint(upper))
}

/// The values in ascending order.
#[must_use]
pub fn sorted(values: &[f64]) -> Vec<f64> {
    let mut all = values.to_vec();
    all.sort_unstable_by(f64::total_cmp);
    all
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(values: &[f64], expected: Option<f64>) {
        assert_eq!(median(values), expected, "{values:?}");
    }

    #[test]
    fn hand_computed() {
        check(&[], None);
        check(&[7.0], Some(7.0));
        check(&[1.0, 2.0], Some(1.5));
        check(&[9.0, 1.0, 5.0], Some(5.0));
        check(&[4.0, 1.0, 3.0, 2.0], Some(2.5));
        check(&[2.0, 2.0, 2.0, 100.0], Some(2.0));
        check(&[-1.0, -3.0, -2.0], Some(-2.0));
    }

    proptest! {
        #[test]
        fn agrees_with_sorting(values in prop::collection::vec(-1e9..1e9_f64, 1..200)) {
            let all = sorted(&values);
            let half = all.len() / 2;
            let expected = if all.len() % 2 == 1 { all[half] } else { all[half - 1].midpoint(all[half]) };
            prop_assert_eq!(median(&values), Some(expected));
        }
    }
}
