//! What the VMM tells about a run: inner steps, counts and the end.
//!
//! Everything is kept in memory and written once, when the program has ended: telling costs a clock reading and
//! nothing else inside a timed region.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::error::End;
use crate::names;
use crate::sys;

/// The story of one run.
#[derive(Debug, Default)]
pub struct Status {
    steps: Vec<(&'static str, u64)>,
    ram: (u64, u64),
    exits: u64,
    wrote: bool,
    /// System calls of the program, served or not.
    pub syscalls: u64,
    unserved: BTreeMap<u64, u64>,
}

/// Distinct unknown numbers that are counted one by one; a guest that tries more gains nothing.
const UNSERVED_KINDS: usize = 512;

impl Status {
    /// Nothing told yet.
    #[must_use]
    pub fn new() -> Self {
        Self { steps: Vec::with_capacity(16), ..Self::default() }
    }

    /// Tells that `name` happened now.
    pub fn step(&mut self, name: &'static str) {
        self.steps.push((name, sys::host::monotonic_ns()));
    }

    /// Tells that `name` happened now, unless it has been told: what a guest may say as often as it likes.
    pub fn step_once(&mut self, name: &'static str) {
        if self.steps.iter().all(|(told, _)| *told != name) {
            self.step(name);
        }
    }

    /// Counts a return of KVM_RUN; the first is told.
    pub fn exit(&mut self) {
        if self.exits == 0 {
            self.step("first-exit");
        }
        self.exits += 1;
    }

    /// Counts a return of KVM_RUN that nobody wants to see among the steps.
    pub fn count_exit(&mut self) {
        self.exits += 1;
    }

    /// Tells that the program is about to write for the first time, and whether it is.
    pub fn first_write(&mut self) -> bool {
        let first = !self.wrote;
        if first {
            self.wrote = true;
            self.step("first-write");
        }
        first
    }

    /// Tells where guest memory lies in this process.
    pub fn ram(&mut self, address: u64, len: u64) {
        self.ram = (address, len);
    }

    /// Counts a system call that was answered with ENOSYS.
    pub fn unserved(&mut self, nr: u64) {
        if self.unserved.len() < UNSERVED_KINDS || self.unserved.contains_key(&nr) {
            *self.unserved.entry(nr).or_default() += 1;
        }
    }

    /// The names of what was asked for and not served, for a sentence; empty if nothing was.
    #[must_use]
    pub fn missing(&self) -> String {
        self.unserved.keys().map(|&nr| names::plain(nr)).collect::<Vec<_>>().join(", ")
    }

    /// All lines, the end last.
    #[must_use]
    pub fn render(&self, end: &End) -> String {
        let mut text = String::with_capacity(1024);
        for (name, ns) in &self.steps {
            let _ = writeln!(text, "step {name} {ns}");
        }
        let _ = writeln!(text, "ram {:#x} {}", self.ram.0, self.ram.1);
        let _ = writeln!(text, "exits {}", self.exits);
        let _ = writeln!(text, "syscalls {}", self.syscalls);
        for (&nr, count) in &self.unserved {
            let _ = writeln!(text, "unserved {} {count}", names::word(nr));
        }
        let _ = writeln!(text, "end {end}");
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_comes_last_and_missing_calls_are_named() {
        let mut status = Status::new();
        status.step("main");
        status.ram(0x7f00_0000_0000, 64 << 20);
        status.unserved(41);
        status.unserved(41);
        status.unserved(100_000);
        let text = status.render(&End::Signal(11));
        let lines: Vec<_> = text.lines().collect();
        assert!(lines[0].starts_with("step main "), "{text}");
        assert_eq!(lines[1], "ram 0x7f0000000000 67108864");
        assert_eq!(
            lines[2..],
            ["exits 0", "syscalls 0", "unserved socket 2", "unserved syscall_100000 1", "end signal 11"]
        );
        assert_eq!(status.missing(), "socket, system call 100000");
    }

    #[test]
    fn what_a_guest_says_again_and_again_is_told_once() {
        let mut status = Status::new();
        (0..1000).for_each(|_| ["init", "program"].into_iter().for_each(|said| status.step_once(said)));
        assert_eq!(status.steps.len(), 2);
    }
}
