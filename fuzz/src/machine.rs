//! What the microVM reads of its guest, and of files: ELF headers, system calls, snapshots, kernels.
//!
//! No KVM: the loader and the server of system calls work on memory of their own here, so that a million inputs take
//! minutes. After each, the areas and the page tables that the CPU would walk must say the same.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    missing_docs,
    unreachable_pub,
    reason = "a promise that breaks must stop a fuzzer"
)]

use std::cell::RefCell;
use std::fs::File;
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;
use std::sync::OnceLock;

use isomark_vmm::elf;
use isomark_vmm::error::{End, Error, Stop};
use isomark_vmm::files::Files;
use isomark_vmm::fs::ROOT;
use isomark_vmm::guest::Guest;
use isomark_vmm::layout::{BLOCK, KERNEL, MEMORY_MIN, PAGE, PIE_BASE, PML4, USER_START, map_end};
use isomark_vmm::linux::kernel as linux;
use isomark_vmm::linux::params;
use isomark_vmm::load;
use isomark_vmm::machine::Cpu;
use isomark_vmm::memory::{Memory, Place, Policy};
use isomark_vmm::signals::Signals;
use isomark_vmm::snapshot::crc::Crc;
use isomark_vmm::snapshot::words::Writer;
use isomark_vmm::snapshot::{self, Loaded};
use isomark_vmm::space::{EXEC, READ, WRITE};
use isomark_vmm::stack::Machine;
use isomark_vmm::status::Status;
use isomark_vmm::sys::ram::Ram;

use super::target::{NUMBERS, Target};

#[path = "../../runtimes/vmm/tests/support/bzimage.rs"]
mod bzimage;

/// The parsers of this file.
pub const ALL: &[Target] = &[
    Target { name: "elf", run: elf, seeds: elf_seeds, words: &[NUMBERS], cost: 1 },
    Target { name: "system-calls", run: calls, seeds: call_seeds, words: &[NUMBERS], cost: 1 },
    Target { name: "snapshot", run: snapshot, seeds: snapshot_seeds, words: &[NUMBERS], cost: 1 },
    Target { name: "kernel", run: kernel, seeds: kernel_seeds, words: &[NUMBERS], cost: 1 },
];

const POLICY: Policy = Policy { huge: false, prefault: None };

fn cpu() -> &'static Cpu {
    static CPU: OnceLock<Cpu> = OnceLock::new();
    CPU.get_or_init(Cpu::of_host)
}

thread_local! {
    /// In memory where the host has that: a million files on a disk would take an hour.
    static FILE: RefCell<File> = RefCell::new(
        tempfile::tempfile_in("/dev/shm").or_else(|_| tempfile::tempfile()).unwrap()
    );
    /// A kernel's memory; what one leaves the next overwrites.
    static RAM: Ram = Ram::new(64 << 20).unwrap();
}

/// Lets `read` see `data` as a file.
fn as_file<T>(data: &[u8], read: impl FnOnce(&mut File) -> T) -> T {
    FILE.with_borrow_mut(|file| {
        file.set_len(data.len() as u64).unwrap();
        file.write_all_at(data, 0).unwrap();
        read(file)
    })
}

/// Whatever is wrong with a file is the file's fault and said in words.
fn refused(error: &Error) {
    match error {
        Error::Program(text) => assert!(!text.is_empty() && text.len() < 4096, "{text}"),
        Error::Internal(text) => panic!("the VMM would call itself broken: {text}"),
    }
}

/// The areas are whole pages of the program's memory, in order, and the page tables allow what they say and no more.
fn consistent(memory: &Memory, data: &[u8]) {
    let mut reached = USER_START;
    for area in memory.space().areas() {
        assert!(area.start >= reached && area.start < area.end && area.end <= memory.ram.len(), "{area:?}");
        assert!(
            area.start.is_multiple_of(PAGE) && area.end.is_multiple_of(PAGE) && area.prot <= 7,
            "{area:?}"
        );
        reached = area.end;
    }
    // Some pages: all of them, once in a while.
    let pages = memory.ram.len() / PAGE;
    let (step, first) = if data.len().is_multiple_of(64) { (1, 0) } else { (61, data.len() as u64 % 61) };
    for page in (first..pages).step_by(step) {
        walks(memory, page * PAGE);
    }
}

