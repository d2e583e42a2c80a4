//! More bad input: everything that `refusals.rs` does not hold. Each exits with its code and one message that names the
//! file and the field or line, and leaves everything as it was.

use std::fs;
use std::os::unix::fs::symlink;

use crate::ground::{Ground, refused, told, with_run};

#[test]
fn bad_thresholds() {
    let ground = with_run();
    let cases: [(&str, &str, &[&str]); 14] = [
        ("syntax", "[default\n", &["line 1"]),
        ("key", "[default]\ntmie = \"3%\"\n", &["line 2", "tmie", "time"]),
        ("table", "[defalt]\ntime = \"3%\"\n", &["line 1", "defalt"]),
        ("share", "[default]\ntime = \"fast\"\n", &["line 2", "3%"]),
        ("large", "[default]\ntime = 3\n", &["line 2", "300 %"]),
        ("negative", "[default]\ntime = \"-3%\"\n", &["line 2", "share"]),
        ("infinite", "[default]\ntime = inf\n", &["line 2"]),
        ("runtime", "[[limit]]\nruntime = \"dokcer\"\nrelative = 0.1\n", &["line 2", "dokcer", "docker"]),
        ("scenario", "[[limit]]\nscenario = \"startpu\"\nrelative = 0.1\n", &["line 2", "startup"]),
        (
            "metric",
            "[[limit]]\nscenario = \"startup\"\nmetric = \"rss\"\nignore = true\n",
            &["line 3", "rss"],
        ),
        ("nothing", "[[limit]]\nmetric = \"startup\"\n", &["line 1", "relative"]),
        ("nobody", "[[limit]]\nrelative = 0.1\n", &["line 1", "[default]"]),
        ("unit", "[[limit]]\nmetric = \"startup\"\nabsolute = \"3 parsec\"\n", &["line 3", "parsec"]),
        (
            "twice",
            "[[limit]]\nmetric = \"startup\"\nrelative = 0.1\n[[limit]]\nmetric = \"startup\"\nrelative = 0.2\n",
            &["line 4", "again"],
        ),
    ];
    for (name, text, says) in cases {
        let file = format!("{name}.toml");
        ground.write(&file, text);
        let named = format!("thresholds {file}");
        let says = [says, &[&*named]].concat();
        refused(&ground, &["check", "r", "--baseline", "r", "--thresholds", &file], &[], 2, &says);
    }
    ground.write("latin.toml", b"# \xe9\n");
    ground.write("huge.toml", vec![b'#'; (1 << 20) + 1]);
    for (file, says) in [
        ("nowhere.toml", "No such file"),
        ("latin.toml", "UTF-8"),
        ("huge.toml", "1048576"),
        ("/dev/zero", "not a regular file"),
    ] {
        let says = ["thresholds", file, says];
        refused(&ground, &["check", "r", "--baseline", "r", "--thresholds", file], &[], 2, &says);
    }
}

#[test]
fn bad_baselines() {
    let ground = with_run();
    let list = |text: &str| ground.write("bench-results/baselines/b/baseline.json", text);
    for (name, says) in [
        ("nobody", "neither a run's folder nor a baseline"),
        ("../../etc", "neither a run's folder nor a baseline"),
        (".hidden", "no dot in front"),
        ("a b", "letters, digits"),
    ] {
        refused(&ground, &["check", "r", "--baseline", name], &[], 2, &[name, says]);
        let rule = if says.starts_with("neither") && name == "nobody" { "make one with" } else { says };
        refused(&ground, &["baseline", "rm", name], &[], 2, &[name, rule]);
    }
    refused(&ground, &["baseline", "save", "../x", "r"], &[], 2, &["../x"]);
    refused(&ground, &["baseline", "save", "b", "nowhere"], &[], 2, &["nowhere/run.json"]);
    for (text, says) in [
        ("{", "EOF"),
        ("{\"schema\":\"isomark.baseline/9\",\"name\":\"b\",\"runs\":[]}", "isomark.baseline/9"),
        (
            "{\"schema\":\"isomark.baseline/1\",\"name\":\"b\",\"runs\":[{\"id\":\"../../r\",\"started\":\"\",\"files\":[]}]}",
            "no name of a folder",
        ),
        ("{\"schema\":\"isomark.baseline/1\",\"name\":\"b\"}", "missing field"),
    ] {
        list(text);
        refused(&ground, &["check", "r", "--baseline", "b"], &[], 2, &["baseline.json", says]);
    }
    list(
        "{\"schema\":\"isomark.baseline/1\",\"name\":\"b\",\"runs\":[{\"id\":\"gone\",\"started\":\"\",\"files\":[]}]}",
    );
    refused(&ground, &["check", "r", "--baseline", "b"], &[], 2, &["b/gone/run.json"]);
    assert!(ground.path("r/run.json").exists());
}

