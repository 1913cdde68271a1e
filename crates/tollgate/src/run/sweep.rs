//! Counters that nobody shares with us: the daemon fetches them from the operating system, many at a time.
//!
//! A source belongs to a thread of its own, for a sweep waits for the kernel: a millisecond or two for a thousand
//! interfaces. What comes out are readings with generations, of which a session's tally makes its totals.

#[cfg(test)]
pub(crate) mod fixture;
pub(crate) mod links;
pub(crate) mod map;

use std::error::Error;
use std::fmt;
use std::io;

use plane::sweep::{Ended, Reading, Subject};

/// A source of counters that is read in batches.
pub(crate) trait Sweep: Send {
    /// Reads every subject once: a reading for each, in the same order, or `None` where it was not read (it is not there, the
    /// kernel left it out, or it is another source's kind).
    ///
    /// # Errors
    /// [`SweepError`]; there are readings then of whatever could be read all the same, and the next sweep may go well.
    ///
    /// # Panics
    /// When there is not one place for each subject.
    fn sweep(&mut self, subjects: &[Subject], readings: &mut [Option<Reading>]) -> Result<(), SweepError>;

    /// Whether the last sweep has read all that is where this subject is counted. Then one without a reading is not there.
    fn has_read(&self, subject: Subject) -> bool;

    /// What tells the place where this subject is counted from others, in any life of the process.
    fn place(&self, _subject: Subject) -> u64 {
        0
    }

    /// The subjects that ended since this was last asked, each with its final reading: to be asked after every sweep. A
    /// session that counts by such a subject has its last totals then, and must not read on.
    fn take_ended(&mut self) -> Vec<Ended> {
        Vec::new()
    }
}

/// Why a sweep, or the opening of a source, came to nothing.
#[derive(Debug)]
pub(crate) struct SweepError {
    /// What was tried, as the object of *cannot*: "read the statistics of the interfaces".
    pub(crate) tried: &'static str,
    /// What the operating system said.
    pub(crate) error: io::Error,
}

impl fmt::Display for SweepError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "cannot {}: {}", self.tried, self.error)
    }
}

impl Error for SweepError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.error)
    }
}
