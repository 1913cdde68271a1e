//! Driving the files of both stores through the stages of [`transfer`](crate::transfer), and the health of the bill server.

use std::time::Duration;

use model::ids::BillId;
use model::marks::{self, Mark};
use model::record::{
    Bill, BillStore, Delivered, Departed, Departure, Record, Returned, TransferAbandoned, TransferBegun,
};
use model::settings::{BillFormat, CacheBackupMode, CfcardBackupMode};
use model::time::{Mono, Now};

use super::own::Own;
use super::reads::{Why, area_of};
use super::{Abandonment, Alarm, Keeper, own};
use crate::bill;
use crate::pool::{BillState, Hindrance};
use crate::transfer::{
    FILE_SEQUENCE_MAX, Gather, Made, Outcome, Protocol, Stage, Trip, Upload, UploadFailure, choose, file_name,
    manifest_name, runs_of,
};

const BACKOFF_FIRST: Duration = Duration::from_secs(30);
const BACKOFF_MAX: Duration = Duration::from_secs(15 * 60);

/// Whether the bill server takes files.
#[derive(Default)]
pub(super) struct ServerHealth {
    failures: u32,
    until: Option<Mono>,
    is_told: bool,
}

impl ServerHealth {
    pub(super) fn until(&self) -> Option<Mono> {
        self.until
    }

    pub(super) fn handle_timeout(&mut self, now: Mono) {
        self.until = self.until.filter(|until| *until > now);
    }

    pub(super) fn try_at_once(&mut self) {
        self.until = None;
    }

    pub(super) fn is_failing(&self) -> bool {
        self.is_told
    }

    fn fail(&mut self, now: Mono) {
        let wait = BACKOFF_FIRST.saturating_mul(1 << self.failures.min(5)).min(BACKOFF_MAX);
        self.failures += 1;
        self.until = Some(now.plus(wait));
    }
}

fn index(store: BillStore) -> usize {
    match store {
        BillStore::Cache => 0,
        BillStore::Cfcard => 1,
    }
}

/// Why a file that was refused so is not sent again under its name; `None`: it is. What may be a try of ours is never left
/// behind as if it were not there.
fn abandoned_for(reason: UploadFailure, trip: Trip) -> Option<Abandonment> {
    match reason {
        UploadFailure::NameTaken | UploadFailure::NameTakenUnseen if trip.is_first_try => Some(Abandonment::NameTaken),
        UploadFailure::NameTaken | UploadFailure::ManifestTaken => Some(Abandonment::NameTakenLater),
        _ => None,
    }
}

/// Whether the server surely has nothing of a file that failed so.
fn is_before_any_octet(reason: UploadFailure) -> bool {
    matches!(reason, UploadFailure::NotConfigured | UploadFailure::HostKey | UploadFailure::LoginRefused)
}

impl Keeper {
    /// The next file to be put on the bill server. Its beginning is durable.
    pub fn poll_upload(&mut self) -> Option<Upload> {
        let found = [0, 1].into_iter().find(|index| matches!(self.ships[*index].stage, Stage::Ready(_)))?;
        let store = self.ships[found].store;
        let protocol = self.protocol(store).ok()?;
        let Stage::Ready(made) = std::mem::take(&mut self.ships[found].stage) else { return None };
        self.ships[found].sent_to = self.settings.bill_server.as_ref().map(|server| server.address);
        let Made { trip, name, octets, manifest } = made;
        self.ships[found].stage = Stage::Uploading(trip);
        let number = trip.number;
        let manifest_name = manifest_name(&name);
        Some(Upload { number, store, protocol, name, octets, manifest_name, manifest })
    }