/// What the CPU would find for a page is what its area says. The machine's own block is never the program's to write.
fn walks(memory: &Memory, address: u64) {
    const PRESENT: u64 = 1;
    const WRITABLE: u64 = 2;
    const USER: u64 = 4;
    const LARGE: u64 = 1 << 7;
    const NO_EXEC: u64 = 1 << 63;
    const FRAME: u64 = 0x000f_ffff_ffff_f000;
    let prot = memory.space().at(address).map_or(0, |area| area.prot);
    let mut table = PML4;
    for shift in [39, 30, 21, 12] {
        let entry = memory.ram.load(table + (address >> shift & 511) * 8).unwrap();
        if entry & PRESENT == 0 {
            assert_eq!(prot, 0, "{address:#x} is mapped and the CPU would not find it");
            return;
        }
        if shift == 12 || shift == 21 && entry & LARGE != 0 {
            let size = if shift == 21 { BLOCK } else { PAGE };
            assert_eq!(entry & FRAME & !(size - 1), address / size * size, "{address:#x} leads elsewhere");
            if address < USER_START {
                assert!(entry & USER == 0 || entry & WRITABLE == 0, "{address:#x} is the machine's");
                return;
            }
            assert!(prot != 0, "{address:#x} is not mapped and the CPU would find it");
            assert_eq!(entry & WRITABLE != 0, prot & WRITE != 0, "{address:#x}");
            assert_eq!(entry & NO_EXEC == 0, prot & EXEC != 0, "{address:#x}");
            assert!(entry & USER != 0, "{address:#x}");
            return;
        }
        table = entry & FRAME;
        assert!(
            (KERNEL - PAGE * 3..USER_START).contains(&table),
            "a table of {address:#x} lies at {table:#x}"
        );
    }
}

/// An ELF file: planned, and loaded if it can be.
pub fn elf(data: &[u8]) {
    let limit = map_end(MEMORY_MIN);
    let head = &data[..data.len().min(elf::HEAD)];
    let program = match elf::plan(head, data.len() as u64, limit) {
        Err(e) => return refused(&e),
        Ok(program) => program,
    };
    for s in &program.segments {
        assert!(s.address >= USER_START && s.address + s.len <= limit && s.file_len <= s.len, "{s:?}");
        assert!(s.offset + s.file_len <= data.len() as u64, "{s:?}");
    }
    as_file(data, |file| {
        let mut memory = machine();
        let loaded = load::load(&mut memory, file.as_fd(), &[b"a"], &[b"B=c"], &Machine::default());
        match loaded {
            Ok(start) => {
                // A later segment may lie over the entry and forbid it: its first instruction is its first fault then.
                assert!((USER_START..limit).contains(&start.rip), "{start:?}");
                assert!(memory.space().allows(start.rsp, start.rsp + 8, READ | WRITE), "{start:?}");
                assert!(start.rsp.is_multiple_of(16));
            }
            Err(e) => refused(&e),
        }
        consistent(&memory, data);
    });
}

fn machine() -> Memory {
    let ram = Ram::new(MEMORY_MIN).unwrap();
    isomark_vmm::boot::install(&ram).unwrap();
    Memory::new(ram, POLICY).unwrap()
}

pub fn elf_seeds() -> Vec<Vec<u8>> {
    vec![
        small_elf(&[(5, 0, PIE_BASE, 0x1010, 0x1010), (6, 0x1000, PIE_BASE + 0x2000, 16, 0x3000)]),
        small_elf(&[
            (5, 0, PIE_BASE, 0x1010, 0x1010),
            (6, 16, PIE_BASE + 0x5123, 100, 70_000),
            (4, 0x1000, PIE_BASE + 0x4_0000, 16, 16),
        ]),
    ]
}

/// An ELF file with these segments: flags, offset, address, bytes of the file, bytes of memory.
fn small_elf(segments: &[(u32, u64, u64, u64, u64)]) -> Vec<u8> {
    let mut file = vec![0_u8; 0x1000];
    let mut put = |at: usize, bytes: &[u8]| file[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, &[0x7f, b'E', b'L', b'F', 2, 1, 1, 0]);
    put(16, &[2, 0, 62, 0, 1, 0, 0, 0]);
    put(24, &(PIE_BASE + 0x1000).to_le_bytes());
    put(32, &64_u64.to_le_bytes());
    put(52, &[64, 0, 56, 0, segments.len() as u8, 0]);
    for (i, &(flags, offset, address, file_len, len)) in segments.iter().enumerate() {
        let at = 64 + i * 56;
        put(at, &1_u32.to_le_bytes());
        put(at + 4, &flags.to_le_bytes());
        for (j, word) in [offset, address, address, file_len, len, 0x1000].into_iter().enumerate() {
            put(at + 8 + j * 8, &word.to_le_bytes());
        }
    }
    file.extend([0xeb, 0xfe, 0x0f, 0x05, 0xcc, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8]);
    file
}

