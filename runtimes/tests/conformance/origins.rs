//! Starts that begin with something: a snapshot of the ready program, or an instance of the pool.
//!
//! Whatever an instance began with, it is one like any other: it answers, is accounted, ends, and leaves nothing behind.

use std::fs;
use std::path::Path;

use isomark_core::payload::Job;
use isomark_core::runtime::Program;
use isomark_core::{Ability, Error, Exit, Instance, Origin, Runtime, Spec, account};
use isomark_runtimes::shelf;

use crate::built_in::{Place, for_each};
use crate::checks::{Ground, spec};
use crate::elf::{elf, exits};

fn can(runtime: &dyn Runtime, ability: Ability) -> bool {
    runtime.probe().is_ok_and(|identity| identity.can.contains(&ability))
}

fn payload(ground: &Ground<'_>, origin: Origin) -> Spec {
    Spec { origin, memory: 32 << 20, ..spec(Program::payload(ground.payload.clone())) }
}

fn started(runtime: &dyn Runtime, spec: &Spec) -> Box<dyn Instance> {
    runtime.prepare(spec).unwrap();
    let mut instance = runtime.create(spec).unwrap();
    instance.start().unwrap();
    instance
}

fn ended(mut instance: Box<dyn Instance>) {
    assert_eq!(instance.stop().unwrap().exit, Exit::Code(0));
    instance.remove().unwrap();
}

/// Each answers what it was asked, in any order, whatever the others do.
fn answer(instances: &mut [Box<dyn Instance>]) {
    for (token, instance) in instances.iter_mut().enumerate().rev() {
        let reply = instance.run(&Job::Echo(token as u64)).unwrap();
        assert_eq!(reply.u64("token"), Ok(token as u64));
    }
}

/// A machine has a filter and no capabilities, whatever it began with.
fn confined(instance: &dyn Instance) {
    let pid = instance.anatomy().processes[0].0;
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let field =
        |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default().trim();
    for set in ["CapEff:", "CapPrm:", "CapInh:", "CapAmb:"] {
        assert_eq!(u64::from_str_radix(field(set), 16), Ok(0), "{set} {}", field(set));
    }
    assert_eq!((field("NoNewPrivs:"), field("Seccomp:")), ("1", "2"));
}

#[test]
fn whatever_it_began_with_it_answers_is_accounted_and_ends() {
    for_each(|runtime, ground| {
        for origin in Origin::WORDS.map(Origin::of) {
            if origin.needs().is_some_and(|ability| !can(runtime, ability)) {
                continue;
            }
            let spec = payload(ground, origin.clone());
            let mut three = [(); 3].map(|()| started(runtime, &spec));
            answer(&mut three);
            // What one touches is its own: neither the others nor those to come have it.
            three[0].run(&Job::Touch { bytes: 8 << 20 }).unwrap();
            let touched =
                three.iter().map(|i| account::memory(&i.anatomy()).unwrap().pss).collect::<Vec<_>>();
            // A page or two of text that all share counts less for each that has touched it. A guest with an operating
            // system has touched memory before that it hands out again.
            assert!(
                runtime.on_request() || touched[0] + (64 << 10) >= touched[1] + (8 << 20),
                "{} {origin:?}: {touched:?}",
                runtime.name()
            );
            answer(&mut three);
            if runtime.name() == "microvm" {
                three.iter().for_each(|instance| confined(instance.as_ref()));
            }
            three.into_iter().for_each(ended);
            ended(started(runtime, &spec));
        }
    });
}

#[test]
fn a_machine_of_the_pool_that_nobody_takes_goes_with_the_runtime() {
    for_each(|runtime, ground| {
        if !can(runtime, Ability::Pool) {
            return;
        }
        let spec = payload(ground, Origin::Pool);
        runtime.prepare(&spec).unwrap();
        // Another kind of machine, or none at all, is not in the pool.
        let other = Spec { memory: 48 << 20, ..spec.clone() };
        assert!(matches!(runtime.create(&other), Err(Error::Unsupported(_))));
        let mut instance = runtime.create(&spec).unwrap();
        assert!(matches!(runtime.create(&spec), Err(Error::Unsupported(_))), "it was taken");
        instance.start().unwrap();
        ended(instance);
        runtime.prepare(&spec).unwrap();
    });
}

/// Pages that exist once for each of several that are alive, in bytes.
fn own_pages(runtime: &dyn Runtime, spec: &Spec) -> u64 {
    let all = (0..8).map(|_| started(runtime, spec)).collect::<Vec<_>>();
    let own = all.iter().map(|i| account::memory(&i.anatomy()).unwrap().uss).sum();
    all.into_iter().for_each(ended);
    own
}

