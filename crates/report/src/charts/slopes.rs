//! What does each further instance take, and how well does a line fit it?
//!
//! One panel a runtime: every total that was read while more and more instances were alive, and the Theil–Sen line with
//! the slope that the tables give. What is read from the whole host is a chart beside the instances' own: everybody is in it. Panels have scales of their own, because what is asked is whether the points lie on a
//! line; the slopes themselves stand above.

use isomark_core::record::Cell;

use super::axis::{Axis, COUNT};
use super::scene::{Ink, Scene, Style};
use super::{Chart, counts, ink, panels, texts};
use crate::answers::bounds;
use crate::controls::is_control;
use crate::dataset::Dataset;
use crate::fmt;
use crate::stats::median::median;
use crate::summary::{CellSummary, Summary};
use crate::words::{comma, say, tell};

/// Height of a panel's plot.
const HIGH: f64 = 108.0;
/// Room above a plot.
const HEAD: f64 = 21.0;
/// Least width of a panel.
const LEAST: f64 = 158.0;

/// A quantity: its metric, its series, and whether it grows as what is left shrinks.
const QUANTITIES: [(&str, &str, bool); 2] =
    [("marginal-pss", "pss", false), ("marginal-available", "available", true)];

/// One panel.
struct Panel {
    runtime: String,
    heading: String,
    ink: Ink,
    /// Instances alive and bytes taken by all of them.
    points: Vec<(f64, f64)>,
    slope: f64,
    ci95: Option<[f64; 2]>,
    words: String,
    tip: String,
}

/// The charts of a run, by the instances' own pages and beside it by what the host has left; none where no totals were
/// stored.
pub(super) fn charts(data: &Dataset<'_>, summary: &Summary) -> Vec<Chart> {
    let found = QUANTITIES.map(|quantity| quantity_panels(data, summary, quantity));
    let [own, host] = texts::SLOPES;
    let own = chart(summary, own, &found[0]);
    own.into_iter().chain(chart(summary, host, &found[1]).map(Chart::beside)).collect()
}

fn chart(summary: &Summary, [name, title, taken, says]: [&str; 4], panels: &[Panel]) -> Option<Chart> {
    if panels.is_empty() {
        return None;
    }
    let cells = summary.scenario("memory").filter(|cell| cell.params.number("instances").is_some());
    let n = counts(cells.filter_map(CellSummary::headline).map(|metric| metric.n));
    let said = panels.iter().map(|panel| {
        let parts = [&panel.heading, &panel.words].into_iter().filter(|part| !part.is_empty());
        format!("{}: {}", panel.runtime, comma(&parts.cloned().collect::<Vec<_>>()))
    });
    let says = texts::listing(says, said.collect());
    let caption = tell("chart.slopes_caption", &[("taken", &say(taken)), ("n", &n)]);
    Some(Chart::new((name, "memory"), say(title), caption, |width| draw(panels, width)).saying(says))
}

fn quantity_panels(data: &Dataset<'_>, summary: &Summary, quantity: (&str, &str, bool)) -> Vec<Panel> {
    let wanted = |cell: &Cell| {
        cell.scenario == "memory" && !is_control(cell) && cell.params.number("instances").is_some()
    };
    let mut cells: Vec<usize> = (0..data.run.cells.len()).filter(|at| wanted(&data.run.cells[*at])).collect();
    cells.sort_by_key(|at| super::of_another_origin(&data.run.cells[*at].params));
    let params: Vec<_> = cells.iter().map(|at| &data.run.cells[*at].params).collect();
    let headings = super::params::headings(&params);
    let found = cells.iter().zip(headings);
    found.filter_map(|(at, heading)| panel(data, summary, *at, quantity, &heading)).collect()
}

