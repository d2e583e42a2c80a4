//! Memory: mmap, munmap, mprotect, mremap, brk, madvise.
//!
//! Everything is private and zero or a copy of a file: there is nobody to share with.

use crate::error::{Served, Stop, refuse};
use crate::files::What;
use crate::fs::{Device, Kind};
use crate::guest::{Guest, Six, int};
use crate::layout::PAGE;
use crate::memory::Place;
use crate::space::{EXEC, READ, WRITE};

/// Serves what this family knows.
pub fn serve(guest: &mut Guest, nr: i64, [a, b, c, d, e, f]: Six) -> Option<Served> {
    Some(match nr {
        libc::SYS_mmap => mmap(guest, a, b, (int(c), int(d)), (e, f)),
        libc::SYS_munmap => range(a, b).and_then(|(start, end)| guest.memory.unmap(start, end)).map(|()| 0),
        libc::SYS_mprotect => mprotect(guest, a, b, c),
        libc::SYS_brk => Ok(guest.memory.set_brk(a)),
        libc::SYS_madvise => madvise(guest, a, b, int(c)),
        libc::SYS_mremap => mremap(guest, (a, b), c, int(d), e),
        libc::SYS_msync | libc::SYS_mlock | libc::SYS_munlock | libc::SYS_mlock2 => {
            mapped(guest, a, b).map(|()| 0)
        }
        libc::SYS_mlockall | libc::SYS_munlockall => Ok(0),
        libc::SYS_membarrier => Ok(0),
        libc::SYS_mincore => mincore(guest, a, b, c),
        _ => return None,
    })
}

/// Whole pages from an aligned start.
fn range(address: u64, len: u64) -> Result<(u64, u64), Stop> {
    let end = address.checked_add(len).and_then(|end| end.checked_next_multiple_of(PAGE));
    match end {
        Some(end) if address.is_multiple_of(PAGE) && len > 0 => Ok((address, end)),
        _ => refuse(libc::EINVAL),
    }
}

fn mapped(guest: &Guest, address: u64, len: u64) -> Result<(), Stop> {
    let start = address / PAGE * PAGE;
    let end = address.checked_add(len).and_then(|end| end.checked_next_multiple_of(PAGE));
    let end = end.ok_or(Stop::Errno(libc::ENOMEM))?;
    if len == 0 || guest.memory.space().allows(start, end, 0) { Ok(()) } else { refuse(libc::ENOMEM) }
}

const fn protection(prot: i32) -> u8 {
    prot as u8 & (READ | WRITE | EXEC)
}

fn mmap(
    guest: &mut Guest,
    hint: u64,
    len: u64,
    (prot, flags): (i32, i32),
    (fd, offset): (u64, u64),
) -> Served {
    let kind = flags & libc::MAP_TYPE;
    let exact = flags & (libc::MAP_FIXED | libc::MAP_FIXED_NOREPLACE) != 0;
    if len == 0 || kind == 0 || exact && !hint.is_multiple_of(PAGE) {
        return refuse(libc::EINVAL);
    }
    let place = match flags {
        f if f & libc::MAP_FIXED_NOREPLACE == libc::MAP_FIXED_NOREPLACE => Place::Free(hint),
        f if f & libc::MAP_FIXED != 0 => Place::Fixed(hint),
        _ => Place::Near(hint / PAGE * PAGE),
    };
    if flags & libc::MAP_ANONYMOUS != 0 {
        return guest.memory.map_zeros(place, len, protection(prot));
    }
    if !offset.is_multiple_of(PAGE) {
        return refuse(libc::EINVAL);
    }
    let What::Node(id) = guest.files.open(fd)?.what else { return refuse(libc::ENODEV) };
    match &guest.files.fs().node(id)?.kind {
        Kind::Device(Device::Zero) => return guest.memory.map_zeros(place, len, protection(prot)),
        Kind::File(_) if kind == libc::MAP_PRIVATE || prot & libc::PROT_WRITE == 0 => {}
        // Writes through a shared mapping would have to reach the file.
        _ => return refuse(libc::ENODEV),
    }
    let at = guest.memory.map_zeros(place, len, protection(prot))?;
    let data = guest.files.fs().data(id)?;
    let rest = usize::try_from(offset).ok().and_then(|from| data.get(from..)).unwrap_or_default();
    let part = &rest[..rest.len().min(usize::try_from(len).unwrap_or(usize::MAX))];
    if guest.memory.ram.write(at, part) { Ok(at) } else { refuse(libc::ENOMEM) }
}

