//! `copy`, `scale`, `add`, `triad`: STREAM's four loops (McCalpin 1995).
//!
//! Plain stores: each written line is first read by the CPU, 8 bytes per element that STREAM's count leaves out.
//! Elements are small integers, so each result is exact on every path.

use super::gemm::Tile;
use super::{Answer, Kernel, size};
use crate::answers::exact::{SCALAR, first, second, wrapping_sum};
use crate::data::{EMPTY, fold_f64s};
use crate::simd::{Body, Path, Simd, run};
use crate::sys::Array;
use crate::wire::WireError;

#[derive(Clone, Copy)]
enum Loop {
    Copy,
    Scale,
    Add,
    Triad,
}

/// The kernel.
pub(crate) struct Stream {
    path: Path,
    which: Loop,
    to: Array<f64>,
    x: Array<f64>,
    y: Array<f64>,
}

impl Stream {
    /// # Errors
    /// If `n` is out of bounds or the memory is not to be had.
    pub(crate) fn new(name: &str, n: u64, path: Path) -> Result<Self, WireError> {
        let n = size(n, 1, 1 << 34)?;
        let which = match name {
            "copy" => Loop::Copy,
            "scale" => Loop::Scale,
            "add" => Loop::Add,
            _ => Loop::Triad,
        };
        let second_len = if matches!(which, Loop::Copy | Loop::Scale) { 0 } else { n };
        let (mut i, mut j) = (0.., 0..);
        Ok(Self {
            path,
            which,
            to: Array::zeroed(n)?,
            x: Array::filled(n, || i.next().map_or(0.0, first))?,
            y: Array::filled(second_len, || j.next().map_or(0.0, second))?,
        })
    }
}

struct Pass<'a>(&'a mut Stream);

impl Body for Pass<'_> {
    type Out = ();

    #[inline(always)]
    fn run<S: Tile>(self, simd: S) {
        let Stream { which, to, x, y, .. } = self.0;
        match which {
            Loop::Copy => copy(simd, to, x),
            Loop::Scale => scale(simd, to, x),
            Loop::Add => add(simd, to, x, y),
            Loop::Triad => triad(simd, to, x, y),
        }
    }
}

#[inline(always)]
fn copy<S: Simd>(s: S, to: &mut [f64], x: &[f64]) {
    for (to, x) in to.chunks_exact_mut(S::LANES).zip(x.chunks_exact(S::LANES)) {
        s.store(to, s.load(x));
    }
    let whole = to.len() / S::LANES * S::LANES;
    to[whole..].copy_from_slice(&x[whole..]);
}

#[inline(always)]
fn scale<S: Simd>(s: S, to: &mut [f64], x: &[f64]) {
    let by = s.splat(SCALAR);
    for (to, x) in to.chunks_exact_mut(S::LANES).zip(x.chunks_exact(S::LANES)) {
        s.store(to, s.mul(s.load(x), by));
    }
    let whole = to.len() / S::LANES * S::LANES;
    to[whole..].iter_mut().zip(&x[whole..]).for_each(|(to, x)| *to = SCALAR * x);
}

#[inline(always)]
fn add<S: Simd>(s: S, to: &mut [f64], x: &[f64], y: &[f64]) {
    let from = x.chunks_exact(S::LANES).zip(y.chunks_exact(S::LANES));
    for (to, (x, y)) in to.chunks_exact_mut(S::LANES).zip(from) {
        s.store(to, s.add(s.load(x), s.load(y)));
    }
    let whole = to.len() / S::LANES * S::LANES;
    to[whole..].iter_mut().zip(&x[whole..]).zip(&y[whole..]).for_each(|((to, x), y)| *to = x + y);
}

#[inline(always)]
fn triad<S: Simd>(s: S, to: &mut [f64], x: &[f64], y: &[f64]) {
    let by = s.splat(SCALAR);
    let from = x.chunks_exact(S::LANES).zip(y.chunks_exact(S::LANES));
    for (to, (x, y)) in to.chunks_exact_mut(S::LANES).zip(from) {
        s.store(to, s.mul_add(by, s.load(y), s.load(x)));
    }
    let whole = to.len() / S::LANES * S::LANES;
    to[whole..].iter_mut().zip(&x[whole..]).zip(&y[whole..]).for_each(|((to, x), y)| *to = x + SCALAR * y);
}

impl Kernel for Stream {
    fn iterate(&mut self) -> Result<(), WireError> {
        run(self.path, Pass(self));
        Ok(())
    }

    fn answer(&mut self) -> Result<Answer, WireError> {
        Ok(Answer::new(&wrapping_sum(&self.to), fold_f64s(EMPTY, &self.to)))
    }
}
