//! Which blocks of a plan are carried out by one of several commands?
//!
//! Parts share the seed, so that every block has the order it would have had in one run; whole rounds of blocks go to one
//! part, so that each part holds trials of every cell and every pair stays within its block. All parts together are
//! exactly the plan.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::record::Cell;

/// Largest number of parts.
const MOST: u32 = 10_000;

/// Part `part` of `of`, counted from 1.
///
/// ```
/// use isomark_core::partition::Partition;
///
/// let second: Partition = "2/3".parse().unwrap();
/// let held: Vec<u32> = (0..7).filter(|block| second.holds(*block, 1)).collect();
/// assert_eq!(held, [1, 4]);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Stored")]
pub struct Partition {
    /// Which part, from 1.
    pub part: u32,
    /// Of how many.
    pub of: u32,
}

/// A part as a file has it, which may be none.
#[derive(Deserialize)]
struct Stored {
    part: u32,
    of: u32,
}

impl TryFrom<Stored> for Partition {
    type Error = String;

    fn try_from(Stored { part, of }: Stored) -> Result<Self, String> {
        Self::new(part, of).ok_or_else(|| format!("field part: {part} of {of} is no part of a plan: {RULE}"))
    }
}

/// Which parts there are.
const RULE: &str = "I from 1 to N and N at most 10000";

impl Partition {
    /// Part `part` of `of`, if there is such a part.
    #[must_use]
    pub const fn new(part: u32, of: u32) -> Option<Self> {
        if part == 0 || part > of || of > MOST { None } else { Some(Self { part, of }) }
    }

    /// Whether a block belongs to this part; `round` as [`round`] says.
    #[must_use]
    pub const fn holds(self, block: u32, round: u32) -> bool {
        (block / round) % self.of + 1 == self.part
    }

    /// Whether every part has something to do.
    ///
    /// # Errors
    /// [`Error::Input`] with the largest number of parts.
    pub fn fits(self, blocks: u32, round: u32) -> Result<(), Error> {
        let rounds = blocks.div_ceil(round);
        if self.of <= rounds {
            return Ok(());
        }
        Err(Error::Input(format!(
            "--partition {self}: {blocks} blocks with cells in every {round}th can be parted {rounds} times at most"
        )))
    }
}

/// Blocks after which the pattern of cells begins anew: the least common multiple of their `every`.
#[must_use]
pub fn round(cells: &[Cell]) -> u32 {
    cells.iter().map(|cell| cell.every.max(1)).fold(1, lcm)
}

/// Trials that a cell with this `every` has in the first `blocks` blocks of a part, or of the whole plan; `round` as [`round`]
/// says. Counted and not enumerated: a file that others made may tell of four thousand million blocks.
///
/// ```
/// use isomark_core::partition::{Partition, turns};
///
/// assert_eq!(turns(None, 7, 2, 2), 4);
/// // Blocks 0, 1, 4, 5 of seven, two by two.
/// assert_eq!(turns(Partition::new(1, 2), 7, 2, 2), 2);
/// ```
#[must_use]
pub fn turns(part: Option<Partition>, blocks: u32, every: u32, round: u32) -> u64 {
    let (every, round) = (every.max(1), round.max(1));
    let Some(part) = part else { return u64::from(blocks.div_ceil(every)) };
    let (first, rounds) = (part.part - 1, blocks.div_ceil(round));
    if first >= rounds {
        return 0;
    }
    let further = (rounds - 1 - first) / part.of;
    let last = first + further * part.of;
    // The last round of all may be cut short.
    let tail = if last == rounds - 1 { blocks - last * round } else { round };
    u64::from(further) * u64::from(round.div_ceil(every)) + u64::from(tail.div_ceil(every))
}

fn lcm(a: u32, b: u32) -> u32 {
    let (mut x, mut y) = (a, b);
    while y != 0 {
        (x, y) = (y, x % y);
    }
    (a / x).saturating_mul(b)
}

impl fmt::Display for Partition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.part, self.of)
    }
}

impl FromStr for Partition {
    type Err = String;

    /// `2/3`: the second of three parts.
    fn from_str(text: &str) -> Result<Self, String> {
        let refuse = || format!("{text:?} is not I/N with {RULE}; write 1/3, 2/3, 3/3");
        let digits = |s: &str| s.bytes().all(|b| b.is_ascii_digit()).then(|| s.parse::<u32>().ok()).flatten();
        let (part, of) = text.split_once('/').ok_or_else(refuse)?;
        let (part, of) = (digits(part).ok_or_else(refuse)?, digits(of).ok_or_else(refuse)?);
        Self::new(part, of).ok_or_else(refuse)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{prop_assert_eq, proptest};

    use super::*;

    #[test]
    fn what_is_no_part_is_refused() {
        assert_eq!("2/3".parse(), Ok(Partition { part: 2, of: 3 }));
        for bad in
            ["", "1", "0/3", "4/3", "1/0", "-1/2", "+1/2", "1/2/3", " 1/2", "a/b", "1/99999", "1/99999999999"]
        {
            assert!(bad.parse::<Partition>().is_err_and(|why| why.contains("I/N")), "{bad}");
        }
    }

    #[test]
    fn a_part_in_a_file_is_one_that_there_is() {
        let read = |text: &str| serde_json::from_str::<Partition>(text);
        assert_eq!(read("{\"part\":2,\"of\":3}").unwrap(), Partition { part: 2, of: 3 });
        // By the number of parts is divided, and every missing one is named.
        for (part, of) in [(1, 0), (0, 0), (0, 2), (3, 2), (1, u32::MAX)] {
            let why = read(&format!("{{\"part\":{part},\"of\":{of}}}")).unwrap_err().to_string();
            assert!(why.contains("no part of a plan"), "{why}");
        }
        assert_eq!(turns(None, u32::MAX, 1, u32::MAX), u64::from(u32::MAX));
    }

    proptest! {
        #[test]
        fn turns_are_counted_as_they_are_taken(
            of in 1_u32..6, blocks in 0_u32..60, one in 1_u32..6, other in 1_u32..6, whole: bool
        ) {
            let step = lcm(one, other);
            for part in (1..=of).map(|part| Partition { part, of }) {
                let part = (!whole).then_some(part);
                let held = |block: &u32| part.is_none_or(|part| part.holds(*block, step));
                let taken = (0..blocks).filter(held).filter(|block| block.is_multiple_of(one)).count();
                prop_assert_eq!(turns(part, blocks, one, step), taken as u64);
            }
        }

        #[test]
        fn every_block_belongs_to_exactly_one_part(of in 1_u32..20, round in 1_u32..12, block in 0_u32..500) {
            let holders = (1..=of).filter(|part| Partition { part: *part, of }.holds(block, round)).count();
            prop_assert_eq!(holders, 1);
            // Blocks of one round stay together.
            let first = block / round * round;
            let same = |at: u32| (1..=of).find(|part| Partition { part: *part, of }.holds(at, round));
            prop_assert_eq!(same(first), same(block));
        }

        #[test]
        fn no_part_is_empty_if_it_fits(of in 1_u32..20, round in 1_u32..12, blocks in 1_u32..200) {
            let all = (1..=of).all(|part| (0..blocks).any(|b| Partition { part, of }.holds(b, round)));
            prop_assert_eq!(Partition { part: 1, of }.fits(blocks, round).is_ok(), all);
        }
    }
}
