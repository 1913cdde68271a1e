//! A disk whose failures are the worst that a disk may have.
//!
//! A write goes to the page cache. A sync that succeeds makes it durable. A sync that fails marks it clean: it is still
//! read back, a later sync succeeds without it, and it never reaches the disk on purpose. A power cut lets each
//! 512-octet sector of everything that is not durable reach the disk or not, each for itself; a killed process loses
//! nothing of the page cache. What was under way at either is done in part. The CF card's disk can be pulled out besides:
//! then everything fails, and what was not synced may be lost.

use std::collections::BTreeMap;
use std::time::Duration;

use ledger::keeper::Request;
use ledger::log::DiskFault;
use ledger::segment::BLOCK;
use model::time::Mono;

use crate::fallible::Failing;
use crate::seed::Dice;

/// One operation that the keeper has asked for.
#[derive(Clone, Debug)]
pub(crate) enum Operation {
    Create {
        segment: u64,
        len: u64,
    },
    Write {
        segment: u64,
        offset: u64,
        bytes: Vec<u8>,
    },
    Sync {
        segment: u64,
    },
    Read {
        segment: u64,
        offset: u64,
        len: usize,
    },
    /// Damaged ones too: there are none, so nothing is ever set aside.
    Remove {
        segment: u64,
    },
    /// All segments are read.
    Open,
}

/// What an operation brought.
#[derive(Clone, Debug)]
pub(crate) enum Brought {
    Nothing,
    Octets(Vec<u8>),
    Segments(Vec<(u64, Vec<u8>)>),
}

impl Operation {
    /// For the trace.
    pub(crate) const fn word(&self) -> &'static str {
        match self {
            Operation::Create { .. } => "create",
            Operation::Write { .. } => "write",
            Operation::Sync { .. } => "sync",
            Operation::Read { .. } => "read",
            Operation::Remove { .. } => "remove",
            Operation::Open => "open",
        }
    }
}

impl From<Request<'_>> for Operation {
    fn from(request: Request<'_>) -> Operation {
        match request {
            Request::CreateSegment { segment, len } => Operation::Create { segment, len },
            Request::Write { segment, offset, bytes } => Operation::Write { segment, offset, bytes: bytes.to_vec() },
            Request::Sync { segment } => Operation::Sync { segment },
            Request::Read { segment, offset, len } => Operation::Read { segment, offset, len },
            Request::RemoveSegment { segment } | Request::SetAside { segment } => Operation::Remove { segment },
            Request::OpenCard => Operation::Open,
        }
    }
}

/// The segments, and how the disk behaves now.
#[derive(Debug)]
pub(crate) struct Disk {
    dice: Dice,
    files: BTreeMap<u64, File>,
    /// Every operation takes up to so many milliseconds longer.
    pub(crate) slowness_ms: u64,
    /// Operations fail until then, most of them.
    pub(crate) failing_until: Mono,
    pub(crate) fault: DiskFault,
    /// It is not there: everything fails.
    pub(crate) is_away: bool,
    /// Some of what is read has rotted.
    pub(crate) rot: Option<Dice>,
    pub(crate) rotten: u64,
    /// Segments with something in them that were removed.
    pub(crate) removed: u64,
    /// Segments that there were at once.
    pub(crate) most: u64,
}

#[derive(Debug, Default)]
struct File {
    durable: Vec<u8>,
    cached: Vec<Write>,
}

impl File {
    fn octets(&self) -> Vec<u8> {
        self.octets_of(0..self.durable.len())
    }

    /// As they are read now: the newest write of each.
    fn octets_of(&self, range: std::ops::Range<usize>) -> Vec<u8> {
        let mut octets = self.durable[range.clone()].to_vec();
        for write in &self.cached {
            let (first, end) = (write.at.max(range.start), (write.at + write.octets.len()).min(range.end));
            if first < end {
                octets[first - range.start..end - range.start]
                    .copy_from_slice(&write.octets[first - write.at..end - write.at]);
            }
        }
        octets
    }
}

#[derive(Debug)]
struct Write {
    at: usize,
    octets: Vec<u8>,
    /// A sync may make it durable.
    is_dirty: bool,
}

impl Disk {
    pub(crate) fn new(dice: Dice) -> Disk {
        Disk {
            dice,
            files: BTreeMap::new(),
            slowness_ms: 0,
            failing_until: Mono::ZERO,
            fault: DiskFault::Io,
            is_away: false,
            rot: None,
            rotten: 0,
            removed: 0,
            most: 0,
        }
    }

    /// How long the operation will take.
    pub(crate) fn delay(&mut self, operation: &Operation) -> Duration {
        let base = match operation {
            Operation::Create { .. } | Operation::Open => self.dice.millis(2, 30),
            Operation::Write { .. } | Operation::Read { .. } | Operation::Remove { .. } => self.dice.millis(0, 1),
            Operation::Sync { .. } => self.dice.millis(1, 4),
        };
        base + self.dice.millis(0, self.slowness_ms)
    }

