//! The paths that every processor has: one message at a time, and two interleaved, so that one runs
//! while the other waits for its previous step.

use super::steps::{rounds, step};
use super::{INITIAL, State, octets_of};

/// MD5 of the parts, one after the other.
pub(super) fn digest(parts: &[&[u8]]) -> [u8; 16] {
    let mut state = INITIAL;
    let mut pending = [0_u8; 64];
    let mut filled = 0;
    let mut octet_count = 0_u64;
    for part in parts {
        octet_count += part.len() as u64;
        let mut rest = *part;
        if filled > 0 {
            let (taken, after) = rest.split_at(rest.len().min(64 - filled));
            pending[filled..filled + taken.len()].copy_from_slice(taken);
            filled += taken.len();
            rest = after;
            if filled < 64 {
                continue;
            }
            one::compress(&mut state, &pending);
        }
        let (blocks, tail) = rest.as_chunks::<64>();
        for block in blocks {
            one::compress(&mut state, block);
        }
        pending[..tail.len()].copy_from_slice(tail);
        filled = tail.len();
    }
    pending[filled..].fill(0);
    pending[filled] = 0x80;
    if filled >= 56 {
        one::compress(&mut state, &pending);
        pending.fill(0);
    }
    pending[56..].copy_from_slice(&octet_count.wrapping_mul(8).to_le_bytes());
    one::compress(&mut state, &pending);
    octets_of(state)
}

/// Takes one block of each of two lanes.
pub(super) fn compress_2(state: &mut State<2>, blocks: &[&[u8; 64]; 2]) {
    two::compress(state, blocks);
}

fn words_of(block: &[u8; 64]) -> [u32; 16] {
    let (words, _) = block.as_chunks::<4>();
    std::array::from_fn(|k| u32::from_le_bytes(words[k]))
}

/// A word is a `u32`.
mod one {
    use super::{rounds, step, words_of};

    #[inline]
    pub(super) fn compress(state: &mut [u32; 4], block: &[u8; 64]) {
        let x = words_of(block);
        let [mut a, mut b, mut c, mut d] = *state;
        rounds!(a b c d, x);
        *state = [add(state[0], a), add(state[1], b), add(state[2], c), add(state[3], d)];
    }

    #[inline(always)]
    const fn constant(value: u32) -> u32 {
        value
    }

    #[inline(always)]
    const fn add(a: u32, b: u32) -> u32 {
        a.wrapping_add(b)
    }

    #[inline(always)]
    const fn rotate(a: u32, shift: u32) -> u32 {
        a.rotate_left(shift)
    }

    #[inline(always)]
    const fn f(b: u32, c: u32, d: u32) -> u32 {
        d ^ (b & (c ^ d))
    }

    /// The two halves share no bit, so they may be added, which keeps the chain of dependent steps short.
    #[inline(always)]
    const fn g(b: u32, c: u32, d: u32) -> u32 {
        (b & d).wrapping_add(c & !d)
    }

    #[inline(always)]
    const fn h(b: u32, c: u32, d: u32) -> u32 {
        b ^ c ^ d
    }

    #[inline(always)]
    const fn i(b: u32, c: u32, d: u32) -> u32 {
        c ^ (b | !d)
    }
}

/// A word is two lanes of `u32`.
mod two {
    use std::array::from_fn;

    use super::{State, rounds, step, words_of};

    type Words = [u32; 2];

    pub(super) fn compress(state: &mut State<2>, blocks: &[&[u8; 64]; 2]) {
        let by_lane: [[u32; 16]; 2] = blocks.map(words_of);
        let x: [Words; 16] = from_fn(|k| from_fn(|lane| by_lane[lane][k]));
        let [mut a, mut b, mut c, mut d] = *state;
        rounds!(a b c d, x);
        *state = [add(state[0], a), add(state[1], b), add(state[2], c), add(state[3], d)];
    }

    #[inline(always)]
    fn constant(value: u32) -> Words {
        [value; 2]
    }

    #[inline(always)]
    fn add(a: Words, b: Words) -> Words {
        from_fn(|lane| a[lane].wrapping_add(b[lane]))
    }

    #[inline(always)]
    fn rotate(a: Words, shift: u32) -> Words {
        a.map(|word| word.rotate_left(shift))
    }

    #[inline(always)]
    fn f(b: Words, c: Words, d: Words) -> Words {
        from_fn(|lane| d[lane] ^ (b[lane] & (c[lane] ^ d[lane])))
    }

    #[inline(always)]
    fn g(b: Words, c: Words, d: Words) -> Words {
        f(d, b, c)
    }

    #[inline(always)]
    fn h(b: Words, c: Words, d: Words) -> Words {
        from_fn(|lane| b[lane] ^ c[lane] ^ d[lane])
    }

    #[inline(always)]
    fn i(b: Words, c: Words, d: Words) -> Words {
        from_fn(|lane| c[lane] ^ (b[lane] | !d[lane]))
    }
}
