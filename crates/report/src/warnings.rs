//! What must a reader know before believing the numbers, and what can be done about it?
//!
//! Every warning has a cause and a remedy, and each cause is told once. Failures and skips are told here as well as
//! in their cells: absence must never look like success.

use isomark_core::Kind;
use isomark_core::record::{Failure, Warning};

use crate::dataset::Dataset;
use crate::fmt;
use crate::noise;
use crate::precision::{Precision, Target};
use crate::summary::{CellSummary, Control, Status, Trust};

/// Cells with two modes that are named; the others are counted.
const MODES: usize = 4;

/// All warnings of a run: the payload's, the host's, skips, failures, noise.
#[must_use]
pub fn warnings(data: &Dataset<'_>, cells: &[CellSummary], controls: &[Control]) -> Vec<Warning> {
    let mut all = Vec::new();
    payload(data, &mut all);
    all.extend(data.run.host.warnings.iter().cloned());
    skips(data, cells, &mut all);
    failures(data, &mut all);
    unserved(data, &mut all);
    noisy(data, &mut all);
    unsteady(controls, &mut all);
    two_modes(cells, &mut all);
    unfinished(data, cells, &mut all);
    let mut told: Vec<Warning> = Vec::new();
    for warning in all {
        if !told.contains(&warning) {
            told.push(warning);
        }
    }
    told
}

fn warn(all: &mut Vec<Warning>, cause: String, remedy: impl Into<String>) {
    all.push(Warning { cause, remedy: remedy.into() });
}

fn payload(data: &Dataset<'_>, all: &mut Vec<Warning>) {
    if let Some(note) = &data.run.payload.note {
        let remedy =
            "build with the default target (rustup target add x86_64-unknown-linux-musl) to avoid it";
        warn(all, format!("payload: {note}"), remedy);
    }
}

/// One warning per runtime and reason, with the scenarios it keeps from running.
fn skips(data: &Dataset<'_>, cells: &[CellSummary], all: &mut Vec<Warning>) {
    for record in &data.run.runtimes {
        // A floor cannot stand where its runtime cannot, for the same reason: that is told once.
        if let Some(skip) = record.unavailable.as_ref().filter(|_| record.kind != Kind::Floor) {
            warn(all, format!("{} cannot run here: {}", record.name, skip.reason), &*skip.remedy);
        }
    }
    let mut grouped: Vec<(&str, &str, &str, Vec<&str>)> = Vec::new();
    for cell in cells.iter().filter(|cell| cell.status == Status::Skipped) {
        let (reason, remedy) = (cell.reason.as_deref().unwrap_or(""), cell.remedy.as_deref().unwrap_or(""));
        let known = data.run.runtimes.iter().filter(|record| record.name == cell.runtime);
        if known.filter_map(|r| r.unavailable.as_ref()).any(|skip| skip.reason == reason) {
            continue;
        }
        let same = grouped.iter_mut().find(|(runtime, why, ..)| *runtime == cell.runtime && *why == reason);
        match same {
            Some((.., scenarios)) if scenarios.contains(&&*cell.scenario) => {}
            Some((.., scenarios)) => scenarios.push(&cell.scenario),
            None => grouped.push((&cell.runtime, reason, remedy, vec![&cell.scenario])),
        }
    }
    for (runtime, reason, remedy, scenarios) in grouped {
        warn(all, format!("{runtime} skips {}: {reason}", scenarios.join(", ")), remedy);
    }
}

fn failures(data: &Dataset<'_>, all: &mut Vec<Warning>) {
    for (cell, seen) in data.run.cells.iter().zip(&data.cells) {
        for failed in &seen.failures {
            let blank = if cell.params.is_empty() { "" } else { " " };
            let Failure { phase, kind, message } = &failed.failure;
            let phase = phase.map_or_else(String::new, |phase| format!(" in {phase}"));
            let cause = format!(
                "{} {}{blank}{}: {} of {} trials failed{phase}: {message}",
                cell.runtime, cell.scenario, cell.params, failed.count, seen.trials
            );
            warn(all, cause, advice(kind));
        }
    }
}

/// What to do about a failure of this kind.
fn advice(kind: &str) -> &'static str {
    match kind {
        "wrong-answer" => {
            "do not use these numbers; run it again, and if it stays, report it with the run folder"
        }
        "timeout" => "see whether the host is overloaded, or give it longer",
        "input" => "mend the parameter that is named",
        "clean-up" => "look for what was left behind with isomark doctor",
        _ => "run isomark doctor; if it finds nothing, run again and report it with the run folder",
    }
}

