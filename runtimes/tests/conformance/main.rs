//! One suite for every way of running a program: those that isomark brings along, and those of the catalogue.
//!
//! No check asserts on how long something took.

#![allow(
    clippy::unwrap_used,
    reason = "a failed unwrap fails the test; the exception for tests does not see helpers"
)]

mod built_in;
mod catalogue;
mod checks;
mod elf;
mod origins;
mod stanzas;
