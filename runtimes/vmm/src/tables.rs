//! The guest's page tables, written from the list of areas (Intel SDM vol. 3, 4.5).
//!
//! A block of 2 MiB with one protection is one entry; a block with several gets a page table, which it keeps for good:
//! a table is never given to another block, so no stale paging-structure cache can lead into a stranger's pages.
//! Accessed and dirty bits are preset, because nobody reads them and setting them costs a write per first use.

use crate::error::Error;
use crate::layout::{BLOCK, DOOR, GIB, KERNEL, PAGE, PDPT, PML4, PT0, TABLES, TABLES_END};
use crate::snapshot::words::{Reader, Writer};
use crate::space::{EXEC, READ, Space, WRITE};
use crate::sys::ram::Ram;

const PRESENT: u64 = 1;
const WRITABLE: u64 = 1 << 1;
const USER: u64 = 1 << 2;
const USED: u64 = 1 << 5 | 1 << 6;
const LARGE: u64 = 1 << 7;
const NO_EXEC: u64 = 1 << 63;
/// An entry that points at another table restricts nothing.
const TABLE: u64 = PRESENT | WRITABLE | USER | USED;

/// The tables of one guest.
#[derive(Debug)]
pub struct Tables {
    /// Per block, the page table it owns; 0 if none.
    detail: Vec<u32>,
    /// First free page of the pool.
    next: u64,
}

/// There is no page left for another page table.
#[derive(Debug, PartialEq, Eq)]
pub struct PoolEmpty;

impl Tables {
    /// Writes the tables that every guest has. `memory` is its size in bytes.
    ///
    /// # Errors
    /// If guest memory cannot be written.
    pub fn new(ram: &Ram, memory: u64) -> Result<Self, Error> {
        let directories = memory.div_ceil(GIB);
        ram.store(PML4, PDPT | TABLE)?;
        for i in 0..directories {
            ram.store(PDPT + i * 8, (TABLES + i * PAGE) | TABLE)?;
        }
        ram.store(TABLES, PT0 | TABLE)?;
        // Supervisor only: no USER bit.
        ram.store(PT0 + KERNEL / PAGE * 8, KERNEL | PRESENT | WRITABLE | USED)?;
        ram.store(PT0 + DOOR / PAGE * 8, DOOR | PRESENT | USER | USED)?;
        let blocks = usize::try_from(memory / BLOCK).unwrap_or(0);
        Ok(Self { detail: vec![0; blocks], next: TABLES + directories * PAGE })
    }

    /// First page that is no table yet.
    #[must_use]
    pub const fn end(&self) -> u64 {
        self.next
    }

    /// Writes down which page is whose.
    pub fn save(&self, to: &mut Writer) {
        to.word(self.next);
        let owned = self.detail.iter().enumerate().filter(|(_, table)| **table != 0);
        to.rows(owned.map(|(block, table)| [block as u64, (*table).into()]));
    }

    /// The tables of a guest with `memory` bytes, whose entries lie in its memory already.
    ///
    /// # Errors
    /// [`Error::Program`] if a table lies outside the pool.
    pub fn restore(memory: u64, from: &mut Reader<'_>) -> Result<Self, Error> {
        let foreign = || Error::Program("a page table of the snapshot lies outside its pool".into());
        let inside = |page: u64| (TABLES..=TABLES_END).contains(&page) && page.is_multiple_of(PAGE);
        let next = from.word()?;
        let mut detail = vec![0; usize::try_from(memory / BLOCK).unwrap_or(0)];
        for [block, table] in from.rows()? {
            let slot = usize::try_from(block).ok().and_then(|block| detail.get_mut(block));
            let slot = slot.filter(|_| inside(table) && table < next).ok_or_else(foreign)?;
            *slot = u32::try_from(table).unwrap_or(0);
        }
        if inside(next) { Ok(Self { detail, next }) } else { Err(foreign()) }
    }

    /// Makes the entries of all blocks that touch `[start, end)` say what `space` says.
    ///
    /// # Errors
    /// [`PoolEmpty`] if a block needs detail and there is no page for it; entries before it are written.
    pub fn sync(&mut self, ram: &Ram, space: &Space, start: u64, end: u64) -> Result<(), PoolEmpty> {
        let mut block = start / BLOCK * BLOCK;
        while block < end {
            let index = usize::try_from(block / BLOCK).unwrap_or(usize::MAX);
            let Some(&owned) = self.detail.get(index) else { break };
            match (whole(space, block), owned) {
                (Some(prot), 0) => set(ram, directory_entry(block), large(block, prot)),
                (None, 0) => {
                    let table = self.take().ok_or(PoolEmpty)?;
                    self.detail[index] = u32::try_from(table).unwrap_or(0);
                    fill(ram, table, space, block, block, block + BLOCK);
                    set(ram, directory_entry(block), table | TABLE);
                }
                (_, table) => fill(ram, table.into(), space, block, start.max(block), end.min(block + BLOCK)),
            }
            block += BLOCK;
        }
        Ok(())
    }

    fn take(&mut self) -> Option<u64> {
        let page = self.next;
        (page + PAGE <= TABLES_END).then(|| {
            self.next += PAGE;
            page
        })
    }
}

fn directory_entry(block: u64) -> u64 {
    TABLES + block / GIB * PAGE + block % GIB / BLOCK * 8
}

