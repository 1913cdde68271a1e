//! A disk that keeps a tape of everything that was asked of it, and can be wound to any moment: what was asked and not
//! confirmed by then may be there or not.
//!
//! What a power cut leaves of a write that no finished sync covers: each 512-octet sector for itself, so that writes tear and
//! change places. Of a file that is being made: nothing, a shorter file, or all of its zeros. Of one that is being removed:
//! all or nothing.

use std::borrow::Cow;
use std::collections::BTreeMap;

use ledger::log::Request;

use super::Dice;
use super::disk::SECTOR;

/// What the disk was asked for. `Tape::remove` asks for the removal of a file.
#[derive(Clone)]
pub(crate) enum Asked {
    Create { segment: u64, len: usize },
    Write { segment: u64, at: usize, octets: Vec<u8> },
    Sync { segment: u64 },
    Remove { segment: u64 },
}

impl From<Request<'_>> for Asked {
    fn from(request: Request<'_>) -> Asked {
        let size = |number| usize::try_from(number).unwrap();
        match request {
            Request::CreateSegment { segment, len } => Asked::Create { segment, len: size(len) },
            Request::Write { segment, offset, bytes } => {
                Asked::Write { segment, at: size(offset), octets: bytes.to_vec() }
            }
            Request::Sync { segment } => Asked::Sync { segment },
        }
    }
}

/// A moment of the tape: something was asked for, or what was asked for at an earlier moment was confirmed.
pub(crate) enum Moment {
    Asked(Asked),
    Confirmed(usize),
}

/// Everything, in its order.
#[derive(Default)]
pub(crate) struct Tape(pub(crate) Vec<Moment>);

impl Tape {
    /// Says by what to confirm it.
    pub(crate) fn ask(&mut self, asked: Asked) -> usize {
        self.0.push(Moment::Asked(asked));
        self.0.len() - 1
    }

    pub(crate) fn confirm(&mut self, asked: usize) {
        self.0.push(Moment::Confirmed(asked));
    }
}

/// The disk at some moment of a tape, wound forward only.
#[derive(Default)]
pub(crate) struct Wound {
    files: BTreeMap<u64, File>,
    /// Being made; by segment, the length.
    making: BTreeMap<u64, usize>,
}

#[derive(Default)]
struct File {
    durable: Vec<u8>,
    /// No finished sync covers these.
    loose: Vec<(usize, Vec<u8>)>,
    is_leaving: bool,
}

impl Wound {
    pub(crate) fn forward(&mut self, tape: &Tape, moment: usize) {
        match &tape.0[moment] {
            Moment::Asked(Asked::Create { segment, len }) => {
                self.making.insert(*segment, *len);
            }
            Moment::Asked(Asked::Write { segment, at, octets }) => {
                let file = self.files.get_mut(segment).expect("the segment was made");
                assert!(at.is_multiple_of(SECTOR) && octets.len().is_multiple_of(SECTOR), "whole sectors are written");
                let place = &file.durable[*at..at + octets.len()];
                assert!(place.iter().all(|octet| *octet == 0), "nothing durable is written over");
                file.loose.push((*at, octets.clone()));
            }
            Moment::Asked(Asked::Sync { .. }) => {}
            Moment::Asked(Asked::Remove { segment }) => {
                self.files.get_mut(segment).expect("it is there").is_leaving = true;
            }
            Moment::Confirmed(asked) => self.confirm(tape, *asked),
        }
    }

    fn confirm(&mut self, tape: &Tape, asked: usize) {
        let Moment::Asked(asked) = &tape.0[asked] else { panic!("only what was asked for is confirmed") };
        match asked {
            Asked::Create { segment, .. } => {
                let len = self.making.remove(segment).expect("it was asked for");
                self.files.insert(*segment, File { durable: vec![0; len], ..File::default() });
            }
            Asked::Write { .. } => {}
            Asked::Sync { segment } => {
                // The log waits for a write before it asks for the sync.
                let file = self.files.get_mut(segment).expect("the segment was made");
                for (at, octets) in file.loose.drain(..) {
                    file.durable[at..at + octets.len()].copy_from_slice(&octets);
                }
            }
            Asked::Remove { segment } => {
                self.files.remove(segment);
            }
        }
    }

    /// Whether a power cut has something to decide.
    pub(crate) fn is_settled(&self) -> bool {
        self.making.is_empty() && self.files.values().all(|file| file.loose.is_empty() && !file.is_leaving)
    }

    /// What the power cut leaves.
    pub(crate) fn cut(&self, dice: &mut Dice) -> Vec<(u64, Cow<'_, [u8]>)> {
        let mut left = BTreeMap::new();
        for (number, file) in &self.files {
            if file.is_leaving && dice.chance(50) {
                continue;
            }
            left.insert(*number, torn(file, dice));
        }
        for (number, len) in &self.making {
            match dice.below(3) {
                0 => {}
                1 => {
                    let len = usize::try_from(dice.below(*len as u64)).unwrap();
                    left.insert(*number, Cow::Owned(vec![0; len]));
                }
                _ => {
                    left.insert(*number, Cow::Owned(vec![0; *len]));
                }
            }
        }
        left.into_iter().collect()
    }

    /// What a killed process leaves: everything that was written.
    pub(crate) fn kill(&self) -> Vec<(u64, Cow<'_, [u8]>)> {
        let whole = |file: &File| {
            let mut octets = file.durable.clone();
            for (at, loose) in &file.loose {
                octets[*at..at + loose.len()].copy_from_slice(loose);
            }
            Cow::Owned(octets)
        };
        self.files.iter().map(|(number, file)| (*number, whole(file))).collect()
    }
}

fn torn<'f>(file: &'f File, dice: &mut Dice) -> Cow<'f, [u8]> {
    if file.loose.is_empty() {
        return Cow::Borrowed(&file.durable);
    }
    let mut octets = file.durable.clone();
    let percent = [0, 100, 50, 90, 10][usize::try_from(dice.below(5)).unwrap()];
    for (at, loose) in &file.loose {
        for (number, sector) in loose.chunks(SECTOR).enumerate() {
            if dice.chance(percent) {
                let at = at + number * SECTOR;
                octets[at..at + SECTOR].copy_from_slice(sector);
            }
        }
    }
    Cow::Owned(octets)
}