#[test]
fn bad_stanzas() {
    let ground = Ground::new();
    let good = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../runtimes/catalogue/runc.toml"))
        .unwrap();
    let good = good.replacen("name = \"runc\"", "name = \"mine\"", 1);
    let first = |line: &str| format!("{line}\n{good}");
    let cases: [(&str, String, &[&str]); 8] = [
        ("syntax", "name = \n".into(), &["line 1"]),
        ("key", first("colour = \"red\""), &["line 1", "colour"]),
        ("empty", String::new(), &["name"]),
        ("known", good.replacen("\"mine\"", "\"runc\"", 1), &["runc", "on the shelf already"]),
        ("escape", good.replacen("\"mine\"", "\"../mine\"", 1), &["name"]),
        ("kind", good.replacen("kind = \"container\"", "kind = \"castle\"", 1), &["castle"]),
        ("place", good.replacen("{root}", "{rot}", 1).replacen("{bundle}", "{bnudle}", 1), &["line"]),
        ("colours", first("\"\\u001b[31m\" = 1"), &["line 1"]),
    ];
    for (name, text, says) in cases {
        if text == good {
            continue;
        }
        ground.write(&format!("{name}/x.toml"), text);
        let named = format!("{name}/x.toml");
        let says = [says, &[&*named]].concat();
        refused(&ground, &["list", "--catalogue", name], &[], 2, &says);
    }
    ground.write("latin/x.toml", b"name = '\xe9'\n");
    ground.write("huge/x.toml", vec![b'#'; (64 << 10) + 1]);
    ground.write("void/readme", "");
    fs::create_dir(ground.path("device")).unwrap();
    symlink("/dev/zero", ground.path("device/x.toml")).unwrap();
    for (name, says) in [
        ("latin", "UTF-8"),
        ("huge", "65536"),
        ("void", "no *.toml"),
        ("nowhere", "No such file"),
        ("device", "not a regular file"),
    ] {
        refused(&ground, &["list", "--catalogue", name], &[], 2, &[&format!("catalogue {name}"), says]);
    }
}

#[test]
fn bad_specs_and_environment() {
    let ground = Ground::new();
    let run = |spec| ["run", "--runtime", spec];
    for (spec, says) in [
        ("process{", "process{"),
        ("process{a", "process{a"),
        ("process{a=b,a=c}", "a"),
        ("@x", "@x"),
        ("{a=b}", "{a=b}"),
        ("runc{network=warp}", "warp"),
        ("\u{1b}[31mred", "red"),
    ] {
        refused(&ground, &run(spec), &[], 2, &[says]);
    }
    refused(&ground, &["ab", "--a", "process"], &[], 2, &["--b"]);
    refused(&ground, &["ab", "--a", "process", "--b", "dokcer"], &[], 2, &["dokcer"]);
    refused(&ground, &["ab", "--a", "process", "--b", "process{payload=/nowhere}"], &[], 2, &["/nowhere"]);
    refused(&ground, &["ab", "--a", "process", "--b", "process@/nowhere"], &[], 2, &["/nowhere"]);
    let quick = &["run", "--plan", "smoke"][..];
    for (args, name, value, says) in [
        (&["list"][..], "ISOMARK_FORMAT", "yaml", "yaml"),
        (&["list"], "ISOMARK_KERNEL", "nowhere", "kernel nowhere"),
        (&["list"], "ISOMARK_CATALOGUE", "nowhere", "catalogue nowhere"),
        (quick, "ISOMARK_SEED", "one", "one"),
        (quick, "ISOMARK_RUNS", "0", "0"),
        (quick, "ISOMARK_DEADLINE", "soon", "soon"),
        (quick, "ISOMARK_TIME_BUDGET", "1y", "1y"),
        (quick, "ISOMARK_RUNTIME", "dokcer", "dokcer"),
        (quick, "ISOMARK_SCENARIO", "startpu", "startpu"),
        (quick, "ISOMARK_REQUIRE", "dokcer", "dokcer"),
        (quick, "ISOMARK_PAYLOAD", "nowhere", "program nowhere"),
        (quick, "ISOMARK_PROGRAM", "'open", "quote is not closed"),
        (&["run"], "ISOMARK_PLAN", "qiuck", "plan qiuck"),
        (&["run"], "ISOMARK_RESUME", "nowhere", "nowhere/run.json"),
    ] {
        refused(&ground, args, &[(name, value)], 2, &[says]);
    }
    assert!(!ground.path("bench-results").exists());
}

