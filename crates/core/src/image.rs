//! A program as bytes in one file: what it is, where it is and how it is named.
//!
//! An image is named by its SHA-256. Its file is opened read-only and never changes while a run lasts.

use std::fs;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::error::Error;

/// Largest program accepted, in bytes: a bound against mistaken paths such as disk images.
pub const MAX_IMAGE: u64 = 256 << 20;

/// A static ELF on disk.
///
/// ```
/// use isomark_core::Image;
///
/// let refused = Image::open("/etc/passwd".as_ref()).unwrap_err().to_string();
/// assert!(refused.contains("/etc/passwd") && refused.contains("not an ELF file"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    path: PathBuf,
    sha256: String,
    bytes: u64,
}

impl Image {
    /// Reads and names the program at `path`, and checks that a kernel could start it by itself.
    ///
    /// # Errors
    /// [`Error::Input`] if it is no file, too large, or no static x86-64 ELF executable.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let refuse = |why: String| Error::Input(format!("program {}: {why}", path.display()));
        let meta = fs::metadata(path).map_err(|e| refuse(e.to_string()))?;
        if !meta.is_file() {
            return Err(refuse("not a file; name a static x86-64 Linux ELF".into()));
        }
        if meta.len() > MAX_IMAGE {
            return Err(refuse(format!("{} bytes is more than the {MAX_IMAGE} accepted", meta.len())));
        }
        let bytes = fs::read(path).map_err(|e| refuse(e.to_string()))?;
        check_elf(&bytes).map_err(refuse)?;
        let path = fs::canonicalize(path).map_err(|e| refuse(e.to_string()))?;
        Ok(Self { path, sha256: sha256(&bytes), bytes: bytes.len() as u64 })
    }

    /// Where the file is; absolute.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// SHA-256 of the file in lower-case hexadecimal.
    #[must_use]
    pub fn sha256(&self) -> &str {
        &self.sha256
    }

    /// Size of the file in bytes.
    #[must_use]
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }
}

/// SHA-256 in lower-case hexadecimal.
#[must_use]
pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|b| format!("{b:02x}")).collect()
}

/// Whether a kernel could start these bytes without a loader (`elf(5)`).
fn check_elf(bytes: &[u8]) -> Result<(), String> {
    let half = |at: usize| bytes.get(at..at + 2).map(|b| u16::from_le_bytes([b[0], b[1]]));
    if bytes.get(..4) != Some(b"\x7fELF") {
        return Err("not an ELF file; a script needs its interpreter, build a static program instead".into());
    }
    if bytes.get(4..6) != Some(&[2, 1]) || half(18) != Some(62) {
        return Err("not a 64-bit little-endian x86-64 ELF".into());
    }
    if !matches!(half(16), Some(2 | 3)) {
        return Err("an ELF, but not an executable (an object file or a core dump?)".into());
    }
    if has_interpreter(bytes)? {
        return Err("dynamically linked; link it statically (cc -static, or a musl target)".into());
    }
    Ok(())
}

fn has_interpreter(bytes: &[u8]) -> Result<bool, String> {
    const PT_INTERP: u32 = 3;
    let word = |at: usize, len: usize| {
        let slice = bytes.get(at..at.checked_add(len)?)?;
        Some(slice.iter().rev().fold(0_u64, |value, b| value << 8 | u64::from(*b)))
    };
    let table = || Some((word(32, 8)?, word(54, 2)?, word(56, 2)?));
    let (offset, size, count) = table().ok_or("the ELF header is cut short")?;
    for i in 0..count {
        let at = usize::try_from(offset.saturating_add(i * size)).map_err(|e| e.to_string())?;
        let kind = word(at, 4).ok_or("the program headers lie outside the file")?;
        if kind == u64::from(PT_INTERP) {
            return Ok(true);
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(class: u8, kind: u16, machine: u16, first_segment: Option<u32>) -> Vec<u8> {
        let mut elf = vec![0_u8; 120];
        elf[..6].copy_from_slice(&[0x7f, b'E', b'L', b'F', class, 1]);
        elf[16..18].copy_from_slice(&kind.to_le_bytes());
        elf[18..20].copy_from_slice(&machine.to_le_bytes());
        elf[32] = 64;
        elf[54] = 56;
        elf[56] = u8::from(first_segment.is_some());
        elf[64..68].copy_from_slice(&first_segment.unwrap_or(0).to_le_bytes());
        elf
    }

    #[track_caller]
    fn verdict(bytes: &[u8], expected: Result<(), &str>) {
        match (check_elf(bytes), expected) {
            (Ok(()), Ok(())) => {}
            (Err(why), Err(part)) if why.contains(part) => {}
            (got, want) => panic!("got {got:?}, expected {want:?}"),
        }
    }

    #[test]
    fn only_a_static_executable_passes() {
        verdict(&header(2, 2, 62, Some(1)), Ok(()));
        verdict(&header(2, 3, 62, Some(1)), Ok(()));
        verdict(&header(2, 2, 62, None), Ok(()));
        verdict(b"#!/bin/sh", Err("not an ELF"));
        verdict(b"", Err("not an ELF"));
        verdict(&header(1, 2, 62, None), Err("64-bit"));
        verdict(&header(2, 2, 183, None), Err("64-bit"));
        verdict(&header(2, 1, 62, None), Err("not an executable"));
        verdict(&header(2, 2, 62, Some(3)), Err("dynamically linked"));
        verdict(&header(2, 2, 62, Some(1))[..60], Err("outside the file"));
        verdict(&header(2, 2, 62, Some(1))[..20], Err("cut short"));
    }
}
