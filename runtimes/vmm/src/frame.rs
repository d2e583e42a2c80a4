//! The frame of a signal handler: `struct rt_sigframe` of x86-64 Linux (arch/x86/include/asm/sigframe.h).
//!
//! Entering saves everything that the handler may change, leaving restores it; what comes back from the program's
//! memory is filtered, so that it can change its own registers and nothing else.

use kvm_bindings::{kvm_regs, kvm_xsave};

use crate::guest::Guest;
use crate::layout::{RFLAGS, RFLAGS_USER, USER_CS, USER_SS};
use crate::machine::Vm;
use crate::memory::word;
use crate::signals::{SA_RESTORER, encode_alt};

/// Bytes: return address, ucontext, siginfo.
const FRAME_LEN: u64 = 8 + UCONTEXT_LEN + 128;
/// Flags, link, alternate stack, registers, mask.
const UCONTEXT_LEN: u64 = 8 + 8 + 24 + 256 + 8;
/// Where the registers start in the frame.
const SIGCONTEXT: usize = 8 + 40;
/// Where the mask lies in the frame.
const MASK: usize = SIGCONTEXT + 256;
/// Where siginfo starts in the frame.
const SIGINFO: usize = (8 + UCONTEXT_LEN) as usize;
/// Vector state as KVM hands it over, and the closing magic number.
const STATE_LEN: usize = 4096;
/// Red zone below the stack pointer that a leaf function may use (System V ABI, 3.2.2).
const RED_ZONE: u64 = 128;
/// Vector state follows and the saved SS is meaningful (uapi/asm/ucontext.h).
const UC_FLAGS: u64 = 1 | 2 | 4;

/// The order of the registers in `struct sigcontext`.
pub(crate) fn order(regs: &kvm_regs) -> [u64; 18] {
    let r = regs;
    [
        r.r8, r.r9, r.r10, r.r11, r.r12, r.r13, r.r14, r.r15, r.rdi, r.rsi, r.rbp, r.rbx, r.rdx, r.rax,
        r.rcx, r.rsp, r.rip, r.rflags,
    ]
}

/// The frame could not be written, read or loaded: Linux answers with SIGSEGV.
#[derive(Debug, PartialEq, Eq)]
pub struct Broken;

/// Makes `regs` call the handler of `signal`.
///
/// # Errors
/// If the stack is not writable or the handler could not return.
// Never inlined: its buffers would be part of every system call's stack, and so of every idle machine.
#[cold]
#[inline(never)]
pub fn enter(guest: &mut Guest, vm: &Vm, regs: &mut kvm_regs, signal: i32) -> Result<(), Broken> {
    let action = guest.signals.action(signal);
    if action.flags & SA_RESTORER == 0 {
        return Err(Broken);
    }
    let alt = guest.signals.alt;
    let switch =
        action.flags & libc::SA_ONSTACK as u64 != 0 && alt.size > 0 && !guest.signals.on_alt(regs.rsp);
    let top = if switch { alt.base.wrapping_add(alt.size) } else { regs.rsp.wrapping_sub(RED_ZONE) };
    let state = vm.vectors().map_err(|_| Broken)?;
    let state_at = top.wrapping_sub(STATE_LEN as u64) & !63;
    put_state(guest, state_at, &state)?;
    let at = (state_at.wrapping_sub(FRAME_LEN) & !15).wrapping_sub(8);
    let frame = build(guest, regs, signal, state_at);
    guest.memory.put(at, &frame).map_err(|_| Broken)?;
    guest.signals.entered(signal);
    regs.rdi = signal as u64;
    regs.rsi = at + SIGINFO as u64;
    regs.rdx = at + 8;
    regs.rax = 0;
    regs.rsp = at;
    regs.rip = action.handler;
    // Handlers start with the direction flag and single-stepping off.
    regs.rflags = RFLAGS;
    Ok(())
}

