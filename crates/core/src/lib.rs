//! The nouns of isomark: what a runtime, a scenario, a trial, a sample and a run are.
//!
//! Everybody depends on this crate and it depends on the wire only. It measures through [`trial::Trial`] alone
//! and writes results through [`store::Folder`] alone.
//!
//! ```
//! use isomark_core::record::{Outcome, Sample};
//! use isomark_core::store::parse_lines;
//!
//! let text = br#"{"cell":0,"block":3,"at_ns":7,"phases":[["start",88000]],"values":{"startup":88000.0}}
//! "#;
//! let samples: Vec<Sample> = parse_lines("samples.jsonl", &text[..])?;
//! assert_eq!(samples[0].outcome, Outcome::of([("startup", 88_000.0)]));
//! # Ok::<(), isomark_core::Error>(())
//! ```
//!
//! Who writes a runtime implements [`Runtime`] and [`Instance`]; `examples/own-runtime.rs` is one. Who wants to time an
//! instance asks a [`Trial`] for it; `examples/phases.rs` does.

pub mod account;
mod bounds;
pub mod clock;
pub mod cpus;
pub mod error;
pub mod features;
pub mod image;
pub mod ledger;
pub mod metric;
pub mod mounts;
pub mod nearest;
pub mod params;
pub mod partition;
pub mod phase;
pub mod planted;
pub mod record;
pub mod runtime;
pub mod scenario;
pub mod shortage;
pub mod site;
pub mod slope;
pub mod store;
pub mod together;
pub mod tracer;
pub mod tree;
pub mod trial;
pub mod variant;

pub use error::{Error, Unavailable};
pub use features::Features;
pub use image::Image;
pub use isomark_payload as payload;
pub use metric::{Better, Metric};
pub use params::{Params, Value};
pub use phase::Phase;
pub use runtime::{
    Ability, Anatomy, Exit, Identity, Instance, Kind, Origin, Program, Runtime, Spec, Step, Usage,
};
pub use scenario::{Refusal, Scenario};
pub use shortage::Shortage;
pub use site::Site;
pub use together::together;
pub use trial::{Bench, Sandbox, Served, Trial};
pub use variant::Variant;

/// Says loudly what this host lacks; where containers are required and root asks, it may lack none of it.
#[cfg(test)]
fn lacking(what: &str) {
    let required = std::env::var("ISOMARK_REQUIRE").unwrap_or_default();
    let required = required.split(',').any(|word| word == "namespace")
        && std::os::unix::fs::MetadataExt::uid(&std::fs::metadata("/proc/self").expect("proc is mounted"))
            == 0;
    assert!(!required, "{what}, and ISOMARK_REQUIRE has namespace");
    eprintln!("SKIPPED {what}");
}
