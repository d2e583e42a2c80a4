//! What the guest's init says on the control port, line by line.
//!
//! The guest is not trusted: a line has a bound, only known words count, and a line that makes no sense is dropped.

use crate::error::End;

/// What stands before the words of the guest's init.
pub const INIT: &str = "the guest's init: ";
/// Longest line, in bytes.
const LONGEST: usize = 200;

/// A line that has been understood.
#[derive(Debug, PartialEq, Eq)]
pub enum Said {
    /// Process 1 runs.
    Init,
    /// It is about to start the program.
    Program,
    /// It has taken this many bytes of the line.
    Took(usize),
    /// The program has ended, or could not be started.
    End(End),
}

/// Collects bytes into lines.
#[derive(Debug, Default)]
pub struct Control {
    line: Vec<u8>,
}

impl Control {
    /// Takes bytes; gives the line that they completed, if it says something.
    pub fn take(&mut self, bytes: &[u8]) -> Option<Said> {
        let mut said = None;
        for &byte in bytes {
            if byte == b'\n' {
                said = understand(&String::from_utf8_lossy(&self.line)).or(said);
                self.line.clear();
            } else if self.line.len() < LONGEST {
                self.line.push(byte);
            }
        }
        said
    }
}

fn understand(line: &str) -> Option<Said> {
    let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
    let end = match (word, rest) {
        ("init", "") => return Some(Said::Init),
        ("program", "") => return Some(Said::Program),
        ("took", count) => return Some(Said::Took(count.parse().ok()?)),
        ("exit", code) => End::Exit(code.parse().ok()?),
        ("signal", number) => End::Signal(number.parse().ok().filter(|n| (1..=64).contains(n))?),
        ("fail", why) => {
            let plain: String = why.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
            End::Internal(format!("{INIT}{plain}"))
        }
        _ => return None,
    };
    Some(Said::End(end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_understood_however_they_are_cut() {
        let mut control = Control::default();
        let said: Vec<_> =
            b"init\nprogram\ntook 0030\nexit 007\n".iter().filter_map(|b| control.take(&[*b])).collect();
        assert_eq!(said, [Said::Init, Said::Program, Said::Took(30), Said::End(End::Exit(7))]);
        assert_eq!(control.take(b"signal 011\n"), Some(Said::End(End::Signal(11))));
    }

    #[test]
    fn nonsense_says_nothing_and_holds_no_memory() {
        let mut control = Control::default();
        for text in
            ["exit 256\n", "exit\n", "signal 0\n", "signal 65\n", "signal -1\n", "INIT\n", "\n", "\0\n"]
        {
            assert_eq!(control.take(text.as_bytes()), None, "{text:?}");
        }
        assert_eq!(control.take(&[b'x'; 100_000]), None);
        assert!(control.line.len() <= LONGEST);
        let told = control.take(b"\nfail a\x1b[31mb\n");
        assert_eq!(told, Some(Said::End(End::Internal("the guest's init: a [31mb".into()))));
    }
}
