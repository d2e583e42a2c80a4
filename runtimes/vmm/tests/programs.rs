//! Ordinary static programs: what they print and how they end must be what they print and how they end on the host.

#![allow(clippy::unwrap_used)]

mod support;

use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use support::{Outcome, Vmm, kvm_works, skip};

fn busybox() -> Option<PathBuf> {
    let found =
        ["/bin/busybox", "/usr/bin/busybox"].map(PathBuf::from).into_iter().find(|path| path.exists());
    let is_static =
        |path: &PathBuf| std::fs::read(path).is_ok_and(|bytes| !bytes.windows(7).any(|w| w == b"/ld-lin"));
    let found = found.filter(is_static);
    if found.is_none() {
        skip("busybox", "no static busybox is installed (Debian: busybox-static)");
    }
    found.filter(|_| kvm_works())
}

/// Runs a program on the host, in an empty folder, with the environment that an instance has.
fn native(program: &Path, args: &[&str], stdin: &[u8]) -> (Vec<u8>, i32) {
    use std::io::Write;
    let folder = tempfile::tempdir().unwrap();
    let mut child = Command::new(program)
        .args(args)
        .env_clear()
        .current_dir(folder.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let _ = child.stdin.take().unwrap().write_all(stdin);
    let output = child.wait_with_output().unwrap();
    (output.stdout, output.status.code().unwrap_or_else(|| 128 + output.status.signal().unwrap_or(0)))
}

fn contained(program: &Path, args: &[&str], stdin: &[u8]) -> Outcome {
    Vmm { stdin, ..Vmm::default() }.run(program, args)
}

#[track_caller]
fn same(program: &Path, args: &[&str], stdin: &[u8]) {
    let (stdout, code) = native(program, args, stdin);
    let outcome = contained(program, args, stdin);
    let shown = String::from_utf8_lossy(&outcome.stdout);
    assert_eq!(shown, String::from_utf8_lossy(&stdout), "{args:?}: {} {}", outcome.end(), outcome.stderr);
    assert_eq!(outcome.code, code, "{args:?}: {outcome:?}");
}

#[test]
fn busybox_answers_as_on_the_host() {
    let Some(busybox) = busybox() else { return };
    let words = b"pear\napple\nfig\napple\n";
    for (args, stdin) in [
        (&["echo", "two", "words"][..], &b""[..]),
        (&["true"], b""),
        (&["false"], b""),
        (&["cat"], words),
        (&["sort", "-u"], words),
        (&["wc"], words),
        (&["sha256sum"], words),
        (&["md5sum"], words),
        (&["head", "-n", "2"], words),
        (&["tail", "-n", "2"], words),
        (&["grep", "-c", "apple"], words),
        (&["grep", "nothing"], words),
        (&["sed", "s/apple/plum/"], words),
        (&["awk", "{ n += length($0) } END { print n, sqrt(2), sin(1) }"], words),
        (&["tr", "a-z", "A-Z"], words),
        (&["uniq", "-c"], words),
        (&["seq", "1", "1000"], b""),
        (&["expr", "6", "*", "7"], b""),
        (&["printf", "%05d|%s\\n", "42", "x"], b""),
        (&["test", "-d", "/tmp"], b""),
        (&["test", "-e", "/nowhere"], b""),
        (&["basename", "/a/b/c"], b""),
        (&["env"], b""),
        (&["cat", "/nowhere"], b""),
        (&["dd", "if=/dev/zero", "bs=64k", "count=20"], b""),
        (&["gzip", "-c"], words),
        (&["bzip2", "-c"], words),
        (&["base64"], words),
        (&["od", "-c"], words),
        (&["sleep", "0.01"], b""),
    ] {
        same(&busybox, args, stdin);
    }
}

#[test]
fn busybox_scripts_use_files_as_on_the_host() {
    let Some(busybox) = busybox() else { return };
    for script in [
        "i=0; while [ $i -lt 100 ]; do i=$((i+1)); done; echo $i; exit 5",
        "echo hello > isomark-vmm-a; read x < isomark-vmm-a; echo \"got $x\"; [ -s isomark-vmm-a ] && echo full",
        "set -- a b c; shift; echo $# $*; for x in \"$@\"; do echo \"[$x]\"; done",
        "trap 'echo bye' EXIT; echo hi",
        "kill -TERM $$; echo never",
        "trap 'echo caught' USR1; kill -USR1 $$; echo after",
        "echo to stderr >&2; exec 3>&1; echo through 3 >&3; exec 3>&-; umask 077; umask",
        "case $(( 7 * 6 )) in 42) echo yes;; *) echo no;; esac; printf '%s\\n' ${HOME-none}",
    ] {
        same(&busybox, &["sh", "-c", script], b"");
    }
}

/// Files outlive nothing: each instance starts with the same small tree.
#[test]
fn busybox_finds_a_world_of_its_own() {
    let Some(busybox) = busybox() else { return };
    for (args, expected) in [
        (&["id", "-u"][..], "0\n"),
        (&["ls", "/"], "dev\netc\nproc\nroot\ntmp\n"),
        (&["pwd"], "/\n"),
        (&["hostname"], "isomark\n"),
        (&["nproc"], "1\n"),
        (&["readlink", "/proc/self/exe"], "/busybox\n"),
        (&["find", "/etc"], "/etc\n/etc/group\n/etc/passwd\n"),
        (&["stat", "-c", "%F %a %s", "/etc/group"], "regular file 644 10\n"),
        (&["whoami"], "root\n"),
    ] {
        let outcome = contained(&busybox, args, b"");
        assert_eq!(String::from_utf8_lossy(&outcome.stdout), expected, "{args:?}: {outcome:?}");
    }
}

#[test]
fn what_busybox_cannot_have_is_named() {
    let Some(busybox) = busybox() else { return };
    let outcome = contained(&busybox, &["sh", "-c", "ls / | wc"], b"");
    assert_ne!(outcome.code, 0, "{outcome:?}");
    let missing =
        |name: &str| outcome.story.iter().any(|line| line.starts_with(&format!("unserved {name} ")));
    assert!(missing("fork") || missing("vfork") || missing("clone"), "{outcome:?}");
}

/// A C program that tries much of what a C library does; its output names each thing.
const C_PROGRAM: &str = include_str!("everything.c");

#[test]
fn a_static_c_program_behaves_as_on_the_host() {
    if !kvm_works() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (source, program) = (folder.path().join("everything.c"), folder.path().join("everything"));
    std::fs::write(&source, C_PROGRAM).unwrap();
    let built = Command::new("gcc")
        .args(["-O1", "-w", "-static", "-o"])
        .arg(&program)
        .arg(&source)
        .arg("-lm")
        .status();
    if !built.is_ok_and(|status| status.success()) {
        return skip("gcc", "no gcc with a static C library is installed");
    }
    for how in ["return", "exit", "abort", "segv", "recurse", "term", "divide"] {
        same(&program, &[how], b"from stdin\n");
    }
}

#[test]
fn a_static_rust_program_starts() {
    if !kvm_works() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (source, program) = (folder.path().join("main.rs"), folder.path().join("main"));
    std::fs::write(&source, RUST_PROGRAM).unwrap();
    let flags = ["-O", "-C", "target-feature=+crt-static", "-o"];
    let built = Command::new("rustc").args(flags).arg(&program).arg(&source).stderr(Stdio::null()).status();
    if !built.is_ok_and(|status| status.success()) {
        return skip("rustc", "no rustc that links static programs is installed");
    }
    for how in ["work", "panic", "thread"] {
        let outcome = contained(&program, &[how], b"line\n");
        let expected = if how == "panic" { 101 } else { 7 };
        assert_eq!(outcome.code, expected, "{outcome:?}");
        let printed = String::from_utf8_lossy(&outcome.stdout);
        assert!(printed.starts_with("read line, sum 4950, file 3, "), "{outcome:?}");
    }
}

const RUST_PROGRAM: &str = r#"
use std::collections::HashMap;
fn main() {
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).unwrap();
    let map: HashMap<u32, u32> = (0..100).map(|i| (i, i)).collect();
    std::fs::create_dir_all("/tmp/a/b").unwrap();
    std::fs::write("/tmp/a/b/c", "abc").unwrap();
    let file = std::fs::read("/tmp/a/b/c").unwrap().len();
    std::fs::remove_dir_all("/tmp/a").unwrap();
    let start = std::time::Instant::now();
    let pair = (std::sync::Mutex::new(()), std::sync::Condvar::new());
    let waited = pair.1.wait_timeout(pair.0.lock().unwrap(), std::time::Duration::from_millis(1)).unwrap().1;
    assert!(waited.timed_out());
    println!("read {}, sum {}, file {file}, slept {}", line.trim(), map.values().sum::<u32>(), start.elapsed().as_micros() > 900);
    match std::env::args().nth(1).as_deref() {
        Some("panic") => panic!("on purpose"),
        Some("thread") => assert!(std::thread::Builder::new().spawn(|| ()).is_err()),
        _ => {}
    }
    std::process::exit(7);
}
"#;
