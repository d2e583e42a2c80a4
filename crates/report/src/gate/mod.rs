//! Did it get worse, or can that not be said?
//!
//! Everything that looks at two measurements of the same thing: [`thresholds`] say how much matters, a [`finding`] is
//! one comparison with its verdict. A regression needs the whole interval beyond the limit; what cannot be decided is
//! called inconclusive and never passes for equality.

pub mod annotate;
pub mod baseline;
pub mod comment;
pub mod compare;
pub mod finding;
pub mod like;
pub mod nearest;
pub mod series;
pub mod stored;
pub mod thresholds;
pub mod words;

pub use compare::{Comparison, compare};
pub use finding::{Class, Finding};
pub use stored::Stored;
pub use thresholds::Thresholds;
