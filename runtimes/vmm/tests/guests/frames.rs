//! Signal handlers that change the frame they return through: registers, flags, masks, vector state, and where it lies.

use super::{ADDRESSES, again, edge, store};
use crate::dice::Dice;
use crate::support::{DATA, ENTRY, call};

/// Where its end, the handler and the restorer lie in the code.
const END: usize = 0x7e0;
const HANDLER: usize = 0x800;
const RESTORER: usize = 0xc00;
/// The signals of faults, and two that are sent.
const SIGNALS: [u64; 7] = [4, 5, 7, 8, 11, 10, 34];

/// What raises one of them: ud2, int3, a division by zero, a word at 0, and bytes beyond the data.
const RAISES: [&[u8]; 5] = [
    &[0x0f, 0x0b],
    &[0xcc],
    &[0x31, 0xd2, 0x31, 0xc9, 0xf7, 0xf1],
    &[0x31, 0xc0, 0x48, 0x8b, 0x00],
    &[0xb8, 0, 0, 0x61, 0, 0x48, 0x89, 0x00],
];

/// Offsets that mean something: in the frame from the handler's stack pointer, and in the vector state.
const IN_FRAME: [u32; 16] = [0, 8, 24, 32, 40, 48, 160, 168, 176, 184, 192, 232, 240, 304, 312, 424];
const IN_STATE: [u32; 18] =
    [0, 8, 24, 28, 32, 160, 416, 464, 472, 480, 512, 516, 520, 524, 528, 568, 576, 4088];

/// `movabs rax, value; mov [rsp + at], rax`, or from rbx.
fn change(in_state: bool, at: u32, value: u64) -> Vec<u8> {
    let mut code = vec![0x48, 0xb8];
    code.extend(value.to_le_bytes());
    code.extend(if in_state { &[0x48, 0x89, 0x83][..] } else { &[0x48, 0x89, 0x84, 0x24] });
    code.extend(at.to_le_bytes());
    code
}

fn word(dice: &mut Dice) -> u64 {
    match dice.below(7) {
        0 => dice.roll(),
        1 => 1 << dice.below(64),
        2 => u64::MAX << dice.below(64),
        3 => edge(dice),
        4 => ENTRY + dice.below(64) as u64,
        5 => dice.below(256) as u64,
        _ => ADDRESSES[dice.below(ADDRESSES.len())],
    }
}

fn handler(dice: &mut Dice) -> Vec<u8> {
    // mov rbx, [rsp + 232]: where the vector state lies.
    let mut code = vec![0x48, 0x8b, 0x9c, 0x24, 232, 0, 0, 0];
    // A way back that leads past the fault.
    if dice.below(2) == 0 {
        code.extend(change(false, 176, ENTRY + END as u64));
    }
    for _ in 0..dice.below(4) {
        let in_state = dice.below(2) == 0;
        let known: &[u32] = if in_state { &IN_STATE } else { &IN_FRAME };
        let at = if dice.below(4) == 0 { dice.below(600) as u32 } else { known[dice.below(known.len())] };
        code.extend(change(in_state, at, word(dice)));
    }
    if dice.below(6) == 0 {
        // Another fault inside, or a frame somewhere else.
        code.extend(RAISES[dice.below(RAISES.len())]);
    }
    if dice.below(8) == 0 {
        code.extend([0x48, 0xbc]);
        code.extend(edge(dice).to_le_bytes());
    }
    code.push(0xc3);
    code
}

/// Actions for some signals, an alternate stack somewhere, and faults until the handler leads elsewhere.
pub(super) fn mutated_frames(dice: &mut Dice) -> Vec<u8> {
    let mut code = Vec::new();
    if dice.below(2) == 0 {
        let size = [2048, 8192, 0x1_0000, 1, u64::MAX][dice.below(5)];
        let base = if dice.below(2) == 0 { DATA + 0x4000 } else { edge(dice) };
        code.extend([store(DATA, base), store(DATA + 8, 0), store(DATA + 16, size)].concat());
        code.extend(call(131, &[DATA, 0]));
    }
    let all = dice.below(3) > 0;
    for i in 0..=if all { SIGNALS.len() - 1 } else { dice.below(5) } {
        let handler = if dice.below(8) == 0 { word(dice) } else { ENTRY + HANDLER as u64 };
        // A restorer, and any of SA_ONSTACK, SA_NODEFER, SA_RESETHAND, SA_SIGINFO.
        let flags = 0x0400_0000 | dice.roll() & 0xc800_0004;
        let restorer = if dice.below(8) == 0 { word(dice) } else { ENTRY + RESTORER as u64 };
        let mask = if dice.below(3) == 0 { dice.roll() } else { 0 };
        for (i, value) in [handler, flags, restorer, mask].into_iter().enumerate() {
            code.extend(store(DATA + i as u64 * 8, value));
        }
        let signal = if all { i } else { dice.below(SIGNALS.len()) };
        code.extend(call(13, &[SIGNALS[signal], DATA, 0, 8]));
    }
    for _ in 0..=dice.below(3) {
        match dice.below(3) {
            0 => code.extend(call(62, &[1, SIGNALS[dice.below(SIGNALS.len())]])),
            // A return that follows no signal.
            1 if dice.below(4) == 0 => code.extend(call(15, &[])),
            _ => code.extend(RAISES[dice.below(RAISES.len())]),
        }
    }
    if dice.below(8) == 0 {
        again(&mut code);
    }
    code.resize(END, 0x90);
    code.extend(call(231, &[7]));
    code.resize(HANDLER, 0x90);
    code.extend(handler(dice));
    code.resize(RESTORER, 0x90);
    code.extend([0xb8, 15, 0, 0, 0, 0x0f, 0x05]);
    code
}
