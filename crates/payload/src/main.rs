//! The payload program.
fn main() {}
