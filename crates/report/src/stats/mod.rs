//! Statistics: pure functions from numbers to numbers, one idea a file.
//!
//! Nothing here knows a runtime, a unit or a file. Every estimator says where its definition comes from, refuses
//! (`None`) where the data cannot carry an answer, and gives the same bits for the same input and seed.

pub mod autocorrelation;
pub mod bootstrap;
pub mod changes;
pub mod cliff;
pub mod controls;
pub mod dip;
pub mod energy;
pub mod hodges_lehmann;
pub mod holm;
pub mod median;
pub mod modes;
pub mod normal;
pub mod order;
pub mod paired;
pub mod random;
pub mod rank_sum;
pub mod ranks;
mod select;
pub mod signed_rank;
pub mod slope;
pub mod spread;
pub mod student;
pub mod verdict;
