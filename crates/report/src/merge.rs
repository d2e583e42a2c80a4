//! Several runs of the same plan on the same host as one longer run.
//!
//! Only runs that answer the same questions with the same program on the same host are one population: plan, cells,
//! payload and program must be equal, hosts alike. Blocks are numbered on, each run beginning where every cell takes part;
//! pairs stay within their blocks. Parts of one plan (`run --partition`) keep their numbers, and none may be missing.
//! `merged.json` keeps which blocks came from where.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use isomark_core::Error;
use isomark_core::partition::round;
use isomark_core::record::{Block, Run, Sample};
use isomark_core::store::{Folder, pretty};
use serde::{Deserialize, Serialize};

use crate::gate::Stored;
use crate::gate::like::unlike;

/// Schema name of `merged.json`.
pub const SCHEMA: &str = "isomark.merged/1";

/// What is wrong with runs that tell of absurd blocks.
const TOO_MANY: &str = "its samples.jsonl tells of more blocks than can be numbered on (field block)";

/// `merged.json`: where the blocks of a merged run come from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Merged {
    /// [`SCHEMA`].
    pub schema: String,
    /// Its parts, in the order in which they were measured.
    pub parts: Vec<Part>,
}

/// One of the merged runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// Name of the run.
    pub id: String,
    /// When it began.
    pub started: String,
    /// Its seed.
    pub seed: u64,
    /// Number of its first block in the merged run.
    pub first_block: u32,
    /// Its blocks.
    pub blocks: u32,
    /// Its command line.
    pub argv: Vec<String>,
}

/// Why runs cannot become one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// They ask other questions or ran other programs.
    Other(String),
    /// Their hosts are unlike.
    Host(String),
}

/// Whether runs can become one.
///
/// # Errors
/// What differs, naming the field.
pub fn fits(runs: &[Stored]) -> Result<(), Refusal> {
    let Some((first, rest)) = runs.split_first() else {
        return Err(Refusal::Other("there is nothing to merge".to_owned()));
    };
    complete(runs).map_err(Refusal::Other)?;
    for (at, other) in rest.iter().enumerate() {
        let whose = |why: &str| format!("{} and {}: {why}", first.dir.display(), other.dir.display());
        if let Some(why) = differs(&first.run, &other.run) {
            return Err(Refusal::Other(whose(&why)));
        }
        let host = unlike(&first.run, &other.run).host;
        if !host.is_empty() {
            return Err(Refusal::Host(whose(&format!("the hosts are unlike: {}", host.join("; ")))));
        }
        if let Some(twin) = runs[..=at].iter().find(|run| run.run.id == other.run.id) {
            return Err(Refusal::Other(format!(
                "{} and {} are the same run: field id is {}",
                twin.dir.display(),
                other.dir.display(),
                other.run.id
            )));
        }
    }
    Ok(())
}

