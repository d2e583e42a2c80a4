//! How far can this run's verdicts be trusted?
//!
//! Every control cell becomes one entry per metric: the same runtime a second time gives the A/A band and the false-alarm
//! rate, one with injected work the detection rate. Both rates are by the strictest rule in use, the smaller of the
//! region of equivalence and the gate's own limit, widened to the band. Controls answer for the method: they never stand
//! among the cells.

use isomark_core::Metric;
use isomark_core::record::{Arm, Cell, Run};

use crate::dataset::Dataset;
use crate::gate::thresholds::Thresholds;
use crate::region::{Region, quantity, region};
use crate::stats::controls::{self, Labels, RESAMPLES};
use crate::stats::median::median;
use crate::stats::paired::{self, Estimate};
use crate::stats::random::Random;
use crate::stats::verdict::{ENOUGH, Quantity, Verdict, judge};
use crate::summarise::rounded;
use crate::summary::{Control, Trust};
use crate::words::{stored, tell};

/// False alarms above which a host is too noisy (the project's statistics, item 9).
const ALARMS: f64 = 0.075;
/// Share of the region that the middle of an A/A comparison may be off.
const SHIFT: f64 = 0.25;
/// Pairs below which there is no band: six carry an interval.
const FEWEST: usize = 6;

/// Whether a cell is a control, and no answer.
#[must_use]
pub fn is_control(cell: &Cell) -> bool {
    cell.arm.as_ref().is_some_and(|arm| arm.control)
}

/// All controls of a run, in the order of the plan.
#[must_use]
pub fn controls(data: &Dataset<'_>) -> Vec<Control> {
    let mut all = Vec::new();
    let arms = || data.run.cells.iter().enumerate().filter_map(|(at, cell)| Some((at, cell, control(cell)?)));
    for (at, cell, (arm, of)) in arms().filter(|(.., (arm, _))| arm.handicap == 0.0) {
        let metrics = cell.metrics.iter().enumerate();
        all.extend(metrics.filter_map(|(i, metric)| Pair::new(data, at, of, metric, i == 0)?.again(arm)));
    }
    let bands = Bands(all);
    let mut slowed = Vec::new();
    for (at, cell, (arm, of)) in arms().filter(|(.., (arm, _))| arm.handicap > 0.0) {
        // Work is injected into time: what it does to a size is not known.
        let timed = cell.metrics.iter().enumerate().filter(|(_, metric)| quantity(metric) != Quantity::Size);
        for (i, metric) in timed {
            let band = bands.of_cell(&data.run.cells[of], &metric.name);
            slowed.extend(Pair::new(data, at, of, metric, i == 0).map(|pair| pair.slowed(arm, band)));
        }
    }
    let mut all = bands.0;
    all.extend(slowed);
    all
}

fn control(cell: &Cell) -> Option<(&Arm, usize)> {
    cell.arm.as_ref().filter(|arm| arm.control).and_then(|arm| Some((arm, arm.of?)))
}

/// The A/A bands of a run.
#[derive(Clone, Debug, Default)]
pub struct Bands(Vec<Control>);

impl Bands {
    /// Those among the controls of a run.
    #[must_use]
    pub fn new(controls: &[Control]) -> Self {
        Self(controls.iter().filter(|control| control.handicap == 0.0).cloned().collect())
    }

    /// How far a comparison of two cells may move by nothing: the wider of their bands, if one is known.
    #[must_use]
    pub fn of(&self, run: &Run, cells: [usize; 2], metric: &str) -> Option<f64> {
        let known = cells.into_iter().filter_map(|at| self.of_cell(run.cells.get(at)?, metric));
        known.max_by(f64::total_cmp)
    }

    /// The band of a cell: its own, or the widest of its runtime in the same scenario.
    #[must_use]
    pub fn of_cell(&self, cell: &Cell, metric: &str) -> Option<f64> {
        let near = || {
            self.0.iter().filter(|control| {
                control.runtime == cell.runtime
                    && control.scenario == cell.scenario
                    && control.metric == metric
            })
        };
        let own = near().find(|control| control.params == cell.params).and_then(|control| control.band);
        own.or_else(|| near().filter_map(|control| control.band).max_by(f64::total_cmp))
    }
}

