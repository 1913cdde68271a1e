//! One batch as it was read: delivered once the next one shows that it was synced, carried when it is the last.

use std::borrow::Cow;

use model::marks::{self, Mark};
use model::record::{Record, Started};

use super::{Case, Finding};
use crate::frame;
use crate::segment::{BATCH_HEAD_LEN, BatchHead, Place, Span, Spans, looks_torn};

/// Who wrote a batch, as its segment's header tells.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Origin {
    /// The engine start that wrote the segment.
    pub(super) epoch: u32,
    /// The life that wrote the records first; `None`: not known.
    pub(super) life: Option<Started>,
    /// Whether that was an earlier life; `None`: not known.
    pub(super) is_carried: Option<bool>,
}

/// A batch, whole or not.
pub(super) struct Tail<'a> {
    first: u64,
    end: u64,
    chain_before: u32,
    /// `None` when a frame is bad.
    chain_after: Option<u32>,
    origin: Origin,
    /// Where it stands.
    segment: u64,
    at: usize,
    len: usize,
    /// Whether a torn write explains what is missing.
    torn: bool,
    /// One; two when a batch that was written again lacks something that the first copy has.
    parts: Vec<Part<'a>>,
}

/// One good record as it stands in the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stored<'a> {
    /// Its sequence number.
    pub sequence: u64,
    /// Where it stands.
    pub place: Place,
    /// What [`decode`](crate::frame::decode) will accept.
    pub octets: &'a [u8],
}

/// Good frames out of one copy of a batch, in order.
struct Part<'a> {
    segment: u64,
    /// The first frame's place in the segment.
    frames_at: usize,
    seed: u32,
    frames: Cow<'a, [u8]>,
    good: Vec<Span>,
}

impl Part<'_> {
    fn stored(&self, first: u64, span: &Span) -> Stored<'_> {
        stored(first, (self.segment, self.frames_at, self.seed), &self.frames, span)
    }
}

fn stored<'f>(first: u64, (segment, frames_at, seed): (u64, usize, u32), frames: &'f [u8], span: &Span) -> Stored<'f> {
    Stored {
        sequence: first + u64::from(span.index),
        place: Place::new(segment, frames_at + span.at as usize, span.record_len(), seed),
        octets: span.record(frames),
    }
}

impl<'a> Tail<'a> {
    /// Judges the batch at `at` of the segment, whose header and good frames have been read.
    pub(super) fn read(segment: u64, octets: &'a [u8], at: usize, head: &BatchHead, spans: Spans) -> Tail<'a> {
        let frames_at = at + BATCH_HEAD_LEN;
        let frames = &octets[frames_at..frames_at + head.len];
        let torn =
            spans.chain.is_none() && looks_torn(&octets[at..octets.len().min(at + head.disk_len())], &spans.good);
        let part = Part { segment, frames_at, seed: head.seed, frames: Cow::Borrowed(frames), good: spans.good };
        Tail {
            first: head.first,
            end: head.end(),
            chain_before: head.chain,
            chain_after: spans.chain,
            origin: Origin::default(),
            segment,
            at,
            len: BATCH_HEAD_LEN + head.len,
            torn,
            parts: vec![part],
        }
    }

    pub(super) fn from(self, origin: Origin) -> Tail<'a> {
        Tail { origin, ..self }
    }

