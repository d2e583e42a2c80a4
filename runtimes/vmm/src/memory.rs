//! The program's memory: areas, page tables and bytes kept in step.
//!
//! Every access on behalf of the program is checked against its areas first, so a bad pointer is EFAULT here exactly
//! where it would be a fault there. Memory that is not mapped is zero: whoever unmaps pages also empties them.

use crate::error::{Error, Stop, refuse};
use crate::layout::{BLOCK, PAGE, USER_START, map_end, stack_start};
use crate::snapshot::words::{Reader, Writer};
use crate::space::{READ, Space, WRITE};
use crate::sys::ram::Ram;
use crate::tables::Tables;

/// Longest path or other string that is read from the program, in bytes (PATH_MAX).
pub const STRING_MAX: usize = 4096;

/// How guest memory meets host memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Ask for huge pages under mappings that hold whole blocks.
    pub huge: bool,
    /// Make mappings of at least this many bytes resident at once.
    pub prefault: Option<u64>,
}

/// All memory of one program.
#[derive(Debug)]
pub struct Memory {
    /// The bytes.
    pub ram: Ram,
    space: Space,
    tables: Tables,
    policy: Policy,
    /// Where pages of a file lie: discarding one of those would bring the file's bytes back.
    backed: Vec<(u64, u64)>,
    brk_start: u64,
    brk: u64,
}

/// What one io vector may hold at most in total, as in Linux (MAX_RW_COUNT).
pub const IO_MAX: u64 = 0x7fff_f000;

impl Memory {
    /// Memory with page tables and a stack, and nothing else.
    ///
    /// # Errors
    /// If the kernel refuses memory.
    pub fn new(ram: Ram, policy: Policy) -> Result<Self, Error> {
        let tables = Tables::new(&ram, ram.len())?;
        let (space, brk) = (Space::new(), USER_START);
        Ok(Self { ram, space, tables, policy, backed: Vec::new(), brk_start: brk, brk })
    }

    /// Marks `[start, end)` as pages of the program's file and puts the heap behind them.
    pub fn set_image(&mut self, start: u64, end: u64) {
        self.backed = vec![(start, end)];
        self.brk_start = end;
        self.brk = end;
    }

    /// Writes down what memory is beside its bytes.
    pub fn save(&self, to: &mut Writer) {
        let policy = [u64::from(self.policy.huge), self.policy.prefault.unwrap_or(u64::MAX)];
        to.words(&policy);
        to.words(&[self.brk_start, self.brk]);
        to.rows(self.space.areas().iter().map(|a| [a.start, a.end, a.prot.into()]));
        self.tables.save(to);
    }

    /// Memory as it was written down; `ram` holds its bytes.
    ///
    /// # Errors
    /// [`Error::Program`] if it describes what cannot be.
    pub fn restore(ram: Ram, from: &mut Reader<'_>) -> Result<Self, Error> {
        let [huge, prefault] = from.words()?;
        let policy = Policy { huge: huge != 0, prefault: (prefault != u64::MAX).then_some(prefault) };
        let [brk_start, brk] = from.words()?;
        if brk_start < USER_START || brk < brk_start || brk > map_end(ram.len()) {
            return Err(Error::Program("the snapshot's heap lies outside its memory".into()));
        }
        let mut space = Space::new();
        for [start, end, prot] in from.rows()? {
            let fits = start >= USER_START && start < end && end <= ram.len() && prot <= 7;
            let fits = fits && start.is_multiple_of(PAGE) && end.is_multiple_of(PAGE);
            if !fits || !space.has_room() || !space.is_free(start, end) {
                return Err(Error::Program("an area of the snapshot lies outside its memory".into()));
            }
            space.insert(start, end, prot as u8);
        }
        let tables = Tables::restore(ram.len(), from)?;
        Ok(Self { ram, space, tables, policy, backed: Vec::new(), brk_start, brk })
    }

    /// First byte of the stack; its end is the end of memory.
    #[must_use]
    pub const fn stack_start(&self) -> u64 {
        stack_start(self.ram.len())
    }

    /// The areas, for questions.
    #[must_use]
    pub const fn space(&self) -> &Space {
        &self.space
    }

