//! `fft`: a complex forward transform of a power of two of points.
//!
//! Stockham's self-sorting algorithm on separate real and imaginary arrays: every vector is loaded from neighbours
//! and no bit-reversal pass scatters over the memory. A radix-8 stage first, so that all later stages have at least
//! eight neighbours to work on; then radix 4, and one of radix 2 if the size needs it. Checked by transforming back
//! and by Parseval's theorem.

use super::butterfly::{eight, four, two};
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
    fn zeroed(n: usize) -> Result<Self, WireError> {
        Ok(Self { re: Array::zeroed(n)?, im: Array::zeroed(n)? })
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
    /// Per stage and group: the powers 1, 2, 3 (radix 4) or 1 (radix 2) of the group's root, re before im; for
    /// radix 8 all real parts of the roots, then all imaginary ones.
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
    radices.resize(1 + (bits - 3) / 2, 4);
    radices.extend(bits.is_multiple_of(2).then_some(2));
    radices
}

impl Fft {
    /// # Errors
    /// If `n` is out of bounds or the memory is not to be had.
    pub(crate) fn new(n: u64, path: Path) -> Result<Self, WireError> {
        let n = power_of_two(size(n, 2, 1 << 28)?)?;
        let (mut stages, mut table) = (Vec::new(), Vec::new());
        let mut stride = 1;
        for radix in radices(n) {
            stages.push(Stage { radix, stride, factors: table.len() });
            factors(&mut table, radix, n / stride);
            stride *= radix;
        }
        let mut next = table.iter();
        let factors = Array::filled(table.len(), || next.next().copied().unwrap_or(0.0))?;
        let mut given = Complexes::zeroed(n)?;
        let mut random = Xoshiro::named("fft");
        for (re, im) in given.re.iter_mut().zip(given.im.iter_mut()) {
            (*re, *im) = (random.centred(), random.centred());
        }
        let out = [Complexes::zeroed(n)?, Complexes::zeroed(n)?];
        Ok(Self { path, n, stages, factors, given, out })
    }

    fn result(&self) -> &Complexes {
        &self.out[(self.stages.len() + 1) % 2]
    }

    /// Largest deviation of the inverse transform of the result from what was given. Overwrites the input.
    fn round_trip(&mut self) -> f64 {
        let (re, im) = (self.given.re.to_vec(), self.given.im.to_vec());
        // The inverse is the forward transform with real and imaginary parts exchanged.
        let at = (self.stages.len() + 1) % 2;
        self.given.im.copy_from_slice(&self.out[at].re);
        self.given.re.copy_from_slice(&self.out[at].im);
        run(self.path, Transform(self));
        let back = self.result();
        let scale = 1.0 / self.n as f64;
        let miss = |got: &[f64], was: &[f64]| {
            got.iter().zip(was).map(|(g, w)| (g * scale - w).abs()).fold(0.0, f64::max)
        };
        miss(&back.im, &re).max(miss(&back.re, &im))
    }
}

/// The factors of one stage that splits transforms of length n.
fn factors(table: &mut Vec<f64>, radix: usize, n: usize) {
    let groups = n / radix;
    if radix == 8 {
        table.extend((0..groups).map(|p| root(p, n).0));
        table.extend((0..groups).map(|p| root(p, n).1));
        return;
    }
    for p in 0..groups {
        for power in 1..radix {
            let (re, im) = root(power * p, n);
            table.extend([re, im]);
        }
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
                8 => eight(simd, from, to, w),
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
