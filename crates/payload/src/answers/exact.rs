//! Kernels whose results are exact on every path: integers, or doubles that hold integers.
//!
//! Here the oracle knows every bit of the result, not only a value of it.

use super::expected::Expected;
use crate::counts::{self, PEAK_ROUND, grid_width};
use crate::data::{EMPTY, Xoshiro, fold, mix};
use crate::wire::Isa;

/// The factor of `scale` and `triad`.
pub const SCALAR: f64 = 3.0;

/// Element i of the first array that the STREAM loops read.
#[must_use]
pub fn first(i: u64) -> f64 {
    (i % 1021) as f64
}

/// Element i of the second.
#[must_use]
pub fn second(i: u64) -> f64 {
    (i % 1019 + 1) as f64
}

/// Element i of the vector that `spmv` multiplies.
#[must_use]
pub fn point(i: u64) -> i64 {
    (mix(i) >> 44) as i64
}

/// The sum of doubles that hold integers, as an integer.
#[must_use]
pub fn wrapping_sum(values: &[f64]) -> i64 {
    values.iter().fold(0, |s: i64, v| s.wrapping_add(*v as i64))
}

/// An array of integers in doubles.
fn integers(values: impl Iterator<Item = f64>) -> Expected {
    let (sum, bits) =
        values.fold((0i64, EMPTY), |(s, h), v| (s.wrapping_add(v as i64), fold(h, v.to_bits())));
    Expected::exact(&sum, bits)
}

/// What the STREAM loops must answer.
pub(super) fn stream(n: usize, of: impl Fn(f64, f64) -> f64) -> Expected {
    integers((0..n as u64).map(|i| of(first(i), second(i))))
}

/// What `spmv` must answer: the stencil, walked on the grid instead of in a matrix.
pub(super) fn laplacian(n: u64) -> Expected {
    let width = grid_width(n);
    integers((0..n).map(|i| {
        let left = if i % width == 0 { 0 } else { point(i - 1) };
        let right = if (i + 1) % width == 0 || i + 1 == n { 0 } else { point(i + 1) };
        let above = if i < width { 0 } else { point(i - width) };
        let below = if i + width < n { point(i + width) } else { 0 };
        (4 * point(i) - left - right - above - below) as f64
    }))
}

/// What `pi` must answer.
pub(super) fn pi(samples: u64) -> Expected {
    let mut random = Xoshiro::named("pi");
    let hit = |(x, y): (f64, f64)| x * x + y * y < 1.0;
    let hits = (0..samples).filter(|_| hit((random.unit(), random.unit()))).count() as u64;
    Expected::exact(&hits, fold(fold(EMPTY, hits), random.digest()))
}

/// What `sort` must answer.
pub(super) fn sorted(n: usize) -> Expected {
    let mut random = Xoshiro::named("sort");
    let mut keys: Vec<u64> = (0..n).map(|_| random.word()).collect();
    keys.sort();
    let sum = keys.iter().fold(0u64, |s, k| s.wrapping_add(*k));
    Expected::exact(&sum, keys.iter().fold(EMPTY, |h, &k| fold(h, k)))
}

/// What `random` must answer: the table after one whole pass.
pub(super) fn table(entries: u64) -> Expected {
    let mut table: Vec<u64> = (0..entries).collect();
    for value in (0..entries).map(mix) {
        table[(value % entries) as usize] ^= value;
    }
    let xor = table.iter().fold(0, |x, w| x ^ w);
    Expected::exact(&xor, table.iter().fold(EMPTY, |h, &w| fold(h, w)))
}

/// What `fma-peak` must answer: the mean of all lanes after x ← (1 − 2⁻²⁰) x + 2⁻²⁰, in closed form. The distance
/// to 1 shrinks by the same factor in each step; rounding adds up to half a unit a step.
pub(super) fn peak(n: u64, isa: Isa) -> Expected {
    let chains = counts::peak_chains(isa);
    let steps = n.div_ceil(PEAK_ROUND) * (PEAK_ROUND / chains);
    let elements = chains * counts::lanes(isa);
    let mean = 2.0 + (elements - 1) as f64 / 2.0 / 128.0;
    let left = (steps as f64 * (-1.0 / f64::from(1 << 20)).ln_1p()).exp();
    let within = 1e-12 + 4.0 * f64::EPSILON * (steps as f64).min(f64::from(1 << 20));
    Expected::near(&[(1.0 + (mean - 1.0) * left, within)], &[])
}
