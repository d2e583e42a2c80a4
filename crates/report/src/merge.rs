//! Several runs of the same plan on the same host as one longer run.
//!
//! Only runs that answer the same questions with the same program on the same host are one population: plan, cells,
//! payload and program must be equal, hosts alike. Blocks are numbered on, each run beginning where every cell takes part;
//! pairs stay within their blocks. `merged.json` keeps which blocks came from where.

use std::path::Path;

use isomark_core::Error;
use isomark_core::record::{Block, Run, Sample};
use isomark_core::store::{Folder, pretty};
use serde::{Deserialize, Serialize};

use crate::gate::Stored;
use crate::gate::like::unlike;

/// Schema name of `merged.json`.
pub const SCHEMA: &str = "isomark.merged/1";

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

/// Merges runs into a new folder.
///
/// # Errors
/// [`Error::Input`] if the folder holds a run already; otherwise what the host refused.
pub fn merge(mut runs: Vec<Stored>, out: &Path) -> Result<(Folder, Run), Error> {
    runs.sort_by(|a, b| (&a.run.started, &a.run.id).cmp(&(&b.run.started, &b.run.id)));
    let Some(first) = runs.first() else {
        return Err(Error::Input("there is nothing to merge".to_owned()));
    };
    let mut run = first.run.clone();
    let step = run.cells.iter().map(|cell| cell.every.max(1)).fold(1, lcm);
    let (mut parts, mut next) = (Vec::new(), 0_u32);
    for stored in &runs {
        let blocks = length(stored);
        parts.push(Part {
            id: stored.run.id.clone(),
            started: stored.run.started.clone(),
            seed: stored.run.seed,
            first_block: next,
            blocks,
            argv: stored.run.argv.clone(),
        });
        run.blocks = next + blocks;
        next = (next + blocks).next_multiple_of(step);
    }
    run.id = format!("{}-merged-{}", first.run.id, runs.len());
    let folder = Folder::create(out, &run)?;
    let mut writer = folder.append()?;
    for (stored, part) in runs.iter().zip(&parts) {
        for sample in &stored.samples {
            // Warm-up trials count from 0 in every run, and belong to no block.
            let block = if sample.warmup { sample.block } else { sample.block + part.first_block };
            writer.sample(&Sample { block, ..sample.clone() })?;
        }
        for block in &stored.blocks {
            writer.block(&Block { block: block.block + part.first_block, ..*block })?;
        }
    }
    folder.replace("merged.json", &pretty(&Merged { schema: SCHEMA.to_owned(), parts })?)?;
    Ok((folder, run))
}

/// Blocks in which a run measured something, as far as it came.
fn length(stored: &Stored) -> u32 {
    let last = stored.samples.iter().filter(|sample| !sample.warmup).map(|sample| sample.block).max();
    last.map_or(0, |last| last + 1)
}

fn lcm(a: u32, b: u32) -> u32 {
    let (mut x, mut y) = (a, b);
    while y != 0 {
        (x, y) = (y, x % y);
    }
    (a / x).saturating_mul(b)
}
