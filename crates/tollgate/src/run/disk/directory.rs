//! One directory of segments: making, writing, reading and removing them.

use std::path::{Path, PathBuf};

use kernel::file::{DirectoryHold, DirectoryLock, FileError, LogFile};
use ledger::card::CardFound;
use ledger::log::DiskFault;
use ledger::recover::RecoveryError;

use super::card::{CardDirectory, read_card};
use super::place::{LedgerPlace, Mark, is_all};
use super::segments::{segment_path, to_log};

/// What the name of a segment ends with that was set aside, for recovery found damage in it.
const ASIDE_EXTENSION: &str = "damaged";

/// Octets that are looked through at once.
const LOOK: usize = 1 << 20;

/// How the directory is known, before a name is made or taken in it.
enum Place {
    /// The ledger's: by what is in it.
    Ledger(LedgerPlace),
    /// The card's: as the one that was locked and read. `None`: none is open.
    Card(Option<OpenCard>),
}

/// A card that this process has to itself: nobody else writes to it. (The ledger's directory has the state directory's lock instead.)
struct OpenCard {
    hold: DirectoryHold,
    _lock: DirectoryLock,
}

impl Place {
    /// Takes hold of the directory that is under this path now, which must be the right one.
    fn hold(&self, path: &Path) -> Result<DirectoryHold, FileError> {
        let away = |_| FileError::refused(path, "the CF card that was opened is not here any more");
        match self {
            Place::Ledger(place) => {
                let hold = DirectoryHold::take(path)?;
                place.check(&hold)?;
                Ok(hold)
            }
            Place::Card(Some(open)) => {
                let hold = DirectoryHold::take(path).map_err(away)?;
                open.hold.check().map_err(away)?;
                Ok(hold)
            }
            Place::Card(None) => Err(FileError::refused(path, "the CF card is not open")),
        }
    }
}

/// The files of one directory that are open.
pub(super) struct Directory {
    path: PathBuf,
    place: Place,
    /// The segment that is written to.
    writing: Option<(u64, LogFile)>,
    /// The segment that was read last.
    reading: Option<(u64, LogFile)>,
    /// The segment that was made last: whatever is in it by now, it may be made again.
    made: Option<u64>,
    /// The segment whose begin was written last. It is durable with the next sync of that segment.
    begun: Option<Mark>,
    /// What failed last, as the log has it: an outage is told once, not at every try.
    told: Option<String>,
}

impl Directory {
    pub(super) fn of_ledger(place: LedgerPlace) -> Directory {
        Directory::new(place.path().to_owned(), Place::Ledger(place))
    }

    /// Nothing is made in it before it is [opened](Directory::open_card).
    pub(super) fn of_card(path: &Path) -> Directory {
        Directory::new(path.to_owned(), Place::Card(None))
    }

    fn new(path: PathBuf, place: Place) -> Directory {
        Directory { path, place, writing: None, reading: None, made: None, begun: None, told: None }
    }

    /// Closes what is open.
    pub(super) fn forget(&mut self) {
        (self.writing, self.reading) = (None, None);
        if let Place::Card(open) = &mut self.place {
            *open = None;
        }
    }

