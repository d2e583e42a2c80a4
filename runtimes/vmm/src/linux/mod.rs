//! `isomark-vmm linux`: a stock Linux kernel in a virtual machine of its own.
//!
//! ```text
//! isomark-vmm linux --kernel-fd N --initrd-fd N --initrd-sum N --memory BYTES --command-line TEXT
//!             [--page 4k|2m] [--status-fd N] [--kvm-fd N]
//! ```
//!
//! * `--kernel-fd`: a bzImage with a 64-bit entry, or an ELF vmlinux (by its PVH entry if it has one).
//! * `--initrd-fd`, `--initrd-sum`: the initramfs and its [`sum`](sum::sum); one that does not add up is refused.
//! * the others as for a program (see the crate).
//!
//! # The machine
//! One CPU with KVM's own interrupt controllers and timer, memory, two serial ports (the console at 0x3f8 goes to
//! descriptor 2; the wire at 0x2f8 is descriptors 0 and 1), the reset line of a keyboard controller at 0x64, and a control
//! port at 0x402 on which the guest's init says lines: `init`, `program`, `took BYTES`, `exit CODE`, `signal NUMBER`,
//! `fail TEXT`.
//! There is no PCI, no ACPI, no disk and no network.
//!
//! Input is encoded as in [`mod@line`], because a serial line has neither an end nor flow control: the guest tells how
//! many bytes it has taken, nothing comes before it said `program`, and no more than [`line::WINDOW`] are ever under way.
//!
//! # End
//! As for a program: the status is the program's own, and the last line of the story says how it ended. Its steps are told
//! as `entry` (the kernel's first instruction), `init`, `program` and `first-write`.

pub mod args;
pub mod board;
mod confine;
pub mod control;
pub mod entry;
pub mod input;
pub mod kernel;
pub mod line;
pub mod machine;
pub mod params;
mod start;
pub mod sum;

pub use start::main;
