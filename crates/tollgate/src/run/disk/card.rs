//! Where the CF card is, and reading it.

use std::path::{Path, PathBuf};

use kernel::file::{FileError, Identity};
use ledger::card::{CardFound, CardReading};
use ledger::recover::RecoveryError;

use super::segments::{Tell, read_segments};
use crate::run::store::ledger_directory;

/// Where the card is mounted.
#[derive(Clone, Debug)]
pub(crate) struct CardDirectory {
    path: PathBuf,
    /// It is ours, and made when it is not there. One that the operator names is a mount point: if it is not there,
    /// the card is not.
    is_default: bool,
    /// The ledger's, which must be another one: both number their segments from 1.
    ledger: PathBuf,
}

impl CardDirectory {
    /// The one that was named, or the default inside the state directory.
    pub(crate) fn new(named: Option<&Path>, state_dir: &Path) -> CardDirectory {
        let (path, is_default) = match named {
            Some(path) => (path.to_owned(), false),
            None => (state_dir.join("cfcard"), true),
        };
        CardDirectory { path, is_default, ledger: ledger_directory(state_dir) }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The card has a directory of its own, as far as it has one.
    ///
    /// # Errors
    ///
    /// It is the ledger's, perhaps under another name.
    pub(crate) fn check(&self) -> Result<(), FileError> {
        match (Identity::of(&self.path), Identity::of(&self.ledger)) {
            (Ok(card), Ok(ledger)) if card == ledger => {
                Err(FileError::refused(&self.path, "this is the ledger's directory; the CF card needs one of its own"))
            }
            _ => Ok(()),
        }
    }

    pub(super) fn make_if_ours(&self) -> Result<(), FileError> {
        if self.is_default && !self.path.exists() { kernel::file::make_directory(&self.path) } else { Ok(()) }
    }
}

/// Reads every segment of a card.
pub(crate) fn read_card(path: &Path, tell: Tell) -> Result<Result<CardFound, RecoveryError>, FileError> {
    let mut reading = CardReading::new();
    read_segments(path, tell, |number, octets| {
        reading.segment(number, &octets);
        octets
    })?;
    Ok(reading.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ledger_s_directory_is_no_card() {
        let scratch = tempfile::tempdir().unwrap();
        let state = scratch.path().join("state");
        let ledger = ledger_directory(&state);
        std::fs::create_dir_all(&ledger).unwrap();
        std::os::unix::fs::symlink(&ledger, scratch.path().join("link")).unwrap();
        let check = |named: &Path| CardDirectory::new(Some(named), &state).check().is_ok();
        for (named, is_taken) in [
            (ledger.clone(), false),
            (scratch.path().join("link"), false),
            (state.join("../state/./ledger"), false),
            (scratch.path().join("missing"), true),
            (scratch.path().to_owned(), true),
        ] {
            assert_eq!(check(&named), is_taken, "{}", named.display());
        }
        let default = CardDirectory::new(None, &state);
        default.check().unwrap();
        std::os::unix::fs::symlink(&ledger, default.path()).unwrap();
        assert!(default.check().is_err(), "the default one leads to it");
    }
}
