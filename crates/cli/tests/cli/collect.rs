//! Collecting a fleet: every host ends in one state with its reasons, and what is kept can be reported.

use std::fs;

use isomark_core::record::{Outcome, Run, Sample};
use serde_json::Value;

use crate::gate::{as_measured, grow, json, measured};
use crate::ground::{Ground, text, told};

const HASH: &str = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";

fn fleet(replicas: u32) -> String {
    format!(
        "name = \"f\"\nplan = \"smoke\"\nseed = 100\ntime-limit = \"10m\"\nresults = \"/results\"\n\
         [isomark]\npath = \"/i\"\nsha256 = \"{HASH}\"\n\
         [[class]]\nlabel = \"a\"\nreplicas = {replicas}\nrequire = [\"process\"]\nselector.slurm = {{ partition = \"a\" }}\n\
         [[class]]\nlabel = \"b-c\"\nreplicas = 1\nselector.slurm = {{ partition = \"b\" }}\n"
    )
}

/// A host's folder below `res`, as it comes back if nothing is wrong, and as `change` leaves it.
fn host(
    ground: &Ground,
    (class, index, replicas): (&str, u32, u32),
    restart: u32,
    change: impl Fn(&mut Run),
) -> String {
    let node = format!("n{index}.example");
    let folder = format!("res/{class}-{index}.{node}.j7.r{restart}");
    let labelled = |run: &mut Run| {
        run.id = folder.clone();
        run.started = format!("2026-03-{:02}T00:00:00Z", 1 + restart);
        run.seed = if class == "a" { 100 + u64::from(index) } else { 100 + u64::from(replicas) };
        run.binary_sha256 = Some(HASH.into());
        let of = if class == "a" { replicas } else { 1 };
        let task = format!("{index}/{of}");
        let restart = restart.to_string();
        let labels =
            [("fleet", "f"), ("class", class), ("task", &task), ("node", &node), ("restart", &restart)];
        run.labels = labels.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        change(run);
    };
    // Hosts differ by a known share: an even spread of the startup of namespace around the process of the same host.
    let planted = |run: &Run, sample: &Sample, name: &str, value: f64| {
        let cell = &run.cells[sample.cell];
        let shifted = cell.runtime == "namespace" && cell.scenario == "startup" && name == "startup";
        if shifted { value * 2.0 * (0.05 * (f64::from(index) - 2.0)).exp() } else { value }
    };
    grow(ground, &folder, 6, labelled, planted);
    folder
}

fn collect(ground: &Ground, more: &[&str], code: i32) -> Value {
    let base = ["fleet", "collect", "res", "--fleet", "fleet.toml", "--format", "json"];
    json(&ground.expect(&[&base, more].concat(), code))
}

/// State and reasons of a host.
fn state(found: &Value, class: &str, index: u64) -> (String, String) {
    let hosts = found["hosts"].as_array().unwrap();
    let host = hosts.iter().find(|h| h["class"] == class && h["index"] == index).unwrap();
    (text(&host["status"]), host["reasons"].to_string())
}

