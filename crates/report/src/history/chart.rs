//! A trend as a picture: every run a dot with its interval, means between changes, changes as dashed lines.
//!
//! One chart holds one question on one kind of host, a panel per runtime. Panels share the runs along the bottom and
//! have a scale of their own: what is sought is a step, not the distance between runtimes.

use std::collections::BTreeMap;

use isomark_core::Error;

use super::text::value;
use super::{Series, text};
use crate::charts::scene::{Anchor, Ink, Scene, Style};
use crate::charts::{NARROW, WIDE, raster, slide};
use crate::fmt;
use crate::words::{comma, named, retold, say, tell};

/// Height of a panel's plot.
const PLOT: f64 = 96.0;
/// Room above a plot for its heading.
const HEAD: f64 = 30.0;
/// Room between panels.
const GAP: f64 = 14.0;

/// A chart at both widths.
#[derive(Clone, Debug, PartialEq)]
pub struct Trend {
    /// Name of its file, without folder and ending.
    pub name: String,
    /// What it shows.
    pub title: String,
    /// How to read it.
    pub caption: String,
    /// What it says, for somebody who cannot see it.
    pub says: String,
    /// Kind of host.
    pub host: String,
    /// For a page with room.
    pub wide: Scene,
    /// For a telephone.
    pub narrow: Scene,
}

impl Trend {
    /// The chart as a PNG file that stands alone.
    ///
    /// # Errors
    /// If it has no size that a picture can have, or encoding fails.
    pub fn png(&self) -> Result<Vec<u8>, Error> {
        let origin = [fmt::clean(&self.host), format!("isomark {}", env!("CARGO_PKG_VERSION"))];
        raster::png(&slide::framed(self.wide.clone(), &self.title, &self.caption, &origin))
    }
}

/// All charts of a history, in the order of its series.
#[must_use]
pub fn trends(series: &[Series]) -> Vec<Trend> {
    let mut groups: Vec<Vec<&Series>> = Vec::new();
    for one in series {
        let same = |g: &Vec<&Series>| {
            let first = g[0];
            (&first.host, &first.scenario, &first.params, &first.metric)
                == (&one.host, &one.scenario, &one.params, &one.metric)
        };
        match groups.iter_mut().find(|g| same(g)) {
            Some(group) => group.push(one),
            None => groups.push(vec![one]),
        }
    }
    groups.iter().enumerate().map(|(at, group)| trend(at, group)).collect()
}

fn trend(at: usize, group: &[&Series]) -> Trend {
    let first = group[0];
    let blank = if first.params.is_empty() { "" } else { ", " };
    let words = crate::charts::words(&first.params);
    // A scenario whose question is its metric is named once.
    let what = if first.scenario == first.metric { String::new() } else { format!(" · {}", first.metric) };
    let title = fmt::clean(&format!("{}{what}{blank}{words}", first.scenario));
    let ratios = group.iter().any(|s| s.unit == super::RATIO);
    let about = if ratios { say("history.ratios") } else { String::new() };
    let runs = group.iter().map(|s| s.points.len()).max().unwrap_or(0);
    let caption = tell("history.chart", &[("about", &about), ("n", &runs)]);
    let scenario = crate::charts::file_name(&first.scenario);
    let metric = crate::charts::file_name(&first.metric);
    Trend {
        name: format!("history-{:03}-{scenario}-{metric}", at + 1),
        title,
        caption,
        says: crate::charts::texts::listing(
            crate::charts::texts::NEWEST,
            group.iter().map(|s| said(s)).collect(),
        ),
        host: retold(&first.host),
        wide: draw(group, WIDE),
        narrow: draw(group, NARROW),
    }
}

/// The newest value of a series and how it got there, in words.
fn said(series: &Series) -> String {
    let newest = series.points.last().map_or(f64::NAN, |point| point.value);
    let changes: Vec<String> = series.changes.iter().map(changed).collect();
    let changes = if changes.is_empty() {
        String::new()
    } else {
        tell("history.changed", &[("changes", &comma(&changes))])
    };
    format!("{} {}{changes}", fmt::clean(&series.runtime), value(series, newest))
}

/// `+4.1 % worse`.
fn changed(change: &super::Changed) -> String {
    let percent = (change.after / change.before - 1.0) * 100.0;
    format!("{percent:+.1} % {}", named("word", change.direction))
}

