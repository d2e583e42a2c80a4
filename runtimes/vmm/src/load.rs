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

/// File bytes of a writable segment up to which they are read and not mapped: most of them are written to while a C
/// library starts, and a page that is made by reading costs less than one that is mapped and then copied.
const READ_MAX: u64 = 64 << 10;
/// Zero pages behind them that are made at once, in bytes: KVM maps neighbours along with a page only if they exist.
const WRITE_AHEAD: u64 = 4 * PAGE;

/// Stack that is made at once, in bytes: a C library's start needs more than one page of it.
const STACK_AHEAD: u64 = 2 * PAGE;

/// Where the program starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Start {
    /// First instruction.
    pub rip: u64,
    /// Initial stack pointer.
    pub rsp: u64,
    /// Where the random bytes of its auxiliary vector lie.
    pub random: u64,
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
    for run in program.segments.chunk_by(continues) {
        map_file(memory, file, run)?;
        run.iter().try_for_each(|segment| place(memory, file, segment))?;
    }
    let start = program.segments.iter().map(|s| s.pages().0).min().unwrap_or(0);
    memory.set_image(start, program.end.next_multiple_of(PAGE));
    let top = memory.ram.len();
    let prot = READ | WRITE | if program.exec_stack { EXEC } else { 0 };
    memory.map(memory.stack_start(), top, prot).map_err(no_room)?;
    let (rsp, random) = put_stack(memory, args, env, &program, machine)?;
    Ok(Start { rip: program.entry, rsp, random })
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
) -> Result<(u64, u64), Error> {
    let top = memory.ram.len();
    let limit = (top - memory.stack_start()) / 4;
    let stack = stack::build(top, limit, args, env, program, machine)?;
    memory.ram.populate(top - STACK_AHEAD, STACK_AHEAD);
    if memory.ram.write(stack.pointer, &stack.bytes) {
        Ok((stack.pointer, stack.random))
    } else {
        Err(Error::Internal("the initial stack lies outside guest memory".into()))
    }
}

/// Whether a segment is read into memory of its own.
const fn is_read(segment: &Segment) -> bool {
    !segment.mappable() || (segment.prot & WRITE != 0 && segment.file_len <= READ_MAX)
}

/// The pages of a segment that hold file bytes, and where they lie in the file; only if it is mapped.
const fn file_pages(segment: &Segment) -> (u64, u64, u64) {
    let (start, _) = segment.pages();
    let end = (segment.address + segment.file_len).next_multiple_of(PAGE);
    (start, end, segment.offset - (segment.address - start))
}

/// Whether one mapping of the file serves both, as a linker that keeps segments on pages of their own leaves them.
fn continues(one: &Segment, next: &Segment) -> bool {
    let mapped = |s: &Segment| !is_read(s) && s.file_len > 0 && s.len == s.file_len;
    if !mapped(one) || !mapped(next) {
        return false;
    }
    let ((start, end, from), (after, _, then)) = (file_pages(one), file_pages(next));
    end == after && from + (end - start) == then
}

/// Maps the file under segments that continue each other.
fn map_file(memory: &Memory, file: BorrowedFd<'_>, run: &[Segment]) -> Result<(), Error> {
    let (Some(first), Some(last)) = (run.first(), run.last()) else { return Ok(()) };
    if is_read(first) || first.file_len == 0 {
        return Ok(());
    }
    let ((start, _, offset), (_, end, _)) = (file_pages(first), file_pages(last));
    memory.ram.map_file(start, end - start, file, offset)
}

/// Fills one segment and tells the guest's tables. What follows its file bytes in their last page is zeroed if the
/// segment has more memory than file; further pages are zero already.
fn place(memory: &mut Memory, file: BorrowedFd<'_>, segment: &Segment) -> Result<(), Error> {
    let (start, end) = segment.pages();
    let file_end = segment.address + segment.file_len;
    if is_read(segment) {
        copy(memory, file, segment)?;
    } else if segment.file_len > 0 && segment.len > segment.file_len {
        memory.ram.zero(file_end, file_end.next_multiple_of(PAGE) - file_end);
    }
    if segment.prot & WRITE != 0 {
        let made = file_end.next_multiple_of(PAGE).min(end);
        memory.ram.populate(made, (end - made).min(WRITE_AHEAD));
    }
    memory.map(start, end, segment.prot).map_err(no_room)
}

fn copy(memory: &Memory, file: BorrowedFd<'_>, segment: &Segment) -> Result<(), Error> {
    let mut done = 0;
    while done < segment.file_len {
        let into = memory.ram.slice(segment.address + done, segment.file_len - done);
        let into = into.ok_or_else(|| Error::Internal("a segment lies outside guest memory".into()))?;
        match host::read_at(file, &into, segment.offset + done)? {
            0 => return Err(Error::Program("the program's file shrank while it was read".into())),
            got => done += got,
        }
    }
    Ok(())
}
