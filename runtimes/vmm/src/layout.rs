//! Where everything lies: every guest address, selector, port and flag of the machine.
//!
//! Guest-virtual equals guest-physical. The lowest 2 MiB belong to the machine: its page tables, which no address
//! maps, one kernel page, which only the supervisor may touch, and one page of constant code that the program may
//! execute. Everything above belongs to the program.

/// Smallest page, in bytes.
pub const PAGE: u64 = 4096;
/// What one page-directory entry spans, in bytes.
pub const BLOCK: u64 = 2 << 20;
/// What one page directory spans, in bytes.
pub const GIB: u64 = 1 << 30;

/// Where a local APIC lies in every PC; guests that reach it have none.
pub const APIC: u64 = 0xfee0_0000;

/// Top of the paging hierarchy; page 0 stays unused so that address 0 can never be a table.
pub const PML4: u64 = 0x1000;
/// Its only child.
pub const PDPT: u64 = 0x2000;
/// The page table of block 0; its only present entries are the kernel page and the door.
pub const PT0: u64 = 0x3000;
/// The kernel page: descriptor tables, stubs and the exception stack.
pub const KERNEL: u64 = 0x4000;
/// The door: where SYSCALL goes on a KVM that leaves the CPU in user mode. The program may read and execute it.
pub const DOOR: u64 = 0x5000;
/// From here the page directories, one per GiB, then page tables for blocks that need 4 KiB detail.
pub const TABLES: u64 = 0x6000;
/// End of the machine's own block.
pub const TABLES_END: u64 = BLOCK;

/// Global descriptor table.
pub const GDT: u64 = KERNEL;
/// Bytes of it: null, kernel code and data, an unused slot, a 32-bit slot for SYSRET, user data and code, TSS.
pub const GDT_LEN: u64 = 9 * 8;
/// Task state segment: holds the exception stack pointer.
pub const TSS: u64 = KERNEL + 0x80;
/// Bytes of a 64-bit TSS (Intel SDM vol. 3, 9.7): with this limit there is no I/O bitmap, so user `in` and `out` fault.
pub const TSS_LEN: u64 = 104;
/// The I/O bitmap behind it, which opens [`SYSCALL_PORT`] alone; in force where the limit reaches behind it.
pub const IO_MAP: u64 = TSS + TSS_LEN;
/// Bytes of it. The CPU reads two bytes at a port's place (SDM vol. 1, 20.5.2).
pub const IO_MAP_LEN: u64 = 24;
/// Interrupt descriptor table: the 32 CPU exceptions.
pub const IDT: u64 = KERNEL + 0x100;
/// Number of gates.
pub const VECTORS: u64 = 32;
/// Bytes of it.
pub const IDT_LEN: u64 = VECTORS * 16;
/// Where SYSCALL goes: `out`, then SYSRET.
pub const LSTAR: u64 = KERNEL + 0x400;
/// The SYSRET instruction in that stub.
pub const SYSRET: u64 = LSTAR + 2;
/// A lone IRETQ: the other way back to the program.
pub const IRETQ: u64 = KERNEL + 0x410;
/// One stub per vector.
pub const STUBS: u64 = KERNEL + 0x420;
/// Bytes from stub to stub.
pub const STUB_LEN: u64 = 4;
/// Exception stack (IST 1): grows down from the end of the kernel page.
pub const STACK_TOP: u64 = KERNEL + PAGE;
/// Where the CPU leaves RIP, CS, RFLAGS, RSP, SS of the interrupted code (SDM vol. 3, 7.14.2).
pub const FRAME: u64 = STACK_TOP - 40;
/// Where it leaves the error code, for the exceptions that have one.
pub const ERROR_CODE: u64 = FRAME - 8;

const _: () = assert!(PML4 + PAGE <= PDPT && PDPT + PAGE <= PT0 && PT0 + PAGE <= KERNEL);
const _: () = assert!(GDT + GDT_LEN <= TSS && IO_MAP + IO_MAP_LEN <= IDT && IDT + IDT_LEN <= LSTAR);
const _: () =
    assert!(SYSCALL_PORT as u64 / 8 + 2 <= IO_MAP_LEN && KERNEL + PAGE <= DOOR && DOOR + PAGE <= TABLES);
const _: () =
    assert!(SYSRET + 3 <= IRETQ && IRETQ + 2 <= STUBS && STUBS + VECTORS * STUB_LEN <= ERROR_CODE - 256);
