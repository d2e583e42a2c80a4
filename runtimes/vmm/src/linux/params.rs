//! What a kernel finds in memory when it begins: a memory map, its command line, its initramfs, and for the 64-bit entry
//! descriptor and page tables.
//!
//! Guest-physical addresses below 640 KiB that no stock kernel needs before it has read them.

use linux_loader::configurator::linux::LinuxBootConfigurator;
use linux_loader::configurator::pvh::PvhBootConfigurator;
use linux_loader::configurator::{BootConfigurator, BootParams};
use linux_loader::loader::bootparam::{boot_e820_entry, boot_params, setup_header};
use linux_loader::loader::elf::start_info::{hvm_memmap_table_entry, hvm_modlist_entry, hvm_start_info};
use vm_memory::GuestAddress;

use super::kernel::{Entry, HIGH, Kernel};
use crate::error::Error;
use crate::layout::{GIB, PAGE};
use crate::sys::ram::Ram;

/// Descriptor table: null, code, data, task (each 8 bytes; the task segment 16 in long mode).
pub const GDT: u64 = 0x500;
/// Bytes of it.
pub const GDT_LEN: u64 = 5 * 8;
/// Boot parameters ("zero page"), or the start info of PVH.
pub const PARAMS: u64 = 0x7000;
/// Top of the page tables that map the first four GiB onto themselves.
pub const PML4: u64 = 0x9000;
const PDPT: u64 = 0xa000;
const PD: u64 = 0xb000;
const PVH_MODULES: u64 = 0x6000;
const PVH_MAP: u64 = 0x6800;
const COMMAND_LINE: u64 = 0x2_0000;

/// End of conventional memory: the extended BIOS data area would begin here.
const LOW_END: u64 = 0x9_fc00;
/// Memory from here to 4 GiB is left to the interrupt controllers and KVM's own pages.
pub const HOLE: u64 = 3 * GIB;
/// Where memory goes on above the hole.
pub const ABOVE: u64 = 4 * GIB;

/// What is put beside the kernel.
#[derive(Clone, Copy, Debug)]
pub struct Beside<'a> {
    /// The kernel's command line.
    pub command_line: &'a [u8],
    /// The initramfs: address and length.
    pub initrd: (u64, u64),
}

/// The memory map: start and length of everything that is RAM.
#[must_use]
pub fn map(memory: u64) -> Vec<(u64, u64)> {
    let mut all = vec![(0, LOW_END), (HIGH, memory.min(HOLE) - HIGH)];
    if memory > HOLE {
        all.push((ABOVE, memory - HOLE));
    }
    all
}

/// Where an initramfs of `len` bytes goes: as high as a kernel can read it, on a page.
///
/// # Errors
/// [`Error::Program`] if kernel and initramfs do not fit into guest memory together.
pub fn place_initrd(kernel: &Kernel, memory: u64, len: u64) -> Result<u64, Error> {
    // Kernels before protocol 2.03 aside, all read it anywhere below 2 GiB.
    let end = memory.min(2 * GIB);
    let at = end.saturating_sub(len) / PAGE * PAGE;
    if at < kernel.end {
        let needed = kernel.end.saturating_add(len).div_ceil(1 << 20);
        return Err(Error::Program(format!(
            "kernel and initramfs need {needed} MiB of guest memory before they start; there are {} MiB",
            memory >> 20
        )));
    }
    Ok(at)
}

/// Writes everything that the kernel's entry wants to find.
///
/// # Errors
/// If something lies outside guest memory.
pub fn write(ram: &Ram, kernel: &Kernel, beside: &Beside<'_>) -> Result<(), Error> {
    put(ram, COMMAND_LINE, beside.command_line)?;
    put(ram, COMMAND_LINE + beside.command_line.len() as u64, &[0])?;
    match kernel.entry {
        Entry::Long(_) => {
            tables(ram)?;
            zero_page(ram, kernel.header, beside)
        }
        Entry::Pvh(_) => start_info(ram, beside),
    }
}

fn put(ram: &Ram, address: u64, bytes: &[u8]) -> Result<(), Error> {
    let written = ram.write(address, bytes);
    written.then_some(()).ok_or_else(|| Error::Internal(format!("{address:#x} is outside guest memory")))
}

/// Flat segments, and the first four GiB mapped onto themselves by 2 MiB pages.
fn tables(ram: &Ram) -> Result<(), Error> {
    const TABLE: u64 = 3;
    const LARGE: u64 = 0x83;
    let segments = [0, 0, 0x00af_9b00_0000_ffff_u64, 0x00cf_9300_0000_ffff, 0x008f_8b00_0000_ffff];
    ram.store_all(GDT, &segments);
    ram.store(PML4, PDPT | TABLE)?;
    for i in 0..4 {
        ram.store(PDPT + i * 8, (PD + i * PAGE) | TABLE)?;
        let entries: Vec<u64> = (0..512).map(|j| i << 30 | j << 21 | LARGE).collect();
        ram.store_all(PD + i * PAGE, &entries);
    }
    Ok(())
}

