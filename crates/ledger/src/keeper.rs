//! The keeper: the log, the bills in it, the card and everything that happens to bills, as one machine. The writer thread of the
//! daemon and the simulator drive it alike.
//!
//! ```text
//!  shards ── append ──▶ Log ──▶ disk          durable_through ──▶ shards
//!                        │ noted records
//!                        ▼
//!                      BillBook ◀── the same records, in recovery
//!                     ╱    │    ╲
//!              moves ╱ files│ten  ╲ replays: poll_replay ──▶ worker
//!                   ▼      ▼
//!                 card ──▶ poll_upload ──▶ bill server
//! ```
//!
//! # For the caller's loop
//!
//! - **in**: [`append`](Keeper::append) as many records as the rings have; [`handle_needed_from`](Keeper::handle_needed_from) when a
//!   shard says so; settings, commands, outcomes of uploads, whether a server answers.
//! - **out**: [`poll_operation`](Keeper::poll_operation) until it says `None`; do what it asks, in any order, and say how
//!   it went. Then [`poll_upload`](Keeper::poll_upload), [`poll_replay`](Keeper::poll_replay),
//!   [`poll_alarm`](Keeper::poll_alarm) until `None`, and [`durable_through`](Keeper::durable_through) of each source.
//! - **time**: [`handle_timeout`](Keeper::handle_timeout) once in each turn of the loop: it also gives the turn its share
//!   of reads. [`poll_timeout`](Keeper::poll_timeout) says when the next turn is due at the latest.
//!
//! **Never:** something done to a bill before the record of it is durable; two things done to a bill at once; a bill shown
//! before its sync; a segment removed that somebody needs.
//!
//! **Full**: [`append`](Keeper::append) refuses like the log. Beyond its capacity the pool takes what the card has room for, and at
//! least [`OVERFLOW_MAX`] bills, while they wait for the card or the server; what comes then is dropped, counted and
//! alarmed, and in mode `none` what comes beyond the capacity is (owner's decision 10). Own
//! records wait in memory until the log takes them; nothing new is begun while more than a few wait.
//!
//! **How much:** the log's two batches, the card's two, 64 octets for each bill, the text of at most two bill files.

mod alarm;
mod alarms;
mod card_side;
mod commands;
mod compaction;
mod copies;
mod moves;
mod own;
mod reads;
mod replays;
mod segments;
mod ship;
mod sources;
mod triggers;

use std::collections::VecDeque;

use model::ids::BillId;
use model::record::{Announced, BillRun, BillRuns, BillStore, Booted, Departure, Record, Started};
use model::report::{BillStoreInformation, LedgerDisk, LocalBillInformation};
use model::settings::{CacheBackupMode, LocalAaaServer};
use model::time::{Mono, Now, Wall};

pub use self::alarm::{Abandonment, Alarm, CardFault};
use self::alarms::Told;
use self::card_side::CardSide;
pub use self::commands::{BackupRefused, ResetRefused};
use self::compaction::Compaction;
use self::moves::Mover;
use self::own::Outbox;
use self::reads::{ReadFor, Reads};
pub use self::replays::REPLAYS_MAX;
use self::replays::Replays;
use self::segments::Segments;
use self::ship::ServerHealth;
use self::sources::Sources;
use self::triggers::Triggers;
use crate::card::CardFound;
use crate::frame;
use crate::log::{self, DiskFault, Full, Log, LogBounds, NotedRecord};
use crate::pool::{BillBook, BillRef, Taken};
use crate::recover::{OldSegment, RecoveryError};
use crate::transfer::{Shipping, Stage, Stamps};

/// Bills that the pool takes beyond its capacity while they wait for room elsewhere, though the card has none or fails.
pub const OVERFLOW_MAX: usize = 1024;

/// Which directory an operation is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Area {
    /// The ledger's, in the state directory.
    Ledger,
    /// The CF card's.
    Card,
}

/// Names one operation until it has completed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OperationId(u64);