    /// How an upload went.
    pub fn handle_uploaded(&mut self, number: u64, outcome: Outcome, now: Now) {
        let trips = self.ships.iter().map(|ship| match ship.stage {
            Stage::Uploading(trip) if trip.number == number => Some(trip),
            _ => None,
        });
        let Some((found, trip)) = trips.enumerate().find_map(|(found, trip)| Some((found, trip?))) else { return };
        let store = self.ships[found].store;
        self.ships[found].stage = Stage::Settling(number);
        match outcome {
            Outcome::Delivered => {
                self.server.failures = 0;
                self.server.until = None;
                if std::mem::take(&mut self.server.is_told) {
                    self.alarms.push_back(Alarm::TransferHealed);
                }
                self.tell_transferred(store, trip, now);
            }
            Outcome::Failed(reason) => {
                self.server.fail(now.mono);
                self.tell_failure(store, reason);
                if trip.is_first_try && is_before_any_octet(reason) {
                    self.ships[found].sent_to = None;
                }
                match abandoned_for(reason, trip) {
                    Some(why) => self.abandon(found, number, why),
                    None if self.book.transfers.get(&number).is_some_and(|open| !open.is_ending) => {
                        self.ships[found].stage = Stage::Waiting(number);
                    }
                    None => {}
                }
            }
        }
        self.advance(now);
    }

    /// How files of a store travel now.
    pub(super) fn protocol(&self, store: BillStore) -> Result<Protocol, UploadFailure> {
        let server = self.settings.bill_server.as_ref().ok_or(UploadFailure::NotConfigured)?;
        let protocol = match (store, self.settings.cache.backup_mode, self.settings.cfcard.backup_mode) {
            (BillStore::Cache, CacheBackupMode::Tftp, _) | (BillStore::Cfcard, _, CfcardBackupMode::Tftp) => {
                Protocol::Tftp
            }
            (BillStore::Cache, CacheBackupMode::Sftp, _) | (BillStore::Cfcard, _, CfcardBackupMode::Sftp) => {
                Protocol::Sftp
            }
            (BillStore::Cache, CacheBackupMode::None | CacheBackupMode::Cfcard, _) => match server.login {
                Some(_) => Protocol::Sftp,
                None => Protocol::Tftp,
            },
        };
        match (protocol, &server.login) {
            (Protocol::Sftp, None) => Err(UploadFailure::NotConfigured),
            _ => Ok(protocol),
        }
    }

    /// Once per outage.
    pub(super) fn tell_failure(&mut self, store: BillStore, reason: UploadFailure) {
        if !std::mem::replace(&mut self.server.is_told, true) {
            let server = self.settings.bill_server.as_ref().map(|server| server.address);
            self.alarms.push_back(Alarm::TransferFail { store, server, reason });
        }
    }

    pub(super) fn is_server_usable(&self, store: BillStore) -> bool {
        self.server.until.is_none() && self.protocol(store).is_ok()
    }

    /// Every bill of a store is to be put on the server, in files whose names begin with `stem`.
    pub(super) fn ship_all(&mut self, store: BillStore, stem: Option<&str>, now: Now) {
        let newest = match store {
            BillStore::Cache => self.book.pool.shelves()[0].last(),
            BillStore::Cfcard => self.card.shelf().and_then(|shelf| shelf.last()),
        };
        let Some(through) = newest.map(|bill| bill.id) else { return };
        let Some(server) = &self.settings.bill_server else { return };
        let stem = stem.unwrap_or(&server.file_name);
        let stamps = &mut self.stamps;
        self.ships[index(store)].begin(stem, through, || stamps.fresh(now.wall));
    }

    pub(super) fn advance_ships(&mut self, now: Now) {
        for found in [0, 1] {
            let store = self.ships[found].store;
            if store == BillStore::Cfcard && !self.card.is_ready() {
                continue;
            }
            if matches!(self.ships[found].stage, Stage::Idle) {
                self.ships[found].sent_to = None;
                self.begin_file(found, now);
            }
            self.leave_other_server(found);
            if let Stage::Waiting(number) = self.ships[found].stage {
                self.remake(found, number);
            }
            self.read_next(found);
        }
    }

