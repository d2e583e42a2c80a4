//! Code of instructions that few programs use, in states that few programs are in.

use super::{address, edge, store};
use crate::dice::Dice;
use crate::support::{DATA, ENTRY, call};

/// Instructions that only a kernel may use, or that few programs do.
#[rustfmt::skip]
const INSTRUCTIONS: &[&[u8]] = &[
    &[0x0f, 0x05], &[0x0f, 0x34], &[0xcd, 0x80], &[0xcc], &[0xce], &[0xf1], &[0x0f, 0x0b], &[0xf4], &[0xfa], &[0xfb],
    &[0xe6, 0xa0], &[0xe7, 0xa0], &[0x66, 0xe7, 0x9f], &[0xe6, 0x80], &[0xe6, 0x8e], &[0xe4, 0x60], &[0xee], &[0xef],
    &[0x6e], &[0xf3, 0x6e], &[0xf3, 0x6f], &[0xf3, 0x6c], &[0x48, 0xcf], &[0x48, 0x0f, 0x07], &[0x0f, 0x07],
    &[0x0f, 0x01, 0xf8], &[0x0f, 0x01, 0xc1], &[0x0f, 0x01, 0xd9], &[0x0f, 0x01, 0xc2], &[0x0f, 0x01, 0xd8],
    &[0x0f, 0x20, 0xd8], &[0x0f, 0x22, 0xd8], &[0x0f, 0x22, 0xe0], &[0x0f, 0x21, 0xf8], &[0x0f, 0x23, 0xf8],
    &[0x0f, 0x30], &[0x0f, 0x32], &[0x0f, 0x33], &[0x0f, 0x31], &[0x0f, 0x01, 0xf9], &[0x0f, 0xa2], &[0x0f, 0x01, 0xd0],
    &[0x0f, 0x01, 0xd1], &[0x0f, 0x00, 0xd8], &[0x0f, 0x00, 0xd0], &[0x0f, 0x01, 0x38], &[0x0f, 0x01, 0x10],
    &[0x0f, 0x01, 0x18], &[0x0f, 0x01, 0x00], &[0x0f, 0x09], &[0x0f, 0x08], &[0x0f, 0x06], &[0x0f, 0x01, 0xc8],
    &[0x0f, 0x01, 0xc9], &[0x0f, 0xae, 0x00], &[0x0f, 0xae, 0x08], &[0x0f, 0xae, 0x20], &[0x0f, 0xae, 0x28],
    &[0xf3, 0x48, 0x0f, 0xae, 0xd0], &[0xf3, 0x48, 0x0f, 0xae, 0xd8], &[0x8e, 0xd8], &[0x8e, 0xd0], &[0x8e, 0xe0],
    &[0x9c], &[0x9d], &[0x81, 0x0c, 0x24, 0x00, 0x75, 0x04, 0x00, 0x9d], &[0x81, 0x0c, 0x24, 0x00, 0x01, 0, 0, 0x9d],
    &[0xff, 0xe0], &[0xff, 0xd0], &[0xff, 0x20], &[0xff, 0x28], &[0x48, 0xff, 0x28], &[0xca, 0, 0], &[0x48, 0xcb],
    &[0xc3], &[0x50], &[0x58], &[0x5c], &[0x48, 0x89, 0xc4], &[0xc8, 0xff, 0xff, 0x1f], &[0xc9], &[0xf3, 0xaa],
    &[0xf3, 0xa4], &[0xf3, 0x48, 0xab], &[0xf0, 0x48, 0x0f, 0xc7, 0x08], &[0x8b, 0x00], &[0x89, 0x00], &[0x0f, 0xae, 0x38],
    &[0xdd, 0x20], &[0xdb, 0xe3], &[0xd9, 0x30], &[0x9b], &[0xc5, 0xf8, 0x77], &[0xc5, 0xfe, 0x6f, 0x00],
    &[0x0f, 0xc7, 0xf0], &[0x0f, 0xc7, 0xf8], &[0xeb, 0xfe], &[0xe2, 0xfe], &[0x64, 0x48, 0x8b, 0x04, 0x25, 0, 0, 0, 0],
    &[0x65, 0x48, 0x89, 0x04, 0x25, 0, 0, 0, 0], &[0x0f, 0xc7, 0x30], &[0xf3, 0x0f, 0xc7, 0xf8], &[0x0f, 0x79, 0xc0],
];

/// `movabs` into any register but the stack pointer.
fn set(dice: &mut Dice, code: &mut Vec<u8>) {
    let register = [0, 1, 2, 3, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15][dice.below(15)];
    code.extend([if register > 7 { 0x49 } else { 0x48 }, 0xb8 + (register & 7)]);
    code.extend(address(dice).to_le_bytes());
}

