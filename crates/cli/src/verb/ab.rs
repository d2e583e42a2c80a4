//! `isomark ab`: two variants of a runtime, paired in the blocks of one run, with their controls beside them.
//!
//! All arms go the same way: if one needs a process of its own (another isomark, another payload), so does each of the
//! others, controls included.

use std::collections::BTreeMap;
use std::io::Write;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use isomark_core::record::{Arm, Cell, RuntimeRecord};
use isomark_core::{Bench, Error, Metric, Params, Refusal, Scenario, Variant};
use isomark_engine::Elsewhere;
use isomark_engine::controls::{self, Controls};
use isomark_engine::interrupt::Interrupt;
use isomark_engine::plan::Found;
use isomark_engine::run::End;
use isomark_report::export::junit;
use isomark_report::gate::compare::SCHEMA;
use isomark_report::gate::finding::{Class, Finding};
use isomark_report::gate::{Comparison, Thresholds, comment};
use isomark_report::{Dataset, ab as answers};
use isomark_runtimes::Shelf;
use isomark_scenarios::SHELF;

use crate::args::{self, FailOn, Format};
use crate::ci;
use crate::elsewhere::{Build, Worker};
use crate::exit::{self, With};
use crate::lock;
use crate::measure::{self, Asked, Prepared, bench, carry_out, payload};
use crate::place::Place;
use crate::spec::{self, Named};
use crate::verb::check;

/// A comparison ends after this time unless the command line says otherwise.
const BUDGET: Duration = Duration::from_secs(50);
/// Blocks at most, where precision decides.
const BLOCKS: u32 = 5000;
/// Warm-up trials of each cell.
const WARMUP: u32 = 2;

/// The verb.
pub(crate) fn ab(args: &args::Ab) -> Result<u8> {
    let interrupt = Interrupt::install().context("install signal handlers")?;
    args.look.options().check()?;
    let mut held = lock::take(args.no_lock)?;
    let place = Place::take()?;
    let shelf = Shelf::open(place.site(), args.catalogue.as_deref())?;
    let variants = [args.a.parse::<Variant>()?, args.b.parse::<Variant>()?];
    let elsewhere = variants.iter().any(|v| spec::is_elsewhere(v, &shelf));
    place.guard()?;
    let named = variants.iter().map(|v| named(v, &shelf)).collect::<Result<Vec<_>, _>>()?;
    let began = Instant::now();
    let workers = if elsewhere { workers(&variants, &shelf, args)? } else { Vec::new() };
    let found = if elsewhere { Vec::new() } else { found(&named) };
    let (image, payload) = payload(None, place.site())?;
    let (bench, host) = bench(args.deadline, image, None, place.site());
    let runtimes = if elsewhere {
        workers.iter().map(|placed| placed.record.clone()).collect::<Vec<_>>()
    } else {
        found.iter().map(Found::record).collect()
    };
    available(&runtimes)?;
    let cells = cells(args, (&variants, &shelf), &runtimes, &bench)?;
    let thresholds = match &args.thresholds {
        Some(file) => check::thresholds(file, None)?,
        None => Thresholds::default(),
    };
    let asked = Asked {
        plan: "ab".into(),
        blocks: args.runs.unwrap_or(BLOCKS),
        warmup: WARMUP,
        seed: args.seed,
        precision: precision(args, &cells, &thresholds)?,
        out: args.out.clone(),
        part: None,
        labels: Vec::new(),
        binary: None,
    };
    let (folder, run) = measure::open(asked, cells, runtimes, &bench, (payload, host), &mut held)?;
    let budget = args.time_budget.or(args.runs.is_none().then_some(BUDGET));
    let elsewhere = if elsewhere { each_its_own(workers, &run.cells, args)? } else { Vec::new() };
    let prepared = Prepared { folder, run, found, bench, elsewhere, stored: Vec::new(), budget };
    let (end, code) = carry_out(&prepared, &interrupt, (began, args.quiet))?;
    let findings = conclude(args, &prepared, &thresholds, end)?;
    let code = if code == exit::FINE { verdict(&findings, &args.fail_on)? } else { code };
    publish(args, &findings, code)?;
    Ok(code)
}

/// The runtime that a variant stands for, under the variant's name.
fn named<'s>(variant: &Variant, shelf: &Shelf<'s>) -> Result<Named<'s>, Error> {
    let inner = shelf.find(&spec::of_runtime(variant, shelf))?;
    Ok(Named { name: variant.to_string(), inner })
}

