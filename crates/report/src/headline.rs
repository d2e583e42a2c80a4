//! Runtime by question: the table that a reader takes away.
//!
//! Every column has one definition for all its rows. Which cell answers for a scenario is decided by its
//! parameters, never by its values.

use std::collections::BTreeMap;

use isomark_core::payload::catalog;
use isomark_core::record::{Cell, Run, RuntimeRecord};
use isomark_core::runtime::Kind;
use isomark_core::{Metric, Params};

use crate::controls::{Bands, is_control, widened};
use crate::dataset::Dataset;
use crate::reference::{self, REFERENCE};
use crate::region::Region;
use crate::stats::paired;
use crate::stats::verdict::{ENOUGH, Quantity, judge};
use crate::summarise::rounded;
use crate::summary::{CellSummary, Column, Figure, Headline, Row};
use crate::words::stored;

/// Differences that count as none for a mixture of compute kernels (2 %) and memory kernels (5 %): the wider.
const MIXTURE: Region = Region { relative: 0.05, absolute: None };

/// The table of a dataset whose cells are summarised already.
#[must_use]
pub fn headline(data: &Dataset<'_>, cells: &[CellSummary], bands: &Bands) -> Headline {
    let given = Given { data, cells, bands };
    let marginal = every_runtime_has_a_slope(data, cells);
    let columns = columns(data, marginal);
    let floors = |record: &&RuntimeRecord| record.kind != Kind::Floor;
    let rows = data.run.runtimes.iter().filter(floors).map(|record| Row {
        runtime: record.name.clone(),
        kind: record.kind,
        reason: record.unavailable.as_ref().map(|skip| skip.reason.clone()),
        figures: columns.iter().map(|column| figure(&given, record, column, marginal)).collect(),
    });
    Headline { rows: rows.collect(), columns }
}

fn columns(data: &Dataset<'_>, marginal: bool) -> Vec<Column> {
    let mut all: Vec<Column> = Vec::new();
    for cell in &data.run.cells {
        if all.iter().any(|column| column.scenario == cell.scenario) {
            continue;
        }
        let (what, relative) = match cell.scenario.as_str() {
            "startup" => (stored("column_startup", &[]), false),
            "memory" if marginal => (stored("column_marginal", &[]), false),
            "memory" => (stored("column_idle", &[]), false),
            "disk" => (stored("column_disk", &[]), false),
            "throughput" => {
                let kernels = numeric_kernels(data.run, &cell.scenario);
                (stored("column_kernels", &[("n", &kernels)]), true)
            }
            "program" => (stored("column_program", &[]), false),
            _ => (cell.metrics.first().map_or_else(String::new, |metric| metric.name.to_string()), false),
        };
        all.push(Column { scenario: cell.scenario.clone(), what, relative });
    }
    all
}

/// What the table rests on.
struct Given<'g> {
    data: &'g Dataset<'g>,
    cells: &'g [CellSummary],
    bands: &'g Bands,
}

fn figure(given: &Given<'_>, record: &RuntimeRecord, column: &Column, marginal: bool) -> Option<Figure> {
    if column.relative {
        return geometric_mean(given, &record.name, &column.scenario);
    }
    let ours = given.cells.iter().filter(|c| c.runtime == record.name && c.scenario == column.scenario);
    let provision = record.identity.as_ref().and_then(|identity| identity.provisions.first());
    // max_by_key keeps the last of equals, so reversed: the first cell of the plan wins a tie.
    let all: Vec<&CellSummary> = ours.collect();
    let cell = all.into_iter().rev().max_by_key(|cell| rank(&cell.params, provision, marginal))?;
    let metric = match column.scenario.as_str() {
        "disk" => cell.metric("marginal").or_else(|| cell.metric("private")).or_else(|| cell.headline()),
        _ => cell.headline(),
    }?;
    let versus = metric.versus.as_ref();
    Some(Figure {
        metric: metric.name.clone(),
        params: cell.params.clone(),
        unit: metric.unit.clone(),
        value: metric.median,
        ci95: metric.ci95,
        ratio: versus.and_then(|v| v.ratio),
        ratio_ci95: versus.and_then(|v| v.ci95),
        difference: versus.and_then(|v| v.difference).map(|d| d.median),
        verdict: versus.map(|v| v.verdict),
        why: versus.and_then(|v| v.why.clone()),
        n: metric.n,
    })
}

/// How well a cell stands for its scenario.
fn rank(params: &Params, provision: Option<&String>, marginal: bool) -> u32 {
    let many = params.number("instances").is_some_and(|n| n > 1);
    // A snapshot or a pool is another way of running a thing, which only some runtimes have.
    u32::from(matches!(params.text("origin"), None | Some("fresh"))) * 8
        + u32::from(many == marginal) * 4
        + u32::from(matches!(params.text("load"), None | Some("idle"))) * 2
        + u32::from(params.text("cache") != Some("cold"))
        + u32::from(params.text("provision").is_none_or(|p| Some(p) == provision.map(String::as_str)))
}

