//! Input that others made, against every parser of text: the functions of `fuzz/`, driven by mutation on a stable compiler.

#![allow(clippy::unwrap_used, reason = "clippy's exception for tests does not see helpers")]

#[path = "../../../fuzz/src/dice.rs"]
mod dice;
#[path = "../../../fuzz/src/drive.rs"]
mod drive;
#[path = "../../../fuzz/src/mutate.rs"]
mod mutate;
#[path = "../../../fuzz/src/target.rs"]
mod target;
#[path = "../../../fuzz/src/text.rs"]
mod text;
#[path = "../../../fuzz/src/told.rs"]
mod told;

parsers! {
    text::ALL;
    wire: "wire",
    plan: "plan",
    stanza: "stanza",
    claim: "claim",
    thresholds: "thresholds",
    spec: "spec",
    run: "run",
    report: "report",
    samples: "samples",
}

/// What seeds are for: a parser that refuses its own seeds is not tried by what becomes of them.
#[test]
fn seeds_are_accepted() {
    assert!(text::ALL.iter().all(|target| !(target.seeds)().is_empty()));
    let words = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    for seed in text::run_seeds() {
        isomark_core::store::parse_run("seed", &words(seed)).unwrap();
    }
    for seed in text::plan_seeds() {
        isomark_engine::Plan::parse("seed", &words(seed)).unwrap();
    }
    for seed in text::stanza_seeds() {
        isomark_runtimes::check_stanza("seed", &words(seed)).unwrap();
    }
    for seed in told::report_seeds() {
        let parts: Vec<&[u8]> = seed.split(|byte| *byte == 0).collect();
        let run = isomark_core::store::parse_run("seed", &words(parts[0].to_vec())).unwrap();
        let samples = isomark_core::store::parse_lines("seed", parts[1]).unwrap();
        isomark_report::Dataset::new(&run, &samples, Vec::new()).unwrap();
    }
    for seed in text::sample_seeds().into_iter().take(40) {
        let all =
            isomark_core::store::parse_lines::<isomark_core::record::Sample>("seed", &seed[..]).unwrap();
        assert_eq!(all.len(), 1);
    }
}
