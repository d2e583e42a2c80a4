//! The vector instructions behind the tokens, one per function.
//!
//! The fields of [`Avx2`] and [`Avx512`] are private and only [`avx2`] and [`avx512`] make them, after the CPU
//! and the operating system allowed the path. That is what makes each instruction below legal.

#![expect(unsafe_code, reason = "vector instructions are unsafe where the CPU may lack them")]
// The bodies must melt into the entry functions, or they are compiled without their features.
#![expect(clippy::inline_always, reason = "see above")]

use super::{Body, Simd};
use crate::cpu;
use crate::wire::Isa;
use std::arch::x86_64::*;

/// SSE2: part of x86-64.
#[derive(Clone, Copy)]
pub(crate) struct Sse2;

/// Proof that AVX2 and FMA may be used.
#[derive(Clone, Copy)]
pub(crate) struct Avx2(());

/// Proof that AVX-512 may be used.
#[derive(Clone, Copy)]
pub(crate) struct Avx512(());

/// The token, if the path is enabled.
pub(crate) fn avx2() -> Option<Avx2> {
    cpu::resolve(Isa::Avx2).is_ok().then_some(Avx2(()))
}

/// The token, if the path is enabled.
pub(crate) fn avx512() -> Option<Avx512> {
    cpu::resolve(Isa::Avx512).is_ok().then_some(Avx512(()))
}

#[target_feature(enable = "avx2,fma")]
fn avx2_entry<B: Body>(simd: Avx2, body: B) -> B::Out {
    body.run(simd)
}

#[target_feature(enable = "avx2,fma,avx512f,avx512vl,avx512bw,avx512dq,avx512cd")]
fn avx512_entry<B: Body>(simd: Avx512, body: B) -> B::Out {
    body.run(simd)
}

/// Runs a body compiled for AVX2.
pub(super) fn in_avx2<B: Body>(simd: Avx2, body: B) -> B::Out {
    // SAFETY: the token proves the features.
    unsafe { avx2_entry(simd, body) }
}

/// Runs a body compiled for AVX-512.
pub(super) fn in_avx512<B: Body>(simd: Avx512, body: B) -> B::Out {
    // SAFETY: the token proves the features.
    unsafe { avx512_entry(simd, body) }
}

/// The operations that are one instruction on a path whose token proves the features.
macro_rules! proven {
    ($($name:ident($($arg:ident),+) = $instruction:ident;)+) => {$(
        #[inline(always)]
        fn $name(self, $($arg: Self::V),+) -> Self::V {
            // SAFETY: the token proves the features; no memory is touched.
            unsafe { $instruction($($arg),+) }
        }
    )+};
}

/// Ways into and out of registers, and the number of lanes they have.
macro_rules! memory {
    ($lanes:literal, $splat:ident, $load:ident, $store:ident) => {
        const LANES: usize = $lanes;

        #[inline(always)]
        fn splat(self, x: f64) -> Self::V {
            // SAFETY: the path is proven; no memory is touched.
            unsafe { $splat(x) }
        }

        #[inline(always)]
        fn load(self, from: &[f64]) -> Self::V {
            let from = &from[..$lanes];
            // SAFETY: the slice holds all lanes; the instruction asks for no alignment; the path is proven.
            unsafe { $load(from.as_ptr()) }
        }

        #[inline(always)]
        fn store(self, to: &mut [f64], v: Self::V) {
            let to = &mut to[..$lanes];
            // SAFETY: the slice holds all lanes; the instruction asks for no alignment; the path is proven.
            unsafe { $store(to.as_mut_ptr(), v) }
        }

        #[inline(always)]
        fn prefetch(self, at: &[f64]) {
            // SAFETY: a prefetch is a hint and faults on no address.
            unsafe { _mm_prefetch::<_MM_HINT_T0>(at.as_ptr().cast()) }
        }
    };
}

/// Shuffles of two vectors, named after the instruction.
macro_rules! shuffles {
    ($token:ty, $vector:ty; $($name:ident = $instruction:ident $(::<$imm:literal>)?;)+) => {
        impl $token {$(
            #[inline(always)]
            fn $name(self, a: $vector, b: $vector) -> $vector {
                // SAFETY: the token proves the features; no memory is touched.
                unsafe { $instruction$(::<$imm>)?(a, b) }
            }
        )+}
    };
}

shuffles! { Sse2, __m128d; evens = _mm_unpacklo_pd; odds = _mm_unpackhi_pd; }

shuffles! { Avx2, __m256d;
    evens = _mm256_unpacklo_pd;
    odds = _mm256_unpackhi_pd;
    low_halves = _mm256_permute2f128_pd::<0x20>;
    high_halves = _mm256_permute2f128_pd::<0x31>;
}

