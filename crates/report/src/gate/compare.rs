//! How does a run compare with one or several runs before it?
//!
//! Two runs are two independent samples: Hodges–Lehmann's shift with its distribution-free interval, and a rank-sum test
//! against the limit, by Holm's method over all comparisons, so that looking at hundreds of metrics raises no alarm by
//! itself. Of several base runs the middle shift counts, and how far they lie apart widens the limit. A cell that was
//! fine in the base and is not now is never silent.

use std::collections::BTreeMap;

use isomark_core::record::{Cell, Run};
use isomark_core::{Error, Metric, Params};
use serde::{Deserialize, Serialize};

use super::finding::{Class, Finding, Found, Subject};
use super::series::{Series, series};
use super::stored::Stored;
use super::thresholds::{Limit, Thresholds};
use crate::Dataset;
use crate::controls::{Bands, controls};
use crate::noise::noisy_blocks;
use crate::reference::is_floor;
use crate::region::quantity;
use crate::stats::hodges_lehmann::two_sample;
use crate::stats::holm::holm;
use crate::stats::median::{median, sorted};
use crate::stats::paired::Estimate;
use crate::stats::rank_sum::mann_whitney;
use crate::stats::verdict::Quantity;

/// Schema name of a comparison.
pub const SCHEMA: &str = "isomark.check/1";
/// Share of false alarms over a whole comparison, on either side.
const TAIL: f64 = 0.025;

/// What comparing two runs gave.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// [`SCHEMA`].
    pub schema: String,
    /// The run in question.
    pub head: String,
    /// The runs before it, the newest last.
    pub base: Vec<String>,
    /// Comparisons, in the order of the base's plan.
    pub findings: Vec<Finding>,
    /// What was measured in the base and is not now.
    pub lost: Vec<Lost>,
    /// What is measured now and was not in the base.
    pub new: Vec<String>,
    /// What could not be compared, with its reason.
    pub apart: Vec<Apart>,
    /// What a reader should know: other versions, another host that was allowed.
    pub notes: Vec<String>,
}

/// A cell, or a metric of it, that the base has and the head has not.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Lost {
    /// Runtime.
    pub runtime: String,
    /// Scenario.
    pub scenario: String,
    /// Parameters.
    pub params: Params,
    /// The metric, if only that is lost.
    pub metric: Option<String>,
    /// `failed`, `skipped` or `missing`.
    pub how: String,
    /// Why.
    pub reason: String,
    /// A failure is a regression; what was not measured at all leaves the question open.
    pub class: Class,
}

/// What could not be compared.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Apart {
    /// Cell, and metrics.
    pub what: String,
    /// Why.
    pub why: String,
}

/// How many of each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Regressions, failures included.
    pub regressions: usize,
    /// Improvements.
    pub improvements: usize,
    /// Comparisons within the limits.
    pub unchanged: usize,
    /// Undecided, losses included.
    pub inconclusive: usize,
    /// Shown only: companions of a headline, and what the thresholds ignore.
    pub shown_only: usize,
}

impl Comparison {
    /// How many of each.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        let lost = self.lost.iter().map(|lost| lost.class);
        for class in self.findings.iter().filter(|f| f.decides).map(|f| f.class).chain(lost) {
            match class {
                Class::Regression => counts.regressions += 1,
                Class::Improvement => counts.improvements += 1,
                Class::None => counts.unchanged += 1,
                Class::Inconclusive => counts.inconclusive += 1,
            }
        }
        counts.shown_only = self.findings.iter().filter(|f| !f.decides).count();
        counts
    }

    /// Whether anything at all was compared: a gate that compared nothing must not pass.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.findings.iter().all(|f| !f.decides) && !self.lost.iter().any(|l| l.class == Class::Regression)
    }
}

/// Compares a run with one or more runs before it, the newest last.
///
/// # Errors
/// [`Error::Input`] for samples that belong to no cell.
pub fn compare(head: &Stored, base: &[Stored], limits: &Thresholds) -> Result<Comparison, Error> {
    let now = Side::new(head)?;
    let before = base.iter().map(Side::new).collect::<Result<Vec<_>, _>>()?;
    let mut all = Comparison {
        schema: SCHEMA.to_owned(),
        head: head.run.id.clone(),
        base: base.iter().map(|stored| stored.run.id.clone()).collect(),
        findings: Vec::new(),
        lost: Vec::new(),
        new: Vec::new(),
        apart: Vec::new(),
        notes: Vec::new(),
    };
    let Some(newest) = before.last().map(|side| &side.data) else { return Ok(all) };
    let data = &now.data;
    for cell in newest.run.cells.iter().filter(|cell| takes_part(newest.run, cell)) {
        one_cell(&mut all, &now, &before, cell, limits);
    }
    for cell in data.run.cells.iter().filter(|cell| takes_part(data.run, cell) && cell.skipped.is_none()) {
        if find(newest.run, cell).is_none() {
            all.new.push(name(cell));
        }
    }
    // What decides must not pay for what is shown beside it.
    for decides in [true, false] {
        family(&mut all.findings.iter_mut().filter(|f| f.decides == decides).collect::<Vec<_>>());
    }
    all.notes.extend(base.iter().chain([head]).filter_map(noisy));
    Ok(all)
}

