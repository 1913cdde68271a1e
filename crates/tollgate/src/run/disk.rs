//! The two directories that the keeper writes to: the ledger's, in the state directory, and the CF card's.
//!
//! **Comes in:** the keeper's operations. **Goes out:** their outcomes. What the ledger waits for is done at once, by the writer
//! itself: write, sync, read. Files are made and removed by a thread of their own, for filling one with zeros takes long.
//! Everything about the card is done by a third thread: a card that hangs must hold up nobody.
//!
//! **Full:** the keeper asks for a bounded number of operations and waits for their outcomes.

mod card;
mod directory;
mod place;
mod segments;

use std::time::Duration;

use crossbeam::channel::{Receiver, Sender, unbounded};
use ledger::card::CardFound;
use ledger::keeper::{Area, Operation, OperationId, Request};
use ledger::log::DiskFault;
use ledger::recover::RecoveryError;

pub(crate) use self::card::{CardDirectory, read_card};
use self::directory::Directory;
pub(crate) use self::place::{LedgerPlace, Mark};
pub(crate) use self::segments::{Tell, read_segments, segment_path, sync_segments, to_log};
use super::ring::WriterBell;

/// What came of an operation.
pub(crate) enum Finished {
    /// It has ended, one way or the other.
    Done(OperationId, Result<(), DiskFault>),
    /// It brought octets.
    Read(OperationId, Result<Vec<u8>, DiskFault>),
    /// It brought a card.
    Card(OperationId, Box<Result<Result<CardFound, RecoveryError>, DiskFault>>),
}

/// An operation with octets of its own.
enum Work {
    Create { segment: u64, len: u64 },
    Write { segment: u64, offset: u64, bytes: Vec<u8> },
    Sync { segment: u64 },
    Read { segment: u64, offset: u64, len: usize },
    Remove { segment: u64 },
    SetAside { segment: u64 },
    Open,
}

impl From<Request<'_>> for Work {
    fn from(request: Request<'_>) -> Work {
        match request {
            Request::CreateSegment { segment, len } => Work::Create { segment, len },
            Request::Write { segment, offset, bytes } => Work::Write { segment, offset, bytes: bytes.to_vec() },
            Request::Sync { segment } => Work::Sync { segment },
            Request::Read { segment, offset, len } => Work::Read { segment, offset, len },
            Request::RemoveSegment { segment } => Work::Remove { segment },
            Request::SetAside { segment } => Work::SetAside { segment },
            Request::OpenCard => Work::Open,
        }
    }
}

/// Both directories.
pub(crate) struct Disk {
    ledger: Directory,
    files: Sender<(OperationId, Work)>,
    card: Sender<(OperationId, Work)>,
    finished: Receiver<Finished>,
}

impl Disk {
    /// Starts the threads; they end with it. `bell` wakes the writer when something has finished.
    pub(crate) fn new(ledger: LedgerPlace, card: CardDirectory, bell: &WriterBell) -> std::io::Result<Disk> {
        let (done, finished) = unbounded();
        let files = spawn("tollgate-files", Directory::of_ledger(ledger.clone()), None, done.clone(), bell.clone())?;
        let directory = Directory::of_card(card.path());
        let card = spawn("tollgate-card", directory, Some(card), done, bell.clone())?;
        Ok(Disk { ledger: Directory::of_ledger(ledger), files, card, finished })
    }

    /// Does an operation, or has it done. `Some`: it has finished already.
    pub(crate) fn begin(&mut self, operation: Operation<'_>) -> Option<Finished> {
        let Operation { id, area, request } = operation;
        match (area, request) {
            (Area::Ledger, Request::Write { segment, offset, bytes }) => {
                Some(Finished::Done(id, self.ledger.attempt(|ledger| ledger.write(segment, offset, bytes))))
            }
            (Area::Ledger, Request::Sync { segment }) => {
                Some(Finished::Done(id, self.ledger.attempt(|ledger| ledger.sync(segment))))
            }
            (Area::Ledger, Request::Read { segment, offset, len }) => {
                Some(Finished::Read(id, self.ledger.attempt(|ledger| ledger.read(segment, offset, len))))
            }
            (Area::Ledger, request) => hand_over(&self.files, id, request),
            (Area::Card, request) => hand_over(&self.card, id, request),
        }
    }

    /// What the threads have finished.
    pub(crate) fn poll(&mut self) -> Option<Finished> {
        self.finished.try_recv().ok()
    }

    /// Waits for them.
    pub(crate) fn wait(&mut self, at_most: Duration) -> Option<Finished> {
        self.finished.recv_timeout(at_most).ok()
    }

    /// Whether there is something to poll.
    pub(crate) fn has_finished(&self) -> bool {
        !self.finished.is_empty()
    }
}

/// A thread that has ended does nothing any more, and says so.
fn hand_over(thread: &Sender<(OperationId, Work)>, id: OperationId, request: Request<'_>) -> Option<Finished> {
    thread.send((id, request.into())).err().map(|refused| match refused.0.1 {
        Work::Read { .. } => Finished::Read(id, Err(DiskFault::Io)),
        Work::Open => Finished::Card(id, Box::new(Err(DiskFault::Io))),
        Work::Create { .. } | Work::Write { .. } | Work::Sync { .. } | Work::Remove { .. } | Work::SetAside { .. } => {
            Finished::Done(id, Err(DiskFault::Io))
        }
    })
}

fn spawn(
    name: &str,
    mut directory: Directory,
    card: Option<CardDirectory>,
    done: Sender<Finished>,
    bell: WriterBell,
) -> std::io::Result<Sender<(OperationId, Work)>> {
    let (sender, receiver) = unbounded::<(OperationId, Work)>();
    let work = move || {
        for (id, work) in receiver {
            if done.send(finish(&mut directory, card.as_ref(), id, work)).is_err() {
                return;
            }
            bell.ring();
        }
    };
    // As with every thread of the engine: a broken invariant stops the whole process, and the ledger rebuilds it.
    let guarded = move || {
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)).unwrap_or_else(|_| std::process::abort());
    };
    std::thread::Builder::new().name(name.to_owned()).spawn(guarded)?;
    Ok(sender)
}

fn finish(directory: &mut Directory, card: Option<&CardDirectory>, id: OperationId, work: Work) -> Finished {
    match work {
        Work::Create { segment, len } => {
            Finished::Done(id, directory.attempt(|directory| directory.create(segment, len)))
        }
        Work::Write { segment, offset, bytes } => {
            Finished::Done(id, directory.attempt(|directory| directory.write(segment, offset, &bytes)))
        }
        Work::Sync { segment } => Finished::Done(id, directory.attempt(|directory| directory.sync(segment))),
        Work::Read { segment, offset, len } => {
            Finished::Read(id, directory.attempt(|directory| directory.read(segment, offset, len)))
        }
        Work::Remove { segment } => Finished::Done(id, directory.attempt(|directory| directory.remove(segment))),
        Work::SetAside { segment } => Finished::Done(id, directory.attempt(|directory| directory.set_aside(segment))),
        Work::Open => {
            let opened =
                card.map_or(Err(DiskFault::Io), |card| directory.attempt(|directory| directory.open_card(card)));
            Finished::Card(id, Box::new(opened))
        }
    }
}
