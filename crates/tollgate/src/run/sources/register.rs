//! What a session source knows of its sessions, kept for the next life of the process: a file for each session, in a directory
//! for each source.
//!
//! A file is written before the session's Up is said and removed when its Down is durable, so that whoever is in the ledger is in
//! here. What a sweep has read of all sessions stands in one file beside them ([`readings`]), for it is written much more often. **No
//! totals are shown to the engine that do not stand in here**: so the next life never shows less, which the engine would take for
//! counters that have begun again. A file is written anew as a whole and never synced: it has to outlive the process and no more, for when the box has started
//! again the ledger has closed every session, and what was written under another boot id is thrown away.

mod readings;

use std::cell::Cell;
use std::fs;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use model::counters::Counters;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::tally::Tally;
use readings::Readings;

/// The end of a session's file.
const ENDING: &str = "json";
/// The file that says under which boot of the box the others were written.
const BOOT: &str = "boot";
/// The file of what a sweep has read.
const READINGS: &str = "readings";
/// The file that says the greatest index of an interface that was seen.
const HIGHEST: &str = "highest";

/// One session.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Entry {
    /// What was written under a greater one is newer; the register says it.
    pub(crate) stamp: u64,
    /// The source's name of it.
    pub(crate) session: String,
    /// What was said of it, in the words of the plane script.
    pub(crate) said: Map<String, Value>,
    /// The index of the interface that it is, where the source knows that.
    pub(crate) interface: Option<u32>,
    /// When it came up, epoch milliseconds, where the source said so.
    pub(crate) at: Option<u64>,
    /// The slot of its counters on the link, and their generation. Both stay in the next life: until the session is announced
    /// the engine looks for its counters there, and must not find another one's.
    pub(crate) slot: u32,
    pub(crate) generation: u32,
    /// What it has counted; the second is for a source that counts its IPv6 apart.
    pub(crate) tallies: [Tally; 2],
    /// Its Down was said, or is about to be.
    pub(crate) gone: Option<Gone>,
}

impl Entry {
    /// What it has counted since it came up.
    pub(crate) fn total(&self) -> Counters {
        self.tallies[0].total().plus(self.tallies[1].total())
    }

    /// What its counters said last.
    pub(crate) fn read(&self) -> [Option<Counters>; 2] {
        self.tallies.map(|tally| tally.last())
    }
}

/// The end of a session.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Gone {
    /// Acct-Terminate-Cause, or 0.
    pub(crate) cause: u8,
    /// Epoch milliseconds, where the source said so.
    pub(crate) at: Option<u64>,
}

/// The sessions of one source.
#[derive(Debug)]
pub(crate) struct Register {
    directory: PathBuf,
    /// The stamp of what is written next.
    stamp: Cell<u64>,
    /// The greatest index of an interface when an earlier life has swept them last; 0: none has.
    swept_highest: u32,
}

impl Register {
    /// Opens the register of this boot; one of another boot is emptied. With it come the sessions that are in it, and false where
    /// there was none of this boot.
    ///
    /// # Errors
    /// The directory cannot be made, read or cleared.
    pub(crate) fn open(directory: &Path, boot_id: &[u8; 16]) -> io::Result<(Register, Vec<Entry>, bool)> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
        let boot = directory.join(BOOT);
        let is_ours = fs::read(&boot).is_ok_and(|written| written == boot_id);
        let mut entries: Vec<Entry> = Vec::new();
        for file in fs::read_dir(directory)? {
            let path = file?.path();
            let is_entry = path.extension().is_some_and(|ending| ending == ENDING);
            let read = fs::read(&path).ok().filter(|_| is_ours && is_entry);
            match read.and_then(|text| serde_json::from_slice(&text).ok()) {
                Some(entry) => entries.push(entry),
                None if path == boot => {}
                None if is_ours && [HIGHEST, READINGS].iter().any(|name| path == directory.join(name)) => {}
                None => fs::remove_file(&path)?,
            }
        }
        if !is_ours {
            fs::write(&boot, boot_id)?;
        }
        let readings = fs::read(directory.join(READINGS)).ok().and_then(|octets| Readings::read(&octets));
        let readings = readings.unwrap_or_default();
        let newest = entries.iter().map(|entry| entry.stamp).max().unwrap_or(0).max(readings.stamp);
        entries.iter_mut().for_each(|entry| readings.complete(entry));
        let (stamp, swept_highest) = (Cell::new(newest + 1), readings.highest);
        Ok((Register { directory: directory.to_owned(), stamp, swept_highest }, entries, is_ours))
    }

    /// Writes a session down; what was written of it is replaced.
    ///
    /// # Errors
    /// The disk does not take it.
    pub(crate) fn write(&self, entry: &mut Entry) -> io::Result<()> {
        entry.stamp = self.next_stamp();
        replace(&self.path(&entry.session), &serde_json::to_vec(entry)?)
    }

    /// Writes down what a sweep has read of these sessions, whose entries stand here as they are but for the readings. `highest`: the
    /// greatest index that an interface had then.
    ///
    /// # Errors
    /// The disk does not take it; what was written before stays.
    pub(crate) fn write_readings<'a>(
        &self,
        highest: u32,
        read: impl Iterator<Item = (&'a Entry, [Option<Counters>; 2])>,
    ) -> io::Result<()> {
        replace(&self.directory.join(READINGS), &readings::write(self.next_stamp(), highest, read))
    }

    /// The greatest index that an interface had when an earlier life of this boot has swept last; 0: none has.
    pub(crate) fn swept_highest(&self) -> u32 {
        self.swept_highest
    }

    fn next_stamp(&self) -> u64 {
        let stamp = self.stamp.get();
        self.stamp.set(stamp + 1);
        stamp
    }

    /// Forgets a session. What stays behind is ended once more in the next life, which harms nobody.
    pub(crate) fn remove(&self, session: &str) {
        let _ = fs::remove_file(self.path(session));
    }

    /// The greatest index of an interface that was seen in this boot; 0: none was.
    pub(crate) fn highest(&self) -> u32 {
        let read = fs::read_to_string(self.directory.join(HIGHEST)).ok();
        read.and_then(|text| text.trim().parse().ok()).unwrap_or(0)
    }

    /// Remembers that. Not remembered, the octets that a new interface counts while no daemon runs are nobody's.
    pub(crate) fn set_highest(&self, index: u32) {
        let _ = fs::write(self.directory.join(HIGHEST), index.to_string());
    }

    /// The name may hold any character; its file says it in hexadecimal digits.
    fn path(&self, session: &str) -> PathBuf {
        let name: String = session.bytes().map(|octet| format!("{octet:02x}")).collect();
        self.directory.join(name).with_extension(ENDING)
    }
}

