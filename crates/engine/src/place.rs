//! Where a program that starts instances stands on the host: a site that is left clean.
//!
//! Who takes a place takes away first what dead commands left below the same directory; whoever drops it takes away
//! its own.

use std::path::Path;

use isomark_core::{Error, Site};

use crate::settle::{self, Report};

/// A site of one's own, settled when dropped.
///
/// ```
/// use isomark_engine::Place;
///
/// let state = std::env::temp_dir().join(format!("isomark-place-{}", std::process::id()));
/// let place = Place::below(&state)?;
/// let site = place.site().dir().to_owned();
/// assert!(site.is_dir());
/// drop(place);
/// assert!(!site.exists());
/// # std::fs::remove_dir(state).unwrap();
/// # Ok::<(), isomark_core::Error>(())
/// ```
#[derive(Debug)]
pub struct Place {
    site: Site,
    found: Report,
    left: bool,
}

impl Place {
    /// A place where isomark's own commands have theirs: [`settle::state_dir`].
    ///
    /// # Errors
    /// As [`Place::below`].
    pub fn take() -> Result<Self, Error> {
        Self::below(&settle::state_dir())
    }

    /// A place below a directory, which is made if there is none.
    ///
    /// # Errors
    /// [`Error::Input`] if others than this user can write to the directory; otherwise what the host refused.
    pub fn below(state: &Path) -> Result<Self, Error> {
        settle::prepare(state)?;
        let found = settle::settle(state, false);
        Ok(Self { site: Site::open(state)?, found, left: false })
    }

    /// The site, as runtimes want it.
    #[must_use]
    pub const fn site(&self) -> &Site {
        &self.site
    }

    /// What became of what dead commands had left.
    #[must_use]
    pub const fn found(&self) -> &Report {
        &self.found
    }

    /// Takes away what was made here, and tells what could not be. Dropping does it without a word.
    pub fn leave(&mut self) -> Report {
        self.left = true;
        settle::leave(&self.site)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if !self.left {
            let _ = self.leave();
        }
    }
}
