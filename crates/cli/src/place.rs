//! Where a command stands: its site on the host, and what dead commands left there.

use anyhow::{Context, Result};
use isomark_core::Site;
use isomark_engine::settle;

/// A command's site; left clean when dropped.
pub(crate) struct Place {
    site: Site,
}

impl Place {
    /// Settles what dead commands left, then makes this command's site.
    pub(crate) fn take() -> Result<Self> {
        let state = settle::state_dir();
        settle::prepare(&state)?;
        let report = settle::settle(&state, false);
        report
            .gone
            .iter()
            .for_each(|what| eprintln!("isomark: took away what an earlier command left: {what}"));
        report
            .stuck
            .iter()
            .for_each(|what| eprintln!("isomark: an earlier command left what cannot be taken away: {what}"));
        Ok(Self { site: Site::open(&state).context("make a place for this command")? })
    }

    /// The site.
    pub(crate) const fn site(&self) -> &Site {
        &self.site
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        for what in settle::leave(&self.site).stuck {
            eprintln!("isomark: this is left on the host: {what}; isomark clean tries again");
        }
    }
}
