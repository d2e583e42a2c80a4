//! A program that is about to speak for the first time, as a file; and the same program again, as often as wanted.
//!
//! One file: a header of 64 bytes, the state as words, and the pages that are not zero, each run of them at an offset
//! that can be mapped copy-on-write. Clones share what they do not write to. Nothing in the file is believed: header,
//! counts and addresses are checked before anything is used, and sums over all bytes unless the caller has done that.
//!
//! What is fresh in a clone: the random bytes of its stack (AT_RANDOM), every `getrandom`, all clocks (they are the
//! host's), its uptime and CPU time. What is not: whatever the program had drawn or read before it was saved.

pub mod crc;
mod file;
pub mod words;

pub use file::{VERSION, check, identity};

use std::os::fd::BorrowedFd;

use kvm_bindings::{kvm_regs, kvm_xsave};

use crate::error::{End, Error};
use crate::frame::order;
use crate::guest::Guest;
use crate::layout::{BLOCK, MEMORY_MAX, MEMORY_MIN, PAGE, PML4, RFLAGS, RFLAGS_USER};
use crate::machine::{Cpu, Vm};
use crate::memory::Memory;
use crate::signals::Signals;
use crate::sys::host;
use crate::sys::ram::Ram;
use crate::{boot, door};
use crc::Crc;
use words::{Reader, Writer};

/// Zero pages between two runs that are cheaper as part of one mapping, in bytes.
const GAP: u64 = 4 * PAGE;

/// A run of pages: address, bytes, offset from the first.
type Run = [u64; 3];

/// A program as it is to run: what the VMM keeps of it, and what the CPU starts with.
#[derive(Debug)]
pub struct Loaded {
    /// Its memory.
    pub memory: Memory,
    /// Its signals.
    pub signals: Signals,
    /// General registers.
    pub regs: kvm_regs,
    /// Bases of FS and GS.
    pub bases: [u64; 2],
    /// Vector state, unless it is that of a fresh CPU.
    pub vectors: Option<Box<kvm_xsave>>,
    /// Its own name, as a path.
    pub exe: Vec<u8>,
    /// What PR_SET_NAME says.
    pub name: [u8; 16],
    /// Bits that new files do not get.
    pub umask: u32,
    /// Where its random bytes lie.
    pub random: u64,
}

/// What a snapshot was made by: the guest's kernel is part of its memory, so another build's cannot go on.
#[must_use]
pub fn machine() -> u64 {
    let mut sum = Crc::default();
    sum.update(&boot::KERNEL_IMAGE);
    sum.update(&door::CODE);
    sum.value()
}

/// Writes the program down as it is before the SYSCALL instruction that `regs` has just left.
///
/// # Errors
/// [`End::Unserved`] if it holds what cannot be written down, [`End::Internal`] if the file cannot be written.
// Never inlined: its buffers would be part of every system call's stack.
#[cold]
#[inline(never)]
pub fn save(guest: &Guest, vm: &Vm, regs: &kvm_regs, program: u64, fd: i32) -> Result<(), End> {
    let internal = |e: Error| End::Internal(e.to_string());
    let unfit = |e: Error| End::Unserved(e.to_string());
    let exe = guest.files.untouched().ok_or_else(|| {
        End::Unserved("the program has opened files: such a program cannot be saved".into())
    })?;
    let mut to = Writer::default();
    to.words(&[program, machine(), guest.memory.ram.len()]);
    to.words(&guest.cpu.identity());
    to.words(&order(&kvm_regs { rip: regs.rcx.wrapping_sub(2), rflags: regs.r11, ..*regs }));
    to.words(&vm.bases().map_err(internal)?);
    to.words(&[guest.random, guest.files.umask.into()]);
    to.bytes(&guest.name);
    to.bytes(exe);
    guest.memory.save(&mut to);
    guest.signals.save(&mut to).map_err(unfit)?;
    let vectors = vm.vectors().map_err(internal)?;
    let words = vectors.region.iter().enumerate().filter(|(_, word)| **word != 0);
    to.rows(words.map(|(i, word)| [i as u64, u64::from(*word)]));
    let runs = runs(guest);
    to.rows(runs.iter().copied());
    file::write(fd, &to.finish(), &guest.memory.ram, &runs).map_err(internal)
}

/// The pages that are not zero: those of the machine and those of the program.
fn runs(guest: &Guest) -> Vec<Run> {
    let (ram, mut runs) = (&guest.memory.ram, Vec::<Run>::new());
    let areas = guest.memory.space().areas().iter().map(|a| (a.start, a.end));
    for (start, end) in [(PML4, guest.memory.tables_end())].into_iter().chain(areas) {
        for address in (start..end).step_by(PAGE as usize).filter(|page| !ram.is_zero(*page)) {
            match runs.last_mut() {
                Some([first, len, _]) if address - (*first + *len) <= GAP => *len = address + PAGE - *first,
                _ => runs.push([address, PAGE, 0]),
            }
        }
    }
    let mut offset = 0;
    for run in &mut runs {
        run[2] = offset;
        offset += run[1];
    }
    runs
}

