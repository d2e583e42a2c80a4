//! The bytes of the kernel page and the state a fresh vCPU starts in.
//!
//! A guest kernel of some 150 bytes of code: every way in from the program is an `out` that ends in this process, and
//! every way back is SYSRET or IRETQ. It holds no state and takes no decision.

use kvm_bindings::{kvm_dtable, kvm_segment, kvm_sregs};

use crate::door;
use crate::error::Error;
use crate::layout::{
    APIC, CR0, CR4, DOOR, EFER, EXCEPTION_PORT, GDT, GDT_LEN, IDT, IDT_LEN, IO_MAP, IO_MAP_LEN, IRETQ,
    KERNEL, KERNEL_CS, LSTAR, PML4, STACK_TOP, STUB_LEN, STUBS, SYSCALL_PORT, TSS, TSS_LEN, TSS_SELECTOR,
    USER_CS, USER_SS, VECTORS,
};
use crate::sys::ram::Ram;

/// How much of the kernel page is not zero at the start.
pub const KERNEL_IMAGE_LEN: usize = (STUBS + VECTORS * STUB_LEN - KERNEL) as usize;

/// What lies at [`KERNEL`]; built by the compiler, copied once.
pub static KERNEL_IMAGE: [u8; KERNEL_IMAGE_LEN] = kernel_image();

const fn put<const N: usize>(
    mut image: [u8; KERNEL_IMAGE_LEN],
    at: u64,
    bytes: [u8; N],
) -> [u8; KERNEL_IMAGE_LEN] {
    let mut i = 0;
    while i < N {
        image[(at - KERNEL) as usize + i] = bytes[i];
        i += 1;
    }
    image
}

const fn kernel_image() -> [u8; KERNEL_IMAGE_LEN] {
    let mut image = tss(gdt([0; KERNEL_IMAGE_LEN]));
    let mut vector = 0;
    while vector < VECTORS {
        let stub = STUBS + vector * STUB_LEN;
        image = put(image, IDT + vector * 16, gate(stub, vector));
        // out %al, $port; then hlt twice: the host always resumes elsewhere.
        image = put(image, stub, [0xe6, EXCEPTION_PORT as u8 + vector as u8, 0xf4, 0xf4]);
        vector += 1;
    }
    // out %al, $port; sysretq
    image = put(image, LSTAR, [0xe6, SYSCALL_PORT as u8, 0x48, 0x0f, 0x07]);
    // iretq
    put(image, IRETQ, [0x48, 0xcf])
}

/// Descriptors (SDM vol. 3, 3.4.5) with their accessed bits preset, so that loading one writes nothing.
const fn gdt(image: [u8; KERNEL_IMAGE_LEN]) -> [u8; KERNEL_IMAGE_LEN] {
    let image = put(image, GDT + KERNEL_CS as u64, 0x00af_9b00_0000_ffff_u64.to_le_bytes());
    let image = put(image, GDT + 0x10, 0x00cf_9300_0000_ffff_u64.to_le_bytes());
    let image = put(image, GDT + (USER_SS & !3) as u64, 0x00cf_f300_0000_ffff_u64.to_le_bytes());
    let image = put(image, GDT + (USER_CS & !3) as u64, 0x00af_fb00_0000_ffff_u64.to_le_bytes());
    // 64-bit TSS, busy (type 11), byte granular: limit, base 23:0, type, base 31:24; the upper half is zero.
    let tss = (TSS_LEN - 1) | (TSS & 0xff_ffff) << 16 | 0x8b << 40 | (TSS >> 24 & 0xff) << 56;
    put(image, GDT + TSS_SELECTOR as u64, tss.to_le_bytes())
}

/// RSP0 and IST 1 point at the exception stack; whether the I/O map behind the segment counts is its limit's to say.
const fn tss(image: [u8; KERNEL_IMAGE_LEN]) -> [u8; KERNEL_IMAGE_LEN] {
    let image = put(image, TSS + 4, STACK_TOP.to_le_bytes());
    let image = put(image, TSS + 36, STACK_TOP.to_le_bytes());
    let image = put(image, TSS + 102, ((IO_MAP - TSS) as u16).to_le_bytes());
    let mut closed = [0xff; IO_MAP_LEN as usize];
    closed[SYSCALL_PORT as usize / 8] = !(1 << (SYSCALL_PORT % 8));
    put(image, IO_MAP, closed)
}

