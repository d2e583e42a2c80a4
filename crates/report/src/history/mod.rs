//! How did results develop over many runs?
//!
//! A series is one metric of one cell on one kind of host, over the runs of a folder in the order of their start. Times
//! and rates are followed as ratios to the plain process of the same run, as the gate compares them; sizes as they are.
//! Run folders are the source of truth; the index beside them only saves reading them again.

pub mod chart;
pub mod index;
pub mod page;
pub mod scan;
pub mod text;

use std::path::Path;

use isomark_core::record::Cell;
use isomark_core::{Better, Error, Metric, Params};
use serde::Serialize;

use crate::region::{quantity, region};
use crate::stats::changes::{Settings, changes};
use crate::stats::verdict::Quantity;

/// Schema name of `history --format json`.
pub const SCHEMA: &str = "isomark.history/1";

/// What is asked of a history.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Runtimes by name; empty: all.
    pub runtimes: Vec<String>,
    /// Scenarios by name; empty: all.
    pub scenarios: Vec<String>,
    /// Metrics by name; empty: the headline of each cell.
    pub metrics: Vec<String>,
    /// Runs of each host that count: its last ones.
    pub last: usize,
    /// The values themselves instead of ratios to the plain process.
    pub absolute: bool,
}

/// The answer.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct History {
    /// [`SCHEMA`].
    pub schema: &'static str,
    /// Runs in the folder.
    pub runs: usize,
    /// Folders that hold a run which cannot be read, and why.
    pub broken: Vec<Broken>,
    /// What was done to the index, where that is worth knowing.
    pub notes: Vec<String>,
    /// The series, by host, scenario, parameters and metric, the runtimes of each in the order of the shelf.
    pub series: Vec<Series>,
}

/// A run folder that is left out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Broken {
    /// Name of the folder.
    pub folder: String,
    /// What is wrong with it.
    pub why: String,
}

/// One metric of one cell on one kind of host.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Series {
    /// What kind of host: everything that moves results but its name.
    pub host: String,
    /// Runtime.
    pub runtime: String,
    /// Scenario.
    pub scenario: String,
    /// Parameters.
    pub params: Params,
    /// Metric.
    pub metric: String,
    /// Unit of the values; `×` for ratios to the plain process.
    pub unit: String,
    /// Which direction is better, of the metric itself.
    pub better: Better,
    /// Values, the oldest first.
    pub points: Vec<Point>,
    /// Where the series changed for good.
    pub changes: Vec<Changed>,
}

/// The value of a run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Point {
    /// Folder of the run.
    pub folder: String,
    /// When it began.
    pub started: String,
    /// Median, or ratio to the plain process.
    pub value: f64,
    /// Its 95 % interval.
    pub ci95: Option<[f64; 2]>,
}

/// A change point.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Changed {
    /// Index of the first point after it.
    pub at: usize,
    /// Folder of that run.
    pub folder: String,
    /// Mean before.
    pub before: f64,
    /// Mean after.
    pub after: f64,
    /// `better` or `worse`.
    pub direction: &'static str,
    /// Adjusted p of the t-test.
    pub p: f64,
}

/// The history of a folder. Brings the index up to date first.
///
/// ```no_run
/// use isomark_report::history::{Filter, history};
///
/// let found = history("bench-results".as_ref(), &Filter { last: 100, ..Filter::default() })?;
/// for series in found.series.iter().filter(|series| !series.changes.is_empty()) {
///     println!("{} of {} changed since {}", series.metric, series.runtime, series.changes[0].folder);
/// }
/// # Ok::<(), isomark_core::Error>(())
/// ```
///
/// # Errors
/// [`Error::Input`] if the folder cannot be read; otherwise what the host refused.
pub fn history(dir: &Path, filter: &Filter) -> Result<History, Error> {
    let (mut index, mut notes) = index::Index::open(dir)?;
    let refreshed = match scan::refresh(dir, &mut index) {
        Err(scan::Trouble::Index(e)) => {
            // Whatever is wrong with an index that follows from the folders: begin anew.
            notes.push(format!("the index could not be used ({e}) and was built anew"));
            index = index::Index::anew(dir)?;
            scan::refresh(dir, &mut index)
        }
        other => other,
    };
    let broken = refreshed.map_err(scan::Trouble::into_error)?;
    let refuse = |e: rusqlite::Error| Error::os("read the index", std::io::Error::other(e));
    let runs = index.runs().map_err(refuse)?;
    let mut series = index.series(filter).map_err(refuse)?;
    for one in &mut series {
        one.changes = changed(one);
    }
    series.sort_by(|a, b| key(a).cmp(&key(b)));
    Ok(History { schema: SCHEMA, runs, broken, notes, series })
}

fn key(series: &Series) -> (&str, &str, &Params, &str, bool) {
    // The plain process first: the others are ratios to it, in the order of the shelf (the sort is stable).
    let other = series.runtime != crate::reference::REFERENCE;
    (&series.host, &series.scenario, &series.params, &series.metric, other)
}

/// Change points beyond the region of equivalence.
fn changed(series: &Series) -> Vec<Changed> {
    let metric = Metric {
        name: series.metric.clone().into(),
        unit: if series.unit == RATIO { "ns".into() } else { series.unit.clone().into() },
        better: series.better,
        optional: false,
    };
    let settings = Settings { magnitude: magnitude(series, &metric), ..Settings::default() };
    let values: Vec<f64> = series.points.iter().map(|point| point.value).collect();
    let more_is_worse = series.better == Better::Lower;
    let one = |change: crate::stats::changes::Change| Changed {
        at: change.at,
        folder: series.points.get(change.at).map_or_else(String::new, |point| point.folder.clone()),
        before: change.before,
        after: change.after,
        direction: if (change.after > change.before) == more_is_worse { "worse" } else { "better" },
        p: change.p,
    };
    changes(&values, &settings).into_iter().map(one).collect()
}

/// Unit of a ratio to the plain process.
pub const RATIO: &str = "×";

/// The smallest change worth telling: half the region of equivalence, because a mean of many runs is known better than
/// the median of one.
fn magnitude(series: &Series, metric: &Metric) -> f64 {
    let cell = Cell {
        runtime: series.runtime.clone(),
        scenario: series.scenario.clone(),
        params: series.params.clone(),
        every: 1,
        metrics: Vec::new(),
        skipped: None,
        arm: None,
    };
    let rate = series.better == Better::Higher;
    let metric = if rate { Metric { unit: "work/s".into(), ..metric.clone() } } else { metric.clone() };
    debug_assert!(!rate || quantity(&metric) == Quantity::Rate);
    region(&cell, &metric).relative / 2.0
}
