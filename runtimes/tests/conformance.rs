//! The same checks for every runtime on the shelf that can run here.
//!
//! A runtime that cannot is skipped with its printed reason; `ISOMARK_REQUIRE=a,b` turns that into a failure. No check
//! asserts on how long something took.

#![allow(
    clippy::unwrap_used,
    reason = "a failed unwrap fails the test; the exception for tests does not see helpers"
)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use isomark_core::payload::{Job, Probe, Storm};
use isomark_core::runtime::{Program, Stdio};
use isomark_core::{Ability, Error, Exit, Image, Kind, Runtime, Site, Spec, account};
use isomark_runtimes::{embedded, shelf};

/// A site of its own for each check; on a disk, since /tmp may be in memory.
struct Ground {
    parent: tempfile::TempDir,
    site: Site,
}

impl Ground {
    fn new() -> Self {
        let parent = tempfile::tempdir_in("/var/tmp").unwrap();
        let site = Site::open(parent.path()).unwrap();
        Self { parent, site }
    }
}

/// Runs a check on every runtime; floors are no ways of running anything.
fn for_each(check: impl Fn(&dyn Runtime, &Spec)) {
    let ground = Ground::new();
    let required = std::env::var("ISOMARK_REQUIRE").unwrap_or_default();
    let spec = spec(Program::payload(embedded::payload(&ground.site).unwrap()));
    for runtime in shelf(&ground.site).iter().filter(|r| r.kind() != Kind::Floor) {
        match runtime.probe() {
            Ok(_) => check(runtime.as_ref(), &spec),
            Err(why) => {
                eprintln!("SKIPPED {}: {}; remedy: {}", runtime.name(), why.reason, why.remedy);
                assert!(
                    !required.split(',').any(|name| name == runtime.name()),
                    "{} is required",
                    runtime.name()
                );
            }
        }
    }
    drop(ground.parent);
}

fn spec(program: Program) -> Spec {
    Spec {
        program,
        memory: 128 << 20,
        cpus: 2,
        tasks: 256,
        provision: None,
        huge_pages: true,
        deadline: Duration::from_secs(20),
    }
}

/// Writes an ELF of a few instructions: enough to misbehave.
fn elf(dir: &Path, name: &str, code: &[u8]) -> Image {
    const BASE: u64 = 0x40_0000;
    let mut elf = b"\x7fELF\x02\x01\x01".to_vec();
    elf.resize(16, 0);
    elf.extend([2_u16, 62].map(u16::to_le_bytes).concat());
    elf.extend(1_u32.to_le_bytes());
    elf.extend([BASE + 120, 64, 0].map(u64::to_le_bytes).concat());
    elf.extend(0_u32.to_le_bytes());
    elf.extend([64_u16, 56, 1, 0, 0, 0].map(u16::to_le_bytes).concat());
    elf.extend([1_u32, 5].map(u32::to_le_bytes).concat());
    let size = 120 + code.len() as u64;
    elf.extend([0, BASE, BASE, size, size, 4096].map(u64::to_le_bytes).concat());
    elf.extend(code);
    let path = dir.join(name);
    fs::write(&path, elf).unwrap();
    let mode: fs::Permissions = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(&path, mode).unwrap();
    Image::open(&path).unwrap()
}

/// `mov eax, 60; mov edi, code; syscall`
fn exits(code: u8) -> Vec<u8> {
    vec![0xb8, 60, 0, 0, 0, 0xbf, code, 0, 0, 0, 0x0f, 0x05]
}

/// `1: jmp 1b`
const SPINS: [u8; 2] = [0xeb, 0xfe];

/// `xor eax, eax; mov [rax], eax`
const FAULTS: [u8; 4] = [0x31, 0xc0, 0x89, 0x00];

