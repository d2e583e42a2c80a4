//! The slope of a line through noisy points, by Theil and Sen.
//!
//! The median of the slopes of all pairs of points: up to 29 % of the points may be wrong without moving it far.
//! (H. Theil 1950; P. K. Sen, JASA 63 (1968) 1379.)

/// The slope of `y` over `x`; `None` with fewer than two distinct `x`.
///
/// ```
/// use isomark_core::slope::theil_sen;
/// assert_eq!(theil_sen(&[(0.0, 1.0), (1.0, 3.0), (2.0, 5.0), (3.0, 100.0)]), Some(17.5));
/// assert_eq!(theil_sen(&[(1.0, 1.0), (1.0, 2.0)]), None);
/// ```
#[must_use]
pub fn theil_sen(points: &[(f64, f64)]) -> Option<f64> {
    let slopes = slopes(points);
    let middle = slopes.len() / 2;
    match slopes.len() {
        0 => None,
        n if n % 2 == 1 => Some(slopes[middle]),
        _ => Some(f64::midpoint(slopes[middle - 1], slopes[middle])),
    }
}

/// The slopes of all pairs of points that differ in `x`, in ascending order: what the median and its interval are taken
/// from.
#[must_use]
pub fn slopes(points: &[(f64, f64)]) -> Vec<f64> {
    let mut slopes = Vec::with_capacity(points.len() * points.len().saturating_sub(1) / 2);
    for (i, (x1, y1)) in points.iter().enumerate() {
        for (x2, y2) in &points[i + 1..] {
            if x1 != x2 {
                slopes.push((y2 - y1) / (x2 - x1));
            }
        }
    }
    slopes.sort_unstable_by(f64::total_cmp);
    slopes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_gives_its_slope_and_one_outlier_does_not_move_it() {
        let mut line = (0..9).map(|x| (f64::from(x), 4.0 + 2.5 * f64::from(x))).collect::<Vec<_>>();
        assert_eq!(theil_sen(&line), Some(2.5));
        line[4].1 = 1e6;
        assert_eq!(theil_sen(&line), Some(2.5));
        assert_eq!(theil_sen(&line[..1]), None);
    }
}
