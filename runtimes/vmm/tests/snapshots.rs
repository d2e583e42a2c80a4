//! A program saved before its first word, and what goes on from there.

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use support::{DATA, EXIT_WITH_RESULT, NEGATE, call, code, elf, kvm_works};

/// A folder with a program in it.
struct Place(tempfile::TempDir);

/// How a run of the VMM ended: status, standard output, and the last line of its story.
type Ended = (i32, Vec<u8>, String);

impl Place {
    fn new(program: &[u8]) -> Self {
        let place = Self(tempfile::tempdir().expect("a temporary folder"));
        fs::write(place.at("program"), elf(program)).expect("a program");
        place
    }

    fn at(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn run(&self, script: &str, snapshot: &Path) -> Ended {
        let output = Command::new("/bin/sh")
            .args(["-c", &format!("exec {script}")])
            .env("VMM", env!("CARGO_BIN_EXE_isomark-vmm"))
            .env("PROGRAM", self.at("program"))
            .env("SNAPSHOT", snapshot)
            .env("STATUS", self.at("status"))
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .output()
            .expect("a shell");
        let story = fs::read_to_string(self.at("status")).expect("a status");
        let end =
            story.lines().last().and_then(|line| line.strip_prefix("end ")).unwrap_or("(none)").to_owned();
        (output.status.code().unwrap_or(-1), output.stdout, end)
    }

    fn save(&self) -> Ended {
        let script = r#""$VMM" --program-fd 9 --status-fd 8 --save-fd 7 --memory 67108864 --deadline 60000 -- p \
                        9<"$PROGRAM" 8>"$STATUS" 7>"$SNAPSHOT""#;
        self.run(script, &self.at("snapshot"))
    }

    fn restore(&self, snapshot: &Path) -> Ended {
        let script = r#""$VMM" --restore-fd 9 --status-fd 8 --deadline 60000 9<"$SNAPSHOT" 8>"$STATUS""#;
        self.run(script, snapshot)
    }
}

fn sys(nr: i64) -> u64 {
    nr as u64
}

/// Writes `len` bytes from `address`.
fn says(address: u64, len: u64) -> Vec<u8> {
    call(sys(libc::SYS_write), &[1, address, len])
}

/// `movabs rbx, 0x1122…; movq xmm7, rbx; mov [DATA], rbx`, the first word, and then: rbx, xmm7 and the memory still agree.
fn remembers() -> Vec<u8> {
    let load = [0x48, 0xbb, 0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11, 0x66, 0x48, 0x0f, 0x6e, 0xfb];
    let store = [0x48, 0x89, 0x1c, 0x25, 0, 0, 0x60, 0];
    // movq rax, xmm7; sub rax, rbx; mov rcx, [DATA]; sub rcx, rbx; or rax, rcx; neg rax; sbb eax, eax; and eax, 1
    let compare = [0x66, 0x48, 0x0f, 0x7e, 0xf8, 0x48, 0x29, 0xd8, 0x48, 0x8b, 0x0c, 0x25, 0, 0, 0x60, 0];
    let fold = [0x48, 0x29, 0xd9, 0x48, 0x09, 0xc8, 0x48, 0xf7, 0xd8, 0x19, 0xc0, 0x83, 0xe0, 1];
    code(&[&load, &store, &says(DATA, 8), &compare, &fold, &EXIT_WITH_RESULT])
}

#[test]
fn registers_vectors_and_memory_go_on_and_the_word_is_said_by_each() {
    if !kvm_works() {
        return;
    }
    let place = Place::new(&remembers());
    assert_eq!(place.save(), (0, Vec::new(), "saved".into()));
    let word = 0x1122_3344_5566_7788_u64.to_le_bytes().to_vec();
    for _ in 0..3 {
        assert_eq!(place.restore(&place.at("snapshot")), (0, word.clone(), "exit 0".into()));
    }
}

#[test]
fn what_comes_after_the_first_word_is_each_ones_own() {
    if !kvm_works() {
        return;
    }
    // The first word is what lies at DATA; then it is changed, discarded, and said again.
    let change = [0x48, 0xc7, 0x04, 0x25, 0, 0, 0x60, 0, 0x41, 0x42, 0x43, 0x44];
    let discard = call(sys(libc::SYS_madvise), &[DATA, 0x1000, libc::MADV_DONTNEED as u64]);
    let before = [0x48, 0xc7, 0x04, 0x25, 0, 0, 0x60, 0, 0x61, 0x62, 0x63, 0x64];
    let word = says(DATA, 4);
    let leave = call(sys(libc::SYS_exit_group), &[9]);
    let place = Place::new(&code(&[&before, &word, &change, &word, &discard, &word, &leave]));
    assert_eq!(place.save().2, "saved");
    for _ in 0..2 {
        let (status, said, _) = place.restore(&place.at("snapshot"));
        assert_eq!((status, said.as_slice()), (9, b"abcdABCD\0\0\0\0".as_slice()));
    }
}

#[test]
fn random_bytes_are_fresh_in_every_clone() {
    if !kvm_works() {
        return;
    }
    // argc, argv[0], 0, no environment, 0, then pairs; the sixteenth is AT_RANDOM, wherever it stands: look for key 25.
    // mov rsi, rsp; add rsi, 32; 1: cmp qword [rsi], 25; je 2f; add rsi, 16; jmp 1b; 2: mov rsi, [rsi+8]
    let find = [
        0x48, 0x89, 0xe6, 0x48, 0x83, 0xc6, 0x20, 0x48, 0x83, 0x3e, 25, 0x74, 6, 0x48, 0x83, 0xc6, 0x10,
        0xeb, 0xf4, 0x48, 0x8b, 0x76, 0x08,
    ];
    // mov edi, 1; mov edx, 16; mov eax, SYS_write; syscall
    let say = [0xbf, 1, 0, 0, 0, 0xba, 16, 0, 0, 0, 0xb8, 1, 0, 0, 0, 0x0f, 0x05];
    let drawn = call(sys(libc::SYS_getrandom), &[DATA, 16, 0]);
    let leave = call(sys(libc::SYS_exit_group), &[0]);
    let place = Place::new(&code(&[&find, &say, &drawn, &says(DATA, 16), &leave]));
    assert_eq!(place.save().2, "saved");
    let said = [(); 4].map(|()| place.restore(&place.at("snapshot")).1);
    for (i, one) in said.iter().enumerate() {
        assert_eq!(one.len(), 32, "{said:?}");
        assert!(one[..16] != one[16..] && said[..i].iter().all(|other| other != one), "{said:?}");
        assert!(said[..i].iter().all(|other| other[..16] != one[..16]), "{said:?}");
    }
}

#[test]
fn a_program_with_open_files_or_without_a_word_is_not_saved() {
    if !kvm_works() {
        return;
    }
    let pipe = call(sys(libc::SYS_pipe2), &[DATA, 0]);
    let place = Place::new(&code(&[&pipe, &says(DATA, 4)]));
    let (status, said, end) = place.save();
    assert_eq!((status, said.len()), (123, 0));
    assert!(end.starts_with("unserved ") && end.contains("opened files"), "{end}");
    let place = Place::new(&code(&[&call(sys(libc::SYS_getpid), &[]), &NEGATE, &EXIT_WITH_RESULT]));
    assert_eq!(place.save().2, "exit 255");
    assert_eq!(fs::metadata(place.at("snapshot")).map(|m| m.len()).unwrap_or(1), 0, "nothing was written");
}

/// Every cut and every flipped bit that is tried is found before anything runs.
#[test]
fn damage_is_found_before_anything_runs() {
    if !kvm_works() {
        return;
    }
    let place = Place::new(&remembers());
    place.save();
    let whole = fs::read(place.at("snapshot")).expect("a snapshot");
    let damaged = place.at("damaged");
    let try_it = |bytes: &[u8], what: &str| {
        fs::write(&damaged, bytes).expect("a file");
        let (status, said, end) = place.restore(&damaged);
        assert_eq!((status, said.len()), (124, 0), "{what}: {end}");
        assert!(end.starts_with("program the snapshot "), "{what}: {end}");
    };
    for len in (0..whole.len()).step_by(whole.len() / 13).chain([1, 15, 16, 63, 64, whole.len() - 1]) {
        try_it(&whole[..len], &format!("cut at {len}"));
    }
    for at in (0..whole.len()).step_by(whole.len() / 29).chain(16..64) {
        let mut flipped = whole.clone();
        flipped[at] ^= 1 << (at % 8);
        try_it(&flipped, &format!("bit flipped at {at}"));
    }
}
