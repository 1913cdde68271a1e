//! A disk in memory that remembers what was synced, and can rebuild the octets that a crash leaves.
//!
//! A write goes to the page cache. A sync that succeeds makes it durable. A sync that fails marks it clean: it is still
//! read back, a later sync succeeds, and it never reaches the disk on purpose. A power cut lets each 512-octet sector
//! of everything that is not durable reach the disk or not, each for itself; a killed process loses nothing.

use std::collections::BTreeMap;

use super::Dice;

pub(crate) const SECTOR: usize = 512;

#[derive(Default)]
pub(crate) struct Disk {
    files: BTreeMap<u64, File>,
    /// Successful syncs so far.
    pub(crate) syncs: u64,
}

#[derive(Default)]
struct File {
    durable: Vec<u8>,
    cached: Vec<Write>,
}

struct Write {
    at: usize,
    octets: Vec<u8>,
    /// A sync may make it durable.
    is_dirty: bool,
}

impl Disk {
    /// Makes `len` zeros, durable.
    pub(crate) fn create(&mut self, number: u64, len: u64) {
        let file = File { durable: vec![0; usize::try_from(len).unwrap()], cached: Vec::new() };
        self.files.insert(number, file);
    }

    pub(crate) fn write(&mut self, number: u64, at: u64, octets: &[u8]) {
        let at = usize::try_from(at).unwrap();
        let file = self.files.get_mut(&number).expect("the segment was created");
        assert!(at.is_multiple_of(SECTOR) && octets.len().is_multiple_of(SECTOR), "whole sectors are written");
        assert!(at + octets.len() <= file.durable.len(), "a segment does not grow");
        assert!(file.durable[at..at + octets.len()].iter().all(|octet| *octet == 0), "nothing durable is overwritten");
        file.cached.push(Write { at, octets: octets.to_vec(), is_dirty: true });
    }

    pub(crate) fn sync(&mut self, number: u64) {
        let file = self.files.get_mut(&number).expect("the segment was created");
        for write in file.cached.extract_if(.., |write| write.is_dirty) {
            file.durable[write.at..write.at + write.octets.len()].copy_from_slice(&write.octets);
        }
        self.syncs += 1;
    }

    pub(crate) fn fail_sync(&mut self, number: u64) {
        for write in &mut self.files.get_mut(&number).expect("the segment was created").cached {
            write.is_dirty = false;
        }
    }

    /// The power goes: what is not durable reaches the disk in pieces.
    pub(crate) fn cut_power(&mut self, dice: &mut Dice) {
        for file in self.files.values_mut() {
            let percent = [0, 100, 50, 90][usize::try_from(dice.below(4)).unwrap()];
            for write in file.cached.drain(..) {
                for (number, sector) in write.octets.chunks(SECTOR).enumerate() {
                    if dice.chance(percent) {
                        let at = write.at + number * SECTOR;
                        file.durable[at..at + SECTOR].copy_from_slice(sector);
                    }
                }
            }
        }
    }

    /// Every segment as a reader sees it now.
    pub(crate) fn segments(&self) -> Vec<(u64, Vec<u8>)> {
        let read = |file: &File| {
            let mut octets = file.durable.clone();
            for write in &file.cached {
                octets[write.at..write.at + write.octets.len()].copy_from_slice(&write.octets);
            }
            octets
        };
        self.files.iter().map(|(number, file)| (*number, read(file))).collect()
    }

    pub(crate) fn segment(&self, number: u64) -> Vec<u8> {
        self.segments().into_iter().find(|(found, _)| *found == number).expect("it exists").1
    }
}
