//! The passes of the FFT: radix 8, 4 and 2.
//!
//! Each reads its input `n / radix` apart and writes its outputs `stride` apart (Stockham); `stride` neighbours
//! share a factor. All passes write every element of their output.

use super::fft::Complexes;
use crate::simd::Simd;
use std::f64::consts::FRAC_1_SQRT_2;

/// A vector of complex numbers.
type C<S> = (<S as Simd>::V, <S as Simd>::V);

#[inline(always)]
fn plus<S: Simd>(s: S, a: C<S>, b: C<S>) -> C<S> {
    (s.add(a.0, b.0), s.add(a.1, b.1))
}

#[inline(always)]
fn minus<S: Simd>(s: S, a: C<S>, b: C<S>) -> C<S> {
    (s.sub(a.0, b.0), s.sub(a.1, b.1))
}

#[inline(always)]
fn times<S: Simd>(s: S, a: C<S>, b: C<S>) -> C<S> {
    (s.mul_sub_from(a.1, b.1, s.mul(a.0, b.0)), s.mul_add(a.0, b.1, s.mul(a.1, b.0)))
}

/// a − i b.
#[inline(always)]
fn minus_i<S: Simd>(s: S, a: C<S>, b: C<S>) -> C<S> {
    (s.add(a.0, b.1), s.sub(a.1, b.0))
}

/// a + i b.
#[inline(always)]
fn plus_i<S: Simd>(s: S, a: C<S>, b: C<S>) -> C<S> {
    (s.sub(a.0, b.1), s.add(a.1, b.0))
}

#[inline(always)]
fn load<S: Simd>(s: S, from: &Complexes, at: usize) -> C<S> {
    (s.load(&from.re[at..]), s.load(&from.im[at..]))
}

#[inline(always)]
fn store<S: Simd>(s: S, to: &mut Complexes, at: usize, v: C<S>) {
    s.store(&mut to.re[at..], v.0);
    s.store(&mut to.im[at..], v.1);
}

/// Four-point transform.
#[inline(always)]
fn dft4<S: Simd>(s: S, x: [C<S>; 4]) -> [C<S>; 4] {
    let (a, b) = (plus(s, x[0], x[2]), minus(s, x[0], x[2]));
    let (c, d) = (plus(s, x[1], x[3]), minus(s, x[1], x[3]));
    [plus(s, a, c), minus_i(s, b, d), minus(s, a, c), plus_i(s, b, d)]
}

/// Eight-point transform: two of four points, joined by the eighth roots.
#[inline(always)]
fn dft8<S: Simd>(s: S, x: [C<S>; 8]) -> [C<S>; 8] {
    let e = dft4(s, [x[0], x[2], x[4], x[6]]);
    let o = dft4(s, [x[1], x[3], x[5], x[7]]);
    let h = s.splat(FRAC_1_SQRT_2);
    // (1 − i)/√2 and (−1 − i)/√2 times o.
    let o1 = (s.mul(h, s.add(o[1].0, o[1].1)), s.mul(h, s.sub(o[1].1, o[1].0)));
    let o3 = (s.mul(h, s.sub(o[3].1, o[3].0)), s.mul(s.splat(-FRAC_1_SQRT_2), s.add(o[3].0, o[3].1)));
    [
        plus(s, e[0], o[0]),
        plus(s, e[1], o1),
        minus_i(s, e[2], o[2]),
        plus(s, e[3], o3),
        minus(s, e[0], o[0]),
        minus(s, e[1], o1),
        plus_i(s, e[2], o[2]),
        minus(s, e[3], o3),
    ]
}

/// The first pass: stride 1, so the vectors run over groups, each lane with its own factor, and the outputs of a
/// group lie side by side.
#[inline(always)]
pub(super) fn eight<S: Simd>(s: S, from: &Complexes, to: &mut Complexes, w: &[f64]) {
    let groups = from.re.len() / 8;
    if groups < S::LANES {
        return few_eights(from, to, w);
    }
    for p in (0..groups).step_by(S::LANES) {
        let mut x = [load(s, from, p); 8];
        for k in 1..8 {
            x[k] = load(s, from, p + k * groups);
        }
        let mut y = dft8(s, x);
        let w1 = (s.load(&w[p..]), s.load(&w[groups + p..]));
        let w2 = times(s, w1, w1);
        let w4 = times(s, w2, w2);
        let w3 = times(s, w2, w1);
        let powers = [w1, w2, w3, w4, times(s, w4, w1), times(s, w4, w2), times(s, w4, w3)];
        for k in 0..7 {
            y[k + 1] = times(s, y[k + 1], powers[k]);
        }
        let range = 8 * p..8 * (p + S::LANES);
        s.interleave(y.map(|c| c.0), &mut to.re[range.clone()]);
        s.interleave(y.map(|c| c.1), &mut to.im[range]);
    }
}

