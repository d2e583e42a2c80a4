//! `sha256`: the digest of n bytes by the `sha2` crate.
//!
//! The crate picks its code by CPUID on its own; the same test here tells which, so that two instances with
//! different masks are not compared unawares.

use super::{Answer, Kernel, size};
use crate::cpu;
use crate::data::mix;
use crate::sys::Array;
use crate::wire::WireError;
use sha2::{Digest as _, Sha256};

/// The kernel.
pub(crate) struct Digest {
    words: Array<u64>,
    bytes: usize,
    digest: [u8; 32],
}

impl Digest {
    /// # Errors
    /// If `n` is out of bounds or the memory is not to be had.
    pub(crate) fn new(n: u64) -> Result<Self, WireError> {
        let bytes = size(n, 1, 1 << 34)?;
        let mut index = 0..;
        let words = Array::filled(bytes.div_ceil(8), || index.next().map_or(0, mix).to_le())?;
        Ok(Self { words, bytes, digest: [0; 32] })
    }
}

impl Kernel for Digest {
    fn iterate(&mut self) -> Result<(), WireError> {
        self.digest = Sha256::digest(&self.words.bytes()[..self.bytes]).into();
        Ok(())
    }

    fn answer(&mut self) -> Result<Answer, WireError> {
        let hex: String = self.digest.iter().map(|b| format!("{b:02x}")).collect();
        let bits = self.digest[..8].iter().fold(0, |w, &b| w << 8 | u64::from(b));
        let picked = if cpu::has_sha() { "sha-ni" } else { "soft" };
        Ok(Answer::new(&hex, bits).with("picked", picked))
    }
}
