//! Verbs over several runs: merge, export and history.

use std::collections::BTreeSet;
use std::fs;

use isomark_core::record::Run;
use isomark_core::store::Folder;
use serde_json::Value;

use crate::gate::{as_measured, grow, json, measured, slower};
use crate::ground::{Ground, told};

#[test]
fn runs_of_one_plan_and_host_become_one_longer_run() {
    let ground = measured();
    grow(&ground, "a", 12, |run| run.seed = 1, as_measured);
    grow(&ground, "bcd", 13, |run| run.seed = 2, as_measured);
    ground.expect(&["merge", "bcd", "a", "--out", "both"], 0);
    let (folder, run) = Folder::open(&ground.path("both")).unwrap();
    let samples = folder.samples().unwrap();
    assert_eq!((run.blocks, samples.len()), (25, count(&ground, "a") + count(&ground, "bcd")));
    let trials: BTreeSet<(usize, u32)> = samples.iter().map(|s| (s.cell, s.block)).collect();
    assert_eq!(trials.len(), samples.len(), "no block is there twice");
    let merged = ground.json("both/merged.json");
    let first = |at: usize| merged["parts"][at]["first_block"].as_u64().unwrap();
    assert_eq!((first(0), first(1)), (0, 12), "{merged}");
    assert_eq!(merged["parts"][1]["seed"], 2, "{merged}");
    let report = ground.expect(&["report", "both", "--format", "json"], 0);
    assert_eq!(json(&report)["run"]["blocks_done"], 25);
    // It can be used like any other run.
    ground.expect(&["check", "both", "--baseline", "both"], 0);
    ground.expect(&["merge", "a", "bcd", "--out", "both"], 2);
    // Its pages look as asked for, or nothing is merged.
    ground.expect(&["merge", "a", "bcd", "--out", "zh", "--lang", "zh"], 0);
    let page = fs::read_to_string(ground.path("zh/report.html")).unwrap();
    assert!(page.contains("<html lang=\"zh\">"));
    ground.expect(&["merge", "a", "bcd", "--out", "xx", "--lang", "xx"], 2);
    assert!(!ground.path("xx").exists());
}

fn count(ground: &Ground, name: &str) -> usize {
    Folder::open(&ground.path(name)).unwrap().0.samples().unwrap().len()
}

#[test]
fn what_is_not_one_population_is_not_merged() {
    let ground = measured();
    grow(&ground, "a", 6, |_| {}, as_measured);
    let refused = |name: &str, change: &dyn Fn(&mut Run), code: i32, field: &str| {
        grow(&ground, name, 6, change, as_measured);
        let done = ground.expect(&["merge", "a", name, "--out", "both"], code);
        assert!(String::from_utf8_lossy(&done.stderr).contains(field), "{}", told(&done));
        assert!(!ground.path("both").exists());
    };
    refused("plan", &|run| run.plan = "other".into(), 2, "field plan");
    refused("payload", &|run| run.payload.sha256 = "0".repeat(64), 2, "field payload.sha256");
    refused("cells", &|run| run.cells[0].every = 2, 2, "field cells[0]");
    refused("host", &|run| run.host.kernel = "9.9".into(), 6, "kernel: ");
    refused("twin", &|run| run.id = "a".into(), 2, "field id");
    ground.expect(&["merge", "a", "nowhere", "--out", "both"], 2);
}