    /// Maps `[start, end)`, whole pages, with `prot`; pages that are new are zero.
    ///
    /// # Errors
    /// ENOMEM if there is no room in the area list or for page tables.
    pub fn map(&mut self, start: u64, end: u64, prot: u8) -> Result<(), Stop> {
        if !self.space.has_room() {
            return refuse(libc::ENOMEM);
        }
        self.space.insert(start, end, prot);
        self.sync(start, end)
    }

    fn sync(&mut self, start: u64, end: u64) -> Result<(), Stop> {
        let synced = self.tables.sync(&self.ram, &self.space, start, end);
        synced.map_err(|_| Stop::Errno(libc::ENOMEM))
    }

    /// Maps `len` bytes of zeros: at `fixed` (in place of what is there), or near `hint`, or anywhere.
    ///
    /// # Errors
    /// ENOMEM if there is no room.
    pub fn map_zeros(&mut self, place: Place, len: u64, prot: u8) -> Result<u64, Stop> {
        let len = len.checked_next_multiple_of(PAGE).filter(|&l| l <= self.ram.len());
        let len = len.ok_or(Stop::Errno(libc::ENOMEM))?;
        let start = self.place(place, len)?;
        let end = start + len;
        if !self.space.is_free(start, end) {
            self.unmap(start, end)?;
        }
        if let Err(stop) = self.map(start, end, prot) {
            self.space.remove(start, end);
            let _ = self.sync(start, end);
            return Err(stop);
        }
        self.prepare(start, end, prot);
        Ok(start)
    }

    /// Huge pages and residency as the policy says.
    fn prepare(&self, start: u64, end: u64, prot: u8) {
        if self.policy.huge {
            self.huge(start, end);
        }
        if prot & WRITE != 0 && self.policy.prefault.is_some_and(|least| end - start >= least) {
            self.ram.populate(start, end - start);
        }
    }

    /// Asks for huge pages where whole blocks lie in `[start, end)`.
    ///
    /// Every stretch with other advice is a mapping of the VMM's own, and a process may have some 65,000: the pages of a
    /// large guest are more, its blocks are not.
    pub fn huge(&self, start: u64, end: u64) {
        let (first, last) = (start.next_multiple_of(BLOCK), end / BLOCK * BLOCK);
        if first < last {
            self.ram.huge(first, last - first);
        }
    }

    /// Asks for small pages in every block that `[start, end)` touches: see [`Self::huge`].
    pub fn small(&self, start: u64, end: u64) {
        let (first, last) = (start / BLOCK * BLOCK, end.next_multiple_of(BLOCK));
        self.ram.small(first, last - first);
    }

    fn place(&self, place: Place, len: u64) -> Result<u64, Stop> {
        let (low, high) = (USER_START, self.map_limit());
        let inside = |at: u64| at >= low && at.checked_add(len).is_some_and(|end| end <= high);
        match place {
            Place::Fixed(at) if inside(at) => return Ok(at),
            Place::Fixed(_) => return refuse(libc::ENOMEM),
            Place::Free(at) if inside(at) && self.space.is_free(at, at + len) => return Ok(at),
            Place::Free(_) => return refuse(if inside(at_of(place)) { libc::EEXIST } else { libc::ENOMEM }),
            Place::Near(at) if at != 0 && inside(at) && self.space.is_free(at, at + len) => return Ok(at),
            Place::Near(_) => {}
        }
        // Whole blocks where they pay: one page-table entry and one huge page each.
        let align = if len >= BLOCK { BLOCK } else { PAGE };
        let found = self.space.find(self.brk.next_multiple_of(PAGE), high, len, align);
        found.or_else(|| self.space.find(low, high, len, PAGE)).ok_or(Stop::Errno(libc::ENOMEM))
    }

    /// End of what mmap may use: the guard below the stack is never mapped.
    fn map_limit(&self) -> u64 {
        map_end(self.ram.len())
    }

    /// Unmaps `[start, end)`, whole pages, and empties them.
    ///
    /// # Errors
    /// ENOMEM if that needs an area or a page table too many.
    pub fn unmap(&mut self, start: u64, end: u64) -> Result<(), Stop> {
        let (start, end) = (start.max(USER_START), end.min(self.ram.len()));
        if start >= end || self.space.is_free(start, end) {
            return Ok(());
        }
        if !self.space.has_room() {
            return refuse(libc::ENOMEM);
        }
        let mapped: Vec<_> =
            self.space.overlapping(start, end).map(|a| (a.start.max(start), a.end.min(end))).collect();
        self.space.remove(start, end);
        let synced = self.sync(start, end);
        for (from, to) in mapped {
            self.empty(from, to);
        }
        synced
    }

