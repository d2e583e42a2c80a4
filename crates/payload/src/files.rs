//! The jobs that weigh memory and disk: `touch` and `write`.
//!
//! What is read back is summed, so a page or block that did not keep its content cannot go unnoticed.

use crate::counts::PAGE;
use crate::data::{EMPTY, fold, mix};
use crate::lines::write_all;
use crate::sys::{Array, Fd};
use crate::wire::{Reply, WRONG, WireError};

/// Words between two pages' first words.
const STEP: usize = PAGE as usize / 8;
/// Words per write call: 256 KiB amortises the call without weighing on the instance's memory.
const CHUNK: usize = 32 << 10;

/// Maps `bytes`, writes a word of known content to each page and reads all back. The caller holds the mapping.
///
/// # Errors
/// If the instance cannot map that much.
pub(crate) fn touch(bytes: u64) -> Result<(Array<u64>, Reply), WireError> {
    let pages = bytes.div_ceil(PAGE);
    let words = usize::try_from(pages).ok().and_then(|p| p.checked_mul(STEP));
    let mut map = Array::zeroed(words.ok_or_else(|| WireError(format!("touch: {bytes} bytes")))?)?;
    map.iter_mut().step_by(STEP).zip(0..pages).for_each(|(word, page)| *word = mix(page));
    let sum = map.iter().step_by(STEP).take(pages as usize).fold(0u64, |s, &w| s.wrapping_add(w));
    let reply = Reply::new().with("bytes", bytes).with("pages", pages).with("sum", sum);
    Ok((map, reply))
}

/// The chunk that starts at word `first`, as bytes.
fn chunk(first: u64, bytes: usize, into: &mut Vec<u8>) {
    into.clear();
    (first..).take(CHUNK).for_each(|i| into.extend_from_slice(&mix(i).to_le_bytes()));
    into.truncate(bytes);
}

/// Hash of the words in `bytes`; a short last word is padded with zeros.
fn hash(start: u64, bytes: &[u8]) -> u64 {
    bytes.chunks(8).fold(start, |h, part| {
        let mut word = [0; 8];
        word[..part.len()].copy_from_slice(part);
        fold(h, u64::from_le_bytes(word))
    })
}

/// Reads until `into` is full or the file ends.
fn read_full(from: &Fd, into: &mut [u8]) -> Result<usize, WireError> {
    let mut have = 0;
    while have < into.len() {
        match from.read(&mut into[have..])? {
            0 => break,
            got => have += got,
        }
    }
    Ok(have)
}

/// Writes `bytes` of known content to `isomark.dat`, syncs, reads back, and keeps the file.
///
/// # Errors
/// If a call fails or the file is not as long as what was written.
pub(crate) fn write(bytes: u64) -> Result<Reply, WireError> {
    let file = Fd::create(c"isomark.dat")?;
    let mut buffer = Vec::with_capacity(CHUNK * 8);
    let mut done = 0;
    while done < bytes {
        let part = (bytes - done).min(CHUNK as u64 * 8);
        chunk(done / 8, part as usize, &mut buffer);
        write_all(&file, &buffer)?;
        done += part;
    }
    let synced = file.sync()?;
    file.rewind()?;
    let (mut check, mut length) = (EMPTY, 0);
    buffer.resize(CHUNK * 8, 0);
    loop {
        let got = read_full(&file, &mut buffer)?;
        if got == 0 {
            break;
        }
        check = hash(check, &buffer[..got]);
        length += got as u64;
    }
    if length != bytes {
        return Err(WireError(format!("{WRONG}wrote {bytes} bytes and read back {length}")));
    }
    Ok(Reply::new().with("bytes", bytes).with("check", check).with("synced", u8::from(synced)))
}
