//! Who does what, in one look?
//!
//! Rows are things asked, columns are runtimes. A cell has a ground whose strength says how much, words or a sign that say
//! the same without colour, and is left empty where nothing was measured. Where the page has no room for all columns, they
//! go on below; headings that do not fit above their column are turned.

use super::letters;
use super::scene::{Anchor, Ink, Scene, Style, Weight};

/// Height of a row with one line of words.
const ROW: f64 = 21.0;
/// Height of a label above its row.
const ABOVE: f64 = 16.0;
/// Size of words.
const SIZE: f64 = 11.5;
/// Angles of headings that do not fit: with room beside the last one, and without.
const TURNS: [f64; 2] = [-52.0, -68.0];
/// Widest a cell gets.
const WIDEST: f64 = 190.0;
/// Below this width long labels go above their row.
const NARROW: f64 = 420.0;

/// A sign that needs no colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sign {
    /// Words only.
    None,
    /// A full dot.
    Full,
    /// A ring.
    Hollow,
    /// A dash.
    Dash,
}

/// One cell.
#[derive(Clone, Debug)]
pub struct Cell {
    /// Its ground and how strong that is.
    pub ground: Option<(Ink, f64)>,
    /// Its words.
    pub words: String,
    /// Its interval, which is written where there is room for all of them.
    pub range: String,
    /// Its sign.
    pub sign: Sign,
    /// What a pointer over it is told.
    pub tip: String,
}

/// One row.
#[derive(Clone, Debug)]
pub struct Row {
    /// What it is about.
    pub label: String,
    /// A value that belongs to the row as a whole; may be empty.
    pub note: String,
    /// One cell a column, where there is one.
    pub cells: Vec<Option<Cell>>,
}

/// Rows under a common heading.
#[derive(Clone, Debug)]
pub struct Group {
    /// The heading; empty for none.
    pub title: String,
    /// What the rows have in common beside it; empty for nothing.
    pub common: String,
    /// The rows.
    pub rows: Vec<Row>,
}

impl Group {
    /// Rows below a heading.
    #[must_use]
    pub const fn new(title: String, rows: Vec<Row>) -> Self {
        Self { title, common: String::new(), rows }
    }
}

/// What the parts of a matrix take.
struct Sizes {
    left: f64,
    cell: f64,
    row: f64,
    head: f64,
    turn: Option<f64>,
    above: bool,
    ranges: bool,
}

/// Draws the groups over columns of these names.
#[must_use]
pub fn draw(columns: &[String], groups: &[Group], width: f64) -> Scene {
    let mut scene = Scene::new(width);
    let (sizes, abreast) = sizes(columns, groups, width);
    let mut top = 0.0;
    for from in (0..columns.len()).step_by(abreast) {
        let to = (from + abreast).min(columns.len());
        scene.place(part(&columns[from..to], from, groups, &sizes, width), 0.0, top);
        top = scene.height + 16.0;
    }
    scene
}

/// Sizes, and how many columns stand side by side.
fn sizes(columns: &[String], groups: &[Group], width: f64) -> (Sizes, usize) {
    let rows = || groups.iter().flat_map(|group| &group.rows);
    let room = |words: &str, weight| letters::room(words, SIZE, weight);
    let label = |row: &Row| {
        let note = if row.note.is_empty() { 0.0 } else { room(&row.note, Weight::Regular) + 12.0 };
        room(&row.label, Weight::Regular) + note
    };
    let label = rows().map(label).fold(0.0, f64::max) + 12.0;
    let above = width < NARROW && label > width * 0.36;
    let left = if above { 0.0 } else { label.min(width * 0.45) };
    let cells = || rows().flat_map(|row| row.cells.iter().flatten());
    let short = cells().map(|cell| room(&cell.words, Weight::Regular) + 9.0).fold(26.0, f64::max);
    let long = cells().map(|cell| room(&with_range(cell), Weight::Regular) + 9.0).fold(short, f64::max);
    let ranges = long > short && left + long * columns.len() as f64 <= width;
    let (cell, widest) = if ranges { (long, long.max(WIDEST) * 1.2) } else { (short, WIDEST) };
    let longest = columns.iter().map(|name| room(name, Weight::Medium)).fold(0.0, f64::max);
    let turn = TURNS[usize::from(width < NARROW)];
    let angle = turn.abs().to_radians();
    let count = columns.len().max(1);
    // Parts of even width look better than a full one and a rest.
    let even = |room: f64| count.div_ceil(count.div_ceil(((room / cell).floor() as usize).clamp(1, count)));
    let turned = longest + 6.0 > ((width - left) / even(width - left) as f64).min(widest);
    // The last heading leans over the end of its column.
    let lean = if turned { (longest * angle.cos() - cell / 2.0 + 4.0).clamp(0.0, width * 0.2) } else { 0.0 };
    let abreast = even(width - left - lean);
    let cell = ((width - left - lean) / abreast as f64).min(widest);
    let head = if turned { longest * angle.sin() + 14.0 } else { 20.0 };
    let row = if above { ROW + ABOVE + 3.0 } else { ROW };
    (Sizes { left, cell, row, head, turn: turned.then_some(turn), above, ranges }, abreast)
}

/// The words of a cell with its interval.
fn with_range(cell: &Cell) -> String {
    if cell.range.is_empty() { cell.words.clone() } else { format!("{} [{}]", cell.words, cell.range) }
}

