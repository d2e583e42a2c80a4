//! The examples for library users, as `cargo test` has built them: each runs, and prints what is true.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::ground::{Ground, told};

/// The program of an example: cargo puts them beside the binary.
fn example(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_BIN_EXE_isomark")).with_file_name("examples").join(name);
    assert!(path.exists(), "{} is not there: cargo build --examples makes it", path.display());
    path
}

/// What an example prints, line by line; nothing of it may stay on the host.
#[track_caller]
fn lines(ground: &Ground, name: &str, args: &[&str]) -> Vec<String> {
    let mut command = ground.raw(example(name).to_str().unwrap());
    command.args(args);
    // Bound against hangs; nothing here takes a tenth of it.
    let output = assert_cmd::Command::from_std(command).timeout(Duration::from_secs(120)).output().unwrap();
    assert!(output.status.success(), "{name} {args:?}: {}", told(&output));
    assert!(ground.sites().is_empty(), "{name} leaves {:?}", ground.sites());
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

#[test]
fn phases_are_told_in_their_order() {
    let ground = Ground::new();
    let told = lines(&ground, "phases", &[]);
    let words = told.iter().filter(|line| !line.starts_with(' ')).map(|line| line.split(' ').next().unwrap());
    assert_eq!(words.collect::<Vec<_>>(), ["create", "start", "run", "stop", "remove"], "{told:?}");
    assert!(told[0].contains("its work is done in start"), "{told:?}");
}

#[test]
fn a_runtime_of_ones_own_is_measured_and_its_folder_is_read_again() {
    let ground = Ground::new();
    let told = lines(&ground, "own-runtime", &["run"]);
    assert!(told[0].starts_with("process ") && told[1].starts_with("shell "), "{told:?}");
    assert!(told[1].contains("] of process: ") && told[1].ends_with(", 24 pairs"), "{told:?}");
    ground.expect(&["report", "run"], 0);
    let told = lines(&ground, "enough", &["run", "50"]);
    assert!(told.len() == 1 && told[0].starts_with("startup of shell "), "{told:?}");
    assert!(told[0].contains("from 24 pairs, ") && told[0].contains("± 50 %"), "{told:?}");
}
