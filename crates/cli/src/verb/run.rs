//! `isomark run`: measure, store, report.
//!
//! Everything that can be refused is refused before the folder is made; from then on whatever was measured is kept.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use isomark_core::record::{PayloadRecord, ProgramRecord, RUN_SCHEMA, Run, Sample};
use isomark_core::runtime::{Program, Stdio};
use isomark_core::store::Folder;
use isomark_core::{Bench, Error, Image, Runtime, Site};
use isomark_engine::controls;
use isomark_engine::plan::{Ask, Found, Plan, Selection, expand, select};
use isomark_engine::run::{End, Setup};
use isomark_engine::{date, host, interrupt::Interrupt};
use isomark_report::Options;
use isomark_scenarios::{PLANS, SHELF};

use crate::args::{self, Format};
use crate::exit::{self, With};
use crate::place::Place;
use crate::progress::Progress;

/// Where runs go when no folder is named.
const RESULTS: &str = "bench-results";
/// The plan when none is named.
const DEFAULT_PLAN: &str = "quick";

/// The verb.
pub(crate) fn run(args: &args::Run) -> Result<u8> {
    let interrupt = Interrupt::install().context("install signal handlers")?;
    let place = Place::take()?;
    let shelf = isomark_runtimes::shelf(place.site());
    let shelf = shelf.iter().map(AsRef::as_ref).collect::<Vec<_>>();
    let began = Instant::now();
    let stored = args.resume.as_deref().map(Folder::open).transpose()?;
    let prepared = match &stored {
        Some((folder, run)) => resume(args, folder.clone(), run.clone(), place.site(), &shelf)?,
        None => begin(args, place.site(), &shelf)?,
    };
    let mut sink = Progress::new(prepared.folder.append()?, args.quiet);
    let setup = Setup {
        cells: &prepared.run.cells,
        found: &prepared.found,
        scenarios: SHELF,
        bench: &prepared.bench,
        seed: prepared.run.seed,
        blocks: prepared.run.blocks,
        warmup: prepared.run.warmup,
        until: args.time_budget.or(prepared.budget).map(|budget| began + budget),
        elsewhere: &[],
        stored: &prepared.stored,
    };
    let end = isomark_engine::run(&setup, &interrupt, &mut sink)?;
    sink.finish();
    tell(args, &prepared.folder, &prepared.run, end)?;
    Ok(match end {
        End::Signal(signal) => exit::of_signal(signal),
        _ if sink.wrong => exit::WRONG,
        _ => exit::FINE,
    })
}

/// A run that is ready to go.
struct Prepared<'a> {
    folder: Folder,
    run: Run,
    found: Vec<Found<'a>>,
    bench: Bench,
    /// What was measured before an interruption.
    stored: Vec<Sample>,
    /// The plan's own time budget.
    budget: Option<Duration>,
}

fn begin<'a>(args: &args::Run, site: &Site, shelf: &[&'a dyn Runtime]) -> Result<Prepared<'a>> {
    let (payload, record) = payload(args.payload.as_deref(), site)?;
    let program = args.program.as_deref().map(parse_program).transpose()?;
    let plan = plan(args, program.is_some())?;
    // Who asks for a number of runs gets that number.
    let budget = plan.budget_s.filter(|_| args.runs.is_none()).map(Duration::from_secs);
    let selection = Selection { runtimes: args.runtime.clone(), scenarios: args.scenario.clone() };
    let found = select(shelf, &selection)?;
    require(&found, &args.require)?;
    let (bench, host) = bench(args, payload, program, site);
    let mut cells = expand(&plan, &found, SHELF, &selection, &bench)?;
    controls::ensure(&plan, &found, &mut cells);
    if cells.is_empty() {
        bail!(With(
            exit::NOTHING,
            "the plan and the selection have no cell in common; see isomark list".into()
        ));
    }
    if let Some(why) = cells.iter().map(|c| c.skipped.as_ref()).collect::<Option<Vec<_>>>() {
        let first =
            why.first().map_or(String::new(), |skip| format!("{}; remedy: {}", skip.reason, skip.remedy));
        bail!(With(exit::UNFIT, format!("nothing of this can run here: {first}")));
    }
    let now = date::now();
    let id = format!("{}-{}-{}", date::for_folder(now), file_safe(&host.name), file_safe(&plan.name));
    let run = Run {
        schema: RUN_SCHEMA.into(),
        id: id.clone(),
        started: date::rfc3339(now),
        isomark: env!("CARGO_PKG_VERSION").into(),
        argv: std::env::args().collect(),
        plan: plan.name,
        seed: args.seed.unwrap_or_else(|| seed(now.unix_timestamp())),
        warmup: plan.warmup,
        blocks: plan.blocks,
        cells,
        runtimes: found.iter().map(Found::record).collect(),
        host,
        payload: record,
        program: bench.program.as_ref().map(program_record),
    };
    let dir = args.out.clone().unwrap_or_else(|| Path::new(RESULTS).join(&id));
    let folder = Folder::create(&dir, &run)?;
    if args.out.is_none() {
        point_latest(&id)?;
    }
    Ok(Prepared { folder, run, found, bench, stored: Vec::new(), budget })
}