fn part(columns: &[String], from: usize, groups: &[Group], sizes: &Sizes, width: f64) -> Scene {
    let mut scene = Scene::new(width);
    for (at, name) in columns.iter().enumerate() {
        heading(&mut scene, name, at, sizes);
    }
    let mut y = sizes.head + 2.0;
    let mut rows: Vec<(&Row, f64)> = Vec::new();
    for group in groups {
        if !group.title.is_empty() {
            scene.text((0.0, y + 15.0), &group.title, Style::new(Ink::Text).size(12.5).medium());
            y += 22.0;
        }
        if !group.common.is_empty() {
            scene.text((0.0, y + 13.0), &group.common, Style::new(Ink::Muted).size(SIZE).medium());
            y += 20.0;
        }
        for row in &group.rows {
            label(&mut scene, row, y, sizes);
            rows.push((row, y));
            y += sizes.row;
        }
        y += 6.0;
    }
    // Column by column: what is of one runtime is one group of the page.
    for (at, name) in columns.iter().enumerate() {
        let before = scene.items.len();
        for (row, y) in &rows {
            cell(&mut scene, row.cells.get(from + at).and_then(Option::as_ref), at, *y, sizes);
        }
        scene.own(before, name);
    }
    scene.height = y;
    scene
}

fn heading(scene: &mut Scene, name: &str, at: usize, sizes: &Sizes) {
    let middle = sizes.left + sizes.cell * (at as f64 + 0.5);
    let style = Style::new(Ink::Text).size(SIZE).medium();
    let before = scene.items.len();
    if let Some(turn) = sizes.turn {
        scene.turned((middle + 3.0, sizes.head - 4.0), name, style, turn);
    } else {
        scene.text((middle, sizes.head - 6.0), name, style.anchor(Anchor::Middle));
    }
    scene.own(before, name);
}

fn label(scene: &mut Scene, row: &Row, y: f64, sizes: &Sizes) {
    let style = Style::new(Ink::Text).size(SIZE);
    let muted = Style::new(Ink::Muted).size(11.0);
    let taken =
        if row.note.is_empty() { 0.0 } else { letters::room(&row.note, 11.0, Weight::Regular) + 10.0 };
    let end = if sizes.above { scene.width } else { sizes.left - 8.0 };
    let text = letters::fitted(&row.label, end - taken, SIZE, Weight::Regular);
    let item = scene.text((0.0, y + 14.5), &text, style);
    if text != row.label {
        item.tip(&*row.label);
    }
    if !row.note.is_empty() {
        scene.text((end - 2.0, y + 14.5), &row.note, muted.anchor(Anchor::End));
    }
}

fn cell(scene: &mut Scene, cell: Option<&Cell>, at: usize, y: f64, sizes: &Sizes) {
    let y = if sizes.above { y + ABOVE + 2.0 } else { y };
    let (x, high) = (sizes.left + sizes.cell * at as f64, ROW - 2.0);
    let area = [x + 1.0, y, sizes.cell - 2.0, high];
    let Some(cell) = cell else {
        scene.rect(area, 2.0, Ink::Grid).alpha(0.25).tip(crate::words::say("chart.unmeasured"));
        return;
    };
    let (ink, alpha) = cell.ground.unwrap_or((Ink::Grid, 0.45));
    scene.rect(area, 2.0, ink).alpha(alpha).tip(&*cell.tip);
    let (middle, center) = (x + sizes.cell / 2.0, y + high / 2.0);
    match cell.sign {
        Sign::None => {
            let style = Style::new(Ink::Text).size(SIZE).anchor(Anchor::Middle);
            let words = if sizes.ranges { with_range(cell) } else { cell.words.clone() };
            scene.text((middle, center + 4.2), &words, style);
        }
        // The ground tells the pointer what it is: a sign above it need not.
        Sign::Full => _ = scene.dots(vec![(middle, center)], 5.0, Ink::Text),
        Sign::Hollow => {
            scene.dots(vec![(middle, center)], 4.6, Ink::Axis);
            scene.dots(vec![(middle, center)], 3.2, Ink::Paper);
        }
        Sign::Dash => _ = scene.line([middle - 5.0, center, middle + 5.0, center], 1.6, Ink::Axis),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::charts::scene::Mark;

    fn grid(columns: usize) -> (Vec<String>, Vec<Group>) {
        let names: Vec<String> = (0..columns).map(|at| format!("runtime-{at:02}")).collect();
        let one = Cell {
            ground: None,
            words: "1.23×".into(),
            range: "1.2–1.3".into(),
            sign: Sign::None,
            tip: "t".into(),
        };
        let row = Row { label: "a row".into(), note: "62.4 GFLOP/s".into(), cells: vec![Some(one); columns] };
        (names, vec![Group::new(String::new(), vec![row; 3])])
    }

    #[test]
    fn every_column_is_drawn_inside_the_picture_at_any_width() {
        for columns in [1, 3, 17, 40] {
            for width in [340.0, 880.0] {
                let (names, groups) = grid(columns);
                let scene = draw(&names, &groups, width);
                let cells = scene.items.iter().filter(|item| matches!(item.mark, Mark::Rect { .. }));
                let ends = cells.map(|item| match item.mark {
                    Mark::Rect { area: [x, _, w, _], .. } => x + w,
                    _ => 0.0,
                });
                let ends: Vec<f64> = ends.collect();
                assert_eq!(ends.len(), columns * 3);
                assert!(ends.iter().all(|end| *end <= width), "{columns} {width}");
                for name in &names {
                    assert!(scene.items.iter().any(|item| item.runtime.as_ref() == Some(name)), "{name}");
                }
            }
        }
    }
}
