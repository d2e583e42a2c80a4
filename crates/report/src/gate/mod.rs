//! Did it get worse, or can that not be said?
//!
//! Everything that looks at two measurements of the same thing: [`thresholds`] say how much matters, a [`finding`] is
//! one comparison with its verdict. A regression needs the whole interval beyond the limit; what cannot be decided is
//! called inconclusive and never passes for equality.
//!
//! ```
//! use isomark_core::Metric;
//! use isomark_core::record::{Cell, Outcome, Run, Sample};
//! use isomark_report::gate::{Stored, Thresholds, compare};
//!
//! let stored = |times: f64| {
//!     let cell = |runtime| Cell::new(runtime, "startup", vec![Metric::time("startup")]);
//!     let trial = |at, block, ns| Sample::new(at, block, Outcome::of([("startup", ns)]));
//!     let block = |block| [trial(0, block, 8e4), trial(1, block, 8e4 * times + f64::from(block))];
//!     let run = Run::new("demo", vec![cell("process"), cell("mine")]);
//!     Stored { dir: "run".into(), run, samples: (0..40).flat_map(block).collect(), blocks: Vec::new() }
//! };
//! let counts = compare(&stored(2.6), &[stored(2.0)], &Thresholds::default())?.counts();
//! assert_eq!((counts.regressions, counts.improvements), (1, 0));
//! # Ok::<(), isomark_core::Error>(())
//! ```

pub mod annotate;
pub mod baseline;
pub mod comment;
pub mod compare;
pub mod finding;
pub mod like;
pub mod series;
pub mod stored;
pub mod thresholds;
pub mod words;

pub use compare::{Comparison, compare};
pub use finding::{Class, Finding};
pub use stored::Stored;
pub use thresholds::Thresholds;
