//! The ledger of a run: what was made is noted, and struck off when it is gone.

use std::collections::BTreeSet;
use std::fs;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::ground::{Ground, told};
use crate::killed::{PLAN, go_on, pid, until_measured};

#[test]
fn the_ledger_of_a_run_names_everything_by_its_command_and_balances() {
    let ground = Ground::new();
    let runtimes = ground.runtimes();
    ground.expect(&["run", "--quiet", "--plan", "smoke", "--out", "r"], 0);
    let text = fs::read_to_string(ground.path("r/ledger")).unwrap();
    let head = text.lines().next().unwrap();
    let tag = head.split(' ').nth(1).unwrap();
    assert!(isomark_core::site::is_tag(tag), "{head}");
    let noted = text.lines().filter_map(|line| line.strip_prefix("+ ")).collect::<Vec<_>>();
    let named = |line: &&&str| {
        line.contains(tag) || line.starts_with("queue /isomark-canary-") || line.starts_with("way /")
    };
    assert_eq!(noted.iter().filter(named).count(), noted.len(), "{text}");
    let kinds = noted.iter().filter_map(|line| line.split(' ').next()).collect::<BTreeSet<_>>();
    assert!(kinds.contains("directory") && kinds.contains("process"), "{kinds:?}");
    if runtimes.iter().any(|name| name == "namespace") && crate::ground::is_root() {
        assert!(kinds.contains("cgroup"), "{kinds:?}");
    }
    assert_eq!(ground.open_entries("r"), [], "{text}");
}

/// The guard beside a command: a child of it that is no payload.
fn guard_of(command: Pid) -> Pid {
    let children = fs::read_to_string(format!("/proc/{command}/task/{command}/children")).unwrap();
    let is_guard = |pid: &&str| {
        fs::read(format!("/proc/{pid}/cmdline"))
            .is_ok_and(|words| words.split(|b| *b == 0).nth(1) == Some(b"guard"))
    };
    Pid::from_raw(children.split_whitespace().find(is_guard).unwrap().parse().unwrap())
}

#[test]
fn clean_tells_what_a_dead_run_left_and_takes_it_away_only_when_asked() {
    let ground = Ground::new();
    ground.write("long.toml", PLAN);
    let mut child = go_on(&ground);
    until_measured(&ground, &mut child);
    let living = ground.expect(&["clean"], 0);
    let words = String::from_utf8_lossy(&living.stdout).into_owned();
    assert!(words.contains("nothing is left") && words.contains("left alone"), "{}", told(&living));
    let victim = pid(&child);
    // Its guard would be there first.
    kill(guard_of(victim), Signal::SIGKILL).unwrap();
    kill(victim, Signal::SIGKILL).unwrap();
    child.wait().unwrap();
    // Instances die with it; what they were is not for this test.
    std::thread::sleep(Duration::from_millis(100));
    let open = ground.open_entries("r");
    assert!(open.iter().any(|entry| entry.kind == "directory"), "{open:?}");
    let dry = ground.expect(&["clean", "--dry-run"], 0);
    let words = String::from_utf8_lossy(&dry.stdout).into_owned();
    let own = format!("{}/{victim}-", ground.state().display());
    assert!(words.contains("would take away directory") && words.contains(&own), "{}", told(&dry));
    assert_eq!((ground.sites().len(), ground.open_entries("r")), (1, open));
    let clean = ground.expect(&["clean"], 0);
    let words = String::from_utf8_lossy(&clean.stdout).into_owned();
    assert!(words.contains("took away directory") && words.contains(&own), "{}", told(&clean));
    assert!(ground.sites().is_empty() && ground.open_entries("r").is_empty());
}
