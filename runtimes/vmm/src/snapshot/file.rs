//! The file of a snapshot: header, state, pages, and the sums over them.
//!
//! Little-endian words: magic (two), version, bytes of state, their sum, offset of the pages, bytes of pages, and the
//! sum from the end of the state to the end of the file. The length of the file must be what the header says.

use std::os::fd::{AsFd, BorrowedFd};

use super::Run;
use super::crc::Crc;
use super::words::Reader;
use crate::error::Error;
use crate::layout::PAGE;
use crate::machine::Cpu;
use crate::sys::host;
use crate::sys::ram::Ram;

const MAGIC: &[u8; 16] = b"isomark snapshot";
/// Changes with the order or the meaning of any word.
pub const VERSION: u64 = 2;
const HEADER: usize = 64;
/// What is wrong with one of another CPU.
pub(super) const ANOTHER_CPU: &str =
    "was made on another CPU, with other features hidden, or under another kind of KVM";
/// More state than any program has: lists of areas are bounded.
const STATE_MAX: u64 = 16 << 20;
/// Bytes that one read covers.
const CHUNK: usize = 64 << 10;

fn bad<T>(what: &str) -> Result<T, Error> {
    Err(Error::Program(format!("the snapshot {what}")))
}

/// Writes everything, in one go and in order.
pub(super) fn write(fd: i32, state: &[u8], ram: &Ram, runs: &[Run]) -> Result<(), Error> {
    let offset = (HEADER + state.len()).next_multiple_of(PAGE as usize);
    let padding = vec![0; offset - HEADER - state.len()];
    let mut sum = Crc::default();
    sum.update(&padding);
    pages(ram, runs, |page| {
        sum.update(page);
        Ok(())
    })?;
    let data: u64 = runs.iter().map(|run| run[1]).sum();
    let words = [VERSION, state.len() as u64, Crc::of(state), offset as u64, data, sum.value()];
    let mut head = MAGIC.to_vec();
    head.extend(words.iter().flat_map(|word| word.to_le_bytes()));
    for part in [head.as_slice(), state, &padding] {
        host::put(fd, part)?;
    }
    pages(ram, runs, |page| host::put(fd, page))
}

fn pages(ram: &Ram, runs: &[Run], mut each: impl FnMut(&[u8]) -> Result<(), Error>) -> Result<(), Error> {
    let mut page = [0; PAGE as usize];
    for &[address, len, _] in runs {
        for at in (address..address + len).step_by(PAGE as usize) {
            if !ram.read(at, &mut page) {
                return Err(Error::Internal("a page to save lies outside guest memory".into()));
            }
            each(&page)?;
        }
    }
    Ok(())
}

/// The state, and offset and length of the pages.
pub(super) fn open(file: BorrowedFd<'_>, checked: bool) -> Result<(Vec<u8>, (u64, u64)), Error> {
    let mut head = [0; HEADER];
    let got = host::pread(file, &mut head, 0)?;
    if !head[..got].starts_with(MAGIC) {
        return bad("is none: its first bytes are not those of a snapshot");
    }
    let [version, state_len, state_sum, offset, data, data_sum] = Reader(&head[MAGIC.len()..]).words()?;
    if version != VERSION {
        return Err(Error::Program(format!(
            "the snapshot is of version {version}; this build reads {VERSION}"
        )));
    }
    let end = HEADER as u64 + state_len.min(STATE_MAX);
    let len = host::file_len(file)?;
    if state_len > STATE_MAX || offset != end.next_multiple_of(PAGE) || offset.checked_add(data) != Some(len)
    {
        return bad("is cut short, or its header is damaged");
    }
    let mut state = vec![0; state_len as usize];
    if !fill(file, &mut state, HEADER as u64)? {
        return bad("is cut short");
    }
    if !checked && (Crc::of(&state) != state_sum || sum(file, end, len)? != data_sum) {
        return bad("is damaged: its checksum is wrong");
    }
    Ok((state, (offset, data)))
}

fn fill(file: BorrowedFd<'_>, bytes: &mut [u8], from: u64) -> Result<bool, Error> {
    let mut done = 0;
    while done < bytes.len() {
        match host::pread(file, &mut bytes[done..], from + done as u64)? {
            0 => return Ok(false),
            got => done += got,
        }
    }
    Ok(true)
}

fn sum(file: BorrowedFd<'_>, from: u64, to: u64) -> Result<u64, Error> {
    let (mut sum, mut chunk, mut at) = (Crc::default(), vec![0; CHUNK], from);
    while at < to {
        let want = (to - at).min(CHUNK as u64) as usize;
        match host::pread(file, &mut chunk[..want], at)? {
            0 => return bad("became shorter while it was read"),
            got => {
                sum.update(&chunk[..got]);
                at += got as u64;
            }
        }
    }
    Ok(sum.value())
}

/// What a snapshot remembers of its program: the sum of its file, and of its arguments and environment in order.
///
/// # Errors
/// If the file cannot be read.
pub fn identity<'a>(file: BorrowedFd<'_>, words: impl IntoIterator<Item = &'a [u8]>) -> Result<u64, Error> {
    let mut all = Crc::default();
    all.update(&sum(file, 0, host::file_len(file)?)?.to_le_bytes());
    for word in words {
        all.update(word);
        all.update(&[0]);
    }
    Ok(all.value())
}

/// Checks header and sums of a snapshot, and that it is of the program with this [`identity`], this much memory and this
/// CPU.
///
/// # Errors
/// [`Error::Program`] with what is wrong with it.
pub fn check(file: &std::fs::File, program: u64, memory: u64, cpu: &Cpu) -> Result<(), Error> {
    let (state, _) = open(file.as_fd(), false)?;
    let mut from = Reader(&state);
    let [of, made_by, bytes] = from.words()?;
    if made_by != super::machine() {
        return bad("was made by another build of the VMM");
    }
    if of != program {
        return bad("is of another program");
    }
    if bytes != memory {
        return Err(Error::Program(format!("the snapshot has {bytes} bytes of memory, not {memory}")));
    }
    if from.words()? != cpu.identity() {
        return bad(ANOTHER_CPU);
    }
    Ok(())
}
