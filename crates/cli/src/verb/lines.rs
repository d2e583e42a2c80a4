//! Tables and sentences no wider than the terminal; eighty columns where the output is no terminal.
//!
//! Invariant: no line is wider, unless it is one word that no terminal of that width could hold, such as a long path.

use comfy_table::{ColumnConstraint, ContentArrangement, Table, presets};
use isomark_report::text;

/// Columns that there are to write in.
pub(crate) fn width() -> usize {
    Table::new().width().map_or(text::WIDTH, usize::from)
}

/// A table in the house's look. Its first column holds names, which are never broken.
pub(crate) fn table(head: &[&str], width: usize) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic).set_header(head);
    table.set_width(u16::try_from(width).unwrap_or(u16::MAX));
    if let Some(names) = table.column_mut(0) {
        names.set_constraint(ColumnConstraint::ContentWidth);
    }
    table
}

/// Words behind a mark, broken where the line ends and set in below their beginning.
pub(crate) fn sentence(mark: &str, words: &str, width: usize) -> String {
    text::broken(mark, words, width).join("\n")
}