/// The program in `file`, with memory of its own. `checked`: the caller has checked the sums of this very file.
///
/// # Errors
/// [`Error::Program`] with what is wrong with the file.
pub fn restore(file: BorrowedFd<'_>, checked: bool, cpu: &Cpu) -> Result<Loaded, Error> {
    let (state, data) = file::open(file, checked)?;
    let mut from = Reader(&state);
    let [_, made_by, memory] = from.words()?;
    if made_by != machine() {
        return bad("was made by another build of the VMM");
    }
    if from.words()? != cpu.identity() {
        return bad(file::ANOTHER_CPU);
    }
    if !(MEMORY_MIN..=MEMORY_MAX).contains(&memory) || !memory.is_multiple_of(BLOCK) {
        return bad("names a size of memory that no guest has");
    }
    let regs = registers(from.words()?)?;
    let bases: [u64; 2] = from.words()?;
    if bases.iter().any(|base| *base >= 1 << 47) {
        return bad("names a segment outside of user space");
    }
    let [random, umask] = from.words()?;
    let name = from.bytes()?.try_into().or_else(|_| bad("has a thread name of the wrong length"))?;
    let exe = from.bytes()?;
    let memory = Memory::restore(Ram::new(memory)?, &mut from)?;
    let signals = Signals::restore(&mut from)?;
    let vectors = vectors(&from.rows()?)?;
    let runs = from.rows()?;
    from.end()?;
    let mut loaded =
        Loaded { memory, signals, regs, bases, vectors, exe, name, umask: umask as u32 & 0o777, random };
    loaded.map(file, &runs, data)?;
    Ok(loaded)
}

fn bad<T>(what: &str) -> Result<T, Error> {
    Err(Error::Program(format!("the snapshot {what}")))
}

fn registers(words: [u64; 18]) -> Result<kvm_regs, Error> {
    let [r8, r9, r10, r11, r12, r13, r14, r15, rdi, rsi, rbp, rbx, rdx, rax, rcx, rsp, rip, rflags] = words;
    if rip >= 1 << 47 {
        return bad("goes on outside of user space");
    }
    let rflags = rflags & RFLAGS_USER | RFLAGS;
    Ok(kvm_regs { rax, rbx, rcx, rdx, rsi, rdi, rsp, rbp, r8, r9, r10, r11, r12, r13, r14, r15, rip, rflags })
}

/// The words of the XSAVE area that are not zero. None: every component is in its initial state.
fn vectors(rows: &[[u64; 2]]) -> Result<Option<Box<kvm_xsave>>, Error> {
    // XSTATE_BV (SDM vol. 1, 13.4.2).
    if !rows.iter().any(|[at, _]| matches!(at, 128 | 129)) {
        return Ok(None);
    }
    area(rows).map(Some)
}

/// KVM checks the content itself. Never inlined: the area would be part of the caller's stack.
#[inline(never)]
fn area(rows: &[[u64; 2]]) -> Result<Box<kvm_xsave>, Error> {
    let mut state = Box::new(kvm_xsave::default());
    for [at, word] in rows {
        let slot = usize::try_from(*at).ok().and_then(|at| state.region.get_mut(at));
        match slot {
            Some(slot) => *slot = *word as u32,
            None => return bad("has vector state beyond its end"),
        }
    }
    Ok(state)
}

impl Loaded {
    /// Maps the runs copy-on-write and makes the random bytes fresh.
    fn map(&mut self, file: BorrowedFd<'_>, runs: &[Run], data: (u64, u64)) -> Result<(), Error> {
        let mut reached = 0;
        for &[address, len, offset] in runs {
            let whole = [address, len, offset].iter().all(|n| n.is_multiple_of(PAGE));
            let (end, stop) = (address.checked_add(len), offset.checked_add(len));
            let fits = end.is_some_and(|end| end <= self.memory.ram.len())
                && stop.is_some_and(|stop| stop <= data.1)
                && address >= reached;
            if !whole || !fits || len == 0 {
                return bad("has pages outside of its memory or of itself");
            }
            reached = address + len;
            self.memory.ram.map_file(address, len, file, data.0 + offset)?;
        }
        self.memory.backed_by(runs.iter().map(|[address, len, _]| (*address, address + len)));
        let mut random = [0; 16];
        host::random(&mut random);
        // Its own stack, or nowhere: an address that does not exist is not written to.
        let _ = self.memory.put(self.random, &random);
        Ok(())
    }
}