/// Where a guest's data lie, and how much of them there is.
const DATA: u64 = PIE_BASE + BLOCK;
const DATA_LEN: u64 = 64 << 10;
/// Strings at its beginning: paths of all kinds, each in a cell of 32 bytes.
const PATHS: [&[u8]; 16] = [
    b"/tmp/a",
    b"/tmp/b",
    b"/tmp/a/c",
    b"/",
    b".",
    b"..",
    b"",
    b"/dev/null",
    b"/dev/zero",
    b"/dev/full",
    b"/dev/urandom",
    b"/proc/self/exe",
    b"tmp/../tmp/./a/",
    b"/tmp/link",
    b"/etc/passwd",
    b"a//b",
];

fn fresh_guest() -> Guest {
    let mut memory = machine();
    memory.set_image(PIE_BASE, PIE_BASE + PAGE);
    memory.map(memory.stack_start(), MEMORY_MIN, READ | WRITE).unwrap();
    memory.map_zeros(Place::Fixed(DATA), DATA_LEN, READ | WRITE).unwrap();
    for (i, path) in PATHS.iter().enumerate() {
        memory.put(DATA + 32 * i as u64, path).unwrap();
    }
    let mut files = Files::new(MEMORY_MIN, b"/prog");
    // Descriptors 0 to 2 are the fuzzer's own; everything else stays inside.
    (0..3).for_each(|fd| files.close(fd).unwrap());
    let dev = files.fs().walk(ROOT, b"/dev", true).unwrap().node.unwrap();
    [&b"stdin"[..], b"stdout", b"stderr"]
        .iter()
        .for_each(|name| files.fs().unlink(dev, name, false).unwrap());
    Guest {
        memory,
        files,
        signals: Signals::default(),
        status: Status::new(),
        bases: [0; 2],
        new_base: None,
        name: [0; 16],
        started: 0,
        cpu: *cpu(),
        random: 0,
        saving: None,
    }
}

/// Numbers that an argument may be besides any other.
fn argument(kind: u8, value: u8, raw: u64) -> u64 {
    let value = u64::from(value);
    match kind % 11 {
        0 => value % 8,
        // The same with something above the 32 bits that a descriptor has.
        10 => (value % 8) | (raw << 32) | (1 << 32),
        1 => DATA + value * 32 % 512,
        2 => DATA + value * 256,
        3 => value * PAGE,
        4 => PIE_BASE + value * PAGE,
        5 => u64::MAX - value,
        6 => 1 << (value % 64),
        7 => MEMORY_MIN.wrapping_sub(value * 8),
        8 => USER_START + value * BLOCK / 8,
        _ => raw,
    }
}

/// System calls: 16 bytes each, the number and six arguments of two bytes, and what is left over.
pub fn calls(data: &[u8]) {
    let mut guest = fresh_guest();
    for call in data.chunks_exact(16).take(64) {
        let nr = match call[0] {
            0..=240 => u64::from(call[0]) + u64::from(call[1] % 2) * 240,
            _ => u64::from_le_bytes(call[..8].try_into().unwrap()),
        };
        let raw = u64::from_le_bytes(call[8..].try_into().unwrap());
        let args = std::array::from_fn(|i| argument(call[2 + 2 * i], call[3 + 2 * i], raw));
        if waits(&guest, nr, args) {
            continue;
        }
        match guest.serve(nr, args) {
            Ok(_) | Err(Stop::Registers) => {}
            Err(Stop::Errno(errno)) => assert!((1..4096).contains(&errno), "errno {errno}"),
            Err(Stop::End(End::Internal(text))) => panic!("call {nr} {args:?} broke the VMM: {text}"),
            Err(Stop::End(_)) => break,
        }
        guest.new_base = None;
        while let isomark_vmm::signals::Next::Handle(signal) = guest.signals.take() {
            guest.signals.entered(signal);
        }
    }
    let (used, limit) = guest.files.fs().usage();
    assert!(used <= limit, "{used} of {limit} bytes of files");
    for fd in 0..1024 {
        // A number is in use if it leads to something.
        assert_eq!(guest.files.cloexec(fd, None).is_ok(), guest.files.open(fd).is_ok(), "descriptor {fd}");
    }
    consistent(&guest.memory, data);
}

