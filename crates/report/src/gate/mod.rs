//! Did it get worse, or can that not be said?
//!
//! Everything that looks at two measurements of the same thing: [`thresholds`] say how much matters, a [`finding`] is
//! one comparison with its verdict. A regression needs the whole interval beyond the limit; what cannot be decided is
//! called inconclusive and never passes for equality.

pub mod finding;
pub mod nearest;
pub mod thresholds;
