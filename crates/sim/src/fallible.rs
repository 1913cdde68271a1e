//! Operations that may fail. Every one that a world asks of its disks, of the bill server and of the network is counted, and one
//! of them fails where that is wanted: so each can, one after the other, in every way that it has.

use std::fmt;
use std::str::FromStr;

use ledger::log::DiskFault;
use ledger::transfer::UploadFailure;

use crate::disk::Operation;

/// Which operation fails, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fails {
    /// Its number among those that are counted, from 1.
    pub number: u64,
    /// Which of its ways to fail, from 0.
    pub way: usize,
    /// Where counting begins: with the world, or with the recovery from a kill after so many operations.
    pub killed_after: Option<u64>,
}

/// `NUMBER:WAY`, or `NUMBER:WAY:KILLED-AFTER`.
impl fmt::Display for Fails {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Fails { number, way, killed_after } = self;
        write!(f, "{number}:{way}")?;
        killed_after.map_or(Ok(()), |killed_after| write!(f, ":{killed_after}"))
    }
}

impl FromStr for Fails {
    type Err = String;

    fn from_str(text: &str) -> Result<Fails, String> {
        let numbers: Result<Vec<u64>, _> = text.split(':').map(str::parse).collect();
        let way = |way: u64| usize::try_from(way).unwrap_or(usize::MAX);
        match numbers.as_deref() {
            Ok(&[number, first]) => Ok(Fails { number, way: way(first), killed_after: None }),
            Ok(&[number, first, after]) => Ok(Fails { number, way: way(first), killed_after: Some(after) }),
            _ => Err("NUMBER:WAY or NUMBER:WAY:KILLED-AFTER is wanted, as `sim --fail-each` prints it".to_owned()),
        }
    }
}

/// The operation that had that number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Struck {
    /// What it was.
    pub what: &'static str,
    /// In how many ways it can fail; one of them it did, unless there are fewer than were asked for.
    pub ways: usize,
}

/// How far a disk gets with what fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failing {
    /// Nothing of it is done.
    Whole(DiskFault),
    /// A part of it is.
    InPart(DiskFault),
}

/// How a bill server fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FailingUpload {
    /// Nothing arrives.
    Refused(UploadFailure),
    /// The file arrives, and nobody hears of that.
    Unheard,
}

/// What is counted now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Nothing,
    Everything,
    /// So many operations before the kill.
    BeforeKill(u64),
    KillIsDue,
    Killed,
    Recovering,
}

/// The count.
#[derive(Debug)]
pub(crate) struct Fallible {
    fails: Option<Fails>,
    stage: Stage,
    pub(crate) count: u64,
    pub(crate) struck: Option<Struck>,
}

impl Fallible {
    pub(crate) fn new(fails: Option<Fails>) -> Fallible {
        let stage = match fails {
            None => Stage::Nothing,
            Some(Fails { killed_after: None, .. }) => Stage::Everything,
            Some(Fails { killed_after: Some(after), .. }) => Stage::BeforeKill(after),
        };
        Fallible { fails, stage, count: 0, struck: None }
    }

    /// A disk is to do something.
    pub(crate) fn disk(&mut self, operation: &Operation) -> Option<Failing> {
        use Failing::{InPart, Whole};
        let (io, no_space) = (DiskFault::Io, DiskFault::NoSpace);
        match operation {
            Operation::Create { .. } => self.next("creating a segment", &[Whole(io), InPart(no_space)]),
            Operation::Write { .. } => self.next("writing", &[Whole(io), InPart(io), InPart(no_space)]),
            Operation::Sync { .. } => self.next("syncing", &[Whole(io), Whole(no_space)]),
            Operation::Read { .. } => self.next("reading a bill", &[Whole(io)]),
            Operation::Remove { .. } => self.next("removing a segment", &[Whole(io)]),
            Operation::Open => self.next("reading the card", &[Whole(io)]),
        }
    }

    /// A file reaches the bill server.
    pub(crate) fn upload(&mut self) -> Option<FailingUpload> {
        let refused = FailingUpload::Refused;
        let ways = [refused(UploadFailure::Unreachable), refused(UploadFailure::Incomplete), FailingUpload::Unheard];
        self.next("uploading", &ways)
    }

    /// A datagram leaves; true: it does not.
    pub(crate) fn send(&mut self) -> bool {
        self.next("sending", &[()]).is_some()
    }

    /// Recovery reads a segment; true: it does not.
    pub(crate) fn recovery(&mut self) -> bool {
        self.next("reading a segment", &[()]).is_some()
    }

    /// Whether the process is to be killed now, and whether the power goes with it.
    pub(crate) fn take_kill(&mut self) -> Option<bool> {
        if self.stage != Stage::KillIsDue {
            return None;
        }
        self.stage = Stage::Killed;
        let after = self.fails.and_then(|fails| fails.killed_after)?;
        Some(after % 2 == 1)
    }

    /// A process begins.
    pub(crate) fn begins(&mut self) {
        if self.stage == Stage::Killed {
            self.stage = Stage::Recovering;
        }
    }

    /// Its shards live.
    pub(crate) fn has_recovered(&mut self) {
        if self.stage == Stage::Recovering {
            self.stage = Stage::Nothing;
        }
    }

    fn next<T: Copy>(&mut self, what: &'static str, ways: &[T]) -> Option<T> {
        match &mut self.stage {
            Stage::Everything | Stage::Recovering => {}
            Stage::BeforeKill(0) => {
                self.stage = Stage::KillIsDue;
                return None;
            }
            Stage::BeforeKill(left) => {
                *left -= 1;
                return None;
            }
            Stage::Nothing | Stage::KillIsDue | Stage::Killed => return None,
        }
        self.count += 1;
        let fails = self.fails.filter(|fails| fails.number == self.count)?;
        self.struck = Some(Struck { what, ways: ways.len() });
        ways.get(fails.way).copied()
    }
}
