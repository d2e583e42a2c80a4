//! Signals: actions, masks, what is pending, and what happens next.
//!
//! Only the program itself raises signals here: by kill and its kin, or by a fault of the CPU. Which one is next is
//! decided here; building the handler's frame is `frame`'s job.

use crate::error::{End, Error, Served, Stop, refuse};
use crate::guest::{Guest, Six, int};
use crate::memory::{Memory, word};
use crate::snapshot::words::{Reader, Writer};

/// The program's process and thread number.
pub const PID: u64 = 1;
/// One past the last signal.
const SIGNALS: usize = 65;

/// What sigaction holds, as the kernel lays it out on x86-64.
#[derive(Clone, Copy, Debug, Default)]
pub struct Action {
    /// SIG_DFL, SIG_IGN or the handler's address.
    pub handler: u64,
    /// SA_ flags.
    pub flags: u64,
    /// Where the handler returns to; calls rt_sigreturn.
    pub restorer: u64,
    /// Blocked while it runs.
    pub mask: u64,
}

/// SA_RESTORER of the x86-64 kernel interface: without it a handler could not return.
pub const SA_RESTORER: u64 = 0x0400_0000;

/// Why a signal came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cause {
    /// si_code.
    pub code: i32,
    /// The address that faulted.
    pub address: u64,
    /// Vector of the CPU's exception.
    pub trap: u64,
    /// Its error code.
    pub error: u64,
}

/// The alternate stack of sigaltstack(2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AltStack {
    /// Lowest byte.
    pub base: u64,
    /// Bytes; 0 if there is none.
    pub size: u64,
}

/// Something for each signal, by default until the first is set: most programs never set any, and four kilobytes of
/// defaults would be moved about at every start.
#[derive(Debug, Default)]
struct Each<T>(Vec<T>);

impl<T: Copy + Default> Each<T> {
    fn get(&self, signal: i32) -> T {
        usize::try_from(signal).ok().and_then(|i| self.0.get(i).copied()).unwrap_or_default()
    }

    /// A signal that does not exist has nowhere to be set.
    fn set(&mut self, signal: i32, value: T) {
        self.0.resize(SIGNALS, T::default());
        usize::try_from(signal)
            .ok()
            .and_then(|i| self.0.get_mut(i))
            .into_iter()
            .for_each(|slot| *slot = value);
    }
}

/// All signal state.
#[derive(Debug, Default)]
pub struct Signals {
    actions: Each<Action>,
    /// Blocked now, one bit per signal from bit 0 for signal 1.
    pub mask: u64,
    pending: u64,
    causes: Each<Cause>,
    /// Where handlers with SA_ONSTACK run.
    pub alt: AltStack,
}

/// The bit of a signal in a mask.
#[must_use]
pub const fn bit(signal: i32) -> u64 {
    1 << ((signal - 1) & 63)
}

/// Flag of sigaltstack(2): forget the stack while a handler runs on it; leaving it set is harmless here.
const SS_AUTODISARM: i32 = i32::MIN;

const UNBLOCKABLE: u64 = bit(libc::SIGKILL) | bit(libc::SIGSTOP);

/// What to do before the program goes on.
#[derive(Debug, PartialEq, Eq)]
pub enum Next {
    /// Nothing.
    Resume,
    /// Call this signal's handler.
    Handle(i32),
    /// The program has ended.
    End(End),
}

impl Signals {
    /// The action of a signal.
    #[must_use]
    pub fn action(&self, signal: i32) -> Action {
        self.actions.get(signal)
    }

    /// Why the signal came.
    #[must_use]
    pub fn cause(&self, signal: i32) -> Cause {
        self.causes.get(signal)
    }

    /// Writes down handlers, mask and stack.
    ///
    /// # Errors
    /// If a signal is pending: why it came is not kept.
    pub fn save(&self, to: &mut Writer) -> Result<(), Error> {
        if self.pending != 0 {
            return Err(Error::Program("a signal is pending: such a program cannot be saved".into()));
        }
        let set =
            self.actions.0.iter().enumerate().filter(|(_, a)| a.handler != 0 || a.flags != 0 || a.mask != 0);
        to.rows(set.map(|(i, a)| [i as u64, a.handler, a.flags, a.restorer, a.mask]));
        to.words(&[self.mask, self.alt.base, self.alt.size]);
        Ok(())
    }

