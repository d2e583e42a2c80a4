//! How far is a sample from having one mode?
//!
//! Hartigan's dip (Hartigan & Hartigan 1985): the largest distance between the empirical distribution and the nearest
//! unimodal one. It asks for no bandwidth and does not mind heavy tails: all unimodal shapes dip less than the uniform
//! one, so critical values for the uniform are safe for all of them.

/// The dip of ascending values without ties, between 1/2n and 1/4; `None` below four values.
///
/// Within the values `low..=high` lies the modal interval. It shrinks to where the greatest convex minorant and the
/// least concave majorant of the distribution are farthest apart, until that distance is no more than the dip that
/// was found outside.
#[must_use]
pub fn dip(sorted: &[f64]) -> Option<f64> {
    if sorted.len() < 4 || sorted.windows(2).any(|pair| pair[0] >= pair[1]) {
        return None;
    }
    let (mut low, mut high) = (0, sorted.len() - 1);
    // In counts: one value is a step of 1, and even a perfect fit is half a step off on both sides.
    let mut dip = 1.0_f64;
    loop {
        let convex = hull(sorted, low, high, false);
        let concave = hull(sorted, low, high, true);
        let (apart, next_low, next_high) = farthest(sorted, &convex, &concave);
        if apart <= dip {
            break;
        }
        let left = convex.windows(2).filter(|edge| edge[1] <= next_low);
        let right = concave.windows(2).filter(|edge| edge[0] >= next_high);
        let below = left.map(|edge| off(sorted, edge, false)).fold(1.0, f64::max);
        let above = right.map(|edge| off(sorted, edge, true)).fold(1.0, f64::max);
        dip = dip.max(below).max(above);
        if (next_low, next_high) == (low, high) {
            break;
        }
        (low, high) = (next_low, next_high);
    }
    Some(dip / (2.0 * sorted.len() as f64))
}

/// Indices where the minorant (or majorant) of the points (value, index) touches them.
fn hull(values: &[f64], low: usize, high: usize, concave: bool) -> Vec<usize> {
    let mut touched: Vec<usize> = Vec::new();
    for next in low..=high {
        while let [.., before, last] = touched[..] {
            // The slopes before and after the last point, cross-multiplied.
            let after = (next - last) as f64 * (values[last] - values[before]);
            let ahead = (last - before) as f64 * (values[next] - values[last]);
            let bends = if concave { after < ahead } else { after > ahead };
            if bends {
                break;
            }
            touched.pop();
        }
        touched.push(next);
    }
    touched
}

/// Height of the line through two points of the distribution at another value, in counts.
fn line(values: &[f64], from: usize, to: usize, at: f64) -> f64 {
    from as f64 + (at - values[from]) * (to - from) as f64 / (values[to] - values[from])
}

/// The largest distance of the two hulls, and the ends of the modal interval it points to.
fn farthest(values: &[f64], convex: &[usize], concave: &[usize]) -> (f64, usize, usize) {
    let mut found = (0.0, convex[0], concave[concave.len() - 1]);
    let edges = |hull: &[usize], at: usize| {
        let end = hull.partition_point(|touched| *touched < at).max(1);
        (hull[end - 1], hull[end])
    };
    for &at in concave {
        let (from, to) = edges(convex, at);
        let apart = at as f64 - line(values, from, to, values[at]) + 1.0;
        if apart > found.0 {
            found = (apart, from, at);
        }
    }
    for &at in convex {
        let (from, to) = edges(concave, at);
        let apart = line(values, from, to, values[at]) - at as f64 + 1.0;
        if apart > found.0 {
            found = (apart, at, to);
        }
    }
    found
}

/// How far the distribution is from one edge of a hull, in counts.
fn off(values: &[f64], edge: &[usize], concave: bool) -> f64 {
    let (from, to) = (edge[0], edge[1]);
    let one = |at: usize| {
        let gap = line(values, from, to, values[at]) - at as f64;
        if concave { gap + 1.0 } else { 1.0 - gap }
    };
    (from..=to).map(one).fold(1.0, f64::max)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn by_hand() {
        // Evenly spaced: no dip beyond half a step.
        let even: Vec<f64> = (0..20).map(f64::from).collect();
        assert_eq!(dip(&even), Some(1.0 / 40.0));
        // Two far clusters of equal size: the limit is 1/4.
        let two: Vec<f64> = (0..50).map(f64::from).chain((0..50).map(|i| 1e9 + f64::from(i))).collect();
        assert!((dip(&two).unwrap() - 0.25).abs() < 0.01, "{:?}", dip(&two));
        assert_eq!(dip(&[1.0, 2.0, 3.0]), None);
        assert_eq!(dip(&[1.0, 2.0, 2.0, 3.0]), None);
    }

    #[test]
    fn as_diptest_has_it() {
        // Python package diptest 0.12.0 (the published AS 217 with its corrections): diptest.dipstat(x).
        type Case = (fn(f64) -> f64, f64);
        let cases: [Case; 5] = [
            (|i: f64| i * i * 37.0 % 101.0 + i / 100.0, 0.062456335344553825),
            (|i: f64| if i % 3.0 == 0.0 { 50.0 + i } else { i * i % 13.0 + i / 100.0 }, 0.08974358974358973),
            (|i: f64| i * i * i, 0.008333333333333333),
            (|i: f64| if i < 31.0 { i } else { 300.0 + i * i }, 0.0795219638242894),
            (|i: f64| (i - 30.0) * (i - 30.0).abs() + i * 7.0 % 11.0 + i / 1000.0, 0.012507286202015157),
        ];
        for (make, wanted) in cases {
            let mut values: Vec<f64> = (1..=60).map(|i| make(f64::from(i))).collect();
            values.sort_unstable_by(f64::total_cmp);
            let found = dip(&values).unwrap();
            assert!((found - wanted).abs() < 1e-9, "{found} {wanted}");
        }
    }

    proptest! {
        #[test]
        fn lies_within_its_limits_and_knows_no_unit(values in prop::collection::btree_set(-1_000_000_i64..1_000_000, 4..80)) {
            let plain: Vec<f64> = values.iter().map(|v| *v as f64).collect();
            let other: Vec<f64> = plain.iter().map(|v| 4.0 * v + 1024.0).collect();
            let turned: Vec<f64> = plain.iter().rev().map(|v| -v).collect();
            let found = dip(&plain).unwrap();
            prop_assert!(found >= 0.5 / plain.len() as f64 && found <= 0.25 + 1e-12, "{}", found);
            prop_assert!((found - dip(&other).unwrap()).abs() < 1e-9);
            prop_assert!((found - dip(&turned).unwrap()).abs() < 1e-9);
        }
    }
}
