//! `isomark report`: everything that follows from the stored samples, written again.

use std::io::Write;
use std::path::Path;

use anyhow::Result;
use isomark_core::store::Folder;
use isomark_report::fleet::Collected;
use isomark_report::{Options, Summary, text};

use crate::args::{self, Format};
use crate::exit;

/// The table of a run, as wide as the terminal.
pub(crate) fn table(summary: &Summary) -> String {
    text::table_in(summary, super::lines::width().min(160))
}

/// The verb.
pub(crate) fn report(args: &args::Report) -> Result<u8> {
    let options = args.look.options();
    let mut out = std::io::stdout().lock();
    for dir in &args.runs {
        if Collected::is_one(dir) {
            fleet(dir, &options, args.format, &mut out)?;
            continue;
        }
        let (folder, run) = Folder::open(dir)?;
        let summary = isomark_report::render(&folder, &run, &options)?;
        match args.format {
            Format::Json => serde_json::to_writer_pretty(&mut out, &summary)?,
            Format::Human => write!(out, "{}", table(&summary))?,
        }
        writeln!(out)?;
        eprintln!("report: {}/report.html", dir.display());
    }
    Ok(exit::FINE)
}

/// A collected fleet: many runs, and what they say together.
fn fleet(dir: &Path, options: &Options, format: Format, out: &mut impl Write) -> Result<()> {
    let summary = isomark_report::fleet::report(dir, options)?;
    match format {
        Format::Json => serde_json::to_writer_pretty(&mut *out, &summary)?,
        Format::Human => write!(out, "{}", isomark_report::fleet::text(&summary))?,
    }
    writeln!(out)?;
    eprintln!("report: {}/report.html", dir.display());
    Ok(())
}
