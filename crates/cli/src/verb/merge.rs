//! `isomark merge`: several runs of the same plan as one longer run.

use anyhow::{Result, bail};
use isomark_core::Error;
use isomark_report::gate::Stored;
use isomark_report::merge::{self, Refusal};
use isomark_report::render;

use crate::args;
use crate::exit::{self, With};

/// The verb.
pub(crate) fn merge(args: &args::Merge) -> Result<u8> {
    args.look.options().check()?;
    let runs = args.runs.iter().map(|dir| Stored::open(dir)).collect::<Result<Vec<_>, _>>()?;
    match merge::fits(&runs) {
        Ok(()) => {}
        Err(Refusal::Other(why)) => bail!(Error::Input(format!("cannot be merged: {why}"))),
        Err(Refusal::Host(why)) => bail!(With(exit::UNFIT, format!("cannot be merged: {why}"))),
    }
    let (folder, run) = merge::merge(runs, &args.out)?;
    let summary = render(&folder, &run, &args.look.options())?;
    print!("{}", isomark_report::text::table(&summary));
    eprintln!("report: {}/report.html", args.out.display());
    Ok(exit::FINE)
}
