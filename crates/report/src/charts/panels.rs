//! Small pictures side by side, as many as there is room for.
//!
//! One panel a runtime shows a curve without a knot of lines, however many runtimes there are.

use super::letters;
use super::scene::{Ink, Scene, Style, Weight};
use super::slide;

/// Room between panels.
const APART: f64 = 22.0;

/// Height of a line of words over a panel.
const LINE: f64 = 14.0;

/// Words over a panel in lines that fit also in a reader's own font.
pub fn wrapped(words: &str, width: f64) -> Vec<String> {
    let narrowest = letters::width("x", 11.0, Weight::Regular) / letters::room("x", 11.0, Weight::Regular);
    slide::wrapped(words, width * narrowest, 11.0, Weight::Regular)
}

/// How many lines words over a panel take.
pub fn lines(words: &str, width: f64) -> usize {
    wrapped(words, width).len()
}

/// Writes whose panel it is and, in as many lines as the longest of its neighbours takes, which of its cells; returns where
/// that ends.
pub fn heading(scene: &mut Scene, runtime: &str, words: &str, lines: usize) -> f64 {
    let runtime = letters::fitted(runtime, scene.width, 12.5, Weight::Medium);
    scene.text((0.0, 13.0), &runtime, Style::new(Ink::Text).medium());
    for (at, line) in wrapped(words, scene.width).iter().enumerate() {
        scene.text((0.0, 28.0 + LINE * at as f64), line, Style::new(Ink::Text).size(11.0));
    }
    15.0 + LINE * lines as f64
}

/// Draws `count` panels in rows from `top` on, each at least `least` wide where the page has that.
pub fn place(scene: &mut Scene, count: usize, least: f64, top: f64, draw: impl Fn(usize, f64) -> Scene) {
    let fits = ((scene.width + APART) / (least + APART)).floor().max(1.0) as usize;
    let rows = count.max(1).div_ceil(fits);
    let abreast = if rows > 1 { fits } else { count.max(1) };
    let column = (scene.width + APART) / abreast as f64 - APART;
    let mut y = top;
    for from in (0..count).step_by(abreast) {
        for at in from..(from + abreast).min(count) {
            let x = (at - from) as f64 * (column + APART);
            scene.place(draw(at, column), x, y);
        }
        y = scene.height + 12.0;
    }
}
