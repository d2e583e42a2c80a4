//! `isomark exec`: streams and exit status of unmodified programs pass through every runtime as on the host.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::elf;
use crate::ground::{Ground, skip, told};

#[track_caller]
fn exec(ground: &Ground, runtime: &str, program: &Path, args: &[&str], stdin: &[u8]) -> Output {
    let program = program.display().to_string();
    let args = [&["exec", "--runtime", runtime, "--", &program], args].concat();
    ground.isomark(&args).write_stdin(stdin).output().unwrap()
}

#[test]
fn streams_and_status_pass_through() {
    let ground = Ground::new();
    let copier = elf::copier(&ground.path("copier"), b"that was it\n", 7);
    let crasher = elf::crasher(&ground.path("crasher"));
    let input = (0..2000).map(|n| n as u8).collect::<Vec<_>>();
    for runtime in ground.runtimes() {
        for stdin in [&b""[..], b"no newline", &input] {
            let output = exec(&ground, &runtime, &copier, &[], stdin);
            assert_eq!(output.status.code(), Some(7), "{runtime}: {}", told(&output));
            assert!(output.stdout == stdin, "{runtime}: {}", told(&output));
            assert_eq!(output.stderr, b"that was it\n", "{runtime}: {}", told(&output));
        }
        let output = exec(&ground, &runtime, &crasher, &[], b"");
        assert_eq!(output.status.code(), Some(128 + 11), "{runtime}: {}", told(&output));
    }
    assert!(ground.sites().is_empty(), "exec leaves {:?}", ground.sites());
}

#[test]
fn a_program_without_end_meets_its_deadline() {
    let ground = Ground::new();
    let spins = elf::program(&ground.path("spins"), |_| vec![0xeb, 0xfe], &[]).display().to_string();
    for runtime in ground.runtimes() {
        let args = ["exec", "--runtime", &runtime, "--deadline", "200ms", "--", &spins];
        let output = ground.expect(&args, 1);
        assert!(String::from_utf8_lossy(&output.stderr).contains("within"), "{runtime}: {}", told(&output));
    }
    assert!(ground.sites().is_empty());
}

/// Runs the same on the host and in every runtime.
#[track_caller]
fn as_on_the_host(ground: &Ground, runtimes: &[String], program: &Path, cases: &[(&[&str], &[u8])]) {
    for (args, stdin) in cases {
        let mut host = assert_cmd::Command::from_std(Command::new(program));
        let host = host.args(*args).write_stdin(*stdin).output().unwrap();
        for runtime in runtimes {
            let boxed = exec(ground, runtime, program, args, stdin);
            let same = boxed.status.code() == host.status.code() && boxed.stdout == host.stdout;
            assert!(same, "{runtime} {args:?}: {}\non the host: {}", told(&boxed), told(&host));
        }
    }
}

#[test]
fn busybox_answers_as_on_the_host() {
    let found = ["/bin/busybox", "/usr/bin/busybox"].map(PathBuf::from).into_iter().find(|p| p.exists());
    let Some(busybox) = found else { skip!("busybox", "no busybox-static is installed") };
    let ground = Ground::new();
    if ground.output(&["exec", "--runtime", "process", "--", "busybox", "true"]).status.code() != Some(0) {
        skip!("busybox", "the busybox that is installed is not static");
    }
    let cases: [(&[&str], &[u8]); 7] = [
        (&["echo", "hello", "two words"], b""),
        (&["true"], b""),
        (&["false"], b""),
        (&["sha256sum"], b"the same bytes"),
        (&["sort", "-n"], b"10\n9\n-3\n"),
        (&["sh", "-c", "read x; echo \"<$x>\"; exit 5"], b"line\n"),
        (&["awk", "{ s += $1 } END { print s }"], b"1\n2\n3.5\n"),
    ];
    as_on_the_host(&ground, &ground.runtimes(), &busybox, &cases);
}

#[test]
fn a_static_c_program_answers_as_on_the_host() {
    const SOURCE: &str = r#"
        #include <stdio.h>
        #include <stdlib.h>
        #include <string.h>
        int main(int argc, char **argv) {
            char line[64];
            double *heap = malloc(1 << 22);
            memset(heap, 0, 1 << 22);
            for (int i = 1; i < argc; i++) printf("%d=%s\n", i, argv[i]);
            while (fgets(line, sizeof line, stdin)) printf("%.3f\n", atof(line) / 3 + heap[1000]);
            fprintf(stderr, "LANG is set: %d\n", getenv("LANG") != 0);
            return 42;
        }"#;
    let ground = Ground::new();
    let (source, program) = (ground.write("c.c", SOURCE), ground.path("c"));
    let built = Command::new("gcc").args(["-O1", "-static", "-o"]).args([&program, &source]).output();
    match built {
        Ok(built) if built.status.success() => {}
        _ => skip!("gcc", "no gcc with a static C library is installed"),
    }
    let cases: [(&[&str], &[u8]); 2] = [(&["a", "b c", ""], b"1\n22\n"), (&[], b"")];
    as_on_the_host(&ground, &ground.runtimes(), &program, &cases);
}