/// A region that is no narrower than a band.
#[must_use]
pub fn widened(region: Region, band: Option<f64>) -> Region {
    Region { relative: region.relative.max(band.unwrap_or(0.0)), ..region }
}

/// One metric of a control and of the cell that it repeats.
struct Pair<'d> {
    run: &'d Run,
    cell: &'d Cell,
    metric: &'d Metric,
    headline: bool,
    pairs: Vec<(f64, f64)>,
    base: f64,
}

impl<'d> Pair<'d> {
    fn new(data: &Dataset<'d>, at: usize, of: usize, metric: &'d Metric, headline: bool) -> Option<Self> {
        let pairs: Vec<(f64, f64)> =
            data.pairs(at, of, &metric.name).into_iter().map(|(_, pair)| pair).collect();
        let base = median(&pairs.iter().map(|(_, base)| *base).collect::<Vec<_>>())?;
        Some(Self { run: data.run, cell: &data.run.cells[at], metric, headline, pairs, base })
    }

    fn random(&self, label: &str) -> Random {
        let Cell { runtime, scenario, params, .. } = self.cell;
        let name = format!("control {label} {runtime} {scenario} {params} {}", self.metric.name);
        Random::named(self.run.seed, &name)
    }

    /// The strictest rule in use: what a difference must exceed to be told.
    fn limit(&self) -> Region {
        let own = region(self.cell, self.metric);
        let gate = Thresholds::default().of(&self.cell.runtime, &self.cell.scenario, self.metric).region();
        let absolute = own.absolute.zip(gate.absolute).map(|(a, b)| a.min(b));
        Region { relative: own.relative.min(gate.relative), absolute }
    }

    fn verdict(&self, found: &Estimate, limit: Region) -> Verdict {
        let kind = quantity(self.metric);
        let equal = if kind == Quantity::Size { limit.difference(self.base) } else { limit.ratio() };
        judge(found, equal, kind).0
    }

    fn blank(&self, arm: &Arm) -> Control {
        let ratio = paired::ratio(&self.pairs);
        Control {
            runtime: self.cell.runtime.clone(),
            scenario: self.cell.scenario.clone(),
            params: self.cell.params.clone(),
            metric: self.metric.name.to_string(),
            headline: self.headline,
            label: arm.label.clone(),
            handicap: arm.handicap,
            n: self.pairs.len(),
            ratio: ratio.map(|ratio| rounded(ratio.value)),
            ci95: ratio.and_then(|ratio| ratio.ci95).map(|ci| ci.map(rounded)),
            region: region(self.cell, self.metric),
            limit: self.limit(),
            band: None,
            false_alarm_rate: None,
            detection_rate: None,
            resamples: 0,
            blocked_p: None,
            verdict: Trust::Unknown,
            why: None,
        }
    }

    /// The same a second time; none where a metric that need not exist does not.
    fn again(self, arm: &Arm) -> Option<Control> {
        let mut control = self.blank(arm);
        control.blocked_p = controls::blocked(&self.pairs).map(|test| rounded(test.p));
        let drawn = |random| controls::ratios(&self.pairs, Labels::Swapped, RESAMPLES, random);
        let Some(ratios) = drawn(&mut self.random(&arm.label)).filter(|_| self.pairs.len() >= FEWEST) else {
            control.why = Some(self.silence());
            return Some(control);
        };
        control.resamples = ratios.len();
        control.band = controls::band(&ratios).map(rounded);
        let limit = widened(control.limit, control.band);
        let different =
            |one: &Estimate| !matches!(self.verdict(one, limit), Verdict::Equivalent | Verdict::Inconclusive);
        let judged = if quantity(self.metric) == Quantity::Size {
            controls::differences(&self.pairs, Labels::Swapped, RESAMPLES, &mut self.random(&arm.label))
        } else {
            Some(ratios)
        };
        let enough = self.pairs.len() >= ENOUGH;
        let rate = judged.filter(|_| enough).and_then(|judged| controls::share(&judged, different));
        control.false_alarm_rate = rate.map(rounded);
        control.why = self.noisy(&control);
        control.verdict = if control.why.is_some() { Trust::Noisy } else { Trust::Quiet };
        Some(control)
    }

