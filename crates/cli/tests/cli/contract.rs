//! The contract's shapes: `list --format json`, the folder of a run and what is in it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use isomark_core::record::Outcome;
use isomark_core::store::Folder;
use serde_json::Value;

use crate::ground::{Ground, stands_on, text, told};

fn keys(value: &Value) -> BTreeSet<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

fn is_sha256(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

#[test]
fn list_has_the_shape_of_the_contract() {
    let ground = Ground::new();
    let listing = ground.listing();
    assert_eq!(keys(&listing), ["payload_sha256", "plans", "runtimes", "scenarios"].into());
    assert!(is_sha256(&text(&listing["payload_sha256"])), "{listing}");
    let fields = ["kind", "name", "reason", "remedy", "source", "status", "verified", "version"].into();
    let mut names = Vec::new();
    for runtime in listing["runtimes"].as_array().unwrap() {
        assert_eq!(keys(runtime), fields, "{runtime}");
        names.push(text(&runtime["name"]));
        let given = |key: &str| !runtime[key].is_null() && !text(&runtime[key]).is_empty();
        let given = ["version", "reason", "remedy"].map(given);
        match runtime["status"].as_str() {
            Some("available") => assert_eq!(given, [true, false, false], "{runtime}"),
            Some("unavailable") => assert_eq!(given, [false, true, true], "{runtime}"),
            other => panic!("status {other:?}"),
        }
    }
    assert_eq!(names[..3], ["process", "namespace", "microvm"]);
    assert!(!names.iter().any(|name| name.starts_with("floor")), "{names:?}");
    let scenarios = listing["scenarios"].as_array().unwrap();
    let names = scenarios.iter().map(|s| text(&s["name"])).collect::<Vec<_>>();
    assert_eq!(names[..4], ["startup", "memory", "disk", "throughput"]);
    for scenario in scenarios {
        assert_eq!(keys(scenario), ["metrics", "name", "question"].into());
        assert!(!scenario["metrics"].as_array().unwrap().is_empty(), "{scenario}");
    }
    let plans = listing["plans"].as_array().unwrap().iter().map(|p| text(&p["name"])).collect::<Vec<_>>();
    assert!(["quick", "full", "smoke"].iter().all(|plan| plans.contains(&(*plan).to_owned())), "{plans:?}");
    assert!(ground.sites().is_empty(), "list leaves {:?}", ground.sites());
}

#[test]
fn a_run_leaves_everything_the_contract_names() {
    let ground = Ground::new();
    let available = ground.runtimes();
    let done = ground.expect(&["run", "--plan", "smoke", "--seed", "42"], 0);
    let table = String::from_utf8(done.stdout.clone()).unwrap();
    assert!(available.iter().all(|name| table.contains(name)), "{}", told(&done));
    let latest = fs::read_link(ground.path("bench-results/latest")).unwrap();
    let dir = format!("bench-results/{}", latest.display());
    assert!(dir.ends_with("-smoke") && ground.path(&dir).is_dir(), "{dir}");
    for name in ["run.json", "samples.jsonl", "samples.csv", "summary.json", "summary.md", "report.html"] {
        assert!(fs::metadata(ground.path(&dir).join(name)).unwrap().len() > 0, "{name}");
    }
    let charts = fs::read_dir(ground.path(&dir).join("charts")).unwrap().map(|e| e.unwrap().path());
    let charts = charts.collect::<Vec<_>>();
    assert!(charts.len() >= 4, "{charts:?}");
    for chart in &charts {
        assert!(fs::read(chart).unwrap().starts_with(b"\x89PNG\r\n\x1a\n"), "{}", chart.display());
    }
    let partial = fs::read_dir(ground.path(&dir)).unwrap().map(|e| e.unwrap().file_name());
    assert!(partial.into_iter().all(|name| !name.to_string_lossy().ends_with(".part")));
    answers(&ground, &dir, &available);
    every_trial_is_there_once(&ground, &dir);
    again(&ground, &dir);
    assert!(ground.sites().is_empty(), "run leaves {:?}", ground.sites());
}

/// Same payload everywhere, all four scenarios answered by whoever can run, a reason and a remedy from the others.
fn answers(ground: &Ground, dir: &str, available: &[String]) {
    let summary = ground.json(&format!("{dir}/summary.json"));
    let payload = text(&ground.listing()["payload_sha256"]);
    assert_eq!(summary["schema"], "isomark.summary/1");
    assert_eq!((&summary["run"]["seed"], &summary["run"]["plan"]), (&42.into(), &"smoke".into()));
    assert_eq!(text(&summary["run"]["payload_sha256"]), payload);
    let mut answered: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for cell in summary["cells"].as_array().unwrap() {
        assert_eq!(text(&cell["payload_sha256"]), payload, "{cell}");
        let runtime = text(&cell["runtime"]);
        let stands_on = stands_on(&runtime).to_owned();
        if available.contains(&stands_on) {
            assert_eq!(cell["status"], "ok", "{cell}");
            answered.entry(runtime).or_default().insert(text(&cell["scenario"]));
        } else {
            assert_eq!(cell["status"], "skipped", "{cell}");
            assert!(!text(&cell["reason"]).is_empty() && !text(&cell["remedy"]).is_empty(), "{cell}");
        }
    }
    let four = ["disk", "memory", "startup", "throughput"].map(str::to_owned).into();
    for runtime in available {
        assert_eq!(answered[runtime], four, "{runtime}");
    }
    // Not every runtime has a floor to stand on; one that is there is told with the startup and nothing else.
    let floors = answered.iter().filter(|(name, _)| name.starts_with("floor-")).collect::<Vec<_>>();
    assert!(floors.iter().any(|(name, _)| *name == "floor-process"), "{floors:?}");
    assert!(floors.iter().all(|(_, scenarios)| scenarios.iter().eq(["startup"])), "{floors:?}");
}

fn every_trial_is_there_once(ground: &Ground, dir: &str) {
    let (folder, run) = Folder::open(&ground.path(dir)).unwrap();
    let samples = folder.samples().unwrap();
    let trials = samples.iter().map(|s| (s.cell, s.block)).collect::<BTreeSet<_>>();
    let wanted = (0..run.cells.len()).filter(|c| run.cells[*c].skipped.is_none());
    let wanted = wanted.flat_map(|cell| (0..run.blocks).map(move |block| (cell, block)));
    assert_eq!(trials, wanted.collect(), "of {} samples", samples.len());
    assert_eq!(trials.len(), samples.len());
    for sample in &samples {
        assert!(matches!(sample.outcome, Outcome::Values(_)), "{sample:?}");
    }
    assert_eq!(folder.blocks().unwrap().len(), run.blocks as usize);
    let csv = fs::read_to_string(ground.path(dir).join("samples.csv")).unwrap();
    assert!(csv.lines().count() > samples.len(), "one row per value");
}

/// What is derived is a function of what is stored.
fn again(ground: &Ground, dir: &str) {
    let names = ["summary.json", "summary.md", "report.html", "samples.csv"];
    let read = || names.map(|name| fs::read(ground.path(dir).join(name)).unwrap());
    let before = read();
    let done = ground.expect(&["report", "--format", "json", dir], 0);
    assert!(before == read(), "report writes other files than run did");
    let printed: Value = serde_json::from_slice(&done.stdout).unwrap();
    assert_eq!(printed, ground.json(&format!("{dir}/summary.json")));
}

#[test]
fn a_machine_finds_the_result_on_stdout_and_nothing_else() {
    let ground = Ground::new();
    let args = ["run", "--runtime", "process", "--scenario", "startup", "--runs", "2", "--out", "here"];
    let done = ground.isomark(&args).env("ISOMARK_FORMAT", "json").env("ISOMARK_PLAN", "smoke").output();
    let done = done.unwrap();
    assert_eq!(done.status.code(), Some(0), "{}", told(&done));
    let summary: Value = serde_json::from_slice(&done.stdout).unwrap();
    assert_eq!(summary, ground.json("here/summary.json"));
    assert!(String::from_utf8_lossy(&done.stderr).contains("here/report.html"), "{}", told(&done));
    assert!(!ground.path("bench-results").exists(), "--out names the only folder");
    let mut quiet = ground.isomark(&["run", "--plan", "smoke", "--quiet", "--out", "there"]);
    let quiet = quiet.args(&args[1..7]).env("GITHUB_STEP_SUMMARY", ground.path("step.md")).output().unwrap();
    assert!(quiet.status.success() && quiet.stderr.is_empty(), "{}", told(&quiet));
    let step = fs::read(ground.path("step.md")).unwrap();
    assert_eq!(step, fs::read(ground.path("there/summary.md")).unwrap());
}

#[test]
fn a_scenario_that_is_named_needs_no_plan_that_asks_it() {
    let ground = Ground::new();
    let named = ["run", "-q", "--runtime", "process", "--scenario", "reclaim,startup", "--runs", "1"];
    ground.expect(&[&named[..], &["--out", "r"]].concat(), 0);
    let run = ground.json("r/run.json");
    let (mut asked, cells) = (BTreeMap::new(), run["cells"].as_array().unwrap());
    cells.iter().for_each(|cell| *asked.entry(text(&cell["scenario"])).or_insert(0) += 1);
    assert_eq!(asked.keys().collect::<Vec<_>>(), ["reclaim", "startup"]);
    // As the quick plan asks it where it does, and else in its own way, each with what it asks for whoever reads the run.
    assert!(asked["startup"] > 1, "{asked:?}");
    let questions = run["questions"].as_object().unwrap();
    assert_eq!(questions.keys().collect::<Vec<_>>(), asked.keys().collect::<Vec<_>>());
    let page = fs::read_to_string(ground.path("r/report.html")).unwrap();
    assert!(page.contains("reclaim") && ground.path("r/charts/reclaim.png").exists());
}

#[test]
fn a_time_budget_leaves_a_run_that_can_be_resumed() {
    let ground = Ground::new();
    let only = ["--runtime", "process", "--scenario", "startup", "--plan", "smoke", "--runs", "400"];
    let args = [&["run", "--time-budget", "1ms", "--out", "r"], &only[..]].concat();
    let done = ground.expect(&args, 0);
    assert!(String::from_utf8_lossy(&done.stderr).contains("--resume r"), "{}", told(&done));
    ground.expect(&["run", "--quiet", "--resume", "r"], 0);
    every_trial_is_there_once(&ground, "r");
}

#[test]
fn a_program_of_the_user_is_measured_in_every_runtime() {
    let ground = Ground::new();
    let available = ground.runtimes();
    let program = crate::elf::copier(&ground.path("copy"), b"", 0);
    let command = format!("'{}' --flag 'two words'", program.display());
    ground.expect(&["run", "-q", "--program", &command, "--runs", "3", "--out", "r"], 0);
    let (run, summary) = (ground.json("r/run.json"), ground.json("r/summary.json"));
    assert_eq!(run["program"]["args"], serde_json::json!(["--flag", "two words"]));
    for cell in summary["cells"].as_array().unwrap() {
        assert_eq!(
            (&cell["scenario"], &cell["payload_sha256"]),
            (&"program".into(), &run["program"]["sha256"])
        );
        let expected = if available.contains(&text(&cell["runtime"])) { "ok" } else { "skipped" };
        assert_eq!(cell["status"], expected, "{cell}");
    }
    // A failed command is no measurement, and no wrong answer of the payload either.
    let failing = crate::elf::copier(&ground.path("fail"), b"no such thing\n", 3);
    let failing = failing.display().to_string();
    ground.expect(
        &["run", "-q", "--program", &failing, "--runs", "1", "--runtime", "process", "--out", "f"],
        0,
    );
    let cell = &ground.json("f/summary.json")["cells"][0];
    assert_eq!(cell["status"], "failed", "{cell}");
    let why = cell["failures"].to_string();
    assert!(why.contains("exit status 3") && why.contains("no such thing"), "{why}");
}
