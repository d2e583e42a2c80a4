//! A hundred virtual machines alive at the same time, each of which answers.

use crate::ground::{Ground, skip, told};

#[test]
fn a_hundred_microvms_live_and_answer_at_once() {
    let ground = Ground::new();
    if !ground.runtimes().contains(&"microvm".to_owned()) {
        skip!("microvm", "a hundred virtual machines need /dev/kvm");
    }
    let plan = "name = 'hundred'\nblocks = 1\n[[ask]]\nscenario = 'memory'\nparams = { instances = 100, rest_ms = 1 }";
    ground.write("hundred.toml", plan);
    let done =
        ground.expect(&["run", "-q", "--plan", "hundred.toml", "--runtime", "microvm", "--out", "r"], 0);
    // The scenario asks every machine before it lets the first one go: values mean that all hundred answered.
    let summary = ground.json("r/summary.json");
    let cell = &summary["cells"][0];
    assert_eq!(
        (&cell["status"], &cell["params"]["instances"]),
        (&"ok".into(), &100.into()),
        "{}",
        told(&done)
    );
    for name in ["marginal-pss", "marginal-available", "marginal-free"] {
        let metric = cell["metrics"].as_array().unwrap().iter().find(|m| m["name"] == name).unwrap();
        assert_eq!((&metric["n"], metric["median"].is_number()), (&1.into(), true), "{metric}");
    }
    assert!(ground.sites().is_empty());
}
