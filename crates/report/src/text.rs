//! The compact table that ends a run in a terminal.
//!
//! Plain text without colour, at most 80 columns wide whatever the names are; `~` stands where nothing can be said.

use crate::answers;
use crate::controls;
use crate::fmt::{clean, shortened};
use crate::scoreboard;
use crate::summary::{Column, Figure, Row, Status, Summary, Trust};

/// Columns of a terminal that the table must fit.
const WIDTH: usize = 80;
/// Questions side by side; more go below.
const ABREAST: usize = 4;
/// Width of one question's column.
const COLUMN: usize = 17;

/// The table of a summary: runtimes by questions, ratio to `process` with its interval below each figure.
///
/// ```no_run
/// # fn demo(summary: &isomark_report::Summary) -> String {
/// isomark_report::text::table(summary)
/// # }
/// ```
#[must_use]
pub fn table(summary: &Summary) -> String {
    let mut out = String::new();
    let columns = &summary.headline.columns;
    for from in (0..columns.len()).step_by(ABREAST) {
        let to = (from + ABREAST).min(columns.len());
        chunk(&mut out, &columns[from..to], &summary.headline.rows, from);
        out.push('\n');
    }
    let counts = [Status::Failed, Status::Skipped]
        .map(|s| (s, summary.cells.iter().filter(|c| c.status == s).count()));
    let named: Vec<String> =
        counts.iter().filter(|(_, n)| *n > 0).map(|(s, n)| format!("{n} {}", s.word())).collect();
    if !named.is_empty() {
        line(&mut out, &format!("{} of {} cells", named.join(", "), summary.cells.len()));
    }
    for sentence in controls::sentences(&summary.controls) {
        line(&mut out, &clean(&sentence));
    }
    let noisy = summary.controls.iter().any(|c| c.headline && c.verdict == Trust::Noisy);
    if noisy {
        line(&mut out, "this host is noisy: stop what else runs, pin CPUs or take more blocks");
    }
    line(&mut out, "ratio to process with 95 % interval; ~ nothing can be said");
    let claims = scoreboard::lines(summary);
    if !claims.is_empty() {
        out.push('\n');
        claims.iter().for_each(|text| line(&mut out, text));
    }
    out
}

fn chunk(out: &mut String, columns: &[Column], rows: &[Row], from: usize) {
    let name = WIDTH - COLUMN * ABREAST;
    let titles: Vec<String> = columns.iter().map(|column| column.scenario.clone()).collect();
    cells(out, name, "", &titles);
    for row in rows {
        if let Some(reason) = &row.reason {
            line(out, &format!("{:name$}skipped: {}", clip(&row.runtime, name - 1), clean(reason)));
            continue;
        }
        let figures = &row.figures[from..from + columns.len()];
        let values: Vec<String> = figures.iter().map(|f| f.as_ref().map_or("~".to_owned(), value)).collect();
        cells(out, name, &row.runtime, &values);
        let ratios: Vec<String> =
            figures.iter().map(|f| f.as_ref().map_or_else(String::new, below)).collect();
        if ratios.iter().any(|text| !text.is_empty()) {
            cells(out, name, "", &ratios);
        }
    }
}

fn value(figure: &Figure) -> String {
    match (figure.value, figure.ratio) {
        (Some(_), _) => answers::value(figure),
        (None, Some(_)) => answers::ratio(figure),
        (None, None) => "1 (reference)".to_owned(),
    }
}

fn below(figure: &Figure) -> String {
    if figure.value.is_none() {
        return figure.ratio_ci95.zip(figure.ratio).map_or_else(
            || if figure.ratio.is_some() { "~".to_owned() } else { String::new() },
            |(ci95, ratio)| crate::fmt::ratio_interval(ratio, ci95),
        );
    }
    match (figure.ratio, figure.ratio_ci95) {
        (Some(ratio), Some(ci95)) => {
            format!("{} {}", answers::ratio(figure), crate::fmt::ratio_interval(ratio, ci95))
        }
        (Some(_), None) => format!("{} ~", answers::ratio(figure)),
        (None, _) if figure.verdict.is_some() => {
            answers::difference(figure).unwrap_or_else(|| "~".to_owned())
        }
        (None, _) => String::new(),
    }
}

fn cells(out: &mut String, width: usize, name: &str, texts: &[String]) {
    let mut row = format!("{:width$}", clip(name, width - 1));
    for text in texts {
        row.push_str(&format!("{:COLUMN$}", clip(text, COLUMN - 1)));
    }
    line(out, &row);
}

fn clip(text: &str, width: usize) -> String {
    shortened(&clean(text), width)
}

fn line(out: &mut String, text: &str) {
    out.push_str(shortened(text.trim_end(), WIDTH).trim_end());
    out.push('\n');
}
