//! What somebody laid where a file is looked for: pipes that nobody answers, links, devices and directories, files of a
//! terabyte, numbers at which arithmetic ends. Each is told in one message; nobody waits, and nothing outside is touched.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use serde_json::{Value, json};

use crate::ground::{Ground, refused, told, with_run};

/// What can lie there, and what is said of it.
const THINGS: [(&str, &str); 4] = [
    ("a pipe", "not a regular file"),
    ("a device", "a link"),
    ("a directory", "not a regular file"),
    ("a terabyte", "larger than"),
];

/// Lays a thing under a name, in place of what is there.
fn lay(path: &Path, thing: &str) {
    let _ = fs::remove_file(path);
    let _ = fs::remove_dir_all(path);
    match thing {
        "a pipe" => {
            let made = std::process::Command::new("mkfifo").arg(path).status().unwrap();
            assert!(made.success());
        }
        "a device" => symlink("/dev/zero", path).unwrap(),
        "a directory" => fs::create_dir(path).unwrap(),
        // On a file system that knows no such size, as large as it may be.
        _ => {
            let file = fs::File::create(path).unwrap();
            file.set_len(1 << 40).or_else(|_| file.set_len(3 << 30)).unwrap();
        }
    }
}

/// As an attacker changes it.
fn change(ground: &Ground, file: &str, change: impl FnOnce(&mut Value)) -> String {
    let before = fs::read_to_string(ground.path(file)).unwrap();
    let mut value = ground.json(file);
    change(&mut value);
    ground.write(file, serde_json::to_vec(&value).unwrap());
    before
}

#[test]
fn nobody_waits_for_what_lies_in_a_run() {
    let ground = with_run();
    for name in ["run.json", "samples.jsonl", "blocks.jsonl"] {
        let file = ground.path("r").join(name);
        let good = fs::read(&file).unwrap();
        for (thing, says) in THINGS {
            lay(&file, thing);
            for args in
                [&["report", "r"][..], &["export", "r", "--format", "csv"], &["run", "-q", "--resume", "r"]]
            {
                refused(&ground, args, &[], 2, &[&format!("r/{name}"), says]);
            }
        }
        lay(&file, "a directory");
        fs::remove_dir(&file).unwrap();
        fs::write(&file, good).unwrap();
    }
    // The ledger of a run is followed by whoever goes on with it.
    for (thing, says) in [("a pipe", "ledger"), ("a device", "ledger"), ("a directory", "ledger")] {
        lay(&ground.path("r/ledger"), thing);
        refused(&ground, &["run", "-q", "--resume", "r"], &[], 1, &["r", says]);
    }
}

#[test]
fn nobody_waits_for_what_lies_in_a_baseline() {
    let ground = with_run();
    ground.expect(&["baseline", "save", "b", "r"], 0);
    let home = ground.path("bench-results/baselines/b");
    let id = ground.json("r/run.json")["id"].as_str().unwrap().to_owned();
    let check = ["check", "r", "--baseline", "b"];
    for file in [format!("{id}/run.json"), format!("{id}/samples.jsonl"), format!("{id}/blocks.jsonl")] {
        let good = fs::read(home.join(&file)).unwrap();
        for (thing, says) in THINGS {
            lay(&home.join(&file), thing);
            refused(&ground, &check, &[], 2, &[&file, says]);
        }
        lay(&home.join(&file), "a directory");
        fs::remove_dir(home.join(&file)).unwrap();
        fs::write(home.join(&file), good).unwrap();
    }
    let list = fs::read(home.join("baseline.json")).unwrap();
    for (thing, says) in THINGS {
        lay(&home.join("baseline.json"), thing);
        refused(&ground, &check, &[], 2, &["b/baseline.json", says]);
        refused(&ground, &["baseline", "list"], &[], 2, &["b/baseline.json", says]);
    }
    // A folder of the list that is a link leads to files that nobody saved here.
    fs::remove_file(home.join("baseline.json")).unwrap();
    fs::write(home.join("baseline.json"), list).unwrap();
    fs::rename(home.join(&id), ground.path("moved")).unwrap();
    symlink(ground.path("moved"), home.join(&id)).unwrap();
    refused(&ground, &check, &[], 2, &[&id, "a link"]);
}

