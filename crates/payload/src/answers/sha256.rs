//! SHA-256 as FIPS 180-4 writes it down, to check what the kernel's crate computes.
//!
//! Constants are derived, not copied: the first 32 bits of the fractions of roots of primes, in integers.

use super::expected::Expected;
use crate::data::mix;

/// The first `N` primes.
fn primes<const N: usize>() -> [u64; N] {
    let mut found = (2u64..).filter(|p| (2..*p).take_while(|d| d * d <= *p).all(|d| p % d != 0));
    [(); N].map(|()| found.next().unwrap_or(0))
}

/// The first 32 fractional bits of the k-th root of p, by bisection: the largest r with r^k ≤ p·2^(32k).
fn fraction(p: u64, k: u32) -> u32 {
    let power = |r: u128| (0..k).try_fold(1u128, |x, _| x.checked_mul(r));
    let target = u128::from(p) << (32 * k);
    let (mut low, mut high) = (0u128, 1 << 40);
    while high - low > 1 {
        let middle = u128::midpoint(low, high);
        if power(middle).is_some_and(|x| x <= target) { low = middle } else { high = middle }
    }
    low as u32
}

/// The digest of a message.
#[must_use]
pub fn digest(message: &[u8]) -> [u8; 32] {
    let constants = primes::<64>().map(|p| fraction(p, 3));
    let mut state = primes::<8>().map(|p| fraction(p, 2));
    let blocks = message.chunks_exact(64);
    let mut tail = blocks.remainder().to_vec();
    tail.push(0x80);
    tail.resize((tail.len() + 8).next_multiple_of(64) - 8, 0);
    tail.extend((message.len() as u64 * 8).to_be_bytes());
    blocks.chain(tail.chunks_exact(64)).for_each(|block| compress(&mut state, block, &constants));
    let mut out = [0; 32];
    out.chunks_exact_mut(4).zip(state).for_each(|(to, word)| to.copy_from_slice(&word.to_be_bytes()));
    out
}

fn compress(state: &mut [u32; 8], block: &[u8], constants: &[u32; 64]) {
    let mut w = [0u32; 64];
    for (w, b) in w.iter_mut().zip(block.chunks_exact(4)) {
        *w = b.iter().fold(0, |word, &byte| word << 8 | u32::from(byte));
    }
    for t in 16..64 {
        let s0 = w[t - 15].rotate_right(7) ^ w[t - 15].rotate_right(18) ^ w[t - 15] >> 3;
        let s1 = w[t - 2].rotate_right(17) ^ w[t - 2].rotate_right(19) ^ w[t - 2] >> 10;
        w[t] = w[t - 16].wrapping_add(s0).wrapping_add(w[t - 7]).wrapping_add(s1);
    }
    let [mut a, mut b, mut c, mut d, mut e, mut f, mut g, mut h] = *state;
    for (w, k) in w.iter().zip(constants) {
        let s1 = e.rotate_right(6) ^ e.rotate_right(11) ^ e.rotate_right(25);
        let t1 = h.wrapping_add(s1).wrapping_add(e & f ^ !e & g).wrapping_add(*k).wrapping_add(*w);
        let s0 = a.rotate_right(2) ^ a.rotate_right(13) ^ a.rotate_right(22);
        let t2 = s0.wrapping_add(a & b ^ a & c ^ b & c);
        (h, g, f, e, d, c, b, a) = (g, f, e, d.wrapping_add(t1), c, b, a, t1.wrapping_add(t2));
    }
    state.iter_mut().zip([a, b, c, d, e, f, g, h]).for_each(|(s, v)| *s = s.wrapping_add(v));
}

/// What `sha256` must answer.
pub(super) fn digested(n: usize) -> Expected {
    let words = (0..).flat_map(|i| mix(i).to_le_bytes());
    let digest = digest(&words.take(n).collect::<Vec<u8>>());
    let hex: String = digest.iter().map(|b| format!("{b:02x}")).collect();
    Expected::exact(&hex, digest[..8].iter().fold(0, |w, &b| w << 8 | u64::from(b)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn gives(message: &[u8], hex: &str) {
        assert_eq!(digest(message).map(|b| format!("{b:02x}")).concat(), hex);
    }

    #[test]
    fn digests_are_those_of_the_standard() {
        gives(b"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
        gives(b"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        let long = b"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq";
        gives(long, "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
    }
}
