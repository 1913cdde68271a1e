//! What a session needs beside its account for a while, or never: how it ended, what it may use up, what waits of it in the
//! queue. Most sessions are online without limits and have none of it; so an annex is taken when something is written in it, and
//! given back with the session's slot.
//!
//! **Full** it cannot be: there are as many annexes as slots. Memory: 96 octets for each of those that were ever in use at the
//! same time; the last one given back is the next one taken.

use model::domain::Allowance;
use model::record::{BillReason, TakenOver};
use model::time::{Mono, Now, Wall};

use crate::session::{NEVER_REPORTED, NO_EVENT};

/// The place of an annex.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct AnnexRef(u32);

impl AnnexRef {
    /// There is none.
    pub(crate) const NONE: AnnexRef = AnnexRef(u32::MAX);
}

/// What most sessions do not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Annex {
    /// When it went down, on both clocks; [`Mono::ZERO`] where that was before the box was booted.
    pub(crate) closed: Now,
    /// The event that brought it down.
    pub(crate) closed_by: TakenOver,
    /// How long it may stay and how much it may move.
    pub(crate) allowance: Allowance,
    /// When it is looked at how much it has moved.
    pub(crate) look: Mono,
    /// Of whom only what has moved is told (`interim traffic`): [`model::counters::Counters::sum`] of the last report that was
    /// acknowledged, or [`NEVER_REPORTED`].
    pub(crate) reported: u64,
    /// Acct-Session-Time at the end, seconds.
    pub(crate) session_time_s: u32,
    pub(crate) session_timeout_s: u32,
    /// New transactions that what is in the queue may still have.
    pub(crate) resends_left: u16,
    /// Transactions of it that failed.
    pub(crate) tries: u16,
    /// Which list of rests it stands in.
    pub(crate) rest: u8,
    /// Acct-Terminate-Cause.
    pub(crate) cause: u8,
    /// Why a bill stands for it.
    pub(crate) bill: Option<BillReason>,
}

impl Annex {
    /// Of those who have none.
    pub(crate) const NONE: Annex = Annex {
        closed: Now { mono: Mono::ZERO, wall: Wall::from_millis(0) },
        closed_by: NO_EVENT,
        allowance: Allowance { timeout_at: Allowance::NEVER, quota_at: Allowance::NEVER, volume: Allowance::ALL },
        look: Mono::ZERO,
        reported: NEVER_REPORTED,
        session_time_s: 0,
        session_timeout_s: 0,
        resends_left: 0,
        tries: 0,
        rest: 0,
        cause: 0,
        bill: None,
    };
}

const _: () = assert!(size_of::<Annex>() == 96);

/// All of them.
pub(crate) struct Annexes {
    annexes: Vec<Annex>,
    free: Vec<u32>,
}

impl Annexes {
    /// As many as there are slots; memory is touched as it is used.
    pub(crate) fn new(capacity: usize) -> Annexes {
        Annexes { annexes: Vec::with_capacity(capacity), free: Vec::with_capacity(capacity) }
    }

    pub(crate) fn get(&self, annex: AnnexRef) -> &Annex {
        self.annexes.get(annex.0 as usize).unwrap_or(&Annex::NONE)
    }

    /// The same, to be written in: one is taken if there is none.
    pub(crate) fn get_mut(&mut self, annex: &mut AnnexRef) -> &mut Annex {
        if *annex == AnnexRef::NONE {
            *annex = AnnexRef(self.free.pop().unwrap_or_else(|| {
                self.annexes.push(Annex::NONE);
                u32::try_from(self.annexes.len() - 1).expect("fewer than slots")
            }));
        }
        &mut self.annexes[annex.0 as usize]
    }

    /// Gives it back, if there is one.
    pub(crate) fn release(&mut self, annex: AnnexRef) {
        if let Some(place) = self.annexes.get_mut(annex.0 as usize) {
            *place = Annex::NONE;
            self.free.push(annex.0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_taken_to_be_written_in_and_comes_back_empty() {
        let mut annexes = Annexes::new(2);
        let (mut a, mut b) = (AnnexRef::NONE, AnnexRef::NONE);
        assert_eq!(annexes.get(a), &Annex::NONE);
        annexes.get_mut(&mut a).tries = 1;
        annexes.get_mut(&mut b).tries = 2;
        annexes.get_mut(&mut a).cause = 7;
        assert_eq!((annexes.get(a).tries, annexes.get(a).cause, annexes.get(b).tries), (1, 7, 2));
        annexes.release(a);
        annexes.release(AnnexRef::NONE);
        let mut again = AnnexRef::NONE;
        assert_eq!(annexes.get_mut(&mut again), &Annex::NONE);
        assert_eq!(again, a);
    }
}
