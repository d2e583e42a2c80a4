//! Which hosts of a fleet have answered, and which answers can stand beside each other?
//!
//! Folders are believed and nothing else. Every host of the description ends in exactly one of five states, each with its
//! reasons; a host that is missing is a row like every other. What is set aside is named with why.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use isomark_core::Error;
use isomark_core::record::Run;

use super::attempt::{self, Attempt, State, Tally};
use super::check::HOSTS;
use super::collected::{ClassEntry, Collected, HostEntry, HostWords, SCHEMA, SetAside, Status};
use super::description::Fleet;
use crate::gate::like::{short, unlike};

/// Most hosts that folders without a description may tell of.
const MOST: u64 = 100_000;

/// Reads a directory of results. `fleet` is the description with the name of its plan.
///
/// # Errors
/// [`Error::Input`] if the directory cannot be read or holds no folder of a fleet.
pub fn collect(dir: &Path, fleet: Option<(&Fleet, &str)>) -> Result<Collected, Error> {
    let (attempts, mut aside) = attempt::read(dir)?;
    if attempts.is_empty() {
        let text =
            format!("{} holds no folder of a fleet; name the results of the description", dir.display());
        return Err(Error::Input(text));
    }
    let wanted = match fleet {
        Some((fleet, plan)) => Wanted::of(fleet, plan),
        None => Wanted::of_folders(&attempts),
    };
    let hosts = wanted.classes.iter().map(|class| u64::from(class.replicas)).sum::<u64>();
    if fleet.is_none() && hosts > MOST {
        return Err(Error::Input(format!(
            "{}: its folders tell of {hosts} hosts, and {MOST} is the most; name the description with --fleet",
            dir.display()
        )));
    }
    let mut hosts = Vec::new();
    let (mut kept, mut rest) = (BTreeMap::new(), BTreeMap::<_, Vec<&Attempt>>::new());
    for attempt in &attempts {
        match wanted.stranger(attempt) {
            Some(why) => aside.push(SetAside { folder: attempt.folder.clone(), why }),
            None => rest.entry((&*attempt.class, attempt.index)).or_default().push(attempt),
        }
    }
    for class in &wanted.classes {
        let mut nodes = BTreeMap::new();
        for index in 0..class.replicas {
            let mut own = rest.remove(&(&*class.label, index)).unwrap_or_default();
            own.sort_by_key(|a| (rank(a), started(a), a.restart, a.folder.clone()));
            let (entry, run) = one(&wanted, class, index, &own, &mut nodes, &mut aside);
            if let Some(run) = run {
                kept.insert(hosts.len(), run);
            }
            hosts.push(entry);
        }
    }
    unalike(&kept, &mut hosts);
    Ok(told(&wanted, &kept, hosts, aside, fleet.is_some()))
}

/// What is expected, from a description or, without one, from what most folders say.
struct Wanted {
    name: String,
    plan: String,
    classes: Vec<WantedClass>,
    seeds: BTreeMap<(String, u32), u64>,
    binary: Option<String>,
}

struct WantedClass {
    label: String,
    replicas: u32,
    require: Vec<String>,
    kvm_class: Option<String>,
}

impl Wanted {
    fn of(fleet: &Fleet, plan: &str) -> Self {
        let class = |class: &super::description::Class| WantedClass {
            label: class.label.get_ref().clone(),
            replicas: *class.replicas.get_ref(),
            require: class.require.iter().map(|r| r.get_ref().clone()).collect(),
            kvm_class: class.kvm_class.as_ref().map(|k| k.get_ref().clone()),
        };
        let classes: Vec<WantedClass> = fleet.classes().iter().map(class).collect();
        let all = classes.iter().flat_map(|c| (0..c.replicas).map(|i| (c.label.clone(), i)));
        let seeds = all
            .map(|(label, i)| {
                let seed = fleet.seed(&label, i);
                ((label, i), seed)
            })
            .collect();
        let binary = Some(fleet.isomark.sha256.get_ref().clone());
        Self { name: fleet.name.get_ref().clone(), plan: plan.to_owned(), classes, seeds, binary }
    }

    fn of_folders(attempts: &[Attempt]) -> Self {
        let runs = || attempts.iter().filter_map(run_of);
        let mut sizes: BTreeMap<String, u32> = BTreeMap::new();
        for attempt in attempts {
            let least = attempt.of.unwrap_or(0).min(HOSTS).max(attempt.index + 1);
            let size = sizes.entry(attempt.class.clone()).or_default();
            *size = (*size).max(least);
        }
        let class = |(label, replicas)| WantedClass { label, replicas, require: Vec::new(), kvm_class: None };
        Self {
            name: most(runs().filter_map(|r| r.labels.get("fleet").cloned())).unwrap_or_default(),
            plan: most(runs().map(|r| r.plan.clone())).unwrap_or_default(),
            classes: sizes.into_iter().map(class).collect(),
            seeds: BTreeMap::new(),
            binary: most(runs().filter_map(|r| r.binary_sha256.clone())),
        }
    }

