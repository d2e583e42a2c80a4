//! One program while it runs: its memory, files, signals and counters, and the table of system calls.
//!
//! A system call is a function from six numbers to a result. What is not in the table is ENOSYS, is counted and is
//! told at the end, so nothing that was missing can look like success.

use crate::error::{Served, Stop, refuse};
use crate::files::Files;
use crate::machine::{Base, Cpu};
use crate::memory::Memory;
use crate::signals::Signals;
use crate::status::Status;
use crate::syscalls::{dir, file, mem, meta, poll, proc, time};

/// Arguments of a system call.
pub type Six = [u64; 6];

/// A running program, all but its registers.
#[derive(Debug)]
pub struct Guest {
    /// Its memory.
    pub memory: Memory,
    /// Its files.
    pub files: Files,
    /// Its signals.
    pub signals: Signals,
    /// What will be told.
    pub status: Status,
    /// Segment bases that arch_prctl has set; remembered because reading them back costs a request.
    pub bases: [u64; 2],
    /// A base to load before the program goes on.
    pub new_base: Option<(Base, u64)>,
    /// What PR_SET_NAME says.
    pub name: [u8; 16],
    /// CLOCK_MONOTONIC at the start, for the uptime of its own machine.
    pub started: u64,
    /// What the host's CPU offers it.
    pub cpu: Cpu,
    /// Where the random bytes of its auxiliary vector lie.
    pub random: u64,
    /// It is to be saved before it speaks: the checksum of its file, and where to.
    pub saving: Option<(u64, i32)>,
}

impl Guest {
    /// Serves one system call.
    ///
    /// # Errors
    /// The error number for the program, or its end.
    pub fn serve(&mut self, nr: u64, args: Six) -> Served {
        self.status.syscalls += 1;
        let nr_signed = i64::try_from(nr).unwrap_or(-1);
        for family in
            [file::serve, mem::serve, proc::serve, time::serve, dir::serve, meta::serve, poll::serve]
        {
            if let Some(served) = family(self, nr_signed, args) {
                // Every C library asks for restartable sequences and lives without them.
                if served == Err(Stop::Errno(libc::ENOSYS)) && nr_signed != libc::SYS_rseq {
                    self.status.unserved(nr);
                }
                return served;
            }
        }
        self.status.unserved(nr);
        refuse(libc::ENOSYS)
    }
}

/// What the program finds in rax.
#[must_use]
pub fn result(served: &Result<u64, i32>) -> u64 {
    match served {
        Ok(value) => *value,
        Err(errno) => i64::from(-errno) as u64,
    }
}

/// Reads a signed 32-bit argument.
#[must_use]
pub const fn int(arg: u64) -> i32 {
    arg as u32 as i32
}
