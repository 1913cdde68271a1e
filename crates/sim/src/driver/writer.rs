//! The writer: takes every shard's records from its ring, hands them to the keeper, does what the keeper asks of the two
//! disks and of the bill server, and knows through which of each shard's records everything is durable. Operations end
//! later: the ledger's in any order that the disk likes, the card's one after the other.

use std::collections::VecDeque;
use std::time::Duration;

use ledger::card::CardReading;
use ledger::frame;
use ledger::keeper::{Area, Keeper, OperationId};
use ledger::pool::BillState;
use ledger::transfer::Upload;
use model::ids::BillId;
use model::record::Record;
use model::settings::LocalAaaServer;
use model::time::{Mono, Now};

use super::worker::{Worker, shard_of};
use super::{Disks, Wants};
use crate::bill_server::BillServer;
use crate::disk::{Brought, Operation};
use crate::fallible::Fallible;
use crate::oracle::Oracle;
use crate::seed::Dice;
use crate::trace::Trace;

/// What the writer meets outside.
pub(super) struct Outside<'a> {
    pub(super) disks: &'a mut Disks,
    pub(super) bill_server: &'a mut BillServer,
    pub(super) oracle: &'a mut Oracle,
    pub(super) trace: &'a mut Trace,
    pub(super) fallible: &'a mut Fallible,
}

/// What an operator does with bills.
#[derive(Clone, Debug)]
pub(crate) enum Command {
    /// `local-bill cache backup`.
    CacheBackup,
    /// `local-bill cfcard backup [ FILE ]`.
    CfcardBackup(Option<&'static str>),
    /// `local-bill cfcard reset`.
    CfcardReset,
    /// Another configuration is committed.
    Configure(Box<LocalAaaServer>),
}

struct UnderWay {
    number: u64,
    id: OperationId,
    area: Area,
    operation: Operation,
}

impl Command {
    /// For figures and the trace.
    pub(crate) const fn word(&self) -> &'static str {
        match self {
            Command::CacheBackup => "cache backups",
            Command::CfcardBackup(_) => "cfcard backups",
            Command::CfcardReset => "cfcard resets",
            Command::Configure(_) => "commits",
        }
    }
}

/// One life's writer.
pub(super) struct Writer {
    keeper: Keeper,
    nas: String,
    /// What each shard is known to have made durable.
    durable: Vec<u64>,
    under_way: Vec<UnderWay>,
    number_next: u64,
    /// When the card has done what it was asked for.
    card_free: Mono,
    uploads: Vec<Upload>,
    /// Bills to be sent once more that no shard has taken yet.
    replays: VecDeque<(BillId, Box<[u8]>)>,
    dice: Dice,
}

impl Writer {
    pub(super) fn new(keeper: Keeper, nas: &str, shard_count: u16, dice: Dice) -> Writer {
        Writer {
            keeper,
            nas: nas.to_owned(),
            durable: vec![0; shard_count.into()],
            under_way: Vec::new(),
            number_next: 0,
            card_free: Mono::ZERO,
            uploads: Vec::new(),
            replays: VecDeque::new(),
            dice,
        }
    }

    /// Everything that was recovered is on the disk, and the epoch may be used.
    pub(super) fn has_settled(&self) -> bool {
        self.keeper.is_begun()
    }

    /// Through which of its records a shard's are durable.
    pub(super) fn durable(&self, shard: usize) -> u64 {
        self.durable[shard]
    }

    /// Nothing waits for the disk.
    pub(super) fn is_empty(&self) -> bool {
        self.keeper.waiting() == 0
    }

    /// And nothing is being done with any bill.
    pub(super) fn is_idle(&self) -> bool {
        let book = self.keeper.book();
        self.is_empty()
            && self.uploads.is_empty()
            && self.replays.is_empty()
            && book.pool().bills(0).all(|bill| bill.state == BillState::Free)
            && book.transfers().next().is_none()
            && book.claims().next().is_none()
    }

    /// What is being done with bills.
    pub(super) fn describe(&self) -> String {
        let book = self.keeper.book();
        let open: Vec<_> = book.transfers().map(|open| open.file.as_str()).collect();
        let claims: Vec<_> = book.claims().collect();
        let busy = book.pool().bills(0).filter(|bill| bill.state != BillState::Free).count();
        format!("{} wait, files {open:?}, claims {claims:?}, {busy} bills are busy", self.keeper.waiting())
    }

    /// Once around the writer's loop.
    pub(super) fn run(&mut self, now: Now, workers: &mut [Worker], outside: &mut Outside<'_>, wants: &mut Wants) {
        self.keeper.handle_timeout(now);
        for (source, worker) in (0..).zip(workers.iter()) {
            self.keeper.handle_needed_from(source, worker.shard.needed_from());
        }
        if !workers.is_empty() {
            let answers = workers.iter().any(|worker| worker.shard.has_answering_server());
            self.keeper.handle_servers_answer(answers, now);
        }
        self.take_records(workers, outside.oracle);
        self.poll_operations(now.mono, outside, wants);
        self.poll_bills(now, workers, outside, wants);
        while let Some(alarm) = self.keeper.poll_alarm() {
            outside.trace.say(format_args!("alarm: {alarm}"));
            outside.oracle.alarm(&alarm);
        }
        wants.writer = self.keeper.poll_timeout().map(|at| at.max(now.mono.plus(Duration::from_millis(1))));
    }