/// Interrupt gate on IST 1 (SDM vol. 3, 7.14.1). Only `int3` and `into` may be raised by the program itself.
const fn gate(stub: u64, vector: u64) -> [u8; 16] {
    let privilege = if vector == 3 || vector == 4 { 0xee } else { 0x8e };
    let low =
        (stub & 0xffff) | (KERNEL_CS as u64) << 16 | 1 << 32 | privilege << 40 | (stub >> 16 & 0xffff) << 48;
    let (low, high) = (low.to_le_bytes(), (stub >> 32).to_le_bytes());
    let mut bytes = [0; 16];
    let mut i = 0;
    while i < 8 {
        bytes[i] = low[i];
        bytes[8 + i] = high[i];
        i += 1;
    }
    bytes
}

/// Writes the kernel page and the door into guest memory.
///
/// # Errors
/// If there is no memory there.
pub fn install(ram: &Ram) -> Result<(), Error> {
    if ram.write(KERNEL, &KERNEL_IMAGE) && ram.write(DOOR, &door::CODE) {
        return Ok(());
    }
    Err(Error::Internal("the kernel page lies outside guest memory".into()))
}

/// Special registers of a vCPU that is in the middle of a 64-bit user program. `cr4` adds feature bits to [`CR4`];
/// `ports`: whether the I/O map counts; `bases` are those of FS and GS.
#[must_use]
pub fn user_mode(cr4: u64, ports: bool, bases: [u64; 2]) -> kvm_sregs {
    let code = kvm_segment {
        limit: u32::MAX,
        selector: USER_CS,
        type_: 11,
        present: 1,
        dpl: 3,
        s: 1,
        l: 1,
        g: 1,
        ..kvm_segment::default()
    };
    let stack = kvm_segment { selector: USER_SS, type_: 3, db: 1, l: 0, ..code };
    // Null selectors, as Linux leaves them; the bases of FS and GS still count in 64-bit mode.
    let null = kvm_segment { unusable: 1, ..kvm_segment::default() };
    let tr = kvm_segment {
        base: TSS,
        limit: (TSS_LEN + if ports { IO_MAP_LEN } else { 0 }) as u32 - 1,
        selector: TSS_SELECTOR,
        type_: 11,
        present: 1,
        ..kvm_segment::default()
    };
    let table = |base, len| kvm_dtable { base, limit: len as u16 - 1, ..kvm_dtable::default() };
    kvm_sregs {
        cs: code,
        ss: stack,
        ds: null,
        es: null,
        fs: kvm_segment { base: bases[0], ..null },
        gs: kvm_segment { base: bases[1], ..null },
        tr,
        ldt: null,
        gdt: table(GDT, GDT_LEN),
        idt: table(IDT, IDT_LEN),
        cr0: CR0,
        cr3: PML4,
        cr4: CR4 | cr4,
        efer: EFER,
        // As KVM gives it to the first vCPU: enabled, bootstrap processor.
        apic_base: APIC | 1 << 11 | 1 << 8,
        ..kvm_sregs::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_gate_leads_to_its_stub_and_every_stub_to_its_port() {
        let at = |address: u64, len: usize| {
            let from = (address - KERNEL) as usize;
            &KERNEL_IMAGE[from..from + len]
        };
        for vector in 0..VECTORS {
            let gate = at(IDT + vector * 16, 16);
            let offset = u64::from(u16::from_le_bytes([gate[0], gate[1]]));
            assert_eq!(offset, STUBS + vector * STUB_LEN, "vector {vector}");
            assert_eq!(at(offset, 2), [0xe6, 0x80 + vector as u8]);
            assert_eq!(gate[4], 1, "interrupt stack table entry of vector {vector}");
        }
        assert_eq!(at(LSTAR, 5), [0xe6, 0xa0, 0x48, 0x0f, 0x07]);
    }

    #[test]
    fn the_task_state_segment_opens_no_port_but_that_of_the_door() {
        let limit = |ports| u64::from(user_mode(0, ports, [0; 2]).tr.limit);
        assert!(limit(false) < TSS_LEN && limit(true) == TSS_LEN + IO_MAP_LEN - 1);
        let at = (TSS + 102 - KERNEL) as usize;
        assert_eq!(u16::from_le_bytes([KERNEL_IMAGE[at], KERNEL_IMAGE[at + 1]]), TSS_LEN as u16);
        let map = &KERNEL_IMAGE[(IO_MAP - KERNEL) as usize..][..IO_MAP_LEN as usize];
        let open = (0..map.len() * 8).filter(|port| map[port / 8] & 1 << (port % 8) == 0);
        assert_eq!(open.collect::<Vec<_>>(), [usize::from(SYSCALL_PORT)]);
    }
}