    /// Zeroes pages and returns them to the host; translations of them are forgotten.
    pub fn empty(&self, start: u64, end: u64) {
        let mut at = start;
        for (from, to) in self.backed.iter().map(|&(from, to)| (from.max(start), to.min(end))) {
            if from < to {
                self.ram.discard(at, from - at);
                self.ram.renew(from, to - from);
                at = to;
            }
        }
        self.ram.discard(at, end - at);
    }

    /// Tells where pages of a file lie, in order.
    pub fn backed_by(&mut self, ranges: impl Iterator<Item = (u64, u64)>) {
        self.backed = ranges.collect();
    }

    /// End of the machine's own pages that are in use.
    #[must_use]
    pub const fn tables_end(&self) -> u64 {
        self.tables.end()
    }

    /// Changes the protection of `[start, end)`, whole pages.
    ///
    /// # Errors
    /// ENOMEM if not all of it is mapped, or there is no room to note it.
    pub fn protect(&mut self, start: u64, end: u64, prot: u8) -> Result<(), Stop> {
        if start >= end {
            return Ok(());
        }
        if !self.space.allows(start, end, 0) || !self.space.has_room() {
            return refuse(libc::ENOMEM);
        }
        let loses = self.space.overlapping(start, end).any(|area| area.prot & !prot != 0);
        self.map(start, end, prot)?;
        if loses {
            self.ram.forget_translations(start, end - start);
        }
        Ok(())
    }

    /// Moves the end of the heap; gives where it is then.
    pub fn set_brk(&mut self, wanted: u64) -> u64 {
        let (old, new) = (self.brk.next_multiple_of(PAGE), wanted.min(self.ram.len()).next_multiple_of(PAGE));
        if wanted < self.brk_start || wanted > self.map_limit() {
            return self.brk;
        }
        let done = match new.cmp(&old) {
            std::cmp::Ordering::Greater => {
                self.space.is_free(old, new)
                    && self.map(old, new, READ | WRITE).map(|()| self.prepare(old, new, WRITE)).is_ok()
            }
            std::cmp::Ordering::Less => self.unmap(new, old).is_ok(),
            std::cmp::Ordering::Equal => true,
        };
        if done {
            self.brk = wanted;
        }
        self.brk
    }

    /// Checks that the program may access `len` bytes at `address` in this way.
    ///
    /// # Errors
    /// EFAULT if not.
    pub fn check(&self, address: u64, len: u64, need: u8) -> Result<(), Stop> {
        let allowed =
            address.checked_add(len).is_some_and(|end| len == 0 || self.space.allows(address, end, need));
        if allowed { Ok(()) } else { refuse(libc::EFAULT) }
    }

