//! `isomark clean`: what dead commands left on this host.
//!
//! Every command settles that at its start; this verb does it on demand and says so.

use anyhow::Result;
use isomark_engine::settle;

use crate::args;
use crate::exit;

/// The verb.
pub(crate) fn clean(args: &args::Clean) -> Result<u8> {
    let state = settle::state_dir();
    let left = settle::settle(&state, args.dry_run);
    for what in &left {
        println!("{} {what}", if args.dry_run { "would take away" } else { "took away" });
    }
    if left.is_empty() {
        println!("nothing is left of dead commands below {}", state.display());
    }
    Ok(exit::FINE)
}