#[test]
fn a_clone_has_at_most_half_of_the_pages_of_its_own_that_a_fresh_machine_has() {
    let place = Place::new();
    let ground = place.ground();
    for runtime in shelf(&place.site).iter().filter(|r| can(r.as_ref(), Ability::Snapshot)) {
        let of = |origin| own_pages(runtime.as_ref(), &payload(&ground, origin));
        let (fresh, clones) = (of(Origin::Fresh), of(Origin::Snapshot(None)));
        assert!(2 * clones <= fresh, "{}: eight clones {clones}, eight fresh {fresh}", runtime.name());
    }
}

/// Which runtime, and a snapshot of the payload in a file of its own.
fn with_snapshot(check: impl Fn(&dyn Runtime, &Ground<'_>, &Path, &dyn Fn(&Path) -> Spec)) {
    let place = Place::new();
    let ground = place.ground();
    for runtime in shelf(&place.site).iter().filter(|r| can(r.as_ref(), Ability::Snapshot)) {
        let at = |path: &Path| payload(&ground, Origin::Snapshot(Some(path.to_owned())));
        let path = place.parent.path().join("saved");
        ended(started(runtime.as_ref(), &at(&path)));
        check(runtime.as_ref(), &ground, &path, &at);
    }
}

#[track_caller]
fn refused(runtime: &dyn Runtime, spec: &Spec, with: &str) {
    match runtime.prepare(spec) {
        Err(Error::Input(why)) => assert!(why.contains(with), "{why}"),
        other => panic!("{with}: {other:?}"),
    }
}

#[test]
fn a_snapshot_is_made_once_and_a_damaged_one_starts_nothing() {
    with_snapshot(|runtime, ground, path, at| {
        let made = fs::read(path).unwrap();
        assert_eq!(fs::metadata(path).unwrap().len(), made.len() as u64);
        let bad = ground.dir.join("bad");
        let write = |name: usize, bytes: &[u8]| {
            let path = bad.with_extension(name.to_string());
            fs::write(&path, bytes).unwrap();
            path
        };
        for (n, len) in [0, 1, 16, 63, 64, 100, 4096, made.len() / 2, made.len() - 1].into_iter().enumerate()
        {
            refused(runtime, &at(&write(n, &made[..len])), "snapshot");
        }
        for (n, at_byte) in
            [0, 17, 25, 33, 41, 49, 57, 70, 2000, 4099, made.len() - 1].into_iter().enumerate()
        {
            let mut flipped = made.clone();
            flipped[at_byte] ^= 4;
            refused(runtime, &at(&write(100 + n, &flipped)), "snapshot");
        }
        refused(runtime, &at(&write(200, b"#!/bin/sh\n")), "is none");
        refused(runtime, &at(&write(201, &[made.as_slice(), b"x"].concat())), "cut short");
        assert_eq!(fs::read(path).unwrap(), made, "it was not touched");
    });
}

#[test]
fn a_snapshot_of_something_else_is_refused() {
    with_snapshot(|runtime, ground, path, at| {
        let own = at(path);
        let seven = elf(ground.dir, "seven", &exits(7));
        refused(runtime, &Spec { program: Program::payload(seven), ..own.clone() }, "another program");
        let program = Program { args: vec!["more".into()], ..own.program.clone() };
        refused(runtime, &Spec { program, ..own.clone() }, "another program");
        refused(runtime, &Spec { memory: 64 << 20, ..own.clone() }, "bytes of memory");
    });
}

#[test]
fn a_program_that_cannot_be_saved_says_why_and_leaves_no_file() {
    with_snapshot(|runtime, ground, _, at| {
        let silent = elf(ground.dir, "silent", &exits(3));
        let path = ground.dir.join("none");
        let spec = Spec { program: Program::payload(silent), ..at(&path) };
        refused(runtime, &spec, "before it wrote anything");
        let nowhere = ground.dir.join("no/such/directory/s");
        refused(runtime, &at(&nowhere), "no/such/directory");
        let left = fs::read_dir(ground.dir).unwrap().flatten().map(|e| e.file_name()).collect::<Vec<_>>();
        assert!(!left.iter().any(|name| name.to_string_lossy().contains("none")), "{left:?}");
    });
}

#[test]
fn five_hundred_at_once_all_answer() {
    let place = Place::new();
    let ground = place.ground();
    for runtime in shelf(&place.site).iter().filter(|r| can(r.as_ref(), Ability::Snapshot)) {
        // A machine takes about a megabyte of the host; a host without room for all says so instead of swapping.
        let room = account::meminfo("MemAvailable:").unwrap() / (4 << 20);
        if room < 500 {
            eprintln!("SKIPPED {}: room for {room} instances only", runtime.name());
            continue;
        }
        let spec = payload(&ground, Origin::Fresh);
        let mut all = (0..500).map(|_| started(runtime.as_ref(), &spec)).collect::<Vec<_>>();
        answer(&mut all);
        all.into_iter().for_each(ended);
    }
}
