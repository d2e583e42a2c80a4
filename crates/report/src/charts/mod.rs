//! The pictures of a report: drawn once, shown as SVG in the page and as PNG in `charts/`.
//!
//! Every chart is a function from the answers and a width to a [`scene::Scene`]; [`svg`] and [`raster`] only
//! translate scenes. A chart that has nothing to show is left out.

pub mod axis;
pub mod bars;
mod contain;
pub mod forest;
mod heat;
pub mod lanes;
pub mod legend;
pub mod letters;
pub mod matrix;
pub mod panels;
pub mod params;
mod profile;
mod ramp;
pub mod raster;
pub mod ratios;
pub mod scene;
mod seen;
pub mod sizes;
pub mod slide;
mod slopes;
pub mod stack;
pub mod storeys;
pub mod strip;
pub mod svg;
pub mod texts;
pub mod times;
pub mod told;
pub mod tradeoff;

use isomark_core::{Error, Params};

use crate::dataset::Dataset;
use crate::reference::is_floor;
use crate::summary::{CellSummary, Summary};
use crate::words::{say, tell};
pub use params::words;
use scene::{Ink, Scene};

/// Width of a chart on a page with room, in pixels.
pub const WIDE: f64 = 880.0;
/// Width of a chart on a telephone, in pixels.
pub const NARROW: f64 = 340.0;

/// A chart at both widths.
#[derive(Clone, Debug, PartialEq)]
pub struct Chart {
    /// Name of its file, without folder and ending.
    pub name: String,
    /// Scenario that it belongs to.
    pub scenario: String,
    /// What it shows, as a heading.
    pub title: String,
    /// What a reader must know to read it: quantity, n, meaning of marks and intervals.
    pub caption: String,
    /// What it says, for somebody who cannot see it.
    pub says: String,
    /// Whether it stands beside the others of its scenario: a second look at the same, which decides nothing.
    pub beside: bool,
    /// For a page with room.
    pub wide: Scene,
    /// For a telephone.
    pub narrow: Scene,
}

impl Chart {
    fn new(
        (name, scenario): (&str, &str),
        title: impl Into<String>,
        caption: impl Into<String>,
        draw: impl Fn(f64) -> Scene,
    ) -> Self {
        let (title, caption) = (title.into(), caption.into());
        let (wide, narrow) = (draw(WIDE), draw(NARROW));
        let (name, scenario, says) = (name.to_owned(), scenario.to_owned(), caption.clone());
        Self { name, scenario, title, caption, says, beside: false, wide, narrow }
    }

    /// The same as a chart that stands beside the others.
    fn beside(self) -> Self {
        Self { beside: true, ..self }
    }

    /// The same with what it says; without that, it says how to read it.
    fn saying(self, says: String) -> Self {
        Self { says, ..self }
    }

    /// The chart as a PNG file that stands alone.
    ///
    /// # Errors
    /// As [`raster::png`].
    pub fn png(&self, summary: &Summary) -> Result<Vec<u8>, Error> {
        let slide = slide::framed(self.wide.clone(), &self.title, &self.caption, &origin(summary));
        raster::png(&slide)
    }
}

/// All charts of a run, in the order of its scenarios.
#[must_use]
pub fn charts(data: &Dataset<'_>, summary: &Summary) -> Vec<Chart> {
    let mut all: Vec<Chart> =
        tradeoff::chart(summary).into_iter().chain(storeys::chart(data, summary)).collect();
    for scenario in summary.scenarios() {
        match scenario {
            "throughput" => {
                // All in one look first, then each ratio with its interval.
                all.extend(profile::chart(summary).into_iter().chain(ratios::charts(summary, scenario)));
            }
            "memory" => all.extend(sizes::memory(summary).into_iter().chain(slopes::charts(data, summary))),
            "interference" => all.extend(heat::chart(summary)),
            "isolation" => all.extend(seen::chart(data, summary)),
            "containment" => all.extend(contain::chart(data, summary)),
            "density" => all.extend(ramp::chart(data, summary)),
            "disk" => all.extend(sizes::disk(summary)),
            _ => all.extend(times::charts(data, summary, scenario)),
        }
        if !all.iter().any(|chart| chart.scenario == scenario) {
            all.extend(times::any(data, summary, scenario));
        }
    }
    all
}

