//! Files as the ledger's writer and the daemon need them. Every error says which path it is about.
//!
//! - [`LogFile`]: filled with zeros before its first use, since a synced write into zeroed space is faster than one
//!   that grows the file or lands in an unwritten extent (those commit the file system's journal as well).
//! - [`replace_file`]: a file is the old one or the new one, never half of either, at any power cut.
//! - [`DirectoryLock`]: one process per directory.
//! - [`DirectoryHold`]: the directory that is under a path now, which stays mounted while somebody makes or takes names in it.
//!
//! A name in a directory is durable only after the directory is synced; whatever makes or takes a name here does that.

mod around;

use std::error::Error;
use std::ffi::OsString;
use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::ops::Range;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Zeros are written in pieces of this many octets.
const ZEROS: usize = 1 << 20;

/// The mode of files that only this user may read.
const PRIVATE: u32 = 0o600;

/// The name of the lock inside a locked directory.
const LOCK_NAME: &str = "lock";

/// An error of the operating system and the path that it is about.
#[derive(Debug)]
pub struct FileError {
    path: PathBuf,
    source: io::Error,
}

impl FileError {
    /// The path that the call was about.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A path that the caller does not use as it stands, and why.
    pub fn refused(path: &Path, why: &'static str) -> FileError {
        FileError { path: path.to_owned(), source: io::Error::other(why) }
    }

    /// The medium does not give what is asked for (EIO).
    pub fn unreadable(path: &Path) -> FileError {
        FileError { path: path.to_owned(), source: io::Error::from_raw_os_error(libc::EIO) }
    }

    /// The class of the error: `StorageFull`, `AlreadyExists`, `NotFound`…
    pub fn kind(&self) -> io::ErrorKind {
        self.source.kind()
    }
}

impl fmt::Display for FileError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}: {}", self.path.display(), self.source)
    }
}

impl Error for FileError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.source)
    }
}

/// Adds the path to an error of the operating system.
fn at<T>(path: &Path, result: io::Result<T>) -> Result<T, FileError> {
    result.map_err(|source| FileError { path: path.to_owned(), source })
}

/// A file of fixed length that is written at offsets and synced by itself. Reading and writing move no position, so
/// both may go on at once.
#[derive(Debug)]
pub struct LogFile {
    file: File,
    path: PathBuf,
}

impl LogFile {
    /// Makes a new file of `length` zeroed octets, durable with its name when the call returns. A file that could not be
    /// filled is removed again.
    ///
    /// # Errors
    /// `AlreadyExists` when the name is taken; `StorageFull` when there is no room for all of it.
    pub fn create(path: &Path, length: u64) -> Result<LogFile, FileError> {
        let options = OpenOptions::new().read(true).write(true).create_new(true).mode(PRIVATE).clone();
        let log = LogFile { file: at(path, options.open(path))?, path: path.to_owned() };
        let filled = at(path, log.fill_with_zeros(length).and_then(|()| log.file.sync_all()));
        if let Err(error) = filled.and_then(|()| sync_directory(directory_of(path))) {
            // The first error is the one to report; a name that stays behind is seen by the next `create`.
            let _ = fs::remove_file(path);
            return Err(error);
        }
        Ok(log)
    }

    /// Opens an existing file for reading and writing.
    ///
    /// # Errors
    /// `NotFound`, `PermissionDenied` and their kin.
    pub fn open(path: &Path) -> Result<LogFile, FileError> {
        let file = at(path, OpenOptions::new().read(true).write(true).open(path))?;
        Ok(LogFile { file, path: path.to_owned() })
    }

    /// Opens an existing file for reading; every write to it will fail.
    ///
    /// # Errors
    /// `NotFound`, `PermissionDenied` and their kin.
    pub fn open_read_only(path: &Path) -> Result<LogFile, FileError> {
        Ok(LogFile { file: at(path, File::open(path))?, path: path.to_owned() })
    }

    /// Writes all of `bytes` from `offset` on; beyond the end the file grows. Durable after [`LogFile::sync_data`].
    ///
    /// # Errors
    /// `StorageFull` and the errors of the medium; any part of `bytes` may then have been written.
    pub fn write_all_at(&self, offset: u64, bytes: &[u8]) -> Result<(), FileError> {
        at(&self.path, self.file.write_all_at(bytes, offset))
    }