    fn begin_file(&mut self, found: usize, now: Now) {
        let store = self.ships[found].store;
        let open = self.book.transfers.values().find(|open| open.store == store && !open.is_ending);
        if let Some(open) = open {
            self.ships[found].stage = Stage::Waiting(open.number);
            return;
        }
        if self.ships[found].job.is_none() || !self.own.is_calm() || !self.is_server_usable(store) {
            return;
        }
        let Some(job) = &mut self.ships[found].job else { return };
        if job.sequence > FILE_SEQUENCE_MAX {
            job.stamp = self.stamps.fresh(now.wall);
            job.sequence = 1;
        }
        let through = job.through;
        let len_max = usize::from(self.settings.file_size);
        let (ids, has_no_packet) = match store {
            BillStore::Cache => choose(self.book.pool.shelves()[0].iter(), through, len_max),
            BillStore::Cfcard => match self.card.shelf() {
                Some(shelf) => choose(shelf.iter(), through, len_max),
                None => return,
            },
        };
        if ids.is_empty() {
            self.ships[found].job = None;
            return;
        }
        // What no detail entry can be made of is said in json.
        let format = match self.settings.format {
            BillFormat::Detail if has_no_packet => BillFormat::Json,
            format => format,
        };
        self.set_states(store, &ids, BillState::Taken);
        self.ships[found].stage = Stage::Gathering(Box::new(Gather::new(ids, format, &self.nas)));
    }

    fn set_states(&mut self, store: BillStore, ids: &[BillId], state: BillState) {
        for id in ids {
            if let Some(bill) = self.bill_mut(store, *id) {
                bill.state = state;
            }
        }
    }

    fn remake(&mut self, found: usize, number: u64) {
        let store = self.ships[found].store;
        let Some(open) = self.book.transfers.get(&number).filter(|open| !open.is_ending) else {
            self.ships[found].stage = Stage::Idle;
            return;
        };
        if self.is_server_usable(store) {
            let ids = open.bills().ids().collect();
            let gather = Gather::new(ids, open.format, &open.nas);
            marks::hit(Mark::FileRemade);
            self.ships[found].stage = Stage::Remaking(number, Box::new(gather));
        } else if self.settings.bill_server.is_none() && !self.goes_to_server(store) {
            // Nobody will take it any more, and its bills are to go another way.
            self.abandon(found, number, Abandonment::NoServer);
        }
    }

    /// A file that another server may have goes to no second one under its name.
    fn leave_other_server(&mut self, found: usize) {
        let ship = &self.ships[found];
        let number = match &ship.stage {
            Stage::Waiting(number) | Stage::Remaking(number, _) => *number,
            Stage::Ready(made) => made.trip.number,
            Stage::Idle | Stage::Gathering(_) | Stage::Announcing(_) | Stage::Uploading(_) | Stage::Settling(_) => {
                return;
            }
        };
        let now = self.settings.bill_server.as_ref().map(|server| server.address);
        if ship.sent_to.is_some() && now.is_some() && ship.sent_to != now {
            self.abandon(found, number, Abandonment::OtherServer);
        }
    }

    fn goes_to_server(&self, store: BillStore) -> bool {
        store == BillStore::Cfcard
            || matches!(self.settings.cache.backup_mode, CacheBackupMode::Tftp | CacheBackupMode::Sftp)
    }

    /// Has the next bill of a file read.
    fn read_next(&mut self, found: usize) {
        let store = self.ships[found].store;
        let (Stage::Gathering(gather) | Stage::Remaking(_, gather)) = &mut self.ships[found].stage else { return };
        if gather.is_reading {
            return;
        }
        let Some(id) = gather.ids.get(gather.next).copied() else { return };
        gather.is_reading = true;
        if !self.read(Why::File(store), area_of(store), id) {
            self.gather_failed(store);
        }
    }

