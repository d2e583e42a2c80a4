//! From grouped samples to `summary.json`.
//!
//! Pure: the same run folder gives the same bytes. A cell without numbers says why; a comparison without a verdict
//! says why; nothing that is missing is written as zero.

use isomark_core::record::{Cell, Run};
use isomark_core::{Metric, Phase};

use crate::controls::{Bands, widened};
use crate::dataset::{Dataset, Observed};
use crate::noise;
use crate::reference;
use crate::region::{quantity, region};
use crate::stats::autocorrelation::lag1;
use crate::stats::bootstrap::{RESAMPLES, ratio_of_medians};
use crate::stats::median::{median, sorted};
use crate::stats::modes::two_modes;
use crate::stats::order;
use crate::stats::paired::{self, Estimate};
use crate::stats::random::Random;
use crate::stats::spread::mad;
use crate::stats::verdict::{Quantity, judge};
use crate::summary::{
    CellSummary, Companion, Difference, FailureSummary, Floor, HostInfo, MetricSummary, ModeSummary, Number,
    PhaseSummary, RunInfo, SUMMARY_SCHEMA, Status, StepSummary, Summary, Versus,
};
use crate::words::stored;
use crate::{companions, controls, headline, warnings};

/// The answers of a dataset.
#[must_use]
pub fn summarise(data: &Dataset<'_>) -> Summary {
    let controls = controls::controls(data);
    let given = Given { data, noisy: noise::noisy_blocks(&data.blocks), bands: Bands::new(&controls) };
    let mut cells: Vec<CellSummary> = (0..data.run.cells.len()).map(|i| cell(&given, i)).collect();
    companions::adjust(data.run, &mut cells);
    let warnings = warnings::warnings(data, &cells, &controls);
    let cells = answers(data.run, cells);
    Summary {
        schema: SUMMARY_SCHEMA.to_owned(),
        headline: headline::headline(data, &cells, &given.bands),
        run: run_info(data, given.noisy),
        warnings,
        cells,
        controls,
        claims: Vec::new(),
    }
}

/// What every answer of a run rests on.
struct Given<'d> {
    data: &'d Dataset<'d>,
    /// Numbers of the noisy blocks.
    noisy: Vec<u32>,
    bands: Bands,
}

/// The cells that answer a question of the user: controls answer for the method.
fn answers(run: &Run, cells: Vec<CellSummary>) -> Vec<CellSummary> {
    let control = |at: usize| controls::is_control(&run.cells[at]);
    cells.into_iter().enumerate().filter(|(at, _)| !control(*at)).map(|(_, cell)| cell).collect()
}

fn run_info(data: &Dataset<'_>, blocks_noisy: Vec<u32>) -> RunInfo {
    let Run { id, started, plan, seed, isomark, payload, host, blocks, .. } = data.run;
    let series = data.cells.iter().flat_map(|cell| cell.series.values());
    let last = series.filter_map(|s| s.last()).map(|(block, _)| block.saturating_add(1)).max();
    let host = HostInfo {
        kvm_class: host.kvm_class.clone(),
        cgroup: host.cgroup.clone(),
        kernel: host.kernel.clone(),
        cpu: host.cpu.clone(),
        name: host.name.clone(),
        cpus: host.cpus,
        memory: host.memory,
        hypervisor: host.hypervisor.clone(),
        user: host.user.clone(),
    };
    RunInfo {
        id: id.clone(),
        started: started.clone(),
        plan: plan.clone(),
        seed: *seed,
        payload_sha256: payload.sha256.clone(),
        isomark: isomark.clone(),
        host,
        blocks: *blocks,
        blocks_done: last.unwrap_or(0),
        blocks_noisy,
    }
}

fn cell(given: &Given<'_>, index: usize) -> CellSummary {
    let data = given.data;
    let (cell, seen) = (&data.run.cells[index], &data.cells[index]);
    let (status, reason, remedy) = status(cell, seen);
    let skipped = status == Status::Skipped;
    // What a runtime does not have is absent, not failed.
    let there = |metric: &&Metric| !skipped && (!metric.optional || seen.series.contains_key(&*metric.name));
    let metrics = cell.metrics.iter().filter(there).enumerate();
    let record = data.run.runtimes.iter().find(|record| record.name == cell.runtime);
    CellSummary {
        runtime: cell.runtime.clone(),
        kind: record.map(|record| record.kind),
        scenario: cell.scenario.clone(),
        params: cell.params.clone(),
        label: cell.arm.as_ref().map(|arm| arm.label.clone()),
        status,
        reason,
        remedy,
        payload_sha256: ran_inside(data.run, cell).to_owned(),
        trials: seen.trials,
        metrics: metrics.map(|(at, metric)| one_metric(given, index, metric, at == 0)).collect(),
        phases: phases(data.run, cell, seen),
        steps: steps(seen),
        failures: failures(seen),
    }
}

