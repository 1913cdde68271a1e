//! Eight lanes in 256-bit vectors, or twice eight. With two vectors per word the steps of one half fill the
//! waiting time of the other, which is worth another 1.6 times.
//!
//! Every function here that names `avx2` may only run where the processor has it. The two doors,
//! [`compress_8`] and [`compress_16`], are called by `digest_chunk` alone, whose caller asks the processor first.

use std::arch::x86_64::{
    __m256i, _mm_cvtsi32_si128, _mm256_add_epi32, _mm256_and_si256, _mm256_loadu_si256, _mm256_or_si256,
    _mm256_permute2x128_si256, _mm256_set1_epi32, _mm256_sll_epi32, _mm256_srl_epi32, _mm256_storeu_si256,
    _mm256_unpackhi_epi32, _mm256_unpackhi_epi64, _mm256_unpacklo_epi32, _mm256_unpacklo_epi64, _mm256_xor_si256,
};

use super::State;
use super::steps::{each, rounds, step};

/// Takes one block of each of eight lanes.
pub(super) fn compress_8(state: &mut State<8>, blocks: &[&[u8; 64]; 8]) {
    // SAFETY: `digest_chunk` alone names this function, for `Path::Avx2`, and `digest_all_on` lets that path
    // through only after `is_x86_feature_detected!("avx2")` said yes.
    unsafe { compress::<1, 8>(state, blocks) }
}

/// Takes one block of each of sixteen lanes.
pub(super) fn compress_16(state: &mut State<16>, blocks: &[&[u8; 64]; 16]) {
    // SAFETY: as in `compress_8`: named only by `digest_chunk` for a path that the processor has.
    unsafe { compress::<2, 16>(state, blocks) }
}

/// One word of `8 * V` lanes.
type Words<const V: usize> = [__m256i; V];

#[target_feature(enable = "avx2")]
fn compress<const V: usize, const L: usize>(state: &mut State<L>, blocks: &[&[u8; 64]; L]) {
    const { assert!(L == 8 * V) };
    let x = transposed::<V, L>(blocks);
    let before: [Words<V>; 4] = [load(&state[0]), load(&state[1]), load(&state[2]), load(&state[3])];
    let [mut a, mut b, mut c, mut d] = before;
    rounds!(a b c d, x);
    for (place, (old, new)) in state.iter_mut().zip(before.into_iter().zip([a, b, c, d])) {
        store(place, add(old, new));
    }
}

/// Word `k` of every block becomes vector `k`: for each eight lanes, two transposed squares of 8 × 8 words.
#[inline]
#[target_feature(enable = "avx2")]
fn transposed<const V: usize, const L: usize>(blocks: &[&[u8; 64]; L]) -> [Words<V>; 16] {
    let mut x = [[_mm256_set1_epi32(0); V]; 16];
    let (eights, _) = blocks.as_chunks::<8>();
    for (vector, eight) in eights.iter().enumerate().take(V) {
        for half in 0..2 {
            let mut rows = [_mm256_set1_epi32(0); 8];
            for (row, block) in rows.iter_mut().zip(eight) {
                let (halves, _) = block.as_chunks::<32>();
                // SAFETY: `halves[half]` is a live array of 32 octets (the index is checked), exactly what this
                // load reads, and the load asks for no alignment.
                *row = unsafe { _mm256_loadu_si256(halves[half].as_ptr().cast()) };
            }
            for (k, column) in transpose(rows).into_iter().enumerate() {
                x[8 * half + k][vector] = column;
            }
        }
    }
    x
}

