//! Lines in and lines out, without threads and without surprises.
//!
//! A line of more than [`MAX_LINE`] bytes before its newline is dropped up to its newline and reported once: a flood costs no memory.
//! Who waits for a line holds none either: nothing is allocated before one comes, and what is read goes first into a few
//! hundred bytes of the stack. An idle instance is measured by its pages, and a clone of it by those that it writes to.

use crate::sys::{Fd, input_waits};
use crate::wire::{MAX_LINE, WireError};

/// What came in.
pub(crate) enum Line {
    /// A line without its newline.
    Text(String),
    /// Something that is no line, in words.
    Bad(WireError),
}

/// Bytes of one read: jobs are shorter, and a stack that holds them stays within its page.
const CHUNK: usize = 512;

/// Reads lines from a descriptor.
pub(crate) struct Lines<'a> {
    from: &'a Fd,
    held: Vec<u8>,
    flooded: bool,
}

impl<'a> Lines<'a> {
    /// A reader with nothing read yet.
    pub(crate) fn new(from: &'a Fd) -> Self {
        Self { from, held: Vec::new(), flooded: false }
    }

    /// The next line; `None` at end of file. A last line without a newline counts.
    ///
    /// # Errors
    /// If reading fails: there is nobody left to answer.
    pub(crate) fn next(&mut self) -> Result<Option<Line>, WireError> {
        loop {
            if let Some(end) = self.held.iter().position(|&b| b == b'\n') {
                let line: Vec<u8> = self.held.drain(..=end).collect();
                return Ok(Some(self.take(&line[..end])));
            }
            if self.held.len() > MAX_LINE {
                self.held.clear();
                self.flooded = true;
            }
            let mut chunk = [0; CHUNK];
            let got = self.from.read(&mut chunk)?;
            if got == 0 {
                let rest = std::mem::take(&mut self.held);
                let some = self.flooded || !rest.is_empty();
                return Ok(some.then(|| self.take(&rest)));
            }
            self.held.extend_from_slice(&chunk[..got]);
        }
    }

    /// Whether there is something to read, or the end: a look without waiting.
    pub(crate) fn waits(&self) -> bool {
        self.held.contains(&b'\n') || input_waits()
    }

    fn take(&mut self, line: &[u8]) -> Line {
        if std::mem::take(&mut self.flooded) || line.len() > MAX_LINE {
            return Line::Bad(WireError(format!("a line of more than {MAX_LINE} bytes")));
        }
        match std::str::from_utf8(line) {
            Ok(text) => Line::Text(text.to_owned()),
            Err(_) => Line::Bad(WireError("a line that is not UTF-8".into())),
        }
    }
}

/// Writes all of `text`: one call, unless the other side takes less at a time.
pub(crate) fn write_all(to: &Fd, text: &[u8]) -> Result<(), WireError> {
    let mut left = text;
    while !left.is_empty() {
        match to.write(left)? {
            0 => return Err(WireError("write: took nothing".into())),
            put => left = &left[put..],
        }
    }
    Ok(())
}
