//! What a segment looks like on the disk. This folder is the only place that knows.
//!
//! A segment is a file of fixed length, made of zeros before it is used, written from front to back, and never
//! written again at a place that a sync has covered. Everything in it begins at a block boundary, a block being the
//! 512 octets that a disk writes as one; so **a write never touches a block that an earlier sync has promised**.
//!
//! ```text
//! block 0         segment header
//! block 1         the same segment header again
//! block 2…        batch, batch, batch, …                 one batch = one write and one sync
//!                 zeros to the end
//!
//! segment header  magic 8, version 4, checksum 4 (over version and what follows), store id 16, number 8, epoch 4,
//!                 chain 4, first 8, base 8, length 8, life 53, writer 53; zeros to the end of the block
//! batch           magic 4, checksum 4, segment number 8, first 8, chain 4, count 4, length 4, unused 4;
//!                 frames; ones to the end of the block
//! frame           length 2, index in the batch 2, checksum 4, record, zeros to a multiple of 8
//! ```
//!
//! *first* is the sequence number of the first record that follows. Sequence numbers are dense over the whole life of
//! a store, so a loss can be told to the record. *base* is the first record that anybody still needs. *life* is the
//! `started` record of the life that wrote the first of these records first: the segment in which it stands itself may have been
//! deleted, and whoever reads on from here must know which clock the moments are of. *writer* is the same of the life that wrote
//! the segment. The two differ when the segment begins with what that life carried over; then exactly its first batch is of
//! *life*, and the others are of *writer*, whether its `started` among them can be read or not.
//! *number*, *first* and *base* are below 2^63.
//!
//! **What the checksums bind.** The *chain* of a batch is a checksum of everything before it in the store: the chain
//! before the batch ahead, and the checksums of that batch's header and frames. The *seed* of a batch is a checksum of
//! store id, segment number, first and chain; the batch header's checksum and those of its frames start from the
//! seed. So a batch from another store, another segment, another place or another past does not pass, and neither
//! does a frame from another batch; but each frame is judged alone, and one that is damaged takes no other with it.
//! The store id is drawn at random and never shown, so octets that a subscriber chose cannot pass for a batch either.
//!
//! **Which write could damage which field.** Until the sync that follows a write has succeeded, any of its blocks may
//! be there or may still be zeros, each for itself; no block is half there. So a torn write leaves zeros where something
//! is missing, and anything else that fails its checksum was damaged later, or by the disk.
//!
//! - *Segment header*: written once, with the first batch, in one write. Missing copies of both blocks mean that the
//!   write was torn and nothing in the segment was ever promised. The second copy is for rot.
//! - *Batch header and frames*: written once. The next batch is written only after this one's sync, so a
//!   batch with anything valid after it was whole once.
//! - *Ones behind the frames*: so that no block of a batch is all zeros, unless one record fills it with them, and
//!   a block that is missing shows.
//! - *Zeros after the last batch*: written before the segment was used.

mod batch;

pub(crate) use batch::{
    BATCH_HEAD_LEN, BatchHead, FRAME_HEAD_LEN, Span, Spans, frame_at, frame_head, frame_len, looks_torn, seal,
};

/// What a disk writes as one, in octets. Disks of 4,096 do so all the more.
pub const BLOCK: usize = 512;

/// What fills the last block of a batch.
pub(crate) const FILL: u8 = 0xFF;

/// Octets before the first batch: two copies of the header, a block each.
pub(crate) const SEGMENT_HEAD_LEN: usize = 2 * BLOCK;

/// The first segment's number.
pub const SEGMENT_FIRST: u64 = 1;

/// No batch takes more octets on the disk, padding included.
pub const BATCH_LEN_MAX: usize = 1 << 20;

/// No segment is longer, so that a place in it has 32 bits.
pub const SEGMENT_LEN_MAX: u64 = 1 << 30;

const MAGIC: [u8; 8] = *b"tollgate";
const VERSION: u32 = 5;

