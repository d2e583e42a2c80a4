//! The virtual machine: one VM, one memory slot, one vCPU that starts in the middle of a user program.
//!
//! Two classes of KVM differ here and nowhere else. With VMX or SVM the guest's CPUID, XCR0 and time-stamp counter are
//! KVM's to give. A pagetable-based KVM cannot intercept CPUID in user mode: the program sees the host's CPU, and every
//! request that says otherwise would cost time and change nothing.

use kvm_bindings::{KVM_MAX_CPUID_ENTRIES, Msrs, kvm_msr_entry, kvm_regs, kvm_xcr, kvm_xcrs, kvm_xsave};
use kvm_ioctls::{Kvm, SyncReg, VcpuExit, VcpuFd, VmFd};

use crate::error::{End, Error};
use crate::layout::{
    APIC, CR4_FSGSBASE, CR4_OSXSAVE, EXCEPTION_PORT, KERNEL_CS, LSTAR, SYSCALL_MASK, SYSCALL_PORT, USER_BASE,
    VECTORS,
};
use crate::mask::Mask;
use crate::stack;
use crate::sys::ram::Ram;
use crate::sys::{host, kvm};
use crate::{boot, door};

/// What the host's CPU and kernel offer a program.
#[derive(Clone, Copy, Debug)]
pub struct Cpu {
    /// KVM runs on VMX or SVM.
    hardware: bool,
    /// The kernel has enabled XSAVE.
    xsave: bool,
    /// The kernel has enabled FSGSBASE.
    fsgsbase: bool,
    /// CPUID.1: EAX (family, model, stepping), ECX, EDX.
    basic: [u32; 3],
    /// What its mask hides, as a number.
    mask: u64,
}

impl Cpu {
    /// Asks the host; two CPUID instructions, which trap where the host is itself a guest.
    #[must_use]
    pub fn of_host() -> Self {
        let basic = host::cpuid(1, 0);
        let vmx = basic.ecx & (1 << 5) != 0;
        let svm = || host::cpuid(0x8000_0001, 0).ecx & (1 << 2) != 0;
        Self {
            hardware: vmx || svm(),
            xsave: basic.ecx & (1 << 27) != 0,
            fsgsbase: host::hwcap(libc::AT_HWCAP2) & 2 != 0,
            basic: [basic.eax, basic.ecx, basic.edx],
            mask: 0,
        }
    }

    /// The same with less.
    #[must_use]
    pub fn without(self, mask: &Mask) -> Self {
        Self { xsave: self.xsave && !mask.hides_xsave(), mask: mask.identity(), ..self }
    }

    /// What the program's auxiliary vector says.
    #[must_use]
    pub fn auxiliary(&self) -> stack::Machine {
        let mut random = [0; 16];
        host::random(&mut random);
        stack::Machine { hwcap: self.basic[2].into(), hwcap2: u64::from(self.fsgsbase) << 1, random }
    }

    /// What a snapshot must agree with: a program remembers the CPU on which it began.
    #[must_use]
    pub fn identity(&self) -> [u64; 7] {
        let [eax, ecx, edx] = self.basic.map(u64::from);
        let states = if self.xsave { host::xcr0() } else { 0 };
        [self.hardware.into(), self.fsgsbase.into(), eax, ecx, edx, states, self.mask]
    }

    fn cr4(&self) -> u64 {
        let fsgsbase = if self.fsgsbase { CR4_FSGSBASE } else { 0 };
        let xsave = if self.xsave { CR4_OSXSAVE } else { 0 };
        fsgsbase | xsave
    }
}

/// Why KVM_RUN came back.
#[derive(Debug, PartialEq, Eq)]
pub enum Exit {
    /// The SYSCALL stub ran at CPL 0.
    Syscall,
    /// User mode wrote the port of system calls.
    Door,
    /// Exception with this vector.
    Exception(u8),
    /// A signal of ours.
    Interrupted,
    /// Nothing that goes on from here.
    Ended(End),
}

/// A virtual machine with its only vCPU.
#[derive(Debug)]
pub struct Vm {
    vcpu: VcpuFd,
    /// SYSCALL leaves the CPU in user mode.
    door: bool,
    /// Keeps the VM alive; its memory outlives both.
    _vm: VmFd,
}

