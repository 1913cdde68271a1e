//! What all records add up to, as far as bills are concerned: the bills in the pool, what is being done with each, the
//! files on their way, and where bills went that are gone. One [`BillBook::apply`] serves recovery and the living log, so
//! a new life knows what the old one knew.
//!
//! **Comes in:** records in the order of the log, each with its place, once they are durable. **Goes out:** views. **Never:** a bill
//! that a tombstone has named.
//!
//! Records may be *told again* behind others when the log is compacted: bills, claims, transfers that are under way, and
//! departures. Whatever order they then come in, they add up to the same, because a record is never told again behind the
//! one that ends it.
//!
//! **How much:** 64 octets for a bill, 24 for a claim, 16 for each run of ids in a transfer, 40 for each run of departures.

use std::collections::BTreeMap;

use model::ids::BillId;
use model::record::{
    BillRun, BillRuns, BillStore, Delivered, Departed, Departure, Record, TransferAbandoned, TransferBegun,
};
use model::settings::{BillFormat, LocalAaaServer};
use model::time::Wall;

use super::{BillRef, BillState, Departures, Pool, Taken};
use crate::recover::RecordSink;
use crate::segment::Place;

/// A file that was begun and has neither arrived nor been abandoned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenTransfer {
    /// Its number.
    pub number: u64,
    /// Where its bills are.
    pub store: BillStore,
    /// Its name on the server.
    pub file: String,
    /// How bills are written in it.
    pub format: BillFormat,
    /// The sysname in it.
    pub nas: String,
    /// When it was begun.
    pub created: Wall,
    /// Its length in octets.
    pub size: u64,
    /// SHA-256 of its octets.
    pub sha256: [u8; 32],
    runs: Vec<u8>,
    pub(crate) segment: u64,
    /// The record that ends it is on the way to the disk.
    pub(crate) is_ending: bool,
}

impl OpenTransfer {
    fn new(segment: u64, begun: &TransferBegun<'_>) -> OpenTransfer {
        OpenTransfer {
            number: begun.number,
            store: begun.store,
            file: begun.file.to_owned(),
            format: begun.format,
            nas: begun.nas.to_owned(),
            created: begun.created,
            size: begun.size,
            sha256: begun.sha256,
            runs: begun.bills.octets().to_vec(),
            segment,
            is_ending: false,
        }
    }

    /// The record that began it.
    pub fn record(&self) -> TransferBegun<'_> {
        TransferBegun {
            number: self.number,
            store: self.store,
            file: &self.file,
            format: self.format,
            nas: &self.nas,
            created: self.created,
            bills: self.bills(),
            size: self.size,
            sha256: self.sha256,
        }
    }

    /// The bills in it, in their order.
    pub fn bills(&self) -> BillRuns<'_> {
        BillRuns::from_octets(&self.runs).expect("they came out of a record")
    }

    fn contains(&self, id: BillId) -> bool {
        let within = |run: BillRun| {
            let offset = id.sequence.checked_sub(run.first.sequence);
            run.first.epoch == id.epoch && offset.is_some_and(|offset| offset < u64::from(run.count))
        };
        self.bills().iter().any(within)
    }
}

/// A claim, told in this segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Claim {
    pub(crate) segment: u64,
    /// The record that ends it is on the way to the disk.
    pub(crate) is_ending: bool,
}

/// Everything that is known of bills.
#[derive(Debug)]
pub struct BillBook {
    pub(crate) pool: Pool,
    pub(crate) transfers: BTreeMap<u64, OpenTransfer>,
    pub(crate) claims: BTreeMap<BillId, Claim>,
    pub(crate) departures: Departures,
    transfer_next: u64,
    /// The newest moment at which a file was begun or arrived: file names are not given twice.
    pub(crate) shipped_last: Wall,
    /// Bills that the pool takes beyond its capacity, while they wait for room elsewhere.
    allowance: usize,
}

impl Default for BillBook {
    fn default() -> BillBook {
        BillBook::new()
    }
}

impl BillBook {
    /// Nothing has happened. Until [`settings`](BillBook::settings) are known every bill is in the pool, whatever its number.
    pub fn new() -> BillBook {
        let mut everything = LocalAaaServer { pool_enabled: true, ..LocalAaaServer::default() };
        everything.cache.capacity = u32::MAX;
        BillBook {
            pool: Pool::new(&everything),
            transfers: BTreeMap::new(),
            claims: BTreeMap::new(),
            departures: Departures::default(),
            transfer_next: 1,
            shipped_last: Wall::default(),
            allowance: 0,
        }
    }