/// Whether the marginal cost of memory is known well enough for a verdict, for every runtime that ran at all.
///
/// If it is not, one idle instance answers for memory: an answer that nobody can rely on is no headline.
fn every_runtime_has_a_slope(data: &Dataset<'_>, cells: &[CellSummary]) -> bool {
    let memory = || cells.iter().filter(|c| c.scenario == "memory" && c.headline().is_some());
    let slope = |name: &str| {
        memory().any(|c| {
            let many = c.params.number("instances").is_some_and(|n| n > 1);
            c.runtime == name && many && c.headline().is_some_and(|m| m.n >= ENOUGH)
        })
    };
    let runs = |record: &&RuntimeRecord| memory().any(|c| c.runtime == record.name);
    memory().next().is_some() && data.run.runtimes.iter().filter(runs).all(|record| slope(&record.name))
}

/// Geometric mean over the numeric kernels of the best-window ratio to the process, block by block.
///
/// Only blocks in which all of these kernels have both values count, so that every block means the same mixture.
fn geometric_mean(given: &Given<'_>, runtime: &str, scenario: &str) -> Option<Figure> {
    let data = given.data;
    let cells = numeric_cells(data.run, scenario).filter(|(_, cell)| cell.runtime == runtime);
    let ours: Vec<(usize, &Metric)> = cells
        .filter_map(|(index, cell)| Some((index, cell.metrics.first()?)))
        .filter(|(index, metric)| data.cells[*index].series.contains_key(&*metric.name))
        .collect();
    let (first, metric) = *ours.first()?;
    let n = data.cells[first].series.get(&*metric.name).map_or(0, Vec::len);
    let blank = Figure::blank(&metric.name, &metric.unit, n);
    if runtime == REFERENCE {
        return Some(blank);
    }
    let mut blocks: BTreeMap<u32, Vec<f64>> = BTreeMap::new();
    let mut kernels = 0;
    let mut band = None;
    for (index, metric) in ours {
        let Some(base) = reference::process(data.run, index) else { continue };
        band = given.bands.of(data.run, [index, base], &metric.name).into_iter().chain(band).reduce(f64::max);
        let pairs = data.pairs(index, base, &metric.name);
        kernels += usize::from(!pairs.is_empty());
        for (block, pair) in pairs {
            blocks.entry(block).or_default().extend(paired::log_ratios(&[pair]).into_iter().flatten());
        }
    }
    let whole = blocks.into_values().filter(|logs| !logs.is_empty() && logs.len() == kernels);
    let means: Vec<f64> = whole.map(|logs| logs.iter().sum::<f64>() / logs.len() as f64).collect();
    let found = paired::location(&means)?;
    let ratio =
        paired::Estimate { value: found.value.exp(), ci95: found.ci95.map(|ci| ci.map(f64::exp)), ..found };
    let (verdict, why) = judge(&ratio, widened(MIXTURE, band).ratio(), Quantity::Rate);
    Some(Figure {
        ratio: Some(rounded(ratio.value)),
        ratio_ci95: ratio.ci95.map(|ci| ci.map(rounded)),
        verdict: Some(verdict),
        why,
        n: ratio.n,
        ..blank
    })
}

/// Cells whose kernels belong into the mean: the numeric ones that the plan measures most often.
///
/// Kernels that live on system calls answer another question and have their own table. A kernel that is measured in
/// every other block only would take half of the blocks away from all the others. The plan decides, not a value.
fn numeric_cells<'r>(run: &'r Run, scenario: &str) -> impl Iterator<Item = (usize, &'r Cell)> {
    let numeric = |cell: &Cell| cell.params.text("kernel").and_then(catalog::kernel).is_none_or(is_numeric);
    let all = run.cells.iter().enumerate();
    let all: Vec<(usize, &Cell)> =
        all.filter(|(_, cell)| cell.scenario == scenario && numeric(cell) && !is_control(cell)).collect();
    let often = all.iter().map(|(_, cell)| cell.every).min().unwrap_or(1);
    all.into_iter().filter(move |(_, cell)| cell.every == often)
}

/// How many kernels belong into the mean.
fn numeric_kernels(run: &Run, scenario: &str) -> usize {
    let kernels = numeric_cells(run, scenario).map(|(_, cell)| cell.params.to_string());
    kernels.collect::<std::collections::BTreeSet<_>>().len()
}

fn is_numeric(kernel: &catalog::Kernel) -> bool {
    kernel.kind != catalog::Kind::Os
}