/// `write(1, own header, 4)` without end: a flood without a newline.
const FLOODS: [u8; 24] = [
    0xb8, 1, 0, 0, 0, // mov eax, 1
    0xbf, 1, 0, 0, 0, // mov edi, 1
    0xbe, 0, 0, 0x40, 0, // mov esi, 0x400000
    0xba, 64, 0, 0, 0, // mov edx, 64
    0x0f, 0x05, // syscall
    0xeb, 0xe8, // jmp to the start
];

#[test]
fn the_payload_answers_in_order_and_ends_well() {
    for_each(|runtime, spec| {
        let mut instance = runtime.create(spec).unwrap();
        instance.start().unwrap();
        for token in [1, u64::MAX, 0] {
            assert_eq!(
                instance.run(&Job::Echo(token)).unwrap().u64("token"),
                Ok(token),
                "{}",
                runtime.name()
            );
        }
        let usage = instance.stop().unwrap();
        assert_eq!(usage.exit, Exit::Code(0), "{}", runtime.name());
        assert!(usage.cpu_ns > 0 && !usage.steps.is_empty(), "{}: {usage:?}", runtime.name());
        instance.remove().unwrap();
    });
}

fn storm(kind: Storm) -> Job {
    Job::Storm { kind, most: 8 << 20, millis: 10_000, tsc_hz: 1_000_000_000 }
}

#[test]
fn every_job_is_answered_rightly() {
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
        Job::Kernel {
            name: "sha256".into(),
            n: 4096,
            isa: "auto".parse().unwrap(),
            millis: 5,
            tsc_hz: 1_000_000_000,
            injected: 0,
        },
        Job::Kernel {
            name: "pipe".into(),
            n: 4,
            isa: "auto".parse().unwrap(),
            millis: 5,
            tsc_hz: 1_000_000_000,
            injected: 0,
        },
    ];
    for_each(|runtime, spec| {
        let spec = Spec { provision: runtime.probe().unwrap().provisions.first().cloned(), ..spec.clone() };
        let mut instance = runtime.create(&spec).unwrap();
        instance.start().unwrap();
        for job in &jobs {
            let reply =
                instance.run(job).unwrap_or_else(|e| panic!("{} {job}: {}", runtime.name(), e.chain()));
            isomark_core::payload::answers::check(job, &reply)
                .unwrap_or_else(|e| panic!("{} {job}: {e}", runtime.name()));
        }
        instance.stop().unwrap();
        instance.remove().unwrap();
    });
}

#[test]
fn two_at_once_do_not_collide() {
    for_each(|runtime, spec| {
        let mut pair = [runtime.create(spec).unwrap(), runtime.create(spec).unwrap()];
        pair.iter_mut().for_each(|i| i.start().unwrap());
        let jobs = [Job::Echo(1), Job::Echo(2)];
        for (instance, job) in pair.iter_mut().zip(&jobs).rev() {
            let reply = instance.run(job).unwrap();
            isomark_core::payload::answers::check(job, &reply).unwrap();
        }
        for mut instance in pair {
            instance.stop().unwrap();
            instance.remove().unwrap();
        }
    });
}

#[test]
fn how_a_program_ends_is_told_as_it_was() {
    let dir = tempfile::tempdir_in("/var/tmp").unwrap();
    let cases = [
        (elf(dir.path(), "seven", &exits(7)), Exit::Code(7)),
        (elf(dir.path(), "zero", &exits(0)), Exit::Code(0)),
        (elf(dir.path(), "faults", &FAULTS), Exit::Signal(11)),
    ];
    for_each(|runtime, _| {
        for (image, expected) in &cases {
            let program = Program { stdio: Stdio::Null, ..Program::payload(image.clone()) };
            let mut instance = runtime.create(&spec(program)).unwrap();
            instance.start().unwrap();
            assert_eq!(instance.stop().unwrap().exit, *expected, "{}", runtime.name());
            instance.remove().unwrap();
        }
    });
}