/// What ran inside: the user's program in its own scenario, the payload everywhere else.
fn ran_inside<'r>(run: &'r Run, cell: &Cell) -> &'r str {
    match &run.program {
        Some(program) if cell.scenario == "program" => &program.sha256,
        // A variant that another isomark carries out brings a payload of its own.
        _ => own_payload(run, &cell.runtime).unwrap_or(&run.payload.sha256),
    }
}

fn own_payload<'r>(run: &'r Run, runtime: &str) -> Option<&'r String> {
    let identity = run.runtimes.iter().find(|record| record.name == runtime)?.identity.as_ref()?;
    identity.details.get("payload sha256")
}

fn status(cell: &Cell, seen: &Observed) -> (Status, Option<String>, Option<String>) {
    if let Some(skip) = &cell.skipped {
        return (Status::Skipped, Some(skip.reason.clone()), Some(skip.remedy.clone()));
    }
    let declared = || cell.metrics.iter().filter(|metric| !metric.optional);
    let missing = declared().find(|metric| !seen.series.contains_key(&*metric.name));
    let said = seen.failures.first().map(|f| f.failure.message.clone());
    match (missing, seen.trials) {
        (None, _) if !seen.series.is_empty() => (Status::Ok, None, None),
        (_, 0) => {
            let reason = stored("cut_short", &[]);
            (Status::Failed, Some(reason), Some(stored("resume", &[])))
        }
        (Some(metric), _) => {
            let silent = || stored("never_recorded", &[("metric", &metric.name)]);
            (Status::Failed, Some(said.unwrap_or_else(silent)), None)
        }
        (None, _) => (Status::Failed, Some(said.unwrap_or_else(|| stored("no_value", &[]))), None),
    }
}

fn one_metric(given: &Given<'_>, index: usize, metric: &Metric, headline: bool) -> MetricSummary {
    let data = given.data;
    let seen = &data.cells[index];
    let taken = seen.values(&metric.name);
    let all = sorted(&taken);
    let folded = phase_named(&metric.name).and_then(|phase| folded(data.run, &data.run.cells[index], phase));
    // Work that was done inside another phase, here or in the reference, has no ratio of its own.
    let apart = |base: &usize| {
        let there = phase_named(&metric.name).and_then(|p| self::folded(data.run, &data.run.cells[*base], p));
        folded.is_none() && there.is_none()
    };
    let whole = |x: f64| number(metric, x);
    let pair = |ci: [f64; 2]| ci.map(whole);
    MetricSummary {
        name: metric.name.to_string(),
        unit: metric.unit.to_string(),
        better: metric.better,
        n: all.len(),
        failed: if metric.optional { seen.failed } else { seen.trials - all.len().min(seen.trials) },
        min: all.first().copied().map(whole),
        median: median(&all).map(whole),
        ci95: order::interval(&all, 0.5).map(pair),
        p95: order::quantile(&all, 0.95).map(whole),
        p95_ci95: order::interval(&all, 0.95).map(pair),
        p99: order::quantile(&all, 0.99).map(whole),
        p99_ci95: order::interval(&all, 0.99).map(pair),
        max: all.last().copied().map(whole),
        mad: mad(&all).map(whole),
        autocorrelation: lag1(&taken).map(rounded),
        modes: two_modes(&all)
            .filter(|_| headline)
            .map(|modes| modes.map(|mode| ModeSummary { at: whole(mode.at), share: rounded(mode.share) })),
        folded,
        versus: reference::process(data.run, index)
            .filter(apart)
            .and_then(|base| versus(given, index, base, metric, headline)),
        floor: reference::floor(data.run, index)
            .filter(|_| headline)
            .and_then(|base| floor(data, index, base, metric)),
    }
}

/// Times are whole nanoseconds and sizes whole bytes, whatever a median of two makes of them.
pub(crate) fn number(metric: &Metric, value: f64) -> Number {
    Number(if matches!(&*metric.unit, "ns" | "byte") { value.round() } else { value })
}

/// Ten significant digits: far beyond what any interval carries, and the same on every libm.
pub(crate) fn rounded(value: f64) -> f64 {
    if value == 0.0 || !value.is_finite() {
        return value;
    }
    let digits = usize::try_from(9 - value.abs().log10().floor() as i64).unwrap_or(0);
    format!("{value:.digits$}").parse().unwrap_or(value)
}

