//! Static programs of a few dozen bytes, assembled by hand: enough to lie, to misbehave and to pass streams on.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use isomark_core::payload::wire::READY;

/// Where the only segment lies.
const BASE: u32 = 0x40_0000;
/// ELF header and one program header.
const HEADERS: u32 = 120;

/// Writes an executable whose code is followed by `data`; `code` gets the address of the data, and must not change
/// its length with it.
pub(crate) fn program(path: &Path, code: impl Fn(u32) -> Vec<u8>, data: &[u8]) -> PathBuf {
    let length = u32::try_from(code(0).len()).unwrap();
    let body = [code(BASE + HEADERS + length), data.to_vec()].concat();
    let mut elf = b"\x7fELF\x02\x01\x01".to_vec();
    elf.resize(16, 0);
    elf.extend([2_u16, 62].map(u16::to_le_bytes).concat());
    elf.extend(1_u32.to_le_bytes());
    elf.extend([u64::from(BASE + HEADERS), 64, 0].map(u64::to_le_bytes).concat());
    elf.extend(0_u32.to_le_bytes());
    elf.extend([64_u16, 56, 1, 0, 0, 0].map(u16::to_le_bytes).concat());
    elf.extend([1_u32, 5].map(u32::to_le_bytes).concat());
    let size = u64::from(HEADERS) + body.len() as u64;
    elf.extend([0, u64::from(BASE), u64::from(BASE), size, size, 4096].map(u64::to_le_bytes).concat());
    elf.extend(body);
    fs::write(path, elf).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    path.to_owned()
}

const SYSCALL: [u8; 2] = [0x0f, 0x05];

/// `mov eax, number; mov edi, first; mov esi, second; mov edx, third; syscall`
fn call(number: u32, first: u32, second: u32, third: u32) -> Vec<u8> {
    let moves = [(0xb8, number), (0xbf, first), (0xbe, second), (0xba, third)];
    let moves = moves.iter().flat_map(|(op, value)| [&[*op][..], &value.to_le_bytes()].concat());
    moves.chain(SYSCALL).collect()
}

fn write(fd: u32, at: u32, length: usize) -> Vec<u8> {
    call(1, fd, at, u32::try_from(length).unwrap())
}

fn exit(code: u8) -> Vec<u8> {
    call(60, u32::from(code), 0, 0)
}

/// `xor eax, eax; xor edi, edi; lea rsi, [rsp-16]; mov edx, 1; syscall; test eax, eax`
const READ_BYTE: [u8; 18] =
    [0x31, 0xc0, 0x31, 0xff, 0x48, 0x8d, 0x74, 0x24, 0xf0, 0xba, 1, 0, 0, 0, 0x0f, 0x05, 0x85, 0xc0];

/// A jump of two bytes over (or, negative, back across) so many bytes, counted from its own end.
fn jump(op: u8, distance: isize) -> [u8; 2] {
    [op, i8::try_from(distance).unwrap().to_le_bytes()[0]]
}

const JLE: u8 = 0x7e;
const JNE: u8 = 0x75;
const JMP: u8 = 0xeb;

/// Says that it is ready, and then answers every line with the same words.
pub(crate) fn liar(path: &Path) -> PathBuf {
    const ANSWER: &[u8] = b"done token=1\n";
    let code = |data: u32| {
        let answer = write(1, data + u32::try_from(READY.len()).unwrap(), ANSWER.len());
        // cmp byte [rsp-16], '\n'
        let is_newline = [0x80, 0x7c, 0x24, 0xf0, b'\n'];
        let around = READ_BYTE.len() + 2 + is_newline.len() + 2;
        let around = isize::try_from(around).unwrap();
        let long = isize::try_from(answer.len()).unwrap();
        let mut code = write(1, data, READY.len());
        code.extend(READ_BYTE);
        code.extend(jump(JLE, 7 + 2 + long));
        code.extend(is_newline);
        code.extend(jump(JNE, -around));
        code.extend(&answer);
        code.extend(jump(JMP, -(around + long + 2)));
        code.extend(exit(0));
        code
    };
    program(path, code, &[READY.as_bytes(), ANSWER].concat())
}

/// Copies stdin to stdout, then says `words` on stderr and ends with `status`.
pub(crate) fn copier(path: &Path, words: &[u8], status: u8) -> PathBuf {
    let code = |data: u32| {
        // mov eax, 1; mov edi, 1; syscall: rsi and rdx are still those of the read.
        let put = [0xb8, 1, 0, 0, 0, 0xbf, 1, 0, 0, 0, 0x0f, 0x05];
        let mut code = READ_BYTE.to_vec();
        code.extend(jump(JLE, 12 + 2));
        code.extend(put);
        code.extend(jump(JMP, -(18 + 2 + 12 + 2)));
        code.extend(write(2, data, words.len()));
        code.extend(exit(status));
        code
    };
    program(path, code, words)
}

/// Reads from address 0: `xor eax, eax; mov eax, [rax]`.
pub(crate) fn crasher(path: &Path) -> PathBuf {
    program(path, |_| vec![0x31, 0xc0, 0x8b, 0x00], &[])
}

/// A file that asks for an interpreter: its only program header is `PT_INTERP`.
pub(crate) fn dynamic(path: &Path) -> PathBuf {
    program(path, |_| exit(0), &[]);
    let mut bytes = fs::read(path).unwrap();
    bytes[64] = 3;
    fs::write(path, bytes).unwrap();
    path.to_owned()
}

/// Writes `words` and exits.
pub(crate) fn speaker(path: &Path, words: &[u8], code: u8) -> PathBuf {
    program(path, |data| [write(1, data, words.len()), exit(code)].concat(), words)
}
