//! `isomark report`: everything that follows from the stored samples, written again.

use std::io::Write;

use anyhow::Result;
use isomark_core::store::Folder;
use isomark_report::Options;

use crate::args::{self, Format};
use crate::exit;

/// The verb.
pub(crate) fn report(args: &args::Report) -> Result<u8> {
    let options = Options { templates: args.templates.clone(), language: args.lang.clone() };
    let mut out = std::io::stdout().lock();
    for dir in &args.runs {
        let (folder, run) = Folder::open(dir)?;
        let summary = isomark_report::render(&folder, &run, &options)?;
        match args.format {
            Format::Json => serde_json::to_writer_pretty(&mut out, &summary)?,
            Format::Human => write!(out, "{}", isomark_report::text::table(&summary))?,
        }
        writeln!(out)?;
        eprintln!("report: {}/report.html", dir.display());
    }
    Ok(exit::FINE)
}
