//! A run's folder survives what happens to files: a crash in the middle of a line, a full disk, somebody else's hand.
//!
//! What was measured is never lost by reading it, and what cannot be read is named by file and line.

#![allow(clippy::unwrap_used, reason = "clippy's exception for tests does not see the helpers of this file")]

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use isomark_core::Phase;
use isomark_core::record::{Block, EXHAUSTED, Failure, Outcome, RUN_SCHEMA, Run, Sample};
use isomark_core::store::{Folder, pretty};
use proptest::prelude::{Just, ProptestConfig, Strategy, any, prop, prop_assert_eq, prop_oneof, proptest};
use serde_json::json;

fn run() -> Run {
    let text = json!({
        "schema": RUN_SCHEMA, "id": "2026-11-21T09-30-00Z-host-quick", "started": "2026-11-21T09:30:00Z",
        "isomark": "0.1.0", "argv": ["isomark", "run"], "plan": "quick", "seed": 7, "warmup": 1, "blocks": 3,
        "cells": [{ "runtime": "process", "scenario": "startup", "params": { "cache": "warm", "n": 3 },
            "metrics": [{ "name": "startup", "unit": "ns", "better": "lower" }] }],
        "runtimes": [{ "name": "microvm", "kind": "vm",
            "unavailable": { "reason": "there is no /dev/kvm", "remedy": "get one" } }],
        "host": { "name": "host" },
        "payload": { "sha256": "ab", "target": "x86_64-unknown-linux-musl", "bytes": 3 },
    });
    serde_json::from_value(text).unwrap()
}

fn sample(cell: usize, block: u32) -> Sample {
    Sample {
        cell,
        block,
        warmup: block == 0,
        at_ns: 17,
        phases: vec![(Phase::Create, 3), (Phase::Start, 40)],
        series: BTreeMap::from([("latency".into(), vec![1.5, 2.0])]),
        steps: vec![("clone".into(), 2)],
        notes: BTreeMap::from([("isa".into(), "avx2 \"quoted\"\n".into())]),
        outcome: Outcome::Values(BTreeMap::from([("startup".into(), 43.5)])),
    }
}

fn block(block: u32) -> Block {
    Block { block, took_ns: 5, psi_cpu: Some(0.25), steal: 0.5, ..Block::default() }
}

/// A folder with three samples and two blocks.
fn filled(dir: &Path) -> Folder {
    let folder = Folder::create(dir, &run()).unwrap();
    let mut writer = folder.append().unwrap();
    (0..3).for_each(|n| writer.sample(&sample(0, n)).unwrap());
    (0..2).for_each(|n| writer.block(&block(n)).unwrap());
    folder
}

#[track_caller]
fn refused<T: std::fmt::Debug>(result: Result<T, isomark_core::Error>, says: &[&str]) {
    let error = result.expect_err("must be refused");
    assert_eq!(error.kind(), "input");
    let text = error.chain();
    assert!(says.iter().all(|part| text.contains(part)), "{text:?} does not say {says:?}");
}

#[test]
fn what_was_stored_is_read_again() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("deep/below");
    filled(&path);
    let (folder, stored) = Folder::open(&path).unwrap();
    assert_eq!((stored, folder.dir()), (run(), path.as_path()));
    assert_eq!(folder.samples().unwrap(), [sample(0, 0), sample(0, 1), sample(0, 2)]);
    assert_eq!(folder.blocks().unwrap(), [block(0), block(1)]);
}