/// Where the numbers come from, for the foot of a picture.
fn origin(summary: &Summary) -> Vec<String> {
    let (run, host) = (&summary.run, &summary.run.host);
    let below = match host.hypervisor.as_str() {
        "" | "none" => String::new(),
        "unnamed" => say("chart.inside"),
        name => tell("chart.inside_of", &[("hypervisor", &name)]),
    };
    vec![
        tell(
            "chart.host",
            &[
                ("host", &host.name),
                ("cpu", &host.cpu),
                ("cpus", &host.cpus),
                ("kernel", &host.kernel),
                ("class", &host.kvm_class),
                ("cgroup", &host.cgroup),
                ("below", &below),
            ],
        ),
        tell(
            "chart.run",
            &[("isomark", &run.isomark), ("run", &run.id), ("plan", &run.plan), ("seed", &run.seed)],
        ),
    ]
}

/// Ink of a runtime: its place among the runtimes that are no floors.
fn ink(summary: &Summary, runtime: &str) -> Ink {
    Ink::Runtime(summary.headline.rows.iter().position(|row| row.runtime == runtime).unwrap_or(0))
}

/// Cells of a scenario that have values and are no floors.
fn shown<'s>(data: &Dataset<'_>, summary: &'s Summary, scenario: &'s str) -> Vec<&'s CellSummary> {
    let cells = summary.scenario(scenario).filter(|cell| cell.headline().is_some());
    cells.filter(|cell| !is_floor(data.run, &cell.runtime)).collect()
}

/// Groups cells by their parameters, in the order of their first appearance, each with what tells it from the others.
fn by_params<'s>(cells: &[&'s CellSummary]) -> Vec<(String, Vec<&'s CellSummary>)> {
    let mut all: Vec<(&'s Params, Vec<&'s CellSummary>)> = Vec::new();
    for cell in cells.iter().copied() {
        match all.iter_mut().find(|(params, _)| **params == cell.params) {
            Some((_, group)) => group.push(cell),
            None => all.push((&cell.params, vec![cell])),
        }
    }
    // What only some runtimes can do stands behind what all of them do.
    all.sort_by_key(|(params, _)| of_another_origin(params));
    let headings = params::headings(&all.iter().map(|(params, _)| *params).collect::<Vec<_>>());
    headings.into_iter().zip(all).map(|(heading, (_, cells))| (heading, cells)).collect()
}

/// Whether a cell's instances come from a snapshot or a pool.
pub(crate) fn of_another_origin(params: &Params) -> bool {
    !matches!(params.text("origin"), None | Some("fresh"))
}

/// Smallest and largest n of some metrics in words: `n = 24`, `n = 20–24`.
fn counts(all: impl Iterator<Item = usize>) -> String {
    let (low, high) = all.fold((usize::MAX, 0), |(low, high), n| (low.min(n), high.max(n)));
    if low >= high { format!("n = {high}") } else { format!("n = {low}–{high}") }
}

/// Pictures that are of the whole run; all others are named after a scenario.
const OF_THE_RUN: [&str; 2] = ["trade-off", "layers"];

/// Whether a file in `charts/` is a picture that another rendering of the run drew, and this one did not.
pub(crate) fn is_stale(file: &str, summary: &Summary, drawn: &[Chart]) -> bool {
    file.strip_suffix(".png")
        .is_some_and(|stem| is_ours(stem, summary) && !drawn.iter().any(|chart| chart.name == stem))
}

/// Whether a rendering of the run gives such names.
fn is_ours(name: &str, summary: &Summary) -> bool {
    let of = |scenario: &str| {
        name.strip_prefix(&file_name(scenario)).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
    };
    OF_THE_RUN.contains(&name) || summary.scenarios().into_iter().any(of)
}

/// A scenario's or a metric's name as part of a file name or an address.
#[must_use]
pub fn file_name(name: &str) -> String {
    let safe = |c: char| if c.is_ascii_alphanumeric() || c == '-' { c } else { '-' };
    name.chars().take(40).map(safe).collect()
}
