//! Bad input gets one clear message and its exit code; nothing is made, nothing is overwritten, nobody panics.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::elf;
use crate::ground::{self, Ground, told, with_run};

/// A command line, its exit code, and what stderr must say.
type Case<'a> = (&'a [&'a str], i32, &'a [&'a str]);

/// A plan with this `[[ask]]`.
fn plan(ask: &str) -> String {
    format!("name = 'bad'\nblocks = 1\n[[ask]]\n{ask}\n")
}

/// What the cases refer to.
fn furnished() -> Ground {
    let ground = Ground::new();
    let plans = [
        ("broken", "name = \nblocks = 1\n".to_owned()),
        ("field", "name = 'x'\nblocks = 1\nbloks = 2\n[[ask]]\nscenario = 'startup'\n".to_owned()),
        ("blocks", plan("scenario = 'startup'").replace("blocks = 1", "blocks = 0")),
        ("nothing", "name = 'x'\nblocks = 1\n".to_owned()),
        ("every", plan("scenario = 'startup'\nevery = 0")),
        ("scenario", plan("scenario = 'startpu'")),
        ("kernel", plan("scenario = 'throughput'\nparams = { kernel = 'dgem' }")),
        ("kernel-missing", plan("scenario = 'throughput'")),
        ("isa", plan("scenario = 'throughput'\nparams = { kernel = 'dgemm', isa = 'sse9' }")),
        ("cpu", plan("scenario = 'throughput'\nparams = { kernel = 'dgemm', cpu = 'sse9' }")),
        ("cpu-number", plan("scenario = 'startup'\nparams = { cpu = 9 }")),
        ("size", plan("scenario = 'throughput'\nparams = { kernel = 'dgemm', n = 'big' }")),
        ("float", plan("scenario = 'throughput'\nparams = { kernel = 'dgemm', n = 1.5 }")),
        ("zero", plan("scenario = 'throughput'\nparams = { kernel = 'dgemm', n = 0 }")),
        ("giant", plan("scenario = 'throughput'\nparams = { kernel = 'dgemm', n = 9223372036854775807 }")),
        ("provision", plan("scenario = 'disk'")),
        ("no-way", plan("scenario = 'disk'\nparams = { provision = 'magic' }")),
        ("cache", plan("scenario = 'startup'\nparams = { cache = 'tepid' }")),
        ("param", plan("scenario = 'startup'\nparams = { cahce = 'cold' }")),
        ("load", plan("scenario = 'memory'\nparams = { load = 'heavy' }")),
        ("instances", plan("scenario = 'memory'\nparams = { instances = 1 }")),
        ("program", plan("scenario = 'program'")),
        ("empty", String::new()),
    ];
    for (name, text) in plans {
        ground.write(&format!("{name}.toml"), text);
    }
    ground.write("latin.toml", b"name = '\xe9'\nblocks = 1\n");
    ground.write("huge.toml", vec![b'#'; (1 << 20) + 1]);
    ground.write("script", "#!/bin/sh\necho no\n");
    ground.write("foreign/run.json", "{\"name\": \"something else\"}");
    ground.write("future/run.json", "{\"schema\": \"isomark.run/99\"}");
    ground.write("cut/run.json", "{\"schema\": \"isomark.run/1\", \"id\": \"x");
    ground.write("poor/run.json", "{\"schema\": \"isomark.run/1\", \"id\": \"x\"}");
    fs::create_dir(ground.path("void")).unwrap();
    elf::dynamic(&ground.path("dynamic"));
    elf::program(&ground.path("fine"), |_| vec![0xeb, 0xfe], &[]);
    ground
}

#[track_caller]
fn refused(ground: &Ground, cases: &[Case<'_>]) {
    for (args, code, says) in cases {
        ground::refused(ground, args, &[], *code, says);
    }
    assert!(!ground.path("bench-results").exists(), "something refused has made a folder");
    assert!(ground.sites().is_empty(), "left: {:?}", ground.sites());
}

#[test]
fn bad_words_on_the_command_line() {
    refused(
        &furnished(),
        &[
            (&[], 2, &["Usage"]),
            (&["rum"], 2, &["rum"]),
            (&["run", "--plna", "quick"], 2, &["--plna"]),
            (&["run", "--runtime", "dokcer"], 2, &["runtime \"dokcer\"", "process, namespace, microvm"]),
            (&["run", "--scenario", "startpu"], 2, &["scenario \"startpu\"", "startup, memory"]),
            (&["run", "--plan", "qiuck"], 2, &["plan qiuck", "mean \"quick\"", "quick, full"]),
            (&["run", "--runs", "0"], 2, &["--runs", "0"]),
            (&["run", "--runs", "many"], 2, &["--runs", "many"]),
            (&["run", "--runs", "100001"], 2, &["--runs"]),
            (&["run", "--seed", "-1"], 2, &["-1"]),
            (&["run", "--deadline", "fast"], 2, &["--deadline", "fast"]),
            (&["run", "--time-budget", "1y"], 2, &["--time-budget", "ms, s, m, h"]),
            (&["run", "--time-budget", "0"], 2, &["between 1 ms"]),
            (&["run", "--format", "yaml"], 2, &["yaml", "human, json"]),
            (&["run", "--resume", "void", "--plan", "quick"], 2, &["--resume", "--plan"]),
            (&["run", "--require", "dokcer"], 2, &["--require dokcer"]),
            (
                &["run", "--runtime", "process", "--require", "namespace"],
                2,
                &["--require namespace", "selected: process"],
            ),
            (&["run", "--plan", "smoke", "--scenario", "program"], 4, &["no cell in common", "isomark list"]),
            (&["run", "--scenario", "program"], 2, &["program: no program is named", "--program 'CMD ARGS'"]),
            (&["list", "--format", "toml"], 2, &["toml"]),
            (&["completions", "elvsh"], 2, &["elvsh"]),
        ],
    );
}

#[test]
fn doctor_says_all_it_knows_before_it_refuses() {
    let ground = Ground::new();
    let output = ground.expect(&["doctor", "--require", "dokcer"], 2);
    assert!(String::from_utf8_lossy(&output.stderr).contains("--require dokcer"), "{}", told(&output));
    assert!(String::from_utf8_lossy(&output.stdout).contains("KVM class"), "{}", told(&output));
}

#[test]
fn bad_plans() {
    let run = |name| ["run", "--plan", name];
    refused(
        &furnished(),
        &[
            (&run("broken.toml"), 2, &["plan broken.toml", "line 1"]),
            (&run("field.toml"), 2, &["plan field.toml", "line 3", "bloks"]),
            (&run("blocks.toml"), 2, &["plan blocks.toml", "blocks must be 1"]),
            (&run("nothing.toml"), 2, &["plan nothing.toml", "nothing would be measured"]),
            (&run("every.toml"), 2, &["plan every.toml", "every must be"]),
            (
                &run("scenario.toml"),
                2,
                &["plan scenario.toml", "scenario \"startpu\"", "mean \"startup\"", "startup, memory"],
            ),
            (&run("kernel.toml"), 2, &["throughput", "kernel dgem is none of", "dgemm"]),
            (&run("kernel-missing.toml"), 2, &["throughput", "kernel none is none of"]),
            (&run("cpu.toml"), 2, &["throughput", "cpu = \"sse9\"", "host, baseline, avx2", "avx512f"]),
            (&run("cpu-number.toml"), 2, &["startup", "cpu = 9 must be a word"]),
            (&run("isa.toml"), 2, &["throughput", "isa \"sse9\"", "avx2"]),
            (&run("size.toml"), 2, &["throughput", "n = big", "a number"]),
            (&run("float.toml"), 2, &["plan float.toml", "line 5", "a whole number from 0 on"]),
            (&run("zero.toml"), 2, &["plan zero.toml", "throughput", "n = 0", "matrix order", "from 1 on"]),
            (&run("giant.toml"), 2, &["throughput", "n = 9223372036854775807"]),
            (&run("no-way.toml"), 6, &["does not provision a root by \"magic\"", "remedy"]),
            (&run("provision.toml"), 2, &["disk", "provision is missing", "each"]),
            (&run("cache.toml"), 2, &["startup", "\"tepid\"", "\"cold\""]),
            (&run("param.toml"), 2, &["plan param.toml", "startup", "cahce", "cache"]),
            (&run("load.toml"), 2, &["memory", "\"heavy\""]),
            (&run("instances.toml"), 2, &["memory", "instances must be 2"]),
            (&run("program.toml"), 2, &["program", "--program 'CMD ARGS'"]),
            (&run("empty.toml"), 2, &["plan empty.toml", "name"]),
            (&run("latin.toml"), 2, &["plan latin.toml", "UTF-8"]),
            (&run("huge.toml"), 2, &["plan huge.toml", "1048576"]),
            (&run("void"), 2, &["plan void", "not a file"]),
        ],
    );
}

#[test]
fn bad_programs() {
    let payload = |name| ["run", "--payload", name];
    let program = |command| ["run", "--program", command];
    let exec = |runtime, program| ["exec", "--runtime", runtime, "--", program];
    refused(
        &furnished(),
        &[
            (&payload("script"), 2, &["program script", "not an ELF"]),
            (&payload("dynamic"), 2, &["program dynamic", "dynamically linked", "static"]),
            (&payload("void"), 2, &["program void", "not a file"]),
            (&payload("nowhere"), 2, &["program nowhere", "No such file"]),
            (&payload("/dev/zero"), 2, &["program /dev/zero", "not a file"]),
            (&program("no-such-program-here"), 2, &["no-such-program-here", "PATH"]),
            (&program("./fine 'open"), 2, &["quote is not closed"]),
            (&program("  "), 2, &["--program is empty"]),
            (&program("./script"), 2, &["program ./script", "not an ELF"]),
            (&exec("dokcer", "./fine"), 2, &["runtime \"dokcer\"", "process, namespace, microvm"]),
            (&exec("floor-process", "./fine"), 2, &["runtime \"floor-process\""]),
            (&exec("process", "./dynamic"), 2, &["dynamically linked"]),
            (&exec("process", "./nowhere"), 2, &["./nowhere", "No such file"]),
            (&exec("process", "no-such-program-here"), 2, &["no-such-program-here", "PATH"]),
            (&["exec", "--runtime", "process"], 2, &["PROGRAM"]),
            (&["exec", "--", "./fine"], 2, &["--runtime"]),
            (&["exec", "--runtime", "process", "--memory", "lots", "--", "./fine"], 2, &["--memory", "lots"]),
            (&["exec", "--runtime", "process", "--memory", "0", "--", "./fine"], 2, &["--memory"]),
            (&["exec", "--runtime", "process", "--env", "=x", "--", "./fine"], 2, &["KEY=VALUE"]),
        ],
    );
}

#[test]
fn bad_folders() {
    let resume = |dir| ["run", "--resume", dir];
    let report = |dir| ["report", dir];
    refused(
        &furnished(),
        &[
            (&resume("nowhere"), 2, &["nowhere/run.json", "No such file"]),
            (&resume("void"), 2, &["void/run.json", "No such file"]),
            (&resume("foreign"), 2, &["foreign/run.json", "schema is missing"]),
            (&resume("future"), 2, &["future/run.json", "isomark.run/99", "isomark that wrote it"]),
            (&resume("cut"), 2, &["cut/run.json", "line 1"]),
            (&report("nowhere"), 2, &["nowhere/run.json"]),
            (&report("void"), 2, &["void/run.json", "name the folder of a run"]),
            (&report("foreign"), 2, &["foreign/run.json", "schema is missing"]),
            (&report("cut"), 2, &["cut/run.json", "line 1"]),
            (&report("poor"), 2, &["poor/run.json", "missing field"]),
            (&["report"], 2, &["RUN"]),
        ],
    );
}

#[test]
fn a_run_is_never_overwritten() {
    let ground = with_run();
    let files = ["run.json", "samples.jsonl", "blocks.jsonl", "summary.json", "report.html"];
    let read = || files.map(|name| fs::read(ground.path("r").join(name)).unwrap());
    let before = read();
    refused(
        &ground,
        &[(&["run", "--plan", "smoke", "--out", "r"], 2, &["r holds a run already", "--resume"])],
    );
    assert!(before == read());
}

#[test]
fn a_damaged_run_names_file_and_line_and_keeps_its_report() {
    let ground = with_run();
    let report = fs::read(ground.path("r/summary.json")).unwrap();
    let samples = fs::read_to_string(ground.path("r/samples.jsonl")).unwrap();
    let lines = samples.lines().collect::<Vec<_>>();
    let with = |line: &str| [lines[0], line, lines[1]].join("\n") + "\n";
    let elsewhere = lines[1].replacen("\"cell\":", "\"cell\":99", 1);
    let damages: [(&str, String, &[&str]); 4] = [
        ("samples.jsonl", with("{ not json"), &["r/samples.jsonl line 2"]),
        ("samples.jsonl", with("{\"cell\":0}"), &["r/samples.jsonl line 2", "missing field"]),
        ("samples.jsonl", with(&elsewhere), &["samples.jsonl line 2", "field cell is 99"]),
        ("samples.jsonl", with(&"x".repeat(1 << 21)), &["r/samples.jsonl line 2", "longer than"]),
    ];
    for (file, text, says) in damages {
        ground.write(&format!("r/{file}"), text);
        refused(&ground, &[(&["report", "r"], 2, says), (&["run", "--resume", "r"], 2, says)]);
        assert!(fs::read(ground.path("r/summary.json")).unwrap() == report, "{says:?}");
    }
    fs::remove_file(ground.path("r/samples.jsonl")).unwrap();
    refused(&ground, &[(&["report", "r"], 2, &["r/samples.jsonl", "No such file"])]);
    ground.write("r/samples.jsonl", &samples);
    let run = fs::read_to_string(ground.path("r/run.json")).unwrap();
    let other = run.replace("\"sha256\": \"", "\"sha256\": \"0");
    ground.write("r/run.json", other);
    refused(&ground, &[(&["run", "--resume", "r"], 2, &["r cannot be resumed", "payload"])]);
    let kernel = run.replace("\"kernel\": \"", "\"kernel\": \"another-");
    ground.write("r/run.json", kernel);
    refused(&ground, &[(&["run", "--resume", "r"], 2, &["r cannot be resumed", "another-"])]);
}

#[test]
fn a_state_directory_that_others_could_have_laid_is_refused() {
    let ground = Ground::new();
    ground.write("state", "a file");
    let refuse = |args: &[&str], code: i32, says: &str| {
        let output = ground.expect(args, code);
        assert!(String::from_utf8_lossy(&output.stderr).contains(says), "{}", told(&output));
    };
    refuse(&["list"], 1, "state");
    fs::remove_file(ground.state()).unwrap();
    fs::create_dir(ground.state()).unwrap();
    fs::set_permissions(ground.state(), fs::Permissions::from_mode(0o777)).unwrap();
    refuse(&["list"], 2, "ISOMARK_STATE");
}
