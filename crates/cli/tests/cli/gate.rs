//! The gate as CI meets it: exit codes, what it says, and the files it leaves.
//!
//! Runs are real ones of smoke size, grown to enough blocks by repeating their trials with a small known jitter; what is
//! planted is planted into the stored samples.

use std::fs;
use std::path::PathBuf;

use isomark_core::record::{Outcome, Run, Sample};
use isomark_core::store::{Folder, pretty};
use serde_json::Value;

use crate::ground::{Ground, text, told};

/// A ground with the real run in `real`.
pub(crate) fn measured() -> Ground {
    let ground = Ground::new();
    let args = ["run", "--plan", "smoke", "--runtime", "process,namespace", "--scenario", "startup,disk"];
    let more = ["--runs", "2", "--seed", "7", "--quiet", "--out", "real"];
    ground.expect(&[&args[..], &more[..]].concat(), 0);
    ground
}

/// A longer run in `to` made of the trials of `real`, as `change` leaves them.
pub(crate) fn grow(
    ground: &Ground,
    to: &str,
    blocks: u32,
    change: impl Fn(&mut Run),
    plant: impl Fn(&Run, &Sample, &str, f64) -> f64,
) -> PathBuf {
    let (folder, mut run) = Folder::open(&ground.path("real")).unwrap();
    run.id = to.to_owned();
    run.blocks = blocks;
    run.started = format!("2026-03-{:02}T00:00:00Z", 1 + to.len() % 28);
    change(&mut run);
    let mut kept: Vec<Sample> =
        folder.samples().unwrap().into_iter().filter(|s| s.block == 0 && !s.warmup).collect();
    // One trial of a control lies anywhere: it becomes what a quiet host would show.
    for (at, of) in controls(&run) {
        let truth = kept.iter().find(|s| s.cell == of).map(|s| s.outcome.clone());
        kept.iter_mut().filter(|s| s.cell == at).for_each(|s| s.outcome.clone_from(truth.as_ref().unwrap()));
    }
    let grown = Folder::create(&ground.path(to), &run).unwrap();
    let mut writer = grown.append().unwrap();
    for block in 0..blocks {
        for sample in &kept {
            let mut sample = Sample { block, ..sample.clone() };
            let original = sample.clone();
            if let Outcome::Values(values) = &mut sample.outcome {
                for (name, value) in values {
                    let salt = (sample.cell * 31 + name.len() * 7 + block as usize * 13) % 11;
                    *value *= 1.0 + (salt as f64 - 5.0) * 1e-4;
                    *value = plant(&run, &original, name, *value);
                }
            }
            writer.sample(&sample).unwrap();
        }
    }
    ground.path(to)
}

/// Controls that repeat a cell, and the cell.
fn controls(run: &Run) -> Vec<(usize, usize)> {
    let arms = run.cells.iter().enumerate().filter_map(|(at, cell)| Some((at, cell.arm.as_ref()?)));
    arms.filter_map(|(at, arm)| Some((at, arm.of.filter(|_| arm.control)?))).collect()
}

pub(crate) fn as_measured(_: &Run, _: &Sample, _: &str, value: f64) -> f64 {
    value
}

/// 10 % more in every time of process's startup; its floor stays as it is.
pub(crate) fn slower(run: &Run, sample: &Sample, _: &str, value: f64) -> f64 {
    let cell = &run.cells[sample.cell];
    if cell.runtime == "process" && cell.scenario == "startup" { value * 1.1 } else { value }
}

pub(crate) fn json(output: &std::process::Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}: {}", told(output)))
}

#[test]
fn the_exit_code_says_what_was_found() {
    let ground = measured();
    grow(&ground, "base", 24, |_| {}, as_measured);
    grow(&ground, "same", 24, |_| {}, as_measured);
    grow(&ground, "slow", 24, |_| {}, slower);
    grow(&ground, "short", 8, |_| {}, slower);
    let same = ground.expect(&["check", "same", "--baseline", "base", "--format", "json"], 0);
    let same = json(&same);
    assert_eq!((&same["verdict"], &same["counts"]["regressions"]), (&"fine".into(), &0.into()), "{same}");
    assert!(same["counts"]["unchanged"].as_u64().unwrap() > 3, "{same}");
    let slow = ground.expect(&["check", "slow", "--baseline", "base", "--format", "json"], 3);
    let slow = json(&slow);
    let worse: Vec<&Value> =
        slow["findings"].as_array().unwrap().iter().filter(|f| f["class"] == "regression").collect();
    assert_eq!(slow["counts"]["regressions"], worse.len(), "{slow}");
    assert!(!worse.is_empty(), "{slow}");
    for finding in &worse {
        assert_eq!((&finding["runtime"], &finding["metric"]), (&"process".into(), &"startup".into()));
        let ratio = finding["ratio"].as_f64().unwrap();
        assert!((ratio - 1.1).abs() < 0.002, "{finding}");
    }
    let human = ground.expect(&["check", "slow", "--baseline", "base"], 3);
    let human = String::from_utf8(human.stdout).unwrap();
    assert!(human.contains("regression") && human.contains("+10.") && human.contains("verdict"), "{human}");
    // Too little data decides nothing, and says so if asked.
    ground.expect(&["check", "short", "--baseline", "base"], 0);
    let short = ["check", "short", "--baseline", "base", "--fail-on", "inconclusive"];
    let undecided = ground.expect(&short, 5);
    assert!(String::from_utf8_lossy(&undecided.stdout).contains("8 of 20 pairs"), "{}", told(&undecided));
    // compare shows the same and judges nobody.
    let shown = ground.expect(&["compare", "base", "slow", "--format", "json"], 0);
    assert_eq!(json(&shown)["findings"], slow["findings"]);
}

