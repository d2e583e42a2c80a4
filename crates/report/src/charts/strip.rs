//! How are the values spread, and where is their middle?
//!
//! Every value is a dot (of very many, a fair choice that keeps both ends); the median is a line with the exact
//! 95 % interval as a bar below the dots; the floor, where one was measured, is a mark of its own.

use super::axis::Axis;
use super::lanes::Lanes;
use super::letters;
use super::scene::{Anchor, Ink, Scene, Style, Weight};
use crate::stats::median::sorted;

/// Dots drawn for one row at most.
const DOTS: usize = 300;
/// Extreme values that are kept on each side when dots are chosen.
const ENDS: usize = 25;
/// Height of a row's plot, of one among many, and of one among very many.
const ROWS: [f64; 3] = [46.0, 34.0, 27.0];
/// Rows from which on there are many, and very many.
const MANY: [usize; 2] = [12, 30];

/// How values stand on the axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    /// By their logarithms: positive values only.
    Log,
    /// From zero, and from below it where values are.
    Zero,
}

/// The values of one runtime.
#[derive(Clone, Debug)]
pub struct Row {
    /// Its name.
    pub label: String,
    /// Its median in words.
    pub value: String,
    /// Its ink.
    pub ink: Ink,
    /// The values.
    pub values: Vec<f64>,
    /// Median.
    pub median: f64,
    /// The two places where the values gather, if they do.
    pub modes: Option<[f64; 2]>,
    /// Interval of the median.
    pub ci95: Option<[f64; 2]>,
    /// Median of the floor.
    pub floor: Option<f64>,
    /// What a pointer over the row is told.
    pub tip: String,
}

/// Rows under a common heading.
#[derive(Clone, Debug)]
pub struct Panel {
    /// The heading; empty for none.
    pub title: String,
    /// The rows.
    pub rows: Vec<Row>,
}

/// Draws the panels one below the other over one axis.
#[must_use]
pub fn draw(panels: &[Panel], scale: Scale, unit: &str, title: &str, width: f64) -> Scene {
    let rows = || panels.iter().flat_map(|panel| &panel.rows);
    let lanes = Lanes::new(width, rows().map(|r| &*r.label), rows().map(|r| &*r.value));
    let mut scene = Scene::new(width);
    let Some(axis) = axis(panels, scale, unit, &lanes) else { return scene };
    let row_high = ROWS[MANY.iter().filter(|many| rows().count() >= **many).count()];
    let mut plot = Scene::new(width);
    let mut y = 4.0;
    for panel in panels {
        if !panel.title.is_empty() {
            plot.heading((0.0, y + 15.0), &panel.title, Style::new(Ink::Text).medium());
            y += 26.0;
        }
        for row in &panel.rows {
            let from = plot.items.len();
            lanes.label(&mut plot, y, row_high, &row.label, &row.value);
            y += lanes.head();
            one(&mut plot, &axis, row, [y, width, row_high]);
            plot.own(from, &row.label);
            y += row_high + 6.0;
        }
        y += 4.0;
    }
    axis.draw(&mut scene, 2.0, y, title);
    scene.place(plot, 0.0, 0.0);
    scene
}

/// The axis that holds all values; none where there is nothing that it could hold.
fn axis(panels: &[Panel], scale: Scale, unit: &str, lanes: &Lanes) -> Option<Axis> {
    let rows = panels.iter().flat_map(|panel| &panel.rows);
    let seen: Vec<f64> = rows.flat_map(|r| r.values.iter().copied().chain(r.floor)).collect();
    let positive = || seen.iter().copied().filter(|value| *value > 0.0);
    let (low, high) = (seen.iter().copied().fold(0.0, f64::min), seen.iter().copied().fold(0.0, f64::max));
    match scale {
        Scale::Log => (high > 0.0).then(|| {
            Axis::log(positive().fold(f64::INFINITY, f64::min), high, unit, lanes.left, lanes.right)
        }),
        Scale::Zero if seen.is_empty() => None,
        Scale::Zero if low < 0.0 => Some(Axis::linear(low, high, unit, lanes.left, lanes.right)),
        // All there is of a share is known.
        Scale::Zero => {
            let high = if unit == "share" { high.max(1.0) } else { high };
            Some(Axis::from_zero(high, unit, lanes.left, lanes.right))
        }
    }
}

fn one(scene: &mut Scene, axis: &Axis, row: &Row, [top, width, high]: [f64; 3]) {
    scene.rect([0.0, top, width, high], 0.0, Ink::Paper).alpha(0.0).tip(&*row.tip);
    // The last ten pixels are the interval's.
    let half = (high - 12.0) / 2.0;
    let middle = top + half;
    let dots = chosen(&row.values).into_iter().enumerate().map(|(i, value)| {
        // Golden-ratio jitter: even and always the same.
        let lift = (((i as f64 + 1.0) * 0.618_033_988_75).fract() - 0.5) * (2.0 * half - 12.0);
        (axis.at(value), middle + lift)
    });
    scene.dots(dots.collect(), 2.6, row.ink).alpha(0.5);
    match row.modes {
        None => quartiles(scene, axis, row, [middle - half + 4.0, middle + half - 4.0]),
        Some(modes) => gathered(scene, axis, row, modes, top),
    }
    let bar = top + high - 10.0;
    if let Some([low, high]) = row.ci95 {
        let (from, to) = (axis.at(low), axis.at(high));
        scene.rect([from - 1.0, bar - 3.0, to - from + 2.0, 6.0], 2.0, row.ink).alpha(0.45);
    }
    let x = axis.at(row.median);
    scene.line([x, top + 2.0, x, bar + 6.0], 2.4, row.ink);
    if let Some(floor) = row.floor {
        let x = axis.at(floor);
        scene.dashes([x, top + 2.0, x, bar + 1.0], 1.4, Ink::Axis);
        scene.polygon(vec![(x - 4.5, bar + 8.0), (x + 4.5, bar + 8.0), (x, bar + 1.0)], Ink::Axis);
        floor_name(scene, axis, row, (x, bar + 8.0));
    }
}

