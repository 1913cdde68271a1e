//! One directory of segments.

use std::path::{Path, PathBuf};

use kernel::file::{DirectoryLock, FileError, LogFile};
use ledger::card::{CardFound, CardReading};
use ledger::log::DiskFault;
use ledger::recover::RecoveryError;
use ledger::segment::SEGMENT_LEN_MAX;

/// What a segment's file name ends with.
const SEGMENT_EXTENSION: &str = "seg";
/// What the name of one ends with that was set aside, for recovery found damage in it.
const ASIDE_EXTENSION: &str = "damaged";

/// The file of a segment.
pub(crate) fn segment_path(directory: &Path, number: u64) -> PathBuf {
    directory.join(format!("{number:016}.{SEGMENT_EXTENSION}"))
}

/// The segments that there are, by number: files whose names are exactly those that [`segment_path`] gives. A file that
/// somebody has put beside them under another name is none.
fn segments(directory: &Path) -> Result<Vec<(u64, PathBuf)>, FileError> {
    let entries = kernel::file::list(directory)?;
    let mut segments: Vec<(u64, PathBuf)> = entries
        .into_iter()
        .filter_map(|entry| {
            let path = directory.join(entry.name);
            let number = path.file_stem()?.to_str()?.parse::<u64>().ok()?;
            (number > 0 && path == segment_path(directory, number)).then_some((number, path))
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
        // No segment is longer; a file that is has nothing of ours behind that.
        let len = file.length()?.min(SEGMENT_LEN_MAX);
        octets.resize(usize::try_from(len).unwrap_or(usize::MAX), 0);
        let read = file.read_at(0, &mut octets)?;
        octets.truncate(read);
        octets = take(number, octets);
    }
    Ok(())
}

/// Makes durable what a process that died has written to the segments.
pub(crate) fn sync_segments(directory: &Path) -> Result<(), FileError> {
    segments(directory)?.iter().try_for_each(|(_, path)| LogFile::open_read_only(path)?.sync_data())
}

/// The files of one directory that are open.
pub(super) struct Directory {
    path: PathBuf,
    /// The segment that is written to.
    writing: Option<(u64, LogFile)>,
    /// The segment that was read last.
    reading: Option<(u64, LogFile)>,
    /// That nobody else writes to it; the ledger's has the state directory's instead.
    lock: Option<DirectoryLock>,
    /// What failed last, as the log has it: an outage is told once, not at every try.
    told: Option<String>,
}

impl Directory {
    pub(super) fn new(path: &Path) -> Directory {
        Directory { path: path.to_owned(), writing: None, reading: None, lock: None, told: None }
    }

    /// Closes what is open.
    pub(super) fn forget(&mut self) {
        (self.writing, self.reading, self.lock) = (None, None, None);
    }

    /// Locks and reads the card that is in this directory now.
    pub(super) fn open_card(&mut self, card: &CardDirectory) -> Result<Result<CardFound, RecoveryError>, FileError> {
        self.forget();
        card.make_if_ours()?;
        self.lock = Some(DirectoryLock::acquire_bare(&self.path)?);
        read_card(&self.path)
    }

    /// Does something, and tells in the log what is wrong, once. After a failure nothing stays open: the segment that failed
    /// may be made again under the same number, and a disk that is changed has to be let go.
    pub(super) fn attempt<T>(
        &mut self,
        work: impl FnOnce(&mut Directory) -> Result<T, FileError>,
    ) -> Result<T, DiskFault> {
        work(self).inspect(|_| self.told = None).map_err(|error| {
            self.forget();
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

    fn make_if_ours(&self) -> Result<(), FileError> {
        if self.is_default && !self.path.exists() { kernel::file::make_directory(&self.path) } else { Ok(()) }
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

#[cfg(test)]
mod tests {
    use super::*;

    /// `device`: it takes the place of the segment that fails. One thread makes files, another one writes to them.
    fn check_a_segment_that_is_made_again(device: &str) {
        let scratch = tempfile::tempdir().unwrap();
        let (mut files, mut writer) = (Directory::new(scratch.path()), Directory::new(scratch.path()));
        let path = segment_path(scratch.path(), 1);
        std::os::unix::fs::symlink(device, &path).unwrap();
        let mut write_and_sync = |octets: &[u8]| {
            writer.attempt(|writer| writer.write(1, 0, octets)).and_then(|()| writer.attempt(|writer| writer.sync(1)))
        };
        assert!(write_and_sync(b"first").is_err(), "{device}");
        files.attempt(|files| files.create(1, 8)).unwrap();
        write_and_sync(b"again").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"again\0\0\0", "{device}");
    }

    #[test]
    fn a_card_is_opened_by_one_at_a_time() {
        let scratch = tempfile::tempdir().unwrap();
        let card = CardDirectory::new(None, scratch.path());
        let [mut ours, mut theirs] = [(); 2].map(|()| Directory::new(card.path()));
        let open = |directory: &mut Directory| directory.attempt(|directory| directory.open_card(&card)).is_ok();
        assert!(open(&mut ours));
        assert!(!open(&mut theirs));
        assert!(open(&mut ours), "again, as after a failure");
        ours.forget();
        assert!(open(&mut theirs), "a card that is let go is free");
    }

    #[test]
    fn a_segment_that_is_removed_under_its_writer_fails() {
        let scratch = tempfile::tempdir().unwrap();
        let mut directory = Directory::new(scratch.path());
        directory.attempt(|directory| directory.create(1, 8)).unwrap();
        directory.attempt(|directory| directory.write(1, 0, b"first")).unwrap();
        std::fs::remove_file(segment_path(scratch.path(), 1)).unwrap();
        assert!(directory.attempt(|directory| directory.sync(1)).is_err());
    }

    #[test]
    fn only_files_with_the_names_of_segments_are_segments() {
        let scratch = tempfile::tempdir().unwrap();
        for name in ["0000000000000001.seg", "1.seg", "0.seg", "0000000000000000.seg", "+000000000000002.seg"] {
            std::fs::write(scratch.path().join(name), b"x").unwrap();
        }
        let mut numbers = Vec::new();
        read_segments(scratch.path(), |number, octets| {
            numbers.push(number);
            octets
        })
        .unwrap();
        assert_eq!(numbers, [1]);
        sync_segments(scratch.path()).unwrap();
    }

    #[test]
    fn a_segment_that_failed_and_is_made_again_is_written_where_it_stands_now() {
        // The one fails when it is written to, the other one when it is synced.
        ["/dev/full", "/dev/null"].into_iter().for_each(check_a_segment_that_is_made_again);
    }
}
