//! What `run` and `ab` have in common: what a run is made of, and carrying it out.
//!
//! Everything that can be refused is refused before the folder is made; from then on whatever was measured is kept.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use isomark_core::partition::Partition;
use isomark_core::payload::data::SplitMix;
use isomark_core::record::{
    Cell, Host, PayloadRecord, ProgramRecord, RUN_SCHEMA, Run, RuntimeRecord, Sample,
};
use isomark_core::runtime::Program;
use isomark_core::store::Folder;
use isomark_core::{Bench, Error, Image, Shortage, Site, ledger};
use isomark_engine::plan::Found;
use isomark_engine::run::{End, Setup};
use isomark_engine::{Elsewhere, date, host, interrupt::Interrupt};
use isomark_report::precision::{Precision, Target};
use isomark_scenarios::SHELF;

use crate::exit;
use crate::fault;
use crate::lock::Held;
use crate::own;
use crate::progress::Progress;

/// Where runs go when no folder is named.
const RESULTS: &str = "bench-results";

/// A run that is ready to go.
pub(crate) struct Prepared<'a> {
    pub folder: Folder,
    pub run: Run,
    pub found: Vec<Found<'a>>,
    pub bench: Bench,
    /// Who carries out trials that are not for this process, and of which cells.
    pub elsewhere: Vec<(Vec<usize>, Box<dyn Elsewhere>)>,
    /// What was measured before an interruption.
    pub stored: Vec<Sample>,
    /// The run is done after this time; cells get fewer trials where there is not time for all.
    pub budget: Option<Duration>,
}

/// What of a run is decided by whoever asks for it.
pub(crate) struct Asked {
    /// Name of the plan.
    pub plan: String,
    /// Blocks.
    pub blocks: u32,
    /// Warm-up trials of each cell.
    pub warmup: u32,
    /// Seed, if one was named.
    pub seed: Option<u64>,
    /// Precision, if one was asked for.
    pub precision: Option<String>,
    /// Folder, if one was named.
    pub out: Option<PathBuf>,
    /// Which of the blocks are carried out, if not all.
    pub part: Option<Partition>,
    /// What the user says of the run.
    pub labels: Vec<(String, String)>,
    /// The isomark that it must be, by SHA-256.
    pub binary: Option<String>,
}

/// Makes the run folder.
pub(crate) fn open(
    asked: Asked,
    cells: Vec<Cell>,
    runtimes: Vec<RuntimeRecord>,
    bench: &Bench,
    (payload, mut host): (PayloadRecord, Host),
    held: &mut Held,
) -> Result<(Folder, Run)> {
    host.warnings.extend(held.warning.clone());
    let now = date::now();
    let id = format!("{}-{}-{}", date::for_folder(now), file_safe(&host.name), file_safe(&asked.plan));
    // Parts may begin in the same second, and are not the same run.
    let id = asked.part.map_or_else(|| id.clone(), |part| format!("{id}-{}of{}", part.part, part.of));
    let id = if asked.out.is_none() { free(&id) } else { id };
    let run = Run {
        schema: RUN_SCHEMA.into(),
        id: id.clone(),
        started: date::rfc3339(now),
        isomark: env!("CARGO_PKG_VERSION").into(),
        argv: std::env::args().collect(),
        plan: asked.plan,
        seed: asked.seed.unwrap_or_else(|| seed(now.unix_timestamp())),
        warmup: asked.warmup,
        blocks: asked.blocks,
        precision: asked.precision,
        questions: questions(&cells),
        cells,
        runtimes,
        host,
        payload,
        program: bench.program.as_ref().map(program_record),
        part: asked.part,
        labels: asked.labels.into_iter().collect(),
        binary_sha256: asked.binary,
    };
    let dir = asked.out.clone().unwrap_or_else(|| Path::new(RESULTS).join(&id));
    let folder = Folder::create(&dir, &run)?;
    join(held, bench, &folder)?;
    if asked.out.is_none() {
        point_latest(&id)?;
    }
    Ok((folder, run))
}

/// What the scenarios of these cells ask.
fn questions(cells: &[Cell]) -> BTreeMap<String, String> {
    let asked = |name: &str| cells.iter().any(|cell| cell.scenario == name);
    let all = SHELF.iter().filter(|scenario| asked(scenario.name));
    all.map(|scenario| (scenario.name.to_owned(), scenario.question.to_owned())).collect()
}

/// Ties a command to the folder of its run: whoever is refused the lock learns of it, and the ledger is kept there too.
pub(crate) fn join(held: &mut Held, bench: &Bench, folder: &Folder) -> Result<(), Error> {
    held.tell(folder.dir());
    ledger::follow(&bench.scratch, folder.dir())
}

