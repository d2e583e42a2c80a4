//! Blocked matrix multiplication: what `dgemm` runs and what `lu` is built on.
//!
//! Column-major, after Goto and van de Geijn (TOMS 2008): panels of A and B are packed so that the innermost loop
//! reads both with unit stride from the caches while the tile of C stays in registers. Block sizes are fixed, not
//! fitted to the host's caches, so the order of additions, and with it every bit of the result, is the same
//! everywhere on one path.

use crate::simd::{Avx2, Avx512, Simd, Sse2};
use crate::sys::Array;
use crate::wire::WireError;

/// Depth of a packed panel: the only block size that the bits depend on.
pub(crate) const KC: usize = 256;
/// Columns of B packed at a time.
const NC: usize = 1920;
/// Largest MC of all paths.
const MOST_ROWS: usize = 192;
/// Elements of the largest tile.
const TILE: usize = 24 * 8;

/// The register tile of a path.
pub(crate) trait Tile: Simd {
    /// Rows of the tile: whole vectors.
    const MR: usize;
    /// Columns of the tile.
    const NR: usize;
    /// Rows of A packed at a time: MC × KC doubles fit the second-level cache of CPUs that have the path.
    const MC: usize;
    /// Multiplies a packed MR × k panel of A by a packed k × NR panel of B onto a tile of C.
    fn tile(self, a: &[f64], b: &[f64], c: &mut [f64], ldc: usize, onto: Onto);
}

/// What happens to the C that is there.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Onto {
    /// C = AB.
    Overwrite,
    /// C += AB.
    Add,
    /// C −= AB.
    Subtract,
}

// The tiles: as many sums as the registers hold beside the vectors of A and a factor of B, and enough of them to
// cover latency × ports of the multiply-add. SSE2 needs a register more, for the product before it is added.

impl Tile for Sse2 {
    const MR: usize = 4;
    const NR: usize = 4;
    const MC: usize = 96;

    #[inline(always)]
    fn tile(self, a: &[f64], b: &[f64], c: &mut [f64], ldc: usize, onto: Onto) {
        micro::<Self, 2, 4>(self, a, b, c, ldc, onto);
    }
}

impl Tile for Avx2 {
    const MR: usize = 8;
    // Twelve sums as 2 × 6, not 3 × 4: one register more is free, so factors can be loaded ahead.
    const NR: usize = 6;
    const MC: usize = 96;

    #[inline(always)]
    fn tile(self, a: &[f64], b: &[f64], c: &mut [f64], ldc: usize, onto: Onto) {
        micro::<Self, 2, 6>(self, a, b, c, ldc, onto);
    }
}

impl Tile for Avx512 {
    const MR: usize = 24;
    const NR: usize = 8;
    const MC: usize = 192;

    #[inline(always)]
    fn tile(self, a: &[f64], b: &[f64], c: &mut [f64], ldc: usize, onto: Onto) {
        micro::<Self, 3, 8>(self, a, b, c, ldc, onto);
    }
}

/// The innermost loop: MV vectors × NR columns of C in registers.
#[inline(always)]
fn micro<S: Simd, const MV: usize, const NR: usize>(
    s: S,
    a: &[f64],
    b: &[f64],
    c: &mut [f64],
    ldc: usize,
    onto: Onto,
) {
    // C is needed at the end only: ask for it now.
    for j in 0..NR {
        s.prefetch(&c[j * ldc..]);
        s.prefetch(&c[j * ldc + MV * S::LANES - 1..]);
    }
    let mut sum = [[s.splat(0.0); MV]; NR];
    for (a, b) in a.chunks_exact(MV * S::LANES).zip(b.chunks_exact(NR * S::COPIES)) {
        let mut column = [s.splat(0.0); MV];
        for i in 0..MV {
            column[i] = s.load(&a[i * S::LANES..]);
        }
        for j in 0..NR {
            let factor = s.spread(&b[j * S::COPIES..]);
            for i in 0..MV {
                sum[j][i] = s.mul_add(column[i], factor, sum[j][i]);
            }
        }
    }
    for j in 0..NR {
        let column = &mut c[j * ldc..][..MV * S::LANES];
        for i in 0..MV {
            let to = &mut column[i * S::LANES..];
            let v = match onto {
                Onto::Overwrite => sum[j][i],
                Onto::Add => s.add(s.load(to), sum[j][i]),
                Onto::Subtract => s.sub(s.load(to), sum[j][i]),
            };
            s.store(to, v);
        }
    }
}

/// Sizes of C (m × n) and the depth k.
#[derive(Clone, Copy)]
pub(crate) struct Shape {
    pub(crate) m: usize,
    pub(crate) n: usize,
    pub(crate) k: usize,
}

/// Room for packed panels.
pub(crate) struct Packs {
    a: Array<f64>,
    b: Array<f64>,
}

impl Packs {
    /// Room for products with at most `n` columns.
    pub(crate) fn new(n: usize) -> Result<Self, WireError> {
        // Two copies, and a last panel of up to 8 columns.
        let columns = 2 * (n.min(NC) + 8);
        Ok(Self { a: Array::zeroed(KC * MOST_ROWS)?, b: Array::zeroed(KC * columns)? })
    }
}

