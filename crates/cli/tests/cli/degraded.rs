//! On a host that forbids something, everything else still runs, and the report says what was skipped, why, and what
//! to do about it.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;
use std::process::Output;

use serde_json::Value;

use crate::ground::{Ground, is_root, skip, stands_on, text, told};

/// The user and group that nobody logs in as.
const NOBODY: u32 = 65534;

/// What the shell script `$0` gets as `$1`, `$2` …: the binary and what to run.
const RUN: [&str; 6] = ["run", "--quiet", "--plan", "smoke", "--out", "r"];

impl Ground {
    /// Gives everything here to an unprivileged user, with a copy of the binary that this user can reach.
    fn hand_over(&self) -> String {
        let binary = self.path("isomark");
        fs::copy(env!("CARGO_BIN_EXE_isomark"), &binary).unwrap();
        fs::create_dir_all(self.state()).unwrap();
        fs::set_permissions(self.dir(), fs::Permissions::from_mode(0o755)).unwrap();
        if is_root() {
            for path in [self.dir(), &self.state(), &binary] {
                chown(path, Some(NOBODY), Some(NOBODY)).unwrap();
            }
        }
        binary.display().to_string()
    }

    /// Runs a command line without any privilege.
    fn unprivileged(&self, command: &[&str]) -> Output {
        let down = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];
        let down = if is_root() { &down[..] } else { &[] };
        let words = [down, command].concat();
        self.raw(words[0]).args(&words[1..]).output().unwrap()
    }
}

pub(crate) fn has(tool: &str) -> bool {
    std::env::var_os("PATH")
        .is_some_and(|path| std::env::split_paths(&path).any(|dir| dir.join(tool).is_file()))
}

/// The run is fine, whoever is `without` is skipped with words, and everybody else answered everything.
#[track_caller]
fn all_but(ground: &Ground, done: &Output, without: &[&str]) {
    assert_eq!(done.status.code(), Some(0), "{}", told(done));
    let summary = ground.json("r/summary.json");
    let page = fs::read_to_string(ground.path("r/report.html")).unwrap();
    let markdown = fs::read_to_string(ground.path("r/summary.md")).unwrap();
    let mut skipped = 0;
    for cell in summary["cells"].as_array().unwrap() {
        let runtime = text(&cell["runtime"]);
        if !without.contains(&stands_on(&runtime)) {
            assert_eq!(cell["status"], "ok", "{cell}");
            continue;
        }
        skipped += 1;
        assert_eq!(cell["status"], "skipped", "{cell}");
        let (reason, remedy) = (text(&cell["reason"]), text(&cell["remedy"]));
        assert!(reason.len() > 10 && remedy.len() > 10, "{cell}");
        if !runtime.starts_with("floor-") {
            for (name, file) in [("report.html", &page), ("summary.md", &markdown)] {
                let says = |words: &str| plain(file).contains(&plain(words));
                assert!(says(&reason) && says(&remedy), "{name} does not say {reason:?} and {remedy:?}");
            }
        }
    }
    assert!(skipped > 0 || without.is_empty());
    assert!(ground.sites().is_empty(), "left: {:?}", ground.sites());
}

/// Letters and digits only: what is left of words in any markup.
fn plain(text: &str) -> String {
    let text = ["&#x2f;", "&#x27;", "&lt;", "&gt;", "&amp;", "&quot;", "&#39;", "&#34;"]
        .iter()
        .fold(text.to_owned(), |text, entity| text.replace(entity, ""));
    text.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect()
}

fn unavailable(ground: &Ground, listing: &[u8]) -> Vec<String> {
    let listing: Value = serde_json::from_slice(listing).unwrap();
    assert!(!ground.dir().as_os_str().is_empty());
    let runtimes = listing["runtimes"].as_array().unwrap().iter();
    runtimes.filter(|r| r["status"] == "unavailable").map(|r| text(&r["name"])).collect()
}

