//! The checks on every runtime that isomark brings along, and what those promise beyond them.
//!
//! A runtime that cannot run here is skipped with its printed reason; `ISOMARK_REQUIRE=a,b` turns that into a failure.

use std::collections::BTreeSet;
use std::fs;
use std::time::Duration;

use crate::checks::{self, Check, Ground, dropped, group_and_session, spec, traces};
use crate::elf::{CLOSES, MEMORY, SPINS, asks, elf, floods, says, stuffs};
use isomark_core::payload::wire::READY;
use isomark_core::payload::{Class, Job, Probe};
use isomark_core::runtime::{Program, Stdio};
use isomark_core::{Error, Exit, Kind, Runtime, Site, Spec};
use isomark_runtimes::{embedded, shelf};

/// A site of its own for each check; on a disk, since /tmp may be in memory.
pub(crate) struct Place {
    pub(crate) parent: tempfile::TempDir,
    pub(crate) site: Site,
}

impl Place {
    pub(crate) fn new() -> Self {
        let parent = tempfile::tempdir_in("/var/tmp").unwrap();
        let site = Site::open(parent.path()).unwrap();
        Self { parent, site }
    }

    pub(crate) fn ground(&self) -> Ground<'_> {
        Ground {
            site: &self.site,
            payload: embedded::payload(&self.site).unwrap(),
            dir: self.parent.path(),
            patience: Duration::from_millis(300),
        }
    }
}