/// The one protection of a block (0 if nothing is mapped there), or none if it has several.
fn whole(space: &Space, block: u64) -> Option<u8> {
    match space.overlapping(block, block + BLOCK).next() {
        None => Some(0),
        Some(area) if area.start <= block && area.end >= block + BLOCK => Some(area.prot),
        Some(_) => None,
    }
}

fn bits(prot: u8) -> u64 {
    if prot & (READ | WRITE | EXEC) == 0 {
        return 0;
    }
    let write = if prot & WRITE == 0 { 0 } else { WRITABLE };
    let no_exec = if prot & EXEC == 0 { NO_EXEC } else { 0 };
    PRESENT | USER | USED | write | no_exec
}

fn large(block: u64, prot: u8) -> u64 {
    match bits(prot) {
        0 => 0,
        bits => block | LARGE | bits,
    }
}

/// Writes the entries of `table` (which describes `block`) for `[start, end)`, some at a time: a buffer for all of them
/// would cost a page of stack at every start.
fn fill(ram: &Ram, table: u64, space: &Space, block: u64, start: u64, end: u64) {
    const SOME: u64 = 64;
    let (mut first, last) = (start / PAGE * PAGE, end.next_multiple_of(PAGE).min(block + BLOCK));
    while first < last {
        let stop = last.min(first + SOME * PAGE);
        let mut entries = [0u64; SOME as usize];
        let entries = &mut entries[..((stop - first) / PAGE) as usize];
        for area in space.overlapping(first, stop) {
            let (from, to) = (area.start.max(first), area.end.min(stop));
            let bits = bits(area.prot);
            let mut page = from;
            while page < to && bits != 0 {
                entries[((page - first) / PAGE) as usize] = page | bits;
                page += PAGE;
            }
        }
        ram.store_all(table + (first - block) / PAGE * 8, entries);
        first = stop;
    }
}

/// The address is one of our own tables: it always lies in guest memory.
fn set(ram: &Ram, at: u64, entry: u64) {
    ram.store_all(at, &[entry]);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the CPU would find for `address`: the protection bits of the last entry, or none.
    fn walk(ram: &Ram, address: u64) -> Option<u64> {
        let mut table = PML4;
        for shift in [39, 30, 21, 12] {
            let entry = ram.load(table + (address >> shift & 511) * 8).ok()?;
            if entry & PRESENT == 0 {
                return None;
            }
            if shift == 12 || (shift == 21 && entry & LARGE != 0) {
                let page = entry & 0x000f_ffff_ffff_f000 & !if shift == 21 { BLOCK - 1 } else { 0 };
                assert_eq!(page, if shift == 21 { address / BLOCK * BLOCK } else { address / PAGE * PAGE });
                return Some(entry & (WRITABLE | USER | NO_EXEC));
            }
            table = entry & 0x000f_ffff_ffff_f000;
        }
        None
    }

    fn guest() -> (Ram, Tables) {
        let ram = Ram::new(64 << 20).unwrap();
        let tables = Tables::new(&ram, 64 << 20).unwrap();
        (ram, tables)
    }

    #[test]
    fn the_machine_is_supervisor_only_and_its_tables_are_not_mapped() {
        let (ram, _) = guest();
        assert_eq!(walk(&ram, KERNEL), Some(WRITABLE));
        assert_eq!(walk(&ram, DOOR), Some(USER), "the program may execute it and not write to it");
        for address in [0, PML4, PDPT, PT0, TABLES, TABLES_END - PAGE, BLOCK, 32 << 20, 1 << 40] {
            assert_eq!(walk(&ram, address), None, "{address:#x}");
        }
    }

    #[test]
    fn blocks_are_split_only_where_protections_differ() {
        let (ram, mut tables) = guest();
        let mut space = Space::new();
        let free = tables.next;
        space.insert(2 * BLOCK, 5 * BLOCK, READ | WRITE);
        tables.sync(&ram, &space, 2 * BLOCK, 5 * BLOCK).unwrap();
        assert_eq!(tables.next, free, "whole blocks need no page table");
        space.insert(3 * BLOCK + PAGE, 3 * BLOCK + 2 * PAGE, READ);
        tables.sync(&ram, &space, 3 * BLOCK + PAGE, 3 * BLOCK + 2 * PAGE).unwrap();
        assert_eq!(tables.next, free + PAGE);
        space.remove(4 * BLOCK, 5 * BLOCK);
        tables.sync(&ram, &space, 4 * BLOCK, 5 * BLOCK).unwrap();
        let data = Some(WRITABLE | USER | NO_EXEC);
        for (address, expected) in [
            (2 * BLOCK, data),
            (3 * BLOCK, data),
            (3 * BLOCK + PAGE, Some(USER | NO_EXEC)),
            (3 * BLOCK + 2 * PAGE, data),
            (4 * BLOCK - 1, data),
            (4 * BLOCK, None),
        ] {
            assert_eq!(walk(&ram, address), expected, "{address:#x}");
        }
    }

    #[test]
    fn an_empty_pool_is_an_answer_not_a_crash() {
        let ram = Ram::new(2 * GIB).unwrap();
        let mut tables = Tables::new(&ram, 2 * GIB).unwrap();
        let mut space = Space::new();
        let mut blocks = 1..GIB * 2 / BLOCK;
        let refused = blocks.find(|block| {
            let start = block * BLOCK;
            space.insert(start, start + PAGE, READ);
            tables.sync(&ram, &space, start, start + PAGE) == Err(PoolEmpty)
        });
        assert_eq!(refused, Some((TABLES_END - TABLES) / PAGE - 2 + 1));
    }
}
