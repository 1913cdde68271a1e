//! What an operator must hear of, in the words of BEHAVIOUR.md section 9.

use std::fmt;
use std::net::Ipv4Addr;

use model::ids::BillId;
use model::record::BillStore;

use super::Area;
use crate::log::DiskFault;
use crate::recover::Finding;
use crate::transfer::UploadFailure;

/// Why the card cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CardFault {
    /// Its directory cannot be read or written.
    Disk(DiskFault),
    /// Another release has written to it.
    OtherRelease,
    /// It belongs to another box.
    Foreign,
    /// Bills were moved to it, and what is found in its place is blank: it is not mounted, or this is another one. A reset
    /// gives those bills up.
    Missing,
}

/// Why a file that had been begun is not sent any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Abandonment {
    /// At the first try its name was another file's: nothing of it was sent.
    NameTaken,
    /// Its name, or its manifest's, was found to be another file's when it had been sent before.
    NameTakenLater,
    /// It cannot be made again as it was.
    Unlike,
    /// There is no bill server any more, and its bills go another way.
    NoServer,
    /// It was sent to a server that is not the bill server any more.
    OtherServer,
}

impl Abandonment {
    /// Whether the bill server, or who emptied it, may have the file.
    pub fn may_be_there(self) -> bool {
        match self {
            Abandonment::NameTaken => false,
            Abandonment::NameTakenLater | Abandonment::Unlike | Abandonment::NoServer | Abandonment::OtherServer => {
                true
            }
        }
    }
}

impl fmt::Display for Abandonment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Abandonment::NameTaken => "was not sent, for another file has its name",
            Abandonment::NameTakenLater => "was sent before, and another file has its name or its manifest's",
            Abandonment::Unlike => "cannot be made again as it was",
            Abandonment::NoServer => "has no bill server to go to any more",
            Abandonment::OtherServer => "was sent to a server that is not the bill server any more",
        })
    }
}

/// Something that an operator must hear of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Alarm {
    /// The ledger's disk fails; records wait in memory.
    DiskFailing {
        /// The segment that was asked for or is abandoned.
        segment: u64,
        /// What is wrong.
        fault: DiskFault,
    },
    /// The ledger's disk works again; nothing was lost.
    DiskHealed,
    /// The card cannot be used; bills stay in the pool. Told once until it can be used again.
    CardFailing(CardFault),
    /// The card can be used again.
    CardHealed,
    /// Records on the card are not what was written, or are gone. What can be read is kept. Told once, and again when there is
    /// more of it.
    CardDamaged {
        /// How many places.
        findings: usize,
        /// Records that were promised and are gone, as far as can be known.
        records_lost: u64,
        /// The first place.
        first: Finding,
    },
    /// A store has reached its threshold and does not get rid of its bills. Told once per crossing.
    ReachThreshold {
        /// Which.
        store: BillStore,
        /// Bills that still find room.
        bills_free: u64,
        /// Bills that would find room at the threshold.
        threshold_free: u64,
    },
    /// Bills found no room anywhere, or their store does not bring them any more.
    BillDropped {
        /// Where they were, or should have gone.
        store: BillStore,
        /// How many since the store was made.
        dropped: u64,
    },
    /// A file did not get to the bill server. Told once per outage, whatever fails meanwhile.
    TransferFail {
        /// Whose bills.
        store: BillStore,
        /// The bill server; `None`: none is configured.
        server: Option<Ipv4Addr>,
        /// What is wrong.
        reason: UploadFailure,
    },
    /// The bill server takes files again.
    TransferHealed,
    /// A file that had been begun is not sent any more; its bills go into other files, as `delivered: unknown` if the server
    /// may have it.
    TransferAbandoned {
        /// Whose bills.
        store: BillStore,
        /// Its name.
        file: String,
        /// Why.
        why: Abandonment,
    },
    /// A bill's record cannot be read. Its segment is kept aside when it goes.
    BillUnreadable {
        /// Where.
        area: Area,
        /// Which.
        id: BillId,
    },
}

impl fmt::Display for Alarm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Alarm::DiskFailing { segment, fault } => {
                write!(f, "the ledger's disk fails ({fault:?}, segment {segment}); records wait in memory")
            }
            Alarm::DiskHealed => f.write_str("the ledger's disk works again; nothing was lost"),
            Alarm::CardFailing(fault) => {
                let why = match fault {
                    CardFault::Disk(DiskFault::NoSpace) => "no space is left on it",
                    CardFault::Disk(DiskFault::Io) => "it cannot be read or written",
                    CardFault::OtherRelease => "another release of this program has written to it",
                    CardFault::Foreign => "it belongs to another box",
                    CardFault::Missing => {
                        "the bills that were moved to it are not there (is it mounted? `local-bill cfcard reset` gives them up)"
                    }
                };
                write!(f, "the CF card cannot be used: {why}; bills stay in the pool")
            }
            Alarm::CardHealed => f.write_str("the CF card can be used again"),
            Alarm::CardDamaged { findings, records_lost, first } => {
                let Finding { case, segment, offset, .. } = first;
                write!(
                    f,
                    "the CF card is damaged in {findings} places, the first one in segment {segment} at octet {offset} \
                     (case {}); {records_lost} records are lost",
                    case.letter()
                )
            }
            Alarm::ReachThreshold { store, bills_free, threshold_free } => {
                let (name, text) = match store {
                    BillStore::Cache => ("hwCacheReachThreshold", "Pool bill is out of threshold."),
                    BillStore::Cfcard => ("hwCfcardReachThreshold", "CF card bill is out of threshold."),
                };
                write!(f, "BRASAAA/4/{name} {text} (BillFree={bills_free},BillThreshold={threshold_free})")
            }
            Alarm::BillDropped { store, dropped } => {
                write!(f, "BRASAAA/4/hwBillDropped (Store={}, Dropped={dropped})", store.as_str())
            }
            Alarm::TransferFail { store, server, reason } => {
                let store = store.as_str();
                match server {
                    Some(server) => {
                        write!(f, "BRASAAA/4/hwBillTransferFail (Store={store}, Server={server}, Reason={reason})")
                    }
                    None => write!(f, "BRASAAA/4/hwBillTransferFail (Store={store}, Server=-, Reason={reason})"),
                }
            }
            Alarm::TransferHealed => f.write_str("the bill server takes files again"),
            Alarm::TransferAbandoned { store, file, why } => {
                write!(f, "file {file} {why}; its bills ({}) are free again", store.as_str())?;
                if why.may_be_there() { f.write_str(" as delivered: unknown") } else { Ok(()) }
            }
            Alarm::BillUnreadable { area, id } => {
                let area = match area {
                    Area::Ledger => "the ledger",
                    Area::Card => "the CF card",
                };
                write!(f, "bill {}-{} cannot be read on {area}", id.epoch, id.sequence)
            }
        }
    }
}
