//! `fft`: a complex forward transform of a power of two of points.
//!
//! Stockham's self-sorting algorithm on separate real and imaginary arrays: every vector is loaded from neighbours
//! and no bit-reversal pass scatters over the memory. Radix 8 from the first pass on, so that all later passes have at
//! least eight neighbours to work on and the data is passed over as rarely as the registers allow; a last pass of radix
//! 4 or 2 if the size needs it. Checked by transforming back and by Parseval's theorem.

use super::butterfly::{eight, eight_wide, four, two};
use super::gemm::Tile;
use super::trig::root;
use super::{Answer, Kernel, join, power_of_two, size, within};
use crate::answers::spectrum::{bins, limit};
use crate::data::{EMPTY, Xoshiro, fold_f64s};
use crate::simd::{Body, Path, run};
use crate::sys::Array;
use crate::wire::WireError;

/// Real and imaginary parts.
pub(crate) struct Complexes {
    pub(crate) re: Array<f64>,
    pub(crate) im: Array<f64>,
}

impl Complexes {
    /// The first pair of arrays, or the second: a pass reads one and writes the other. The four arrays start a
    /// quarter page apart, because as many streams as twice the radix, all a power of two apart, are more than a
    /// set of the first-level cache has ways.
    fn zeroed(n: usize, second: bool) -> Result<Self, WireError> {
        let skip = if second { 128 } else { 0 };
        Ok(Self { re: Array::shifted(n, skip)?, im: Array::shifted(n, skip + 256)? })
    }

    fn norm2(&self) -> f64 {
        self.re.iter().zip(self.im.iter()).map(|(r, i)| r * r + i * i).sum()
    }
}

/// One pass over the data.
struct Stage {
    radix: usize,
    /// Neighbours that share a factor: the product of the radices before.
    stride: usize,
    /// Where its factors start in the table.
    factors: usize,
}

/// The kernel.
pub(crate) struct Fft {
    path: Path,
    n: usize,
    stages: Vec<Stage>,
    /// Per stage and group: the powers 1 to radix − 1 of the group's root, re before im; for the first stage, if of
    /// radix 8, all real parts of the roots, then all imaginary ones.
    factors: Array<f64>,
    given: Complexes,
    out: [Complexes; 2],
}

/// The radices that make up n, the widest first.
fn radices(n: usize) -> Vec<usize> {
    let bits = n.ilog2() as usize;
    if bits < 3 {
        return vec![2; bits];
    }
    let mut radices = vec![8];
    radices.resize(bits / 3, 8);
    radices.extend((!bits.is_multiple_of(3)).then_some(1 << (bits % 3)));
    radices
}

impl Fft {
    /// # Errors
    /// If `n` is out of bounds or the memory is not to be had.
    pub(crate) fn new(n: u64, path: Path) -> Result<Self, WireError> {
        let n = power_of_two(size(n, 2, 1 << 28)?)?;
        let (mut stages, mut stride, mut length) = (Vec::new(), 1, 0);
        for radix in radices(n) {
            stages.push(Stage { radix, stride, factors: length });
            length += 2 * (radix - 1) * (n / stride / radix);
            stride *= radix;
        }
        let mut factors = Array::zeroed(length)?;
        stages.iter().for_each(|stage| fill(&mut factors[stage.factors..], stage, n / stage.stride));
        let mut given = Complexes::zeroed(n, true)?;
        for ((re, im), v) in given.re.iter_mut().zip(given.im.iter_mut()).zip(input()) {
            (*re, *im) = v;
        }
        let out = [Complexes::zeroed(n, false)?, Complexes::zeroed(n, true)?];
        Ok(Self { path, n, stages, factors, given, out })
    }

    fn result(&self) -> &Complexes {
        &self.out[(self.stages.len() + 1) % 2]
    }

    /// Largest deviation of the inverse transform of the result from what was given. Overwrites the input.
    fn round_trip(&mut self) -> f64 {
        // The inverse is the forward transform with real and imaginary parts exchanged.
        let at = (self.stages.len() + 1) % 2;
        self.given.im.copy_from_slice(&self.out[at].re);
        self.given.re.copy_from_slice(&self.out[at].im);
        run(self.path, Transform(self));
        let (back, scale) = (self.result(), 1.0 / self.n as f64);
        let miss = |(got, was): (f64, f64)| (got * scale - was).abs();
        let pairs = back.im.iter().zip(back.re.iter()).zip(input());
        pairs.flat_map(|((&re, &im), was)| [(re, was.0), (im, was.1)]).map(miss).fold(0.0, f64::max)
    }
}

/// The points that are transformed.
fn input() -> impl Iterator<Item = (f64, f64)> {
    let mut random = Xoshiro::named("fft");
    std::iter::repeat_with(move || (random.centred(), random.centred()))
}

/// The factors of one stage that splits transforms of length n.
fn fill(table: &mut [f64], stage: &Stage, n: usize) {
    let groups = n / stage.radix;
    if stage.radix == 8 && stage.stride == 1 {
        for p in 0..groups {
            (table[p], table[groups + p]) = root(p, n);
        }
        return;
    }
    let powers = (0..groups).flat_map(|p| (1..stage.radix).map(move |power| power * p));
    for (to, k) in table.chunks_exact_mut(2).zip(powers) {
        (to[0], to[1]) = root(k, n);
    }
}

struct Transform<'a>(&'a mut Fft);

impl Body for Transform<'_> {
    type Out = ();

    #[inline(always)]
    fn run<S: Tile>(self, simd: S) {
        let Fft { stages, factors, given, out, .. } = self.0;
        let [even, odd] = out;
        for (i, stage) in stages.iter().enumerate() {
            let (from, to) = match i {
                0 => (&*given, &mut *even),
                _ if i % 2 == 1 => (&*even, &mut *odd),
                _ => (&*odd, &mut *even),
            };
            let w = &factors[stage.factors..];
            match stage.radix {
                8 if i == 0 => eight(simd, from, to, w),
                8 => eight_wide(simd, from, to, w, stage.stride),
                4 => four(simd, from, to, w, stage.stride),
                _ => two(simd, from, to, w, stage.stride),
            }
        }
    }
}

impl Kernel for Fft {
    fn iterate(&mut self) -> Result<(), WireError> {
        run(self.path, Transform(self));
        Ok(())
    }

    fn answer(&mut self) -> Result<Answer, WireError> {
        let out = self.result();
        let values: Vec<f64> = bins(self.n).iter().flat_map(|&k| [out.re[k], out.im[k]]).collect();
        let bits = fold_f64s(fold_f64s(EMPTY, &out.re), &out.im);
        let parseval = (out.norm2() / (self.n as f64 * self.given.norm2()) - 1.0).abs();
        let round_trip = self.round_trip();
        within("Parseval's difference", parseval, limit(self.n))?;
        within("the round trip's difference", round_trip, limit(self.n))?;
        Ok(Answer::new(&join(&values), bits)
            .with("parseval", format_args!("{parseval:e}"))
            .with("roundtrip", format_args!("{round_trip:e}")))
    }
}
