//! The known solution of the linear system that `lu` solves.
//!
//! The right-hand side is made from the solution, so nothing has to be solved to check.

use super::expected::Expected;
use super::freivalds::signs;

/// HPL's limit for its scaled residual.
pub const LIMIT: f64 = 16.0;

/// Element i: small, different from its neighbours, exact in binary.
#[must_use]
pub fn known(i: usize) -> f64 {
    1.0 + (i % 7) as f64 / 8.0
}

/// What `lu` must answer: the solution summed with random signs. A random matrix of order n has a condition of
/// about n, rarely a thousand times that; with the rounding of n² sums this leaves 1e-9 n.
pub(super) fn solved(n: usize) -> Expected {
    let value = signs("lu.r", n).iter().enumerate().map(|(i, r)| r * known(i)).sum();
    Expected::near(&[(value, 1e-9 * n as f64)], &[("residual", LIMIT)])
}
