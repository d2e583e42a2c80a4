//! The machine as a hostile or broken program meets it: hand-made programs of a few instructions.

mod support;

use support::{BASE, DATA, ENTRY, EXIT_WITH_RESULT, NEGATE, Vmm, call, code, elf, kvm_works};

const SEGV: i32 = libc::SIGSEGV;
/// The kernel page, its system-call stub, the door, and the first byte that no guest of 64 MiB has.
const KERNEL: u64 = 0x4000;
const LSTAR: u64 = 0x4400;
const DOOR: u64 = 0x5000;
const MEMORY: u64 = 64 << 20;

#[track_caller]
fn dies(name: &str, program: &[u8], signal: i32) {
    let outcome = Vmm::default().run_bytes(&elf(program), &[]);
    assert_eq!(outcome.signal, Some(signal), "{name}: {outcome:?}");
    assert_eq!(outcome.end(), format!("signal {signal}"), "{name}");
}

#[track_caller]
fn exits(name: &str, program: &[u8], status: i32) {
    let outcome = Vmm::default().run_bytes(&elf(program), &[]);
    assert_eq!(outcome.code, status, "{name}: {outcome:?}");
    assert_eq!(outcome.end(), format!("exit {status}"), "{name}");
}

fn sys(nr: i64) -> u64 {
    nr as u64
}

#[test]
fn a_program_writes_and_ends_with_its_status() {
    if !kvm_works() {
        return;
    }
    let text = b"three words here";
    let write = call(sys(libc::SYS_write), &[1, ENTRY + 100, text.len() as u64]);
    let mut program = code(&[&write, &EXIT_WITH_RESULT]);
    program.resize(100, 0);
    program.extend(text);
    let outcome = Vmm::default().run_bytes(&elf(&program), &[]);
    assert_eq!((outcome.code, outcome.stdout.as_slice()), (16, text.as_slice()), "{outcome:?}");
    assert!(outcome.told("syscalls 2") && outcome.told("exits 2"), "{outcome:?}");
    let steps: Vec<_> = outcome.story.iter().filter_map(|line| line.strip_prefix("step ")).collect();
    let names: Vec<_> = steps.iter().map(|step| step.split(' ').next().unwrap_or_default()).collect();
    let order = "main open load vm slot vcpu state confine run first-exit first-write end";
    assert_eq!(names.join(" "), order);
    let times: Vec<u64> =
        steps.iter().map(|step| step.rsplit(' ').next().unwrap().parse().unwrap()).collect();
    assert!(times.is_sorted(), "{times:?}");
}

#[test]
fn a_program_that_never_ends_is_stopped_wherever_it_is() {
    if !kvm_works() {
        return;
    }
    let forever = [0xeb, 0xfe];
    let sleeping = call(sys(libc::SYS_nanosleep), &[DATA, 0]);
    let sleep = code(&[&[0x48, 0xc7, 0x04, 0x25, 0, 0, 0x60, 0, 0xe8, 3, 0, 0], &sleeping]);
    for (name, program) in [("loop", forever.to_vec()), ("sleep", sleep)] {
        let flags = vec!["--memory", "67108864", "--deadline", "200"];
        let outcome = Vmm { flags, ..Vmm::default() }.run_bytes(&elf(&program), &[]);
        assert_eq!((outcome.code, outcome.end()), (123, "fault deadline"), "{name}: {outcome:?}");
        assert!(outcome.stderr.starts_with("isomark-vmm: the program was stopped: deadline"), "{outcome:?}");
    }
}

