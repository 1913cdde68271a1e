//! One batch: sealing it before it is written, and judging it when it is read.

use super::{
    BATCH_LEN_MAX, BLOCK, NUMBER_END, StoreId, blocks, checksum, is_zero, seed as seed_of, u16_at, u32_at, u64_at,
};
use crate::frame::RECORD_LEN_MAX;

const MAGIC: u32 = u32::from_le_bytes(*b"tgb1");

const MAGIC_AT: usize = 0;
const CHECKSUM_AT: usize = MAGIC_AT + 4;
const SEGMENT_AT: usize = CHECKSUM_AT + 4;
const FIRST_AT: usize = SEGMENT_AT + 8;
const CHAIN_AT: usize = FIRST_AT + 8;
const COUNT_AT: usize = CHAIN_AT + 4;
const LEN_AT: usize = COUNT_AT + 4;
const UNUSED_AT: usize = LEN_AT + 4;
pub(crate) const BATCH_HEAD_LEN: usize = UNUSED_AT + 4;

const FRAME_LEN_AT: usize = 0;
const FRAME_INDEX_AT: usize = FRAME_LEN_AT + 2;
const FRAME_CHECKSUM_AT: usize = FRAME_INDEX_AT + 2;
pub(crate) const FRAME_HEAD_LEN: usize = FRAME_CHECKSUM_AT + 4;

/// Frames begin at multiples of this.
const ALIGN: usize = 8;

const _: () = {
    assert!(BATCH_HEAD_LEN.is_multiple_of(ALIGN) && FRAME_HEAD_LEN.is_multiple_of(ALIGN));
    // A frame takes two words at least, so an index has 16 bits; and a record's length has too.
    assert!((BATCH_LEN_MAX - BATCH_HEAD_LEN) / (FRAME_HEAD_LEN + ALIGN) <= u16::MAX as usize);
    assert!(RECORD_LEN_MAX + FRAME_HEAD_LEN + ALIGN <= u16::MAX as usize);
    assert!(BATCH_LEN_MAX.is_multiple_of(BLOCK));
};

/// Octets that a record of `record_len` takes in a batch.
pub(crate) const fn frame_len(record_len: usize) -> usize {
    (FRAME_HEAD_LEN + record_len).next_multiple_of(ALIGN)
}

/// A batch's header, as read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BatchHead {
    pub(crate) first: u64,
    pub(crate) chain: u32,
    pub(crate) count: u16,
    /// Octets of the frames.
    pub(crate) len: usize,
    pub(crate) seed: u32,
    checksum: u32,
}

impl BatchHead {
    /// The header at the front of `rest`, what is left of the segment; `None` when none of this store and segment stands there.
    pub(crate) fn read(store: &StoreId, segment: u64, rest: &[u8]) -> Option<BatchHead> {
        let head = rest.get(..BATCH_HEAD_LEN)?;
        if u32_at(head, MAGIC_AT) != MAGIC || u64_at(head, SEGMENT_AT) != segment {
            return None;
        }
        let first = u64_at(head, FIRST_AT);
        let chain = u32_at(head, CHAIN_AT);
        let seed = seed_of(store, segment, first, chain);
        let sum = checksum(seed, &head[COUNT_AT..]);
        let count = u16::try_from(u32_at(head, COUNT_AT)).ok()?;
        let len = usize::try_from(u32_at(head, LEN_AT)).ok()?;
        let possible = count > 0
            && (1..NUMBER_END).contains(&first)
            && len <= BATCH_LEN_MAX - BATCH_HEAD_LEN
            && BATCH_HEAD_LEN + len <= rest.len();
        (sum == u32_at(head, CHECKSUM_AT) && possible).then_some(BatchHead {
            first,
            chain,
            count,
            len,
            seed,
            checksum: sum,
        })
    }

    /// Octets to the next batch.
    pub(crate) fn disk_len(&self) -> usize {
        blocks(BATCH_HEAD_LEN + self.len)
    }

    /// The sequence number after the last record.
    pub(crate) fn end(&self) -> u64 {
        self.first + u64::from(self.count)
    }
}

/// Fills in the checksums of the frames in `batch` (whose first [`BATCH_HEAD_LEN`] octets are free) and its header.
/// Gives the seed, and the chain of the batch that follows.
pub(crate) fn seal(
    batch: &mut [u8],
    store: &StoreId,
    segment: u64,
    (first, count): (u64, u16),
    chain: u32,
) -> (u32, u32) {
    let seed = seed_of(store, segment, first, chain);
    let (head, frames) = batch.split_at_mut(BATCH_HEAD_LEN);
    head[MAGIC_AT..CHECKSUM_AT].copy_from_slice(&MAGIC.to_le_bytes());
    head[SEGMENT_AT..FIRST_AT].copy_from_slice(&segment.to_le_bytes());
    head[FIRST_AT..CHAIN_AT].copy_from_slice(&first.to_le_bytes());
    head[CHAIN_AT..COUNT_AT].copy_from_slice(&chain.to_le_bytes());
    head[COUNT_AT..LEN_AT].copy_from_slice(&u32::from(count).to_le_bytes());
    let len = u32::try_from(frames.len()).expect("a batch ends below 2^20");
    head[LEN_AT..UNUSED_AT].copy_from_slice(&len.to_le_bytes());
    head[UNUSED_AT..].fill(0);
    let sum = checksum(seed, &head[COUNT_AT..]);
    head[CHECKSUM_AT..SEGMENT_AT].copy_from_slice(&sum.to_le_bytes());

    let mut next = Chain::after(sum);
    let mut at = 0;
    while at < frames.len() {
        let len = usize::from(u16_at(frames, at + FRAME_LEN_AT));
        let sum = frame_checksum(frames, at, len, seed);
        frames[at + FRAME_CHECKSUM_AT..at + FRAME_HEAD_LEN].copy_from_slice(&sum.to_le_bytes());
        next.push(sum);
        at += frame_len(len);
    }
    (seed, next.finish())
}