/// Writes a file whole, or not at all.
fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let temporary = path.with_extension("new");
    fs::write(&temporary, content)?;
    fs::rename(&temporary, path)
}

#[cfg(test)]
mod tests {
    use model::counters::Totals;

    use super::*;
    use crate::run::sources::tally::Origin;

    fn entry(session: &str) -> Entry {
        let said = serde_json::from_str(r#"{"user":"u"}"#).unwrap();
        Entry {
            stamp: 0,
            session: session.to_owned(),
            said,
            interface: None,
            at: None,
            slot: 3,
            generation: 7,
            tallies: [Tally::default(); 2],
            gone: None,
        }
    }

    #[test]
    fn what_is_written_is_there_in_the_next_life_and_not_after_a_reboot() {
        let place = tempfile::tempdir().unwrap();
        let directory = place.path().join("sources/x");
        let (register, entries, was_there) = Register::open(&directory, &[1; 16]).unwrap();
        assert_eq!((entries, was_there), (vec![], false));
        let gone = Gone { cause: 1, at: Some(5) };
        let mut last = Entry { gone: Some(gone), ..entry("../s 1") };
        for written in [&mut entry("../s 1"), &mut entry("s2"), &mut last] {
            register.write(written).unwrap();
        }
        register.remove("s2");
        fs::write(directory.join("77.new"), "half").unwrap();
        let (_, entries, was_there) = Register::open(&directory, &[1; 16]).unwrap();
        assert_eq!((entries, was_there), (vec![last], true));
        assert!(!directory.join("77.new").exists());
        let (_, entries, was_there) = Register::open(&directory, &[2; 16]).unwrap();
        assert_eq!((entries, was_there), (vec![], false));
    }

    #[test]
    fn what_a_sweep_has_read_stands_behind_what_was_written_before() {
        let octets = |in_octets| Counters { v4: Totals { in_octets, ..Totals::default() }, ..Counters::ZERO };
        let place = tempfile::tempdir().unwrap();
        let tally = Tally::from_here(Origin::Told, Some(octets(5)));
        let mut old = Entry { tallies: [tally, Tally::default()], ..entry("s1") };
        let mut other = Entry { generation: 8, ..entry("s2") };
        let (register, ..) = Register::open(place.path(), &[1; 16]).unwrap();
        [&mut old, &mut other].into_iter().for_each(|entry| register.write(entry).unwrap());
        let read = |entry: &Entry, octets: Counters| {
            let mut read = entry.clone();
            for tally in &mut read.tallies {
                tally.take(octets);
            }
            read
        };
        let of_another = Entry { generation: 9, ..read(&other, octets(3)) };
        let swept = read(&old, octets(9));
        let all = [&swept, &of_another].into_iter().map(|entry| (entry, entry.read()));
        register.write_readings(17, all).unwrap();
        let opened = || {
            let (register, mut entries, _) = Register::open(place.path(), &[1; 16]).unwrap();
            entries.sort_by(|one, other| one.session.cmp(&other.session));
            let totals: Vec<u64> = entries.iter().map(|entry| entry.total().octets()).collect();
            (register, totals)
        };
        let (register, totals) = opened();
        assert_eq!((register.swept_highest(), totals), (17, vec![4, 0]));
        // What is written later is newer, whatever a sweep has read.
        register.write(&mut read(&old, octets(7))).unwrap();
        assert_eq!(opened().1, [2, 0]);
        fs::write(place.path().join(READINGS), [7; 40]).unwrap();
        assert_eq!(opened().1, [2, 0]);
    }
}
