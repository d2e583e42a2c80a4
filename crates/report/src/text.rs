//! The compact table that ends a run in a terminal.
//!
//! Plain text without colour, no wider than it is allowed to be whatever the names are; `~` stands where nothing can be
//! said. Sentences are broken between words and never cut: a warning without its remedy helps nobody.

use isomark_core::record::Warning;

use crate::answers;
use crate::controls;
use crate::fmt::{clean, shortened};
use crate::scoreboard;
use crate::stats::verdict::Verdict;
use crate::summary::{Column, Figure, Row, Status, Summary, Trust};
use crate::warnings::of_no_use;

/// Columns that every terminal has.
pub const WIDTH: usize = 80;
/// Widest column of names.
const NAME: usize = 20;
/// Widest column of a question.
const COLUMN: usize = 28;
/// Blanks between columns.
const GAP: usize = 2;
/// Warnings that are told; the page has all of them.
const WARNINGS: usize = 8;

/// The table of a summary at 80 columns: runtimes by questions, ratio to `process` with its interval below each figure.
///
/// ```no_run
/// # fn demo(summary: &isomark_report::Summary) -> String {
/// isomark_report::text::table(summary)
/// # }
/// ```
#[must_use]
pub fn table(summary: &Summary) -> String {
    table_in(summary, WIDTH)
}

/// The same in a terminal of that many columns; no fewer than 80.
#[must_use]
pub fn table_in(summary: &Summary, width: usize) -> String {
    let mut out = Lines { text: String::new(), width: width.max(WIDTH) };
    figures(&mut out, summary);
    let counts = [Status::Failed, Status::Skipped]
        .map(|s| (s, summary.cells.iter().filter(|c| c.status == s).count()));
    let named: Vec<String> =
        counts.iter().filter(|(_, n)| *n > 0).map(|(s, n)| format!("{n} {}", s.word())).collect();
    if !named.is_empty() {
        out.sentence("", &format!("{} of {} cells", named.join(", "), summary.cells.len()));
    }
    for sentence in controls::sentences(&summary.controls) {
        out.sentence("", &clean(&sentence));
    }
    if summary.controls.iter().any(|c| c.headline && c.verdict == Trust::Noisy) {
        out.sentence("", "this host is noisy: stop what else runs, pin CPUs or take more blocks");
    }
    out.sentence("", "ratio to process with 95 % interval; ~ nothing can be said");
    let claims = scoreboard::lines(summary);
    if !claims.is_empty() {
        out.text.push('\n');
        claims.iter().for_each(|(verdict, title)| out.sentence(&format!("{verdict:13} "), title));
        out.sentence("", &scoreboard::counts(&summary.claims));
    }
    warnings(&mut out, &summary.warnings);
    out.text
}

/// Cause and remedy of each warning, once; what nobody can mend is counted.
fn warnings(out: &mut Lines, all: &[Warning]) {
    let (lacks, mended): (Vec<&Warning>, Vec<&Warning>) = all.iter().partition(|one| of_no_use(one));
    if all.is_empty() {
        return;
    }
    out.text.push('\n');
    for warning in mended.iter().take(WARNINGS) {
        out.sentence("! ", &clean(&warning.cause));
        out.sentence("  → ", &clean(&warning.remedy));
    }
    if mended.len() > WARNINGS {
        out.sentence("! ", &format!("and {} more warnings in the report", mended.len() - WARNINGS));
    }
    let things = if lacks.len() == 1 { "thing" } else { "things" };
    if !lacks.is_empty() {
        let n = lacks.len();
        out.sentence("", &format!("{n} {things} that a runtime does not have here: the report names them"));
    }
}

/// One question: its title, and for each row a figure with what stands below it.
struct Asked {
    title: String,
    cells: Vec<[String; 2]>,
}

impl Asked {
    fn new(at: usize, column: &Column, rows: &[&Row]) -> Self {
        let cell = |row: &&Row| {
            let figure = row.figures.get(at).and_then(Option::as_ref);
            figure.map_or_else(|| ["~".to_owned(), String::new()], |f| [value(f), below(f)])
        };
        Self { title: clean(&column.scenario), cells: rows.iter().map(cell).collect() }
    }

    fn width(&self) -> usize {
        let texts = self.cells.iter().flatten().chain([&self.title]);
        texts.map(|text| text.chars().count()).max().unwrap_or(0).min(COLUMN)
    }
}

/// Questions side by side, as many as there is room for; more go below.
fn figures(out: &mut Lines, summary: &Summary) {
    let rows: Vec<&Row> = summary.headline.rows.iter().filter(|row| row.reason.is_none()).collect();
    let longest = rows.iter().map(|row| row.runtime.chars().count()).max().unwrap_or(0);
    let name = longest.clamp(7, NAME) + GAP;
    let columns = summary.headline.columns.iter().enumerate();
    let mut left: Vec<Asked> = columns.map(|(at, column)| Asked::new(at, column, &rows)).collect();
    while !left.is_empty() {
        let mut taken = name;
        let fits = left.iter().take_while(|one| {
            taken += one.width() + GAP;
            taken <= out.width + GAP
        });
        let fits = fits.count().max(1);
        let rest = left.split_off(fits);
        abreast(out, &left, &rows, name);
        out.text.push('\n');
        left = rest;
    }
    let skipped = summary.headline.rows.iter().filter_map(|row| Some((row, row.reason.as_ref()?)));
    let mut any = false;
    for (row, reason) in skipped {
        out.sentence("", &format!("{} skipped: {}", clean(&row.runtime), clean(reason)));
        any = true;
    }
    if any {
        out.text.push('\n');
    }
}