#[test]
fn a_whole_fleet_is_collected_and_reported_over_its_hosts() {
    let ground = measured();
    ground.write("fleet.toml", fleet(5));
    for index in 0..5 {
        host(&ground, ("a", index, 5), 0, |_| {});
    }
    host(&ground, ("b-c", 0, 5), 0, |_| {});
    let found = collect(&ground, &["--out", "all"], 0);
    assert_eq!(found["schema"], "isomark.fleet/1");
    assert_eq!(found["set_aside"], Value::Array(Vec::new()));
    ground.expect(&["fleet", "collect", "res", "--fleet", "fleet.toml", "--out", "all"], 2);
    let summary = json(&ground.expect(&["report", "all", "--format", "json"], 0));
    assert_eq!(summary, ground.json("all/summary.json"));
    let class = |at: usize| &summary["classes"][at];
    assert_eq!((&class(0)["hosts"], &class(1)["hosts"]), (&5.into(), &1.into()));
    let cells = class(0)["cells"].as_array().unwrap();
    let cell =
        |runtime: &str| cells.iter().find(|c| c["runtime"] == runtime && c["scenario"] == "startup").unwrap();
    if let Some(versus) =
        cells.iter().find(|c| c["runtime"] == "namespace").map(|_| &cell("namespace")["metrics"][0]["versus"])
    {
        let points = cell("namespace")["metrics"][0]["points"].as_array().unwrap();
        let ratios: Vec<f64> = points.iter().map(|p| p["ratio"].as_f64().unwrap()).collect();
        let typical = ratios.iter().map(|r| r.ln()).sum::<f64>() / 5.0;
        assert!((versus["ratio"].as_f64().unwrap() / typical.exp() - 1.0).abs() < 1e-6, "{versus}");
        // Host 0 lies 10 % below the typical one, host 4 as far above: known, and nothing else differs.
        assert!((ratios[4] / ratios[0] / 0.2_f64.exp() - 1.0).abs() < 0.01, "{ratios:?}");
        assert!(versus["ci95"].is_array() && versus["icc"].as_f64().unwrap() > 0.95, "{versus}");
        let sd = versus["between_sd"].as_f64().unwrap();
        assert!((sd / (0.0025_f64 * 2.5).sqrt() - 1.0).abs() < 0.05, "{versus}");
    }
    let other = class(1)["cells"].as_array().unwrap().iter().find(|c| c["runtime"] == "namespace");
    if let Some(versus) = other.map(|c| &c["metrics"][0]["versus"]) {
        assert!(versus["ci95"].is_null() && text(&versus["why"]).contains("1 of 5 hosts"), "{versus}");
    }
    assert!(summary["warnings"].to_string().contains("b-c: 1 hosts are too few"), "{}", summary["warnings"]);
    let page = fs::read_to_string(ground.path("all/report.html")).unwrap();
    assert!(
        page.contains("a-3 (n3.example)") && page.contains("<svg") && !page.contains("http://"),
        "{}",
        page.len()
    );
    assert!(fs::read_to_string(ground.path("all/summary.md")).unwrap().contains("| process |"));
    assert!(fs::read_dir(ground.path("all/charts")).unwrap().count() > 0);
    ground.expect(&["report", "all", "--lang", "zh"], 0);
    let page = fs::read_to_string(ground.path("all/report.html")).unwrap();
    let left = crate::english::sentences(&page, true);
    assert!(left.is_empty() && page.contains("<html lang=\"zh\">"), "{}", left.join("\n"));
    let left = crate::english::sentences(&fs::read_to_string(ground.path("all/summary.md")).unwrap(), false);
    assert!(left.is_empty(), "{}", left.join("\n"));
    assert_eq!(summary, ground.json("all/summary.json"), "a contract, in English");
    // A host's own folder is a run like any other.
    ground.expect(&["report", "all/hosts/a-3"], 0);
}

