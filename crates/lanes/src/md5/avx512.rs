//! Sixteen lanes in 512-bit vectors, or twice sixteen. These vectors rotate in one instruction and have every
//! auxiliary function of MD5 in one, so a step is six instructions where AVX2 needs ten, for twice the lanes.
//!
//! Every function here that names `avx512f` may only run where the processor has it. The two doors,
//! [`compress_16`] and [`compress_32`], are called by `digest_chunk` alone, whose caller asks the processor first.

use std::arch::x86_64::{
    __m512i, _mm_loadu_si128, _mm512_add_epi32, _mm512_castsi128_si512, _mm512_inserti32x4, _mm512_loadu_si512,
    _mm512_rolv_epi32, _mm512_set1_epi32, _mm512_storeu_si512, _mm512_ternarylogic_epi32, _mm512_unpackhi_epi32,
    _mm512_unpackhi_epi64, _mm512_unpacklo_epi32, _mm512_unpacklo_epi64,
};

use super::State;
use super::steps::{each, rounds, step};

/// Takes one block of each of sixteen lanes.
pub(super) fn compress_16(state: &mut State<16>, blocks: &[&[u8; 64]; 16]) {
    // SAFETY: `digest_chunk` alone names this function, for `Path::Avx512`, and `digest_all_on` lets that path
    // through only after `is_x86_feature_detected!("avx512f")` said yes.
    unsafe { compress::<1, 16>(state, blocks) }
}

/// Takes one block of each of thirty-two lanes.
pub(super) fn compress_32(state: &mut State<32>, blocks: &[&[u8; 64]; 32]) {
    // SAFETY: as in `compress_16`: named only by `digest_chunk` for a path that the processor has.
    unsafe { compress::<2, 32>(state, blocks) }
}

/// One word of `16 * V` lanes.
type Words<const V: usize> = [__m512i; V];

#[target_feature(enable = "avx512f")]
fn compress<const V: usize, const L: usize>(state: &mut State<L>, blocks: &[&[u8; 64]; L]) {
    const { assert!(L == 16 * V) };
    let x = transposed::<V, L>(blocks);
    let before: [Words<V>; 4] = [load(&state[0]), load(&state[1]), load(&state[2]), load(&state[3])];
    let [mut a, mut b, mut c, mut d] = before;
    rounds!(a b c d, x);
    for (place, (old, new)) in state.iter_mut().zip(before.into_iter().zip([a, b, c, d])) {
        store(place, add(old, new));
    }
}

/// Word `k` of every block becomes vector `k`: for each sixteen lanes, four quarters of 16 × 4 words.
#[inline]
#[target_feature(enable = "avx512f")]
fn transposed<const V: usize, const L: usize>(blocks: &[&[u8; 64]; L]) -> [Words<V>; 16] {
    let mut x = [[_mm512_set1_epi32(0); V]; 16];
    let (sixteens, _) = blocks.as_chunks::<16>();
    for (vector, sixteen) in sixteens.iter().enumerate().take(V) {
        for quarter in 0..4 {
            for (k, column) in columns(sixteen, quarter).into_iter().enumerate() {
                x[4 * quarter + k][vector] = column;
            }
        }
    }
    x
}

/// Four words of each of sixteen blocks, mirrored. Where the squares of 4 × 4 words come to stand is decided by the
/// loads, which is cheaper than to move them afterwards: square `n` is that of the blocks from `4 * n` on.
#[inline]
#[target_feature(enable = "avx512f")]
fn columns(blocks: &[&[u8; 64]; 16], quarter: usize) -> [__m512i; 4] {
    let mut rows = [_mm512_set1_epi32(0); 4];
    for (row, place) in rows.iter_mut().enumerate() {
        let part = |square: usize| {
            let (quarters, _) = blocks[4 * square + row].as_chunks::<16>();
            // SAFETY: `quarters[quarter]` is a live array of 16 octets (the index is checked), exactly what this
            // load reads, and the load asks for no alignment.
            unsafe { _mm_loadu_si128(quarters[quarter].as_ptr().cast()) }
        };
        let one = _mm512_castsi128_si512(part(0));
        let two = _mm512_inserti32x4::<1>(one, part(1));
        let three = _mm512_inserti32x4::<2>(two, part(2));
        *place = _mm512_inserti32x4::<3>(three, part(3));
    }
    let [first, second, third, fourth] = rows;
    let (low, high) = (_mm512_unpacklo_epi32(first, second), _mm512_unpackhi_epi32(first, second));
    let (low_after, high_after) = (_mm512_unpacklo_epi32(third, fourth), _mm512_unpackhi_epi32(third, fourth));
    [
        _mm512_unpacklo_epi64(low, low_after),
        _mm512_unpackhi_epi64(low, low_after),
        _mm512_unpacklo_epi64(high, high_after),
        _mm512_unpackhi_epi64(high, high_after),
    ]
}

