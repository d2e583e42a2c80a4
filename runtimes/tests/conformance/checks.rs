//! The checks that every way of running a program must pass, whoever wrote it.
//!
//! Each takes a runtime that is available and leaves nothing behind. None asserts on how long something took.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use isomark_core::payload::{Break, Job, Probe, Storm, answers};
use isomark_core::runtime::{Program, Role, Stdio};
use isomark_core::{
    Ability, Error, Exit, Features, Identity, Image, Kind, Origin, Runtime, Site, Spec, account,
};

use crate::elf::{FAULTS, FLOODS, SPINS, WIDE, elf, exits};

/// What the checks stand on.
pub(crate) struct Ground<'g> {
    pub(crate) site: &'g Site,
    pub(crate) payload: Image,
    /// Where programs that misbehave are written.
    pub(crate) dir: &'g Path,
    /// Deadline for a program that never answers: longer than the slowest start.
    pub(crate) patience: Duration,
}

/// A check.
pub(crate) type Check = fn(&dyn Runtime, &Ground<'_>);

/// All of them.
pub(crate) const ALL: [(&str, Check); 11] = [
    ("keeps its limits", keeps_limits),
    ("the payload answers in order and ends well", answers_in_order),
    ("every job is answered rightly", answers_rightly),
    ("two at once do not collide", two_at_once),
    ("how a program ends is told as it was", tells_the_end),
    ("a payload that dies is said to have died", tells_a_death),
    ("a payload that never answers meets the deadline and is gone", meets_the_deadline),
    ("a flood meets a bound", bounds_a_flood),
    ("memory can be accounted while it runs", accounts_memory),
    ("a file written inside is accounted and goes with the instance", accounts_disk),
    ("features of the CPU that are hidden are gone", hides_features),
];

pub(crate) fn spec(program: Program) -> Spec {
    Spec {
        program,
        memory: 128 << 20,
        cpus: 2,
        tasks: 256,
        origin: Origin::Fresh,
        cpu: Features::default(),
        provision: None,
        huge_pages: true,
        deadline: deadline(),
    }
}

/// Bound on every wait; emulated hosts take longer (`ISOMARK_TEST_DEADLINE`, in seconds).
fn deadline() -> Duration {
    let seconds = std::env::var("ISOMARK_TEST_DEADLINE").ok().and_then(|text| text.parse().ok());
    Duration::from_secs(seconds.unwrap_or(30))
}

fn identity(runtime: &dyn Runtime) -> Identity {
    runtime.probe().unwrap()
}

pub(crate) fn answers_in_order(runtime: &dyn Runtime, ground: &Ground<'_>) {
    let spec = spec(Program::payload(ground.payload.clone()));
    let mut instance = runtime.create(&spec).unwrap();
    instance.start().unwrap();
    if matches!(runtime.kind(), Kind::Process | Kind::Container) {
        // A program that signals its group, as scripts do at their end, must not end the harness.
        let own = nix::unistd::getpgrp().as_raw();
        for (pid, role) in instance.anatomy().processes {
            assert_ne!(group_and_session(pid)[0], own, "{}: {role:?} is in our group", runtime.name());
        }
    }
    for token in [1, u64::MAX, 0] {
        let reply = instance.run(&Job::Echo(token)).unwrap();
        assert_eq!(reply.u64("token"), Ok(token), "{}", runtime.name());
    }
    let usage = instance.stop().unwrap();
    assert_eq!(usage.exit, Exit::Code(0), "{}", runtime.name());
    assert!(usage.cpu_ns > 0 && !usage.steps.is_empty(), "{}: {usage:?}", runtime.name());
    instance.remove().unwrap();
}

/// Process group and session of a process, as the host counts them.
pub(crate) fn group_and_session(pid: i32) -> [i32; 2] {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let mut fields = stat.rsplit_once(')').unwrap().1.split_whitespace().skip(2).map(|f| f.parse().unwrap());
    [fields.next().unwrap(), fields.next().unwrap()]
}

fn storm(kind: Storm) -> Job {
    Job::Storm { kind, most: 8 << 20, millis: 10_000, tsc_hz: 1_000_000_000 }
}

pub(crate) fn answers_rightly(runtime: &dyn Runtime, ground: &Ground<'_>) {
    let kernel = |name: &str, n| Job::Kernel {
        name: name.into(),
        n,
        isa: "auto".parse().unwrap(),
        millis: 5,
        tsc_hz: 1_000_000_000,
        injected: 0,
    };
    let jobs = [
        Job::Touch { bytes: 8 << 20 },
        Job::Write { bytes: 1 << 20 },
        Job::Features,
        Job::Free,
        Job::Work { steps: 1000 },
        Job::Probe(Probe::Host),
        Job::Probe(Probe::Peek { path: "/proc/version".into(), bytes: 100 }),
        Job::Probe(Probe::Unix { name: "nobody listens here".into() }),
        Job::Plant { token: u64::from(std::process::id()) },
        storm(Storm::Spin),
        Job::Calm,
        storm(Storm::Allocate),
        Job::Calm,
        storm(Storm::Sync),
        Job::Calm,
        kernel("sha256", 4096),
        kernel("pipe", 4),
    ];
    let provision = identity(runtime).provisions.first().cloned();
    let spec = Spec { provision, ..spec(Program::payload(ground.payload.clone())) };
    let mut instance = runtime.create(&spec).unwrap();
    instance.start().unwrap();
    for job in &jobs {
        let reply = instance.run(job).unwrap_or_else(|e| panic!("{} {job}: {}", runtime.name(), e.chain()));
        answers::check(job, &reply).unwrap_or_else(|e| panic!("{} {job}: {e}", runtime.name()));
    }
    instance.stop().unwrap();
    instance.remove().unwrap();
}

pub(crate) fn two_at_once(runtime: &dyn Runtime, ground: &Ground<'_>) {
    let spec = spec(Program::payload(ground.payload.clone()));
    let mut pair = [runtime.create(&spec).unwrap(), runtime.create(&spec).unwrap()];
    pair.iter_mut().for_each(|i| i.start().unwrap());
    let jobs = [Job::Echo(1), Job::Echo(2)];
    for (instance, job) in pair.iter_mut().zip(&jobs).rev() {
        let reply = instance.run(job).unwrap();
        answers::check(job, &reply).unwrap();
    }
    for mut instance in pair {
        instance.stop().unwrap();
        instance.remove().unwrap();
    }
}

pub(crate) fn tells_the_end(runtime: &dyn Runtime, ground: &Ground<'_>) {
    let cases = [
        (elf(ground.dir, "seven", &exits(7)), Exit::Code(7)),
        (elf(ground.dir, "zero", &exits(0)), Exit::Code(0)),
        (elf(ground.dir, "faults", &FAULTS), Exit::Signal(11)),
    ];
    // Where a tool cannot tell a signal, its identity says so.
    let lossy = identity(runtime).details.contains_key("exit status");
    for (image, expected) in &cases {
        let program = Program { stdio: Stdio::Null, ..Program::payload(image.clone()) };
        let mut instance = runtime.create(&spec(program)).unwrap();
        instance.start().unwrap();
        let exit = instance.stop().unwrap().exit;
        let told =
            exit == *expected || (lossy && matches!(expected, Exit::Signal(_)) && exit != Exit::Code(0));
        assert!(told, "{}: {exit}, not {expected}", runtime.name());
        instance.remove().unwrap();
    }
}

pub(crate) fn tells_a_death(runtime: &dyn Runtime, ground: &Ground<'_>) {
    let image = elf(ground.dir, "three", &exits(3));
    let mut instance = runtime.create(&spec(Program::payload(image))).unwrap();
    match instance.start() {
        Err(Error::Died { exit: Exit::Code(3), .. }) => {}
        other => panic!("{}: {other:?}", runtime.name()),
    }
}

/// Whether a process has ended; one that nobody has reaped yet holds nothing any more.
fn has_ended(pid: i32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(')').is_none_or(|(_, rest)| rest.trim_start().starts_with(['Z', 'X']))
}

/// All but daemons are gone; a monitor may need a moment after its program, the bound is there to end the check.
#[track_caller]
fn are_gone(runtime: &dyn Runtime, processes: &[(i32, Role)]) {
    let until = Instant::now() + Duration::from_secs(10);
    for (pid, _) in processes.iter().filter(|(_, role)| *role != Role::Daemon) {
        while !has_ended(*pid) && Instant::now() < until {
            sleep(Duration::from_millis(5));
        }
        let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
        assert!(has_ended(*pid), "{} left {pid} {name}", runtime.name());
    }
}

pub(crate) fn meets_the_deadline(runtime: &dyn Runtime, ground: &Ground<'_>) {
    let image = elf(ground.dir, "spins", &SPINS);
    runtime.prepare(&spec(Program::payload(image.clone()))).unwrap();
    let spec = Spec { deadline: ground.patience, ..spec(Program::payload(image)) };
    let mut instance = runtime.create(&spec).unwrap();
    let started = instance.start();
    assert!(matches!(started, Err(Error::Timeout { .. })), "{}: {started:?}", runtime.name());
    let processes = instance.anatomy().processes;
    drop(instance);
    are_gone(runtime, &processes);
}

pub(crate) fn bounds_a_flood(runtime: &dyn Runtime, ground: &Ground<'_>) {
    let image = elf(ground.dir, "floods", &FLOODS);
    let mut instance = runtime.create(&spec(Program::payload(image))).unwrap();
    match instance.start() {
        Err(Error::WrongAnswer(why)) => assert!(why.contains("newline"), "{why}"),
        other => panic!("{}: {other:?}", runtime.name()),
    }
}

/// Who promises limits keeps them. Each way asks for twice the limit, and the payload's own bound ends it there, so that
/// nothing can happen to the host.
pub(crate) fn keeps_limits(runtime: &dyn Runtime, ground: &Ground<'_>) {
    const MEMORY: u64 = 128 << 20;
    const TASKS: u64 = 32;
    if !identity(runtime).can.contains(&Ability::Limits) {
        return;
    }
    let spec = Spec { memory: MEMORY, tasks: TASKS, ..spec(Program::payload(ground.payload.clone())) };
    runtime.prepare(&spec).unwrap();
    for (how, limit) in [(Break::Memory, MEMORY), (Break::Fork, TASKS)] {
        let mut instance = runtime.create(&spec).unwrap();
        instance.start().unwrap();
        let job = Job::Break { how, most: 2 * limit, millis: 2000, tsc_hz: 1_000_000_000 };
        match instance.run(&job) {
            Ok(reply) => {
                answers::check(&job, &reply).unwrap();
                assert!(reply.u64("taken").unwrap() <= limit, "{} {how:?}: {reply}", runtime.name());
            }
            Err(Error::Died { .. }) => {}
            Err(e) => panic!("{} {how:?}: {}", runtime.name(), e.chain()),
        }
        let processes = instance.anatomy().processes;
        drop(instance);
        are_gone(runtime, &processes);
    }
}

pub(crate) fn accounts_memory(runtime: &dyn Runtime, ground: &Ground<'_>) {
    if !identity(runtime).can.contains(&Ability::Memory) {
        return;
    }
    let mut instance = runtime.create(&spec(Program::payload(ground.payload.clone()))).unwrap();
    instance.start().unwrap();
    let idle = account::memory(&instance.anatomy()).unwrap();
    instance.run(&Job::Touch { bytes: 32 << 20 }).unwrap();
    let touched = account::memory(&instance.anatomy()).unwrap();
    let grown = touched.pss.saturating_sub(idle.pss);
    // A kernel inside hands out memory again that was resident before: then the growth may be less. And a tool's own
    // processes may give back a little of their heaps meanwhile.
    let stock = identity(runtime).details.contains_key("kernel sha256");
    let helped = instance.anatomy().processes.iter().any(|(_, role)| *role == Role::Helper);
    let least = if stock { 0 } else { (32 << 20) - if helped { 1 << 20 } else { 0 } };
    assert!((least..40 << 20).contains(&grown), "{} grew by {grown}", runtime.name());
    assert!(touched.pss >= 32 << 20, "{} holds {} only", runtime.name(), touched.pss);
    let machine = stock || runtime.name() == "microvm";
    assert_eq!(touched.guest_ram.is_some(), machine, "{}", runtime.name());
    instance.stop().unwrap();
    instance.remove().unwrap();
}

pub(crate) fn accounts_disk(runtime: &dyn Runtime, ground: &Ground<'_>) {
    for provision in identity(runtime).provisions {
        let spec =
            Spec { provision: Some(provision.clone()), ..spec(Program::payload(ground.payload.clone())) };
        let mut instance = runtime.create(&spec).unwrap();
        instance.start().unwrap();
        instance.run(&Job::Write { bytes: 4 << 20 }).unwrap();
        let anatomy = instance.anatomy();
        if !anatomy.files_in_memory {
            let held = account::private(&anatomy).unwrap();
            assert!(held.allocated >= 4 << 20, "{} {provision}: {held:?}", runtime.name());
        }
        instance.stop().unwrap();
        let private = anatomy.private;
        instance.remove().unwrap();
        assert!(private.iter().all(|path| !path.exists()), "{} {provision}", runtime.name());
    }
}

/// Everything on the host that an instance could leave behind and that carries this command's name.
pub(crate) fn traces(site: &Site) -> BTreeSet<PathBuf> {
    let children =
        |dir: &Path| fs::read_dir(dir).into_iter().flatten().flatten().map(|e| e.path()).collect::<Vec<_>>();
    let mut all = children(site.dir()).into_iter().collect::<BTreeSet<_>>();
    let ledger = fs::read_to_string(site.dir().join("ledger")).unwrap_or_default();
    for group in ledger.lines().filter_map(|line| line.strip_prefix("cgroup ")) {
        all.extend(children(Path::new(group)).into_iter().filter(|path| path.is_dir()));
    }
    all
}

/// Lives through the phases up to `until` and is dropped there; nothing may remain of it.
pub(crate) fn dropped(runtime: &dyn Runtime, ground: &Ground<'_>, provision: Option<&str>, until: usize) {
    let provision = provision.map(str::to_owned);
    let spec = Spec { provision, ..spec(Program::payload(ground.payload.clone())) };
    let mut instance = runtime.create(&spec).unwrap();
    let mut processes = Vec::new();
    if until > 0 {
        instance.start().unwrap();
        processes = instance.anatomy().processes;
    }
    if until > 1 {
        instance.run(&Job::Echo(5)).unwrap();
    }
    if until > 2 {
        instance.stop().unwrap();
    }
    drop(instance);
    are_gone(runtime, &processes);
}

/// Who says that it hides features of the CPU does: the payload sees them gone, takes another path and refuses the one that
/// is gone, and an instruction whose registers are gone faults. What is not hidden remains.
pub(crate) fn hides_features(runtime: &dyn Runtime, ground: &Ground<'_>) {
    let identity = identity(runtime);
    if !identity.can.contains(&Ability::Features) {
        let why = identity.cannot.iter().find(|(ability, _)| *ability == Ability::Features);
        if let Some((_, why)) = why {
            eprintln!("SKIPPED {}: it cannot hide features of the CPU: {why}", runtime.name());
        }
        return;
    }
    let with = |cpu: &str, program| Spec { cpu: cpu.parse().unwrap(), ..spec(program) };
    let paths = |cpu: &str| {
        let spec = with(cpu, Program::payload(ground.payload.clone()));
        let mut instance = runtime.create(&spec).unwrap();
        instance.start().unwrap();
        let seen = instance.run(&Job::Features).unwrap();
        spec.cpu.check(&seen).unwrap();
        let enabled = seen.str("enabled").unwrap().to_owned();
        for isa in ["avx2", "avx512"].into_iter().filter(|isa| !enabled.contains(isa)) {
            assert!(instance.run(&forced(isa)).is_err(), "{} {cpu}: {isa} runs", runtime.name());
        }
        instance.run(&forced("auto")).unwrap();
        instance.stop().unwrap();
        instance.remove().unwrap();
        enabled
    };
    let faults = |cpu: &str, expected: Exit| {
        let image = elf(ground.dir, "wide", &WIDE);
        let program = Program { stdio: Stdio::Null, ..Program::payload(image) };
        let mut instance = runtime.create(&with(cpu, program)).unwrap();
        instance.start().unwrap();
        assert_eq!(instance.stop().unwrap().exit, expected, "{} {cpu}", runtime.name());
        instance.remove().unwrap();
    };
    assert_eq!(paths("baseline"), "baseline", "{}", runtime.name());
    faults("-avx", Exit::Signal(4));
    if runtime.on_request() {
        // Each start boots a kernel: the rest is the same code.
        return;
    }
    let all = paths("host");
    assert!(!paths("avx2").contains("avx512"), "{}", runtime.name());
    assert_eq!(paths("host-rdseed"), all, "{}: what is not hidden remains", runtime.name());
    if all.contains("avx2") {
        faults("host", Exit::Code(0));
        faults("avx2", Exit::Code(0));
    }
}

fn forced(isa: &str) -> Job {
    Job::Kernel {
        name: "fft".into(),
        n: 256,
        isa: isa.parse().unwrap(),
        millis: 5,
        tsc_hz: 1_000_000_000,
        injected: 0,
    }
}