    /// Why a folder belongs to none of the hosts, if it does not.
    fn stranger(&self, attempt: &Attempt) -> Option<String> {
        let fleet = run_of(attempt).and_then(|run| run.labels.get("fleet"));
        if let Some(fleet) = fleet.filter(|fleet| **fleet != self.name) {
            return Some(format!("it belongs to fleet {fleet:?}, not to {:?}", self.name));
        }
        match self.classes.iter().find(|class| class.label == attempt.class) {
            None => Some(format!("the fleet has no class {:?}", attempt.class)),
            Some(class) if attempt.index >= class.replicas => Some(format!(
                "class {} has {} hosts, and this is number {}",
                class.label, class.replicas, attempt.index
            )),
            Some(_) => None,
        }
    }

    /// What is wrong with a run, beyond its host.
    fn faults(&self, attempt: &Attempt, run: &Run, tally: &Tally) -> Vec<String> {
        let mut all = Vec::new();
        if run.plan != self.plan {
            all.push(format!("field plan is {:?}, not {:?}", run.plan, self.plan));
        }
        let seed = self.seeds.get(&(attempt.class.clone(), attempt.index));
        if let Some(seed) = seed.filter(|seed| **seed != run.seed) {
            all.push(format!("field seed is {}, not {seed}", run.seed));
        }
        if run.binary_sha256 != self.binary {
            let told = |hash: &Option<String>| {
                hash.as_deref().map_or("not told".to_owned(), |h| short(h).to_owned())
            };
            all.push(format!(
                "field binary_sha256 is {}, not {}",
                told(&run.binary_sha256),
                told(&self.binary)
            ));
        }
        if tally.found < tally.planned && !tally.precise {
            all.push(format!("incomplete: {} of {} trials; raise time-limit", tally.found, tally.planned));
        }
        if tally.twice > 0 {
            all.push(format!("{} trials are there twice", tally.twice));
        }
        if tally.found == 0 {
            all.push("it holds no trial".to_owned());
        }
        all.extend(tally.wrong.as_ref().map(|wrong| format!("wrong answer of {wrong}")));
        all
    }
}

/// Whole attempts before failed ones before those cut short.
fn rank(attempt: &Attempt) -> u8 {
    match attempt.state {
        State::Whole(..) => 0,
        State::Failed(_) => 1,
        State::Cut(_) => 2,
    }
}

fn run_of(attempt: &Attempt) -> Option<&Run> {
    match &attempt.state {
        State::Whole(run, _) => Some(run),
        _ => None,
    }
}

fn started(attempt: &Attempt) -> String {
    run_of(attempt).map_or_else(String::new, |run| run.started.clone())
}

/// Judges the attempts of one host, the best first; the run that stands for it, if one can.
fn one<'a>(
    wanted: &Wanted,
    class: &WantedClass,
    index: u32,
    own: &[&'a Attempt],
    nodes: &mut BTreeMap<String, u32>,
    aside: &mut Vec<SetAside>,
) -> (HostEntry, Option<&'a Run>) {
    let blank = HostEntry { class: class.label.clone(), index, ..HostEntry::default() };
    let faults = |a: &Attempt| match &a.state {
        State::Whole(run, tally) => wanted.faults(a, run, tally),
        State::Failed(why) | State::Cut(why) => vec![why.clone()],
    };
    let sound = own.iter().position(|a| faults(a).is_empty());
    let Some(best) = own.get(sound.unwrap_or(0)) else {
        let why = "no folder came back from it; submit it again".to_owned();
        return (HostEntry { status: Status::Missing, reasons: vec![why], ..blank }, None);
    };
    for other in own.iter().filter(|other| other.folder != best.folder) {
        let why = match (&other.state, sound) {
            (State::Whole(..), Some(_)) => {
                format!("a second result of the same host's task; {} is kept", best.folder)
            }
            _ => faults(other).join("; "),
        };
        aside.push(SetAside { folder: other.folder.clone(), why });
    }
    let mut entry = HostEntry {
        folder: Some(best.folder.clone()),
        node: best.node.clone(),
        restart: best.restart,
        attempts: u32::try_from(own.len()).unwrap_or(u32::MAX),
        reasons: faults(best),
        ..blank
    };
    let State::Whole(run, tally) = &best.state else {
        entry.status = if matches!(best.state, State::Cut(_)) { Status::Missing } else { Status::Failed };
        return (entry, None);
    };
    entry.seed = Some(run.seed);
    entry.started = Some(run.started.clone());
    entry.host = Some(HostWords::of(&run.host));
    if sound.is_none() {
        entry.status = Status::Failed;
        return (entry, None);
    }
    if let Some(first) = nodes.get(&best.node).filter(|_| !best.node.is_empty()) {
        entry
            .reasons
            .push(format!("node {} stands for number {first} already: hosts are the replicas", best.node));
        entry.status = Status::Failed;
        return (entry, None);
    }
    nodes.insert(best.node.clone(), index);
    entry.reasons = unfit(class, run, tally);
    entry.status = if entry.reasons.is_empty() { Status::Ok } else { Status::Unfit };
    let stands = entry.reasons.is_empty();
    (entry, stands.then_some(&**run))
}

