//! Guests that nobody wrote, by kind: each a pure function from dice to the bytes of a file.

mod calls;
mod code;
mod files;
mod forged;
mod frames;
mod storms;

pub(crate) use forged::{Forge, says_one_word};

use crate::dice::Dice;
use crate::support::{DATA, ENTRY, elf};

/// What a VMM makes of the file.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Is {
    /// A program that it runs.
    Program,
    /// A kernel that it boots.
    Kernel,
    /// A snapshot that it restores.
    Snapshot,
}

/// A guest: its kind for the table, what it is, and its file.
pub(crate) struct Made {
    pub(crate) kind: &'static str,
    pub(crate) is: Is,
    pub(crate) bytes: Vec<u8>,
}

/// The guest with this number; `forge` has a snapshot to forge from.
pub(crate) fn one(at: u64, dice: &mut Dice, forge: &Forge) -> Made {
    let program = |kind, code: Vec<u8>| Made { kind, is: Is::Program, bytes: elf(&code) };
    match at % 32 {
        0 => Made { kind: "kernel", is: Is::Kernel, bytes: files::random_kernel(dice) },
        1 | 2 => Made { kind: "snapshot", is: Is::Snapshot, bytes: forge.forged(dice) },
        3 => Made { kind: "headers", is: Is::Program, bytes: files::damaged_elf(dice) },
        4 | 5 => Made { kind: "segments", is: Is::Program, bytes: files::segments(dice) },
        6..=10 => program("code", code::random_code(dice)),
        11..=14 => program("calls", calls::random_calls(dice)),
        15..=19 => program("pointers", calls::structured_calls(dice)),
        20..=23 => program("frames", frames::mutated_frames(dice)),
        24..=27 => program("storms", storms::storm(dice)),
        28..=30 => program("flags", code::odd_flags(dice)),
        _ => program("modifying", storms::self_modifying(dice)),
    }
}

/// `movabs rax, value; mov [at], rax`: a word at an address below 2 GiB.
fn store(at: u64, value: u64) -> Vec<u8> {
    let mut code = vec![0x48, 0xb8];
    code.extend(value.to_le_bytes());
    code.extend([0x48, 0x89, 0x04, 0x25]);
    code.extend((at as u32).to_le_bytes());
    code
}

/// `jmp` back by as much as was written.
fn again(code: &mut Vec<u8>) {
    let back = -(code.len() as i32) - 5;
    code.push(0xe9);
    code.extend(back.to_le_bytes());
}

/// Addresses at which a machine could be wrong.
const ADDRESSES: [u64; 20] = [
    0,
    8,
    0x1000,
    0x2000,
    0x3000,
    0x3028,
    0x4000,
    0x4080,
    0x4100,
    0x4400,
    0x4402,
    0x4410,
    0x5000,
    0x5002,
    0x5010,
    0x6000,
    0x1f_f000,
    crate::support::BASE,
    0xff_fff8,
    u64::MAX,
];

fn address(dice: &mut Dice) -> u64 {
    match dice.below(6) {
        0 => dice.roll(),
        1 => DATA + dice.below(0x1_0000) as u64,
        2 => ENTRY + dice.below(256) as u64,
        3 => dice.below(0x200) as u64 * 0x1000,
        _ => ADDRESSES[dice.below(ADDRESSES.len())].wrapping_add(dice.below(17) as u64).wrapping_sub(8),
    }
}

/// Where areas begin and end in a guest of 16 MiB: its code, its data, those that [`calls`] maps, its stack and its memory.
const EDGES: [u64; 14] = [
    0x20_0000,
    0x40_0000,
    0x40_1000,
    DATA,
    DATA + 0x1_0000,
    calls::EDGE,
    calls::EDGE + 0x1000,
    calls::EDGE + 0x2000,
    calls::EDGE + 0x3000,
    calls::EDGE + 0x4000,
    calls::EDGE + 0x7000,
    0xc0_0000,
    0xe0_0000,
    0x100_0000,
];

/// An address a little before or behind an edge, in most cases before.
fn edge(dice: &mut Dice) -> u64 {
    let at = EDGES[dice.below(EDGES.len())];
    match dice.below(8) {
        0 => at + dice.below(64) as u64,
        1 => at,
        2 => at.wrapping_sub(0x1000),
        _ => at.wrapping_sub(dice.below(72) as u64),
    }
}
