//! The state directory: its lock, its segments, and what they say.

use std::path::{Path, PathBuf};

use crossbeam::channel::{bounded, unbounded};
use kernel::file::{DirectoryLock, LockError, make_directories};
use ledger::recover::{CheckedSegment, LogStart, Recovered, Recovery};
use ledger::replay::Replay;

use super::disk::{LedgerPlace, Mark, Tell, read_segments};
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
        make_directories(directory)
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
        make_directories(&ledger)
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
    /// Where it was read, to be known again.
    pub(crate) place: LedgerPlace,
}

/// Segments that are read and not taken in yet.
const SEGMENTS_AHEAD: usize = 2;

/// A segment was taken in.
struct Progress {
    /// Its memory, to be used again, if nothing is kept there.
    memory: Option<Vec<u8>>,
    /// Sessions that are known so far.
    sessions: usize,
}

/// Reads every segment, in order. Nothing is written: a store can be read while it lies still, or from a copy.
///
/// A second thread reads ahead and computes checksums while this one takes in what the records say. When that is far enough
/// ahead, it calls `aside` with the number of sessions that are known so far, for a little of what need not wait for the end;
/// `aside` says whether it has done something. `tell` hears what cannot be read. Memory: six segments, beside what was
/// recovered.
pub(crate) fn recover(
    state_dir: &Path,
    tell: Tell,
    mut aside: impl FnMut(usize) -> bool + Send,
) -> Result<StoreRead, Failure> {
    let ledger = ledger_directory(state_dir);
    let cannot = |error| Failure::failed(format!("cannot read the ledger: {error}"));
    let place = LedgerPlace::new(&ledger).map_err(cannot)?;
    let mut recovery = Recovery::new(Replay::new());
    std::thread::scope(|scope| {
        let (ahead, segments) = bounded(SEGMENTS_AHEAD);
        let (used, progress) = unbounded::<Progress>();
        let place = &place;
        let read_ahead = move || {
            let (mut sessions, mut memory) = (0, None);
            let mut learn = |memory: &mut Option<Vec<u8>>| {
                for segment in progress.try_iter() {
                    sessions = segment.sessions;
                    *memory = segment.memory.or(memory.take());
                }
                sessions
            };
            let read = read_segments(place.path(), tell, |number, octets| {
                if let Some(mark) = Mark::of(number, &octets) {
                    place.remember(mark);
                }
                let segment = CheckedSegment::new(number, octets);
                while ahead.is_full() && aside(learn(&mut memory)) {}
                // Who does not take it any more has a reason to stop, and says so.
                let _ = ahead.send(segment);
                learn(&mut memory);
                memory.take().unwrap_or_default()
            });
            while aside(learn(&mut memory)) {}
            read
        };
        let reader = std::thread::Builder::new()
            .name("tollgate-reader".to_owned())
            .spawn_scoped(scope, read_ahead)
            .map_err(|error| Failure::failed(format!("a thread cannot start: {error}")))?;
        for segment in segments {
            let memory = recovery.checked_segment(segment);
            let _ = used.send(Progress { memory, sessions: recovery.sink().session_count() });
        }
        let read = reader.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        read.map_err(cannot)
    })?;
    let (recovered, start) = recovery
        .finish()
        .map_err(|error| Failure::failed(format!("the ledger in {} cannot be used: {error}", ledger.display())))?;
    Ok(StoreRead { recovered, start, place })
}
