//! A run that is killed leaves nothing on the host after the next command, and can be completed.
//!
//! Looks for processes by group and by program, for cgroups and mounts by the name of the command that died.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use isomark_core::payload::data::SplitMix;
use isomark_core::store::Folder;
use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;

use crate::ground::{Ground, told};

/// More than all kills together can take, so that each meets a run under way.
pub(crate) const PLAN: &str = "name = 'long'
blocks = 6
warmup = 1
[[ask]]
scenario = 'startup'
params = { cache = ['warm', 'cold'] }
[[ask]]
scenario = 'memory'
params = { load = 'touched' }
[[ask]]
scenario = 'memory'
every = 2
params = { instances = 3 }
[[ask]]
scenario = 'disk'
params = { provision = 'each' }
[[ask]]
scenario = 'throughput'
params = { kernel = ['dgemm', 'pipe'], millis = 30 }
";

pub(crate) fn spawn(ground: &Ground, args: &[&str]) -> Child {
    // Whoever started this test in the background, or under nohup(1), may have it ignore what is sent here.
    let mut command = ground.raw("env");
    command.arg("--default-signal=HUP,INT,QUIT,TERM").arg(env!("CARGO_BIN_EXE_isomark"));
    // A group of its own, as a shell gives to a job: signals of the terminal meet the whole group.
    command.args(args).process_group(0).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().unwrap()
}

pub(crate) fn pid(child: &Child) -> Pid {
    Pid::from_raw(child.id().try_into().unwrap())
}

/// Processes of this group, whose program lies below this directory, or in a cgroup of the command with this pid: what is
/// started in a box has a process group and a root of its own.
fn processes(group: Pid, dir: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let stat = fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        let Some((name, fields)) = stat.rsplit_once(')') else { continue };
        let fields = fields.split_whitespace().collect::<Vec<_>>();
        let ours = fields.get(2).is_some_and(|g| *g == group.to_string());
        let program = fs::read_link(entry.path().join("exe")).unwrap_or_default();
        let cgroups = fs::read_to_string(entry.path().join("cgroup")).unwrap_or_default();
        let boxed = cgroups.contains(&format!("isomark-{group}-"));
        if fields[0] != "Z" && (ours || boxed || program.starts_with(dir)) {
            found.push(format!("{name}) {} {}", fields[..3].join(" "), program.display()));
        }
    }
    found
}

/// The mount points of all cgroup hierarchies.
fn hierarchies() -> Vec<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
    let fields = mounts.lines().map(|line| line.split(' ').collect::<Vec<_>>());
    fields.filter(|f| f[2] == "cgroup" || f[2] == "cgroup2").map(|f| PathBuf::from(f[1])).collect()
}

/// Groups that are named after a command with this pid.
fn groups(pid: Pid) -> Vec<PathBuf> {
    let (mut todo, mut found) = (hierarchies(), Vec::new());
    while let Some(dir) = todo.pop() {
        for entry in fs::read_dir(&dir).into_iter().flatten().flatten() {
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                if entry.file_name().to_string_lossy().starts_with(&format!("isomark-{pid}-")) {
                    found.push(entry.path());
                }
                todo.push(entry.path());
            }
        }
    }
    found
}

fn mounts(state: &Path) -> Vec<String> {
    let table = fs::read_to_string("/proc/self/mountinfo").unwrap();
    let state = state.display().to_string();
    table.lines().filter(|line| line.contains(&state)).map(str::to_owned).collect()
}

/// Nothing of a dead command is left: not even where a process had no time to notice yet.
#[track_caller]
fn nothing_is_left(ground: &Ground, dead: Pid) {
    let (groups, mounts, sites) = (groups(dead), mounts(&ground.state()), ground.sites());
    assert!(groups.is_empty() && mounts.is_empty() && sites.is_empty(), "{groups:?} {mounts:?} {sites:?}");
    // A process that was told to die is gone when the kernel gets round to it; the bound is there to end the test.
    let until = Instant::now() + Duration::from_secs(10);
    while !processes(dead, ground.dir()).is_empty() && Instant::now() < until {
        sleep(Duration::from_millis(5));
    }
    assert_eq!(processes(dead, ground.dir()), [""; 0], "processes");
}

/// How many trials the plan has, and how many are stored; none is stored twice.
fn trials(dir: &Path) -> (usize, usize) {
    let (folder, run) = Folder::open(dir).unwrap();
    let samples = folder.samples().unwrap();
    let distinct = samples.iter().map(|s| (s.cell, s.block, s.warmup)).collect::<BTreeSet<_>>();
    assert_eq!(distinct.len(), samples.len(), "a trial is stored twice");
    let of_cell =
        |every: u32| run.warmup + (0..run.blocks).filter(|block| block.is_multiple_of(every)).count() as u32;
    let planned = run.cells.iter().filter(|c| c.skipped.is_none()).map(|c| of_cell(c.every)).sum::<u32>();
    (planned as usize, samples.len())
}

