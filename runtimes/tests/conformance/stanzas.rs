//! Stanzas that are wrong, and tools that do not do what they say: each becomes the right reason, and leaves nothing.
//!
//! The tools are scripts of a few words; what they start carries a mark by which it would be found.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use isomark_core::runtime::Program;
use isomark_core::{Error, Instance, Runtime, Site, Spec, Variant};
use isomark_runtimes::{Shelf, embedded};

use crate::checks::spec;

/// A stanza that is right; cases change a line of it.
const RIGHT: &str = r#"name = "mine"
kind = "container"
about = "a tool of a test"
homepage = "none"
verified = true
needs = ["rootfs"]

[tools]
tool = "TOOL"

[probe]
command = ["{tool}", "--version"]
version = "mine {}"

[install]
other = "write it"

[params.mode]
about = "how it is done"
default = "fast"
words = ["fast", "slow"]

[start]
command = ["{tool}", "{rootfs}", "{program}", "{mode}"]
streams = true

[facts]
network = "none"
seccomp = "off"
userns = "none"
limits = "none"
rootfs = "its own"
console = "none"
namespaces = "none"
"#;

struct Place {
    dir: tempfile::TempDir,
    site: Site,
}

impl Place {
    fn new() -> Self {
        let dir = tempfile::tempdir_in("/var/tmp").unwrap();
        let site = Site::open(&dir.path().join("state")).unwrap();
        fs::create_dir(dir.path().join("stanzas")).unwrap();
        Self { dir, site }
    }

    /// A tool that answers for its version and then does `what`: words of a shell, `$1` the root, `$2` the program.
    fn tool(&self, what: &str) -> PathBuf {
        let path = self.dir.path().join("tool");
        let version = "if [ \"$1\" = --version ]; then echo mine 1.0; exit 0; fi";
        fs::write(&path, format!("#!/bin/sh\n{version}\n{what}\n")).unwrap();
        let mode: fs::Permissions = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        fs::set_permissions(&path, mode).unwrap();
        path
    }

    fn shelf(&self, stanza: &str) -> Result<Shelf<'_>, Error> {
        fs::write(self.dir.path().join("stanzas/mine.toml"), stanza).unwrap();
        Shelf::open(&self.site, Some(&self.dir.path().join("stanzas")))
    }

    fn runtime(&self, tool: &Path, change: (&str, &str)) -> Box<dyn Runtime + '_> {
        let stanza = RIGHT.replace(change.0, change.1).replace("TOOL", &tool.display().to_string());
        let variant = "mine".parse::<Variant>().unwrap();
        self.shelf(&stanza).unwrap().find(&variant).unwrap()
    }

    fn spec(&self) -> Spec {
        let payload = Program::payload(embedded::payload(&self.site).unwrap());
        Spec { deadline: Duration::from_secs(2), ..spec(payload) }
    }
}

/// Processes whose command line or environment names this directory.
fn processes_of(dir: &Path) -> Vec<String> {
    let mark = dir.display().to_string();
    let own = std::process::id().to_string();
    let pids = fs::read_dir("/proc").unwrap().flatten().map(|entry| entry.path());
    let named = |pid: &PathBuf| {
        let text = fs::read(pid.join("cmdline")).unwrap_or_default();
        !pid.ends_with(&own) && String::from_utf8_lossy(&text).contains(&mark)
    };
    pids.filter(named).map(|pid| pid.display().to_string()).collect()
}

#[test]
fn what_is_wrong_with_a_stanza_is_told_by_file_line_and_key() {
    let cases = [
        (("name = \"mine\"", "name = \"My Tool\""), "line 1: name"),
        (("name = \"mine\"", "name = \"microvm\""), "taken by isomark"),
        (("name = \"mine\"", "name = \"uml\""), "line 1: name: \"uml\" is taken by isomark"),
        (("name = \"mine\"", "name = \"all\""), "taken by isomark"),
        (("name = \"mine\"", "name = \"runc\""), "on the shelf already"),
        (("name = \"mine\"", ""), "missing field `name`"),
        (("kind = \"container\"", "kind = \"floor\""), "line 2: kind"),
        (("verified = true", "verified = \"yes\""), "line 5"),
        (("about = ", "abuot = "), "abuot"),
        (("tool = \"TOOL\"", "main = \"x\""), "tools: no \"tool\""),
        (("mine {}", "mine"), "line 13: probe.version"),
        (("\"{rootfs}\"", "\"{rootsf}\""), "line 24: start.command: placeholder {rootsf} is none of"),
        (("\"{rootfs}\"", "\"{rootfs\""), "line 24: start.command: a { without its }"),
        (("\"{rootfs}\"", "\"x{args}\""), "{args} stands for several arguments"),
        (("\"{rootfs}\"", "\"{bundle}\""), "placeholder {bundle} is none of"),
        (
            ("default = \"fast\"", "default = \"quick\""),
            "params.mode.default: \"quick\" is none of fast, slow",
        ),
        (("words = [\"fast\", \"slow\"]", ""), "either words or arguments"),
        (("streams = true", ""), "neither create nor start has the program's streams"),
        (("needs = [\"rootfs\"]", "needs = [\"rootfs\"]\nhooks = [\"own-run\"]"), "private-mounts"),
        (("needs = [\"rootfs\"]", "needs = [\"floppy\"]"), "line 6"),
        (("needs = [\"rootfs\"]", "needs = [\"rootfs\"]\nexit = \"own\""), "exit"),
        (("console = \"none\"", ""), "missing field `console`"),
        (("userns = \"none\"", "userns = \"{name}\""), "facts.userns: placeholder {name}"),
    ];
    let place = Place::new();
    assert!(place.shelf(RIGHT).is_ok());
    for ((from, to), why) in cases {
        match place.shelf(&RIGHT.replacen(from, to, 1)).map(drop) {
            Err(Error::Input(text)) => {
                assert!(text.contains("mine.toml") && text.contains(why), "{from} → {to}: {text}");
            }
            other => panic!("{from} → {to}: {other:?}"),
        }
    }
    let nowhere = Shelf::open(&place.site, Some(Path::new("/does/not/exist"))).map(drop);
    assert!(matches!(nowhere, Err(Error::Input(text)) if text.contains("/does/not/exist")));
}

