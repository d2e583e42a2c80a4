//! Memory that never rests: mappings made, cut, moved and taken away, and code that writes itself.

use super::{again, calls, edge};
use crate::dice::Dice;
use crate::support::{DATA, call};

/// Whole pages, most of them where something lies or could lie.
fn page(dice: &mut Dice) -> u64 {
    match dice.below(4) {
        0 => edge(dice) & !0xfff,
        1 => 0x20_0000 * (1 + dice.below(7) as u64),
        // Never its own code, or most storms would be short.
        _ => calls::EDGE + dice.below(0x400) as u64 * 0x1000,
    }
}

fn len(dice: &mut Dice) -> u64 {
    match dice.below(10) {
        0 => 0,
        1 => 0x20_0000 * (1 + dice.below(3) as u64),
        2 => 0x1000 * dice.below(0x400) as u64 + dice.below(2) as u64,
        3 => [u64::MAX, 1 << 47, i64::MAX as u64, 0x100_0000, !0xfff][dice.below(5)],
        _ => 0x1000 * (1 + dice.below(8) as u64),
    }
}

fn one(dice: &mut Dice) -> Vec<u8> {
    let (at, long, prot) = (page(dice), len(dice), dice.below(8) as u64);
    match dice.below(12) {
        // Anywhere, in place of what is there, or only where nothing is.
        0..=2 => {
            let flags = [0x22, 0x32, 0x10_0022, 0x21, 0x4022, 0x132][dice.below(6)];
            call(9, &[at, long, prot, flags, u64::MAX, 0])
        }
        3 | 4 => call(11, &[at, long]),
        5 | 6 => call(10, &[at, long, prot]),
        7 => call(28, &[at, long, [4, 8, 14, 15, 22, 23, 9, 3][dice.below(8)]]),
        8 => call(25, &[at, long, len(dice), dice.below(4) as u64, page(dice)]),
        9 => call(12, &[page(dice) + dice.below(3) as u64]),
        10 => call(27, &[at, long, edge(dice)]),
        // A word in it, wherever that is: mov [at], rax.
        _ => {
            let mut code = vec![0x48, 0x89, 0x04, 0x25];
            code.extend((at as u32 & 0x7fff_ffff).to_le_bytes());
            if dice.below(6) == 0 { code } else { call(0, &[3, at, 8]) }
        }
    }
}

/// Some calls, or the same few for ever.
pub(super) fn storm(dice: &mut Dice) -> Vec<u8> {
    let most = if dice.below(4) == 0 { 150 } else { 30 };
    let count = 1 + dice.below(most);
    let mut code: Vec<u8> = (0..count).flat_map(|_| one(dice)).collect();
    if dice.below(6) == 0 {
        again(&mut code);
    }
    code.extend(call(231, &[7]));
    code
}

/// Code in a place that may be written and executed, which changes itself and the place's protection.
pub(super) fn self_modifying(dice: &mut Dice) -> Vec<u8> {
    const PLACE: u64 = calls::EDGE;
    let mut inner = Vec::new();
    for _ in 0..=dice.below(6) {
        match dice.below(5) {
            // An instruction of what comes, before it is reached or after.
            0 | 1 => {
                let new = if dice.below(3) == 0 { dice.roll() } else { u64::from_le_bytes([0x90; 8]) };
                inner.extend(super::store(PLACE + dice.below(300) as u64, new));
            }
            2 => inner.extend(call(10, &[PLACE, 0x1000, [7, 5, 3, 1, 0][dice.below(5)]])),
            3 => inner.extend(call([11, 28][dice.below(2)], &[PLACE, 0x1000, 4])),
            // The other end of it, through a second mapping of the same page after a move.
            _ => inner.extend(call(25, &[PLACE, 0x1000, 0x2000, 1, 0])),
        }
    }
    inner.extend(if dice.below(2) == 0 { call(231, &[9]) } else { vec![0xff, 0xe3] });
    let mut code = call(9, &[PLACE, 0x2000, 7, 0x32, u64::MAX, 0]);
    for (i, word) in inner.chunks(8).enumerate() {
        let mut bytes = [0x90; 8];
        bytes[..word.len()].copy_from_slice(word);
        code.extend(super::store(PLACE + i as u64 * 8, u64::from_le_bytes(bytes)));
    }
    // mov rbx, PLACE; jmp rbx, or execute the data.
    let to = if dice.below(10) == 0 { DATA } else { PLACE };
    code.extend([0x48, 0xbb]);
    code.extend(to.to_le_bytes());
    code.extend([0xff, 0xe3]);
    code
}
