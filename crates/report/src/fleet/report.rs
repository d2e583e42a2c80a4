//! A collected fleet in, its answers out: `summary.json`, `summary.md`, `report.html` and charts.
//!
//! One host is in memory at a time. The host's own reports are not made here: `isomark report` on its folder does.

use std::path::Path;

use isomark_core::Error;
use isomark_core::store::{Folder, pretty};

use super::collected::{Collected, HostEntry};
use super::hosts::{self, Host};
use super::summary::{self, ClassSummary, FleetSummary};
use super::{chart, markdown, page};
use crate::claims::file::File;
use crate::claims::layers::Layers;
use crate::claims::shelf;
use crate::gate::Stored;
use crate::{Options, words};

/// Writes everything that follows from a collected fleet into its folder.
///
/// # Errors
/// [`Error::Input`] naming file and line of what cannot be read; otherwise what the host refused.
pub fn report(dir: &Path, options: &Options) -> Result<FleetSummary, Error> {
    let fleet = Collected::open(dir)?;
    let summary = summarise(dir, &fleet)?;
    let out = Folder::derived(dir);
    let templates = options.templates.as_deref();
    let language = options.language.as_deref().unwrap_or(words::ENGLISH);
    words::within(words::Words::load(language, templates)?, || told(&out, &summary, templates))?;
    out.replace("summary.json", &pretty(&summary)?)?;
    Ok(summary)
}

/// Writes what is read by people, in the language of the scope.
fn told(out: &Folder, summary: &FleetSummary, templates: Option<&Path>) -> Result<(), Error> {
    let charts = chart::charts(summary);
    let text = page::page(summary, &charts, templates)?;
    for chart in &charts {
        out.replace(&format!("charts/{}.png", chart.name), &chart.png(summary)?)?;
    }
    out.replace("report.html", text.as_bytes())?;
    let drawn = |file: &str| charts.iter().any(|chart| file == format!("{}.png", chart.name));
    out.take_away("charts", |file| file.starts_with("fleet-") && file.ends_with(".png") && !drawn(file))?;
    out.replace("summary.md", markdown::markdown(summary).as_bytes())
}

/// The answers of a collected fleet.
///
/// # Errors
/// [`Error::Input`] naming the host's folder, file and line of what cannot be read.
pub fn summarise(dir: &Path, fleet: &Collected) -> Result<FleetSummary, Error> {
    let shelf = shelf::load()?;
    let mut classes: Vec<ClassSummary> = Vec::new();
    for class in &fleet.classes {
        let own = fleet.usable().filter(|host| host.class == class.label);
        let hosts: Vec<Host> = own.map(|entry| one(dir, entry, &shelf)).collect::<Result<_, _>>()?;
        if let Some((first, other)) = first_unlike(&hosts) {
            let text =
                format!("{}: hosts {first} and {other} have different cells; collect again", dir.display());
            return Err(Error::Input(text));
        }
        classes.push(summary::class(&class.label, class.replicas, &hosts, &shelf.1));
    }
    Ok(FleetSummary {
        schema: summary::SCHEMA.to_owned(),
        name: fleet.name.clone(),
        plan: fleet.plan.clone(),
        payload_sha256: fleet.payload_sha256.clone(),
        warnings: summary::warnings(fleet, &classes),
        classes,
        hosts: fleet.hosts.clone(),
    })
}

fn one(dir: &Path, entry: &HostEntry, shelf: &(Layers, Vec<File>)) -> Result<Host, Error> {
    let place = dir.join(entry.place());
    // Nothing in a folder that may come from elsewhere leads out of it.
    for step in [&dir.join("hosts"), &place] {
        if std::fs::symlink_metadata(step).is_ok_and(|kind| kind.is_symlink()) {
            return Err(Error::Input(format!(
                "{}: a link; a fleet's folder holds its own files",
                step.display()
            )));
        }
    }
    let stored = Stored::open(&place)?;
    hosts::read(stored, entry, shelf).map_err(|e| Error::Input(format!("{}: {}", place.display(), e.chain())))
}

fn first_unlike(hosts: &[Host]) -> Option<(&str, &str)> {
    let (first, rest) = hosts.split_first()?;
    let alike = |other: &&Host| {
        let (a, b) = (&first.run.cells, &other.run.cells);
        a.len() == b.len() && a.iter().zip(b).all(|(a, b)| hosts::same(a, b))
    };
    rest.iter().find(|other| !alike(other)).map(|other| (&*first.title, &*other.title))
}
