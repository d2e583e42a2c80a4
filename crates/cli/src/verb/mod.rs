//! One file a verb.

pub(crate) mod ab;
pub(crate) mod baseline;
pub(crate) mod check;
pub(crate) mod clean;
pub(crate) mod doctor;
pub(crate) mod exec;
pub(crate) mod export;
pub(crate) mod fleet;
pub(crate) mod history;
mod lines;
pub(crate) mod list;
pub(crate) mod merge;
pub(crate) mod report;
pub(crate) mod run;
pub(crate) mod shell;
pub(crate) mod surface;
pub(crate) mod trials;

use isomark_core::{Error, Site};
use isomark_runtimes::Shelf;

use crate::args;

/// The shelf, as the command line wants it.
///
/// # Errors
/// If a file that it names cannot be what it is named as.
pub(crate) fn shelf<'s>(site: &'s Site, guest: &args::Guest) -> Result<Shelf<'s>, Error> {
    let (kernel, catalogue) = (guest.kernel.clone(), guest.catalogue.clone());
    let options = isomark_runtimes::Options { kernel, catalogue };
    options.check()?;
    Shelf::with(site, options)
}