/// The same for fewer groups than lanes: by definition, term by term.
fn few_eights(from: &Complexes, to: &mut Complexes, w: &[f64]) {
    let groups = from.re.len() / 8;
    for p in 0..groups {
        let mut power = (1.0, 0.0);
        for k in 0..8 {
            let mut sum = (0.0, 0.0);
            for j in 0..8 {
                let (x, r) =
                    ((from.re[p + j * groups], from.im[p + j * groups]), super::trig::root(j * k % 8, 8));
                sum = (sum.0 + x.0 * r.0 - x.1 * r.1, sum.1 + x.0 * r.1 + x.1 * r.0);
            }
            to.re[8 * p + k] = sum.0 * power.0 - sum.1 * power.1;
            to.im[8 * p + k] = sum.0 * power.1 + sum.1 * power.0;
            let root = (w[p], w[groups + p]);
            power = (power.0 * root.0 - power.1 * root.1, power.0 * root.1 + power.1 * root.0);
        }
    }
}

/// A later pass of radix 8, over groups of at least eight neighbours.
#[inline(always)]
pub(super) fn eight_wide<S: Simd>(s: S, from: &Complexes, to: &mut Complexes, w: &[f64], stride: usize) {
    let eighth = from.re.len() / 8;
    for (p, w) in w.as_chunks::<14>().0[..eighth / stride].iter().enumerate() {
        for q in (0..stride).step_by(S::LANES) {
            let at = p * stride + q;
            let mut x = [load(s, from, at); 8];
            for k in 1..8 {
                x[k] = load(s, from, at + k * eighth);
            }
            let y = dft8(s, x);
            let at = 8 * p * stride + q;
            store(s, to, at, y[0]);
            for k in 1..8 {
                let factor = (s.splat(w[2 * k - 2]), s.splat(w[2 * k - 1]));
                store(s, to, at + k * stride, times(s, y[k], factor));
            }
        }
    }
}

/// A radix-4 pass over groups of at least eight neighbours.
#[inline(always)]
pub(super) fn four<S: Simd>(s: S, from: &Complexes, to: &mut Complexes, w: &[f64], stride: usize) {
    let quarter = from.re.len() / 4;
    let groups = quarter / stride;
    for (p, w) in w.as_chunks::<6>().0[..groups].iter().enumerate() {
        let w = w.map(|x| s.splat(x));
        for q in (0..stride).step_by(S::LANES) {
            let at = p * stride + q;
            let x = [0, 1, 2, 3].map(|k| k * quarter + at);
            let x = [load(s, from, x[0]), load(s, from, x[1]), load(s, from, x[2]), load(s, from, x[3])];
            let y = dft4(s, x);
            let at = 4 * p * stride + q;
            store(s, to, at, y[0]);
            store(s, to, at + stride, times(s, y[1], (w[0], w[1])));
            store(s, to, at + 2 * stride, times(s, y[2], (w[2], w[3])));
            store(s, to, at + 3 * stride, times(s, y[3], (w[4], w[5])));
        }
    }
}

/// A radix-2 pass: the last one of many, or all there is of a transform of two or four points.
#[inline(always)]
pub(super) fn two<S: Simd>(s: S, from: &Complexes, to: &mut Complexes, w: &[f64], stride: usize) {
    let half = from.re.len() / 2;
    let groups = half / stride;
    for p in 0..groups {
        let w = (w[2 * p], w[2 * p + 1]);
        if stride < S::LANES {
            (0..stride).for_each(|q| single_two(from, to, w, (p, q), (stride, half)));
            continue;
        }
        for q in (0..stride).step_by(S::LANES) {
            let (a, b) = (load(s, from, p * stride + q), load(s, from, p * stride + q + half));
            let product = times(s, minus(s, a, b), (s.splat(w.0), s.splat(w.1)));
            store(s, to, 2 * p * stride + q, plus(s, a, b));
            store(s, to, (2 * p + 1) * stride + q, product);
        }
    }
}

/// One butterfly of a transform too small for vectors.
fn single_two(
    from: &Complexes,
    to: &mut Complexes,
    w: (f64, f64),
    (p, q): (usize, usize),
    (stride, half): (usize, usize),
) {
    let (a, b) = (p * stride + q, p * stride + q + half);
    let (re, im) = (from.re[a] - from.re[b], from.im[a] - from.im[b]);
    let (first, second) = (2 * p * stride + q, (2 * p + 1) * stride + q);
    (to.re[first], to.im[first]) = (from.re[a] + from.re[b], from.im[a] + from.im[b]);
    (to.re[second], to.im[second]) = (re * w.0 - im * w.1, re * w.1 + im * w.0);
}
