//! How much of it does each one take?
//!
//! Bars from zero in groups, to the left of it for what shrinks, each with its value in words at its end and its interval as
//! a whisker, so that nobody has to measure a bar. Panels stand side by side where there is room.

use super::axis::{Axis, FOOT};
use super::letters;
use super::scene::{Ink, Scene, Style, Weight};

/// Height of a bar.
const BAR: f64 = 15.0;
/// Distance between panels.
const GAP: f64 = 36.0;
/// Narrowest panel that may stand beside another.
const PANEL: f64 = 340.0;
/// Size of labels.
const SIZE: f64 = 12.0;

/// One bar.
#[derive(Clone, Debug)]
pub struct Bar {
    /// Whose it is.
    pub runtime: String,
    /// Its name.
    pub label: String,
    /// Its ink.
    pub ink: Ink,
    /// Its length.
    pub value: f64,
    /// Its length in words.
    pub words: String,
    /// Interval of its length.
    pub ci95: Option<[f64; 2]>,
    /// What a pointer over it is told.
    pub tip: String,
}

/// Bars of one quantity.
#[derive(Clone, Debug)]
pub struct Group {
    /// Name of its metric.
    pub metric: String,
    /// The quantity; empty for none.
    pub title: String,
    /// The bars.
    pub bars: Vec<Bar>,
}

/// Groups under a common heading.
#[derive(Clone, Debug)]
pub struct Panel {
    /// The heading; empty for none.
    pub title: String,
    /// What its axis counts.
    pub axis: String,
    /// The groups.
    pub groups: Vec<Group>,
    /// Where its axis ends, if it shares it with other panels.
    pub high: Option<f64>,
}

/// Room that labels and values of all panels take, so that bars of one scale have one length wherever they stand.
struct Margins {
    left: f64,
    words: f64,
}

/// Draws the panels, each with an axis of its own from zero.
#[must_use]
pub fn draw(panels: &[Panel], unit: &str, width: f64) -> Scene {
    let mut scene = Scene::new(width);
    let abreast = panels.len().clamp(1, 2);
    let beside = (width - GAP * (abreast as f64 - 1.0)) / abreast as f64;
    let (columns, each) = if beside < PANEL { (1, width) } else { (abreast, beside) };
    let bars = || panels.iter().flat_map(|panel| &panel.groups).flat_map(|group| &group.bars);
    let widest = |text: fn(&Bar) -> &str, weight| {
        bars().map(|bar| letters::room(text(bar), SIZE, weight)).fold(0.0, f64::max)
    };
    let left = (widest(|bar| &bar.label, Weight::Regular) + 12.0).min(each * 0.42);
    let margins = Margins { left, words: widest(|bar| &bar.words, Weight::Medium) + 10.0 };
    let mut top = 0.0;
    for row in panels.chunks(columns) {
        for (at, panel) in row.iter().enumerate() {
            scene.place(one(panel, unit, &margins, each), at as f64 * (each + GAP), top);
        }
        top = scene.height + 14.0;
    }
    scene
}

fn one(panel: &Panel, unit: &str, &Margins { left, words }: &Margins, width: f64) -> Scene {
    let bars = || panel.groups.iter().flat_map(|group| &group.bars);
    let high = bars().map(|bar| bar.ci95.map_or(bar.value, |ci| ci[1].max(bar.value))).fold(0.0, f64::max);
    // What shrinks is drawn below zero, and so is the part of an interval that lies there.
    let low = bars().map(|bar| bar.ci95.map_or(bar.value, |ci| ci[0].min(bar.value))).fold(0.0, f64::min);
    let high = panel.high.unwrap_or(high);
    let axis = if low < 0.0 {
        Axis::linear(low, high, unit, left, width - words)
    } else {
        Axis::from_zero(high, unit, left, width - words)
    };
    let mut plot = Scene::new(width);
    let mut y = 2.0;
    if !panel.title.is_empty() {
        plot.heading((0.0, y + 14.0), &panel.title, Style::new(Ink::Text).size(13.5).medium());
        y += 24.0;
    }
    let top = y;
    for group in &panel.groups {
        if !group.title.is_empty() {
            plot.heading((0.0, y + 13.0), &group.title, Style::new(Ink::Muted).size(SIZE).medium());
            y += 19.0;
        }
        for bar in &group.bars {
            let from = plot.items.len();
            draw_bar(&mut plot, &axis, bar, left, y);
            plot.own(from, &bar.runtime);
            y += BAR + 4.0;
        }
        y += 8.0;
    }
    let mut scene = Scene::new(width);
    axis.draw(&mut scene, top, y, &panel.axis);
    scene.place(plot, 0.0, 0.0);
    scene.height = scene.height.max(y + FOOT);
    scene
}

fn draw_bar(scene: &mut Scene, axis: &Axis, bar: &Bar, left: f64, top: f64) {
    let base = top + BAR / 2.0 + SIZE * 0.36;
    let label = letters::fitted(&bar.label, left - 8.0, SIZE, Weight::Regular);
    scene.text((0.0, base), &label, Style::new(Ink::Text).size(SIZE));
    let (zero, end) = (axis.at(0.0), axis.at(bar.value));
    // A value that is not zero must not look like one.
    let length = if bar.value == 0.0 { 0.0 } else { (end - zero).abs().max(1.0) };
    let from = if bar.value < 0.0 { zero - length } else { zero };
    scene.rect([from, top, length.max(0.01), BAR], 1.5, bar.ink).tip(&*bar.tip);
    let mut after = from + length;
    if let Some([low, high]) = bar.ci95.filter(|[low, high]| axis.at(*high) - axis.at(*low) >= 6.0) {
        let (from, to, middle) = (axis.at(low), axis.at(high), top + BAR / 2.0);
        scene.line([from, middle, to, middle], 1.4, Ink::Text);
        scene.line([from, middle - 3.0, from, middle + 3.0], 1.4, Ink::Text);
        scene.line([to, middle - 3.0, to, middle + 3.0], 1.4, Ink::Text);
        after = after.max(to);
    }
    scene.text((after + 6.0, base), &bar.words, Style::new(Ink::Text).size(SIZE).medium());
}
