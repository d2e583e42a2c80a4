//! The few KVM calls that kvm-ioctls leaves unsafe or leaves out.
//!
//! Memory handed to KVM belongs to a [`Ram`] that outlives the virtual machine.

use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

use kvm_bindings::{
    KVM_CAP_SPLIT_IRQCHIP, kvm_device_attr, kvm_enable_cap, kvm_userspace_memory_region, kvm_xsave,
};
use kvm_ioctls::{Kvm, VcpuFd, VmFd};

use crate::error::Error;
use crate::sys::ram::Ram;

/// KVM_RUN and the other requests that the run loop makes, for the seccomp filter (linux/kvm.h).
pub const LOOP_REQUESTS: [u32; 5] = [KVM_RUN, KVM_GET_SREGS, KVM_SET_MSRS, KVM_GET_XSAVE, KVM_SET_XSAVE];
/// The same for the loop of a stock kernel.
pub const LINUX_REQUESTS: [u32; 2] = [KVM_RUN, KVM_IRQ_LINE];
const KVM_IRQ_LINE: u32 = 0x4008_ae61;
const KVM_RUN: u32 = 0xae80;
const KVM_GET_SREGS: u32 = 0x8138_ae83;
const KVM_SET_MSRS: u32 = 0x4008_ae89;
const KVM_GET_XSAVE: u32 = 0x9000_aea4;
const KVM_SET_XSAVE: u32 = 0x5000_aea5;
const KVM_SET_DEVICE_ATTR: u64 = 0x4018_aee1;
const KVM_VCPU_TSC_CTRL: u32 = 0;
const KVM_VCPU_TSC_OFFSET: u64 = 0;

/// An open /dev/kvm that the harness hands over.
#[must_use]
pub fn adopt(fd: RawFd) -> Kvm {
    // SAFETY: the number was handed to this process for this purpose and nothing else uses it.
    let owned = unsafe { OwnedFd::from_raw_fd(fd) };
    let raw = std::os::fd::IntoRawFd::into_raw_fd(owned);
    // SAFETY: ownership moves from the line above; a descriptor that is not /dev/kvm fails its first request.
    unsafe { Kvm::from_raw_fd(raw) }
}

/// Gives all of `ram` to the virtual machine as slot 0 from guest-physical 0.
///
/// # Errors
/// If KVM refuses.
pub fn set_memory(vm: &VmFd, ram: &Ram) -> Result<(), Error> {
    let region = kvm_userspace_memory_region {
        slot: 0,
        flags: 0,
        guest_phys_addr: 0,
        memory_size: ram.len(),
        userspace_addr: ram.host_address(),
    };
    // SAFETY: the range is the mapping of `ram`, which lives until the process ends.
    let set = unsafe { vm.set_user_memory_region(region) };
    set.map_err(Error::kvm("KVM_SET_USER_MEMORY_REGION"))
}

/// Gives the vCPUs that follow a local APIC inside the kernel, which nobody uses. KVM counts the vCPUs that have none in
/// a static key: without this, the host's first such vCPU rewrites kernel text on all CPUs while it is created and its
/// last one while it goes (`kvm_has_noapic_vcpu`), which takes longer than everything else about a vCPU. A kernel that
/// refuses is only slower.
pub fn give_local_apic(vm: &VmFd) {
    let cap = kvm_enable_cap { cap: KVM_CAP_SPLIT_IRQCHIP, ..kvm_enable_cap::default() };
    let _ = vm.enable_cap(&cap);
}

/// Gives `len` bytes of `ram` from `offset` on to the virtual machine at guest-physical `at`. Guest addresses behind a hole
/// are not offsets into `ram`.
///
/// # Errors
/// If KVM refuses.
pub fn set_slot(vm: &VmFd, ram: &Ram, slot: u32, at: u64, offset: u64, len: u64) -> Result<(), Error> {
    if offset.checked_add(len).is_none_or(|end| end > ram.len()) {
        return Err(Error::Internal(format!("slot {slot} lies outside guest memory")));
    }
    let region = kvm_userspace_memory_region {
        slot,
        flags: 0,
        guest_phys_addr: at,
        memory_size: len,
        userspace_addr: ram.host_address() + offset,
    };
    // SAFETY: the range is part of the mapping of `ram`, which lives until the process ends.
    let set = unsafe { vm.set_user_memory_region(region) };
    set.map_err(Error::kvm("KVM_SET_USER_MEMORY_REGION"))
}

/// Lets the guest read the host's time-stamp counter: KVM starts a fresh guest's at zero otherwise. Kernels before
/// 5.16 refuse; then the guest's counter has an offset, which no interval shows.
pub fn clear_tsc_offset(vcpu: &VcpuFd) {
    let zero = 0u64;
    let addr = std::ptr::from_ref(&zero) as u64;
    let attr = kvm_device_attr { flags: 0, group: KVM_VCPU_TSC_CTRL, attr: KVM_VCPU_TSC_OFFSET, addr };
    // SAFETY: KVM reads the attribute and the eight bytes that it points at, both alive here.
    unsafe { libc::ioctl(vcpu.as_raw_fd(), KVM_SET_DEVICE_ATTR as _, &raw const attr) };
}

/// Loads the floating-point and vector state; KVM checks it.
///
/// # Errors
/// If KVM refuses the state.
pub fn set_xsave(vcpu: &VcpuFd, state: &kvm_xsave) -> Result<(), Error> {
    // SAFETY: without KVM_CAP_XSAVE2's dynamic features in use, the state is the 4096 bytes of the structure.
    unsafe { vcpu.set_xsave(state) }.map_err(Error::kvm("KVM_SET_XSAVE"))
}