/// The folder as far as it has come: a new run as long as there is none.
pub(crate) fn go_on(ground: &Ground) -> Child {
    let begun = ground.path("r/run.json").exists();
    let args: &[&str] =
        if begun { &["run", "--resume", "r"] } else { &["run", "--plan", "long.toml", "--out", "r"] };
    spawn(ground, args)
}

#[test]
fn a_killed_run_leaves_nothing_and_can_be_completed() {
    let ground = Ground::new();
    ground.runtimes();
    ground.write("long.toml", PLAN);
    let (mut rng, mut so_far) = (SplitMix::new(9), 0);
    // Early, where the folder and the site are being made, and then anywhere.
    let early = [3, 20, 60, 120];
    let later = (0..10).map(|_| 150 + rng.below(500) as u64).collect::<Vec<_>>();
    for (turn, after) in early.into_iter().chain(later).enumerate() {
        let mut child = go_on(&ground);
        if turn >= early.len() {
            // On a busy host it takes its time until there is something to cut short.
            until_measured(&ground, &mut child);
        }
        sleep(Duration::from_millis(after));
        let victim = pid(&child);
        kill(victim, Signal::SIGKILL).unwrap();
        let status = child.wait().unwrap();
        if status.code() == Some(0) {
            break;
        }
        assert_eq!(status.signal(), Some(9));
        // Any command takes away what the dead one left.
        let next: &[&str] = if turn % 2 == 0 { &["clean"] } else { &["list"] };
        ground.expect(next, 0);
        nothing_is_left(&ground, victim);
        if ground.path("r/run.json").exists() {
            let (planned, stored) = trials(&ground.path("r"));
            assert!(so_far <= stored && stored <= planned, "{so_far} trials were stored, now {stored}");
            so_far = stored;
            let ledger = ground.open_entries("r");
            assert!(ledger.is_empty(), "the run's ledger has open: {ledger:?}");
            ground.expect(&["report", "r"], 0);
        }
    }
    assert!(so_far > 0, "no run came far enough to be cut short");
    let status = go_on(&ground).wait().unwrap();
    assert_eq!(status.code(), Some(0));
    let (planned, stored) = trials(&ground.path("r"));
    assert_eq!(stored, planned);
    let summary = ground.json("r/summary.json");
    assert!(summary["cells"].as_array().unwrap().iter().all(|c| c["status"] != "failed"), "{summary}");
    assert!(ground.sites().is_empty());
    // Nothing is left to do, and saying so changes nothing.
    ground.expect(&["run", "-q", "--resume", "r"], 0);
    assert_eq!(trials(&ground.path("r")), (planned, planned));
}

/// Waits until something has been measured: only then is there something to keep.
pub(crate) fn until_measured(ground: &Ground, child: &mut Child) {
    let samples = ground.path("r/samples.jsonl");
    while fs::metadata(&samples).map_or(0, |m| m.len()) == 0 {
        assert!(child.try_wait().unwrap().is_none(), "it ended before it measured anything");
        sleep(Duration::from_millis(2));
    }
}

#[track_caller]
fn interrupted(signal: Signal, whole_group: bool, code: i32) {
    let ground = Ground::new();
    ground.write("long.toml", PLAN);
    let mut child = go_on(&ground);
    until_measured(&ground, &mut child);
    let victim = pid(&child);
    // What looks for traces sees them as long as there are some.
    assert!(!ground.sites().is_empty() && !processes(victim, ground.dir()).is_empty());
    let sent = if whole_group { killpg(victim, signal) } else { kill(victim, signal) };
    sent.unwrap();
    let ended = child.wait().unwrap();
    assert_eq!(ended.code(), Some(code), "{ended}");
    // It cleaned up by itself: no other command has run since.
    nothing_is_left(&ground, victim);
    let (planned, stored) = trials(&ground.path("r"));
    assert!(0 < stored && stored < planned, "{stored} of {planned}");
    let failed = ground.json("r/summary.json");
    assert!(
        !failed.to_string().contains("\"failures\":[{"),
        "what the signal disturbed is no failure: {failed}"
    );
    let report = ground.expect(&["report", "r"], 0);
    assert!(!report.stdout.is_empty(), "{}", told(&report));
    assert_eq!(go_on(&ground).wait().unwrap().code(), Some(0));
    assert_eq!(trials(&ground.path("r")), (planned, planned));
}

/// Storms beside victims, and ways of going wrong: more of them than all kills together can take.
const STORMS: &str = "name = 'storms'
blocks = 200
warmup = 0
[[ask]]
scenario = 'interference'
params = { storm = ['spin', 'fork', 'allocate', 'sync'], limits = ['off', 'on'], millis = 200 }
[[ask]]
scenario = 'containment'
params = { how = ['memory', 'fork', 'spin', 'fill'] }
";