/// A run on one side of the comparison, with what its controls say.
struct Side<'r> {
    data: Dataset<'r>,
    bands: Bands,
}

impl<'r> Side<'r> {
    fn new(stored: &'r Stored) -> Result<Self, Error> {
        let data = stored.data()?;
        let bands = Bands::new(&controls(&data));
        Ok(Self { data, bands })
    }

    /// How far a comparison of this may move by nothing: the A/A band of the cell, or of what it is a ratio to.
    fn band(&self, at: usize, series: &Series, metric: &Metric) -> Option<f64> {
        self.bands.of(self.data.run, [at, series.partner.unwrap_or(at)], &metric.name)
    }
}

/// Says so if the host was busy with something else for more than half of a run.
fn noisy(stored: &Stored) -> Option<String> {
    let (noisy, all) = (noisy_blocks(&stored.blocks).len(), stored.blocks.len());
    (noisy * 2 > all).then(|| {
        let id = &stored.run.id;
        format!("{id}: the host was busy with something else in {noisy} of {all} blocks; measure again when it is quiet")
    })
}

/// Controls answer for the method, floors for the host: neither is a result.
fn takes_part(run: &Run, cell: &Cell) -> bool {
    !cell.arm.as_ref().is_some_and(|arm| arm.control) && !is_floor(run, &cell.runtime)
}

/// The cell that asks the same question in another run.
fn find(run: &Run, cell: &Cell) -> Option<usize> {
    let label = |cell: &Cell| cell.arm.as_ref().map(|arm| (arm.label.clone(), arm.control));
    run.cells.iter().position(|other| {
        other.runtime == cell.runtime
            && other.scenario == cell.scenario
            && other.params == cell.params
            && label(other) == label(cell)
    })
}

/// A cell in words.
#[must_use]
pub fn name(cell: &Cell) -> String {
    let blank = if cell.params.is_empty() { "" } else { " " };
    format!("{} {}{blank}{}", cell.runtime, cell.scenario, cell.params)
}

fn one_cell(all: &mut Comparison, now: &Side<'_>, before: &[Side<'_>], cell: &Cell, limits: &Thresholds) {
    let head = &now.data;
    let Some(newest) = before.last().map(|side| &side.data) else { return };
    let Some(at) = find(newest.run, cell) else { return };
    if newest.cells[at].series.is_empty() {
        return;
    }
    let lose = |metric: Option<&Metric>, how: &str, reason: &str| Lost {
        runtime: cell.runtime.clone(),
        scenario: cell.scenario.clone(),
        params: cell.params.clone(),
        metric: metric.map(|metric| metric.name.to_string()),
        how: how.to_owned(),
        reason: reason.to_owned(),
        class: if how == "failed" { Class::Regression } else { Class::Inconclusive },
    };
    let Some(here) = find(head.run, cell) else {
        all.lost.push(lose(None, "missing", "the plan of this run does not have it"));
        return;
    };
    if let Some(skip) = &head.run.cells[here].skipped {
        all.lost.push(lose(None, "skipped", &format!("{}; remedy: {}", skip.reason, skip.remedy)));
        return;
    }
    let seen = &head.cells[here];
    if seen.series.is_empty() {
        all.lost.push(match seen.failures.first() {
            Some(first) => lose(None, "failed", &first.failure.message),
            None => lose(None, "missing", "the run was cut short before its first trial"),
        });
        return;
    }
    let mut apart: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for metric in &cell.metrics {
        if newest.cells[at].series.contains_key(&*metric.name) && !seen.series.contains_key(&*metric.name) {
            all.lost.push(match seen.failures.first() {
                Some(first) => lose(Some(metric), "failed", &first.failure.message),
                None => lose(Some(metric), "missing", "no trial of this run recorded it"),
            });
            continue;
        }
        match one_metric(now, here, before, cell, metric, limits) {
            Ok(finding) => all.findings.extend(finding),
            Err(why) => apart.entry(why).or_default().push(metric.name.to_string()),
        }
    }
    if seen.failed > 0 && newest.cells[at].failed == 0 {
        all.notes.push(format!("{}: {} of {} trials failed", name(cell), seen.failed, seen.trials));
    }
    let what = |metrics: Vec<String>| format!("{}: {}", name(cell), metrics.join(", "));
    all.apart.extend(apart.into_iter().map(|(why, metrics)| Apart { what: what(metrics), why }));
}

