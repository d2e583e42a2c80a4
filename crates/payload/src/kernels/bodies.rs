//! `nbody`: gravity between all pairs and one step of symplectic Euler.
//!
//! Vectors run over the bodies that feel, a scalar over the bodies that pull, so the order of additions is the
//! same for every width. 1/r³ is a square root and a division, both correctly rounded; the estimates that CPUs
//! offer differ between vendors.

use super::gemm::Tile;
use super::{Answer, Kernel, join, size, within};
use crate::answers::gravity::{DRIFT, DT, Sky, VECTOR, signed_pull};
use crate::data::{EMPTY, fold_f64s};
use crate::simd::{Body, Path, Simd, run};
use crate::wire::WireError;

/// The kernel.
pub(crate) struct Bodies {
    path: Path,
    sky: Sky,
    pull: [Vec<f64>; 3],
    next: Sky,
}

impl Bodies {
    /// # Errors
    /// If `n` is out of bounds.
    pub(crate) fn new(n: u64, path: Path) -> Result<Self, WireError> {
        let sky = Sky::new(size(n, 2, 1 << 16)?);
        let pull = [0, 1, 2].map(|_| vec![0.0; sky.mass.len()]);
        Ok(Self { path, next: sky.clone(), sky, pull })
    }
}

struct Step<'a>(&'a mut Bodies);

impl Body for Step<'_> {
    type Out = ();

    #[inline(always)]
    fn run<S: Tile>(self, simd: S) {
        let Bodies { sky, pull, next, .. } = self.0;
        for i in (0..sky.mass.len()).step_by(VECTOR) {
            // Four vectors at once on every width keep the divider busy while sums wait for each other.
            if S::LANES == 2 {
                for i in (i..i + VECTOR).step_by(4 * S::LANES) {
                    feel::<S, 4>(simd, sky, pull, i);
                }
            } else {
                for i in (i..i + VECTOR).step_by(2 * S::LANES) {
                    feel::<S, 2>(simd, sky, pull, i);
                }
            }
        }
        for axis in 0..3 {
            for i in 0..sky.mass.len() {
                next.speed[axis][i] = sky.speed[axis][i] + DT * pull[axis][i];
                next.place[axis][i] = sky.place[axis][i] + DT * next.speed[axis][i];
            }
        }
    }
}

/// What N vectors of bodies from `i` on feel.
#[inline(always)]
fn feel<S: Simd, const N: usize>(s: S, sky: &Sky, pull: &mut [Vec<f64>; 3], i: usize) {
    let zero = s.splat(0.0);
    let mut sum = [[zero; 3]; N];
    let mut here = [[zero; 3]; N];
    for v in 0..N {
        for axis in 0..3 {
            here[v][axis] = s.load(&sky.place[axis][i + v * S::LANES..]);
        }
    }
    let ([x, y, z], mass) = (&sky.place, &sky.mass);
    for (((x, y), z), m) in x.iter().zip(y).zip(z).zip(mass) {
        let (there, mass) = ([s.splat(*x), s.splat(*y), s.splat(*z)], s.splat(*m));
        for v in 0..N {
            let d = [0, 1, 2].map(|axis| s.sub(there[axis], here[v][axis]));
            let mut r2 = s.splat(crate::answers::gravity::SOFT);
            for axis in 0..3 {
                r2 = s.mul_add(d[axis], d[axis], r2);
            }
            let by = s.div(mass, s.mul(r2, s.sqrt(r2)));
            for axis in 0..3 {
                sum[v][axis] = s.mul_add(d[axis], by, sum[v][axis]);
            }
        }
    }
    for v in 0..N {
        for axis in 0..3 {
            s.store(&mut pull[axis][i + v * S::LANES..], sum[v][axis]);
        }
    }
}

impl Kernel for Bodies {
    fn iterate(&mut self) -> Result<(), WireError> {
        run(self.path, Step(self));
        Ok(())
    }

    fn answer(&mut self) -> Result<Answer, WireError> {
        let n = self.sky.n;
        let (before, after) = (self.sky.energy(), self.next.energy());
        let drift = ((after - before) / before).abs();
        within("the energy drift", drift, DRIFT)?;
        let [x, y, z] = &self.pull;
        let signed = signed_pull([&x[..n], &y[..n], &z[..n]]);
        let bits = self.next.place.iter().chain(&self.next.speed).fold(EMPTY, |h, v| fold_f64s(h, &v[..n]));
        Ok(Answer::new(&join(&[after, signed]), bits).with("drift", format_args!("{drift:e}")))
    }
}
