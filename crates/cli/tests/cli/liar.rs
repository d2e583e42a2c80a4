//! A payload that answers wrongly ends in exit code 7 and failed rows, never in a number.

use isomark_core::record::Outcome;
use isomark_core::store::Folder;

use crate::elf;
use crate::ground::{Ground, told};

#[test]
fn a_lying_payload_gives_no_number() {
    let ground = Ground::new();
    let payload = elf::liar(&ground.path("liar")).display().to_string();
    let runtimes = ground.runtimes().join(",");
    let args = ["run", "--payload", &payload, "--plan", "smoke", "--runtime", &runtimes];
    let done = ground.output(&[&args[..], &["--scenario", "startup", "--out", "r"]].concat());
    assert_eq!(done.status.code(), Some(7), "{}", told(&done));
    let (folder, run) = Folder::open(&ground.path("r")).unwrap();
    assert_eq!(run.payload.target, "external");
    let samples = folder.samples().unwrap();
    assert!(!samples.is_empty());
    // A floor asks nothing, so nothing can be answered wrongly there.
    for sample in samples.iter().filter(|s| !run.cells[s.cell].runtime.starts_with("floor")) {
        match &sample.outcome {
            Outcome::Failed(f) => assert!(f.kind == "wrong-answer" && f.message.contains("token=1"), "{f:?}"),
            Outcome::Values(values) => panic!("{values:?}"),
        }
    }
    for cell in ground.json("r/summary.json")["cells"].as_array().unwrap() {
        if cell["runtime"].as_str().unwrap().starts_with("floor") {
            continue;
        }
        assert_eq!(cell["status"], "failed", "{cell}");
        assert_eq!(cell["payload_sha256"], run.payload.sha256);
        for metric in cell["metrics"].as_array().unwrap() {
            assert!(metric["n"] == 0 && metric["median"].is_null() && metric["min"].is_null(), "{metric}");
        }
    }
    assert!(ground.sites().is_empty());
}