    /// Why the host is too noisy for the region of this metric, if it is.
    fn noisy(&self, control: &Control) -> Option<String> {
        let region = control.region;
        // What a small size may differ by is more than its share.
        let room = region.absolute.map_or(0.0, |absolute| absolute / self.base.abs().max(1.0));
        let room = region.relative.max(room);
        let percent = |x: f64| format!("{:.1} %", x * 100.0);
        let shift = controls::shift(&self.pairs)?;
        let (band, alarms) = (control.band?, control.false_alarm_rate.unwrap_or(0.0));
        if band > room {
            Some(stored("band_wide", &[("band", &percent(band)), ("room", &percent(room))]))
        } else if shift > room * SHIFT {
            Some(stored("shifted", &[("shift", &percent(shift)), ("room", &percent(room))]))
        } else if alarms > ALARMS {
            Some(stored("alarms", &[("share", &percent(alarms))]))
        } else {
            None
        }
    }

    /// The same with injected work.
    fn slowed(self, arm: &Arm, band: Option<f64>) -> Control {
        let mut control = self.blank(arm);
        control.band = band;
        let limit = widened(control.limit, band);
        let worse = |one: &Estimate| self.verdict(one, limit) == Verdict::Slower;
        let drawn = controls::ratios(&self.pairs, Labels::Kept, RESAMPLES, &mut self.random(&arm.label));
        let Some(drawn) = drawn.filter(|_| self.pairs.len() >= ENOUGH) else {
            control.why = Some(self.silence());
            return control;
        };
        control.resamples = drawn.len();
        control.detection_rate = controls::share(&drawn, worse).map(rounded);
        let here = paired::ratio(&self.pairs).is_some_and(|ratio| worse(&ratio));
        control.verdict = if here { Trust::Found } else { Trust::Missed };
        control
    }

    fn silence(&self) -> String {
        if paired::ratio(&self.pairs).is_none() {
            return stored("no_ratio", &[]);
        }
        stored("pairs", &[("n", &self.pairs.len()), ("needed", &ENOUGH)])
    }
}

/// What the headline controls of a scenario say, one sentence each, the worst runtime for all.
#[must_use]
pub fn sentences(all: &[Control]) -> Vec<String> {
    let mut scenarios: Vec<&str> = Vec::new();
    for control in all.iter().filter(|control| control.headline) {
        if !scenarios.contains(&control.scenario.as_str()) {
            scenarios.push(&control.scenario);
        }
    }
    scenarios.into_iter().filter_map(|name| sentence(all, name)).collect()
}

fn sentence(all: &[Control], scenario: &str) -> Option<String> {
    let here = || all.iter().filter(|control| control.headline && control.scenario == scenario);
    let widest = here().filter(|c| c.handicap == 0.0).filter_map(|c| c.band).max_by(f64::total_cmp)?;
    let mut text = tell("controls.band", &[("scenario", &scenario), ("band", &percent(widest))]);
    let alarms = here().filter_map(|control| control.false_alarm_rate).max_by(f64::total_cmp);
    if let Some(alarms) = alarms {
        text.push_str(&tell("controls.alarms", &[("share", &percent(alarms))]));
    }
    let mut labels: Vec<&Control> = here().filter(|control| control.handicap > 0.0).collect();
    labels.sort_by(|a, b| a.handicap.total_cmp(&b.handicap));
    for (i, group) in labels.chunk_by(|a, b| a.label == b.label).enumerate() {
        let least = group.iter().filter_map(|control| control.detection_rate).min_by(f64::total_cmp);
        let told = least.map_or("~".to_owned(), percent);
        let key = if i == 0 { "controls.found" } else { "controls.found_too" };
        text.push_str(&tell(key, &[("label", &group[0].label), ("share", &told)]));
    }
    Some(text)
}

/// A share in per cent, with the digits that it deserves.
#[must_use]
pub fn percent(share: f64) -> String {
    let value = share * 100.0;
    let decimals = if value == 0.0 || value >= 9.95 || value.fract() == 0.0 { 0 } else { 1 };
    format!("{value:.decimals$} %")
}
