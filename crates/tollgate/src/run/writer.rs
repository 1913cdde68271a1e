//! The writer: one thread that takes every shard's records from the rings, has the keeper make them durable, and announces
//! *durable through N*. One write is in flight; the next batch is what arrived meanwhile. What the keeper wants of others
//! goes out from here: files to the control thread, replays to the workers, alarms to the log.

use std::path::Path;
use std::time::Duration;

use crossbeam::channel::Receiver;
use ledger::keeper::{Alarm, Area, Keeper};
use ledger::pool::BillRef;
use ledger::transfer::Upload;
use model::ids::BillId;
use model::time::{Mono, Now};
use tokio::sync::mpsc::UnboundedSender;

use super::clock;
use super::disk::{CardDirectory, Disk, Finished, LedgerPlace};
use super::messages::{WorkerHandle, WorkerMessage, WriterMessage};
use super::ring::{ShardEnd, WriterSleep};
use crate::bills::{BillReader, Kept, words};

/// How long the writer sleeps when nobody wakes it.
const NAP: Duration = Duration::from_millis(500);
/// How long a writer that ends waits for a disk that fails.
const LAST_WORDS: Duration = Duration::from_secs(5);
/// How long the record of a life's beginning may take before the disk counts as failing.
const BEGINNING: Duration = Duration::from_secs(60);

/// Unbilled Stops that are told in one turn.
const UNBILLED_MAX: u32 = 32;

/// The writer's whole state.
pub(crate) struct Writer {
    keeper: Keeper,
    disk: Disk,
    sources: Vec<ShardEnd>,
    inbox: Receiver<WriterMessage>,
    sleep: WriterSleep,
    /// Takes files for the bill server.
    uploads: UnboundedSender<Upload>,
    /// Those who replay bills, and whose turn it is.
    workers: Vec<WorkerHandle>,
    replayed: usize,
    /// Which of the shards have a server that answers.
    answering: Vec<bool>,
    /// Reads Stops that are given up while there is no pool, to tell them whole.
    reader: BillReader,
    told_unbilled: BillId,
    /// Whether records were left in the rings because the log has no room: then only the disk can help.
    refused: bool,
    /// Told to end: when it gives up if the disk does not take what is left.
    ending: Option<Mono>,
}

/// What a writer is made of.
pub(crate) struct Wiring<'a> {
    pub(crate) keeper: Keeper,
    pub(crate) state_dir: &'a Path,
    pub(crate) ledger: LedgerPlace,
    pub(crate) card: CardDirectory,
    pub(crate) sources: Vec<ShardEnd>,
    pub(crate) inbox: Receiver<WriterMessage>,
    pub(crate) sleep: WriterSleep,
    pub(crate) uploads: UnboundedSender<Upload>,
}

impl Writer {
    pub(crate) fn new(wiring: Wiring<'_>) -> std::io::Result<Writer> {
        let Wiring { keeper, state_dir, ledger, card, sources, inbox, sleep, uploads } = wiring;
        Ok(Writer {
            reader: BillReader::new(state_dir, card.path()),
            disk: Disk::new(ledger, card, &sleep.bell())?,
            answering: vec![false; sources.len()],
            told_unbilled: keeper.book().pool().unbilled().last().map_or(BillId::default(), |bill| bill.id),
            keeper,
            sources,
            inbox,
            sleep,
            uploads,
            workers: Vec::new(),
            replayed: 0,
            refused: false,
            ending: None,
        })
    }

    /// Makes durable what the log holds already: the record of this life's beginning. False: the disk does not take it.
    pub(crate) fn settle(&mut self) -> bool {
        let patience = clock::now().mono.plus(BEGINNING);
        while !self.keeper.is_begun() {
            let now = clock::now();
            if now.mono >= patience || self.has_failed() {
                return false;
            }
            self.keeper.handle_timeout(now);
            if !self.operate(now)
                && let Some(finished) = self.disk.wait(Duration::from_millis(20))
            {
                self.finish(finished, clock::now());
            }
        }
        true
    }

    /// Before anything was begun, a disk that fails is an error and no alarm.
    fn has_failed(&mut self) -> bool {
        let mut failed = false;
        while let Some(alarm) = self.keeper.poll_alarm() {
            failed |= matches!(alarm, Alarm::DiskFailing { .. });
            tell(&alarm);
        }
        failed
    }

    /// Runs until it is told to end and everything is durable. False: the disk did not take it in time; what is missing
    /// was promised to nobody.
    pub(crate) fn run(mut self, workers: Vec<WorkerHandle>) -> bool {
        self.workers = workers;
        loop {
            let now = clock::now();
            self.keeper.handle_timeout(now);
            self.read_messages(now);
            let taken = self.take_records();
            let operated = self.operate(now);
            self.announce();
            let told = self.hand_out();
            if let Some(patience) = self.ending {
                let is_done = !taken && !told && self.keeper.waiting() == 0 && !self.refused;
                if is_done || patience <= now.mono {
                    return is_done;
                }
            }
            if taken || operated || told {
                continue;
            }
            let until = self.keeper.poll_timeout().map_or(NAP, |at| at.since(now.mono)).min(NAP);
            let (sources, inbox, disk, refused) = (&mut self.sources, &self.inbox, &self.disk, self.refused);
            self.sleep.sleep(until, || {
                !inbox.is_empty()
                    || disk.has_finished()
                    || !refused && sources.iter_mut().any(|source| source.ring.peek().is_some())
            });
        }
    }

