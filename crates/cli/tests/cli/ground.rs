//! Where a test stands: a directory of its own, the binary with a clean environment, and what the host offers.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::time::Duration;

use assert_cmd::Command;
use isomark_core::{Kind, Site};
use serde_json::Value;

/// Bound against hangs; nothing here takes a tenth of it.
const HANG: Duration = Duration::from_secs(120);

/// Says why a test does not run; fails instead if `ISOMARK_REQUIRE` names what is missing.
macro_rules! skip {
    ($what:expr, $($why:tt)*) => {{
        $crate::ground::skipped($what, &format!($($why)*));
        return;
    }};
}
pub(crate) use skip;

pub(crate) fn skipped(what: &str, why: &str) {
    let required = std::env::var("ISOMARK_REQUIRE").unwrap_or_default();
    assert!(!required.split(',').any(|name| name == what), "{what} is required: {why}");
    eprintln!("SKIPPED {what}: {why}");
}

/// A directory of its own, on a disk: /tmp may be in memory.
pub(crate) struct Ground {
    dir: tempfile::TempDir,
}

impl Ground {
    pub(crate) fn new() -> Self {
        Self { dir: tempfile::tempdir_in("/var/tmp").unwrap() }
    }

    /// Where commands run and files lie.
    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.dir().join("state")
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir().join(name)
    }

    pub(crate) fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, bytes).unwrap();
        path
    }

    /// The command that is not run yet, with nothing of the caller's `ISOMARK_*` and CI in its environment.
    pub(crate) fn raw(&self, program: &str) -> std::process::Command {
        let mut command = std::process::Command::new(program);
        for (name, _) in std::env::vars_os().filter(|(name, _)| is_ours(&name.to_string_lossy())) {
            command.env_remove(name);
        }
        // A lock of its own: tests run side by side, and what they measure is not for the record.
        command
            .env("ISOMARK_STATE", self.state())
            .env("ISOMARK_LOCK", self.path("lock"))
            .current_dir(self.dir());
        command
    }

    pub(crate) fn isomark(&self, args: &[&str]) -> Command {
        let mut command = self.raw(env!("CARGO_BIN_EXE_isomark"));
        command.args(args);
        let mut command = Command::from_std(command);
        command.timeout(HANG);
        command
    }

    /// Runs isomark to its end.
    pub(crate) fn output(&self, args: &[&str]) -> Output {
        self.isomark(args).output().unwrap()
    }

    /// Runs isomark, which must end with this code.
    #[track_caller]
    pub(crate) fn expect(&self, args: &[&str], code: i32) -> Output {
        let output = self.output(args);
        assert_eq!(output.status.code(), Some(code), "isomark {args:?}: {}", told(&output));
        output
    }

    pub(crate) fn listing(&self) -> Value {
        serde_json::from_slice(&self.expect(&["list", "--format", "json"], 0).stdout).unwrap()
    }

    /// Runtimes that `isomark run` measures when none is named, and that can run here; those that cannot are skipped aloud.
    pub(crate) fn runtimes(&self) -> Vec<String> {
        let listing = self.listing();
        let mut available = Vec::new();
        let runtimes = listing["runtimes"].as_array().unwrap();
        // Guests with an operating system are measured where they are named, by tests of their own.
        let measured = measured();
        for runtime in runtimes.iter().filter(|r| measured.contains(&text(&r["name"]))) {
            match runtime["status"].as_str() {
                Some("available") => available.push(text(&runtime["name"])),
                _ => skipped(&text(&runtime["name"]), &text(&runtime["reason"])),
            }
        }
        available
    }

    pub(crate) fn json(&self, name: &str) -> Value {
        let path = self.path(name);
        let bytes = fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        serde_json::from_slice(&bytes).unwrap()
    }

    /// What the ledger of a run folder has open.
    pub(crate) fn open_entries(&self, run: &str) -> Vec<isomark_core::ledger::Entry> {
        isomark_core::ledger::open_entries(&isomark_core::ledger::read(&self.path(run)))
    }

    /// Directories of commands, dead or alive, below the state.
    pub(crate) fn sites(&self) -> Vec<PathBuf> {
        fs::read_dir(self.state()).into_iter().flatten().flatten().map(|entry| entry.path()).collect()
    }
}

/// What `isomark run` measures when no runtime is named, in the order of the shelf.
pub(crate) fn measured() -> Vec<String> {
    let parent = tempfile::tempdir_in("/var/tmp").unwrap();
    let site = Site::open(parent.path()).unwrap();
    let all = isomark_runtimes::shelf(&site);
    let measured = all.iter().filter(|runtime| runtime.kind() != Kind::Floor && !runtime.on_request());
    measured.map(|runtime| runtime.name().to_owned()).collect()
}

fn is_ours(name: &str) -> bool {
    name.starts_with("ISOMARK_")
        || ["CI", "GITHUB_ACTIONS", "GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY", "NO_COLOR"].contains(&name)
}

pub(crate) fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("{value} is no text")).to_owned()
}

/// What a command said, for messages.
pub(crate) fn told(output: &Output) -> String {
    let lossy = String::from_utf8_lossy;
    format!("{}\nstdout: {}\nstderr: {}", output.status, lossy(&output.stdout), lossy(&output.stderr))
}

/// The runtime that a floor is the floor of; for any other its own name.
pub(crate) fn stands_on(runtime: &str) -> &str {
    runtime.strip_prefix("floor-").map_or(runtime, |floor| floor.split('.').next().unwrap_or(floor))
}

pub(crate) fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

/// A finished run of two trials and its floor's, in folder `r`.
pub(crate) fn with_run() -> Ground {
    let ground = Ground::new();
    let args =
        ["run", "-q", "--plan", "smoke", "--runtime", "process", "--scenario", "startup", "--runs", "2"];
    ground.expect(&[&args[..], &["--out", "r"]].concat(), 0);
    ground
}

/// A command line that must end with this code and one message that says all of this. `ISOMARK_REFUSALS=FILE` keeps every
/// message, for somebody who reads them.
#[track_caller]
pub(crate) fn refused(ground: &Ground, args: &[&str], env: &[(&str, &str)], code: i32, says: &[&str]) {
    let mut command = ground.isomark(args);
    command.envs(env.iter().copied());
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    if let Some(file) = std::env::var_os("ISOMARK_REFUSALS") {
        let line = format!("{code} isomark {} {env:?}\n    {}\n", args.join(" "), text.trim_end());
        let file = fs::OpenOptions::new().append(true).create(true).open(file);
        std::io::Write::write_all(&mut file.unwrap(), line.as_bytes()).unwrap();
    }
    assert_eq!(output.status.code(), Some(code), "isomark {args:?} {env:?}: {}", told(&output));
    for part in says {
        assert!(text.contains(part), "isomark {args:?} {env:?} does not say {part:?}: {text}");
    }
    assert!(!text.contains("panicked") && !text.contains("fault of isomark's own"), "{text}");
    assert!(!text.contains('\u{1b}') && output.stdout.is_empty(), "isomark {args:?}: {}", told(&output));
    // Usage is told by the parser of flags, in several lines; everything else in one message.
    assert!(text.matches("isomark: ").count() <= 1, "{text}");
}
