//! Which of many p-values are small although there are many of them?
//!
//! Holm's step-down adjustment over a family (Holm 1979): the chance that any true null hypothesis of the family is
//! rejected stays below the level, whatever their dependence, and it never rejects less than Bonferroni.

/// The adjusted p-values, in the order given.
///
/// ```
/// use isomark_report::stats::holm::holm;
/// assert_eq!(holm(&[0.01, 0.04, 0.03]), [0.03, 0.06, 0.06]);
/// ```
#[must_use]
pub fn holm(family: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..family.len()).collect();
    order.sort_by(|a, b| family[*a].total_cmp(&family[*b]));
    let mut adjusted = vec![0.0; family.len()];
    let mut least = 0.0_f64;
    for (done, at) in order.into_iter().enumerate() {
        // Never below one that is smaller by itself.
        least = least.max(family[at] * (family.len() - done) as f64).min(1.0);
        adjusted[at] = least;
    }
    adjusted
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn as_statsmodels_has_it() {
        // statsmodels 0.15.0: statsmodels.stats.multitest.multipletests(p, method="holm")[1].
        let p = [0.0001, 0.2, 0.013, 0.04, 0.9, 0.013, 0.0049];
        for (found, wanted) in holm(&p).into_iter().zip([0.0007, 0.4, 0.065, 0.12, 0.9, 0.065, 0.0294]) {
            assert!((found - wanted).abs() < 1e-12, "{found} {wanted}");
        }
        assert!(holm(&[]).is_empty());
    }

    proptest! {
        /// The definition: an adjusted p is the smallest level at which the step-down procedure rejects.
        #[test]
        fn rejects_what_the_procedure_rejects(family in prop::collection::vec(0.0..1.0_f64, 1..30), level in 0.001..0.5_f64) {
            let mut order = family.clone();
            order.sort_by(f64::total_cmp);
            let m = family.len();
            let rejected = order.iter().enumerate().take_while(|(i, p)| **p * (m - i) as f64 <= level).count();
            prop_assert_eq!(holm(&family).iter().filter(|p| **p <= level).count(), rejected);
        }
    }
}
