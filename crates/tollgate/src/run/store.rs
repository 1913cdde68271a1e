//! The state directory: its lock, its segments, and what they say.

use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use crossbeam::channel::{bounded, unbounded};
use kernel::file::{DirectoryLock, LockError};
use ledger::recover::{CheckedSegment, LogStart, Recovered, Recovery};
use ledger::replay::Replay;

use super::disk::read_segments;
use crate::exit::Failure;

/// A state directory that this process has to itself.
pub(crate) struct Store {
    pub(crate) directory: PathBuf,
    _lock: DirectoryLock,
}

impl Store {
    /// Makes the directory if need be, and takes its lock.
    pub(crate) fn open(directory: &Path) -> Result<Store, Failure> {
        let shown = directory.display();
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(directory)
            .map_err(|error| Failure::failed(format!("cannot make the state directory {shown}: {error}")))?;
        let lock = DirectoryLock::acquire(directory).map_err(|error| match error {
            LockError::HeldBy(Some(pid)) => {
                Failure::failed(format!("the state directory {shown} is in use by process {pid}: one daemon per store"))
            }
            LockError::HeldBy(None) => {
                Failure::failed(format!("the state directory {shown} is in use: one daemon per store"))
            }
            LockError::Io(error) => Failure::failed(format!("cannot use the state directory {shown}: {error}")),
        })?;
        let ledger = ledger_directory(directory);
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&ledger)
            .map_err(|error| Failure::failed(format!("cannot make {}: {error}", ledger.display())))?;
        Ok(Store { directory: directory.to_owned(), _lock: lock })
    }
}

/// Where the segments are.
pub(crate) fn ledger_directory(state_dir: &Path) -> PathBuf {
    state_dir.join("ledger")
}

/// What a store says, and what is needed to go on with it.
pub(crate) struct StoreRead {
    pub(crate) recovered: Recovered<Replay>,
    pub(crate) start: LogStart,
}

/// Reads every segment, in order. Nothing is written: a store can be read while it lies still, or from a copy.
///
/// A second thread reads ahead and computes checksums while this one takes in what the records say. Memory: four segments, beside
/// what was recovered.
pub(crate) fn recover(state_dir: &Path) -> Result<StoreRead, Failure> {
    let ledger = ledger_directory(state_dir);
    let mut recovery = Recovery::new(Replay::new());
    std::thread::scope(|scope| {
        let (ahead, segments) = bounded(1);
        let (used, memory) = unbounded();
        let directory = &ledger;
        let read_ahead = move || {
            read_segments(directory, |number, octets| {
                // Who does not take it any more has a reason to stop, and says so.
                let _ = ahead.send(CheckedSegment::new(number, octets));
                memory.try_recv().unwrap_or_default()
            })
        };
        let reader = std::thread::Builder::new()
            .name("tollgate-reader".to_owned())
            .spawn_scoped(scope, read_ahead)
            .map_err(|error| Failure::failed(format!("a thread cannot start: {error}")))?;
        for segment in segments {
            recovery.checked_segment(&segment);
            let _ = used.send(segment.into_octets());
        }
        let read = reader.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        read.map_err(|error| Failure::failed(format!("cannot read the ledger: {error}")))
    })?;
    let (recovered, start) = recovery
        .finish()
        .map_err(|error| Failure::failed(format!("the ledger in {} cannot be used: {error}", ledger.display())))?;
    Ok(StoreRead { recovered, start })
}
