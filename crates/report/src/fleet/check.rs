//! What a fleet's description must not say.
//!
//! Names go into file names, directives and objects of engines: they are held to the alphabet of the strictest of them.
//! Paths and values may be hostile but for control characters; they are quoted where they are rendered.

use std::collections::BTreeSet;
use std::ops::Range;

use isomark_core::Error;
use toml::Spanned;

use super::description::{Class, Fleet, Kubernetes};
use super::units;

/// Largest seed: shells count in signed 64 bits, readers of JSON in 53.
const SEED: u64 = 1 << 52;
/// Hosts of one class at most.
pub(super) const HOSTS: u32 = 10_000;
/// Longest value in characters.
const LONG: usize = 4096;

/// A file that is being read, for refusals.
pub(super) struct Place<'t> {
    file: &'t str,
    text: &'t str,
}

impl<'t> Place<'t> {
    pub(super) const fn new(file: &'t str, text: &'t str) -> Self {
        Self { file, text }
    }

    pub(super) fn refuse(&self, span: &Range<usize>, key: &str, why: &str) -> Error {
        let before = self.text.get(..span.start).unwrap_or_default();
        let line = before.bytes().filter(|b| *b == b'\n').count() + 1;
        Error::Input(format!("{} line {line}: key {key}: {why}", self.file))
    }

    fn check<T>(&self, value: &Spanned<T>, key: &str, found: Result<(), String>) -> Result<(), Error> {
        found.map_err(|why| self.refuse(&value.span(), key, &why))
    }
}

/// Checks everything that a type cannot say.
pub(super) fn fleet(fleet: &Fleet, place: &Place<'_>) -> Result<(), Error> {
    place.check(&fleet.name, "name", dns(fleet.name.get_ref(), 24))?;
    place.check(&fleet.plan, "plan", plain(fleet.plan.get_ref()))?;
    place.check(&fleet.seed, "seed", within(*fleet.seed.get_ref(), 0, SEED))?;
    place.check(&fleet.time_limit, "time-limit", units::seconds(fleet.time_limit.get_ref()).map(drop))?;
    place.check(&fleet.results, "results", absolute(fleet.results.get_ref()))?;
    place.check(&fleet.isomark.path, "isomark.path", absolute(fleet.isomark.path.get_ref()))?;
    place.check(&fleet.isomark.sha256, "isomark.sha256", sha256(fleet.isomark.sha256.get_ref()))?;
    if let Some(runs) = &fleet.runs {
        place.check(runs, "runs", within(u64::from(*runs.get_ref()), 1, 100_000))?;
    }
    for (list, key) in [(&fleet.runtimes, "runtimes"), (&fleet.scenarios, "scenarios")] {
        list.iter().try_for_each(|one| place.check(one, key, word(one.get_ref())))?;
    }
    for (name, value) in &fleet.environment {
        let key = format!("environment.{name}");
        place.check(value, &key, variable(name).and_then(|()| plain(value.get_ref())))?;
    }
    if let Some(found) = &fleet.kubernetes {
        kubernetes(found, place)?;
    }
    classes(fleet, place)
}

fn kubernetes(found: &Kubernetes, place: &Place<'_>) -> Result<(), Error> {
    place.check(&found.image, "kubernetes.image", image(found.image.get_ref()))?;
    place.check(&found.claim, "kubernetes.claim", dns(found.claim.get_ref(), 63))?;
    let kvm = found.kvm.get_ref();
    let known = matches!(kvm.as_str(), "none" | "host-path") || label_key(kvm).is_ok() && kvm.contains('/');
    let why = || {
        format!(
            "{kvm:?} is none of none, host-path and a device plugin's resource such as devices.kubevirt.io/kvm"
        )
    };
    place.check(&found.kvm, "kubernetes.kvm", known.then_some(()).ok_or_else(why))?;
    for (value, key) in [(&found.namespace, "namespace"), (&found.runtime_class, "runtime-class")] {
        if let Some(value) = value {
            place.check(value, &format!("kubernetes.{key}"), dns(value.get_ref(), 63))?;
        }
    }
    Ok(())
}

fn classes(fleet: &Fleet, place: &Place<'_>) -> Result<(), Error> {
    if fleet.classes().is_empty() {
        return Err(place.refuse(
            &fleet.classes.span(),
            "class",
            "there is none; write [[class]] for each kind of host",
        ));
    }
    let mut seen = BTreeSet::new();
    for (at, one) in fleet.classes().iter().enumerate() {
        class(one, at, place)?;
        if !seen.insert(one.label.get_ref()) {
            let why =
                format!("{:?} is the label of another class already; give each its own", one.label.get_ref());
            return Err(place.refuse(&one.label.span(), &format!("class[{at}].label"), &why));
        }
    }
    Ok(())
}