fn versus(given: &Given<'_>, index: usize, base: usize, metric: &Metric, headline: bool) -> Option<Versus> {
    let data = given.data;
    let cell = &data.run.cells[index];
    let pairs = data.pairs(index, base, &metric.name);
    let all: Vec<(f64, f64)> = pairs.iter().map(|(_, pair)| *pair).collect();
    let region = region(cell, metric);
    let band = given.bands.of(data.run, [index, base], &metric.name);
    let applied = widened(region, band);
    let kind = quantity(metric);
    let ratio = paired::ratio(&all);
    let apart = paired::difference(&all)?;
    let (verdict, why) = match (kind, &ratio) {
        (Quantity::Size, _) => {
            let bases: Vec<f64> = all.iter().map(|(_, base)| *base).collect();
            judge(&apart, applied.difference(median(&bases)?), kind)
        }
        (_, Some(ratio)) => judge(ratio, applied.ratio(), kind),
        (_, None) => {
            let none = Estimate { n: all.len(), value: f64::NAN, ci95: None };
            (judge(&none, [1.0, 1.0], kind).0, Some(stored("no_ratio", &[])))
        }
    };
    let quiet = without(&pairs, &given.noisy);
    let size = |found: Estimate| Difference {
        median: number(metric, found.value),
        ci95: found.ci95.map(|ci| ci.map(|x| number(metric, x))),
    };
    Some(Versus {
        runtime: data.run.cells[base].runtime.clone(),
        ratio: ratio.map(|r| rounded(r.value)),
        ci95: ratio.and_then(|r| r.ci95).map(|ci| ci.map(rounded)),
        verdict,
        why,
        n: all.len(),
        region,
        band,
        difference: (kind == Quantity::Size).then(|| size(apart)),
        bootstrap: headline.then(|| resampled(data.run, cell, metric, &all)).flatten(),
        quiet: quiet.as_deref().and_then(paired::ratio).map(companion),
        quiet_difference: quiet
            .filter(|_| kind == Quantity::Size)
            .and_then(|quiet| paired::difference(&quiet))
            .map(size),
        hodges_lehmann: headline.then(|| companions::hodges_lehmann(&all)).flatten(),
        wilcoxon: headline.then(|| companions::wilcoxon(&all)),
        cliff: headline.then(|| companions::cliff(&all)).flatten(),
    })
}

fn resampled(run: &Run, cell: &Cell, metric: &Metric, pairs: &[(f64, f64)]) -> Option<Companion> {
    let name = format!("{} {} {} {}", cell.runtime, cell.scenario, cell.params, metric.name);
    let mut random = Random::named(run.seed, &name);
    // Long series carry their interval by themselves; the same work for each keeps large runs quick.
    let resamples = RESAMPLES.min(400_000 / pairs.len().max(1));
    ratio_of_medians(pairs, resamples, &mut random).map(companion)
}

/// The pairs of the other blocks; none if no block was noisy.
fn without(pairs: &[(u32, (f64, f64))], noisy: &[u32]) -> Option<Vec<(f64, f64)>> {
    let quiet: Vec<(f64, f64)> = pairs
        .iter()
        .filter(|(block, _)| noisy.binary_search(block).is_err())
        .map(|(_, pair)| *pair)
        .collect();
    (quiet.len() < pairs.len()).then_some(quiet)
}

pub(crate) fn companion(found: Estimate) -> Companion {
    Companion { ratio: rounded(found.value), ci95: found.ci95.map(|ci| ci.map(rounded)), n: found.n }
}

fn floor(data: &Dataset<'_>, index: usize, base: usize, metric: &Metric) -> Option<Floor> {
    let pairs: Vec<(f64, f64)> =
        data.pairs(index, base, &metric.name).into_iter().map(|(_, pair)| pair).collect();
    let found = paired::ratio(&pairs)?;
    let runtime = data.run.cells[base].runtime.clone();
    Some(Floor { runtime, ratio: rounded(found.value), ci95: found.ci95.map(|ci| ci.map(rounded)) })
}

fn phases(run: &Run, cell: &Cell, seen: &Observed) -> Vec<PhaseSummary> {
    let medians = seen.phases.iter().filter_map(|(phase, times)| Some((*phase, median(times)?)));
    let one = |(phase, ns): (Phase, f64)| {
        let folded = folded(run, cell, phase);
        PhaseSummary { phase, median: Number(ns.round()), folded }
    };
    medians.map(one).collect()
}

/// The phase in which this runtime does the work of `phase`, if that is another one.
fn folded(run: &Run, cell: &Cell, phase: Phase) -> Option<Phase> {
    let identity = run.runtimes.iter().find(|r| r.name == cell.runtime)?.identity.as_ref()?;
    identity.folded.iter().find(|(from, _)| *from == phase).map(|(_, into)| *into)
}

/// Whether a cell's metric is named after a phase whose work this runtime does in another one.
pub(crate) fn is_folded(run: &Run, index: usize, metric: &str) -> bool {
    phase_named(metric).and_then(|phase| folded(run, &run.cells[index], phase)).is_some()
}

/// The phase that a metric is named after.
fn phase_named(metric: &str) -> Option<Phase> {
    Phase::ALL.into_iter().find(|phase| phase.word() == metric)
}

fn steps(seen: &Observed) -> Vec<StepSummary> {
    let one = |told: &crate::dataset::Told| {
        let round = |ns: f64| Number(ns.round());
        let (at, since) = (median(&told.at).map(round)?, median(&told.since).map(round));
        Some(StepSummary { name: told.name.clone(), median: at, since, n: told.at.len() })
    };
    seen.steps.iter().filter_map(one).collect()
}

fn failures(seen: &Observed) -> Vec<FailureSummary> {
    let one = |f: &crate::dataset::Failures| FailureSummary {
        phase: f.failure.phase,
        kind: f.failure.kind.clone(),
        message: f.failure.message.clone(),
        count: f.count,
        block: f.block,
    };
    seen.failures.iter().map(one).collect()
}