fn zero_page(ram: &Ram, header: Option<setup_header>, beside: &Beside<'_>) -> Result<(), Error> {
    const UNKNOWN_LOADER: u8 = 0xff;
    const RAM: u32 = 1;
    let hdr = header.unwrap_or_else(|| setup_header {
        boot_flag: 0xaa55,
        header: 0x5372_6448,
        kernel_alignment: 0x100_0000,
        ..setup_header::default()
    });
    let mut params = boot_params { hdr, ..boot_params::default() };
    params.hdr.type_of_loader = UNKNOWN_LOADER;
    params.hdr.cmd_line_ptr = low(COMMAND_LINE)?;
    params.hdr.cmdline_size = low(beside.command_line.len() as u64)?;
    params.hdr.ramdisk_image = low(beside.initrd.0)?;
    params.hdr.ramdisk_size = low(beside.initrd.1)?;
    let map = map(ram.len());
    for (entry, (addr, size)) in params.e820_table.iter_mut().zip(&map) {
        *entry = boot_e820_entry { addr: *addr, size: *size, r#type: RAM };
    }
    params.e820_entries = map.len() as u8;
    let params = BootParams::new(&params, GuestAddress(PARAMS));
    LinuxBootConfigurator::write_bootparams(&params, ram.guest())
        .map_err(|e| Error::Internal(format!("boot parameters: {e}")))
}

/// The start info of PVH (xen/include/public/arch-x86/hvm/start_info.h).
fn start_info(ram: &Ram, beside: &Beside<'_>) -> Result<(), Error> {
    const MAGIC: u32 = 0x336e_c578;
    const RAM: u32 = 1;
    let map: Vec<_> = map(ram.len())
        .into_iter()
        .map(|(addr, size)| hvm_memmap_table_entry { addr, size, type_: RAM, reserved: 0 })
        .collect();
    let module =
        hvm_modlist_entry { paddr: beside.initrd.0, size: beside.initrd.1, ..hvm_modlist_entry::default() };
    let info = hvm_start_info {
        magic: MAGIC,
        version: 1,
        nr_modules: 1,
        modlist_paddr: PVH_MODULES,
        cmdline_paddr: COMMAND_LINE,
        memmap_paddr: PVH_MAP,
        memmap_entries: map.len() as u32,
        ..hvm_start_info::default()
    };
    let mut params = BootParams::new(&info, GuestAddress(PARAMS));
    params.set_sections(&map, GuestAddress(PVH_MAP));
    params.set_modules(&[module], GuestAddress(PVH_MODULES));
    PvhBootConfigurator::write_bootparams(&params, ram.guest())
        .map_err(|e| Error::Internal(format!("start info: {e}")))
}

fn low(number: u64) -> Result<u32, Error> {
    u32::try_from(number)
        .map_err(|_| Error::Internal(format!("{number:#x} does not fit the boot parameters")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_map_covers_all_memory_but_the_holes() {
        assert_eq!(map(128 << 20), [(0, LOW_END), (HIGH, 127 << 20)]);
        let large = map(6 * GIB);
        assert_eq!(large[2], (ABOVE, 3 * GIB));
        assert_eq!(large[1], (HIGH, HOLE - HIGH));
    }

    #[test]
    fn an_initramfs_lies_above_the_kernel_or_nowhere() {
        let kernel = Kernel { entry: Entry::Long(HIGH), header: None, end: 70 << 20 };
        assert_eq!(place_initrd(&kernel, 128 << 20, 5000).unwrap(), (128 << 20) - 8192);
        assert_eq!(place_initrd(&kernel, 8 * GIB, 4096).unwrap(), 2 * GIB - 4096);
        let error = place_initrd(&kernel, 71 << 20, 2 << 20).expect_err("does not fit").to_string();
        assert!(error.contains("72 MiB") && error.contains("71 MiB"), "{error}");
    }

    #[test]
    fn both_entries_find_the_command_line_and_the_initramfs() {
        let ram = Ram::new(64 << 20).unwrap();
        let beside = Beside { command_line: b"quiet", initrd: (0x300_0000, 4096) };
        for entry in [Entry::Long(HIGH), Entry::Pvh(HIGH)] {
            write(&ram, &Kernel { entry, header: None, end: HIGH }, &beside).unwrap();
            let mut line = [0; 6];
            assert!(ram.read(COMMAND_LINE, &mut line));
            assert_eq!(&line, b"quiet\0");
            let word = |at: u64| ram.load(at).unwrap();
            match entry {
                Entry::Long(_) => {
                    // ramdisk_image and ramdisk_size stand side by side at 0x218.
                    assert_eq!(word(PARAMS + 0x218), 0x300_0000 | 4096 << 32);
                    assert_eq!(word(PARAMS + 0x228) & 0xffff_ffff, COMMAND_LINE);
                    assert_eq!(word(PD + 8), 2 << 20 | 0x83);
                }
                Entry::Pvh(_) => {
                    assert_eq!(word(PARAMS + 24), COMMAND_LINE);
                    assert_eq!((word(PVH_MODULES), word(PVH_MODULES + 8)), (0x300_0000, 4096));
                }
            }
        }
    }
}