fn mprotect(guest: &mut Guest, address: u64, len: u64, prot: u64) -> Served {
    if len == 0 && address.is_multiple_of(PAGE) {
        return Ok(0);
    }
    let (start, end) = range(address, len)?;
    guest.memory.protect(start, end, protection(int(prot))).map(|()| 0)
}

fn madvise(guest: &Guest, address: u64, len: u64, advice: i32) -> Served {
    if len == 0 {
        return Ok(0);
    }
    let (start, end) = range(address, len)?;
    mapped(guest, address, len)?;
    match advice {
        // For private memory FREE may behave as DONTNEED (madvise(2)).
        libc::MADV_DONTNEED | libc::MADV_FREE => guest.memory.empty(start, end),
        libc::MADV_NOHUGEPAGE => guest.memory.small(start, end),
        libc::MADV_HUGEPAGE => guest.memory.huge(start, end),
        libc::MADV_POPULATE_READ | libc::MADV_POPULATE_WRITE => guest.memory.ram.populate(start, end - start),
        libc::MADV_REMOVE | libc::MADV_HWPOISON => return refuse(libc::EINVAL),
        _ => {}
    }
    Ok(0)
}

fn mremap(
    guest: &mut Guest,
    (address, old_len): (u64, u64),
    new_len: u64,
    flags: i32,
    new_address: u64,
) -> Served {
    let (start, old_end) = range(address, old_len)?;
    let (_, new_end) = range(address, new_len)?;
    let Some(prot) = guest.memory.space().at(start).map(|a| a.prot) else { return refuse(libc::EFAULT) };
    if !guest.memory.space().allows(start, old_end, 0) {
        return refuse(libc::EFAULT);
    }
    let fixed = flags & libc::MREMAP_FIXED != 0;
    if new_end <= old_end && !fixed {
        guest.memory.unmap(new_end, old_end)?;
        return Ok(start);
    }
    if !fixed && guest.memory.space().is_free(old_end, new_end) {
        let grown = guest.memory.map_zeros(Place::Free(old_end), new_end - old_end, prot);
        if grown.is_ok() {
            return Ok(start);
        }
    }
    if flags & libc::MREMAP_MAYMOVE == 0 {
        return refuse(libc::ENOMEM);
    }
    let place = if fixed { Place::Fixed(new_address) } else { Place::Near(0) };
    let overlap = new_address < old_end && start < new_address.saturating_add(new_len);
    if fixed && (!new_address.is_multiple_of(PAGE) || overlap) {
        return refuse(libc::EINVAL);
    }
    let to = guest.memory.map_zeros(place, new_len, prot)?;
    let len = (old_end - start).min(new_end - start);
    let slices = guest.memory.ram.slice(start, len).zip(guest.memory.ram.slice(to, len));
    let (from, into) = slices.ok_or(Stop::Errno(libc::EFAULT))?;
    from.copy_to_volatile_slice(into);
    guest.memory.unmap(start, old_end)?;
    Ok(to)
}

/// Everything that is mapped may be resident, and a guess is all that the call promises.
fn mincore(guest: &Guest, address: u64, len: u64, vector: u64) -> Served {
    if len == 0 && address.is_multiple_of(PAGE) {
        return Ok(0);
    }
    let (start, end) = range(address, len)?;
    mapped(guest, address, len)?;
    for page in 0..(end - start) / PAGE {
        guest.memory.put(vector.wrapping_add(page), &[1])?;
    }
    Ok(0)
}
