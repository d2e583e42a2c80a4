//! `isomark list`: what there is to choose from.

use std::io::Write;

use anyhow::Result;
use isomark_core::{Kind, Params, Runtime};
use isomark_runtimes::Shelf;
use isomark_scenarios::{PLANS, SHELF};
use serde::Serialize;

use super::lines::{sentence, table, width};
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
        Format::Human => plainly(&mut out, |out| human(out, &listing, width()))?,
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

fn human(out: &mut impl Write, listing: &Listing, width: usize) -> Result<()> {
    // What to do about it is the doctor's to say, and takes more room than a column of five has.
    let mut runtimes = table(&["runtime", "kind", "measured", "status"], width);
    for r in &listing.runtimes {
        let why = r.reason.as_ref().map_or(String::new(), |why| format!(": {why}"));
        runtimes.add_row([r.name.as_str(), r.kind.word(), r.measured, &(r.told() + &why)]);
    }
    let mut scenarios = table(&["scenario", "question", "metrics"], width);
    for s in &listing.scenarios {
        scenarios.add_row([s.name, s.question, &s.metrics.join(", ")]);
    }
    let mut plans = table(&["plan", "blocks", "what for"], width);
    for p in &listing.plans {
        plans.add_row([p.name.as_str(), &p.blocks.to_string(), &p.about]);
    }
    writeln!(out, "{runtimes}\n\n{}", advice(&listing.runtimes, "isomark doctor says what to do", width))?;
    writeln!(out, "\n{scenarios}\n\n{plans}\n\npayload sha256 {}", listing.payload_sha256)?;
    Ok(())
}

/// Writes what `say` says with nothing in it that a terminal would obey: versions and reasons are other programs' words.
pub(crate) fn plainly(out: &mut impl Write, say: impl FnOnce(&mut Vec<u8>) -> Result<()>) -> Result<()> {
    let mut text = Vec::new();
    say(&mut text)?;
    out.write_all(isomark_report::fmt::clean_lines(&String::from_utf8_lossy(&text)).as_bytes())?;
    Ok(())
}

/// What a run measures here, how to have the rest measured, and where it is said how to get what is missing.
pub(crate) fn advice(all: &[Entry], missing: &str, width: usize) -> String {
    let here = |measured| {
        let these = all.iter().filter(|r| r.status == "available" && r.measured == measured);
        these.map(|r| r.name.as_str()).collect::<Vec<_>>()
    };
    let (own, named) = (here("by-default"), here("when-named"));
    let mut lines = vec![sentence("isomark run measures ", &own.join(", "), width)];
    if let Some(first) = named.first() {
        let pair = format!("{},{first}", own.first().unwrap_or(&"process"));
        lines.push(sentence("when named: ", &named.join(", "), width));
        lines.push(format!("  isomark run --runtime {pair}"));
        lines.push("  isomark run --runtime all    whatever is installed".to_owned());
    }
    let absent = all.iter().filter(|r| r.status != "available").count();
    if absent > 0 {
        let needs = if absent == 1 { "needs" } else { "need" };
        lines.push(sentence(
            "",
            &format!("{absent} more {needs} something that is not here: {missing}"),
            width,
        ));
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(name: &str, at: usize) -> Entry {
        let text = |text: &str| Some(text.to_owned());
        let absent = (at + 1).is_multiple_of(3);
        Entry {
            name: name.to_owned(),
            kind: Kind::Container,
            source: "catalogue",
            measured: if at == 0 { "by-default" } else { "when-named" },
            verified: at.is_multiple_of(2),
            status: if absent { "unavailable" } else { "available" },
            version: if absent {
                None
            } else {
                text("a tool version 12.34.56~rc7+ds1-8+b9 (commit 0123456789abcdef)")
            },
            reason: if absent {
                text("there is no such program in any folder of the search path")
            } else {
                None
            },
            remedy: if absent {
                text("apt-get install something-with-a-long-name-from-somewhere")
            } else {
                None
            },
        }
    }

    #[test]
    fn eighty_columns_hold_the_listing_and_its_names_are_whole() {
        let names = [
            "process",
            "namespace",
            "microvm",
            "microvm-linux",
            "bubblewrap",
            "charliecloud",
            "containerd",
            "crun",
            "docker",
            "firejail",
            "hakoniwa",
            "lxc",
            "nspawn",
            "podman",
            "qemu",
            "qemu-debian",
            "runc",
            "runsc",
        ];
        let listing = Listing {
            payload_sha256: "0".repeat(64),
            runtimes: names.iter().enumerate().map(|(at, name)| entry(name, at)).collect(),
            scenarios: SHELF.iter().map(question).collect(),
            plans: plans().unwrap(),
        };
        for width in [80, 100, 200] {
            let mut text = Vec::new();
            human(&mut text, &listing, width).unwrap();
            let text = String::from_utf8(text).unwrap();
            let widest = text.lines().max_by_key(|line| line.chars().count()).unwrap();
            assert!(widest.chars().count() <= width, "{width}: {widest}");
            for name in names.iter().copied().chain(SHELF.iter().map(|s| s.name)) {
                assert!(text.split([' ', ',', '\n']).any(|word| word == name), "{width}: no {name}\n{text}");
            }
            assert!(text.contains("\n  isomark run --runtime process,namespace\n"), "{text}");
        }
    }
}
