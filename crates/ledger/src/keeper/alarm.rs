//! What an operator must hear of, in the words of BEHAVIOUR.md section 9.

use std::fmt;
use std::net::Ipv4Addr;

use model::ids::BillId;
use model::record::BillStore;

use super::Area;
use crate::log::DiskFault;
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
    /// A store has reached its threshold and does not get rid of its bills. Told once per crossing.
    ReachThreshold {
        /// Which.
        store: BillStore,
        /// Bills that still find room.
        bills_free: u64,
        /// Bills that would find room at the threshold.
        threshold_free: u64,
    },
    /// Bills found no room anywhere.
    BillDropped {
        /// Where they should have gone.
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
    /// A file that had been begun cannot be made again as it was; its bills go into other files as `delivered: unknown`.
    TransferAbandoned {
        /// Whose bills.
        store: BillStore,
        /// Its name.
        file: String,
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
                };
                write!(f, "the CF card cannot be used: {why}; bills stay in the pool")
            }
            Alarm::CardHealed => f.write_str("the CF card can be used again"),
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
            Alarm::TransferAbandoned { store, file } => {
                write!(f, "file {file} cannot be made again as it was; its bills ({}) are free again", store.as_str())
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
