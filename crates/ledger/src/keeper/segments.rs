//! The segments of one store, oldest first: where each begins, what each source had written before it, and which one
//! may go.

use std::collections::VecDeque;

use crate::log::SegmentBegun;
use crate::recover::OldSegment;

#[derive(Clone, Debug)]
struct Segment {
    number: u64,
    first: u64,
    len: u64,
    /// By source: records that it had written before.
    before: Vec<u64>,
}

/// Segments that no source needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Old {
    /// The first of them.
    pub(crate) oldest: u64,
    /// The first one that is needed.
    pub(crate) window: u64,
    /// What they take.
    pub(crate) octets: u64,
}

/// Segments that have not been removed.
#[derive(Debug)]
pub(crate) struct Segments {
    segments: VecDeque<Segment>,
    /// Segments in which recovery found damage: they are set aside, not removed.
    damaged: Vec<u64>,
    /// The base that stands in a durable header.
    base: u64,
    /// By source: its first record that is needed; 0: not known.
    needed_from: Vec<u64>,
    /// Files are removed one by one up to this segment, beginning with the other.
    removing: Option<(u64, u64)>,
    /// The first of them is being removed.
    is_asked: bool,
    /// It could not be removed. What lies behind must not go before it, so it is tried again with the next segment.
    has_failed: bool,
}

impl Segments {
    pub(crate) fn new(old: &[OldSegment], damaged: Vec<u64>, sources: usize) -> Segments {
        let segment =
            |old: &OldSegment| Segment { number: old.number, first: old.first, len: old.len, before: vec![0; sources] };
        let needed_from = vec![0; sources];
        Segments {
            segments: old.iter().map(segment).collect(),
            damaged,
            base: 0,
            needed_from,
            removing: None,
            is_asked: false,
            has_failed: false,
        }
    }

    /// `before`: by source, how many of its records precede `begun.first`.
    pub(crate) fn handle_begun(&mut self, begun: SegmentBegun, before: Vec<u64>) {
        let SegmentBegun { segment: number, first, base, len } = begun;
        self.base = self.base.max(base);
        self.has_failed = false;
        self.segments.push_back(Segment { number, first, len, before });
    }

    pub(crate) fn handle_needed_from(&mut self, source: usize, record: u64) {
        if let Some(needed) = self.needed_from.get_mut(source) {
            *needed = record.max(*needed);
        }
    }

    pub(crate) fn damage(&mut self, segment: u64) {
        if !self.damaged.contains(&segment) {
            self.damaged.push(segment);
        }
    }

    pub(crate) fn count(&self) -> usize {
        self.segments.len()
    }

    /// Octets of all of them.
    pub(crate) fn octets(&self) -> u64 {
        self.segments.iter().map(|segment| segment.len).sum()
    }

    /// The oldest segment behind number `freed`, the first one that a source needs something in or that is the newest,
    /// and the octets from the one to the other. `None` when they are the same.
    pub(crate) fn old(&self, freed: u64) -> Option<Old> {
        let mut oldest = None;
        let mut octets = 0;
        for (segment, next) in self.segments.iter().zip(self.segments.iter().skip(1)) {
            let is_free = next.before.iter().zip(&self.needed_from).all(|(before, needed)| before < needed);
            if !is_free {
                return oldest.map(|oldest| Old { oldest, window: segment.number, octets });
            }
            if segment.number > freed {
                oldest.get_or_insert(segment.number);
                octets += segment.len;
            }
        }
        let newest = self.segments.back()?.number;
        oldest.map(|oldest| Old { oldest, window: newest, octets })
    }

    /// The segment behind this one, and the first record in it.
    pub(crate) fn next(&self, segment: u64) -> Option<(u64, u64)> {
        self.segments.iter().find(|next| next.number > segment).map(|next| (next.number, next.first))
    }

    /// Every file's number that there may be, the newest and its spare included.
    pub(crate) fn numbers(&self) -> Option<(u64, u64)> {
        Some((self.segments.front()?.number, self.segments.back()?.number + 1))
    }

    /// The next file to remove, if a durable header says that it is not needed; and whether it is to be kept aside. One at a
    /// time: a store that lacks a segment behind one that is there would tell of sessions whose end is gone.
    pub(crate) fn poll_removal(&mut self) -> Option<(u64, bool)> {
        if self.is_asked || self.has_failed {
            return None;
        }
        if self.removing.is_none()
            && let Some(next) = self.segments.get(1)
            && next.first <= self.base
        {
            let number = self.segments[0].number;
            // Files between two of them belong to no segment: they were abandoned before anything in them was durable.
            self.removing = Some((number, self.segments[1].number));
            self.segments.pop_front();
        }
        let (number, _) = self.removing?;
        self.is_asked = true;
        Some((number, self.damaged.contains(&number)))
    }

    /// What came of it.
    pub(crate) fn handle_removed(&mut self, is_removed: bool) {
        self.is_asked = false;
        self.has_failed = !is_removed;
        if let Some((number, end)) = self.removing.filter(|_| is_removed) {
            self.removing = (number + 1 < end).then_some((number + 1, end));
        }
    }
}
