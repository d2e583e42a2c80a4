//! Two measuring runs do not overlap, and who insists is warned in the run's own record.

use std::fs;

use nix::sys::signal::{Signal, kill};

use crate::ground::{Ground, told};
use crate::killed::{PLAN, go_on, pid, until_measured};

#[test]
fn the_second_run_is_refused_with_who_measures_and_no_lock_warns() {
    let ground = Ground::new();
    ground.write("long.toml", PLAN);
    let mut first = go_on(&ground);
    until_measured(&ground, &mut first);
    let second = ["run", "-q", "--runtime", "process", "--scenario", "startup", "--runs", "3", "--out", "s"];
    let refused = ground.expect(&second, 6);
    let words = String::from_utf8_lossy(&refused.stderr).into_owned();
    let folder = ground.path("r").display().to_string();
    for part in [format!("pid {}", first.id()), "since 2".into(), folder, "--no-lock".into()] {
        assert!(words.contains(&part), "{part}: {}", told(&refused));
    }
    assert!(!ground.path("s").exists(), "what is refused makes no folder");
    let compared = ["ab", "-q", "--a", "process", "--b", "process", "--runs", "3", "--out", "t"];
    ground.expect(&compared, 6);
    let insisted = ground.expect(&[&second[..], &["--no-lock"]].concat(), 0);
    let words = String::from_utf8_lossy(&insisted.stderr).into_owned();
    assert!(words.contains("measured at the same time"), "{}", told(&insisted));
    let run = ground.json("s/run.json");
    assert!(run["host"]["warnings"].to_string().contains("--no-lock was given"), "{run}");
    for file in ["s/summary.md", "s/report.html"] {
        let text = fs::read_to_string(ground.path(file)).unwrap();
        assert!(text.contains("isomark measured at the same time"), "{file} does not warn");
    }
    // The lock goes with whoever had it, however it died.
    kill(pid(&first), Signal::SIGKILL).unwrap();
    first.wait().unwrap();
    ground.expect(&["run", "-q", "--resume", "s"], 0);
}

#[test]
fn without_a_place_for_the_lock_a_run_goes_on_and_says_so() {
    let ground = Ground::new();
    std::os::unix::fs::symlink(ground.path("elsewhere"), ground.path("lock")).unwrap();
    let run = ["run", "-q", "--runtime", "process", "--scenario", "startup", "--runs", "3", "--out", "s"];
    let done = ground.expect(&run, 0);
    let words = String::from_utf8_lossy(&done.stderr).into_owned();
    assert!(words.contains("no lock can be had") && words.contains("ISOMARK_LOCK"), "{}", told(&done));
    assert!(!ground.path("elsewhere").exists(), "a link is not followed");
    assert!(ground.json("s/run.json")["host"]["warnings"].to_string().contains("no lock can be had"));
}
