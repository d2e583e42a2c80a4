//! `isomark list`: what there is to choose from.

use std::io::Write;

use anyhow::Result;
use comfy_table::{ContentArrangement, Table, presets};
use isomark_core::{Kind, Params, Runtime};
use isomark_runtimes::Shelf;
use isomark_scenarios::{PLANS, SHELF};
use serde::Serialize;

use crate::args::{self, Format};
use crate::exit;
use crate::place::Place;

/// `list --format json`.
#[derive(Serialize)]
struct Listing {
    payload_sha256: String,
    runtimes: Vec<Entry>,
    scenarios: Vec<Question>,
    plans: Vec<PlanEntry>,
}

/// A runtime in a listing.
#[derive(Serialize)]
pub(crate) struct Entry {
    pub name: String,
    pub kind: Kind,
    /// `built-in`, or `catalogue`: measured when it is named, or with `--runtime all`.
    pub source: &'static str,
    /// `by-default`: a run that names no runtime measures it; `when-named`: one that names it, or `all`, does.
    /// For people: the shape of the JSON is a contract.
    #[serde(skip)]
    pub measured: &'static str,
    /// Whether the conformance suite passes with it.
    pub verified: bool,
    pub status: &'static str,
    pub version: Option<String>,
    pub reason: Option<String>,
    pub remedy: Option<String>,
}

#[derive(Serialize)]
struct Question {
    name: &'static str,
    question: &'static str,
    metrics: Vec<String>,
}

#[derive(Serialize)]
struct PlanEntry {
    name: String,
    about: String,
    blocks: u32,
}

/// The verb.
pub(crate) fn list(args: &args::List) -> Result<u8> {
    let place = Place::take()?;
    let shelf = super::shelf(place.site(), &args.guest)?;
    let listing = Listing {
        payload_sha256: isomark_core::image::sha256(isomark_runtimes::embedded::PAYLOAD),
        runtimes: entries(&shelf)?,
        scenarios: SHELF.iter().map(question).collect(),
        plans: plans()?,
    };
    let mut out = std::io::stdout().lock();
    match args.format {
        Format::Json => {
            serde_json::to_writer_pretty(&mut out, &listing)?;
            writeln!(out)?;
        }
        Format::Human => plainly(&mut out, |out| human(out, &listing))?,
    }
    Ok(exit::FINE)
}

/// Every runtime but the floors, which are no ways of running anything.
pub(crate) fn entries(shelf: &Shelf<'_>) -> Result<Vec<Entry>> {
    let entry = |runtime: &dyn Runtime| {
        let (status, version, why) = match runtime.probe() {
            Ok(identity) => ("available", Some(identity.version), None),
            Err(why) => ("unavailable", None, Some(why)),
        };
        let (reason, remedy) = why.map(|why| (why.reason, why.remedy)).unzip();
        let verified = shelf.verified(runtime.name());
        Entry {
            name: runtime.name().into(),
            kind: runtime.kind(),
            source: if verified.is_some() { "catalogue" } else { "built-in" },
            measured: if verified.is_some() || runtime.on_request() { "when-named" } else { "by-default" },
            verified: verified.unwrap_or(true),
            status,
            version,
            reason,
            remedy,
        }
    };
    let all = shelf.built_in().into_iter().chain(shelf.catalogue()?);
    Ok(all.filter(|r| r.kind() != Kind::Floor).map(|r| entry(r.as_ref())).collect())
}

impl Entry {
    /// Its status with what a reader must know of it.
    pub(crate) fn told(&self) -> String {
        let version = self.version.as_ref().map_or(String::new(), |version| format!(" {version}"));
        let untried = if self.verified { "" } else { " (stanza not verified)" };
        format!("{}{version}{untried}", self.status)
    }
}

fn question(scenario: &isomark_core::Scenario) -> Question {
    let metrics = (scenario.metrics)(&Params::new()).into_iter().map(|m| m.name.into_owned()).collect();
    Question { name: scenario.name, question: scenario.question, metrics }
}

fn plans() -> Result<Vec<PlanEntry>> {
    let read = |(name, text): &(&str, &str)| {
        let plan = isomark_engine::Plan::parse(name, text)?;
        Ok(PlanEntry { name: plan.name, about: plan.about, blocks: plan.blocks })
    };
    PLANS.iter().map(read).collect()
}

fn human(out: &mut impl Write, listing: &Listing) -> Result<()> {
    let mut runtimes = table(&["runtime", "kind", "measured", "status", "reason and remedy"]);
    for r in &listing.runtimes {
        let why = [r.reason.as_deref(), r.remedy.as_deref()].into_iter().flatten().collect::<Vec<_>>();
        runtimes.add_row([r.name.as_str(), r.kind.word(), r.measured, &r.told(), &why.join("; remedy: ")]);
    }
    let mut scenarios = table(&["scenario", "question", "metrics"]);
    for s in &listing.scenarios {
        scenarios.add_row([s.name, s.question, &s.metrics.join(", ")]);
    }
    let mut plans = table(&["plan", "blocks", "what for"]);
    for p in &listing.plans {
        plans.add_row([p.name.as_str(), &p.blocks.to_string(), &p.about]);
    }
    writeln!(out, "{runtimes}\n{}\n\n{scenarios}\n\n{plans}\n", advice(&listing.runtimes))?;
    writeln!(out, "payload sha256 {}", listing.payload_sha256)?;
    Ok(())
}

/// Writes what `say` says with nothing in it that a terminal would obey: versions and reasons are other programs' words.
pub(crate) fn plainly(out: &mut impl Write, say: impl FnOnce(&mut Vec<u8>) -> Result<()>) -> Result<()> {
    let mut text = Vec::new();
    say(&mut text)?;
    out.write_all(isomark_report::fmt::clean_lines(&String::from_utf8_lossy(&text)).as_bytes())?;
    Ok(())
}

/// What a run measures here, and how to have the rest measured.
pub(crate) fn advice(all: &[Entry]) -> String {
    let here = |measured| {
        let these = all.iter().filter(|r| r.status == "available" && r.measured == measured);
        these.map(|r| r.name.as_str()).collect::<Vec<_>>()
    };
    let (own, named) = (here("by-default"), here("when-named"));
    let absent = all.iter().filter(|r| r.status != "available").count();
    let mut text = format!("\nisomark run measures {}", own.join(", "));
    if !named.is_empty() {
        text.push_str(&format!(
            "\nwhen named: isomark run --runtime {},{} (or --runtime all for whatever is installed)",
            own.first().unwrap_or(&"process"),
            named.join(",")
        ));
    }
    if absent > 0 {
        text.push_str(&format!(
            "\n{absent} more need something that is not here; isomark doctor says what to do"
        ));
    }
    text
}

/// A table in the house's look, as wide as the terminal.
pub(crate) fn table(head: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic).set_header(head);
    table
}
