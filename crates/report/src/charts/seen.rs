//! Who sees what of the host?
//!
//! Each canary and each fact downwards, runtimes across: seen, hidden or not testable, as signs that need no colour. What
//! was asked is read from the samples; runs that did not store it show what was seen by anybody.

use std::collections::BTreeSet;

use isomark_core::record::Cell as Asked;

use super::matrix::{self, Cell, Group, Row, Sign};
use super::scene::Ink;
use super::{Chart, counts, texts};
use crate::controls::is_control;
use crate::dataset::{Dataset, Observed};
use crate::fmt;
use crate::summary::{CellSummary, Summary};
use crate::words::{data as data_words, say, tell};

/// What is asked of each: the notes of what was seen, of what was asked, and of what nobody could be asked for.
const ASKED: [[&str; 3]; 2] = [
    ["canaries-visible", "canaries-planted", "not planted"],
    ["facts-visible", "facts-asked", "not told by the host"],
];

/// One runtime with what its samples say.
struct Column<'d> {
    name: String,
    seen: &'d Observed,
    summary: &'d CellSummary,
}

/// The matrix of a run; none where nobody looked.
pub(super) fn chart<'d>(data: &'d Dataset<'_>, summary: &'d Summary) -> Option<Chart> {
    let columns: Vec<Column<'d>> =
        summary.headline.rows.iter().filter_map(|row| column(data, summary, &row.runtime)).collect();
    if columns.is_empty() {
        return None;
    }
    let mut groups: Vec<Group> = ASKED
        .iter()
        .zip(texts::MATRIX_GROUPS)
        .filter_map(|(notes, title)| group(&columns, *notes, title))
        .collect();
    groups.extend(numbers(&columns));
    let n = counts(columns.iter().filter_map(|column| column.summary.headline()).map(|metric| metric.n));
    let said = columns.iter().filter_map(|column| {
        let leak = column.summary.metric("leak")?.median?.0;
        Some(format!("{} {:.0} %", column.name, leak * 100.0))
    });
    let says = texts::listing(texts::MATRIX_SAYS, said.collect());
    let names: Vec<String> = columns.iter().map(|column| column.name.clone()).collect();
    let draw = |width| matrix::draw(&names, &groups, width);
    Some(
        Chart::new(
            ("isolation-matrix", "isolation"),
            say("chart.matrix"),
            tell("chart.matrix_caption", &[("n", &n)]),
            draw,
        )
        .saying(says),
    )
}

fn column<'d>(data: &'d Dataset<'_>, summary: &'d Summary, runtime: &str) -> Option<Column<'d>> {
    let wanted = |cell: &Asked| {
        cell.runtime == runtime
            && cell.scenario == "isolation"
            && !is_control(cell)
            && cell.params.text("ask").is_none()
    };
    let at = data.run.cells.iter().position(wanted)?;
    let params = &data.run.cells[at].params;
    let summary = summary.scenario("isolation").find(|c| c.runtime == runtime && c.params == *params)?;
    let seen = &data.cells[at];
    (!seen.series.is_empty()).then(|| Column { name: fmt::clean(runtime), seen, summary })
}

/// The names that a note lists, over all samples.
fn listed<'d>(seen: &'d Observed, note: &str) -> BTreeSet<&'d str> {
    let all = seen.notes.get(note).into_iter().flatten().flat_map(|words| words.split(", "));
    all.filter(|name| *name != "none").collect()
}

fn group(columns: &[Column<'_>], [visible, asked, untold]: [&str; 3], title: &str) -> Option<Group> {
    let mut names: Vec<&str> = Vec::new();
    for note in [asked, visible, untold] {
        // In the order in which they were asked, not in that of the alphabet.
        let lists = columns.iter().filter_map(|column| column.seen.notes.get(note)).flatten();
        for name in lists.flat_map(|words| words.split(", ")).filter(|name| *name != "none") {
            if !names.contains(&name) {
                names.push(name);
            }
        }
    }
    let row = |name: &&str| Row {
        label: fmt::clean(&data_words(name)),
        note: String::new(),
        cells: columns.iter().map(|column| Some(cell(column, name, [visible, asked, untold]))).collect(),
    };
    let rows: Vec<Row> = names.iter().map(row).collect();
    (!rows.is_empty()).then(|| Group::new(say(title), rows))
}

fn cell(column: &Column<'_>, name: &str, [visible, asked, untold]: [&str; 3]) -> Cell {
    let stored = column.seen.notes.contains_key(asked);
    let (ground, sign, words) = if listed(column.seen, visible).contains(name) {
        ((Ink::Worse, 0.3), Sign::Full, texts::SEEN)
    } else if listed(column.seen, untold).contains(name)
        || (stored && !listed(column.seen, asked).contains(name))
    {
        ((Ink::Grid, 0.25), Sign::Dash, texts::NOT_TESTABLE)
    } else {
        ((Ink::Grid, 0.45), Sign::Hollow, texts::HIDDEN)
    };
    let tip = format!("{}, {}: {}", column.name, fmt::clean(&data_words(name)), say(words));
    Cell { ground: Some(ground), words: String::new(), range: String::new(), sign, tip }
}

fn numbers(columns: &[Column<'_>]) -> Option<Group> {
    let one = |column: &Column<'_>, metric: &str, label: &str| {
        let value = column.summary.metric(metric)?.median?.0;
        let words = if metric == "leak" { format!("{:.0} %", value * 100.0) } else { format!("{value:.0}") };
        let tip = format!("{}, {}: {words}", column.name, say(label));
        Some(Cell { ground: None, words, range: String::new(), sign: Sign::None, tip })
    };
    let row = |(metric, label): (&str, &str)| Row {
        label: say(label),
        note: String::new(),
        cells: columns.iter().map(|column| one(column, metric, label)).collect(),
    };
    let rows: Vec<Row> = texts::MATRIX_COUNTS.into_iter().map(row).collect();
    let rows: Vec<Row> = rows.into_iter().filter(|row| row.cells.iter().any(Option::is_some)).collect();
    (!rows.is_empty()).then(|| Group::new(say(texts::MATRIX_GROUPS[2]), rows))
}
