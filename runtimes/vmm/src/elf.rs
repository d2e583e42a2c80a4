//! The program file: which bytes go where.
//!
//! A pure function from the first bytes of a file to a plan, or one sentence that says what is wrong with it. Every
//! number of the file is checked against the file's length and the guest's memory before anybody uses it.

use crate::error::Error;
use crate::layout::{BLOCK, PAGE, PIE_BASE, USER_START};

/// Longest part of the file that is read for its headers, in bytes: the header and 63 program headers.
pub const HEAD: usize = 4096;

/// One PT_LOAD segment at its final address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// First byte in guest memory.
    pub address: u64,
    /// First byte in the file.
    pub offset: u64,
    /// Bytes that come from the file.
    pub file_len: u64,
    /// Bytes in memory; what exceeds `file_len` is zero.
    pub len: u64,
    /// PROT_ bits.
    pub prot: u8,
}

impl Segment {
    /// First and one-past-last byte of the pages it covers.
    #[must_use]
    pub const fn pages(&self) -> (u64, u64) {
        (self.address / PAGE * PAGE, (self.address + self.len).next_multiple_of(PAGE))
    }

    /// Whether file pages can be mapped as they are.
    #[must_use]
    pub const fn mappable(&self) -> bool {
        self.address % PAGE == self.offset % PAGE
    }
}

/// A program that can run: static, x86-64, inside the guest's memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// Where it starts.
    pub entry: u64,
    /// What to load, in file order.
    pub segments: Vec<Segment>,
    /// Address of the program headers in memory, 0 if they are not loaded.
    pub phdr: u64,
    /// Number of program headers.
    pub phnum: u16,
    /// Whether it asks for an executable stack.
    pub exec_stack: bool,
    /// First byte after its last segment.
    pub end: u64,
}

const PT_LOAD: u32 = 1;
const PT_INTERP: u32 = 3;
const PT_GNU_STACK: u32 = 0x6474_e551;
const PHENT: usize = 56;

fn bytes<const N: usize>(data: &[u8], at: usize) -> Option<[u8; N]> {
    data.get(at..at.checked_add(N)?)?.try_into().ok()
}

fn u16_at(data: &[u8], at: usize) -> Option<u16> {
    bytes(data, at).map(u16::from_le_bytes)
}

fn u32_at(data: &[u8], at: usize) -> Option<u32> {
    bytes(data, at).map(u32::from_le_bytes)
}

fn u64_at(data: &[u8], at: usize) -> Option<u64> {
    bytes(data, at).map(u64::from_le_bytes)
}

fn bad<T>(text: impl Into<String>) -> Result<T, Error> {
    Err(Error::Program(text.into()))
}

/// Plans the program in `head` (the first [`HEAD`] bytes or fewer of a file of `file_len` bytes) for memory that
/// ends at `limit`.
///
/// # Errors
/// [`Error::Program`] with what is wrong.
pub fn plan(head: &[u8], file_len: u64, limit: u64) -> Result<Program, Error> {
    identify(head)?;
    let truncated = || Error::Program("the program's ELF header is cut short".into());
    let kind = u16_at(head, 16).ok_or_else(truncated)?;
    let entry = u64_at(head, 24).ok_or_else(truncated)?;
    let phoff = u64_at(head, 32).ok_or_else(truncated)?;
    let phentsize = u16_at(head, 54).ok_or_else(truncated)?;
    let phnum = u16_at(head, 56).ok_or_else(truncated)?;
    let pie = match kind {
        2 => false,
        3 => true,
        _ => return bad(format!("the program is an ELF file of type {kind}; an executable is type 2 or 3")),
    };
    if usize::from(phentsize) != PHENT || phnum == 0 {
        return bad(format!(
            "the program has {phnum} program headers of {phentsize} bytes; {PHENT} bytes are right"
        ));
    }
    let table = usize::try_from(phoff)
        .ok()
        .and_then(|from| head.get(from..from.checked_add(usize::from(phnum) * PHENT)?))
        .ok_or_else(|| Error::Program(format!("the program's headers lie outside its first {HEAD} bytes")))?;
    let mut program = Program { entry, segments: Vec::new(), phdr: 0, phnum, exec_stack: false, end: 0 };
    for header in table.chunks_exact(PHENT) {
        add(&mut program, header, file_len)?;
    }
    finish(program, phoff, pie, limit)
}

