//! `isomark run`: measure, store, report.
//!
//! Everything that can be refused is refused before the folder is made; from then on whatever was measured is kept.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use isomark_core::nearest::meant;
use isomark_core::partition::round;
use isomark_core::record::Run;
use isomark_core::runtime::{Program, Stdio};
use isomark_core::store::Folder;
use isomark_core::{Error, Image, Runtime, Shortage, Site};
use isomark_engine::controls;
use isomark_engine::interrupt::Interrupt;
use isomark_engine::plan::{Ask, Found, Plan, Selection, expand, select};
use isomark_engine::run::End;
use isomark_report::gate::Stored;
use isomark_report::precision::Target;
use isomark_scenarios::{PLANS, SHELF};

use crate::args::{self, Format};
use crate::chosen::Chosen;
use crate::exit::{self, With};
use crate::lock::{self, Held};
use crate::measure::{self, Asked, Prepared, append_step_summary, bench, carry_out, payload};
use crate::own;
use crate::place::Place;

/// The plan when none is named.
const DEFAULT_PLAN: &str = "quick";

/// The verb.
pub(crate) fn run(args: &args::Run) -> Result<u8> {
    let interrupt = Interrupt::install().context("install signal handlers")?;
    args.look.options().check()?;
    // Before the place, to be let go after it: what a run takes away at its end would disturb the next one.
    let mut held = lock::take(args.no_lock)?;
    let place = Place::take()?;
    let shelf = super::shelf(place.site(), &args.guest)?;
    let stored = args.resume.as_deref().map(Folder::open).transpose()?;
    let chosen = match &stored {
        Some((folder, run)) => {
            own::named(args, folder.dir(), run)?;
            Chosen::again(&shelf, &run.runtimes.iter().map(|r| r.name.clone()).collect::<Vec<_>>())?
        }
        None => Chosen::of(&shelf, &args.runtime)?,
    };
    place.guard()?;
    for name in chosen.unverified(&shelf) {
        eprintln!("isomark: the stanza of {name} was never tried (verified = false): check what it does");
    }
    let runtimes = chosen.runtimes.iter().map(AsRef::as_ref).collect::<Vec<_>>();
    let began = Instant::now();
    let mut prepared = match &stored {
        Some((folder, run)) => {
            resume(args, (folder.clone(), run.clone()), place.site(), &runtimes, &mut held)?
        }
        None => begin(args, place.site(), &runtimes, &chosen.names, &mut held)?,
    };
    prepared.budget = args.time_budget.or(prepared.budget);
    if !args.quiet {
        eprintln!("{}", intent(&prepared));
    }
    let (end, code) = carry_out(&prepared, &interrupt, (began, args.quiet))?;
    tell(args, &prepared.folder, &prepared.run, end)?;
    Ok(code)
}

/// What is about to happen, for somebody who read nothing: what is measured, how long, where the results are.
fn intent(prepared: &Prepared<'_>) -> String {
    let run = &prepared.run;
    let of_interest = || run.runtimes.iter().filter(|r| r.kind != isomark_core::Kind::Floor);
    let runtimes: Vec<&str> =
        of_interest().filter(|r| r.unavailable.is_none()).map(|r| r.name.as_str()).collect();
    let missing: Vec<&str> =
        of_interest().filter(|r| r.unavailable.is_some()).map(|r| r.name.as_str()).collect();
    let mut scenarios: Vec<&str> = Vec::new();
    for cell in run.cells.iter().filter(|cell| cell.skipped.is_none()) {
        if !scenarios.contains(&cell.scenario.as_str()) {
            scenarios.push(&cell.scenario);
        }
    }
    let long = prepared.budget.map_or_else(String::new, |budget| format!(", at most {} s", budget.as_secs()));
    let mut text = format!(
        "isomark: plan {}: {} of {}; {} blocks{long}\nisomark: results in {}; Ctrl-C keeps what was measured",
        run.plan,
        scenarios.join(", "),
        runtimes.join(", "),
        run.blocks,
        prepared.folder.dir().display()
    );
    if !missing.is_empty() {
        text.push_str(&format!(
            "\nisomark: not here: {} (isomark doctor says why and what to do)",
            missing.join(", ")
        ));
    }
    text
}

