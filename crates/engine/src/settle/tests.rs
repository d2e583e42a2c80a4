//! Settling, tried with sites of commands that never were.

use super::*;

/// Says loudly what this host lacks; where containers are required and root asks, it may lack none of it.
fn lacking(what: &str) {
    let required = std::env::var("ISOMARK_REQUIRE").unwrap_or_default();
    let required = required.split(',').any(|word| word == "namespace") && nix::unistd::geteuid().is_root();
    assert!(!required, "{what}, and ISOMARK_REQUIRE has namespace");
    eprintln!("SKIPPED {what}");
}

#[test]
fn only_the_dead_are_settled() {
    let state = tempfile::tempdir().unwrap();
    let make = |name: &str| fs::create_dir_all(state.path().join(name).join("deep")).unwrap();
    let own = isomark_core::Site::open(state.path()).unwrap();
    make("999999999-1-0");
    make("not-ours");
    make("12-");
    let would = settle(state.path(), true);
    assert!(would.gone.len() == 1 && would.gone[0].ends_with("999999999-1-0"), "{would:?}");
    assert_eq!(would.alive, [own.tag()]);
    assert!(state.path().join("999999999-1-0").exists());
    assert_eq!(settle(state.path(), false).gone.len(), 1);
    assert!(!state.path().join("999999999-1-0").exists());
    assert!(
        own.dir().exists() && state.path().join("not-ours").exists() && state.path().join("12-").exists()
    );
    let _ = leave(&own);
    assert!(!own.dir().exists());
}

#[test]
fn who_passes_a_life_on_is_caught_all_the_same() {
    use std::process::{Command, Stdio};
    let state = tempfile::tempdir().unwrap();
    let dead = state.path().join("999999999-1-0");
    fs::create_dir_all(&dead).unwrap();
    // Each begins the next and ends, as an engine does on its way to a container.
    let relay = state.path().join("relay");
    fs::write(&relay, "sleep 0.004; [ -e stop ] || sh ./relay &\n").unwrap();
    let began = Command::new("sh")
        .arg("./relay")
        .current_dir(state.path())
        .env("HOME", dead.join("home"))
        .stdin(Stdio::null())
        .status();
    assert!(began.unwrap().success());
    let would = (0..100).any(|_| stragglers::of(&dead, "999999999-1-0").next().is_some());
    ledger::note(&dead, "process", "relay").unwrap();
    let report = settle(state.path(), false);
    let left = (0..50).any(|_| {
        std::thread::sleep(Duration::from_millis(2));
        stragglers::of(&dead, "999999999-1-0").next().is_some()
    });
    // Whatever this finds, nothing of it outlives the test.
    let _ = fs::write(state.path().join("stop"), "");
    assert!(would, "the relay does not run");
    assert!(report.stuck.is_empty() && !left && !dead.exists(), "{report:?}");
}

