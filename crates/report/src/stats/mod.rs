//! Statistics: pure functions from numbers to numbers, one idea a file.
//!
//! Nothing here knows a runtime, a unit or a file. Every estimator says where its definition comes from, refuses
//! (`None`) where the data cannot carry an answer, and gives the same bits for the same input and seed.

pub mod autocorrelation;
pub mod bootstrap;
pub mod median;
pub mod order;
pub mod paired;
pub mod random;
pub mod slope;
pub mod spread;
pub mod verdict;
