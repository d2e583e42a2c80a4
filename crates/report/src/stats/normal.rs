//! How unlikely is it to lie this far from the middle of a normal distribution?
//!
//! The complementary error function by its series near the middle and by its continued fraction in the tails
//! (Abramowitz & Stegun 7.1.6 and 7.1.14): about 1e-14 everywhere, far beyond what any p-value carries.

use std::f64::consts::{FRAC_2_SQRT_PI, SQRT_2};

/// The 97.5th percentile of the standard normal distribution.
pub const Z_975: f64 = 1.959_963_984_540_054;

/// P(|Z| ≥ |z|) for a standard normal Z.
///
/// ```
/// use isomark_report::stats::normal::{Z_975, two_sided};
/// assert!((two_sided(Z_975) - 0.05).abs() < 1e-12);
/// ```
#[must_use]
pub fn two_sided(z: f64) -> f64 {
    erfc(z.abs() / SQRT_2)
}

/// 1 − erf(x) for x ≥ 0.
fn erfc(x: f64) -> f64 {
    if x < 2.0 { 1.0 - series(x) } else { tail(x) }
}

/// erf(x) = 2/√π · e^(−x²) · Σ 2^k x^(2k+1) / (1 · 3 ⋯ (2k+1)): no term is negative, so nothing cancels.
fn series(x: f64) -> f64 {
    let (mut term, mut sum) = (x, x);
    for k in 1..200 {
        term *= 2.0 * x * x / f64::from(2 * k + 1);
        sum += term;
        if term < sum * 1e-17 {
            break;
        }
    }
    FRAC_2_SQRT_PI * (-x * x).exp() * sum
}

/// erfc(x) = e^(−x²)/√π · 1/(x + ½/(x + 1/(x + 3⁄2/(x + …)))), from the inside out.
fn tail(x: f64) -> f64 {
    let inner = (1..=120).rev().fold(x, |inner, k| x + f64::from(k) / 2.0 / inner);
    FRAC_2_SQRT_PI / 2.0 * (-x * x).exp() / inner
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_scipy_has_it() {
        // scipy 1.17.1: 2 * scipy.stats.norm.sf(z).
        for (z, p) in [
            (0.1, 0.920344325445942),
            (0.5, 0.6170750774519738),
            (1.0, 0.31731050786291415),
            (1.959963984540054, 0.05),
            (2.5, 0.012419330651552265),
            (2.9, 0.003731626600768075),
            (4.0, 6.334248366623973e-05),
            (6.0, 1.973175290075389e-09),
            (9.0, 2.2571768119076647e-19),
        ] {
            let found = two_sided(z);
            assert!((found / p - 1.0).abs() < 1e-12, "{z}: {found} {p}");
            assert_eq!(found, two_sided(-z));
        }
        assert_eq!(two_sided(0.0), 1.0);
        assert_eq!(two_sided(f64::INFINITY), 0.0);
    }
}
