//! How does each one compare with the plain process, and does the difference matter?
//!
//! A point per ratio with its exact interval, against the region of equivalence as a band. Panels have axes of
//! their own: a loss of 2 % and a loss of 99 % cannot share one and both be seen.

use super::axis::{Axis, FOOT, RATIO};
use super::lanes::Lanes;
use super::scene::{Anchor, Ink, Scene, Style};

/// Height that one runtime's point takes within a row.
const LANE: f64 = 15.0;

/// How a runtime is drawn: its ink, its shape and its name.
#[derive(Clone, Debug)]
pub struct Key {
    /// Its ink.
    pub ink: Ink,
    /// Its name.
    pub name: String,
}

impl Key {
    /// The key of a runtime.
    #[must_use]
    pub fn new(ink: Ink, name: &str) -> Self {
        Self { ink, name: crate::fmt::clean(name) }
    }

    /// Place of its shape.
    const fn shape(&self) -> usize {
        match self.ink {
            Ink::Runtime(at) => at,
            _ => 0,
        }
    }
}

/// One runtime's ratio.
#[derive(Clone, Debug)]
pub struct Point {
    /// Whose it is.
    pub key: Key,
    /// What counts as no difference for its verdict: the region, widened to the run's own A/A band.
    pub band: [f64; 2],
    /// The ratio.
    pub ratio: f64,
    /// Its interval.
    pub ci95: Option<[f64; 2]>,
    /// The ratio in words.
    pub words: String,
    /// Whether the verdict is that it differs: drawn full, otherwise hollow.
    pub differs: bool,
    /// What a pointer over it is told.
    pub tip: String,
}

/// One quantity.
#[derive(Clone, Debug)]
pub struct Row {
    /// Its name.
    pub label: String,
    /// One point per runtime.
    pub points: Vec<Point>,
}

/// Rows that have something in common.
#[derive(Clone, Debug)]
pub struct Group {
    /// What they have in common; empty for nothing that would have to be told.
    pub title: String,
    /// The rows.
    pub rows: Vec<Row>,
}

/// Rows with a common region of equivalence.
#[derive(Clone, Debug)]
pub struct Panel {
    /// The heading.
    pub title: String,
    /// The region of equivalence as bounds of the ratio.
    pub band: [f64; 2],
    /// The rows in groups.
    pub groups: Vec<Group>,
}

impl Panel {
    fn rows(&self) -> impl Iterator<Item = &Row> {
        self.groups.iter().flat_map(|group| &group.rows)
    }
}

/// Draws a legend and the panels one below the other.
#[must_use]
pub fn draw(panels: &[Panel], legend: &[Key], title: &str, width: f64) -> Scene {
    let mut scene = Scene::new(width);
    let keys: Vec<(usize, Ink, &str)> = legend.iter().map(|key| (key.shape(), key.ink, &*key.name)).collect();
    let mut top = super::legend::shapes(&mut scene, &keys, 2.0) + 6.0;
    let rows = || panels.iter().flat_map(Panel::rows);
    let values = rows().flat_map(|row| &row.points).map(|point| &*point.words);
    let lanes = Lanes::beside(width, rows().map(|row| &*row.label), values);
    for panel in panels {
        scene.place(one(panel, &lanes, title, width), 0.0, top);
        top = scene.height + 12.0;
    }
    scene
}

