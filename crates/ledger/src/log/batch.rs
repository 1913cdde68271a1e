//! The records of one write, as they will stand on the disk.

use model::ids::BillId;
use model::record::Record;

use super::{Noted, NotedRecord};
use crate::frame::{self, RECORD_LEN_MAX};
use crate::pool::BillRef;
use crate::segment::{
    BATCH_HEAD_LEN, FILL, FRAME_HEAD_LEN, Place, SEGMENT_HEAD_LEN, SegmentHead, StoreId, blocks, frame_head, frame_len,
    seal,
};

/// Records on the way to the disk. Room for the segment's header is kept in front, so that a segment's first batch
/// goes out with it in one write; and a batch can be sealed again for another segment when a write failed.
///
/// ```text
/// bytes   segment header (used when first in a segment) │ batch header │ frames │ ones, once sealed
/// ```
pub(super) struct Batch {
    bytes: Vec<u8>,
    /// Where the frames end; [`FILL`] follows in a sealed batch.
    frames_end: usize,
    /// Octets that the batch may take on the disk.
    len_max: usize,
    /// Sequence number of the first record.
    first: u64,
    count: u16,
    /// Records that tell of bills, and of the life: where the frame begins in `bytes`, its index, and what it says.
    noted: Vec<(usize, u16, usize, Note)>,
}

/// What is remembered of a record until it is durable.
enum Note {
    Billed(BillRef),
    /// As its octets say.
    Other,
}

/// What a sealed batch is in the chain.
#[derive(Clone, Copy)]
pub(super) struct Sealed {
    pub(super) seed: u32,
    pub(super) chain_after: u32,
    /// Whether the segment's header goes out with it.
    pub(super) with_head: bool,
    /// The base that the header tells.
    pub(super) base: u64,
}

impl Batch {
    pub(super) fn new(len_max: usize) -> Batch {
        let mut bytes = Vec::with_capacity(SEGMENT_HEAD_LEN + len_max);
        bytes.resize(FRAMES_AT, 0);
        Batch { bytes, frames_end: FRAMES_AT, len_max, first: 0, count: 0, noted: Vec::new() }
    }

    /// Empties it; the next record will be number `first`.
    pub(super) fn clear(&mut self, first: u64) {
        self.bytes.truncate(FRAMES_AT);
        self.frames_end = FRAMES_AT;
        self.first = first;
        self.count = 0;
        self.noted.clear();
    }

    pub(super) fn set_len_max(&mut self, len_max: usize) {
        self.len_max = len_max;
    }

    pub(super) fn is_empty(&self) -> bool {
        self.count == 0
    }

    pub(super) fn first(&self) -> u64 {
        self.first
    }

    /// The sequence number after the last record.
    pub(super) fn end(&self) -> u64 {
        self.first + u64::from(self.count)
    }

    /// Octets on the disk, without a segment header.
    pub(super) fn disk_len(&self) -> usize {
        blocks(self.frames_end - SEGMENT_HEAD_LEN)
    }

    pub(super) fn has_room(&self, record_len: usize) -> bool {
        blocks(self.frames_end - SEGMENT_HEAD_LEN + frame_len(record_len)) <= self.len_max
    }

    /// Adds a record, with `number` as its id if it is a bill without one. Says whether it was given that id.
    pub(super) fn push(&mut self, record: &[u8], number: BillId) -> bool {
        assert!(!record.is_empty() && record.len() <= RECORD_LEN_MAX, "a record comes from frame::encode");
        assert!(self.bytes.len() == self.frames_end, "a sealed batch takes no more records");
        let frame_at = self.bytes.len();
        self.bytes.extend_from_slice(&frame_head(record.len(), self.count));
        self.bytes.extend_from_slice(record);
        let numbered = frame::is_bill(record) && self.enter_bill(frame_at, number);
        if frame::is_of_the_book(record) && !frame::is_bill(record) {
            self.noted.push((frame_at, self.count, record.len(), Note::Other));
        }
        self.bytes.resize(frame_at + frame_len(record.len()), 0);
        self.frames_end = self.bytes.len();
        self.count += 1;
        numbered
    }

    fn enter_bill(&mut self, frame_at: usize, number: BillId) -> bool {
        let record = &mut self.bytes[frame_at + FRAME_HEAD_LEN..];
        let len = record.len();
        let Ok(Record::Billed(bill)) = frame::decode(record) else { panic!("a bill comes from frame::encode") };
        let is_new = bill.id == BillId::default();
        let id = if is_new { number } else { bill.id };
        let bill = BillRef { id, ..BillRef::new(&bill, Place::new(0, 0, len, 0)) };
        self.noted.push((frame_at, self.count, len, Note::Billed(bill)));
        frame::number_bill(record, id);
        is_new
    }

    /// Computes its checksums for a place in the chain, again if need be. `head`: the segment's header, when the batch is the
    /// first in it.
    pub(super) fn seal(&mut self, store: &StoreId, segment: u64, chain: u32, head: Option<SegmentHead>) -> Sealed {
        assert!(self.count > 0, "an empty batch is not written");
        let (segment_head, batch) = self.bytes.split_at_mut(SEGMENT_HEAD_LEN);
        if let Some(head) = &head {
            head.write(segment_head);
        }
        let frames_end = self.frames_end - SEGMENT_HEAD_LEN;
        let (seed, chain_after) = seal(&mut batch[..frames_end], store, segment, (self.first, self.count), chain);
        self.bytes.resize(SEGMENT_HEAD_LEN + blocks(frames_end), FILL);
        let base = head.map_or(0, |head| head.base);
        Sealed { seed, chain_after, with_head: head.is_some(), base }
    }

    /// What is to be written.
    pub(super) fn write(&self, sealed: Sealed) -> &[u8] {
        if sealed.with_head { &self.bytes } else { &self.bytes[SEGMENT_HEAD_LEN..] }
    }

    /// What it tells of bills, by the place it has when the batch stands at `offset` of `segment`.
    pub(super) fn noted(&self, segment: u64, offset: usize, seed: u32) -> impl Iterator<Item = Noted> {
        self.noted.iter().map(move |(frame_at, index, len, note)| {
            let place = Place::new(segment, offset + (frame_at - SEGMENT_HEAD_LEN), *len, seed);
            let at = frame_at + FRAME_HEAD_LEN;
            Noted {
                sequence: self.first + u64::from(*index),
                place,
                what: match note {
                    Note::Billed(bill) => NotedRecord::Billed(BillRef { place, ..*bill }),
                    Note::Other => NotedRecord::Other(self.bytes[at..at + len].into()),
                },
            }
        })
    }
}

const FRAMES_AT: usize = SEGMENT_HEAD_LEN + BATCH_HEAD_LEN;