/// Any outcome that a trial can have.
fn outcomes() -> impl Strategy<Value = Outcome> {
    // Fifteen digits are exact; the seventeenth may come back as its neighbour (serde_json without float_roundtrip).
    let number = any::<i32>().prop_map(|n| f64::from(n) / 8.0);
    let phases = prop_oneof![Just(None), (0..5_usize).prop_map(|at| Some(Phase::ALL[at]))];
    prop_oneof![
        prop::collection::btree_map(".*", number, 0..4).prop_map(Outcome::Values),
        (phases, ".*", ".*").prop_map(|(phase, kind, message)| Outcome::Failed(Failure {
            phase,
            kind,
            message
        })),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_sample_survives(cell in 0..99_usize, at_ns: u64, outcome in outcomes(), notes in prop::collection::btree_map(".*", ".*", 0..3)) {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::create(dir.path(), &run()).unwrap();
        let stored = Sample { at_ns, outcome, notes, ..sample(cell, 1) };
        folder.append().unwrap().sample(&stored).unwrap();
        prop_assert_eq!(folder.samples().unwrap(), [stored]);
    }
}

/// Cuts a file at every byte: what is whole is read, and growing goes on behind it.
fn torn<T: PartialEq + std::fmt::Debug>(
    file: &str,
    read: fn(&Folder) -> Vec<T>,
    add: fn(&Folder),
    whole: &[T],
    last: &T,
) {
    let dir = tempfile::tempdir().unwrap();
    let folder = filled(dir.path());
    let path = dir.path().join(file);
    let bytes = fs::read(&path).unwrap();
    for cut in 0..=bytes.len() {
        fs::write(&path, &bytes[..cut]).unwrap();
        let lines = bytes[..cut].iter().filter(|b| **b == b'\n').count();
        assert_eq!(read(&folder), &whole[..lines], "cut at {cut}");
        assert_eq!(fs::read(&path).unwrap(), &bytes[..cut], "reading changes nothing");
        add(&folder);
        let grown = read(&folder);
        assert_eq!((&grown[..lines], grown.last(), grown.len()), (&whole[..lines], Some(last), lines + 1));
    }
}

#[test]
fn a_torn_last_line_is_dropped_and_cut_off_before_growing() {
    let samples = [sample(0, 0), sample(0, 1), sample(0, 2)];
    let add = |folder: &Folder| folder.append().unwrap().sample(&sample(4, 4)).unwrap();
    torn("samples.jsonl", |folder| folder.samples().unwrap(), add, &samples, &sample(4, 4));
    let add = |folder: &Folder| folder.append().unwrap().block(&block(4)).unwrap();
    torn("blocks.jsonl", |folder| folder.blocks().unwrap(), add, &[block(0), block(1)], &block(4));
}

/// A trial that met a shortage of the host.
fn short(cell: usize, block: u32) -> Sample {
    let failure = Failure { phase: Some(Phase::Create), kind: EXHAUSTED.into(), message: "clone3".into() };
    Sample { outcome: Outcome::Failed(failure), ..sample(cell, block) }
}

#[test]
fn what_was_repeated_after_a_shortage_counts_in_its_place() {
    let dir = tempfile::tempdir().unwrap();
    let folder = Folder::create(dir.path(), &run()).unwrap();
    let mut writer = folder.append().unwrap();
    let failed = |cell| {
        let failure = Failure { phase: None, kind: "os".into(), message: "fsync".into() };
        Sample { outcome: Outcome::Failed(failure), ..sample(cell, 1) }
    };
    // Cell 0: short twice, then measured. Cell 1: short, then failed for its own reason. Cell 2: still short.
    // Cell 3: failed, which is not repeated; a second line of it would be somebody's fault, and is not hidden.
    let begun = [short(0, 1), short(0, 1), short(1, 1), short(2, 1), failed(3)];
    let lines = [&begun[..], &[sample(0, 1), failed(1), failed(3)]].concat();
    lines.iter().for_each(|line| writer.sample(line).unwrap());
    let counts = [short(2, 1), failed(3), sample(0, 1), failed(1), failed(3)];
    assert_eq!(folder.samples().unwrap(), counts);
    let warm = Sample { warmup: true, ..short(2, 1) };
    writer.sample(&warm).unwrap();
    assert_eq!(folder.samples().unwrap().len(), counts.len() + 1, "a warm-up is a trial of its own");
}

/// A file system that fills up: a small one of our own, in a mount namespace of this thread.
fn small_disk(at: &Path) -> Result<(), nix::Error> {
    use nix::mount::{MsFlags, mount};
    use nix::sched::{CloneFlags, unshare};
    unshare(CloneFlags::CLONE_NEWNS)?;
    mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REC | MsFlags::MS_PRIVATE, None::<&str>)?;
    mount(Some("none"), at, Some("tmpfs"), MsFlags::empty(), Some("size=32k"))
}