#[test]
fn a_payload_that_dies_is_said_to_have_died() {
    let dir = tempfile::tempdir_in("/var/tmp").unwrap();
    let image = elf(dir.path(), "three", &exits(3));
    for_each(|runtime, _| {
        let mut instance = runtime.create(&spec(Program::payload(image.clone()))).unwrap();
        match instance.start() {
            Err(Error::Died { exit: Exit::Code(3), .. }) => {}
            other => panic!("{}: {other:?}", runtime.name()),
        }
    });
}

#[test]
fn a_payload_that_never_answers_meets_the_deadline_and_is_gone() {
    let dir = tempfile::tempdir_in("/var/tmp").unwrap();
    let image = elf(dir.path(), "spins", &SPINS);
    for_each(|runtime, _| {
        let spec = Spec { deadline: Duration::from_millis(300), ..spec(Program::payload(image.clone())) };
        let mut instance = runtime.create(&spec).unwrap();
        assert!(matches!(instance.start(), Err(Error::Timeout { .. })), "{}", runtime.name());
        let pids = instance.anatomy().processes;
        drop(instance);
        for (pid, _) in pids {
            assert!(!Path::new(&format!("/proc/{pid}")).exists(), "{} left {pid}", runtime.name());
        }
    });
}

#[test]
fn a_flood_meets_a_bound() {
    let dir = tempfile::tempdir_in("/var/tmp").unwrap();
    let image = elf(dir.path(), "floods", &FLOODS);
    for_each(|runtime, _| {
        let mut instance = runtime.create(&spec(Program::payload(image.clone()))).unwrap();
        match instance.start() {
            Err(Error::WrongAnswer(why)) => assert!(why.contains("newline"), "{why}"),
            other => panic!("{}: {other:?}", runtime.name()),
        }
    });
}

#[test]
fn memory_can_be_accounted_while_it_runs() {
    for_each(|runtime, spec| {
        if !runtime.probe().unwrap().can.contains(&Ability::Memory) {
            return;
        }
        let mut instance = runtime.create(spec).unwrap();
        instance.start().unwrap();
        let idle = account::memory(&instance.anatomy()).unwrap();
        instance.run(&Job::Touch { bytes: 32 << 20 }).unwrap();
        let touched = account::memory(&instance.anatomy()).unwrap();
        let grown = touched.pss - idle.pss;
        assert!((32 << 20..40 << 20).contains(&grown), "{} grew by {grown}", runtime.name());
        assert_eq!(touched.guest_ram.is_some(), runtime.kind() == Kind::Vm, "{}", runtime.name());
        instance.stop().unwrap();
        instance.remove().unwrap();
    });
}

/// Everything on the host that an instance could leave behind and that carries this command's name.
fn traces(site: &Site) -> BTreeSet<PathBuf> {
    let children =
        |dir: &Path| fs::read_dir(dir).into_iter().flatten().flatten().map(|e| e.path()).collect::<Vec<_>>();
    let mut all = children(site.dir()).into_iter().collect::<BTreeSet<_>>();
    let ledger = fs::read_to_string(site.dir().join("ledger")).unwrap_or_default();
    for group in ledger.lines().filter_map(|line| line.strip_prefix("cgroup ")) {
        all.extend(children(Path::new(group)).into_iter().filter(|path| path.is_dir()));
    }
    all
}

fn descriptors() -> usize {
    fs::read_dir("/proc/self/fd").unwrap().count()
}

