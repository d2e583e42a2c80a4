//! Disk full, read-only, out of memory, out of pids, a clock that leaps: one clear error, what was measured is kept, and
//! `--resume` goes on afterwards.
//!
//! Mounts are made in a namespace of the test's own, limits in a cgroup of its own.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use isomark_core::record::Outcome;
use isomark_core::store::Folder;

use crate::degraded::has;
use crate::ground::{Ground, is_root, skip, told};

const PLAN: &str = "name = 'straits'
blocks = 120
[[ask]]
scenario = 'startup'
controls = 'off'
params = { cache = 'warm' }
";

/// Runs a script in a mount namespace of its own; `$0` is isomark.
fn aside(ground: &Ground, script: &str) -> Output {
    let shell = ["--mount", "--propagation", "private", "sh", "-c", script, env!("CARGO_BIN_EXE_isomark")];
    ground.raw("unshare").args(shell).output().unwrap()
}

/// Every planned trial is stored once, and nothing is on the host any more.
#[track_caller]
fn whole(ground: &Ground, name: &str) -> usize {
    let (folder, run) = Folder::open(&ground.path(name)).unwrap();
    let samples = folder.samples().unwrap();
    let distinct = samples.iter().map(|s| (s.cell, s.block, s.warmup)).collect::<BTreeSet<_>>();
    let cells = run.cells.iter().filter(|cell| cell.skipped.is_none()).count();
    assert_eq!((samples.len(), distinct.len()), (cells * run.blocks as usize, samples.len()));
    ground.expect(&["clean"], 0);
    assert!(ground.sites().is_empty() && ground.open_entries(name).is_empty());
    samples.iter().filter(|sample| matches!(sample.outcome, Outcome::Failed(_))).count()
}

/// One line, with these words.
#[track_caller]
fn one_error(output: &Output, words: &[&str]) {
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    let errors = text.lines().filter(|line| line.starts_with("isomark: ")).collect::<Vec<_>>();
    assert!(
        errors.len() == 1 && words.iter().all(|word| errors[0].contains(word)),
        "{words:?}: {}",
        told(output)
    );
    assert!(!text.contains("panicked"), "{text}");
}

#[test]
fn a_full_disk_keeps_what_was_measured() {
    let ground = Ground::new();
    if !is_root() || !has("unshare") {
        skip!("root", "a disk that fills up takes root and unshare(1)");
    }
    ground.write("straits.toml", PLAN);
    let script = "mkdir full && mount -t tmpfs -o size=64k none full || exit 99
        \"$0\" run -q --plan straits.toml --runtime process --out full/r; echo first $?
        cp full/r/samples.jsonl kept
        mount -o remount,size=64m full && \"$0\" report full/r >/dev/null && \"$0\" run -q --resume full/r >/dev/null
        echo second $?; cp -r full/r r";
    let done = aside(&ground, script);
    let said = String::from_utf8_lossy(&done.stdout).into_owned();
    assert!(said.contains("first 1") && said.contains("second 0"), "{}", told(&done));
    one_error(&done, &["No space left", "--resume full/r"]);
    let kept = fs::read_to_string(ground.path("kept")).unwrap();
    assert!(kept.lines().count() > 10, "{kept}");
    assert!(
        fs::read_to_string(ground.path("r/samples.jsonl"))
            .unwrap()
            .starts_with(&kept[..=kept.rfind('\n').unwrap()])
    );
    assert_eq!(whole(&ground, "r"), 0);
}

#[test]
fn a_full_state_directory_is_one_error_and_nothing_stays() {
    let ground = Ground::new();
    if !is_root() || !has("unshare") {
        skip!("root", "a disk that fills up takes root and unshare(1)");
    }
    let script = "mkdir state && mount -t tmpfs -o size=64k,mode=755 none state || exit 99
        \"$0\" run -q --plan smoke --out r; echo first $?; ls state
        mount -o remount,size=512m state && \"$0\" run -q --plan smoke --runtime process --out r >/dev/null; echo second $?";
    let done = aside(&ground, script);
    let said = String::from_utf8_lossy(&done.stdout).into_owned();
    assert_eq!(said.trim(), "first 1\nsecond 0", "{}", told(&done));
    one_error(&done, &["No space left", "state"]);
}

