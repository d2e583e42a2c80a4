//! Memory of the probe's and the floor's bare machines.
#![expect(unsafe_code, reason = "a page shared with a virtual machine has no safe form")]

use kvm_bindings::kvm_userspace_memory_region;
use kvm_ioctls::VmFd;

/// A page of memory for a bare machine.
pub(crate) struct Page {
    address: *mut libc::c_void,
}

const SIZE: usize = 4096;

// SAFETY: the mapping belongs to this value alone and has no thread affinity.
unsafe impl Send for Page {}

impl Page {
    /// A fresh page that begins with `code`.
    pub(crate) fn holding(code: &[u8]) -> std::io::Result<Self> {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        // SAFETY: an anonymous mapping at an address of the kernel's choice touches no memory of ours.
        let address = unsafe {
            libc::mmap(std::ptr::null_mut(), SIZE, libc::PROT_READ | libc::PROT_WRITE, flags, -1, 0)
        };
        if address == libc::MAP_FAILED {
            return Err(std::io::Error::last_os_error());
        }
        let len = code.len().min(SIZE);
        // SAFETY: `len` bytes fit the page just mapped, which nobody else knows yet.
        unsafe { std::ptr::copy_nonoverlapping(code.as_ptr(), address.cast(), len) };
        Ok(Self { address })
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        // SAFETY: mapped in `holding`, given up once; the machine that used it is dropped before (field order).
        unsafe { libc::munmap(self.address, SIZE) };
    }
}

/// Makes the page the machine's memory at guest-physical address 0.
pub(crate) fn map_into(machine: &VmFd, page: &Page) -> Result<(), kvm_ioctls::Error> {
    let region = kvm_userspace_memory_region {
        slot: 0,
        flags: 0,
        guest_phys_addr: 0,
        memory_size: SIZE as u64,
        userspace_addr: page.address as u64,
    };
    // SAFETY: the page stays mapped as long as the machine lives: every holder drops the machine first.
    unsafe { machine.set_user_memory_region(region) }
}