    fn read_messages(&mut self, now: Now) {
        while let Ok(message) = self.inbox.try_recv() {
            let keeper = &mut self.keeper;
            match message {
                WriterMessage::Configure { bills, nas } => keeper.configure(&bills, &nas, now),
                WriterMessage::Information(reply) => {
                    let _ = reply.send(keeper.information());
                }
                WriterMessage::Bills(reply) => {
                    let _ = reply.send(all_bills(keeper));
                }
                WriterMessage::Unbilled(reply) => {
                    let _ = reply.send(keeper.book().pool().unbilled().map(Kept::in_ledger).collect());
                }
                WriterMessage::Cache { start, count, reply } => {
                    let bills = keeper.book().pool().bills(start).take(count);
                    let _ = reply.send(bills.map(Kept::in_ledger).collect());
                }
                WriterMessage::BackupCache(reply) => {
                    let _ = reply.send(keeper.backup_cache(now));
                }
                WriterMessage::BackupCfcard(file, reply) => {
                    let _ = reply.send(keeper.backup_cfcard(file.as_deref(), now));
                }
                WriterMessage::ResetCfcard(reply) => {
                    let _ = reply.send(keeper.reset_cfcard(now));
                }
                WriterMessage::Uploaded(number, outcome) => keeper.handle_uploaded(number, outcome, now),
                WriterMessage::ServersAnswer { shard, answers } => {
                    if let Some(known) = self.answering.get_mut(usize::from(shard)) {
                        *known = answers;
                    }
                    keeper.handle_servers_answer(self.answering.contains(&true), now);
                }
                WriterMessage::ReplayRefused(id) => keeper.handle_replay_refused(id, now),
                WriterMessage::Shutdown => {
                    keeper.handle_shutdown();
                    self.ending = Some(now.mono.plus(LAST_WORDS));
                }
            }
        }
    }

    /// Moves records from the rings into the open batch, as many as it takes.
    fn take_records(&mut self) -> bool {
        let mut any = false;
        self.refused = false;
        for (number, source) in (0..).zip(&mut self.sources) {
            let mut taken = false;
            while let Some(record) = source.ring.peek() {
                if self.keeper.append(number, record).is_err() {
                    self.refused = true;
                    break;
                }
                source.ring.release();
                taken = true;
            }
            if taken {
                source.ring.publish();
            }
            any |= taken;
            self.keeper.handle_needed_from(number, source.needed.reached());
        }
        any
    }

    /// Does what the keeper asks of the disk. True when anything was done.
    fn operate(&mut self, now: Now) -> bool {
        let mut any = false;
        while let Some(finished) = self.disk.poll() {
            self.finish(finished, now);
            any = true;
        }
        while let Some(operation) = self.keeper.poll_operation() {
            any = true;
            if let Some(finished) = self.disk.begin(operation) {
                self.finish(finished, clock::now());
            }
        }
        any
    }

    fn finish(&mut self, finished: Finished, now: Now) {
        match finished {
            Finished::Done(id, outcome) => self.keeper.handle_completed(id, outcome, now),
            Finished::Read(id, outcome) => {
                self.keeper.handle_read(id, outcome.as_deref().map_err(|fault| *fault), now);
            }
            Finished::Card(id, outcome) => self.keeper.handle_card(id, *outcome, now),
        }
    }

    fn announce(&mut self) {
        for (number, source) in (0..).zip(&self.sources) {
            let through = self.keeper.durable_through(number);
            if source.durable.reached() < through {
                source.durable.announce(through);
                source.worker.wake();
            }
        }
    }

    /// What others are to do. True when there may be more of it at once.
    fn hand_out(&mut self) -> bool {
        while let Some(upload) = self.keeper.poll_upload() {
            // Without a control thread the process ends, and the next one goes on with the file.
            let _ = self.uploads.send(upload);
        }
        while let Some((id, record)) = self.keeper.poll_replay() {
            if let Some(worker) = self.workers.get(self.replayed % self.workers.len().max(1)) {
                worker.tell(WorkerMessage::Replay(id, record));
                self.replayed += 1;
            }
        }
        while let Some(alarm) = self.keeper.poll_alarm() {
            tell(&alarm);
        }
        self.tell_unbilled()
    }

    /// A Stop that was given up while there is no pool is told whole: it may be all that is ever seen of it (owner's
    /// decision 2). Some in each turn, for others wait for the disk meanwhile. True when some were told.
    fn tell_unbilled(&mut self) -> bool {
        let mut told = 0;
        while told < UNBILLED_MAX
            && let Some(bill) = self.keeper.book().pool().unbilled_behind(self.told_unbilled).copied()
        {
            told += 1;
            self.told_unbilled = bill.id;
            let text = self.reader.json(&Kept::in_ledger(&bill)).unwrap_or_else(|_| words::bill(bill.id));
            tracing::error!(target: "alarm", octets = bill.octets(), "a Stop is unbilled: {}", text.trim_end());
        }
        told > 0
    }
}

/// Every bill, in the pool or on the card, in the order of their ids. One that is being moved stands in both.
fn all_bills(keeper: &Keeper) -> Vec<Kept> {
    let card = keeper.card_bills().map(|bill: &BillRef| Kept { area: Area::Card, bill: *bill });
    let mut bills: Vec<Kept> = keeper.book().pool().bills(0).map(Kept::in_ledger).chain(card).collect();
    bills.sort_by_key(|kept| kept.bill.id);
    bills.dedup_by_key(|kept| kept.bill.id);
    bills
}

/// Tells an alarm in the log.
fn tell(alarm: &Alarm) {
    match alarm {
        Alarm::DiskHealed | Alarm::CardHealed | Alarm::TransferHealed => tracing::warn!(target: "alarm", "{alarm}"),
        _ => tracing::error!(target: "alarm", "{alarm}"),
    }
}
