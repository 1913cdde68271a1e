//! What the ledger found, in words for the operator.

use ledger::recover::{Case, Finding};
use ledger::verify::{FileFault, Gap};
use model::ids::BillId;

/// One case of recovery: its letter in the table of `ledger::recover`, where, and what it means.
pub(crate) fn finding(finding: &Finding) -> String {
    let meaning = match finding.case {
        Case::CleanEnd => "the log ends here, as it should",
        Case::TornTail => "the last batch was cut off before it was announced: nothing is lost",
        Case::Hole => "zeros stand where records were announced",
        Case::Damage => "records were damaged after they were announced",
        Case::Foreign => "the segment belongs to another store",
        Case::Missing => "a segment is missing",
        Case::Header => "one copy of the segment's header is damaged; the other one serves",
        Case::Again => {
            "the next segment begins with this batch again, as after every start and every disk fault; it is taken once"
        }
        Case::Unused => "the segment was made and never written",
        Case::Undecodable => "a record cannot be understood",
    };
    let place = format!(
        "case {}, segment {} at octet {} ({} octets)",
        finding.case.letter(),
        finding.segment,
        finding.offset,
        finding.len
    );
    match finding.records_lost {
        0 => format!("{place}: {meaning}"),
        lost => format!("{place}: {meaning}; {lost} records are lost"),
    }
}

/// What is wrong with a bill file.
pub(super) fn file_fault(fault: &FileFault) -> String {
    match fault {
        FileFault::Sha256 => "its octets are not those that the manifest was made for".to_owned(),
        FileFault::Malformed { line } => format!("line {line} is no bill"),
        FileFault::Count { expected, found } => format!("{found} bills, and the manifest says {expected}"),
        FileFault::Octets { expected, found } => format!(
            "{} octets in and {} out, and the manifest says {} and {}",
            found.in_octets, found.out_octets, expected.in_octets, expected.out_octets
        ),
        FileFault::Ends => "its first or last bill is not the manifest's".to_owned(),
        FileFault::Order(id) => format!("bill {} stands behind a later one, or twice", bill(*id)),
        FileFault::Gap(missing) => gap(missing),
    }
}

/// Bills whose ids lie between those of a file, and that went another way.
pub(super) fn elsewhere(count: u64) -> String {
    match count {
        0 => String::new(),
        count => format!("; {count} bills numbered between its own are not in it, and never were"),
    }
}

/// Bills that are missing.
pub(super) fn gap(gap: &Gap) -> String {
    format!("{} bills are missing from {} on", gap.count, bill(gap.first))
}

/// A bill's id without its box.
pub(crate) fn bill(id: BillId) -> String {
    format!("{}-{}", id.epoch, id.sequence)
}
