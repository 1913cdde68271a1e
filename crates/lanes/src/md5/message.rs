//! A message in slices, cut into padded blocks of 64 octets (RFC 1321 sections 3.1 and 3.2). Blocks that lie
//! inside one slice are lent, not copied.

use super::PARTS;

/// Blocks of a message with its padding: one octet 0x80, zeros, eight octets of length.
pub(super) fn block_count(parts: &[&[u8]]) -> u64 {
    (octet_count(parts) + 8) / 64 + 1
}

fn octet_count(parts: &[&[u8]]) -> u64 {
    parts.iter().map(|part| part.len() as u64).sum()
}

/// The blocks that are still to come. After the last one it goes on with blocks of no meaning.
pub(super) struct Message<'a> {
    /// What is left of the part that is being read.
    current: &'a [u8],
    /// The parts after it.
    later: [&'a [u8]; PARTS - 1],
    /// How many of `later` have been begun.
    begun: usize,
    bit_count: u64,
    /// Whether the octet 0x80 that ends the message has been put.
    ended: bool,
    scratch: [u8; 64],
}

impl<'a> Message<'a> {
    #[inline]
    pub(super) fn new([current, later @ ..]: [&'a [u8]; PARTS]) -> Message<'a> {
        // The length is kept modulo 2⁶⁴ bits.
        let bit_count = (current.len() as u64 + octet_count(&later)).wrapping_mul(8);
        Message { current, later, begun: 0, bit_count, ended: false, scratch: [0; 64] }
    }

    #[inline]
    pub(super) fn next_block(&mut self) -> &[u8; 64] {
        if let Some((block, rest)) = self.current.split_first_chunk() {
            self.current = rest;
            return block;
        }
        self.fill_scratch();
        &self.scratch
    }

    /// Kept out of line: [`next_block`](Self::next_block) is unrolled over all lanes.
    #[inline(never)]
    fn fill_scratch(&mut self) {
        self.scratch = [0; 64];
        let mut filled = 0;
        loop {
            let (taken, rest) = self.current.split_at(self.current.len().min(64 - filled));
            copy(&mut self.scratch[filled..filled + taken.len()], taken);
            filled += taken.len();
            self.current = rest;
            if filled == 64 {
                return;
            }
            let Some(next) = self.later.get(self.begun) else { break };
            self.current = next;
            self.begun += 1;
        }
        self.pad(filled);
    }

    /// Ends the message in the room that its last octets left, or in the block after; `filled` is below 64.
    #[inline]
    fn pad(&mut self, filled: usize) {
        let mut used = filled;
        if !self.ended {
            self.scratch[filled] = 0x80;
            used += 1;
            self.ended = true;
        }
        if used <= 56 {
            self.scratch[56..].copy_from_slice(&self.bit_count.to_le_bytes());
        }
    }
}

/// Copies at most 64 octets from a slice to another that is as long. As two pieces of a fixed size, which overlap where the
/// length is between two sizes: the call of a copy of any length costs more than these few octets do.
#[inline]
fn copy(to: &mut [u8], from: &[u8]) {
    match from.len() {
        0 => {}
        1..4 => to.iter_mut().zip(from).for_each(|(to, from)| *to = *from),
        4..8 => copy_ends::<4>(to, from),
        8..16 => copy_ends::<8>(to, from),
        16..32 => copy_ends::<16>(to, from),
        _ => copy_ends::<32>(to, from),
    }
}

/// The first `N` octets and the last `N`; of `N` to `2 * N` octets that is all.
#[inline]
fn copy_ends<const N: usize>(to: &mut [u8], from: &[u8]) {
    if let (Some(to), Some(from)) = (to.first_chunk_mut::<N>(), from.first_chunk::<N>()) {
        *to = *from;
    }
    if let (Some(to), Some(from)) = (to.last_chunk_mut::<N>(), from.last_chunk::<N>()) {
        *to = *from;
    }
}
