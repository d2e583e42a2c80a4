//! The catalogue as a user meets it: named on the command line, added by a file, and gone when a run is killed.

use std::fs;
use std::process::Stdio;
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::ground::{Ground, is_root, skip, text, told};

/// A stanza of the user's own around a script.
fn stanza(ground: &Ground, name: &str, script: &str) {
    let tool = ground
        .write(&format!("{name}.sh"), format!("#!/bin/sh\n[ \"$1\" = -v ] && echo v 1 && exit\n{script}\n"));
    fs::set_permissions(&tool, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let facts = ["network", "seccomp", "userns", "limits", "rootfs", "console", "namespaces"];
    let facts = facts.map(|fact| format!("{fact} = \"none\"\n")).concat();
    let stanza = format!(
        "name = {name:?}\nkind = \"container\"\nabout = \"\"\nhomepage = \"\"\nverified = false\nneeds = [\"rootfs\"]\n\
         [tools]\ntool = {:?}\n[probe]\ncommand = [\"{{tool}}\", \"-v\"]\nversion = \"v {{}}\"\n[install]\n[start]\n\
         command = [\"{{tool}}\", \"{{rootfs}}{{program}}\"]\nstreams = true\n[facts]\n{facts}",
        tool.display().to_string()
    );
    ground.write(&format!("mine/{name}.toml"), stanza);
}

#[test]
fn a_runtime_is_one_file_and_one_that_lies_is_no_number() {
    let ground = Ground::new();
    stanza(&ground, "honest", "exec \"$1\"");
    stanza(&ground, "empty", "exit 0");
    stanza(&ground, "liar", "echo ready isomark-payload/1; exec cat");
    let plan = "name='p'\nblocks=2\n[[ask]]\nscenario='startup'\n[[ask]]\nscenario='memory'\n";
    ground.write("p.toml", plan);
    let args = ["run", "--catalogue", "mine", "--runtime", "process,honest,empty,liar", "--plan", "p.toml"];
    let output = ground.output(&[&args[..], &["--out", "r", "-q", "--deadline", "5s"]].concat());
    // A payload that answers wrongly is told by the exit code.
    assert_eq!(output.status.code(), Some(7), "{}", told(&output));
    assert!(told(&output).contains("honest was never tried"), "{}", told(&output));
    for cell in ground.json("r/summary.json")["cells"].as_array().unwrap() {
        let (name, status) = (text(&cell["runtime"]), text(&cell["status"]));
        let right = match name.as_str() {
            "process" | "honest" => "ok",
            "empty" | "liar" => "failed",
            _ => continue,
        };
        assert_eq!(status, right, "{cell}");
        let numbers = cell["metrics"].as_array().unwrap().iter().any(|m| m["median"].is_number());
        assert_eq!(numbers, right == "ok", "{cell}");
    }
    assert!(ground.sites().is_empty());
}

#[test]
fn what_is_wrong_is_refused_before_anything_runs() {
    let ground = Ground::new();
    for (args, why) in [
        (&["run", "--runtime", "dokcer"][..], "did you mean \"docker\""),
        (&["run", "--runtime", "runc{netwrok=own}"], "did you mean \"network\""),
        (&["run", "--runtime", "crun{seccomp=maybe}"], "none of on, off"),
        (&["list", "--catalogue", "nowhere"], "nowhere"),
    ] {
        let output = ground.expect(args, 2);
        assert!(told(&output).contains(why), "{}", told(&output));
    }
}

/// Processes that work in this directory's state, by their command lines.
fn working_in(ground: &Ground) -> Vec<String> {
    let mark = ground.state().display().to_string();
    let lines = fs::read_dir("/proc").unwrap().flatten().filter_map(|entry| {
        let line = fs::read(entry.path().join("cmdline")).ok()?;
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        line.contains(&mark).then_some(line)
    });
    lines.collect()
}

#[test]
fn a_killed_run_leaves_no_daemon() {
    let ground = Ground::new();
    for name in ["docker", "containerd", "podman"] {
        let listing = ground.listing();
        let listed =
            listing["runtimes"].as_array().unwrap().iter().find(|r| r["name"] == name).unwrap().clone();
        if listed["status"] != "available" || !is_root() {
            skip!(name, "{}", listed["reason"]);
        }
        ground.write("p.toml", "name='p'\nblocks=500\n[[ask]]\nscenario='startup'\n");
        let mut command = ground.raw(env!("CARGO_BIN_EXE_isomark"));
        command.args(["run", "--runtime", name, "--plan", "p.toml", "--out", name, "-q"]);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let samples = ground.path(&format!("{name}/samples.jsonl"));
        let until = Instant::now() + Duration::from_secs(60);
        while fs::metadata(&samples).map_or(0, |m| m.len()) == 0 {
            assert!(Instant::now() < until && child.try_wait().unwrap().is_none(), "{name} measured nothing");
            sleep(Duration::from_millis(20));
        }
        assert!(!working_in(&ground).is_empty());
        child.kill().unwrap();
        child.wait().unwrap();
        // No other command is run: a guard stood beside this one.
        let until = Instant::now() + Duration::from_secs(30);
        while !(working_in(&ground).is_empty() && ground.sites().is_empty()) && Instant::now() < until {
            sleep(Duration::from_millis(20));
        }
        assert_eq!(working_in(&ground), [""; 0], "{name}");
        assert_eq!(ground.open_entries(name), [], "{name}");
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
        assert!(!mounts.contains(&ground.state().display().to_string()), "{mounts}");
        assert!(ground.sites().is_empty(), "{:?}", ground.sites());
    }
}
