//! What must a reader know before believing the numbers, and what can be done about it?
//!
//! Every warning has a cause and a remedy, and each cause is told once. Failures and skips are told here as well as
//! in their cells: absence must never look like success.

use isomark_core::record::{Failure, Warning};
use isomark_core::{Kind, Phase};

use crate::dataset::Dataset;
use crate::fmt;
use crate::noise;
use crate::precision::{Precision, Target};
use crate::summary::{CellSummary, Control, Status, Trust};
use crate::words::stored;

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
    // What a reader can do something about comes first.
    told.sort_by_key(of_no_use);
    told
}

/// Whether nobody can do anything about a warning: it tells what a runtime or a host does not have.
pub(crate) fn of_no_use(warning: &Warning) -> bool {
    warning.remedy.starts_with("nothing to do")
}

fn warn(all: &mut Vec<Warning>, cause: String, remedy: impl Into<String>) {
    all.push(Warning { cause, remedy: remedy.into() });
}

fn payload(data: &Dataset<'_>, all: &mut Vec<Warning>) {
    if let Some(note) = &data.run.payload.note {
        warn(all, stored("warn_payload", &[("note", note)]), stored("do_build", &[]));
    }
}

/// Scenarios that runtimes skip for one reason.
struct Skips<'s> {
    runtimes: Vec<&'s str>,
    reason: &'s str,
    remedy: &'s str,
    scenarios: Vec<&'s str>,
}

