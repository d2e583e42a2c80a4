//! A fleet as a page: self-contained and offline like a run's report, from the same style sheet.

use std::path::Path;

use isomark_core::Error;
use serde::Serialize;

use super::chart::Chart;
use super::summary::FleetSummary;
use super::words::{self, Question};
use crate::charts::svg::svg;
use crate::fmt;
use crate::html;
use crate::tables::number_of;
use crate::words::{self as texts, data, named, retold, say, tell};

#[derive(Serialize)]
struct View {
    title: String,
    answer: String,
    warnings: Vec<[String; 2]>,
    classes: Vec<[String; 2]>,
    questions: Vec<QuestionView>,
    claims: Vec<Vec<String>>,
    hosts: Vec<HostView>,
    charts: Vec<ChartView>,
}

#[derive(Serialize)]
struct QuestionView {
    anchor: String,
    title: String,
    rows: Vec<Row>,
    notes: Vec<String>,
}

#[derive(Serialize)]
struct Row {
    runtime: String,
    class: String,
    hosts: usize,
    median: String,
    against: String,
    verdict: String,
    note: usize,
    within: String,
    between: String,
    icc: String,
}

#[derive(Serialize)]
struct HostView {
    name: String,
    status: String,
    kind: String,
    why: String,
}

#[derive(Serialize)]
struct ChartView {
    anchor: String,
    title: String,
    caption: String,
    file: String,
    wide: String,
    narrow: String,
}

/// The page.
pub(super) fn page(
    summary: &FleetSummary,
    charts: &[Chart],
    templates: Option<&Path>,
) -> Result<String, Error> {
    let clean = fmt::clean;
    let class = |c: &super::summary::ClassSummary| {
        [clean(&c.label), c.host.as_deref().map_or_else(|| say("fleet.no_host"), retold)]
    };
    let questions = words::questions(summary);
    let view = View {
        title: clean(&summary.name),
        answer: words::answer(summary),
        warnings: summary.warnings.iter().map(|warning| warned(warning)).collect(),
        classes: summary.classes.iter().map(class).collect(),
        questions: questions.iter().enumerate().map(|(at, question)| asked(summary, at, question)).collect(),
        claims: claims(summary),
        hosts: summary.hosts.iter().map(host).collect(),
        charts: charts.iter().map(chart).collect(),
    };
    html::page("fleet.html", &view, templates)
}

/// A warning and the language that it is told in: what a collection noted is English.
fn warned(warning: &str) -> [String; 2] {
    let (told, language) = texts::again(warning);
    [fmt::clean(&told), language]
}

fn asked(summary: &FleetSummary, at: usize, question: &Question<'_>) -> QuestionView {
    let (mut rows, mut notes) = (Vec::new(), Vec::new());
    for runtime in words::runtimes(summary, question) {
        for class in &summary.classes {
            let Some(metric) = words::found(class, question, runtime) else { continue };
            let spread = metric.versus.as_ref().map(|v| words::spread(metric, v));
            let [within, between, icc] = spread.unwrap_or_else(|| ["".into(), "".into(), "".into()]);
            let why = metric.versus.as_ref().and_then(|v| v.why.as_deref()).map_or_else(String::new, retold);
            rows.push(Row {
                runtime: fmt::clean(runtime),
                class: fmt::clean(&class.label),
                hosts: metric.hosts,
                median: words::medians(metric),
                against: words::against(metric),
                verdict: metric.versus.as_ref().map_or("", |v| v.verdict.word()).to_owned(),
                note: number_of(&mut notes, &fmt::clean(&why)),
                within,
                between,
                icc,
            });
        }
    }
    QuestionView { anchor: format!("q-{}", at + 1), title: question.title(), rows, notes }
}

/// The first row is the heading.
fn claims(summary: &FleetSummary) -> Vec<Vec<String>> {
    let decided = words::decided(summary);
    if decided.is_empty() {
        return Vec::new();
    }
    let head =
        std::iter::once(say("fleet.claim")).chain(summary.classes.iter().map(|c| fmt::clean(&c.label)));
    let mut all: Vec<Vec<String>> = vec![head.collect()];
    for (title, row) in decided {
        let cells = summary.classes.iter().zip(row);
        let cells = cells.map(|(class, claim)| claim.map_or("~".into(), |c| words::claim(c, class.hosts)));
        all.push(std::iter::once(fmt::clean(&data(title))).chain(cells).collect());
    }
    all
}

fn host(entry: &super::collected::HostEntry) -> HostView {
    let kind = entry.host.as_ref().map_or_else(String::new, |h| {
        let with: [(&str, &dyn std::fmt::Display); 4] =
            [("cpus", &h.cpus), ("cpu", &h.cpu), ("kernel", &h.kernel), ("class", &h.kvm_class)];
        fmt::clean(&tell("fleet.kind_of", &with))
    });
    HostView {
        name: entry.title(),
        status: named("word", entry.status.word()),
        kind,
        why: fmt::shortened(&fmt::clean(&entry.reasons.join("; ")), 600),
    }
}

fn chart(chart: &Chart) -> ChartView {
    let label = format!("{}. {}", chart.title, chart.caption);
    ChartView {
        anchor: format!("chart-{}", chart.name),
        title: chart.title.clone(),
        caption: chart.caption.clone(),
        file: format!("charts/{}.png", chart.name),
        wide: svg(&chart.wide, "chart wide", &label),
        narrow: svg(&chart.narrow, "chart narrow", &label),
    }
}
