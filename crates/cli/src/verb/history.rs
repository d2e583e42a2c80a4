//! `isomark history`: all runs of a folder as series over time.

use std::io::Write;
use std::path::Path;

use anyhow::{Result, bail};
use isomark_core::Error;
use isomark_core::nearest::hint;
use isomark_core::store::Folder;
use isomark_report::history::index::{Column, Index};
use isomark_report::history::{Filter, History, history, page, text};
use isomark_report::words;

use crate::args::{self, Format};
use crate::ci;
use crate::exit::{self, With};

/// The verb.
pub(crate) fn show(args: &args::History) -> Result<u8> {
    let filter = Filter {
        runtimes: args.runtime.clone(),
        scenarios: args.scenario.clone(),
        metrics: args.metric.clone(),
        last: args.last as usize,
        absolute: args.absolute,
    };
    let found = history(&args.dir, &filter)?;
    for broken in &found.broken {
        let (folder, why) = (&broken.folder, &broken.why);
        eprintln!("isomark: left out {}: {}", clean(folder), clean(why));
    }
    found.notes.iter().for_each(|note| eprintln!("isomark: {}", clean(note)));
    if found.series.is_empty() {
        bail!(With(exit::NOTHING, nothing(args, &found)?));
    }
    if let Some(file) = &args.html {
        write_page(args, &found, file)?;
    }
    let mut out = std::io::stdout().lock();
    match args.format {
        Format::Json => {
            serde_json::to_writer_pretty(&mut out, &found)?;
            writeln!(out)?;
        }
        Format::Human => write!(out, "{}", text::table(&found))?,
    }
    Ok(exit::FINE)
}

fn clean(text: &str) -> String {
    isomark_report::fmt::clean(text)
}

/// Why nothing is shown: nothing there, or a name that nothing has.
fn nothing(args: &args::History, found: &History) -> Result<String> {
    let dir = args.dir.display();
    if found.runs == 0 {
        return Ok(format!("{dir} holds no run that can be read"));
    }
    let (index, _) = Index::open(&args.dir)?;
    let asked = [
        ("runtime", &args.runtime, Column::Runtime),
        ("scenario", &args.scenario, Column::Scenario),
        ("metric", &args.metric, Column::Metric),
    ];
    for (flag, names, column) in asked {
        let known = index.names(column).map_err(|e| Error::os("read the index", std::io::Error::other(e)))?;
        if let Some(wrong) = names.iter().find(|name| !known.contains(name)) {
            let hint = hint(wrong, known.iter().map(String::as_str));
            return Ok(format!("no run in {dir} has {flag} {wrong:?}; {hint}"));
        }
    }
    Ok(format!("no run in {dir} has all that was asked for"))
}

/// The page, and its charts as PNG in a folder beside it.
fn write_page(args: &args::History, found: &History, file: &Path) -> Result<()> {
    let stem = file.file_stem().map_or_else(|| "history".into(), |stem| stem.to_string_lossy().into_owned());
    let charts = format!("{stem}-charts");
    let templates = args.look.templates.as_deref();
    let language = words::Words::load(args.look.lang.as_deref().unwrap_or(words::ENGLISH), templates)?;
    let made = || -> Result<_> {
        let (text, trends) = page::page(&args.dir, found, &charts, templates)?;
        let pictures = trends.iter().map(|trend| Ok((trend.name.clone(), trend.png()?)));
        Ok((text, pictures.collect::<Result<Vec<_>>>()?))
    };
    let (text, pictures) = words::within(language, made)?;
    let folder = Folder::derived(file.parent().unwrap_or(Path::new("")));
    for (name, picture) in &pictures {
        folder.replace(&format!("{charts}/{name}.png"), picture)?;
    }
    ci::write(file, text.as_bytes())?;
    let drawn = |file: &str| pictures.iter().any(|(name, _)| file == format!("{name}.png"));
    let stale = |file: &str| file.starts_with("history-") && file.ends_with(".png") && !drawn(file);
    folder.take_away(&charts, stale)?;
    eprintln!("history: {}", file.display());
    Ok(())
}
