//! Where does a series change its distribution most?
//!
//! The energy statistic of E-divisive (Matteson & James 2014, exponent 1): for every split of a series, how much
//! farther values of different sides are from each other than values of the same side. All splits of n values in
//! O(n log n), by sums over ranks instead of a matrix of distances.

/// The split of `series` with the largest statistic, sides of at least `least` values: its index and the statistic.
#[must_use]
pub fn best_split(series: &[f64], least: usize) -> Option<(usize, f64)> {
    let n = series.len();
    let least = least.max(2);
    if n < 2 * least {
        return None;
    }
    let before = within(series.iter());
    let mut after = within(series.iter().rev());
    after.reverse();
    let total = before[n - 1];
    let one = |split: usize| {
        // Sums of distances within the first `split` values, within the others, and across.
        let (left, right) = (before[split - 1], after[split]);
        (split, statistic(split as f64, (n - split) as f64, left, right, total - left - right))
    };
    // max_by keeps the last of equals; the first is wanted.
    (least..=n - least).rev().map(one).max_by(|a, b| a.1.total_cmp(&b.1))
}

fn statistic(m: f64, n: f64, left: f64, right: f64, across: f64) -> f64 {
    let apart = 2.0 * across / (m * n) - 2.0 * left / (m * (m - 1.0)) - 2.0 * right / (n * (n - 1.0));
    m * n / (m + n) * apart
}

/// For each prefix of the series the sum of the distances of all pairs in it.
fn within<'v>(series: impl Iterator<Item = &'v f64> + Clone) -> Vec<f64> {
    let mut levels: Vec<f64> = series.clone().copied().collect();
    levels.sort_unstable_by(f64::total_cmp);
    levels.dedup();
    // Distances do not change with a shift, and small numbers keep their digits in sums.
    let middle = levels.get(levels.len() / 2).copied().unwrap_or(0.0);
    let mut tree = vec![(0.0_f64, 0.0_f64); levels.len() + 1];
    let (mut count, mut sum, mut total) = (0.0, 0.0, 0.0);
    let one = |value: &f64| {
        let place = levels.partition_point(|level| level < value) + 1;
        let x = value - middle;
        let (below, low) = upto(&tree, place);
        total += x * below - low + (sum - low) - x * (count - below);
        (count, sum) = (count + 1.0, sum + x);
        put(&mut tree, place, x);
        total
    };
    series.map(one).collect()
}

/// Count and sum of what lies at or below a place (Fenwick 1994).
fn upto(tree: &[(f64, f64)], mut place: usize) -> (f64, f64) {
    let mut found = (0.0, 0.0);
    while place > 0 {
        found = (found.0 + tree[place].0, found.1 + tree[place].1);
        place &= place - 1;
    }
    found
}

fn put(tree: &mut [(f64, f64)], mut place: usize, x: f64) {
    while place < tree.len() {
        tree[place] = (tree[place].0 + 1.0, tree[place].1 + x);
        place += place & place.wrapping_neg();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn by_hand() {
        // 0, 0 | 1, 1: across 4 distances of 1; nothing within: 2·2/4 · 2 = 2.
        assert_eq!(best_split(&[0.0, 0.0, 1.0, 1.0], 2), Some((2, 2.0)));
        assert_eq!(best_split(&[0.0, 0.0, 1.0], 2), None);
        assert_eq!(best_split(&[7.0; 20], 5), Some((5, 0.0)));
    }

    #[test]
    fn as_numpy_has_it() {
        // numpy 2.4.6: the definition over the matrix abs(x[:, None] - x[None, :]), splits of at least 5 a side.
        let series: Vec<f64> =
            (0..40).map(|i| f64::from(i * i % 17) + if i < 23 { 0.0 } else { 9.5 }).collect();
        let (at, found) = best_split(&series, 5).unwrap();
        assert!(at == 24 && (found - 80.35565217391306).abs() < 1e-9, "{at} {found}");
    }

    proptest! {
        /// Every distance, written down.
        #[test]
        fn agrees_with_the_matrix(series in prop::collection::vec(-100_i32..100, 4..40)) {
            let x: Vec<f64> = series.into_iter().map(|v| f64::from(v) / 3.0).collect();
            let sum = |a: &[f64], b: &[f64]| -> f64 { a.iter().flat_map(|u| b.iter().map(move |v| (u - v).abs())).sum() };
            let oracle = |split: usize| {
                let (a, b) = x.split_at(split);
                statistic(a.len() as f64, b.len() as f64, sum(a, a) / 2.0, sum(b, b) / 2.0, sum(a, b))
            };
            let best = (2..=x.len() - 2).map(oracle).fold(f64::NEG_INFINITY, f64::max);
            let (at, found) = best_split(&x, 2).unwrap();
            prop_assert!((found - best).abs() < 1e-8 && (oracle(at) - best).abs() < 1e-8, "{} {}", found, best);
        }
    }
}