/// Skips aloud, or fails if `ISOMARK_REQUIRE` names what is missing.
fn skipped(what: &str, why: &str) {
    let required = std::env::var("ISOMARK_REQUIRE").unwrap_or_default();
    assert!(!required.split(',').any(|name| name == what), "{what} is required: {why}");
    eprintln!("SKIPPED {what}: {why}");
}

#[test]
fn a_full_disk_is_one_error_and_leaves_what_was_there() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().to_owned();
    // The mount goes with the thread's namespace.
    let filled = std::thread::spawn(move || {
        if let Err(e) = small_disk(&path) {
            return skipped("root", &format!("a disk that fills up takes root: {e}"));
        }
        let folder = Folder::create(&path.join("r"), &run()).unwrap();
        folder.replace("summary.json", b"the old one").unwrap();
        let mut writer = folder.append().unwrap();
        let full = (0..).find_map(|n| writer.sample(&sample(0, n)).err().map(|e| (n, e)));
        let (stored, error) = full.unwrap();
        assert_eq!(error.kind(), EXHAUSTED);
        let text = error.chain();
        assert!(text.contains("append to samples.jsonl") && text.contains("No space left"), "{text}");
        // A line that did not fit as a whole is none, and every earlier one is there.
        assert_eq!(folder.samples().unwrap().len(), stored as usize);
        let error = folder.replace("summary.json", &[b'x'; 1 << 16]).unwrap_err();
        assert!(error.kind() == EXHAUSTED && error.chain().contains("summary.json"), "{error:?}");
        assert_eq!(fs::read(path.join("r/summary.json")).unwrap(), b"the old one");
        assert!(!path.join("r/summary.part").exists(), "a part was left");
        let error = Folder::create(&path.join("other"), &run()).unwrap_err();
        assert_eq!(error.kind(), EXHAUSTED);
        assert!(!path.join("other/run.json").exists());
        // Room again: growing goes on behind the last whole line.
        fs::remove_file(path.join("r/summary.json")).unwrap();
        folder.append().unwrap().sample(&sample(9, 9)).unwrap();
        assert_eq!(folder.samples().unwrap().last(), Some(&sample(9, 9)));
        assert_eq!(folder.samples().unwrap().len(), stored as usize + 1);
    });
    filled.join().unwrap();
}

#[test]
fn a_line_that_cannot_be_read_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let folder = filled(dir.path());
    let good = fs::read_to_string(dir.path().join("samples.jsonl")).unwrap();
    let good = good.lines().next().unwrap();
    let long = "x".repeat(1 << 20);
    let cases: [(&[u8], &str); 8] = [
        (b"{\"cell\":0,", "EOF"),
        (b"", "EOF"),
        (b"\0\0\0\0", "expected value"),
        (b"[]", "invalid"),
        (b"{\"cell\":-1,\"block\":0,\"at_ns\":1,\"values\":{}}", "-1"),
        (b"{\"cell\":0,\"block\":0,\"at_ns\":1}", "no variant"),
        (b"{\"cell\":0,\"block\":0,\"at_ns\":1,\"values\":{\"x\":1e999}}", "out of range"),
        (long.as_bytes(), ""),
    ];
    for (line, says) in cases {
        let text = [good.as_bytes(), line, good.as_bytes(), b""].join(&b'\n');
        fs::write(dir.path().join("samples.jsonl"), &text).unwrap();
        refused(folder.samples(), &["samples.jsonl line 2", says]);
    }
    fs::write(dir.path().join("blocks.jsonl"), "{\"block\":0}\n{\"block\":\"x\"}\n{}\n").unwrap();
    refused(folder.blocks(), &["blocks.jsonl line 2", "expected u32"]);
}

