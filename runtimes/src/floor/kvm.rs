//! The bare virtual machine of `floor-microvm`: one page of memory, one CPU, one instruction.
//!
//! The guest is a single `out` at address 0 in real mode, which every KVM runs alike (a `hlt` would wait inside the
//! kernel for an interrupt).

use std::fs;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use isomark_core::{Error, Site, Unavailable};
use kvm_ioctls::{Kvm, VcpuExit, VcpuFd, VmFd};

use super::super::kvm::{Page, map_into};

/// `mov eax, 60; xor edi, edi; syscall` behind the smallest ELF header that the kernel takes.
pub(super) fn empty_program(site: &Site) -> Result<PathBuf, Error> {
    let path = site.dir().join("empty");
    if !path.exists() {
        let mut file = fs::OpenOptions::new();
        file.create(true).truncate(true).write(true).mode(0o700);
        let written = file.open(&path).and_then(|mut f| std::io::Write::write_all(&mut f, &empty_elf()));
        written.map_err(|e| Error::os(format!("write {}", path.display()), e))?;
    }
    Ok(path)
}

fn empty_elf() -> Vec<u8> {
    const BASE: u64 = 0x40_0000;
    const CODE: [u8; 9] = [0xb8, 60, 0, 0, 0, 0x31, 0xff, 0x0f, 0x05];
    let mut elf = b"\x7fELF\x02\x01\x01".to_vec();
    elf.resize(16, 0);
    elf.extend([2_u16, 62].map(u16::to_le_bytes).concat());
    elf.extend(1_u32.to_le_bytes());
    // Entry, program headers at 64, no sections.
    elf.extend([BASE + 120, 64, 0].map(u64::to_le_bytes).concat());
    elf.extend(0_u32.to_le_bytes());
    elf.extend([64_u16, 56, 1, 0, 0, 0].map(u16::to_le_bytes).concat());
    // One loadable segment, readable and executable, the whole file.
    elf.extend([1_u32, 5].map(u32::to_le_bytes).concat());
    let size = 120 + CODE.len() as u64;
    elf.extend([0, BASE, BASE, size, size, 4096].map(u64::to_le_bytes).concat());
    elf.extend(CODE);
    elf
}

/// Whether `/dev/kvm` can be used.
pub(super) fn available() -> Result<(), Unavailable> {
    crate::kvm::open().map(drop)
}

/// A virtual machine that has made its first exit.
pub(super) struct Machine {
    // Field order is drop order: the CPU before its machine, the memory last.
    _cpu: VcpuFd,
    _machine: VmFd,
    _memory: Page,
}

impl Machine {
    pub(super) fn until_first_exit(apic: bool) -> Result<Self, Error> {
        let fail = |op: &'static str| move |e: kvm_ioctls::Error| Error::os(op, std::io::Error::from(e));
        let kvm = Kvm::new().map_err(fail("open /dev/kvm"))?;
        let machine = kvm.create_vm().map_err(fail("KVM_CREATE_VM"))?;
        if apic {
            // As in the VMM, which says why. A kernel that refuses is only slower.
            let apic = kvm_bindings::kvm_enable_cap {
                cap: kvm_bindings::KVM_CAP_SPLIT_IRQCHIP,
                ..kvm_bindings::kvm_enable_cap::default()
            };
            let _ = machine.enable_cap(&apic);
        }
        let memory = Page::holding(&[0xe6, 0x80]).map_err(|e| Error::os("map a page", e))?;
        map_into(&machine, &memory).map_err(fail("KVM_SET_USER_MEMORY_REGION"))?;
        let mut cpu = machine.create_vcpu(0).map_err(fail("KVM_CREATE_VCPU"))?;
        let mut state = cpu.get_sregs().map_err(fail("KVM_GET_SREGS"))?;
        (state.cs.base, state.cs.selector) = (0, 0);
        cpu.set_sregs(&state).map_err(fail("KVM_SET_SREGS"))?;
        let start = kvm_bindings::kvm_regs { rip: 0, rflags: 2, ..Default::default() };
        cpu.set_regs(&start).map_err(fail("KVM_SET_REGS"))?;
        match cpu.run().map_err(fail("KVM_RUN"))? {
            VcpuExit::IoOut(0x80, _) => {}
            other => {
                return Err(Error::Unsupported(format!(
                    "the bare machine left with {other:?}, not with its write to a port"
                )));
            }
        }
        Ok(Self { _cpu: cpu, _machine: machine, _memory: memory })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_empty_program_is_one_that_the_kernel_starts() {
        let parent = tempfile::tempdir().unwrap();
        let site = Site::open(parent.path()).unwrap();
        let status = std::process::Command::new(empty_program(&site).unwrap()).status().unwrap();
        assert!(status.success());
    }
}