/// Runtimes that skip the same for the same reason told together.
fn alike(all: Vec<Skips<'_>>) -> Vec<Skips<'_>> {
    let mut told: Vec<Skips<'_>> = Vec::new();
    for one in all {
        let same =
            told.iter_mut().find(|known| known.reason == one.reason && known.scenarios == one.scenarios);
        match same {
            Some(known) => known.runtimes.extend(one.runtimes),
            None => told.push(one),
        }
    }
    told
}

/// One warning per runtime and reason, with the scenarios it keeps from running.
fn skips(data: &Dataset<'_>, cells: &[CellSummary], all: &mut Vec<Warning>) {
    for record in &data.run.runtimes {
        // A floor cannot stand where its runtime cannot, for the same reason: that is told once.
        if let Some(skip) = record.unavailable.as_ref().filter(|_| record.kind != Kind::Floor) {
            warn(
                all,
                stored("warn_unavailable", &[("who", &record.name), ("why", &skip.reason)]),
                &*skip.remedy,
            );
        }
    }
    let mut grouped: Vec<Skips<'_>> = Vec::new();
    for cell in cells.iter().filter(|cell| cell.status == Status::Skipped) {
        let (reason, remedy) = (cell.reason.as_deref().unwrap_or(""), cell.remedy.as_deref().unwrap_or(""));
        let known = data.run.runtimes.iter().filter(|record| record.name == cell.runtime);
        if known.filter_map(|r| r.unavailable.as_ref()).any(|skip| skip.reason == reason) {
            continue;
        }
        let same = grouped.iter_mut().find(|one| one.runtimes == [&*cell.runtime] && one.reason == reason);
        match same {
            Some(one) if one.scenarios.contains(&&*cell.scenario) => {}
            Some(one) => one.scenarios.push(&cell.scenario),
            None => {
                let (runtimes, scenarios) = (vec![&*cell.runtime], vec![&*cell.scenario]);
                grouped.push(Skips { runtimes, reason, remedy, scenarios });
            }
        }
    }
    for same in alike(grouped) {
        let (who, what) = (same.runtimes.join(", "), same.scenarios.join(", "));
        let key = if same.runtimes.len() > 1 { "warn_skip_all" } else { "warn_skips" };
        warn(all, stored(key, &[("who", &who), ("what", &what), ("why", &same.reason)]), same.remedy);
    }
}

fn failures(data: &Dataset<'_>, all: &mut Vec<Warning>) {
    for (cell, seen) in data.run.cells.iter().zip(&data.cells) {
        for failed in &seen.failures {
            let blank = if cell.params.is_empty() { "" } else { " " };
            let Failure { phase, kind, message } = &failed.failure;
            let what = format!("{} {}{blank}{}", cell.runtime, cell.scenario, cell.params);
            let inside = phase.map_or("", Phase::word);
            let with: [(&str, &dyn std::fmt::Display); 5] = [
                ("what", &what),
                ("n", &failed.count),
                ("of", &seen.trials),
                ("phase", &inside),
                ("why", message),
            ];
            let cause = stored(if phase.is_some() { "warn_failed_in" } else { "warn_failed" }, &with);
            warn(all, cause, advice(kind, *phase));
        }
    }
}

/// What to do about a failure of this kind in this phase: what refuses in the middle of a run is the instance, before it the tool.
fn advice(kind: &str, phase: Option<Phase>) -> String {
    match kind {
        "wrong-answer" => stored("do_distrust", &[]),
        "timeout" => stored("do_wait", &[]),
        "input" => stored("do_mend", &[]),
        "clean-up" => stored("do_look", &[]),
        "unsupported" if phase == Some(Phase::Run) => stored("do_none", &[]),
        isomark_core::record::EXHAUSTED => stored("do_resume", &[]),
        _ => stored("do_doctor", &[]),
    }
}

fn unserved(data: &Dataset<'_>, all: &mut Vec<Warning>) {
    for (cell, seen) in data.run.cells.iter().zip(&data.cells) {
        for what in seen.notes.get("unserved").into_iter().flatten() {
            let with: [(&str, &dyn std::fmt::Display); 3] =
                [("who", &cell.runtime), ("scenario", &cell.scenario), ("what", what)];
            warn(all, stored("warn_unserved", &with), stored("do_compare", &[]));
        }
    }
}

fn noisy(data: &Dataset<'_>, all: &mut Vec<Warning>) {
    let noisy = noise::noisy_blocks(&data.blocks);
    if noisy.is_empty() {
        return;
    }
    let worst = data.blocks.iter().map(|b| b.psi_cpu.unwrap_or(0.0).max(b.steal)).fold(0.0, f64::max);
    let whole = |share: f64| format!("{:.0}", share * 100.0);
    let with: [(&str, &dyn std::fmt::Display); 5] = [
        ("n", &noisy.len()),
        ("of", &data.blocks.len()),
        ("steal", &whole(noise::STEAL)),
        ("wait", &whole(noise::PSI_CPU)),
        ("worst", &whole(worst)),
    ];
    warn(all, stored("warn_noisy", &with), stored("do_quiet", &[]));
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
        let why = worst.why.clone().unwrap_or_else(|| stored("differs", &[]));
        let (others, n) = (group.len() > 1, group.len() - 1);
        let with: [(&str, &dyn std::fmt::Display); 4] =
            [("who", &worst.runtime), ("what", &worst.scenario), ("why", &why), ("n", &n)];
        let cause =
            if others { stored("warn_unsteady_all", &with) } else { stored("warn_unsteady", &with[..3]) };
        warn(all, cause, stored("do_steady", &[]));
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
        Some(format!("{} {}{blank}{}: {}", cell.runtime, cell.scenario, cell.params, modes.join(" + ")))
    };
    let told: Vec<String> = cells.iter().filter_map(one).collect();
    if told.is_empty() {
        return;
    }
    let rest = told.len().saturating_sub(MODES);
    let named = told[..told.len() - rest].join("; ");
    let cause = if rest == 0 {
        stored("warn_modes", &[("told", &named)])
    } else {
        stored("warn_modes_more", &[("told", &named), ("n", &rest)])
    };
    warn(all, cause, stored("do_values", &[]));
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
        let cause = stored("warn_unfinished", &[("n", &short), ("of", &cells.len())]);
        warn(all, cause, stored("resume", &[]));
    }
}
