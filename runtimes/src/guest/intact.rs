//! Whether a kernel file is whole: what its own format says, and the sums that its makers left in it.
//!
//! A kernel with a flipped bit boots most of the way and then fails in a thousand manners. Distributions sign their
//! kernels, and the digest that is signed stands in the file; others carry a CRC. Only a vmlinux has neither.

use isomark_core::image;

/// What a kernel file is found to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Found {
    /// The release, as `uname -r` will say it, if the file says.
    pub(super) release: Option<String>,
    /// What kind of file, and how its wholeness was established, in words.
    pub(super) kind: &'static str,
}

/// Looks at a whole kernel file.
///
/// # Errors
/// In words, why it cannot be booted.
pub(super) fn examine(file: &[u8]) -> Result<Found, String> {
    if file.starts_with(b"\x7fELF") {
        return examine_elf(file);
    }
    let whole = bzimage_len(file)?;
    let kind = match signed_digest(file) {
        Some(true) => "bzImage; signed, and its digest is the signed one",
        Some(false) => return Err("damaged: its digest is not the one that was signed".into()),
        None if crc(&file[..whole]) == 0 => "bzImage; its CRC is right",
        None => return Err("damaged: its CRC is wrong".into()),
    };
    Ok(Found { release: release(file), kind })
}

fn number<const N: usize>(file: &[u8], at: usize) -> Option<usize> {
    let bytes = file.get(at..at.checked_add(N)?)?;
    Some(bytes.iter().rev().fold(0, |value, byte| value << 8 | usize::from(*byte)))
}

/// Bytes up to the end of the part that the CRC covers (Documentation/arch/x86/boot.rst).
fn bzimage_len(file: &[u8]) -> Result<usize, String> {
    let foreign = || "neither an x86-64 bzImage nor an ELF vmlinux".to_owned();
    if number::<2>(file, 0x1fe) != Some(0xaa55) || file.get(0x202..0x206) != Some(b"HdrS") {
        return Err(foreign());
    }
    if number::<2>(file, 0x236).unwrap_or(0) & 1 == 0 {
        return Err("it has no 64-bit entry; take an x86-64 kernel".into());
    }
    let sectors = number::<1>(file, 0x1f1).filter(|n| *n > 0).unwrap_or(4);
    let whole = (sectors + 1) * 512 + number::<4>(file, 0x1f4).ok_or_else(foreign)? * 16;
    if file.len() < whole {
        return Err(format!("cut short: {} bytes of {whole}", file.len()));
    }
    Ok(whole)
}

/// The version text, up to its first blank; the header says where it is.
fn release(file: &[u8]) -> Option<String> {
    let at = number::<2>(file, 0x20e)? + 0x200;
    let text = file.get(at..at + 256)?.split(|b| *b == 0 || *b == b' ').next()?;
    String::from_utf8(text.to_vec()).ok().filter(|text| !text.is_empty())
}

/// CRC-32 as a bzImage ends with: of the whole, it leaves 0. Sixteen entries instead of 256: no table to build.
fn crc(bytes: &[u8]) -> u32 {
    const NIBBLES: [u32; 16] = nibbles();
    bytes.iter().fold(u32::MAX, |crc, byte| {
        let crc = crc ^ u32::from(*byte);
        let crc = crc >> 4 ^ NIBBLES[(crc & 15) as usize];
        crc >> 4 ^ NIBBLES[(crc & 15) as usize]
    })
}

const fn nibbles() -> [u32; 16] {
    let mut table = [0; 16];
    let mut i = 0;
    while i < 16 {
        let mut crc = i as u32;
        let mut bit = 0;
        while bit < 4 {
            crc = if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 };
            bit += 1;
        }
        table[i] = crc;
        i += 1;
    }
    table
}

/// Whether the file's digest is the signed one; `None` if it is not signed (Microsoft, "Windows Authenticode Portable
/// Executable Signature Format"). Who signed it is not asked: this is about damage, not about trust.
fn signed_digest(file: &[u8]) -> Option<bool> {
    let pe = number::<4>(file, 0x3c)?;
    if file.get(pe..pe + 4) != Some(b"PE\0\0") || number::<2>(file, pe + 24) != Some(0x20b) {
        return None;
    }
    // Behind the PE header of 24 bytes: the checksum, and the fifth data directory, which names the signature's place.
    let (checksum, directory) = (pe + 24 + 64, pe + 24 + 112 + 4 * 8);
    let (at, len) = (number::<4>(file, directory)?, number::<4>(file, directory + 4)?);
    if len == 0 {
        return None;
    }
    let Some(signature) = file.get(at..at.checked_add(len)?) else { return Some(false) };
    let covered = [&file[..checksum], &file[checksum + 4..directory], file.get(directory + 8..at)?].concat();
    let digest = image::sha256(&covered);
    let digest: Vec<u8> =
        (0..64).step_by(2).filter_map(|i| u8::from_str_radix(&digest[i..i + 2], 16).ok()).collect();
    Some(signature.windows(digest.len()).any(|window| window == digest))
}

