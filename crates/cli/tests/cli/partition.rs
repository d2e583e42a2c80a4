//! Parts of one plan, measured by several commands, are the plan.

use std::collections::BTreeSet;

use isomark_core::store::Folder;

use crate::ground::{Ground, told};

/// Cells in every block, in every second and in every third.
const PLAN: &str = "name = 'thirds'\nblocks = 14\nwarmup = 1\nbudget_s = 1\n\
    [[ask]]\nscenario = 'startup'\nparams = { cache = 'warm' }\n\
    [[ask]]\nscenario = 'disk'\nevery = 2\nparams = { provision = 'each' }\n\
    [[ask]]\nscenario = 'memory'\nevery = 3\nparams = { load = 'idle' }\n";

fn run(ground: &Ground, out: &str, more: &[&str], code: i32) -> std::process::Output {
    let base = ["run", "--plan", "thirds.toml", "--runtime", "process", "--quiet", "--out", out];
    ground.expect(&[&base, more].concat(), code)
}

fn trials(ground: &Ground, name: &str) -> BTreeSet<(usize, u32)> {
    let (folder, _) = Folder::open(&ground.path(name)).unwrap();
    let samples = folder.samples().unwrap();
    let trials: BTreeSet<_> = samples.iter().filter(|s| !s.warmup).map(|s| (s.cell, s.block)).collect();
    assert_eq!(trials.len(), samples.iter().filter(|s| !s.warmup).count(), "{name}: no trial is there twice");
    trials
}

#[test]
fn parts_merged_are_the_whole_plan() {
    let ground = Ground::new();
    ground.write("thirds.toml", PLAN);
    run(&ground, "whole", &["--seed", "7", "--time-budget", "10m"], 0);
    for part in ["1/3", "2/3", "3/3"] {
        run(&ground, &part.replace('/', "of"), &["--seed", "7", "--partition", part], 0);
    }
    run(&ground, "other", &["--seed", "8", "--partition", "3/3"], 0);
    let refused = |runs: &[&str], why: &str| {
        let done = ground.expect(&[&["merge"], runs, &["--out", "all"]].concat(), 2);
        assert!(String::from_utf8_lossy(&done.stderr).contains(why), "{}", told(&done));
        assert!(!ground.path("all").exists());
    };
    refused(&["1of3", "3of3"], "part 2/3 is missing");
    refused(&["1of3", "2of3", "other"], "field seed");
    refused(&["1of3", "2of3", "3of3", "whole"], "all of the plan");
    refused(&["1of3", "2of3", "3of3", "2of3"], "both part 2/3");
    ground.expect(&["merge", "3of3", "1of3", "2of3", "--out", "all"], 0);
    assert_eq!(trials(&ground, "all"), trials(&ground, "whole"));
    let parts = ["1of3", "2of3", "3of3"].map(|name| trials(&ground, name).len());
    assert!(parts.iter().all(|n| *n > 0), "{parts:?}");
    assert_eq!(parts.iter().sum::<usize>(), trials(&ground, "whole").len());
    let merged = ground.json("all/run.json");
    assert_eq!((&merged["blocks"], merged.get("part")), (&14.into(), None), "it is no part any more");
    let report = ground.json("all/summary.json");
    assert_eq!(report["run"]["blocks_done"], 14);
}

#[test]
fn a_part_that_cannot_be_one_is_refused() {
    let ground = Ground::new();
    ground.write("thirds.toml", PLAN);
    let refused = |more: &[&str], why: &str| {
        let done = run(&ground, "run", more, 2);
        assert!(String::from_utf8_lossy(&done.stderr).contains(why), "{}", told(&done));
        assert!(!ground.path("run").exists());
    };
    refused(&["--partition", "1/3"], "--seed");
    refused(&["--seed", "7", "--partition", "4/3"], "I/N");
    refused(&["--seed", "7", "--partition", "two"], "I/N");
    // Rounds of six blocks: three of them in fourteen.
    refused(&["--seed", "7", "--partition", "1/4"], "3 times at most");
    refused(&["--seed", "7", "--partition", "1/2", "--precision", "auto"], "--precision");
    refused(&["--binary", "abc"], "64 hex digits");
    let done = run(&ground, "run", &["--binary", &"0".repeat(64)], 6);
    assert!(String::from_utf8_lossy(&done.stderr).contains("this isomark is"), "{}", told(&done));
}
