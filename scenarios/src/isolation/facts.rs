//! Facts of the host that its files tell, and whether the same are told inside.
//!
//! The list is that of ContainerLeaks (Gao et al., DSN 2017) and its successors. A fact counts as seen only if what is
//! told inside is the host's: a guest that has a boot identity of its own shows nothing of its host. What changes all
//! the time is read on the host before and after, and must lie between.

use std::fs::File;
use std::io::Read;

use isomark_core::payload::{Job, Probe};
use isomark_core::{Error, Sandbox};

use super::{Looks, peek, wrong};

/// How much of a file is compared, in bytes.
pub(super) const BYTES: u64 = 1500;

/// A fact: its name, the file that tells it, and whether the text inside is the host's (host before, inside, after).
struct Fact {
    name: &'static str,
    path: &'static str,
    same: fn(&str, &str, &str) -> bool,
}

const fn fact(name: &'static str, path: &'static str, same: fn(&str, &str, &str) -> bool) -> Fact {
    Fact { name, path, same }
}

const FACTS: &[Fact] = &[
    fact("boot identity", "/proc/sys/kernel/random/boot_id", exact),
    fact("kernel build", "/proc/version", exact),
    fact("kernel command line", "/proc/cmdline", exact),
    fact("modules", "/proc/modules", exact),
    fact("partitions", "/proc/partitions", exact),
    fact("uptime", "/proc/uptime", |before, inside, after| between(before, inside, after, 0, 2.0)),
    fact("total memory", "/proc/meminfo", |before, inside, _| {
        line(before, 0).is_some_and(|l| line(inside, 0) == Some(l))
    }),
    fact("tasks of the whole host", "/proc/loadavg", tasks),
    fact("CPU time of the whole host", "/proc/stat", |before, inside, after| {
        between(before, inside, after, 4, 0.0)
    }),
    fact("interrupts", "/proc/interrupts", shape),
    fact("CPU model", "/proc/cpuinfo", |before, inside, _| {
        starting(before, "model name") == starting(inside, "model name")
    }),
    fact("temperature", "/sys/class/thermal/thermal_zone0/temp", |_, inside, _| !inside.is_empty()),
    fact("energy", "/sys/class/powercap/intel-rapl:0/energy_uj", |_, inside, _| !inside.is_empty()),
];

fn exact(before: &str, inside: &str, after: &str) -> bool {
    inside == before || inside == after
}

fn line(text: &str, at: usize) -> Option<&str> {
    text.lines().nth(at)
}

fn starting<'t>(text: &'t str, with: &str) -> Option<&'t str> {
    text.lines().find(|line| line.starts_with(with))
}

/// The word at `at` of the first line as a number.
fn number(text: &str, at: usize) -> Option<f64> {
    line(text, 0)?.split_whitespace().nth(at)?.parse().ok()
}

/// Whether a growing number inside lies between those of the host.
fn between(before: &str, inside: &str, after: &str, at: usize, slack: f64) -> bool {
    match (number(before, at), number(inside, at), number(after, at)) {
        (Some(before), Some(inside), Some(after)) => (before - slack..=after + slack).contains(&inside),
        _ => false,
    }
}

/// The number of all tasks, within a tenth: `0.1 0.2 0.3 2/345 6789`.
fn tasks(before: &str, inside: &str, after: &str) -> bool {
    let of = |text: &str| {
        let (_, all) = text.split_whitespace().nth(3)?.split_once('/')?;
        all.parse::<f64>().ok()
    };
    match (of(before), of(inside), of(after)) {
        (Some(before), Some(inside), Some(after)) => {
            (before.min(after) * 0.9..=before.max(after) * 1.1).contains(&inside)
        }
        _ => false,
    }
}

/// Whether two tables are the same but for their numbers.
fn shape(before: &str, inside: &str, _: &str) -> bool {
    let plain = |text: &str| {
        let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
        let words = whole.split_whitespace().filter(|word| !word.bytes().all(|b| b.is_ascii_digit()));
        words.take(40).map(str::to_owned).collect::<Vec<_>>()
    };
    plain(before) == plain(inside)
}

/// The first bytes of a file of the host; none if it cannot be read or is empty.
fn host(path: &str) -> Option<String> {
    let mut bytes = Vec::new();
    File::open(path).ok()?.take(BYTES).read_to_end(&mut bytes).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned()).filter(|text| !text.is_empty())
}

/// How many processes `/proc` of the host shows.
fn processes() -> u64 {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let digits = |name: &std::ffi::OsStr| name.as_encoded_bytes().iter().all(u8::is_ascii_digit);
    entries.filter(|entry| digits(&entry.file_name())).count() as u64
}

/// Looks for every fact that the host itself can tell.
pub(super) fn look(sandbox: &mut Sandbox<'_>) -> Result<Looks, Error> {
    let mut looks = Looks::default();
    for fact in FACTS {
        let Some(before) = host(fact.path) else {
            looks.untold.push(fact.name);
            continue;
        };
        let inside = peek(sandbox, fact.path)?.map(|text| String::from_utf8_lossy(&text).into_owned());
        let after = host(fact.path).unwrap_or_default();
        let told = inside.filter(|inside| !inside.is_empty());
        looks.add(fact.name, told.is_some_and(|inside| (fact.same)(&before, &inside, &after)));
    }
    let reply = sandbox.run(&Job::Probe(Probe::Process { name: String::new() }))?;
    let inside = reply.u64("count").map_err(wrong)?;
    looks.add("processes of others", inside * 2 >= processes());
    Ok(looks)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fact_is_seen_only_if_it_is_the_hosts() {
        assert!(exact("a\n", "a\n", "b\n") && exact("a", "b", "b") && !exact("a", "c", "b"));
        assert!(between("10.0 1", "10.5 9", "11.0 2", 0, 0.0) && !between("10.0", "4.0", "11.0", 0, 2.0));
        assert!(between("cpu 1 2 3 40", "cpu 1 2 3 41", "cpu 1 2 3 42", 4, 0.0));
        assert!(
            !between("cpu 1 2 3 40", "cpu 1 2 3 39", "cpu 1 2 3 42", 4, 0.0) && !between("", "", "", 0, 9.0)
        );
        assert!(tasks("0 0 0 1/300 5", "0 0 0 2/305 6", "0 0 0 1/301 7"));
        assert!(!tasks("0 0 0 1/300 5", "0 0 0 1/60 6", "0 0 0 1/301 7") && !tasks("", "x", ""));
        let table = |n: u32| format!("  CPU0 CPU1\n 0: {n} 3 IO-APIC timer\nLOC: {n} 1 Local\ncut {n}");
        assert!(shape(&table(1), &table(99), "") && !shape(&table(1), "  CPU0\n 0: 1 XT-PIC timer\ncut", ""));
    }

    #[test]
    fn every_fact_of_this_host_is_the_same_as_itself() {
        for fact in FACTS {
            let read = || host(fact.path);
            if let (Some(before), Some(inside), Some(after)) = (read(), read(), read()) {
                assert!((fact.same)(&before, &inside, &after), "{}", fact.name);
            }
        }
        assert!(processes() > 1);
    }
}
