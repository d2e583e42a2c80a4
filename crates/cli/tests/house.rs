//! The house stands as docs/ARCHITECTURE.md says: which crate may depend on which, and where `unsafe` may live.

#![allow(clippy::unwrap_used, reason = "clippy's exception for tests does not see the helpers of this file")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The crates of the house that a crate's `[dependencies]` name.
fn arrows(of: &str) -> BTreeSet<String> {
    let text = fs::read_to_string(root().join(of).join("Cargo.toml")).unwrap();
    let body = text.split("\n[dependencies]").nth(1).unwrap_or_default();
    let body = body.split("\n[").next().unwrap_or_default();
    let names = body.lines().filter_map(|line| line.split(['=', '.']).next()).map(str::trim);
    names.filter_map(|name| name.strip_prefix("isomark-")).map(str::to_owned).collect()
}

#[track_caller]
fn points_to(of: &str, expected: &[&str]) {
    assert_eq!(arrows(of), expected.iter().map(|name| (*name).to_owned()).collect(), "{of}");
}

#[test]
fn arrows_point_inwards_and_the_middle_four_do_not_know_each_other() {
    points_to("crates/payload", &[]);
    points_to("crates/core", &["payload"]);
    points_to("crates/engine", &["core"]);
    points_to("crates/report", &["core"]);
    points_to("scenarios", &["core"]);
    points_to("runtimes/vmm", &[]);
    points_to("runtimes", &["core", "vmm"]);
    points_to("crates/cli", &["core", "engine", "report", "runtimes", "scenarios"]);
}

fn rust_files(dir: &Path, all: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap().flatten() {
        let path = entry.path();
        match path.file_name().and_then(|name| name.to_str()) {
            Some("target" | ".git") => {}
            _ if path.is_dir() => rust_files(&path, all),
            _ if path.extension().is_some_and(|e| e == "rs") => all.push(path),
            _ => {}
        }
    }
}

#[test]
fn unsafe_code_is_expected_in_modules_named_sys_only() {
    let mut files = Vec::new();
    rust_files(&root(), &mut files);
    assert!(files.len() > 100, "the walk found {} files only", files.len());
    let marker = ["expect(unsafe", "_code"].concat();
    for path in files {
        let text = fs::read_to_string(&path).unwrap();
        let named = path.components().any(|part| matches!(part.as_os_str().to_str(), Some("sys" | "sys.rs")));
        // The two programs export the C entry point, in an inline module of that name.
        let inline = path.ends_with("src/main.rs") && text.contains("mod sys {");
        assert!(!text.contains(&marker) || named || inline, "{} holds unsafe code", path.display());
    }
}