    pub(super) fn into_owned(self) -> Tail<'static> {
        let parts = self.parts.into_iter().map(|part| Part {
            segment: part.segment,
            frames_at: part.frames_at,
            seed: part.seed,
            frames: Cow::Owned(part.frames.into_owned()),
            good: part.good,
        });
        Tail {
            first: self.first,
            end: self.end,
            chain_before: self.chain_before,
            chain_after: self.chain_after,
            origin: self.origin,
            segment: self.segment,
            at: self.at,
            len: self.len,
            torn: self.torn,
            parts: parts.collect(),
        }
    }

    pub(super) fn life(&self) -> Option<&Started> {
        self.origin.life.as_ref()
    }

    /// Whether it is the first that a later life than that of `last` wrote of its own.
    pub(super) fn begins_life_after(&self, last: &Tail<'_>) -> bool {
        let since = last.origin.epoch;
        match self.origin.is_carried {
            Some(is_carried) => !is_carried && self.origin.epoch > since,
            // No header says it. A life's own records begin with its `started`.
            None => self.stored().next().is_some_and(|stored| match frame::decode(stored.octets) {
                Ok(Record::Started(started)) => stored.sequence == self.first && started.epoch > since,
                _ => false,
            }),
        }
    }

    pub(super) fn first(&self) -> u64 {
        self.first
    }

    /// The sequence number after the last record.
    pub(super) fn end(&self) -> u64 {
        self.end
    }

    pub(super) fn chain_before(&self) -> u32 {
        self.chain_before
    }

    pub(super) fn chain_after(&self) -> Option<u32> {
        self.chain_after
    }

    /// Every good frame.
    pub(super) fn stored(&self) -> impl Iterator<Item = Stored<'_>> + Clone {
        let first = self.first;
        self.parts.iter().flat_map(move |part| part.good.iter().map(move |span| part.stored(first, span)))
    }

    /// Keeps the frames of which `keep` says so.
    pub(super) fn retain(&mut self, mut keep: impl FnMut(Stored<'_>) -> bool) {
        for part in &mut self.parts {
            let Part { segment, frames_at, seed, frames, good } = part;
            let first = self.first;
            good.retain(|span| keep(stored(first, (*segment, *frames_at, *seed), frames, span)));
        }
    }

    /// The memory of its frames, to be used again.
    pub(super) fn into_spans(mut self) -> Vec<Span> {
        self.parts.pop().map(|part| part.good).unwrap_or_default()
    }

    /// This batch was written again as `again`. The later copy counts. Where it lacks something, the earlier one stands in if it
    /// has every record that was written again (of a damaged one the others were left out, and these numbered anew);
    /// otherwise what it has from its begin up to its first bad frame is put in front. What either copy had whole once was
    /// no torn write.
    pub(super) fn superseded_by<'b>(mut self, again: Tail<'b>) -> Tail<'b>
    where
        'a: 'b,
    {
        if again.missing() == 0 {
            return again;
        }
        let torn = self.torn && again.torn;
        if self.torn {
            self.keep_unbroken();
        }
        if self.good_count() == again.end - again.first {
            let spans = self.parts.iter_mut().flat_map(|part| &mut part.good);
            for (index, span) in (0..).zip(spans) {
                span.index = index;
            }
            return Tail { parts: self.parts, torn, ..again };
        }
        marks::hit(Mark::CopiesMerged);
        self.keep_unbroken();
        let kept = self.parts.iter().map(|part| part.good.len()).sum::<usize>();
        let mut parts: Vec<Part<'b>> = self.parts;
        let mut merged = Tail { parts: Vec::new(), torn, ..again };
        for mut part in again.parts {
            part.good.retain(|span| usize::from(span.index) >= kept);
            parts.push(part);
        }
        for part in &mut parts {
            let count = merged.end - merged.first;
            part.good.retain(|span| u64::from(span.index) < count);
        }
        merged.parts = parts;
        merged
    }

    /// What is wrong with a batch that has a later one behind it, if anything is.
    pub(super) fn judge_as_synced(&self) -> Option<Finding> {
        let missing = self.missing();
        let case = if self.torn { Case::Hole } else { Case::Damage };
        (missing > 0).then(|| self.finding(case, missing))
    }

    /// What the last batch is. Of a torn one nothing was promised, and what stands behind a gap is dropped: so the
    /// store never shows a state that has not been. Of a damaged one everything readable is kept.
    pub(super) fn judge_as_last(&mut self) -> Finding {
        match self.missing() {
            0 => self.finding(Case::CleanEnd, 0),
            _ if self.torn => {
                marks::hit(Mark::TailTorn);
                self.keep_unbroken();
                self.finding(Case::TornTail, 0)
            }
            missing => self.finding(Case::Damage, missing),
        }
    }

    fn missing(&self) -> u64 {
        (self.end - self.first).saturating_sub(self.good_count())
    }

    fn good_count(&self) -> u64 {
        self.parts.iter().map(|part| part.good.len() as u64).sum()
    }

    fn keep_unbroken(&mut self) {
        let mut next = 0;
        for part in &mut self.parts {
            part.good.retain(|span| {
                let follows = usize::from(span.index) == next;
                next += usize::from(follows);
                follows
            });
        }
    }

    pub(super) fn finding(&self, case: Case, records_lost: u64) -> Finding {
        Finding { case, segment: self.segment, offset: self.at as u64, len: self.len as u64, records_lost }
    }
}