/// Something that the keeper asks of the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Operation<'a> {
    /// To be handed back with the outcome.
    pub id: OperationId,
    /// Where.
    pub area: Area,
    /// What to do.
    pub request: Request<'a>,
}

/// What the disk is to do. Each is answered by [`Keeper::handle_completed`], but for the two that bring something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request<'a> {
    /// As [`log::Request::CreateSegment`].
    CreateSegment {
        /// The segment's number.
        segment: u64,
        /// Its length in octets.
        len: u64,
    },
    /// As [`log::Request::Write`].
    Write {
        /// The segment's number.
        segment: u64,
        /// Where, in octets from the segment's begin.
        offset: u64,
        /// What.
        bytes: &'a [u8],
    },
    /// As [`log::Request::Sync`].
    Sync {
        /// The segment's number.
        segment: u64,
    },
    /// Read so many octets; answered by [`Keeper::handle_read`].
    Read {
        /// The segment's number.
        segment: u64,
        /// Where, in octets from the segment's begin.
        offset: u64,
        /// How many octets.
        len: usize,
    },
    /// Delete the file and sync the directory. One that does not exist is deleted.
    RemoveSegment {
        /// The segment's number.
        segment: u64,
    },
    /// Rename the file so that it is no segment any more, and sync the directory: recovery found damage in it. One that
    /// does not exist is set aside.
    SetAside {
        /// The segment's number.
        segment: u64,
    },
    /// Make sure that the card's directory is there, and read every segment in it with a
    /// [`CardReading`](crate::card::CardReading); answered by [`Keeper::handle_card`].
    OpenCard,
}

impl<'a> From<log::Request<'a>> for Request<'a> {
    fn from(request: log::Request<'a>) -> Request<'a> {
        match request {
            log::Request::CreateSegment { segment, len } => Request::CreateSegment { segment, len },
            log::Request::Write { segment, offset, bytes } => Request::Write { segment, offset, bytes },
            log::Request::Sync { segment } => Request::Sync { segment },
        }
    }
}

/// What a keeper begins with.
pub struct KeeperStart {
    /// The log, just begun.
    pub log: Log,
    /// Its first record.
    pub started: Started,
    /// What recovery made of the records.
    pub book: BillBook,
    /// The segments that recovery read, in order.
    pub segments: Vec<OldSegment>,
    /// The numbers of those in which it found damage.
    pub damaged: Vec<u64>,
    /// Who writes records: numbered from 0.
    pub sources: u16,
    /// The configuration of local bills.
    pub settings: LocalAaaServer,
    /// The sysname.
    pub nas: String,
    /// How large the card's segments are; `None`: there is no card.
    pub card: Option<LogBounds>,
    /// No life has begun in this boot of the box: what servers are to be told of it. That, and that it has begun, is durable
    /// before anything is acted upon.
    pub new_boot: Option<Vec<Announced>>,
}

/// What an operation under way is for.
#[derive(Clone, Copy, Debug)]
enum Pending {
    Ledger(log::OperationId),
    /// Of the card as it was opened that time.
    Card(u64, log::OperationId),
    /// A file of the ledger's is removed.
    Removal,
    /// One of the card's, as it was opened that time.
    CardRemoval(u64),
    /// One of the card's, before it is opened again.
    Wipe,
    Read(ReadFor),
    OpenCard,
}

/// The keeper. See the module.
pub struct Keeper {
    log: Log,
    book: BillBook,
    settings: LocalAaaServer,
    nas: String,
    sources: Sources,
    segments: Segments,
    own: Outbox,
    compaction: Compaction,
    card: CardSide,
    mover: Mover,
    ships: [Shipping; 2],
    stamps: Stamps,
    server: ServerHealth,
    replays: Replays,
    reads: Reads,
    triggers: Triggers,
    told: Told,
    pending: Vec<(OperationId, Pending)>,
    operation_next: u64,
    alarms: VecDeque<Alarm>,
    /// The last word about the ledger's disk.
    is_disk_failing: bool,
    is_ending: bool,
}

