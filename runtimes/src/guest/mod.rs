//! What every guest with a kernel of its own needs: a stock kernel, found and checked, and an initramfs that holds the
//! program byte for byte.
//!
//! `microvm-linux` and `qemu` differ in the machine around these two files and in nothing inside.

mod cpio;
mod heard;
mod initramfs;
mod intact;
mod kernel;

/// Least memory of such a guest, in bytes: a stock kernel unpacks itself into seventy MiB before it manages memory. A spec
/// that asks for less gets this much.
pub(crate) const LEAST_MEMORY: u64 = 128 << 20;

pub(crate) use heard::{Heard, Story};
pub(crate) use initramfs::{Initramfs, PAYLOAD_SPEC};
pub(crate) use kernel::Kernel;
pub use kernel::Kernels;