#[test]
fn a_line_without_end_meets_a_bound() {
    let dir = tempfile::tempdir().unwrap();
    let folder = filled(dir.path());
    let path = dir.path().join("samples.jsonl");
    let mut text = fs::read(&path).unwrap();
    text.resize(text.len() + (8 << 20), b'x');
    fs::write(&path, text).unwrap();
    refused(folder.samples(), &["samples.jsonl", "line 4", "longer than 1048576 bytes"]);
    // Deep nesting must not overflow the stack.
    fs::write(&path, "[".repeat(1 << 19) + "\n").unwrap();
    refused(folder.samples(), &["samples.jsonl", "line 1"]);
}

#[test]
fn a_folder_that_is_no_run_says_why() {
    let dir = tempfile::tempdir().unwrap();
    let cases: [(&str, &[&str]); 7] = [
        ("", &["EOF"]),
        ("{\"id\": \"x\"", &["EOF", "line 1"]),
        ("[1, 2]", &["schema is missing"]),
        ("{\"schema\": 1}", &["schema is missing"]),
        ("{\"name\": \"x\"}", &["schema is missing", "not a run of isomark"]),
        ("{\"schema\": \"isomark.run/2\"}", &["isomark.run/2", "isomark.run/1", "isomark that wrote it"]),
        ("{\"schema\": \"isomark.run/1\"}", &["missing field"]),
    ];
    for (text, says) in cases {
        fs::write(dir.path().join("run.json"), text).unwrap();
        refused(Folder::open(dir.path()), &[&["run.json"], says].concat());
    }
    refused(Folder::open(&dir.path().join("nowhere")), &["nowhere/run.json", "No such file"]);
    fs::write(dir.path().join("run.json"), [0xff, 0xfe]).unwrap();
    refused(Folder::open(dir.path()), &["run.json", "UTF-8"]);
}

#[test]
fn fields_that_were_added_later_are_no_obstacle() {
    let dir = tempfile::tempdir().unwrap();
    let folder = filled(dir.path());
    let path = dir.path().join("samples.jsonl");
    let newer = fs::read_to_string(&path).unwrap().replace("{\"cell\"", "{\"mood\":\"fine\",\"cell\"");
    fs::write(&path, newer).unwrap();
    assert_eq!(folder.samples().unwrap().len(), 3);
}

#[test]
fn an_existing_run_is_not_overwritten() {
    let dir = tempfile::tempdir().unwrap();
    let folder = filled(dir.path());
    let other = Run { seed: 8, ..run() };
    refused(Folder::create(dir.path(), &other), &["holds a run already", "--resume"]);
    assert_eq!(Folder::open(dir.path()).unwrap().1, run());
    assert_eq!(folder.samples().unwrap().len(), 3);
}

#[test]
fn whoever_finds_run_json_finds_a_whole_folder() {
    let dir = tempfile::tempdir().unwrap();
    // A command that was killed before it wrote run.json: its folder is none, and can be taken.
    fs::write(dir.path().join("samples.jsonl"), "").unwrap();
    refused(Folder::open(dir.path()), &["run.json"]);
    let folder = Folder::create(dir.path(), &run()).unwrap();
    assert!(folder.samples().unwrap().is_empty() && folder.blocks().unwrap().is_empty());
    // What stands in the way of the files that grow is met before run.json exists.
    let blocked = dir.path().join("blocked");
    fs::create_dir_all(blocked.join("samples.jsonl")).unwrap();
    assert_eq!(Folder::create(&blocked, &run()).unwrap_err().kind(), "os");
    assert!(!blocked.join("run.json").exists());
}

fn names(dir: &Path) -> Vec<String> {
    let mut names =
        fs::read_dir(dir).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect::<Vec<_>>();
    names.sort_unstable();
    names
}

