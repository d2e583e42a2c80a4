//! Where does a value stand, and which values are worth naming?
//!
//! Ticks are round numbers in the unit that is written: whole MiB, not whole millions of bytes.

use super::scene::{Anchor, Ink, Scene, Style};
use crate::fmt;

/// An axis: horizontal, or upright if it begins at the bottom and ends at the top.
#[derive(Clone, Debug, PartialEq)]
pub struct Axis {
    low: f64,
    high: f64,
    log: bool,
    left: f64,
    right: f64,
    unit: String,
}

/// Room that ticks and the title take below the plot.
pub const FOOT: f64 = 42.0;
/// Room that a tick's label takes.
const TICK: f64 = 66.0;
/// Height that a tick of an upright axis takes.
const RISE: f64 = 30.0;
/// Unit of a count.
pub const COUNT: &str = "";
/// Unit of a ratio.
pub const RATIO: &str = "×";

impl Axis {
    /// A linear axis from 0 to a little beyond `high`, between two places.
    #[must_use]
    pub fn from_zero(high: f64, unit: &str, left: f64, right: f64) -> Self {
        let high = if high > 0.0 { high * 1.02 } else { 1.0 };
        Self { low: 0.0, high, log: false, left, right, unit: unit.to_owned() }
    }

    /// A linear axis that holds all values from `low` to `high`, and 0, with a margin.
    #[must_use]
    pub fn linear(low: f64, high: f64, unit: &str, left: f64, right: f64) -> Self {
        let span = if high > low { high - low } else { 1.0 };
        let low = if low < 0.0 { low - span * 0.04 } else { 0.0 };
        Self { low, high: high + span * 0.04, log: false, left, right, unit: unit.to_owned() }
    }

    /// A logarithmic axis that holds all values from `low` to `high` (both positive) with a margin.
    #[must_use]
    pub fn log(low: f64, high: f64, unit: &str, left: f64, right: f64) -> Self {
        let margin = (high / low).powf(0.04).max(1.002);
        Self { low: low / margin, high: high * margin, log: true, left, right, unit: unit.to_owned() }
    }

    /// Where a value stands; values beyond the ends stand at the ends.
    #[must_use]
    pub fn at(&self, value: f64) -> f64 {
        let share = if self.log {
            (value.max(f64::MIN_POSITIVE) / self.low).ln() / (self.high / self.low).ln()
        } else {
            (value - self.low) / (self.high - self.low)
        };
        self.left + share.clamp(0.0, 1.0) * (self.right - self.left)
    }

    /// Round values to name, at most about one per `room` pixels.
    #[must_use]
    pub fn ticks(&self, room: f64) -> Vec<f64> {
        let most = (((self.right - self.left).abs() / room) as usize).clamp(3, 9);
        // Within a factor of three, round steps read better than 1-2-5 on a logarithmic axis too.
        if self.log && self.high / self.low > 3.0 { self.decades(most) } else { self.steps(most) }
    }

    /// The value that decides about the unit of all: the one farthest from 0.
    const fn largest(&self) -> f64 {
        self.low.abs().max(self.high.abs())
    }

    fn steps(&self, most: usize) -> Vec<f64> {
        let factor = fmt::scale(&self.unit, self.largest()).factor;
        let span = (self.high - self.low) / factor;
        let raw = span / most as f64;
        let power = 10_f64.powf(raw.log10().floor());
        let step =
            [1.0, 2.0, 2.5, 5.0, 10.0].map(|m| m * power).into_iter().find(|s| *s >= raw).unwrap_or(raw)
                * factor;
        let first = (self.low / step - 1e-9).ceil() as i64;
        let last = (self.high / step + 1e-9).floor() as i64;
        (first..=last).map(|i| i as f64 * step).collect()
    }

    fn decades(&self, most: usize) -> Vec<f64> {
        if self.unit == "byte" {
            return self.doublings(most);
        }
        let exponents = (self.low.log10().floor() as i32)..=(self.high.log10().ceil() as i32);
        let set = |mantissas: &[f64]| -> Vec<f64> {
            let all = exponents.clone().flat_map(|e| mantissas.iter().map(move |m| m * 10_f64.powi(e)));
            all.filter(|v| *v >= self.low && *v <= self.high).collect()
        };
        let sets: [&[f64]; 4] = [&[1.0, 2.0, 3.0, 5.0], &[1.0, 2.0, 5.0], &[1.0, 3.0], &[1.0]];
        let all = sets.map(set);
        let fits = all.iter().find(|ticks| ticks.len() <= most);
        if let Some(ticks) = fits {
            return ticks.clone();
        }
        let decades = &all[3];
        decades.iter().copied().step_by(decades.len().div_ceil(most)).collect()
    }

    /// Powers of two, as many as there is room for: sizes are counted in them.
    fn doublings(&self, most: usize) -> Vec<f64> {
        let exponents = (self.low.log2().ceil() as i32)..=(self.high.log2().floor() as i32);
        let steps = [1, 2, 5, 10].into_iter();
        let sets =
            steps.map(|step| exponents.clone().filter(move |e| e % step == 0).map(f64::from).map(f64::exp2));
        let sets: Vec<Vec<f64>> = sets.map(Iterator::collect).collect();
        sets.iter().find(|set| set.len() <= most).or(sets.last()).cloned().unwrap_or_default()
    }

