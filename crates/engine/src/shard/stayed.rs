//! Subscribers who did not go. A plane that gives no Down for one who is cut is not waited for ([`cut`](super::cut)): the session is
//! over, and its Stop tells what it had counted. The plane may announce the subscriber after all, as it does when it links again.
//! A session that began then would tell the same octets once more; so it is known by its counters, and is cut again.
//!
//! **Full:** so many are remembered; who was cut longest ago is forgotten, and taken for somebody new. So is everybody by a restart.

use std::collections::VecDeque;

use model::counters::CounterSlot;
use model::ids::PlaneIndex;
use model::verdict::CutBy;

const STAYED_MAX: usize = 1024;

/// Those who are known, by their planes' counters; a plane never gives the same generation of a slot to two.
pub(super) struct Stayed {
    all: VecDeque<(PlaneIndex, CounterSlot, CutBy)>,
}

impl Stayed {
    pub(super) fn new() -> Stayed {
        Stayed { all: VecDeque::with_capacity(STAYED_MAX) }
    }

    /// One more has not gone.
    pub(super) fn note(&mut self, plane: PlaneIndex, counters: CounterSlot, by: CutBy) {
        if counters.generation == 0 {
            return;
        }
        if self.all.len() == STAYED_MAX {
            self.all.pop_front();
        }
        self.all.push_back((plane, counters, by));
    }

    /// By whom the subscriber was cut that has these counters still.
    pub(super) fn find(&self, plane: PlaneIndex, counters: CounterSlot) -> Option<CutBy> {
        let is_it = |(other, its, _): &&(PlaneIndex, CounterSlot, CutBy)| *other == plane && *its == counters;
        self.all.iter().rev().find(is_it).map(|&(_, _, by)| by)
    }

    /// The plane has other memory, and other counters with it.
    pub(super) fn forget(&mut self, plane: PlaneIndex) {
        self.all.retain(|&(other, ..)| other != plane);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_ones_are_known_until_their_plane_has_other_memory() {
        let mut stayed = Stayed::new();
        let slot = |slot| CounterSlot { slot, generation: 7 };
        let (one, other) = (PlaneIndex(0), PlaneIndex(1));
        stayed.note(one, CounterSlot { slot: 1, generation: 0 }, CutBy::Operator);
        assert_eq!(stayed.find(one, CounterSlot { slot: 1, generation: 0 }), None, "nobody's counters");
        (0..1025).for_each(|number| stayed.note(one, slot(number), CutBy::Operator));
        stayed.note(other, slot(1024), CutBy::QuotaOut);
        assert_eq!((stayed.find(one, slot(0)), stayed.find(one, slot(1))), (None, None));
        assert_eq!(stayed.find(one, slot(2)), Some(CutBy::Operator));
        assert_eq!(stayed.find(other, slot(1024)), Some(CutBy::QuotaOut));
        stayed.forget(one);
        assert_eq!((stayed.find(one, slot(2)), stayed.find(other, slot(1024))), (None, Some(CutBy::QuotaOut)));
        assert_eq!(stayed.all.capacity(), STAYED_MAX, "nothing was allocated");
    }
}