const MAGIC_AT: usize = 0;
const VERSION_AT: usize = MAGIC_AT + 8;
const CHECKSUM_AT: usize = VERSION_AT + 4;
const STORE_AT: usize = CHECKSUM_AT + 4;
const NUMBER_AT: usize = STORE_AT + 16;
const EPOCH_AT: usize = NUMBER_AT + 8;
const CHAIN_AT: usize = EPOCH_AT + 4;
const FIRST_AT: usize = CHAIN_AT + 4;
const BASE_AT: usize = FIRST_AT + 8;
const LEN_AT: usize = BASE_AT + 8;
const LIFE_AT: usize = LEN_AT + 8;
const WRITER_AT: usize = LIFE_AT + LIFE_LEN;
const HEAD_END: usize = WRITER_AT + LIFE_LEN;
const _: () = assert!(HEAD_END <= BLOCK);

/// Octets of a `started` record.
pub(crate) const LIFE_LEN: usize = 53;

/// A store's name, drawn at random when it is made.
pub type StoreId = [u8; 16];

/// Where a frame is, and what its checksum starts from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The segment's number.
    pub segment: u64,
    /// The frame's first octet in the segment.
    pub offset: u32,
    /// Octets of the frame, padding included: what has to be read.
    pub len: u16,
    /// The batch's seed.
    pub(crate) seed: u32,
}

impl Place {
    pub(crate) fn new(segment: u64, offset: usize, record_len: usize, seed: u32) -> Place {
        Place {
            segment,
            offset: u32::try_from(offset).expect("a segment ends below 2^30"),
            len: u16::try_from(frame_len(record_len)).expect("a record ends below 2^12"),
            seed,
        }
    }

    /// The record in the octets read at this place; `None` when they are not what was written there.
    pub fn record<'a>(&self, frame: &'a [u8]) -> Option<&'a [u8]> {
        frame_at(frame, 0, self.seed).map(|span| span.record(frame))
    }
}

/// A segment's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SegmentHead {
    pub(crate) store: StoreId,
    pub(crate) number: u64,
    pub(crate) epoch: u32,
    pub(crate) chain: u32,
    pub(crate) first: u64,
    pub(crate) base: u64,
    pub(crate) len: u64,
    /// The `started` record of the life that wrote the first of its records first; zeros: it is not known.
    pub(crate) life: [u8; LIFE_LEN],
    /// That of the life that wrote the segment.
    pub(crate) writer: [u8; LIFE_LEN],
}

/// No segment number, record number or base is as large: so none that was read overflows when it is counted on from.
pub(crate) const NUMBER_END: u64 = 1 << 63;

/// What stands where a segment header belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HeadFound {
    /// A header; `copies` of the two are good.
    Good { head: SegmentHead, copies: u8 },
    /// A header of another release, earlier or later.
    OtherVersion,
    /// Zeros, or nothing: the segment was never used, or its first write was torn.
    Zeros,
    /// Something else.
    Damaged,
}

impl SegmentHead {
    /// Writes both copies; `out` has [`SEGMENT_HEAD_LEN`] octets.
    pub(crate) fn write(&self, out: &mut [u8]) {
        assert_eq!(out.len(), SEGMENT_HEAD_LEN, "two blocks");
        out.fill(0);
        let (block, copy) = out.split_at_mut(BLOCK);
        block[MAGIC_AT..VERSION_AT].copy_from_slice(&MAGIC);
        block[VERSION_AT..CHECKSUM_AT].copy_from_slice(&VERSION.to_le_bytes());
        block[STORE_AT..NUMBER_AT].copy_from_slice(&self.store);
        block[NUMBER_AT..EPOCH_AT].copy_from_slice(&self.number.to_le_bytes());
        block[EPOCH_AT..CHAIN_AT].copy_from_slice(&self.epoch.to_le_bytes());
        block[CHAIN_AT..FIRST_AT].copy_from_slice(&self.chain.to_le_bytes());
        block[FIRST_AT..BASE_AT].copy_from_slice(&self.first.to_le_bytes());
        block[BASE_AT..LEN_AT].copy_from_slice(&self.base.to_le_bytes());
        block[LEN_AT..LIFE_AT].copy_from_slice(&self.len.to_le_bytes());
        block[LIFE_AT..WRITER_AT].copy_from_slice(&self.life);
        block[WRITER_AT..HEAD_END].copy_from_slice(&self.writer);
        let checksum = head_checksum(block);
        block[CHECKSUM_AT..STORE_AT].copy_from_slice(&checksum.to_le_bytes());
        copy.copy_from_slice(block);
    }

