//! The functions that fuzzers and tests share: one a parser, from bytes to a kept or a broken promise.

pub mod dice;
pub mod machine;
pub mod mutate;
pub mod target;
pub mod text;
pub mod told;
