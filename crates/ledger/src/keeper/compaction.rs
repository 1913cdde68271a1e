//! Compaction of a store, the ledger or the card: segments that no source needs go, oldest first. What the keeper itself has
//! in the oldest one (bills, files on their way, claims, departures) is told again first.
//!
//! Bills may stay for long while sessions come and go, so a segment full of bills is told again only when more than
//! half of the old segments is of no use. Then the log is never longer than what the sources need and twice what
//! the bills take, and each octet of garbage costs at most one octet of copies.
//!
//! **How long the log is.** What the sources need is about 1.75 times what lives, once the first turn of their checkpoints is
//! over (`engine`). Whole segments come on top, at most four: the newest one, its spare, the oldest one, which is needed in
//! part, and the one before it, which waits until the next segment's header tells the base. The bench `ledger` prints what a
//! day of interims leads to: 1.8 times the live size from 100,000 sessions on, and 2.0 at 50,000. Fewer sessions have fewer
//! marks, and batches of a few records are filled up to 512 octets, which weighs when little happens: at 10,000, of which each
//! second tells a kilobyte, it is 3.2, or 16 MiB.

use model::ids::BillId;
use model::marks::{self, Mark};
use model::record::{BillStore, Departed, Departure, Record};
use model::time::Now;

use super::copies::{Copies, CopyStep};
use super::own::{self, Own};
use super::reads::Why;
use super::segments::Segments;
use super::{Area, Keeper};
use crate::pool::{BillBook, BillRef, Shelf};

/// How far the compaction of one store is.
#[derive(Default)]
pub(super) struct Compaction {
    pub(super) copies: Copies,
    /// Segments up to this number are needed by nobody. Two may begin with the same record, so that does not say it.
    freed: u64,
    /// Everything but bills was told again.
    is_told: bool,
}

/// The store that is compacted, as it is now.
pub(super) struct Compacted<'a> {
    pub(super) segments: &'a Segments,
    /// All its bills.
    pub(super) shelves: &'a [&'a Shelf],
    /// Whether anything else is kept in a segment.
    pub(super) is_kept: &'a dyn Fn(u64) -> bool,
    /// There is room for more records.
    pub(super) is_calm: bool,
    /// Everything that was told again is durable.
    pub(super) is_settled: bool,
}

/// What comes next.
pub(super) enum Next {
    /// Nothing, until something has happened.
    Nothing,
    /// Nobody needs a record before this one: the log is to say so. There may be more to do.
    Base(u64),
    /// This bill is to be read and told again.
    Read(BillId),
    /// This bill cannot be read any more: it is to be dropped. There may be more to do.
    Lost(BillRef),
    /// Everything but bills that stands in this segment is to be told again.
    Tell(u64),
}

impl Compaction {
    pub(super) fn next(&mut self, store: &Compacted<'_>) -> Next {
        let Some(old) = store.segments.old(self.freed) else { return Next::Nothing };
        let Some((next, first)) = store.segments.next(old.oldest) else { return Next::Nothing };
        let has_bills = |segment| store.shelves.iter().any(|shelf| shelf.standing(segment).bills > 0);
        if !(old.oldest..next).any(|segment| has_bills(segment) || (store.is_kept)(segment)) {
            self.freed = next - 1;
            self.copies.end();
            return Next::Base(first);
        }
        if self.copies.segment() != Some(old.oldest) {
            let live: u64 = store.shelves.iter().map(|shelf| shelf.standing_before(old.window).octets).sum();
            if old.octets <= 2 * live {
                return Next::Nothing;
            }
            self.begin(old.oldest);
        }
        if !store.is_calm {
            return Next::Nothing;
        }
        match self.copies.step(store.shelves) {
            CopyStep::Busy => Next::Nothing,
            CopyStep::Read(id) => Next::Read(id),
            CopyStep::Lost(bill) => Next::Lost(bill),
            CopyStep::Done if !self.is_told => {
                self.is_told = true;
                Next::Tell(old.oldest)
            }
            CopyStep::Done => {
                // Bills that were about to leave may have stayed.
                if store.is_settled {
                    self.begin(old.oldest);
                }
                Next::Nothing
            }
        }
    }

    fn begin(&mut self, segment: u64) {
        self.copies.begin(segment);
        self.is_told = false;
    }
}

impl Keeper {
    pub(super) fn advance_compaction(&mut self, now: Now) {
        loop {
            let book = &self.book;
            let next = self.compaction.next(&Compacted {
                segments: &self.segments,
                shelves: &book.pool.shelves(),
                is_kept: &|segment| is_kept_in(book, segment),
                is_calm: self.own.is_calm(),
                is_settled: self.own.is_settled(self.log.durable_through()),
            });
            match next {
                Next::Nothing => return,
                Next::Base(first) => self.log.set_base(first),
                Next::Read(id) => {
                    marks::hit(Mark::BillToldAgain);
                    self.read(Why::Copy, Area::Ledger, id);
                    return;
                }
                Next::Lost(bill) => self.drop_bill(BillStore::Cache, &bill, now.wall),
                Next::Tell(segment) => {
                    marks::hit(Mark::SegmentToldAgain);
                    return self.tell_again(segment, now);
                }
            }
        }
    }

    /// Tells again everything but bills that stands in a segment.
    pub(super) fn tell_again(&mut self, segment: u64, now: Now) {
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

/// Whether the keeper has something but bills in a segment.
fn is_kept_in(book: &BillBook, segment: u64) -> bool {
    book.departures.is_told_in(segment)
        || book.transfers.values().any(|open| open.segment == segment)
        || book.claims.values().any(|claim| claim.segment == segment)
}