fn examine_elf(file: &[u8]) -> Result<Found, String> {
    if number::<2>(file, 18) != Some(62) || file.get(4) != Some(&2) || number::<2>(file, 16) != Some(2) {
        return Err("an ELF file, but not an x86-64 vmlinux".into());
    }
    let cut = || "cut short: a segment lies beyond the end of the file".to_owned();
    let (table, count) = (number::<8>(file, 32).ok_or_else(cut)?, number::<2>(file, 56).ok_or_else(cut)?);
    for i in 0..count {
        let at = i.checked_mul(56).and_then(|skip| table.checked_add(skip)).ok_or_else(cut)?;
        let field =
            |offset: usize| at.checked_add(offset).and_then(|at| number::<8>(file, at)).ok_or_else(cut);
        if field(8)?.checked_add(field(32)?).is_none_or(|end| end > file.len()) {
            return Err(cut());
        }
    }
    Ok(Found { release: banner(file), kind: "vmlinux; nothing in it says whether it is whole" })
}

/// "Linux version RELEASE (…": the banner that a kernel prints first.
fn banner(file: &[u8]) -> Option<String> {
    const START: &[u8] = b"Linux version ";
    let at = file.windows(START.len()).position(|window| window == START)? + START.len();
    let text = file.get(at..at + 256)?.split(|b| *b == b' ' || *b == 0).next()?;
    String::from_utf8(text.to_vec()).ok().filter(|text| !text.contains('%'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_crc_is_the_usual_one() {
        // The check value of CRC-32 is for the inverted remainder.
        assert_eq!(!crc(b"123456789"), 0xcbf4_3926);
    }

    /// A bzImage of five sectors and a little code, with its CRC.
    fn bzimage() -> Vec<u8> {
        let mut file: Vec<u8> = (0..5 * 512 + 1600_u32).map(|i| ((i * 13) >> 2) as u8).collect();
        let mut put = |at: usize, bytes: &[u8]| file[at..at + bytes.len()].copy_from_slice(bytes);
        put(0x3c, &[0; 4]);
        put(0x1f1, &[4]);
        put(0x1f4, &100_u32.to_le_bytes());
        put(0x1fe, &0xaa55_u16.to_le_bytes());
        put(0x202, b"HdrS");
        put(0x20e, &0x100_u16.to_le_bytes());
        put(0x236, &1_u16.to_le_bytes());
        put(0x300, b"6.1.0-test (somebody) #1\0");
        let end = file.len() - 4;
        let sum = crc(&file[..end]);
        file[end..].copy_from_slice(&sum.to_le_bytes());
        file
    }

    #[test]
    fn a_whole_bzimage_passes_and_no_flipped_bit_does() {
        let whole = bzimage();
        let found = examine(&whole).unwrap();
        assert_eq!((found.release.as_deref(), found.kind), (Some("6.1.0-test"), "bzImage; its CRC is right"));
        for bit in (0..whole.len() * 8).step_by(7) {
            let mut damaged = whole.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert!(examine(&damaged).is_err(), "bit {bit}");
        }
        assert!((0..whole.len()).step_by(97).all(|len| examine(&whole[..len]).is_err()));
    }

    #[test]
    fn what_is_foreign_is_named() {
        let refused = |file: &[u8], with: &str| {
            let why = examine(file).expect_err("must be refused");
            assert!(why.contains(with), "{why}");
        };
        refused(b"", "neither");
        refused(&[0; 5000], "neither");
        refused(&bzimage()[..4000], "cut short: 4000 bytes of 4160");
        let mut elf = vec![0; 64];
        elf[..6].copy_from_slice(b"\x7fELF\x02\x01");
        refused(&elf, "not an x86-64 vmlinux");
        (elf[16], elf[18]) = (2, 62);
        (elf[32], elf[56]) = (64, 1);
        refused(&elf, "beyond the end");
    }
}
