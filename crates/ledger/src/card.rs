//! The CF card: a second store of the log format of [`segment`](crate::segment), in the directory of the card. It holds bills
//! that were moved out of the pool, each in its `billed` record as the ledger had it, and tombstones of those that left.
//!
//! The ledger is right, and the card follows: a bill leaves the pool only when the card's copy is synced, and it leaves
//! the card only after the ledger says so. So the card may fail, vanish and come back at any moment. When anything on
//! it fails it is given up as it stands, and read again from the beginning later, as at the start; what it then holds
//! is [settled](CardFound) against the ledger.
//!
//! **Comes in:** its segments, when it is opened. **Goes out:** its bills. **Never:** a bill in the pool that is lost with the
//! card, nor one that is in the pool and on the card and leaves both.
//!
//! **Blank**: a card that nothing was written to is taken, unless bills were moved to the card and have not left it since. Then
//! this is another card, or the place where the card is not mounted: it is not written to before a reset has given those
//! bills up.
//!
//! **Full**: what fits is moved, the rest stays in the pool. **How much memory:** 64 octets for a bill.

use model::ids::BillId;
use model::record::{Delivered, Record};

use crate::log::{Log, LogBounds};
use crate::pool::{BillRef, Shelf};
use crate::recover::{Life, LogStart, OldSegment, RecordSink, Recovery, RecoveryError, RecoveryReport};
use crate::segment::Place;

/// Whose card it is, as its records say: made from the ledger's key, so that a card of another box is not taken for
/// this one's.
pub type CardOwner = [u8; 16];

/// Reads a card. Create it, hand in every segment there is, finish.
pub struct CardReading {
    recovery: Recovery<CardBook>,
}

/// What a card holds.
pub struct CardFound {
    pub(crate) shelf: Shelf,
    pub(crate) start: LogStart,
    pub(crate) segments: Vec<OldSegment>,
    /// What recovery met.
    pub report: RecoveryReport,
    /// `None`: it is empty.
    pub owner: Option<CardOwner>,
}

impl std::fmt::Debug for CardFound {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CardFound").field("bills", &self.shelf.len()).field("report", &self.report).finish()
    }
}

impl CardFound {
    /// Whether nothing says whose it is and no bill is on it: a new card, or the place where none is mounted.
    pub fn is_blank(&self) -> bool {
        self.owner.is_none() && self.shelf.len() == 0
    }

    /// The bills on it, in age order.
    pub fn bills(&self) -> impl Iterator<Item = &BillRef> {
        self.shelf.iter()
    }
}

impl Default for CardReading {
    fn default() -> CardReading {
        CardReading::new()
    }
}

impl CardReading {
    /// Nothing read yet.
    pub fn new() -> CardReading {
        CardReading { recovery: Recovery::of_card(CardBook::default()) }
    }

    /// Reads one segment, whole. Numbers only grow from call to call.
    pub fn segment(&mut self, number: u64, octets: &[u8]) {
        self.recovery.segment(number, octets);
    }

    /// All segments have been handed in.
    ///
    /// # Errors
    ///
    /// [`RecoveryError`]: the card must not be written to.
    pub fn finish(self) -> Result<CardFound, RecoveryError> {
        let (recovered, start) = self.recovery.finish()?;
        Ok(CardFound {
            shelf: recovered.state.0,
            start,
            segments: recovered.segments,
            report: recovered.report,
            owner: recovered.key,
        })
    }
}

/// The bills that a card's records add up to.
#[derive(Default)]
pub(crate) struct CardBook(pub(crate) Shelf);

impl CardBook {
    fn apply(&mut self, place: Place, record: &Record<'_>) {
        match record {
            Record::Billed(bill) => enter(&mut self.0, BillRef::new(bill, place)),
            _ => change(&mut self.0, record),
        }
    }
}

impl RecordSink for CardBook {
    fn record(&mut self, _sequence: u64, place: Place, record: &Record<'_>, _octets: &[u8]) {
        self.apply(place, record);
    }
}

/// A bill stands on the card.
pub(crate) fn enter(shelf: &mut Shelf, bill: BillRef) {
    if !shelf.place_again(&bill) {
        shelf.insert(bill);
    }
}

/// Something else was said of bills on the card.
pub(crate) fn change(shelf: &mut Shelf, record: &Record<'_>) {
    match record {
        Record::Departed(departed) => {
            for run in departed.bills.iter() {
                for id in shelf.ids_within(run) {
                    shelf.remove(id);
                }
            }
        }
        Record::Returned(returned) => {
            if let Some(bill) = shelf.get_mut(returned.id) {
                bill.delivered = Delivered::Unknown;
            }
        }
        _ => {}
    }
}

/// A card that was read, in use.
pub(crate) struct OpenCard {
    pub(crate) shelf: Shelf,
    start: Option<LogStart>,
    pub(crate) log: Option<Log>,
    pub(crate) segments: Vec<OldSegment>,
}

impl OpenCard {
    pub(crate) fn new(found: CardFound) -> OpenCard {
        let CardFound { shelf, start, segments, .. } = found;
        OpenCard { shelf, start: Some(start), log: None, segments }
    }

    /// Whether records of the last batch wait to be written again: they may be in the page cache only.
    pub(crate) fn has_carried(&self) -> bool {
        self.start.as_ref().is_some_and(|start| start.carried_count() > 0)
    }

    /// The log, begun when it is first needed, so that a card nobody writes to stays as it is.
    pub(crate) fn log(&mut self, life: &Life, bounds: LogBounds) -> &mut Log {
        if let Some(start) = self.start.take() {
            self.log = Some(start.begin(*life, bounds).0);
        }
        self.log.as_mut().expect("it was begun now or before")
    }

    /// Whether what was read stands on the card for certain.
    pub(crate) fn is_settled(&self) -> bool {
        match &self.log {
            Some(log) => log.durable_through() >= log.started_at(),
            None => !self.has_carried(),
        }
    }

    pub(crate) fn find(&self, id: BillId) -> Option<&BillRef> {
        self.shelf.get(id)
    }
}
