//! Reading one segment: its header, how it joins the one before, its batches, and where they end.

use model::marks::{self, Mark};
use model::record::{Record, Started};

use super::checked::Segment;
use super::tail::{Origin, Tail};
use super::{Case, Finding, Front, OldSegment, Position, RecordSink, Recovery, RecoveryError};
use crate::frame;
use crate::segment::{
    BLOCK, BatchHead, HeadFound, LIFE_LEN, NUMBER_END, SEGMENT_HEAD_LEN, SEGMENT_LEN_MAX, SegmentHead, StoreId, is_zero,
};

/// A file whose header cannot be read, or is not ours, says nothing about which numbers have been used when its own is as large:
/// no log counts that far, and the next segment must have a number.
const NUMBER_FAR: u64 = NUMBER_END / 2;

/// Something that is no batch stands after the last batch of a segment. What it is depends on what follows.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stopped {
    segment: u64,
    at: usize,
    len: usize,
    /// Its first block is zeros, as a torn write leaves it.
    torn: bool,
}

impl<S: RecordSink> Recovery<S> {
    pub(super) fn read_segment(&mut self, segment: Segment<'_>) {
        let len_max = usize::try_from(SEGMENT_LEN_MAX).unwrap_or(usize::MAX);
        let segment = segment.up_to(len_max);
        let Segment { number, octets, .. } = segment;
        let Some(head) = self.read_head(number, octets) else { return };
        if !self.belongs(number, &head, octets) {
            self.pass_number(number);
            return;
        }
        self.segment_next = number + 1;
        self.segments.push(OldSegment { number, first: head.first, len: octets.len() as u64 });
        self.store = Some(head.store);
        self.head_epoch_last = head.epoch;
        self.epoch_last = self.epoch_last.max(head.epoch);
        self.base = self.base.max(head.base);
        if head.len > octets.len() as u64 {
            let missing = head.len - octets.len() as u64;
            self.add(Case::Damage, number, octets.len(), missing, 0);
        }
        self.read_batches(segment, &head);
    }

    /// The next segment gets another number than this file.
    fn pass_number(&mut self, number: u64) {
        if number < NUMBER_FAR {
            self.segment_next = number + 1;
        }
    }

    /// The segment's header, or what its first batch tells of it.
    fn read_head(&mut self, number: u64, octets: &[u8]) -> Option<SegmentHead> {
        match SegmentHead::read(octets) {
            HeadFound::Good { head, copies } => {
                if copies < 2 {
                    marks::hit(Mark::HeaderHalf);
                    self.add(Case::Header, number, 0, SEGMENT_HEAD_LEN as u64, 0);
                }
                Some(head)
            }
            HeadFound::OtherVersion => {
                self.refusal = Some(RecoveryError::OtherRelease { segment: number });
                None
            }
            HeadFound::Zeros if is_zero(octets) => {
                marks::hit(Mark::SegmentUnused);
                self.add(Case::Unused, number, 0, octets.len() as u64, 0);
                None
            }
            found @ (HeadFound::Zeros | HeadFound::Damaged) => {
                self.pass_number(number);
                let anywhere = Position { sequence: 1, chain: None };
                // Nothing can be read before the store's name is known.
                let batch = self.store.and_then(|store| {
                    let (_, batch) = next_batch((&store, number), octets, SEGMENT_HEAD_LEN, anywhere, 1)?;
                    Some((store, batch))
                });
                let Some((store, batch)) = batch else {
                    if number >= NUMBER_FAR {
                        self.add(Case::Foreign, number, 0, octets.len() as u64, 0);
                        return None;
                    }
                    let case = if found == HeadFound::Zeros { Case::TornTail } else { Case::Damage };
                    self.add(case, number, 0, octets.len() as u64, 0);
                    marks::hit(Mark::SegmentTorn);
                    let first = self.end().sequence;
                    self.segments.push(OldSegment { number, first, len: octets.len() as u64 });
                    return None;
                };
                self.add(Case::Header, number, 0, SEGMENT_HEAD_LEN as u64, 0);
                Some(SegmentHead {
                    store,
                    number,
                    epoch: self.head_epoch_last,
                    chain: batch.chain,
                    first: batch.first,
                    base: self.base,
                    len: octets.len() as u64,
                    life: [0; LIFE_LEN],
                    writer: [0; LIFE_LEN],
                })
            }
        }
    }

    /// Whether the segment continues what was read so far; if it does, what lies between is settled.
    fn belongs(&mut self, number: u64, head: &SegmentHead, octets: &[u8]) -> bool {
        let end = self.end();
        // A segment whose only write was torn says nothing, not even where the store begins: the batch before it was
        // carried into a later one, and its own predecessor may be gone.
        let is_front =
            self.store.is_none() || self.tail.is_none() && self.report.records == 0 && self.stopped.is_none();
        let again = self.tail.as_ref().map(|tail| (tail.first(), tail.chain_before()));
        let continues = if again.is_some_and(|(first, _)| first == head.first) {
            again == Some((head.first, head.chain))
        } else if head.first == end.sequence {
            end.chain.is_none_or(|chain| chain == head.chain)
        } else {
            is_front || head.first > end.sequence
        };
        let ours = self.store.is_none_or(|store| store == head.store)
            && head.number == number
            && head.epoch >= self.head_epoch_last
            && continues;
        if !ours {
            self.add(Case::Foreign, number, 0, octets.len() as u64, 0);
            return false;
        }
        // What nobody needs any more may have been deleted.
        let lost = head.first.saturating_sub(end.sequence.max(head.base));
        let explained = self.stopped.is_some();
        self.resolve_stop(Some(lost));
        if is_front {
            // How far back somebody needs records, the newest header tells.
            self.front = Some(Front { segment: number, first: head.first });
        } else if lost > 0 && !explained {
            self.add(Case::Missing, number, 0, 0, lost);
        }
        true
    }

