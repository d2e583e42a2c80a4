//! Guests that mean harm: each ends within its deadline, in words, and the VMM is as well as before.
//!
//! What `machine.rs` does not try: guests that never stop making work. The privileged instruction, the absurd address and
//! the absurd length are there.

mod support;

use std::io::Read;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use support::{DATA, ENTRY, Outcome, Vmm, call, code, elf, kvm_works};

fn sys(nr: i64) -> u64 {
    nr as u64
}

/// A guest of 16 MiB that is stopped after 300 ms.
fn run(program: &[u8]) -> Outcome {
    let flags = vec!["--memory", "16777216", "--deadline", "300"];
    Vmm { flags, ..Vmm::default() }.run_bytes(&elf(program), &[])
}

#[track_caller]
fn is_stopped(name: &str, program: &[u8]) {
    let outcome = run(program);
    assert_eq!((outcome.code, outcome.end()), (123, "fault deadline"), "{name}: {outcome:?}");
}

/// `jmp` back to the beginning of what stands before it.
fn for_ever(body: &[u8]) -> Vec<u8> {
    let back = -(body.len() as i32) - 5;
    code(&[body, &[0xe9], &back.to_le_bytes()])
}

/// `rt_sigaction(signal, DATA)` with what lies at DATA: handler, flags with a restorer, restorer, mask.
fn handled_by(handler: u64, flags: u64, signal: i64) -> Vec<u8> {
    let store = |at: u64, value: u64| {
        let (mut bytes, at) = (vec![0x48, 0xb8], u32::try_from(at).unwrap_or(0));
        bytes.extend(value.to_le_bytes());
        bytes.extend([0x48, 0x89, 0x04, 0x25]);
        bytes.extend(at.to_le_bytes());
        bytes
    };
    let action =
        [store(DATA, handler), store(DATA + 8, flags | 0x0400_0000), store(DATA + 16, handler)].concat();
    code(&[&action, &call(sys(libc::SYS_rt_sigaction), &[signal as u64, DATA, 0, 8])])
}

#[test]
fn work_without_end_is_stopped_at_the_deadline() {
    if !kvm_works() {
        return;
    }
    let none = call(sys(libc::SYS_getpid), &[]);
    let unknown = call(9999, &[]);
    let map = call(sys(libc::SYS_mmap), &[0, 1 << 20, 3, 0x22, u64::MAX, 0]);
    let unmap = call(sys(libc::SYS_munmap), &[DATA + 0x10_0000, 4 << 20]);
    let split = call(sys(libc::SYS_mprotect), &[DATA + 0x1000, 0x1000, 1]);
    let join = call(sys(libc::SYS_mprotect), &[DATA + 0x1000, 0x1000, 3]);
    is_stopped("system calls", &for_ever(&none));
    is_stopped("unknown system calls", &for_ever(&unknown));
    is_stopped("mappings", &for_ever(&code(&[&map, &unmap])));
    is_stopped("page tables that are split and joined", &for_ever(&code(&[&split, &join])));
    // poll of nothing for 24 days; sleeping for as long: mov qword [DATA], 2 000 000.
    let span = [0x48, 0xc7, 0x04, 0x25, 0, 0, 0x60, 0, 0x80, 0x84, 0x1e, 0];
    is_stopped("poll", &call(sys(libc::SYS_poll), &[DATA, 0, 2_000_000_000]));
    is_stopped("sleep", &code(&[&span, &call(sys(libc::SYS_clock_nanosleep), &[1, 0, DATA, 0])]));
}

#[test]
fn faults_without_end_are_stopped_at_the_deadline() {
    if !kvm_works() {
        return;
    }
    // The handler is the faulting instruction itself, on a stack that is put back each time: mov rsp, DATA+0xf000; ud2.
    let install = handled_by(ENTRY + 0x800, libc::SA_NODEFER as u64, i64::from(libc::SIGILL));
    let mut program = code(&[&install, &[0xeb, 0x00]]);
    program.extend([0x0f, 0x0b]);
    program.resize(0x800, 0x90);
    program.extend([0x48, 0xc7, 0xc4, 0, 0xf0, 0x60, 0, 0x0f, 0x0b]);
    is_stopped("a handler that faults", &program);
    // Without a stack to put the frame on, the first of them ends it.
    let mut bare = code(&[&install, &[0x48, 0x31, 0xe4, 0x0f, 0x0b]]);
    bare.resize(0x800, 0x90);
    bare.extend([0x0f, 0x0b]);
    let outcome = run(&bare);
    assert_eq!(outcome.end(), "signal 11", "{outcome:?}");
    // A single step through everything: pushfq; or dword [rsp], 0x100; popfq, and a handler that returns to it.
    let step = handled_by(ENTRY + 0x800, 0, i64::from(libc::SIGTRAP));
    let mut program = code(&[&step, &[0x9c, 0x81, 0x0c, 0x24, 0, 1, 0, 0, 0x9d, 0x90, 0xeb, 0xfd]]);
    program.resize(0x800, 0x90);
    program.extend(call(sys(libc::SYS_rt_sigreturn), &[]));
    let outcome = run(&program);
    // The frame that it returns to is one word off: Linux ends such a program too.
    assert!(matches!(outcome.end(), "fault deadline" | "signal 11"), "{outcome:?}");
}

