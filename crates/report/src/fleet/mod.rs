//! Many hosts: what a fleet is to measure, what an engine is given for it, and what came back.
//!
//! isomark schedules nothing and stores nothing but folders. [`description`] says what is wanted, [`render()`] writes what a
//! user submits with the engine's own client, [`collect()`] judges the folders that came back and believes no exit code,
//! and [`report()`] keeps comparisons within a host and takes hosts as the replicas.

mod attempt;
mod chart;
mod check;
pub mod cluster;
mod collect;
pub mod collected;
pub mod description;
mod hosts;
mod markdown;
mod page;
pub mod render;
mod report;
pub mod summary;
pub mod units;
mod words;

pub use collect::collect;
pub use collected::Collected;
pub use description::Fleet;
pub use markdown::{text, told};
pub use render::{Engine, render};
pub use report::{report, summarise};
pub use summary::FleetSummary;
