//! How far do values lie from their middle, typically?
//!
//! Median absolute deviation, not scaled to any distribution: half of the values lie within it. The standard
//! deviation of launches on a shared host is ruled by its few worst values (CV 50 % where the MAD is 4 %).

use super::median::{median, median_in};

/// Median absolute deviation from the median; `None` for no values.
#[must_use]
pub fn mad(values: &[f64]) -> Option<f64> {
    let middle = median(values)?;
    let mut away: Vec<f64> = values.iter().map(|v| (v - middle).abs()).collect();
    median_in(&mut away)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hand_computed() {
        // Median 2; deviations 1 1 0 0 2 4 7; their median 1.
        assert_eq!(mad(&[1.0, 1.0, 2.0, 2.0, 4.0, 6.0, 9.0]), Some(1.0));
        assert_eq!(mad(&[5.0]), Some(0.0));
        assert_eq!(mad(&[]), None);
    }
}
