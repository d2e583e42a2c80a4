//! The shelf: every question that can be asked of a runtime, in the order reports answer them.
//!
//! A new scenario is one file here and one line in [`SHELF`]; a new shape of run is one file in `plans/`.
//!
//! ```
//! use isomark_core::Params;
//! use isomark_scenarios::{PLANS, SHELF};
//!
//! let startup = SHELF.iter().find(|scenario| scenario.name == "startup").unwrap();
//! assert_eq!((startup.metrics)(&Params::new())[0].unit, "ns");
//! assert!(PLANS.iter().any(|(name, _)| *name == "quick"));
//! ```

mod containment;
mod creation;
mod density;
mod disk;
mod given;
mod interference;
mod isolation;
mod memory;
mod numbers;
mod program;
mod reclaim;
mod startup;
mod throughput;
mod utilisation;

use isomark_core::Scenario;

pub use isolation::{LAST_CALL, classes};

/// All scenarios.
pub const SHELF: &[Scenario] = &[
    startup::SCENARIO,
    memory::SCENARIO,
    disk::SCENARIO,
    throughput::SCENARIO,
    creation::SCENARIO,
    density::SCENARIO,
    reclaim::SCENARIO,
    interference::SCENARIO,
    utilisation::SCENARIO,
    isolation::SCENARIO,
    containment::SCENARIO,
    program::SCENARIO,
];

/// The plans that come with isomark, by name, as TOML.
pub const PLANS: &[(&str, &str)] = &[
    ("quick", include_str!("../plans/quick.toml")),
    ("full", include_str!("../plans/full.toml")),
    ("claims", include_str!("../plans/claims.toml")),
    ("smoke", include_str!("../plans/smoke.toml")),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_stands_twice_on_a_shelf() {
        let names = SHELF.iter().map(|s| s.name).chain(PLANS.iter().map(|p| p.0)).collect::<Vec<_>>();
        let distinct = names.iter().collect::<std::collections::BTreeSet<_>>();
        assert_eq!(names.len(), distinct.len(), "{names:?}");
    }
}