/// Carries a run out: how it ended, and the exit code that the trials call for.
pub(crate) fn carry_out(
    prepared: &Prepared<'_>,
    interrupt: &Interrupt,
    (began, quiet): (Instant, bool),
) -> Result<(End, u8)> {
    let target = prepared.run.precision.as_deref().map(str::parse::<Target>).transpose()?;
    let precision = target.map(|target| Precision::new(&prepared.run, target));
    let mut sink = Progress::new(prepared.folder.append()?, precision, quiet);
    let elsewhere =
        prepared.elsewhere.iter().map(|(cells, hand)| (cells.clone(), hand.as_ref())).collect::<Vec<_>>();
    let scenarios = fault::scenarios();
    let setup = Setup {
        cells: &prepared.run.cells,
        found: &prepared.found,
        scenarios: &scenarios,
        bench: &prepared.bench,
        seed: prepared.run.seed,
        blocks: prepared.run.blocks,
        part: prepared.run.part,
        warmup: prepared.run.warmup,
        until: prepared.budget.map(|budget| began + budget),
        precision: prepared.run.precision.is_some(),
        elsewhere: &elsewhere,
        stored: &prepared.stored,
    };
    let work = std::panic::AssertUnwindSafe(|| isomark_engine::run(&setup, interrupt, &mut sink));
    let end = fault::guarded(work);
    let stored = sink.finish();
    let again = again(prepared);
    let end = end.map_err(anyhow::Error::from);
    let end = end.and_then(|end| end.and_then(|end| stored.map(|()| end)).map_err(Into::into));
    let end =
        end.with_context(|| format!("what was measured is kept; mend the cause and go on with {again}"))?;
    if let Some((count, first)) = &sink.short {
        let remedy = Shortage::in_words(first).map_or("mend the cause", Shortage::remedy);
        eprintln!(
            "isomark: the host was too short of something for {count} trials, which are repeated by {again}; remedy: {remedy}; \
             the first of them: {}",
            isomark_report::fmt::clean(first)
        );
    }
    let code = match end {
        End::Signal(signal) => exit::of_signal(signal),
        _ if sink.wrong => exit::WRONG,
        _ if sink.damaged.is_some() => {
            eprintln!("isomark: {}", sink.damaged.unwrap_or_default());
            exit::USAGE
        }
        _ if sink.short.is_some() => exit::INTERNAL,
        _ => exit::FINE,
    };
    Ok((end, code))
}

/// The command that goes on with a run. One that compares two variants begins anew.
fn again(prepared: &Prepared<'_>) -> String {
    let compares = prepared.run.cells.iter().filter_map(|cell| cell.arm.as_ref()).any(|arm| !arm.control);
    if compares {
        return "isomark ab again".to_owned();
    }
    own::again(prepared.folder.dir(), &prepared.run)
}

/// What all trials share, and the host they run on.
pub(crate) fn bench(
    deadline: Duration,
    payload: Image,
    program: Option<Program>,
    site: &Site,
) -> (Bench, Host) {
    let finding = isomark_runtimes::kvm::classify();
    let tsc_hz = isomark_runtimes::tsc::calibrate();
    let probed =
        host::Probed { kvm_class: finding.class.word().into(), kvm_evidence: finding.evidence, tsc_hz };
    let bench = Bench { program, deadline, ..host::bench(payload, site, tsc_hz) };
    (bench, host::read(probed))
}

/// The built-in payload, or the one that the user names.
pub(crate) fn payload(named: Option<&Path>, site: &Site) -> Result<(Image, PayloadRecord), Error> {
    let (image, target, note) = match named {
        Some(path) => {
            (Image::open(path)?, "external".to_owned(), Some("the payload was named by the user".into()))
        }
        None => {
            let embedded = isomark_runtimes::embedded::payload(site)?;
            (embedded, isomark_runtimes::embedded::TARGET.to_owned(), isomark_runtimes::embedded::note())
        }
    };
    let path = named.map(|_| image.path().display().to_string());
    let record = PayloadRecord { path, note, ..PayloadRecord::of(&image, &target) };
    Ok((image, record))
}

fn program_record(program: &Program) -> ProgramRecord {
    ProgramRecord {
        path: program.name.clone(),
        sha256: program.image.sha256().to_owned(),
        args: program.args.clone(),
    }
}

/// The name, or the name with a number where another run began in the same second.
fn free(id: &str) -> String {
    let taken = |name: &String| Path::new(RESULTS).join(name).exists();
    let numbered = (2..1000).map(|n| format!("{id}-{n}"));
    std::iter::once(id.to_owned()).chain(numbered).find(|name| !taken(name)).unwrap_or_else(|| id.to_owned())
}

/// A seed that differs from run to run; stored, so that the run can be repeated.
fn seed(now: i64) -> u64 {
    SplitMix::new(now.unsigned_abs() ^ (u64::from(std::process::id()) << 40)).next() >> 32
}

fn file_safe(text: &str) -> String {
    let safe = |c: char| if c.is_ascii_alphanumeric() || c == '-' || c == '_' { c } else { '_' };
    text.chars().take(60).map(safe).collect()
}

/// Points `bench-results/latest` at the newest run: a new link renamed over the old one.
fn point_latest(id: &str) -> Result<()> {
    let latest = Path::new(RESULTS).join("latest");
    let part = Path::new(RESULTS).join("latest.part");
    let _ = std::fs::remove_file(&part);
    std::os::unix::fs::symlink(id, &part)
        .and_then(|()| std::fs::rename(&part, &latest))
        .with_context(|| format!("point {} at the run", latest.display()))
}

/// In GitHub Actions the summary goes to the page of the job.
pub(crate) fn append_step_summary(text: &[u8]) -> Result<()> {
    crate::ci::step_summary(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_name_cannot_leave_the_folder() {
        assert_eq!(file_safe("../../etc"), "______etc");
    }
}
