//! Which value is the k-th smallest of many that nobody writes down?
//!
//! All pairwise averages of 20 000 values would be 1.6 GB. Where the number of them at or below any bound can be
//! counted in one pass, bisection over the doubles themselves finds the k-th exactly: at most 64 passes, no memory.

/// The `k`-th smallest (from 1) of values that lie in `[low, high]` and are told by `at_most(bound)`, their number at
/// or below a bound.
///
/// Exact: the count only steps where a value lies, so the smallest double that reaches `k` is that value.
pub(crate) fn kth(k: u64, [low, high]: [f64; 2], at_most: impl Fn(f64) -> u64) -> f64 {
    let (mut from, mut to) = (place(low), place(high));
    while from < to {
        let middle = ((i128::from(from) + i128::from(to)) >> 1) as i64;
        if at_most(value(middle)) >= k {
            to = middle;
        } else {
            from = middle + 1;
        }
    }
    // −0 stands before +0 in this order and is the same number.
    value(from) + 0.0
}

/// The median of `count` such values: the mean of the two middle ones for an even count.
pub(crate) fn middle(count: u64, range: [f64; 2], at_most: impl Fn(f64) -> u64) -> f64 {
    let upper = kth(count / 2 + 1, range, &at_most);
    if count % 2 == 1 { upper } else { kth(count / 2, range, &at_most).midpoint(upper) }
}

/// Where a double stands among all doubles (IEEE 754, `totalOrder`).
fn place(x: f64) -> i64 {
    fold(x.to_bits() as i64)
}

fn value(place: i64) -> f64 {
    f64::from_bits(fold(place) as u64)
}

/// Negative doubles descend as their bits ascend: all bits but the sign are turned. Its own inverse.
const fn fold(bits: i64) -> i64 {
    bits ^ ((bits >> 63) as u64 >> 1) as i64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn agrees_with_sorting(mut all in prop::collection::vec(-1e3..1e3_f64, 1..60), at in 0.0..1.0_f64) {
            all.sort_unstable_by(f64::total_cmp);
            let k = (at * all.len() as f64) as usize;
            let count = |bound: f64| all.iter().filter(|x| **x <= bound).count() as u64;
            let range = [all[0], all[all.len() - 1]];
            prop_assert_eq!(kth(k as u64 + 1, range, count), all[k]);
            prop_assert_eq!(Some(middle(all.len() as u64, range, count)), crate::stats::median::median(&all));
        }
    }

    #[test]
    fn zero_has_one_sign() {
        let found = kth(1, [-1.0, 1.0], |bound| u64::from(bound >= 0.0));
        assert!(found == 0.0 && found.is_sign_positive());
    }
}
