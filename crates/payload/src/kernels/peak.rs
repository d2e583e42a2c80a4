//! `fma-peak`: the most multiply-adds this core can do, in registers, with nothing else in the way.
//!
//! Enough independent chains that no multiply-add waits for another one's latency (see
//! [`counts::peak_chains`]). Each chain converges x ← c·x + d to 1 so slowly that the result still tells how many
//! steps were taken; no value ever becomes denormal.

use super::{Answer, Kernel, join, size};
use crate::counts;
use crate::data::{EMPTY, fold_f64s};
use crate::kernels::gemm::Tile;
use crate::simd::{Body, Path, Simd, run};
use crate::wire::WireError;
use std::hint::black_box;

/// How much of the distance to 1 a step takes.
pub(crate) const RATE: f64 = 1.0 / (1u64 << 20) as f64;

/// Where element `i` of all lanes of all chains starts.
pub(crate) fn start(i: usize) -> f64 {
    2.0 + i as f64 / 128.0
}

/// The kernel.
pub(crate) struct Peak {
    path: Path,
    steps: u64,
    /// Final values: chain by chain, lane by lane.
    last: Vec<f64>,
}

impl Peak {
    /// # Errors
    /// If `n` is out of bounds.
    pub(crate) fn new(n: u64, path: Path) -> Result<Self, WireError> {
        size(n, 1, 1 << 40)?;
        let isa = path.isa();
        let chains = counts::peak_chains(isa);
        let steps = n.div_ceil(counts::PEAK_ROUND) * (counts::PEAK_ROUND / chains);
        Ok(Self { path, steps, last: vec![0.0; (chains * counts::lanes(isa)) as usize] })
    }
}

struct Chains<'a> {
    steps: u64,
    last: &'a mut [f64],
}

impl Chains<'_> {
    #[inline(always)]
    fn go<S: Simd, const N: usize>(self, s: S) {
        // Opaque to the compiler, which could otherwise solve the recurrence.
        let (c, d) = (s.splat(black_box(1.0 - RATE)), s.splat(black_box(RATE)));
        let mut x = [c; N];
        for (i, x) in x.iter_mut().enumerate() {
            let mut lanes = [0.0; 8];
            lanes.iter_mut().enumerate().for_each(|(l, v)| *v = start(i * S::LANES + l));
            *x = s.load(&lanes);
        }
        for _ in 0..self.steps {
            for x in &mut x {
                *x = s.mul_add(*x, c, d);
            }
        }
        for (x, to) in x.into_iter().zip(self.last.chunks_exact_mut(S::LANES)) {
            s.store(to, x);
        }
    }
}

impl Body for Chains<'_> {
    type Out = ();

    #[inline(always)]
    fn run<S: Tile>(self, simd: S) {
        // Must be counts::peak_chains: the buffer's length shows it.
        if self.last.len() == 16 * S::LANES { self.go::<S, 16>(simd) } else { self.go::<S, 12>(simd) }
    }
}

impl Kernel for Peak {
    fn iterate(&mut self) -> Result<(), WireError> {
        run(self.path, Chains { steps: self.steps, last: &mut self.last });
        Ok(())
    }

    fn answer(&mut self) -> Result<Answer, WireError> {
        let mean = self.last.iter().sum::<f64>() / self.last.len() as f64;
        Ok(Answer::new(&join(&[mean]), fold_f64s(EMPTY, &self.last)))
    }
}
