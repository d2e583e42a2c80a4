//! What must a reader know before believing the numbers, and what can be done about it?
//!
//! Every warning has a cause and a remedy, and each cause is told once. Failures and skips are told here as well as
//! in their cells: absence must never look like success.

use isomark_core::Kind;
use isomark_core::record::{Failure, Warning};

use crate::dataset::Dataset;
use crate::noise;
use crate::summary::{CellSummary, Status};

/// All warnings of a run: the payload's, the host's, skips, failures, noise.
#[must_use]
pub fn warnings(data: &Dataset<'_>, cells: &[CellSummary]) -> Vec<Warning> {
    let mut all = Vec::new();
    payload(data, &mut all);
    all.extend(data.run.host.warnings.iter().cloned());
    skips(data, cells, &mut all);
    failures(data, &mut all);
    unserved(data, &mut all);
    noisy(data, &mut all);
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

fn unfinished(data: &Dataset<'_>, cells: &[CellSummary], all: &mut Vec<Warning>) {
    let wanted = |cell: &isomark_core::record::Cell| data.run.blocks.div_ceil(cell.every.max(1)) as usize;
    let ran = cells.iter().zip(&data.run.cells).filter(|(cell, _)| cell.status != Status::Skipped);
    let short = ran.filter(|(cell, plan)| cell.trials < wanted(plan)).count();
    if short > 0 {
        let cause = format!(
            "the run is not complete: {short} of {} cells have fewer trials than planned",
            cells.len()
        );
        warn(all, cause, "complete it with isomark run --resume DIR");
    }
}
