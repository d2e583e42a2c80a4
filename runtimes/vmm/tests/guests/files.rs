//! Files that are not what they should be: ELF headers and segments, kernels.

use super::code::unlikely_code;
use super::{address, again};
use crate::bzimage::bzimage;
use crate::dice::Dice;
use crate::support::{ENTRY, call, elf, header};

/// A good file with some bytes of its headers changed.
pub(super) fn damaged_elf(dice: &mut Dice) -> Vec<u8> {
    let mut file = elf(&call(231, &[7]));
    for _ in 0..=dice.below(5) {
        let at = dice.below(176);
        match dice.below(3) {
            0 => file[at] = dice.roll() as u8,
            1 => file[at] ^= 1 << dice.below(8),
            _ => {
                let at = at / 8 * 8;
                file[at..at + 8].copy_from_slice(&address(dice).to_le_bytes());
            }
        }
    }
    if dice.below(8) == 0 {
        file.truncate(dice.below(5000));
    }
    file
}

/// A bzImage whose 64-bit entry is random code: a guest that has the whole machine for itself.
pub(super) fn random_kernel(dice: &mut Dice) -> Vec<u8> {
    let mut file = bzimage();
    file[0x290..].fill(0x90);
    let mut put = |at: usize, bytes: &[u8]| file[at..at + bytes.len()].copy_from_slice(bytes);
    put(0x22c, &0x7fff_ffff_u32.to_le_bytes());
    put(0x238, &2047_u32.to_le_bytes());
    let (mut code, text) = (Vec::new(), (0..=dice.below(6)).flat_map(|_| WORDS[dice.below(WORDS.len())]));
    let text: Vec<u8> = text.copied().collect();
    // Its ports, each a byte or a word from a place that may not exist, or many bytes from one that does.
    for _ in 0..=dice.below(6) {
        if dice.below(3) == 0 {
            code.extend(says(dice, text.len()));
            continue;
        }
        let ports = [0x3f8, 0x2f8, 0x2fb, 0x60, 0x64, 0x402, 0x80, 0xa0, 0xcf8, 0x70, 0x20, 0x43];
        let port = if dice.below(4) == 0 { dice.roll() as u16 } else { ports[dice.below(ports.len())] };
        code.extend([0x66, 0xba]);
        code.extend(port.to_le_bytes());
        code.extend([0xb0, dice.roll() as u8]);
        code.extend(
            [&[0xee][..], &[0xec], &[0x66, 0xef], &[0xf3, 0x6e], &[0xef], &[0xf3, 0x6c]][dice.below(6)],
        );
    }
    if dice.below(3) == 0 {
        again(&mut code);
    }
    code.extend(unlikely_code(dice));
    let at = 512 * 5 + 0x200;
    let len = code.len().min(TEXT);
    file[at..at + len].copy_from_slice(&code[..len]);
    file[at + TEXT..][..text.len()].copy_from_slice(&text);
    file
}

/// Where a kernel's words lie behind its entry, which is at [`ENTRY_POINT`].
const TEXT: usize = 800;
const ENTRY_POINT: u32 = 0x10_0200;

/// What it says on the control port: what init says, and what it never does.
const WORDS: [&[u8]; 9] = [
    b"init\n",
    b"program\n",
    b"took 18446744073709551615\n",
    b"took 7\n",
    b"fail \xff\x1b[31mCannot allocate memory\n",
    b"exit 256\n",
    b"signal 65\n",
    b"exit 3\n",
    b"\x10E\x10\x10\n",
];

/// Words, or what lies behind them, to a port that listens, at once and perhaps many of them.
fn says(dice: &mut Dice, len: usize) -> Vec<u8> {
    let port = [0x402, 0x402, 0x3f8, 0x2f8][dice.below(4)] as u16;
    let count = [len, len, 4000, 1 << 20, u32::MAX as usize][dice.below(5)] as u32;
    // mov esi, TEXT; mov ecx, count; mov dx, port; rep outsb
    let mut code = vec![0xbe];
    code.extend((ENTRY_POINT + TEXT as u32).to_le_bytes());
    code.push(0xb9);
    code.extend(count.to_le_bytes());
    code.extend([0x66, 0xba]);
    code.extend(port.to_le_bytes());
    code.extend([0xf3, 0x6e]);
    code
}

/// Segments that overlap, touch, repeat themselves, are absurdly large or hold the entry and forbid it.
pub(super) fn segments(dice: &mut Dice) -> Vec<u8> {
    let mut file = elf(&call(231, &[7]));
    file.resize(0x5000, 0x90);
    let count = 1 + dice.below(8);
    let sizes = [0, 1, 0xfff, 0x1000, 0x1001, 0x4000, 0x20_0000, 0xa0_0000, 1 << 40, u64::MAX - 0xfff];
    for i in 0..count {
        let sane = if dice.below(8) == 0 { sizes.len() } else { 8 };
        let len = sizes[dice.below(sane)];
        let from = dice.below(0x5000) as u64 & if dice.below(3) == 0 { !0 } else { !0xfff };
        let of_file = len.min(dice.below(0x5000) as u64).min(0x5000 - from);
        let near = 0x3f_0000 + dice.below(0x40) as u64 * 0x800;
        let at = if dice.below(6) == 0 { address(dice) } else { near / 0x1000 * 0x1000 + from % 0x1000 };
        let made = match dice.below(3) {
            // One that runs, among the others: what comes later lies over it.
            0 if i < 3 => header(5, 0, ENTRY - 0x1000, 0x2000, 0x2000),
            _ => header(dice.below(8) as u32, from, at, of_file, len),
        };
        file[64 + i * 56..][..56].copy_from_slice(&made);
    }
    file[56] = count as u8;
    // A position-independent one.
    file[16] = if dice.below(3) == 0 { 3 } else { 2 };
    file
}