#[test]
fn no_host_is_missing_in_silence() {
    let ground = measured();
    ground.write("fleet.toml", fleet(9));
    for index in [0, 1] {
        host(&ground, ("a", index, 9), 0, |_| {});
    }
    // A requeued duplicate: the node was only silent, and both attempts are whole.
    host(&ground, ("a", 1, 9), 1, |_| {});
    let cut = host(&ground, ("a", 2, 9), 0, |_| {});
    fs::rename(ground.path(&cut), ground.path(&format!("{cut}.tmp"))).unwrap();
    fs::create_dir_all(ground.path("res/a-3.n3.j7.r0.failed")).unwrap();
    ground.write("res/a-3.n3.j7.r0.failed/status", "6\n");
    ground.write("res/a-3.n3.j7.r0.failed/task.log", "isomark: microvm is required: \u{1b}[31mno /dev/kvm\n");
    host(&ground, ("a", 4, 9), 0, |run| run.host.kernel = "9.9".into());
    host(&ground, ("a", 5, 9), 0, |run| run.seed = 1);
    host(&ground, ("a", 6, 9), 0, |run| {
        run.labels.insert("node".into(), "n0.example".into());
    });
    let torn = host(&ground, ("a", 7, 9), 0, |_| {});
    fs::write(ground.path(&format!("{torn}/run.json")), "{\"schema\":\"isomark.run/9\"}").unwrap();
    host(&ground, ("a", 8, 9), 0, |run| run.payload.sha256 = "c".repeat(64));
    grow(&ground, "res/stranger", 2, |_| {}, as_measured);
    host(&ground, ("z", 0, 9), 0, |_| {});
    let found = collect(&ground, &["--out", "all"], 6);
    let is = |class: &str, index: u64, status: &str, why: &str| {
        let (found, reasons) = state(&found, class, index);
        assert!(found == status && reasons.contains(why), "{class}-{index}: {found} {reasons}");
    };
    is("a", 0, "ok", "[]");
    is("a", 1, "ok", "[]");
    is("a", 2, "missing", "cut short after");
    is("a", 3, "failed", "isomark ended with 6: isomark: microvm is required");
    is("a", 4, "unlike", "kernel");
    is("a", 5, "failed", "field seed is 1, not 105");
    is("a", 6, "failed", "stands for number 0 already");
    is("a", 7, "failed", "isomark.run/9");
    is("a", 8, "unlike", "payload cccccccccccc");
    is("b-c", 0, "missing", "no folder came back");
    let aside = found["set_aside"].to_string();
    assert!(aside.contains("r1") && aside.contains("a second result of the same host's task"), "{aside}");
    assert!(aside.contains("stranger") && aside.contains("no class \\\"z\\\""), "{aside}");
    let done = ground.expect(&["fleet", "collect", "res", "--fleet", "fleet.toml"], 6);
    let said = String::from_utf8_lossy(&done.stdout).into_owned();
    assert!(said.contains("missing: b-c-0") && !said.contains('\u{1b}'), "{}", told(&done));
    let summary = json(&ground.expect(&["report", "all", "--format", "json"], 0));
    assert_eq!(summary["classes"][0]["hosts"], 2);
    assert!(summary["warnings"].to_string().contains("2 of 9 hosts can be used"), "{}", summary["warnings"]);
    // Without a description gaps within a class are still seen, and what cannot be known is said.
    let blind = json(&ground.expect(&["fleet", "collect", "res", "--format", "json"], 6));
    assert_eq!(state(&blind, "a", 3).0, "failed");
    assert!(blind["notes"].to_string().contains("without --fleet"), "{}", blind["notes"]);
}

#[test]
fn what_cannot_be_used_is_told_by_its_own_code() {
    let ground = measured();
    ground.write("fleet.toml", fleet(1));
    ground.expect(&["fleet", "collect", "res", "--fleet", "fleet.toml"], 2);
    fs::create_dir(ground.path("res")).unwrap();
    ground.expect(&["fleet", "collect", "res", "--fleet", "fleet.toml"], 2);
    host(&ground, ("a", 0, 1), 0, |run| run.blocks = 8);
    let found = collect(&ground, &["--out", "all"], 4);
    assert!(state(&found, "a", 0).1.contains("incomplete"), "{found}");
    assert!(!ground.path("all").exists());
    let run: Run = serde_json::from_value(ground.json("res/a-0.n0.example.j7.r0/run.json")).unwrap();
    assert!(run.cells.iter().all(|cell| cell.every == 1));
    // A wrong answer on one host is that host's failure.
    fs::remove_dir_all(ground.path("res")).unwrap();
    let folder = host(&ground, ("a", 0, 1), 0, |_| {});
    let file = ground.path(&format!("{folder}/samples.jsonl"));
    let lines = fs::read_to_string(&file).unwrap();
    let mut first: Sample = serde_json::from_str(lines.lines().next().unwrap()).unwrap();
    first.outcome = Outcome::Failed(isomark_core::record::Failure {
        phase: None,
        kind: "wrong-answer".into(),
        message: "2 + 2 = 5".into(),
    });
    let (_, rest) = lines.split_once('\n').unwrap();
    fs::write(&file, format!("{}\n{rest}", serde_json::to_string(&first).unwrap())).unwrap();
    assert!(state(&collect(&ground, &[], 4), "a", 0).1.contains("wrong answer of"));
    // Nothing outside of a folder is taken along.
    let blocks = ground.path(&format!("{folder}/blocks.jsonl"));
    fs::write(&file, lines).unwrap();
    collect(&ground, &[], 6);
    fs::remove_file(&blocks).unwrap();
    std::os::unix::fs::symlink("/etc/hostname", &blocks).unwrap();
    assert!(state(&collect(&ground, &["--out", "all"], 4), "a", 0).1.contains("a link"));
    ground.write("all/fleet.json", "{\"schema\":\"isomark.fleet/1\",\"hosts\":[{\"class\":\"../..\"}]}");
    ground.expect(&["report", "all"], 2);
}
