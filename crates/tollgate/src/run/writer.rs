//! The writer: one thread that takes every shard's records from the rings, has them appended and synced, and
//! announces *durable through N*. One write is in flight; the next batch is what arrived meanwhile.

use std::collections::{HashMap, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crossbeam::channel::{Receiver, Sender};
use kernel::file::{FileError, LogFile};
use ledger::log::{Alarm, DiskFault, Log, OperationId, Request};
use ledger::pool::{BillRef, Pool, PoolAlarm, Taken};
use model::time::Mono;

use super::clock;
use super::messages::WriterMessage;
use super::ring::{ShardEnd, WriterBell, WriterSleep};
use super::store::segment_path;

/// How long the writer sleeps when nobody wakes it.
const NAP: Duration = Duration::from_millis(500);

/// How long a writer that ends waits for a disk that fails.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// Records of one shard that stand in the log: the shard's own number of the last one, and the log's.
#[derive(Clone, Copy)]
struct Mark {
    through: u64,
    sequence: u64,
}

/// One shard, as the writer sees it.
struct Source {
    end: ShardEnd,
    taken: u64,
    marks: VecDeque<Mark>,
}

/// The writer's whole state.
pub(crate) struct Writer {
    log: Log,
    pool: Pool,
    disk: Disk,
    sources: Vec<Source>,
    inbox: Receiver<WriterMessage>,
    sleep: WriterSleep,
    /// Whether records were left in the rings because the log has no room: then only the disk can help.
    refused: bool,
    /// Told to end: when it gives up if the disk does not take what is left.
    ending: Option<Mono>,
}

impl Writer {
    pub(crate) fn new(
        log: Log,
        pool: Pool,
        directory: &Path,
        sources: Vec<ShardEnd>,
        inbox: Receiver<WriterMessage>,
        sleep: WriterSleep,
    ) -> Writer {
        let bell = sleep.bell();
        let source = |end| Source { end, taken: 0, marks: VecDeque::new() };
        Writer {
            log,
            pool,
            disk: Disk::new(directory.to_owned(), bell),
            sources: sources.into_iter().map(source).collect(),
            inbox,
            sleep,
            refused: false,
            ending: None,
        }
    }

    /// Makes durable what the log holds already: the record of this life's beginning.
    pub(crate) fn settle(&mut self) -> Result<(), FileError> {
        while self.log.durable_through() < self.log.started_at() {
            self.operate(true)?;
        }
        Ok(())
    }

    /// Runs until it is told to end and everything is durable. False: the disk did not take it in time; what is missing
    /// was promised to nobody.
    pub(crate) fn run(mut self) -> bool {
        loop {
            self.read_messages();
            let taken = self.take_records();
            // Faults are the log's to handle: it keeps the records and tries again.
            let operated = self.operate(false).unwrap_or(true);
            self.announce();
            if taken || operated {
                continue;
            }
            let now = clock::now().mono;
            if let Some(patience) = self.ending {
                let is_done = self.log.waiting() == 0 && !self.refused;
                if is_done || patience <= now {
                    return is_done;
                }
            }
            let until_retry = self.log.poll_timeout().map(|at| at.since(now));
            let (sources, inbox, disk, refused) = (&mut self.sources, &self.inbox, &self.disk, self.refused);
            self.sleep.sleep(until_retry.unwrap_or(NAP).min(NAP), || {
                !inbox.is_empty()
                    || disk.has_finished()
                    || !refused && sources.iter_mut().any(|source| source.end.ring.peek().is_some())
            });
            self.log.handle_timeout(clock::now().mono);
        }
    }

    fn read_messages(&mut self) {
        while let Ok(message) = self.inbox.try_recv() {
            match message {
                WriterMessage::Configure(settings) => self.pool.settings(&settings),
                WriterMessage::Information(reply) => {
                    let _ = reply.send(self.pool.information());
                }
                WriterMessage::Bills(reply) => {
                    let _ = reply.send(self.pool.bills(0).copied().collect());
                }
                WriterMessage::Unbilled(reply) => {
                    let _ = reply.send(self.pool.unbilled().copied().collect());
                }
                WriterMessage::Shutdown => self.ending = Some(clock::now().mono.plus(LAST_WORDS)),
            }
        }
    }

    /// Moves records from the rings into the open batch, as many as it takes.
    fn take_records(&mut self) -> bool {
        let mut any = false;
        self.refused = false;
        for source in &mut self.sources {
            let mut last = None;
            while let Some(record) = source.end.ring.peek() {
                let Ok(sequence) = self.log.append(record) else {
                    self.refused = true;
                    break;
                };
                source.end.ring.release();
                source.taken += 1;
                last = Some(sequence);
            }
            if let Some(sequence) = last {
                source.end.ring.publish();
                source.marks.push_back(Mark { through: source.taken, sequence });
                any = true;
            }
        }
        any
    }

    /// Does what the log asks of the disk. True when anything was done; with `strict`, a fault ends it.
    fn operate(&mut self, strict: bool) -> Result<bool, FileError> {
        let mut any = false;
        while let Some(finished) = self.disk.finished() {
            self.log.handle_completed(finished.id, finished.outcome, clock::now().mono);
            any = true;
        }
        while let Some(operation) = self.log.poll_operation() {
            any = true;
            let id = operation.id;
            let outcome = match operation.request {
                Request::CreateSegment { segment, len } if strict => self.disk.create_now(segment, len),
                Request::CreateSegment { segment, len } => {
                    self.disk.create_later(id, segment, len);
                    continue;
                }
                Request::Write { segment, offset, bytes } => self.disk.write(segment, offset, bytes),
                Request::Sync { segment } => self.disk.sync(segment),
            };
            let fault = outcome.as_ref().map(|&()| ()).map_err(disk_fault);
            self.log.handle_completed(id, fault, clock::now().mono);
            if strict {
                outcome?;
            }
        }
        Ok(any)
    }

    fn announce(&mut self) {
        let durable = self.log.durable_through();
        for source in &mut self.sources {
            let mut through = None;
            while let Some(mark) = source.marks.front()
                && mark.sequence <= durable
            {
                through = Some(mark.through);
                source.marks.pop_front();
            }
            if let Some(through) = through {
                source.end.durable.announce(through);
                source.end.worker.wake();
            }
        }
        while let Some(bill) = self.log.poll_bill() {
            take_bill(&mut self.pool, bill);
        }
        tell_pool_alarms(&mut self.pool);
        while let Some(alarm) = self.log.poll_alarm() {
            match alarm {
                Alarm::Failing { segment, fault } => {
                    tracing::error!(target: "alarm", segment, ?fault, "the ledger's disk fails; records wait in memory");
                }
                Alarm::Healed => tracing::warn!(target: "alarm", "the ledger's disk works again; nothing was lost"),
            }
        }
    }
}

/// Puts a durable bill into the pool. There is no card yet that would take what overflows.
pub(crate) fn take_bill(pool: &mut Pool, bill: BillRef) {
    if let Taken::Overflow(bill) = pool.handle_durable(bill) {
        pool.drop_bill(&bill);
    }
}

fn tell_pool_alarms(pool: &mut Pool) {
    while let Some(alarm) = pool.poll_alarm() {
        match alarm {
            PoolAlarm::NearlyFull { bills_free, threshold_free } => {
                let text =
                    format!("Pool bill is out of threshold. (BillFree={bills_free},BillThreshold={threshold_free})");
                tracing::warn!(target: "alarm", "BRASAAA/4/hwCacheReachThreshold {text}");
            }
            PoolAlarm::Dropped(dropped) => {
                tracing::error!(target: "alarm", "BRASAAA/4/hwBillDropped (Store=cache, Dropped={})", dropped.bills);
            }
        }
    }
}

fn disk_fault(error: &FileError) -> DiskFault {
    tracing::error!("{error}");
    if error.kind() == std::io::ErrorKind::StorageFull { DiskFault::NoSpace } else { DiskFault::Io }
}

/// A segment that was made by the other thread.
struct Finished {
    id: OperationId,
    outcome: Result<(), DiskFault>,
}

/// A segment's number, and its file or why there is none.
type Made = (u64, Result<LogFile, FileError>);

/// The segment files. New ones are filled with zeros by a thread of their own, long before they are needed.
struct Disk {
    directory: PathBuf,
    open: HashMap<u64, Arc<LogFile>>,
    bell: WriterBell,
    asked: HashMap<u64, OperationId>,
    made: (Sender<Made>, Receiver<Made>),
}

impl Disk {
    fn new(directory: PathBuf, bell: WriterBell) -> Disk {
        Disk { directory, open: HashMap::new(), bell, asked: HashMap::new(), made: crossbeam::channel::unbounded() }
    }

    fn create_now(&mut self, segment: u64, len: u64) -> Result<(), FileError> {
        let file = make(&self.directory, segment, len)?;
        self.open.insert(segment, Arc::new(file));
        Ok(())
    }

    fn create_later(&mut self, id: OperationId, segment: u64, len: u64) {
        self.asked.insert(segment, id);
        let (directory, bell, results) = (self.directory.clone(), self.bell.clone(), self.made.0.clone());
        let work = move || {
            let made = make(&directory, segment, len);
            let _ = results.send((segment, made));
            bell.ring();
        };
        // Without a thread the writer does it itself: late, but right.
        if std::thread::Builder::new().name("tollgate-spare".into()).spawn(work).is_err() {
            let made = make(&self.directory, segment, len);
            let _ = self.made.0.send((segment, made));
        }
    }

    fn has_finished(&self) -> bool {
        !self.made.1.is_empty()
    }

    fn finished(&mut self) -> Option<Finished> {
        let (segment, made) = self.made.1.try_recv().ok()?;
        let id = self.asked.remove(&segment)?;
        let outcome = match made {
            Ok(file) => {
                self.open.insert(segment, Arc::new(file));
                Ok(())
            }
            Err(error) => Err(disk_fault(&error)),
        };
        Some(Finished { id, outcome })
    }

    fn write(&mut self, segment: u64, offset: u64, bytes: &[u8]) -> Result<(), FileError> {
        // Only the segment that is written to and its spare need to be open.
        self.open.retain(|&number, _| number >= segment);
        self.open.get(&segment).expect("the log writes to segments that it had made").write_all_at(offset, bytes)
    }

    fn sync(&self, segment: u64) -> Result<(), FileError> {
        self.open.get(&segment).expect("the log syncs segments that it had made").sync_data()
    }
}

fn make(directory: &Path, segment: u64, len: u64) -> Result<LogFile, FileError> {
    let path = segment_path(directory, segment);
    // What a failed attempt left is replaced.
    if path.exists() {
        kernel::file::remove(&path)?;
    }
    LogFile::create(&path, len)
}
