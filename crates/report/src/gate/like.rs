//! Were two runs measured on hosts and programs that may be compared?
//!
//! What moves results is compared field by field and each difference is named. The host's name is not among them: a
//! fleet gives a new one to every machine of one kind. Another payload can never be compared; another host only if
//! the user insists.

use isomark_core::record::Run;

/// In how far two runs are unlike.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unlike {
    /// What differs between the hosts, a reason each.
    pub host: Vec<String>,
    /// What differs between the programs that ran inside, if it does.
    pub payload: Option<String>,
    /// What differs and may be the very thing under test.
    pub notes: Vec<String>,
}

/// Facts of the host that move results.
const FACTS: [&str; 10] = [
    "mitigations",
    "clock source",
    "clocksource",
    "transparent huge pages",
    "thp",
    "KSM",
    "governor",
    "SMT",
    "ASLR",
    "swap",
];

/// Share by which total memory may differ: firmware and kernel take their part of it.
const MEMORY: f64 = 0.05;

/// Compares the identities of two runs.
#[must_use]
pub fn unlike(base: &Run, head: &Run) -> Unlike {
    let mut found = Unlike { host: hosts(base, head), ..Unlike::default() };
    if base.payload.sha256 != head.payload.sha256 {
        let (old, new) = (&base.payload, &head.payload);
        found.payload = Some(format!(
            "payload: {} ({}) in the base, {} ({}) in the head",
            short(&old.sha256),
            old.target,
            short(&new.sha256),
            new.target
        ));
    }
    if base.isomark != head.isomark {
        found.notes.push(format!("isomark: {} in the base, {} in the head", base.isomark, head.isomark));
    }
    for new in &head.runtimes {
        let old = base.runtimes.iter().find(|old| old.name == new.name);
        let pair = old.and_then(|old| Some((old.identity.as_ref()?, new.identity.as_ref()?)));
        if let Some((old, new_one)) = pair.filter(|(old, new)| old.version != new.version) {
            found.notes.push(format!(
                "runtime {}: version {} in the base, {} in the head",
                new.name, old.version, new_one.version
            ));
        }
    }
    found
}

fn hosts(base: &Run, head: &Run) -> Vec<String> {
    let (old, new) = (&base.host, &head.host);
    let words = [
        ("CPU", &old.cpu, &new.cpu),
        ("kernel", &old.kernel, &new.kernel),
        ("KVM class", &old.kvm_class, &new.kvm_class),
        ("cgroup", &old.cgroup, &new.cgroup),
        ("hypervisor", &old.hypervisor, &new.hypervisor),
        ("instruction set", &old.isa, &new.isa),
        ("user", &old.user, &new.user),
    ];
    let mut all: Vec<String> =
        words.iter().filter(|(_, a, b)| a != b).map(|(name, a, b)| differs(name, a, b)).collect();
    if old.cpus != new.cpus {
        all.push(differs("CPUs", &old.cpus.to_string(), &new.cpus.to_string()));
    }
    if old.llc != new.llc {
        all.push(differs(
            "last-level cache",
            &format!("{} KiB", old.llc >> 10),
            &format!("{} KiB", new.llc >> 10),
        ));
    }
    let (a, b) = (old.memory as f64, new.memory as f64);
    if (a - b).abs() > MEMORY * a.max(b) {
        all.push(differs(
            "memory",
            &format!("{} MiB", old.memory >> 20),
            &format!("{} MiB", new.memory >> 20),
        ));
    }
    for fact in FACTS {
        let get = |run: &Run| run.host.facts.get(fact).cloned().unwrap_or_else(|| "not told".to_owned());
        if get(base) != get(head) {
            all.push(differs(fact, &get(base), &get(head)));
        }
    }
    all
}

fn differs(name: &str, base: &str, head: &str) -> String {
    let word = |text: &str| crate::fmt::shortened(&crate::fmt::clean(text), 120);
    format!("{name}: {} in the base, {} in the head", word(base), word(head))
}

/// The beginning of a hash: enough to tell two apart.
#[must_use]
pub fn short(hash: &str) -> &str {
    hash.get(..12).unwrap_or(hash)
}
