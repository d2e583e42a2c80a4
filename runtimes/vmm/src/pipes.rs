//! Pipes between a program and itself.
//!
//! There is one thread, so a read or write that would wait can never be answered: it ends the program with words
//! instead of hanging it. The number of pipes is bounded by that of descriptors, and what each holds by its capacity.

use std::collections::VecDeque;

use vm_memory::VolatileSlice;

use crate::error::{End, Stop, refuse};

/// Bytes that a pipe holds (pipe(7)).
const CAPACITY: usize = 64 * 1024;

#[derive(Debug, Default)]
struct Pipe {
    data: VecDeque<u8>,
    readers: u32,
    writers: u32,
}

/// All pipes of a program, by the number that [`Pipes::make`] gives.
#[derive(Debug, Default)]
pub struct Pipes {
    pipes: Vec<Pipe>,
}

impl Pipes {
    /// A new pipe with one reading and one writing end.
    pub fn make(&mut self) -> usize {
        let fresh = Pipe { readers: 1, writers: 1, ..Pipe::default() };
        if let Some(id) = self.pipes.iter().position(|p| p.readers == 0 && p.writers == 0) {
            self.pipes[id] = fresh;
            id
        } else {
            self.pipes.push(fresh);
            self.pipes.len() - 1
        }
    }

    /// Takes a pipe back that got no descriptors.
    pub fn forget(&mut self, id: usize) {
        self.pipes[id] = Pipe::default();
    }

    /// The reading end was closed.
    pub fn close_reader(&mut self, id: usize) {
        self.pipes[id].readers = 0;
        self.free(id);
    }

    /// The writing end was closed.
    pub fn close_writer(&mut self, id: usize) {
        self.pipes[id].writers = 0;
        self.free(id);
    }

    fn free(&mut self, id: usize) {
        if self.pipes[id].readers == 0 {
            self.pipes[id].data = VecDeque::new();
        }
    }

    /// What poll says of the reading end.
    #[must_use]
    pub fn readable(&self, id: usize) -> i16 {
        let pipe = &self.pipes[id];
        let hangup = if pipe.writers == 0 { libc::POLLHUP } else { 0 };
        if pipe.data.is_empty() { hangup } else { libc::POLLIN | hangup }
    }

    /// What poll says of the writing end.
    #[must_use]
    pub fn writable(&self, id: usize) -> i16 {
        let pipe = &self.pipes[id];
        match pipe.data.len() < CAPACITY {
            _ if pipe.readers == 0 => libc::POLLERR,
            true => libc::POLLOUT,
            false => 0,
        }
    }

    /// Bytes that wait to be read.
    #[must_use]
    pub fn waiting(&self, id: usize) -> usize {
        self.pipes[id].data.len()
    }

    /// Reads what there is.
    ///
    /// # Errors
    /// EAGAIN, or the end of the program if it would wait.
    pub fn read(&mut self, id: usize, into: &VolatileSlice<'_, ()>, flags: i32) -> Result<u64, Stop> {
        let pipe = &mut self.pipes[id];
        if pipe.data.is_empty() && !into.is_empty() {
            return match pipe.writers {
                0 => Ok(0),
                _ if flags & libc::O_NONBLOCK != 0 => refuse(libc::EAGAIN),
                _ => deadlock("read of an empty pipe that only it can fill"),
            };
        }
        let len = pipe.data.len().min(into.len());
        let bytes: Vec<u8> = pipe.data.drain(..len).collect();
        into.copy_from(&bytes);
        Ok(len as u64)
    }

    /// Writes what fits.
    ///
    /// # Errors
    /// EPIPE, EAGAIN, or the end of the program if it would wait.
    pub fn write(&mut self, id: usize, from: &VolatileSlice<'_, ()>, flags: i32) -> Result<u64, Stop> {
        let pipe = &mut self.pipes[id];
        if pipe.readers == 0 {
            return refuse(libc::EPIPE);
        }
        let room = CAPACITY - pipe.data.len().min(CAPACITY);
        let len = from.len().min(room);
        if len < from.len() && flags & libc::O_NONBLOCK == 0 {
            return deadlock("write to a full pipe that only it can empty");
        }
        if len == 0 && !from.is_empty() {
            return refuse(libc::EAGAIN);
        }
        let mut bytes = vec![0u8; len];
        from.copy_to(&mut bytes);
        pipe.data.extend(bytes);
        Ok(len as u64)
    }
}

/// The program waits for itself: it would hang, so it ends with words.
fn deadlock<T>(what: &str) -> Result<T, Stop> {
    Err(End::Unserved(format!("deadlock: the program waits in a {what}")).into())
}