/// Whether a call would sleep: the fuzzer has no deadline. What it would wait for is read as the server reads it.
fn waits(guest: &Guest, nr: u64, args: [u64; 6]) -> bool {
    let span = |at: u64| guest.memory.get_array::<16>(at).is_ok_and(|raw| raw != [0; 16]);
    match i64::try_from(nr).unwrap_or(-1) {
        libc::SYS_nanosleep => span(args[0]),
        libc::SYS_clock_nanosleep | libc::SYS_ppoll => span(args[2]),
        libc::SYS_futex => span(args[3]),
        libc::SYS_select | libc::SYS_pselect6 => span(args[4]),
        libc::SYS_poll => args[2] as i32 > 0,
        _ => false,
    }
}

pub fn call_seeds() -> Vec<Vec<u8>> {
    let call = |nr: u16, args: &[(u8, u8)]| {
        let mut bytes = vec![(nr % 240) as u8, (nr / 240) as u8];
        bytes.extend(args.iter().flat_map(|(kind, value)| [*kind, *value]));
        bytes.resize(16, 0);
        bytes
    };
    // Kind 0: a small number; 1: a path; 2: data; 3 and 4: pages.
    let file = [
        call(2, &[(1, 0), (6, 6), (6, 8)]),
        call(85, &[(1, 0), (6, 8)]),
        call(1, &[(0, 0), (2, 9), (3, 1)]),
        call(8, &[(0, 0), (0, 0), (0, 0)]),
        call(0, &[(0, 0), (2, 40), (3, 2)]),
        call(77, &[(0, 0), (3, 9)]),
        call(3, &[(0, 0)]),
    ];
    let tree = [
        call(83, &[(1, 0), (6, 9)]),
        call(88, &[(1, 0), (1, 13)]),
        call(80, &[(1, 0)]),
        call(82, &[(1, 0), (1, 1)]),
        call(79, &[(2, 8), (3, 1)]),
        call(217, &[(0, 0), (2, 8), (3, 1)]),
        call(84, &[(1, 1)]),
    ];
    let memory = [
        call(9, &[(0, 0), (3, 9), (0, 3), (9, 0x22), (5, 0), (0, 0)]),
        call(10, &[(4, 0), (3, 2), (0, 1)]),
        call(25, &[(8, 16), (3, 2), (3, 90), (0, 1)]),
        call(11, &[(8, 16), (3, 3)]),
        call(12, &[(4, 40)]),
        call(28, &[(8, 8), (3, 4), (0, 4)]),
        call(27, &[(8, 8), (3, 4), (2, 3)]),
    ];
    let signals = [
        call(13, &[(0, 3), (2, 4), (2, 9), (0, 0)]),
        call(14, &[(0, 0), (2, 4), (2, 9), (0, 8)]),
        call(62, &[(0, 1), (0, 7)]),
        call(293, &[(2, 8), (0, 0)]),
        call(7, &[(2, 8), (0, 2), (0, 0)]),
        call(20, &[(0, 1), (2, 8), (0, 3)]),
        call(131, &[(2, 8), (2, 9)]),
    ];
    let numbers = [
        call(2, &[(1, 0), (6, 6), (6, 8)]),
        call(33, &[(10, 0), (0, 0)]),
        call(293, &[(2, 8), (0, 0)]),
        call(32, &[(0, 1)]),
        call(72, &[(0, 1), (0, 0), (10, 5)]),
        call(436, &[(10, 1), (0, 2), (0, 0)]),
    ];
    let families = [&file[..], &tree, &memory, &signals, &numbers];
    families.iter().map(|calls| calls.concat()).collect()
}

