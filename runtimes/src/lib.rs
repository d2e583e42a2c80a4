//! The shelf: every way of running a payload, in the order reports show them.
//!
//! A new native runtime is one file or folder here and one line in [`shelf`].

pub mod embedded;
pub mod floor;
pub mod kvm;
mod launch;
pub mod microvm;
pub mod namespace;
pub mod process;
pub mod tsc;

use isomark_core::{Runtime, Site};

/// All runtimes whose instances lie in `site`.
#[must_use]
pub fn shelf(site: &Site) -> Vec<Box<dyn Runtime + '_>> {
    let mut all: Vec<Box<dyn Runtime + '_>> = vec![
        Box::new(process::Process::new(site)),
        Box::new(namespace::Namespace::new(site)),
        Box::new(microvm::Microvm::new(site)),
    ];
    all.extend(floor::all(site));
    all
}
