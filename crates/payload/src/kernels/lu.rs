//! `lu`: LINPACK's task, A x = b by LU factorisation with partial pivoting and two triangular solves.
//!
//! Right-looking and recursive over columns (Toledo, SIAM J. Matrix Anal. 1997), so that nearly all operations
//! are matrix products. An iteration includes restoring A, which the factors overwrite: n² of 2/3 n³. The result
//! passes HPL's own test or there is no answer.

use super::gemm::{Onto, Packs, Shape, Tile, multiply};
use super::matrix::stride;
use super::{Answer, Kernel, join, size, within};
use crate::answers::{freivalds, solution};
use crate::data::{EMPTY, Xoshiro, fold_f64s};
use crate::simd::{Body, Path, Simd, run};
use crate::sys::Array;
use crate::wire::WireError;

/// Columns that are factorised one by one.
const LEAF: usize = 8;

/// The kernel.
pub(crate) struct Lu {
    path: Path,
    n: usize,
    given: Array<f64>,
    b: Vec<f64>,
    work: Work,
    x: Vec<f64>,
}

/// What an iteration overwrites.
struct Work {
    ld: usize,
    n: usize,
    factors: Array<f64>,
    pivots: Vec<usize>,
    packs: Packs,
}

impl Lu {
    /// # Errors
    /// If `n` is out of bounds or the memory is not to be had.
    pub(crate) fn new(n: u64, path: Path) -> Result<Self, WireError> {
        let n = size(n, 1, 32_768)?;
        let ld = stride(n);
        let mut given = Array::zeroed(n * ld)?;
        let mut next = Xoshiro::named("lu.a");
        given.chunks_exact_mut(ld).for_each(|c| c[..n].iter_mut().for_each(|v| *v = next.centred()));
        let known: Vec<f64> = (0..n).map(solution::known).collect();
        let b = freivalds::times(given.chunks_exact(ld).map(|c| &c[..n]), &known);
        let (factors, packs) = (Array::zeroed(n * ld)?, Packs::new(n)?);
        let work = Work { ld, n, factors, pivots: vec![0; n], packs };
        Ok(Self { path, n, given, x: b.clone(), b, work })
    }

    fn column(&self, j: usize) -> &[f64] {
        &self.given[j * self.work.ld..][..self.n]
    }

    /// HPL's scaled residual: ‖Ax − b‖∞ / (ε n (‖A‖∞ ‖x‖∞ + ‖b‖∞)), at most 16 for a correct solution.
    fn residual(&self) -> f64 {
        let ax = freivalds::times((0..self.n).map(|j| self.column(j)), &self.x);
        let most = |v: &mut dyn Iterator<Item = f64>| v.fold(0.0, |m: f64, x| if x > m { x } else { m });
        let miss: f64 = ax.iter().zip(&self.b).map(|(a, b)| (a - b).abs()).sum();
        let worst = most(&mut ax.iter().zip(&self.b).map(|(a, b)| (a - b).abs()));
        let mut rows = vec![0.0; self.n];
        for j in 0..self.n {
            rows.iter_mut().zip(self.column(j)).for_each(|(r, v)| *r += v.abs());
        }
        let [a, x, b] = [&rows, &self.x, &self.b].map(|v| most(&mut v.iter().map(|x| x.abs())));
        // The sum is not a number if any element is not, which a maximum would hide.
        if miss.is_finite() { worst / (f64::EPSILON * self.n as f64 * (a * x + b)) } else { f64::NAN }
    }
}

struct Solve<'a>(&'a mut Lu);

impl Body for Solve<'_> {
    type Out = ();

    #[inline(always)]
    fn run<S: Tile>(self, simd: S) {
        let Lu { given, b, work, x, .. } = self.0;
        work.factors.copy_from_slice(given);
        factorise(simd, work);
        x.copy_from_slice(b);
        solve(simd, work, x);
    }
}

impl Kernel for Lu {
    fn iterate(&mut self) -> Result<(), WireError> {
        run(self.path, Solve(self));
        Ok(())
    }