#[test]
fn unlike_hosts_and_payloads_are_refused_with_the_reason() {
    let ground = measured();
    grow(&ground, "base", 24, |_| {}, as_measured);
    grow(&ground, "foreign", 24, |run| run.host.kvm_class = "other-kind".into(), as_measured);
    grow(&ground, "stuffed", 24, |run| run.payload.sha256 = "f".repeat(64), as_measured);
    let foreign = ground.expect(&["check", "foreign", "--baseline", "base"], 6);
    let why = String::from_utf8_lossy(&foreign.stderr).into_owned();
    assert!(why.contains("KVM class") && why.contains("other-kind"), "{why}");
    let allowed = ground
        .expect(&["check", "foreign", "--baseline", "base", "--allow-cross-host", "--format", "json"], 0);
    assert!(json(&allowed)["notes"].to_string().contains("other-kind"), "{}", told(&allowed));
    let stuffed = ground.expect(&["check", "stuffed", "--baseline", "base", "--allow-cross-host"], 6);
    assert!(String::from_utf8_lossy(&stuffed.stderr).contains("payload"), "{}", told(&stuffed));
}

#[test]
fn nothing_compared_is_no_pass_and_what_is_lost_is_told() {
    let ground = measured();
    grow(&ground, "base", 24, |_| {}, as_measured);
    let elsewhere = |run: &mut Run| run.cells.iter_mut().for_each(|c| c.params.set("llc", 4));
    grow(&ground, "elsewhere", 24, elsewhere, as_measured);
    let nothing = ground.expect(&["check", "elsewhere", "--baseline", "base"], 4);
    assert!(String::from_utf8_lossy(&nothing.stderr).contains("nothing was compared"), "{}", told(&nothing));
    // All trials of one cell fail now.
    let broken = grow(&ground, "broken", 24, |_| {}, as_measured);
    let (_, run) = Folder::open(&broken).unwrap();
    let cell = run.cells.iter().position(|c| c.runtime == "process" && c.scenario == "startup").unwrap();
    let failed = r#"{"failed":{"phase":"start","kind":"os","message":"<b>no & more\u001b[31m|"}}"#;
    let lines = fs::read_to_string(broken.join("samples.jsonl")).unwrap();
    let lines = lines.lines().map(|line| {
        let mut sample: Value = serde_json::from_str(line).unwrap();
        if sample["cell"] == cell {
            let fields = sample.as_object_mut().unwrap();
            fields.remove("values");
            fields.append(serde_json::from_str::<Value>(failed).unwrap().as_object_mut().unwrap());
        }
        format!("{sample}\n")
    });
    fs::write(broken.join("samples.jsonl"), lines.collect::<String>()).unwrap();
    let done = ground.expect(
        &[
            "check",
            "broken",
            "--baseline",
            "base",
            "--junit",
            "g.xml",
            "--comment",
            "c.md",
            "--format",
            "json",
        ],
        3,
    );
    let lost = &json(&done)["lost"][0];
    assert_eq!((&lost["how"], &lost["class"]), (&"failed".into(), &"regression".into()), "{lost}");
    let xml = fs::read_to_string(ground.path("g.xml")).unwrap();
    assert!(
        xml.contains("<error message=") && xml.contains("&lt;b&gt;no &amp; more") && !xml.contains('\u{1b}')
    );
    let comment = fs::read_to_string(ground.path("c.md")).unwrap();
    assert!(comment.starts_with("<!-- isomark:check -->\n") && comment.contains("&lt;b&gt;no &amp; more"));
    assert!(!comment.contains("<b>") && comment.len() < 60_000, "{comment}");
}

#[test]
fn thresholds_are_held_and_misspelt_ones_refused() {
    let ground = measured();
    grow(&ground, "base", 24, |_| {}, as_measured);
    grow(&ground, "slow", 24, |_| {}, slower);
    let loose = "[[limit]]\nruntime = \"process\"\nmetric = \"startup\"\nrelative = \"15%\"\n";
    ground.write("loose.toml", loose);
    ground.expect(&["check", "slow", "--baseline", "base", "--thresholds", "loose.toml"], 0);
    ground.write("wrong.toml", loose.replace("\"startup\"", "\"startpu\""));
    let wrong = ground.expect(&["check", "slow", "--baseline", "base", "--thresholds", "wrong.toml"], 2);
    let why = String::from_utf8_lossy(&wrong.stderr).into_owned();
    assert!(why.contains("wrong.toml line 3") && why.contains("did you mean \"startup\"?"), "{why}");
    // A runtime of the shelf may be named whether this run has it or not.
    ground.write("shelf.toml", loose.replace("\"process\"", "\"microvm\""));
    ground.expect(&["check", "slow", "--baseline", "base", "--thresholds", "shelf.toml"], 3);
    ground.expect(&["check", "slow", "--baseline", "base", "--thresholds", "none.toml"], 2);
}