fn begin<'a>(
    args: &args::Run,
    site: &Site,
    shelf: &[&'a dyn Runtime],
    names: &[String],
    held: &mut Held,
) -> Result<Prepared<'a>> {
    parts_agree(args)?;
    args.binary.as_deref().map_or(Ok(()), this_isomark)?;
    let (payload, record) = payload(args.payload.as_deref(), site)?;
    let program = args.program.as_deref().map(parse_program).transpose()?;
    let plan = plan(args, program.is_some())?;
    // Who asks for a number of runs, or for a part of them, gets that number.
    let whole = args.runs.is_some() || args.partition.is_some();
    let budget = plan.budget_s.filter(|_| !whole).map(Duration::from_secs);
    let selection = Selection { runtimes: names.to_vec(), scenarios: args.scenario.clone() };
    let found = select(shelf, &selection)?;
    enough(&found)?;
    require(&found, &args.require)?;
    let (bench, host) = bench(args.deadline, payload, program, site);
    let mut cells =
        expand(&plan, &found, SHELF, &selection, &bench).map_err(|e| in_plan(args.plan.as_deref(), e))?;
    controls::ensure(&plan, &found, &mut cells);
    if cells.is_empty() {
        bail!(With(
            exit::NOTHING,
            "the plan and the selection have no cell in common; see isomark list, or leave --plan out".into()
        ));
    }
    if let Some(why) = cells.iter().map(|c| c.skipped.as_ref()).collect::<Option<Vec<_>>>() {
        let first =
            why.first().map_or(String::new(), |skip| format!("{}; remedy: {}", skip.reason, skip.remedy));
        bail!(With(exit::UNFIT, format!("nothing of this can run here: {first}")));
    }
    let asked = Asked {
        plan: plan.name,
        blocks: plan.blocks,
        warmup: plan.warmup,
        seed: args.seed,
        // How far one part has come says nothing of the others: they carry out what is theirs.
        precision: args.precision.clone().or(plan.precision).filter(|_| args.partition.is_none()),
        out: args.out.clone(),
        part: args.partition,
        labels: args.label.clone(),
        binary: args.binary.clone(),
    };
    if let Some(part) = asked.part {
        part.fits(asked.blocks, round(&cells))?;
    }
    asked.precision.as_deref().map(str::parse::<Target>).transpose()?;
    let runtimes = found.iter().map(Found::record).collect();
    let (folder, run) = measure::open(asked, cells, runtimes, &bench, (record, host), held)?;
    Ok(Prepared { folder, run, found, bench, elsewhere: Vec::new(), stored: Vec::new(), budget })
}

