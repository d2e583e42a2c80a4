//! What a Fourier transform must give, by its definition.
//!
//! A few bins are summed term by term; together with Parseval's sum and the way back, which the payload tells,
//! nothing of the transform is left unchecked.

use super::expected::Expected;
use crate::data::Xoshiro;
use std::f64::consts::TAU;

/// Largest relative difference of a good transform: 1e-12 per doubling.
#[must_use]
pub fn limit(n: usize) -> f64 {
    1e-12 * f64::from(n.max(2).ilog2())
}

/// The bins that are told: the mean, a slow and a fast one, and one in the middle of nowhere.
#[must_use]
pub fn bins(n: usize) -> [usize; 4] {
    [0, 1 % n, n - 1, n / 3]
}

/// What `fft` must answer.
pub(super) fn transformed(n: usize) -> Expected {
    let n = n.max(2);
    let mut random = Xoshiro::named("fft");
    let mut sums = [(0.0, 0.0); 4];
    for j in 0..n {
        let (re, im) = (random.centred(), random.centred());
        for (sum, k) in sums.iter_mut().zip(bins(n)) {
            // The angle is reduced in integers, where it is exact.
            let turn = (j as u128 * k as u128 % n as u128) as f64 / n as f64;
            let (sin, cos) = (-TAU * turn).sin_cos();
            *sum = (sum.0 + re * cos - im * sin, sum.1 + re * sin + im * cos);
        }
    }
    // Bins are of the size of √n.
    let within = limit(n) * (n as f64).sqrt();
    let values: Vec<(f64, f64)> = sums.iter().flat_map(|s| [(s.0, within), (s.1, within)]).collect();
    Expected::near(&values, &[("parseval", limit(n)), ("roundtrip", limit(n))])
}
