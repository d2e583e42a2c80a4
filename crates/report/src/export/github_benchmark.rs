//! Custom JSON of github-action-benchmark: `[{name, unit, value, range, extra}]`.
//!
//! Definition: README of benchmark-action/github-action-benchmark, tools `customSmallerIsBetter` and
//! `customBiggerIsBetter` (`name`, `unit` and `value` are required, `range` and `extra` are words). One file has one
//! direction, so times and sizes go into one and rates into another. That action compares with a run on another machine
//! and alarms at 200 % by default: a chart, not a gate.

use isomark_core::store::pretty;
use isomark_core::{Better, Error};
use serde::Serialize;

use super::{measured, name};
use crate::summary::{Number, Summary};

#[derive(Serialize)]
struct Entry {
    name: String,
    unit: String,
    value: Number,
    #[serde(skip_serializing_if = "Option::is_none")]
    range: Option<String>,
    extra: String,
}

/// The metrics of one direction.
///
/// # Errors
/// If they cannot be written as JSON.
pub fn github_benchmark(summary: &Summary, better: Better) -> Result<Vec<u8>, Error> {
    let wanted = measured(summary).filter(|(_, metric)| metric.better == better);
    let entry = |(cell, metric): (&_, &crate::summary::MetricSummary)| {
        Some(Entry {
            name: format!("{} {}", name(cell), crate::fmt::clean(&metric.name)),
            unit: crate::fmt::clean(&metric.unit),
            value: metric.median?,
            range: metric.ci95.map(|[low, high]| format!("{} to {}", low.0, high.0)),
            extra: format!("median, n = {}, exact 95 % interval, run {}", metric.n, summary.run.id),
        })
    };
    pretty(&wanted.filter_map(entry).collect::<Vec<_>>())
}
