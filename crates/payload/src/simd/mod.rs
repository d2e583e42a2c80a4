//! Vectors of doubles on an explicit instruction-set path.
//!
//! A kernel is written once against [`Simd`] and compiled three times. A token of a path exists only after
//! CPUID and XCR0 allowed the path, so safe code cannot reach an instruction that would fault. Everything below
//! [`run`] must be `#[inline(always)]`: code that stays outside the entry function is compiled without its
//! features.

mod sys;

use crate::cpu;
use crate::kernels::gemm::Tile;
use crate::wire::{Isa, WireError};

pub(crate) use sys::{Avx2, Avx512, Sse2};

/// Operations on vectors of doubles. Multiply-adds are fused where the path has them and rounded twice on the
/// baseline, so results agree bit for bit between hosts on one path but not between all paths.
pub(crate) trait Simd: Copy {
    /// Doubles per vector.
    const LANES: usize;
    /// One vector.
    type V: Copy;
    /// The same number in each lane.
    fn splat(self, x: f64) -> Self::V;
    /// The first `LANES` numbers.
    fn load(self, from: &[f64]) -> Self::V;
    /// How often a number must stand in memory for [`Simd::spread`]. SSE2 cannot load one number into both lanes in
    /// a single instruction; where the same numbers are spread often, storing each twice is cheaper.
    const COPIES: usize = 1;
    /// The number at the start of the slice, in each lane.
    #[inline(always)]
    fn spread(self, from: &[f64]) -> Self::V {
        self.splat(from[0])
    }
    /// To the first `LANES` places.
    fn store(self, to: &mut [f64], v: Self::V);
    /// a + b.
    fn add(self, a: Self::V, b: Self::V) -> Self::V;
    /// a − b.
    fn sub(self, a: Self::V, b: Self::V) -> Self::V;
    /// a · b.
    fn mul(self, a: Self::V, b: Self::V) -> Self::V;
    /// a / b.
    fn div(self, a: Self::V, b: Self::V) -> Self::V;
    /// √a, correctly rounded.
    fn sqrt(self, a: Self::V) -> Self::V;
    /// a · b + c.
    fn mul_add(self, a: Self::V, b: Self::V, c: Self::V) -> Self::V;
    /// c − a · b.
    fn mul_sub_from(self, a: Self::V, b: Self::V, c: Self::V) -> Self::V;
    /// Stores element l of vector k at 8 l + k: eight vectors, transposed.
    fn interleave(self, from: [Self::V; 8], to: &mut [f64]);
    /// Asks for the cache line at the start of the slice.
    fn prefetch(self, at: &[f64]);
}

/// A path that may be used in this process.
#[derive(Clone, Copy)]
pub(crate) enum Path {
    /// Every x86-64.
    Baseline(Sse2),
    /// AVX2 and FMA.
    Avx2(Avx2),
    /// AVX-512.
    Avx512(Avx512),
}

impl Path {
    /// The path for what a job asks for.
    ///
    /// # Errors
    /// If it is not available in this instance.
    pub(crate) fn resolve(isa: Isa) -> Result<Self, WireError> {
        let isa = cpu::resolve(isa)?;
        let path = match isa {
            Isa::Avx512 => sys::avx512().map(Self::Avx512),
            Isa::Avx2 => sys::avx2().map(Self::Avx2),
            Isa::Baseline | Isa::Auto => Some(Self::Baseline(Sse2)),
        };
        path.ok_or_else(|| WireError(format!("isa {isa} is not available")))
    }

    /// Its name.
    pub(crate) const fn isa(self) -> Isa {
        match self {
            Self::Baseline(_) => Isa::Baseline,
            Self::Avx2(_) => Isa::Avx2,
            Self::Avx512(_) => Isa::Avx512,
        }
    }
}

/// Code that is compiled once per path.
pub(crate) trait Body {
    /// What it gives.
    type Out;
    /// The code; implementations and all they call must be `#[inline(always)]`.
    fn run<S: Tile>(self, simd: S) -> Self::Out;
}

/// Runs the code on a path.
pub(crate) fn run<B: Body>(path: Path, body: B) -> B::Out {
    match path {
        Path::Baseline(simd) => body.run(simd),
        Path::Avx2(simd) => sys::in_avx2(simd, body),
        Path::Avx512(simd) => sys::in_avx512(simd, body),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Every;

    impl Body for Every {
        type Out = Vec<[f64; 2]>;

        #[inline(always)]
        fn run<S: Tile>(self, s: S) -> Self::Out {
            let a: Vec<f64> = (0..S::LANES).map(|i| i as f64 + 2.0).collect();
            let (x, y, z) = (s.load(&a), s.splat(0.5), s.splat(10.0));
            let results = [
                (s.add(x, y), 2.5),
                (s.sub(x, y), 1.5),
                (s.mul(x, y), 1.0),
                (s.div(x, y), 4.0),
                (s.sqrt(s.mul(x, x)), 2.0),
                (s.mul_add(x, y, z), 11.0),
                (s.mul_sub_from(x, y, z), 9.0),
            ];
            let mut out = a.clone();
            results
                .map(|(v, expected)| {
                    s.store(&mut out, v);
                    [out[0], expected]
                })
                .to_vec()
        }
    }

    struct Transposed;

    impl Body for Transposed {
        type Out = bool;

        #[inline(always)]
        fn run<S: Tile>(self, s: S) -> bool {
            let given: Vec<f64> = (0..64).map(f64::from).collect();
            let mut out = vec![0.0; 8 * S::LANES];
            s.interleave([0, 1, 2, 3, 4, 5, 6, 7].map(|k| s.load(&given[8 * k..])), &mut out);
            (0..out.len()).all(|i| out[i] == given[i % 8 * 8 + i / 8])
        }
    }

    #[test]
    fn interleaving_transposes_on_every_path() {
        for isa in cpu::available() {
            assert!(run(Path::resolve(isa).unwrap(), Transposed), "{isa}");
        }
    }

    #[test]
    fn every_operation_means_the_same_on_every_path() {
        for isa in cpu::available() {
            let path = Path::resolve(isa).unwrap();
            assert_eq!(path.isa(), isa);
            for [got, expected] in run(path, Every) {
                assert_eq!(got, expected, "{isa}");
            }
        }
    }
}
