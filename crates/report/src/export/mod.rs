//! Results in other people's formats.
//!
//! Each file names the definition it follows. What a format cannot say is left out, never invented: a cell without
//! numbers has no number in any of them.

pub mod bmf;
pub mod github_benchmark;
pub mod junit;
pub mod metrics_csv;
pub mod openmetrics;
pub mod xml;

use crate::summary::{CellSummary, MetricSummary, Summary};

/// Every metric that has a value and a meaning of its own, with its cell.
fn measured(summary: &Summary) -> impl Iterator<Item = (&CellSummary, &MetricSummary)> {
    let all = summary.cells.iter().flat_map(|cell| cell.metrics.iter().map(move |metric| (cell, metric)));
    all.filter(|(_, metric)| metric.median.is_some() && metric.folded.is_none())
}

/// A cell as a name: `microvm/startup/cache=warm`.
fn name(cell: &CellSummary) -> String {
    let mut text = format!("{}/{}", cell.runtime, cell.scenario);
    for (key, value) in cell.params.iter() {
        text.push_str(&format!("/{key}={value}"));
    }
    if let Some(label) = &cell.label {
        text.push_str(&format!("/{label}"));
    }
    crate::fmt::clean(&text)
}
