//! Small pictures side by side, as many as there is room for.
//!
//! One panel a runtime shows a curve without a knot of lines, however many runtimes there are.

use super::axis::Axis;
use super::letters;
use super::scene::{Anchor, Ink, Scene, Style, Weight};
use super::slide;

/// Room between panels.
const APART: f64 = 22.0;

/// Words over a panel in lines that fit also in a reader's own font.
pub fn wrapped(words: &str, width: f64) -> Vec<String> {
    lines_of(words, width, 11.0)
}

/// Words in lines that fit also in a reader's own font.
pub fn lines_of(words: &str, width: f64, size: f64) -> Vec<String> {
    let narrowest = letters::width("x", size, Weight::Regular) / letters::room("x", size, Weight::Regular);
    slide::wrapped(words, width * narrowest, size, Weight::Regular)
}

/// How many lines words over a panel take.
pub fn lines(words: &str, width: f64) -> usize {
    wrapped(words, width).len()
}

/// Writes whose panel it is; returns where that ends.
pub fn heading(scene: &mut Scene, runtime: &str) -> f64 {
    let runtime = letters::fitted(runtime, scene.width, 12.5, Weight::Medium);
    scene.text((0.0, 13.0), &runtime, Style::new(Ink::Text).medium());
    15.0
}

/// Numbers below a panel that was measured at these, as far as they have room.
pub fn levels(scene: &mut Scene, axis: &Axis, mut all: Vec<f64>, y: f64) {
    all.sort_by(f64::total_cmp);
    all.dedup();
    let style = Style::new(Ink::Muted).size(11.0).anchor(Anchor::Middle);
    let mut end = f64::NEG_INFINITY;
    for level in all {
        let half = letters::room(&axis.label(level), 11.0, style.weight) / 2.0 + 2.0;
        if axis.at(level) - half >= end {
            scene.text((axis.at(level), y), &axis.label(level), style);
            end = axis.at(level) + half;
        }
    }
}

/// Panels in groups of like headings, in the order of their first appearance; each with the places of its panels.
pub fn by_heading<'h>(headings: impl Iterator<Item = &'h str>) -> Vec<(&'h str, Vec<usize>)> {
    let mut groups: Vec<(&str, Vec<usize>)> = Vec::new();
    for (at, heading) in headings.enumerate() {
        match groups.iter_mut().find(|(known, _)| *known == heading) {
            Some((_, group)) => group.push(at),
            None => groups.push((heading, vec![at])),
        }
    }
    groups
}

/// Draws groups of panels one below the other, each below its heading and in rows of panels of one width, at least `least`
/// where the page has that.
pub fn place(
    scene: &mut Scene,
    groups: &[(&str, Vec<usize>)],
    least: f64,
    draw: impl Fn(usize, f64) -> Scene,
) {
    let fits = ((scene.width + APART) / (least + APART)).floor().max(1.0) as usize;
    let most = groups.iter().map(|(_, group)| group.len()).max().unwrap_or(1);
    let abreast = most.clamp(1, fits);
    let column = (scene.width + APART) / abreast as f64 - APART;
    let mut y = 0.0;
    for (title, group) in groups {
        if !title.is_empty() {
            for line in lines_of(title, scene.width, 13.5) {
                scene.text((0.0, y + 14.0), &line, Style::new(Ink::Text).size(13.5).medium());
                y += 20.0;
            }
            y += 2.0;
        }
        for row in group.chunks(abreast) {
            for (at, panel) in row.iter().enumerate() {
                scene.place(draw(*panel, column), at as f64 * (column + APART), y);
            }
            y = scene.height + 12.0;
        }
        y += 4.0;
    }
}