/// Privileged instructions and ports are general protection faults at privilege level 3.
#[test]
fn privileged_instructions_kill_the_program_and_nothing_else() {
    if !kvm_works() {
        return;
    }
    for (name, program) in [
        ("cli", &[0xfa][..]),
        ("hlt", &[0xf4]),
        ("out to the system-call port", &[0xe6, 0xa0]),
        ("out to an exception port", &[0xe6, 0x8e]),
        ("out of a word over the system-call port", &[0x66, 0xe7, 0x9f]),
        ("in", &[0xe4, 0x60]),
        ("mov rax, cr3", &[0x0f, 0x20, 0xd8]),
        ("mov cr3, rax", &[0x0f, 0x22, 0xd8]),
        ("rdmsr", &[0x0f, 0x32]),
        ("wrmsr", &[0x0f, 0x30]),
        ("lgdt [rsp]", &[0x0f, 0x01, 0x14, 0x24]),
        ("swapgs", &[0x0f, 0x01, 0xf8]),
        ("sysret", &[0x48, 0x0f, 0x07]),
        // pushf; or dword [rsp], 0x3000; popf; out: IOPL stays 0.
        ("out after asking for IOPL 3", &[0x9c, 0x81, 0x0c, 0x24, 0, 0x30, 0, 0, 0x9d, 0xe6, 0xa0]),
    ] {
        dies(name, program, SEGV);
    }
}

/// Software interrupts: a protection fault on hardware, an invalid opcode where the host takes the vector for itself.
#[test]
fn software_interrupts_open_no_door() {
    if !kvm_works() {
        return;
    }
    for vector in [0, 6, 8, 13, 14, 32, 0x80, 0xff] {
        let outcome = Vmm::default().run_bytes(&elf(&[0xcd, vector]), &[]);
        assert!(matches!(outcome.signal, Some(libc::SIGSEGV | libc::SIGILL)), "int {vector}: {outcome:?}");
    }
}

#[test]
fn exceptions_are_the_signals_of_linux() {
    if !kvm_works() {
        return;
    }
    dies("ud2", &[0x0f, 0x0b], libc::SIGILL);
    dies("int3", &[0xcc], libc::SIGTRAP);
    // xor edx, edx; xor ecx, ecx; div ecx.
    dies("division by zero", &[0x31, 0xd2, 0x31, 0xc9, 0xf7, 0xf1], libc::SIGFPE);
    // push rax; jmp back: the guard block below the stack.
    dies("endless recursion", &[0x50, 0xeb, 0xfd], SEGV);
    // mov rax, rsp; jmp rax: the stack is not executable.
    dies("code on the stack", &[0x48, 0x89, 0xe0, 0xff, 0xe0], SEGV);
}

/// `mov rax, address` and then one access.
fn touch(address: u64, access: &[u8]) -> Vec<u8> {
    code(&[&[0x48, 0xb8], &address.to_le_bytes(), access, &EXIT_WITH_RESULT])
}

#[test]
fn only_the_programs_own_memory_can_be_touched() {
    if !kvm_works() {
        return;
    }
    let (read, write, jump) = ([0x8b, 0x00], [0x89, 0x00], [0xff, 0xe0]);
    for address in
        [0, 0x1000, 0x3000, KERNEL, LSTAR, 0x6000, BASE - 8, BASE + 0x10_0000, MEMORY, 1 << 40, u64::MAX - 8]
    {
        dies(&format!("read {address:#x}"), &touch(address, &read), SEGV);
        dies(&format!("write {address:#x}"), &touch(address, &write), SEGV);
    }
    dies("write to its text", &touch(ENTRY, &write), SEGV);
    dies("execute its data", &touch(DATA, &jump), SEGV);
    dies("jump into the kernel page", &touch(KERNEL, &jump), SEGV);
    // A jump to the stub is a system call that returns to rcx, which is 0 in a fresh program.
    dies("jump to the system-call stub", &touch(LSTAR, &jump), SEGV);
    dies("jump to the door", &touch(DOOR, &jump), SEGV);
    dies("write to the door", &touch(DOOR, &write), SEGV);
    exits("read its text", &touch(BASE, &[0x0f, 0xb6, 0x00]), 0x7f);
}

