//! The loop: let the program run, see why it stopped, answer, go on.
//!
//! A system call arrives in one of two ways. On hardware SYSCALL enters the guest kernel's stub, which writes a port.
//! A pagetable-based KVM leaves the CPU in user mode: there SYSCALL leads to the door ([`crate::door`]), which writes the
//! port from user mode, and the way back needs no kernel. Every way back keeps the program at privilege level 3.

use kvm_bindings::kvm_regs;

use crate::door::LEAVING;
use crate::error::{End, Error, Stop};
use crate::frame;
use crate::guest::{Guest, result};
use crate::layout::{ERROR_CODE, FRAME, IRETQ, RFLAGS, RFLAGS_USER, SYSRET, USER_CS, USER_SS};
use crate::machine::{Exit, Vm};
use crate::memory::word;
use crate::signals::{self, Next};
use crate::snapshot;
use crate::space::{EXEC, READ, WRITE};
use crate::sys::host;

/// A page fault that the areas allow may be a stale translation; this many at one place in a row are a livelock.
const SPURIOUS_MAX: u32 = 1000;
/// Error code of a page fault: write, instruction fetch.
const PF_WRITE: u64 = 2;
const PF_FETCH: u64 = 16;
const PAGE_FAULT: u8 = 14;
const PROTECTION: u8 = 13;
/// Vectors that push an error code (Intel SDM vol. 3, table 7-1).
const HAS_ERROR: u32 = 1 << 8 | 1 << 10 | 1 << 11 | 1 << 12 | 1 << 13 | 1 << 14 | 1 << 17 | 1 << 21;

/// How the program goes on.
enum Back {
    /// Right behind its SYSCALL, on the stub's own path.
    Sysret,
    /// From the guest's kernel to anywhere, with all registers.
    Iretq,
    /// The CPU is in user mode already.
    Jump,
}

impl Back {
    /// SYSRET takes rip and the flags from rcx and r11.
    fn with_all_registers(&mut self) {
        if matches!(self, Self::Sysret) {
            *self = Self::Iretq;
        }
    }
}

/// Runs the program to its end.
pub fn to_end(guest: &mut Guest, vm: &mut Vm) -> End {
    let mut faults = Spurious::default();
    loop {
        let exit = vm.run();
        guest.status.exit();
        let answered = match exit {
            Exit::Syscall => syscall(guest, vm, vm.regs(), Back::Sysret),
            Exit::Door => door(guest, vm),
            Exit::Exception(vector) => exception(guest, vm, vector, &mut faults),
            Exit::Interrupted if host::expired() => return End::Fault("deadline".into()),
            Exit::Interrupted => continue,
            Exit::Ended(end) => return end,
        };
        if let Err(end) = answered {
            return end;
        }
    }
}

fn internal(error: &Error) -> End {
    End::Internal(error.to_string())
}

/// A port was written in user mode: a system call if it was done by the door, a protection fault as anywhere else if not.
fn door(guest: &mut Guest, vm: &mut Vm) -> Result<(), End> {
    let regs = vm.regs();
    if LEAVING.contains(&regs.rip) {
        return syscall(guest, vm, regs, Back::Jump);
    }
    fault(guest, PROTECTION, 0, 0, &regs)?;
    go_on(guest, vm, regs, Back::Jump)
}

/// Serves a system call. `regs` are those of the SYSCALL instruction: rcx and r11 hold where and how to go on.
fn syscall(guest: &mut Guest, vm: &mut Vm, mut regs: kvm_regs, back: Back) -> Result<(), End> {
    regs.rip = regs.rcx;
    regs.rflags = regs.r11 & RFLAGS_USER | RFLAGS;
    let mut back = back;
    if let Some((program, fd)) = guest.saving.filter(|_| speaks(&regs)) {
        snapshot::save(guest, vm, &vm.regs(), program, fd)?;
        return Err(End::Saved);
    }
    if regs.rax == libc::SYS_arch_prctl as u64 {
        guest.bases = vm.bases().map_err(|e| internal(&e))?;
    }
    match guest.serve(regs.rax, [regs.rdi, regs.rsi, regs.rdx, regs.r10, regs.r8, regs.r9]) {
        Ok(value) => regs.rax = value,
        Err(Stop::Errno(errno)) => regs.rax = result(&Err(errno)),
        Err(Stop::End(end)) => return Err(end),
        Err(Stop::Registers) => {
            back.with_all_registers();
            frame::leave(guest, vm, &mut regs).map_err(|_| End::Signal(libc::SIGSEGV))?;
        }
    }
    if let Some((base, address)) = guest.new_base.take() {
        vm.set_base(base, address).map_err(|e| internal(&e))?;
    }
    go_on(guest, vm, regs, back)
}