    /// Bytes of the program, for reading or writing as `need` says.
    ///
    /// # Errors
    /// EFAULT if it may not access all of them so.
    pub fn slice(&self, address: u64, len: u64, need: u8) -> Result<vm_memory::VolatileSlice<'_, ()>, Stop> {
        self.check(address, len, need)?;
        self.ram.slice(if len == 0 { 0 } else { address }, len).ok_or(Stop::Errno(libc::EFAULT))
    }

    /// Copies bytes out of the program.
    ///
    /// # Errors
    /// EFAULT.
    pub fn get(&self, address: u64, bytes: &mut [u8]) -> Result<(), Stop> {
        self.slice(address, bytes.len() as u64, READ)?.copy_to(bytes);
        Ok(())
    }

    /// An array out of the program.
    ///
    /// # Errors
    /// EFAULT.
    pub fn get_array<const N: usize>(&self, address: u64) -> Result<[u8; N], Stop> {
        let mut bytes = [0; N];
        self.get(address, &mut bytes)?;
        Ok(bytes)
    }

    /// A word out of the program.
    ///
    /// # Errors
    /// EFAULT.
    pub fn get_u64(&self, address: u64) -> Result<u64, Stop> {
        self.get_array(address).map(u64::from_le_bytes)
    }

    /// Copies bytes into the program.
    ///
    /// # Errors
    /// EFAULT.
    pub fn put(&self, address: u64, bytes: &[u8]) -> Result<(), Stop> {
        self.slice(address, bytes.len() as u64, WRITE)?.copy_from(bytes);
        Ok(())
    }

    /// Copies bytes into the program unless the pointer is null.
    ///
    /// # Errors
    /// EFAULT.
    pub fn put_unless_null(&self, address: u64, bytes: &[u8]) -> Result<(), Stop> {
        if address == 0 { Ok(()) } else { self.put(address, bytes) }
    }

    /// A NUL-terminated string of the program, without the NUL.
    ///
    /// # Errors
    /// EFAULT; ENAMETOOLONG beyond [`STRING_MAX`].
    pub fn string(&self, address: u64) -> Result<Vec<u8>, Stop> {
        let mut text = Vec::with_capacity(64);
        let mut at = address;
        let mut chunk = [0u8; 256];
        while text.len() < STRING_MAX {
            // Up to the next page's edge: the page behind it may not exist.
            let len = (PAGE - at % PAGE).min(chunk.len() as u64) as usize;
            self.get(at, &mut chunk[..len])?;
            if let Some(nul) = chunk[..len].iter().position(|&b| b == 0) {
                text.extend_from_slice(&chunk[..nul]);
                return Ok(text);
            }
            text.extend_from_slice(&chunk[..len]);
            at = at.checked_add(len as u64).ok_or(Stop::Errno(libc::EFAULT))?;
        }
        refuse(libc::ENAMETOOLONG)
    }

    /// The parts of an I/O vector, at most 1024 of them and [`IO_MAX`] bytes.
    ///
    /// # Errors
    /// EINVAL or EFAULT.
    pub fn vector(&self, address: u64, count: u64) -> Result<Vec<(u64, u64)>, Stop> {
        if count > 1024 {
            return refuse(libc::EINVAL);
        }
        let mut left = IO_MAX;
        let mut parts = Vec::with_capacity(count as usize);
        for i in 0..count {
            let entry: [u8; 16] = self.get_array(address.wrapping_add(i * 16))?;
            let (base, len) = (word(&entry, 0), word(&entry, 8));
            if len > i64::MAX as u64 {
                return refuse(libc::EINVAL);
            }
            parts.push((base, len.min(left)));
            left -= len.min(left);
        }
        Ok(parts)
    }
}

/// Where a mapping goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Exactly here, in place of what is there.
    Fixed(u64),
    /// Exactly here, and only if nothing is there.
    Free(u64),
    /// Here if that is free, anywhere otherwise.
    Near(u64),
}

const fn at_of(place: Place) -> u64 {
    match place {
        Place::Fixed(at) | Place::Free(at) | Place::Near(at) => at,
    }
}

