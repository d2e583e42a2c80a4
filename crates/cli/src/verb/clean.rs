//! `isomark clean`: what dead commands left on this host.
//!
//! Every command settles that at its start; this verb does it on demand and tells each thing that was left.

use anyhow::Result;
use isomark_engine::settle;

use crate::args;
use crate::exit;

/// The verb.
pub(crate) fn clean(args: &args::Clean) -> Result<u8> {
    let state = settle::state_dir();
    let report = settle::settle(&state, args.dry_run);
    for what in &report.gone {
        println!("{} {what}", if args.dry_run { "would take away" } else { "took away" });
    }
    for what in &report.stuck {
        println!("cannot take away: {what}");
    }
    if report.gone.is_empty() && report.stuck.is_empty() {
        println!("nothing is left of dead commands below {}", state.display());
    }
    if !report.alive.is_empty() {
        println!("left alone, for their commands live: {}", report.alive.join(", "));
    }
    Ok(if report.stuck.is_empty() { exit::FINE } else { exit::INTERNAL })
}