    /// A bill of a file was read.
    pub(super) fn gather(&mut self, store: BillStore, record: Bill<'_>) {
        let found = index(store);
        let is_remade = matches!(self.ships[found].stage, Stage::Remaking(..));
        let (Stage::Gathering(gather) | Stage::Remaking(_, gather)) = &mut self.ships[found].stage else { return };
        if gather.ids.get(gather.next) != Some(&record.id) {
            return;
        }
        gather.is_reading = false;
        let nas = gather.nas.clone();
        let id = record.id;
        if gather.file.push(&bill::Bill::new(&nas, record)).is_ok() {
            gather.next += 1;
        } else if is_remade {
            return self.gather_failed(store);
        } else {
            gather.ids.remove(gather.next);
            if let Some(bill) = self.bill_mut(store, id) {
                bill.hindrance = Hindrance::NoPacket;
                bill.state = BillState::Free;
            }
        }
        self.finish_gathering(found);
    }

    fn finish_gathering(&mut self, found: usize) {
        let (Stage::Gathering(gather) | Stage::Remaking(_, gather)) = &self.ships[found].stage else { return };
        if gather.next < gather.ids.len() {
            return;
        }
        match std::mem::take(&mut self.ships[found].stage) {
            Stage::Gathering(gather) if !gather.ids.is_empty() => self.announce(found, *gather),
            Stage::Remaking(number, gather) => self.compare(found, number, *gather),
            _ => {}
        }
    }

    /// A file's bills were read: its beginning is written down.
    fn announce(&mut self, found: usize, gather: Gather) {
        let store = self.ships[found].store;
        let Some(job) = &mut self.ships[found].job else {
            // A reset came between.
            marks::hit(Mark::ResetBeforeFile);
            return self.set_states(store, &gather.ids, BillState::Free);
        };
        let name = file_name(&job.stem, job.stamp, job.sequence);
        job.sequence += 1;
        let number = self.book.transfer_next();
        let created = model::time::Wall::from_millis(job.stamp * 1000);
        let format = gather.file.format();
        let (text, manifest) = gather.file.finish(&name, created);
        let trip = self.trip(store, number, true, &gather.ids);
        let (runs, taken) = runs_of(&gather.ids);
        assert_eq!(taken, gather.ids.len(), "no more were chosen than a record names");
        let bills = model::record::BillRuns::from_octets(&runs).expect("ids ascend");
        let size = text.len() as u64;
        let sha256 = manifest.sha256;
        let begun =
            TransferBegun { number, store, file: &name, format, nas: &gather.nas, created, bills, size, sha256 };
        self.own.push(Own::Record(own::octets(&Record::TransferBegun(begun))));
        self.set_states(store, &gather.ids, BillState::InTransfer);
        let made = Made { trip, name, octets: text.into_bytes(), manifest: manifest.to_json().into_bytes() };
        self.ships[found].stage = Stage::Announcing(made);
    }

    /// A file was made again.
    fn compare(&mut self, found: usize, number: u64, gather: Gather) {
        let Some(open) = self.book.transfers.get(&number) else { return };
        let name = open.file.clone();
        // An earlier life may have sent it and not have lived to hear of it.
        let trip = self.trip(open.store, number, false, &gather.ids);
        let (text, manifest) = gather.file.finish(&name, open.created);
        if text.len() as u64 == open.size && manifest.sha256 == open.sha256 {
            let made = Made { trip, name, octets: text.into_bytes(), manifest: manifest.to_json().into_bytes() };
            self.ships[found].stage = Stage::Ready(made);
        } else {
            self.abandon(found, number, Abandonment::Unlike);
        }
    }

    fn trip(&self, store: BillStore, number: u64, is_first_try: bool, ids: &[BillId]) -> Trip {
        let bills = ids.iter().filter_map(|id| self.bill(store, *id));
        let (in_octets, out_octets) = bills.fold((0_u64, 0_u64), |(from, to), bill| {
            (from.saturating_add(bill.in_octets), to.saturating_add(bill.out_octets))
        });
        Trip { number, is_first_try, in_octets, out_octets }
    }

    /// A bill of a file cannot be read.
    pub(super) fn gather_failed(&mut self, store: BillStore) {
        let found = index(store);
        match std::mem::take(&mut self.ships[found].stage) {
            Stage::Gathering(gather) => self.set_states(store, &gather.ids, BillState::Free),
            Stage::Remaking(number, _) => self.abandon(found, number, Abandonment::Unlike),
            stage => self.ships[found].stage = stage,
        }
    }

