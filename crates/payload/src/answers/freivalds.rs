//! Checking a matrix product without computing it (Freivalds 1977).
//!
//! rᵀ(C s) against rᵀ(A (B s)) with r, s of random signs: O(n²), and a single wrong element of C shows in full.

use super::expected::Expected;
use crate::data::Xoshiro;

/// Largest residual of a correct product, in the unit of [`scaled`].
pub const LIMIT: f64 = 16.0;

/// A difference in units of ε n²: C s has n terms a row whose roundings add up like √n, and n rows are summed.
#[must_use]
pub fn scaled(difference: f64, n: usize) -> f64 {
    difference.abs() / (f64::EPSILON * (n * n) as f64)
}

/// n random signs.
#[must_use]
pub fn signs(name: &str, n: usize) -> Vec<f64> {
    let mut random = Xoshiro::named(name);
    (0..n).map(|_| random.sign()).collect()
}

/// The product of a matrix, by columns, and a vector.
pub fn times<'a>(columns: impl Iterator<Item = &'a [f64]>, s: &[f64]) -> Vec<f64> {
    let mut product = Vec::new();
    for (column, s) in columns.zip(s) {
        product.resize(column.len(), 0.0);
        product.iter_mut().zip(column).for_each(|(p, v)| *p += v * s);
    }
    product
}

/// rᵀ M s.
pub fn bilinear<'a>(r: &[f64], columns: impl Iterator<Item = &'a [f64]>, s: &[f64]) -> f64 {
    times(columns, s).iter().zip(r).map(|(p, r)| p * r).sum()
}

/// What `dgemm` must answer: rᵀ A B s from its own copy of A and B, one column at a time.
pub(super) fn product(n: usize) -> Expected {
    let (mut a, mut b) = (Xoshiro::named("dgemm.a"), Xoshiro::named("dgemm.b"));
    let apply = |next: &mut Xoshiro, s: &[f64]| {
        let mut sum = vec![0.0; n];
        for s in s {
            sum.iter_mut().for_each(|v| *v += next.centred() * s);
        }
        sum
    };
    let bs = apply(&mut b, &signs("dgemm.s", n));
    let abs = apply(&mut a, &bs);
    let value = abs.iter().zip(signs("dgemm.r", n)).map(|(v, r)| v * r).sum();
    let within = LIMIT * f64::EPSILON * (n * n) as f64;
    Expected::near(&[(value, within)], &[("residual", LIMIT)])
}