#[test]
fn bad_folders_that_somebody_else_made() {
    let ground = with_run();
    let whole = fs::read_to_string(ground.path("r/run.json")).unwrap();
    for (verb, more) in [("report", &[][..]), ("export", &["--format", "csv"])] {
        refused(&ground, &[&[verb, "nowhere"], more].concat(), &[], 2, &["nowhere/run.json", "No such file"]);
    }
    refused(&ground, &["merge", "r", "r", "--out", "m"], &[], 2, &["the same run", "field id"]);
    refused(&ground, &["merge", "r", "nowhere", "--out", "m"], &[], 2, &["nowhere/run.json"]);
    refused(&ground, &["compare", "r", "nowhere"], &[], 2, &["nowhere"]);
    let nested = format!("{{\"schema\":\"isomark.run/1\",\"cells\":{}", "[".repeat(100_000));
    for (text, says) in [
        (nested, "recursion"),
        (whole.replacen("\"seed\": ", "\"seed\": -", 1), "line"),
        (whole.replacen("\"blocks\": ", "\"blocks\": 99999999999", 1), "line"),
        (whole.replacen("\"schema\": \"isomark.run/1\"", "\"schema\": 7", 1), "schema"),
        ("[]".to_owned(), "schema"),
    ] {
        ground.write("r/run.json", text);
        for args in [&["report", "r"][..], &["export", "r", "--format", "json"], &["run", "--resume", "r"]] {
            refused(&ground, args, &[], 2, &["r/run.json", says]);
        }
    }
    ground.write("r/run.json", &whole);
    // What it holds may lead elsewhere: nothing is read or written there.
    let secret = ground.write("secret", "theirs\n");
    fs::remove_dir_all(ground.path("r/charts")).unwrap();
    fs::create_dir(ground.path("outside")).unwrap();
    symlink(ground.path("outside"), ground.path("r/charts")).unwrap();
    refused(&ground, &["report", "r"], &[], 2, &["r/charts", "a link"]);
    assert_eq!(fs::read_dir(ground.path("outside")).unwrap().count(), 0);
    fs::remove_file(ground.path("r/charts")).unwrap();
    fs::remove_file(ground.path("r/samples.jsonl")).unwrap();
    symlink(&secret, ground.path("r/samples.jsonl")).unwrap();
    for args in
        [&["report", "r"][..], &["export", "r", "--format", "csv"], &["merge", "r", "r", "--out", "m"]]
    {
        refused(&ground, args, &[], 2, &["r/samples.jsonl", "a link"]);
    }
    assert_eq!(fs::read_to_string(secret).unwrap(), "theirs\n");
    assert!(!ground.path("m").exists());
}

#[test]
fn templates_of_ones_own_are_used_and_a_broken_one_is_named_with_its_line() {
    let ground = with_run();
    let report = ["report", "r", "--templates", "look"];
    ground.write("look/method.html", "<p>measured our way, run {{ id }}</p>\n");
    ground.expect(&report, 0);
    let page = || fs::read_to_string(ground.path("r/report.html")).unwrap();
    let id = ground.json("r/run.json")["id"].as_str().unwrap().to_owned();
    assert!(page().contains(&format!("<p>measured our way, run {id}</p>")));
    let whole = page();
    for (file, text, says) in [
        ("method.html", "<p>\n{{ no_such_name }}</p>", "template look/method.html line 2"),
        ("method.html", "<p>\n\n{% if %}</p>", "template look/method.html line 3"),
        ("method.html", "{{ say('no.such.text') }}", "template look/method.html line 1"),
        ("run.html", "\n{% include 'nowhere.html' %}", "template look/run.html line 2"),
    ] {
        ground.write(&format!("look/{file}"), text);
        refused(&ground, &report, &[], 2, &[says]);
        refused(&ground, &["report", "r"], &[("ISOMARK_TEMPLATES", "look")], 2, &[says]);
        // What was there stays as it was.
        assert_eq!(page(), whole);
    }
    fs::remove_file(ground.path("look/run.html")).unwrap();
    ground.write("look/method.html", b"\xff\n");
    refused(&ground, &report, &[], 2, &["template look/method.html", "UTF-8"]);
    refused(&ground, &["report", "r", "--templates", "nowhere"], &[], 2, &["templates nowhere"]);
    ground.expect(&["report", "r"], 0);
    assert!(!page().contains("measured our way"));
    // Before minutes are measured for a report that cannot be rendered.
    let run = ["run", "--plan", "smoke", "--out", "never"];
    let ab = ["ab", "--a", "process", "--b", "process", "--out", "never"];
    ground.write("look/method.html", "<p>\n{% if %}</p>");
    for (flag, value, says) in [
        ("--templates", "look", "template look/method.html line 2"),
        ("--templates", "nowhere", "templates nowhere"),
        ("--lang", "xx", "no language \"xx\""),
    ] {
        refused(&ground, &[&run[..], &[flag, value]].concat(), &[], 2, &[says]);
        refused(&ground, &[&ab[..], &[flag, value]].concat(), &[], 2, &[says]);
        assert!(!ground.path("never").exists());
    }
}