fn draw(group: &[&Series], width: f64) -> Scene {
    let mut scene = Scene::new(width);
    let places = places(group);
    let mut top = 0.0;
    for (at, series) in group.iter().enumerate() {
        let from = scene.items.len();
        panel(&mut scene, series, &places, Ink::Runtime(at), top);
        scene.own(from, &fmt::clean(&series.runtime));
        top += HEAD + PLOT + GAP;
    }
    let style = Style::new(Ink::Muted).size(11.0);
    let ends = [first_day(group.iter().filter_map(|s| s.points.first()).map(|p| p.started.as_str()).min())];
    let last = first_day(group.iter().filter_map(|s| s.points.last()).map(|p| p.started.as_str()).max());
    scene.text((0.0, top + 6.0), &ends[0], style);
    scene.text((width, top + 6.0), &last, style.anchor(Anchor::End));
    scene.height = top + 14.0;
    scene
}

/// Place of each run along the bottom, 0 to 1.
fn places<'s>(group: &[&'s Series]) -> BTreeMap<(&'s str, &'s str), f64> {
    let all = group.iter().flat_map(|s| &s.points).map(|p| ((p.started.as_str(), p.folder.as_str()), 0.0));
    let mut places: BTreeMap<(&str, &str), f64> = all.collect();
    let last = places.len().saturating_sub(1).max(1) as f64;
    for (at, place) in places.values_mut().enumerate() {
        *place = at as f64 / last;
    }
    places
}

fn first_day(started: Option<&str>) -> String {
    started.map_or_else(String::new, |text| fmt::clean(text.get(..10).unwrap_or(text)))
}

fn panel(scene: &mut Scene, series: &Series, places: &BTreeMap<(&str, &str), f64>, ink: Ink, top: f64) {
    let (from, to) = (top + HEAD, top + HEAD + PLOT);
    let left = 4.0;
    let right = scene.width - 70.0;
    let (low, high) = range(series);
    let y = |value: f64| to - (value.clamp(low, high) - low) / (high - low) * PLOT;
    let x = |at: usize| {
        let point = &series.points[at];
        let place = places.get(&(point.started.as_str(), point.folder.as_str())).copied().unwrap_or(0.0);
        left + place * (right - left)
    };
    let newest = series.points.last().map_or(f64::NAN, |point| point.value);
    let heading = format!("{}  {}", fmt::clean(&series.runtime), value(series, newest));
    scene.text((0.0, top + 20.0), &fmt::shortened(&heading, 60), Style::new(ink).medium());
    for edge in [low, f64::midpoint(low, high), high] {
        scene.line([left, y(edge), right, y(edge)], 1.0, Ink::Grid);
        let style = Style::new(Ink::Muted).size(11.0);
        scene.text((right + 6.0, y(edge) + 4.0), &value(series, edge), style);
    }
    for (at, point) in series.points.iter().enumerate() {
        if let Some([low, high]) = point.ci95 {
            scene.line([x(at), y(high), x(at), y(low)], 1.0, ink).alpha(0.35);
        }
    }
    let radius = if series.points.len() > 150 { 1.6 } else { 2.6 };
    scene
        .dots((0..series.points.len()).map(|at| (x(at), y(series.points[at].value))).collect(), radius, ink)
        .tip(text::name(series));
    means(scene, series, (&x, &y), (from, to));
}

type Place<'p> = &'p dyn Fn(usize) -> f64;
type Height<'p> = &'p dyn Fn(f64) -> f64;

/// Means between changes, and the changes.
fn means(scene: &mut Scene, series: &Series, (x, y): (Place<'_>, Height<'_>), (from, to): (f64, f64)) {
    let mut edges: Vec<usize> = series.changes.iter().map(|change| change.at).collect();
    edges.push(series.points.len());
    let mut begin = 0;
    for end in edges {
        let part = series.points.get(begin..end).unwrap_or_default();
        if !part.is_empty() {
            let mean = part.iter().map(|point| point.value).sum::<f64>() / part.len() as f64;
            scene.line([x(begin), y(mean), x(end - 1), y(mean)], 1.6, Ink::Text).alpha(0.7);
        }
        begin = end;
    }
    for change in series.changes.iter().filter(|change| change.at < series.points.len()) {
        let at = x(change.at);
        scene.dashes([at, from, at, to], 1.2, Ink::Text);
        let words = changed(change);
        // Beside the line, on the side that has more room.
        let half = f64::midpoint(0.0, scene.width);
        let (shift, anchor) = if at > half { (-4.0, Anchor::End) } else { (4.0, Anchor::Start) };
        scene.text((at + shift, from - 3.0), &words, Style::new(Ink::Text).size(11.0).anchor(anchor));
    }
}

/// Smallest and largest value with a margin. Intervals may run out of it: one wild run must not flatten the others.
fn range(series: &Series) -> (f64, f64) {
    let values = series.points.iter().map(|point| point.value);
    let (low, high) = values.fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), x| (l.min(x), h.max(x)));
    let margin = ((high - low) * 0.15).max(high.abs() * 0.02).max(f64::MIN_POSITIVE);
    if low.is_finite() { (low - margin, high + margin) } else { (0.0, 1.0) }
}
