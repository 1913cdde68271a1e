//! The state directory: its lock, its segments, and what they say.

use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use kernel::file::{DirectoryLock, LockError, LogFile};
use ledger::recover::{LogStart, Recovered, Recovery};
use ledger::replay::Replay;

use crate::exit::Failure;

const EXTENSION: &str = "seg";

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

/// The file of a segment.
pub(crate) fn segment_path(ledger: &Path, number: u64) -> PathBuf {
    ledger.join(format!("{number:016}.{EXTENSION}"))
}

/// Reads every segment, in order. Nothing is written: a store can be read while it lies still, or from a copy.
pub(crate) fn recover(state_dir: &Path) -> Result<(Recovered<Replay>, LogStart), Failure> {
    let ledger = ledger_directory(state_dir);
    let mut recovery = Recovery::new(Replay::new());
    let mut octets = Vec::new();
    for (number, path) in segments(&ledger)? {
        read_whole(&path, &mut octets)?;
        recovery.segment(number, &octets);
    }
    recovery
        .finish()
        .map_err(|error| Failure::failed(format!("the ledger in {} cannot be used: {error}", ledger.display())))
}

/// The segments that there are, by number.
pub(crate) fn segments(ledger: &Path) -> Result<Vec<(u64, PathBuf)>, Failure> {
    let entries =
        kernel::file::list(ledger).map_err(|error| Failure::failed(format!("cannot read the ledger: {error}")))?;
    let mut segments: Vec<(u64, PathBuf)> = entries
        .into_iter()
        .filter_map(|entry| {
            let path = ledger.join(entry.name);
            let is_segment = path.extension().is_some_and(|extension| extension == EXTENSION);
            let number = path.file_stem()?.to_str()?.parse().ok().filter(|_| is_segment)?;
            Some((number, path))
        })
        .collect();
    segments.sort_unstable();
    Ok(segments)
}

/// A segment's octets.
pub(crate) fn read_whole(path: &Path, octets: &mut Vec<u8>) -> Result<(), Failure> {
    let cannot = |error| Failure::failed(format!("cannot read the ledger: {error}"));
    let file = LogFile::open_read_only(path).map_err(cannot)?;
    let length = file.length().map_err(cannot)?;
    octets.resize(usize::try_from(length).unwrap_or(usize::MAX), 0);
    let read = file.read_at(0, octets).map_err(cannot)?;
    octets.truncate(read);
    Ok(())
}
