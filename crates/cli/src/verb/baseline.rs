//! `isomark baseline`: sets of runs that later runs are checked against.

use std::io::Write;

use anyhow::Result;
use isomark_report::gate::baseline;

use crate::args::{self, BaselineVerb, Format};
use crate::exit;

/// The verb.
pub(crate) fn baseline(args: &args::Baseline) -> Result<u8> {
    let mut out = std::io::stdout().lock();
    match &args.verb {
        BaselineVerb::Save { name, runs } => {
            let saved = baseline::save(&args.dir, name, runs)?;
            let home = baseline::shelf(&args.dir).join(name);
            writeln!(out, "baseline {name}: {} runs in {}", saved.runs.len(), home.display())?;
        }
        BaselineVerb::List { format } => {
            let all = baseline::list(&args.dir)?;
            match format {
                Format::Json => {
                    serde_json::to_writer_pretty(&mut out, &all)?;
                    writeln!(out)?;
                }
                Format::Human if all.is_empty() => {
                    let home = baseline::shelf(&args.dir);
                    writeln!(out, "no baseline in {}", home.display())?;
                }
                Format::Human => {
                    for one in all {
                        let newest = one.runs.last().map_or("none", |run| run.id.as_str());
                        let newest = isomark_report::fmt::clean(newest);
                        writeln!(out, "{}: {} runs, the newest {newest}", one.name, one.runs.len())?;
                    }
                }
            }
        }
        BaselineVerb::Rm { name } => {
            baseline::remove(&args.dir, name)?;
            writeln!(out, "baseline {name} is taken away")?;
        }
    }
    Ok(exit::FINE)
}