/// Magic, class, byte order and machine: is it a Linux x86-64 file at all?
fn identify(head: &[u8]) -> Result<(), Error> {
    match head {
        [0x7f, b'E', b'L', b'F', 2, 1, 1, _, ..] => {}
        [0x7f, b'E', b'L', b'F', 1, ..] => {
            return bad("the program is a 32-bit ELF file; 64-bit x86-64 is needed");
        }
        [0x7f, b'E', b'L', b'F', ..] => {
            return bad("the program is not a little-endian ELF file of version 1");
        }
        [b'#', b'!', ..] => return bad("the program is a script; a static x86-64 ELF executable is needed"),
        _ => return bad("the program is not an ELF file; a static x86-64 ELF executable is needed"),
    }
    match u16_at(head, 18) {
        Some(62) => Ok(()),
        Some(other) => bad(format!("the program is for ELF machine {other}; x86-64 is 62")),
        None => bad("the program's ELF header is cut short"),
    }
}

fn add(program: &mut Program, header: &[u8], file_len: u64) -> Result<(), Error> {
    let field = |at| u64_at(header, at).unwrap_or_default();
    let word = |at| u32_at(header, at).unwrap_or_default();
    let flags = word(4);
    match word(0) {
        PT_INTERP => {
            return bad("the program is dynamically linked (it names an interpreter); link it statically");
        }
        PT_GNU_STACK => program.exec_stack = flags & 1 != 0,
        PT_LOAD if field(40) > 0 => {
            let (offset, file_len_seg, len) = (field(8), field(32), field(40));
            if offset.checked_add(file_len_seg).is_none_or(|end| end > file_len) {
                return bad(format!("a segment of the program ends beyond the file's {file_len} bytes"));
            }
            if file_len_seg > len {
                return bad("a segment of the program is larger in the file than in memory");
            }
            let prot = (flags >> 2 & 1 | flags & 2 | (flags & 1) << 2) as u8;
            program.segments.push(Segment { address: field(16), offset, file_len: file_len_seg, len, prot });
        }
        _ => {}
    }
    Ok(())
}

/// Moves a position-independent program to its base and checks that all of it fits.
fn finish(mut program: Program, phoff: u64, pie: bool, limit: u64) -> Result<Program, Error> {
    let Some(lowest) = program.segments.iter().map(|s| s.address).min() else {
        return bad("the program has no segment to load");
    };
    let bias = if pie { PIE_BASE.wrapping_sub(lowest / BLOCK * BLOCK) } else { 0 };
    for segment in &mut program.segments {
        segment.address = segment.address.wrapping_add(bias);
        let end = segment.address.checked_add(segment.len).filter(|&end| end <= limit);
        let (Some(end), true) = (end, segment.address >= USER_START) else {
            return bad(format!(
                "the program wants {} bytes at {:#x}; this guest has {USER_START:#x} to {limit:#x}",
                segment.len, segment.address
            ));
        };
        program.end = program.end.max(end);
        if phoff >= segment.offset && phoff - segment.offset < segment.file_len {
            program.phdr = segment.address + (phoff - segment.offset);
        }
    }
    program.entry = program.entry.wrapping_add(bias);
    let inside = |s: &Segment| s.prot & 4 != 0 && (s.address..s.address + s.len).contains(&program.entry);
    if !program.segments.iter().any(inside) {
        return bad(format!("the program's entry {:#x} lies in no executable segment", program.entry));
    }
    Ok(program)
}