fn resume<'a>(
    args: &args::Run,
    folder: Folder,
    run: Run,
    site: &Site,
    shelf: &[&'a dyn Runtime],
) -> Result<Prepared<'a>> {
    let named = run.payload.path.as_deref().map(Path::new);
    let (payload, record) = payload(named, site)?;
    let refuse = |why: String| Error::Input(format!("{} cannot be resumed: {why}", folder.dir().display()));
    if record.sha256 != run.payload.sha256 {
        let whose = if named.is_some() {
            "the payload has changed since"
        } else {
            "its payload is another isomark's"
        };
        return Err(refuse(format!("{whose}; it was {}", run.payload.sha256)).into());
    }
    let program = match &run.program {
        Some(record) => {
            let program = program_of(&record.path, record.args.clone())?;
            if program.image.sha256() != record.sha256 {
                return Err(refuse(format!("program {} has changed since", record.path)).into());
            }
            Some(program)
        }
        None => None,
    };
    let (bench, host) = bench(args, payload, program, site);
    if (&host.name, &host.kernel, &host.cpu) != (&run.host.name, &run.host.kernel, &run.host.cpu) {
        return Err(
            refuse(format!("it was begun on {} with kernel {}", run.host.name, run.host.kernel)).into()
        );
    }
    let runtimes = run.runtimes.iter().map(|r| r.name.clone()).collect::<BTreeSet<_>>();
    let found = shelf.iter().filter(|r| runtimes.contains(r.name())).map(|r| Found::probe(*r)).collect();
    let stored = folder.samples()?;
    Ok(Prepared { folder, run, found, bench, stored, budget: None })
}

fn bench(
    args: &args::Run,
    payload: Image,
    program: Option<Program>,
    site: &Site,
) -> (Bench, isomark_core::record::Host) {
    let finding = isomark_runtimes::kvm::classify();
    let tsc_hz = isomark_runtimes::tsc::calibrate();
    let probed =
        host::Probed { kvm_class: finding.class.word().into(), kvm_evidence: finding.evidence, tsc_hz };
    let scratch = site.dir().to_owned();
    let bench = Bench {
        payload,
        program,
        tsc_hz,
        cpus: host::cpus(),
        llc: host::llc(),
        deadline: args.deadline,
        scratch,
    };
    (bench, host::read(probed))
}

/// The built-in payload, or the one that the user names.
fn payload(named: Option<&Path>, site: &Site) -> Result<(Image, PayloadRecord), Error> {
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
    let record =
        PayloadRecord { sha256: image.sha256().to_owned(), target, bytes: image.bytes(), path, note };
    Ok((image, record))
}

/// The plan by name or file, with what the command line changes of it.
fn plan(args: &args::Run, program: bool) -> Result<Plan, Error> {
    let ask = Ask {
        scenario: "program".into(),
        every: 1,
        controls: None,
        params: std::collections::BTreeMap::new(),
    };
    // Who names a program and nothing else wants that program measured, as with hyperfine.
    let alone = program && args.plan.is_none() && args.scenario.is_empty();
    let mut plan = if alone {
        Plan {
            name: "program".into(),
            about: String::new(),
            blocks: 40,
            warmup: 2,
            budget_s: None,
            precision: None,
            ask: Vec::new(),
        }
    } else {
        load_plan(args.plan.as_deref().unwrap_or(DEFAULT_PLAN))?
    };
    if program && !plan.ask.iter().any(|a| a.scenario == "program") {
        plan.ask.push(ask);
    }
    plan.blocks = args.runs.unwrap_or(plan.blocks);
    if args.runs.is_some() {
        // "20 runs" means 20 of every cell, not 10 of those that the plan asks every other block.
        plan.ask.iter_mut().for_each(|ask| ask.every = 1);
    }
    Ok(plan)
}

/// Largest plan file accepted, in bytes.
const MAX_PLAN: u64 = 1 << 20;

fn load_plan(name: &str) -> Result<Plan, Error> {
    if let Some((file, text)) = PLANS.iter().find(|(known, _)| *known == name) {
        return Plan::parse(file, text);
    }
    let known = PLANS.iter().map(|(known, _)| *known).collect::<Vec<_>>().join(", ");
    let refuse = |why: String| Error::Input(format!("plan {name}: {why}; known by name: {known}"));
    let meta = std::fs::metadata(name).map_err(|e| refuse(e.to_string()))?;
    if !meta.is_file() || meta.len() > MAX_PLAN {
        return Err(refuse(format!("not a file of at most {MAX_PLAN} bytes")));
    }
    Plan::parse(name, &std::fs::read_to_string(name).map_err(|e| refuse(e.to_string()))?)
}

