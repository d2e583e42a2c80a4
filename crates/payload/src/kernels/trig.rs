//! Sines and cosines for the FFT's twiddle factors.
//!
//! C libraries differ in the last bits of `sin`, and those bits would enter the result. These are sums of Taylor
//! terms on the first octant, in plain additions and multiplications: the same everywhere, and within two units in
//! the last place of the truth.

use std::f64::consts::TAU;

/// (cos, sin) of −2π k / n, k < n: the k-th power of the root that a forward transform uses.
pub(crate) fn root(k: usize, n: usize) -> (f64, f64) {
    // Octants, counted exactly in eighths of n, so that 1, −1 and √½ come out symmetric.
    let (eighths, octant) = (8 * k % n, 8 * k / n);
    let odd = octant % 2 == 1;
    let part = if odd { n - eighths } else { eighths };
    let angle = TAU * part as f64 / (8.0 * n as f64);
    let (c, s) = (cosine(angle), sine(angle));
    let (c, s) = if odd { (s, c) } else { (c, s) };
    // (c, s) is now the point within its quarter turn.
    match octant / 2 {
        0 => (c, -s),
        1 => (-s, -c),
        2 => (-c, s),
        _ => (s, c),
    }
}

/// 1 − x²/2! + x⁴/4! − … with terms of the index given by `first`, by Horner's rule from the smallest.
fn series(x2: f64, first: u32) -> f64 {
    let mut sum = 1.0;
    for i in (0..9).rev() {
        let k = f64::from(first + 2 * i);
        sum = 1.0 - x2 / (k * (k + 1.0)) * sum;
    }
    sum
}

fn cosine(x: f64) -> f64 {
    series(x * x, 1)
}

fn sine(x: f64) -> f64 {
    x * series(x * x, 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roots_agree_with_the_library_and_lie_on_the_circle() {
        for n in [1, 2, 4, 8, 16, 1024, 1 << 20] {
            for k in (0..n).step_by((n / 64).max(1)) {
                let (c, s) = root(k, n);
                let angle = -TAU * k as f64 / n as f64;
                assert!((c - angle.cos()).abs() < 1e-15 && (s - angle.sin()).abs() < 1e-15, "{k}/{n}");
                assert!((c * c + s * s - 1.0).abs() < 1e-15);
            }
        }
        assert_eq!(root(1, 4), (-0.0, -1.0));
        assert_eq!(root(1, 2).0, -1.0);
    }
}