    fn answer(&mut self) -> Result<Answer, WireError> {
        let residual = self.residual();
        within("the scaled residual", residual, solution::LIMIT)?;
        let r = freivalds::signs("lu.r", self.n);
        let sum = self.x.iter().zip(&r).map(|(x, r)| x * r).sum::<f64>();
        let bits = fold_f64s(EMPTY, &self.x);
        Ok(Answer::new(&join(&[sum]), bits).with("residual", format_args!("{residual:e}")))
    }
}

/// Columns `from..from + count` of the matrix; their diagonal starts at row `from`.
#[derive(Clone, Copy)]
struct Columns {
    from: usize,
    count: usize,
}

/// How many columns end at `done` that the recursion treats as one: what divides `done`, as a power of two.
const fn joined(done: usize) -> usize {
    LEAF << (done / LEAF).trailing_zeros()
}

/// Factorises in place. The recursion over halves is walked as a loop over leaves, because a function that calls
/// itself cannot melt into the path's entry function: once `joined` columns are complete, as many columns to
/// their right are brought up to date with them, which is what the recursion does on its way up.
#[inline(always)]
fn factorise<S: Tile>(s: S, w: &mut Work) {
    let n = w.n;
    for from in (0..n).step_by(LEAF) {
        let count = LEAF.min(n - from);
        leaf(s, w, Columns { from, count });
        let done = from + count;
        if count == LEAF {
            settle(w, done);
        }
        if done < n {
            let count = joined(done);
            let right = Columns { from: done, count: count.min(n - done) };
            update(s, w, Columns { from: done - count, count }, right);
        }
    }
    settle_rest(w);
}

/// Exchanges rows of some columns as the pivots `first..last` say. Column by column: each stays in the cache.
fn exchange(columns: &mut [f64], ld: usize, pivots: &[usize], first: usize, last: usize) {
    for column in columns.chunks_exact_mut(ld) {
        for k in first..last {
            column.swap(k, pivots[k]);
        }
    }
}

/// Takes later pivots over into earlier columns of the block that is complete at `done`.
fn settle(w: &mut Work, done: usize) {
    let mut half = LEAF;
    while half < joined(done) {
        let middle = done - half;
        exchange(&mut w.factors[(middle - half) * w.ld..middle * w.ld], w.ld, &w.pivots, middle, done);
        half *= 2;
    }
}

/// The same between the blocks that are left when the matrix ends: one per binary digit of its order.
fn settle_rest(w: &mut Work) {
    let mut from = 0;
    while w.n - from >= LEAF {
        let end = from + (LEAF << ((w.n - from) / LEAF).ilog2());
        exchange(&mut w.factors[from * w.ld..end * w.ld], w.ld, &w.pivots, end, w.n);
        from = end;
    }
}

/// Factorises a few columns one by one.
#[inline(always)]
fn leaf<S: Simd>(s: S, w: &mut Work, c: Columns) {
    let panel = &mut w.factors[c.from * w.ld..(c.from + c.count) * w.ld];
    for k in 0..c.count {
        let row = c.from + k;
        let pivot = largest(&panel[k * w.ld..][row..w.n]) + row;
        w.pivots[row] = pivot;
        panel.chunks_exact_mut(w.ld).for_each(|column| column.swap(row, pivot));
        let (done, rest) = panel.split_at_mut((k + 1) * w.ld);
        let column = &mut done[k * w.ld..][row..w.n];
        let inverse = 1.0 / column[0];
        scale(s, &mut column[1..], inverse);
        for right in rest.chunks_exact_mut(w.ld) {
            let right = &mut right[row..w.n];
            let factor = right[0];
            subtract(s, &mut right[1..], &column[1..], factor);
        }
    }
}

/// Where the element of largest magnitude is; the first of equals. Two passes, both of which fill vectors: the
/// maximum of eight interleaved parts, then where it stands.
#[inline(always)]
fn largest(column: &[f64]) -> usize {
    let (parts, rest) = column.as_chunks::<8>();
    let mut most = [0.0; 8];
    for part in parts {
        for (m, v) in most.iter_mut().zip(part) {
            *m = if v.abs() > *m { v.abs() } else { *m };
        }
    }
    let most = most.iter().chain(rest).fold(0.0, |m: f64, v| if v.abs() > m { v.abs() } else { m });
    column.iter().position(|v| v.abs() == most).unwrap_or(0)
}

