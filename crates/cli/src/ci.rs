//! What a CI service reads: the job's summary page, annotations, and files for its later steps.
//!
//! Everything goes by way of files that the service names, or to stderr: stdout belongs to the result.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use isomark_report::gate::{Comparison, annotate, comment};

/// Appends Markdown to the page of the job, if there is one.
pub(crate) fn step_summary(text: &[u8]) -> Result<()> {
    append("GITHUB_STEP_SUMMARY", text)
}

/// Tells the service what was found: the summary page, annotations, and outputs for later steps.
pub(crate) fn tell(comparison: &Comparison, verdict: &str) -> Result<()> {
    step_summary(comment::summary(comparison).as_bytes())?;
    if std::env::var("GITHUB_ACTIONS").is_ok_and(|v| v == "true") {
        for line in annotate::annotations(comparison) {
            eprintln!("{line}");
        }
    }
    let counts = comparison.counts();
    let outputs = format!(
        "verdict={verdict}\nregressions={}\nimprovements={}\ninconclusive={}\n",
        counts.regressions, counts.improvements, counts.inconclusive
    );
    append("GITHUB_OUTPUT", outputs.as_bytes())
}

fn append(variable: &str, text: &[u8]) -> Result<()> {
    let Some(path) = std::env::var_os(variable).filter(|path| !path.is_empty()).map(PathBuf::from) else {
        return Ok(());
    };
    let file = std::fs::OpenOptions::new().append(true).create(true).open(&path);
    file.and_then(|mut file| file.write_all(text)).with_context(|| format!("append to {}", path.display()))
}

/// Writes a file as a whole or not at all.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut part = path.as_os_str().to_owned();
    part.push(".part");
    let part = PathBuf::from(part);
    let done = path
        .parent()
        .filter(|dir| !dir.as_os_str().is_empty())
        .map_or(Ok(()), std::fs::create_dir_all)
        .and_then(|()| isomark_core::store::put(path, &part, bytes));
    done.with_context(|| format!("write {}", path.display()))
}
