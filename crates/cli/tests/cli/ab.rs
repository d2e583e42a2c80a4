//! `ab`: two variants in one run, from the shape of its answer to the exit code.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::elf;
use crate::ground::{Ground, told};

/// The one line that `ab --format json` prints for a single metric.
#[track_caller]
fn answer(ground: &Ground, args: &[&str], code: i32) -> Value {
    let done = ground.expect(&[&["ab", "--format", "json"], args].concat(), code);
    let lines = String::from_utf8(done.stdout.clone()).unwrap();
    assert_eq!(lines.trim().lines().count(), 1, "{}", told(&done));
    serde_json::from_str(&lines).unwrap()
}

#[test]
fn a_runtime_against_itself_has_the_shape_of_the_contract() {
    let ground = Ground::new();
    let args = ["--a", "process", "--b", "process", "--runs", "20", "--seed", "1", "--out", "r"];
    let told = answer(&ground, &args, 0);
    for key in ["scenario", "metric", "ratio", "ci95", "band", "verdict", "n"] {
        assert!(!told[key].is_null(), "{key}: {told}");
    }
    assert_eq!((&told["scenario"], &told["metric"]), (&"startup".into(), &"startup".into()));
    assert_eq!(told["n"], 20);
    let words = ["equivalent", "slower", "faster", "inconclusive"];
    assert!(words.contains(&told["verdict"].as_str().unwrap()), "{told}");
    let injected = told["injected"].as_array().unwrap();
    assert_eq!(injected.iter().map(|i| i["handicap"].as_f64().unwrap()).collect::<Vec<_>>(), [0.05, 0.1]);
    // Variants stay among the cells; controls answer for the method and do not.
    let summary = ground.json("r/summary.json");
    assert_eq!(summary["cells"].as_array().unwrap().len(), 2);
    ground.expect(&["report", "r"], 0);
    assert!(ground.sites().is_empty());
}

#[test]
fn another_build_and_another_payload_run_in_processes_of_their_own() {
    let ground = Ground::new();
    let counted = ground.path("counted");
    let isomark = env!("CARGO_BIN_EXE_isomark");
    std::fs::write(&counted, format!("#!/bin/sh\necho $$ >> starts\nexec {isomark} \"$@\"\n")).unwrap();
    std::fs::set_permissions(&counted, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let own = format!("process@{}", counted.display());
    let args = ["--a", &own, "--b", "process", "--runs", "6", "--fail-on", "regression"];
    let told = answer(&ground, &args, 0);
    // Who carries out several arms comes to each with warmer caches: a, a again, and a with 5 % and 10 % more work.
    let starts = std::fs::read_to_string(ground.path("starts")).unwrap();
    assert_eq!(starts.lines().count(), 4, "an arm, controls included, has a process of its own");
    assert_eq!((&told["a"], &told["b"]), (&own.as_str().into(), &"process".into()));
    assert_eq!(told["n"], 6);
    let liar = elf::liar(&ground.path("liar")).display().to_string();
    let b = format!("process{{payload={liar}}}");
    ground.expect(&["ab", "--a", "process", "--b", &b, "--runs", "2", "--out", "lies"], 7);
    // Each cell names the bytes that ran in it.
    let summary = ground.json("lies/summary.json");
    let [a, b] = [0, 1].map(|at| summary["cells"][at]["payload_sha256"].clone());
    assert!(a == summary["run"]["payload_sha256"] && a != b, "{a} {b}");
    assert!(ground.sites().is_empty(), "{:?}", ground.sites());
}

#[test]
fn what_is_plainly_worse_is_a_regression_and_too_little_data_is_inconclusive() {
    let ground = Ground::new();
    // Memory that is touched is there whatever else the host does: no mood decides this test.
    let (idle, touched) = ("process{load=idle}", "process{load=touched}");
    let of = |a, b, runs, out, more: &[&'static str]| {
        let args = ["--a", a, "--b", b, "--scenario", "memory", "--runs", runs, "--out", out];
        args.iter().copied().chain(more.iter().copied()).collect::<Vec<_>>()
    };
    let gate = ["--junit", "gate.xml", "--comment", "gate.md", "--name", "memory gate"];
    assert_eq!(answer(&ground, &of(idle, touched, "20", "worse", &gate), 3)["verdict"], "more");
    let told = |name: &str| std::fs::read_to_string(ground.path(name)).unwrap();
    assert!(
        told("gate.xml").contains("<failure") && told("gate.md").starts_with("<!-- isomark:memory_gate -->")
    );
    assert_eq!(answer(&ground, &of(touched, idle, "20", "better", &[]), 0)["verdict"], "less");
    assert_eq!(answer(&ground, &of(idle, touched, "4", "few", &[]), 0)["verdict"], "inconclusive");
    let asked = ["--fail-on", "regression,inconclusive"];
    answer(&ground, &of(idle, touched, "4", "few5", &asked), 5);
    ground.write("lenient.toml", "[default]\nsize = { relative = \"5%\", absolute = \"1 GiB\" }\n");
    let lenient = ["--thresholds", "lenient.toml"];
    assert_eq!(answer(&ground, &of(idle, touched, "20", "lenient", &lenient), 0)["verdict"], "equivalent");
}

#[test]
fn precision_ends_a_comparison_and_the_cap_does_when_it_cannot() {
    let ground = Ground::new();
    let args = ["--a", "process", "--b", "process", "--precision", "100%", "--out", "r", "--seed", "3"];
    let told = answer(&ground, &args, 0);
    // The first look comes after twenty blocks, later ones every five.
    let n = told["n"].as_u64().unwrap();
    assert!(n >= 20 && n.is_multiple_of(5) && n < 5000, "{told}");
    let run = ground.json("r/run.json");
    assert_eq!(run["precision"], "100%");
}

#[test]
fn bad_words_are_refused_before_anything_is_made() {
    let ground = Ground::new();
    let elsewhere = tempfile::tempdir().unwrap();
    let talks = elsewhere.path().join("talks");
    std::fs::write(&talks, "#!/bin/sh\nexec cat /dev/zero\n").unwrap();
    std::fs::set_permissions(&talks, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let talks = format!("process@{}", talks.display());
    let bad: [(&[&str], &str); 9] = [
        (&["--a", "proces", "--b", "process"], "not on the shelf"),
        (&["--a", "process{", "--b", "process"], "not closed"),
        (&["--a", "process{memry=1M}", "--b", "process"], "memry"),
        (&["--a", "process@/bin/true", "--b", "process"], "cannot carry out trials"),
        (&["--a", "process@/nonexistent", "--b", "process"], "cannot carry out trials"),
        // It has no end, and none of it is a line.
        (&["--a", &talks, "--b", "process"], "cannot carry out trials"),
        (&["--a", "process", "--b", "process", "--scenario", "start"], "start"),
        (&["--a", "process", "--b", "process", "--metric", "startpu"], "startpu"),
        (&["--a", "process", "--b", "process", "--precision", "fine"], "precision"),
    ];
    for (args, word) in bad {
        let done = ground.expect(&[&["ab"], args].concat(), 2);
        let stderr = String::from_utf8(done.stderr.clone()).unwrap();
        assert!(stderr.contains(word), "{args:?}: {}", told(&done));
    }
    assert!(!ground.path("bench-results").exists() && ground.sites().is_empty());
    let seen =
        std::fs::read_dir(ground.dir()).unwrap().map(|e| e.unwrap().file_name()).collect::<BTreeSet<_>>();
    // The lock is not of this command but of the machine.
    assert_eq!(seen, ["lock".into(), "state".into()].into());
}
