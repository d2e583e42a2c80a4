//! Programs of a few instructions: enough to misbehave.

use std::fs;
use std::path::Path;

use isomark_core::Image;

/// Writes an ELF whose code is these bytes.
pub(crate) fn elf(dir: &Path, name: &str, code: &[u8]) -> Image {
    const BASE: u64 = 0x40_0000;
    let mut elf = b"\x7fELF\x02\x01\x01".to_vec();
    elf.resize(16, 0);
    elf.extend([2_u16, 62].map(u16::to_le_bytes).concat());
    elf.extend(1_u32.to_le_bytes());
    elf.extend([BASE + 120, 64, 0].map(u64::to_le_bytes).concat());
    elf.extend(0_u32.to_le_bytes());
    elf.extend([64_u16, 56, 1, 0, 0, 0].map(u16::to_le_bytes).concat());
    elf.extend([1_u32, 5].map(u32::to_le_bytes).concat());
    let size = 120 + code.len() as u64;
    elf.extend([0, BASE, BASE, size, size, 4096].map(u64::to_le_bytes).concat());
    elf.extend(code);
    let path = dir.join(name);
    fs::write(&path, elf).unwrap();
    let mode: fs::Permissions = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(&path, mode).unwrap();
    Image::open(&path).unwrap()
}

/// `mov eax, 60; mov edi, code; syscall`
pub(crate) fn exits(code: u8) -> Vec<u8> {
    vec![0xb8, 60, 0, 0, 0, 0xbf, code, 0, 0, 0, 0x0f, 0x05]
}

/// `1: jmp 1b`
pub(crate) const SPINS: [u8; 2] = [0xeb, 0xfe];

/// `xor eax, eax; mov [rax], eax`
pub(crate) const FAULTS: [u8; 4] = [0x31, 0xc0, 0x89, 0x00];

/// `vpxor ymm0, ymm0, ymm0`, whose registers are part of XCR0's AVX state; then `exit(0)`.
pub(crate) const WIDE: [u8; 16] = [0xc5, 0xfd, 0xef, 0xc0, 0xb8, 60, 0, 0, 0, 0xbf, 0, 0, 0, 0, 0x0f, 0x05];

/// Says `text` on descriptor `fd` once and then does what `then` does.
pub(crate) fn says(fd: u8, text: &[u8], then: &[u8]) -> Vec<u8> {
    // mov eax, 1; mov edi, fd; lea rsi, [rip + behind the code]; mov edx, len; syscall; then; text.
    let mut code = vec![0xb8, 1, 0, 0, 0, 0xbf, fd, 0, 0, 0, 0x48, 0x8d, 0x35];
    code.extend((7 + then.len() as u32).to_le_bytes());
    code.push(0xba);
    code.extend((text.len() as u32).to_le_bytes());
    code.extend([0x0f, 0x05]);
    code.extend(then);
    code.extend(text);
    code
}

/// `write(fd, own header, 64)` without end, whatever it answers.
pub(crate) fn floods(fd: u8) -> Vec<u8> {
    let mut code = FLOODS.to_vec();
    code[6] = fd;
    code
}

/// Stands for a pointer among a call's arguments: to memory of its own that holds the number 1.
pub(crate) const MEMORY: i64 = i64::MIN;

/// Makes system calls, each with its number, up to four arguments and the answer that is due. Exits with 0 if all have
/// answered so, otherwise with the number of the first that has not, counted from 1.
pub(crate) fn asks(calls: impl IntoIterator<Item = (i64, [i64; 4], i64)>) -> Vec<u8> {
    // What follows each register's code is the number; or the stack pointer is copied to it.
    const REGISTERS: [([u8; 2], [u8; 3]); 4] = [
        ([0x48, 0xbf], [0x48, 0x89, 0xe7]), // rdi
        ([0x48, 0xbe], [0x48, 0x89, 0xe6]), // rsi
        ([0x48, 0xba], [0x48, 0x89, 0xe2]), // rdx
        ([0x49, 0xba], [0x49, 0x89, 0xe2]), // r10
    ];
    // sub rsp, 4096; mov qword [rsp], 1
    let mut code = vec![0x48, 0x81, 0xec, 0, 0x10, 0, 0, 0x48, 0xc7, 0x04, 0x24, 1, 0, 0, 0];
    for (at, (number, args, due)) in (1..).zip(calls) {
        code.extend([0x48, 0xb8]); // mov rax, number
        code.extend(number.to_le_bytes());
        for (arg, (load, copy)) in args.into_iter().zip(REGISTERS) {
            if arg == MEMORY {
                code.extend(copy);
            } else {
                code.extend(load);
                code.extend(arg.to_le_bytes());
            }
        }
        code.extend([0x0f, 0x05, 0x48, 0xb9]); // syscall; mov rcx, due
        code.extend(due.to_le_bytes());
        code.extend([0x48, 0x39, 0xc8, 0x74, 12]); // cmp rax, rcx; je over the exit
        code.extend(&exits(at)[..12]);
    }
    code.extend(exits(0));
    code
}

/// `fd = open("/proc/self/fd/0", O_WRONLY | O_NONBLOCK)`, two thousand times `write(fd, own header, 64)`: the pipe from
/// which the program should read is full of its own words. Goes on to what comes behind.
pub(crate) fn stuffs() -> Vec<u8> {
    let mut code = vec![
        0xb8, 2, 0, 0, 0, // mov eax, 2
        0x48, 0x8d, 0x3d, 41, 0, 0, 0, // lea rdi, [rip + path]
        0xbe, 1, 8, 0, 0, // mov esi, 0x801
        0x0f, 0x05, // syscall
        0x89, 0xc3, // mov ebx, eax
        0x41, 0xbc, 0, 8, 0, 0, // mov r12d, 2048
        0xb8, 1, 0, 0, 0, // 1: mov eax, 1
        0x89, 0xdf, // mov edi, ebx
        0xbe, 0, 0, 0x40, 0, // mov esi, 0x400000
        0xba, 64, 0, 0, 0, // mov edx, 64
        0x0f, 0x05, // syscall
        0x41, 0xff, 0xcc, // dec r12d
        0x75, 0xe8, // jnz 1b
        0xeb, 16, // jmp behind the path
    ];
    code.extend(b"/proc/self/fd/0\0");
    code
}

/// `close(1)`, and then nothing for ever.
pub(crate) const CLOSES: [u8; 14] = [0xb8, 3, 0, 0, 0, 0xbf, 1, 0, 0, 0, 0x0f, 0x05, 0xeb, 0xfe];

/// `write(1, own header, 4)` without end: a flood without a newline.
pub(crate) const FLOODS: [u8; 24] = [
    0xb8, 1, 0, 0, 0, // mov eax, 1
    0xbf, 1, 0, 0, 0, // mov edi, 1
    0xbe, 0, 0, 0x40, 0, // mov esi, 0x400000
    0xba, 64, 0, 0, 0, // mov edx, 64
    0x0f, 0x05, // syscall
    0xeb, 0xe8, // jmp to the start
];
