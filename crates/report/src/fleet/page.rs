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

#[derive(Serialize)]
struct View {
    title: String,
    answer: String,
    warnings: Vec<String>,
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
}

#[derive(Serialize)]
struct Row {
    runtime: String,
    class: String,
    hosts: usize,
    median: String,
    against: String,
    verdict: String,
    within: String,
    between: String,
    icc: String,
}

#[derive(Serialize)]
struct HostView {
    name: String,
    status: &'static str,
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
        [clean(&c.label), c.host.clone().unwrap_or_else(|| "no host".into())]
    };
    let questions = words::questions(summary);
    let view = View {
        title: clean(&summary.name),
        answer: words::answer(summary),
        warnings: summary.warnings.iter().map(|w| clean(w)).collect(),
        classes: summary.classes.iter().map(class).collect(),
        questions: questions.iter().enumerate().map(|(at, question)| asked(summary, at, question)).collect(),
        claims: claims(summary),
        hosts: summary.hosts.iter().map(host).collect(),
        charts: charts.iter().map(chart).collect(),
    };
    html::page("fleet.html", &view, templates)
}

fn asked(summary: &FleetSummary, at: usize, question: &Question<'_>) -> QuestionView {
    let mut rows = Vec::new();
    for runtime in words::runtimes(summary, question) {
        for class in &summary.classes {
            let Some(metric) = words::found(class, question, runtime) else { continue };
            let spread = metric.versus.as_ref().map(|v| words::spread(metric, v));
            let [within, between, icc] = spread.unwrap_or_else(|| ["".into(), "".into(), "".into()]);
            rows.push(Row {
                runtime: fmt::clean(runtime),
                class: fmt::clean(&class.label),
                hosts: metric.hosts,
                median: words::medians(metric),
                against: words::against(metric),
                verdict: metric.versus.as_ref().map_or("", |v| v.verdict.word()).to_owned(),
                within,
                between,
                icc,
            });
        }
    }
    QuestionView { anchor: format!("q-{}", at + 1), title: question.title(), rows }
}

/// The first row is the heading.
fn claims(summary: &FleetSummary) -> Vec<Vec<String>> {
    let decided = words::decided(summary);
    if decided.is_empty() {
        return Vec::new();
    }
    let head =
        std::iter::once("claim".to_owned()).chain(summary.classes.iter().map(|c| fmt::clean(&c.label)));
    let mut all: Vec<Vec<String>> = vec![head.collect()];
    for (title, row) in decided {
        let cells = summary.classes.iter().zip(row);
        let cells = cells.map(|(class, claim)| claim.map_or("~".into(), |c| words::claim(c, class.hosts)));
        all.push(std::iter::once(fmt::clean(title)).chain(cells).collect());
    }
    all
}

fn host(entry: &super::collected::HostEntry) -> HostView {
    let kind = entry.host.as_ref().map_or_else(String::new, |h| {
        fmt::clean(&format!("{} × {}, kernel {}, KVM class {}", h.cpus, h.cpu, h.kernel, h.kvm_class))
    });
    HostView {
        name: entry.title(),
        status: entry.status.word(),
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