/// An 8 × 8 square of words, mirrored: pairs of words, then pairs of pairs, then halves.
#[inline]
#[target_feature(enable = "avx2")]
fn transpose(r: [__m256i; 8]) -> [__m256i; 8] {
    let low = |a, b| _mm256_unpacklo_epi32(a, b);
    let high = |a, b| _mm256_unpackhi_epi32(a, b);
    let p = [
        [low(r[0], r[1]), high(r[0], r[1]), low(r[2], r[3]), high(r[2], r[3])],
        [low(r[4], r[5]), high(r[4], r[5]), low(r[6], r[7]), high(r[6], r[7])],
    ];
    let quads = |p: [__m256i; 4]| {
        [
            _mm256_unpacklo_epi64(p[0], p[2]),
            _mm256_unpackhi_epi64(p[0], p[2]),
            _mm256_unpacklo_epi64(p[1], p[3]),
            _mm256_unpackhi_epi64(p[1], p[3]),
        ]
    };
    let (top, bottom) = (quads(p[0]), quads(p[1]));
    let mut columns = [_mm256_set1_epi32(0); 8];
    for k in 0..4 {
        columns[k] = _mm256_permute2x128_si256::<0x20>(top[k], bottom[k]);
        columns[k + 4] = _mm256_permute2x128_si256::<0x31>(top[k], bottom[k]);
    }
    columns
}

#[inline]
#[target_feature(enable = "avx2")]
fn load<const V: usize, const L: usize>(words: &[u32; L]) -> Words<V> {
    let mut vectors = [_mm256_set1_epi32(0); V];
    let (eights, _) = words.as_chunks::<8>();
    for (vector, eight) in vectors.iter_mut().zip(eights) {
        // SAFETY: `eight` is a live array of eight words, exactly the 32 octets read here, at any alignment.
        *vector = unsafe { _mm256_loadu_si256(eight.as_ptr().cast()) };
    }
    vectors
}

#[inline]
#[target_feature(enable = "avx2")]
fn store<const V: usize, const L: usize>(words: &mut [u32; L], vectors: Words<V>) {
    let (eights, _) = words.as_chunks_mut::<8>();
    for (eight, vector) in eights.iter_mut().zip(vectors) {
        // SAFETY: `eight` is an exclusively borrowed array of eight words, exactly the 32 octets written here,
        // at any alignment.
        unsafe { _mm256_storeu_si256(eight.as_mut_ptr().cast(), vector) };
    }
}

#[inline]
#[target_feature(enable = "avx2")]
fn constant<const V: usize>(value: u32) -> Words<V> {
    [_mm256_set1_epi32(value.cast_signed()); V]
}

#[inline]
#[target_feature(enable = "avx2")]
fn add<const V: usize>(a: Words<V>, b: Words<V>) -> Words<V> {
    each!(a, b => _mm256_add_epi32(a, b))
}

/// The shift is always a constant where this is inlined, so both shifts become immediate ones.
#[inline]
#[target_feature(enable = "avx2")]
fn rotate<const V: usize>(a: Words<V>, shift: i32) -> Words<V> {
    let (left, right) = (_mm_cvtsi32_si128(shift), _mm_cvtsi32_si128(32 - shift));
    each!(a => _mm256_or_si256(_mm256_sll_epi32(a, left), _mm256_srl_epi32(a, right)))
}

#[inline]
#[target_feature(enable = "avx2")]
fn f<const V: usize>(b: Words<V>, c: Words<V>, d: Words<V>) -> Words<V> {
    each!(b, c, d => _mm256_xor_si256(d, _mm256_and_si256(b, _mm256_xor_si256(c, d))))
}

#[inline]
#[target_feature(enable = "avx2")]
fn g<const V: usize>(b: Words<V>, c: Words<V>, d: Words<V>) -> Words<V> {
    f(d, b, c)
}

#[inline]
#[target_feature(enable = "avx2")]
fn h<const V: usize>(b: Words<V>, c: Words<V>, d: Words<V>) -> Words<V> {
    each!(b, c, d => _mm256_xor_si256(_mm256_xor_si256(b, c), d))
}

#[inline]
#[target_feature(enable = "avx2")]
fn i<const V: usize>(b: Words<V>, c: Words<V>, d: Words<V>) -> Words<V> {
    let ones = _mm256_set1_epi32(-1);
    each!(b, c, d => _mm256_xor_si256(c, _mm256_or_si256(b, _mm256_xor_si256(d, ones))))
}