/// The checksum of a batch's header and of its frames' checksums, in order. Some are gathered before they are summed up:
/// a long piece costs hardly more than four octets.
struct Chain {
    sum: u32,
    gathered: [u8; Chain::GATHERED],
    len: usize,
}

impl Chain {
    const GATHERED: usize = 1024;

    fn after(head: u32) -> Chain {
        Chain { sum: head, gathered: [0; Chain::GATHERED], len: 0 }
    }

    fn push(&mut self, frame: u32) {
        if self.len == Chain::GATHERED {
            self.sum = checksum(self.sum, &self.gathered);
            self.len = 0;
        }
        self.gathered[self.len..self.len + 4].copy_from_slice(&frame.to_le_bytes());
        self.len += 4;
    }

    fn finish(self) -> u32 {
        checksum(self.sum, &self.gathered[..self.len])
    }
}

/// A frame's head without its checksum. `out` has [`FRAME_HEAD_LEN`] octets.
pub(crate) fn frame_head(record_len: usize, index: u16) -> [u8; FRAME_HEAD_LEN] {
    let mut head = [0; FRAME_HEAD_LEN];
    let len = u16::try_from(record_len).expect("a record ends below 2^12");
    head[FRAME_LEN_AT..FRAME_INDEX_AT].copy_from_slice(&len.to_le_bytes());
    head[FRAME_INDEX_AT..FRAME_CHECKSUM_AT].copy_from_slice(&index.to_le_bytes());
    head
}

fn frame_checksum(frames: &[u8], at: usize, len: usize, seed: u32) -> u32 {
    let mut hasher = crc32fast::Hasher::new_with_initial(seed);
    hasher.update(&frames[at..at + FRAME_CHECKSUM_AT]);
    hasher.update(&frames[at + FRAME_HEAD_LEN..at + FRAME_HEAD_LEN + len]);
    hasher.finalize()
}

/// One good frame of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    /// Its record's place in the batch.
    pub(crate) index: u16,
    len: u16,
    /// The frame's first octet among the frames.
    pub(crate) at: u32,
    checksum: u32,
}

impl Span {
    pub(crate) fn record<'a>(&self, frames: &'a [u8]) -> &'a [u8] {
        let from = self.at as usize + FRAME_HEAD_LEN;
        &frames[from..from + self.record_len()]
    }

    pub(crate) fn record_len(&self) -> usize {
        usize::from(self.len)
    }
}

/// The frame at `at`, when its checksum is right.
pub(crate) fn frame_at(frames: &[u8], at: usize, seed: u32) -> Option<Span> {
    let rest = frames.get(at..)?;
    if rest.len() < FRAME_HEAD_LEN {
        return None;
    }
    let len = usize::from(u16_at(rest, FRAME_LEN_AT));
    if len == 0 || len > RECORD_LEN_MAX || FRAME_HEAD_LEN + len > rest.len() {
        return None;
    }
    let sum = frame_checksum(rest, 0, len, seed);
    (sum == u32_at(rest, FRAME_CHECKSUM_AT)).then_some(Span {
        index: u16_at(rest, FRAME_INDEX_AT),
        len: u16_at(rest, FRAME_LEN_AT),
        at: u32::try_from(at).ok()?,
        checksum: sum,
    })
}

/// The good frames of one batch, in order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Spans {
    pub(crate) good: Vec<Span>,
    /// The chain of the batch that follows; `None` when a frame is bad.
    pub(crate) chain: Option<u32>,
}

impl Spans {
    /// Judges every frame. One that is bad is stepped over: the next is looked for at every multiple of eight.
    pub(crate) fn read(&mut self, head: &BatchHead, frames: &[u8]) {
        self.good.clear();
        let mut chain = Chain::after(head.checksum);
        let mut at = 0;
        let mut next = 0;
        while next < head.count && at < frames.len() {
            match frame_at(frames, at, head.seed).filter(|span| (next..head.count).contains(&span.index)) {
                Some(span) => {
                    chain.push(span.checksum);
                    next = span.index + 1;
                    at += frame_len(span.record_len());
                    self.good.push(span);
                }
                None => at += ALIGN,
            }
        }
        self.chain = (self.good.len() == usize::from(head.count)).then(|| chain.finish());
    }
}

/// Whether a batch that is not whole looks like a torn write: one of its blocks is all zeros, and does not lie within a
/// good frame (whose record may well hold that many zeros). `batch` is all of its blocks.
pub(crate) fn looks_torn(batch: &[u8], good: &[Span]) -> bool {
    let mut spans = good.iter().map(|span| {
        let from = BATCH_HEAD_LEN + span.at as usize;
        from..from + frame_len(span.record_len())
    });
    let mut span = spans.next();
    batch.chunks(BLOCK).enumerate().any(|(number, block)| {
        let range = number * BLOCK..number * BLOCK + block.len();
        while span.as_ref().is_some_and(|span| span.end <= range.start) {
            span = spans.next();
        }
        let within = span.as_ref().is_some_and(|span| span.start <= range.start && range.end <= span.end);
        !within && is_zero(block)
    })
}
