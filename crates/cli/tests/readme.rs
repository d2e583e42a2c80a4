//! The first page: does it say what its recorded run says?
//!
//! `scripts/refresh-readme` is tried on copies; that it records what it measures is seen whenever somebody refreshes.

#![allow(clippy::unwrap_used, reason = "clippy's exception for tests does not see helpers")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const SCRIPT: &str = "scripts/refresh-readme";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// A copy of the script and of all that it reads.
fn copy() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for folder in ["scripts", "docs/readme"] {
        fs::create_dir_all(dir.path().join(folder)).unwrap();
    }
    let recorded = fs::read_dir(root().join("docs/readme")).unwrap();
    let recorded = recorded.map(|entry| format!("docs/readme/{}", entry.unwrap().file_name().display()));
    for file in recorded.chain([SCRIPT.to_owned(), "README.md".to_owned()]) {
        fs::copy(root().join(&file), dir.path().join(&file)).unwrap();
    }
    dir
}

fn script(dir: &Path, args: &[&str]) -> Output {
    Command::new(dir.join(SCRIPT)).args(args).current_dir("/").output().unwrap()
}

#[track_caller]
fn fine(dir: &Path, args: &[&str]) {
    let output = script(dir, args);
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
}

#[track_caller]
fn refused(dir: &Path, args: &[&str], says: &str) {
    let output = script(dir, args);
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{args:?}: {text}");
    assert!(text.contains(says), "{args:?} does not say {says:?}: {text}");
}

fn change(dir: &Path, file: &str, from: &str, to: &str) {
    let text = fs::read_to_string(dir.join(file)).unwrap();
    assert!(text.contains(from), "{file} has no {from:?}");
    fs::write(dir.join(file), text.replacen(from, to, 1)).unwrap();
}

#[test]
fn the_readme_says_what_its_recorded_run_says() {
    fine(&root(), &["--check"]);
}

#[test]
fn what_was_changed_by_hand_is_found() {
    let changed = |file: &str, from: &str, to: &str, says: &str| {
        let dir = copy();
        change(dir.path(), file, from, to);
        refused(dir.path(), &["--check"], says);
    };
    changed("README.md", "| process | ", "| process | 1", "does not say what");
    changed("README.md", "<!-- isomark:results end -->", "", "markers");
    changed("docs/readme/summary.md", "| process | ", "| process | 1", "more than one run");
    changed("docs/readme/summary.md", "Plan quick,", "Plan smoke,", "plan quick");
    changed("docs/readme/summary.md", " blocks.", "9 blocks.", "not complete");
    let dir = copy();
    fs::write(dir.path().join("docs/readme/layers.png"), "no picture").unwrap();
    refused(dir.path(), &["--check"], "is no PNG");
    fs::remove_file(dir.path().join("docs/readme/layers.png")).unwrap();
    refused(dir.path(), &["--check"], "no docs/readme/layers.png");
}

#[test]
fn a_run_is_recorded_and_again_without_a_change() {
    let dir = copy();
    let at = |name: &str| dir.path().join(name);
    // A run folder, as far as the script looks at one.
    let run = at("run");
    fs::create_dir_all(run.join("charts")).unwrap();
    for picture in ["layers.png", "trade-off.png"] {
        fs::copy(at("docs/readme").join(picture), run.join("charts").join(picture)).unwrap();
    }
    fs::copy(at("docs/readme/summary.md"), run.join("summary.md")).unwrap();
    let before = fs::read_to_string(at("README.md")).unwrap();
    fine(dir.path(), &["run"]);
    assert_eq!(fs::read_to_string(at("README.md")).unwrap(), before);
    change(dir.path(), "run/summary.md", "| process | ", "| process | 7");
    fine(dir.path(), &["run"]);
    let after = fs::read_to_string(at("README.md")).unwrap();
    assert!(after != before && after.contains("| process | 7"));
    fine(dir.path(), &["docs/readme"]);
    fine(dir.path(), &["--check"]);
    assert_eq!(fs::read_to_string(at("README.md")).unwrap(), after);
    fs::remove_file(run.join("charts/layers.png")).unwrap();
    refused(dir.path(), &["run"], "isomark report run");
    refused(dir.path(), &["nowhere"], "no nowhere/summary.md");
    refused(dir.path(), &["--chekc"], "--check");
    assert_eq!(fs::read_to_string(at("README.md")).unwrap(), after);
}

#[test]
fn links_of_the_first_page_lead_somewhere() {
    let text = fs::read_to_string(root().join("README.md")).unwrap();
    let links = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    let own: Vec<&str> = links.filter(|link| !link.starts_with("https://")).collect();
    assert!(own.len() > 15, "{own:?}");
    for link in own {
        assert!(root().join(link).exists(), "README.md leads to {link}, which is not there");
    }
}