fn unfit(class: &WantedClass, run: &Run, tally: &Tally) -> Vec<String> {
    let lacking = class.require.iter().filter(|name| !tally.answering.contains(*name));
    let why = |name: &String| {
        let record = run.runtimes.iter().find(|record| record.name == *name);
        let skip = record.and_then(|record| record.unavailable.as_ref());
        let said =
            skip.map_or("it gave no value".to_owned(), |s| format!("{}; remedy: {}", s.reason, s.remedy));
        format!("required runtime {name}: {said}")
    };
    let mut all: Vec<String> = lacking.map(why).collect();
    if let Some(kvm) = class.kvm_class.as_ref().filter(|kvm| **kvm != run.host.kvm_class) {
        all.push(format!("KVM class is {}, not {kvm}", run.host.kvm_class));
    }
    all
}

/// Tells hosts that are unlike most of their class, and programs that are unlike most of the fleet.
fn unalike(kept: &BTreeMap<usize, &Run>, hosts: &mut [HostEntry]) {
    let payload = most(kept.values().map(|run| run.payload.sha256.clone()));
    let labels: BTreeSet<String> = hosts.iter().map(|host| host.class.clone()).collect();
    for label in labels {
        let members: Vec<(usize, &Run)> =
            kept.iter().filter(|(at, _)| hosts[**at].class == label).map(|(at, run)| (*at, *run)).collect();
        let cells = most(members.iter().map(|(_, run)| asked(run)));
        let kind = most(members.iter().map(|(_, run)| fingerprint(run)));
        let typical = members.iter().find(|(_, run)| Some(fingerprint(run)) == kind).map(|(_, run)| *run);
        for (at, run) in &members {
            let host = &mut hosts[*at];
            if Some(&run.payload.sha256) != payload.as_ref() {
                host.reasons
                    .push(format!("payload {} is not that of most hosts", short(&run.payload.sha256)));
            }
            if Some(asked(run)) != cells {
                host.reasons.push("its cells are not those of most hosts of its class".to_owned());
            }
            let differs = typical.map(|typical| unlike(typical, run).host).unwrap_or_default();
            host.reasons.extend(differs.into_iter().map(|why| {
                why.replace("in the base", "in most of its class").replace("in the head", "here")
            }));
            if !host.reasons.is_empty() {
                host.status = Status::Unlike;
            }
        }
    }
}

/// What makes hosts alike, as one text.
fn fingerprint(run: &Run) -> String {
    let host = &run.host;
    let facts = ["mitigations", "clock source", "transparent huge pages", "KSM", "governor", "SMT"];
    let facts = facts.map(|fact| host.facts.get(fact).cloned().unwrap_or_default()).join("|");
    let gib = host.memory >> 30;
    format!(
        "{}|{}|{}|{}|{}|{}|{}|{}|{gib}|{facts}",
        host.cpu, host.kernel, host.kvm_class, host.cgroup, host.hypervisor, host.isa, host.user, host.cpus
    )
}

/// The questions of a run; whether a runtime could answer them is the host's matter.
fn asked(run: &Run) -> String {
    let one = |cell: &isomark_core::record::Cell| {
        let arm = cell.arm.as_ref().map_or("", |arm| &arm.label);
        format!("{} {} {} {} {arm}\n", cell.runtime, cell.scenario, cell.params, cell.every)
    };
    run.cells.iter().map(one).collect()
}

/// What is said most often; of equals the first in order.
fn most<T: Ord>(all: impl Iterator<Item = T>) -> Option<T> {
    let mut counts: BTreeMap<T, usize> = BTreeMap::new();
    all.for_each(|one| *counts.entry(one).or_default() += 1);
    counts.into_iter().rev().max_by_key(|(_, count)| *count).map(|(one, _)| one)
}

fn told(
    wanted: &Wanted,
    kept: &BTreeMap<usize, &Run>,
    hosts: Vec<HostEntry>,
    set_aside: Vec<SetAside>,
    described: bool,
) -> Collected {
    let fit = || kept.iter().filter(|(at, _)| hosts[**at].status == Status::Ok).map(|(_, run)| *run);
    let class = |class: &WantedClass| ClassEntry { label: class.label.clone(), replicas: class.replicas };
    let mut notes = Vec::new();
    if !described {
        notes.push(
            "without --fleet a class of which nothing came back, seeds and required runtimes are not known"
                .to_owned(),
        );
    }
    Collected {
        schema: SCHEMA.to_owned(),
        name: wanted.name.clone(),
        plan: wanted.plan.clone(),
        payload_sha256: fit().next().map(|run| run.payload.sha256.clone()),
        binary_sha256: wanted.binary.clone(),
        classes: wanted.classes.iter().map(class).collect(),
        hosts,
        set_aside,
        notes,
    }
}
