//! `isomark doctor`: what can be measured on this host, and how to get the rest.

use std::io::Write;

use anyhow::Result;
use isomark_core::record::{Host, Warning};
use isomark_engine::plan::Found;
use isomark_engine::{host, settle};
use isomark_runtimes::{embedded, kvm, tsc};
use serde::Serialize;

use super::lines::{sentence, table, width};
use super::list::{Entry, advice, entries, plainly};
use crate::args::{self, Format};
use crate::exit;
use crate::place::Place;

/// `doctor --format json`.
#[derive(Serialize)]
struct Findings {
    host: Host,
    runtimes: Vec<Entry>,
    warnings: Vec<Warning>,
}

/// The verb.
pub(crate) fn doctor(args: &args::Doctor) -> Result<u8> {
    let place = Place::take()?;
    let shelf = super::shelf(place.site(), &args.guest)?;
    if args.surface {
        return super::surface::surface(&shelf, &place, args.format);
    }
    let finding = kvm::classify();
    let probed = host::Probed {
        kvm_class: finding.class.word().into(),
        kvm_evidence: finding.evidence,
        tsc_hz: tsc::calibrate(),
    };
    let host = host::read(probed);
    let mut warnings = host.warnings.clone();
    warnings.extend(own_warnings());
    let findings = Findings { host, runtimes: entries(&shelf)?, warnings };
    let mut out = std::io::stdout().lock();
    match args.format {
        Format::Json => {
            serde_json::to_writer_pretty(&mut out, &findings)?;
            writeln!(out)?;
        }
        Format::Human => plainly(&mut out, |out| human(out, &findings, width()))?,
    }
    let all = shelf.built_in().into_iter().chain(shelf.catalogue()?).collect::<Vec<_>>();
    let required = all.iter().filter(|r| args.require.iter().any(|name| name == r.name()));
    let found = required.map(|r| Found::probe(r.as_ref())).collect::<Vec<_>>();
    super::run::require(&found, &args.require)?;
    Ok(exit::FINE)
}

/// What is worth a word about this build and its place, rather than about the host.
fn own_warnings() -> Vec<Warning> {
    let state = settle::state_dir();
    let target = embedded::note().map(|cause| Warning { cause, remedy: "see the cause".into() });
    let memory = host::in_memory(&state).then(|| Warning {
        cause: format!("{} lies in memory: there are no cold starts", state.display()),
        remedy: "set ISOMARK_STATE to a directory on a disk".into(),
    });
    target.into_iter().chain(memory).collect()
}

fn human(out: &mut impl Write, findings: &Findings, width: usize) -> Result<()> {
    let host = &findings.host;
    let mut facts = table(&["host", &host.name], width);
    let rows = [
        ("kernel", host.kernel.clone()),
        ("cpu", format!("{} ({} usable)", host.cpu, host.cpus)),
        ("memory", format!("{} MiB", host.memory >> 20)),
        ("last-level cache", format!("{} KiB", host.llc >> 10)),
        (
            "runs on",
            if host.hypervisor == "none" {
                "bare metal".into()
            } else {
                format!("a hypervisor ({})", host.hypervisor)
            },
        ),
        ("KVM class", format!("{}: {}", host.kvm_class, host.kvm_evidence)),
        ("cgroups", host.cgroup.clone()),
        ("instruction sets", host.isa.clone()),
        ("user", host.user.clone()),
    ];
    for (name, value) in &rows {
        facts.add_row([*name, value]);
    }
    writeln!(out, "{facts}\n")?;
    let mut runtimes = table(&["runtime", "status", "what to do"], width);
    for r in &findings.runtimes {
        let advice = match (&r.reason, &r.remedy) {
            (Some(reason), Some(remedy)) => format!("{reason}\n→ {remedy}"),
            _ => String::new(),
        };
        runtimes.add_row([r.name.as_str(), &r.told(), &advice]);
    }
    writeln!(out, "{runtimes}\n\n{}", advice(&findings.runtimes, "see above", width))?;
    for warning in &findings.warnings {
        let (cause, remedy) =
            (sentence("warning: ", &warning.cause, width), sentence("→ ", &warning.remedy, width));
        writeln!(out, "\n{cause}\n{remedy}")?;
    }
    if findings.warnings.is_empty() {
        writeln!(out, "\nno warnings")?;
    }
    Ok(())
}
