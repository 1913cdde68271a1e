//! Whether a store, or a file of bills, is complete and undamaged: what `tollgate bills verify` says. Nothing is changed,
//! and nothing is trusted that can be computed again.

mod file;
mod ids;
mod proof;

use model::ids::BillId;

use crate::bill::{Format, Manifest, Octets};
use crate::card::CardFound;
use crate::pool::BillBook;
use crate::recover::{Recovery, RecoveryError, RecoveryReport};

pub use self::ids::{Gap, Ids};
pub use self::proof::{Proof, prove};

/// What a file of bills was found to be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FileVerdict {
    /// Bills read.
    pub bills: u64,
    /// Their sums.
    pub octets: Octets,
    /// What is wrong; empty: the file is complete and undamaged.
    pub faults: Vec<FileFault>,
    /// Ids between the first and the last that are not in the file, and were not when its manifest was made: these bills went
    /// another way. Empty where it is not as it was made, for then they are faults.
    pub elsewhere: Vec<Gap>,
}

/// What is wrong with a file of bills.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileFault {
    /// Its octets are not those that the manifest was made for.
    Sha256,
    /// A line, counted from 1, is no bill.
    Malformed {
        /// Its number.
        line: u64,
    },
    /// The manifest counts another number of bills.
    Count {
        /// In the manifest.
        expected: u64,
        /// In the file.
        found: u64,
    },
    /// The manifest has another sum.
    Octets {
        /// In the manifest.
        expected: Octets,
        /// In the file.
        found: Octets,
    },
    /// The manifest names another first or last bill.
    Ends,
    /// A bill stands behind a later one, or twice.
    Order(BillId),
    /// Bills are missing between two of one engine start, and the file is not as it was made.
    Gap(Gap),
}

/// Holds a file of bills against its manifest.
///
/// Detail text carries no bill ids, so there the manifest's are held against its count.
pub fn bill_file(text: &[u8], manifest: &Manifest) -> FileVerdict {
    let tally = match manifest.format {
        Format::Json => file::read_json(text),
        Format::Csv => file::read_csv(text),
        Format::Detail => file::read_detail(text),
    };
    let mut faults: Vec<FileFault> = tally.malformed.iter().map(|line| FileFault::Malformed { line: *line }).collect();
    if file::sha256(text) != manifest.sha256 {
        faults.push(FileFault::Sha256);
    }
    if tally.bills != manifest.count {
        faults.push(FileFault::Count { expected: manifest.count, found: tally.bills });
    }
    if tally.octets != manifest.octets {
        faults.push(FileFault::Octets { expected: manifest.octets, found: tally.octets });
    }
    let mut gaps: Vec<Gap> = Vec::new();
    match (manifest.format, manifest.first_id, manifest.last_id) {
        (Format::Detail, Some(first), Some(last)) => match ids::span_gap(first, last, manifest.count) {
            Ok(gap) => gaps.extend(gap),
            Err(fault) => faults.push(fault),
        },
        (Format::Detail, None, None) => {}
        (Format::Detail, ..) => faults.push(FileFault::Ends),
        (Format::Csv | Format::Json, first, last) => {
            if (tally.ids.first(), tally.ids.last()) != (first, last) {
                faults.push(FileFault::Ends);
            }
            faults.extend(tally.ids.disorder().map(FileFault::Order));
            gaps.extend_from_slice(tally.ids.gaps());
        }
    }
    // A file holds the bills that were free when it was made; others between them were in other hands.
    let elsewhere = if faults.is_empty() { std::mem::take(&mut gaps) } else { Vec::new() };
    faults.extend(gaps.into_iter().map(FileFault::Gap));
    FileVerdict { bills: tally.bills, octets: tally.octets, faults, elsewhere }
}

/// What a store was found to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreVerdict {
    /// What recovery met.
    pub report: RecoveryReport,
    /// Bills in the pool.
    pub bills: u64,
    /// Their sums, both families in `in_octets` and `out_octets`.
    pub octets: Octets,
    /// Bills that are nowhere though later ones of the same engine start are known.
    pub gaps: Vec<Gap>,
    /// Where all bills are.
    pub proof: Proof,
}

impl StoreVerdict {
    /// Whether every record that was promised is there, and every bill that was numbered.
    pub fn is_sound(&self) -> bool {
        !self.report.is_damaged() && self.gaps.is_empty()
    }
}

/// Reads a copy of a store, segment by segment, as recovery would.
pub struct StoreCheck {
    recovery: Recovery<BillBook>,
}

impl Default for StoreCheck {
    fn default() -> StoreCheck {
        StoreCheck::new()
    }
}

impl StoreCheck {
    /// Nothing read yet.
    pub fn new() -> StoreCheck {
        StoreCheck { recovery: Recovery::new(BillBook::new()) }
    }

    /// Reads one segment, whole. Numbers only grow from call to call.
    pub fn segment(&mut self, number: u64, octets: &[u8]) {
        self.recovery.segment(number, octets);
    }

    /// All segments have been handed in.
    ///
    /// # Errors
    ///
    /// [`RecoveryError`]: this release cannot judge the store.
    pub fn finish(self) -> Result<StoreVerdict, RecoveryError> {
        self.finish_with(None)
    }

    /// The same, with the card beside the store. Without it, bills that the ledger says were moved there are taken to be there.
    ///
    /// # Errors
    ///
    /// [`RecoveryError`]: this release cannot judge the store.
    pub fn finish_with(self, card: Option<&CardFound>) -> Result<StoreVerdict, RecoveryError> {
        let (recovered, _) = self.recovery.finish()?;
        let book = recovered.state;
        let mut octets = Octets::default();
        for bill in book.pool().bills(0) {
            octets.in_octets = octets.in_octets.wrapping_add(bill.in_octets);
            octets.out_octets = octets.out_octets.wrapping_add(bill.out_octets);
        }
        let proof = prove(&book, card);
        let gaps = proof.gaps.clone();
        Ok(StoreVerdict { report: recovered.report, bills: book.pool().bill_count() as u64, octets, gaps, proof })
    }
}

#[cfg(test)]
mod tests;
