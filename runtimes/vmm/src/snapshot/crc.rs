//! CRC-64/XZ: whether the bytes of a snapshot are those that were written.
//!
//! It finds accidents (a cut, a flipped bit), not forgeries: a snapshot is as trustworthy as the directory it lies in.

/// The reflected polynomial of ECMA-182.
const POLYNOMIAL: u64 = 0xc96c_5795_d787_0f42;

static TABLE: [u64; 256] = table();

const fn table() -> [u64; 256] {
    let mut table = [0; 256];
    let mut i = 0;
    while i < 256 {
        let (mut crc, mut bit) = (i as u64, 0);
        while bit < 8 {
            crc = if crc & 1 == 1 { crc >> 1 ^ POLYNOMIAL } else { crc >> 1 };
            bit += 1;
        }
        table[i] = crc;
        i += 1;
    }
    table
}

/// A checksum under way.
#[derive(Clone, Copy, Debug)]
pub struct Crc(u64);

impl Default for Crc {
    fn default() -> Self {
        Self(u64::MAX)
    }
}

impl Crc {
    /// Takes more bytes in.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0 = bytes.iter().fold(self.0, |crc, byte| TABLE[usize::from(crc as u8 ^ byte)] ^ crc >> 8);
    }

    /// The checksum so far.
    #[must_use]
    pub const fn value(&self) -> u64 {
        !self.0
    }

    /// The checksum of these bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> u64 {
        let mut crc = Self::default();
        crc.update(bytes);
        crc.value()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_check_value_of_the_catalogue() {
        // CRC-64/XZ in the catalogue of parametrised CRC algorithms.
        assert_eq!(Crc::of(b"123456789"), 0x995d_c9bb_df19_39fa);
        let mut parts = Crc::default();
        parts.update(b"1234");
        parts.update(b"56789");
        assert_eq!(parts.value(), Crc::of(b"123456789"));
    }
}
