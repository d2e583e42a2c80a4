//! The door: what a system call meets first where KVM leaves the CPU in user mode (see [`crate::run`]).
//!
//! A hundred bytes of constant code that run as the program itself. Two calls that every C library makes before it does
//! anything, and that need nobody's help, are answered here; everything else writes a port and is the VMM's. The code
//! holds no state and can do nothing that the program could not do: one that jumps here has made a system call.

use crate::layout::DOOR;

/// Where every call goes to the VMM: an `out` of two bytes.
pub const SLOW: u64 = DOOR;
/// Where a call comes in that may be answered here: needs FSGSBASE.
pub const FAST: u64 = DOOR + 16;
/// Where the CPU stands after the `out`; some versions of KVM report the instruction itself.
pub const LEAVING: [u64; 2] = [SLOW, SLOW + 2];

/// What lies at [`DOOR`]. SYSCALL has left the way back in rcx and the flags in r11; apart from rax, every register
/// and flag must return as it came. A return by jump cannot restore TF, DF, IOPL, NT and AC: with one of them set the
/// VMM answers.
pub static CODE: [u8; 112] = [
    0xe6, 0xa0, // slow: out %al, $SYSCALL_PORT
    0x0f, 0x0b, // ud2: the VMM goes on elsewhere
    0xcc, 0xcc, 0xcc, 0xcc, 0xcc, 0xcc, 0xcc, 0xcc, 0xcc, 0xcc, 0xcc, 0xcc, //
    0x41, 0xf7, 0xc3, 0x00, 0x75, 0x04, 0x00, // fast: test $0x47500, %r11d
    0x75, 0xe7, // jnz slow
    0x3d, 0x9e, 0x00, 0x00, 0x00, // cmp $SYS_arch_prctl, %eax
    0x74, 0x1e, // je segment
    0x3d, 0xda, 0x00, 0x00, 0x00, // cmp $SYS_set_tid_address, %eax
    0x75, 0xd9, // jne slow
    // The result is 1, the only thread. Flags as they were: OF by an overflow, the other five by SAHF.
    0x44, 0x89, 0xd8, // mov %r11d, %eax
    0xc1, 0xe8, 0x0b, // shr $11, %eax
    0x24, 0x01, // and $1, %al
    0x04, 0x7f, // add $0x7f, %al
    0x44, 0x89, 0xd8, // mov %r11d, %eax
    0x86, 0xe0, // xchg %ah, %al
    0x9e, // sahf
    0xb8, 0x01, 0x00, 0x00, 0x00, // mov $1, %eax
    0xff, 0xe1, // jmp *%rcx
    0x81, 0xff, 0x02, 0x10, 0x00, 0x00, // segment: cmp $ARCH_SET_FS, %edi
    0x75, 0xba, // jne slow
    0x48, 0x89, 0xf0, // mov %rsi, %rax: the VMM refuses what is no user address
    0x48, 0xc1, 0xe8, 0x2f, // shr $47, %rax
    0xb8, 0x9e, 0x00, 0x00, 0x00, // mov $SYS_arch_prctl, %eax
    0x75, 0xac, // jnz slow
    0xf3, 0x48, 0x0f, 0xae, 0xd6, // wrfsbase %rsi
    0x44, 0x89, 0xd8, // the same with result 0
    0xc1, 0xe8, 0x0b, 0x24, 0x01, 0x04, 0x7f, 0x44, 0x89, 0xd8, 0x86, 0xe0, 0x9e, //
    0xb8, 0x00, 0x00, 0x00, 0x00, // mov $0, %eax
    0xff, 0xe1, // jmp *%rcx
];
