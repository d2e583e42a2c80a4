//! The state of the CPU at a kernel's first instruction, for both ways to begin.

use kvm_bindings::{kvm_dtable, kvm_regs, kvm_segment, kvm_sregs};

use super::kernel::Entry;
use super::params::{GDT, GDT_LEN, PARAMS, PML4};

const CODE: u16 = 0x10;
const DATA: u16 = 0x18;
const TASK: u16 = 0x20;

/// CR0: protection, and the numeric-error bit that every x86-64 has.
const PROTECTED: u64 = 0x11;
const PAGING: u64 = 1 << 31;
const PAE: u64 = 1 << 5;
/// EFER: long mode enabled and active.
const LONG: u64 = 0x500;
/// The one bit of RFLAGS that is always set.
const RFLAGS: u64 = 2;

const fn segment(selector: u16, type_: u8, long: bool) -> kvm_segment {
    kvm_segment {
        base: 0,
        limit: u32::MAX,
        selector,
        type_,
        present: 1,
        dpl: 0,
        db: if long { 0 } else { 1 },
        s: 1,
        l: if long { 1 } else { 0 },
        g: 1,
        avl: 0,
        unusable: 0,
        padding: 0,
    }
}

/// Special registers; `base` is what KVM gave a fresh CPU.
#[must_use]
pub fn special(base: kvm_sregs, entry: Entry) -> kvm_sregs {
    let long = matches!(entry, Entry::Long(_));
    let data = segment(DATA, 3, false);
    // A busy task segment; VMX checks that there is one.
    let task = kvm_segment { s: 0, db: 0, g: 0, limit: 0x67, ..segment(TASK, 11, false) };
    let code = segment(CODE, 11, long);
    let mut state =
        kvm_sregs { cs: code, ds: data, es: data, fs: data, gs: data, ss: data, tr: task, ..base };
    state.cr0 = PROTECTED;
    state.cr4 = 0;
    if long {
        state.gdt = kvm_dtable { base: GDT, limit: GDT_LEN as u16 - 1, padding: [0; 3] };
        state.cr0 = PROTECTED | PAGING;
        state.cr3 = PML4;
        state.cr4 = PAE;
        state.efer = LONG;
    }
    state
}

/// General registers: where to begin and where the parameters are.
#[must_use]
pub fn general(entry: Entry) -> kvm_regs {
    match entry {
        Entry::Long(rip) => kvm_regs { rip, rsi: PARAMS, rflags: RFLAGS, ..kvm_regs::default() },
        Entry::Pvh(rip) => kvm_regs { rip, rbx: PARAMS, rflags: RFLAGS, ..kvm_regs::default() },
    }
}