#[test]
fn dropping_at_any_point_leaves_nothing() {
    // In a process of its own would be cleaner; instead the first round makes what is shared and later ones must not
    // add to it. Other checks run beside this one, so only what carries this site's name counts.
    let ground = Ground::new();
    let payload = embedded::payload(&ground.site).unwrap();
    let all = shelf(&ground.site);
    for runtime in all.iter().filter(|r| r.kind() != Kind::Floor && r.probe().is_ok()) {
        for provision in runtime.probe().unwrap().provisions {
            let spec = Spec { provision: Some(provision.clone()), ..spec(Program::payload(payload.clone())) };
            let live = |until: usize| {
                let mut instance = runtime.create(&spec).unwrap();
                let mut pids = Vec::new();
                if until > 0 {
                    instance.start().unwrap();
                    pids = instance.anatomy().processes;
                }
                if until > 1 {
                    instance.run(&Job::Echo(5)).unwrap();
                }
                if until > 2 {
                    instance.stop().unwrap();
                }
                drop(instance);
                for (pid, _) in pids {
                    assert!(!Path::new(&format!("/proc/{pid}")).exists(), "{} left {pid}", runtime.name());
                }
            };
            live(3);
            let before = traces(&ground.site);
            for until in [0, 1, 2, 3] {
                live(until);
                assert_eq!(traces(&ground.site), before, "{} {provision} dropped at {until}", runtime.name());
            }
        }
    }
    assert!(descriptors() < 200, "descriptors leak: {}", descriptors());
}

#[test]
fn a_file_written_inside_is_accounted_and_goes_with_the_instance() {
    for_each(|runtime, spec| {
        for provision in runtime.probe().unwrap().provisions {
            let spec = Spec { provision: Some(provision.clone()), ..spec.clone() };
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
    });
}

#[test]
fn a_container_is_confined_as_it_says() {
    let ground = Ground::new();
    let payload = embedded::payload(&ground.site).unwrap();
    for runtime in shelf(&ground.site).iter().filter(|r| r.name() == "namespace" && r.probe().is_ok()) {
        let mut instance = runtime.create(&spec(Program::payload(payload.clone()))).unwrap();
        instance.start().unwrap();
        let pid = instance.anatomy().processes[0].0;
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let field = |name: &str| {
            status
                .lines()
                .find_map(|line| line.strip_prefix(name))
                .map(|v| v.trim().to_owned())
                .unwrap_or_default()
        };
        for set in ["CapEff:", "CapPrm:", "CapInh:", "CapBnd:", "CapAmb:"] {
            assert_eq!(u64::from_str_radix(&field(set), 16), Ok(0), "{set} {}", field(set));
        }
        assert_eq!((field("NoNewPrivs:"), field("Seccomp:")), ("1".into(), "2".into()));
        for kind in ["pid", "mnt", "uts", "ipc", "net", "cgroup", "time"] {
            let link = |who: &str| fs::read_link(format!("/proc/{who}/ns/{kind}")).unwrap();
            assert_ne!(link(&pid.to_string()), link("self"), "{kind} namespace is the host's");
        }
        let root = format!("/proc/{pid}/root");
        let inside = fs::read_dir(&root).unwrap().flatten().map(|e| e.file_name()).collect::<BTreeSet<_>>();
        assert_eq!(inside, ["dev", "proc", "program", "tmp"].map(Into::into).into(), "the root holds more");
        // Mounts: the root, /proc and (without root) bound devices; nothing of the host's table.
        let mounts = fs::read_to_string(format!("/proc/{pid}/mounts")).unwrap();
        assert!(mounts.lines().count() <= 8, "{mounts}");
        instance.stop().unwrap();
        instance.remove().unwrap();
    }
}

#[test]
fn a_step_that_the_host_forbids_is_named() {
    let ground = Ground::new();
    let payload = embedded::payload(&ground.site).unwrap();
    for runtime in shelf(&ground.site).iter().filter(|r| r.name() == "namespace" && r.probe().is_ok()) {
        let instance = runtime.create(&spec(Program::payload(payload.clone())));
        // Take the root's place away between plan and walk.
        let mut instance = instance.unwrap();
        fs::remove_dir(ground.site.dir().join("merged")).unwrap();
        match instance.start() {
            Err(Error::Os { op, source }) => {
                assert!(op.contains("step") && op.contains("mount tmpfs") && op.contains("merged"), "{op}");
                assert_eq!(source.raw_os_error(), Some(2));
            }
            other => panic!("{other:?}"),
        }
    }
}