fn unserved(data: &Dataset<'_>, all: &mut Vec<Warning>) {
    for (cell, seen) in data.run.cells.iter().zip(&data.cells) {
        for what in seen.notes.get("unserved").into_iter().flatten() {
            let cause =
                format!("{} {}: the program asked for and did not get: {what}", cell.runtime, cell.scenario);
            warn(all, cause, "compare with the same program in process before reading much into its numbers");
        }
    }
}

fn noisy(data: &Dataset<'_>, all: &mut Vec<Warning>) {
    let noisy = noise::noisy_blocks(&data.blocks);
    if noisy.is_empty() {
        return;
    }
    let worst = data.blocks.iter().map(|b| b.psi_cpu.unwrap_or(0.0).max(b.steal)).fold(0.0, f64::max);
    let cause = format!(
        "{} of {} blocks were noisy (CPU stolen above {:.0} % or waited for above {:.0} %; worst {:.0} %)",
        noisy.len(),
        data.blocks.len(),
        noise::STEAL * 100.0,
        noise::PSI_CPU * 100.0,
        worst * 100.0
    );
    warn(
        all,
        cause,
        "stop what else runs on the host, or take more blocks; ratios are paired within a block",
    );
}

/// Headline metrics that differ too much from themselves: one warning per scenario, the widest band first.
fn unsteady(controls: &[Control], all: &mut Vec<Warning>) {
    let mut noisy: Vec<&Control> =
        controls.iter().filter(|c| c.headline && c.verdict == Trust::Noisy).collect();
    noisy.sort_by(|a, b| {
        a.scenario.cmp(&b.scenario).then(b.band.unwrap_or(0.0).total_cmp(&a.band.unwrap_or(0.0)))
    });
    for group in noisy.chunk_by(|a, b| a.scenario == b.scenario) {
        let worst = group[0];
        let why = worst.why.as_deref().unwrap_or("measured twice it differs");
        let others = match group.len() {
            1 => String::new(),
            n => format!("; so are {} more", n - 1),
        };
        let cause = format!(
            "{} {}: the host is too noisy for the precision that is asked: {why}{others}",
            worst.runtime, worst.scenario
        );
        let remedy =
            "stop what else runs on the host, pin CPUs or take more blocks; regions are widened to the band";
        warn(all, cause, remedy);
    }
}

/// Headline metrics whose values gather in two places.
fn two_modes(cells: &[CellSummary], all: &mut Vec<Warning>) {
    let one = |cell: &CellSummary| {
        let metric = cell.metrics.first()?;
        let modes = metric.modes?.map(|mode| {
            format!("{} ({:.0} %)", fmt::quantity(&metric.unit, mode.at.0, None), mode.share * 100.0)
        });
        let blank = if cell.params.is_empty() { "" } else { " " };
        Some(format!("{} {}{blank}{}: {}", cell.runtime, cell.scenario, cell.params, modes.join(" and ")))
    };
    let told: Vec<String> = cells.iter().filter_map(one).collect();
    if told.is_empty() {
        return;
    }
    let rest = told.len().saturating_sub(MODES);
    let more = if rest == 0 { String::new() } else { format!("; and {rest} more in summary.json") };
    let cause = format!(
        "values gather in two places, and a median between them describes neither: {}{more}",
        told[..told.len() - rest].join("; ")
    );
    warn(all, cause, "look at the single values in samples.csv: a cause that comes and goes is at work");
}

fn unfinished(data: &Dataset<'_>, cells: &[CellSummary], all: &mut Vec<Warning>) {
    let wanted = |cell: &isomark_core::record::Cell| data.run.blocks.div_ceil(cell.every.max(1)) as usize;
    // A cell may end early if a precision was asked for and reached.
    let target = data.run.precision.as_deref().and_then(|text| text.parse::<Target>().ok());
    let precision = target.map(|target| Precision::of(data, target));
    let precise = |at: usize| precision.as_ref().is_some_and(|precision| precision.precise(at));
    let ran = cells.iter().zip(&data.run.cells).enumerate();
    let ran = ran.filter(|(_, (cell, _))| cell.status != Status::Skipped);
    let short = ran.filter(|(at, (cell, plan))| cell.trials < wanted(plan) && !precise(*at)).count();
    if short > 0 {
        let cause = format!(
            "the run is not complete: {short} of {} cells have fewer trials than planned",
            cells.len()
        );
        warn(all, cause, "complete it with isomark run --resume DIR");
    }
}
