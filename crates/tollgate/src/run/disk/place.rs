//! Whether a path still leads to the ledger that was read.
//!
//! The ledger's directory may be the root of a file system of its own, which an operator unmounts and mounts again under a daemon
//! at work. Between the two its path leads to the bare mount point, where a segment could be made as well as anywhere: everything
//! in it would be hidden by the next mount. So before a segment is made, opened to be written, renamed or removed, the ledger has
//! to be known again.
//!
//! **What it is known by:** the newest segment with something durable in it, which is never removed, is there, and begins as it
//! did. That holds wherever and however the file system is mounted, and for no older copy. While there is no such segment yet, and
//! where its begin cannot be read any more: by the directory's device and inode.
//!
//! **Comes in:** the begin of each segment, when it is read at the start and when it is durable. **Goes out:** yes or an error.
//! **Never:** a descriptor kept open, for a file system in which one is open cannot be unmounted.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use kernel::file::{DirectoryHold, FileError, Identity, LogFile};
use ledger::segment::BLOCK;

use super::segments::{FILLER, segment_path};

/// Octets of a segment's header, which stands in it twice, a block each.
const HEAD: usize = 2 * BLOCK;

/// What a segment begins with.
#[derive(Clone, Debug)]
pub(crate) struct Mark {
    segment: u64,
    /// Blocks that say nothing are zeros.
    head: [u8; HEAD],
}

impl Mark {
    /// Of a segment with these octets. `None`: there is no header in it, or none that could be read.
    pub(crate) fn of(segment: u64, octets: &[u8]) -> Option<Mark> {
        let mut head = [0; HEAD];
        head.copy_from_slice(octets.get(..HEAD)?);
        for block in head.chunks_mut(BLOCK) {
            if is_all(block, FILLER) {
                block.fill(0);
            }
        }
        (!is_all(&head, 0)).then_some(Mark { segment, head })
    }

    /// Which one.
    pub(super) fn segment(&self) -> u64 {
        self.segment
    }

    /// One copy of the header is enough.
    fn is_in(&self, other: &[u8]) -> bool {
        self.head.chunks(BLOCK).zip(other.chunks(BLOCK)).any(|(ours, other)| !is_all(ours, 0) && ours == other)
    }
}

pub(super) fn is_all(octets: &[u8], value: u8) -> bool {
    octets.iter().all(|octet| *octet == value)
}

/// The ledger's directory, and what it is known by. Its clones share that.
#[derive(Clone, Debug)]
pub(crate) struct LedgerPlace {
    path: PathBuf,
    known: Arc<Mutex<Known>>,
}

#[derive(Clone, Debug)]
struct Known {
    directory: Identity,
    newest: Option<Mark>,
}

impl LedgerPlace {
    /// The directory that is there now, of which nothing was read yet.
    ///
    /// # Errors
    ///
    /// `NotFound` and its kin.
    pub(crate) fn new(path: &Path) -> Result<LedgerPlace, FileError> {
        let known = Known { directory: Identity::of(path)?, newest: None };
        Ok(LedgerPlace { path: path.to_owned(), known: Arc::new(Mutex::new(known)) })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// From now on the ledger is known by this segment: it was read, or its begin is durable.
    pub(crate) fn remember(&self, newest: Mark) {
        self.known().newest = Some(newest);
    }

    /// Whether the directory that is held is the ledger's.
    ///
    /// # Errors
    ///
    /// It is another one, or that cannot be found out.
    pub(super) fn check(&self, hold: &DirectoryHold) -> Result<(), FileError> {
        // Nobody waits for a disk that hangs here.
        let Known { directory, newest } = self.known().clone();
        let Some(mark) = newest else {
            return match hold.identity() == directory {
                true => Ok(()),
                false => Err(FileError::refused(&self.path, "this is not the directory that the ledger was begun in")),
            };
        };
        let path = segment_path(&self.path, mark.segment);
        let file = match LogFile::open_read_only(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(FileError::refused(
                    &path,
                    "the ledger's newest segment is not here: is its file system mounted?",
                ));
            }
            opened => opened?,
        };
        let mut head = [0; HEAD];
        let (_, unreadable) = file.read_around(&mut head, FILLER)?;
        if mark.is_in(&head) {
            self.known().directory = hold.identity();
            return Ok(());
        }
        if !unreadable.is_empty() && hold.identity() == directory {
            return Ok(());
        }
        Err(FileError::refused(&path, "this is not the ledger's newest segment: is the right file system mounted?"))
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A segment of four blocks with this in both copies of its header.
    fn segment(header: u8) -> Vec<u8> {
        let mut octets = vec![0; 4 * BLOCK];
        octets[..HEAD].fill(header);
        octets
    }

    #[test]
    fn a_segment_is_known_by_either_copy_of_its_header() {
        let mark = Mark::of(1, &segment(1)).unwrap();
        let mut half = segment(1);
        assert!(mark.is_in(&half));
        half[..BLOCK].fill(FILLER);
        assert!(mark.is_in(&half));
        half[BLOCK..HEAD].fill(2);
        assert!(!mark.is_in(&half));
        for no_mark in [segment(0), segment(FILLER), vec![1; HEAD - 1]] {
            assert!(Mark::of(1, &no_mark).is_none());
        }
        // What could not be read is the same everywhere, and says nothing.
        half[BLOCK..HEAD].fill(3);
        assert!(!Mark::of(1, &half).unwrap().is_in(&[FILLER; HEAD]));
    }

    #[test]
    fn a_ledger_is_known_again_wherever_it_is_mounted() {
        let scratch = tempfile::tempdir().unwrap();
        let [path, first] = ["ledger", "first"].map(|name| scratch.path().join(name));
        std::fs::create_dir(&path).unwrap();
        let place = LedgerPlace::new(&path).unwrap();
        let check = |newest: Option<&[u8]>| {
            // Another directory under the same name, with this in it.
            let _ = std::fs::remove_dir_all(&path);
            std::fs::create_dir(&path).unwrap();
            if let Some(octets) = newest {
                std::fs::write(segment_path(&path, 2), octets).unwrap();
            }
            place.check(&DirectoryHold::take(&path).unwrap()).is_ok()
        };
        // Before there is a segment: this directory and no other.
        assert!(place.check(&DirectoryHold::take(&path).unwrap()).is_ok());
        std::fs::rename(&path, &first).unwrap();
        assert!(!check(None));

        place.remember(Mark::of(2, &segment(7)).unwrap());
        assert!(check(Some(&segment(7))));
        assert!(!check(None), "a bare mount point");
        assert!(!check(Some(&segment(0))), "an older copy, in which the segment was made and not used");
        assert!(!check(Some(&segment(8))), "another ledger");
        assert!(!check(Some(b"")), "a file that was cut short");
        assert!(check(Some(&segment(7))), "it is back");
    }
}
