//! `isomark export`: a run's answers in other people's formats.

use std::io::Write;

use anyhow::Result;
use isomark_core::Better;
use isomark_core::store::pretty;
use isomark_report::export;
use isomark_report::gate::Stored;
use isomark_report::summarise::summarise;

use crate::args::{self, Direction, ExportFormat};
use crate::ci;
use crate::exit;

/// The verb.
pub(crate) fn export(args: &args::Export) -> Result<u8> {
    let stored = Stored::open(&args.run)?;
    // From the samples: a summary on disk may be older than they are.
    let summary = summarise(&stored.data()?);
    let bytes = match args.format {
        ExportFormat::Csv => export::metrics_csv::metrics_csv(&summary)?,
        ExportFormat::Json => pretty(&summary)?,
        ExportFormat::Junit => export::junit::of_summary(&summary).into_bytes(),
        ExportFormat::Openmetrics => export::openmetrics::openmetrics(&summary).into_bytes(),
        ExportFormat::Bmf => export::bmf::bmf(&summary)?,
        ExportFormat::GithubBenchmark => {
            let better = match args.direction {
                Direction::Smaller => Better::Lower,
                Direction::Bigger => Better::Higher,
            };
            export::github_benchmark::github_benchmark(&summary, better)?
        }
    };
    match &args.out {
        Some(path) => ci::write(path, &bytes)?,
        None => std::io::stdout().lock().write_all(&bytes)?,
    }
    Ok(exit::FINE)
}