/// column *= factor.
#[inline(always)]
fn scale<S: Simd>(s: S, column: &mut [f64], factor: f64) {
    let by = s.splat(factor);
    let mut vectors = column.chunks_exact_mut(S::LANES);
    for v in &mut vectors {
        s.store(v, s.mul(s.load(v), by));
    }
    vectors.into_remainder().iter_mut().for_each(|v| *v *= factor);
}

/// to −= from · factor.
#[inline(always)]
fn subtract<S: Simd>(s: S, to: &mut [f64], from: &[f64], factor: f64) {
    let by = s.splat(factor);
    let whole = to.len() / S::LANES * S::LANES;
    for (t, f) in to.chunks_exact_mut(S::LANES).zip(from.chunks_exact(S::LANES)) {
        s.store(t, s.mul_sub_from(s.load(f), by, s.load(t)));
    }
    to[whole..].iter_mut().zip(&from[whole..]).for_each(|(t, f)| *t -= f * factor);
}

/// Brings the columns `r` up to date with the factorised columns `l` just left of them.
#[inline(always)]
fn update<S: Tile>(s: S, w: &mut Work, l: Columns, r: Columns) {
    let ld = w.ld;
    let (left, right) = w.factors.split_at_mut(r.from * ld);
    let (left, right) = (&left[l.from * ld..], &mut right[..r.count * ld]);
    exchange(right, ld, &w.pivots, l.from, l.from + l.count);
    for done in (LEAF..=l.count).step_by(LEAF) {
        let last = done - LEAF;
        solve_leaf(s, &left[last * ld + l.from + last..], &mut right[l.from + last..], ld);
        // Rows that now see `k` more rows of the solution; below the last leaf, all that are left.
        let k = joined(done);
        let m = if done == l.count { w.n - l.from - done } else { k };
        let a = &left[(done - k) * ld + l.from + done..];
        let target = &mut right[l.from + done - k..];
        multiply(s, &mut w.packs, (a, ld), (target, ld), Shape { m, n: r.count, k }, Onto::Subtract);
    }
}

/// Solves with a unit lower triangle of LEAF rows, for all columns of `right`, by way of its inverse: the inverse
/// of so small a triangle with elements up to 1 is harmless, and products fill the vectors that a substitution
/// would leave empty.
#[inline(always)]
fn solve_leaf<S: Simd>(s: S, triangle: &[f64], right: &mut [f64], ld: usize) {
    let inverse = invert(triangle, ld);
    for column in right.chunks_mut(ld) {
        let column = &mut column[..LEAF];
        let mut sums = [s.splat(0.0); LEAF];
        for (k, factors) in inverse.iter().enumerate() {
            let by = s.splat(column[k]);
            for i in 0..LEAF / S::LANES {
                sums[i] = s.mul_add(s.load(&factors[i * S::LANES..]), by, sums[i]);
            }
        }
        for i in 0..LEAF / S::LANES {
            s.store(&mut column[i * S::LANES..], sums[i]);
        }
    }
}

/// The inverse of a unit lower triangle, by columns.
fn invert(triangle: &[f64], ld: usize) -> [[f64; LEAF]; LEAF] {
    let mut inverse = [[0.0; LEAF]; LEAF];
    for (j, column) in inverse.iter_mut().enumerate() {
        column[j] = 1.0;
        for k in j..LEAF {
            for i in k + 1..LEAF {
                column[i] -= triangle[k * ld + i] * column[k];
            }
        }
    }
    inverse
}

/// Exchanges, then substitutes forwards through L and backwards through U.
#[inline(always)]
fn solve<S: Simd>(s: S, w: &Work, x: &mut [f64]) {
    (0..w.n).for_each(|k| x.swap(k, w.pivots[k]));
    for (j, column) in w.factors.chunks_exact(w.ld).enumerate() {
        let (solved, rest) = x.split_at_mut(j + 1);
        subtract(s, rest, &column[j + 1..w.n], solved[j]);
    }
    for (j, column) in w.factors.chunks_exact(w.ld).enumerate().rev() {
        let (rest, solved) = x.split_at_mut(j);
        solved[0] /= column[j];
        subtract(s, rest, &column[..j], solved[0]);
    }
}
