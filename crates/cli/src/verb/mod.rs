//! One file a verb.

pub(crate) mod ab;
pub(crate) mod baseline;
pub(crate) mod check;
pub(crate) mod clean;
pub(crate) mod doctor;
pub(crate) mod exec;
pub(crate) mod export;
pub(crate) mod history;
pub(crate) mod list;
pub(crate) mod merge;
pub(crate) mod report;
pub(crate) mod run;
pub(crate) mod shell;
pub(crate) mod trials;

use isomark_core::{Error, Runtime, Site};

use crate::args;

/// The shelf, as the command line wants it.
///
/// # Errors
/// If a file that it names cannot be what it is named as.
pub(crate) fn shelf<'s>(site: &'s Site, guest: &args::Guest) -> Result<Vec<Box<dyn Runtime + 's>>, Error> {
    let options = isomark_runtimes::Options { kernel: guest.kernel.clone() };
    options.check()?;
    Ok(isomark_runtimes::shelf_with(site, &options))
}
