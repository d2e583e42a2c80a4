//! What do the cells say, as one number with its interval?
//!
//! Every estimate is a median over blocks of a contrast within the block: a value, a difference, or a product of values
//! to the power ±1 (a ratio; a ratio of ratios). So the exact order-statistic interval holds for all of them, at 95 % for
//! one-sided bounds and at 90 % for equivalence (two one-sided tests at 5 % each; Schuirmann 1987).

use std::collections::BTreeMap;

use super::file::{Estimator, Part, Taken};
use crate::dataset::{Dataset, Observed};
use crate::stats::median::{median, sorted};
use crate::stats::order;

/// An estimate.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// Blocks that it rests on.
    pub n: usize,
    /// The estimate.
    pub value: f64,
    /// Unit of the estimate and its intervals; `×` for a ratio.
    pub unit: String,
    /// What it is the median of, ascending: logarithms for a ratio.
    contrasts: Vec<f64>,
    log: bool,
    exact: bool,
}

impl Found {
    /// The exact interval with at most `tail` outside on each side; none where so few blocks cannot have one. What is
    /// counted lies between its smallest and largest value.
    #[must_use]
    pub fn interval(&self, tail: f64) -> Option<[f64; 2]> {
        let found = if self.exact {
            Some([*self.contrasts.first()?, *self.contrasts.last()?])
        } else {
            order::interval_within(&self.contrasts, 0.5, tail)
        };
        found.map(|ci| if self.log { ci.map(f64::exp) } else { ci })
    }

    /// The 95 % interval.
    #[must_use]
    pub fn ci95(&self) -> Option<[f64; 2]> {
        self.interval(order::TAIL)
    }

    /// The 90 % interval, for equivalence.
    #[must_use]
    pub fn ci90(&self) -> Option<[f64; 2]> {
        self.interval(2.0 * order::TAIL)
    }
}

/// Cells with the sign or the power that they have in a contrast.
pub type Terms = Vec<(usize, f64)>;

/// The estimate of a contrast; none where no block has all of its cells.
#[must_use]
pub fn estimate(data: &Dataset<'_>, part: &Part, terms: &Terms) -> Option<Found> {
    if part.estimate == Estimator::Same {
        return same(data, part, terms);
    }
    let log = matches!(part.estimate, Estimator::Ratio | Estimator::Gain | Estimator::Interaction);
    let series: Vec<BTreeMap<u32, f64>> =
        terms.iter().map(|(cell, _)| values(&data.cells[*cell], part)).collect::<Option<_>>()?;
    let mut contrasts = Vec::new();
    for block in series.first()?.keys() {
        let here = series.iter().map(|one| one.get(block).copied()).collect::<Option<Vec<f64>>>();
        let Some(here) = here else { continue };
        let signed = here.iter().zip(terms).map(|(x, (_, sign))| match (log, *x > 0.0) {
            (true, true) => Some(sign * x.ln()),
            // Zero has no ratio, and leaving the pair out would select by value.
            (true, false) => None,
            (false, _) => Some(sign * x),
        });
        contrasts.push(signed.sum::<Option<f64>>()?);
    }
    let all = sorted(&contrasts);
    let value = median(&all)?;
    Some(Found {
        n: all.len(),
        value: if log { value.exp() } else { value },
        unit: if log { "×".to_owned() } else { unit(data, part, terms) },
        contrasts: all,
        log,
        exact: part.exact,
    })
}

/// What the rule takes of each trial of a cell, by block; none if a metric was never recorded.
fn values(seen: &Observed, part: &Part) -> Option<BTreeMap<u32, f64>> {
    let top = taken(seen, part.value.as_ref()?)?;
    let Some(over) = &part.over else { return Some(top) };
    let bottom = taken(seen, over)?;
    let quotient = |(block, x): (u32, f64)| bottom.get(&block).filter(|y| **y != 0.0).map(|y| (block, x / y));
    Some(top.into_iter().filter_map(quotient).collect())
}

/// A sum of metrics by block; none if one of them was never recorded.
#[must_use]
pub fn taken(seen: &Observed, taken: &Taken) -> Option<BTreeMap<u32, f64>> {
    let mut sum: Option<BTreeMap<u32, f64>> = None;
    for (metric, factor) in taken.terms() {
        let series = seen.series.get(metric)?;
        let scaled = series.iter().map(|(block, x)| (*block, factor * x));
        sum = Some(match sum {
            None => scaled.collect(),
            Some(so_far) => scaled.filter_map(|(block, x)| Some((block, x + so_far.get(&block)?))).collect(),
        });
    }
    sum
}

fn unit(data: &Dataset<'_>, part: &Part, terms: &Terms) -> String {
    let name = part.value.as_ref().and_then(|taken| Some(taken.terms().first()?.0.to_owned()));
    let cell = terms.first().map(|(cell, _)| &data.run.cells[*cell]);
    let metric = cell.and_then(|cell| cell.metrics.iter().find(|m| Some(&*m.name) == name.as_deref()));
    match (&part.over, metric) {
        _ if part.percent && part.estimate == Estimator::Difference => "points".to_owned(),
        _ if part.percent => "%".to_owned(),
        (None, Some(metric)) if metric.unit == "share" && part.estimate == Estimator::Difference => {
            "points".to_owned()
        }
        (None, Some(metric)) => metric.unit.to_string(),
        _ => "ratio".to_owned(),
    }
}

/// 1 if both cells noted the same word, 0 if not.
fn same(data: &Dataset<'_>, part: &Part, terms: &Terms) -> Option<Found> {
    let Some(Taken::Metric(name)) = &part.value else { return None };
    let [(one, _), (other, _)] = terms[..] else { return None };
    let (one, other) = (data.cells[one].notes.get(name)?, data.cells[other].notes.get(name)?);
    let value = f64::from(u8::from(one == other));
    let n = terms.iter().map(|(cell, _)| data.cells[*cell].trials).min()?;
    Some(Found { n, value, unit: "count".to_owned(), contrasts: vec![value], log: false, exact: true })
}
