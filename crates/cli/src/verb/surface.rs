//! `isomark doctor --surface`: what each of isomark's own runtimes leaves its payload.
//!
//! Nothing here is written down beforehand. A payload is started in each runtime; capabilities and filter are read from
//! the host's `/proc` of the process that holds it, devices are opened and system calls made from inside.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::time::Duration;

use anyhow::Result;
use isomark_core::payload::{Class, Job, Probe, Reply};
use isomark_core::runtime::Program;
use isomark_core::{Error, Image, Instance, Runtime, Spec};
use isomark_runtimes::{Shelf, call_name, embedded, monitor_calls};
use isomark_scenarios::{LAST_CALL, classes};
use serde::Serialize;

use super::list::plainly;
use crate::args::Format;
use crate::exit;
use crate::place::Place;

/// The runtimes that are asked.
const ASKED: [&str; 3] = ["process", "namespace", "microvm"];
/// Devices that are opened, none of which does anything by being opened: harmless ones, and ways into the host.
const DEVICES: [&str; 14] = [
    "null",
    "zero",
    "full",
    "random",
    "urandom",
    "tty",
    "kmsg",
    "mem",
    "port",
    "kvm",
    "fuse",
    "net/tun",
    "loop-control",
    "mapper/control",
];
/// Capabilities by number (uapi/linux/capability.h).
#[rustfmt::skip]
const CAPABILITIES: [&str; 41] = [
    "chown", "dac_override", "dac_read_search", "fowner", "fsetid", "kill", "setgid", "setuid", "setpcap",
    "linux_immutable", "net_bind_service", "net_broadcast", "net_admin", "net_raw", "ipc_lock", "ipc_owner",
    "sys_module", "sys_rawio", "sys_chroot", "sys_ptrace", "sys_pacct", "sys_admin", "sys_boot", "sys_nice",
    "sys_resource", "sys_time", "sys_tty_config", "mknod", "lease", "audit_write", "audit_control", "setfcap",
    "mac_override", "mac_admin", "syslog", "wake_alarm", "block_suspend", "audit_read", "perfmon", "bpf",
    "checkpoint_restore",
];
/// How long a line of names becomes, in bytes.
const WIDTH: usize = 118;
/// Bound on every wait.
const DEADLINE: Duration = Duration::from_secs(10);

/// What a runtime leaves its payload.
#[derive(Debug, Default, Serialize)]
struct Surface {
    runtime: String,
    /// Why nothing could be asked; the rest is empty then.
    unavailable: Option<String>,
    /// Of the host process that holds the payload: effective, and what executing could bring back.
    capabilities: Vec<String>,
    bounding: Vec<String>,
    no_new_privileges: bool,
    /// Whether a seccomp filter holds that process.
    filtered: bool,
    /// Those of the list that can be opened from inside.
    devices: Vec<String>,
    /// By what they answer from inside.
    reached: Vec<String>,
    refused: Vec<String>,
    killed: Vec<String>,
    absent: usize,
    /// Not tried: they end or stop whoever makes them.
    not_tried: Vec<String>,
    /// The host's system calls that the process holding the payload may make for it, where that is another matter.
    monitor: Option<Vec<String>>,
}

/// The flag.
pub(crate) fn surface(shelf: &Shelf<'_>, place: &Place, format: Format) -> Result<u8> {
    let image = embedded::payload(place.site())?;
    let built_in = shelf.built_in();
    let asked = built_in.iter().filter(|runtime| ASKED.contains(&runtime.name()));
    let all = asked.map(|runtime| of(runtime.as_ref(), &image)).collect::<Result<Vec<_>, _>>()?;
    let mut out = std::io::stdout().lock();
    match format {
        Format::Json => {
            serde_json::to_writer_pretty(&mut out, &all)?;
            writeln!(out)?;
        }
        Format::Human => plainly(&mut out, |out| markdown(out, &all))?,
    }
    Ok(exit::FINE)
}

fn of(runtime: &dyn Runtime, image: &Image) -> Result<Surface, Error> {
    let mut surface = Surface {
        runtime: runtime.name().to_owned(),
        unavailable: runtime.probe().err().map(|why| why.reason),
        monitor: (runtime.name() == "microvm").then(monitor_calls),
        ..Surface::default()
    };
    if surface.unavailable.is_some() {
        return Ok(surface);
    }
    let mut instance = started(runtime, image)?;
    let looked = look(instance.as_mut(), &mut surface);
    Error::join(looked, instance.stop().and_then(|_| instance.remove()))?;
    let letters = classes(0, LAST_CALL, &|first, last| sweep(runtime, image, first, last))?;
    for (number, letter) in (0..).zip(letters.chars()) {
        let is = |class: Class| class.word().starts_with(letter);
        match number {
            _ if is(Class::Reached) => surface.reached.push(call_name(number)),
            _ if is(Class::Refused) => surface.refused.push(call_name(number)),
            _ if is(Class::Killed) => surface.killed.push(call_name(number)),
            _ if is(Class::Absent) => surface.absent += 1,
            _ => surface.not_tried.push(call_name(number)),
        }
    }
    Ok(surface)
}

