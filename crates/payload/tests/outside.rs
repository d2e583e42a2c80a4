//! The jobs that look at, lean on or break what is outside the payload.

#![allow(clippy::unwrap_used, reason = "clippy's exception for tests does not see the helpers of this file")]

mod started;

use std::os::unix::process::ExitStatusExt;

use isomark_payload::{Break, Class, Job, Probe, Storm, canary, job};
use started::Program;

const HZ: u64 = 2_000_000_000;

fn children_of(pid: u32) -> String {
    std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default()
}

#[test]
fn a_storm_rages_between_its_reply_and_the_calm() {
    let mut program = Program::start();
    for kind in Storm::ALL {
        let most = if *kind == Storm::Fork { 4 } else { 16 << 20 };
        program.answers(&Job::Storm { kind: *kind, most, millis: 20_000, tsc_hz: HZ });
        let calm = program.answers(&Job::Calm);
        assert_eq!((calm.str("kind"), calm.u64("over")), (Ok(kind.word()), Ok(0)), "{kind:?}");
        assert_eq!(children_of(program.child.id()), "", "{kind:?} left children");
    }
    // One whose time is over tells so, and what was never begun cannot be calmed.
    program.answers(&Job::Storm { kind: Storm::Spin, most: 1, millis: 1, tsc_hz: 1000 });
    assert_eq!(program.answers(&Job::Calm).u64("over"), Ok(1));
    program.ask(&Job::Calm);
    assert!(program.line().starts_with("error calm"));
    program.ask(&Job::Storm { kind: Storm::Spin, most: 0, millis: 1, tsc_hz: HZ });
    assert!(program.line().contains("leave no storm"));
}

#[test]
fn a_storm_of_children_ends_with_its_payload() {
    let mut program = Program::start();
    program.answers(&Job::Storm { kind: Storm::Fork, most: 4, millis: 20_000, tsc_hz: HZ });
    let brood = children_of(program.child.id());
    let brood = brood.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    assert!(!brood.is_empty());
    program.child.kill().unwrap();
    program.child.wait().unwrap();
    // They are signalled with their parent's death and go a moment later.
    let alive = |pid: &String| {
        std::fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|c| c.contains("payload"))
    };
    while brood.iter().any(alive) {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
}

#[test]
fn what_is_touched_is_given_back_when_told_to() {
    let mut program = Program::start();
    program.answers(&Job::Touch { bytes: 8 << 20 });
    program.answers(&Job::Touch { bytes: 4 << 20 });
    assert_eq!(program.answers(&Job::Free).u64("bytes"), Ok(12 << 20));
    assert_eq!(program.answers(&Job::Free).u64("bytes"), Ok(0));
    program.answers(&Job::Work { steps: 100_000 });
}

#[test]
fn ways_of_going_wrong_keep_to_their_bounds() {
    let bounded = |how, most| Job::Break { how, most, millis: 50, tsc_hz: HZ };
    let mut program = Program::start();
    assert_eq!(program.answers(&bounded(Break::Memory, 8 << 20)).u64("taken"), Ok(8 << 20));
    assert_eq!(program.answers(&bounded(Break::Fork, 5)).u64("taken"), Ok(5));
    assert_eq!(children_of(program.child.id()), "");
    program.answers(&bounded(Break::Spin, 0));
    program.answers(&bounded(Break::Fill, 3 << 20));
    let left = std::fs::metadata(program.folder.path().join("isomark.dat")).unwrap().len();
    assert_eq!(left, 3 << 20);
    drop(program);
    let signal = |how| Program::start().ends(&bounded(how, 0)).signal();
    assert_eq!(signal(Break::Crash), Some(11));
    assert_eq!(signal(Break::Privileged), Some(11));
    assert_eq!(Program::start().ends(&bounded(Break::Leave, 0)).code(), Some(3));
}

#[test]
fn canaries_are_seen_while_they_are_there_and_only_then() {
    const TOKEN: u64 = 0x1234_5678_9abc_def0;
    let (mut planter, mut seeker) = (Program::start(), Program::start());
    let told = planter.answers(&Job::Plant { token: TOKEN });
    let number = |name: &str| told.u64(name).ok();
    let (port, id) = (number("tcp"), number("segment"));
    let probes = [
        ("process", Some(Probe::Process { name: canary::process(TOKEN) })),
        ("unix", Some(Probe::Unix { name: canary::socket(TOKEN) })),
        ("queue", Some(Probe::Queue { name: canary::queue(TOKEN) })),
        ("tcp", port.map(|port| Probe::Tcp { port })),
        ("segment", id.map(|id| Probe::Segment { id, word: TOKEN })),
    ];
    for (name, probe) in &probes {
        match probe {
            Some(probe) if number(name).is_some() => assert!(seeker.sees(probe.clone()), "{name}"),
            // A kernel without queues or segments plants none.
            _ => eprintln!("SKIPPED {name}: not planted here ({:?})", told.str(name)),
        }
    }
    if let Some(id) = id {
        assert!(!seeker.sees(Probe::Segment { id, word: !TOKEN }), "another word is another segment");
    }
    drop(planter);
    for (name, probe) in probes {
        assert!(probe.is_none_or(|probe| !seeker.sees(probe)), "{name} is still there");
    }
}

#[test]
fn a_peek_tells_what_is_there_and_no_more_than_was_asked() {
    let mut program = Program::start();
    std::fs::write(program.folder.path().join("f"), "canary").unwrap();
    let path = program.folder.path().join("f").display().to_string();
    let reply = program.answers(&Job::Probe(Probe::Peek { path: path.clone(), bytes: 4 }));
    assert_eq!(job::unhex(reply.str("text").unwrap()).unwrap(), b"cana");
    assert!(!program.sees(Probe::Peek { path: path + "x", bytes: 4 }));
    let host = program.answers(&Job::Probe(Probe::Host));
    let name = String::from_utf8(job::unhex(host.str("text").unwrap()).unwrap()).unwrap();
    assert_eq!(name, std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap().trim_end());
}

#[test]
fn a_sweep_classes_every_number_and_the_program_lives_on() {
    let mut program = Program::start();
    let reply = program.answers(&Job::Sweep { first: 0, last: 469 });
    let classes = reply.str("classes").unwrap().as_bytes().to_vec();
    let class = |nr: libc::c_long| {
        char::from(classes[usize::try_from(nr).unwrap()]).to_string().parse::<Class>().unwrap()
    };
    assert_eq!(class(libc::SYS_getpid), Class::Reached);
    assert_eq!(class(libc::SYS_read), Class::Reached);
    assert_eq!(class(libc::SYS_futex), Class::Reached);
    assert_eq!(class(libc::SYS_exit), Class::Uncalled);
    // `afs_syscall`: reserved and never made.
    assert_eq!(class(183), Class::Absent);
    assert_eq!(reply.u64("children"), Ok(1));
    program.answers(&Job::Echo(1));
    program.ask(&Job::Sweep { first: 0, last: 5000 });
    assert!(program.line().contains("not 1 to 1024"));
}
