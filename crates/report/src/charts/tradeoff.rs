//! What does isolation cost?
//!
//! One point a runtime: what of the host its program can reach or see (upwards) against what that costs (rightwards), one
//! panel for each pair. Isolation is a vector, so each panel names its own measure and none is added to another. Shapes
//! tell the kinds apart, names the runtimes; no colour is needed to read it.

use isomark_core::runtime::Kind;

use super::axis::{Axis, COUNT, RATIO};
use super::scene::{Ink, Scene, Style, Weight};
use super::{Chart, counts, ink, letters, texts};
use crate::answers::bounds;
use crate::fmt;
use crate::summary::{Figure, Summary};
use crate::words::{named, say, tell};

/// Height of a panel's plot.
const HIGH: f64 = 190.0;
/// Room for the numbers at the left.
const LEFT: f64 = 44.0;
/// Room between panels.
const APART: f64 = 26.0;
/// Radius of a mark.
const MARK: f64 = 5.0;

/// A measure of isolation: the metric of the scenario `isolation`, its name on the axis, its unit.
const MEASURES: [(&str, &str, &str); 2] =
    [("interface", "chart.interface", COUNT), ("leak", "chart.leak", "share")];

/// A cost: the scenario of the headline table, its name on the axis, its unit.
const COSTS: [(&str, &str, &str); 3] = [
    ("startup", "chart.start_log", "ns"),
    ("memory", "chart.memory_log", "byte"),
    ("throughput", "chart.compute", RATIO),
];

/// One runtime in one panel.
struct Point {
    name: String,
    kind: Kind,
    ink: Ink,
    x: f64,
    ci95: Option<[f64; 2]>,
    y: f64,
    tip: String,
}