fn started(runtime: &dyn Runtime, image: &Image) -> Result<Box<dyn Instance>, Error> {
    let spec = Spec { huge_pages: false, deadline: DEADLINE, ..Spec::new(Program::payload(image.clone())) };
    runtime.prepare(&spec)?;
    let mut instance = runtime.create(&spec)?;
    instance.start()?;
    Ok(instance)
}

/// Rights by the host's view, devices by the payload's.
fn look(instance: &mut dyn Instance, surface: &mut Surface) -> Result<(), Error> {
    let Some((pid, _)) = instance.anatomy().processes.first().copied() else {
        return Err(Error::Unsupported(format!("{} names no process", surface.runtime)));
    };
    let path = format!("/proc/{pid}/status");
    let status = fs::read_to_string(&path).map_err(|e| Error::os(format!("read {path}"), e))?;
    let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).map_or("", str::trim);
    let set = |name: &str| capabilities(u64::from_str_radix(field(name), 16).unwrap_or(u64::MAX));
    (surface.capabilities, surface.bounding) = (set("CapEff:"), set("CapBnd:"));
    surface.no_new_privileges = field("NoNewPrivs:") == "1";
    surface.filtered = field("Seccomp:") == "2";
    for name in DEVICES {
        let path = format!("/dev/{name}");
        let reply = instance.run(&Job::Probe(Probe::Peek { path, bytes: 0 }))?;
        if reply.u64("seen").map_err(|e| Error::WrongAnswer(e.to_string()))? == 1 {
            surface.devices.push(name.to_owned());
        }
    }
    Ok(())
}

fn capabilities(bits: u64) -> Vec<String> {
    let named =
        |at: usize| CAPABILITIES.get(at).map_or_else(|| format!("number {at}"), |name| (*name).to_owned());
    (0..64).filter(|at| bits >> at & 1 != 0).map(named).collect()
}

/// A batch of system calls; nothing if the payload did not survive it.
fn sweep(runtime: &dyn Runtime, image: &Image, first: u64, last: u64) -> Result<Option<String>, Error> {
    let mut instance = started(runtime, image)?;
    let reply: Result<Reply, Error> = instance.run(&Job::Sweep { first, last });
    drop(instance);
    match reply {
        Ok(reply) => {
            Ok(Some(reply.str("classes").map_err(|e| Error::WrongAnswer(e.to_string()))?.to_owned()))
        }
        Err(Error::Died { .. } | Error::Timeout { .. }) => Ok(None),
        Err(e) => Err(e),
    }
}

