//! Snapshots whose sums are right and whose content is not: state, page tables and the guest's own kernel.

use super::address;
use crate::dice::Dice;
use crate::support::{DATA, call, elf};
use isomark_vmm::snapshot::crc::Crc;

/// Bytes of the header, and where its words are: bytes of state, their sum, offset of the pages, bytes and sum of these.
const HEADER: usize = 64;
const STATE_LEN: usize = 24;
const STATE_SUM: usize = 32;
const OFFSET: usize = 40;
const DATA_SUM: usize = 56;

/// A program that can be saved, and says its word over and over once it goes on.
pub(crate) fn says_one_word() -> Vec<u8> {
    let mut code = call(1, &[1, DATA, 4]);
    code.extend(call(10, &[DATA, 0x1000, 1]));
    code.extend(call(231, &[7]));
    elf(&code)
}

/// A snapshot as it was made.
pub(crate) struct Forge(pub(crate) Vec<u8>);

impl Forge {
    fn word(&self, at: usize) -> usize {
        u64::from_le_bytes(self.0[at..at + 8].try_into().unwrap()) as usize
    }

    /// The same with other words in its state or other bytes in its pages, and sums that say it is well.
    pub(super) fn forged(&self, dice: &mut Dice) -> Vec<u8> {
        let mut file = self.0.clone();
        let (state, offset) = (self.word(STATE_LEN), self.word(OFFSET));
        for _ in 0..=dice.below(3) {
            let (from, len) = match dice.below(3) {
                0 => (HEADER, state),
                // Tables, kernel page and door come first.
                1 => (offset, (0x7000).min(file.len() - offset)),
                _ => (offset, file.len() - offset),
            };
            let at = from + dice.below(len / 8) * 8;
            let old = u64::from_le_bytes(file[at..at + 8].try_into().unwrap());
            let new = match dice.below(5) {
                0 => dice.roll(),
                1 => old ^ 1 << dice.below(64),
                2 => old.wrapping_add(dice.below(17) as u64).wrapping_sub(8),
                3 => (dice.below(0x1100) as u64 * 0x1000) | 0x67,
                _ => address(dice),
            };
            file[at..at + 8].copy_from_slice(&new.to_le_bytes());
        }
        let sums = [Crc::of(&file[HEADER..HEADER + state]), Crc::of(&file[HEADER + state..])];
        for (at, sum) in [STATE_SUM, DATA_SUM].into_iter().zip(sums) {
            file[at..at + 8].copy_from_slice(&sum.to_le_bytes());
        }
        file
    }
}