    /// A tick in words.
    #[must_use]
    pub fn label(&self, value: f64) -> String {
        if self.unit == RATIO {
            return format!("{}×", trimmed(value));
        }
        if self.unit == COUNT {
            return trimmed(value);
        }
        // Across decades every tick has its own unit; along a linear axis all have the same.
        let scale = fmt::scale(&self.unit, if self.log { value } else { self.largest() });
        if value == 0.0 { "0".to_owned() } else { scale.join(&trimmed(value / scale.factor)) }
    }

    /// Draws an upright axis: grid lines from `left` to `right` with their ticks before them.
    pub fn draw_upright(&self, scene: &mut Scene, left: f64, right: f64) {
        let style = Style::new(Ink::Muted).size(11.0).anchor(Anchor::End);
        for tick in self.ticks(RISE) {
            let y = self.at(tick);
            scene.line([left, y, right, y], 1.0, Ink::Grid);
            scene.text((left - 6.0, y + 4.0), &self.label(tick), style);
        }
    }

    /// Room that the ticks of an upright axis take.
    #[must_use]
    pub fn rise_room(&self) -> f64 {
        let style = Style::new(Ink::Muted).size(11.0);
        let widest = self
            .ticks(RISE)
            .into_iter()
            .map(|tick| super::letters::room(&self.label(tick), 11.0, style.weight));
        widest.fold(0.0, f64::max) + 8.0
    }

    /// Draws grid lines from `top` to `bottom`, the ticks below and the title under them.
    pub fn draw(&self, scene: &mut Scene, top: f64, bottom: f64, title: &str) {
        let style = Style::new(Ink::Muted).size(11.0).anchor(Anchor::Middle);
        let widest = self
            .ticks(TICK)
            .into_iter()
            .map(|tick| super::letters::room(&self.label(tick), 11.0, style.weight));
        // Long labels need more room than the usual ones, or they run into each other.
        let room = widest.fold(TICK - 12.0, f64::max) + 12.0;
        for tick in self.ticks(room) {
            let x = self.at(tick);
            scene.line([x, top, x, bottom], 1.0, Ink::Grid);
            let label = self.label(tick);
            // A label must not run out of the picture.
            let half = super::letters::room(&label, 11.0, style.weight) / 2.0;
            let x = x.clamp(half, (scene.width - half).max(half));
            scene.text((x, bottom + 15.0), &label, style);
        }
        scene.text(((self.left + self.right) / 2.0, bottom + 33.0), title, style);
        scene.height = scene.height.max(bottom + FOOT);
    }
}

/// A round number without trailing zeros.
fn trimmed(value: f64) -> String {
    let digits = usize::try_from(3 - value.abs().max(1e-12).log10().floor() as i64).unwrap_or(0);
    let text = format!("{value:.digits$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_in_the_written_unit() {
        let labels = |axis: &Axis| axis.ticks(TICK).into_iter().map(|t| axis.label(t)).collect::<Vec<_>>();
        let mib = 1_048_576.0;
        let axis = Axis::from_zero(66.0 * mib, "byte", 0.0, 400.0);
        assert_eq!(labels(&axis), ["0", "20 MiB", "40 MiB", "60 MiB"]);
        let axis = Axis::log(290e3, 3.3e6, "ns", 0.0, 300.0);
        assert_eq!(labels(&axis), ["500 µs", "1 ms", "2 ms"]);
        let axis = Axis::log(300e3, 7e6, "byte", 0.0, 300.0);
        assert_eq!(labels(&axis), ["512 KiB", "1 MiB", "2 MiB", "4 MiB"]);
        let axis = Axis::log(0.98, 1.03, RATIO, 0.0, 400.0);
        assert_eq!(labels(&axis), ["0.98×", "0.99×", "1×", "1.01×", "1.02×", "1.03×"]);
        let axis = Axis::log(0.003, 1.0, RATIO, 0.0, 300.0);
        assert_eq!(labels(&axis), ["0.01×", "0.1×", "1×"]);
    }

    #[test]
    fn a_range_below_zero_has_one_unit() {
        let axis = Axis::linear(-20.0 * 1_048_576.0, 0.0, "byte", 100.0, 0.0);
        assert!(axis.ticks(30.0).iter().all(|tick| *tick == 0.0 || axis.label(*tick).ends_with(" MiB")));
    }

    #[test]
    fn values_beyond_the_ends_stay_inside() {
        let axis = Axis::from_zero(10.0, "byte", 100.0, 200.0);
        assert_eq!((axis.at(0.0), axis.at(-5.0), axis.at(1e9)), (100.0, 100.0, 200.0));
        let axis = Axis::log(1.0, 100.0, "ns", 0.0, 100.0);
        assert!((axis.at(10.0) - 50.0).abs() < 1e-9);
        assert_eq!(axis.at(0.0), 0.0);
    }
}
