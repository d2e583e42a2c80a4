//! Input that others made, against what the machine reads: the functions of `fuzz/`, driven by mutation on a stable compiler.

#![allow(clippy::unwrap_used, reason = "clippy's exception for tests does not see helpers")]

#[path = "../../../fuzz/src/dice.rs"]
mod dice;
#[path = "../../../fuzz/src/drive.rs"]
mod drive;
#[path = "../../../fuzz/src/machine.rs"]
mod machine;
#[path = "../../../fuzz/src/mutate.rs"]
mod mutate;
#[path = "../../../fuzz/src/target.rs"]
mod target;

parsers! {
    machine::ALL;
    elf: "elf",
    system_calls: "system-calls",
    snapshot: "snapshot",
    kernel: "kernel",
}

/// What seeds are for: a parser that refuses its own seeds is not tried by what becomes of them.
#[test]
fn seeds_are_accepted() {
    assert!(machine::snapshot_seeds().iter().all(|seed| machine::is_restored(seed)));
    assert!(machine::elf_seeds().iter().all(|seed| machine::is_planned(seed)));
    assert!(machine::kernel_seeds().iter().all(|seed| machine::boots(seed)));
    assert_eq!(machine::call_seeds().len(), 5);
}
