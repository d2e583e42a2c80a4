//! Everything on a host that a program can leave behind, listed by kind.
//!
//! What is looked at is the whole host, not what isomark says of itself. A thing is held to be ours if it carries a mark
//! that nobody else's has: the directory under trial, or the name of a command that was killed there. Kinds that can carry
//! no mark (interfaces, filter rules, SysV objects) are ours whenever they are new.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;
use std::process::Command;

/// All objects, by kind.
#[derive(Clone, Debug, Default)]
pub(crate) struct Traces(BTreeMap<&'static str, BTreeSet<String>>);

/// Kinds whose objects have no name of their maker's choice.
const NAMELESS: [&str; 4] = ["interface", "filter rule", "SysV object", "block device"];

/// Directories in which programs of this trade keep things.
const PLACES: [&str; 24] = [
    "/tmp",
    "/var/tmp",
    "/run",
    "/run/lock",
    "/run/netns",
    "/run/containerd",
    "/run/docker",
    "/run/runc",
    "/run/crun",
    "/run/youki",
    "/run/runsc",
    "/run/podman",
    "/run/libpod",
    "/run/containers",
    "/run/lxc",
    "/run/firejail",
    "/run/systemd/nspawn",
    "/var/lib",
    "/var/lib/docker",
    "/var/lib/containers",
    "/var/lib/containerd",
    "/var/lib/lxc",
    "/var/lib/machines",
    "/var/cache",
];

impl Traces {
    /// Looks at the host.
    pub(crate) fn look() -> Self {
        let mut all = Self::default();
        all.add("mount", lines("/proc/self/mountinfo").map(|line| mount(&line)).chain(of_init()));
        all.add("cgroup", groups());
        all.add("file", PLACES.iter().flat_map(|place| names(place)));
        all.add("POSIX object", ["/dev/shm", "/dev/mqueue"].iter().flat_map(|place| names(place)));
        all.add("SysV object", ["shm", "sem", "msg"].iter().flat_map(|kind| sysv(kind)));
        all.add("interface", names("/sys/class/net"));
        all.add("block device", names("/sys/block"));
        let tracing = ["/sys/kernel/tracing/instances", "/sys/kernel/debug/tracing/instances"];
        all.add("trace instance", tracing.iter().flat_map(|place| names(place)));
        all.add(
            "socket",
            // Those without a name belong to a process and go with it.
            lines("/proc/net/unix")
                .filter_map(|line| line.split(' ').next_back().map(str::to_owned))
                .filter(|name| name.starts_with(['@', '/'])),
        );
        all.add("filter rule", rules());
        all
    }

    fn add(&mut self, kind: &'static str, objects: impl IntoIterator<Item = String>) {
        self.0.entry(kind).or_default().extend(objects);
    }

    /// What is here and was not there: `(kind, object)`.
    pub(crate) fn new_since(&self, before: &Self) -> Vec<(&'static str, String)> {
        let mut new = Vec::new();
        for (kind, objects) in &self.0 {
            let old = before.0.get(kind);
            let fresh = objects.iter().filter(|object| !old.is_some_and(|old| old.contains(*object)));
            new.extend(fresh.map(|object| (*kind, object.clone())));
        }
        new
    }

    /// How many objects there are of each kind, for the record.
    pub(crate) fn counts(&self) -> String {
        let words = self.0.iter().map(|(kind, objects)| format!("{} {kind}s", objects.len()));
        words.collect::<Vec<_>>().join(", ")
    }
}

/// Whether an object is one that a command under trial left.
pub(crate) fn is_ours(kind: &str, object: &str, marks: &[String]) -> bool {
    NAMELESS.contains(&kind) || marks.iter().any(|mark| object.contains(mark.as_str()))
}

fn lines(path: &str) -> impl Iterator<Item = String> {
    fs::read_to_string(path).unwrap_or_default().lines().map(str::to_owned).collect::<Vec<_>>().into_iter()
}

/// What is mounted where, without the numbers that differ from look to look.
fn mount(line: &str) -> String {
    let (place, kind) = line.split_once(" - ").unwrap_or((line, ""));
    let at = place.split(' ').skip(3).take(2).collect::<Vec<_>>().join(" at ");
    format!("{} {at}", kind.split(' ').take(2).collect::<Vec<_>>().join(" "))
}

/// Mounts of the first process, whose namespace may be another.
fn of_init() -> impl Iterator<Item = String> {
    lines("/proc/1/mountinfo").map(|line| mount(&line))
}

fn names(place: &str) -> Vec<String> {
    let entries = fs::read_dir(place).into_iter().flatten().flatten();
    entries.map(|entry| entry.path().display().to_string()).collect()
}

/// All groups in all hierarchies.
fn groups() -> Vec<String> {
    let mounts = lines("/proc/self/mounts").filter_map(|line| {
        let words = line.split(' ').collect::<Vec<_>>();
        words.get(2).is_some_and(|kind| kind.starts_with("cgroup")).then(|| PathBuf::from(words[1]))
    });
    let (mut todo, mut all) = (mounts.collect::<Vec<_>>(), Vec::new());
    while let Some(dir) = todo.pop() {
        let entries = fs::read_dir(&dir).into_iter().flatten().flatten();
        todo.extend(entries.filter(|e| e.file_type().is_ok_and(|kind| kind.is_dir())).map(|e| e.path()));
        all.push(dir.display().to_string());
    }
    all
}

/// Key and identifier of each object (proc(5)).
fn sysv(kind: &str) -> Vec<String> {
    let words = |line: String| line.split_whitespace().take(2).collect::<Vec<_>>().join(" ");
    lines(&format!("/proc/sysvipc/{kind}")).skip(1).map(|line| format!("{kind} {}", words(line))).collect()
}

/// Rules of the packet filter, as the tools that are here tell them; without counters.
fn rules() -> Vec<String> {
    let mut all = Vec::new();
    for tool in [&["iptables-save"][..], &["ip6tables-save"], &["nft", "--stateless", "list", "ruleset"]] {
        let Ok(told) = Command::new(tool[0]).args(&tool[1..]).output() else { continue };
        let text = String::from_utf8_lossy(&told.stdout).into_owned();
        let words = text.lines().filter(|line| !line.starts_with('#') && !line.trim().is_empty());
        all.extend(words.map(|line| format!("{}: {}", tool[0], line.split(" [").next().unwrap_or(line))));
    }
    all
}
