//! Rows with a label on the left and a value on the right, on wide pages and on narrow ones.
//!
//! Where the page is narrow, label and value go above their row instead of being made illegible.

use super::scene::{Anchor, Ink, Scene, Style, Weight};
use super::{letters, panels};

/// Below this width labels go above their rows.
const NARROW: f64 = 420.0;
/// Height of a line of a label.
const LINE: f64 = 14.5;
/// Size of row labels.
pub const SIZE: f64 = 12.5;

/// How the rows of a panel share its width.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Lanes {
    /// Where the plot begins.
    pub left: f64,
    /// Where the plot ends.
    pub right: f64,
    width: f64,
    above: bool,
}

impl Lanes {
    /// Lanes for these labels and values in a panel of `width` pixels.
    #[must_use]
    pub fn new<'t>(
        width: f64,
        labels: impl Iterator<Item = &'t str>,
        values: impl Iterator<Item = &'t str>,
    ) -> Self {
        let widest = |texts: &mut dyn Iterator<Item = &'t str>, weight| {
            texts.map(|text| letters::room(text, SIZE, weight)).fold(0.0, f64::max)
        };
        if width < NARROW {
            return Self { left: 2.0, right: width - 8.0, width, above: true };
        }
        let (mut labels, mut values) = (labels, values);
        let left = (widest(&mut labels, Weight::Regular) + 14.0).min(width * 0.34);
        let right = width - (widest(&mut values, Weight::Medium) + 14.0).min(width * 0.25);
        Self { left, right, width, above: false }
    }

    /// Lanes whose labels and values stand beside the plot at any width, for short labels and rows of several values.
    #[must_use]
    pub fn beside<'t>(
        width: f64,
        labels: impl Iterator<Item = &'t str>,
        values: impl Iterator<Item = &'t str>,
    ) -> Self {
        let lanes = Self::new(width.max(NARROW), labels, values);
        let taken = width.max(NARROW) - lanes.right;
        Self { left: lanes.left.min(width * 0.34), right: width - taken, width, above: false }
    }

    /// Height that a label takes above its row.
    #[must_use]
    pub const fn head(&self) -> f64 {
        if self.above { 19.0 } else { 0.0 }
    }

    /// A label in the lines that it takes beside its row.
    #[must_use]
    pub fn lines(&self, label: &str) -> Vec<String> {
        panels::lines_of(label, self.left - 10.0, SIZE)
    }

    /// Height that a label takes beside its row.
    #[must_use]
    pub fn height(&self, label: &str) -> f64 {
        if self.above { 0.0 } else { LINE * self.lines(label).len() as f64 + 2.0 }
    }

    /// Writes label and value of a row that begins at `top` and whose plot is `height` high below its head.
    pub fn label(&self, scene: &mut Scene, top: f64, height: f64, label: &str, value: &str) {
        let base = if self.above { top + 13.0 } else { top + height / 2.0 + SIZE * 0.36 };
        let taken = letters::room(value, SIZE, Weight::Medium) + 12.0;
        let room = if self.above { self.width - taken } else { self.left - 10.0 };
        // Words are broken where the row has the height for it, and cut only where it has not.
        let lines = self.lines(label);
        if !self.above && lines.len() > 1 && self.height(label) <= height {
            let first = base - LINE * (lines.len() - 1) as f64 / 2.0;
            for (at, line) in lines.iter().enumerate() {
                scene.text((0.0, first + LINE * at as f64), line, Style::new(Ink::Text).size(SIZE));
            }
        } else {
            let label = letters::fitted(label, room, SIZE, Weight::Regular);
            scene.text((0.0, base), &label, Style::new(Ink::Text).size(SIZE));
        }
        let value_style = Style::new(Ink::Text).size(SIZE).medium().anchor(Anchor::End);
        scene.text((self.width, base), value, value_style);
    }
}