/// One pair of a measure and a cost.
struct Panel {
    cost: (&'static str, &'static str),
    measure: (&'static str, &'static str, &'static str),
    points: Vec<Point>,
}

/// The panels of a run; none where isolation was not measured.
pub(super) fn chart(summary: &Summary) -> Option<Chart> {
    let panels: Vec<Vec<Panel>> = MEASURES
        .iter()
        .map(|measure| COSTS.iter().filter_map(|cost| panel(summary, measure, cost)).collect::<Vec<_>>())
        .filter(|row: &Vec<Panel>| !row.is_empty())
        .collect();
    if panels.is_empty() {
        return None;
    }
    let figures = summary.headline.rows.iter().flat_map(|row| row.figures.iter().flatten());
    let n = counts(figures.map(|figure| figure.n).filter(|n| *n > 0));
    let caption = tell("chart.tradeoff_caption", &[("n", &n)]);
    let draw = |width: f64| draw(&panels, width);
    let says = texts::listing(texts::TRADE_OFF_SAYS, said(&panels));
    Some(Chart::new(("trade-off", "claims"), say("chart.tradeoff"), caption, draw).saying(says))
}

/// Each point of the first panel in words.
fn said(panels: &[Vec<Panel>]) -> Vec<String> {
    panels
        .first()
        .and_then(|row| row.first())
        .iter()
        .flat_map(|panel| &panel.points)
        .map(|p| p.tip.clone())
        .collect()
}

fn panel(
    summary: &Summary,
    measure: &(&'static str, &'static str, &'static str),
    cost: &(&'static str, &'static str, &'static str),
) -> Option<Panel> {
    let column = summary.headline.columns.iter().position(|column| column.scenario == cost.0)?;
    let point = |row: &crate::summary::Row| {
        let figure = row.figures.get(column)?.as_ref()?;
        let (x, ci95) = paid(figure)?;
        let y = seen(summary, &row.runtime, measure.0)?;
        let words = match cost.2 {
            RATIO => fmt::ratio(x, ci95),
            unit => fmt::quantity(unit, x, ci95),
        };
        let reach = fmt::quantity(if measure.2 == COUNT { "count" } else { measure.2 }, y, None);
        let tip = format!("{}: {} {reach}, {} {words}", row.runtime, say(measure.1), say(cost.1));
        let name = fmt::clean(&row.runtime);
        Some(Point { name, kind: row.kind, ink: ink(summary, &row.runtime), x, ci95, y, tip })
    };
    let points: Vec<Point> = summary.headline.rows.iter().filter_map(point).collect();
    (points.len() > 1).then_some(Panel { cost: (cost.1, cost.2), measure: *measure, points })
}

/// The cost of a figure: its value, or for a rate the time that the same work takes against the process.
fn paid(figure: &Figure) -> Option<(f64, Option<[f64; 2]>)> {
    match (figure.value, figure.ratio) {
        (Some(value), _) => (value.0 > 0.0).then(|| (value.0, bounds(figure.ci95))),
        (None, Some(ratio)) => {
            Some((1.0 / ratio, figure.ratio_ci95.map(|[low, high]| [1.0 / high, 1.0 / low])))
        }
        (None, None) => Some((1.0, None)),
    }
}

fn seen(summary: &Summary, runtime: &str, metric: &str) -> Option<f64> {
    let mut cells = summary.scenario("isolation").filter(|cell| cell.runtime == runtime);
    cells.find_map(|cell| cell.metric(metric)?.median.map(|median| median.0))
}

fn draw(rows: &[Vec<Panel>], width: f64) -> Scene {
    let mut scene = Scene::new(width);
    let mut top = keys(&mut scene, rows) + 8.0;
    for row in rows {
        let abreast = if width > 600.0 { row.len() } else { 1 };
        let column = (width + APART) / abreast as f64 - APART;
        for line in row.chunks(abreast) {
            for (at, panel) in line.iter().enumerate() {
                scene.place(one(panel, column), at as f64 * (column + APART), top);
            }
            top = scene.height + 16.0;
        }
    }
    scene
}

/// Which shape is what; returns where they end.
fn keys(scene: &mut Scene, rows: &[Vec<Panel>]) -> f64 {
    let mut x = 8.0;
    for kind in [Kind::Process, Kind::Container, Kind::Vm] {
        if !rows.iter().flatten().flat_map(|panel| &panel.points).any(|point| point.kind == kind) {
            continue;
        }
        mark(scene, kind, (x, 11.0), Ink::Muted);
        let word = named("kind", kind.word());
        scene.text((x + 10.0, 15.0), &word, Style::new(Ink::Text).size(12.0));
        x += 30.0 + letters::room(&word, 12.0, Weight::Regular);
    }
    scene.height = 22.0;
    22.0
}

fn one(panel: &Panel, width: f64) -> Scene {
    let mut scene = Scene::new(width);
    scene.text((0.0, 12.0), &say(panel.measure.1), Style::new(Ink::Muted).size(11.0));
    let (top, bottom) = (24.0, 24.0 + HIGH);
    let ends = panel.points.iter().flat_map(|p| [p.x].into_iter().chain(p.ci95.into_iter().flatten()));
    let ends: Vec<f64> = ends.filter(|x| *x > 0.0).collect();
    let (low, high) =
        (ends.iter().copied().fold(f64::INFINITY, f64::min), ends.iter().copied().fold(0.0, f64::max));
    // Room beyond the ends, so that names find a place; a ratio close to 1 must not be squeezed by it.
    let margin = if panel.cost.1 == RATIO { 1.05 } else { 1.3 };
    let axis = Axis::log(low / margin, high * margin, panel.cost.1, LEFT, width - 8.0);
    axis.draw(&mut scene, top, bottom, &say(panel.cost.0));
    let most = panel.points.iter().map(|point| point.y).fold(0.0, f64::max);
    let rise = Axis::from_zero(most * 1.06, panel.measure.2, bottom, top);
    rise.draw_upright(&mut scene, LEFT, width - 8.0);
    scene.line([LEFT, bottom, width - 8.0, bottom], 1.0, Ink::Axis);
    for point in &panel.points {
        let (x, y) = (axis.at(point.x), rise.at(point.y));
        let from = scene.items.len();
        if let Some([low, high]) = point.ci95 {
            scene.line([axis.at(low), y, axis.at(high), y], 2.0, point.ink);
        }
        mark(&mut scene, point.kind, (x, y), point.ink).tip(&*point.tip);
        scene.own(from, &point.name);
    }
    names(&mut scene, panel, &axis, &rise, [top, bottom]);
    scene
}

fn mark(scene: &mut Scene, kind: Kind, (x, y): (f64, f64), ink: Ink) -> &mut super::scene::Item {
    match kind {
        Kind::Container => scene.rect([x - MARK, y - MARK, 2.0 * MARK, 2.0 * MARK], 1.0, ink),
        Kind::Vm => {
            let (up, down) = (y - MARK * 1.25, y + MARK * 0.95);
            scene.polygon(vec![(x, up), (x + MARK * 1.25, down), (x - MARK * 1.25, down)], ink)
        }
        Kind::Process | Kind::Floor => scene.dots(vec![(x, y)], MARK, ink),
    }
}

/// Names beside their marks, where none lies over another: each takes the first free place around its mark.
fn names(scene: &mut Scene, panel: &Panel, axis: &Axis, rise: &Axis, [top, bottom]: [f64; 2]) {
    let marks = panel.points.iter().map(|p| (axis.at(p.x), rise.at(p.y)));
    let mut taken: Vec<[f64; 4]> = marks.map(|(x, y)| [x - 7.0, y - 7.0, x + 7.0, y + 7.0]).collect();
    let bars = panel.points.iter().filter_map(|p| {
        let ([from, to], y) = (p.ci95?.map(|x| axis.at(x)), rise.at(p.y));
        Some([from, y - 2.0, to, y + 2.0])
    });
    taken.extend(bars);
    for point in &panel.points {
        let (x, y) = (axis.at(point.x), rise.at(point.y));
        let room = letters::room(&point.name, 11.5, Weight::Regular);
        // Beside the mark and its interval, or further off with a line to it.
        let ends = point.ci95.map_or([0.0; 2], |ci95| ci95.map(|end| axis.at(end) - x));
        let near = [ends[1].max(4.0) + 5.0, ends[0].min(-4.0) - 5.0 - room];
        let far = [near[0] + 25.0, near[1] - 25.0];
        let rounds = (0..14).flat_map(|at| [f64::from(at) * -13.0, f64::from(at) * 13.0]);
        let sides = near.map(|dx| (dx, 0.0)).into_iter().chain(far.map(|dx| (dx, 20.0)));
        let sides: Vec<(f64, f64)> = sides.collect();
        let places =
            rounds.flat_map(|dy| sides.iter().map(move |(dx, worse)| (*dx, 4.0 + dy, dy.abs() + worse)));
        let mut places: Vec<(f64, f64, f64)> = places.collect();
        // The nearest free place first: a name far from its mark is taken for another's.
        places.sort_by(|a, b| a.2.total_cmp(&b.2));
        let boxed = |(dx, dy, _): (f64, f64, f64)| [x + dx, y + dy - 10.0, x + dx + room, y + dy + 3.0];
        let inside =
            |b: &[f64; 4]| b[0] >= LEFT && b[2] <= scene.width && b[1] >= top - 8.0 && b[3] <= bottom + 4.0;
        let apart =
            |b: &[f64; 4]| taken.iter().all(|t| b[2] <= t[0] || b[0] >= t[2] || b[3] <= t[1] || b[1] >= t[3]);
        // Where there is no free place a name is left to the pointer and the table: two over each other say nothing.
        let Some(place) = places.into_iter().map(boxed).find(|b| inside(b) && apart(b)) else { continue };
        let from = scene.items.len();
        let middle = f64::midpoint(place[1], place[3]);
        if (middle - y).abs() > 8.0 || place[0] - x > near[0] + 3.0 || place[0] - x < near[1] - 3.0 {
            let near = if place[0] > x { place[0] - 2.0 } else { place[2].min(x) };
            scene.line([x, y, near, middle], 0.8, Ink::Axis).alpha(0.6);
        }
        scene.text((place[0], place[3] - 3.0), &point.name, Style::new(Ink::Text).size(11.5));
        scene.own(from, &point.name);
        taken.push(place);
    }
}