#[test]
fn a_read_only_folder_is_one_error_and_can_be_gone_on_with_later() {
    let ground = Ground::new();
    if !is_root() || !has("unshare") {
        skip!("root", "a read-only mount takes root and unshare(1)");
    }
    ground.write("straits.toml", PLAN);
    let begin = ["run", "-q", "--plan", "straits.toml", "--runtime", "process", "--out", "disk/r"];
    ground.expect(&[&begin[..], &["--time-budget", "5ms"]].concat(), 0);
    let before = fs::read(ground.path("disk/r/samples.jsonl")).unwrap();
    let cases = [
        ("run -q --plan straits.toml --runtime process --out disk/new", "disk/new"),
        ("run -q --resume disk/r", "disk/r"),
        ("report disk/r", "disk/r"),
    ];
    for (words, names) in cases {
        let script =
            format!("mount --bind disk disk && mount -o remount,bind,ro disk && exec \"$0\" {words}");
        let done = aside(&ground, &script);
        assert_eq!(done.status.code(), Some(1), "{words}: {}", told(&done));
        one_error(&done, &["Read-only file system", names]);
    }
    assert!(!ground.path("disk/new").exists());
    assert_eq!(fs::read(ground.path("disk/r/samples.jsonl")).unwrap(), before);
    ground.expect(&["run", "-q", "--resume", "disk/r"], 0);
    assert_eq!(whole(&ground, "disk/r"), 0);
}

#[test]
fn without_address_space_for_a_guest_its_trials_fail_with_the_reason() {
    let ground = Ground::new();
    if !has("prlimit") {
        skip!("prlimit", "there is no prlimit(1)");
    }
    if !ground.runtimes().iter().any(|name| name == "microvm") {
        return;
    }
    ground.write("straits.toml", PLAN.replace("120", "4"));
    let words = ["run", "-q", "--plan", "straits.toml", "--runtime", "process,microvm", "--out", "r"];
    // A guest has 64 MiB and more; the process needs a fraction.
    let mut command = ground.raw("prlimit");
    let started =
        command.args(["--as=48000000", env!("CARGO_BIN_EXE_isomark")]).args(words).output().unwrap();
    let text = String::from_utf8_lossy(&started.stderr).into_owned();
    assert!(!text.contains("panicked") || text.contains("memory"), "{}", told(&started));
    if !ground.path("r/run.json").exists() {
        // Not even the harness has room: it says so, and nothing was begun.
        assert!(!started.status.success() && !text.trim().is_empty(), "{}", told(&started));
        ground.expect(&words, 0);
    }
    ground.expect(&["report", "r"], 0);
    ground.expect(&["run", "-q", "--resume", "r"], 0);
    whole(&ground, "r");
}

/// A cgroup with one limit; removed with the test.
struct Limited(PathBuf);

impl Limited {
    fn new(controller: &str, v1: (&str, &str), v2: (&str, &str)) -> Option<Self> {
        let name = format!("isomark-test-{controller}-{}-{}", v1.1, std::process::id());
        let mounts = fs::read_to_string("/proc/self/mounts").ok()?;
        let mounts = mounts.lines().map(|line| line.split(' ').collect::<Vec<_>>()).collect::<Vec<_>>();
        let of = |kind: &str| mounts.iter().filter(|m| m[2] == kind).cloned().collect::<Vec<_>>();
        let v1_mount = of("cgroup").into_iter().find(|m| m[3].split(',').any(|option| option == controller));
        let (mount, limit) = match v1_mount {
            Some(mount) => (mount, v1),
            None => (of("cgroup2").into_iter().next()?, v2),
        };
        let dir = Path::new(mount[1]).join(name);
        fs::create_dir(&dir).ok()?;
        let made = Self(dir);
        fs::write(made.0.join(limit.0), limit.1).ok().map(|()| made)
    }

    /// Runs isomark within it.
    fn output(&self, ground: &Ground, args: &[&str]) -> Output {
        let enter = format!("echo $$ > {}/cgroup.procs && exec \"$0\" \"$@\"", self.0.display());
        ground.raw("sh").args(["-c", &enter, env!("CARGO_BIN_EXE_isomark")]).args(args).output().unwrap()
    }
}