/// Calls that the door may answer leave every register but rax, rcx and r11 alone, and all flags.
#[test]
fn a_system_call_changes_what_linux_changes() {
    if !kvm_works() {
        return;
    }
    let segment = call(sys(libc::SYS_arch_prctl), &[0x1002, DATA]);
    let thread = call(sys(libc::SYS_set_tid_address), &[DATA]);
    let process = call(sys(libc::SYS_getpid), &[]);
    // push FLAGS; popfq; (the call); pushfq; pop rdi; and edi, MASK; xor edi, FLAGS & MASK; with no bit left: exit 0.
    let with = |flags: u32, made: &[u8]| {
        const MASK: u32 = 0x4_0cd5;
        let wanted = (flags & MASK).to_le_bytes();
        let (before, after) = (code(&[&[0x68], &flags.to_le_bytes(), &[0x9d]]), [0x9c, 0x5f, 0x81, 0xe7]);
        let compare = code(&[&MASK.to_le_bytes(), &[0x81, 0xf7], &wanted]);
        // setnz al; movzx edi, al; mov eax, SYS_exit; syscall.
        let fold = [0x0f, 0x95, 0xc0, 0x0f, 0xb6, 0xf8, 0xb8, 60, 0, 0, 0, 0x0f, 0x05];
        code(&[&prepared(made), &before, &[0x0f, 0x05], &after, &compare, &fold])
    };
    for flags in [0x202, 0x203, 0x206, 0x212, 0x242, 0x282, 0xa02, 0xad7, 0xed7, 0x4_0ad7] {
        for (name, made) in [("arch_prctl", &segment), ("set_tid_address", &thread), ("getpid", &process)] {
            exits(&format!("{name} with flags {flags:#x}"), &with(flags, made), 0);
        }
    }
    exits("the only thread", &code(&[&thread, &EXIT_WITH_RESULT]), 1);
    // mov rax, fs:[0] reads what lies at the new base, which is 0; without it, address 0 would fault.
    let load = [0x64, 0x48, 0x8b, 0x04, 0x25, 0, 0, 0, 0];
    exits("thread-local storage", &code(&[&segment, &load, &EXIT_WITH_RESULT]), 0);
    let back = call(sys(libc::SYS_arch_prctl), &[0x1003, DATA + 8]);
    let compare = [0x48, 0x8b, 0x04, 0x25, 8, 0, 0x60, 0, 0x48, 0x2d, 0, 0, 0x60, 0];
    exits("its base, asked for", &code(&[&segment, &back, &compare, &EXIT_WITH_RESULT]), 0);
    let beyond = call(sys(libc::SYS_arch_prctl), &[0x1002, 1 << 47]);
    exits("a base beyond user space", &code(&[&beyond, &NEGATE, &EXIT_WITH_RESULT]), libc::EPERM);
}

/// A call without its `syscall` instruction.
fn prepared(made: &[u8]) -> Vec<u8> {
    made[..made.len() - 2].to_vec()
}

#[test]
fn bad_pointers_are_efault() {
    if !kvm_works() {
        return;
    }
    for (address, len) in [
        (0, 1),
        (KERNEL, 8),
        (MEMORY - 4, 8),
        (MEMORY, 1),
        (u64::MAX, 1),
        (u64::MAX - 8, 100),
        (1 << 63, 1),
        (ENTRY, 1 << 30),
    ] {
        let write = call(sys(libc::SYS_write), &[1, address, len]);
        exits(
            &format!("write from {address:#x}"),
            &code(&[&write, &NEGATE, &EXIT_WITH_RESULT]),
            libc::EFAULT,
        );
    }
    // Its own text is readable and not writable.
    for (nr, args) in [
        (libc::SYS_read, [0, ENTRY, 1, 0]),
        (libc::SYS_uname, [ENTRY, 0, 0, 0]),
        (libc::SYS_pipe2, [ENTRY, 0, 0, 0]),
        (libc::SYS_openat, [u64::MAX - 99, u64::MAX, 0, 0]),
        (libc::SYS_writev, [1, KERNEL, 1, 0]),
        (libc::SYS_rt_sigaction, [11, 0, ENTRY, 8]),
        (libc::SYS_poll, [KERNEL, 1, 0, 0]),
        (libc::SYS_getrandom, [KERNEL, 16, 0, 0]),
    ] {
        exits(
            &format!("call {nr}"),
            &code(&[&call(sys(nr), &args), &NEGATE, &EXIT_WITH_RESULT]),
            libc::EFAULT,
        );
    }
}