#[test]
fn nobody_waits_for_what_lies_among_results() {
    let ground = with_run();
    fs::create_dir_all(ground.path("res/x")).unwrap();
    for (thing, says) in THINGS {
        lay(&ground.path("res/x/summary.json"), thing);
        let done = ground.expect(&["history", "res"], 4);
        let text = String::from_utf8_lossy(&done.stderr).into_owned();
        assert!(text.contains("left out x: summary.json: ") && text.contains(says), "{text}");
        fs::create_dir_all(ground.path("all")).unwrap();
        lay(&ground.path("all/fleet.json"), thing);
        refused(&ground, &["report", "all"], &[], 2, &["all/fleet.json", says]);
        let attempt = ground.path("fleet/a-0.n.j1.r0.failed");
        fs::create_dir_all(&attempt).unwrap();
        lay(&attempt.join("task.log"), thing);
        lay(&attempt.join("status"), thing);
        ground.expect(&["fleet", "collect", "fleet"], 4);
    }
    // The index is built anew in place of whatever lies there.
    fs::rename(ground.path("r"), ground.path("res/r")).unwrap();
    let victim = ground.write("victim.sqlite", "theirs\n");
    for thing in ["a pipe", "a device", "a link", "nothing"] {
        match thing {
            "a link" => {
                let _ = fs::remove_file(ground.path("res/history.sqlite"));
                symlink(&victim, ground.path("res/history.sqlite")).unwrap();
            }
            "nothing" => {}
            other => lay(&ground.path("res/history.sqlite"), other),
        }
        ground.expect(&["history", "res"], 0);
    }
    assert_eq!(fs::read_to_string(victim).unwrap(), "theirs\n");
}

#[test]
fn nobody_waits_for_what_a_flag_names() {
    let ground = with_run();
    fs::create_dir_all(ground.path("look/lang")).unwrap();
    fs::create_dir_all(ground.path("mine")).unwrap();
    let cases: [(&str, &[&str], &str); 7] = [
        ("p.toml", &["run", "--plan", "p.toml"], "plan p.toml"),
        ("t.toml", &["check", "r", "--baseline", "r", "--thresholds", "t.toml"], "thresholds t.toml"),
        ("f.toml", &["fleet", "render", "slurm", "f.toml"], "f.toml"),
        ("elf", &["run", "--payload", "elf"], "program elf"),
        ("mine/x.toml", &["list", "--catalogue", "mine"], "mine/x.toml"),
        ("look/method.html", &["report", "r", "--templates", "look"], "template look/method.html"),
        ("look/lang/xx.toml", &["report", "r", "--templates", "look", "--lang", "xx"], "look/lang/xx.toml"),
    ];
    for (file, args, named) in cases {
        for (thing, _) in THINGS {
            lay(&ground.path(file), thing);
            refused(&ground, args, &[], 2, &[named]);
        }
        let _ = (fs::remove_file(ground.path(file)), fs::remove_dir_all(ground.path(file)));
    }
    for (thing, _) in THINGS {
        lay(&ground.path("kernel"), thing);
        refused(&ground, &["list", "--kernel", "kernel"], &[], 2, &["kernel kernel"]);
    }
}

#[test]
fn nothing_is_written_through_a_link_or_taken_away_behind_one() {
    let ground = with_run();
    let victim = ground.write("victim", "theirs\n");
    let link = |name: &str| {
        let path = ground.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let _ = fs::remove_file(&path);
        symlink(&victim, path).unwrap();
    };
    link("bench-results/baselines/b/baseline.json.part");
    ground.expect(&["baseline", "save", "b", "r"], 0);
    ["x.xml", "x.xml.part", "x.md", "x.md.part"].iter().for_each(|name| link(name));
    ground.expect(&["check", "r", "--baseline", "b", "--junit", "x.xml", "--comment", "x.md"], 0);
    for name in ["out/samples.jsonl", "out/blocks.jsonl", "out/run.part", "r/summary.part", "r/report.html"] {
        link(name);
    }
    ground.expect(&["report", "r"], 0);
    let small = ["run", "-q", "--plan", "smoke", "--runtime", "process", "--scenario", "startup"];
    ground.expect(&[&small[..], &["--runs", "1", "--out", "out"]].concat(), 0);
    link("h.html.part");
    ground.expect(&["history", ".", "--html", "h.html"], 0);
    assert_eq!(fs::read_to_string(&victim).unwrap(), "theirs\n");
    // Directories in whose place a link lies.
    fs::rename(ground.path("h-charts"), ground.path("pictures")).unwrap();
    let before = fs::read_dir(ground.path("pictures")).unwrap().count();
    fs::write(ground.path("pictures/history-old.png"), "theirs\n").unwrap();
    symlink(ground.path("pictures"), ground.path("h-charts")).unwrap();
    refused(&ground, &["history", ".", "--html", "h.html"], &[], 2, &["h-charts", "a link"]);
    assert_eq!(fs::read_dir(ground.path("pictures")).unwrap().count(), before + 1);
    let shelf = ground.path("bench-results/baselines");
    fs::rename(shelf.join("b"), ground.path("theirs")).unwrap();
    symlink(ground.path("theirs"), shelf.join("b")).unwrap();
    for args in
        [&["baseline", "rm", "b"][..], &["baseline", "save", "b", "out"], &["check", "r", "--baseline", "b"]]
    {
        refused(&ground, args, &[], 2, &["baselines/b", "a link"]);
    }
    assert!(ground.path("theirs/baseline.json").exists());
}

