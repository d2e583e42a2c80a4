//! A guest kernel that the user names and that is none, an initramfs that something has changed: a clear error, exit code 2,
//! nothing started.

use std::os::unix::fs::PermissionsExt;

use crate::ground::{Ground, told};

/// The header of a bzImage of 4160 bytes, and nothing behind it that adds up.
fn header() -> Vec<u8> {
    let mut file = vec![0; 4160];
    let mut put = |at: usize, bytes: &[u8]| file[at..at + bytes.len()].copy_from_slice(bytes);
    put(0x1f1, &[4]);
    put(0x1f4, &100_u32.to_le_bytes());
    put(0x1fe, &[0x55, 0xaa]);
    put(0x202, b"HdrS");
    put(0x236, &[1]);
    file
}

#[test]
fn damaged_truncated_and_foreign_kernels() {
    let ground = Ground::new();
    let mut foreign = header();
    foreign[0x236] = 0;
    let mut elf = b"\x7fELF\x02\x01\x01".to_vec();
    elf.resize(64, 0);
    let cases = [
        ("foreign", b"#!/bin/sh\necho no\n".to_vec(), "neither an x86-64 bzImage nor an ELF vmlinux"),
        ("truncated", header()[..3000].to_vec(), "cut short: 3000 bytes of 4160"),
        ("damaged", header(), "its CRC is wrong"),
        ("thirty-two", foreign, "no 64-bit entry"),
        ("object", elf, "not an x86-64 vmlinux"),
        ("empty", Vec::new(), "neither"),
    ];
    for (name, bytes, says) in cases {
        let file = ground.write(name, bytes).display().to_string();
        for args in [
            vec!["run", "--plan", "smoke", "--kernel", &file],
            vec!["doctor", "--kernel", &file],
            vec!["list", "--kernel", &file],
        ] {
            let output = ground.expect(&args, 2);
            let text = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(text.contains(&format!("kernel {file}")) && text.contains(says), "{}", told(&output));
            assert!(output.stdout.is_empty() || args[0] == "doctor", "{}", told(&output));
        }
    }
    assert!(!ground.path("bench-results").exists() && ground.sites().is_empty());
    let gone = ground.expect(&["list", "--kernel", "gone"], 2);
    assert!(String::from_utf8_lossy(&gone.stderr).contains("kernel gone: No such file"), "{}", told(&gone));
}

/// A QEMU that does to the initramfs what it is told to, and ends: what follows it must not start.
const VANDAL: &str = r#"#!/bin/sh
[ "$1" = --version ] && { echo "QEMU emulator version 9.9.9"; exit; }
echo started >>DIR/started
while [ $# -gt 1 ]; do [ "$1" = -initrd ] && file=$2; shift; done
HARM
"#;

/// The least that is a vmlinux: nothing in one says whether it is whole.
fn vmlinux() -> Vec<u8> {
    let mut elf = b"\x7fELF\x02\x01\x01".to_vec();
    elf.resize(64, 0);
    (elf[16], elf[18]) = (2, 62);
    elf
}

#[test]
fn truncated_flipped_and_foreign_initramfs() {
    let ground = Ground::new();
    let kernel = ground.write("vmlinux", vmlinux()).display().to_string();
    let plan = "name = 'p'\nblocks = 2\n[[ask]]\nscenario = 'startup'\n";
    let plan = ground.write("plan.toml", plan).display().to_string();
    let dir = ground.dir().display().to_string();
    let harms = [
        ("truncated", "truncate -s -4096 \"$file\""),
        ("empty", ": >\"$file\""),
        ("flipped", "printf '\\001' | dd of=\"$file\" bs=1 seek=200001 conv=notrunc 2>/dev/null"),
        ("foreign", "echo none >\"$file\""),
    ];
    for (name, harm) in harms {
        let vandal = ground.write(name, VANDAL.replace("DIR", &dir).replace("HARM", harm));
        std::fs::set_permissions(&vandal, std::fs::Permissions::from_mode(0o755)).unwrap();
        let _ = std::fs::remove_file(ground.path("started"));
        let (runtime, out) = (format!("qemu@{}", vandal.display()), format!("out-{name}"));
        let args = ["run", "--plan", &plan, "--runtime", &runtime, "--kernel", &kernel, "--out", &out];
        let output = ground.expect(&args, 2);
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        let says = ["initramfs ", "damaged or not the one that was written", "remove it, it is made anew"];
        assert!(says.iter().all(|part| text.contains(part)), "{name}: {}", told(&output));
        let started = std::fs::read_to_string(ground.path("started")).unwrap();
        assert_eq!(started, "started\n", "{name}: the second one was started");
        // What was measured is kept, the refusal among it.
        let samples = std::fs::read_to_string(ground.path(&format!("{out}/samples.jsonl"))).unwrap();
        assert!(samples.contains("\"damaged\""), "{name}: {samples}");
    }
    assert!(ground.sites().is_empty());
}