/// A descriptor is the lower half of its argument: the upper half once made one number lead to nothing.
#[test]
fn a_descriptor_is_32_bits_wide() {
    if !kvm_works() {
        return;
    }
    let write = call(sys(libc::SYS_write), &[1, BASE, 4]);
    for (name, nr, args) in [
        ("dup2", libc::SYS_dup2, [1 << 32 | 1, 1, 0]),
        ("dup3", libc::SYS_dup3, [1, 1 << 32 | 1, 0]),
        ("close_range", libc::SYS_close_range, [1 << 32 | 3, 5 << 32 | 9, 0]),
    ] {
        exits(name, &code(&[&call(sys(nr), &args), &write, &EXIT_WITH_RESULT]), 4);
    }
}

/// Numbers at the edges of every argument: each call may be refused in its own way, and the VMM goes on.
#[test]
fn absurd_arguments_never_hurt_the_vmm() {
    if !kvm_works() {
        return;
    }
    let edges = [0, 1, DATA, DATA + 0xfff8, MEMORY - 1, u64::MAX, 1 << 63, i64::MAX as u64 & !0xfff];
    // Those that end the program, wait by design, or change what later calls need.
    let skipped = [
        libc::SYS_exit,
        libc::SYS_exit_group,
        libc::SYS_pause,
        libc::SYS_rt_sigsuspend,
        libc::SYS_rt_sigreturn,
        libc::SYS_kill,
        libc::SYS_tkill,
        libc::SYS_tgkill,
        libc::SYS_munmap,
        libc::SYS_mprotect,
        libc::SYS_mremap,
        libc::SYS_mmap,
        libc::SYS_madvise,
        libc::SYS_nanosleep,
        libc::SYS_clock_nanosleep,
        libc::SYS_poll,
        libc::SYS_ppoll,
        libc::SYS_select,
        libc::SYS_pselect6,
        libc::SYS_futex,
        libc::SYS_write,
        libc::SYS_writev,
        libc::SYS_close,
        libc::SYS_close_range,
        libc::SYS_dup2,
        libc::SYS_dup3,
    ];
    let mut program = Vec::new();
    for nr in (0..470).filter(|nr| !skipped.contains(nr)) {
        for (i, &edge) in edges.iter().enumerate() {
            let next = edges[(i + 3) % edges.len()];
            program.extend(call(sys(nr), &[edge, next, edge, next, edge, next]));
        }
    }
    program.extend(call(sys(libc::SYS_exit_group), &[77]));
    let outcome = Vmm::default().run_bytes(&elf(&program), &[]);
    assert_eq!(outcome.end(), "exit 77", "{outcome:?}");
}

#[test]
fn absurd_mappings_never_hurt_the_vmm() {
    if !kvm_works() {
        return;
    }
    let edges = [0, 0x1000, BASE, DATA, DATA + 0x1000, 32 << 20, MEMORY - 0x1000, MEMORY, 1 << 47, !0xfff];
    for nr in [libc::SYS_munmap, libc::SYS_mprotect, libc::SYS_madvise, libc::SYS_mremap, libc::SYS_mmap] {
        let mut program = Vec::new();
        for &address in &edges {
            for &len in &edges {
                // Never its own code or stack: those are the program's to break, not this test's.
                let end = address.saturating_add(len);
                let own = [(BASE, BASE + 0x20_0000), (MEMORY - (8 << 20), MEMORY)];
                if !own.iter().any(|&(start, stop)| address < stop && end > start) {
                    program.extend(call(sys(nr), &[address, len, 4, 0x22 | 1, address, len]));
                }
            }
        }
        program.extend(call(sys(libc::SYS_exit_group), &[78]));
        let outcome = Vmm::default().run_bytes(&elf(&program), &[]);
        assert_eq!(outcome.end(), "exit 78", "call {nr}: {outcome:?}");
    }
}