    fn poll_operations(&mut self, now: Mono, outside: &mut Outside<'_>, wants: &mut Wants) {
        while let Some(operation) = self.keeper.poll_operation() {
            let (id, area) = (operation.id, operation.area);
            let operation = Operation::from(operation.request);
            if let (Area::Ledger, Operation::Write { bytes, .. }) = (area, &operation) {
                outside.oracle.written(bytes);
            }
            if let Operation::Remove { segment } = operation {
                outside.trace.say(format_args!("{area:?}: segment {segment} goes"));
            }
            let mut end = now.plus(outside.disks.of(area).delay(&operation));
            if area == Area::Card {
                end = end.max(self.card_free);
                self.card_free = end;
            }
            wants.disk.push((end, self.number_next));
            self.under_way.push(UnderWay { number: self.number_next, id, area, operation });
            self.number_next += 1;
        }
    }

    fn poll_bills(&mut self, now: Now, workers: &mut [Worker], outside: &mut Outside<'_>, wants: &mut Wants) {
        while let Some(upload) = self.keeper.poll_upload() {
            outside.trace.say(format_args!("file {} goes to the bill server", upload.name));
            outside.oracle.uploads(&upload);
            wants.uploads.push((now.mono.plus(outside.bill_server.delay()), upload.number));
            self.uploads.push(upload);
        }
        while let Some((id, record)) = self.keeper.poll_replay() {
            self.replays.push_back((id, record));
        }
        // The shards may not live yet.
        let all = if workers.is_empty() { 0 } else { self.replays.len() };
        for (id, record) in self.replays.drain(..all) {
            let Ok(Record::Billed(bill)) = frame::decode(&record) else { continue };
            let shard = shard_of(bill.opened.session, workers.len());
            workers[shard].replays.push_back((id, record));
            wants.workers.push((now.mono, shard));
        }
    }

    /// An operator types something.
    pub(super) fn command(&mut self, command: &Command, now: Now, outside: &mut Outside<'_>) {
        let refused = match command {
            Command::CacheBackup => self.keeper.backup_cache(now).err().map(|refused| refused.to_string()),
            Command::CfcardBackup(file) => {
                self.keeper.backup_cfcard(*file, now).err().map(|refused| refused.to_string())
            }
            Command::CfcardReset => {
                let there: Vec<BillId> = self.keeper.card_bills().map(|bill| bill.id).collect();
                let outcome = self.keeper.reset_cfcard(now);
                outside.oracle.card_reset(&there, outcome);
                outcome.err().map(|refused| refused.to_string())
            }
            Command::Configure(settings) => {
                self.keeper.configure(settings, &self.nas, now);
                None
            }
        };
        outside.oracle.commanded(command, refused.is_none());
        outside.trace.say(format_args!("operator: {}: {refused:?}", command.word()));
    }

    /// A disk operation has ended.
    pub(super) fn completed(&mut self, number: u64, now: Now, outside: &mut Outside<'_>) {
        let Some(at) = self.under_way.iter().position(|waiting| waiting.number == number) else { return };
        let UnderWay { id, area, operation, .. } = self.under_way.swap_remove(at);
        let disk = outside.disks.of(area);
        let outcome = match outside.fallible.disk(&operation) {
            None => disk.perform(&operation, now.mono),
            Some(failing) => {
                outside.trace.say(format_args!("{area:?} fails, {failing:?}: {}", operation.word()));
                Err(disk.fail(&operation, failing))
            }
        };
        match (operation, outcome) {
            (Operation::Read { .. }, Ok(Brought::Octets(octets))) => self.keeper.handle_read(id, Ok(&octets), now),
            (Operation::Read { .. }, Err(fault)) => self.keeper.handle_read(id, Err(fault), now),
            (Operation::Open, Ok(Brought::Segments(segments))) => {
                let mut reading = CardReading::new();
                for (number, octets) in &segments {
                    reading.segment(*number, octets);
                }
                let found = reading.finish();
                outside.oracle.card_read(&found);
                self.keeper.handle_card(id, Ok(found), now);
            }
            (Operation::Open, Err(fault)) => self.keeper.handle_card(id, Err(fault), now),
            (_, outcome) => self.keeper.handle_completed(id, outcome.map(|_| ()), now),
        }
        for (source, durable) in (0..).zip(&mut self.durable) {
            *durable = self.keeper.durable_through(source);
            outside.oracle.durable_through(source, *durable);
        }
    }

    /// A file has reached the bill server, or has not.
    pub(super) fn uploaded(&mut self, number: u64, now: Now, outside: &mut Outside<'_>) {
        let Some(at) = self.uploads.iter().position(|upload| upload.number == number) else { return };
        let upload = self.uploads.swap_remove(at);
        let outcome = match outside.fallible.upload() {
            None => outside.bill_server.take(&upload, outside.oracle),
            Some(failing) => outside.bill_server.fail(&upload, failing, outside.oracle),
        };
        outside.trace.say(format_args!("file {}: {outcome:?}", upload.name));
        self.keeper.handle_uploaded(number, outcome, now);
    }

    /// A shard has no room for a bill that it was to replay.
    pub(super) fn replay_refused(&mut self, id: BillId, now: Now) {
        self.keeper.handle_replay_refused(id, now);
    }

    /// The process is gone: what is under way is done in part.
    pub(super) fn die(self, now: Mono, outside: &mut Outside<'_>) {
        for UnderWay { area, operation, .. } in self.under_way {
            outside.disks.of(area).interrupt(&operation, now);
        }
        for upload in self.uploads {
            outside.bill_server.interrupt(&upload, outside.oracle);
        }
    }

    fn take_records(&mut self, workers: &mut [Worker], oracle: &mut Oracle) {
        let first = self.dice.index(workers.len().max(1));
        for step in 0..workers.len() {
            let shard = (first + step) % workers.len();
            let source = u16::try_from(shard).unwrap_or_default();
            while let Some(record) = workers[shard].ring.front() {
                if self.keeper.append(source, record).is_err() {
                    break;
                }
                oracle.appended(source, record);
                workers[shard].ring.pop_front();
            }
        }
    }
}