/// A host's folder of a fleet below `res`, from the run in `r`.
fn host(ground: &Ground, folder: &str, labels: &Value) {
    fs::create_dir_all(ground.path("res").join(folder)).unwrap();
    for name in ["run.json", "samples.jsonl", "blocks.jsonl"] {
        fs::copy(ground.path("r").join(name), ground.path("res").join(folder).join(name)).unwrap();
    }
    change(ground, &format!("res/{folder}/run.json"), |run| run["labels"] = labels.clone());
}

#[test]
fn labels_of_a_host_lead_nowhere_and_count_nothing_absurd() {
    let ground = with_run();
    let labels = |class: &str, task: &str| json!({"fleet": "f", "class": class, "task": task});
    host(&ground, "fine", &labels("a", "0/1"));
    // What was left by a command that was killed does not become part of the next.
    ground.write("all.part/hosts/old/run.json", "old");
    host(&ground, "up", &labels("../../evil", "0/1"));
    host(&ground, "root", &labels("/evil", "0/1"));
    host(&ground, "last", &labels("a", "4294967295/1"));
    host(&ground, "many", &labels("b", "0/4294967295"));
    host(&ground, "long", &labels(&"c".repeat(5000), "0/1"));
    change(&ground, "res/fine/run.json", |run| run["precision"] = "auto".into());
    let found = ground.output(&["fleet", "collect", "res", "--out", "all", "--format", "json"]);
    assert_eq!(found.status.code(), Some(6), "{}", told(&found));
    let found: Value = serde_json::from_slice(&found.stdout).unwrap();
    let aside = found["set_aside"].to_string();
    for folder in ["up", "root", "last", "long"] {
        assert!(
            aside.contains(&format!("\"folder\":\"{folder}\"")) && aside.contains("name no host"),
            "{aside}"
        );
    }
    assert_eq!(found["hosts"].as_array().unwrap().len(), 10_001);
    let outside = |name: &&str| ground.path(name).exists() || Path::new("/evil-0").exists();
    assert_eq!(
        ["evil-0", "../evil-0", "all/evil-0", "all/hosts/old"].iter().find(|name| outside(name)),
        None
    );
    assert!(ground.path("all/hosts/a-0/run.json").exists());
    for at in 0..11 {
        host(&ground, &format!("more-{at}"), &labels(&format!("d{at}"), "0/10000"));
    }
    refused(
        &ground,
        &["fleet", "collect", "res"],
        &[],
        2,
        &["res: its folders tell of 120001 hosts", "--fleet"],
    );
}

/// More names than trials have.
fn names(value: &Value) -> Value {
    (0..1001).map(|at| (format!("n{at}"), value.clone())).collect::<serde_json::Map<_, _>>().into()
}

/// The samples, and their last once more with these fields in place of its own.
fn appended(ground: &Ground, samples: &str, more: &Value) {
    let mut line: Value = serde_json::from_str(samples.lines().last().unwrap()).unwrap();
    line.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    ground.write("r/samples.jsonl", format!("{samples}{line}\n"));
}

#[test]
fn numbers_at_which_arithmetic_ends_are_numbers() {
    let ground = with_run();
    let labels = json!({"fleet": "f", "class": "a", "task": "0/1"});
    host(&ground, "h", &labels);
    let count = 4_294_967_295_u32;
    change(&ground, "res/h/run.json", |run| run["blocks"] = count.into());
    let done = ground.expect(&["fleet", "collect", "res"], 4);
    assert!(String::from_utf8_lossy(&done.stdout).contains("incomplete: "), "{}", told(&done));
    let good = change(&ground, "r/run.json", |run| run["part"] = json!({"part": 1, "of": 0}));
    for args in [&["report", "r"][..], &["run", "--resume", "r"], &["merge", "r", "r", "--out", "m"]] {
        refused(&ground, args, &[], 2, &["r/run.json", "no part of a plan", "at most 10000"]);
    }
    ground.write("r/run.json", &good);
    let samples = fs::read_to_string(ground.path("r/samples.jsonl")).unwrap();
    let most = u64::MAX;
    for more in [
        json!({"phases": [["start", most], ["start", most], ["run", 0]]}),
        json!({"steps": [["clone", most], ["main", 0], ["clone", 1]], "at_ns": most}),
        json!({"values": {"startup": 1e30}}),
        json!({"values": {"startup": -1e30, "create": 1e-30, "no such metric": -0.0}}),
        json!({"values": {"startup": 0.0}, "block": count}),
    ] {
        appended(&ground, &samples, &more);
        ground.expect(&["report", "r"], 0);
        ground.expect(&["check", "r", "--baseline", "r", "--allow-cross-host"], 0);
        for format in ["csv", "junit", "openmetrics", "bmf", "github-benchmark", "json"] {
            ground.expect(&["export", "r", "--format", format], 0);
        }
    }
}

