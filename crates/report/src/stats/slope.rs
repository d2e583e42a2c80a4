//! By how much does y grow with x, without letting a few odd points decide?
//!
//! Theil–Sen: the median of the slopes of all pairs of points with different x (Sen 1968). Breaks down only when
//! 29 % of the points are odd.

use super::median::{median, median_in};

/// A line y = `intercept` + `slope` · x.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Line {
    /// y per unit of x.
    pub slope: f64,
    /// Median of y − `slope` · x.
    pub intercept: f64,
}

/// The line through `(x, y)` points; `None` unless two of them differ in x. Takes O(n²) time.
#[must_use]
pub fn theil_sen(points: &[(f64, f64)]) -> Option<Line> {
    let mut slopes = Vec::with_capacity(points.len() * points.len().saturating_sub(1) / 2);
    for (i, (x1, y1)) in points.iter().enumerate() {
        for (x2, y2) in &points[i + 1..] {
            if x1 != x2 {
                slopes.push((y2 - y1) / (x2 - x1));
            }
        }
    }
    let slope = median_in(&mut slopes)?;
    let rests: Vec<f64> = points.iter().map(|(x, y)| y - slope * x).collect();
    Some(Line { slope, intercept: median(&rests)? })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn one_odd_point_of_six_changes_little() {
        // y = 10 + 2x but for x = 5. Of 15 slopes, the ten among the other points are 2.
        let points = [(0.0, 10.0), (1.0, 12.0), (2.0, 14.0), (3.0, 16.0), (4.0, 18.0), (5.0, 900.0)];
        assert_eq!(theil_sen(&points), Some(Line { slope: 2.0, intercept: 10.0 }));
    }

    #[test]
    fn a_slope_needs_two_different_x() {
        assert_eq!(theil_sen(&[]), None);
        assert_eq!(theil_sen(&[(1.0, 1.0), (1.0, 5.0)]), None);
        assert_eq!(theil_sen(&[(1.0, 1.0), (3.0, 5.0)]), Some(Line { slope: 2.0, intercept: -1.0 }));
    }

    proptest! {
        #[test]
        fn finds_any_exact_line(a in -1e3..1e3_f64, b in -1e3..1e3_f64, n in 2_u32..30) {
            let points: Vec<_> = (0..n).map(|x| (f64::from(x), a + b * f64::from(x))).collect();
            let line = theil_sen(&points).unwrap();
            prop_assert!((line.slope - b).abs() < 1e-6 && (line.intercept - a).abs() < 1e-5);
        }
    }
}