#[test]
fn a_derived_file_is_replaced_as_a_whole_or_not_at_all() {
    let dir = tempfile::tempdir().unwrap();
    let folder = filled(dir.path());
    let read = |name: &str| fs::read_to_string(dir.path().join(name)).unwrap();
    folder.replace("summary.json", b"first").unwrap();
    folder.replace("charts/disk.png", b"a picture").unwrap();
    folder.replace("summary.json", b"second").unwrap();
    assert_eq!((read("summary.json"), read("charts/disk.png")), ("second".into(), "a picture".into()));
    let before = names(dir.path());
    // The new bytes can be written, but not put in place.
    fs::create_dir_all(dir.path().join("charts/startup.png")).unwrap();
    let error = folder.replace("charts/startup.png", b"never").unwrap_err().chain();
    assert!(error.contains("charts/startup.png"), "{error}");
    assert_eq!(names(&dir.path().join("charts")), ["disk.png", "startup.png"], "a part was left");
    // The new bytes cannot be written.
    fs::create_dir_all(dir.path().join("summary.part")).unwrap();
    let error = folder.replace("summary.json", b"third").unwrap_err().chain();
    assert!(error.contains("summary.json"), "{error}");
    fs::remove_dir(dir.path().join("summary.part")).unwrap();
    assert_eq!((read("summary.json"), names(dir.path())), ("second".into(), before));
    // Not even the directory can be made.
    assert_eq!(folder.replace("run.json/x", b"never").unwrap_err().kind(), "os");
}

#[test]
fn json_for_people_ends_with_a_newline() {
    let text = String::from_utf8(pretty(&json!({ "a": [1] })).unwrap()).unwrap();
    assert_eq!(text, "{\n  \"a\": [\n    1\n  ]\n}\n");
}

/// A folder that somebody else made may lead anywhere by links, and wait for ever by named pipes.
#[test]
fn nothing_in_a_folder_leads_out_of_it() {
    let (dir, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let folder = filled(dir.path());
    let secret = outside.path().join("secret");
    fs::write(&secret, "theirs\n").unwrap();
    // Written: neither through a link in the place of the part, nor into a directory that is a link.
    symlink(&secret, dir.path().join("summary.part")).unwrap();
    symlink(&secret, dir.path().join("summary.json")).unwrap();
    folder.replace("summary.json", b"ours").unwrap();
    assert!(!dir.path().join("summary.json").is_symlink());
    symlink(outside.path(), dir.path().join("charts")).unwrap();
    refused(folder.replace("charts/startup.png", b"never"), &["charts", "a link"]);
    // Read, and grown: not through a link.
    for name in ["run.json", "samples.jsonl", "blocks.jsonl"] {
        let path = dir.path().join(name);
        let kept = fs::read(&path).unwrap();
        fs::remove_file(&path).unwrap();
        symlink(&secret, &path).unwrap();
        match name {
            "run.json" => refused(Folder::open(dir.path()), &[name, "a link"]),
            "samples.jsonl" => refused(folder.samples(), &[name, "a link"]),
            _ => refused(folder.blocks(), &[name, "a link"]),
        }
        if name != "run.json" {
            refused(folder.append(), &[name, "a link"]);
        }
        fs::remove_file(&path).unwrap();
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
        if name == "run.json" {
            refused(Folder::open(dir.path()), &[name, "not a regular file"]);
        }
        fs::remove_file(&path).unwrap();
        fs::write(&path, kept).unwrap();
    }
    assert_eq!(fs::read_to_string(&secret).unwrap(), "theirs\n");
    assert_eq!(names(outside.path()), ["secret"]);
    // More than anybody measures is refused before it is read: a sparse file costs nothing to make.
    fs::File::options().write(true).open(dir.path().join("samples.jsonl")).unwrap().set_len(1 << 40).unwrap();
    refused(folder.samples(), &["samples.jsonl", "larger than"]);
}