fn build(guest: &Guest, regs: &kvm_regs, signal: i32, state_at: u64) -> Vec<u8> {
    let (action, cause) = (guest.signals.action(signal), guest.signals.cause(signal));
    let mut frame = vec![0; FRAME_LEN as usize];
    let mut put = |at: usize, value: u64| frame[at..at + 8].copy_from_slice(&value.to_le_bytes());
    put(0, action.restorer);
    put(8, UC_FLAGS);
    for (i, value) in order(regs).into_iter().enumerate() {
        put(SIGCONTEXT + i * 8, value);
    }
    put(SIGCONTEXT + 144, u64::from(USER_SS) << 48 | u64::from(USER_CS));
    put(SIGCONTEXT + 152, cause.error);
    put(SIGCONTEXT + 160, cause.trap);
    put(SIGCONTEXT + 168, guest.signals.mask);
    put(SIGCONTEXT + 176, if cause.trap == 14 { cause.address } else { 0 });
    put(SIGCONTEXT + 184, state_at);
    put(MASK, guest.signals.mask);
    put(SIGINFO, signal as u64);
    put(SIGINFO + 8, cause.code as u32 as u64);
    // A fault tells its address; a signal that was sent tells who sent it.
    put(SIGINFO + 16, if cause.code > 0 { cause.address } else { crate::signals::PID });
    frame[24..48].copy_from_slice(&encode_alt(guest.signals.alt));
    frame
}

/// The XSAVE area with the words by which programs recognise it (uapi/asm/sigcontext.h).
fn put_state(guest: &Guest, at: u64, state: &kvm_xsave) -> Result<(), Broken> {
    const MAGIC1: u32 = 0x4650_5853;
    const MAGIC2: u32 = 0x4650_5845;
    let mut words = state.region;
    let features = [words[128], words[129]];
    let size = STATE_LEN as u32 - 4;
    words[116..121].copy_from_slice(&[MAGIC1, STATE_LEN as u32, features[0], features[1], size]);
    words[STATE_LEN / 4 - 1] = MAGIC2;
    let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    guest.memory.put(at, &bytes).map_err(|_| Broken)
}

/// rt_sigreturn: everything back from the frame that `regs.rsp` has just left.
///
/// # Errors
/// If the frame is not readable or its vector state is malformed.
// Never inlined: its buffers would be part of every system call's stack, and so of every idle machine.
#[cold]
#[inline(never)]
pub fn leave(guest: &mut Guest, vm: &Vm, regs: &mut kvm_regs) -> Result<(), Broken> {
    let mut frame = [0; FRAME_LEN as usize];
    // The handler's RET has popped the return address.
    guest.memory.get(regs.rsp.wrapping_sub(8), &mut frame).map_err(|_| Broken)?;
    let value = |i: usize| word(&frame, SIGCONTEXT + i * 8);
    let flags = value(17) & RFLAGS_USER | RFLAGS;
    *regs = kvm_regs {
        r8: value(0),
        r9: value(1),
        r10: value(2),
        r11: value(3),
        r12: value(4),
        r13: value(5),
        r14: value(6),
        r15: value(7),
        rdi: value(8),
        rsi: value(9),
        rbp: value(10),
        rbx: value(11),
        rdx: value(12),
        rax: value(13),
        rcx: value(14),
        rsp: value(15),
        rip: value(16),
        rflags: flags,
    };
    guest.signals.mask = word(&frame, MASK);
    let state_at = word(&frame, SIGCONTEXT + 184);
    if state_at == 0 { Ok(()) } else { take_state(guest, vm, state_at) }
}

fn take_state(guest: &Guest, vm: &Vm, at: u64) -> Result<(), Broken> {
    let mut bytes = vec![0; STATE_LEN];
    guest.memory.get(at, &mut bytes).map_err(|_| Broken)?;
    let mut state = kvm_xsave::default();
    for (word, bytes) in state.region.iter_mut().zip(bytes.chunks_exact(4)) {
        *word = bytes.try_into().map(u32::from_le_bytes).unwrap_or_default();
    }
    // What the kernel keeps for software is none of the CPU's business, nor is the closing magic number.
    state.region[116..128].fill(0);
    state.region[STATE_LEN / 4 - 1] = 0;
    vm.set_vectors(&state).map_err(|_| Broken)
}
