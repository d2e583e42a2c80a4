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

/// Whatever became of the run within its limit: what it kept can be read, and without the limit it comes to its end. How many
/// trials have failed for good.
#[track_caller]
fn recovers(ground: &Ground, limited: &Output, begin: &[&str]) -> usize {
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
    let failed = whole(ground, "r");
    fs::remove_dir_all(ground.path("r")).unwrap();
    failed
}

const BEGIN: [&str; 8] = ["run", "-q", "--deadline", "10s", "--plan", "straits.toml", "--out", "r"];

#[test]
fn out_of_pids_is_told_and_gone_on_from() {
    let ground = Ground::new();
    if !is_root() {
        skip!("root", "a limit on pids takes a cgroup, which takes root");
    }
    ground.write("straits.toml", PLAN.replace("120", "3"));
    let mut met = 0;
    for max in ["1", "2", "3"] {
        let Some(group) = Limited::new("pids", ("pids.max", max), ("pids.max", max)) else {
            skip!("cgroups", "no cgroup with a limit on pids can be made");
        };
        let done = group.output(&ground, &BEGIN);
        drop(group);
        let text = String::from_utf8_lossy(&done.stderr).into_owned();
        if text.contains("temporarily unavailable") {
            met += 1;
            assert_eq!(done.status.code(), Some(1), "{}", told(&done));
            one_error(&done, &["temporarily unavailable", "remedy: ", "pids.max"]);
        } else {
            assert_eq!(done.status.code(), Some(0), "{max}: {}", told(&done));
        }
        // What the limit ended was repeated without it.
        assert_eq!(recovers(&ground, &done, &BEGIN), 0, "{max}: {}", told(&done));
    }
    assert!(met > 0, "no limit was met");
}

/// Trials that met a shortage are stored as such, repeated by `--resume`, and count once.
#[test]
fn what_was_too_much_for_the_host_is_repeated_and_what_failed_by_itself_is_not() {
    let ground = Ground::new();
    ground.write("straits.toml", PLAN.replace("120", "3"));
    let begin = ["run", "-q", "--plan", "straits.toml", "--runtime", "process", "--out", "r"];
    ground.expect(&begin, 0);
    // As a run within a limit leaves it: of three trials one met a shortage, and one failed by itself.
    let path = ground.path("r/samples.jsonl");
    let lines = fs::read_to_string(&path).unwrap();
    let failed = |line: &str, kind: &str| {
        let mut sample: serde_json::Value = serde_json::from_str(line).unwrap();
        sample.as_object_mut().unwrap().remove("values");
        sample["failed"] = serde_json::json!({ "phase": "create", "kind": kind, "message": "clone3: Resource temporarily unavailable" });
        format!("{sample}\n")
    };
    let blocks = lines.lines().filter(|line| !line.contains("\"warmup\":true")).collect::<Vec<_>>();
    let mut lines = lines.lines().map(|line| format!("{line}\n")).collect::<Vec<_>>();
    let at = |line: &str| lines.iter().position(|known| known.trim_end() == line).unwrap();
    let (short, died) = (at(blocks[0]), at(blocks[1]));
    (lines[short], lines[died]) = (failed(blocks[0], "exhausted"), failed(blocks[1], "died"));
    fs::write(&path, lines.concat()).unwrap();
    let page = ground.expect(&["report", "r"], 0);
    assert!(fs::read_to_string(ground.path("r/summary.md")).unwrap().contains("--resume"), "{}", told(&page));
    ground.expect(&["run", "-q", "--resume", "r"], 0);
    let grown = fs::read_to_string(&path).unwrap();
    assert_eq!(grown.lines().count(), lines.len() + 1, "one trial was repeated");
    assert!(grown.starts_with(&lines.concat()), "the file only grows");
    assert_eq!(whole(&ground, "r"), 1, "what failed by itself has failed");
}

