//! How often does a value of one group lie above one of the other?
//!
//! Cliff's delta: the share of pairs in which x is larger less the share in which it is smaller, −1 to 1 (Cliff 1993).
//! Words for its size as in Romano et al. 2006: 0.147, 0.33 and 0.474. It knows no unit and no pairing: a tiny shift
//! in quiet data has a delta of 1.

use super::median::sorted;

/// Cliff's delta of `xs` over `ys`; `None` if a group is empty.
///
/// ```
/// use isomark_report::stats::cliff::delta;
/// assert_eq!(delta(&[2.0, 3.0], &[1.0, 3.0]), Some(0.25));
/// ```
#[must_use]
pub fn delta(xs: &[f64], ys: &[f64]) -> Option<f64> {
    if xs.is_empty() || ys.is_empty() {
        return None;
    }
    let (xs, ys) = (sorted(xs), sorted(ys));
    // Both ascend, so the borders within ys only move up.
    let (mut below, mut upto) = (0, 0);
    let mut balance = 0_i64;
    for x in &xs {
        while below < ys.len() && ys[below] < *x {
            below += 1;
        }
        while upto < ys.len() && ys[upto] <= *x {
            upto += 1;
        }
        balance += below as i64 - (ys.len() - upto) as i64;
    }
    Some(balance as f64 / (xs.len() as f64 * ys.len() as f64))
}

/// A word for the size of a delta.
#[must_use]
pub fn word(delta: f64) -> &'static str {
    match delta.abs() {
        size if size < 0.147 => "negligible",
        size if size < 0.33 => "small",
        size if size < 0.474 => "medium",
        _ => "large",
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::stats::rank_sum::mann_whitney;

    #[test]
    fn by_hand() {
        assert_eq!(delta(&[3.0, 4.0], &[1.0, 2.0]), Some(1.0));
        assert_eq!(delta(&[1.0, 1.0], &[1.0]), Some(0.0));
        // 1 against 2, 2, 3: −3; 2 against them: −1; 4 against them: +3; of nine.
        assert_eq!(delta(&[1.0, 2.0, 4.0], &[2.0, 2.0, 3.0]), Some(-1.0 / 9.0));
        assert_eq!(delta(&[], &[1.0]), None);
        assert_eq!([0.1, -0.2, 0.4, -0.5].map(word), ["negligible", "small", "medium", "large"]);
    }

    proptest! {
        #[test]
        fn counting_and_mann_whitney_agree(
            xs in prop::collection::vec(0_i32..20, 1..40),
            ys in prop::collection::vec(0_i32..20, 1..40),
        ) {
            let (xs, ys): (Vec<f64>, Vec<f64>) =
                (xs.into_iter().map(f64::from).collect(), ys.into_iter().map(f64::from).collect());
            let found = delta(&xs, &ys).unwrap();
            let sign = |x: f64, y: f64| f64::from(i8::from(x > y) - i8::from(x < y));
            let sum: f64 = xs.iter().flat_map(|x| ys.iter().map(move |y| sign(*x, *y))).sum();
            let pairs = (xs.len() * ys.len()) as f64;
            prop_assert!((found - sum / pairs).abs() < 1e-12);
            // U / mn = (1 + delta) / 2, an identity that ties keep.
            let above = mann_whitney(&xs, &ys).unwrap().statistic;
            prop_assert!((above / pairs - (1.0 + found) / 2.0).abs() < 1e-12);
        }
    }
}
