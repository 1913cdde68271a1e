//! All entries of a map with their counters.

use std::collections::HashMap;

use model::counters::Totals;

use super::layout::KEY_BYTES_MAX;
use super::{Layout, Mismatch, Shape};
use crate::sweep::{Reading, Subject};

/// The entries of a map, as they were swept last. Some 100 octets for each.
#[derive(Debug)]
pub struct MapTable {
    layout: Layout,
    shape: Shape,
    cells: HashMap<[u8; KEY_BYTES_MAX], Cell>,
    /// The last generation that was given away.
    generation: u32,
    /// The sweep that goes on, or was the last.
    sweep: u32,
}

/// The key of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EntryKey([u8; KEY_BYTES_MAX]);

#[derive(Debug)]
struct Cell {
    generation: u32,
    totals: Totals,
    swept: u32,
}

impl MapTable {
    /// Nothing is swept yet.
    ///
    /// # Errors
    /// [`Mismatch`] when a map of this shape does not have this layout.
    pub fn new(layout: Layout, shape: Shape) -> Result<MapTable, Mismatch> {
        layout.check(shape)?;
        Ok(MapTable { layout, shape, cells: HashMap::new(), generation: 0, sweep: 0 })
    }

    /// All entries will be handed in now. A sweep that broke off before may be begun again.
    pub fn sweep_begins(&mut self) {
        self.sweep = self.sweep.wrapping_add(1);
    }

    /// Entries of the map: whole keys and values, as many of each, one behind the other.
    pub fn handle_entries(&mut self, keys: &[u8], values: &[u8]) {
        let values = values.chunks_exact(self.shape.entry_value_bytes().max(1));
        for (key, values) in keys.chunks_exact(self.shape.key_bytes.max(1)).zip(values) {
            let mut place = [0; KEY_BYTES_MAX];
            place[..key.len()].copy_from_slice(key);
            self.handle_entry(place, values);
        }
    }

    /// One entry was read for itself, outside a sweep: its values, or `None` where it is not there.
    pub fn handle_answer(&mut self, key: EntryKey, values: Option<&[u8]>) {
        match values {
            Some(values) => self.handle_entry(key.0, values),
            None => drop(self.cells.remove(&key.0)),
        }
    }

    fn handle_entry(&mut self, key: [u8; KEY_BYTES_MAX], values: &[u8]) {
        let (totals, swept) = (self.layout.totals(self.shape, values), self.sweep);
        let cell = self.cells.entry(key).or_insert(Cell { generation: 0, totals, swept });
        if cell.generation == 0 || fell(totals, cell.totals) {
            self.generation += 1;
            cell.generation = self.generation;
        }
        (cell.totals, cell.swept) = (totals, swept);
    }

    /// All entries have been handed in: what is not among them was deleted.
    pub fn sweep_ends(&mut self) {
        self.cells.retain(|_, cell| cell.swept == self.sweep);
    }

    /// What the entry of a subject has counted; `None` where it has none.
    pub fn reading(&self, subject: Subject) -> Option<Reading> {
        let cell = self.cells.get(&self.layout.key_of(subject)?)?;
        Some(Reading { counters: subject.counters(cell.totals), generation: cell.generation })
    }

    /// The key under which a subject is counted; `None` where there can be no such entry.
    pub fn key_of(&self, subject: Subject) -> Option<EntryKey> {
        self.layout.key_of(subject).map(EntryKey)
    }

    /// The octets of a key, as the map has them.
    pub fn octets<'a>(&self, key: &'a EntryKey) -> &'a [u8] {
        &key.0[..self.shape.key_bytes]
    }

    /// How many entries there were.
    pub fn entry_count(&self) -> usize {
        self.cells.len()
    }
}