fn one(panel: &Panel, lanes: &Lanes, title: &str, width: f64) -> Scene {
    let points = || panel.rows().flat_map(|row| &row.points);
    let ends = || points().flat_map(|p| [p.ratio].into_iter().chain(p.ci95.into_iter().flatten()));
    let ends = || ends().filter(|v| *v > 0.0).chain(panel.band).chain(points().flat_map(|p| p.band));
    let (low, high) = (ends().fold(f64::INFINITY, f64::min), ends().fold(0.0, f64::max));
    let axis = Axis::log(low, high, RATIO, lanes.left, lanes.right);
    let mut plot = Scene::new(width);
    plot.text((0.0, 14.0), &panel.title, Style::new(Ink::Text).size(13.5).medium());
    let top = 24.0;
    let mut y = top + 4.0;
    for group in &panel.groups {
        if !group.title.is_empty() {
            plot.heading((0.0, y + 13.0), &group.title, Style::new(Ink::Muted).size(12.0).medium());
            y += 20.0;
        }
        for row in &group.rows {
            y = draw_row(&mut plot, &axis, lanes, panel.band, row, y);
        }
    }
    let mut scene = Scene::new(width);
    let [from, to] = panel.band.map(|v| axis.at(v));
    scene.rect([from, top, to - from, y - top], 0.0, Ink::Band).tip(crate::words::tell(
        "chart.region",
        &[("from", &format!("{:.3}", panel.band[0])), ("to", &format!("{:.3}", panel.band[1]))],
    ));
    axis.draw(&mut scene, top, y, title);
    scene.line([axis.at(1.0), top, axis.at(1.0), y], 1.2, Ink::Axis);
    scene.place(plot, 0.0, 0.0);
    scene.height = scene.height.max(y + FOOT);
    scene
}

/// Draws a row from `y` on and returns where the next one begins.
fn draw_row(plot: &mut Scene, axis: &Axis, lanes: &Lanes, band: [f64; 2], row: &Row, y: f64) -> f64 {
    let points = LANE * row.points.len().max(1) as f64;
    let height = points.max(lanes.height(&row.label));
    lanes.label(plot, y, height, &row.label, "");
    let y = y + lanes.head();
    for (at, point) in row.points.iter().enumerate() {
        let middle = y + (height - points) / 2.0 + LANE * (at as f64 + 0.5);
        let from = plot.items.len();
        widening(plot, axis, band, point, middle);
        draw_point(plot, axis, point, middle);
        let style = Style::new(Ink::Text).size(12.0).medium().anchor(Anchor::End);
        plot.text((plot.width, middle + 4.2), &point.words, style);
        plot.own(from, &point.key.name);
    }
    y + height + 7.0
}

/// What the run's A/A band adds to the region, on either side of it: strokes, so that it is told from the region itself.
fn widening(scene: &mut Scene, axis: &Axis, region: [f64; 2], point: &Point, y: f64) {
    let [low, high] = point.band.map(|edge| format!("{edge:.3}"));
    let tip = crate::words::tell("chart.band", &[("what", &point.key.name), ("from", &low), ("to", &high)]);
    for (from, to) in [(point.band[0], region[0]), (region[1], point.band[1])] {
        let [from, to] = [from, to].map(|v| axis.at(v));
        if to - from < 0.75 {
            continue;
        }
        scene.rect([from, y - LANE / 2.0, to - from, LANE], 0.0, Ink::Band).alpha(0.45).tip(&*tip);
        // One zigzag instead of many strokes: a page has thousands of these.
        let turns = ((to - from) / 4.0).ceil() as usize;
        let turn = |at: usize| {
            let x = (from + at as f64 * 4.0).min(to);
            (x, y + LANE / 2.0 * if at.is_multiple_of(2) { 1.0 } else { -1.0 })
        };
        scene.curve((0..=turns).map(turn).collect(), 0.7, Ink::Axis).alpha(0.5);
    }
}

fn draw_point(scene: &mut Scene, axis: &Axis, point: &Point, y: f64) {
    if let Some([low, high]) = point.ci95 {
        let (from, to) = (axis.at(low), axis.at(high));
        scene.line([from, y, to.max(from + 1.0), y], 2.2, point.key.ink);
        for end in [from, to] {
            scene.line([end, y - 3.5, end, y + 3.5], 1.4, point.key.ink);
        }
    }
    let x = axis.at(point.ratio);
    scene.marker(point.key.shape(), (x, y), 4.8, point.key.ink).tip(&*point.tip);
    if !point.differs {
        scene.marker(point.key.shape(), (x, y), 2.4, Ink::Paper).tip(&*point.tip);
    }
}