fn one_metric(
    now: &Side<'_>,
    here: usize,
    before: &[Side<'_>],
    cell: &Cell,
    metric: &Metric,
    limits: &Thresholds,
) -> Result<Option<Finding>, String> {
    let Some(new) = series(&now.data, here, metric)? else { return Ok(None) };
    let mut old = Vec::new();
    // Of the base only: the suspect does not say how much it may be excused.
    let mut band = None;
    for side in before {
        let Some(at) = find(side.data.run, cell) else { continue };
        match series(&side.data, at, metric) {
            Ok(Some(found)) if found.basis == new.basis => {
                band = wider(band, side.band(at, &found, metric));
                old.push(found);
            }
            Ok(_) => {}
            // An older run that cannot answer is no reason to say nothing.
            Err(why) if before.len() == 1 => return Err(why),
            Err(_) => {}
        }
    }
    if old.is_empty() {
        return Err("the base has nothing of the kind".to_owned());
    }
    let subject = Subject { runtime: &cell.runtime, scenario: &cell.scenario, params: &cell.params, metric };
    let limit = limits.of(&cell.runtime, &cell.scenario, metric);
    let headline = cell.metrics.first().is_some_and(|first| first.name == metric.name);
    let band = wider(band, spread(&old, quantity(metric) == Quantity::Size));
    let mut finding = judged(&subject, &new, &old, limit, band);
    finding.decides &= headline || limit.named;
    Ok(Some(finding))
}

fn judged(subject: &Subject<'_>, new: &Series, old: &[Series], limit: Limit, band: Option<f64>) -> Finding {
    let size = quantity(subject.metric) == Quantity::Size;
    let n = old.iter().map(|o| o.values.len()).chain([new.values.len()]).min().unwrap_or(0);
    let shift = middle(new, old, n);
    let base = median(&old.iter().filter_map(|o| median(&o.raw)).collect::<Vec<_>>());
    let ratio = |e: Estimate| Estimate { value: e.value.exp(), ci95: e.ci95.map(|ci| ci.map(f64::exp)), n };
    let of_base = |e: Estimate| {
        let base = base.filter(|base| *base > 0.0)?;
        Some(Estimate { value: 1.0 + e.value / base, ci95: e.ci95.map(|ci| ci.map(|x| 1.0 + x / base)), n })
    };
    let found = Found {
        basis: new.basis.clone(),
        base,
        head: median(&new.raw),
        ratio: shift.and_then(|e| if size { of_base(e) } else { Some(ratio(e)) }),
        difference: shift.filter(|_| size),
        band,
    };
    let mut finding = Finding::judged(subject, &found, limit);
    finding.p = p(&finding, new, old, size);
    finding
}

/// The middle of the shifts against each run of the base, with the middle of their bounds.
fn middle(new: &Series, old: &[Series], n: usize) -> Option<Estimate> {
    let shifts: Vec<_> = old.iter().filter_map(|o| two_sample(&o.values, &new.values)).collect();
    let of = |pick: &dyn Fn([f64; 2]) -> f64| {
        let bounds: Option<Vec<f64>> = shifts.iter().map(|s| s.ci95.map(pick)).collect();
        bounds.and_then(|bounds| median(&bounds))
    };
    let value = median(&shifts.iter().map(|s| s.value).collect::<Vec<_>>())?;
    let ci95 = of(&|ci| ci[0]).zip(of(&|ci| ci[1])).map(|(low, high)| [low, high]);
    Some(Estimate { n, value, ci95 })
}

fn wider(one: Option<f64>, other: Option<f64>) -> Option<f64> {
    match (one, other) {
        (Some(a), Some(b)) => Some(a.max(b)),
        (a, b) => a.or(b),
    }
}

/// How far the runs of the base lie apart among themselves, as a share; none for a single run.
fn spread(old: &[Series], size: bool) -> Option<f64> {
    let medians: Vec<f64> = old.iter().filter_map(|o| median(&o.values)).collect();
    let centre = median(&medians).filter(|_| medians.len() > 1)?;
    let most = medians.iter().map(|m| (m - centre).abs()).fold(0.0, f64::max);
    if size { (centre > 0.0).then_some(most / centre) } else { Some(most.exp_m1()) }
}

/// Probability of such ranks if the change were just at the edge of what counts as equal.
fn p(finding: &Finding, new: &Series, old: &[Series], size: bool) -> Option<f64> {
    let side = match finding.class {
        Class::Regression | Class::Improvement => {
            let estimate = if size { finding.difference?.median.0 } else { finding.ratio?.ln() };
            usize::from(estimate > 0.0)
        }
        Class::None | Class::Inconclusive => return None,
    };
    let edge = if size { finding.equal[side] } else { finding.equal[side].ln() };
    let moved: Vec<f64> = new.values.iter().map(|x| x - edge).collect();
    let all: Vec<f64> = old.iter().filter_map(|o| Some(mann_whitney(&moved, &o.values)?.p / 2.0)).collect();
    let all = sorted(&all);
    // Of an even number the larger of the two in the middle: the more careful one.
    all.get(all.len() / 2).copied()
}

/// Takes back verdicts that would be expected among so many comparisons even if nothing had changed.
fn family(findings: &mut [&mut Finding]) {
    // Whatever was looked at belongs to the family, also what needed no test.
    let ps: Vec<f64> = findings.iter().map(|f| f.p.unwrap_or(1.0)).collect();
    let count = findings.len();
    for (finding, adjusted) in findings.iter_mut().zip(holm(&ps)) {
        if finding.p.is_some() && adjusted > TAIL {
            finding.withdraw(format!(
                "beyond the limit by itself, but among {count} comparisons one such is expected by chance"
            ));
        }
    }
}