/// The name of the floor beside its mark, where it lies over neither interval nor median; the caption tells it as well.
fn floor_name(scene: &mut Scene, axis: &Axis, row: &Row, (x, base): (f64, f64)) {
    let words = crate::words::say("chart.floor");
    let room = letters::room(&words, 11.0, Weight::Regular);
    let interval = row.ci95.map(|ci| ci.map(|value| axis.at(value)));
    let middle = axis.at(row.median);
    let free = |from: f64| {
        let apart = |[low, high]: [f64; 2]| from + room < low - 3.0 || from > high + 3.0;
        let inside = from >= 0.0 && from + room <= scene.width;
        inside && apart([middle; 2]) && interval.is_none_or(apart)
    };
    // To the left, where the faster values would be, or else to the right.
    let style = Style::new(Ink::Muted).size(11.0);
    if free(x - 7.0 - room) {
        scene.text((x - 7.0, base), &words, style.anchor(Anchor::End));
    } else if free(x + 7.0) {
        scene.text((x + 7.0, base), &words, style);
    }
}

/// Where the values gather: a mark from above at either place. A box between them would hold what was hardly ever measured.
fn gathered(scene: &mut Scene, axis: &Axis, row: &Row, modes: [f64; 2], top: f64) {
    for x in modes.map(|mode| axis.at(mode)) {
        scene.polygon(vec![(x - 5.5, top - 4.0), (x + 5.5, top - 4.0), (x, top + 5.0)], row.ink);
    }
}

/// The box that holds the middle half of the values.
fn quartiles(scene: &mut Scene, axis: &Axis, row: &Row, [top, bottom]: [f64; 2]) {
    let all = sorted(&row.values);
    let at = |share: f64| all.get(((all.len() - 1) as f64 * share).round() as usize).copied();
    // Of few values there is no middle half.
    let Some((low, high)) = at(0.25).zip(at(0.75)).filter(|_| all.len() >= 8) else { return };
    let [left, right] = [low, high].map(|value| axis.at(value));
    let corners = vec![(left, top), (right, top), (right, bottom), (left, bottom), (left, top)];
    scene.curve(corners, 1.2, row.ink).alpha(0.8);
}

/// At most [`DOTS`] of the values: the extremes as they are, the rest thinned evenly by rank.
fn chosen(values: &[f64]) -> Vec<f64> {
    if values.len() <= DOTS {
        return values.to_vec();
    }
    let all = sorted(values);
    let (inner, kept) = (all.len() - 2 * ENDS, DOTS - 2 * ENDS);
    let thinned = (0..kept).map(|i| all[ENDS + i * inner / kept]);
    all[..ENDS].iter().copied().chain(thinned).chain(all[all.len() - ENDS..].iter().copied()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::charts::scene::Mark;

    #[test]
    fn both_ends_survive_thinning() {
        let values: Vec<f64> = (0..10_000).map(f64::from).collect();
        let kept = chosen(&values);
        assert_eq!(kept.len(), DOTS);
        assert!(
            kept.contains(&0.0) && kept.contains(&24.0) && kept.contains(&9_999.0) && kept.contains(&9_975.0)
        );
        assert_eq!(chosen(&values[..9]).len(), 9);
    }

    #[test]
    fn two_modes_are_marked_and_no_box_is_drawn_between_them() {
        let row = |modes| Row {
            label: "a".into(),
            value: "v".into(),
            ink: Ink::Runtime(1),
            values: (0..20).map(|at| if at % 2 == 0 { 0.2 } else { 0.8 }).collect(),
            median: 0.5,
            modes,
            ci95: None,
            floor: None,
            tip: String::new(),
        };
        let marks = |modes| {
            let panel = Panel { title: String::new(), rows: vec![row(modes)] };
            let scene = draw(&[panel], Scale::Zero, "share", "t", 880.0);
            let arrows = scene.items.iter().filter(|item| matches!(item.mark, Mark::Polygon { .. })).count();
            (arrows, scene.items.len() - arrows)
        };
        let (none, plain) = marks(None);
        let (two, gathered) = marks(Some([0.2, 0.8]));
        assert_eq!((none, two), (0, 2));
        assert!(gathered < plain, "the box is left out");
    }

    #[test]
    fn shares_are_seen_against_all_there_is() {
        let lanes = Lanes::new(880.0, ["a"].into_iter(), ["v"].into_iter());
        let row = Row {
            label: "a".into(),
            value: "v".into(),
            ink: Ink::Runtime(1),
            values: vec![0.1, 0.2],
            median: 0.15,
            modes: None,
            ci95: None,
            floor: None,
            tip: String::new(),
        };
        let panels = [Panel { title: String::new(), rows: vec![row] }];
        let axis = axis(&panels, Scale::Zero, "share", &lanes).expect("an axis");
        assert_eq!(axis.at(0.0), lanes.left);
        assert!(axis.at(1.0) < lanes.right && axis.at(1.0) > axis.at(0.5));
    }
}