/// Runs a check on every runtime; floors are no ways of running anything.
pub(crate) fn for_each(check: Check) {
    let place = Place::new();
    let required = std::env::var("ISOMARK_REQUIRE").unwrap_or_default();
    for runtime in shelf(&place.site).iter().filter(|r| r.kind() != Kind::Floor) {
        match runtime.probe() {
            Ok(_) => check(runtime.as_ref(), &place.ground()),
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
}

#[test]
fn the_payload_answers_in_order_and_ends_well() {
    for_each(checks::answers_in_order);
}

#[test]
fn every_job_is_answered_rightly() {
    for_each(checks::answers_rightly);
}

#[test]
fn two_at_once_do_not_collide() {
    for_each(checks::two_at_once);
}

#[test]
fn how_a_program_ends_is_told_as_it_was() {
    for_each(checks::tells_the_end);
}

#[test]
fn a_payload_that_dies_is_said_to_have_died() {
    for_each(checks::tells_a_death);
}

#[test]
fn a_payload_that_never_answers_meets_the_deadline_and_is_gone() {
    for_each(checks::meets_the_deadline);
}

#[test]
fn a_flood_meets_a_bound() {
    for_each(checks::bounds_a_flood);
}

#[test]
fn who_promises_limits_keeps_them() {
    for_each(checks::keeps_limits);
}

#[test]
fn memory_can_be_accounted_while_it_runs() {
    for_each(checks::accounts_memory);
}

#[test]
fn a_file_written_inside_is_accounted_and_goes_with_the_instance() {
    for_each(checks::accounts_disk);
}

#[test]
fn features_that_are_hidden_are_gone() {
    for_each(checks::hides_features);
}

/// Payloads that begin well: each wait has a deadline and each buffer a bound, whatever they do then.
#[test]
fn a_payload_that_begins_well_and_then_misbehaves_meets_bounds() {
    let ready = READY.as_bytes();
    let half = [ready, b"done ns=1"].concat();
    let garbage = [ready, b"\xff\xfe\n"].concat();
    let payloads = [
        ("flood of stdout", says(1, ready, &floods(1))),
        ("flood of stderr", says(1, ready, &floods(2))),
        ("silence", says(1, ready, &SPINS)),
        ("half a line", says(1, &half, &SPINS)),
        ("early close", says(1, ready, &CLOSES)),
        ("no text", says(1, &garbage, &SPINS)),
        ("answers unasked", says(1, &[ready, b"done ns=1 sum=1\ndone ns=1 sum=1\n"].concat(), &SPINS)),
    ];
    let place = Place::new();
    let ground = place.ground();
    for runtime in
        shelf(&place.site).iter().filter(|r| ["process", "namespace", "microvm"].contains(&r.name()))
    {
        if runtime.probe().is_err() {
            continue;
        }
        for (name, code) in &payloads {
            let image = elf(ground.dir, &format!("{}-{name}", runtime.name()), code);
            let spec = Spec { deadline: ground.patience, ..spec(Program::payload(image)) };
            let begun = || {
                let mut instance = runtime.create(&spec).unwrap();
                instance.start().unwrap();
                instance
            };
            let asked = begun().run(&Job::Probe(Probe::Host));
            assert!(
                matches!(asked, Err(Error::Timeout { .. } | Error::WrongAnswer(_) | Error::Died { .. })),
                "{} {name}: {asked:?}",
                runtime.name()
            );
            let mut instance = begun();
            let (ended, processes) = (instance.stop(), instance.anatomy().processes);
            assert!(matches!(ended, Err(Error::Timeout { .. })), "{} {name}: {ended:?}", runtime.name());
            drop(instance);
            for (pid, _) in processes {
                assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists(), "{} {name}", runtime.name());
            }
        }
    }
}

fn descriptors() -> usize {
    fs::read_dir("/proc/self/fd").unwrap().count()
}

#[test]
fn dropping_at_any_point_leaves_nothing() {
    // In a process of its own would be cleaner; instead the first round makes what is shared and later ones must not
    // add to it. Other checks run beside this one, so only what carries this site's name counts.
    let place = Place::new();
    let ground = place.ground();
    let all = shelf(&place.site);
    for runtime in all.iter().filter(|r| r.kind() != Kind::Floor && r.probe().is_ok()) {
        for provision in runtime.probe().unwrap().provisions {
            let live = |until| dropped(runtime.as_ref(), &ground, Some(&provision), until);
            live(3);
            let before = traces(ground.site);
            for until in [0, 1, 2, 3] {
                live(until);
                assert_eq!(traces(ground.site), before, "{} {provision} dropped at {until}", runtime.name());
            }
        }
    }
    assert!(descriptors() < 200, "descriptors leak: {}", descriptors());
}

#[test]
fn a_container_is_confined_as_it_says() {
    let place = Place::new();
    let payload = embedded::payload(&place.site).unwrap();
    for runtime in shelf(&place.site).iter().filter(|r| r.name() == "namespace" && r.probe().is_ok()) {
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
        if let Some(group) = instance.anatomy().cgroup {
            let read = |path: std::path::PathBuf| fs::read_to_string(path).ok();
            let swap = read(group.join("memory.swappiness"))
                .or_else(|| read(group.parent().unwrap().join("memory.swap.max")));
            assert_eq!(swap.as_deref().map_or("0", str::trim), "0", "it may grow into the host's swap");
        }
        instance.stop().unwrap();
        instance.remove().unwrap();
    }
}

/// Calls that reach beyond a container, or give back what it has lost.
const FORBIDDEN: [i64; 34] = [
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_unshare,
    libc::SYS_setns,
    libc::SYS_open_tree,
    libc::SYS_move_mount,
    libc::SYS_fsopen,
    libc::SYS_fsmount,
    libc::SYS_mount_setattr,
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_io_uring_setup,
    libc::SYS_keyctl,
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_kexec_load,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_open_by_handle_at,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_sethostname,
    libc::SYS_iopl,
    libc::SYS_ioperm,
    libc::SYS_acct,
];

/// None of them may do anything, whatever its arguments.
#[test]
fn a_container_gains_nothing_by_asking() {
    let place = Place::new();
    let payload = embedded::payload(&place.site).unwrap();
    for runtime in shelf(&place.site).iter().filter(|r| r.name() == "namespace" && r.probe().is_ok()) {
        let mut instance = runtime.create(&spec(Program::payload(payload.clone()))).unwrap();
        instance.start().unwrap();
        for number in FORBIDDEN {
            let number = u64::try_from(number).unwrap();
            let reply = instance.run(&Job::Sweep { first: number, last: number }).unwrap();
            let class = reply.str("classes").unwrap();
            let name = isomark_runtimes::call_name(number);
            assert!(
                [Class::Refused, Class::Absent, Class::Killed].iter().any(|c| c.word() == class),
                "{name} is let through ({class})"
            );
        }
        // Its own process and no other, nobody's network, none of the host's devices.
        let mut ask = |probe| instance.run(&Job::Probe(probe)).unwrap();
        let count = ask(Probe::Process { name: "nobody".into() }).u64("count").unwrap();
        assert!(count <= 2, "{count} processes are seen");
        for path in [
            "/dev/kvm",
            "/dev/mem",
            "/dev/kmsg",
            "/dev/fuse",
            "/etc/passwd",
            "/proc/1/root/etc/passwd",
            "/sys",
        ] {
            let seen = ask(Probe::Peek { path: path.into(), bytes: 16 }).u64("seen").unwrap();
            assert_eq!(seen, 0, "{path} can be opened");
        }
        instance.stop().unwrap();
        instance.remove().unwrap();
    }
}

/// A program that nothing connects: the number of the first call that does not answer as it should.
fn first_wrong(
    runtime: &dyn Runtime,
    ground: &Ground<'_>,
    calls: &[(&str, i64, [i64; 4], i64)],
) -> Option<usize> {
    let code = asks(calls.iter().map(|(_, number, args, due)| (*number, *args, *due)));
    let program = Program::payload(elf(ground.dir, &format!("{}-asks", runtime.name()), &code));
    let mut instance = runtime.create(&spec(Program { stdio: Stdio::Null, ..program })).unwrap();
    instance.start().unwrap();
    let exit = instance.stop().unwrap().exit;
    instance.remove().unwrap();
    match exit {
        Exit::Code(0) => None,
        Exit::Code(at) => usize::try_from(at - 1).ok(),
        other => panic!("{}: {other}", runtime.name()),
    }
}

fn own(names: &[&str], check: impl Fn(&dyn Runtime, &Ground<'_>)) {
    let place = Place::new();
    for runtime in shelf(&place.site).iter().filter(|r| names.contains(&r.name()) && r.probe().is_ok()) {
        check(runtime.as_ref(), &place.ground());
    }
}

/// Ways that lead past namespaces, each with the answer that closes it.
#[rustfmt::skip]
const WAYS: [(&str, i64, [i64; 4], i64); 33] = [
    ("the hypervisor's sockets", libc::SYS_socket, [40, 1, 0, 0], NO_FAMILY),
    ("the kernel's algorithms", libc::SYS_socket, [38, 5, 0, 0], NO_FAMILY),
    ("raw packets", libc::SYS_socket, [17, 3, 0, 0], NO_FAMILY),
    ("RDMA", libc::SYS_socket, [21, 5, 0, 0], NO_FAMILY),
    ("Bluetooth", libc::SYS_socket, [31, 3, 1, 0], NO_FAMILY),
    ("a pair of another family", libc::SYS_socketpair, [30, 1, 0, MEMORY], NO_FAMILY),
    ("the host's devices as they come and go", libc::SYS_socket, [16, 3, 15, 0], NO_PROTOCOL),
    ("the kernel's audit", libc::SYS_socket, [16, 3, 9, 0], NO_PROTOCOL),
    ("a module for SCTP", libc::SYS_socket, [2, 1, 132, 0], NO_PROTOCOL),
    ("no descriptor but the streams", libc::SYS_socket, [16, 3, 0, 0], 3),
    ("a socket of TCP", libc::SYS_socket, [2, 1, 6, 0], 4),
    ("a pair of unix sockets", libc::SYS_socketpair, [1, 1, 0, MEMORY], 0),
    ("no process but itself", libc::SYS_kill, [-1, 0, 0, 0], -(libc::ESRCH as i64)),
    ("no parent", libc::SYS_getppid, [0; 4], 0),
    ("a group of its own", libc::SYS_getpgid, [0; 4], 1),
    ("a life beyond the harness", libc::SYS_prctl, [1, 0, 0, 0], REFUSED),
    ("a death that can be ignored", libc::SYS_prctl, [1, libc::SIGUSR1 as i64, 0, 0], REFUSED),
    ("a rank above others, by FIFO", libc::SYS_sched_setscheduler, [0, 1, MEMORY, 0], REFUSED),
    ("a rank above others, by round robin", libc::SYS_sched_setscheduler, [0, 2, MEMORY, 0], REFUSED),
    ("a rank above others, by niceness", libc::SYS_setpriority, [0, 0, -5, 0], -(libc::EACCES as i64)),
    ("a rank above others, at the disk", libc::SYS_ioprio_set, [1, 0, 1 << 13, 0], REFUSED),
    ("the host's quotas", 443, [0; 4], REFUSED),
    ("the host's file systems", libc::SYS_sysfs, [3, 0, 0, 0], REFUSED),
    ("the host's security modules", 461, [MEMORY, MEMORY, 0, 0], REFUSED),
    ("where the host's memory lies", 450, [0; 4], REFUSED),
    ("memory at the same places", libc::SYS_personality, [0x4_0000, 0, 0, 0], REFUSED),
    ("user namespaces", libc::SYS_clone, [0x1000_0000, 0, 0, 0], REFUSED),
    ("what hides its flags", libc::SYS_clone3, [MEMORY, 88, 0, 0], -(libc::ENOSYS as i64)),
    ("the host's namespaces", 470, [0; 4], -(libc::ENOSYS as i64)),
    ("a call that nobody has looked at", 999, [0; 4], -(libc::ENOSYS as i64)),
    ("the kernel's log", libc::SYS_syslog, [3, MEMORY, 8, 0], REFUSED),
    ("another user", libc::SYS_setreuid, [1, 1, 0, 0], REFUSED),
    ("a change of root", libc::SYS_chroot, [MEMORY, 0, 0, 0], REFUSED),
];
const NO_FAMILY: i64 = -(libc::EAFNOSUPPORT as i64);
const NO_PROTOCOL: i64 = -(libc::EPROTONOSUPPORT as i64);
const REFUSED: i64 = -(libc::EPERM as i64);

#[test]
fn no_way_leads_past_the_namespaces() {
    own(&["namespace"], |runtime, ground| {
        // In a user namespace of its own, other users do not exist.
        let rooted = nix::unistd::geteuid().is_root();
        let ways = WAYS.iter().copied().filter(|(name, ..)| rooted || *name != "another user");
        let ways = ways.collect::<Vec<_>>();
        let wrong = first_wrong(runtime, ground, &ways).map(|at| ways[at]);
        assert_eq!(wrong, None, "this way answers otherwise");
    });
}

/// What the user's shell left open for the harness is nobody else's: a directory of the host would be a way out.
#[test]
fn nobody_inherits_what_the_harness_inherited() {
    let host = fs::File::open("/").unwrap();
    let open = nix::fcntl::fcntl(&host, nix::fcntl::FcntlArg::F_DUPFD(900)).unwrap();
    own(&["process", "namespace"], |runtime, ground| {
        let look = [("it", libc::SYS_fcntl, [i64::from(open), 1, 0, 0], -i64::from(libc::EBADF))];
        assert_eq!(first_wrong(runtime, ground, &look), None, "{} has descriptor {open}", runtime.name());
    });
    nix::unistd::close(open).unwrap();
}

/// A signal to "my group" must not reach the harness, nor typed input of a program its user's terminal.
#[test]
fn a_program_is_in_no_group_of_the_harness() {
    own(&["process", "namespace"], |runtime, ground| {
        let image = elf(ground.dir, "spins", &SPINS);
        for stdio in [Stdio::Null, Stdio::Inherit] {
            let program = Program { stdio, ..Program::payload(image.clone()) };
            let mut instance = runtime.create(&spec(program)).unwrap();
            instance.start().unwrap();
            let pid = instance.anatomy().processes[0].0;
            let [group, session] = group_and_session(pid);
            let name = runtime.name();
            // What shares everything with the host shares the terminal of who asked for it, and its keys' signals.
            let shares = name == "process" && stdio == Stdio::Inherit;
            assert_eq!(group == pid, !shares, "{name} {stdio:?}");
            assert_eq!(session == pid, name == "namespace" && stdio == Stdio::Inherit, "{name} {stdio:?}");
        }
    });
}

#[test]
fn who_fills_the_pipe_of_its_jobs_holds_nobody_up() {
    own(&["process", "namespace"], |runtime, ground| {
        let code = [stuffs(), says(1, READY.as_bytes(), &SPINS)].concat();
        let program = Program::payload(elf(ground.dir, "stuffs", &code));
        let mut instance = runtime.create(&Spec { deadline: ground.patience, ..spec(program) }).unwrap();
        instance.start().unwrap();
        match instance.run(&Job::Probe(Probe::Host)) {
            Err(Error::Timeout { op, .. }) => assert_eq!(op, "hand over a job", "{}", runtime.name()),
            other => panic!("{}: {other:?}", runtime.name()),
        }
    });
}

#[test]
fn a_step_that_the_host_forbids_is_named() {
    let place = Place::new();
    let payload = embedded::payload(&place.site).unwrap();
    for runtime in shelf(&place.site).iter().filter(|r| r.name() == "namespace" && r.probe().is_ok()) {
        let instance = runtime.create(&spec(Program::payload(payload.clone())));
        // Take the root's place away between plan and walk.
        let mut instance = instance.unwrap();
        fs::remove_dir(place.site.dir().join("merged")).unwrap();
        match instance.start() {
            Err(Error::Os { op, source }) => {
                assert!(op.contains("step") && op.contains("mount tmpfs") && op.contains("merged"), "{op}");
                assert_eq!(source.raw_os_error(), Some(2));
            }
            other => panic!("{other:?}"),
        }
    }
}
