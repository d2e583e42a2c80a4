//! `isomark-vmm`: one static x86-64 Linux program in a virtual machine of its own. A stock kernel instead: see [`linux`].
//!
//! The program runs unmodified in guest user mode. Its system calls end in this process, which serves them from its own
//! memory; only reads of descriptor 0, writes to 1 and 2, clocks and random bytes reach the host.
//!
//! ```text
//! isomark-vmm --program-fd N --memory BYTES [--page 4k|2m] [--prefault BYTES|none] [--status-fd N]
//!             [--kvm-fd N] [--deadline MS] [--wait-fd N] [--save-fd N] [--mask BITS] [--env NAME=VALUE]… -- ARG0 ARGS…
//! isomark-vmm --restore-fd N [--checked yes|no] [--status-fd N] [--kvm-fd N] [--deadline MS] [--wait-fd N] [--mask BITS]
//! ```
//!
//! * `--program-fd`: an open descriptor of the ELF file (a regular file or a memfd).
//! * `--memory`: guest memory, 16 MiB to 64 GiB, rounded down to 2 MiB.
//! * `--page`: `2m` (default) asks for huge pages under mappings that hold whole 2 MiB blocks; `4k` never does.
//! * `--prefault`: mappings of at least this many bytes become resident at once; default `none`.
//! * `--status-fd`: where the story of the run is written when it has ended, in one piece.
//! * `--kvm-fd`: an open /dev/kvm; opened by path otherwise.
//! * `--deadline`: the program is stopped after this time.
//! * `--wait-fd`: a stream socket. Everything is made ready, one byte is written to it, and the program waits until it
//!   can be read or is closed. Not with `--save-fd`.
//! * `--save-fd`: the program runs until it is about to write to descriptor 1 for the first time; then it is written to
//!   this file as a [`snapshot`], and everything ends with status 0. It may hold no open files but 0, 1 and 2.
//! * `--restore-fd`: a snapshot to go on from; arguments, environment and memory are its own. `--checked yes`: the caller
//!   has checked its sums.
//! * `--mask`: features of the host's CPU that are hidden from the program ([`mask`]); a snapshot is restored under the mask
//!   that it was made under. Where KVM is pagetable-based it changes nothing.
//!
//! # The program's world
//! Process 1, user root, one thread, alone: an empty file system in the VMM's memory (`/tmp`, `/dev/null` and its kin,
//! `/etc/passwd`; data beyond `--memory` bytes is ENOSPC), the host's clocks, its own signals and faults. Memory it may map is
//! `--memory` less 2 MiB for the machine and its stack (an eighth, at most 8 MiB, with a guard block below).
//!
//! Not served, by design: threads, other processes, exec, sockets, terminals, timers that send signals, writable
//! shared mappings of files. Such calls fail with ENOSYS and are told. Addresses are physical: a mapping can never be
//! larger than guest memory, reserved or not. Where KVM is pagetable-based CPUID cannot be masked, and the program
//! sees the host's CPU.
//!
//! # Exit status
//! That of the program. A program killed by a signal: the VMM dies by the same signal, without a core. 123: the program
//! was stopped (deadline, fault, or waiting for what cannot come). 124: the file is not a program that can run here.
//! 125: the VMM failed or was called wrongly. The last three write one line `isomark-vmm: …` to descriptor 2; the last
//! line of the status decides where a program uses such a number itself.
//!
//! # Accounting
//! Guest memory lies at [`layout::HOST_BASE`] in this process from the start, `--memory` bytes long: what smaps says of
//! mappings there is the instance's, the rest is the VMM's own. Kernels with CONFIG_ANON_VMA_NAME also show the name
//! `isomark-guest`, except where pages of the program's file are mapped.
//!
//! # Status
//! `step NAME NS` (CLOCK_MONOTONIC), `ram ADDRESS LEN` (guest memory in this process), `exits N`, `syscalls N` (those that
//! reached this process: where KVM is pagetable-based, the [`door`] answers two of a C library's start), `unserved NAME
//! COUNT` (answered with ENOSYS), and last one of `end exit CODE`, `end saved`, `end signal NUMBER`, `end unserved TEXT`,
//! `end fault TEXT`, `end internal TEXT`, `end program TEXT`.

pub mod args;
pub mod boot;
pub mod confine;
pub mod door;
pub mod elf;
pub mod error;
pub mod files;
pub mod frame;
pub mod fs;
pub mod guest;
pub mod layout;
pub mod linux;
pub mod load;
pub mod machine;
pub mod mask;
pub mod memory;
pub mod names;
pub mod pipes;
pub mod run;
pub mod signals;
pub mod snapshot;
pub mod space;
pub mod stack;
pub mod start;
pub mod status;
pub mod sys;
pub mod syscalls;
pub mod tables;
