//! The counters of an eBPF program, which counts for each subscriber in a map that it, or who loaded it, has pinned.

use std::io;
use std::path::Path;

use kernel::bpf::HashMap;
use plane::maps::{Layout, MapTable, Shape};
use plane::sweep::{Reading, Subject};

use super::{Sweep, SweepError};

/// One pinned map.
pub(crate) struct MapSweep {
    map: HashMap,
    table: MapTable,
}

impl MapSweep {
    /// Opens the map that is pinned at `path` and counts as `layout` says. A program that is loaded anew usually pins
    /// another map: then this one stays as it is, and is to be opened again.
    pub(crate) fn open(path: &Path, layout: Layout) -> Result<MapSweep, SweepError> {
        let tried = |error| SweepError { tried: "open the map", error };
        let map = HashMap::open(path).map_err(|error| tried(explained(error)))?;
        let shape = Shape { key_bytes: map.key_bytes(), value_bytes: map.value_bytes(), cpus: map.cpus() };
        let table = MapTable::new(layout, shape).map_err(|error| tried(io::Error::other(error)))?;
        Ok(MapSweep { map, table })
    }
}

/// What the operating system has no words for.
fn explained(error: io::Error) -> io::Error {
    match error.kind() {
        io::ErrorKind::Unsupported => {
            let said = "it is neither a hash map nor one with values per CPU; such as forget entries by themselves (LRU) \
                        are not read";
            io::Error::new(error.kind(), said)
        }
        io::ErrorKind::PermissionDenied => {
            io::Error::new(error.kind(), format!("{error}; the daemon needs CAP_BPF, and the right to read the path"))
        }
        _ => error,
    }
}

impl MapSweep {
    fn read_all(&mut self) -> io::Result<()> {
        self.table.sweep_begins();
        self.map.read(|keys, values| self.table.handle_entries(keys, values))?;
        self.table.sweep_ends();
        Ok(())
    }

    fn read_each(&mut self, subjects: &[Subject]) -> io::Result<()> {
        for subject in subjects {
            let Some(key) = self.table.key_of(*subject) else { continue };
            let values = self.map.get(self.table.octets(&key))?;
            self.table.handle_answer(key, values);
        }
        Ok(())
    }
}

/// An entry that is asked for by itself costs about as much as so many in a batch.
const ENTRY_COST: usize = 4;

impl Sweep for MapSweep {
    fn sweep(&mut self, subjects: &[Subject], readings: &mut [Option<Reading>]) -> Result<(), SweepError> {
        assert_eq!(subjects.len(), readings.len(), "one place for each subject");
        let is_few = subjects.len().saturating_mul(ENTRY_COST) < self.table.entry_count();
        let read = if is_few { self.read_each(subjects) } else { self.read_all() };
        read.map_err(|error| SweepError { tried: "read the map", error })?;
        for (subject, reading) in subjects.iter().zip(readings) {
            *reading = self.table.reading(*subject);
        }
        Ok(())
    }

    /// A sweep of the map goes well as a whole or says otherwise.
    fn has_read(&self, subject: Subject) -> bool {
        self.table.key_of(subject).is_some()
    }
}

#[cfg(test)]
mod tests;