    /// Signals as they were written down.
    ///
    /// # Errors
    /// [`Error::Program`] for a signal that does not exist.
    pub fn restore(from: &mut Reader<'_>) -> Result<Self, Error> {
        let mut signals = Self::default();
        for [i, handler, flags, restorer, mask] in from.rows()? {
            let signal = i32::try_from(i).ok().filter(|&i| i > 0 && i < SIGNALS as i32);
            let signal = signal.ok_or_else(|| Error::Program(format!("the snapshot has a signal {i}")))?;
            signals.actions.set(signal, Action { handler, flags, restorer, mask });
        }
        let [mask, base, size] = from.words()?;
        Ok(Self { mask: mask & !UNBLOCKABLE, alt: AltStack { base, size }, ..signals })
    }

    /// The program raises a signal (1 to 64) on itself.
    pub fn raise(&mut self, signal: i32) {
        const SI_TKILL: i32 = -6;
        self.pending |= bit(signal);
        self.causes.set(signal, Cause { code: SI_TKILL, ..Cause::default() });
    }

    /// The CPU faulted: a signal that can be neither ignored nor blocked (force_sig_info in Linux).
    pub fn fault(&mut self, signal: i32, cause: Cause) {
        const SIG_IGN: u64 = 1;
        if self.mask & bit(signal) != 0 || self.action(signal).handler == SIG_IGN {
            self.forget(signal);
            self.mask &= !bit(signal);
        }
        self.pending |= bit(signal);
        self.causes.set(signal, cause);
    }

    /// What to do next; takes the signal from the pending ones.
    pub fn take(&mut self) -> Next {
        loop {
            let ready = self.pending & (!self.mask | UNBLOCKABLE);
            if ready == 0 {
                return Next::Resume;
            }
            let signal = ready.trailing_zeros() as i32 + 1;
            self.pending &= !bit(signal);
            match (self.action(signal).handler, signal) {
                (0, libc::SIGCHLD | libc::SIGCONT | libc::SIGURG | libc::SIGWINCH) | (1, _) => {}
                (0, libc::SIGSTOP | libc::SIGTSTP | libc::SIGTTIN | libc::SIGTTOU) => {
                    return Next::End(End::Unserved(format!(
                        "the program stopped itself by signal {signal}; nobody can continue it"
                    )));
                }
                (0, _) => return Next::End(End::Signal(signal)),
                _ => return Next::Handle(signal),
            }
        }
    }

    /// Blocks what a handler blocks, and forgets a handler that is to run once.
    pub fn entered(&mut self, signal: i32) {
        let action = self.action(signal);
        self.mask |= action.mask;
        if action.flags & libc::SA_NODEFER as u64 == 0 {
            self.mask |= bit(signal);
        }
        self.mask &= !UNBLOCKABLE;
        if action.flags & libc::SA_RESETHAND as u32 as u64 != 0 {
            self.forget(signal);
        }
    }

    /// The handler goes back to the default.
    fn forget(&mut self, signal: i32) {
        self.actions.set(signal, Action { handler: 0, ..self.action(signal) });
    }

    /// Whether a stack pointer lies on the alternate stack.
    #[must_use]
    pub const fn on_alt(&self, rsp: u64) -> bool {
        rsp > self.alt.base && rsp - self.alt.base <= self.alt.size
    }
}