    /// Capacity, threshold, and whether there is a pool. `allowance`: bills that are taken beyond the capacity.
    pub fn settings(&mut self, settings: &LocalAaaServer, allowance: usize) {
        self.allowance = allowance;
        self.pool.settings(settings);
    }

    /// From now on so many bills are taken beyond the capacity.
    pub(crate) fn set_allowance(&mut self, allowance: usize) {
        self.allowance = allowance;
    }

    /// The pool: bills and unbilled Stops.
    pub fn pool(&self) -> &Pool {
        &self.pool
    }

    /// Files that were begun and have neither arrived nor been abandoned.
    pub fn transfers(&self) -> impl Iterator<Item = &OpenTransfer> {
        self.transfers.values()
    }

    /// Bills whose replay has no outcome yet.
    pub fn claims(&self) -> impl Iterator<Item = BillId> {
        self.claims.keys().copied()
    }

    /// Where bills went that are gone.
    pub fn departures(&self) -> &Departures {
        &self.departures
    }

    /// The number of the next transfer.
    pub(crate) fn transfer_next(&mut self) -> u64 {
        self.transfer_next += 1;
        self.transfer_next - 1
    }

    /// The newest transfer's number; 0: there was none.
    pub(crate) fn transfer_last(&self) -> u64 {
        self.transfer_next - 1
    }

    /// A record became durable, or was read by recovery. For a bill, what became of it.
    pub fn apply(&mut self, place: Place, record: &Record<'_>) -> Taken {
        match record {
            Record::Billed(bill) => return self.apply_bill(BillRef::new(bill, place)),
            Record::TransferBegun(begun) => self.apply_begun(place.segment, begun),
            Record::TransferAbandoned(abandoned) => self.apply_abandoned(*abandoned),
            Record::Departed(departed) => self.apply_departed(place.segment, departed),
            Record::Claimed(claimed) => {
                self.claims.insert(claimed.id, Claim { segment: place.segment, is_ending: false });
                self.set_state(claimed.id, BillState::Claimed);
            }
            Record::Returned(returned) => {
                self.claims.remove(&returned.id);
                let in_transfer = self.transfer_of(BillStore::Cache, returned.id);
                if let Some(bill) = self.pool.get_mut(returned.id) {
                    bill.state = if in_transfer { BillState::InTransfer } else { BillState::Free };
                    bill.is_leaving = false;
                    if returned.was_sent {
                        bill.delivered = Delivered::Unknown;
                    }
                }
            }
            _ => {}
        }
        Taken::Known
    }

    /// A bill became durable.
    pub fn apply_bill(&mut self, bill: BillRef) -> Taken {
        if self.pool.place_again(&bill) || self.departures.find(bill.id).is_some() {
            return Taken::Known;
        }
        let state = if self.claims.contains_key(&bill.id) {
            BillState::Claimed
        } else if self.transfer_of(BillStore::Cache, bill.id) {
            BillState::InTransfer
        } else {
            BillState::Free
        };
        let room = self.pool.capacity().saturating_add(self.allowance);
        self.pool.take(BillRef { state, ..bill }, room)
    }

    /// Whether the bill is in a file on its way.
    pub(crate) fn transfer_of(&self, store: BillStore, id: BillId) -> bool {
        self.transfers.values().any(|transfer| transfer.store == store && transfer.contains(id))
    }

    pub(crate) fn set_state(&mut self, id: BillId, state: BillState) {
        if let Some(bill) = self.pool.get_mut(id) {
            bill.state = state;
        }
    }

    /// A record that will take this bill away, or end its claim, was handed to the log: nothing of it is told again.
    pub(crate) fn mark_leaving(&mut self, record: &Record<'_>) {
        let mut leave = |id| {
            if let Some(bill) = self.pool.get_mut(id) {
                bill.is_leaving = true;
            }
            if let Some(claim) = self.claims.get_mut(&id) {
                claim.is_ending = true;
            }
        };
        match record {
            Record::Departed(departed) => {
                if departed.store == BillStore::Cache {
                    departed.bills.ids().for_each(&mut leave);
                }
                if let Some(transfer) = self.transfers.get_mut(&departed.transfer) {
                    transfer.is_ending = true;
                }
            }
            Record::Returned(returned) => leave(returned.id),
            Record::TransferAbandoned(abandoned) => {
                if let Some(transfer) = self.transfers.get_mut(&abandoned.number) {
                    transfer.is_ending = true;
                }
            }
            _ => {}
        }
    }