impl Keeper {
    /// Begins with what recovery found. Replays whose outcome is not known end as `delivered: unknown`; files that were on
    /// their way go on.
    pub fn begin(start: KeeperStart, now: Now) -> Keeper {
        let KeeperStart { log, started, book, segments, damaged, sources, settings, nas, card, new_boot } = start;
        let sources = usize::from(sources);
        let dropped = [BillStore::Cache, BillStore::Cfcard].map(|store| book.pool.dropped(store).bills);
        let stamp_last = book.shipped_last.as_millis() / 1000;
        let mut keeper = Keeper {
            log,
            book,
            nas,
            sources: Sources::new(sources),
            segments: Segments::new(&segments, damaged, sources),
            own: Outbox::default(),
            compaction: Compaction::default(),
            card: CardSide::new(card, &started),
            mover: Mover::default(),
            ships: [Shipping::new(BillStore::Cache), Shipping::new(BillStore::Cfcard)],
            stamps: Stamps(stamp_last),
            server: ServerHealth::default(),
            replays: Replays::default(),
            reads: Reads::default(),
            triggers: Triggers::new(&settings, now.mono),
            told: Told::new(dropped),
            pending: Vec::new(),
            operation_next: 0,
            alarms: VecDeque::new(),
            is_disk_failing: false,
            is_ending: false,
            settings: LocalAaaServer::default(),
        };
        keeper.settings = settings;
        keeper.configure_book();
        if let Some(announced) = new_boot {
            announced.iter().for_each(|announced| keeper.tell_first(&Record::Announced(*announced)));
            keeper.tell_first(&Record::Booted(Booted { boot_id: started.boot_id }));
        }
        keeper.return_claims();
        keeper.reads.refill();
        keeper.flush();
        keeper
    }

    /// Takes one record of a source, as [`frame::encode`] made it.
    ///
    /// # Errors
    ///
    /// [`Full`]: nothing was taken; try again after the next completion.
    pub fn append(&mut self, source: u16, record: &[u8]) -> Result<(), Full> {
        let sequence = self.log.append(record)?;
        self.sources.take(usize::from(source), sequence);
        if frame::is_of_the_book(record)
            && !frame::is_bill(record)
            && let Ok(record) = frame::decode(record)
        {
            self.book.mark_leaving(&record);
        }
        Ok(())
    }

    /// Every record of this source up to its own number is on the disk. Only grows.
    pub fn durable_through(&self, source: u16) -> u64 {
        self.sources.durable_through(usize::from(source))
    }

    /// Whether the record of this life's beginning is on the disk, and that of the boot's, and what was recovered may be acted upon.
    pub fn is_begun(&self) -> bool {
        let durable_through = self.log.durable_through();
        durable_through >= self.log.started_at() && self.own.has_begun(durable_through)
    }

    /// Records appended and not yet durable, of all sources and of the keeper's own.
    pub fn waiting(&self) -> u64 {
        self.log.waiting() + self.own.len() as u64
    }

    /// A source needs none of its records before this number any more, counted from 1; 0: it cannot say yet.
    pub fn handle_needed_from(&mut self, source: u16, record: u64) {
        self.segments.handle_needed_from(usize::from(source), record);
    }

    /// Takes another configuration. `nas`: the sysname.
    pub fn configure(&mut self, settings: &LocalAaaServer, nas: &str, now: Now) {
        self.triggers.configure(&self.settings, settings, now.mono);
        let server_changed = self.settings.bill_server != settings.bill_server
            || self.settings.host_key != settings.host_key
            || self.settings.key_file != settings.key_file
            || self.settings.tftp_port != settings.tftp_port;
        let replay_changed = self.settings.replay != settings.replay;
        if self.settings.cache.backup_mode != settings.cache.backup_mode {
            self.mover.stop();
        }
        self.settings = settings.clone();
        nas.clone_into(&mut self.nas);
        if server_changed {
            self.server.try_at_once();
        }
        if replay_changed {
            self.replays.begin_anew();
        }
        self.configure_book();
        self.advance(now);
    }