/// A flood meets a reader that reads it, and one that has gone.
#[test]
fn a_flood_of_output_is_stopped_at_the_deadline() {
    if !kvm_works() {
        return;
    }
    let write = |fd| call(sys(libc::SYS_write), &[fd, DATA, 0x1_0000]);
    let outcome = run(&for_ever(&write(1)));
    assert_eq!(outcome.end(), "fault deadline", "stdout");
    assert!(outcome.stdout.len() > 0x1_0000, "{}", outcome.stdout.len());
    let outcome = run(&for_ever(&write(2)));
    assert_eq!(outcome.end(), "fault deadline", "stderr");
}

/// Somebody who listens and never reads keeps no machine beyond its deadline, not even for the machine's own last words.
#[test]
fn a_reader_that_never_reads_holds_no_machine() {
    if !kvm_works() {
        return;
    }
    let (mut vmm, _folder) = started(&for_ever(&call(sys(libc::SYS_write), &[2, DATA, 0x1000])), "300");
    let status = (0..1000).find_map(|_| {
        std::thread::sleep(Duration::from_millis(20));
        vmm.try_wait().expect("our child")
    });
    if status.is_none() {
        vmm.kill().expect("our child");
    }
    assert_eq!(status.and_then(|s| s.code()), Some(123));
}

/// Whatever ends the machine, and whatever its caller allows: a guest's memory is not written down.
#[test]
fn a_machine_that_is_killed_leaves_no_core() {
    if !kvm_works() {
        return;
    }
    let say = call(sys(libc::SYS_write), &[1, DATA, 1]);
    let (mut vmm, _folder) = started(&code(&[&say, &[0xeb, 0xfe]]), "60000");
    let mut byte = [1];
    vmm.stdout.take().expect("piped").read_exact(&mut byte).expect("the guest runs");
    let pid = Pid::from_raw(vmm.id() as i32);
    kill(pid, Signal::SIGSEGV).expect("our child");
    let status = vmm.wait().expect("our child");
    assert_eq!((status.signal(), status.core_dumped()), (Some(libc::SIGSEGV), false));
}

/// A VMM whose streams are pipes that nobody reads, in a folder where cores of any size may be written.
fn started(program: &[u8], deadline: &str) -> (Child, tempfile::TempDir) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    std::fs::write(folder.path().join("program"), elf(program)).expect("a program");
    let script =
        r#"ulimit -c unlimited; exec "$VMM" --program-fd 9 --memory 16777216 --deadline "$1" -- p 9<program"#;
    let child = Command::new("/bin/sh")
        .args(["-c", script, "sh", deadline])
        .env("VMM", env!("CARGO_BIN_EXE_isomark-vmm"))
        .current_dir(folder.path())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    (child.expect("a shell"), folder)
}

/// Nothing that a guest makes the VMM keep may outgrow what the guest itself may weigh.
#[test]
fn what_a_guest_makes_the_vmm_keep_is_bounded() {
    if !kvm_works() {
        return;
    }
    // Files without end, each 64 KiB, until there is no room: then the write fails and it goes on trying.
    let path = [0x48, 0xb8, b'/', b't', b'm', b'p', b'/', b'a', 0, 0, 0x48, 0x89, 0x04, 0x25, 0, 0, 0x60, 0];
    let open = call(sys(libc::SYS_open), &[DATA, 0x441, 0o644]);
    let write = call(sys(libc::SYS_write), &[3, DATA, 0x8000]);
    let pipe = call(sys(libc::SYS_pipe2), &[DATA + 64, 0x800]);
    let fill = call(sys(libc::SYS_write), &[1023, DATA, 0x8000]);
    is_stopped("files", &code(&[&path, &open, &for_ever(&write)]));
    is_stopped("pipes", &for_ever(&code(&[&pipe, &fill])));
    // Directories in directories: mkdir("a"); chdir("a").
    let name = [0xc7, 0x04, 0x25, 0, 0, 0x60, 0, b'a', 0, 0, 0];
    let (mkdir, chdir) = (call(sys(libc::SYS_mkdir), &[DATA, 0o755]), call(sys(libc::SYS_chdir), &[DATA]));
    let getcwd = call(sys(libc::SYS_getcwd), &[DATA + 64, 0x4000]);
    is_stopped("depth", &code(&[&name, &for_ever(&code(&[&mkdir, &chdir, &getcwd]))]));
}

/// A mapping that begins inside a page was once written into page tables with its low bits, which are the CPU's flags.
#[test]
fn a_mapping_begins_on_a_page_or_not_at_all() {
    if !kvm_works() {
        return;
    }
    let exit = [0xf7, 0xd8, 0x89, 0xc7, 0xb8, 231, 0, 0, 0, 0x0f, 0x05];
    for flags in [0x10_0022_u64, 0x32] {
        let map = call(sys(libc::SYS_mmap), &[0xa0_0001, 0x1000, 1, flags, u64::MAX, 0]);
        let outcome = run(&code(&[&map, &exit]));
        assert_eq!(outcome.end(), format!("exit {}", libc::EINVAL), "{flags:#x}: {outcome:?}");
    }
    let mincore = call(sys(libc::SYS_mincore), &[0, 0, DATA]);
    let outcome = run(&code(&[&mincore, &exit]));
    assert_eq!(outcome.end(), "exit 0", "{outcome:?}");
}