impl Drop for Limited {
    fn drop(&mut self) {
        for _ in 0..100 {
            if fs::remove_dir(&self.0).is_ok() {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
    }
}

/// Whatever became of the run within its limit: what it kept can be read, and without the limit it comes to its end.
#[track_caller]
fn recovers(ground: &Ground, limited: &Output, begin: &[&str]) {
    let text = String::from_utf8_lossy(&limited.stderr).into_owned();
    assert!(!text.contains("panicked"), "{}", told(limited));
    if limited.status.code().is_some_and(|code| code != 0) {
        assert!(text.contains("isomark: "), "it says why: {}", told(limited));
    }
    ground.expect(&["clean"], 0);
    if ground.path("r/run.json").exists() {
        ground.expect(&["report", "r"], 0);
        ground.expect(&["run", "-q", "--resume", "r"], 0);
    } else {
        ground.expect(begin, 0);
    }
    whole(ground, "r");
    fs::remove_dir_all(ground.path("r")).unwrap();
}

const BEGIN: [&str; 8] = ["run", "-q", "--deadline", "10s", "--plan", "straits.toml", "--out", "r"];

#[test]
fn out_of_pids_is_told_and_gone_on_from() {
    let ground = Ground::new();
    if !is_root() {
        skip!("root", "a limit on pids takes a cgroup, which takes root");
    }
    ground.write("straits.toml", PLAN.replace("120", "3"));
    let mut failed = 0;
    for max in ["1", "3"] {
        let Some(group) = Limited::new("pids", ("pids.max", max), ("pids.max", max)) else {
            skip!("cgroups", "no cgroup with a limit on pids can be made");
        };
        let done = group.output(&ground, &BEGIN);
        drop(group);
        failed += usize::from(String::from_utf8_lossy(&done.stderr).contains("temporarily unavailable"));
        failed += fs::read_to_string(ground.path("r/samples.jsonl"))
            .map_or(0, |text| text.matches("temporarily unavailable").count());
        recovers(&ground, &done, &BEGIN);
    }
    assert!(failed > 0, "no limit was met");
}

#[test]
fn out_of_memory_is_told_and_gone_on_from() {
    let ground = Ground::new();
    if !is_root() {
        skip!("root", "a limit on memory takes a cgroup, which takes root");
    }
    ground.write("straits.toml", PLAN.replace("120", "3"));
    for max in ["2000000", "12000000"] {
        let Some(group) = Limited::new("memory", ("memory.limit_in_bytes", max), ("memory.max", max)) else {
            skip!("cgroups", "no cgroup with a limit on memory can be made");
        };
        let done = group.output(&ground, &BEGIN);
        drop(group);
        recovers(&ground, &done, &BEGIN);
    }
}

#[test]
fn a_wall_clock_that_leaps_moves_no_result() {
    let ground = Ground::new();
    if !has("gcc") {
        skip!("gcc", "a clock that leaps is made with gcc");
    }
    ground.write("straits.toml", PLAN.replace("120", "20"));
    // Days to and fro at every question; all other clocks are the kernel's.
    ground.write(
        "leap.c",
        "#include <time.h>\n#include <unistd.h>\n#include <sys/syscall.h>\n\
         int clock_gettime(clockid_t c, struct timespec *t) {\n static long n;\n long r = syscall(SYS_clock_gettime, c, t);\n\
         if (c == CLOCK_REALTIME) { n++; t->tv_sec += (n % 2 ? -1 : 1) * n * 86400L * 30; }\n return r < 0 ? -1 : 0;\n}\n",
    );
    let built =
        ground.raw("gcc").args(["-shared", "-fPIC", "-O1", "-o", "leap.so", "leap.c"]).status().unwrap();
    assert!(built.success());
    let leaping = |args: &[&str]| {
        let mut command = ground.raw(env!("CARGO_BIN_EXE_isomark"));
        command.env("LD_PRELOAD", ground.path("leap.so")).args(args).output().unwrap()
    };
    let begun = leaping(&[&BEGIN[..], &["--runtime", "process", "--time-budget", "20ms"]].concat());
    assert_eq!(begun.status.code(), Some(0), "{}", told(&begun));
    let (_, run) = Folder::open(&ground.path("r")).unwrap();
    let now = isomark_engine::date::rfc3339(isomark_engine::date::now());
    assert_ne!(run.started[..10], now[..10], "the clock did not leap");
    let resumed = leaping(&["run", "-q", "--resume", "r"]);
    assert_eq!(resumed.status.code(), Some(0), "{}", told(&resumed));
    assert_eq!(whole(&ground, "r"), 0);
    let (folder, _) = Folder::open(&ground.path("r")).unwrap();
    let samples = folder.samples().unwrap();
    let day = 86_400_000_000_000_u64;
    let taken = samples.iter().flat_map(|sample| &sample.phases).map(|(_, took)| *took);
    assert!(taken.max().unwrap() < day, "a leap is in a duration");
    assert!(samples.windows(2).all(|pair| pair[0].at_ns < pair[1].at_ns), "trials are out of order");
}
