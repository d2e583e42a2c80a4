//! Is b worse than a?
//!
//! Two variants in the blocks of one run, metric by metric: paired by block, judged against the larger of the limit that
//! was asked for and the A/A band of the same run. Beside it what the same run says of its own hearing: how often the
//! rule cries wolf over a against itself, and how often it finds a with injected work.

use std::fmt::Write;

use isomark_core::Metric;
use isomark_core::record::Run;
use serde::Serialize;

use crate::dataset::Dataset;
use crate::gate::finding::{Basis, Class, Finding, Found, Subject};
use crate::gate::thresholds::Thresholds;
use crate::gate::words;
use crate::region::quantity;
use crate::stats::controls::{self, Labels, RESAMPLES};
use crate::stats::median::median;
use crate::stats::paired;
use crate::stats::random::Random;
use crate::stats::verdict::Quantity;
use crate::summarise::rounded;

/// One metric of one comparison, with what its controls say.
#[derive(Clone, Debug, Serialize)]
pub struct Told {
    /// The comparison.
    #[serde(flatten)]
    pub finding: Finding,
    /// First variant.
    pub a: String,
    /// Second variant.
    pub b: String,
    /// Share of drawn comparisons of a with itself that the rule calls different.
    pub false_alarm_rate: Option<f64>,
    /// What became of a with injected work.
    pub injected: Vec<Injected>,
    /// What a blocked design would have said of a against itself: probability by the Mann–Whitney test.
    pub blocked_p: Option<f64>,
}

/// A positive control.
#[derive(Clone, Debug, Serialize)]
pub struct Injected {
    /// Work injected, as a share: 0.05 for 5 %.
    pub handicap: f64,
    /// Against a, in this run.
    pub ratio: f64,
    /// Whether the gate calls it a regression.
    pub found: bool,
    /// Share of drawn comparisons in which it does.
    pub rate: Option<f64>,
}

/// One answer for each metric of each cell that is the second of two variants; `wanted` picks metrics by name, and empty
/// stands for the headlines.
#[must_use]
pub fn told(data: &Dataset<'_>, thresholds: &Thresholds, wanted: &[String]) -> Vec<Told> {
    let mut all = Vec::new();
    for (b, cell) in data.run.cells.iter().enumerate() {
        let Some(a) = cell.arm.as_ref().filter(|arm| !arm.control).and_then(|arm| arm.of) else { continue };
        let picked = |(at, metric): &(usize, &Metric)| match wanted {
            [] => *at == 0,
            names => names.iter().any(|name| *name == metric.name),
        };
        for (_, metric) in cell.metrics.iter().enumerate().filter(picked) {
            all.extend(Pair { data, thresholds, a, metric }.told(b));
        }
    }
    all
}

/// One metric of a first variant: what others are compared with.
struct Pair<'d> {
    data: &'d Dataset<'d>,
    thresholds: &'d Thresholds,
    a: usize,
    metric: &'d Metric,
}

