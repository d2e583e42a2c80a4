//! Bodies under gravity: the state both sides start from, and the energy both must find.
//!
//! The oracle adds up pairs one by one in plain code; only the initial state is shared.

use super::expected::Expected;
use super::freivalds::signs;
use crate::data::Xoshiro;

/// Length of the step.
pub const DT: f64 = 1e-3;
/// Added to squared distances, so that close pairs stay finite.
pub const SOFT: f64 = 1e-3;
/// Largest relative change of the energy in one step: first order in DT, far above rounding.
pub const DRIFT: f64 = 1e-3;
/// Bodies are padded with massless ones to a multiple of this, so that every width has whole vectors.
pub const VECTOR: usize = 16;

/// Where bodies are and how fast, one array per axis.
#[derive(Clone, Debug)]
pub struct Sky {
    /// Bodies with mass.
    pub n: usize,
    /// Places.
    pub place: [Vec<f64>; 3],
    /// Velocities.
    pub speed: [Vec<f64>; 3],
    /// Masses; 0 for padding.
    pub mass: Vec<f64>,
}

impl Sky {
    /// n bodies in the unit cube.
    #[must_use]
    pub fn new(n: usize) -> Self {
        let padded = n.next_multiple_of(VECTOR);
        let mut random = Xoshiro::named("nbody");
        let mut fill = |scale: f64| {
            let mut values = vec![0.0; padded];
            values[..n].iter_mut().for_each(|v| *v = scale * random.centred());
            values
        };
        let place = [fill(1.0), fill(1.0), fill(1.0)];
        let speed = [fill(0.1), fill(0.1), fill(0.1)];
        let mut mass = vec![0.0; padded];
        mass[..n].fill(1.0 / n as f64);
        Self { n, place, speed, mass }
    }

    fn squared(&self, i: usize, j: usize) -> f64 {
        SOFT + self.place.iter().map(|p| (p[j] - p[i]) * (p[j] - p[i])).sum::<f64>()
    }

    /// Kinetic and potential energy.
    #[must_use]
    pub fn energy(&self) -> f64 {
        (0..self.n)
            .map(|i| {
                let kinetic = self.speed.iter().map(|v| v[i] * v[i]).sum::<f64>() / 2.0;
                let potential = (0..i).map(|j| self.mass[j] / self.squared(i, j).sqrt()).sum::<f64>();
                self.mass[i] * (kinetic - potential)
            })
            .sum()
    }

    /// What each body feels along one axis.
    fn pull(&self, axis: usize) -> Vec<f64> {
        let place = &self.place[axis];
        let on = |i: usize, j: usize| self.mass[j] * (place[j] - place[i]) * self.squared(i, j).powf(-1.5);
        (0..self.n).map(|i| (0..self.n).map(|j| on(i, j)).sum()).collect()
    }
}

/// All accelerations, summed with random signs.
#[must_use]
pub fn signed_pull(pull: [&[f64]; 3]) -> f64 {
    let signs = signs("nbody.r", pull[0].len());
    pull.iter().map(|axis| axis.iter().zip(&signs).map(|(a, s)| a * s).sum::<f64>()).sum()
}

/// What `nbody` must answer: the energy after one step, and the accelerations of that step.
pub(super) fn stepped(n: usize) -> Expected {
    let mut sky = Sky::new(n);
    let pull = [0, 1, 2].map(|axis| sky.pull(axis));
    for ((pull, speed), place) in pull.iter().zip(&mut sky.speed).zip(&mut sky.place) {
        for ((a, v), x) in pull.iter().zip(speed).zip(place) {
            *v += DT * a;
            *x += DT * *v;
        }
    }
    let (energy, signed) = (sky.energy(), signed_pull([&pull[0], &pull[1], &pull[2]]));
    let size: f64 = pull.iter().flatten().map(|a| a.abs()).sum();
    Expected::near(&[(energy, 1e-11 * energy.abs()), (signed, 1e-12 * size)], &[("drift", DRIFT)])
}