fn class(class: &Class, at: usize, place: &Place<'_>) -> Result<(), Error> {
    let key = |name: &str| format!("class[{at}].{name}");
    place.check(&class.label, &key("label"), dns(class.label.get_ref(), 24))?;
    let replicas = within(u64::from(*class.replicas.get_ref()), 1, u64::from(HOSTS));
    place.check(&class.replicas, &key("replicas"), replicas)?;
    class.require.iter().try_for_each(|one| place.check(one, &key("require"), word(one.get_ref())))?;
    if let Some(cpus) = &class.cpus {
        place.check(cpus, &key("cpus"), within(u64::from(*cpus.get_ref()), 1, 4096))?;
    }
    if let Some(memory) = &class.memory {
        place.check(memory, &key("memory"), units::bytes(memory.get_ref()).map(drop))?;
    }
    if let Some(kvm) = &class.kvm_class {
        const KNOWN: [&str; 4] = ["hardware", "nested", "pagetable-based", "none"];
        let found = KNOWN.contains(&kvm.get_ref().as_str());
        let why = || format!("{:?} is none of {}", kvm.get_ref(), KNOWN.join(", "));
        place.check(kvm, &key("kvm-class"), found.then_some(()).ok_or_else(why))?;
    }
    if let Some(slurm) = &class.selector.slurm {
        let options = [
            (&slurm.partition, "partition"),
            (&slurm.constraint, "constraint"),
            (&slurm.account, "account"),
            (&slurm.qos, "qos"),
        ];
        for (value, name) in options.iter().filter_map(|(value, name)| Some((value.as_ref()?, name))) {
            place.check(value, &key(&format!("selector.slurm.{name}")), directive(value.get_ref()))?;
        }
    }
    for (label, value) in &class.selector.kubernetes {
        let found = label_key(label).and_then(|()| label_value(value.get_ref()));
        place.check(value, &key(&format!("selector.kubernetes.{label:?}")), found)?;
    }
    Ok(())
}

fn rule(holds: bool, why: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(why()) }
}

fn within(value: u64, low: u64, high: u64) -> Result<(), String> {
    rule((low..=high).contains(&value), || format!("{value} is not within {low} to {high}"))
}

/// A name as RFC 1123 has DNS labels.
fn dns(text: &str, most: usize) -> Result<(), String> {
    let alphabet = text.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-'));
    let holds =
        alphabet && !text.is_empty() && text.len() <= most && !text.starts_with('-') && !text.ends_with('-');
    rule(holds, || {
        format!("{text:?} is no name; write 1 to {most} of a-z, 0-9 and - with no - at either end")
    })
}

/// The name of a runtime or scenario, or a SPEC of a runtime: no comma outside of braces is needed for one.
fn word(text: &str) -> Result<(), String> {
    plain(text)?;
    rule(!text.is_empty() && !text.starts_with('-'), || format!("{text:?} is no name"))
}

/// No control character, no break of a line that some reader of YAML would see, no end of the world.
fn plain(text: &str) -> Result<(), String> {
    let hidden = |c: char| {
        c.is_control()
            || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    rule(!text.contains(hidden), || format!("{text:?} holds a control character; take it out"))?;
    rule(!text.is_empty() && text.chars().count() <= LONG, || format!("it must have 1 to {LONG} characters"))
}

fn absolute(text: &str) -> Result<(), String> {
    plain(text)?;
    let steps = text.split('/').any(|part| part == "..");
    rule(text.starts_with('/') && text != "/" && !steps, || {
        format!("{text:?} is no absolute path without ..; nodes have working directories of their own")
    })
}

fn sha256(text: &str) -> Result<(), String> {
    let hex = text.len() == 64 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    rule(hex, || format!("{text:?} is not 64 hex digits; write what sha256sum prints"))
}

fn variable(name: &str) -> Result<(), String> {
    let first = name.bytes().next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_');
    rule(first && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_'), || {
        format!("{name:?} is no name of an environment variable")
    })
}

/// Directives of sbatch are no shell: a blank would begin another option.
fn directive(text: &str) -> Result<(), String> {
    let known = |b: u8| b.is_ascii_alphanumeric() || b"_.,&|()[]*:@-".contains(&b);
    rule(!text.is_empty() && text.len() <= 256 && text.bytes().all(known) && !text.starts_with('-'), || {
        format!("{text:?} is nothing for sbatch; write letters, digits and _ . , & | ( ) [ ] * : @ -")
    })
}

fn image(text: &str) -> Result<(), String> {
    let known = |b: u8| b.is_ascii_alphanumeric() || b"_./:@-".contains(&b);
    rule(!text.is_empty() && text.len() <= 512 && text.bytes().all(known), || {
        format!("{text:?} is no reference of an image; write registry/name@sha256:… or registry/name:tag")
    })
}

/// `prefix/name` as Kubernetes has keys of labels.
fn label_key(text: &str) -> Result<(), String> {
    let (prefix, name) = text.split_once('/').map_or((None, text), |(prefix, name)| (Some(prefix), name));
    let prefixed = prefix.is_none_or(|p| p.len() <= 253 && p.split('.').all(|part| dns(part, 63).is_ok()));
    rule(prefixed && !name.is_empty() && label_value(name).is_ok(), || {
        format!("{text:?} is no label of a node; write name or prefix/name")
    })
}

fn label_value(text: &str) -> Result<(), String> {
    let inner = text.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b));
    let edge = |b: Option<u8>| b.is_none_or(|b| b.is_ascii_alphanumeric());
    let holds = inner && text.len() <= 63 && edge(text.bytes().next()) && edge(text.bytes().last());
    rule(holds, || format!("{text:?} is no value of a label; write at most 63 of letters, digits, _ . -"))
}