/// A group of the dead command in v1's freezer or in v2; removed with the test.
fn group_that_freezes(tag: &str) -> Option<(PathBuf, [&'static str; 2])> {
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
    let mounts = mounts.lines().map(|line| line.split(' ').collect::<Vec<_>>()).collect::<Vec<_>>();
    let freezer = mounts.iter().find(|m| m[2] == "cgroup" && m[3].split(',').any(|name| name == "freezer"));
    let (mount, how) = match freezer {
        Some(v1) => (v1[1], ["freezer.state", "FROZEN"]),
        None => (mounts.iter().find(|m| m[2] == "cgroup2")?[1], ["cgroup.freeze", "1"]),
    };
    let group = Path::new(mount).join(format!("isomark-{tag}"));
    fs::create_dir(&group).ok().map(|()| (group, how))
}

#[test]
fn who_comes_second_finds_nothing_when_it_goes_on() {
    let state = tempfile::tempdir().unwrap();
    for turn in 0..20 {
        let dead = state.path().join(format!("999999999-{turn}-0"));
        drop((fs::create_dir(&dead), ledger::begin(&dead, "x").unwrap()));
        // What takes a while to remove, also in the midst of it.
        for n in 0..40 {
            fs::create_dir_all(dead.join(format!("{n}/below"))).unwrap();
            fs::write(dead.join(format!("file{n}")), [0; 4096]).unwrap();
        }
        let both = || {
            let report = settle(state.path(), false);
            (dead.exists(), report)
        };
        let all = std::thread::scope(|scope| {
            [scope.spawn(both), scope.spawn(both), scope.spawn(both)].map(|one| one.join().unwrap())
        });
        let calm =
            all.iter().all(|(left, report)| !left && report.stuck.is_empty() && report.alive.is_empty());
        assert!(calm, "{all:?}");
    }
}

#[test]
fn who_is_frozen_is_thawed_to_be_ended() {
    let state = tempfile::tempdir().unwrap();
    let tag = format!("999999999-{}-0", std::process::id());
    let Some((group, [file, word])) = group_that_freezes(&tag) else {
        lacking("freezing: no group can be made that freezes");
        return;
    };
    let (dead, below) = (state.path().join(&tag), group.join("i0"));
    fs::create_dir(&dead).unwrap();
    fs::create_dir(&below).unwrap();
    ledger::note(&dead, "cgroup", &group.display().to_string()).unwrap();
    ledger::note(&dead, "process", &tag).unwrap();
    // One carries a mark, the other only its group tells.
    let home = dead.join("home");
    let start = |home: &Path, group: &Path| {
        let child = std::process::Command::new("sleep").arg("600").env("HOME", home).spawn().unwrap();
        fs::write(group.join("cgroup.procs"), child.id().to_string()).unwrap();
        child
    };
    let mut both = [start(&home, &group), start(Path::new("/"), &below)];
    fs::write(group.join(file), word).unwrap();
    let report = settle(state.path(), false);
    groups::thaw(&group);
    let ends = both.iter_mut().map(|child| child.kill().and_then(|()| child.wait())).collect::<Vec<_>>();
    groups::remove(&group);
    assert!(report.stuck.is_empty() && !dead.exists(), "{report:?} {ends:?}");
}

#[test]
fn a_site_without_a_ledger_is_held_by_who_settles_it() {
    let state = tempfile::tempdir().unwrap();
    let site = state.path().join("999999999-1-0");
    fs::create_dir(&site).unwrap();
    let held = hold(&site, false).unwrap().unwrap();
    let file = ledger::begin(&site, "999999999-1-0").unwrap();
    assert!(Flock::lock(file, FlockArg::LockExclusiveNonblock).is_err(), "who makes it must see that");
    drop(held);
    // A link in its place is not followed, and holds nobody up.
    let link = state.path().join("999999999-3-0");
    fs::create_dir(&link).unwrap();
    std::os::unix::fs::symlink(state.path().join("victim"), link.join(ledger::FILE)).unwrap();
    let report = settle(state.path(), false);
    assert!(report.stuck.is_empty() && !link.exists() && !site.exists(), "{report:?}");
    assert!(!state.path().join("victim").exists());
}

#[test]
fn a_mount_and_a_queue_of_the_dead_are_taken_away() {
    let state = tempfile::tempdir().unwrap();
    let dead = state.path().join("999999999-1-0");
    let (own, other) = (dead.join("mount"), state.path().join("other"));
    fs::create_dir_all(&own).unwrap();
    fs::create_dir_all(&other).unwrap();
    let mounted = planted::plant_mount(&dead, &own).and_then(|()| planted::plant_mount(&dead, &other));
    if let Err(why) = mounted {
        lacking(&format!("mounting: {}", why.chain()));
        return;
    }
    planted::note(&dead, "queue", "/not-ours").unwrap();
    let would = settle(state.path(), true);
    assert!(
        would.gone.iter().any(|what| what.starts_with("mount ")) && planted::is_mounted(&own),
        "{would:?}"
    );
    let report = settle(state.path(), false);
    let left = planted::is_mounted(&other);
    planted::take_mount(state.path(), &other).unwrap();
    assert!(left, "a mount elsewhere is not ours, whatever the ledger says");
    assert!(!planted::is_mounted(&own) && !dead.exists() && report.gone.len() == 2, "{report:?}");
}

#[test]
fn of_the_way_to_a_group_goes_what_is_empty_and_a_group() {
    let state = tempfile::tempdir().unwrap();
    let tag = format!("999999999-{}-1", std::process::id());
    let Some((group, _)) = group_that_freezes(&tag) else {
        lacking("groups: none can be made");
        return;
    };
    let (dead, plain) = (state.path().join(&tag), state.path().join("plain"));
    let (empty, used) = (group.join("way"), group.join("used"));
    for dir in [&dead, &plain, &empty, &used, &used.join("by-another")] {
        fs::create_dir(dir).unwrap();
    }
    for dir in [&empty, &used, &plain] {
        ledger::note(&dead, "way", &dir.display().to_string()).unwrap();
    }
    let report = settle(state.path(), false);
    let left = [&dead, &plain, &empty, &used].map(|dir| dir.exists());
    groups::remove(&group);
    assert_eq!(left, [false, true, false, true], "{report:?}");
}

#[test]
fn a_ledger_cannot_name_a_group_that_is_not_ours() {
    let state = tempfile::tempdir().unwrap();
    let victim = state.path().join("victim");
    fs::create_dir(&victim).unwrap();
    let dead = state.path().join("999999999-1-0");
    fs::create_dir(&dead).unwrap();
    planted::note(&dead, "cgroup", &victim.display().to_string()).unwrap();
    let report = settle(state.path(), false);
    assert!(victim.exists() && report.gone.len() == 1, "{report:?}");
}

#[test]
fn a_process_that_outlived_its_command_is_ended_and_struck_off() {
    let (state, run) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let dead = state.path().join("999999999-1-0");
    fs::create_dir(&dead).unwrap();
    drop(ledger::begin(&dead, "999999999-1-0").unwrap());
    ledger::note(&dead, "process", "999999999-1-0").unwrap();
    ledger::follow(&dead, run.path()).unwrap();
    let program = dead.join("sleeps");
    fs::copy("/bin/sleep", &program).unwrap();
    let mut child = std::process::Command::new(&program).arg("600").spawn().unwrap();
    assert!(settle(state.path(), true).gone[0].starts_with("process "));
    assert!(child.try_wait().unwrap().is_none(), "a dry run ends nobody");
    let report = settle(state.path(), false);
    assert!(report.stuck.is_empty() && !dead.exists(), "{report:?}");
    assert!(!child.wait().unwrap().success());
    assert_eq!(ledger::open_entries(&ledger::read(run.path())), []);
}

#[test]
fn who_holds_its_ledger_lives_whatever_proc_says_and_a_boot_ago_is_dead() {
    let state = tempfile::tempdir().unwrap();
    let elsewhere = state.path().join("999999999-1-0");
    fs::create_dir(&elsewhere).unwrap();
    let file = ledger::begin(&elsewhere, "999999999-1-0").unwrap();
    let held = Flock::lock(file, FlockArg::LockExclusiveNonblock).unwrap();
    let report = settle(state.path(), false);
    assert!(report.gone.is_empty() && elsewhere.exists(), "{report:?}");
    drop(held);
    assert_eq!(settle(state.path(), false).gone.len(), 1);
    let own = isomark_core::site::start_time("self").unwrap();
    let reused = state.path().join(format!("{}-{own}-99", std::process::id()));
    fs::create_dir(&reused).unwrap();
    fs::write(reused.join(ledger::FILE), "isomark.ledger/1 x boot of-long-ago\n").unwrap();
    assert_eq!(settle(state.path(), false).gone.len(), 1);
    assert!(!reused.exists());
}
