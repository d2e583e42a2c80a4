//! The data that kernels work on, generated from fixed seeds by both sides, and the generators of all of isomark.
//!
//! Integer arithmetic and exact conversions only, so the same name gives the same numbers on every host, with
//! every C library and on every instruction-set path. The generators live here because everybody can see this crate and
//! it can see nobody; they are written here because a stored seed must mean the same numbers for as long as runs are kept.

/// What SplitMix64 adds to its state: 2⁶⁴ over the golden ratio, made odd.
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// SplitMix64's output function of its state (Steele, Lea, Flood, OOPSLA 2014).
const fn output(state: u64) -> u64 {
    let z = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// The number at an index of SplitMix64's sequence for seed 0: a bijection of 64-bit words that looks random.
#[must_use]
pub const fn mix(index: u64) -> u64 {
    output(index.wrapping_add(1).wrapping_mul(GOLDEN))
}

/// SplitMix64: every seed gives a full-period sequence, and the state is one word.
#[derive(Clone, Debug)]
pub struct SplitMix(u64);

impl SplitMix {
    /// The sequence of a seed.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number.
    pub const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(GOLDEN);
        output(self.0)
    }

    /// A number below `bound`.
    pub const fn below(&mut self, bound: usize) -> usize {
        below(self.next(), bound)
    }
}

/// Of 64 random bits a number below `bound`, by multiplication (Lemire 2019); its bias of `bound` / 2⁶⁴ is far below
/// anything seen here.
const fn below(bits: u64, bound: usize) -> usize {
    ((bits as u128 * bound as u128) >> 64) as usize
}

/// First value of a hash that [`fold`] continues.
pub const EMPTY: u64 = 0xcbf2_9ce4_8422_2325;

/// Takes one word into an order-dependent 64-bit hash; for a fixed hash it is a bijection of the word, so one
/// flipped bit anywhere always changes the result.
#[must_use]
pub const fn fold(hash: u64, word: u64) -> u64 {
    (hash ^ word).wrapping_mul(0x2545_f491_4f6c_dd1d).rotate_left(29)
}

/// The hash of numbers by their exact bits.
#[must_use]
pub fn fold_f64s(hash: u64, values: &[f64]) -> u64 {
    values.iter().fold(hash, |h, v| fold(h, v.to_bits()))
}

/// xoshiro256++ (Blackman and Vigna 2019, public domain reference code): the generator behind all random data.
#[derive(Clone, Debug)]
pub struct Xoshiro([u64; 4]);

impl Xoshiro {
    /// The generator for one purpose, such as `dgemm.a`; its seed is the hash of the name.
    #[must_use]
    pub fn named(name: &str) -> Self {
        let seed = name.bytes().fold(EMPTY, |h, b| fold(h, u64::from(b)));
        Self([0, 1, 2, 3].map(|i| mix(seed.wrapping_add(i))))
    }

    /// The generator of a seed, its state filled by SplitMix64 as its authors advise.
    #[must_use]
    pub fn seeded(seed: u64) -> Self {
        let mut state = SplitMix::new(seed);
        Self(std::array::from_fn(|_| state.next()))
    }

    /// The next 64 random bits.
    #[inline]
    pub fn word(&mut self) -> u64 {
        let s = &mut self.0;
        let out = s[0].wrapping_add(s[3]).rotate_left(23).wrapping_add(s[0]);
        let t = s[1] << 17;
        s[2] ^= s[0];
        s[3] ^= s[1];
        s[1] ^= s[2];
        s[0] ^= s[3];
        s[2] ^= t;
        s[3] = s[3].rotate_left(45);
        out
    }

    /// A number below `bound`.
    pub fn below(&mut self, bound: usize) -> usize {
        below(self.word(), bound)
    }

    /// Uniform in [0, 1), a multiple of 2⁻⁵³: the conversion is exact.
    #[inline]
    pub fn unit(&mut self) -> f64 {
        const STEP: f64 = 1.0 / (1u64 << 53) as f64;
        (self.word() >> 11) as f64 * STEP
    }

    /// Uniform in [−½, ½), as LINPACK fills its matrices.
    #[inline]
    pub fn centred(&mut self) -> f64 {
        self.unit() - 0.5
    }

    /// −1 or 1.
    #[inline]
    pub fn sign(&mut self) -> f64 {
        if self.word() >> 63 == 0 { 1.0 } else { -1.0 }
    }

    /// The state as one word, to prove how far a generator got.
    #[must_use]
    pub fn digest(&self) -> u64 {
        self.0.iter().fold(EMPTY, |h, &w| fold(h, w))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_generators_are_the_published_ones() {
        // First outputs of splitmix64 for seed 0 in its authors' reference code.
        assert_eq!(mix(0), 0xe220_a839_7b1d_cdaf);
        assert_eq!(mix(1), 0x6e78_9e6a_a1b9_65f4);
        // The same for seed 1234567.
        let mut sequence = SplitMix::new(1_234_567);
        let published = [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423_u64];
        assert_eq!([0; 3].map(|_| sequence.next()), published);
        // xoshiro256++ from state 1, 2, 3, 4 (rand_xoshiro's test vector, from the reference implementation).
        let mut stream = Xoshiro([1, 2, 3, 4]);
        let published = [41_943_041, 58_720_359, 3_588_806_011_781_223, 3_591_011_842_654_386];
        assert_eq!([0; 4].map(|_| stream.word()), published);
    }

    #[test]
    fn names_separate_streams_and_draws_stay_in_range() {
        let (mut a, mut b) = (Xoshiro::named("a"), Xoshiro::named("b"));
        assert_ne!(a.word(), b.word());
        assert!((0..1000).all(|_| (0.0..1.0).contains(&a.unit())));
        assert!((0..1000).all(|_| a.sign().abs() == 1.0));
    }
}
