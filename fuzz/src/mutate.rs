//! Inputs from inputs; the same of the same seed, everywhere.
//!
//! No coverage guides it. It is what can run on any compiler, a million times in minutes; cargo-fuzz goes further.

#![allow(
    clippy::unwrap_used,
    missing_docs,
    unreachable_pub,
    reason = "a promise that breaks must stop a fuzzer"
)]

use super::dice::Dice;
use super::target::Target;

/// Longest input made.
const MOST: usize = 64 << 10;

/// A new input from one or two of `seeds`.
pub fn input(target: &Target, seeds: &[Vec<u8>], dice: &mut Dice) -> Vec<u8> {
    // Now and then nothing of what is known.
    if seeds.is_empty() || dice.below(64) == 0 {
        let len = dice.below(300);
        return dice.bytes(len);
    }
    let mut bytes = seeds[dice.below(seeds.len())].clone();
    if dice.below(8) == 0 {
        let other = &seeds[dice.below(seeds.len())];
        let (cut, from) = (dice.below(bytes.len() + 1), dice.below(other.len() + 1));
        bytes.truncate(cut);
        bytes.extend_from_slice(&other[from..]);
    }
    for _ in 0..=dice.below(6) {
        change(&mut bytes, target.words, dice);
    }
    bytes.truncate(MOST);
    bytes
}

fn change(bytes: &mut Vec<u8>, words: &[&[&[u8]]], dice: &mut Dice) {
    let at = dice.below(bytes.len() + 1);
    let end = (at + 1 + dice.below(16)).min(bytes.len());
    match dice.below(9) {
        0 if at < bytes.len() => bytes[at] ^= 1 << dice.below(8),
        1 if at < bytes.len() => bytes[at] = dice.roll() as u8,
        2 => drop(bytes.drain(at.min(end)..end)),
        3 => {
            let piece = bytes[at.min(end)..end].to_vec();
            let to = dice.below(bytes.len() + 1);
            bytes.splice(to..to, piece);
        }
        4 => {
            let words = words[dice.below(words.len())];
            let word = words[dice.below(words.len())];
            bytes.splice(at..at, word.iter().copied());
        }
        5 => {
            let words = words[dice.below(words.len())];
            let word = words[dice.below(words.len())];
            let end = (at + word.len()).min(bytes.len());
            bytes.splice(at..end, word.iter().copied());
        }
        6 => bytes.truncate(at),
        7 if at + 8 <= bytes.len() => {
            // An aligned word by a little: off by one where sizes and offsets stand.
            let at = at / 8 * 8;
            if let Some(word) = bytes.get(at..at + 8) {
                let value = u64::from_le_bytes(word.try_into().unwrap());
                let value = value.wrapping_add(dice.below(9) as u64).wrapping_sub(4);
                bytes[at..at + 8].copy_from_slice(&value.to_le_bytes());
            }
        }
        _ if at < bytes.len() => {
            // A digit becomes another, a letter its neighbour.
            bytes[at] = bytes[at].wrapping_add(1);
        }
        _ => bytes.push(dice.roll() as u8),
    }
}
