//! The table at a glance: a row a runtime, a column a question, and the notes below it.

use super::{ColumnView, FigureView, RowView, anchor, ink};
use crate::summary::{Figure, Summary};
use crate::words::{named, say};
use crate::{answers, fmt, tables};

pub(super) fn columns(summary: &Summary) -> Vec<ColumnView> {
    let one = |(at, column): (usize, &crate::summary::Column)| ColumnView {
        scenario: fmt::clean(&column.scenario),
        name: named("scenario", &fmt::clean(&column.scenario)),
        anchor: anchor(&column.scenario),
        what: fmt::clean(&answers::asked(summary, at, column)),
    };
    summary.headline.columns.iter().enumerate().map(one).collect()
}

/// The rows, and their notes in the order of the questions.
pub(super) fn rows(summary: &Summary) -> (Vec<RowView>, Vec<String>) {
    let headline = &summary.headline;
    let why = |at: usize, row: &crate::summary::Row| {
        let figure = row.figures.get(at)?.as_ref()?;
        let equal = || by_size(summary, &row.runtime, &headline.columns.get(at)?.scenario, figure);
        let why = figure.why.clone().or_else(equal);
        let all = [why, two_modes(summary, &row.runtime, &headline.columns.get(at)?.scenario, figure)];
        let all: Vec<String> = all.into_iter().flatten().map(|why| fmt::clean(&why)).collect();
        (!all.is_empty()).then(|| all.join(&say("list.semicolon")))
    };
    let mut notes = Vec::new();
    for (at, row) in (0..headline.columns.len()).flat_map(|at| headline.rows.iter().map(move |row| (at, row)))
    {
        tables::number_of(&mut notes, &why(at, row).unwrap_or_default());
    }
    let note = |at: usize, row: &crate::summary::Row| {
        let why = why(at, row);
        notes.iter().position(|note| Some(note) == why.as_ref()).map_or(0, |place| place + 1)
    };
    let one = |row: &crate::summary::Row| RowView {
        runtime: fmt::clean(&row.runtime),
        ink: ink(summary, &row.runtime),
        kind: named("kind", row.kind.word()),
        reason: row.reason.as_deref().map(fmt::clean),
        figures: row
            .figures
            .iter()
            .enumerate()
            .map(|(at, f)| f.as_ref().map_or_else(nothing, |f| figure(f, note(at, row))))
            .collect(),
    };
    let rows = headline.rows.iter().map(one).collect();
    (rows, notes)
}

/// Why a figure counts as equal although its ratio does not look like it.
fn by_size(summary: &Summary, runtime: &str, scenario: &str, figure: &Figure) -> Option<String> {
    let mut cells = summary.scenario(scenario);
    let cell = cells.find(|cell| cell.runtime == runtime && cell.params == figure.params)?;
    cell.metric(&figure.metric)?.versus.as_ref().and_then(tables::by_size)
}

/// That the values of a figure gather in two places, where they do.
fn two_modes(summary: &Summary, runtime: &str, scenario: &str, figure: &Figure) -> Option<String> {
    let mut cells = summary.scenario(scenario);
    let cell = cells.find(|cell| cell.runtime == runtime && cell.params == figure.params)?;
    answers::modes(cell.metric(&figure.metric)?)
}

fn nothing() -> FigureView {
    FigureView { value: "~".to_owned(), ..FigureView::default() }
}

fn figure(figure: &Figure, note: usize) -> FigureView {
    let ratio = figure.ratio.map(|_| answers::ratio(figure)).or_else(|| answers::difference(figure));
    let interval = figure.ratio.zip(figure.ratio_ci95).map(|(r, ci95)| fmt::ratio_interval(r, ci95));
    let interval = interval.unwrap_or_default();
    let verdict = figure.verdict.map_or("", |verdict| verdict.word()).to_owned();
    match (figure.value, ratio) {
        (Some(_), ratio) => FigureView {
            value: answers::value(figure),
            ratio: ratio.unwrap_or_default(),
            interval,
            verdict,
            note,
        },
        (None, Some(ratio)) => FigureView { value: ratio, ratio: String::new(), interval, verdict, note },
        (None, None) => FigureView { value: "1×".to_owned(), ..FigureView::default() },
    }
}