/// Serves what this family knows.
pub fn serve(guest: &mut Guest, nr: i64, [a, b, c, d, ..]: Six) -> Option<Served> {
    Some(match nr {
        libc::SYS_rt_sigaction => sigaction(guest, int(a), b, c, d),
        libc::SYS_rt_sigprocmask => sigprocmask(guest, int(a), b, c, d),
        libc::SYS_rt_sigpending => {
            guest.memory.put(a, &(guest.signals.pending & guest.signals.mask).to_le_bytes()).map(|()| 0)
        }
        libc::SYS_sigaltstack => sigaltstack(guest, a, b),
        libc::SYS_kill if matches!(int(a), 0 | -1) || a == PID => kill(guest, int(b)),
        libc::SYS_tkill if a == PID => kill(guest, int(b)),
        libc::SYS_tgkill if a == PID && b == PID => kill(guest, int(c)),
        libc::SYS_kill | libc::SYS_tkill | libc::SYS_tgkill => refuse(libc::ESRCH),
        libc::SYS_rt_sigreturn => Err(Stop::Registers),
        libc::SYS_pause => wait_for_signal(guest),
        libc::SYS_rt_sigsuspend => {
            let mask = guest.memory.get_u64(a);
            mask.and_then(|mask| {
                guest.signals.mask = mask & !UNBLOCKABLE;
                wait_for_signal(guest)
            })
        }
        libc::SYS_alarm if a == 0 => Ok(0),
        _ => return None,
    })
}

fn wait_for_signal(guest: &Guest) -> Served {
    if guest.signals.pending & !guest.signals.mask != 0 {
        return refuse(libc::EINTR);
    }
    Err(End::Unserved("deadlock: the program waits for a signal that only it could send".into()).into())
}

fn valid(signal: i32) -> Result<usize, Stop> {
    usize::try_from(signal).ok().filter(|&i| i > 0 && i < SIGNALS).ok_or(Stop::Errno(libc::EINVAL))
}

fn sigaction(guest: &mut Guest, signal: i32, new: u64, old: u64, size: u64) -> Served {
    valid(signal)?;
    if size != 8 || new != 0 && bit(signal) & UNBLOCKABLE != 0 {
        return refuse(libc::EINVAL);
    }
    let was = guest.signals.action(signal);
    if new != 0 {
        let raw: [u8; 32] = guest.memory.get_array(new)?;
        let (handler, flags, restorer) = (word(&raw, 0), word(&raw, 8), word(&raw, 16));
        let mask = word(&raw, 24) & !UNBLOCKABLE;
        guest.signals.actions.set(signal, Action { handler, flags, restorer, mask });
    }
    let words = [was.handler, was.flags, was.restorer, was.mask];
    let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    guest.memory.put_unless_null(old, &bytes).map(|()| 0)
}

fn sigprocmask(guest: &mut Guest, how: i32, new: u64, old: u64, size: u64) -> Served {
    if size != 8 {
        return refuse(libc::EINVAL);
    }
    let was = guest.signals.mask;
    if new != 0 {
        let set = guest.memory.get_u64(new)? & !UNBLOCKABLE;
        guest.signals.mask = match how {
            libc::SIG_BLOCK => was | set,
            libc::SIG_UNBLOCK => was & !set,
            libc::SIG_SETMASK => set,
            _ => return refuse(libc::EINVAL),
        };
    }
    guest.memory.put_unless_null(old, &was.to_le_bytes()).map(|()| 0)
}

fn sigaltstack(guest: &mut Guest, new: u64, old: u64) -> Served {
    let was = guest.signals.alt;
    if new != 0 {
        let raw: [u8; 24] = guest.memory.get_array(new)?;
        let (base, flags, size) = (word(&raw, 0), word(&raw, 8) as i32, word(&raw, 16));
        guest.signals.alt = match flags & !SS_AUTODISARM {
            libc::SS_DISABLE => AltStack::default(),
            0 | libc::SS_ONSTACK if size < libc::MINSIGSTKSZ as u64 => return refuse(libc::ENOMEM),
            0 | libc::SS_ONSTACK => AltStack { base, size },
            _ => return refuse(libc::EINVAL),
        };
    }
    guest.memory.put_unless_null(old, &encode_alt(was)).map(|()| 0)
}

/// As `stack_t`.
#[must_use]
pub fn encode_alt(alt: AltStack) -> [u8; 24] {
    let mut out = [0; 24];
    out[..8].copy_from_slice(&alt.base.to_le_bytes());
    out[8..12].copy_from_slice(&if alt.size == 0 { libc::SS_DISABLE } else { 0 }.to_le_bytes());
    out[16..].copy_from_slice(&alt.size.to_le_bytes());
    out
}