    /// Makes every completed write durable (fdatasync(2)), in a file that can be found again.
    ///
    /// # Errors
    /// `NotFound` when somebody has removed the file; those of the medium. What was written since the last success is then in
    /// doubt, and a second call proves nothing: the kernel may already have dropped the pages.
    pub fn sync_data(&self) -> Result<(), FileError> {
        let synced = self.file.sync_data().and_then(|()| match self.file.metadata()?.nlink() {
            0 => Err(io::Error::new(io::ErrorKind::NotFound, "the file was removed while it was written to")),
            _ => Ok(()),
        });
        at(&self.path, synced)
    }

    /// Fills `room` from `offset` on and says how many octets there were: fewer than asked only at the end of the file.
    ///
    /// # Errors
    /// Of the medium.
    pub fn read_at(&self, offset: u64, room: &mut [u8]) -> Result<usize, FileError> {
        let mut read = 0;
        while read < room.len() {
            match self.file.read_at(&mut room[read..], offset + read as u64) {
                Ok(0) => break,
                Ok(octets) => read += octets,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return at(&self.path, Err(error)),
            }
        }
        Ok(read)
    }

    /// As [`LogFile::read_at`] from the file's begin, around what the medium does not give (EIO): blocks of 512 octets that cannot
    /// be read are filled with `filler`. How many octets there were, and which of them are filler.
    ///
    /// # Errors
    /// Every other error.
    pub fn read_around(&self, room: &mut [u8], filler: u8) -> Result<(usize, Vec<Range<usize>>), FileError> {
        at(&self.path, around::read_around(room, filler, |offset, room| self.file.read_at(room, offset as u64)))
    }

    /// Octets in the file, the zeroed space included.
    ///
    /// # Errors
    /// Of the medium.
    pub fn length(&self) -> Result<u64, FileError> {
        at(&self.path, self.file.metadata()).map(|metadata| metadata.len())
    }

    /// The path it was opened with.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn fill_with_zeros(&self, length: u64) -> io::Result<()> {
        let zeros = vec![0; ZEROS];
        let mut offset = 0;
        while offset < length {
            let piece = usize::try_from(length - offset).unwrap_or(ZEROS).min(ZEROS);
            self.file.write_all_at(&zeros[..piece], offset)?;
            offset += piece as u64;
        }
        Ok(())
    }
}

/// Puts `bytes` under `path` with the permission bits `mode`, as a whole: after a crash at any moment the path holds the
/// old content or the new one. Durable when the call returns. One writer per path at a time.
///
/// # Errors
/// `StorageFull` and the errors of the medium; the old content is then still there.
pub fn replace_file(path: &Path, bytes: &[u8], mode: u32) -> Result<(), FileError> {
    let mut temporary_name = OsString::from(path.as_os_str());
    temporary_name.push(".new");
    let temporary = PathBuf::from(temporary_name);
    let written = write_new(&temporary, bytes, mode).and_then(|()| at(path, fs::rename(&temporary, path)));
    if let Err(error) = written {
        // The first error is the one to report; a temporary that stays behind is overwritten by the next call.
        let _ = fs::remove_file(&temporary);
        return Err(error);
    }
    sync_directory(directory_of(path))
}

/// A synced file of exactly these bytes and this mode, whatever the umask; what had the name before is gone.
fn write_new(path: &Path, bytes: &[u8], mode: u32) -> Result<(), FileError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return at(path, Err(error)),
        _ => {}
    }
    let write = || {
        // Born private: a secret is at no moment readable under a wider mode.
        let mut file = OpenOptions::new().write(true).create_new(true).mode(PRIVATE).open(path)?;
        file.write_all(bytes)?;
        file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(mode))?;
        file.sync_all()
    };
    at(path, write())
}

/// One file of a directory.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    /// Its name, without the directory.
    pub name: OsString,
    /// Its octets.
    pub length: u64,
}

/// The regular files of a directory, sorted by name; anything else in it is passed over.
///
/// # Errors
/// `NotFound`, `PermissionDenied` and their kin.
pub fn list(directory: &Path) -> Result<Vec<Entry>, FileError> {
    let read = || {
        let mut entries = Vec::new();
        for entry in fs::read_dir(directory)? {
            let entry = entry?;
            let metadata = entry.metadata()?;
            if metadata.is_file() {
                entries.push(Entry { name: entry.file_name(), length: metadata.len() });
            }
        }
        entries.sort();
        Ok(entries)
    };
    at(directory, read())
}

/// Takes the name `path` away, durable when the call returns.
///
/// # Errors
/// `NotFound`, `PermissionDenied` and their kin.
pub fn remove(path: &Path) -> Result<(), FileError> {
    at(path, fs::remove_file(path))?;
    sync_directory(directory_of(path))
}

