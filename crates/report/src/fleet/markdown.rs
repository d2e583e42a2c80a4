//! A fleet's answers as Markdown and as lines for a terminal.

use std::fmt::Write as _;

use super::collected::{Collected, Status};
use super::summary::FleetSummary;
use super::words;
use crate::fmt::clean;
use crate::markdown::escape;
use crate::words::{data, named, retold, say, tell};

/// `summary.md` of a fleet.
pub(super) fn markdown(summary: &FleetSummary) -> String {
    let title = tell("fleet.title", &[("name", &summary.name)]);
    let mut out = format!("# {}\n\n{}\n", escape(&title), escape(&words::answer(summary)));
    for warning in &summary.warnings {
        let _ = write!(out, "\n> {}\n", escape(&retold(warning)));
    }
    for question in words::questions(summary) {
        let _ = write!(
            out,
            "\n## {}\n\n{}\n|---|---|---:|---:|---:|---|---:|---:|\n",
            escape(&question.title()),
            say("fleet.columns")
        );
        for runtime in words::runtimes(summary, &question) {
            for class in &summary.classes {
                let Some(metric) = words::found(class, &question, runtime) else { continue };
                let versus = metric.versus.as_ref();
                let [within, between, _] = versus.map_or_else(Default::default, |v| words::spread(metric, v));
                let _ = writeln!(
                    out,
                    "| {} | {} | {} | {} | {} | {} | {between} | {within} |",
                    escape(runtime),
                    escape(&class.label),
                    metric.hosts,
                    escape(&words::medians(metric)),
                    escape(&words::against(metric)),
                    versus.map_or_else(String::new, |v| named("word", v.verdict.word())),
                );
            }
        }
    }
    let _ = write!(out, "\n{}\n", say("fleet.paired"));
    claims(&mut out, summary);
    out
}

fn claims(out: &mut String, summary: &FleetSummary) {
    let decided = words::decided(summary);
    if decided.is_empty() {
        return;
    }
    let labels: Vec<String> = summary.classes.iter().map(|class| escape(&class.label)).collect();
    let _ = write!(
        out,
        "\n## {}\n\n| {} | {} |\n|---|{}\n",
        say("contents.claims"),
        say("fleet.claim"),
        labels.join(" | "),
        "---|".repeat(labels.len())
    );
    for (title, row) in decided {
        let cells = summary.classes.iter().zip(row);
        let cells: Vec<String> =
            cells.map(|(class, claim)| claim.map_or("~".into(), |c| words::claim(c, class.hosts))).collect();
        let _ = writeln!(out, "| {} | {} |", escape(&data(title)), cells.join(" | "));
    }
}

/// The answers for a terminal.
#[must_use]
pub fn text(summary: &FleetSummary) -> String {
    let mut out = format!("{}\n", words::answer(summary));
    for question in words::questions(summary) {
        let _ = write!(out, "\n{}\n", question.title());
        for runtime in words::runtimes(summary, &question) {
            for class in &summary.classes {
                let Some(metric) = words::found(class, &question, runtime) else { continue };
                let verdict = metric.versus.as_ref().map_or("", |v| v.verdict.word());
                let (label, hosts) = (clean(&class.label), metric.hosts);
                let (median, against) = (words::medians(metric), words::against(metric));
                let _ = writeln!(
                    out,
                    "  {:<16} {label:<16} {hosts:>4} hosts  {median:<32} {against:<26} {verdict}",
                    clean(runtime)
                );
            }
        }
    }
    for warning in &summary.warnings {
        let _ = writeln!(out, "warning: {}", clean(warning));
    }
    out
}

/// What came back, for a terminal: every host that is not fine with its reasons, and what was set aside.
#[must_use]
pub fn told(fleet: &Collected) -> String {
    let mut out = String::new();
    for class in &fleet.classes {
        let fit = fleet.usable().filter(|host| host.class == class.label).count();
        let _ = writeln!(out, "class {}: {fit} of {} hosts", clean(&class.label), class.replicas);
    }
    for host in fleet.hosts.iter().filter(|host| host.status != Status::Ok) {
        let _ =
            writeln!(out, "{}: {}: {}", host.status.word(), host.title(), clean(&host.reasons.join("; ")));
    }
    for aside in &fleet.set_aside {
        let _ = writeln!(out, "set aside: {}: {}", clean(&aside.folder), clean(&aside.why));
    }
    for note in &fleet.notes {
        let _ = writeln!(out, "note: {}", clean(note));
    }
    out
}
