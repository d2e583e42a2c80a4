//! Files that are not what they should be: ELF headers and segments, kernels.

use super::address;
use super::code::unlikely_code;
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
    let mut file = vec![0x90; 512 * 5 + 1600];
    file[..0x290].fill(0);
    let mut put = |at: usize, bytes: &[u8]| file[at..at + bytes.len()].copy_from_slice(bytes);
    put(0x1f1, &[4]);
    put(0x1f4, &100_u32.to_le_bytes());
    put(0x1fe, &0xaa55_u16.to_le_bytes());
    put(0x202, b"HdrS");
    put(0x206, &0x20f_u16.to_le_bytes());
    put(0x211, &[1]);
    put(0x22c, &0x7fff_ffff_u32.to_le_bytes());
    put(0x234, &[1]);
    put(0x236, &1_u16.to_le_bytes());
    put(0x238, &2047_u32.to_le_bytes());
    put(0x258, &(16_u64 << 20).to_le_bytes());
    put(0x260, &(8_u32 << 20).to_le_bytes());
    let mut code = Vec::new();
    // Floods of its ports, each a byte or a word from a place that may not exist.
    for _ in 0..=dice.below(6) {
        let ports = [0x3f8, 0x2f8, 0x2fb, 0x60, 0x64, 0x402, 0x80, 0xa0, 0xcf8, 0x70, 0x20, 0x43];
        let port = if dice.below(4) == 0 { dice.roll() as u16 } else { ports[dice.below(ports.len())] };
        code.extend([0x66, 0xba]);
        code.extend(port.to_le_bytes());
        code.extend([0xb0, dice.roll() as u8]);
        code.extend(
            [&[0xee][..], &[0xec], &[0x66, 0xef], &[0xf3, 0x6e], &[0xef], &[0xf3, 0x6c]][dice.below(6)],
        );
    }
    code.extend(unlikely_code(dice));
    let at = 512 * 5 + 0x200;
    file[at..at + code.len().min(1000)].copy_from_slice(&code[..code.len().min(1000)]);
    file
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