fn panel(
    data: &Dataset<'_>,
    summary: &Summary,
    at: usize,
    (metric, series, shrinks): (&str, &str, bool),
    heading: &str,
) -> Option<Panel> {
    let cell = &data.run.cells[at];
    let points: Vec<(f64, f64)> = data.cells[at]
        .curves
        .iter()
        .flat_map(|trial| totals(trial.get("alive"), trial.get(series), shrinks))
        .collect();
    let own = summary.scenario("memory").find(|c| c.runtime == cell.runtime && c.params == cell.params)?;
    let found = own.metric(metric)?;
    let (slope, ci95) = (found.median?.0, bounds(found.ci95));
    if points.len() < 2 {
        return None;
    }
    let words = match ci95 {
        Some(ci) => format!("{} [{}]", fmt::quantity("byte", slope, ci95), fmt::interval("byte", slope, ci)),
        None => fmt::quantity("byte", slope, None),
    };
    let tip = format!("{}: {words}, n = {}", cell.runtime, found.n);
    let (runtime, ink) = (fmt::clean(&cell.runtime), ink(summary, &cell.runtime));
    Some(Panel { heading: fmt::clean(heading), runtime, ink, points, slope, ci95, words, tip })
}

/// Instances alive, and what they take together: more than with none.
fn totals(alive: Option<&Vec<f64>>, series: Option<&Vec<f64>>, shrinks: bool) -> Vec<(f64, f64)> {
    let (Some(alive), Some(series)) = (alive, series) else { return Vec::new() };
    let Some(first) = series.first() else { return Vec::new() };
    let taken = |total: &f64| if shrinks { first - total } else { total - first };
    alive.iter().copied().zip(series.iter().map(taken)).collect()
}

fn draw(all: &[Panel], width: f64) -> Scene {
    let mut scene = Scene::new(width);
    let groups = panels::by_heading(all.iter().map(|panel| panel.heading.as_str()));
    panels::place(&mut scene, &groups, LEAST, |at, width| one(&all[at], width));
    scene
}

fn one(panel: &Panel, width: f64) -> Scene {
    let mut scene = Scene::new(width);
    let head = panels::heading(&mut scene, &panel.runtime);
    scene.text((0.0, head + 13.0), &panel.words, Style::new(Ink::Muted).size(11.0));
    let (top, bottom) = (head + HEAD, head + HEAD + HIGH);
    let most = panel.points.iter().map(|point| point.0).fold(1.0, f64::max);
    let middle = |of: &dyn Fn(&(f64, f64)) -> f64| median(&panel.points.iter().map(of).collect::<Vec<_>>());
    let base = middle(&|(x, y)| y - panel.slope * x).unwrap_or(0.0);
    let high = panel.points.iter().map(|point| point.1).fold(panel.slope * most + base, f64::max);
    let low = panel.points.iter().map(|point| point.1).fold(0.0, f64::min);
    let rise = Axis::linear(low, high, "byte", bottom, top);
    let left = rise.rise_room();
    let axis = Axis::from_zero(most, COUNT, left, width - 4.0);
    rise.draw_upright(&mut scene, left, width - 4.0);
    panels::levels(&mut scene, &axis, panel.points.iter().map(|point| point.0).collect(), bottom + 15.0);
    let place = |x: f64, y: f64| (axis.at(x), rise.at(y));
    if let Some([from, to]) = panel.ci95 {
        // The line turns about the middle of the points.
        let x0 = middle(&|(x, _)| *x).unwrap_or(0.0);
        let y0 = base + panel.slope * x0;
        let end = |slope: f64, x: f64| place(x, y0 + slope * (x - x0));
        let corners = vec![end(from, 0.0), end(from, most), end(to, most), end(to, 0.0)];
        scene.polygon(corners, panel.ink).alpha(0.18).tip(&*panel.tip);
    }
    scene
        .curve(vec![place(0.0, base), place(most, base + panel.slope * most)], 1.6, panel.ink)
        .tip(&*panel.tip);
    let dots = panel.points.iter().map(|(x, y)| place(*x, *y)).collect();
    scene.dots(dots, 2.4, panel.ink).alpha(0.6).tip(&*panel.tip);
    scene.height = bottom + 20.0;
    scene.own(0, &panel.runtime);
    scene
}