/// Gives the file at `path` another name in the same directory, durable when the call returns. A file of that name is
/// replaced.
///
/// # Errors
/// `NotFound`, `PermissionDenied` and their kin.
pub fn rename(path: &Path, to: &Path) -> Result<(), FileError> {
    at(path, fs::rename(path, to))?;
    sync_directory(directory_of(path))
}

/// Makes a directory that only this user may enter, durable when the call returns.
///
/// # Errors
/// `AlreadyExists`, `NotFound`, `PermissionDenied` and their kin.
pub fn make_directory(path: &Path) -> Result<(), FileError> {
    at(path, fs::DirBuilder::new().mode(0o700).create(path))?;
    sync_directory(directory_of(path))
}

/// Makes a directory as [`make_directory`] does if it is not there, and those above it. Its name is durable then, whoever made
/// it: an earlier life may have died before it had synced it.
///
/// # Errors
/// `NotADirectory`, `PermissionDenied` and their kin.
pub fn make_directories(path: &Path) -> Result<(), FileError> {
    let above = directory_of(path);
    if !path.is_dir() {
        if !above.is_dir() {
            make_directories(above)?;
        }
        return make_directory(path);
    }
    match sync_directory(above) {
        // It may belong to somebody else, who lets us in and no more.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(()),
        synced => synced,
    }
}

/// Makes the names in a directory durable.
///
/// # Errors
/// Of the medium.
pub fn sync_directory(directory: &Path) -> Result<(), FileError> {
    at(directory, File::open(directory).and_then(|opened| opened.sync_all()))
}

/// The directory that holds the name `path`.
fn directory_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// Which file or directory it is, whatever its name. Numbers may be given again when it is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    device: u64,
    inode: u64,
}

impl Identity {
    /// Of what is under the path now; links are followed.
    ///
    /// # Errors
    /// `NotFound`, `PermissionDenied` and their kin.
    pub fn of(path: &Path) -> Result<Identity, FileError> {
        at(path, fs::metadata(path)).map(|metadata| Identity::from(&metadata))
    }
}

impl From<&fs::Metadata> for Identity {
    fn from(metadata: &fs::Metadata) -> Identity {
        Identity { device: metadata.dev(), inode: metadata.ino() }
    }
}

/// The directory that was under a path. While it is held, its file system is not unmounted, unless lazily.
#[derive(Debug)]
pub struct DirectoryHold {
    path: PathBuf,
    identity: Identity,
    /// Keeps it mounted.
    _file: File,
}

impl DirectoryHold {
    /// Opens it.
    ///
    /// # Errors
    /// `NotFound`, `PermissionDenied` and their kin.
    pub fn take(directory: &Path) -> Result<DirectoryHold, FileError> {
        let file = at(directory, File::open(directory))?;
        let identity = Identity::from(&at(directory, file.metadata())?);
        Ok(DirectoryHold { path: directory.to_owned(), identity, _file: file })
    }

    /// Which one it is.
    pub fn identity(&self) -> Identity {
        self.identity
    }

    /// Nothing else has come under its path.
    ///
    /// # Errors
    /// Something else has; `NotFound` and its kin.
    pub fn check(&self) -> Result<(), FileError> {
        if Identity::of(&self.path)? == self.identity {
            return Ok(());
        }
        Err(FileError::refused(&self.path, "another directory has come into its place"))
    }
}

/// Why a directory is not ours.
#[derive(Debug)]
pub enum LockError {
    /// Another process, or this one a second time, has it; with the process id that it wrote, if it could be read.
    HeldBy(Option<u32>),
    /// The lock file cannot be opened or written.
    Io(FileError),
}

impl fmt::Display for LockError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LockError::HeldBy(Some(process)) => write!(out, "the directory is in use by process {process}"),
            LockError::HeldBy(None) => write!(out, "the directory is in use by another process"),
            LockError::Io(error) => error.fmt(out),
        }
    }
}

impl Error for LockError {}

/// How often a directory that is in use is tried again, and after how long.
const ACQUIRE_PAUSES: u32 = 10;
const ACQUIRE_PAUSE: std::time::Duration = std::time::Duration::from_millis(20);

/// Exclusive use of a directory, given back on drop and by the kernel when the process dies in any way.
///
/// The file `lock` stays: removing it would let two processes lock two different files of that name.
#[derive(Debug)]
pub struct DirectoryLock {
    /// Holds the flock(2).
    _file: File,
}