/// The little-endian word at `at` of `bytes`; 0 beyond the end.
#[must_use]
pub fn word(bytes: &[u8], at: usize) -> u64 {
    bytes.get(at..at + 8).and_then(|b| b.try_into().ok()).map_or(0, u64::from_le_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::MEMORY_MIN;

    fn memory() -> Memory {
        let policy = Policy { huge: true, prefault: None };
        let mut memory = Memory::new(Ram::new(MEMORY_MIN).unwrap(), policy).unwrap();
        memory.set_image(2 * BLOCK, 2 * BLOCK + 4 * PAGE);
        memory.map(2 * BLOCK, 2 * BLOCK + 4 * PAGE, READ | WRITE).unwrap();
        memory
    }

    const FAULT: Result<(), Stop> = Err(Stop::Errno(libc::EFAULT));

    #[test]
    fn what_was_unmapped_is_zero_when_it_comes_back() {
        let mut memory = memory();
        let image = 2 * BLOCK;
        let anonymous = memory.map_zeros(Place::Near(0), 3 * PAGE, READ | WRITE).unwrap();
        for at in [image, anonymous] {
            memory.put(at + PAGE, b"secret").unwrap();
            memory.unmap(at + PAGE, at + 2 * PAGE).unwrap();
            assert_eq!(memory.put(at + PAGE, b"x"), FAULT);
            memory.put(at + 2 * PAGE, b"kept").unwrap();
            assert_eq!(memory.map_zeros(Place::Fixed(at), 2 * PAGE, READ), Ok(at));
            assert_eq!(memory.get_array(at + PAGE), Ok([0; 6]));
            assert_eq!(memory.get_array(at + 2 * PAGE), Ok(*b"kept"));
            assert_eq!(memory.put(at + PAGE, b"x"), FAULT, "it is read only now");
        }
    }

    #[test]
    fn the_heap_grows_until_it_meets_something_and_shrinks_to_its_start() {
        let mut memory = memory();
        let start = memory.set_brk(0);
        assert_eq!(start, 2 * BLOCK + 4 * PAGE);
        assert_eq!(memory.set_brk(start + 100), start + 100);
        memory.put(start + PAGE - 1, b"x").unwrap();
        let wall = memory.map_zeros(Place::Fixed(start + 8 * PAGE), PAGE, READ).unwrap();
        assert_eq!(memory.set_brk(wall + 1), start + 100, "something is in the way");
        assert_eq!(memory.set_brk(u64::MAX), start + 100);
        assert_eq!(memory.set_brk(start), start);
        assert_eq!(memory.put(start, b"x"), FAULT);
    }

    #[test]
    fn places_are_refused_where_linux_refuses_them() {
        let mut memory = memory();
        let all = MEMORY_MIN;
        let map = |memory: &mut Memory, place, len| memory.map_zeros(place, len, READ);
        assert_eq!(map(&mut memory, Place::Fixed(0), PAGE), refuse(libc::ENOMEM));
        assert_eq!(map(&mut memory, Place::Fixed(all - PAGE), 2 * PAGE), refuse(libc::ENOMEM));
        assert_eq!(map(&mut memory, Place::Free(2 * BLOCK), PAGE), refuse(libc::EEXIST));
        assert_eq!(map(&mut memory, Place::Near(0), all), refuse(libc::ENOMEM));
        assert_eq!(map(&mut memory, Place::Near(0), u64::MAX), refuse(libc::ENOMEM));
        let whole = map(&mut memory, Place::Near(0), BLOCK).unwrap();
        assert!(whole.is_multiple_of(BLOCK));
        assert_eq!(memory.protect(whole, whole + 2 * BLOCK, READ), refuse(libc::ENOMEM));
        assert!(map_end(all) <= memory.stack_start() - BLOCK, "the guard block stays unmapped");
    }

    #[test]
    fn strings_end_at_their_nul_or_at_the_end_of_memory() {
        let mut memory = memory();
        let end = 2 * BLOCK + 4 * PAGE;
        memory.put(end - 4, b"abc\0").unwrap();
        assert_eq!(memory.string(end - 4), Ok(b"abc".to_vec()));
        memory.put(end - 1, b"d").unwrap();
        assert_eq!(memory.string(end - 4), Err(Stop::Errno(libc::EFAULT)));
        memory.unmap(2 * BLOCK, end).unwrap();
        assert_eq!(memory.string(2 * BLOCK), Err(Stop::Errno(libc::EFAULT)));
        assert_eq!(memory.vector(2 * BLOCK, 1025), Err(Stop::Errno(libc::EINVAL)));
    }

    /// Lines of /proc/self/maps that lie in this memory.
    fn mappings(memory: &Memory) -> usize {
        let own = memory.ram.host_address()..memory.ram.host_address() + memory.ram.len();
        let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
        let start = |line: &&str| u64::from_str_radix(line.split('-').next().unwrap(), 16).unwrap();
        maps.lines().filter(|line| own.contains(&start(line))).count()
    }

    /// Whoever has all the mappings that a process may have can allocate nothing, and the VMM would die of that.
    #[test]
    fn no_guest_makes_the_vmm_have_mappings_without_end() {
        use std::os::fd::AsFd;
        let policy = Policy { huge: false, prefault: None };
        let mut memory = Memory::new(Ram::new(256 << 20).unwrap(), policy).unwrap();
        let (start, end) = (2 * BLOCK, 200 << 20);
        for at in (start..end).step_by(2 * PAGE as usize) {
            memory.small(at, at + PAGE);
            memory.huge(at, at + PAGE);
        }
        assert!(mappings(&memory) < 200, "{} for advice", mappings(&memory));
        let file = tempfile::tempfile().unwrap();
        file.set_len(end).unwrap();
        memory.ram.map_file(start, end - start, file.as_fd(), 0).unwrap();
        memory.set_image(start, end);
        memory.map(start, end, READ).unwrap();
        for at in (start..end).step_by(2 * PAGE as usize) {
            memory.unmap(at, at + PAGE).unwrap();
        }
        assert!(mappings(&memory) < 20_000, "{} for pages of a file", mappings(&memory));
    }
}
