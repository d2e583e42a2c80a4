//! How long does the report of a large run take, and in how much memory?
//!
//! Makes two runs of 200,000 samples below the target directory, once, and renders them; nothing of it is committed. One
//! has many cells, the other a few with very many blocks. The folders are told, so that
//! `/usr/bin/time -v isomark report DIR` can say the same of the whole command.

#[path = "../tests/fixture/mod.rs"]
mod fixture;

use std::path::Path;
use std::time::Instant;

use isomark_core::Error;
use isomark_core::record::{Cell, Run};
use isomark_core::store::{Folder, pretty};
use isomark_report::{
    Dataset, Options, charts, claims, controls, html, render, samples_csv, summarise, view,
};

const SAMPLES: usize = 200_000;

fn main() -> Result<(), Error> {
    one("many-cells", |_| true)?;
    // The first six are the warm starts and their floors: of the controls only theirs can stay.
    one("many-blocks", |cell| cell.params.text("cache") == Some("warm"))
}

fn one(name: &str, wanted: fn(&Cell) -> bool) -> Result<(), Error> {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    // Written last: a folder that lacks it is half of one.
    if !dir.join("blocks.jsonl").metadata().is_ok_and(|data| data.len() > 0) {
        let _ = std::fs::remove_dir_all(&dir);
        let run = |blocks| {
            let mut run = fixture::run(blocks);
            run.cells.retain(wanted);
            run
        };
        let of = |blocks| fixture::samples(&run(blocks)).len();
        let per_block = (of(20) - of(4)) as f64 / 16.0;
        fixture::write_run(&dir, &run((SAMPLES as f64 / per_block) as u32))?;
    }
    let before = Instant::now();
    let (folder, run) = Folder::open(&dir)?;
    render(&folder, &run, &Options::default())?;
    let (took, trials) = (before.elapsed(), folder.samples()?.len());
    println!("{trials} samples in {} blocks: {:.2} s, {}", run.blocks, took.as_secs_f64(), dir.display());
    stages(&folder, &run)
}

/// The same again, stage by stage: what to look at when the whole takes longer than it did.
fn stages(folder: &Folder, run: &Run) -> Result<(), Error> {
    let mut from = Instant::now();
    let mut told = Vec::new();
    let mut stage = |name: &str| {
        told.push(format!("{name} {:.2} s", from.elapsed().as_secs_f64()));
        from = Instant::now();
    };
    let samples = folder.samples()?;
    stage("read");
    let data = Dataset::new(run, &samples, folder.blocks()?)?;
    stage("group");
    let controls = controls::controls(&data);
    stage("controls (again in the summary)");
    let mut summary = summarise::summarise(&data);
    stage("summary");
    summary.claims = claims::claims(&data)?;
    stage("claims");
    let drawn = charts::charts(&data, &summary);
    stage("charts");
    let page = html::html(&view::view(run, &summary, &drawn), None)?;
    stage("page");
    let bytes: usize =
        drawn.iter().map(|chart| chart.png(&summary).map(|png| png.len())).sum::<Result<_, _>>()?;
    stage("pictures");
    let csv = samples_csv::samples_csv(run, &samples)?;
    stage("csv");
    let json = pretty(&summary)?;
    stage("json");
    let sizes = [controls.len(), page.len(), bytes, csv.len(), json.len()];
    println!("  {}; controls, bytes of page, pictures, csv, json: {sizes:?}", told.join(", "));
    Ok(())
}