const _: () = assert!(STACK_TOP.is_multiple_of(16) && TABLES < TABLES_END);

/// Kernel code selector; SYSCALL loads it and takes the next descriptor as stack segment.
pub const KERNEL_CS: u16 = 0x08;
/// Kernel data selector.
pub const KERNEL_SS: u16 = 0x10;
/// What SYSRET starts from: it takes +8 as stack segment and +16 as 64-bit code segment.
pub const USER_BASE: u16 = 0x23;
/// User data selector, privilege level 3.
pub const USER_SS: u16 = 0x2b;
/// User code selector, privilege level 3: what Linux programs see too.
pub const USER_CS: u16 = 0x33;
/// Task register.
pub const TSS_SELECTOR: u16 = 0x38;

const _: () = assert!(KERNEL_SS == KERNEL_CS + 8 && USER_SS == USER_BASE + 8 && USER_CS == USER_BASE + 16);

/// Exception `v` of the CPU arrives as a write to port `EXCEPTION_PORT + v`.
pub const EXCEPTION_PORT: u16 = 0x80;
/// A system call arrives as a write to this port.
pub const SYSCALL_PORT: u16 = 0xa0;

// KVM treats port 0x7e specially (KVM_X86_QUIRK_OUT_7E_INC_RIP).
const _: () = assert!(EXCEPTION_PORT > 0x7e && EXCEPTION_PORT + VECTORS as u16 <= SYSCALL_PORT);

/// CR0: PE, MP, ET, NE, WP, AM, PG.
pub const CR0: u64 = 0x8005_0033;
/// CR4: PAE, OSFXSR, OSXMMEXCPT.
pub const CR4: u64 = 0x620;
/// CR4.FSGSBASE, set where the host's kernel lets programs use it.
pub const CR4_FSGSBASE: u64 = 1 << 16;
/// CR4.OSXSAVE, set where the host's kernel has it.
pub const CR4_OSXSAVE: u64 = 1 << 18;
/// EFER: SCE, LME, LMA, NXE.
pub const EFER: u64 = 0xd01;
/// RFLAGS of a fresh program: interrupts on, as under Linux.
pub const RFLAGS: u64 = 0x202;
/// RFLAGS that the program may choose: CF PF AF ZF SF TF DF OF NT RF AC ID; never IF, IOPL, VM.
pub const RFLAGS_USER: u64 = 0x25_4dd5;
/// What SYSCALL clears (IA32_FMASK): TF, IF, DF, IOPL, NT, AC.
pub const SYSCALL_MASK: u64 = 0x4_7700;

/// First address of the program's memory.
pub const USER_START: u64 = BLOCK;
/// Where a position-independent program is put.
pub const PIE_BASE: u64 = 2 * BLOCK;
/// Most stack, in bytes: Linux' default limit.
pub const STACK_MAX: u64 = 8 << 20;
/// Least guest memory, in bytes.
pub const MEMORY_MIN: u64 = 16 << 20;
/// Most guest memory, in bytes: what the page directories in block 0 can still describe with room for detail.
pub const MEMORY_MAX: u64 = 64 * GIB;

const _: () = assert!(TABLES + (MEMORY_MAX / GIB) * PAGE < TABLES_END / 2);

/// Where guest memory lies in the VMM's own process, so that its harness can account for it while it runs. If
/// something is there already it lies elsewhere, and the status says where.
pub const HOST_BASE: u64 = 1 << 44;

const _: () = assert!(HOST_BASE.is_multiple_of(GIB) && HOST_BASE + MEMORY_MAX < 1 << 47);

/// The program's stack in a guest with `memory` bytes: an eighth, at most [`STACK_MAX`], whole blocks, at the top.
#[must_use]
pub const fn stack_start(memory: u64) -> u64 {
    let eighth = memory / 8 / BLOCK * BLOCK;
    let len = if eighth > STACK_MAX { STACK_MAX } else { eighth };
    memory - len
}

/// End of what the program may map: one block below its stack stays unmapped as a guard.
#[must_use]
pub const fn map_end(memory: u64) -> u64 {
    stack_start(memory) - BLOCK
}

const _: () = assert!(stack_start(MEMORY_MIN) < MEMORY_MIN && map_end(MEMORY_MIN) > PIE_BASE + BLOCK);
