//! One directory of segments.

use std::path::{Path, PathBuf};

use kernel::file::{FileError, LogFile};
use ledger::card::{CardFound, CardReading};
use ledger::log::DiskFault;
use ledger::recover::RecoveryError;

/// What a segment's file name ends with.
const SEGMENT_EXTENSION: &str = "seg";
/// What the name of one ends with that was set aside, for recovery found damage in it.
const ASIDE_EXTENSION: &str = "damaged";

/// The file of a segment.
pub(crate) fn segment_path(directory: &Path, number: u64) -> PathBuf {
    directory.join(format!("{number:016}.{SEGMENT_EXTENSION}"))
}

/// The segments that there are, by number.
fn segments(directory: &Path) -> Result<Vec<(u64, PathBuf)>, FileError> {
    let entries = kernel::file::list(directory)?;
    let mut segments: Vec<(u64, PathBuf)> = entries
        .into_iter()
        .filter_map(|entry| {
            let path = directory.join(entry.name);
            let is_segment = path.extension().is_some_and(|extension| extension == SEGMENT_EXTENSION);
            let number = path.file_stem()?.to_str()?.parse().ok().filter(|_| is_segment)?;
            Some((number, path))
        })
        .collect();
    segments.sort_unstable();
    Ok(segments)
}

/// Reads every segment, by number, one at a time; `take` is given its number and its octets, and gives memory for the next.
pub(crate) fn read_segments(directory: &Path, mut take: impl FnMut(u64, Vec<u8>) -> Vec<u8>) -> Result<(), FileError> {
    let mut octets = Vec::new();
    for (number, path) in segments(directory)? {
        let file = LogFile::open_read_only(&path)?;
        octets.resize(usize::try_from(file.length()?).unwrap_or(usize::MAX), 0);
        let read = file.read_at(0, &mut octets)?;
        octets.truncate(read);
        octets = take(number, octets);
    }
    Ok(())
}

/// The files of one directory that are open.
pub(super) struct Directory {
    path: PathBuf,
    /// The segment that is written to.
    writing: Option<(u64, LogFile)>,
    /// The segment that was read last.
    reading: Option<(u64, LogFile)>,
    /// What failed last, as the log has it: an outage is told once, not at every try.
    told: Option<String>,
}

impl Directory {
    pub(super) fn new(path: &Path) -> Directory {
        Directory { path: path.to_owned(), writing: None, reading: None, told: None }
    }

    /// Closes what is open.
    pub(super) fn forget(&mut self) {
        (self.writing, self.reading) = (None, None);
    }

    /// Does something, and tells in the log what is wrong, once.
    pub(super) fn attempt<T>(
        &mut self,
        work: impl FnOnce(&mut Directory) -> Result<T, FileError>,
    ) -> Result<T, DiskFault> {
        work(self).inspect(|_| self.told = None).map_err(|error| {
            let text = error.to_string();
            if self.told.as_ref() != Some(&text) {
                tracing::error!("{text}");
                self.told = Some(text);
            }
            if error.kind() == std::io::ErrorKind::StorageFull { DiskFault::NoSpace } else { DiskFault::Io }
        })
    }

    /// Makes a segment of zeros. What a failed attempt left is replaced.
    pub(super) fn create(&mut self, segment: u64, len: u64) -> Result<(), FileError> {
        let path = segment_path(&self.path, segment);
        self.close(segment);
        if path.exists() {
            kernel::file::remove(&path)?;
        }
        LogFile::create(&path, len).map(drop)
    }

    pub(super) fn write(&mut self, segment: u64, offset: u64, bytes: &[u8]) -> Result<(), FileError> {
        self.writing(segment)?.write_all_at(offset, bytes)
    }

    pub(super) fn sync(&mut self, segment: u64) -> Result<(), FileError> {
        self.writing(segment)?.sync_data()
    }

    /// Fewer octets when the file ends before.
    pub(super) fn read(&mut self, segment: u64, offset: u64, len: usize) -> Result<Vec<u8>, FileError> {
        let file = match self.reading.take() {
            Some((number, file)) if number == segment => file,
            _ => LogFile::open_read_only(&segment_path(&self.path, segment))?,
        };
        let mut octets = vec![0; len];
        let read = file.read_at(offset, &mut octets)?;
        octets.truncate(read);
        self.reading = Some((segment, file));
        Ok(octets)
    }

    pub(super) fn remove(&mut self, segment: u64) -> Result<(), FileError> {
        self.close(segment);
        let path = segment_path(&self.path, segment);
        if path.exists() { kernel::file::remove(&path) } else { Ok(()) }
    }

    /// Renames it, so that recovery does not meet it again and an operator finds it.
    pub(super) fn set_aside(&mut self, segment: u64) -> Result<(), FileError> {
        self.close(segment);
        let path = segment_path(&self.path, segment);
        if path.exists() { kernel::file::rename(&path, &path.with_extension(ASIDE_EXTENSION)) } else { Ok(()) }
    }

    fn close(&mut self, segment: u64) {
        self.writing.take_if(|(number, _)| *number == segment);
        self.reading.take_if(|(number, _)| *number == segment);
    }

    fn writing(&mut self, segment: u64) -> Result<&LogFile, FileError> {
        let file = match self.writing.take() {
            Some((number, file)) if number == segment => file,
            _ => LogFile::open(&segment_path(&self.path, segment))?,
        };
        Ok(&self.writing.insert((segment, file)).1)
    }
}

/// Where the card is mounted.
#[derive(Clone, Debug)]
pub(crate) struct CardDirectory {
    path: PathBuf,
    /// It is ours, and made when it is not there. One that the operator names is a mount point: if it is not there,
    /// the card is not.
    is_default: bool,
}

impl CardDirectory {
    /// The one that was named, or the default inside the state directory.
    pub(crate) fn new(named: Option<&Path>, state_dir: &Path) -> CardDirectory {
        match named {
            Some(path) => CardDirectory { path: path.to_owned(), is_default: false },
            None => CardDirectory { path: state_dir.join("cfcard"), is_default: true },
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Reads the card.
    pub(crate) fn open(&self) -> Result<Result<CardFound, RecoveryError>, FileError> {
        if self.is_default && !self.path.exists() {
            kernel::file::make_directory(&self.path)?;
        }
        read_card(&self.path)
    }
}

/// Reads every segment of a card.
pub(crate) fn read_card(path: &Path) -> Result<Result<CardFound, RecoveryError>, FileError> {
    let mut reading = CardReading::new();
    read_segments(path, |number, octets| {
        reading.segment(number, &octets);
        octets
    })?;
    Ok(reading.finish())
}
