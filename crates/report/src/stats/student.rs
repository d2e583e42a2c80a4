//! Do two groups of values have the same mean?
//!
//! The t-tests of Student (1908) and Welch (1947), with the tail of Student's distribution by the regularised
//! incomplete beta function (continued fraction by Lentz's method; Abramowitz & Stegun 26.5.8).

/// P(|T| ≥ |t|) for Student's T with `df` degrees of freedom (any positive number).
///
/// ```
/// use isomark_report::stats::student::two_sided;
/// // With one degree of freedom (Cauchy) half of the mass lies beyond ± 1.
/// assert!((two_sided(1.0, 1.0) - 0.5).abs() < 1e-12);
/// ```
#[must_use]
pub fn two_sided(t: f64, df: f64) -> f64 {
    if t.is_infinite() { 0.0 } else { beta(df / 2.0, 0.5, df / (df + t * t)) }
}

/// p of Student's test, which takes both groups to have one variance; `None` below two values in a group.
///
/// Two constant groups have p = 1 if they are equal and p = 0 if they are not.
#[must_use]
pub fn pooled(a: &[f64], b: &[f64]) -> Option<f64> {
    let ((mean_a, squares_a), (mean_b, squares_b)) = (moments(a)?, moments(b)?);
    let (m, n) = (a.len() as f64, b.len() as f64);
    let df = m + n - 2.0;
    let spread = (squares_a + squares_b) / df * (1.0 / m + 1.0 / n);
    Some(judged(mean_a - mean_b, spread, df))
}

/// p of Welch's test, which does not (Welch 1947); otherwise as [`pooled`].
#[must_use]
pub fn welch(a: &[f64], b: &[f64]) -> Option<f64> {
    let ((mean_a, squares_a), (mean_b, squares_b)) = (moments(a)?, moments(b)?);
    let (m, n) = (a.len() as f64, b.len() as f64);
    let (share_a, share_b) = (squares_a / (m - 1.0) / m, squares_b / (n - 1.0) / n);
    let spread = share_a + share_b;
    let parts = share_a * share_a / (m - 1.0) + share_b * share_b / (n - 1.0);
    // Of variances so small that their squares vanish nothing is left to divide by.
    let df = if parts > 0.0 { spread * spread / parts } else { m.min(n) - 1.0 };
    Some(judged(mean_a - mean_b, spread, df))
}

fn judged(apart: f64, spread: f64, df: f64) -> f64 {
    if spread > 0.0 {
        two_sided(apart / spread.sqrt(), df)
    } else if apart == 0.0 {
        1.0
    } else {
        0.0
    }
}

/// The mean, and the sum of the squared deviations from it.
fn moments(values: &[f64]) -> Option<(f64, f64)> {
    if values.len() < 2 {
        return None;
    }
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    Some((mean, values.iter().map(|v| (v - mean).powi(2)).sum()))
}

/// Regularised incomplete beta function I_x(a, b).
fn beta(a: f64, b: f64, x: f64) -> f64 {
    if x <= 0.0 || x >= 1.0 {
        return if x <= 0.0 { 0.0 } else { 1.0 };
    }
    let front = (ln_gamma(a + b) - ln_gamma(a) - ln_gamma(b) + a * x.ln() + b * (-x).ln_1p()).exp();
    // The fraction converges quickly on one side of the mean only; the other side is its mirror image.
    if x < (a + 1.0) / (a + b + 2.0) {
        front * fraction(a, b, x) / a
    } else {
        1.0 - front * fraction(b, a, 1.0 - x) / b
    }
}