#[test]
fn the_environment_is_the_named_one_and_nothing_else() {
    let Some(busybox) = [Path::new("/bin/busybox")].into_iter().find(|p| p.exists()) else {
        skip!("busybox", "no busybox-static is installed")
    };
    let ground = Ground::new();
    for runtime in ground.runtimes() {
        let program = busybox.display().to_string();
        let args =
            ["exec", "--runtime", &runtime, "--env", "A=b=c", "--env", "LANG=xx", "--", &program, "env"];
        let output = ground.isomark(&args).env("SECRET", "leaks").output().unwrap();
        let seen = String::from_utf8_lossy(&output.stdout).into_owned();
        let mut names = seen.lines().map(|l| l.split('=').next().unwrap()).collect::<Vec<_>>();
        names.sort_unstable();
        assert_eq!(names, ["A", "HOME", "LANG", "PATH", "TERM"], "{runtime}: {}", told(&output));
        assert!(seen.contains("A=b=c\n") && seen.contains("LANG=xx\n"), "{seen}");
    }
}

/// `microvm{snapshot=FILE}`: made by the first, restored by all, and refused when it is not what it should be.
#[test]
fn a_snapshot_is_made_once_and_restored_and_a_bad_one_starts_nothing() {
    let ground = Ground::new();
    if !ground.runtimes().contains(&"microvm".to_owned()) {
        skip!("microvm", "snapshots need /dev/kvm");
    }
    let speaker = elf::speaker(&ground.path("speaker"), b"hello\n", 5).display().to_string();
    let other = elf::speaker(&ground.path("other"), b"other\n", 6).display().to_string();
    let file = ground.path("saved");
    let runtime = format!("microvm{{snapshot={}}}", file.display());
    for _ in 0..2 {
        let said = ground.expect(&["exec", "--runtime", &runtime, "--", &speaker], 5);
        assert_eq!(said.stdout, b"hello\n", "{}", told(&said));
    }
    let refused = |runtime: &str, program: &str, with: &str| {
        let output = ground.expect(&["exec", "--runtime", runtime, "--", program], 2);
        let why = String::from_utf8_lossy(&output.stderr);
        assert!(output.stdout.is_empty() && why.contains(with), "{}", told(&output));
    };
    refused(&runtime, &other, "another program");
    let more = ["exec", "--runtime", &runtime, "--memory", "256M", "--", &speaker];
    assert!(told(&ground.expect(&more, 2)).contains("bytes of memory, not 268435456"));
    damaged(&ground, &file, |with| refused(&runtime, &speaker, with));
    refused("process{snapshot=x}", &speaker, "starting from a snapshot");
    refused("microvm{colour=red}", &speaker, "colour");
    assert!(ground.sites().is_empty());
}

/// Everything that can happen to a file, by its region: magic, version, lengths, sums, state, padding, pages.
fn damaged(ground: &Ground, file: &Path, refused: impl Fn(&str)) {
    let whole = std::fs::read(file).unwrap();
    let remedy = "remove the file to have it made anew";
    for len in [0, 15, 63, 64, 1000, 4096, whole.len() / 2, whole.len() - 1] {
        std::fs::write(file, &whole[..len]).unwrap();
        refused(if len < 16 { "is none" } else { "cut short" });
        refused(remedy);
    }
    std::fs::write(file, [whole.as_slice(), b"more"].concat()).unwrap();
    refused("cut short, or its header is damaged");
    let last = whole.len() - 1;
    for (at, with) in [
        (0, "is none"),
        (16, "is of version"),
        (24, "checksum"),
        (32, "checksum"),
        (40, "cut short, or its header is damaged"),
        (48, "cut short, or its header is damaged"),
        (56, "checksum"),
        (64, "checksum"),
        (4095, "checksum"),
        (4096, "checksum"),
        (last, "checksum"),
    ] {
        let mut flipped = whole.clone();
        flipped[at] ^= 1;
        std::fs::write(file, &flipped).unwrap();
        refused(with);
        refused(&file.display().to_string());
    }
    for foreign in [&b"#!/bin/sh\n"[..], b"\x7fELF\x02\x01\x01", &vec![0; 8192]] {
        std::fs::write(file, foreign).unwrap();
        refused("is none: its first bytes are not those of a snapshot");
    }
    std::fs::write(file, whole).unwrap();
    assert!(ground.sites().is_empty(), "left: {:?}", ground.sites());
}
