//! `summary.md`: the answers for a pull request or a job summary.
//!
//! Names and messages from outside cannot become markup: everything that Markdown or HTML could read is escaped.

use std::fmt::Write;

use isomark_core::record::Warning;

use crate::answers;
use crate::controls;
use crate::fmt;
use crate::scoreboard;
use crate::summary::{CellSummary, Figure, MetricSummary, Status, Summary};
use crate::warnings::of_no_use;
use crate::words::{data, named, retold, say, tell};

/// Rows of the table of all metrics; a job summary has a limit of size.
const ROWS: usize = 400;

/// The summary as Markdown (GitHub's dialect).
#[must_use]
pub fn markdown(summary: &Summary) -> String {
    let mut out = String::new();
    head(&mut out, summary);
    headline(&mut out, summary);
    claims(&mut out, summary);
    trust(&mut out, summary);
    warnings(&mut out, summary);
    metrics(&mut out, summary);
    foot(&mut out, summary);
    out
}

fn put(out: &mut String, text: &str) {
    out.push_str(text);
    out.push('\n');
}

fn head(out: &mut String, summary: &Summary) {
    let run = &summary.run;
    put(out, &format!("# isomark: {}\n", escape(&run.id)));
    put(out, &format!("{}\n", escape(&answers::overall(summary))));
    let host = &run.host;
    let with: [(&str, &dyn std::fmt::Display); 13] = [
        ("host", &escape(&host.name)),
        ("class", &escape(&host.kvm_class)),
        ("cgroup", &escape(&host.cgroup)),
        ("kernel", &escape(&host.kernel)),
        ("cpu", &escape(&host.cpu)),
        ("cpus", &host.cpus),
        ("memory", &fmt::quantity("byte", host.memory as f64, None)),
        ("hypervisor", &escape(&host.hypervisor)),
        ("user", &escape(&host.user)),
        ("plan", &escape(&run.plan)),
        ("seed", &run.seed),
        ("done", &run.blocks_done),
        ("blocks", &run.blocks),
    ];
    put(out, &tell("markdown.host", &with));
    out.push('\n');
}

fn headline(out: &mut String, summary: &Summary) {
    let columns = &summary.headline.columns;
    if columns.is_empty() {
        return;
    }
    let titles: Vec<String> =
        columns.iter().map(|c| format!("{}<br>{}", escape(&c.scenario), escape(&c.what))).collect();
    put(out, &format!("| {} | {} |", say("table.runtime"), titles.join(" | ")));
    put(out, &format!("|---|{}", "---:|".repeat(columns.len())));
    for row in &summary.headline.rows {
        let cells: Vec<String> = match &row.reason {
            Some(reason) => vec![tell("headline.skipped", &[("why", &escape(reason))])],
            None => row.figures.iter().map(|f| f.as_ref().map_or("~".to_owned(), figure)).collect(),
        };
        put(out, &format!("| {} | {} |", escape(&row.runtime), cells.join(" | ")));
    }
    put(out, &format!("\n{}\n", say("markdown.ratios")));
}

fn figure(figure: &Figure) -> String {
    match (figure.value, figure.ratio, figure.verdict) {
        (Some(_), None, None) => answers::value(figure),
        (Some(_), _, _) => format!("{}<br>{}", answers::value(figure), answers::with_interval(figure)),
        (None, Some(_), _) => answers::with_interval(figure),
        (None, None, _) => say("markdown.reference"),
    }
}

/// The documents' claims that the run decides, each with what was measured.
fn claims(out: &mut String, summary: &Summary) {
    let measured = summary.claims.iter().filter(|claim| scoreboard::was_measured(claim));
    let rows: Vec<String> = measured
        .map(|c| {
            format!(
                "| {} | {} | {} |",
                escape(&data(&c.title)),
                named("word", c.verdict.word()),
                escape(&c.says)
            )
        })
        .collect();
    if rows.is_empty() {
        return;
    }
    put(out, &say("markdown.claims"));
    put(out, "|---|---|---|");
    rows.iter().for_each(|row| put(out, row));
    put(out, &format!("\n{}\n", escape(&scoreboard::counts(&summary.claims))));
}

/// What the controls say, in a line per scenario.
fn trust(out: &mut String, summary: &Summary) {
    let said = controls::sentences(&summary.controls);
    if said.is_empty() {
        return;
    }
    for sentence in said {
        put(out, &format!("- {}", escape(&sentence)));
    }
    put(out, &format!("\n{}\n", say("markdown.controls")));
}