impl Pair<'_> {
    fn told(&self, b: usize) -> Option<Told> {
        let again = self.controls(|handicap| handicap == 0.0).next();
        let same = again.map(|(at, _)| self.pairs(at)).filter(|pairs| !pairs.is_empty());
        let mut random = Random::new(self.data.run.seed);
        let drawn = same.as_ref().and_then(|p| controls::ratios(p, Labels::Swapped, RESAMPLES, &mut random));
        let band = drawn.as_deref().and_then(controls::band);
        let finding = self.finding(b, band)?;
        let injected = self.controls(|handicap| handicap > 0.0);
        let edges = finding.equal;
        let different =
            |one: &paired::Estimate| one.ci95.is_some_and(|ci| ci[0] > edges[1] || ci[1] < edges[0]);
        let rate = quantity(self.metric) != Quantity::Size;
        Some(Told {
            a: self.data.run.cells[self.a].runtime.clone(),
            b: finding.runtime.clone(),
            false_alarm_rate: drawn
                .as_deref()
                .filter(|_| rate)
                .and_then(|d| controls::share(d, different))
                .map(rounded),
            injected: injected.filter_map(|(at, handicap)| self.injected(at, handicap, band)).collect(),
            blocked_p: same.as_deref().and_then(controls::blocked).map(|test| rounded(test.p)),
            finding,
        })
    }

    fn pairs(&self, cell: usize) -> Vec<(f64, f64)> {
        self.data.pairs(cell, self.a, &self.metric.name).into_iter().map(|(_, pair)| pair).collect()
    }

    /// Controls of the first variant whose injected work is as wanted: index and share.
    fn controls(&self, wanted: impl Fn(f64) -> bool) -> impl Iterator<Item = (usize, f64)> {
        let arms = self.data.run.cells.iter().enumerate().filter_map(|(at, c)| Some((at, c.arm.as_ref()?)));
        arms.filter(move |(_, arm)| arm.control && arm.of == Some(self.a) && wanted(arm.handicap))
            .map(|(at, arm)| (at, arm.handicap))
    }

    fn finding(&self, b: usize, band: Option<f64>) -> Option<Finding> {
        let cell = &self.data.run.cells[b];
        let pairs = self.pairs(b);
        if pairs.is_empty() && self.metric.optional {
            return None;
        }
        let (heads, bases): (Vec<f64>, Vec<f64>) = pairs.iter().copied().unzip();
        let found = Found {
            basis: Basis::Paired,
            base: median(&bases),
            head: median(&heads),
            ratio: paired::ratio(&pairs),
            difference: paired::difference(&pairs),
            band,
        };
        let (runtime, scenario) = (cell.runtime.as_str(), cell.scenario.as_str());
        let subject = Subject { runtime, scenario, params: &cell.params, metric: self.metric };
        let limit = self.thresholds.of(plain(runtime), scenario, self.metric);
        Some(Finding::judged(&subject, &found, limit))
    }

    fn injected(&self, at: usize, handicap: f64, band: Option<f64>) -> Option<Injected> {
        let finding = self.finding(at, band)?;
        let [low, high] = finding.equal;
        let worse = |one: &paired::Estimate| match (one.ci95, quantity(self.metric)) {
            (Some(ci), Quantity::Rate) => ci[1] < low,
            (Some(ci), _) => ci[0] > high,
            (None, _) => false,
        };
        let mut random = Random::new(self.data.run.seed ^ at as u64);
        let drawn = controls::ratios(&self.pairs(at), Labels::Kept, RESAMPLES, &mut random);
        Some(Injected {
            handicap,
            ratio: finding.ratio?,
            found: finding.class == Class::Regression,
            rate: drawn.and_then(|drawn| controls::share(&drawn, worse)).map(rounded),
        })
    }
}

/// The name of the runtime in a SPEC: limits are set for runtimes.
fn plain(spec: &str) -> &str {
    spec.split(['@', '{']).next().unwrap_or(spec)
}

/// A few lines for people.
#[must_use]
pub fn table(told: &[Told], run: &Run) -> String {
    let mut out = String::new();
    for one in told {
        let Finding { scenario, metric, n, verdict, band, limit, .. } = &one.finding;
        let change = words::change(&one.finding);
        let _ = writeln!(out, "{scenario} {metric}: b is {} ({change}, n = {n})", verdict.word());
        let _ = writeln!(out, "  a = {}\n  b = {}", one.a, one.b);
        let share = |x: &f64| format!("{:.1} %", x * 100.0);
        let band = band.as_ref().map_or("not measured".to_owned(), |b| format!("± {}", share(b)));
        let alarms = one.false_alarm_rate.as_ref().map_or("unknown".to_owned(), share);
        let _ = writeln!(
            out,
            "  limit {}; a against itself: band {band}, false alarms {alarms}",
            share(&limit.relative)
        );
        for control in &one.injected {
            let rate = control.rate.as_ref().map_or("unknown".to_owned(), share);
            let seen = if control.found { "found" } else { "not found" };
            let _ = writeln!(
                out,
                "  a with {} more work: {seen} here, in {rate} of drawn comparisons",
                share(&control.handicap)
            );
        }
        if let Some(why) = &one.finding.why {
            let _ = writeln!(out, "  {why}");
        }
    }
    let _ = writeln!(out, "seed {}, {}", run.seed, run.id);
    out
}
