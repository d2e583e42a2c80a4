//! Runs the VMM as its harness would, and builds programs small enough to read.
//!
//! Where /dev/kvm cannot be used a test prints why and passes; `ISOMARK_REQUIRE=microvm` turns that into a failure.

// Each test file uses its own part; what a test cannot set up fails it.
#![allow(dead_code, clippy::unwrap_used)]

use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, Stdio};

/// What a run left behind.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
    /// Exit code, or 128 plus the signal.
    pub(crate) code: i32,
    pub(crate) signal: Option<i32>,
    /// Lines of the status.
    pub(crate) story: Vec<String>,
}

impl Outcome {
    /// The last line of the status, without `end`.
    pub(crate) fn end(&self) -> &str {
        self.story.last().and_then(|line| line.strip_prefix("end ")).unwrap_or("(no end)")
    }

    pub(crate) fn told(&self, line: &str) -> bool {
        self.story.iter().any(|l| l == line)
    }
}

/// A run of the VMM, with defaults that fit small programs.
pub(crate) struct Vmm<'a> {
    pub(crate) flags: Vec<&'a str>,
    pub(crate) stdin: &'a [u8],
}

impl Default for Vmm<'_> {
    fn default() -> Self {
        Self { flags: vec!["--memory", "67108864", "--deadline", "60000"], stdin: b"" }
    }
}

impl Vmm<'_> {
    /// Runs `program`; the shell opens the two descriptors, because a file that Rust opens is closed by exec.
    pub(crate) fn run(&self, program: &Path, args: &[&str]) -> Outcome {
        let folder = tempfile::tempdir().unwrap();
        let status = folder.path().join("status");
        let script = r#"exec 9<"$PROGRAM" 8>"$STATUS"; exec "$VMM" --program-fd 9 --status-fd 8 "$@""#;
        let mut child = Command::new("/bin/sh")
            .args(["-c", script, "sh"])
            .args(&self.flags)
            .arg("--")
            .arg(program.file_name().unwrap_or_default())
            .args(args)
            .env("PROGRAM", program)
            .env("STATUS", &status)
            .env("VMM", env!("CARGO_BIN_EXE_isomark-vmm"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // A program that ends without reading closes the pipe.
        let _ = child.stdin.take().unwrap().write_all(self.stdin);
        let output = child.wait_with_output().unwrap();
        let signal = output.status.signal();
        Outcome {
            stdout: output.stdout,
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
            code: output.status.code().unwrap_or_else(|| 128 + signal.unwrap_or(0)),
            signal,
            story: std::fs::read_to_string(status).unwrap().lines().map(str::to_owned).collect(),
        }
    }

    /// Runs an ELF file made of these bytes.
    pub(crate) fn run_bytes(&self, bytes: &[u8], args: &[&str]) -> Outcome {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("program");
        std::fs::write(&program, bytes).unwrap();
        self.run(&program, args)
    }
}

/// Whether /dev/kvm works; says loudly if not.
pub(crate) fn kvm_works() -> bool {
    let Err(reason) = kvm_ioctls::Kvm::new().and_then(|kvm| kvm.create_vm()) else { return true };
    skip("microvm", &format!("/dev/kvm cannot be used: {reason}"));
    false
}

/// Says why a test does nothing; fails if it was required.
pub(crate) fn skip(what: &str, reason: &str) {
    let required = std::env::var("ISOMARK_REQUIRE").unwrap_or_default();
    assert!(!required.split(',').any(|word| word == what), "{what} is required, but {reason}");
    // Past the capture of the test harness, which would hide it.
    let _ = writeln!(std::io::stderr(), "SKIPPED ({what}): {reason}");
}

/// Where a hand-made program lies.
pub(crate) const BASE: u64 = 0x40_0000;
/// Where its code starts.
pub(crate) const ENTRY: u64 = BASE + 0x1000;

/// An ELF file with one readable, executable segment that holds `code`, and 64 KiB of zeros at [`DATA`].
pub(crate) fn elf(code: &[u8]) -> Vec<u8> {
    let mut file = vec![0; 0x1000];
    let mut put = |at: usize, bytes: &[u8]| file[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, &[0x7f, b'E', b'L', b'F', 2, 1, 1, 0]);
    put(16, &2u16.to_le_bytes());
    put(18, &62u16.to_le_bytes());
    put(20, &1u32.to_le_bytes());
    put(24, &ENTRY.to_le_bytes());
    put(32, &64u64.to_le_bytes());
    put(52, &64u16.to_le_bytes());
    put(54, &56u16.to_le_bytes());
    put(56, &2u16.to_le_bytes());
    let len = 0x1000 + code.len() as u64;
    put(64, &header(5, 0, BASE, len, len));
    put(120, &header(6, 0, DATA, 0, 0x1_0000));
    file.extend_from_slice(code);
    file
}

/// Zero-initialised memory of a hand-made program.
pub(crate) const DATA: u64 = 0x60_0000;

/// One PT_LOAD program header.
pub(crate) fn header(flags: u32, offset: u64, address: u64, file_len: u64, len: u64) -> [u8; 56] {
    let mut out = [0; 56];
    out[..4].copy_from_slice(&1u32.to_le_bytes());
    out[4..8].copy_from_slice(&flags.to_le_bytes());
    for (i, word) in [offset, address, address, file_len, len, 0x1000].into_iter().enumerate() {
        out[8 + i * 8..16 + i * 8].copy_from_slice(&word.to_le_bytes());
    }
    out
}

/// `mov rax, nr; mov rdi…; syscall`: a system call with up to six constant arguments.
pub(crate) fn call(nr: u64, args: &[u64]) -> Vec<u8> {
    // movabs into rdi, rsi, rdx, r10, r8, r9.
    const INTO: [[u8; 2]; 6] =
        [[0x48, 0xbf], [0x48, 0xbe], [0x48, 0xba], [0x49, 0xba], [0x49, 0xb8], [0x49, 0xb9]];
    let mut code = Vec::new();
    for (value, into) in args.iter().zip(INTO) {
        code.extend(into);
        code.extend(value.to_le_bytes());
    }
    code.extend([0x48, 0xb8]);
    code.extend(nr.to_le_bytes());
    code.extend([0x0f, 0x05]);
    code
}

/// `mov edi, eax; mov eax, 231; syscall`: ends with the last result as status.
pub(crate) const EXIT_WITH_RESULT: [u8; 9] = [0x89, 0xc7, 0xb8, 231, 0, 0, 0, 0x0f, 0x05];
/// `neg eax`: an error number becomes positive.
pub(crate) const NEGATE: [u8; 2] = [0xf7, 0xd8];

/// Joins pieces of code.
pub(crate) fn code(parts: &[&[u8]]) -> Vec<u8> {
    parts.concat()
}