    /// Does it, or fails as a disk may.
    pub(crate) fn perform(&mut self, operation: &Operation, now: Mono) -> Result<Brought, DiskFault> {
        if self.is_away {
            return Err(DiskFault::Io);
        }
        let fails = now < self.failing_until && self.dice.chance(80);
        match operation {
            Operation::Create { segment, len } => {
                // A failed attempt leaves a file that is too short, or none.
                if fails && self.dice.chance(50) {
                    let len = self.dice.below(*len);
                    self.create(*segment, len);
                }
                if fails {
                    return Err(self.fault);
                }
                self.create(*segment, *len);
            }
            Operation::Write { segment, offset, bytes } => {
                let written = if fails { bytes.len() / 2 / BLOCK * BLOCK } else { bytes.len() };
                self.write(*segment, *offset, &bytes[..written]);
                if fails {
                    return Err(self.fault);
                }
            }
            Operation::Sync { segment } => {
                let file = self.file(*segment);
                if fails {
                    file.cached.iter_mut().for_each(|write| write.is_dirty = false);
                    return Err(self.fault);
                }
                for write in file.cached.extract_if(.., |write| write.is_dirty) {
                    file.durable[write.at..write.at + write.octets.len()].copy_from_slice(&write.octets);
                }
            }
            Operation::Read { .. } | Operation::Remove { .. } | Operation::Open if fails => return Err(self.fault),
            Operation::Read { segment, offset, len } => {
                let file = self.files.get(segment).ok_or(DiskFault::Io)?;
                let at = usize::try_from(*offset).unwrap_or(usize::MAX);
                let mut octets = file.octets_of(at..at + len);
                if let Some(dice) = self.rot.as_mut().filter(|_| *len > 0)
                    && dice.chance(10)
                {
                    octets[dice.index(*len)] ^= 1 << dice.below(8);
                    self.rotten += 1;
                }
                return Ok(Brought::Octets(octets));
            }
            Operation::Remove { segment } => self.removed += u64::from(self.files.remove(segment).is_some()),
            Operation::Open => return Ok(Brought::Segments(self.segments().collect())),
        }
        Ok(Brought::Nothing)
    }

    /// Fails as it is told to.
    pub(crate) fn fail(&mut self, operation: &Operation, failing: Failing) -> DiskFault {
        match (operation, failing) {
            (Operation::Create { segment, len }, Failing::InPart(_)) => self.create(*segment, len / 2),
            (Operation::Write { segment, offset, bytes }, Failing::InPart(_)) => {
                self.write(*segment, *offset, &bytes[..bytes.len() / 2 / BLOCK * BLOCK]);
            }
            (Operation::Sync { segment }, _) => {
                self.file(*segment).cached.iter_mut().for_each(|write| write.is_dirty = false);
            }
            _ => {}
        }
        let (Failing::Whole(fault) | Failing::InPart(fault)) = failing;
        fault
    }

    /// The process was killed while this was under way: it may have been done, and nobody was told.
    pub(crate) fn interrupt(&mut self, operation: &Operation, now: Mono) {
        match operation {
            _ if self.is_away => {}
            Operation::Write { segment, offset, bytes } => {
                let blocks = self.dice.below((bytes.len() / BLOCK) as u64 + 1);
                let written = usize::try_from(blocks).unwrap_or_default() * BLOCK;
                self.write(*segment, *offset, &bytes[..written]);
            }
            Operation::Create { .. } | Operation::Sync { .. } | Operation::Remove { .. } if self.dice.chance(50) => {
                let _ = self.perform(operation, now);
            }
            _ => {}
        }
    }

    /// The power goes: what is not durable reaches the disk in pieces.
    pub(crate) fn cut_power(&mut self) {
        for file in self.files.values_mut() {
            let percent = self.dice.pick(&[0, 100, 50, 90]);
            for write in file.cached.drain(..) {
                for (number, sector) in write.octets.chunks(BLOCK).enumerate() {
                    if self.dice.chance(percent) {
                        let at = write.at + number * BLOCK;
                        file.durable[at..at + sector.len()].copy_from_slice(sector);
                    }
                }
            }
        }
    }

    /// Every segment as a reader sees it now.
    pub(crate) fn segments(&self) -> impl Iterator<Item = (u64, Vec<u8>)> {
        self.files.iter().map(|(&number, file)| (number, file.octets()))
    }

    fn create(&mut self, number: u64, len: u64) {
        let file = File { durable: vec![0; usize::try_from(len).unwrap_or_default()], cached: Vec::new() };
        self.files.insert(number, file);
        self.most = self.most.max(self.files.len() as u64);
    }

    fn write(&mut self, number: u64, at: u64, octets: &[u8]) {
        let at = usize::try_from(at).unwrap_or(usize::MAX);
        let file = self.file(number);
        assert!(at.is_multiple_of(BLOCK) && octets.len().is_multiple_of(BLOCK), "whole blocks are written");
        assert!(at + octets.len() <= file.durable.len(), "a segment does not grow");
        assert!(file.durable[at..at + octets.len()].iter().all(|&octet| octet == 0), "nothing durable is overwritten");
        file.cached.push(Write { at, octets: octets.to_vec(), is_dirty: true });
    }

    fn file(&mut self, number: u64) -> &mut File {
        self.files.get_mut(&number).expect("only segments that were made are asked for")
    }
}