    /// Where the sequence stands after all that was read.
    fn end(&self) -> Position {
        match &self.tail {
            Some(tail) => Position { sequence: tail.end(), chain: tail.chain_after() },
            None => self.position,
        }
    }

    fn read_batches(&mut self, segment: Segment<'_>, head: &SegmentHead) {
        let Segment { number, octets, .. } = segment;
        // Only the first batch of a segment can have been carried into it.
        let behind = Origin { epoch: head.epoch, life: started(&head.writer), is_carried: Some(false) };
        let is_carried = behind.life.map(|_| head.life != head.writer);
        let ahead = Origin { epoch: head.epoch, life: started(&head.life), is_carried };
        let mut at = SEGMENT_HEAD_LEN;
        let mut expected = Position { sequence: head.first, chain: Some(head.chain) };
        let mut last: Option<Tail<'_>> = self.tail.take();
        loop {
            // Beyond damage nothing is taken that the last batch has already, perhaps under the same numbers.
            let beyond = last.as_ref().map_or(expected.sequence, |last| last.end().max(expected.sequence));
            let Some((found_at, batch)) = next_batch((&head.store, number), octets, at, expected, beyond) else {
                break;
            };
            if found_at > at || batch.first > expected.sequence {
                let case = if is_zero(&octets[at..found_at]) { Case::Hole } else { Case::Damage };
                self.add(case, number, at, (found_at - at) as u64, batch.first.saturating_sub(beyond));
            }
            let spans = segment.spans(found_at, &batch, std::mem::take(&mut self.spans));
            let origin = if batch.first == head.first { ahead } else { behind };
            let tail = Tail::read(number, octets, found_at, &batch, spans).from(origin);
            expected = Position { sequence: tail.end(), chain: tail.chain_after() };
            at = found_at + batch.disk_len();
            last = Some(self.follow(last, tail));
        }
        self.position = expected;
        self.tail = last.map(Tail::into_owned);
        let rest = octets.get(at..).unwrap_or_default();
        if !is_zero(rest) {
            let torn = is_zero(&rest[..BLOCK.min(rest.len())]);
            self.stopped = Some(Stopped { segment: number, at, len: rest.len(), torn });
        }
    }

    /// `tail` was read after `last`: either it stands in its place, or `last` had been synced.
    fn follow<'b>(&mut self, last: Option<Tail<'b>>, tail: Tail<'b>) -> Tail<'b> {
        match last {
            None => tail,
            Some(last) if last.first() == tail.first() => self.replace(last, tail),
            Some(last) => {
                self.commit(last);
                tail
            }
        }
    }

    /// `tail` has the numbers of `last`: it is the same batch, written again with what could be read of it then; or nothing
    /// could, and it is what a new life wrote first of its own. What `last` lacked then, it is said to lack now as well.
    fn replace<'b>(&mut self, mut last: Tail<'b>, tail: Tail<'b>) -> Tail<'b> {
        let readable = |last: &Tail<'_>| last.stored().any(|stored| frame::check(stored.octets).is_ok());
        let verdict = last.judge_as_last();
        if tail.begins_life_after(&last) && !readable(&last) {
            marks::hit(Mark::LifeBeginsInPlace);
            last.retain(|stored| self.judge(stored).is_some());
            if verdict.case != Case::CleanEnd {
                self.report.add(verdict);
            }
            return tail;
        }
        let mut lost = last.end().saturating_sub(tail.end());
        if lost > 0 {
            last.retain(|stored| {
                let is_record = self.judge(stored).is_some();
                lost = lost.saturating_sub(u64::from(!is_record));
                is_record
            });
            if lost > 0 && verdict.case != Case::TornTail {
                self.report.add(last.finding(Case::Damage, lost));
            }
        }
        marks::hit(Mark::BatchAgain);
        self.report.add(last.finding(Case::Again, 0));
        last.superseded_by(tail)
    }

    /// What stood after the last batch is known for what it was once it is clear what follows: a segment that lacks
    /// so many records, or none. No torn write leaves a block without a batch that is not zeros, whatever follows.
    pub(super) fn resolve_stop(&mut self, followed_by: Option<u64>) {
        if let Some(Stopped { segment, at, len, torn }) = self.stopped.take() {
            marks::hit(Mark::StopTorn);
            let lost = followed_by.unwrap_or(0);
            let case = if lost > 0 || !torn { Case::Damage } else { Case::TornTail };
            self.add(case, segment, at, len as u64, lost);
        }
    }

    pub(super) fn add(&mut self, case: Case, segment: u64, offset: usize, len: u64, records_lost: u64) {
        self.report.add(Finding { case, segment, offset: offset as u64, len, records_lost });
    }
}

/// What a header says of a life.
fn started(octets: &[u8; LIFE_LEN]) -> Option<Started> {
    match frame::decode(octets) {
        Ok(Record::Started(started)) => Some(started),
        _ => None,
    }
}

/// The batch that continues at `expected`, or the first one at any later block boundary with a sequence number of
/// `beyond` or more.
fn next_batch(
    (store, segment): (&StoreId, u64),
    octets: &[u8],
    from: usize,
    expected: Position,
    beyond: u64,
) -> Option<(usize, BatchHead)> {
    (from..octets.len()).step_by(BLOCK).find_map(|at| {
        let batch = BatchHead::read(store, segment, &octets[at..])?;
        let continues = if batch.first == expected.sequence {
            expected.chain.is_none_or(|chain| chain == batch.chain)
        } else {
            batch.first > expected.sequence && batch.first >= beyond
        };
        continues.then_some((at, batch))
    })
}
