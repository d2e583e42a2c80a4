//! One row per metric of each cell, as CSV (RFC 4180).
//!
//! The answers; every single value is in the run's `samples.csv`. Cells without numbers have a row with the reason.

use isomark_core::Error;

use crate::fmt::clean;
use crate::summary::{Number, Summary};

const HEADER: [&str; 20] = [
    "run",
    "runtime",
    "scenario",
    "params",
    "status",
    "metric",
    "unit",
    "better",
    "n",
    "failed",
    "min",
    "median",
    "low95",
    "high95",
    "p95",
    "max",
    "ratio",
    "ratio_low95",
    "ratio_high95",
    "reason",
];

/// The answers of a run as CSV.
///
/// # Errors
/// What writing refused.
pub fn metrics_csv(summary: &Summary) -> Result<Vec<u8>, Error> {
    let fail = |e: csv::Error| Error::os("write CSV", std::io::Error::other(e));
    let mut csv = csv::Writer::from_writer(Vec::new());
    csv.write_record(HEADER).map_err(fail)?;
    for cell in &summary.cells {
        let head = [
            clean(&summary.run.id),
            clean(&cell.runtime),
            clean(&cell.scenario),
            clean(&cell.params.to_string()),
            cell.status.word().to_owned(),
        ];
        let reason = cell.reason.as_deref().map(clean).unwrap_or_default();
        let mut rows: Vec<Vec<String>> = cell.metrics.iter().map(row).collect();
        if rows.is_empty() {
            rows.push(vec![String::new(); HEADER.len() - head.len() - 1]);
        }
        for row in rows {
            csv.write_record(head.iter().chain(&row).chain([&reason])).map_err(fail)?;
        }
    }
    csv.into_inner().map_err(|e| Error::os("write CSV", e.into_error()))
}

fn row(metric: &crate::summary::MetricSummary) -> Vec<String> {
    let number = |x: Option<Number>| x.map_or_else(String::new, |Number(x)| x.to_string());
    let float = |x: Option<f64>| x.map_or_else(String::new, |x| x.to_string());
    let better = match metric.better {
        isomark_core::Better::Lower => "lower",
        isomark_core::Better::Higher => "higher",
    };
    // The time of a phase whose work is done in another one is no time of anything.
    let shown = |x: Option<Number>| number(x.filter(|_| metric.folded.is_none()));
    let ratio = metric.versus.as_ref();
    let bounds = ratio.and_then(|v| v.ci95);
    vec![
        clean(&metric.name),
        clean(&metric.unit),
        better.to_owned(),
        metric.n.to_string(),
        metric.failed.to_string(),
        shown(metric.min),
        shown(metric.median),
        shown(metric.ci95.map(|ci| ci[0])),
        shown(metric.ci95.map(|ci| ci[1])),
        shown(metric.p95),
        shown(metric.max),
        float(ratio.and_then(|v| v.ratio)),
        float(bounds.map(|ci| ci[0])),
        float(bounds.map(|ci| ci[1])),
    ]
}
