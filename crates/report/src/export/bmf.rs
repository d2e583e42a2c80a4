//! Bencher Metric Format: `{benchmark: {measure: {value, lower_value, upper_value}}}`.
//!
//! Definition: <https://bencher.dev/docs/reference/bencher-metric-format> with the schema
//! <https://bencher.dev/bmf.json> (draft 7: `value` is required, all three are numbers). Names of benchmarks are at most
//! 1024 characters long and those of measures 64. A benchmark is a cell, a measure a metric; the bounds are the exact
//! 95 % interval of the median and left out where there is none.

use std::collections::BTreeMap;

use isomark_core::Error;
use isomark_core::store::pretty;
use serde::Serialize;

use super::{measured, name};
use crate::fmt::shortened;
use crate::summary::{Number, Summary};

#[derive(Serialize)]
struct Metric {
    value: Number,
    #[serde(skip_serializing_if = "Option::is_none")]
    lower_value: Option<Number>,
    #[serde(skip_serializing_if = "Option::is_none")]
    upper_value: Option<Number>,
}

/// The run in Bencher's format.
///
/// # Errors
/// If it cannot be written as JSON.
pub fn bmf(summary: &Summary) -> Result<Vec<u8>, Error> {
    let mut all: BTreeMap<String, BTreeMap<String, Metric>> = BTreeMap::new();
    for (cell, metric) in measured(summary) {
        let Some(value) = metric.median else { continue };
        let (lower_value, upper_value) = metric.ci95.map(|[low, high]| (low, high)).unzip();
        let measures = all.entry(shortened(&name(cell), 1024)).or_default();
        let of = shortened(&crate::fmt::clean(&metric.name), 64);
        measures.insert(of, Metric { value, lower_value, upper_value });
    }
    pretty(&all)
}