#[test]
fn without_kvm_everything_else_runs() {
    let ground = Ground::new();
    let isomark = env!("CARGO_BIN_EXE_isomark");
    if !Path::new("/dev/kvm").exists() {
        let done = ground.output(&RUN);
        return all_but(&ground, &done, &["microvm"]);
    }
    if !is_root() || !has("unshare") {
        skip!("root", "hiding /dev/kvm takes root and unshare(1)");
    }
    let hide = "mount --bind /dev/null /dev/kvm && exec \"$@\"";
    let masked = |args: &[&str]| {
        let shell = ["--mount", "sh", "-c", hide, "sh", isomark];
        ground.raw("unshare").args(shell).args(args).output().unwrap()
    };
    let required = masked(&["run", "--require", "microvm", "--out", "never"]);
    assert_eq!(required.status.code(), Some(6), "{}", told(&required));
    assert!(String::from_utf8_lossy(&required.stderr).contains("remedy"), "{}", told(&required));
    assert!(!ground.path("never").exists(), "what is refused makes no folder");
    let doctor = masked(&["doctor", "--require", "process,microvm"]);
    assert_eq!(doctor.status.code(), Some(6), "{}", told(&doctor));
    let alone = masked(&["run", "--runtime", "microvm", "--out", "never"]);
    assert_eq!(alone.status.code(), Some(6), "{}", told(&alone));
    let exec = masked(&["exec", "--runtime", "microvm", "--", "isomark"]);
    assert!(matches!(exec.status.code(), Some(2 | 6)), "{}", told(&exec));
    let listed = masked(&["list", "--format", "json"]);
    let without = unavailable(&ground, &listed.stdout);
    assert!(without.contains(&"microvm".to_owned()), "{}", told(&listed));
    let without = without.iter().map(String::as_str).collect::<Vec<_>>();
    all_but(&ground, &masked(&RUN), &without);
}

#[test]
fn without_root_everything_else_runs() {
    let ground = Ground::new();
    if is_root() && !has("setpriv") {
        skip!("setpriv", "there is no setpriv(1) to become another user with");
    }
    let isomark = ground.hand_over();
    let listed = ground.unprivileged(&[&isomark, "list", "--format", "json"]);
    let without = unavailable(&ground, &listed.stdout);
    assert!(!without.contains(&"process".to_owned()), "{}", told(&listed));
    let without = without.iter().map(String::as_str).collect::<Vec<_>>();
    let done = ground.unprivileged(&[&[isomark.as_str()], &RUN[..]].concat());
    all_but(&ground, &done, &without);
}

#[test]
fn without_user_namespaces_everything_else_runs() {
    let ground = Ground::new();
    if !has("setpriv") || !has("unshare") {
        skip!("setpriv", "forbidding user namespaces takes setpriv(1) and unshare(1)");
    }
    let isomark = ground.hand_over();
    // A user namespace of its own, in which no other may be made and nobody holds a capability.
    let forbid = "echo 0 > /proc/sys/user/max_user_namespaces && exec setpriv --ambient-caps=-all --inh-caps=-all \"$@\"";
    let user =
        ["unshare", "--user", "--map-user=1000", "--map-group=1000", "--keep-caps", "sh", "-c", forbid, "sh"];
    let forbidden = |args: &[&str]| ground.unprivileged(&[&user[..], args].concat());
    if !forbidden(&["true"]).status.success() {
        skip!("userns", "this host lets nobody make the namespace in which they are forbidden");
    }
    let listed = forbidden(&[&isomark, "list", "--format", "json"]);
    let without = unavailable(&ground, &listed.stdout);
    assert!(without.contains(&"namespace".to_owned()), "{}", told(&listed));
    let without = without.iter().map(String::as_str).collect::<Vec<_>>();
    all_but(&ground, &forbidden(&[&[isomark.as_str()], &RUN[..]].concat()), &without);
}
