//! A kernel file: recognised, checked, and copied to where it wants to run.
//!
//! Everything that the file's own header promises is checked before a byte of it is believed; the copying is linux-loader's.

use std::fs::File;
use std::os::unix::fs::FileExt;

use linux_loader::loader::bootparam::setup_header;
use linux_loader::loader::elf::PvhBootCapability;
use linux_loader::loader::{BzImage, Elf, KernelLoader};
use vm_memory::{Address, GuestAddress};

use crate::error::Error;
use crate::sys::ram::Ram;

/// Where and in which mode the kernel begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry {
    /// Linux' own 64-bit boot protocol: long mode, identity map, RSI points at the boot parameters.
    Long(u64),
    /// PVH: 32-bit protected mode without paging, EBX points at the start info.
    Pvh(u64),
}

/// A kernel in guest memory.
#[derive(Debug)]
pub struct Kernel {
    /// Where it begins.
    pub entry: Entry,
    /// The setup header of a bzImage, to be completed and handed back to it.
    pub header: Option<setup_header>,
    /// First address beyond everything that it uses before it manages memory by itself.
    pub end: u64,
}

/// From here up is the kernel's; below lie the tables that it starts with.
pub const HIGH: u64 = 1 << 20;
/// The 64-bit entry of a bzImage lies this far behind its load address (Documentation/arch/x86/boot.rst).
const LONG_ENTRY: u64 = 0x200;

/// Bytes of a file that decide what it is.
const HEAD: usize = 0x290;

/// Copies the kernel into guest memory.
///
/// # Errors
/// [`Error::Program`] if the file is not a whole x86-64 kernel, or does not fit.
pub fn load(ram: &Ram, file: &mut File) -> Result<Kernel, Error> {
    let len = file.metadata().map_err(|e| Error::Internal(format!("kernel: {e}")))?.len();
    let mut head = [0; HEAD];
    file.read_exact_at(&mut head, 0).map_err(|_| refuse("it is too short for a kernel"))?;
    if head.starts_with(b"\x7fELF") {
        check_elf(&head)?;
        return load_elf(ram, file);
    }
    check_bzimage(&head, len)?;
    let loaded = BzImage::load(ram.guest(), Some(GuestAddress(HIGH)), file, None).map_err(|e| damaged(&e))?;
    let header = loaded.setup_header.ok_or_else(|| refuse("its header is damaged"))?;
    let (preferred, size) = (header.pref_address, u64::from(header.init_size));
    let end = preferred.max(HIGH).saturating_add(size).max(loaded.kernel_end);
    Ok(Kernel { entry: Entry::Long(HIGH + LONG_ENTRY), header: Some(header), end })
}

fn refuse(why: impl std::fmt::Display) -> Error {
    Error::Program(format!("not a kernel that can boot here: {why}"))
}

fn damaged(e: &linux_loader::loader::Error) -> Error {
    refuse(format!("{e} (a damaged file, or too little guest memory)"))
}

fn field<const N: usize>(head: &[u8; HEAD], at: usize) -> u64 {
    head[at..at + N].iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte))
}

/// What the boot protocol says of a bzImage (Documentation/arch/x86/boot.rst, "the real-mode kernel header").
fn check_bzimage(head: &[u8; HEAD], len: u64) -> Result<(), Error> {
    const MAGIC: u64 = 0x5372_6448;
    const LOADED_HIGH: u64 = 1;
    const HAS_64_BIT_ENTRY: u64 = 1;
    if field::<2>(head, 0x1fe) != 0xaa55 || field::<4>(head, 0x202) != MAGIC {
        return Err(refuse("it is neither a bzImage nor an ELF file"));
    }
    if field::<2>(head, 0x206) < 0x20c || field::<1>(head, 0x211) & LOADED_HIGH == 0 {
        return Err(refuse("its boot protocol is older than 2.12"));
    }
    if field::<2>(head, 0x236) & HAS_64_BIT_ENTRY == 0 || field::<1>(head, 0x234) == 0 {
        return Err(refuse("it has no 64-bit entry, or cannot be moved; take an x86-64 kernel"));
    }
    let sectors = match field::<1>(head, 0x1f1) {
        0 => 4,
        n => n,
    };
    let whole = (sectors + 1) * 512 + field::<4>(head, 0x1f4) * 16;
    if len < whole {
        return Err(refuse(format!("it is cut short: {len} bytes of {whole}")));
    }
    Ok(())
}

fn check_elf(head: &[u8; HEAD]) -> Result<(), Error> {
    const EXECUTABLE: u64 = 2;
    const X86_64: u64 = 62;
    if field::<1>(head, 4) != 2 || field::<2>(head, 16) != EXECUTABLE || field::<2>(head, 18) != X86_64 {
        return Err(refuse("it is an ELF file, but not an x86-64 vmlinux"));
    }
    Ok(())
}

fn load_elf(ram: &Ram, file: &mut File) -> Result<Kernel, Error> {
    let loaded = Elf::load(ram.guest(), None, file, Some(GuestAddress(HIGH))).map_err(|e| damaged(&e))?;
    let entry = match loaded.pvh_boot_cap {
        PvhBootCapability::PvhEntryPresent(at) => Entry::Pvh(at.raw_value()),
        _ => Entry::Long(loaded.kernel_load.raw_value()),
    };
    let (Entry::Pvh(at) | Entry::Long(at)) = entry;
    if !(HIGH..loaded.kernel_end).contains(&at) {
        return Err(refuse("its entry lies outside of it"));
    }
    Ok(Kernel { entry, header: None, end: loaded.kernel_end })
}

#[cfg(test)]
#[path = "../../tests/support/bzimage.rs"]
mod bzimage;

#[cfg(test)]
mod tests {
    use super::bzimage::bzimage;
    use super::*;

    fn ram() -> Ram {
        Ram::new(64 << 20).unwrap()
    }

    fn opened(bytes: &[u8]) -> Result<Kernel, Error> {
        let mut file = tempfile::tempfile().unwrap();
        std::io::Write::write_all(&mut file, bytes).unwrap();
        load(&ram(), &mut file)
    }

    #[track_caller]
    fn refused(bytes: &[u8], with: &str) {
        match opened(bytes) {
            Err(Error::Program(why)) => assert!(why.contains(with), "{why}"),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_bzimage_begins_at_its_64_bit_entry_and_keeps_room_to_unpack() {
        let kernel = opened(&bzimage()).unwrap();
        assert_eq!((kernel.entry, kernel.end), (Entry::Long(HIGH + 0x200), 24 << 20));
        assert!(kernel.header.is_some());
    }

    #[test]
    fn what_is_no_kernel_is_refused_with_its_reason() {
        refused(b"", "too short");
        refused(&[0; 4096], "neither");
        refused(&bzimage()[..4000], "cut short");
        let with = |at: usize, byte: u8| {
            let mut file = bzimage();
            file[at] = byte;
            file
        };
        refused(&with(0x203, b'!'), "neither");
        refused(&with(0x206, 0x05), "older than 2.12");
        refused(&with(0x211, 0), "older than 2.12");
        refused(&with(0x236, 0), "64-bit entry");
        refused(&with(0x234, 0), "64-bit entry");
        let mut elf = vec![0; HEAD];
        elf[..6].copy_from_slice(b"\x7fELF\x02\x01");
        refused(&elf, "not an x86-64 vmlinux");
        (elf[16], elf[18]) = (2, 62);
        refused(&elf, "damaged");
    }
}
