//! What kind of KVM this host has, found by a probe and not by the CPU's name.
//!
//! The class is part of every result's identity: the same virtual machine costs ten times as much to leave on one
//! class as on another.

mod class;
mod sys;

pub use class::{Class, Finding, classify};
pub(crate) use sys::{Page, map_into};

use isomark_core::Unavailable;
use kvm_ioctls::Kvm;

/// Opens `/dev/kvm`.
///
/// # Errors
/// Why it cannot be used, with the remedy.
pub fn open() -> Result<Kvm, Unavailable> {
    let device = "/dev/kvm";
    if !std::path::Path::new(device).exists() {
        return Err(Unavailable::new(
            "there is no /dev/kvm on this host",
            "load kvm_intel or kvm_amd and enable virtualization in the firmware; \
             inside a virtual machine ask for nested virtualization; inside a container pass --device /dev/kvm",
        ));
    }
    let kvm = Kvm::new().map_err(|e| match e.errno() {
        libc::EACCES | libc::EPERM => Unavailable::new(
            "/dev/kvm may not be opened by this user",
            "run as root, or: usermod -aG kvm $USER and log in again",
        ),
        _ => Unavailable::new(format!("/dev/kvm cannot be opened: {e}"), "see dmesg | grep -i kvm"),
    })?;
    match kvm.get_api_version() {
        // The only version there ever was (Documentation/virt/kvm/api.rst, 4.1).
        12 => Ok(kvm),
        other => Err(Unavailable::new(
            format!("/dev/kvm speaks API version {other}, not 12"),
            "use a current kernel",
        )),
    }
}
