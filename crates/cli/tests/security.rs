//! `docs/SECURITY.md` keeps its word: every proof exists, and what it says of the runtimes is what the tool says.

#![allow(clippy::unwrap_used, reason = "clippy's exception for tests does not see helpers")]

use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn page() -> String {
    fs::read_to_string(root().join("docs/SECURITY.md")).unwrap()
}

fn sources(dir: &Path, all: &mut String) {
    for entry in fs::read_dir(dir).unwrap().flatten() {
        let path = entry.path();
        match path.file_name().and_then(|name| name.to_str()) {
            Some("target" | ".git") => {}
            _ if path.is_dir() => sources(&path, all),
            _ if path.extension().is_some_and(|e| e == "rs") => {
                all.push_str(&fs::read_to_string(&path).unwrap());
            }
            _ => {}
        }
    }
}

/// What stands between backticks.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

#[test]
fn every_proof_is_a_test_that_exists() {
    let mut code = String::new();
    sources(&root(), &mut code);
    let page = page();
    let threats = page.split("## Threats").nth(1).unwrap().split("\n## ").next().unwrap();
    let rows: Vec<Vec<&str>> =
        threats.lines().filter(|line| line.starts_with("| ")).map(|line| line.split('|').collect()).collect();
    assert!(rows.len() > 15, "{} rows", rows.len());
    for row in &rows[1..] {
        let proofs: Vec<&str> = quoted(row[3]).collect();
        assert!(!proofs.is_empty(), "no proof: {}", row[1]);
        for proof in proofs {
            // A test, or one that a macro makes of this name.
            let exists = code.contains(&format!("fn {proof}(")) || code.contains(&format!("    {proof}: \""));
            assert!(exists, "{proof} is no test: {}", row[1]);
        }
    }
}

/// Rows of a table: first cells, and the whole rows.
fn table(text: &str) -> Vec<(String, String)> {
    let rows = text.lines().filter(|line| line.starts_with("| "));
    rows.map(|line| (line.split('|').nth(1).unwrap().trim().to_owned(), line.to_owned())).collect()
}

#[test]
fn the_surface_is_what_the_tool_prints() {
    let state = tempfile::tempdir_in("/var/tmp").unwrap();
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_isomark"));
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("ISOMARK_")) {
        command.env_remove(name);
    }
    let output =
        command.args(["doctor", "--surface"]).env("ISOMARK_STATE", state.path().join("s")).output().unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let page = page();
    let kept =
        page.split("isomark:surface begin").nth(1).unwrap().split("<!-- isomark:surface end").next().unwrap();
    let (printed, kept) = (table(&printed), table(kept));
    let names = |rows: &[(String, String)]| rows.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
    assert_eq!(names(&printed), names(&kept), "scripts/refresh-security writes it anew");
    // Figures differ between hosts; that these two boxes leave no capability does not.
    for rows in [&printed, &kept] {
        let (head, rights) = (&rows[0].1, &rows[1].1);
        for (at, name) in head.split('|').enumerate() {
            if ["namespace", "microvm"].contains(&name.trim()) {
                assert_eq!(rights.split('|').nth(at).map(str::trim), Some("none"), "{name}");
            }
        }
    }
}