#[test]
fn every_export_reads_back() {
    let ground = measured();
    let hostile = |run: &mut Run| {
        run.host.name = "\"h\\\n<&".into();
        run.cells[0].params.set("note", "a\"b<c>&'d'\u{1b}[31m");
    };
    grow(&ground, "run", 24, hostile, as_measured);
    let export = |format: &str, more: &[&str]| {
        let done = ground.expect(&[&["export", "run", "--format", format], more].concat(), 0);
        String::from_utf8(done.stdout).unwrap()
    };
    let summary: Value = serde_json::from_str(&export("json", &[])).unwrap();
    assert_eq!(summary["schema"], "isomark.summary/1");
    let cells = summary["cells"].as_array().unwrap();
    // CSV by the csv crate.
    let text = export("csv", &[]);
    let mut rows = csv::Reader::from_reader(text.as_bytes());
    let median = rows.headers().unwrap().iter().position(|h| h == "median").unwrap();
    let rows: Vec<csv::StringRecord> = rows.records().map(Result::unwrap).collect();
    assert!(rows.len() >= cells.len() && rows.iter().any(|row| row[median].parse::<f64>().is_ok()));
    // JUnit by a parser of XML.
    let text = export("junit", &[]);
    let document = roxmltree::Document::parse(&text).unwrap();
    let cases = document.descendants().filter(|node| node.has_tag_name("testcase")).count();
    assert_eq!(cases, cells.len());
    assert_eq!(document.root_element().attribute("tests"), Some(cases.to_string().as_str()));
    let skipped = document.descendants().filter(|node| node.has_tag_name("skipped")).count();
    assert_eq!(skipped, cells.iter().filter(|cell| cell["status"] == "skipped").count());
    // Bencher's format against its published schema: objects of objects of numbers, value required.
    let bmf: Value = serde_json::from_str(&export("bmf", &[])).unwrap();
    for measure in bmf.as_object().unwrap().values().flat_map(|m| m.as_object().unwrap().values()) {
        assert!(measure["value"].is_number(), "{measure}");
        for (key, number) in measure.as_object().unwrap() {
            assert!(["value", "lower_value", "upper_value"].contains(&key.as_str()) && number.is_number());
        }
    }
    let smaller: Value = serde_json::from_str(&export("github-benchmark", &[])).unwrap();
    let all = smaller.as_array().unwrap();
    assert!(!all.is_empty() && all.iter().all(|e| e["name"].is_string() && e["value"].is_number()));
    assert!(all.iter().all(|e| e["unit"] == "ns" || e["unit"] == "byte"), "{smaller}");
    let bigger = export("github-benchmark", &["--direction", "bigger"]);
    assert_eq!(
        serde_json::from_str::<Value>(&bigger).unwrap(),
        Value::Array(Vec::new()),
        "no rate was measured"
    );
    openmetrics(&export("openmetrics", &[]));
    // To a file, whole.
    export("bmf", &["--out", "out/bmf.json"]);
    assert_eq!(ground.json("out/bmf.json"), bmf);
}

/// The rules of the text format that a collector insists on.
fn openmetrics(text: &str) {
    assert!(text.ends_with("# EOF\n") && !text.contains("\n\n"), "{text}");
    let mut families: Vec<&str> = Vec::new();
    for line in text.lines().filter(|line| *line != "# EOF") {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (family, kind) = rest.split_once(' ').unwrap();
            assert!(["gauge", "info"].contains(&kind) && !families.contains(&family), "{line}");
            families.push(family);
        } else if let Some(rest) = line.strip_prefix("# UNIT ") {
            let (family, unit) = rest.split_once(' ').unwrap();
            assert!(family.ends_with(&format!("_{unit}")) && families.last() == Some(&family), "{line}");
        } else if !line.starts_with("# HELP ") {
            let (name, rest) = line.split_once('{').unwrap();
            let family = families.last().unwrap();
            assert!(name == *family || name == format!("{family}_info"), "{line} below {family}");
            let (labels, value) = rest.rsplit_once("} ").unwrap();
            assert!(value.parse::<f64>().is_ok(), "{line}");
            let unescaped = labels.replace("\\\\", "").replace("\\\"", "");
            assert_eq!(unescaped.matches('"').count() % 2, 0, "{line}");
        }
    }
    assert!(families.len() > 2, "{text}");
}

/// Twelve runs in a folder, of which the last six are slower.
fn past() -> Ground {
    let ground = measured();
    for day in 0..12 {
        let name = format!("results/2026030{day:02}-run");
        let date = |run: &mut Run| run.started = format!("2026-03-{:02}T00:00:00Z", day + 1);
        let jitter = move |value: f64| value * (1.0 + f64::from(day % 3) * 1e-4);
        if day < 6 {
            grow(&ground, &name, 6, date, |run, s, m, v| jitter(as_measured(run, s, m, v)));
        } else {
            grow(&ground, &name, 6, date, |run, s, m, v| jitter(slower(run, s, m, v)));
        }
        ground.expect(&["report", &name], 0);
    }
    ground
}

