//! Many hosts: what a fleet is to measure, what an engine is given for it, and what came back.
//!
//! isomark schedules nothing and stores nothing but folders. [`description`] says what is wanted, [`render()`] writes what a
//! user submits with the engine's own client, what comes back are folders, and they
//! are judged by what is in them: no exit code of an engine is believed.

mod check;
pub mod description;
pub mod render;
pub mod units;

pub use description::Fleet;
pub use render::{Engine, render};