    /// A file will not be sent any more. That the server may have it is written down first.
    fn abandon(&mut self, found: usize, number: u64, why: Abandonment) {
        let Some(open) = self.book.transfers.get(&number).filter(|open| !open.is_ending) else { return };
        let (store, file) = (open.store, open.file.clone());
        let ids: Vec<BillId> = open.bills().ids().collect();
        self.ships[found].stage = Stage::Settling(number);
        self.alarms.push_back(Alarm::TransferAbandoned { store, file, why });
        let may_be_there = why.may_be_there();
        let abandoned = Record::TransferAbandoned(TransferAbandoned { number, may_be_there });
        if !may_be_there {
            marks::hit(Mark::FileAbandoned);
            return self.tell(&abandoned);
        }
        marks::hit(Mark::FileAbandonedUnsure);
        let returned = |id: &BillId| Record::Returned(Returned { id: *id, was_sent: true });
        match store {
            BillStore::Cache => {
                for id in &ids {
                    self.tell(&returned(id));
                }
                self.tell(&abandoned);
            }
            BillStore::Cfcard => {
                for id in &ids {
                    self.card.tell(&returned(id));
                }
                self.card.abandon(number);
            }
        }
    }

    fn tell_transferred(&mut self, store: BillStore, trip: Trip, now: Now) {
        let Trip { number, in_octets, out_octets, .. } = trip;
        let Some(open) = self.book.transfers.get(&number).filter(|open| !open.is_ending).cloned() else { return };
        self.tell(&Record::Departed(Departed {
            store,
            departure: Departure::Transferred,
            transfer: number,
            at: now.wall,
            bills: open.bills(),
            in_octets,
            out_octets,
        }));
    }

    /// A file's beginning is durable.
    pub(super) fn ship_announced(&mut self, number: u64) {
        for ship in &mut self.ships {
            if matches!(&ship.stage, Stage::Announcing(made) if made.trip.number == number)
                && let Stage::Announcing(made) = std::mem::take(&mut ship.stage)
            {
                ship.stage = Stage::Ready(made);
            }
        }
    }

    /// A file's end is durable.
    pub(super) fn ship_ended(&mut self, number: u64) {
        if self.book.transfers.contains_key(&number) {
            return;
        }
        for ship in &mut self.ships {
            let is_it = match &ship.stage {
                Stage::Settling(ended) | Stage::Waiting(ended) => *ended == number,
                Stage::Uploading(trip) => trip.number == number,
                Stage::Remaking(ended, _) => *ended == number,
                Stage::Ready(made) | Stage::Announcing(made) => made.trip.number == number,
                Stage::Idle | Stage::Gathering(_) => false,
            };
            if is_it {
                ship.stage = Stage::Idle;
            }
        }
    }

    /// The card cannot be read now: files out of its bills wait.
    pub(super) fn ship_without_card(&mut self) {
        let ship = &mut self.ships[index(BillStore::Cfcard)];
        ship.stage = match std::mem::take(&mut ship.stage) {
            Stage::Gathering(_) => Stage::Idle,
            Stage::Remaking(number, _) => Stage::Waiting(number),
            // Its end may have been on the way through the card.
            Stage::Settling(number) if self.book.transfers.get(&number).is_some_and(|open| !open.is_ending) => {
                Stage::Waiting(number)
            }
            stage => stage,
        };
    }

    /// The record that a bill is shown by: what is known by now may be more than its record says.
    pub fn shown<'a>(&self, bill: Bill<'a>) -> Bill<'a> {
        let stores = [BillStore::Cache, BillStore::Cfcard];
        let is_unknown = stores.into_iter().filter_map(|store| self.bill(store, bill.id));
        match is_unknown.map(|known| known.delivered).find(|delivered| *delivered == Delivered::Unknown) {
            Some(delivered) => Bill { delivered, ..bill },
            None => bill,
        }
    }
}