/// A program that meets the limit of its own box has failed, and the host is not to blame.
#[test]
fn a_payload_at_its_own_limit_stays_a_failed_row() {
    let ground = Ground::new();
    if !has("gcc") {
        skip!("gcc", "a program that takes memory without end is made with gcc");
    }
    if !ground.runtimes().iter().any(|name| name == "namespace") {
        return;
    }
    ground.write(
        "eat.c",
        "#include <string.h>\n#include <sys/mman.h>\nint main(void) {\n for (int i = 0; i < 400; i++) {\n\
         char *p = mmap(0, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);\n\
         if (p == MAP_FAILED) return 3;\n memset(p, 1, 1 << 20);\n }\n return 0;\n}\n",
    );
    let built = ground.raw("gcc").args(["-static", "-O1", "-o", "eat", "eat.c"]).status().unwrap();
    assert!(built.success());
    let begin = ["run", "-q", "--program", "./eat", "--runtime", "namespace", "--runs", "2", "--out", "r"];
    let done = ground.output(&begin);
    let (folder, _) = Folder::open(&ground.path("r")).unwrap();
    let failed = folder.samples().unwrap().into_iter().filter_map(|sample| match sample.outcome {
        Outcome::Failed(failure) => Some(failure),
        Outcome::Values(_) => None,
    });
    let failed = failed.collect::<Vec<_>>();
    if failed.is_empty() {
        skip!("cgroups", "the container has no limit on memory here: {}", told(&done));
    }
    assert!(failed.iter().all(|failure| failure.kind == "died"), "{failed:?}");
    assert_eq!(done.status.code(), Some(0), "{}", told(&done));
    let before = fs::read(ground.path("r/samples.jsonl")).unwrap();
    ground.expect(&["run", "-q", "--resume", "r", "--program", "./eat"], 0);
    assert_eq!(fs::read(ground.path("r/samples.jsonl")).unwrap(), before, "nothing was repeated");
}

#[test]
fn a_log_that_cannot_be_written_ends_no_run() {
    let ground = Ground::new();
    ground.write("straits.toml", PLAN.replace("120", "2"));
    let words = ["run", "--plan", "straits.toml", "--runtime", "process", "--out", "r"];
    let full = || fs::File::options().write(true).open("/dev/full").unwrap();
    let mut command = ground.raw(env!("CARGO_BIN_EXE_isomark"));
    let done = command.args(words).stderr(full()).output().unwrap();
    assert_eq!(done.status.code(), Some(0), "{}", told(&done));
    assert_eq!(whole(&ground, "r"), 0);
    // Results that cannot be written are a failure, with words where there is a place for them.
    for verb in [&["list"][..], &["report", "r"], &["doctor"]] {
        let mut command = ground.raw(env!("CARGO_BIN_EXE_isomark"));
        let done = command.args(verb).stdout(full()).output().unwrap();
        assert_eq!(done.status.code(), Some(1), "{verb:?}: {}", told(&done));
        one_error(&done, &["No space left"]);
    }
}

/// A fault of isomark's own in the middle of a trial: one message and exit code 1, a folder that can be gone on with, and
/// no instance that outlives it. A release cannot be asked for one.
#[test]
fn a_panic_is_one_error_and_nothing_outlives_it() {
    if !cfg!(debug_assertions) {
        return;
    }
    let ground = Ground::new();
    ground.write("straits.toml", PLAN.replace("120", "4"));
    for runtime in ground.runtimes() {
        let begin = ["run", "-q", "--plan", "straits.toml", "--runtime", &runtime, "--out", &runtime];
        let mut command = ground.raw(env!("CARGO_BIN_EXE_isomark"));
        let done = command.args(begin).env("ISOMARK_TEST_PANIC", "3").output().unwrap();
        assert_eq!(done.status.code(), Some(1), "{}", told(&done));
        let text = String::from_utf8_lossy(&done.stderr).into_owned();
        let resume = format!("isomark run --resume {runtime}");
        for words in [&*resume, "ISOMARK_TEST_PANIC asked for it", "fault.rs:", "fault of isomark's own"] {
            assert!(text.contains(words), "{words}: {text}");
        }
        assert_eq!(text.lines().filter(|line| line.starts_with("isomark: ")).count(), 1, "{text}");
        // Unwound, not torn: everything was taken away by the command itself, before the next one could settle it.
        assert!(
            ground.sites().is_empty() && ground.open_entries(&runtime).is_empty(),
            "{:?}",
            ground.sites()
        );
        let (folder, _) = Folder::open(&ground.path(&runtime)).unwrap();
        assert_eq!(folder.samples().unwrap().len(), 2, "{runtime}: what came before is stored");
        ground.expect(&["report", &runtime], 0);
        ground.expect(&["run", "-q", "--resume", &runtime], 0);
        assert_eq!(whole(&ground, &runtime), 0);
    }
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
        let killed = done.status.code().is_none();
        let failed = recovers(&ground, &done, &BEGIN);
        // Groups of a harness that was killed lie below this one until they are settled.
        drop(group);
        assert!(killed || failed == 0, "{max}: {failed} trials have failed for good: {}", told(&done));
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