/// The continued fraction of the incomplete beta function.
fn fraction(a: f64, b: f64, x: f64) -> f64 {
    let away = |v: f64| if v.abs() < 1e-300 { 1e-300 } else { v };
    let mut c = 1.0;
    let mut d = 1.0 / away(1.0 - (a + b) * x / (a + 1.0));
    let mut product = d;
    for m in 1..10_000 {
        let m = f64::from(m);
        let twice = 2.0 * m;
        let even = m * (b - m) * x / ((a + twice - 1.0) * (a + twice));
        let odd = -(a + m) * (a + b + m) * x / ((a + twice) * (a + twice + 1.0));
        let mut step = 1.0;
        for term in [even, odd] {
            d = 1.0 / away(1.0 + term * d);
            c = away(1.0 + term / c);
            step *= c * d;
        }
        product *= step;
        if (step - 1.0).abs() < 1e-15 {
            break;
        }
    }
    product
}

/// ln Γ(x) for x > 0: Stirling's series (Abramowitz & Stegun 6.1.41) from 10 on, reached by Γ(x) = Γ(x + 1) / x.
fn ln_gamma(x: f64) -> f64 {
    let (mut x, mut product) = (x, 1.0_f64);
    while x < 10.0 {
        product *= x;
        x += 1.0;
    }
    let y = 1.0 / (x * x);
    let series = (1.0 / 12.0
        - y * (1.0 / 360.0
            - y * (1.0 / 1260.0 - y * (1.0 / 1680.0 - y * (1.0 / 1188.0 - y * 691.0 / 360_360.0)))))
        / x;
    (x - 0.5) * x.ln() - x + 0.5 * std::f64::consts::TAU.ln() + series - product.ln()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn tails_as_scipy_has_them() {
        // scipy 1.17.1: 2 * scipy.stats.t.sf(t, df).
        for (t, df, p) in [
            (0.5, 3.0, 0.651447964848151),
            (1.0, 8.0, 0.34659350708733416),
            (2.0, 4.5, 0.10825790718112499),
            (2.0, 38.0, 0.05268507096766708),
            (3.5, 17.3, 0.002684788370514295),
            (5.0, 1.0, 0.1256659163780024),
            (6.0, 60.0, 1.2286846107565094e-07),
            (1.2, 19998.0, 0.23015355609294638),
            (8.0, 11.25, 5.671064474872672e-06),
        ] {
            let found = two_sided(t, df);
            assert!((found / p - 1.0).abs() < 1e-10, "{t} {df}: {found} {p}");
        }
    }

    #[test]
    fn tests_as_scipy_has_them() {
        // scipy 1.17.1: scipy.stats.ttest_ind(a, b, equal_var=False).pvalue, and with equal_var=True.
        let a = [10.1, 9.8, 10.4, 10.0, 9.9, 10.3];
        let b = [10.9, 11.4, 10.2, 11.0, 12.1];
        assert!((welch(&a, &b).unwrap() - 0.026494558143125138).abs() < 1e-12);
        assert!((pooled(&a, &b).unwrap() - 0.007275804408347224).abs() < 1e-12);
        for test in [welch, pooled] {
            assert_eq!(test(&[1.0; 3], &[1.0; 4]), Some(1.0));
            assert_eq!(test(&[1.0; 3], &[2.0; 4]), Some(0.0));
            assert_eq!(test(&[1.0], &[2.0, 3.0]), None);
        }
    }

    #[test]
    fn gamma_of_whole_and_half_numbers() {
        // Γ(5) = 24, Γ(½) = √π, Γ(11) = 10!.
        for (x, gamma) in
            [(5.0, 24.0_f64), (0.5, std::f64::consts::PI.sqrt()), (11.0, 3_628_800.0), (1.0, 1.0)]
        {
            assert!((ln_gamma(x) - gamma.ln()).abs() < 1e-13, "{x}");
        }
    }

    proptest! {
        /// With two degrees of freedom the tail has a closed form: 1 − t / √(2 + t²).
        #[test]
        fn two_degrees_of_freedom_in_closed_form(t in 0.0..50.0_f64) {
            let wanted = 1.0 - t / (2.0 + t * t).sqrt();
            prop_assert!((two_sided(t, 2.0) - wanted).abs() < 1e-12);
        }
    }
}
