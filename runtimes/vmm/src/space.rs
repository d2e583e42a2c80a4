//! The program's address space as a list of areas: what is mapped, and how.
//!
//! Pure bookkeeping. The list is sorted, areas never overlap, and neighbours with the same protection are one area,
//! so its length is bounded by [`AREAS_MAX`] and by what the program really distinguishes.

use crate::layout::PAGE;

/// Most areas, as Linux' default `vm.max_map_count`.
pub const AREAS_MAX: usize = 65_530;

/// Readable.
pub const READ: u8 = 1;
/// Writable.
pub const WRITE: u8 = 2;
/// Executable.
pub const EXEC: u8 = 4;

/// A run of pages with one protection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Area {
    /// First byte; a multiple of the page size.
    pub start: u64,
    /// One past the last byte.
    pub end: u64,
    /// PROT_ bits.
    pub prot: u8,
}

/// All areas.
#[derive(Debug, Default)]
pub struct Space {
    areas: Vec<Area>,
}

impl Space {
    /// Nothing is mapped.
    #[must_use]
    pub fn new() -> Self {
        Self { areas: Vec::with_capacity(16) }
    }

    /// The areas that overlap `[start, end)`.
    pub fn overlapping(&self, start: u64, end: u64) -> impl Iterator<Item = &Area> {
        let first = self.areas.partition_point(|a| a.end <= start);
        self.areas[first..].iter().take_while(move |a| a.start < end)
    }

    /// The area that holds `address`.
    #[must_use]
    pub fn at(&self, address: u64) -> Option<&Area> {
        self.overlapping(address, address.saturating_add(1)).next()
    }

    /// Whether all of `[start, end)` is mapped with at least `need`.
    #[must_use]
    pub fn allows(&self, start: u64, end: u64, need: u8) -> bool {
        let mut reached = start;
        for area in self.overlapping(start, end) {
            if area.start > reached || area.prot & need != need {
                return false;
            }
            reached = area.end;
        }
        reached >= end
    }

    /// Whether nothing of `[start, end)` is mapped.
    #[must_use]
    pub fn is_free(&self, start: u64, end: u64) -> bool {
        self.overlapping(start, end).next().is_none()
    }

    /// Whether another area may be made; one call makes at most two.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.areas.len() + 2 <= AREAS_MAX
    }

    /// Takes `[start, end)` out.
    pub fn remove(&mut self, start: u64, end: u64) {
        let first = self.areas.partition_point(|a| a.end <= start);
        let last = self.areas.partition_point(|a| a.start < end);
        if first >= last {
            return;
        }
        let (left, right) = (self.areas[first], self.areas[last - 1]);
        let head = (left.start < start).then_some(Area { end: start, ..left });
        let tail = (right.end > end).then_some(Area { start: end, ..right });
        self.areas.splice(first..last, head.into_iter().chain(tail));
    }

    /// Maps `[start, end)` with `prot`, in place of what was there.
    pub fn insert(&mut self, start: u64, end: u64, prot: u8) {
        debug_assert!(start < end && start.is_multiple_of(PAGE) && end.is_multiple_of(PAGE));
        self.remove(start, end);
        let at = self.areas.partition_point(|a| a.end <= start);
        let (mut start, mut end, mut first, mut last) = (start, end, at, at);
        let left = at.checked_sub(1).and_then(|i| self.areas.get(i));
        if let Some(left) = left.filter(|a| a.end == start && a.prot == prot) {
            start = left.start;
            first = at - 1;
        }
        if let Some(right) = self.areas.get(at).filter(|a| a.start == end && a.prot == prot) {
            end = right.end;
            last = at + 1;
        }
        self.areas.splice(first..last, [Area { start, end, prot }]);
    }

    /// The highest free `[x, x + len)` in `[low, high)` with `x` a multiple of `align` (a power of two).
    #[must_use]
    pub fn find(&self, low: u64, high: u64, len: u64, align: u64) -> Option<u64> {
        let mut ceiling = high;
        let last = self.areas.partition_point(|a| a.start < high);
        for area in self.areas[..last].iter().rev() {
            if let Some(found) = fit(area.end.max(low), ceiling, len, align) {
                return Some(found);
            }
            ceiling = ceiling.min(area.start);
            if ceiling <= low {
                return None;
            }
        }
        fit(low, ceiling, len, align)
    }

    /// The first mapped byte at or after `address`.
    #[must_use]
    pub fn next_start(&self, address: u64) -> Option<u64> {
        self.overlapping(address, u64::MAX).next().map(|a| a.start.max(address))
    }

    /// All areas in order.
    #[must_use]
    pub fn areas(&self) -> &[Area] {
        &self.areas
    }
}

