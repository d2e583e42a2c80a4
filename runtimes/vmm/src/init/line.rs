//! The decoder of a serial line that can end: the counterpart of `isomark_vmm::linux::line`.
//!
//! Bytes mean themselves but for one: [`ESCAPE`], which comes doubled for itself and before `E` for the end.

/// DLE, "data link escape": rare in text.
pub(crate) const ESCAPE: u8 = 0x10;

/// Remembers an escape at the end of a piece.
#[derive(Default)]
pub(crate) struct Decoder {
    escaped: bool,
}

impl Decoder {
    /// Decodes a piece into `clear`, which is as long: how many bytes came out, and whether the line ended.
    pub(crate) fn decode(&mut self, piece: &[u8], clear: &mut [u8]) -> (usize, bool) {
        let mut len = 0;
        for &byte in piece {
            match (std::mem::take(&mut self.escaped), byte) {
                (false, ESCAPE) => self.escaped = true,
                (true, b'E') => return (len, true),
                _ => {
                    clear[len] = byte;
                    len += 1;
                }
            }
        }
        (len, false)
    }
}
