//! A guest kernel that the user names and that is none: a clear error, exit code 2, nothing started.

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