#[test]
fn a_pipe_gets_no_line_wider_than_eighty_columns() {
    let ground = Ground::new();
    for verb in ["list", "doctor"] {
        let told = ground.expect(&[verb], 0);
        let text = String::from_utf8(told.stdout).unwrap();
        // A word that is longer than a line cannot be broken.
        let wide = |line: &&str| line.chars().count() > 80 && line.split_whitespace().count() > 1;
        assert_eq!(text.lines().find(wide), None, "isomark {verb}:\n{text}");
        assert!(text.contains("isomark run measures process"), "isomark {verb}:\n{text}");
    }
}

/// Names that would be markup, commands to a terminal or another direction of writing, through every output.
#[test]
fn hostile_names_are_words_in_every_output() {
    const HOSTILE: &str =
        "\u{1b}[2J\u{1b}]0;title\u{7}\u{9b}31m\u{202e}</script><script>alert(1)</script>|`*x*`\"'<b>";
    let ground = with_run();
    let mut run: serde_json::Value = ground.json("r/run.json");
    for name in ["name", "kernel", "cpu", "hypervisor", "user", "kvm_class", "cgroup", "isa"] {
        run["host"][name] = HOSTILE.into();
    }
    for name in ["id", "plan", "started", "isomark"] {
        run[name] = HOSTILE.into();
    }
    run["argv"] = vec![HOSTILE].into();
    run["host"]["warnings"] = serde_json::json!([{ "cause": HOSTILE, "remedy": HOSTILE }]);
    run["payload"]["note"] = HOSTILE.into();
    for cell in run["cells"].as_array_mut().unwrap() {
        cell["params"]["cache"] = HOSTILE.into();
        cell["skipped"] = serde_json::json!({ "reason": HOSTILE, "remedy": HOSTILE });
    }
    for runtime in run["runtimes"].as_array_mut().unwrap() {
        runtime["identity"]["version"] = HOSTILE.into();
    }
    ground.write("r/run.json", serde_json::to_vec(&run).unwrap());
    let mut said = Vec::new();
    for args in [
        &["report", "r"][..],
        &["export", "r", "--format", "csv"],
        &["export", "r", "--format", "junit"],
        &["export", "r", "--format", "openmetrics"],
        &["export", "r", "--format", "github-benchmark"],
        &["compare", "r", "r"],
        &["history", "."],
        &["check", "r", "--baseline", HOSTILE],
        &["run", "--plan", HOSTILE],
    ] {
        let output = ground.output(args);
        said.push((format!("{args:?}"), told(&output)));
    }
    for file in ["r/summary.md", "r/report.html", "r/samples.csv"] {
        said.push((file.to_owned(), fs::read_to_string(ground.path(file)).unwrap()));
    }
    for (what, text) in said {
        assert!(!text.contains("panicked"), "{what}: {text}");
        let bad = text.chars().find(|c| c.is_control() && !"\n\r\t".contains(*c) || *c == '\u{202e}');
        assert_eq!(bad, None, "{what} holds {bad:?}: {:?}", text.chars().take(400).collect::<String>());
        let markup = what.ends_with(".html") || what.ends_with(".md") || what.contains("junit");
        assert!(!markup || !text.contains("<script>alert"), "{what}");
    }
}