fn abreast(out: &mut Lines, asked: &[Asked], rows: &[&Row], name: usize) {
    let line = |out: &mut Lines, head: &str, texts: Vec<&str>| {
        let mut text = padded(head, name);
        for (one, words) in asked.iter().zip(texts) {
            text.push_str(&padded(words, one.width() + GAP));
        }
        out.line(&text);
    };
    line(out, "", asked.iter().map(|one| one.title.as_str()).collect());
    for (at, row) in rows.iter().enumerate() {
        line(out, &clean(&row.runtime), asked.iter().map(|one| one.cells[at][0].as_str()).collect());
        if asked.iter().any(|one| !one.cells[at][1].is_empty()) {
            line(out, "", asked.iter().map(|one| one.cells[at][1].as_str()).collect());
        }
    }
}

fn value(figure: &Figure) -> String {
    match (figure.value, figure.ratio) {
        (Some(_), _) => answers::value(figure),
        (None, Some(_)) => format!("{}{}", unsure(figure), answers::ratio(figure)),
        (None, None) => "1 (reference)".to_owned(),
    }
}

/// `~` before a ratio of which nothing can be said.
fn unsure(figure: &Figure) -> &'static str {
    if figure.verdict == Some(Verdict::Inconclusive) { "~" } else { "" }
}

fn below(figure: &Figure) -> String {
    let interval =
        figure.ratio.zip(figure.ratio_ci95).map(|(ratio, ci95)| crate::fmt::ratio_interval(ratio, ci95));
    match (figure.value, figure.ratio, interval) {
        (None, Some(_), interval) => interval.unwrap_or_else(|| "~".to_owned()),
        (None, None, _) => String::new(),
        (Some(_), Some(_), Some(interval)) => {
            format!("{}{} {interval}", unsure(figure), answers::ratio(figure))
        }
        (Some(_), Some(_), None) => format!("{} ~", answers::ratio(figure)),
        (Some(_), None, _) if figure.verdict.is_some() => {
            answers::difference(figure).unwrap_or_else(|| "~".to_owned())
        }
        (Some(_), None, _) => String::new(),
    }
}

fn padded(text: &str, width: usize) -> String {
    format!("{:width$}", shortened(text, width - GAP.min(width)))
}

/// Text that is no wider than it may be.
struct Lines {
    text: String,
    width: usize,
}

impl Lines {
    fn line(&mut self, text: &str) {
        self.text.push_str(shortened(text.trim_end(), self.width).trim_end());
        self.text.push('\n');
    }

    /// Words behind a mark, as [`broken`] sets them.
    fn sentence(&mut self, mark: &str, words: &str) {
        let room = self.width - mark.chars().count();
        // A word that fits on no line is cut: it is a path or a hash, and the files of the run have all of it.
        let words: Vec<String> = words.split_whitespace().map(|word| shortened(word, room)).collect();
        for line in broken(mark, &words.join(" "), self.width) {
            self.line(&line);
        }
    }
}

/// Words behind a mark, broken where the line ends and set in below their beginning. A word that is wider than a line has
/// one of its own.
#[must_use]
pub fn broken(mark: &str, words: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in words.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            Some(_) => lines.push(format!("{}{word}", " ".repeat(mark.chars().count()))),
            None => lines.push(format!("{mark}{word}")),
        }
    }
    if lines.is_empty() { vec![mark.to_owned()] } else { lines }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences_are_broken_and_not_cut() {
        let mut out = Lines { text: String::new(), width: 20 };
        out.sentence("! ", "a cause that is too long for a line");
        assert_eq!(out.text, "! a cause that is\n  too long for a\n  line\n");
        let mut out = Lines { text: String::new(), width: 10 };
        out.sentence("", "0123456789abcdef");
        assert_eq!(out.text, "012345678…\n");
        assert_eq!(broken("- ", "0123456789abcdef and more", 10), ["- 0123456789abcdef", "  and more"]);
        assert_eq!(broken("- ", " ", 10), ["- "]);
    }

    #[test]
    fn warnings_are_told_with_their_remedies_and_counted_beyond() {
        let mut out = Lines { text: String::new(), width: WIDTH };
        let one = |n: usize| Warning { cause: format!("cause {n}"), remedy: format!("remedy {n}") };
        warnings(&mut out, &(0..WARNINGS + 2).map(one).collect::<Vec<_>>());
        assert!(out.text.contains("! cause 0\n  → remedy 0\n") && !out.text.contains("cause 8"));
        assert!(out.text.ends_with("! and 2 more warnings in the report\n"), "{}", out.text);
        let mut out = Lines { text: String::new(), width: WIDTH };
        let lack = Warning { cause: "a lacks b".into(), remedy: "nothing to do: so it is".into() };
        warnings(&mut out, &[one(1), lack.clone(), lack]);
        assert_eq!(
            out.text,
            "\n! cause 1\n  → remedy 1\n2 things that a runtime does not have here: the report names them\n"
        );
    }
}