impl DirectoryLock {
    /// Locks `directory` by `<directory>/lock` and writes the own process id into it.
    ///
    /// # Errors
    /// [`LockError::HeldBy`], after a fifth of a second, when it is in use. Who just asks whether it is ([`is_held`](Self::is_held))
    /// has it for a moment, and keeps nobody out.
    pub fn acquire(directory: &Path) -> Result<DirectoryLock, LockError> {
        let path = directory.join(LOCK_NAME);
        let options = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(PRIVATE).clone();
        let mut file = at(&path, options.open(&path)).map_err(LockError::Io)?;
        let mut pauses_left = ACQUIRE_PAUSES;
        while !at(&path, lock_exclusively(&file)).map_err(LockError::Io)? {
            if pauses_left == 0 {
                return Err(LockError::HeldBy(read_process_id(&mut file)));
            }
            pauses_left -= 1;
            std::thread::sleep(ACQUIRE_PAUSE);
        }
        let named = file.set_len(0).and_then(|()| write!(file, "{}", std::process::id()));
        at(&path, named).map_err(LockError::Io)?;
        Ok(DirectoryLock { _file: file })
    }

    /// Locks `directory` without a file in it, so that a mount point stays empty and a full medium is locked as well. The two
    /// kinds of lock know nothing of each other; [`DirectoryLock::is_held`] does not tell of this one.
    ///
    /// # Errors
    /// `ResourceBusy` at once, without waiting, when it is in use; `NotFound` and its kin.
    pub fn acquire_bare(directory: &Path) -> Result<DirectoryLock, FileError> {
        let file = at(directory, File::open(directory))?;
        if !at(directory, lock_exclusively(&file))? {
            let held = io::Error::new(io::ErrorKind::ResourceBusy, "the directory is in use by another process");
            return at(directory, Err(held));
        }
        Ok(DirectoryLock { _file: file })
    }

    /// Whether some process has `directory` locked. Nothing in it is made or changed.
    ///
    /// # Errors
    /// The lock file is there and cannot be opened.
    pub fn is_held(directory: &Path) -> Result<bool, FileError> {
        let path = directory.join(LOCK_NAME);
        let file = match File::open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            opened => at(&path, opened)?,
        };
        // SAFETY: an open descriptor and an integer.
        if unsafe { libc::flock(file.as_raw_fd(), libc::LOCK_SH | libc::LOCK_NB) } == 0 {
            return Ok(false);
        }
        match io::Error::last_os_error() {
            error if error.kind() == io::ErrorKind::WouldBlock => Ok(true),
            error => at(&path, Err(error)),
        }
    }
}

/// False: somebody else has it.
fn lock_exclusively(file: &File) -> io::Result<bool> {
    // SAFETY: an open descriptor and an integer.
    if unsafe { libc::flock(file.as_raw_fd(), libc::LOCK_EX | libc::LOCK_NB) } == 0 {
        return Ok(true);
    }
    match io::Error::last_os_error() {
        error if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
        error => Err(error),
    }
}