#[test]
fn a_tool_that_cannot_be_told_is_unavailable() {
    let place = Place::new();
    let there = place.tool("exit 0");
    let cases = [
        (Path::new("no-such-tool-anywhere"), ("", ""), "not found along PATH"),
        (Path::new("/no/such/tool"), ("", ""), "is not a file"),
        (&there, ("mine {}", "yours {}"), "\"yours {}\" is not in what it prints"),
        (&there, ("\"--version\"", "\"--hello\""), "its version cannot be told"),
        (Path::new("/dev/null"), ("", ""), "/dev/null is not a file"),
    ];
    for (tool, change, why) in cases {
        let unavailable = place.runtime(tool, change).probe().unwrap_err();
        assert!(unavailable.reason.contains(why), "{unavailable:?}");
        assert!(unavailable.remedy.contains("write it"), "{unavailable:?}");
    }
}

/// Starts the tool that does this and says how that failed; nothing may remain.
#[track_caller]
fn failure(what: &str) -> Error {
    let place = Place::new();
    let tool = place.tool(what);
    let runtime = place.runtime(&tool, ("", ""));
    assert_eq!(runtime.probe().unwrap().version, "1.0");
    let mut instance: Box<dyn Instance> = runtime.create(&place.spec()).unwrap();
    let started = instance.start();
    let failed = started.and_then(|()| instance.stop().map(drop)).unwrap_err();
    drop(instance);
    drop(runtime);
    let left = processes_of(place.dir.path());
    assert!(left.is_empty(), "{what} left {left:?}");
    failed
}

#[test]
fn a_tool_that_does_the_wrong_thing_becomes_a_reason() {
    match failure("exit 0") {
        Error::Died { .. } => {}
        other => panic!("{other:?}"),
    }
    match failure("echo it broke >&2; exit 9") {
        Error::Died { exit, stderr } => {
            assert!(exit.shell_status() == 9 && stderr.contains("it broke"), "{exit} {stderr}");
        }
        other => panic!("{other:?}"),
    }
    // It hangs, and so does what it has started.
    assert!(matches!(failure("sleep 1000 & sleep 1000"), Error::Timeout { .. }));
    match failure("echo hello, world; cat") {
        Error::WrongAnswer(why) => assert!(why.contains("hello, world"), "{why}"),
        other => panic!("{other:?}"),
    }
    // It says what the payload would say, and is another program.
    match failure("echo ready isomark-payload/1; exec cat") {
        Error::WrongAnswer(why) => assert!(why.contains("another program ran"), "{why}"),
        other => panic!("{other:?}"),
    }
    // The payload with a byte behind it.
    match failure("cp \"$1$2\" \"$1/other\"; echo >> \"$1/other\"; exec \"$1/other\"") {
        Error::WrongAnswer(why) => assert!(why.contains("another program ran"), "{why}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_tool_that_does_the_right_thing_is_a_runtime() {
    let place = Place::new();
    let runtime = place.runtime(&place.tool("exec \"$1$2\""), ("", ""));
    let mut instance = runtime.create(&place.spec()).unwrap();
    instance.start().unwrap();
    assert!(instance.stop().is_ok());
    instance.remove().unwrap();
}

#[test]
fn a_message_that_the_stanza_knows_is_told_with_its_remedy() {
    let place = Place::new();
    let condition = "[[condition]]\npattern = \"no luck\"\nreason = \"it has no luck\"\nremedy = \"try again\"\n\n[facts]";
    let tool = place.tool("echo no luck today >&2; exit 1");
    let runtime = place.runtime(&tool, ("[facts]", condition));
    let mut instance = runtime.create(&place.spec()).unwrap();
    match instance.start() {
        Err(Error::Unsupported(text)) => {
            assert!(text.contains("it has no luck; remedy: try again"), "{text}");
        }
        other => panic!("{other:?}"),
    }
}
