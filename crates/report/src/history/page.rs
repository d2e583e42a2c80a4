//! A history as a page: self-contained and offline like a run's report, from the same style sheet.

use std::path::Path;

use isomark_core::Error;
use serde::Serialize;

use super::chart::{Trend, trends};
use super::{History, Series, text};
use crate::charts::svg::svg;
use crate::fmt;
use crate::html;
use crate::words::{self, named, tell};

#[derive(Serialize)]
struct View {
    title: String,
    answer: String,
    changes: Vec<Row>,
    broken: Vec<[String; 3]>,
    hosts: Vec<HostView>,
}

#[derive(Serialize)]
struct HostView {
    name: String,
    charts: Vec<ChartView>,
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

#[derive(Serialize)]
struct Row {
    series: String,
    since: String,
    before: String,
    after: String,
    percent: String,
    direction: String,
    verdict: &'static str,
}

/// The page and its charts, in the language of the scope. `charts` is where the page finds their PNG files.
///
/// # Errors
/// [`Error::Input`] naming file and line of a template that cannot be used.
pub fn page(
    dir: &Path,
    history: &History,
    charts: &str,
    templates: Option<&Path>,
) -> Result<(String, Vec<Trend>), Error> {
    let trends = trends(&history.series);
    let mut hosts: Vec<HostView> = Vec::new();
    for trend in &trends {
        let shown = chart(trend, charts);
        match hosts.iter_mut().find(|host| host.name == trend.host) {
            Some(host) => host.charts.push(shown),
            None => hosts.push(HostView { name: trend.host.clone(), charts: vec![shown] }),
        }
    }
    let view = View {
        title: fmt::clean(&dir.display().to_string()),
        answer: answer(history),
        changes: history.series.iter().flat_map(rows).collect(),
        broken: history.broken.iter().map(broken).collect(),
        hosts,
    };
    Ok((html::page("history.html", &view, templates)?, trends))
}

fn chart(trend: &Trend, charts: &str) -> ChartView {
    let label = format!("{}. {}", trend.title, trend.says);
    ChartView {
        anchor: format!("f-{}", trend.name),
        title: trend.title.clone(),
        caption: trend.caption.clone(),
        file: format!("{charts}/{}.png", trend.name),
        wide: svg(&trend.wide, "chart wide", &label),
        narrow: svg(&trend.narrow, "chart narrow", &label),
    }
}

/// A folder that is left out, why, and the language of that.
fn broken(one: &super::Broken) -> [String; 3] {
    let (why, language) = words::again(&one.why);
    [fmt::clean(&one.folder), fmt::clean(&why), language]
}

fn answer(history: &History) -> String {
    let all = || history.series.iter().flat_map(|series| &series.changes);
    let worse = all().filter(|change| change.direction == "worse").count();
    let better = all().count() - worse;
    let found = match (worse, better) {
        (0, 0) => words::say("history.steady"),
        _ => tell("history.found", &[("worse", &worse), ("better", &better)]),
    };
    tell("history.answer", &[("series", &history.series.len()), ("runs", &history.runs), ("found", &found)])
}

fn rows(series: &Series) -> Vec<Row> {
    let one = |change: &super::Changed| Row {
        series: text::name(series),
        since: fmt::clean(&change.folder),
        before: text::value(series, change.before),
        after: text::value(series, change.after),
        percent: format!("{:+.1} %", (change.after / change.before - 1.0) * 100.0),
        direction: named("word", change.direction),
        verdict: if change.direction == "worse" { "slower" } else { "faster" },
    };
    series.changes.iter().map(one).collect()
}