    /// Reads a segment's first two blocks; fewer octets are a file whose making was interrupted.
    pub(crate) fn read(segment: &[u8]) -> HeadFound {
        let copies = [SegmentHead::read_copy(segment, 0), SegmentHead::read_copy(segment, BLOCK)];
        match copies {
            [HeadFound::Good { head, .. }, HeadFound::Good { .. }] => HeadFound::Good { head, copies: 2 },
            [good @ HeadFound::Good { .. }, _] | [_, good @ HeadFound::Good { .. }] => good,
            [HeadFound::OtherVersion, _] | [_, HeadFound::OtherVersion] => HeadFound::OtherVersion,
            [HeadFound::Zeros, HeadFound::Zeros] => HeadFound::Zeros,
            _ => HeadFound::Damaged,
        }
    }

    fn read_copy(segment: &[u8], at: usize) -> HeadFound {
        let Some(block) = segment.get(at..at + BLOCK) else { return HeadFound::Zeros };
        if is_zero(block) {
            return HeadFound::Zeros;
        }
        if block[MAGIC_AT..VERSION_AT] != MAGIC || head_checksum(block) != u32_at(block, CHECKSUM_AT) {
            return HeadFound::Damaged;
        }
        // The checksum stands at the same place in every version and covers what this one leaves zero.
        if u32_at(block, VERSION_AT) != VERSION {
            return HeadFound::OtherVersion;
        }
        let mut store = StoreId::default();
        store.copy_from_slice(&block[STORE_AT..NUMBER_AT]);
        let mut life = [0; LIFE_LEN];
        life.copy_from_slice(&block[LIFE_AT..WRITER_AT]);
        let mut writer = [0; LIFE_LEN];
        writer.copy_from_slice(&block[WRITER_AT..HEAD_END]);
        let head = SegmentHead {
            store,
            number: u64_at(block, NUMBER_AT),
            epoch: u32_at(block, EPOCH_AT),
            chain: u32_at(block, CHAIN_AT),
            first: u64_at(block, FIRST_AT),
            base: u64_at(block, BASE_AT),
            len: u64_at(block, LEN_AT),
            life,
            writer,
        };
        // No log writes these, and nothing could follow them.
        let is_possible = (1..NUMBER_END).contains(&head.first) && head.base < NUMBER_END;
        if is_possible { HeadFound::Good { head, copies: 1 } } else { HeadFound::Damaged }
    }
}

/// What a batch's checksums start from.
pub(crate) fn seed(store: &StoreId, segment: u64, first: u64, chain: u32) -> u32 {
    let mut text = [0; 16 + 8 + 8 + 4];
    text[..16].copy_from_slice(store);
    text[16..24].copy_from_slice(&segment.to_le_bytes());
    text[24..32].copy_from_slice(&first.to_le_bytes());
    text[32..].copy_from_slice(&chain.to_le_bytes());
    checksum(0, &text)
}

fn head_checksum(block: &[u8]) -> u32 {
    checksum(checksum(0, &block[VERSION_AT..CHECKSUM_AT]), &block[STORE_AT..])
}

/// CRC-32 (IEEE 802.3), going on from `from`.
pub(crate) fn checksum(from: u32, octets: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new_with_initial(from);
    hasher.update(octets);
    hasher.finalize()
}

pub(crate) fn is_zero(octets: &[u8]) -> bool {
    octets.chunks(256).all(|chunk| chunk.iter().fold(0, |any, octet| any | octet) == 0)
}

/// `len` rounded up to whole blocks.
pub(crate) const fn blocks(len: usize) -> usize {
    len.next_multiple_of(BLOCK)
}

pub(crate) fn u16_at(octets: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([octets[at], octets[at + 1]])
}

pub(crate) fn u32_at(octets: &[u8], at: usize) -> u32 {
    let mut value = [0; 4];
    value.copy_from_slice(&octets[at..at + 4]);
    u32::from_le_bytes(value)
}

pub(crate) fn u64_at(octets: &[u8], at: usize) -> u64 {
    let mut value = [0; 8];
    value.copy_from_slice(&octets[at..at + 8]);
    u64::from_le_bytes(value)
}
