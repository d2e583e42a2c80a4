//! Input on a serial line: how bytes and their end are written down, and how many may be under way.
//!
//! Bytes mean themselves but for one: [`ESCAPE`], which is doubled for itself and stands before `E` for the end. The
//! guest's init decodes them.

/// DLE, "data link escape": rare in text.
pub const ESCAPE: u8 = 0x10;
/// The end of input.
pub const END: [u8; 2] = [ESCAPE, b'E'];
/// Most encoded bytes that the guest has not yet taken. A terminal of Linux holds 4095 unread bytes and drops the rest.
pub const WINDOW: usize = 2048;

/// Appends `clear` to `line`, encoded.
pub fn encode(clear: &[u8], line: &mut Vec<u8>) {
    for &byte in clear {
        if byte == ESCAPE {
            line.push(ESCAPE);
        }
        line.push(byte);
    }
}

// The decoder belongs to the guest's program, which shares no library with this one.
#[cfg(test)]
#[path = "../init/line.rs"]
mod decoder;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_in_comes_out_however_it_is_cut() {
        let clear: Vec<u8> = (0..=255).chain([ESCAPE, ESCAPE, b'E', ESCAPE]).collect();
        let mut line = Vec::new();
        encode(&clear, &mut line);
        line.extend(END);
        for size in 1..line.len() {
            let (mut decoder, mut out, mut ended) = (decoder::Decoder::default(), Vec::<u8>::new(), false);
            for piece in line.chunks(size) {
                assert!(!ended, "ended early at pieces of {size}");
                let mut room = vec![0; piece.len()];
                let (len, end) = decoder.decode(piece, &mut room);
                out.extend(&room[..len]);
                ended = end;
            }
            assert!(ended && out == clear, "pieces of {size}");
        }
        assert_eq!(decoder::ESCAPE, ESCAPE);
    }
}
