//! What the machine of stock kernels refuses before anything runs: damaged, truncated and foreign files.
//!
//! The story of such a run has no `entry`: no instruction of a guest was executed.

#![allow(
    clippy::unwrap_used,
    reason = "a failed unwrap fails the test; the exception for tests does not see helpers"
)]

#[path = "support/bzimage.rs"]
mod bzimage;
mod support;

use std::path::Path;
use std::process::Command;

use bzimage::bzimage;
use isomark_vmm::linux::sum::sum;
use support::{kvm_works, skip};

/// Runs the VMM with these files; its exit status, its complaint and its story.
fn boot(kernel: &[u8], initrd: &[u8], expected: u64, memory: u64) -> (Option<i32>, String, String) {
    boot_in("/dev/null", (kernel, initrd), expected, memory)
}

/// The same by a process that has written its pid to `procs` first.
fn boot_in(
    procs: &str,
    (kernel, initrd): (&[u8], &[u8]),
    expected: u64,
    memory: u64,
) -> (Option<i32>, String, String) {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    std::fs::write(path("kernel"), kernel).unwrap();
    std::fs::write(path("initrd"), initrd).unwrap();
    let script = r#"echo $$ >"$PROCS"; exec 9<kernel 8<initrd 7>status; exec "$VMM" linux --kernel-fd 9 --initrd-fd 8 --status-fd 7 "$@""#;
    let output = Command::new("/bin/sh")
        .args(["-c", script, "sh", "--command-line", "quiet"])
        .args(["--initrd-sum", &expected.to_string(), "--memory", &memory.to_string()])
        .env("VMM", env!("CARGO_BIN_EXE_isomark-vmm"))
        .env("PROCS", procs)
        .current_dir(folder.path())
        .output()
        .unwrap();
    let story = std::fs::read_to_string(path("status")).unwrap();
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned(), story)
}

#[track_caller]
fn refused(kernel: &[u8], initrd: &[u8], expected: u64, with: &str) {
    let (code, complaint, story) = boot(kernel, initrd, expected, 128 << 20);
    assert_eq!(code, Some(124), "{complaint}");
    assert!(complaint.contains(with), "{complaint}");
    assert!(story.starts_with("end program ") && !story.contains("entry"), "{story}");
}

#[test]
fn what_is_no_kernel_starts_nothing() {
    if !kvm_works() {
        return;
    }
    let initrd = b"anything";
    let right = sum(initrd);
    refused(b"", initrd, right, "too short");
    refused(&[0x7f; 9000], initrd, right, "neither a bzImage nor an ELF file");
    refused(&bzimage()[..3000], initrd, right, "cut short: 3000 bytes of 4160");
    let own = std::fs::read(env!("CARGO_BIN_EXE_isomark-vmm")).unwrap();
    refused(&own, initrd, right, "not a kernel that can boot here");
}

#[test]
fn a_damaged_initramfs_starts_nothing() {
    if !kvm_works() {
        return;
    }
    let whole: Vec<u8> = (0..100_000_u32).map(|i| (i >> 3) as u8).collect();
    let right = sum(&whole);
    let mut flipped = whole.clone();
    flipped[54_321] ^= 0x20;
    for damaged in [&flipped[..], &whole[..99_996], &whole[..0], b"foreign"] {
        refused(&bzimage(), damaged, right, "the initramfs is damaged");
    }
}

#[test]
fn too_little_memory_is_said_to_be_too_little() {
    if !kvm_works() {
        return;
    }
    let initrd = vec![7; 60 << 20];
    let (code, complaint, _) = boot(&bzimage(), &initrd, sum(&initrd), 64 << 20);
    assert_eq!(code, Some(124));
    assert!(complaint.contains("need 84 MiB of guest memory") && complaint.contains("64 MiB"), "{complaint}");
}

/// A kernel that says `init` a few thousand times on the control port, and then that its program has ended.
fn talker() -> Vec<u8> {
    let mut code = vec![0xb9];
    code.extend(4000_u32.to_le_bytes());
    // 1: mov edi, ecx; lea rsi, [init]; mov ecx, 5; mov dx, 0x402; rep outsb; mov ecx, edi; dec ecx; jnz 1b
    code.extend([0x89, 0xcf, 0x48, 0x8d, 0x35, 33, 0, 0, 0, 0xb9, 5, 0, 0, 0, 0x66, 0xba, 2, 4, 0xf3, 0x6e]);
    code.extend([0x89, 0xf9, 0xff, 0xc9, 0x75, 0xe6]);
    // lea rsi, [exit]; mov ecx, 7; rep outsb; 2: jmp 2b
    code.extend([0x48, 0x8d, 0x35, 14, 0, 0, 0, 0xb9, 7, 0, 0, 0, 0xf3, 0x6e, 0xeb, 0xfe]);
    code.extend(b"init\nexit 7\n");
    let mut file = bzimage();
    file[512 * 5 + 0x200..][..code.len()].copy_from_slice(&code);
    file
}

/// The story has a bound, or a guest could make the machine grow and its last word be lost.
#[test]
fn what_a_guest_says_without_end_is_told_once() {
    if !kvm_works() {
        return;
    }
    let initrd = b"anything";
    let (code, complaint, story) = boot(&talker(), initrd, sum(initrd), 64 << 20);
    assert_eq!(code, Some(7), "{complaint}");
    assert!(story.ends_with("end exit 7\n") && story.matches("step init ").count() == 1, "{story}");
}

/// A cgroup with a limit on tasks, removed with the test.
struct Tasks(std::path::PathBuf);

impl Tasks {
    fn most(count: u32) -> Option<Self> {
        let name = format!("isomark-test-vmm-{count}-{}", std::process::id());
        ["/sys/fs/cgroup/pids", "/sys/fs/cgroup"].iter().find_map(|base| {
            let made = Self(Path::new(base).join(&name));
            std::fs::create_dir(&made.0).ok()?;
            std::fs::write(made.0.join("pids.max"), count.to_string()).ok().map(|()| made)
        })
    }
}

impl Drop for Tasks {
    fn drop(&mut self) {
        let gone = (0..100).any(|_| {
            std::fs::remove_dir(&self.0).is_ok() || {
                std::thread::sleep(std::time::Duration::from_millis(20));
                false
            }
        });
        assert!(gone || std::thread::panicking(), "{} is not empty", self.0.display());
    }
}

/// KVM starts a task of its own with a machine's first entry; where it may not, that is said, and at once.
#[test]
fn a_host_without_a_task_for_kvm_is_told_and_not_asked_for_ever() {
    if !kvm_works() {
        return;
    }
    // The VMM's two threads, and none for KVM.
    let Some(group) = Tasks::most(2) else {
        return skip("root", "no cgroup with a limit on tasks can be made");
    };
    let procs = group.0.join("cgroup.procs").display().to_string();
    let initrd = b"anything";
    let (code, complaint, story) = boot_in(&procs, (&bzimage(), initrd), sum(initrd), 128 << 20);
    if story.contains("end fault ") {
        // Zeros are no kernel: a machine that could be entered ends by a triple fault.
        return skip("kvm-task", "this host's KVM starts no task of its own for a machine");
    }
    assert_eq!(code, Some(125), "{complaint}");
    assert!(complaint.contains("KVM_RUN: Resource temporarily unavailable"), "{complaint}");
    assert!(story.contains("end internal KVM_RUN"), "{story}");
}
