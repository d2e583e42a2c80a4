//! The system calls, one file per family.
//!
//! Each family is a `serve` function from a number to an answer or nothing. Pointers and lengths come from the program
//! and reach memory only through [`crate::memory::Memory`]'s checks.

pub mod dir;
pub mod file;
pub mod mem;
pub mod meta;
pub mod poll;
pub mod proc;
pub mod time;