    /// Locks and reads the card that is in this directory now.
    pub(super) fn open_card(&mut self, card: &CardDirectory) -> Result<Result<CardFound, RecoveryError>, FileError> {
        self.forget();
        // What was made before may be on another card.
        self.made = None;
        card.make_if_ours()?;
        let hold = DirectoryHold::take(&self.path)?;
        let lock = DirectoryLock::acquire_bare(&self.path)?;
        card.check()?;
        let found = read_card(&self.path, to_log)?;
        hold.check()?;
        self.place = Place::Card(Some(OpenCard { hold, _lock: lock }));
        Ok(found)
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

    /// Does something with names in the directory, which must be the right one before and afterwards. Meanwhile it is held, so
    /// that it is not unmounted.
    fn in_place<T>(&mut self, work: impl FnOnce(&mut Directory) -> Result<T, FileError>) -> Result<T, FileError> {
        let hold = self.place.hold(&self.path)?;
        let done = work(self)?;
        hold.check()?;
        Ok(done)
    }

    /// Makes a segment of zeros. What a failed attempt left is replaced, and what was made ahead and never used; nothing else.
    pub(super) fn create(&mut self, segment: u64, len: u64) -> Result<(), FileError> {
        self.close(segment);
        self.in_place(|directory| {
            let path = segment_path(&directory.path, segment);
            if path.exists() {
                if directory.made != Some(segment) && !is_unused(&path)? {
                    return Err(FileError::refused(&path, "somebody else has written a segment of this number"));
                }
                kernel::file::remove(&path)?;
            }
            LogFile::create(&path, len)?;
            directory.made = Some(segment);
            Ok(())
        })
    }

    pub(super) fn write(&mut self, segment: u64, offset: u64, bytes: &[u8]) -> Result<(), FileError> {
        self.writing(segment)?.write_all_at(offset, bytes)?;
        if offset == 0 {
            self.begun = Mark::of(segment, bytes);
        }
        Ok(())
    }

    pub(super) fn sync(&mut self, segment: u64) -> Result<(), FileError> {
        self.writing(segment)?.sync_data()?;
        if let Place::Ledger(place) = &self.place
            && let Some(begun) = self.begun.take_if(|begun| begun.segment() == segment)
        {
            place.remember(begun);
        }
        Ok(())
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
        self.in_place(|directory| {
            let path = segment_path(&directory.path, segment);
            if path.exists() { kernel::file::remove(&path) } else { Ok(()) }
        })
    }

    /// Renames it, so that recovery does not meet it again and an operator finds it.
    pub(super) fn set_aside(&mut self, segment: u64) -> Result<(), FileError> {
        self.close(segment);
        self.in_place(|directory| {
            let path = segment_path(&directory.path, segment);
            if path.exists() { kernel::file::rename(&path, &path.with_extension(ASIDE_EXTENSION)) } else { Ok(()) }
        })
    }

    fn close(&mut self, segment: u64) {
        self.writing.take_if(|(number, _)| *number == segment);
        self.reading.take_if(|(number, _)| *number == segment);
    }

    fn writing(&mut self, segment: u64) -> Result<&LogFile, FileError> {
        let file = match self.writing.take() {
            Some((number, file)) if number == segment => file,
            _ => self.in_place(|directory| LogFile::open(&segment_path(&directory.path, segment)))?,
        };
        Ok(&self.writing.insert((segment, file)).1)
    }
}

/// Whether a segment is zeros only, as it was made.
fn is_unused(path: &Path) -> Result<bool, FileError> {
    let file = LogFile::open_read_only(path)?;
    let (mut octets, mut offset) = (vec![0; LOOK], 0);
    // A device in the segment's place has no length, and may have no end.
    let length = file.length()?;
    while offset < length {
        match file.read_at(offset, &mut octets)? {
            0 => break,
            read if !is_all(&octets[..read], 0) => return Ok(false),
            read => offset += read as u64,
        }
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ledger_in(path: &Path) -> Directory {
        Directory::of_ledger(LedgerPlace::new(path).unwrap())
    }

    /// A segment's two blocks of header and one of records.
    const BEGIN: [u8; 3 * 512] = [7; 3 * 512];

    /// `device`: it takes the place of the segment that fails. One thread makes files, another one writes to them.
    fn check_a_segment_that_is_made_again(device: &str) {
        let scratch = tempfile::tempdir().unwrap();
        let (mut files, mut writer) = (ledger_in(scratch.path()), ledger_in(scratch.path()));
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
        let [mut ours, mut theirs] = [(); 2].map(|()| Directory::of_card(card.path()));
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
        let mut directory = ledger_in(scratch.path());
        directory.attempt(|directory| directory.create(1, 8)).unwrap();
        directory.attempt(|directory| directory.write(1, 0, b"first")).unwrap();
        std::fs::remove_file(segment_path(scratch.path(), 1)).unwrap();
        assert!(directory.attempt(|directory| directory.sync(1)).is_err());
    }

    #[test]
    fn a_segment_that_failed_and_is_made_again_is_written_where_it_stands_now() {
        // The one fails when it is written to, the other one when it is synced.
        ["/dev/full", "/dev/null"].into_iter().for_each(check_a_segment_that_is_made_again);
    }

    fn names(path: &Path) -> Vec<String> {
        kernel::file::list(path).unwrap().into_iter().map(|entry| entry.name.into_string().unwrap()).collect()
    }

    #[test]
    fn nothing_is_made_where_the_ledger_is_not_mounted() {
        let scratch = tempfile::tempdir().unwrap();
        let [path, aside] = ["ledger", "aside"].map(|name| scratch.path().join(name));
        std::fs::create_dir(&path).unwrap();
        // As at work: one thread makes files, another one writes to them.
        let place = LedgerPlace::new(&path).unwrap();
        let [mut files, mut writer] = [(); 2].map(|()| Directory::of_ledger(place.clone()));
        files.attempt(|files| files.create(1, 4096)).unwrap();
        writer.attempt(|writer| writer.write(1, 0, &BEGIN).and_then(|()| writer.sync(1))).unwrap();
        files.attempt(|files| files.create(2, 4096)).unwrap();

        std::fs::rename(&path, &aside).unwrap();
        std::fs::create_dir(&path).unwrap();
        assert!(files.attempt(|files| files.create(3, 4096)).is_err());
        assert!(files.attempt(|files| files.remove(1)).is_err(), "it would come back");
        assert!(files.attempt(|files| files.set_aside(1)).is_err());
        assert!(writer.attempt(|writer| writer.write(2, 0, &BEGIN)).is_err());
        assert_eq!(names(&path), Vec::<String>::new());
        // Even if there is a file that could be written to.
        std::fs::write(segment_path(&path, 2), [0; 4096]).unwrap();
        assert!(writer.attempt(|writer| writer.write(2, 0, &BEGIN)).is_err());

        std::fs::remove_dir_all(&path).unwrap();
        std::fs::rename(&aside, &path).unwrap();
        writer.attempt(|writer| writer.write(2, 0, &BEGIN).and_then(|()| writer.sync(2))).unwrap();
        files.attempt(|files| files.remove(1)).unwrap();
        files.attempt(|files| files.create(3, 4096)).unwrap();
        assert_eq!(names(&path), ["0000000000000002.seg", "0000000000000003.seg"]);
    }

    #[test]
    fn nothing_is_made_in_the_place_of_a_card_that_has_gone() {
        let scratch = tempfile::tempdir().unwrap();
        let card = CardDirectory::new(None, scratch.path());
        let mut directory = Directory::of_card(card.path());
        assert!(directory.attempt(|directory| directory.create(1, 8)).is_err(), "it was not read");
        let open = |directory: &mut Directory| directory.attempt(|directory| directory.open_card(&card)).is_ok();
        assert!(open(&mut directory));
        directory.attempt(|directory| directory.create(1, 8)).unwrap();

        let aside = scratch.path().join("aside");
        std::fs::rename(card.path(), &aside).unwrap();
        std::fs::create_dir(card.path()).unwrap();
        assert!(directory.attempt(|directory| directory.create(2, 8)).is_err());
        std::fs::remove_dir(card.path()).unwrap();
        std::fs::rename(&aside, card.path()).unwrap();
        assert!(directory.attempt(|directory| directory.create(2, 8)).is_err(), "it has to be read again first");
        assert!(open(&mut directory));
        directory.attempt(|directory| directory.create(2, 8)).unwrap();
        assert_eq!(names(card.path()), ["0000000000000001.seg", "0000000000000002.seg"]);
    }

    #[test]
    fn a_segment_that_somebody_else_wrote_is_not_replaced() {
        let scratch = tempfile::tempdir().unwrap();
        let card = CardDirectory::new(None, scratch.path());
        let mut directory = Directory::of_card(card.path());
        directory.attempt(|directory| directory.open_card(&card)).unwrap().unwrap();
        let path = segment_path(card.path(), 1);
        let create = |directory: &mut Directory| directory.attempt(|directory| directory.create(1, 8)).is_ok();
        // Another process has begun in the meantime.
        let mut theirs = vec![0; LOOK + 1];
        theirs[LOOK] = 1;
        std::fs::write(&path, &theirs).unwrap();
        assert!(!create(&mut directory));
        assert_eq!(std::fs::read(&path).unwrap(), theirs);

        // Zeros were made ahead, by whomever.
        std::fs::write(&path, [0; 20]).unwrap();
        directory.attempt(|directory| directory.open_card(&card)).unwrap().unwrap();
        assert!(create(&mut directory));
        // And what this one has made is its own, whatever came of it.
        std::fs::write(&path, b"half").unwrap();
        assert!(create(&mut directory));
        assert_eq!(std::fs::read(&path).unwrap(), [0; 8]);
    }

    #[test]
    fn the_ledger_s_directory_is_not_opened_as_a_card() {
        let scratch = tempfile::tempdir().unwrap();
        let ledger = scratch.path().join("ledger");
        std::fs::create_dir(&ledger).unwrap();
        let card = CardDirectory::new(Some(&ledger), scratch.path());
        let mut directory = Directory::of_card(card.path());
        assert!(directory.attempt(|directory| directory.open_card(&card)).is_err());
        assert!(directory.attempt(|directory| directory.create(1, 8)).is_err());
    }
}
