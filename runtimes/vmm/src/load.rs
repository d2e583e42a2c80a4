//! From a program file to memory that is ready to run.
//!
//! File pages are mapped copy-on-write wherever alignment permits, so that text is the host's page cache, shared by
//! all instances, and starting copies nothing.

use std::os::fd::BorrowedFd;

use crate::elf::{self, HEAD, Program, Segment};
use crate::error::{Error, Stop};
use crate::layout::{PAGE, map_end};
use crate::memory::Memory;
use crate::space::{EXEC, READ, WRITE};
use crate::stack::{self, Machine};
use crate::sys::host;

/// Pages of a read-only segment that are mapped at once, in bytes: they are in the page cache already, and KVM's own
/// first use of a page that this process has not mapped costs twice as much.
const READ_AHEAD: u64 = 1 << 20;
/// Pages of a writable segment that are made at once, in bytes: a C library writes to most of its data while it
/// starts, and KVM maps neighbours along with a page only if they exist.
const WRITE_AHEAD: u64 = 8 * PAGE;

/// Where the program starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Start {
    /// First instruction.
    pub rip: u64,
    /// Initial stack pointer.
    pub rsp: u64,
}

/// Loads the program in `file` and builds its stack.
///
/// # Errors
/// [`Error::Program`] if the file is no program for this machine, [`Error::Internal`] if memory fails.
pub fn load(
    memory: &mut Memory,
    file: BorrowedFd<'_>,
    args: &[&[u8]],
    env: &[&[u8]],
    machine: &Machine,
) -> Result<Start, Error> {
    let mut head = [0; HEAD];
    let got = host::pread(file, &mut head, 0)?;
    let len = host::file_len(file)?;
    let program = elf::plan(&head[..got], len, map_end(memory.ram.len()))?;
    for segment in &program.segments {
        place(memory, file, segment)?;
    }
    let start = program.segments.iter().map(|s| s.pages().0).min().unwrap_or(0);
    memory.set_image(start, program.end.next_multiple_of(PAGE));
    let top = memory.ram.len();
    let prot = READ | WRITE | if program.exec_stack { EXEC } else { 0 };
    memory.map(memory.stack_start(), top, prot).map_err(no_room)?;
    let rsp = put_stack(memory, args, env, &program, machine)?;
    Ok(Start { rip: program.entry, rsp })
}

fn no_room(_: Stop) -> Error {
    Error::Program("the program needs more page tables than this guest has".into())
}

fn put_stack(
    memory: &Memory,
    args: &[&[u8]],
    env: &[&[u8]],
    program: &Program,
    machine: &Machine,
) -> Result<u64, Error> {
    let top = memory.ram.len();
    let limit = (top - memory.stack_start()) / 4;
    let stack = stack::build(top, limit, args, env, program, machine)?;
    if memory.ram.write(stack.pointer, &stack.bytes) {
        Ok(stack.pointer)
    } else {
        Err(Error::Internal("the initial stack lies outside guest memory".into()))
    }
}

/// Loads one segment. What follows its file bytes in their last page is zeroed if the segment has more memory than
/// file; further pages are zero already.
fn place(memory: &mut Memory, file: BorrowedFd<'_>, segment: &Segment) -> Result<(), Error> {
    let (start, end) = segment.pages();
    if segment.file_len > 0 {
        let skew = segment.address - start;
        let file_end = segment.address + segment.file_len;
        if segment.mappable() {
            let len = (file_end - start).next_multiple_of(PAGE);
            memory.ram.map_file(start, len, file, segment.offset - skew)?;
        } else {
            copy(memory, file, segment)?;
        }
        if segment.len > segment.file_len {
            memory.ram.zero(file_end, file_end.next_multiple_of(PAGE) - file_end);
        }
    }
    let len = end - start;
    if segment.prot & WRITE == 0 {
        memory.ram.populate_read(start, len.min(READ_AHEAD));
    } else {
        memory.ram.populate(start, len.min(WRITE_AHEAD));
    }
    memory.map(start, end, segment.prot).map_err(no_room)
}

fn copy(memory: &Memory, file: BorrowedFd<'_>, segment: &Segment) -> Result<(), Error> {
    let mut chunk = [0; 16 * 1024];
    let mut done = 0;
    while done < segment.file_len {
        let want = (segment.file_len - done).min(chunk.len() as u64) as usize;
        let got = host::pread(file, &mut chunk[..want], segment.offset + done)?;
        if got == 0 || !memory.ram.write(segment.address + done, &chunk[..got]) {
            return Err(Error::Program("the program's file shrank while it was read".into()));
        }
        done += got as u64;
    }
    Ok(())
}