    fn configure_book(&mut self) {
        self.book.settings(&self.settings, self.allowance());
    }

    /// Bills that the pool takes beyond its capacity: the card is slower than a burst of them.
    fn allowance(&self) -> usize {
        match self.settings.cache.backup_mode {
            CacheBackupMode::None => 0,
            _ if self.card.is_failing() => OVERFLOW_MAX,
            CacheBackupMode::Cfcard | CacheBackupMode::Tftp | CacheBackupMode::Sftp => {
                let capacity = usize::try_from(self.settings.cfcard.capacity).unwrap_or(usize::MAX);
                capacity.saturating_sub(self.card.bill_count()).max(OVERFLOW_MAX)
            }
        }
    }

    /// The next thing to do, or `None` until something changes.
    pub fn poll_operation(&mut self) -> Option<Operation<'_>> {
        self.operation_next += 1;
        let id = OperationId(self.operation_next);
        if let Some(operation) = self.log.poll_operation() {
            self.pending.push((id, Pending::Ledger(operation.id)));
            return Some(Operation { id, area: Area::Ledger, request: operation.request.into() });
        }
        let (generation, wants_open) = (self.card.generation(), self.card.poll_open());
        if wants_open {
            self.pending.push((id, Pending::OpenCard));
            return Some(Operation { id, area: Area::Card, request: Request::OpenCard });
        }
        let removal = |(segment, is_damaged): (u64, bool)| match is_damaged {
            true => Request::SetAside { segment },
            false => Request::RemoveSegment { segment },
        };
        if let Some(removed) = self.segments.poll_removal() {
            self.pending.push((id, Pending::Removal));
            return Some(Operation { id, area: Area::Ledger, request: removal(removed) });
        }
        if let Some(segment) = self.card.poll_wipe() {
            self.pending.push((id, Pending::Wipe));
            return Some(Operation { id, area: Area::Card, request: Request::RemoveSegment { segment } });
        }
        if let Some(removed) = self.card.poll_removal() {
            self.pending.push((id, Pending::CardRemoval(generation)));
            return Some(Operation { id, area: Area::Card, request: removal(removed) });
        }
        if let Some(what_for) = self.reads.poll() {
            // By now the bill may stand somewhere else.
            let bill = match what_for.area {
                Area::Ledger => self.book.pool.get(what_for.id),
                Area::Card => self.card.shelf().and_then(|shelf| shelf.get(what_for.id)),
            };
            let what_for = bill.map_or(what_for, |bill| what_for.at(bill.place));
            let (area, place) = (what_for.area, what_for.place);
            self.pending.push((id, Pending::Read(what_for)));
            let request =
                Request::Read { segment: place.segment, offset: u64::from(place.offset), len: usize::from(place.len) };
            return Some(Operation { id, area, request });
        }
        let operation = self.card.log_mut()?.poll_operation()?;
        self.pending.push((id, Pending::Card(generation, operation.id)));
        Some(Operation { id, area: Area::Card, request: operation.request.into() })
    }

    /// An operation has ended that brings nothing but its outcome.
    pub fn handle_completed(&mut self, id: OperationId, outcome: Result<(), DiskFault>, now: Now) {
        match self.end(id) {
            Pending::Ledger(id) => self.log.handle_completed(id, outcome, now.mono),
            Pending::Card(generation, id) if generation == self.card.generation() => {
                if let Err(fault) = outcome {
                    self.close_card(CardFault::Disk(fault), now);
                } else if let Some(log) = self.card.log_mut() {
                    log.handle_completed(id, Ok(()), now.mono);
                }
            }
            Pending::Wipe => match outcome {
                Ok(()) => self.card.handle_wiped(),
                Err(fault) => self.close_card(CardFault::Disk(fault), now),
            },
            Pending::Removal => self.segments.handle_removed(outcome.is_ok()),
            Pending::CardRemoval(generation) if generation == self.card.generation() => match outcome {
                Ok(()) => self.card.handle_removed(),
                Err(fault) => self.close_card(CardFault::Disk(fault), now),
            },
            Pending::Card(..) | Pending::CardRemoval(_) => {}
            Pending::Read(_) | Pending::OpenCard => unreachable!("it is answered with what it brought"),
        }
        self.advance(now);
    }

    /// What was asked for by [`Request::Read`].
    pub fn handle_read(&mut self, id: OperationId, outcome: Result<&[u8], DiskFault>, now: Now) {
        if let Pending::Read(what_for) = self.end(id) {
            self.take_read(what_for, outcome, now);
        }
        self.advance(now);
    }

    /// What was asked for by [`Request::OpenCard`].
    pub fn handle_card(
        &mut self,
        id: OperationId,
        outcome: Result<Result<CardFound, RecoveryError>, DiskFault>,
        now: Now,
    ) {
        if let Pending::OpenCard = self.end(id) {
            self.take_card(outcome, now);
        }
        self.advance(now);
    }

    fn end(&mut self, id: OperationId) -> Pending {
        let index = self.pending.iter().position(|(pending, _)| *pending == id);
        self.pending.swap_remove(index.expect("an operation completes once")).1
    }

    /// When to call [`handle_timeout`](Keeper::handle_timeout) next, at the latest.
    pub fn poll_timeout(&self) -> Option<Mono> {
        // While the ledger's disk fails, nothing comes of looking on.
        let is_calm = self.own.is_calm();
        let has_more = !self.is_ending && self.compaction.copies.has_more() || self.is_begun() && self.card.has_more();
        if self.reads.is_exhausted() || is_calm && has_more {
            return Some(Mono::ZERO);
        }
        let times = [
            self.log.poll_timeout(),
            self.card.poll_timeout(),
            self.triggers.poll_timeout(&self.settings),
            self.server.until(),
            self.replays.resume_at(),
            self.reads.resume_at(),
        ];
        times.into_iter().flatten().min()
    }

    /// One turn of the caller's loop has begun.
    pub fn handle_timeout(&mut self, now: Now) {
        self.reads.refill();
        self.resume_reads(now.mono);
        self.log.handle_timeout(now.mono);
        self.card.handle_timeout(now.mono);
        self.server.handle_timeout(now.mono);
        self.replays.handle_timeout(now.mono);
        self.fire_intervals(now);
        self.advance(now);
    }

    /// The process is about to end: nothing new is begun, so that what waits comes to an end.
    pub fn handle_shutdown(&mut self) {
        self.is_ending = true;
    }

    /// The next thing to tell the operator.
    pub fn poll_alarm(&mut self) -> Option<Alarm> {
        self.alarms.pop_front()
    }

    /// What is known of bills in the pool, of files on their way, and of bills that are gone.
    pub fn book(&self) -> &BillBook {
        &self.book
    }

    /// The bills on the card, in age order; none while it cannot be used.
    pub fn card_bills(&self) -> impl Iterator<Item = &BillRef> {
        self.card.shelf().into_iter().flat_map(|shelf| shelf.iter())
    }

    /// For `display local-bill information` (BEHAVIOUR.md 7.7).
    pub fn information(&self) -> LocalBillInformation {
        let is_locked = !matches!(self.ships[0].stage, Stage::Idle) || self.mover.is_busy();
        LocalBillInformation {
            cfcard: BillStoreInformation {
                bills: self.card.bill_count() as u64,
                capacity: u64::from(self.settings.cfcard.capacity),
                alarm_threshold_percent: self.settings.cfcard.alarm_threshold,
            },
            is_locked,
            disk: LedgerDisk {
                is_failing: self.is_disk_failing,
                segments: self.segment_count() as u64,
                octets: self.segment_octets(),
            },
            ..self.book.pool.information()
        }
    }

    /// Octets that the ledger's segments take on the disk.
    pub fn segment_octets(&self) -> u64 {
        self.segments.octets()
    }

    /// Segments that the ledger has.
    pub fn segment_count(&self) -> usize {
        self.segments.count()
    }

    /// Goes on with everything that can go on, a bounded amount of each.
    fn advance(&mut self, now: Now) {
        self.take_log_events(now);
        self.advance_card(now);
        if self.is_begun() && !self.is_ending {
            self.apply_thresholds(now);
            self.advance_moves(now);
            self.advance_ships(now);
            self.advance_replays(now);
            self.advance_compaction(now);
        }
        self.flush_card();
        self.raise_alarms();
        self.flush();
    }

    /// What the log has to say after an operation.
    fn take_log_events(&mut self, now: Now) {
        while let Some(begun) = self.log.poll_segment() {
            let before = self.sources.before(begun.first);
            self.segments.handle_begun(begun, before);
        }
        self.book.set_allowance(self.allowance());
        while let Some(noted) = self.log.poll_noted() {
            match noted.what {
                NotedRecord::Billed(bill) => {
                    if let Taken::Overflow(bill) = self.book.apply_bill(bill) {
                        self.drop_bill(BillStore::Cache, &bill, now.wall);
                    }
                }
                NotedRecord::Other(octets) => {
                    if let Ok(record) = frame::decode(&octets) {
                        let freed = self.freed_on_card(&record);
                        self.book.apply(noted.place, &record);
                        self.free_on_card(freed.into_iter());
                        self.follow(&record);
                    }
                }
            }
        }
        self.sources.settle(self.log.durable_through());
        while let Some(alarm) = self.log.poll_alarm() {
            self.alarms.push_back(match alarm {
                log::Alarm::Failing { segment, fault } => Alarm::DiskFailing { segment, fault },
                log::Alarm::Healed => Alarm::DiskHealed,
            });
            self.is_disk_failing = matches!(self.alarms.back(), Some(Alarm::DiskFailing { .. }));
        }
    }

    /// A record of bills became durable: what waited for it goes on.
    fn follow(&mut self, record: &Record<'_>) {
        match record {
            Record::TransferBegun(begun) => self.ship_announced(begun.number),
            Record::TransferAbandoned(abandoned) => self.ship_ended(abandoned.number),
            Record::Departed(departed) => {
                if departed.transfer != 0 {
                    self.ship_ended(departed.transfer);
                }
                for run in departed.bills.iter() {
                    self.replays.handle_settled(run);
                    if departed.store == BillStore::Cache {
                        self.mover.handle_settled(run);
                    }
                }
                match (departed.store, departed.departure) {
                    (BillStore::Cfcard, _) => self.card_departed(record),
                    (BillStore::Cache, Departure::Moved) => {}
                    (BillStore::Cache, _) => self.drop_card_copies(departed.bills, departed.at),
                }
            }
            Record::Claimed(claimed) => self.replay_claimed(claimed.id),
            Record::Returned(returned) => {
                self.replays.handle_outcome(returned.id);
                let run = BillRun { first: returned.id, count: 1 }.to_octets();
                let bills = BillRuns::from_octets(&run).expect("one run ascends");
                self.drop_card_copies(bills, Wall::default());
            }
            _ => {}
        }
    }

    fn bill(&self, store: BillStore, id: BillId) -> Option<&BillRef> {
        match store {
            BillStore::Cache => self.book.pool.get(id),
            BillStore::Cfcard => self.card.shelf()?.get(id),
        }
    }

    fn bill_mut(&mut self, store: BillStore, id: BillId) -> Option<&mut BillRef> {
        match store {
            BillStore::Cache => self.book.pool.get_mut(id),
            BillStore::Cfcard => self.card.shelf_mut()?.get_mut(id),
        }
    }
}

#[cfg(test)]
mod tests;