/// Whether parts of a plan are all there, each once.
fn complete(runs: &[Stored]) -> Result<(), String> {
    let Some((first, whole)) = runs.iter().find_map(|run| Some((run, run.run.part?))) else { return Ok(()) };
    let mut seen: BTreeMap<u32, &Stored> = BTreeMap::new();
    for other in runs {
        let pair = format!("{} and {}", first.dir.display(), other.dir.display());
        let Some(part) = other.run.part.filter(|part| part.of == whole.of) else {
            let told =
                other.run.part.map_or_else(|| "all of the plan".to_owned(), |part| format!("part {part}"));
            return Err(format!("{pair}: field part: one is part {whole}, the other {told}"));
        };
        if first.run.seed != other.run.seed {
            let (one, two) = (first.run.seed, other.run.seed);
            return Err(format!("{pair}: field seed is {one} and {two}: parts of one run have one seed"));
        }
        if first.run.blocks != other.run.blocks {
            return Err(format!("{pair}: field blocks is {} and {}", first.run.blocks, other.run.blocks));
        }
        if let Some(twin) = seen.insert(part.part, other) {
            let (one, two) = (twin.dir.display(), other.dir.display());
            return Err(format!("{one} and {two} are both part {part}; name one of them"));
        }
    }
    let missing: Vec<String> =
        (1..=whole.of).filter(|at| !seen.contains_key(at)).map(|at| format!("{at}/{}", whole.of)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(format!("part {} is missing; measure it with isomark run --partition", missing.join(", ")))
}

fn differs(one: &Run, other: &Run) -> Option<String> {
    if one.plan != other.plan {
        return Some(format!("field plan is {} and {}", one.plan, other.plan));
    }
    if one.payload.sha256 != other.payload.sha256 {
        return Some(format!("field payload.sha256 is {} and {}", one.payload.sha256, other.payload.sha256));
    }
    let program = |run: &Run| run.program.as_ref().map(|p| (p.sha256.clone(), p.args.clone()));
    if program(one) != program(other) {
        return Some("field program differs".to_owned());
    }
    if one.cells.len() != other.cells.len() {
        return Some(format!("field cells has {} and {} entries", one.cells.len(), other.cells.len()));
    }
    let apart = one.cells.iter().zip(&other.cells).position(|(a, b)| a != b);
    apart.map(|at| format!("field cells[{at}] differs ({})", crate::gate::compare::name(&one.cells[at])))
}

/// Merges runs into a new folder; [`fits`] says whether they can be.
///
/// ```no_run
/// use isomark_report::gate::Stored;
/// use isomark_report::merge::{fits, merge};
///
/// let runs = [Stored::open("monday".as_ref())?, Stored::open("tuesday".as_ref())?];
/// if fits(&runs).is_ok() {
///     merge(runs.into(), "both".as_ref())?;
/// }
/// # Ok::<(), isomark_core::Error>(())
/// ```
///
/// # Errors
/// [`Error::Input`] if the folder holds a run already; otherwise what the host refused.
pub fn merge(mut runs: Vec<Stored>, out: &Path) -> Result<(Folder, Run), Error> {
    runs.sort_by(|a, b| (&a.run.started, &a.run.id).cmp(&(&b.run.started, &b.run.id)));
    let Some(first) = runs.first() else {
        return Err(Error::Input("there is nothing to merge".to_owned()));
    };
    let mut run = first.run.clone();
    let step = round(&run.cells);
    let (mut parts, mut next) = (Vec::new(), 0_u32);
    let parted = run.part.take().is_some();
    for stored in &runs {
        let blocks = if parted { 0 } else { length(stored) };
        parts.push(Part {
            id: stored.run.id.clone(),
            started: stored.run.started.clone(),
            seed: stored.run.seed,
            first_block: next,
            blocks: if parted { measured(stored) } else { blocks },
            argv: stored.run.argv.clone(),
        });
        let many = || Error::Input(format!("{}: {TOO_MANY}", stored.dir.display()));
        let end = next.checked_add(blocks).ok_or_else(many)?;
        run.blocks = if parted { run.blocks } else { end };
        next = end.checked_next_multiple_of(step).ok_or_else(many)?;
    }
    run.id = format!("{}-merged-{}", first.run.id, runs.len());
    let folder = Folder::create(out, &run)?;
    let mut writer = folder.append()?;
    for (stored, part) in runs.iter().zip(&parts) {
        for sample in &stored.samples {
            // Warm-up trials count from 0 in every run, and belong to no block.
            let block =
                if sample.warmup { sample.block } else { sample.block.saturating_add(part.first_block) };
            writer.sample(&Sample { block, ..sample.clone() })?;
        }
        for block in &stored.blocks {
            writer.block(&Block { block: block.block.saturating_add(part.first_block), ..*block })?;
        }
    }
    folder.replace("merged.json", &pretty(&Merged { schema: SCHEMA.to_owned(), parts })?)?;
    Ok((folder, run))
}

/// Blocks in which a run measured something, as far as it came.
fn length(stored: &Stored) -> u32 {
    let last = stored.samples.iter().filter(|sample| !sample.warmup).map(|sample| sample.block).max();
    last.map_or(0, |last| last.saturating_add(1))
}

/// Different blocks in which a run measured something.
fn measured(stored: &Stored) -> u32 {
    let blocks: BTreeSet<u32> = stored.samples.iter().filter(|s| !s.warmup).map(|s| s.block).collect();
    u32::try_from(blocks.len()).unwrap_or(u32::MAX)
}