#[inline]
#[target_feature(enable = "avx512f")]
fn load<const V: usize, const L: usize>(words: &[u32; L]) -> Words<V> {
    let mut vectors = [_mm512_set1_epi32(0); V];
    let (sixteens, _) = words.as_chunks::<16>();
    for (vector, sixteen) in vectors.iter_mut().zip(sixteens) {
        // SAFETY: `sixteen` is a live array of sixteen words, exactly the 64 octets read here, at any alignment.
        *vector = unsafe { _mm512_loadu_si512(sixteen.as_ptr().cast()) };
    }
    vectors
}

#[inline]
#[target_feature(enable = "avx512f")]
fn store<const V: usize, const L: usize>(words: &mut [u32; L], vectors: Words<V>) {
    let (sixteens, _) = words.as_chunks_mut::<16>();
    for (sixteen, vector) in sixteens.iter_mut().zip(vectors) {
        // SAFETY: `sixteen` is an exclusively borrowed array of sixteen words, exactly the 64 octets written here,
        // at any alignment.
        unsafe { _mm512_storeu_si512(sixteen.as_mut_ptr().cast(), vector) };
    }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn constant<const V: usize>(value: u32) -> Words<V> {
    [_mm512_set1_epi32(value.cast_signed()); V]
}

#[inline]
#[target_feature(enable = "avx512f")]
fn add<const V: usize>(a: Words<V>, b: Words<V>) -> Words<V> {
    each!(a, b => _mm512_add_epi32(a, b))
}

/// The shift is always a constant where this is inlined, so it becomes an immediate one.
#[inline]
#[target_feature(enable = "avx512f")]
fn rotate<const V: usize>(a: Words<V>, shift: i32) -> Words<V> {
    each!(a => _mm512_rolv_epi32(a, _mm512_set1_epi32(shift)))
}

// The auxiliary functions as tables: bit `4 * b + 2 * c + d` of the number is what the function gives for these bits.

/// `b ? c : d`.
#[inline]
#[target_feature(enable = "avx512f")]
fn f<const V: usize>(b: Words<V>, c: Words<V>, d: Words<V>) -> Words<V> {
    each!(b, c, d => _mm512_ternarylogic_epi32::<0b1100_1010>(b, c, d))
}

/// `d ? b : c`.
#[inline]
#[target_feature(enable = "avx512f")]
fn g<const V: usize>(b: Words<V>, c: Words<V>, d: Words<V>) -> Words<V> {
    each!(b, c, d => _mm512_ternarylogic_epi32::<0b1110_0100>(b, c, d))
}

/// `b ^ c ^ d`.
#[inline]
#[target_feature(enable = "avx512f")]
fn h<const V: usize>(b: Words<V>, c: Words<V>, d: Words<V>) -> Words<V> {
    each!(b, c, d => _mm512_ternarylogic_epi32::<0b1001_0110>(b, c, d))
}

/// `c ^ (b | !d)`.
#[inline]
#[target_feature(enable = "avx512f")]
fn i<const V: usize>(b: Words<V>, c: Words<V>, d: Words<V>) -> Words<V> {
    each!(b, c, d => _mm512_ternarylogic_epi32::<0b0011_1001>(b, c, d))
}