#[test]
fn a_storm_ends_with_the_harness() {
    let ground = Ground::new();
    let runtimes = ground.runtimes().join(",");
    ground.write("storms.toml", STORMS);
    for (turn, after) in [250, 700, 1300, 2100].into_iter().enumerate() {
        let out = format!("r{turn}");
        let seed = turn.to_string();
        let args = ["run", "--plan", "storms.toml", "--runtime", &runtimes, "--out", &out, "--seed", &seed];
        let mut child = spawn(&ground, &args);
        let (victim, until) = (pid(&child), Instant::now() + Duration::from_secs(60));
        sleep(Duration::from_millis(after));
        // Something rages: the harness, a victim and a neighbour at the least.
        while processes(victim, ground.dir()).len() < 3 && Instant::now() < until {
            sleep(Duration::from_millis(1));
        }
        kill(victim, Signal::SIGKILL).unwrap();
        assert_eq!(child.wait().unwrap().signal(), Some(9), "it ended by itself");
        // What raged is gone by itself, and no other command had to see to it.
        let until = Instant::now() + Duration::from_secs(10);
        while !processes(victim, ground.dir()).is_empty() && Instant::now() < until {
            sleep(Duration::from_millis(5));
        }
        assert_eq!(processes(victim, ground.dir()), [""; 0], "the storm goes on after {after} ms");
        ground.expect(&["clean"], 0);
        nothing_is_left(&ground, victim);
    }
}

#[test]
fn ctrl_c_keeps_what_was_measured() {
    // A terminal sends it to the whole group, payloads included.
    interrupted(Signal::SIGINT, true, 130);
}

#[test]
fn a_polite_end_keeps_what_was_measured() {
    interrupted(Signal::SIGTERM, false, 143);
}

#[test]
fn a_terminal_that_closes_keeps_what_was_measured() {
    interrupted(Signal::SIGHUP, true, 129);
}

#[test]
fn a_run_without_a_terminal_of_its_own_outlives_it() {
    let ground = Ground::new();
    ground.write("long.toml", PLAN.replace("blocks = 6", "blocks = 1"));
    let mut command = ground.raw("nohup");
    let run =
        [env!("CARGO_BIN_EXE_isomark"), "run", "--runtime", "process", "--plan", "long.toml", "--out", "r"];
    let mut child =
        command.args(run).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    until_measured(&ground, &mut child);
    kill(pid(&child), Signal::SIGHUP).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

/// The run's guard takes everything away once the run is dead: no other command sees to it.
#[track_caller]
fn nothing_is_left_by_itself(ground: &Ground, dead: Pid) {
    let until = Instant::now() + Duration::from_secs(30);
    while !ground.sites().is_empty() && Instant::now() < until {
        sleep(Duration::from_millis(5));
    }
    nothing_is_left(ground, dead);
}

#[test]
fn whoever_does_not_wait_for_the_orderly_end_leaves_nothing_either() {
    for (signal, times, wanted) in [(Signal::SIGINT, 2, 2), (Signal::SIGQUIT, 1, 3), (Signal::SIGKILL, 1, 9)]
    {
        let ground = Ground::new();
        // Longer than the worst that the host does to this test between the first trial and the signal.
        ground.write("long.toml", PLAN.replace("blocks = 6", "blocks = 600"));
        let mut child = go_on(&ground);
        until_measured(&ground, &mut child);
        let victim = pid(&child);
        for _ in 0..times {
            killpg(victim, signal).unwrap();
            // Two at once would be one.
            sleep(Duration::from_millis(1));
        }
        let ended = child.wait().unwrap();
        // Where the orderly end was over before the second Ctrl-C it has its own code.
        assert!(
            ended.signal() == Some(wanted) || (times == 2 && ended.code() == Some(130)),
            "{signal}: {ended}"
        );
        nothing_is_left_by_itself(&ground, victim);
    }
}

#[test]
fn who_is_dead_and_not_reaped_is_settled() {
    let ground = Ground::new();
    ground.write("long.toml", PLAN);
    let mut child = go_on(&ground);
    until_measured(&ground, &mut child);
    let victim = pid(&child);
    kill(victim, Signal::SIGKILL).unwrap();
    // Nobody waits for it: it is a zombie until the end of this test.
    nothing_is_left_by_itself(&ground, victim);
    assert_eq!(child.wait().unwrap().signal(), Some(9));
}

#[test]
fn a_killed_exec_leaves_nothing() {
    let ground = Ground::new();
    let spins = crate::elf::program(&ground.path("spins"), |_| vec![0xeb, 0xfe], &[]).display().to_string();
    for runtime in ground.runtimes() {
        for (signal, code) in
            [(Signal::SIGKILL, None), (Signal::SIGTERM, Some(143)), (Signal::SIGINT, Some(130))]
        {
            let mut child = spawn(&ground, &["exec", "--runtime", &runtime, "--", &spins]);
            let victim = pid(&child);
            // Once there is an instance beside the harness, its handlers stand too.
            let until = Instant::now() + Duration::from_secs(60);
            while processes(victim, ground.dir()).len() < 2 {
                assert!(Instant::now() < until, "{runtime} makes no instance");
                sleep(Duration::from_millis(2));
            }
            kill(victim, signal).unwrap();
            let ended = child.wait().unwrap();
            assert_eq!(ended.code(), code, "{runtime} after {signal}: {ended}");
            if code.is_none() {
                ground.expect(&["clean"], 0);
            }
            nothing_is_left(&ground, victim);
        }
    }
}
