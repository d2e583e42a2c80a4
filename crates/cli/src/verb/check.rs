//! `isomark check` and `isomark compare`: a run against those before it.
//!
//! The exit code says what follows. Nothing that was not compared passes for fine.

use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result, bail};
use isomark_core::record::Run;
use isomark_core::{Error, Params};
use isomark_report::export::junit;
use isomark_report::fmt;
use isomark_report::gate::thresholds::Known;
use isomark_report::gate::{Comparison, Stored, Thresholds, baseline, comment, compare, like, words};
use isomark_scenarios::SHELF;
use serde::Serialize;

use crate::args::{self, FailOn, Format};
use crate::ci;
use crate::exit::{self, With};
use crate::place::Place;

/// `check --format json`.
#[derive(Serialize)]
struct Told<'c> {
    verdict: &'c str,
    counts: isomark_report::gate::compare::Counts,
    #[serde(flatten)]
    comparison: &'c Comparison,
}

/// The verb `check`.
pub(crate) fn check(args: &args::Check) -> Result<u8> {
    let comparison = compared(&args.run, &args.baseline, &args.how)?;
    let (verdict, code) = verdict(&comparison, &args.fail_on);
    tell(&comparison, verdict, &args.how)?;
    ci::tell(&comparison, verdict)?;
    if code == exit::NOTHING {
        bail!(With(code, nothing(&comparison)));
    }
    Ok(code)
}

/// The verb `compare`.
pub(crate) fn compare_runs(args: &args::Compare) -> Result<u8> {
    let comparison = compared(&args.run, &args.base, &args.how)?;
    let (verdict, code) = verdict(&comparison, &[]);
    tell(&comparison, verdict, &args.how)?;
    if code == exit::NOTHING {
        bail!(With(code, nothing(&comparison)));
    }
    Ok(exit::FINE)
}

/// The verdict of a whole comparison, and the exit code it asks for.
fn verdict(comparison: &Comparison, fail_on: &[FailOn]) -> (&'static str, u8) {
    let counts = comparison.counts();
    match (comparison.is_empty(), counts.regressions, counts.inconclusive) {
        (true, ..) => ("nothing compared", exit::NOTHING),
        (_, 1.., _) => ("regression", exit::REGRESSION),
        (.., 1..) if fail_on.contains(&FailOn::Inconclusive) => ("inconclusive", exit::INCONCLUSIVE),
        (.., 1..) => ("inconclusive", exit::FINE),
        _ => ("fine", exit::FINE),
    }
}

fn nothing(comparison: &Comparison) -> String {
    let lost = comparison.lost.first().map(words::loss);
    let apart = comparison.apart.first().map(|apart| format!("{} ({})", apart.what, apart.why));
    let ignored = comparison.findings.first().map(|_| "no headline is left to decide".to_owned());
    let why = lost.or(apart).or(ignored);
    let why = why.unwrap_or_else(|| "the runs have no measured cell in common".to_owned());
    format!("nothing was compared: {why}")
}

fn compared(run: &Path, base: &str, how: &args::Compared) -> Result<Comparison> {
    let head = Stored::open(run)?;
    let base = bases(base, how)?;
    let notes = alike(&head, &base, how.allow_cross_host)?;
    let limits = match &how.thresholds {
        Some(file) => thresholds(file, base.iter().chain([&head]).map(|stored| &stored.run))?,
        None => Thresholds::default(),
    };
    let limits = if how.every_metric { limits.every_metric() } else { limits };
    let mut comparison = compare(&head, &base, &limits)?;
    comparison.notes.splice(0..0, notes);
    Ok(comparison)
}

/// A run's folder, or the last runs of a baseline by name. A folder goes before a name.
fn bases(named: &str, how: &args::Compared) -> Result<Vec<Stored>, Error> {
    if baseline::is_run(Path::new(named)) {
        return Ok(vec![Stored::open(Path::new(named))?]);
    }
    let runs = baseline::load(&how.dir, named, how.last as usize)?;
    if runs.is_empty() {
        return Err(Error::Input(format!("baseline {named} has no run; add one with isomark baseline save")));
    }
    Ok(runs)
}

/// Refuses what may not be compared; what may and is worth knowing becomes a note.
fn alike(head: &Stored, base: &[Stored], cross_host: bool) -> Result<Vec<String>> {
    let mut notes = Vec::new();
    for stored in base {
        let unlike = like::unlike(&stored.run, &head.run);
        if let Some(why) = unlike.payload {
            bail!(With(exit::UNFIT, format!("the runs cannot be compared: {why}")));
        }
        if !unlike.host.is_empty() && !cross_host {
            let why = unlike.host.join("; ");
            let text = format!("the hosts are unlike: {why}; --allow-cross-host compares them all the same");
            bail!(With(exit::UNFIT, text));
        }
        notes.extend(unlike.host.into_iter().map(|why| format!("unlike hosts, allowed: {why}")));
        notes.extend(unlike.notes);
    }
    notes.sort();
    notes.dedup();
    Ok(notes)
}

/// Largest thresholds file accepted, in bytes.
const MAX_THRESHOLDS: u64 = 1 << 20;

/// Thresholds from a file that may name whatever the shelves or these runs have.
pub(crate) fn thresholds<'s>(file: &Path, runs: impl IntoIterator<Item = &'s Run>) -> Result<Thresholds> {
    let text = isomark_core::store::read_named(file, MAX_THRESHOLDS)
        .map_err(|e| Error::Input(format!("thresholds {}", e.chain())))?;
    let mut known = known()?;
    runs.into_iter().for_each(|run| known.run(run));
    Ok(Thresholds::parse(&file.display().to_string(), &text, &known)?)
}

/// What is on the shelves.
pub(crate) fn known() -> Result<Known> {
    let place = Place::take()?;
    let mut known = Known::default();
    let shelf = isomark_runtimes::Shelf::open(place.site(), None)?;
    shelf.built_in().iter().chain(&shelf.catalogue()?).for_each(|runtime| known.runtime(runtime.name()));
    for scenario in SHELF {
        // Metrics may depend on parameters: one instance or several.
        for params in [Params::new(), Params::new().with("instances", 2)] {
            (scenario.metrics)(&params).iter().for_each(|metric| known.metric(scenario.name, metric));
        }
    }
    Ok(known)
}

/// Prints the comparison and writes the files that were asked for.
fn tell(comparison: &Comparison, verdict: &str, how: &args::Compared) -> Result<()> {
    if let Some(file) = &how.junit {
        ci::write(file, junit::of_comparison(&how.name, comparison).as_bytes())?;
    }
    if let Some(file) = &how.comment {
        ci::write(file, comment::comment(&how.name, comparison).as_bytes())?;
    }
    let mut out = std::io::stdout().lock();
    match how.format {
        Format::Json => {
            let told = Told { verdict, counts: comparison.counts(), comparison };
            serde_json::to_writer_pretty(&mut out, &told).context("write the result")?;
            writeln!(out)?;
        }
        Format::Human => {
            let base = comparison.base.join(", ");
            writeln!(out, "{}", fmt::clean(&format!("{} against {base}", comparison.head)))?;
            write!(out, "{}", fmt::clean_lines(&words::terminal(comparison, how.all)))?;
            writeln!(out, "verdict: {verdict}")?;
        }
    }
    Ok(())
}
