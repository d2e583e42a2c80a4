//! A history for a terminal: one line a series, with a spark line.

use super::{History, RATIO, Series};
use crate::fmt;
use crate::stats::median::median;

/// Points of a spark line.
const SPARK: usize = 32;
const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// The table.
#[must_use]
pub fn table(history: &History) -> String {
    let mut out = String::new();
    let mut host = None;
    for series in &history.series {
        if host != Some(&series.host) {
            out.push_str(&format!(
                "{}{}\n",
                if host.is_some() { "\n" } else { "" },
                fmt::clean(&series.host)
            ));
            host = Some(&series.host);
        }
        let name = fmt::shortened(&name(series), 62);
        let values: Vec<f64> = series.points.iter().map(|point| point.value).collect();
        let last = values.last().copied().unwrap_or(f64::NAN);
        out.push_str(&format!(
            "  {name:<62} {:>5} runs {:>12} {}\n",
            values.len(),
            value(series, last),
            spark(&values)
        ));
        for change in &series.changes {
            let percent = (change.after / change.before - 1.0) * 100.0;
            out.push_str(&format!(
                "    {} since {}: {} → {} ({percent:+.1} %)\n",
                change.direction,
                fmt::clean(&change.folder),
                value(series, change.before),
                value(series, change.after)
            ));
        }
    }
    out.push_str(&format!("\n{} runs, {} series\n", history.runs, history.series.len()));
    out
}

/// `microvm startup cache=warm: startup`.
#[must_use]
pub fn name(series: &Series) -> String {
    let blank = if series.params.is_empty() { "" } else { " " };
    fmt::clean(&format!("{} {}{blank}{}: {}", series.runtime, series.scenario, series.params, series.metric))
}

/// A value with its unit.
#[must_use]
pub fn value(series: &Series, value: f64) -> String {
    if series.unit == RATIO { fmt::ratio(value, None) } else { fmt::quantity(&series.unit, value, None) }
}

/// The last points as bars. All equal: all in the middle.
#[must_use]
pub fn spark(values: &[f64]) -> String {
    let shown = &values[values.len().saturating_sub(SPARK)..];
    let (low, high) =
        shown.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), x| (l.min(*x), h.max(*x)));
    let middle = median(shown).unwrap_or(0.0).abs();
    // A flutter in the fourth digit is no mountain range.
    let span = (high - low).max(middle * 0.01);
    let base = (high + low - span) / 2.0;
    let bar = |x: &f64| {
        let share = if span > 0.0 { (x - base) / span } else { 0.5 };
        BARS[((share * 7.0).round() as usize).min(7)]
    };
    shown.iter().map(bar).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sparks_show_shape_and_not_flutter() {
        assert_eq!(spark(&[1.0, 2.0, 3.0, 8.0]), "▁▂▃█");
        assert_eq!(spark(&[]), "");
        assert_eq!(spark(&[0.0, 0.0]).chars().count(), 2);
        let flat = spark(&[100.0, 100.01, 100.0]);
        assert!(flat.chars().all(|c| c == '▅' || c == '▄'), "{flat}");
        assert_eq!(spark(&vec![1.0; 100]).chars().count(), SPARK);
    }
}
