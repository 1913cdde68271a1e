//! Compaction of the ledger: segments that no source needs go, oldest first. What the keeper itself has in the oldest one
//! (bills, files on their way, claims, departures, the life's `started`) is told again first.
//!
//! Bills may stay for long while sessions come and go, so a segment full of bills is told again only when more than
//! half of the old segments is of no use. Then the log is never longer than what the sources need and twice what
//! the bills take, and each octet of garbage costs at most one octet of copies.
//!
//! **How long the log is.** What the sources need is about 1.75 times what lives, once the first turn of their checkpoints is
//! over (`engine`). Whole segments come on top, at most four: the newest one, its spare, the oldest one, which is needed in
//! part, and the one before it, which waits until the next segment's header tells the base. The bench `ledger` prints what a
//! day of interims leads to: 1.8 to 1.9 times the live size from 50,000 sessions on; fewer sessions have fewer marks, and at
//! 10,000 it is 2.2. Batches of a few records are filled up to 512 octets, which weighs when little happens.

use model::record::{Departed, Departure, Record};
use model::time::Now;

use super::copies::{Copies, CopyStep};
use super::own::{self, Own};
use super::reads::Why;
use super::{Area, Keeper};

/// How far compaction is.
#[derive(Default)]
pub(super) struct Compaction {
    pub(super) copies: Copies,
    /// Segments up to this number are needed by nobody. Two may begin with the same record, so that does not say it.
    freed: u64,
    /// Everything but bills was told again.
    is_told: bool,
}

impl Keeper {
    pub(super) fn advance_compaction(&mut self, now: Now) {
        loop {
            let Some(old) = self.segments.old(self.compaction.freed) else { return };
            let Some((next, first)) = self.segments.next(old.oldest) else { return };
            if !(old.oldest..next).any(|segment| self.is_kept_in(segment)) {
                self.compaction.freed = next - 1;
                self.log.set_base(first);
                self.compaction.copies.end();
                continue;
            }
            if self.compaction.copies.segment() != Some(old.oldest) {
                let live: u64 =
                    self.book.pool.shelves().iter().map(|shelf| shelf.standing_before(old.window).octets).sum();
                if old.octets <= 2 * live {
                    return;
                }
                self.compaction.copies.begin(old.oldest);
                self.compaction.is_told = false;
            }
            if !self.own.is_calm() {
                return;
            }
            match self.compaction.copies.step(&self.book.pool.shelves()) {
                CopyStep::Busy => return,
                CopyStep::Read(id) => {
                    self.read(Why::Copy, Area::Ledger, id);
                    return;
                }
                CopyStep::Lost(bill) => self.drop_bill(&bill, now.wall),
                CopyStep::Done if !self.compaction.is_told => {
                    self.tell_again(old.oldest, now);
                    self.compaction.is_told = true;
                    return;
                }
                CopyStep::Done => {
                    // Bills that were about to leave may have stayed.
                    if self.own.is_settled(self.log.durable_through()) {
                        self.compaction.copies.begin(old.oldest);
                        self.compaction.is_told = false;
                    }
                    return;
                }
            }
        }
    }

    /// Whether the keeper has something in a segment.
    fn is_kept_in(&self, segment: u64) -> bool {
        self.book.pool.shelves().iter().any(|shelf| shelf.standing(segment).bills > 0)
            || self.book.started.0 == segment
            || self.book.departures.is_told_in(segment)
            || self.book.transfers.values().any(|open| open.segment == segment)
            || self.book.claims.values().any(|claim| claim.segment == segment)
    }

    /// Tells again everything but bills that stands in a segment.
    fn tell_again(&mut self, segment: u64, now: Now) {
        if self.book.started.0 == segment {
            let started = self.started;
            self.tell(&Record::Started(started));
        }
        let transfers = self.book.transfers.values().filter(|open| open.segment == segment).map(|open| open.number);
        let transfers: Vec<u64> = transfers.collect();
        for number in transfers {
            self.own.push(Own::Transfer(number));
        }
        let claims = self.book.claims.iter().filter(|(_, claim)| claim.segment == segment).map(|(id, _)| *id);
        let claims: Vec<_> = claims.collect();
        for id in claims {
            self.own.push(Own::Claim(id));
        }
        self.tell_departures_again(segment, now);
    }

    fn tell_departures_again(&mut self, segment: u64, now: Now) {
        // Numbers of transfers are never given twice, so the newest one must be known.
        let transfer = self.book.transfer_last();
        // Neither are their names, should the wall clock step back.
        let at = self.book.shipped_last.max(now.wall);
        for ((store, departure), (total, runs)) in self.book.departures.told_in(segment) {
            let mut total = Some(total);
            for chunk in runs.chunks(model::record::BillRuns::RUN_COUNT_MAX) {
                let octets = own::run_octets(chunk);
                let bills = model::record::BillRuns::from_octets(&octets).expect("runs ascend");
                let sum = total.take().unwrap_or_default();
                let transfer = if departure == Departure::Transferred { transfer } else { 0 };
                self.tell_quietly(&Record::Departed(Departed {
                    store,
                    departure,
                    transfer,
                    at,
                    bills,
                    in_octets: sum.in_octets,
                    out_octets: sum.out_octets,
                }));
            }
        }
    }
}