/// The highest aligned start of `len` bytes in `[low, high)`.
fn fit(low: u64, high: u64, len: u64, align: u64) -> Option<u64> {
    let start = high.checked_sub(len)? & !(align - 1);
    (start >= low).then_some(start)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const P: u64 = PAGE;

    fn space(areas: &[(u64, u64, u8)]) -> Space {
        let mut space = Space::new();
        for &(start, end, prot) in areas {
            space.insert(start * P, end * P, prot);
        }
        space
    }

    #[track_caller]
    fn holds(space: &Space, expected: &[(u64, u64, u8)]) {
        let got: Vec<_> = space.areas().iter().map(|a| (a.start / P, a.end / P, a.prot)).collect();
        assert_eq!(got, expected);
    }

    #[test]
    fn neighbours_merge_and_holes_split() {
        holds(&space(&[(1, 2, 3), (2, 3, 3)]), &[(1, 3, 3)]);
        holds(&space(&[(2, 3, 3), (1, 2, 3)]), &[(1, 3, 3)]);
        holds(&space(&[(1, 2, 3), (3, 4, 3), (2, 3, 3)]), &[(1, 4, 3)]);
        holds(&space(&[(1, 9, 3), (4, 5, 1)]), &[(1, 4, 3), (4, 5, 1), (5, 9, 3)]);
        holds(&space(&[(1, 3, 3), (4, 6, 3), (2, 5, 0)]), &[(1, 2, 3), (2, 5, 0), (5, 6, 3)]);
        let mut cut = space(&[(1, 9, 3)]);
        cut.remove(3 * P, 4 * P);
        holds(&cut, &[(1, 3, 3), (4, 9, 3)]);
        cut.remove(0, 100 * P);
        holds(&cut, &[]);
    }

    #[test]
    fn the_highest_gap_is_found_and_alignment_kept() {
        let space = space(&[(4, 6, 3), (8, 9, 3)]);
        assert_eq!(space.find(2 * P, 10 * P, P, P), Some(9 * P));
        assert_eq!(space.find(2 * P, 10 * P, 2 * P, P), Some(6 * P));
        assert_eq!(space.find(2 * P, 10 * P, 2 * P, 4 * P), None);
        assert_eq!(space.find(0, 10 * P, 3 * P, 4 * P), Some(0));
        assert_eq!(space.find(0, 10 * P, u64::MAX, P), None);
    }

    proptest! {
        /// Against the obvious model: one byte of protection per page.
        #[test]
        fn behaves_like_a_table_of_pages(ops in prop::collection::vec((0u64..32, 1u64..8, 0u8..9), 1..40)) {
            let (mut space, mut model) = (Space::new(), [None; 48]);
            for (start, len, prot) in ops {
                let prot = (prot < 8).then_some(prot);
                match prot {
                    Some(prot) => space.insert(start * P, (start + len) * P, prot),
                    None => space.remove(start * P, (start + len) * P),
                }
                model[start as usize..(start + len) as usize].fill(prot);
            }
            for (page, &prot) in model.iter().enumerate() {
                prop_assert_eq!(space.at(page as u64 * P).map(|a| a.prot), prot);
            }
            for pair in space.areas().windows(2) {
                prop_assert!(pair[0].end < pair[1].start || (pair[0].end == pair[1].start && pair[0].prot != pair[1].prot));
            }
            for start in 0..40usize {
                let all = model[start..start + 4].iter().all(|p| p.is_some_and(|p| p & READ != 0));
                prop_assert_eq!(space.allows(start as u64 * P, (start as u64 + 4) * P, READ), all);
            }
        }
    }
}