/// Words separated by blanks; quotes keep blanks inside a word.
fn parse_program(text: &str) -> Result<Program, Error> {
    let words =
        words(text).ok_or_else(|| Error::Input(format!("--program {text:?}: a quote is not closed")))?;
    let (path, args) = words
        .split_first()
        .ok_or_else(|| Error::Input("--program is empty; name a static program".into()))?;
    program_of(path, args.to_vec())
}

fn words(text: &str) -> Option<Vec<String>> {
    let (mut all, mut word, mut quote): (Vec<String>, Option<String>, Option<char>) =
        (Vec::new(), None, None);
    for c in text.chars() {
        match (c, quote) {
            (c, Some(open)) if c == open => quote = None,
            ('\'' | '"', None) => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (c, None) if c.is_whitespace() => all.extend(word.take()),
            (c, _) => word.get_or_insert_default().push(c),
        }
    }
    all.extend(word);
    quote.is_none().then_some(all)
}

fn program_of(path: &str, args: Vec<String>) -> Result<Program, Error> {
    let image = Image::open(&super::exec::find(path)?)?;
    Ok(Program { image, name: path.to_owned(), args, env: super::exec::environment(), stdio: Stdio::Null })
}

fn program_record(program: &Program) -> ProgramRecord {
    ProgramRecord {
        path: program.name.clone(),
        sha256: program.image.sha256().to_owned(),
        args: program.args.clone(),
    }
}

/// Fails if a required runtime is not among those that can run.
pub(crate) fn require(found: &[Found<'_>], names: &[String]) -> Result<()> {
    for name in names.iter().filter(|name| !name.is_empty()) {
        match found.iter().find(|f| f.runtime.name() == name) {
            None => bail!(Error::Input(format!("--require {name}: it is not selected, or not on the shelf"))),
            Some(Found { probe: Err(why), .. }) => {
                bail!(With(
                    exit::UNFIT,
                    format!("{name} is required: {}; remedy: {}", why.reason, why.remedy)
                ))
            }
            Some(_) => {}
        }
    }
    Ok(())
}

/// A seed that differs from run to run; stored, so that the run can be repeated.
fn seed(now: i64) -> u64 {
    isomark_engine::schedule::Rng::new(now.unsigned_abs() ^ (u64::from(std::process::id()) << 40)).next()
        >> 32
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

fn tell(args: &args::Run, folder: &Folder, run: &Run, end: End) -> Result<()> {
    let options = Options { templates: args.templates.clone() };
    let summary = isomark_report::render(folder, run, &options)?;
    let mut out = std::io::stdout().lock();
    match args.format {
        Format::Json => serde_json::to_writer_pretty(&mut out, &summary)?,
        Format::Human => write!(out, "{}", isomark_report::text::table(&summary))?,
    }
    writeln!(out)?;
    if !args.quiet {
        let dir = folder.dir().display();
        match end {
            End::Complete => eprintln!("report: {dir}/report.html"),
            End::Budget => eprintln!("the time budget is used up; go on with: isomark run --resume {dir}"),
            End::Signal(_) => eprintln!("interrupted; go on with: isomark run --resume {dir}"),
        }
    }
    append_step_summary(folder)
}

/// In GitHub Actions the summary goes to the page of the job.
fn append_step_summary(folder: &Folder) -> Result<()> {
    let Some(path) = std::env::var_os("GITHUB_STEP_SUMMARY").map(PathBuf::from) else { return Ok(()) };
    let text = std::fs::read(folder.dir().join("summary.md")).context("read summary.md")?;
    let file = std::fs::OpenOptions::new().append(true).create(true).open(&path);
    file.and_then(|mut file| file.write_all(&text)).with_context(|| format!("append to {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_keep_blanks_and_must_be_closed() {
        assert_eq!(words("a  b 'c d' e\"f g\"").unwrap(), ["a", "b", "c d", "ef g"]);
        assert_eq!(words("a '' b").unwrap(), ["a", "", "b"]);
        assert_eq!(words("a 'b"), None);
        assert!(words("").unwrap().is_empty());
    }

    #[test]
    fn every_built_in_plan_can_be_read() {
        for (name, _) in PLANS {
            assert_eq!(load_plan(name).unwrap().name, *name);
        }
    }

    #[test]
    fn a_host_name_cannot_leave_the_folder() {
        assert_eq!(file_safe("../../etc"), "______etc");
    }
}