    fn apply_begun(&mut self, segment: u64, begun: &TransferBegun<'_>) {
        self.transfer_next = self.transfer_next.max(begun.number + 1);
        self.shipped_last = self.shipped_last.max(begun.created);
        if let Some(known) = self.transfers.get_mut(&begun.number) {
            known.segment = segment;
            return;
        }
        if begun.store == BillStore::Cache {
            for id in begun.bills.ids() {
                self.set_state(id, BillState::InTransfer);
            }
        }
        self.transfers.insert(begun.number, OpenTransfer::new(segment, begun));
    }

    fn apply_abandoned(&mut self, abandoned: TransferAbandoned) {
        let Some(transfer) = self.transfers.remove(&abandoned.number) else { return };
        if transfer.store != BillStore::Cache {
            return;
        }
        for id in transfer.bills().ids() {
            if let Some(bill) = self.pool.get_mut(id) {
                bill.state = BillState::Free;
                if abandoned.may_be_there {
                    bill.delivered = Delivered::Unknown;
                }
            }
        }
    }

    fn apply_departed(&mut self, segment: u64, departed: &Departed<'_>) {
        self.transfer_next = self.transfer_next.max(departed.transfer + 1);
        if departed.departure == Departure::Transferred {
            self.shipped_last = self.shipped_last.max(departed.at);
        }
        let is_new = self.departures.enter(segment, departed);
        // A departure that is told again names the newest transfer, whichever that is by then.
        if self.transfers.get(&departed.transfer).is_some_and(|open| open.bills() == departed.bills) {
            self.transfers.remove(&departed.transfer);
        }
        if is_new && departed.departure == Departure::Dropped {
            let octets = departed.in_octets.saturating_add(departed.out_octets);
            self.pool.count_dropped(departed.store, departed.bills.count(), octets);
        }
        if departed.store != BillStore::Cache {
            return;
        }
        for run in departed.bills.iter() {
            let end = BillId { sequence: run.first.sequence.saturating_add(u64::from(run.count)), ..run.first };
            let claimed: Vec<BillId> = self.claims.range(run.first..end).map(|(id, _)| *id).collect();
            for id in claimed {
                self.claims.remove(&id);
            }
            let held: Vec<BillId> = self.pool.shelves().iter().flat_map(|shelf| shelf.ids_within(run)).collect();
            for id in held {
                self.pool.remove(id);
            }
        }
    }
}

/// Folds every record that a store holds.
impl RecordSink for BillBook {
    fn record(&mut self, _sequence: u64, place: Place, record: &Record<'_>, _octets: &[u8]) {
        self.apply(place, record);
    }
}

/// What two books can be compared by: how they came about is left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    bills: Vec<(BillId, Place, BillState, Delivered)>,
    transfers: Vec<(u64, BillStore, String)>,
    claims: Vec<BillId>,
    departed: Vec<(BillId, BillStore, Departure)>,
}

impl BillBook {
    /// What the book says, for comparisons. As long as the bills that there ever were.
    pub fn snapshot(&self) -> Snapshot {
        let stable = |bill: &BillRef| {
            // That a bill is taken is known to nobody but this life.
            let state = if bill.state == BillState::Taken { BillState::Free } else { bill.state };
            (bill.id, bill.place, state, bill.delivered)
        };
        let mut bills: Vec<_> = self.pool.shelves().iter().flat_map(|shelf| shelf.iter()).map(stable).collect();
        bills.sort_unstable_by_key(|bill| bill.0);
        let of_run = |run: super::DepartedRun| {
            let ids = run.first.sequence..run.first.sequence + run.count;
            ids.map(move |sequence| (BillId { sequence, ..run.first }, run.store, run.departure))
        };
        Snapshot {
            bills,
            transfers: self.transfers.values().map(|open| (open.number, open.store, open.file.clone())).collect(),
            claims: self.claims().collect(),
            departed: self.departures.runs().flat_map(of_run).collect(),
        }
    }
}
