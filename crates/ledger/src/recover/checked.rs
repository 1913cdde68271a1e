//! A segment whose checksums were computed ahead, so that another thread may do that while the segment before it is taken in.
//!
//! Nothing is judged here. Recovery walks the segment as it walks any other, and takes the good frames of a batch from here when it
//! meets that very batch, bound to the same store, number, place and past; all else it computes itself.

use crate::segment::{BATCH_HEAD_LEN, BatchHead, HeadFound, SEGMENT_HEAD_LEN, SegmentHead, Span, Spans};

/// The octets of one segment, and the good frames of its batches. Memory: the segment, and 12 octets for each record in it.
#[derive(Debug)]
pub struct CheckedSegment {
    number: u64,
    octets: Vec<u8>,
    batches: Vec<CheckedBatch>,
    spans: Vec<Span>,
}

#[derive(Debug)]
struct CheckedBatch {
    at: usize,
    head: BatchHead,
    spans: std::ops::Range<usize>,
    chain: Option<u32>,
}

impl CheckedSegment {
    /// Computes the checksums of `octets`, a whole segment of this number; any octets may be handed in.
    pub fn new(number: u64, octets: Vec<u8>) -> CheckedSegment {
        let mut checked = CheckedSegment { number, octets, batches: Vec::new(), spans: Vec::new() };
        checked.check();
        checked
    }

    fn check(&mut self) {
        let CheckedSegment { number, ref octets, ref mut batches, ref mut spans } = *self;
        let HeadFound::Good { head: SegmentHead { store, .. }, .. } = SegmentHead::read(octets) else { return };
        let mut of_batch = Spans::default();
        let mut at = SEGMENT_HEAD_LEN;
        while let Some(head) = octets.get(at..).and_then(|rest| BatchHead::read(&store, number, rest)) {
            of_batch.read(&head, &octets[at + BATCH_HEAD_LEN..][..head.len]);
            let first = spans.len();
            spans.extend_from_slice(&of_batch.good);
            batches.push(CheckedBatch { at, head, spans: first..spans.len(), chain: of_batch.chain });
            at += head.disk_len();
        }
    }

    /// The segment's number.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// The segment.
    pub fn octets(&self) -> &[u8] {
        &self.octets
    }

    /// The segment's memory, to be used again.
    pub fn into_octets(self) -> Vec<u8> {
        self.octets
    }
}

/// A segment that is read, with or without checksums.
#[derive(Clone, Copy)]
pub(super) struct Segment<'a> {
    pub(super) number: u64,
    pub(super) octets: &'a [u8],
    checked: Option<&'a CheckedSegment>,
}

impl<'a> Segment<'a> {
    pub(super) fn unchecked(number: u64, octets: &'a [u8]) -> Segment<'a> {
        Segment { number, octets, checked: None }
    }

    /// What stands before `len`.
    pub(super) fn up_to(self, len: usize) -> Segment<'a> {
        Segment { octets: &self.octets[..self.octets.len().min(len)], ..self }
    }

    /// The good frames of the batch at `at`, whose header was read there. `memory` is used again.
    pub(super) fn spans(&self, at: usize, head: &BatchHead, memory: Vec<Span>) -> Spans {
        let mut spans = Spans { good: memory, chain: None };
        match self.checked.and_then(|checked| Some((checked, checked.batch(at, head)?))) {
            Some((checked, batch)) => {
                spans.good.clear();
                spans.good.extend_from_slice(&checked.spans[batch.spans.clone()]);
                spans.chain = batch.chain;
            }
            None => spans.read(head, &self.octets[at + BATCH_HEAD_LEN..][..head.len]),
        }
        spans
    }
}

impl<'a> From<&'a CheckedSegment> for Segment<'a> {
    fn from(checked: &'a CheckedSegment) -> Segment<'a> {
        Segment { number: checked.number, octets: &checked.octets, checked: Some(checked) }
    }
}

impl CheckedSegment {
    fn batch(&self, at: usize, head: &BatchHead) -> Option<&CheckedBatch> {
        let index = self.batches.binary_search_by_key(&at, |batch| batch.at).ok()?;
        self.batches.get(index).filter(|batch| batch.head == *head)
    }
}
