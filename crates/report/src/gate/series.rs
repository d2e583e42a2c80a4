//! Which values of a cell stand for a metric when two runs are compared?
//!
//! Times and rates: the log-ratio to the plain process in the same block, because host speed and noise of the day meet
//! both. The process itself stands against its floor, by its headline only; its other times and rates are the
//! yardstick and cannot be measured with itself. Sizes do not depend on speed: the values themselves.

use isomark_core::Metric;

use super::finding::Basis;
use crate::Dataset;
use crate::reference;
use crate::region::quantity;
use crate::stats::paired::log_ratios;
use crate::stats::verdict::Quantity;
use crate::summarise::is_folded;

/// Values of a metric, ready to be held against those of another run.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// What the values are.
    pub basis: Basis,
    /// Log-ratios, or the values themselves.
    pub values: Vec<f64>,
    /// The metric's own values, for showing.
    pub raw: Vec<f64>,
    /// The cell that the ratios are taken to.
    pub partner: Option<usize>,
}

/// The values of a metric of a cell, or why there is nothing to compare.
///
/// # Errors
/// The reason in words; none (`Ok(None)`) where the metric has no values or no meaning for this runtime.
pub fn series(data: &Dataset<'_>, index: usize, metric: &Metric) -> Result<Option<Series>, String> {
    let raw = data.cells[index].values(&metric.name);
    if raw.is_empty() || is_folded(data.run, index, &metric.name) {
        return Ok(None);
    }
    if quantity(metric) == Quantity::Size {
        return Ok(Some(Series { basis: Basis::Absolute, values: raw.clone(), raw, partner: None }));
    }
    let cell = &data.run.cells[index];
    let base = match reference::process(data.run, index) {
        Some(base) => base,
        None if cell.runtime == reference::REFERENCE => {
            let headline = cell.metrics.first().is_some_and(|first| first.name == metric.name);
            let floor = reference::floor(data.run, index).filter(|_| headline);
            // The yardstick cannot be measured with itself.
            let Some(floor) = floor else { return Ok(None) };
            floor
        }
        None => return Err("no plain process beside it: measure with --runtime process,…".to_owned()),
    };
    if is_folded(data.run, base, &metric.name) {
        return Ok(None);
    }
    let pairs: Vec<(f64, f64)> =
        data.pairs(index, base, &metric.name).into_iter().map(|(_, pair)| pair).collect();
    let basis = Basis::RatioTo(data.run.cells[base].runtime.clone());
    match log_ratios(&pairs) {
        Some(values) if !values.is_empty() => Ok(Some(Series { basis, values, raw, partner: Some(base) })),
        Some(_) => Err(format!("{} has no value in the same blocks", data.run.cells[base].runtime)),
        None => Err("a value of zero or below has no ratio".to_owned()),
    }
}
