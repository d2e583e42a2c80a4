//! `dgemm`: C = A·B in double precision.
//!
//! Checked before any rate is told by Freivalds' method: rᵀ(C s) against rᵀ(A (B s)) with random signs, which costs
//! O(n²) and sees any single wrong element.

use super::gemm::{Onto, Packs, Shape, Tile, multiply};
use super::{Answer, Kernel, join, size, within};
use crate::answers::freivalds;
use crate::data::{EMPTY, Xoshiro, fold_f64s};
use crate::simd::{Body, Path, run};
use crate::sys::Array;
use crate::wire::WireError;

/// Stride of a column: whole cache lines, and not a power of two, whose columns would all meet in one cache set.
pub(crate) fn stride(rows: usize) -> usize {
    rows.next_multiple_of(8) + 8
}

/// The kernel.
pub(crate) struct Dgemm {
    path: Path,
    n: usize,
    a: Array<f64>,
    /// B above C, as [`multiply`] wants them.
    right: Array<f64>,
    packs: Packs,
}

impl Dgemm {
    /// # Errors
    /// If `n` is out of bounds or the memory is not to be had.
    pub(crate) fn new(n: u64, path: Path) -> Result<Self, WireError> {
        let n = size(n, 1, 32_768)?;
        let mut a = Array::zeroed(n * stride(n))?;
        let mut right = Array::zeroed(n * stride(2 * n))?;
        let (mut next_a, mut next_b) = (Xoshiro::named("dgemm.a"), Xoshiro::named("dgemm.b"));
        for j in 0..n {
            a[j * stride(n)..][..n].iter_mut().for_each(|v| *v = next_a.centred());
            right[j * stride(2 * n)..][..n].iter_mut().for_each(|v| *v = next_b.centred());
        }
        Ok(Self { path, n, a, right, packs: Packs::new(n)? })
    }

    fn b(&self, j: usize) -> &[f64] {
        &self.right[j * stride(2 * self.n)..][..self.n]
    }

    fn c(&self, j: usize) -> &[f64] {
        &self.right[j * stride(2 * self.n) + self.n..][..self.n]
    }
}

struct Product<'a>(&'a mut Dgemm);

impl Body for Product<'_> {
    type Out = ();

    #[inline(always)]
    fn run<S: Tile>(self, simd: S) {
        let Dgemm { n, a, right, packs, .. } = self.0;
        let n = *n;
        let shape = Shape { m: n, n, k: n };
        multiply(simd, packs, (a, stride(n)), (right, stride(2 * n)), shape, Onto::Overwrite);
    }
}

impl Kernel for Dgemm {
    fn iterate(&mut self) -> Result<(), WireError> {
        run(self.path, Product(self));
        Ok(())
    }

    fn answer(&mut self) -> Result<Answer, WireError> {
        let n = self.n;
        let (r, s) = (freivalds::signs("dgemm.r", n), freivalds::signs("dgemm.s", n));
        let told = freivalds::bilinear(&r, (0..n).map(|j| self.c(j)), &s);
        let bs = freivalds::times((0..n).map(|j| self.b(j)), &s);
        let known = freivalds::bilinear(&r, self.a.chunks_exact(stride(n)).map(|c| &c[..n]), &bs);
        let residual = freivalds::scaled(told - known, n);
        within("the Freivalds residual", residual, freivalds::LIMIT)?;
        let bits = (0..n).fold(EMPTY, |h, j| fold_f64s(h, self.c(j)));
        Ok(Answer::new(&join(&[told]), bits).with("residual", format_args!("{residual:e}")))
    }
}
