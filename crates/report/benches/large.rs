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
use isomark_core::record::Cell;
use isomark_core::store::Folder;
use isomark_report::{Options, render};

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
    Ok(())
}