/// Whether a call writes to the program's standard output.
fn speaks(regs: &kvm_regs) -> bool {
    let writes = [libc::SYS_write, libc::SYS_writev].iter().any(|nr| regs.rax == *nr as u64);
    writes && regs.rdi as u32 == 1
}

/// Delivers what is pending and sets the registers for the way back.
fn go_on(guest: &mut Guest, vm: &mut Vm, mut regs: kvm_regs, mut back: Back) -> Result<(), End> {
    loop {
        match guest.signals.take() {
            Next::Resume => break,
            Next::End(end) => return Err(end),
            Next::Handle(signal) => {
                back.with_all_registers();
                frame::enter(guest, vm, &mut regs, signal).map_err(|_| End::Signal(libc::SIGSEGV))?;
            }
        }
    }
    // A non-canonical address would make SYSRET or IRETQ fault in the guest's kernel.
    if regs.rip >= 1 << 47 {
        return Err(End::Signal(libc::SIGSEGV));
    }
    match back {
        Back::Jump => {}
        Back::Sysret => regs.rip = SYSRET,
        Back::Iretq => {
            let frame = [regs.rip, USER_CS.into(), regs.rflags, regs.rsp, USER_SS.into()];
            guest.memory.ram.store_all(FRAME, &frame);
            regs.rip = IRETQ;
            regs.rsp = FRAME;
            regs.rflags = 2;
        }
    }
    vm.set_regs(&regs);
    Ok(())
}

/// Something the CPU refused, or a system call in the guise of a page fault.
fn exception(guest: &mut Guest, vm: &mut Vm, vector: u8, faults: &mut Spurious) -> Result<(), End> {
    let mut raw = [0; 48];
    if !guest.memory.ram.read(ERROR_CODE, &mut raw) {
        return Err(End::Internal("the exception stack lies outside guest memory".into()));
    }
    let at = |i: usize| word(&raw, i * 8);
    let error = if HAS_ERROR >> vector & 1 == 0 { 0 } else { at(0) };
    let mut regs = vm.regs();
    (regs.rip, regs.rflags, regs.rsp) = (at(1), at(3) & RFLAGS_USER | RFLAGS, at(4));
    if at(2) & 3 != 3 {
        return Err(End::Fault(format!(
            "exception {vector} in the guest's kernel at {:#x}, error {error:#x}",
            regs.rip
        )));
    }
    let address = if vector == PAGE_FAULT { vm.cr2().map_err(|e| internal(&e))? } else { 0 };
    if vector == PAGE_FAULT && allowed(guest, address, error) {
        faults.count(address, regs.rip)?;
        return go_on(guest, vm, regs, Back::Iretq);
    }
    fault(guest, vector, error, address, &regs)?;
    go_on(guest, vm, regs, Back::Iretq)
}

/// The program's own fault becomes its signal.
fn fault(guest: &mut Guest, vector: u8, error: u64, address: u64, regs: &kvm_regs) -> Result<(), End> {
    match signals::of_exception(vector, error, address, regs.rip, &guest.memory) {
        Some((signal, cause)) => {
            guest.signals.fault(signal, cause);
            Ok(())
        }
        None => Err(End::Fault(format!("exception {vector} at {:#x}, error {error:#x}", regs.rip))),
    }
}

/// Whether the areas allow what faulted: then a translation was stale, and another try finds the right one.
fn allowed(guest: &Guest, address: u64, error: u64) -> bool {
    let need = match error {
        e if e & PF_FETCH != 0 => EXEC,
        e if e & PF_WRITE != 0 => WRITE,
        _ => READ,
    };
    guest.memory.space().at(address).is_some_and(|area| match need {
        READ => area.prot != 0,
        need => area.prot & need != 0,
    })
}

/// Page faults that should not have been.
#[derive(Default)]
struct Spurious {
    at: (u64, u64),
    times: u32,
}

impl Spurious {
    fn count(&mut self, address: u64, rip: u64) -> Result<(), End> {
        self.times = if self.at == (address, rip) { self.times + 1 } else { 1 };
        self.at = (address, rip);
        if self.times > SPURIOUS_MAX {
            return Err(End::Fault(format!("endless page fault at {address:#x} from {rip:#x}")));
        }
        Ok(())
    }
}