fn warnings(out: &mut String, summary: &Summary) {
    let (lacks, mended): (Vec<&Warning>, Vec<&Warning>) =
        summary.warnings.iter().partition(|one| of_no_use(one));
    if !summary.warnings.is_empty() {
        put(out, &format!("## {}\n", say("page.warnings")));
    }
    for warning in &mended {
        let (cause, remedy) = (escape(&retold(&warning.cause)), escape(&retold(&warning.remedy)));
        put(out, &tell("markdown.warning", &[("cause", &cause), ("remedy", &remedy)]));
    }
    if !mended.is_empty() {
        out.push('\n');
    }
    if lacks.is_empty() {
        return;
    }
    put(out, &format!("<details><summary>{}</summary>\n", tell("page.lacks", &[("n", &lacks.len())])));
    lacks.iter().for_each(|lack| put(out, &format!("- {}", escape(&retold(&lack.cause)))));
    put(out, "\n</details>\n");
}

fn metrics(out: &mut String, summary: &Summary) {
    put(out, &format!("<details><summary>{}</summary>\n", say("table.all_metrics")));
    put(out, &say("markdown.metrics"));
    put(out, "|---|---|---|---|---:|---:|---:|---:|---:|---|");
    let mut left = ROWS;
    for cell in &summary.cells {
        let head = format!(
            "| {} | {} | {} |",
            escape(&cell.scenario),
            escape(&cell.params.to_string()),
            escape(&cell.runtime)
        );
        if cell.metrics.is_empty() || cell.status == Status::Skipped {
            put(out, &format!("{head} | | | | | | {} |", reason(cell)));
        }
        for metric in cell.metrics.iter().take(left) {
            put(out, &format!("{head} {}", metric_row(cell, metric)));
        }
        left = left.saturating_sub(cell.metrics.len());
    }
    if left == 0 {
        put(out, &format!("\n{}", say("markdown.cut")));
    }
    put(out, "\n</details>\n");
}

fn reason(cell: &CellSummary) -> String {
    let reason = cell.reason.as_deref().map_or_else(|| say("table.no_reason"), escape);
    tell("table.reason", &[("status", &named("word", cell.status.word())), ("why", &reason)])
}

fn metric_row(cell: &CellSummary, metric: &MetricSummary) -> String {
    let mut row = format!("{} | {} | {} | ", escape(&metric.name), metric.n, metric.failed);
    let Some(median) = metric.median else {
        return format!("{row}| | | {} |", reason(cell));
    };
    if let Some(phase) = metric.folded {
        let phase = named("phase", phase.word());
        return format!("{row}{} | | | |", tell("table.folded", &[("phase", &phase)]));
    }
    let ci95 = answers::bounds(metric.ci95);
    // Writing to a String cannot fail.
    let _ = write!(row, "{} | ", escape(&fmt::quantity(&metric.unit, median.0, ci95)));
    let _ = write!(row, "{} | ", ci95.map_or("~".into(), |ci| fmt::interval(&metric.unit, median.0, ci)));
    match &metric.versus {
        Some(versus) => {
            let ratio = versus.ratio.map_or("~".into(), |ratio| fmt::ratio(ratio, versus.ci95));
            let _ = write!(row, "{ratio} | {} |", named("word", versus.verdict.word()));
        }
        None => row.push_str("| |"),
    }
    row
}

fn foot(out: &mut String, summary: &Summary) {
    let run = &summary.run;
    put(
        out,
        &tell(
            "markdown.foot",
            &[("isomark", &escape(&run.isomark)), ("payload", &escape(&run.payload_sha256))],
        ),
    );
}

/// Words made harmless inside a table of GitHub's Markdown.
///
/// What calls a person (`@name`) or points at an issue (`#7`) is looked for in what the Markdown has become, where neither a
/// backslash nor an entity is left of it (github/markup, issue 1168): a blank of no width keeps the two apart. A bare address
/// becomes a link that shows where it leads; nothing is fetched from it.
pub(crate) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let text = fmt::clean(text);
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '|' | '\\' | '`' | '*' | '_' | '[' | ']' | '#' | '~' => {
                out.push('\\');
                out.push(c);
            }
            _ => out.push(c),
        }
        let next = chars.peek();
        if c == '@' && next.is_some_and(char::is_ascii_alphanumeric)
            || c == '#' && next.is_some_and(char::is_ascii_digit)
        {
            out.push_str("&#8203;");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_from_outside_cannot_become_markup() {
        assert_eq!(escape("<script>|a|`b`"), "&lt;script&gt;\\|a\\|\\`b\\`");
        assert_eq!(escape("[x](y)\n# z"), "\\[x\\](y) \\# z");
        assert_eq!(escape("@you a/b#7 <!-- x -->"), "@&#8203;you a/b\\#&#8203;7 &lt;!-- x --&gt;");
        assert_eq!(escape("CPU @ 2 GHz #"), "CPU @ 2 GHz \\#");
        assert_eq!(escape("![x](https://y)"), "!\\[x\\](https://y)");
    }
}
