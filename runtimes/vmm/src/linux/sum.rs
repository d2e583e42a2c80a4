//! A sum over an initramfs that no flipped bit and no missing end survives.
//!
//! Not against an adversary: the harness computes it when it writes the file, and the machine before it starts.

/// FNV's prime for 64 bits; any large odd number would do.
const PRIME: u64 = 0x0100_0000_01b3;

/// The sum. Eight bytes at a time: the file is read at every start.
#[must_use]
pub fn sum(bytes: &[u8]) -> u64 {
    // Multiplication by an odd number and rotation are both one to one, so two inputs of one length that differ in
    // one word have different sums.
    let mix = |sum: u64, word: u64| (sum ^ word).wrapping_mul(PRIME).rotate_left(29);
    let (words, rest) = bytes.as_chunks::<8>();
    let sum = words.iter().fold(bytes.len() as u64, |sum, word| mix(sum, u64::from_le_bytes(*word)));
    rest.iter().fold(sum, |sum, byte| mix(sum, u64::from(*byte)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_flipped_bit_and_every_missing_byte_shows() {
        let whole: Vec<u8> = (0..1003_u32).map(|i| ((i * 7) >> 3) as u8).collect();
        let right = sum(&whole);
        for bit in 0..whole.len() * 8 {
            let mut damaged = whole.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert_ne!(sum(&damaged), right, "bit {bit}");
        }
        assert!((0..whole.len()).all(|len| sum(&whole[..len]) != right));
    }
}
