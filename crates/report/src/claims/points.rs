//! Which cells answer a rule?
//!
//! Selected by scenario, parameters and layer, never by a runtime's name. Cells are compared with cells of the same
//! parameters; a rule with several layers on both sides compares each with each.

use std::collections::BTreeMap;

use isomark_core::record::Cell;
use isomark_core::{Params, Value};

use super::estimate::{Found, Terms, estimate, taken};
use super::file::{Estimator, Part};
use super::layers::{Layer, Layers};
use crate::dataset::Dataset;
use crate::stats::median::{median, sorted};

/// Parameters whose values belong to one runtime: they need not agree between the sides of a comparison.
const OWN: [&str; 1] = ["provision"];

/// One estimate with where it comes from.
pub struct Point<'d> {
    /// Index of its cell.
    pub cell: usize,
    /// Its layer.
    pub layer: &'d Layer,
    /// The cell and layer that it is compared with.
    pub against: Option<(usize, &'d Layer)>,
    /// The estimate.
    pub found: Found,
}

/// Everything that a rule can be judged by in this run.
#[must_use]
pub fn points<'d>(data: &'d Dataset<'d>, layers: &'d Layers, part: &Part) -> Vec<Point<'d>> {
    let select = Select { data, layers, part };
    let mut all = Vec::new();
    for (cell, layer) in select.cells(&part.layers) {
        for (terms, against) in select.contrasts(cell) {
            if let Some(found) = estimate(data, part, &terms) {
                all.push(Point { cell, layer, against, found });
            }
        }
    }
    all
}

struct Select<'d, 'p> {
    data: &'d Dataset<'d>,
    layers: &'d Layers,
    part: &'p Part,
}

impl<'d> Select<'d, '_> {
    /// Cells of the rule's scenario and parameters at some layers.
    fn cells(&self, ids: &[String]) -> Vec<(usize, &'d Layer)> {
        let run = self.data.run;
        let wanted = |cell: &Cell| {
            Some(&cell.scenario) == self.part.scenario.as_ref()
                && cell.skipped.is_none()
                && !cell.arm.as_ref().is_some_and(|arm| arm.control)
                && self.part.admits(&cell.params)
                && self.part.change.as_ref().is_none_or(|c| cell.params.get(&c.param) == Some(&c.to))
        };
        let all = run.cells.iter().enumerate().filter(|(_, cell)| wanted(cell));
        let placed =
            all.filter_map(|(at, cell)| Some((at, self.layers.of(run, &cell.runtime, &cell.params)?)));
        let mut placed = placed.filter(|(_, layer)| ids.contains(&layer.id)).collect::<Vec<_>>();
        if self.part.best.is_some() {
            let all = placed.iter().map(|(cell, _)| (*cell, self.median(*cell))).collect::<Vec<_>>();
            placed.retain(|(cell, _)| self.is_best(*cell, &all));
        }
        placed
    }

    /// The median of what the rule takes of a cell.
    fn median(&self, cell: usize) -> f64 {
        let values = self.part.value.as_ref().and_then(|value| taken(&self.data.cells[cell], value));
        let values = values.map(BTreeMap::into_values).map(Iterator::collect::<Vec<_>>).unwrap_or_default();
        median(&sorted(&values)).unwrap_or(f64::NEG_INFINITY)
    }

    /// Whether no cell of the same runtime that differs in the parameter alone does better; the first of equals does.
    fn is_best(&self, cell: usize, all: &[(usize, f64)]) -> bool {
        let cells = &self.data.run.cells;
        let apart = |params: &Params| {
            let own = params.iter().filter(|(key, _)| self.part.best.as_deref() != Some(*key));
            own.map(|(key, value)| (key.to_owned(), value.clone())).collect::<Vec<_>>()
        };
        let rival = |other: usize| {
            other != cell
                && cells[other].runtime == cells[cell].runtime
                && apart(&cells[other].params) == apart(&cells[cell].params)
        };
        let own = all.iter().find(|(at, _)| *at == cell).map_or(f64::NEG_INFINITY, |(_, value)| *value);
        let better = |(other, value): &&(usize, f64)| *value > own || (*value == own && *other < cell);
        !all.iter().filter(better).any(|(other, _)| rival(*other))
    }

    /// The contrasts of a cell: alone, or with each cell that it is compared with.
    fn contrasts(&self, cell: usize) -> Vec<(Terms, Option<(usize, &'d Layer)>)> {
        let bases = || {
            let all = self.cells(&self.part.against).into_iter();
            all.filter(|(base, _)| *base != cell && self.alike(cell, *base)).collect::<Vec<_>>()
        };
        match self.part.estimate {
            Estimator::Median => vec![(vec![(cell, 1.0)], None)],
            Estimator::Gain => self.gain(cell).into_iter().map(|terms| (terms, None)).collect(),
            Estimator::Ratio | Estimator::Difference | Estimator::Same => {
                bases().into_iter().map(|base| (vec![(cell, 1.0), (base.0, -1.0)], Some(base))).collect()
            }
            Estimator::Interaction => {
                let both = |base: (usize, &'d Layer)| {
                    let (own, other) = (self.changed(cell)?, self.changed(base.0)?);
                    let other = other.into_iter().map(|(cell, sign)| (cell, -sign));
                    Some((own.into_iter().chain(other).collect(), Some(base)))
                };
                bases().into_iter().filter_map(both).collect()
            }
        }
    }

    /// The gain of a runtime; none where the layer that it is compared with does not gain itself.
    fn gain(&self, cell: usize) -> Option<Terms> {
        let own = self.changed(cell)?;
        let gains = |base: usize| {
            let found = self.changed(base).and_then(|terms| estimate(self.data, self.part, &terms));
            found.and_then(|found| found.ci95()).is_some_and(|[low, _]| low > 1.0)
        };
        let bases = self.cells(&self.part.against).into_iter().filter(|(base, _)| self.alike(cell, *base));
        (self.part.against.is_empty() || bases.map(|(base, _)| base).any(gains)).then_some(own)
    }

    /// A cell over the cell of the same runtime before the change.
    fn changed(&self, cell: usize) -> Option<Terms> {
        let change = self.part.change.as_ref()?;
        let cells = &self.data.run.cells;
        let mut wanted = cells[cell].params.clone();
        wanted.set(&change.param, change.from.clone());
        let same = |other: &Cell| {
            other.runtime == cells[cell].runtime
                && other.scenario == cells[cell].scenario
                && other.params == wanted
                && !other.arm.as_ref().is_some_and(|arm| arm.control)
        };
        let base = cells.iter().position(same)?;
        Some(vec![(cell, 1.0), (base, -1.0)])
    }

    /// Whether two cells were asked the same.
    fn alike(&self, one: usize, other: usize) -> bool {
        let cells = &self.data.run.cells;
        self.shared(&cells[one].params) == self.shared(&cells[other].params)
    }

    /// Parameters that mean the same on both sides. What makes a layer of a cell is no such parameter.
    fn shared<'c>(&self, params: &'c Params) -> Vec<(&'c str, &'c Value)> {
        let marks = |key: &str| self.layers.layer.iter().any(|layer| layer.params.contains_key(key));
        let chosen = |key: &str| self.part.best.as_deref() == Some(key);
        params.iter().filter(|(key, _)| !OWN.contains(key) && !marks(key) && !chosen(key)).collect()
    }
}