/// C = AB, or C −= AB (`onto`), column-major.
///
/// `right` holds B in its first k rows and C in the m rows right below, in the same columns of stride `ld`: that is
/// how LU finds them, and B is packed before C changes.
#[inline(always)]
pub(crate) fn multiply<S: Tile>(
    s: S,
    packs: &mut Packs,
    a: (&[f64], usize),
    right: (&mut [f64], usize),
    shape: Shape,
    onto: Onto,
) {
    let (right, ld) = right;
    for j in (0..shape.n).step_by(NC) {
        let columns = NC.min(shape.n - j);
        for p in (0..shape.k).step_by(KC) {
            let depth = KC.min(shape.k - p);
            pack_b(s, &mut packs.b, &right[j * ld + p..], ld, depth, columns);
            let later = if onto == Onto::Overwrite { Onto::Add } else { onto };
            let onto = if p == 0 { onto } else { later };
            for i in (0..shape.m).step_by(S::MC) {
                let rows = S::MC.min(shape.m - i);
                pack_a::<S>(s, &mut packs.a, &a.0[p * a.1 + i..], a.1, rows, depth);
                let block = Shape { m: rows, n: columns, k: depth };
                sweep(s, packs, &mut right[j * ld + shape.k + i..], ld, block, onto);
            }
        }
    }
}

/// All tiles of one packed block.
#[inline(always)]
fn sweep<S: Tile>(s: S, packs: &Packs, c: &mut [f64], ld: usize, block: Shape, onto: Onto) {
    let Shape { m, n, k } = block;
    for (j, b) in (0..n).step_by(S::NR).zip(packs.b.chunks_exact(S::NR * S::COPIES * k)) {
        for (i, a) in (0..m).step_by(S::MR).zip(packs.a.chunks_exact(S::MR * k)) {
            if m - i >= S::MR && n - j >= S::NR {
                s.tile(a, b, &mut c[j * ld + i..], ld, onto);
            } else {
                let edge = Shape { m: S::MR.min(m - i), n: S::NR.min(n - j), k };
                edge_tile(s, a, b, &mut c[j * ld + i..], ld, edge, onto);
            }
        }
    }
}

/// A tile that sticks out of C: computed whole beside it, then its part is taken over.
#[inline(always)]
fn edge_tile<S: Tile>(s: S, a: &[f64], b: &[f64], c: &mut [f64], ld: usize, edge: Shape, onto: Onto) {
    let mut whole = [0.0; TILE];
    s.tile(a, b, &mut whole, S::MR, Onto::Overwrite);
    for j in 0..edge.n {
        for i in 0..edge.m {
            let (to, v) = (&mut c[j * ld + i], whole[j * S::MR + i]);
            match onto {
                Onto::Overwrite => *to = v,
                Onto::Add => *to += v,
                Onto::Subtract => *to -= v,
            }
        }
    }
}

/// Packs rows × depth of A into panels of MR rows, padded with zeros.
#[inline(always)]
fn pack_a<S: Tile>(s: S, to: &mut [f64], a: &[f64], ld: usize, rows: usize, depth: usize) {
    for (i, panel) in (0..rows).step_by(S::MR).zip(to.chunks_exact_mut(S::MR * depth)) {
        let here = S::MR.min(rows - i);
        for (p, column) in panel.chunks_exact_mut(S::MR).enumerate() {
            let from = &a[p * ld + i..][..here];
            if here == S::MR {
                for v in (0..S::MR).step_by(S::LANES) {
                    s.store(&mut column[v..], s.load(&from[v..]));
                }
            } else {
                column[..here].copy_from_slice(from);
                column[here..].fill(0.0);
            }
        }
    }
}

/// Packs depth × columns of B into panels of NR columns, padded with zeros, each element in the path's copies.
#[inline(always)]
fn pack_b<S: Tile>(s: S, to: &mut [f64], b: &[f64], ld: usize, depth: usize, columns: usize) {
    let width = S::NR * S::COPIES;
    for (j, panel) in (0..columns).step_by(S::NR).zip(to.chunks_exact_mut(width * depth)) {
        let here = S::NR.min(columns - j);
        if width == 8 && here == 8 && S::COPIES == 1 && depth.is_multiple_of(S::LANES) {
            transpose(s, panel, &b[j * ld..], ld, depth);
            continue;
        }
        for c in 0..here {
            let from = &b[(j + c) * ld..][..depth];
            for (row, v) in panel.chunks_exact_mut(width).zip(from) {
                row[c * S::COPIES..(c + 1) * S::COPIES].fill(*v);
            }
        }
        for row in panel.chunks_exact_mut(width) {
            row[here * S::COPIES..].fill(0.0);
        }
    }
}

/// Packs a whole panel of eight columns, a vector of rows at a time.
#[inline(always)]
fn transpose<S: Simd>(s: S, panel: &mut [f64], b: &[f64], ld: usize, depth: usize) {
    for (p, rows) in (0..depth).step_by(S::LANES).zip(panel.chunks_exact_mut(8 * S::LANES)) {
        let mut columns = [s.splat(0.0); 8];
        for c in 0..8 {
            columns[c] = s.load(&b[c * ld + p..]);
        }
        s.interleave(columns, rows);
    }
}