#[test]
fn a_history_shows_what_changed_and_when() {
    let ground = past();
    let show = ["history", "results", "--runtime", "process", "--scenario", "startup", "--format", "json"];
    let first = json(&ground.expect(&show, 0));
    assert_eq!((&first["runs"], first["broken"].as_array().unwrap().len()), (&12.into(), 0));
    let series = first["series"].as_array().unwrap();
    assert!(!series.is_empty() && series.iter().all(|s| s["points"].as_array().unwrap().len() == 12));
    for one in series {
        let change = &one["changes"][0];
        assert_eq!((&change["at"], &change["direction"]), (&6.into(), &"worse".into()), "{one}");
    }
    assert!(ground.path("results/history.sqlite").is_file());
    assert_eq!(json(&ground.expect(&show, 0)), first, "with the index as without");
    let human = ground.expect(&["history", "results", "--last", "3", "--html", "out/h.html"], 0);
    let human = String::from_utf8(human.stdout).unwrap();
    assert!(human.contains("3 runs") && human.contains("process startup"), "{human}");
    let page = fs::read_to_string(ground.path("out/h.html")).unwrap();
    assert!(page.contains("<svg") && !page.contains("http://") && !page.contains("https://"));
    let charts: Vec<_> =
        fs::read_dir(ground.path("out/h-charts")).unwrap().map(|e| e.unwrap().path()).collect();
    assert!(!charts.is_empty());
    for chart in charts {
        let name = chart.file_name().unwrap().to_string_lossy().into_owned();
        assert!(page.contains(&name) && fs::read(&chart).unwrap().starts_with(b"\x89PNG"), "{name}");
    }
    ground.expect(&["history", "results", "--html", "out/z.html", "--lang", "zh"], 0);
    let page = fs::read_to_string(ground.path("out/z.html")).unwrap();
    let left = crate::english::sentences(&page, true);
    assert!(left.is_empty() && page.contains("<html lang=\"zh\">"), "{}", left.join("\n"));
    ground.expect(&["history", "results", "--html", "out/z.html", "--lang", "xx"], 2);
    let wrong = ground.expect(&["history", "results", "--metric", "startpu"], 4);
    assert!(String::from_utf8_lossy(&wrong.stderr).contains("did you mean \"startup\"?"), "{}", told(&wrong));
    ground.expect(&["history", "nowhere"], 2);
}

#[test]
fn the_index_follows_the_folders() {
    let ground = past();
    let show = ["history", "results", "--format", "json"];
    let runs = |code: i32| json(&ground.expect(&show, code))["runs"].as_u64().unwrap();
    assert_eq!(runs(0), 12);
    // A corrupt or an old index is built anew.
    let index = ground.path("results/history.sqlite");
    fs::write(&index, "not a database, but long enough to be taken for one".repeat(100)).unwrap();
    let again = ground.expect(&show, 0);
    assert_eq!(json(&again)["runs"], 12);
    assert!(String::from_utf8_lossy(&again.stderr).contains("built anew"), "{}", told(&again));
    // Torn in the middle: the header is fine, the tables are not.
    let whole = fs::read(&index).unwrap();
    let torn: Vec<u8> = whole.iter().enumerate().map(|(at, b)| if at < 4096 { *b } else { 0xa5 }).collect();
    fs::write(&index, torn).unwrap();
    assert_eq!(runs(0), 12);
    fs::remove_file(&index).unwrap();
    assert_eq!(runs(0), 12);
    // Gone, broken and repaired folders are noticed.
    fs::remove_dir_all(ground.path("results/202603003-run")).unwrap();
    assert_eq!(runs(0), 11);
    let summary = ground.path("results/202603004-run/summary.json");
    let kept = fs::read(&summary).unwrap();
    fs::write(&summary, &kept[..kept.len() / 2]).unwrap();
    for _ in 0..2 {
        let done = ground.expect(&show, 0);
        assert_eq!(json(&done)["runs"], 10);
        let said = String::from_utf8_lossy(&done.stderr).into_owned();
        assert!(said.contains("left out 202603004-run: summary.json"), "{said}");
    }
    fs::write(&summary, kept).unwrap();
    assert_eq!(runs(0), 11);
    fs::remove_file(&summary).unwrap();
    let done = ground.expect(&show, 0);
    assert_eq!(json(&done)["runs"], 10);
    assert!(String::from_utf8_lossy(&done.stderr).contains("isomark report makes it"), "{}", told(&done));
    // A link to a run counts no run twice, and a foreign folder is no run.
    std::os::unix::fs::symlink("202603001-run", ground.path("results/latest")).unwrap();
    fs::create_dir(ground.path("results/baselines")).unwrap();
    assert_eq!(runs(0), 10);
}

#[test]
fn an_empty_folder_has_no_history() {
    let ground = Ground::new();
    fs::create_dir(ground.path("results")).unwrap();
    let done = ground.expect(&["history", "results"], 4);
    assert!(String::from_utf8_lossy(&done.stderr).contains("no run"), "{}", told(&done));
}