fn fell(now: Totals, before: Totals) -> bool {
    now.in_octets < before.in_octets
        || now.in_packets < before.in_packets
        || now.out_octets < before.out_octets
        || now.out_packets < before.out_packets
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::maps::{Key, Values};
    use std::net::Ipv4Addr;

    const SHAPE: Shape = Shape { key_bytes: 4, value_bytes: 32, cpus: Some(2) };

    fn table() -> MapTable {
        let values = Values { in_octets: 0, in_packets: Some(8), out_octets: 16, out_packets: Some(24) };
        MapTable::new(Layout { key: Key::V4, values }, SHAPE).unwrap()
    }

    fn subject(last: u8) -> Subject {
        Subject::V4(Ipv4Addr::new(100, 64, 0, last))
    }

    /// A sweep that finds these addresses, with so many octets in, half of them on each CPU.
    fn sweep(table: &mut MapTable, entries: &[(u8, u64)]) {
        table.sweep_begins();
        for &(last, octets) in entries {
            let numbers = [octets - octets / 2, 1, 0, 0, octets / 2, 1, 0, 0];
            let values: Vec<u8> = numbers.iter().flat_map(|number: &u64| number.to_ne_bytes()).collect();
            table.handle_entries(&[100, 64, 0, last], &values);
        }
        table.sweep_ends();
    }

    fn read(table: &MapTable, last: u8) -> Option<(u64, u32)> {
        table.reading(subject(last)).map(|reading| (reading.counters.v4.in_octets, reading.generation))
    }

    #[test]
    fn entries_are_found_by_their_subjects() {
        let mut table = table();
        sweep(&mut table, &[(1, 5), (2, 7)]);
        sweep(&mut table, &[(2, 8), (1, 5)]);
        assert_eq!((read(&table, 1), read(&table, 2), read(&table, 3)), (Some((5, 1)), Some((8, 2)), None));
        assert_eq!(table.reading(Subject::Interface(1)), None);
        assert_eq!(table.reading(subject(2)).unwrap().counters.v4.in_packets, 2);
    }

    #[test]
    fn an_entry_that_was_made_again_has_another_generation() {
        let mut table = table();
        for (entries, found) in [
            (&[(1, 5)][..], Some((5, 1))),
            (&[(1, 3)], Some((3, 2))),
            (&[], None),
            (&[(1, 9)], Some((9, 3))),
            (&[(1, 10)], Some((10, 3))),
        ] {
            sweep(&mut table, entries);
            assert_eq!(read(&table, 1), found);
        }
    }

    #[test]
    fn a_sweep_that_broke_off_forgets_nobody() {
        let mut table = table();
        sweep(&mut table, &[(1, 5), (2, 7)]);
        table.sweep_begins();
        assert_eq!((read(&table, 1), read(&table, 2)), (Some((5, 1)), Some((7, 2))));
        sweep(&mut table, &[(1, 6), (2, 7)]);
        assert_eq!((read(&table, 1), read(&table, 2)), (Some((6, 1)), Some((7, 2))));
    }

    #[test]
    fn one_entry_can_be_asked_for() {
        let mut table = table();
        sweep(&mut table, &[(1, 5), (2, 7)]);
        let key = table.key_of(subject(1)).unwrap();
        assert_eq!((table.octets(&key), table.entry_count()), (&[100, 64, 0, 1][..], 2));
        table.handle_answer(key, Some(&[0; 64]));
        assert_eq!((read(&table, 1), read(&table, 2)), (Some((0, 3)), Some((7, 2))));
        table.handle_answer(key, None);
        assert_eq!((read(&table, 1), read(&table, 2), table.entry_count()), (None, Some((7, 2)), 1));
        assert_eq!(table.key_of(Subject::Interface(1)), None);
    }

    #[test]
    fn a_map_of_another_shape_is_refused() {
        let layout = table().layout;
        assert_eq!(MapTable::new(layout, Shape { key_bytes: 8, ..SHAPE }).unwrap_err(), Mismatch::Key { map: 8 });
    }
}