fn kill(guest: &mut Guest, signal: i32) -> Served {
    if signal != 0 {
        valid(signal)?;
        guest.signals.raise(signal);
    }
    Ok(0)
}

/// The signal of a CPU exception (arch/x86/kernel/traps.c); none for what only a broken guest kernel can raise.
/// `protection` says that the page exists but forbids the access.
#[must_use]
pub fn of_exception(vector: u8, error: u64, address: u64, rip: u64, memory: &Memory) -> Option<(i32, Cause)> {
    let (signal, code, address) = match vector {
        0 => (libc::SIGFPE, FPE_INTDIV, rip),
        1 => (libc::SIGTRAP, TRAP_TRACE, rip),
        3 => (libc::SIGTRAP, SI_KERNEL, 0),
        6 => (libc::SIGILL, ILL_ILLOPN, rip),
        16 => (libc::SIGFPE, FPE_FLTINV, rip),
        17 => (libc::SIGBUS, BUS_ADRALN, 0),
        19 => (libc::SIGFPE, FPE_FLTINV, rip),
        14 => {
            let mapped = memory.space().at(address).is_some();
            (libc::SIGSEGV, if mapped { SEGV_ACCERR } else { SEGV_MAPERR }, address)
        }
        11 | 12 => (libc::SIGBUS, SI_KERNEL, 0),
        4 | 5 | 10 | 13 => (libc::SIGSEGV, SI_KERNEL, 0),
        _ => return None,
    };
    Some((signal, Cause { code, address, trap: vector.into(), error }))
}

/// Codes of uapi/asm-generic/siginfo.h.
const SI_KERNEL: i32 = 0x80;
const ILL_ILLOPN: i32 = 2;
const FPE_INTDIV: i32 = 1;
const FPE_FLTINV: i32 = 7;
const TRAP_TRACE: i32 = 2;
const BUS_ADRALN: i32 = 1;
const SEGV_MAPERR: i32 = 1;
const SEGV_ACCERR: i32 = 2;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_handlers_and_masks_decide_what_is_next() {
        let mut signals = Signals::default();
        assert_eq!(signals.take(), Next::Resume);
        signals.raise(libc::SIGCHLD);
        assert_eq!(signals.take(), Next::Resume, "ignored by default");
        signals.actions.set(libc::SIGUSR1, Action { handler: 0x40_0000, ..Action::default() });
        signals.mask = bit(libc::SIGUSR1);
        signals.raise(libc::SIGUSR1);
        assert_eq!(signals.take(), Next::Resume, "blocked");
        signals.mask = 0;
        assert_eq!(signals.take(), Next::Handle(libc::SIGUSR1));
        signals.entered(libc::SIGUSR1);
        assert_eq!(signals.mask, bit(libc::SIGUSR1), "blocked in its own handler");
        signals.raise(libc::SIGTERM);
        assert_eq!(signals.take(), Next::End(End::Signal(libc::SIGTERM)));
        signals.mask = u64::MAX;
        signals.raise(libc::SIGKILL);
        assert_eq!(signals.take(), Next::End(End::Signal(libc::SIGKILL)));
    }

    #[test]
    fn a_fault_cannot_be_ignored_or_blocked() {
        let mut signals = Signals::default();
        signals.actions.set(libc::SIGSEGV, Action { handler: 1, ..Action::default() });
        signals.fault(libc::SIGSEGV, Cause::default());
        assert_eq!(signals.take(), Next::End(End::Signal(libc::SIGSEGV)));
        signals.actions.set(libc::SIGSEGV, Action { handler: 0x40_0000, ..Action::default() });
        signals.fault(libc::SIGSEGV, Cause::default());
        assert_eq!(signals.take(), Next::Handle(libc::SIGSEGV));
        signals.entered(libc::SIGSEGV);
        signals.fault(libc::SIGSEGV, Cause::default());
        assert_eq!(signals.take(), Next::End(End::Signal(libc::SIGSEGV)), "a fault in its own handler");
    }
}