/// The process id that the holder wrote, unless it is just writing.
fn read_process_id(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.take(16).read_to_string(&mut text).ok()?;
    text.trim_end().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_log_file_is_zeros_until_it_is_written() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("segment");
        let length = ZEROS as u64 + 4096 + 1;
        let log = LogFile::create(&path, length).unwrap();
        assert_eq!(log.length().unwrap(), length);
        log.write_all_at(4096, b"record").unwrap();
        log.sync_data().unwrap();
        drop(log);

        let log = LogFile::open(&path).unwrap();
        let mut all = vec![1; ZEROS * 2];
        assert_eq!(log.read_at(0, &mut all).unwrap() as u64, length);
        assert_eq!(&all[4096..4102], b"record");
        assert!(all[..4096].iter().chain(&all[4102..ZEROS + 4097]).all(|octet| *octet == 0));
        assert_eq!(log.read_at(length, &mut all).unwrap(), 0);
        assert_eq!(log.read_at(length - 1, &mut all).unwrap(), 1);
        log.write_all_at(length, b"beyond").unwrap();
        assert_eq!(log.length().unwrap(), length + 6);
    }

    #[test]
    fn a_directory_is_known_again() {
        let scratch = tempfile::tempdir().unwrap();
        let [path, aside] = ["directory", "aside"].map(|name| scratch.path().join(name));
        make_directory(&path).unwrap();
        let hold = DirectoryHold::take(&path).unwrap();
        assert_eq!(Identity::of(&path).unwrap(), hold.identity());
        hold.check().unwrap();
        rename(&path, &aside).unwrap();
        assert_eq!(hold.check().unwrap_err().kind(), io::ErrorKind::NotFound);
        make_directory(&path).unwrap();
        assert!(hold.check().is_err(), "another one of the same name");
        fs::remove_dir(&path).unwrap();
        std::os::unix::fs::symlink(&aside, &path).unwrap();
        hold.check().unwrap();
    }

    #[test]
    fn a_file_that_was_removed_is_not_durable() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("segment");
        let log = LogFile::create(&path, 8).unwrap();
        log.write_all_at(0, b"record").unwrap();
        fs::remove_file(&path).unwrap();
        assert_eq!(log.sync_data().unwrap_err().kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn a_directory_is_locked_without_a_file_in_it() {
        let directory = tempfile::tempdir().unwrap();
        let lock = DirectoryLock::acquire_bare(directory.path()).unwrap();
        let refused = DirectoryLock::acquire_bare(directory.path()).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::ResourceBusy);
        assert_eq!(list(directory.path()).unwrap(), []);
        drop(lock);
        DirectoryLock::acquire_bare(directory.path()).unwrap();
    }

    #[test]
    fn a_taken_name_and_a_missing_one_are_told_apart() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("segment");
        assert_eq!(LogFile::open(&path).unwrap_err().kind(), io::ErrorKind::NotFound);
        LogFile::create(&path, 1).unwrap();
        let taken = LogFile::create(&path, 1).unwrap_err();
        assert_eq!(taken.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(taken.path(), path);
        assert!(taken.to_string().starts_with(path.to_str().unwrap()));
        assert_eq!(LogFile::open(&path).unwrap().length().unwrap(), 1, "the refused call left the file alone");
        assert!(LogFile::open_read_only(&path).unwrap().write_all_at(0, b"x").is_err());
    }

    #[test]
    fn a_file_is_replaced_whole() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("startup.cfg");
        for (bytes, mode) in [(&b"first and longer"[..], 0o644), (b"second", 0o600), (b"", 0o640)] {
            replace_file(&path, bytes, mode).unwrap();
            assert_eq!(fs::read(&path).unwrap(), bytes);
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, mode);
        }
        let expected = [Entry { name: "startup.cfg".into(), length: 0 }];
        assert_eq!(list(directory.path()).unwrap(), expected, "no temporary stays");
    }

    #[test]
    fn a_refused_replacement_leaves_the_old_content() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("occupied");
        fs::create_dir(&path).unwrap();
        assert!(replace_file(&path, b"new", 0o600).is_err());
        assert!(path.is_dir());
        assert_eq!(list(directory.path()).unwrap(), []);
        assert!(replace_file(&directory.path().join("missing/name"), b"", 0o600).is_err());
    }

    #[test]
    fn a_listing_is_sorted_and_of_files_only() {
        let directory = tempfile::tempdir().unwrap();
        for name in ["b", "a", "c"] {
            fs::write(directory.path().join(name), name.repeat(3)).unwrap();
        }
        fs::create_dir(directory.path().join("d")).unwrap();
        remove(&directory.path().join("c")).unwrap();
        let names = ["a", "b"].map(|name| Entry { name: name.into(), length: 3 });
        assert_eq!(list(directory.path()).unwrap(), names);
        assert_eq!(remove(&directory.path().join("c")).unwrap_err().kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn a_directory_has_one_holder() {
        let directory = tempfile::tempdir().unwrap();
        let lock = DirectoryLock::acquire(directory.path()).unwrap();
        match DirectoryLock::acquire(directory.path()) {
            Err(LockError::HeldBy(holder)) => assert_eq!(holder, Some(std::process::id())),
            other => panic!("{other:?}"),
        }
        drop(lock);
        drop(DirectoryLock::acquire(directory.path()).unwrap());
        let nowhere = DirectoryLock::acquire(&directory.path().join("missing"));
        assert!(matches!(nowhere, Err(LockError::Io(error)) if error.kind() == io::ErrorKind::NotFound));
    }

    #[test]
    fn whoever_asks_for_the_holder_leaves_no_trace() {
        let directory = tempfile::tempdir().unwrap();
        assert!(!DirectoryLock::is_held(directory.path()).unwrap());
        assert_eq!(list(directory.path()).unwrap(), []);
        let lock = DirectoryLock::acquire(directory.path()).unwrap();
        assert!(DirectoryLock::is_held(directory.path()).unwrap());
        drop(lock);
        fs::write(directory.path().join(LOCK_NAME), "7").unwrap();
        assert!(!DirectoryLock::is_held(directory.path()).unwrap());
        assert_eq!(fs::read(directory.path().join(LOCK_NAME)).unwrap(), b"7");
        DirectoryLock::acquire(directory.path()).unwrap();
    }
}
