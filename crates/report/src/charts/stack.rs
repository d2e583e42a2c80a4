//! Where in an instance's life does the time go?
//!
//! Medians of the phases end to end, and below each bar the inner steps as its runtime tells them. Medians do not add up
//! exactly to the median of the whole; the chart shows proportions, the table beside it the numbers.

use super::axis::Axis;
use super::lanes::Lanes;
use super::letters;
use super::scene::{Anchor, Ink, Scene, Style, Weight};
use super::told;

/// Height of a bar.
const BAR: f64 = 24.0;

/// One phase of a bar.
#[derive(Clone, Debug)]
pub struct Segment {
    /// Place of its colour.
    pub phase: usize,
    /// Its length in ns.
    pub length: f64,
    /// Its length in words, if there is room for it.
    pub words: String,
    /// What a pointer over it is told.
    pub tip: String,
}

/// One runtime.
#[derive(Clone, Debug)]
pub struct Row {
    /// Its name.
    pub label: String,
    /// The sum in words.
    pub value: String,
    /// Its phases in order.
    pub segments: Vec<Segment>,
    /// What is folded into what, in words; empty for nothing.
    pub note: String,
    /// Inner steps as the runtime tells them, in the order of time.
    pub told: Vec<told::Step>,
}

/// Rows under a common heading.
#[derive(Clone, Debug)]
pub struct Panel {
    /// The heading; empty for none.
    pub title: String,
    /// The rows.
    pub rows: Vec<Row>,
}

/// Draws a legend and the panels below it over one linear axis.
#[must_use]
pub fn draw(panels: &[Panel], legend: &[(Ink, String)], title: &str, width: f64) -> Scene {
    let rows = || panels.iter().flat_map(|panel| &panel.rows);
    let lanes = Lanes::new(width, rows().map(|r| &*r.label), rows().map(|r| &*r.value));
    let high = rows().map(|r| r.segments.iter().map(|s| s.length).sum()).fold(0.0, f64::max);
    let axis = Axis::from_zero(high, "ns", lanes.left, lanes.right);
    let mut plot = Scene::new(width);
    let mut y = super::legend::draw(&mut plot, legend, 2.0) + 8.0;
    let top = y;
    for panel in panels {
        if !panel.title.is_empty() {
            plot.heading((0.0, y + 15.0), &panel.title, Style::new(Ink::Text).medium());
            y += 24.0;
        }
        for row in &panel.rows {
            let from = plot.items.len();
            lanes.label(&mut plot, y, BAR, &row.label, &row.value);
            y += lanes.head();
            bar(&mut plot, &axis, row, y);
            y = told::lane(&mut plot, &axis, &row.told, [lanes.left, lanes.right, y + BAR]);
            if !row.note.is_empty() {
                plot.heading((lanes.left, y + 12.0), &row.note, Style::new(Ink::Muted).size(11.0));
                y += 14.0;
            }
            plot.own(from, &row.label);
            y += 9.0;
        }
        y += 5.0;
    }
    let mut scene = Scene::new(width);
    axis.draw(&mut scene, top, y, title);
    scene.place(plot, 0.0, 0.0);
    scene
}

fn bar(scene: &mut Scene, axis: &Axis, row: &Row, top: f64) {
    let mut from = 0.0;
    for segment in &row.segments {
        let (x, to) = (axis.at(from), axis.at(from + segment.length));
        from += segment.length;
        // A gap of a pixel tells neighbours apart without relying on their colours.
        let room = (to - x - 1.0).max(0.5);
        scene.rect([x, top, room, BAR], 0.0, Ink::Phase(segment.phase)).tip(&*segment.tip);
        if letters::room(&segment.words, 11.0, Weight::Regular) + 8.0 < room {
            let style = Style::new(Ink::OnPhase(segment.phase)).size(11.0).anchor(Anchor::Middle);
            scene.text((x + room / 2.0, top + BAR / 2.0 + 4.0), &segment.words, style);
        }
    }
}