/// A snapshot: its header and sums, and what it would become.
pub fn snapshot(data: &[u8]) {
    as_file(data, |file| {
        if let Err(e) = snapshot::check(file, 0, MEMORY_MIN, cpu()) {
            refused(&e);
        }
        // As one whose sums somebody has checked: then its state decides.
        match snapshot::restore(file.as_fd(), true, cpu()) {
            Ok(Loaded { memory, .. }) => {
                let mut reached = USER_START;
                for area in memory.space().areas() {
                    assert!(area.start >= reached && area.end <= memory.ram.len(), "{area:?}");
                    reached = area.end;
                }
            }
            // More memory than this process may map is nobody's fault.
            Err(Error::Internal(text)) => assert!(text.contains("mmap of"), "{text}"),
            Err(e) => refused(&e),
        }
    });
}

pub fn snapshot_seeds() -> Vec<Vec<u8>> {
    let mut memory = machine();
    memory.set_image(PIE_BASE, PIE_BASE + PAGE);
    memory.map(PIE_BASE, PIE_BASE + PAGE, READ | EXEC).unwrap();
    memory.map(memory.stack_start(), MEMORY_MIN, READ | WRITE).unwrap();
    let mut state = Writer::default();
    state.words(&[0, snapshot::machine(), MEMORY_MIN]);
    state.words(&cpu().identity());
    let mut regs = [7; 18];
    regs[16] = PIE_BASE;
    state.words(&regs);
    state.words(&[0, 0, MEMORY_MIN - 64, 0o22]);
    state.bytes(&[b'p'; 16]);
    state.bytes(b"/prog");
    memory.save(&mut state);
    Signals::default().save(&mut state).unwrap();
    state.rows([[0_u64, 0x37f], [128, 3]]);
    state.rows([[PML4, PAGE, 0], [PIE_BASE, PAGE, PAGE]]);
    let state = state.finish();
    let pages = vec![0x90; 2 * PAGE as usize];
    let offset = (64 + state.len()).next_multiple_of(PAGE as usize);
    let rest = [vec![0; offset - 64 - state.len()], pages].concat();
    let words =
        [snapshot::VERSION, state.len() as u64, Crc::of(&state), offset as u64, 2 * PAGE, Crc::of(&rest)];
    let head = words.iter().flat_map(|word| word.to_le_bytes());
    let file: Vec<u8> = b"isomark snapshot".iter().copied().chain(head).chain(state).chain(rest).collect();
    vec![file]
}

/// A kernel: recognised, copied, and given what it wants to find.
pub fn kernel(data: &[u8]) {
    as_file(data, |file| {
        RAM.with(|ram| match linux::load(ram, file) {
            Ok(kernel) => {
                let beside = params::Beside { command_line: b"quiet", initrd: (0, 0) };
                if let Ok(at) = params::place_initrd(&kernel, ram.len(), 4096) {
                    assert!(at >= kernel.end && at + 4096 <= ram.len());
                }
                if let Err(e) = params::write(ram, &kernel, &beside) {
                    refused(&e);
                }
            }
            Err(e) => refused(&e),
        });
    });
}

pub fn kernel_seeds() -> Vec<Vec<u8>> {
    // A vmlinux with a note of the PVH entry.
    let mut elf = small_elf(&[(5, 0, 0, 0x1010, 0x2000), (4, 0x1000, 0, 32, 32)]);
    let mut put = |at: usize, bytes: &[u8]| elf[at..at + bytes.len()].copy_from_slice(bytes);
    put(24, &0x100_1000_u64.to_le_bytes());
    put(64 + 16, &0x100_0000_u64.to_le_bytes());
    put(64 + 24, &0x100_0000_u64.to_le_bytes());
    put(64 + 56, &4_u32.to_le_bytes());
    put(0x1000, &[4, 0, 0, 0, 8, 0, 0, 0, 18, 0, 0, 0, b'X', b'e', b'n', 0]);
    elf.extend(0x100_1000_u64.to_le_bytes());
    elf.extend([0; 64]);
    vec![bzimage::bzimage(), elf]
}

/// Whether a seed is what its parser accepts.
pub fn is_restored(data: &[u8]) -> bool {
    as_file(data, |file| {
        snapshot::check(file, 0, MEMORY_MIN, cpu()).is_ok()
            && snapshot::restore(file.as_fd(), false, cpu()).is_ok()
    })
}

/// The same for a program.
pub fn is_planned(data: &[u8]) -> bool {
    elf::plan(&data[..data.len().min(elf::HEAD)], data.len() as u64, map_end(MEMORY_MIN)).is_ok()
}

/// The same for a kernel.
pub fn boots(data: &[u8]) -> bool {
    as_file(data, |file| RAM.with(|ram| linux::load(ram, file).is_ok()))
}
