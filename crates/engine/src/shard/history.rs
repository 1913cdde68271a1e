//! What earlier lives took over from a plane's event rings, and how far this one has read them.
//!
//! An earlier life tells it in two ways: each record of a session names the event behind it, and `heard` says that
//! every event of one of that life's shards was taken over up to some position, whatever was forgotten since.

use model::record::{Heard, TakenOver};

/// Whose events: those of sessions whose hash leaves this remainder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Share {
    pub(super) shard: u16,
    pub(super) shard_count: u16,
}

impl Share {
    fn has(self, hash: u64) -> bool {
        hash % u64::from(self.shard_count.max(1)) == u64::from(self.shard)
    }

    /// Whether a session can fall to both.
    fn meets(self, other: Share) -> bool {
        let both = common_divisor(self.shard_count.max(1), other.shard_count.max(1));
        self.shard % both == other.shard % both
    }

    /// In so many parts does an engine of `shard_count` shards cut this share.
    fn parts(self, shard_count: u16) -> u16 {
        shard_count / common_divisor(self.shard_count.max(1), shard_count.max(1))
    }
}

fn common_divisor(a: u16, b: u16) -> u16 {
    if b == 0 { a } else { common_divisor(b, a % b) }
}

/// What an earlier life's shard had taken over whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct HeardBefore {
    pub(super) plane_epoch: u64,
    pub(super) ring: u16,
    pub(super) through: u64,
    pub(super) share: Share,
}

/// The past of one plane's rings.
#[derive(Clone, Debug, Default)]
pub(super) struct History {
    /// Events that an earlier life took over, in ascending order.
    taken_over: Vec<TakenOver>,
    /// What earlier lives had heard, as far as it concerns this shard.
    heard: Vec<HeardBefore>,
    /// For each ring, the position before which this life has every event of its own.
    read: Vec<u64>,
}

fn order(event: &TakenOver) -> (u64, u16, u64) {
    (event.plane_epoch, event.ring, event.position)
}

impl History {
    pub(super) fn set_taken_over(&mut self, mut events: Vec<TakenOver>) {
        events.sort_unstable_by_key(order);
        self.taken_over = events;
    }

    /// Keeps what an earlier life had heard, if it can be about a session of `own`.
    pub(super) fn add_heard(&mut self, heard: &Heard<'_>, own: Share) {
        let Heard { plane_epoch, ring, through, shard, shard_count, .. } = *heard;
        let share = Share { shard, shard_count };
        if shard_count == 0 || !share.meets(own) {
            return;
        }
        let same =
            |known: &&mut HeardBefore| (known.plane_epoch, known.ring, known.share) == (plane_epoch, ring, share);
        match self.heard.iter_mut().find(same) {
            Some(known) => known.through = known.through.max(through),
            None => self.heard.push(HeardBefore { plane_epoch, ring, through, share }),
        }
    }

    /// The plane has linked with this memory; `anew`: another one than before.
    pub(super) fn link(&mut self, epoch: u64, anew: bool) {
        self.taken_over.retain(|event| event.plane_epoch == epoch);
        self.heard.retain(|heard| heard.plane_epoch == epoch);
        if anew {
            self.read.clear();
        }
    }

    /// Everything of this shard's before `through` has been handed in.
    pub(super) fn note_read(&mut self, ring: u16, through: u64) {
        let ring = usize::from(ring);
        if self.read.len() <= ring {
            self.read.resize(ring + 1, 0);
        }
        self.read[ring] = self.read[ring].max(through);
    }

    /// For each ring, how far this life has read.
    pub(super) fn read(&self) -> impl Iterator<Item = (u16, u64)> {
        (0..).zip(self.read.iter().copied())
    }

    fn read_of(&self, ring: u16) -> u64 {
        self.read.get(usize::from(ring)).copied().unwrap_or(0)
    }

    /// Whether an earlier life's record names this event.
    pub(super) fn has_taken_over(&self, epoch: u64, ring: u16, position: u64) -> bool {
        let event = TakenOver { plane_epoch: epoch, ring, position };
        self.taken_over.binary_search_by_key(&order(&event), order).is_ok()
    }

    /// Whether an earlier life had heard this event of a session with this hash.
    pub(super) fn was_heard(&self, epoch: u64, ring: u16, position: u64, hash: u64) -> bool {
        self.heard.iter().any(|heard| {
            (heard.plane_epoch, heard.ring) == (epoch, ring) && position < heard.through && heard.share.has(hash)
        })
    }

