//! The virtual machine for a stock kernel: KVM's interrupt controllers and timer, memory around the hole, one CPU.

use kvm_bindings::{
    KVM_MAX_CPUID_ENTRIES, KVM_PIT_SPEAKER_DUMMY, Msrs, kvm_lapic_state, kvm_msr_entry, kvm_pit_config,
};
use kvm_ioctls::{Cap, Kvm, VcpuFd, VmFd};

use super::entry;
use super::kernel::Entry;
use super::params::{ABOVE, HOLE};
use crate::error::Error;
use crate::mask::Mask;
use crate::sys::kvm;
use crate::sys::ram::Ram;

/// A machine that has not run yet.
#[derive(Debug)]
pub struct Machine {
    /// Its CPU.
    pub vcpu: VcpuFd,
    /// The machine itself: interrupts are raised on it.
    pub vm: VmFd,
}

/// Three pages that KVM needs for real mode on older processors with VMX, and the page table for it; below the BIOS.
const TSS: usize = 0xfffb_d000;
const IDENTITY_MAP: u64 = 0xfffb_c000;

/// Makes it; tells each thing made.
///
/// # Errors
/// Which request KVM refused.
pub fn make(kvm: &Kvm, ram: &Ram, mut tell: impl FnMut(&'static str)) -> Result<Machine, Error> {
    let vm = kvm.create_vm().map_err(Error::kvm("KVM_CREATE_VM"))?;
    tell("vm");
    vm.set_identity_map_address(IDENTITY_MAP).map_err(Error::kvm("KVM_SET_IDENTITY_MAP_ADDR"))?;
    vm.set_tss_address(TSS).map_err(Error::kvm("KVM_SET_TSS_ADDR"))?;
    vm.create_irq_chip().map_err(Error::kvm("KVM_CREATE_IRQCHIP"))?;
    if kvm.check_extension(Cap::Pit2) {
        let pit = kvm_pit_config { flags: KVM_PIT_SPEAKER_DUMMY, ..kvm_pit_config::default() };
        vm.create_pit2(pit).map_err(Error::kvm("KVM_CREATE_PIT2"))?;
    }
    tell("interrupts");
    kvm::set_slot(&vm, ram, 0, 0, 0, ram.len().min(HOLE))?;
    if ram.len() > HOLE {
        kvm::set_slot(&vm, ram, 1, ABOVE, HOLE, ram.len() - HOLE)?;
    }
    tell("slot");
    let vcpu = vm.create_vcpu(0).map_err(Error::kvm("KVM_CREATE_VCPU"))?;
    tell("vcpu");
    Ok(Machine { vcpu, vm })
}

impl Machine {
    /// Gives the CPU its features and the state in which the kernel begins.
    ///
    /// # Errors
    /// Which request KVM refused.
    pub fn prepare(&self, kvm: &Kvm, at: Entry, mask: &Mask) -> Result<(), Error> {
        self.features(kvm, mask)?;
        self.registers()?;
        let base = self.vcpu.get_sregs().map_err(Error::kvm("KVM_GET_SREGS"))?;
        self.vcpu.set_sregs(&entry::special(base, at)).map_err(Error::kvm("KVM_SET_SREGS"))?;
        self.vcpu.set_regs(&entry::general(at)).map_err(Error::kvm("KVM_SET_REGS"))?;
        self.wire_interrupts()
    }

    /// CPUID as KVM supports it, without what the mask hides.
    fn features(&self, kvm: &Kvm, mask: &Mask) -> Result<(), Error> {
        const TSC_DEADLINE: u32 = 1 << 24;
        const HYPERVISOR: u32 = 1 << 31;
        let mut cpuid =
            kvm.get_supported_cpuid(KVM_MAX_CPUID_ENTRIES).map_err(Error::kvm("KVM_GET_SUPPORTED_CPUID"))?;
        mask.apply(&mut cpuid);
        let deadline = if kvm.check_extension(Cap::TscDeadlineTimer) { TSC_DEADLINE } else { 0 };
        for entry in cpuid.as_mut_slice() {
            match entry.function {
                // The APIC id of this CPU is 0; one logical processor.
                1 => {
                    entry.ebx = entry.ebx & 0x0000_ffff | 1 << 16;
                    entry.ecx |= HYPERVISOR | deadline;
                }
                0xb | 0x1f => entry.edx = 0,
                _ => {}
            }
        }
        self.vcpu.set_cpuid2(&cpuid).map_err(Error::kvm("KVM_SET_CPUID2"))
    }

    /// What firmware would have set: memory is cacheable by default, string instructions are fast. Not every KVM has both
    /// registers, and a kernel does without.
    fn registers(&self) -> Result<(), Error> {
        const MTRR_DEFAULT: (u32, u64) = (0x2ff, 0x806);
        const MISC_ENABLE: (u32, u64) = (0x1a0, 1);
        for (index, data) in [MTRR_DEFAULT, MISC_ENABLE] {
            let entry = kvm_msr_entry { index, data, ..kvm_msr_entry::default() };
            let one =
                Msrs::from_entries(&[entry]).map_err(|e| Error::Internal(format!("KVM_SET_MSRS: {e:?}")))?;
            self.vcpu.set_msrs(&one).map_err(Error::kvm("KVM_SET_MSRS"))?;
        }
        Ok(())
    }

    /// "Virtual wire": the 8259 reaches the CPU through LINT0 of its APIC, as after a BIOS (MP specification 3.6.2.2).
    fn wire_interrupts(&self) -> Result<(), Error> {
        const LINT0: usize = 0x350;
        const LINT1: usize = 0x360;
        const EXTERNAL: u32 = 0x700;
        const NMI: u32 = 0x400;
        let mut apic = self.vcpu.get_lapic().map_err(Error::kvm("KVM_GET_LAPIC"))?;
        deliver(&mut apic, LINT0, EXTERNAL);
        deliver(&mut apic, LINT1, NMI);
        self.vcpu.set_lapic(&apic).map_err(Error::kvm("KVM_SET_LAPIC"))
    }
}

/// Sets the delivery mode of a local vector and unmasks it.
fn deliver(apic: &mut kvm_lapic_state, register: usize, mode: u32) {
    for (at, byte) in apic.regs[register..register + 4].iter_mut().zip(mode.to_le_bytes()) {
        *at = i8::from_le_bytes([byte]);
    }
}