#[test]
fn a_baseline_of_several_runs_is_kept_verified_and_never_moves_by_itself() {
    let ground = measured();
    for name in ["one", "three", "eleven"] {
        grow(&ground, name, 24, |_| {}, as_measured);
    }
    grow(&ground, "slow", 24, |_| {}, slower);
    ground.expect(&["baseline", "save", "main", "one", "three"], 0);
    ground.expect(&["baseline", "save", "main", "eleven"], 0);
    let list = json(&ground.expect(&["baseline", "list", "--format", "json"], 0));
    assert_eq!(list[0]["runs"].as_array().unwrap().len(), 3, "{list}");
    let before = fs::read(ground.path("bench-results/baselines/main/baseline.json")).unwrap();
    let done = json(&ground.expect(&["check", "slow", "--baseline", "main", "--format", "json"], 3));
    assert_eq!(done["base"].as_array().unwrap().len(), 3);
    let last = ["check", "slow", "--baseline", "main", "--last", "1", "--format", "json"];
    assert_eq!(json(&ground.expect(&last, 3))["base"].as_array().unwrap().len(), 1);
    ground.expect(&["check", "one", "--baseline", "main"], 0);
    let after = fs::read(ground.path("bench-results/baselines/main/baseline.json")).unwrap();
    assert_eq!(before, after, "a check must not move the baseline");
    let unknown = ground.expect(&["check", "slow", "--baseline", "mian"], 2);
    assert!(
        String::from_utf8_lossy(&unknown.stderr).contains("did you mean \"main\"?"),
        "{}",
        told(&unknown)
    );
    ground.expect(&["check", "slow", "--baseline", "../main"], 2);
    // Not what was saved: refused.
    let file = ground.path("bench-results/baselines/main/eleven/samples.jsonl");
    let mut bytes = fs::read(&file).unwrap();
    bytes[20] ^= 1;
    fs::write(&file, bytes).unwrap();
    let torn = ground.expect(&["check", "slow", "--baseline", "main"], 2);
    assert!(String::from_utf8_lossy(&torn.stderr).contains("eleven/samples.jsonl"), "{}", told(&torn));
    ground.expect(&["baseline", "rm", "main"], 0);
    ground.expect(&["baseline", "rm", "main"], 2);
    assert!(!ground.path("bench-results/baselines/main").exists());
}

#[test]
fn a_foreign_run_does_not_enter_a_baseline() {
    let ground = measured();
    grow(&ground, "one", 6, |_| {}, as_measured);
    grow(&ground, "foreign", 6, |run| run.host.cpu = "another".into(), as_measured);
    ground.expect(&["baseline", "save", "main", "one"], 0);
    let refused = ground.expect(&["baseline", "save", "main", "foreign"], 2);
    assert!(String::from_utf8_lossy(&refused.stderr).contains("CPU: "), "{}", told(&refused));
    let (_, mut run) = Folder::open(&ground.path("one")).unwrap();
    run.id = "../../outside".into();
    let path = ground.path("foreign/run.json");
    fs::write(path, pretty(&run).unwrap()).unwrap();
    ground.expect(&["baseline", "save", "other", "foreign"], 2);
    assert!(!ground.path("outside").exists() && !ground.path("bench-results/outside").exists());
}

#[test]
fn ci_services_are_told_in_their_own_way() {
    let ground = measured();
    grow(&ground, "base", 24, |_| {}, as_measured);
    grow(&ground, "slow", 24, |_| {}, slower);
    let mut command = ground.isomark(&["check", "slow", "--baseline", "base", "--format", "json"]);
    let done = command
        .env("GITHUB_ACTIONS", "true")
        .env("GITHUB_STEP_SUMMARY", ground.path("step.md"))
        .env("GITHUB_OUTPUT", ground.path("out.txt"))
        .output()
        .unwrap();
    assert_eq!(done.status.code(), Some(3), "{}", told(&done));
    assert_eq!(text(&json(&done)["verdict"]), "regression");
    let stderr = String::from_utf8_lossy(&done.stderr).into_owned();
    let errors = stderr.lines().filter(|l| l.starts_with("::error title=isomark%3A regression::")).count();
    assert!((1..=10).contains(&errors), "{stderr}");
    let step = fs::read_to_string(ground.path("step.md")).unwrap();
    assert!(step.contains("❌ worse") && step.contains("process startup"), "{step}");
    let outputs = fs::read_to_string(ground.path("out.txt")).unwrap();
    assert!(outputs.contains("verdict=regression\n"), "{outputs}");
}