#[test]
fn what_nobody_can_have_measured_is_refused_by_its_line() {
    let ground = with_run();
    let samples = fs::read_to_string(ground.path("r/samples.jsonl")).unwrap();
    let lines = samples.lines().count() + 1;
    for (more, field) in [
        (json!({"values": {"startup": 1e308}}), "field values.startup is 1e308"),
        (json!({"values": {"startup": -1e31}}), "field values.startup is -1e31"),
        (json!({"values": {"create": 5e-324}}), "field values.create is 5e-324"),
        (json!({"series": {"x": [1, 1e300]}}), "field series.x is 1e300"),
        (json!({"values": names(&1.0.into())}), "more than 1000 different names"),
        (json!({"notes": names(&"x".into())}), "more than 1000 different names"),
    ] {
        appended(&ground, &samples, &more);
        let says = [&*format!("samples.jsonl line {lines}"), field];
        refused(&ground, &["report", "r"], &[], 2, &says);
        refused(&ground, &["check", "r", "--baseline", "r"], &[], 2, &says);
    }
    appended(&ground, &samples, &json!({"values": {"startup": 0.0}, "block": u32::MAX}));
    fs::create_dir(ground.path("other")).unwrap();
    for name in ["samples.jsonl", "blocks.jsonl"] {
        fs::copy(ground.path("r").join(name), ground.path("other").join(name)).unwrap();
    }
    let run = fs::read_to_string(ground.path("r/run.json")).unwrap();
    ground.write("other/run.json", run.replacen("\"id\": \"", "\"id\": \"other-", 1));
    refused(
        &ground,
        &["merge", "r", "other", "--out", "m"],
        &[],
        2,
        &["r: its samples.jsonl", "field block"],
    );
    assert!(!ground.path("m").exists());
    ground.write("r/samples.jsonl", &samples);
    for (number, says) in [("1e999", "number out of range"), ("NaN", "line"), ("-Infinity", "line")] {
        let line = samples.lines().last().unwrap().replacen("\"at_ns\":", "\"at_ns\":1,\"x\":", 1);
        let line = line.replacen("\"values\":{", &format!("\"values\":{{\"startup\":{number},\"x\":"), 1);
        let text = format!("{samples}{}\n", line.replacen("\"x\":\"", "\"", 1));
        ground.write("r/samples.jsonl", text);
        refused(&ground, &["report", "r"], &[], 2, &["r/samples.jsonl line", says]);
    }
}

#[test]
fn a_run_that_nobody_could_be_told_of_is_refused() {
    let ground = with_run();
    let report =
        |field: &str| refused(&ground, &["report", "r"], &[], 2, &["r/run.json", field, "is the most"]);
    let cell = ground.json("r/run.json")["cells"][0].clone();
    let good = change(&ground, "r/run.json", |run| run["cells"] = vec![cell; 20_001].into());
    report("field cells has 20001 entries");
    ground.write("r/run.json", &good);
    change(&ground, "r/run.json", |run| run["cells"][0]["runtime"] = "x".repeat(2000).into());
    report("field cells[0].runtime is 2000 bytes long");
    ground.write("r/run.json", &good);
    change(&ground, "r/run.json", |run| run["cells"][0]["params"]["k"] = "x".repeat(2000).into());
    report("field cells[0].params");
}

#[test]
fn going_on_with_a_run_starts_nothing_that_only_the_folder_names() {
    let ground = with_run();
    let good = change(&ground, "r/run.json", |run| {
        run["program"] = json!({"path": "./evil", "sha256": "", "args": ["a b"]});
    });
    refused(&ground, &["run", "--resume", "r"], &[], 2, &["r cannot be resumed", "--program './evil '"]);
    let other = ["run", "--resume", "r", "--program", "./good"];
    refused(&ground, &other, &[], 2, &["--program names something else than the run"]);
    ground.write("r/run.json", &good);
    change(&ground, "r/run.json", |run| run["payload"]["path"] = "/evil".into());
    refused(&ground, &["run", "--resume", "r"], &[], 2, &["r cannot be resumed", "--payload /evil"]);
    ground.write("r/run.json", &good);
    change(&ground, "r/run.json", |run| run["runtimes"][0]["name"] = "crun@./evil".into());
    refused(&ground, &["run", "--resume", "r"], &[], 2, &["name them too", "--runtime crun@./evil"]);
}
