//! What each host says by itself: the only place where trials are looked at.
//!
//! Comparisons are paired within the blocks of one host. What leaves this file is a few numbers a host, cell and metric,
//! so that a fleet of hundreds of hosts is read one host at a time.

use isomark_core::Error;
use isomark_core::record::{Cell, Run};

use super::cluster::Group;
use super::collected::HostEntry;
use crate::claims::file::File;
use crate::claims::layers::Layers;
use crate::claims::verdict::Verdict;
use crate::claims::{self};
use crate::controls;
use crate::gate::Stored;
use crate::reference;
use crate::region::quantity;
use crate::stats::median::median;
use crate::stats::paired;
use crate::stats::verdict::Quantity;
use crate::summarise::is_folded;

/// What one host says.
pub(super) struct Host {
    /// What it is called.
    pub(super) title: String,
    /// Its cells, in the order of the plan; the same for all hosts of a class.
    pub(super) cells: Vec<Vec<Option<Point>>>,
    /// The verdicts on all claims, in the order of the shelf.
    pub(super) claims: Vec<Verdict>,
    /// Its run without its samples.
    pub(super) run: Run,
}

/// A metric of a cell on one host.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Point {
    /// Trials with a value.
    pub(super) n: usize,
    /// Their median.
    pub(super) median: f64,
    /// Against the plain process, if there is such a comparison.
    pub(super) versus: Option<Against>,
}

/// A metric against that of the plain process on the same host.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Against {
    /// Pairs.
    pub(super) n: usize,
    /// Median of the log-ratios, or of the differences of sizes.
    pub(super) middle: f64,
    /// Mean and variance of the same; none for fewer than two pairs.
    pub(super) group: Option<Group>,
    /// Median of the process.
    pub(super) base: f64,
}

/// Reads one host.
pub(super) fn read(stored: Stored, entry: &HostEntry, shelf: &(Layers, Vec<File>)) -> Result<Host, Error> {
    let (cells, claims) = {
        let data = stored.data()?;
        let cells = (0..stored.run.cells.len())
            .map(|at| {
                let cell = &stored.run.cells[at];
                let asked = !controls::is_control(cell) && !reference::is_floor(&stored.run, &cell.runtime);
                let metrics = if asked { &cell.metrics[..] } else { &[] };
                metrics.iter().map(|metric| point(&data, at, metric)).collect()
            })
            .collect();
        let (layers, files) = shelf;
        let claims = files.iter().map(|file| claims::claim(&data, layers, file).verdict).collect();
        (cells, claims)
    };
    Ok(Host { title: entry.title(), cells, claims, run: stored.run })
}

fn point(data: &crate::Dataset<'_>, at: usize, metric: &isomark_core::Metric) -> Option<Point> {
    let values = data.cells[at].values(&metric.name);
    let median = median(&values)?;
    // Work that was done inside another phase has no time of its own.
    if is_folded(data.run, at, &metric.name) {
        return None;
    }
    let base = reference::process(data.run, at).filter(|base| !is_folded(data.run, *base, &metric.name));
    Some(Point { n: values.len(), median, versus: base.and_then(|base| against(data, at, base, metric)) })
}

fn against(
    data: &crate::Dataset<'_>,
    at: usize,
    base: usize,
    metric: &isomark_core::Metric,
) -> Option<Against> {
    let pairs: Vec<(f64, f64)> =
        data.pairs(at, base, &metric.name).into_iter().map(|(_, pair)| pair).collect();
    let bases: Vec<f64> = pairs.iter().map(|(_, base)| *base).collect();
    let apart = match quantity(metric) {
        Quantity::Size => pairs.iter().map(|(x, base)| x - base).collect(),
        _ => paired::log_ratios(&pairs)?,
    };
    let middle = median(&apart)?;
    Some(Against { n: apart.len(), middle, group: Group::of(&apart), base: median(&bases)? })
}

/// Cells by what they ask.
pub(super) fn same(one: &Cell, other: &Cell) -> bool {
    (&one.runtime, &one.scenario, &one.params) == (&other.runtime, &other.scenario, &other.params)
}