#[test]
fn what_is_not_served_is_counted_and_named() {
    if !kvm_works() {
        return;
    }
    let socket = call(sys(libc::SYS_socket), &[2, 1, 0]);
    let clone = call(sys(libc::SYS_clone), &[0]);
    let program = code(&[&socket, &socket, &clone, &NEGATE, &EXIT_WITH_RESULT]);
    let outcome = Vmm::default().run_bytes(&elf(&program), &[]);
    assert_eq!(outcome.end(), format!("exit {}", libc::ENOSYS));
    assert!(outcome.told("unserved socket 2") && outcome.told("unserved clone 1"), "{outcome:?}");
}

#[test]
fn waiting_for_oneself_ends_in_words() {
    if !kvm_works() {
        return;
    }
    let pipe = call(sys(libc::SYS_pipe2), &[DATA, 0]);
    let read = call(sys(libc::SYS_read), &[3, DATA, 1]);
    let futex = call(sys(libc::SYS_futex), &[DATA, 0, 0, 0]);
    let pause = call(sys(libc::SYS_pause), &[]);
    let clone = call(sys(libc::SYS_clone), &[0]);
    for (program, words) in [
        (code(&[&pipe, &read]), "read of an empty pipe"),
        (code(&[&clone, &futex]), "waits on a futex"),
        (pause, "waits for a signal"),
    ] {
        let outcome = Vmm::default().run_bytes(&elf(&program), &[]);
        assert_eq!(outcome.code, 123, "{outcome:?}");
        assert!(
            outcome.end().starts_with("unserved deadlock") && outcome.end().contains(words),
            "{outcome:?}"
        );
        assert!(outcome.stderr.contains(words), "{outcome:?}");
    }
}

#[test]
fn a_file_that_is_no_program_is_refused_in_one_sentence() {
    let good = elf(&EXIT_WITH_RESULT);
    let changed = |at: usize, byte: u8| {
        let mut file = good.clone();
        file[at] = byte;
        file
    };
    let mut dynamic = good.clone();
    dynamic[120] = 3;
    for (file, words) in [
        (b"#!/bin/sh\n".to_vec(), "is a script"),
        (b"hello".to_vec(), "not an ELF file"),
        (Vec::new(), "not an ELF file"),
        (good[..40].to_vec(), "cut short"),
        (good[..100].to_vec(), "outside its first"),
        (changed(4, 1), "32-bit"),
        (changed(5, 2), "little-endian"),
        (changed(18, 183), "machine 183"),
        (changed(16, 1), "of type 1"),
        (dynamic, "dynamically linked"),
        (changed(83, 0x7f), "this guest has"),
    ] {
        let outcome = Vmm::default().run_bytes(&file, &[]);
        assert_eq!(outcome.code, 124, "{words}: {outcome:?}");
        assert!(
            outcome.end().starts_with("program ") && outcome.end().contains(words),
            "{words}: {outcome:?}"
        );
        assert_eq!(outcome.stderr.lines().count(), 1, "{outcome:?}");
    }
}

#[test]
fn a_wrong_call_is_refused_by_name() {
    let outcome =
        Vmm { flags: vec!["--memory", "1"], ..Vmm::default() }.run_bytes(&elf(&EXIT_WITH_RESULT), &[]);
    assert_eq!(outcome.code, 125);
    assert!(outcome.stderr.contains("--memory 1"), "{outcome:?}");
}