/// Both, or one if they have the same name.
fn found<'r>(named: &'r [Named<'r>]) -> Vec<Found<'r>> {
    let mut found: Vec<Found<'r>> = Vec::new();
    for runtime in named {
        if !found.iter().any(|f| f.runtime.name() == runtime.name) {
            found.push(Found::probe(runtime));
        }
    }
    found
}

/// A process of a variant: name, record, what was started, and the process.
struct Placed {
    name: String,
    record: RuntimeRecord,
    build: Build,
    worker: Worker,
}

fn workers(variants: &[Variant], shelf: &Shelf<'_>, args: &args::Ab) -> Result<Vec<Placed>, Error> {
    let mut all: Vec<Placed> = Vec::new();
    for variant in variants {
        let name = variant.to_string();
        if all.iter().any(|known| known.name == name) {
            continue;
        }
        let build = spec::build(variant, shelf)?;
        let worker = Worker::start(&build, args.catalogue.as_deref(), args.deadline)?;
        let record = spec::record(variant, &build, &worker)?;
        all.push(Placed { name, record, build, worker });
    }
    Ok(all)
}

type Hands = Vec<(Vec<usize>, Box<dyn Elsewhere>)>;

/// A process for each arm. One that carried out several would come to each trial with warmer caches than the other side's,
/// and seem 5 to 10 % faster at a startup of 50 µs; and processes of one program differ by where their memory lies, which
/// only a control in another process shows (Mytkowicz et al. 2009).
fn each_its_own(placed: Vec<Placed>, cells: &[Cell], args: &args::Ab) -> Result<Hands, Error> {
    let builds = placed.iter().map(|one| (one.name.clone(), one.build.clone())).collect::<BTreeMap<_, _>>();
    let mut idle = placed.into_iter().map(|one| (one.name, one.worker)).collect::<BTreeMap<_, _>>();
    let mut hands: BTreeMap<(&str, &str), Vec<usize>> = BTreeMap::new();
    for (at, cell) in cells.iter().enumerate() {
        let label = cell.arm.as_ref().map_or("", |arm| &arm.label);
        hands.entry((&cell.runtime, label)).or_default().push(at);
    }
    let started = hands.into_iter().map(|((runtime, _), cells)| {
        let worker = match idle.remove(runtime) {
            Some(worker) => worker,
            None => Worker::start(&builds[runtime], args.catalogue.as_deref(), args.deadline)?,
        };
        Ok((cells, Box::new(worker) as Box<dyn Elsewhere>))
    });
    started.collect()
}

fn available(runtimes: &[RuntimeRecord]) -> Result<()> {
    let gone = runtimes.iter().find_map(|r| Some((&r.name, r.unavailable.as_ref()?)));
    gone.map_or(Ok(()), |(name, skip)| bail!(With(exit::UNFIT, spec::unavailable(name, skip))))
}

/// For each scenario a, its controls, and b.
fn cells(
    args: &args::Ab,
    (variants, shelf): (&[Variant], &Shelf<'_>),
    runtimes: &[RuntimeRecord],
    bench: &Bench,
) -> Result<Vec<Cell>> {
    let mut cells = Vec::new();
    for name in &args.scenario {
        let scenario = SHELF.iter().find(|s| s.name == name).ok_or_else(|| {
            let known = SHELF.iter().map(|s| s.name).collect::<Vec<_>>().join(", ");
            Error::Input(format!("scenario {name:?} is not on the shelf: {known}"))
        })?;
        let mut first = None;
        for (variant, label) in variants.iter().zip(["a", "b"]) {
            let params = spec::params(variant, shelf, &args.param);
            let cell = cell(args, scenario, (variant, label, first), &params, runtimes, bench)?;
            let at = cells.len();
            if first.is_none() {
                let timed = cell.metrics.first().is_some_and(|m| m.unit == "ns" || m.unit.ends_with("/s"));
                let wanted = if timed { Controls::Injected } else { Controls::Again };
                let controls = controls::of(&cell, at, wanted)?;
                cells.push(cell);
                cells.extend(controls);
                first = Some(at);
            } else {
                cells.push(cell);
            }
        }
    }
    Ok(cells)
}

fn cell(
    args: &args::Ab,
    scenario: &Scenario,
    (variant, label, of): (&Variant, &str, Option<usize>),
    params: &Params,
    runtimes: &[RuntimeRecord],
    bench: &Bench,
) -> Result<Cell> {
    let name = variant.to_string();
    let params = (scenario.settle)(params, bench).map_err(|refusal| match refusal {
        Refusal::Input(why) => anyhow::Error::new(Error::Input(format!("{name}: {why}"))),
        Refusal::Host(why) => {
            anyhow::Error::new(With(exit::UNFIT, format!("{}; remedy: {}", why.reason, why.remedy)))
        }
    })?;
    let identity = runtimes.iter().find(|r| r.name == name).and_then(|r| r.identity.as_ref());
    let lacking = (scenario.needs)(&params)
        .into_iter()
        .find(|need| identity.is_some_and(|identity| !identity.can.contains(need)));
    if let Some(need) = lacking {
        bail!(With(exit::UNFIT, format!("{name} does not offer {}", need.word())));
    }
    let metrics = headline_first((scenario.metrics)(&params), &args.metric, scenario.name)?;
    let arm = Some(Arm { label: label.into(), of, control: false, handicap: 0.0 });
    Ok(Cell { runtime: name, scenario: scenario.name.into(), params, every: 1, metrics, skipped: None, arm })
}

/// The metrics that are judged before the others: precision follows the first.
fn headline_first(mut metrics: Vec<Metric>, wanted: &[String], scenario: &str) -> Result<Vec<Metric>, Error> {
    for name in wanted {
        if !metrics.iter().any(|m| m.name == *name) {
            let known = metrics.iter().map(|m| m.name.to_string()).collect::<Vec<_>>().join(", ");
            return Err(Error::Input(format!("--metric {name}: {scenario} has {known}")));
        }
    }
    metrics.sort_by_key(|m| !wanted.is_empty() && !wanted.iter().any(|name| *name == m.name));
    Ok(metrics)
}

/// A third of the tightest limit: an interval that wide around 5 % lies beyond a limit of 3 %.
fn precision(args: &args::Ab, cells: &[Cell], thresholds: &Thresholds) -> Result<Option<String>> {
    if let Some(asked) = &args.precision {
        asked.parse::<isomark_report::precision::Target>()?;
        return Ok(Some(asked.clone()));
    }
    let limit = |cell: &Cell| {
        let metric = cell.metrics.first()?;
        Some(thresholds.of(&cell.runtime, &cell.scenario, metric).relative)
    };
    let tightest = cells.iter().filter_map(limit).filter(|l| *l > 0.0).reduce(f64::min).unwrap_or(0.03);
    let share = (tightest / 3.0).max(0.001);
    Ok(args.runs.is_none().then(|| format!("{:.2} %", share * 100.0)))
}

/// Renders the run and tells what was found.
fn conclude(
    args: &args::Ab,
    prepared: &Prepared<'_>,
    thresholds: &Thresholds,
    end: End,
) -> Result<Vec<Finding>> {
    let (folder, run) = (&prepared.folder, &prepared.run);
    isomark_report::render(folder, run, &args.look.options())?;
    let samples = folder.samples()?;
    let data = Dataset::new(run, &samples, folder.blocks()?)?;
    let told = answers::told(&data, thresholds, &args.metric);
    let mut out = std::io::stdout().lock();
    match args.format {
        Format::Json => {
            for one in &told {
                writeln!(out, "{}", serde_json::to_string(one)?)?;
            }
        }
        Format::Human => write!(out, "{}", answers::table(&told, run))?,
    }
    if !args.quiet {
        let dir = folder.dir().display();
        match end {
            End::Complete => eprintln!("report: {dir}/report.html"),
            End::Budget => eprintln!("the time budget was used up before the precision was reached: {dir}"),
            End::Signal(_) => eprintln!("interrupted; what was measured is in {dir}"),
        }
    }
    Ok(told.into_iter().map(|one| one.finding).collect())
}

/// What CI services read.
fn publish(args: &args::Ab, findings: &[Finding], code: u8) -> Result<()> {
    let comparison = Comparison {
        schema: SCHEMA.to_owned(),
        head: args.b.clone(),
        base: vec![args.a.clone()],
        findings: findings.to_vec(),
        lost: Vec::new(),
        new: Vec::new(),
        apart: Vec::new(),
        notes: Vec::new(),
    };
    if let Some(file) = &args.junit {
        ci::write(file, junit::of_comparison(&args.name, &comparison).as_bytes())?;
    }
    if let Some(file) = &args.comment {
        ci::write(file, comment::comment(&args.name, &comparison).as_bytes())?;
    }
    let word = match code {
        exit::REGRESSION => "regression",
        exit::INCONCLUSIVE => "inconclusive",
        _ => "fine",
    };
    ci::tell(&comparison, word)
}

fn verdict(findings: &[Finding], fail_on: &[FailOn]) -> Result<u8> {
    if findings.is_empty() {
        bail!(With(exit::NOTHING, "nothing was compared: no trial of both variants has values".into()));
    }
    let any = |class: Class| findings.iter().any(|f| f.counts_as() == class);
    Ok(if any(Class::Regression) {
        exit::REGRESSION
    } else if any(Class::Inconclusive) && fail_on.contains(&FailOn::Inconclusive) {
        exit::INCONCLUSIVE
    } else {
        exit::FINE
    })
}
