//! `pi`: Monte-Carlo hits in the quarter circle.
//!
//! IEEE additions and multiplications without fusing: the number of hits is exact for its seed.

use super::{Answer, Kernel, size};
use crate::data::{EMPTY, Xoshiro, fold};
use crate::wire::WireError;
use std::hint::black_box;

/// The kernel.
pub(crate) struct Pi {
    samples: u64,
    hits: u64,
    end: u64,
}

impl Pi {
    /// # Errors
    /// If `n` is out of bounds.
    pub(crate) fn new(n: u64) -> Result<Self, WireError> {
        size(n, 1, 1 << 40)?;
        Ok(Self { samples: n, hits: 0, end: 0 })
    }
}

impl Kernel for Pi {
    fn iterate(&mut self) -> Result<(), WireError> {
        let mut random = black_box(Xoshiro::named("pi"));
        let mut hits = 0;
        for _ in 0..self.samples {
            let (x, y) = (random.unit(), random.unit());
            hits += u64::from(x * x + y * y < 1.0);
        }
        (self.hits, self.end) = (hits, random.digest());
        Ok(())
    }

    fn answer(&mut self) -> Result<Answer, WireError> {
        Ok(Answer::new(&self.hits, fold(fold(EMPTY, self.hits), self.end)))
    }
}