    /// The greatest position of a ring that an earlier life took over.
    pub(super) fn newest(&self, epoch: u64, ring: u16) -> Option<u64> {
        let last = |ring: u16| {
            let end = self.taken_over.partition_point(|event| order(event) <= (epoch, ring, u64::MAX));
            let last = self.taken_over[..end].last()?;
            ((last.plane_epoch, last.ring) == (epoch, ring)).then_some(last.position)
        };
        let of_ring = self.heard.iter().filter(|heard| (heard.plane_epoch, heard.ring) == (epoch, ring));
        let heard = of_ring.filter_map(|heard| heard.through.checked_sub(1)).max();
        last(ring).max(last(ring | TakenOver::IMPLIED)).max(last(ring | TakenOver::GONE)).max(heard)
    }

    /// What earlier lives had heard and this one has not read yet. `epoch`: of the memory that is linked now, if one is.
    pub(super) fn unread_heard(&self, epoch: Option<u64>) -> impl Iterator<Item = HeardBefore> {
        self.heard.iter().copied().filter(move |heard| epoch.is_none() || self.read_of(heard.ring) < heard.through)
    }

    /// Whether a record of an earlier life is all there is to tell that some event was taken over: this life has not come
    /// so far, and no `heard` reaches there for all of `own`.
    pub(super) fn is_needed(&self, epoch: Option<u64>, own: Share) -> bool {
        self.taken_over.iter().any(|event| {
            let ring = event.ring & !(TakenOver::IMPLIED | TakenOver::GONE);
            let read = epoch == Some(event.plane_epoch) && event.position < self.read_of(ring);
            !read && event.position >= self.heard_by_all(event.plane_epoch, ring, own)
        })
    }

    /// The position before which the shards of one earlier life have heard everything that falls to `own`.
    fn heard_by_all(&self, epoch: u64, ring: u16, own: Share) -> u64 {
        let of_ring = || self.heard.iter().filter(|heard| (heard.plane_epoch, heard.ring) == (epoch, ring));
        let whole = |count: u16| {
            let of_life = || of_ring().filter(|heard| heard.share.shard_count == count);
            let is_whole = of_life().count() == usize::from(own.parts(count));
            of_life().map(|heard| heard.through).min().filter(|_| is_whole)
        };
        of_ring().filter_map(|heard| whole(heard.share.shard_count)).max().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(shard: u16, shard_count: u16, through: u64) -> Heard<'static> {
        Heard { plane: "vpp", plane_epoch: 7, ring: 0, through, shard, shard_count }
    }

    fn history(heards: &[(u16, u16, u64)], own: Share) -> History {
        let mut history = History::default();
        for &(shard, shard_count, through) in heards {
            history.add_heard(&heard(shard, shard_count, through), own);
        }
        history
    }

    #[test]
    fn an_event_was_heard_by_the_shard_that_its_session_fell_to() {
        let own = Share { shard: 0, shard_count: 1 };
        let history = history(&[(0, 2, 10), (1, 2, 20)], own);
        for (position, hash, expected) in [(9, 4, true), (10, 4, false), (10, 5, true), (19, 5, true), (20, 5, false)] {
            assert_eq!(history.was_heard(7, 0, position, hash), expected, "{position}, {hash}");
            assert!(!history.was_heard(8, 0, position, hash), "another memory");
            assert!(!history.was_heard(7, 1, position, hash), "another ring");
        }
        assert_eq!(history.newest(7, 0), Some(19));
    }

    #[test]
    fn only_shares_that_meet_are_kept_and_only_whole_ones_cover() {
        // Now shard 1 of 4: hashes 1, 5, 9, …
        let own = Share { shard: 1, shard_count: 4 };
        for (heards, expected) in [
            (&[(1u16, 2u16, 30u64)][..], 30),
            (&[(0, 2, 30)], 0),
            (&[(0, 3, 30), (1, 3, 20)], 0),
            (&[(0, 3, 30), (1, 3, 20), (2, 3, 25)], 20),
            (&[(1, 2, 30), (1, 4, 40)], 40),
            (&[(1, 8, 30)], 0),
            (&[(1, 8, 30), (5, 8, 50)], 30),
        ] {
            assert_eq!(history(heards, own).heard_by_all(7, 0, own), expected, "{heards:?}");
        }
    }

    #[test]
    fn records_are_needed_until_their_events_are_read_or_heard() {
        let own = Share { shard: 0, shard_count: 1 };
        let at = |position| TakenOver { plane_epoch: 7, ring: 0, position };
        let mut history = history(&[(0, 1, 10)], own);
        history.set_taken_over(vec![at(3), at(9)]);
        assert!(!history.is_needed(None, own), "all of it was heard");
        history.set_taken_over(vec![at(3), at(12)]);
        assert!(history.is_needed(None, own));
        history.link(7, true);
        history.note_read(0, 12);
        assert!(history.is_needed(Some(7), own));
        history.note_read(0, 13);
        assert!(!history.is_needed(Some(7), own));
        assert_eq!(history.unread_heard(Some(7)).count(), 0);
        history.link(8, true);
        assert_eq!(history.newest(7, 0), None, "another memory: the positions mean nothing any more");
    }
}