shuffles! { Avx512, __m512d;
    evens = _mm512_unpacklo_pd;
    odds = _mm512_unpackhi_pd;
    even_pairs = _mm512_shuffle_f64x2::<0x88>;
    odd_pairs = _mm512_shuffle_f64x2::<0xdd>;
}

impl Simd for Sse2 {
    type V = __m128d;
    memory!(2, _mm_set1_pd, _mm_loadu_pd, _mm_storeu_pd);
    const COPIES: usize = 2;

    #[inline(always)]
    fn spread(self, from: &[f64]) -> __m128d {
        self.load(from)
    }

    proven! {
        add(a, b) = _mm_add_pd;
        sub(a, b) = _mm_sub_pd;
        mul(a, b) = _mm_mul_pd;
        div(a, b) = _mm_div_pd;
        sqrt(a) = _mm_sqrt_pd;
    }

    #[inline(always)]
    fn mul_add(self, a: __m128d, b: __m128d, c: __m128d) -> __m128d {
        self.add(self.mul(a, b), c)
    }

    #[inline(always)]
    fn mul_sub_from(self, a: __m128d, b: __m128d, c: __m128d) -> __m128d {
        self.sub(c, self.mul(a, b))
    }

    #[inline(always)]
    fn interleave(self, v: [__m128d; 8], to: &mut [f64]) {
        for k in 0..4 {
            let (a, b) = (v[2 * k], v[2 * k + 1]);
            self.store(&mut to[2 * k..], self.evens(a, b));
            self.store(&mut to[8 + 2 * k..], self.odds(a, b));
        }
    }
}

impl Simd for Avx2 {
    type V = __m256d;
    memory!(4, _mm256_set1_pd, _mm256_loadu_pd, _mm256_storeu_pd);

    proven! {
        add(a, b) = _mm256_add_pd;
        sub(a, b) = _mm256_sub_pd;
        mul(a, b) = _mm256_mul_pd;
        div(a, b) = _mm256_div_pd;
        sqrt(a) = _mm256_sqrt_pd;
        mul_add(a, b, c) = _mm256_fmadd_pd;
        mul_sub_from(a, b, c) = _mm256_fnmadd_pd;
    }

    #[inline(always)]
    fn interleave(self, v: [__m256d; 8], to: &mut [f64]) {
        for k in 0..2 {
            let [a, b, c, d] = [v[4 * k], v[4 * k + 1], v[4 * k + 2], v[4 * k + 3]];
            let (even, odd) = ([self.evens(a, b), self.evens(c, d)], [self.odds(a, b), self.odds(c, d)]);
            self.store(&mut to[4 * k..], self.low_halves(even[0], even[1]));
            self.store(&mut to[8 + 4 * k..], self.low_halves(odd[0], odd[1]));
            self.store(&mut to[16 + 4 * k..], self.high_halves(even[0], even[1]));
            self.store(&mut to[24 + 4 * k..], self.high_halves(odd[0], odd[1]));
        }
    }
}

impl Simd for Avx512 {
    type V = __m512d;
    memory!(8, _mm512_set1_pd, _mm512_loadu_pd, _mm512_storeu_pd);

    proven! {
        add(a, b) = _mm512_add_pd;
        sub(a, b) = _mm512_sub_pd;
        mul(a, b) = _mm512_mul_pd;
        div(a, b) = _mm512_div_pd;
        sqrt(a) = _mm512_sqrt_pd;
        mul_add(a, b, c) = _mm512_fmadd_pd;
        mul_sub_from(a, b, c) = _mm512_fnmadd_pd;
    }

    #[inline(always)]
    fn interleave(self, v: [__m512d; 8], to: &mut [f64]) {
        // Pairs first: 2-element pieces of rows 0, 2, 4, 6 (evens) and 1, 3, 5, 7 (odds), four to a vector.
        for (odd, first) in [(false, 0), (true, 8)] {
            let pair = |k: usize| if odd { self.odds(v[k], v[k + 1]) } else { self.evens(v[k], v[k + 1]) };
            let [a, b, c, d] = [pair(0), pair(2), pair(4), pair(6)];
            // Rows r and r + 4 of columns 0–3 and of columns 4–7.
            let (low, high) = (self.even_pairs(a, b), self.even_pairs(c, d));
            self.store(&mut to[first..], self.even_pairs(low, high));
            self.store(&mut to[first + 32..], self.odd_pairs(low, high));
            let (low, high) = (self.odd_pairs(a, b), self.odd_pairs(c, d));
            self.store(&mut to[first + 16..], self.even_pairs(low, high));
            self.store(&mut to[first + 48..], self.odd_pairs(low, high));
        }
    }
}