/// Rows of the table: what it is called and how a runtime's cell reads.
type Row = (&'static str, fn(&Surface) -> String);

const ROWS: [Row; 8] = [
    ("capabilities of the host's process", |s| several(&s.capabilities)),
    ("capabilities that executing could bring back", |s| {
        if s.no_new_privileges { "none".to_owned() } else { several(&s.bounding) }
    }),
    ("seccomp filter on the host's process", |s| if s.filtered { "yes".to_owned() } else { "no".to_owned() }),
    ("devices that open", |s| several(&s.devices)),
    ("system calls reached", |s| s.reached.len().to_string()),
    ("system calls refused", |s| s.refused.len().to_string()),
    ("system calls that end the payload", |s| s.killed.len().to_string()),
    ("host's system calls behind it", |s| match &s.monitor {
        Some(calls) => format!("{} (those of its VMM)", calls.len()),
        None => "the same".to_owned(),
    }),
];

fn several(names: &[String]) -> String {
    match names.len() {
        0 => "none".to_owned(),
        few @ ..=20 => format!("{few}: {}", names.join(", ")),
        many => {
            let without = CAPABILITIES.iter().filter(|name| !names.iter().any(|n| n == *name));
            let without = without.copied().collect::<Vec<_>>().join(", ");
            if without.is_empty() { "all".to_owned() } else { format!("{many}: all but {without}") }
        }
    }
}

/// As docs/SECURITY.md holds it.
fn markdown(out: &mut impl Write, all: &[Surface]) -> Result<()> {
    let here: Vec<&Surface> = all.iter().filter(|s| s.unavailable.is_none()).collect();
    for surface in all {
        if let Some(why) = &surface.unavailable {
            writeln!(out, "{} cannot run here: {why}\n", surface.runtime)?;
        }
    }
    let names: Vec<&str> = here.iter().map(|s| s.runtime.as_str()).collect();
    writeln!(
        out,
        "| what is left to the payload | {} |\n|---|{}",
        names.join(" | "),
        "---|".repeat(names.len())
    )?;
    for (name, cell) in ROWS {
        let cells: Vec<String> = here.iter().map(|s| cell(s)).collect();
        writeln!(out, "| {name} | {} |", cells.join(" | "))?;
    }
    for surface in &here {
        if !surface.refused.is_empty() {
            writeln!(out, "\n`{}` refuses:\n{}.", surface.runtime, quoted(&surface.refused))?;
        }
        if !surface.killed.is_empty() {
            writeln!(out, "\n`{}` ends who makes:\n{}.", surface.runtime, quoted(&surface.killed))?;
        }
        if let Some(calls) = &surface.monitor {
            writeln!(out, "\nIts VMM may call:\n{}.", quoted(calls))?;
        }
    }
    if let Some(calls) = here.iter().map(|s| &s.not_tried).max_by_key(|calls| calls.len()) {
        writeln!(out, "\nNot tried, for they end, stop or hold up who makes them:\n{}.", quoted(calls))?;
    }
    writeln!(out, "\nWhich calls are reached where; each stands once.")?;
    for (runtimes, calls) in groups(&here) {
        let ways = runtimes.iter().map(|name| format!("<code>{name}</code>")).collect::<Vec<_>>();
        writeln!(out, "\n<details>\n<summary>{} in {}</summary>\n", calls.len(), ways.join(", "))?;
        writeln!(out, "{}.\n\n</details>", quoted(&calls))?;
    }
    Ok(())
}

/// The calls that are reached, by where they are: the runtimes and what exactly they and no other reach, most first.
fn groups<'s>(here: &[&'s Surface]) -> Vec<(Vec<&'s str>, Vec<&'s str>)> {
    let mut by_name: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for surface in here {
        for call in &surface.reached {
            by_name.entry(call).or_default().push(&surface.runtime);
        }
    }
    let mut by_runtimes: BTreeMap<Vec<&str>, Vec<&str>> = BTreeMap::new();
    for (call, runtimes) in by_name {
        by_runtimes.entry(runtimes).or_default().push(call);
    }
    let mut groups: Vec<_> = by_runtimes.into_iter().collect();
    groups.sort_by_key(|(runtimes, calls)| (Reverse(runtimes.len()), Reverse(calls.len())));
    groups
}

fn quoted(names: &[impl AsRef<str>]) -> String {
    let mut names = names.iter().map(AsRef::as_ref).collect::<Vec<_>>();
    names.sort_unstable();
    // One line each as far as they go: a list that changes is then a small change to the page.
    let mut lines = vec![String::new()];
    for (at, name) in names.iter().enumerate() {
        let word = format!("`{name}`{}", if at + 1 < names.len() { ", " } else { "" });
        match lines.last_mut() {
            Some(line) if line.len() + word.len() <= WIDTH => line.push_str(&word),
            _ => lines.push(word),
        }
    }
    lines.iter().map(|line| line.trim_end()).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capabilities_have_their_names() {
        assert_eq!(capabilities(0), [""; 0]);
        assert_eq!(capabilities(1 << 21 | 1), ["chown", "sys_admin"]);
        assert_eq!(capabilities(1 << 50), ["number 50"]);
        assert_eq!(several(&capabilities((1 << 41) - 1)), "all");
    }

    #[test]
    fn each_call_that_is_reached_stands_once_and_where_it_is_reached() {
        let of = |runtime: &str, reached: &[&str]| Surface {
            runtime: runtime.to_owned(),
            reached: reached.iter().map(|call| (*call).to_owned()).collect(),
            ..Surface::default()
        };
        let all = [of("a", &["w", "x", "y", "z"]), of("b", &["x", "y"]), of("c", &["y", "v"])];
        let found = groups(&all.iter().collect::<Vec<_>>());
        let names = |of: &[&str]| of.join(" ");
        let told = found.iter().map(|(runtimes, calls)| (names(runtimes), names(calls))).collect::<Vec<_>>();
        let told = told.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect::<Vec<_>>();
        assert_eq!(told, [("a b c", "y"), ("a b", "x"), ("a", "w z"), ("c", "v")]);
    }

    #[test]
    fn long_lists_are_broken_between_names() {
        let names = (0..40).map(|n| format!("call_{n:02}")).collect::<Vec<_>>();
        let text = quoted(&names);
        assert!(text.lines().count() > 3 && text.lines().all(|line| line.len() <= WIDTH), "{text}");
        let flat = text.replace('\n', " ");
        assert_eq!(flat.split(", ").count(), 40, "{flat}");
        assert_eq!(quoted(&["b", "a"]), "`a`, `b`");
    }

    #[test]
    fn each_class_has_a_letter_of_its_own() {
        let letters: std::collections::BTreeSet<&str> = Class::ALL.iter().map(|class| class.word()).collect();
        assert_eq!(letters.len(), Class::ALL.len());
        assert!(letters.iter().all(|word| word.len() == 1), "{letters:?}");
    }
}