impl Vm {
    /// Creates the VM, in the order in which `tell` hears about it.
    ///
    /// # Errors
    /// Which request KVM refused.
    pub fn new(kvm: &Kvm, ram: &Ram, cpu: &Cpu, mut tell: impl FnMut(&'static str)) -> Result<Self, Error> {
        let vm = kvm.create_vm().map_err(Error::kvm("KVM_CREATE_VM"))?;
        if ram.len() <= APIC {
            kvm::give_local_apic(&vm);
        }
        tell("vm");
        kvm::set_memory(&vm, ram)?;
        tell("slot");
        let vcpu = vm.create_vcpu(0).map_err(Error::kvm("KVM_CREATE_VCPU"))?;
        tell("vcpu");
        Ok(Self { vcpu, door: !cpu.hardware, _vm: vm })
    }

    /// Gives the vCPU the state of a program at these registers and these bases of FS and GS.
    ///
    /// # Errors
    /// Which request KVM refused.
    pub fn prepare(
        &mut self,
        kvm: &Kvm,
        (cpu, mask): (&Cpu, &Mask),
        regs: &kvm_regs,
        bases: [u64; 2],
    ) -> Result<(), Error> {
        if cpu.hardware || !mask.is_empty() {
            self.features(kvm, cpu, mask)?;
        }
        let star = u64::from(USER_BASE) << 48 | u64::from(KERNEL_CS) << 32;
        let entry = match (self.door, cpu.fsgsbase) {
            (false, _) => LSTAR,
            (true, false) => door::SLOW,
            (true, true) => door::FAST,
        };
        self.set_msrs(&[(IA32_STAR, star), (IA32_LSTAR, entry), (IA32_FMASK, SYSCALL_MASK)])?;
        self.vcpu.set_sync_valid_reg(SyncReg::Register);
        // Both go in with the first KVM_RUN: every request of its own loads and unloads the whole vCPU.
        let state = self.vcpu.sync_regs_mut();
        state.sregs = boot::user_mode(cpu.cr4(), self.door, bases);
        state.regs = *regs;
        self.vcpu.set_sync_dirty_reg(SyncReg::SystemRegister);
        self.vcpu.set_sync_dirty_reg(SyncReg::Register);
        Ok(())
    }

    /// CPUID as KVM supports it, XCR0 as the host has it, both without what the mask hides, and the host's time-stamp counter.
    fn features(&self, kvm: &Kvm, cpu: &Cpu, mask: &Mask) -> Result<(), Error> {
        let mut cpuid =
            kvm.get_supported_cpuid(KVM_MAX_CPUID_ENTRIES).map_err(Error::kvm("KVM_GET_SUPPORTED_CPUID"))?;
        mask.apply(&mut cpuid);
        let mut states = 0;
        for entry in cpuid.as_mut_slice() {
            match (entry.function, entry.index) {
                // The initial APIC id of this vCPU.
                (1, _) => entry.ebx &= 0x00ff_ffff,
                (0xb | 0x1f, _) => entry.edx = 0,
                (0xd, 0) => states = u64::from(entry.edx) << 32 | u64::from(entry.eax),
                _ => {}
            }
        }
        self.vcpu.set_cpuid2(&cpuid).map_err(Error::kvm("KVM_SET_CPUID2"))?;
        if cpu.xsave {
            let mut xcrs = kvm_xcrs { nr_xcrs: 1, ..kvm_xcrs::default() };
            xcrs.xcrs[0] = kvm_xcr { xcr: 0, reserved: 0, value: host::xcr0() & states };
            self.vcpu.set_xcrs(&xcrs).map_err(Error::kvm("KVM_SET_XCRS"))?;
        }
        kvm::clear_tsc_offset(&self.vcpu);
        Ok(())
    }

    fn set_msrs(&self, pairs: &[(u32, u64)]) -> Result<(), Error> {
        let entries: Vec<_> = pairs
            .iter()
            .map(|&(index, data)| kvm_msr_entry { index, data, ..kvm_msr_entry::default() })
            .collect();
        let msrs =
            Msrs::from_entries(&entries).map_err(|e| Error::Internal(format!("KVM_SET_MSRS: {e:?}")))?;
        match self.vcpu.set_msrs(&msrs).map_err(Error::kvm("KVM_SET_MSRS"))? {
            n if n == pairs.len() => Ok(()),
            n => Err(Error::Internal(format!(
                "KVM_SET_MSRS refused MSR {:#x}",
                pairs.get(n).map_or(0, |p| p.0)
            ))),
        }
    }

    /// The base of FS or GS, which the program sets by arch_prctl.
    ///
    /// # Errors
    /// If KVM refuses; the address was checked to be canonical.
    pub fn set_base(&self, base: Base, address: u64) -> Result<(), Error> {
        self.set_msrs(&[(base as u32, address)])
    }

    /// The bases of FS and GS; a program may have set them without a call.
    ///
    /// # Errors
    /// If KVM refuses.
    pub fn bases(&self) -> Result<[u64; 2], Error> {
        let state = self.vcpu.get_sregs().map_err(Error::kvm("KVM_GET_SREGS"))?;
        Ok([state.fs.base, state.gs.base])
    }

    /// The address of the last page fault.
    ///
    /// # Errors
    /// If KVM refuses.
    pub fn cr2(&self) -> Result<u64, Error> {
        Ok(self.vcpu.get_sregs().map_err(Error::kvm("KVM_GET_SREGS"))?.cr2)
    }

    /// Vector and floating-point state.
    ///
    /// # Errors
    /// If KVM refuses.
    pub fn vectors(&self) -> Result<kvm_xsave, Error> {
        self.vcpu.get_xsave().map_err(Error::kvm("KVM_GET_XSAVE"))
    }

    /// Replaces vector and floating-point state.
    ///
    /// # Errors
    /// If KVM finds it malformed.
    pub fn set_vectors(&self, state: &kvm_xsave) -> Result<(), Error> {
        kvm::set_xsave(&self.vcpu, state)
    }

    /// The byte that makes KVM_RUN return.
    pub fn immediate_exit(&mut self) -> &mut u8 {
        &mut self.vcpu.get_kvm_run().immediate_exit
    }

    /// General registers as KVM left them at the last exit.
    #[must_use]
    pub fn regs(&self) -> kvm_regs {
        self.vcpu.sync_regs().regs
    }

    /// General registers for the next entry.
    pub fn set_regs(&mut self, regs: &kvm_regs) {
        self.vcpu.sync_regs_mut().regs = *regs;
        self.vcpu.set_sync_dirty_reg(SyncReg::Register);
    }

    /// Lets the guest run until it needs us.
    pub fn run(&mut self) -> Exit {
        const FIRST: u16 = EXCEPTION_PORT;
        const LAST: u16 = EXCEPTION_PORT + VECTORS as u16 - 1;
        match self.vcpu.run() {
            Ok(VcpuExit::IoOut(SYSCALL_PORT, _)) if self.door => Exit::Door,
            Ok(VcpuExit::IoOut(SYSCALL_PORT, _)) => Exit::Syscall,
            Ok(VcpuExit::IoOut(port @ FIRST..=LAST, _)) => Exit::Exception((port - FIRST) as u8),
            Ok(VcpuExit::Intr) => Exit::Interrupted,
            Ok(VcpuExit::Shutdown) => fault("the guest's CPU shut down (triple fault)".into()),
            Ok(VcpuExit::InternalError) => {
                fault("KVM could not emulate an instruction (internal error)".into())
            }
            Ok(VcpuExit::FailEntry(reason, _)) => {
                fault(format!("KVM could not enter the guest (reason {reason:#x})"))
            }
            Ok(other) => fault(format!("unexpected exit {other:?}")),
            // Not EAGAIN: that is the host having no task for KVM to give (a limit on pids), now and at every next try.
            Err(e) if e.errno() == libc::EINTR => Exit::Interrupted,
            Err(e) if e.errno() == libc::EFAULT => {
                fault("guest memory has no page behind it (out of memory?)".into())
            }
            Err(e) => Exit::Ended(End::Internal(format!("KVM_RUN: {e}"))),
        }
    }
}

fn fault(text: String) -> Exit {
    Exit::Ended(End::Fault(text))
}

/// Model-specific registers (AMD APM vol. 2, appendix A).
const IA32_STAR: u32 = 0xc000_0081;
const IA32_LSTAR: u32 = 0xc000_0082;
const IA32_FMASK: u32 = 0xc000_0084;

/// A segment base that a program may set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Base {
    /// Thread-local storage.
    Fs = 0xc000_0100,
    /// Free for the program.
    Gs = 0xc000_0101,
}