/// Handlers for every fault, on a stack of their own, that go on one byte further: what comes behind the first fault is tried
/// as well. Stands at the beginning.
fn survivor() -> Vec<u8> {
    const STACK: u64 = DATA + 0x8000;
    const ACTION: u64 = DATA + 0x7e00;
    // jmp over it; add qword [rsp + 176], 1 (the frame's rip); and qword [rsp + 184], ~TF; ret; then the restorer.
    let mut code = vec![0xeb, 32, 0x48, 0x81, 0x84, 0x24, 0xb0, 0, 0, 0, 1, 0, 0, 0];
    code.extend([0x48, 0x81, 0xa4, 0x24, 0xb8, 0, 0, 0, 0xff, 0xfe, 0xff, 0xff, 0xc3]);
    code.extend([0xb8, 15, 0, 0, 0, 0x0f, 0x05]);
    for (at, value) in [(0, STACK), (8, 0), (16, 0x4000)] {
        code.extend(store(ACTION + at, value));
    }
    code.extend(call(131, &[ACTION, 0]));
    // SA_RESTORER, SA_ONSTACK, SA_NODEFER.
    for (at, value) in [(0, ENTRY + 2), (8, 0x4c00_0000), (16, ENTRY + 27), (24, 0)] {
        code.extend(store(ACTION + at, value));
    }
    for signal in [4, 5, 7, 8, 11] {
        code.extend(call(13, &[signal, ACTION, 0, 8]));
    }
    code
}

/// Code of instructions that are unlikely, or of bytes that may be none.
pub(super) fn unlikely_code(dice: &mut Dice) -> Vec<u8> {
    let mut code = Vec::new();
    for _ in 0..=dice.below(24) {
        match dice.below(8) {
            0 | 1 => set(dice, &mut code),
            2 => {
                let len = dice.below(24);
                code.extend(dice.bytes(len));
            }
            // A jump by a little, back or forth.
            3 => code.extend([0xeb, dice.roll() as u8]),
            _ => code.extend(INSTRUCTIONS[dice.below(INSTRUCTIONS.len())]),
        }
    }
    code
}

/// The same, and in some what comes behind its first fault.
pub(super) fn random_code(dice: &mut Dice) -> Vec<u8> {
    let first = if dice.below(3) == 0 { survivor() } else { Vec::new() };
    [first, unlikely_code(dice)].concat()
}

/// Flags that a program may set, or not: TF, DF, IOPL, NT, RF, VM, AC, VIF, VIP, ID, and the arithmetic ones.
const FLAGS: [u32; 12] = [
    0x100, 0x400, 0x3000, 0x4000, 0x1_0000, 0x2_0000, 0x4_0000, 0x8_0000, 0x10_0000, 0x20_0000, 0x8d5, 0x200,
];

/// `push flags; popfq`.
fn set_flags(dice: &mut Dice, code: &mut Vec<u8>) {
    let flags = (0..=dice.below(3)).fold(2, |all, _| all | FLAGS[dice.below(FLAGS.len())]);
    code.push(0x68);
    code.extend(flags.to_le_bytes());
    code.push(0x9d);
}

/// Ways into the machine (system calls, software interrupts, faults, ports) with flags and stack pointers that are odd, and
/// with garbage in the floating-point state.
pub(super) fn odd_flags(dice: &mut Dice) -> Vec<u8> {
    let mut code = if dice.below(3) == 0 { Vec::new() } else { survivor() };
    for _ in 0..=dice.below(12) {
        match dice.below(9) {
            0..=2 => set_flags(dice, &mut code),
            // mov ss, ax or movabs rsp: what comes next is not interrupted.
            3 => code.extend([0xb8, [0, 0x2b, 0x33, 0x23, 0x10][dice.below(5)], 0, 0, 0, 0x8e, 0xd0]),
            4 => {
                code.extend([0x48, 0xbc]);
                code.extend(if dice.below(2) == 0 { edge(dice) } else { address(dice) }.to_le_bytes());
            }
            // fxrstor, xrstor and ldmxcsr of what lies at an address of random bytes.
            5 => {
                let bytes = dice.roll();
                code.extend(store(DATA + 24 + dice.below(8) as u64 * 8, bytes));
                code.extend([0xbb, 0, 0, 0x60, 0]);
                let restore =
                    [&[0x0f, 0xae, 0x0b][..], &[0x0f, 0xae, 0x2b], &[0x0f, 0xae, 0x53, 0x18], &[0xdd, 0x23]];
                code.extend([0xb8, 7, 0, 0, 0, 0x31, 0xd2]);
                code.extend(restore[dice.below(restore.len())]);
            }
            6 => code.extend([0xcd, dice.roll() as u8]),
            // A port by string, by width and by number; dx is the one of system calls in most.
            7 => {
                code.extend([0x66, 0xba, [0xa0, 0x9f, 0xa1, 0x8e][dice.below(4)], 0, 0xb9, 9, 0, 0, 0]);
                code.extend([0xbe, 0, 0, 0x60, 0, 0xbf, 0, 0, 0x60, 0]);
                let port =
                    [&[0xee][..], &[0xf3, 0x6e], &[0xf3, 0x6c], &[0x66, 0xef], &[0xec], &[0xef], &[0x6d]];
                code.extend(port[dice.below(port.len())]);
            }
            _ => code.extend(call([39, 1, 158, 218, 15, 999][dice.below(6)], &[1, address(dice), 4])),
        }
    }
    code.extend(call(231, &[7]));
    code
}
