//! Does a trial resemble the one before it?
//!
//! Lag-1 autocorrelation of values in the order they were taken. Well above zero, neighbours share their noise and
//! an interval that takes them for independent is too narrow; within ± 2/√n it cannot be told from zero
//! (Box & Jenkins 1970, section 2.1.6).

/// Lag-1 autocorrelation; `None` below four values or if all are equal.
#[must_use]
pub fn lag1(values: &[f64]) -> Option<f64> {
    if values.len() < 4 {
        return None;
    }
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    let total: f64 = values.iter().map(|v| (v - mean).powi(2)).sum();
    let shared: f64 = values.windows(2).map(|pair| (pair[0] - mean) * (pair[1] - mean)).sum();
    (total > 0.0).then(|| shared / total)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn hand_computed() {
        // Mean 2.5; deviations −1.5 −0.5 0.5 1.5; products 0.75 −0.25 0.75 = 1.25; squares sum to 5.
        assert_eq!(lag1(&[1.0, 2.0, 3.0, 4.0]), Some(0.25));
        // Deviations ±1 in turn: −3 / 4.
        assert_eq!(lag1(&[1.0, 3.0, 1.0, 3.0]), Some(-0.75));
        assert_eq!(lag1(&[2.0; 9]), None);
        assert_eq!(lag1(&[1.0, 2.0, 3.0]), None);
    }

    proptest! {
        #[test]
        fn lies_between_minus_one_and_one(values in prop::collection::vec(-1e6..1e6_f64, 4..100)) {
            if let Some(r) = lag1(&values) {
                prop_assert!((-1.0..=1.0).contains(&r), "{r}");
            }
        }
    }
}
