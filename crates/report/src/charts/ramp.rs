//! How many fit, and what happens to requests on the way?
//!
//! One panel a runtime: the 95th percentile of a request over the instances alive, on axes that all panels share; the
//! other runtimes stay in the background. The dashed line is twice the time with one instance, where the ramp is stopped;
//! what stopped it stands above.

use isomark_core::record::Cell;

use super::axis::{Axis, COUNT};
use super::scene::{Ink, Scene, Style};
use super::{Chart, counts, ink, panels, texts};
use crate::controls::is_control;
use crate::dataset::{Dataset, Observed};
use crate::fmt;
use crate::stats::median::median;
use crate::summary::{CellSummary, Summary};
use crate::words::{comma, say, tell};

/// Height of a panel's plot.
const HIGH: f64 = 118.0;
/// Height of a line of words above a plot.
const LINE: f64 = 14.0;
/// Least width of a panel.
const LEAST: f64 = 190.0;

/// One runtime.
struct Ramp {
    runtime: String,
    heading: String,
    ink: Ink,
    /// Instances alive and the 95th percentile in ns, medians over the trials.
    points: Vec<(f64, f64)>,
    reached: String,
    stopped: String,
    tip: String,
}

/// The chart of a run; none where no ramp was stored.
pub(super) fn chart(data: &Dataset<'_>, summary: &Summary) -> Option<Chart> {
    let wanted = |cell: &Cell| cell.scenario == "density" && !is_control(cell);
    let cells: Vec<usize> = (0..data.run.cells.len()).filter(|at| wanted(&data.run.cells[*at])).collect();
    let params: Vec<_> = cells.iter().map(|at| &data.run.cells[*at].params).collect();
    let headings = super::params::headings(&params);
    let ramps: Vec<Ramp> =
        cells.iter().zip(headings).filter_map(|(at, heading)| ramp(data, summary, *at, &heading)).collect();
    if ramps.is_empty() {
        return None;
    }
    let n = counts(summary.scenario("density").filter_map(CellSummary::headline).map(|metric| metric.n));
    let said = ramps.iter().map(|ramp| {
        let parts = [&ramp.heading, &ramp.reached, &ramp.stopped].into_iter().filter(|part| !part.is_empty());
        format!("{}: {}", ramp.runtime, comma(&parts.cloned().collect::<Vec<_>>()))
    });
    let says = texts::listing(texts::RAMP_SAYS, said.collect());
    Some(
        Chart::new(
            ("density-ramp", "density"),
            say("chart.ramp"),
            tell("chart.ramp_caption", &[("n", &n)]),
            |width| draw(&ramps, width),
        )
        .saying(says),
    )
}

fn ramp(data: &Dataset<'_>, summary: &Summary, at: usize, heading: &str) -> Option<Ramp> {
    let (cell, seen) = (&data.run.cells[at], &data.cells[at]);
    let points = levels(seen);
    let own = summary.scenario("density").find(|c| c.runtime == cell.runtime && c.params == cell.params)?;
    let instances = own.metric("instances")?.median?.0;
    let last = points.last()?.1;
    let runtime = fmt::clean(&cell.runtime);
    let reached = texts::reached(instances);
    let stopped = seen.notes.get("stopped by").into_iter().flatten();
    let stopped = stopped.map(|rule| texts::stopped(rule)).collect::<Vec<_>>().join(&say("list.semicolon"));
    let tip = format!("{runtime}: {reached}, {stopped}; p95 {}", fmt::quantity("ns", last, None));
    let (heading, ink) = (fmt::clean(heading), ink(summary, &cell.runtime));
    Some(Ramp { runtime, heading, ink, points, reached, stopped, tip })
}

/// Each level with the median of its 95th percentiles.
fn levels(seen: &Observed) -> Vec<(f64, f64)> {
    let mut all: std::collections::BTreeMap<u64, Vec<f64>> = std::collections::BTreeMap::new();
    for trial in &seen.curves {
        let (Some(alive), Some(p95)) = (trial.get("alive"), trial.get("p95")) else { continue };
        for (alive, p95) in alive.iter().zip(p95).filter(|(alive, p95)| **alive >= 1.0 && **p95 > 0.0) {
            all.entry(*alive as u64).or_default().push(*p95);
        }
    }
    all.into_iter().filter_map(|(alive, p95)| Some((alive as f64, median(&p95)?))).collect()
}

fn draw(ramps: &[Ramp], width: f64) -> Scene {
    let mut scene = Scene::new(width);
    let groups = panels::by_heading(ramps.iter().map(|ramp| ramp.heading.as_str()));
    panels::place(&mut scene, &groups, LEAST, |at, width| one(ramps, at, width));
    scene
}

fn one(ramps: &[Ramp], at: usize, width: f64) -> Scene {
    let ramp = &ramps[at];
    let all = || ramps.iter().flat_map(|ramp| &ramp.points);
    let mut scene = Scene::new(width);
    // Plots of all panels begin at the same height.
    let top = head(&mut scene, ramp, ramps);
    let bottom = top + HIGH;
    let least = all().map(|point| point.1).fold(f64::INFINITY, f64::min);
    let limits = ramps.iter().filter_map(|ramp| ramp.points.first()).map(|first| first.1 * 2.0);
    let high = all().map(|point| point.1).chain(limits).fold(least, f64::max);
    let most = all().map(|point| point.0).fold(1.0, f64::max);
    let rise = Axis::log(least, high, "ns", bottom, top);
    let left = rise.rise_room();
    let axis = Axis::log(1.0, most.max(2.0), COUNT, left, width - 4.0);
    rise.draw_upright(&mut scene, left, width - 4.0);
    panels::levels(&mut scene, &axis, all().map(|point| point.0).collect(), bottom + 15.0);
    let curve = |ramp: &Ramp| ramp.points.iter().map(|(x, y)| (axis.at(*x), rise.at(*y))).collect::<Vec<_>>();
    for other in ramps.iter().enumerate().filter(|(other, _)| *other != at).map(|(_, ramp)| ramp) {
        scene.curve(curve(other), 1.0, Ink::Axis).alpha(0.35);
    }
    if let Some(first) = ramp.points.first() {
        let y = rise.at(first.1 * 2.0);
        scene.dashes([left, y, width - 4.0, y], 1.2, Ink::Axis);
    }
    scene.curve(curve(ramp), 2.0, ramp.ink).tip(&*ramp.tip);
    for ((x, y), point) in curve(ramp).into_iter().zip(&ramp.points) {
        let words = texts::at_level(&ramp.runtime, point.0, &fmt::quantity("ns", point.1, None));
        scene.dots(vec![(x, y)], 3.0, ramp.ink).tip(words);
    }
    scene.height = bottom + 20.0;
    scene.own(0, &ramp.runtime);
    scene
}

/// Writes whose ramp it is, how far it got and what stopped it; returns where that ends. Lines are those of the longest.
fn head(scene: &mut Scene, ramp: &Ramp, ramps: &[Ramp]) -> f64 {
    let width = scene.width;
    let most = ramps.iter().map(|ramp| panels::lines(&ramp.stopped, width)).max().unwrap_or(0);
    let top = panels::heading(scene, &ramp.runtime);
    let muted = Style::new(Ink::Muted).size(11.0);
    scene.text((0.0, top + 13.0), &ramp.reached, muted);
    for (at, line) in panels::wrapped(&ramp.stopped, width).iter().enumerate() {
        scene.text((0.0, top + 27.0 + LINE * at as f64), line, muted);
    }
    top + 21.0 + LINE * most as f64
}