/// Fails if a runtime is not there for want of something that a host has more of at other times: a run that begins now would
/// be without that runtime for good.
fn enough(found: &[Found<'_>]) -> Result<(), Error> {
    for one in found {
        let Err(why) = &one.probe else { continue };
        if let Some(shortage) = Shortage::in_words(&why.reason).filter(|shortage| shortage.is_passing()) {
            let text = format!(
                "the host lacks {}, and {} could not be tried ({}); remedy: {}",
                shortage.word(),
                one.runtime.name(),
                why.reason,
                shortage.remedy()
            );
            return Err(Error::Exhausted(text));
        }
    }
    Ok(())
}

/// Parts of one run need one seed: the order of a block is drawn from it.
fn parts_agree(args: &args::Run) -> Result<(), Error> {
    if let (Some(part), None) = (args.partition, args.seed) {
        return Err(Error::Input(format!(
            "--partition {part} needs --seed N, the same for every part: the order of trials is drawn from it"
        )));
    }
    Ok(())
}

/// Fails if this isomark is not the one that it is to be.
fn this_isomark(wanted: &str) -> Result<()> {
    let bytes = std::fs::read("/proc/self/exe").context("read this program")?;
    let found = isomark_core::image::sha256(&bytes);
    if found != wanted {
        bail!(With(
            exit::UNFIT,
            format!("--binary {wanted}: this isomark is {found}; use the one that was asked for")
        ));
    }
    Ok(())
}

fn resume<'a>(
    args: &args::Run,
    (folder, run): (Folder, Run),
    site: &Site,
    shelf: &[&'a dyn Runtime],
    held: &mut Held,
) -> Result<Prepared<'a>> {
    if run.cells.iter().any(|cell| cell.arm.as_ref().is_some_and(|arm| !arm.control)) {
        let text = format!("{} compares two variants: run isomark ab again", folder.dir().display());
        return Err(Error::Input(text).into());
    }
    let named = run.payload.path.as_deref().map(Path::new);
    let (payload, record) = payload(named, site)?;
    let refuse = |why: String| Error::Input(format!("{} cannot be resumed: {why}", folder.dir().display()));
    if record.sha256 != run.payload.sha256 {
        let whose = if named.is_some() {
            "the payload has changed since"
        } else {
            "its payload is another isomark's"
        };
        let text = format!("{whose}; it was {}: go on with that one, or measure anew", run.payload.sha256);
        return Err(refuse(text).into());
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
    let (bench, host) = bench(args.deadline, payload, program, site);
    if (&host.name, &host.kernel, &host.cpu) != (&run.host.name, &run.host.kernel, &run.host.cpu) {
        return Err(refuse(format!(
            "it was begun on {} with kernel {}: go on there, or measure anew",
            run.host.name, run.host.kernel
        ))
        .into());
    }
    let runtimes = run.runtimes.iter().map(|r| r.name.clone()).collect::<BTreeSet<_>>();
    let found = shelf.iter().filter(|r| runtimes.contains(r.name())).map(|r| Found::probe(*r)).collect();
    // What the host was too short for is repeated: the later line counts.
    // All of it is read before anything is measured: what cannot be told of later is refused now.
    let mut stored = Stored::open(folder.dir())?.samples;
    stored.retain(|sample| !sample.is_exhausted());
    measure::join(held, &bench, &folder)?;
    Ok(Prepared { folder, run, found, bench, elsewhere: Vec::new(), stored, budget: None })
}

/// A scenario as it is asked when no plan says how: with its own defaults, in every block.
fn plainly_asked(scenario: &str) -> Ask {
    Ask {
        scenario: scenario.into(),
        every: 1,
        catalogue: true,
        kinds: Vec::new(),
        controls: None,
        params: BTreeMap::new(),
    }
}

/// The plan by name or file, with what the command line changes of it.
fn plan(args: &args::Run, program: bool) -> Result<Plan, Error> {
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
    // Who names a scenario and no plan wants it asked, whether the plan for everybody asks it or not.
    let named = if args.plan.is_none() { &args.scenario[..] } else { &[] };
    let named = named.iter().map(String::as_str).chain(program.then_some("program"));
    for scenario in named {
        if !plan.ask.iter().any(|ask| ask.scenario == scenario) {
            plan.ask.push(plainly_asked(scenario));
        }
    }
    plan.blocks = args.runs.unwrap_or(plan.blocks);
    if args.runs.is_some() {
        // "20 runs" means 20 of every cell, not 10 of those that the plan asks every other block.
        plan.ask.iter_mut().for_each(|ask| ask.every = 1);
    }
    Ok(plan)
}

/// The same failure with the file that it is about, if that is one of the user's own.
fn in_plan(named: Option<&str>, e: Error) -> Error {
    match (named.filter(|name| PLANS.iter().all(|(known, _)| known != name)), e) {
        (Some(file), Error::Input(why)) => Error::Input(format!("plan {file}: {why}")),
        (_, e) => e,
    }
}

/// Largest plan file accepted, in bytes.
const MAX_PLAN: u64 = 1 << 20;

fn load_plan(name: &str) -> Result<Plan, Error> {
    if let Some((file, text)) = PLANS.iter().find(|(known, _)| *known == name) {
        return Plan::parse(file, text);
    }
    let known = PLANS.iter().map(|(known, _)| *known).collect::<Vec<_>>().join(", ");
    let meant = meant(name, PLANS.iter().map(|(known, _)| *known));
    let refuse = |why: String| Error::Input(format!("plan {name}: {why}; {meant}known by name: {known}"));
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

/// None if a quote is not closed.
pub(crate) fn words(text: &str) -> Option<Vec<String>> {
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

/// Fails if a required runtime is not among those that can run.
pub(crate) fn require(found: &[Found<'_>], names: &[String]) -> Result<()> {
    for name in names.iter().filter(|name| !name.is_empty()) {
        match found.iter().find(|f| f.runtime.name() == name) {
            None => {
                let selected =
                    found.iter().map(|f| f.runtime.name()).filter(|name| !name.starts_with("floor-"));
                let selected = selected.collect::<Vec<_>>().join(", ");
                bail!(Error::Input(format!(
                    "--require {name}: it is not selected, or not on the shelf; selected: {selected}"
                )))
            }
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

fn tell(args: &args::Run, folder: &Folder, run: &Run, end: End) -> Result<()> {
    let summary = isomark_report::render(folder, run, &args.look.options()).with_context(|| {
        let dir = folder.dir().display();
        format!("what was measured is kept; mend the cause and render it with isomark report {dir}")
    })?;
    let mut out = std::io::stdout().lock();
    match args.format {
        Format::Json => serde_json::to_writer_pretty(&mut out, &summary)?,
        Format::Human => write!(out, "{}", super::report::table(&summary))?,
    }
    writeln!(out)?;
    if !args.quiet {
        let dir = folder.dir().display();
        match end {
            End::Complete => eprintln!(
                "report: {dir}/report.html\nnext: open it in a browser; isomark doctor says how to get more runtimes, isomark list what \
                 else there is to ask"
            ),
            End::Budget => {
                eprintln!("the time budget is used up; go on with: {}", own::again(folder.dir(), run));
            }
            End::Signal(_) => eprintln!("interrupted; go on with: {}", own::again(folder.dir(), run)),
        }
    }
    append_step_summary(&std::fs::read(folder.dir().join("summary.md")).context("read summary.md")?)
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
}
