//! Files of bills on their way to the bill server: which bills go into the next one, what it is called, and how far it got.
//!
//! ```text
//!          a trigger             all bills read         durable                polled
//!   Idle ───────────▶ Gathering ───────────────▶ Announcing ──▶ Ready ──────────────────▶ Uploading
//!     ▲                                                           ▲                         │   │
//!     │                          as it was                        │                  failed │   │ delivered
//!     │       Remaking ───────────────────────────────────────────┘                         │   │
//!     │          ▲   └── not as it was: abandoned ──▶ Idle                                  │   ▼
//!     │          └────────────── back-off ends ──────────── Waiting ◀───────────────────────┘ Settling
//!     └────────────────────────────────── departure durable ────────────────────────────────────┘
//! ```
//!
//! One file of a store is on its way at a time; its bills are fixed by its `transfer-begun` record, and other bills
//! come and go meanwhile. The text of a file is in memory from its making to the outcome of the attempt, and made again
//! from the bills for the next one. A file that recovery finds begun starts in *Waiting*.
//!
//! **How much memory:** the text of one file and its manifest for each store, at most about 1.3 KiB for a bill.

mod name;

use std::fmt;
use std::net::Ipv4Addr;

use model::ids::BillId;
use model::record::{BillRun, BillRuns, BillStore};
use model::settings::AccountingMode;
use model::time::Wall;

pub use self::name::{FILE_SEQUENCE_MAX, file_name, manifest_name};
use crate::bill::{BillFile, Format};
use crate::pool::{BillRef, BillState, Hindrance};

/// How a file travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// RFC 1350.
    Tftp,
    /// SSH file transfer.
    Sftp,
}

/// A file to be put on the bill server: first the bills, then the manifest, each under exactly this name. A server that
/// has it already under the final name, of this size, has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upload {
    /// To be handed back with the outcome.
    pub number: u64,
    /// Whose bills.
    pub store: BillStore,
    /// How.
    pub protocol: Protocol,
    /// The file's name.
    pub name: String,
    /// Its octets.
    pub octets: Vec<u8>,
    /// The manifest's name.
    pub manifest_name: String,
    /// Its octets.
    pub manifest: Vec<u8>,
}

impl Upload {
    /// Both files, name and octets, in the order in which they go.
    pub fn files(&self) -> [(&str, &[u8]); 2] {
        [(&self.name, &self.octets), (&self.manifest_name, &self.manifest)]
    }
}

/// How an upload went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The server has the whole file and its manifest.
    Delivered,
    /// It does not, or it is not known.
    Failed(UploadFailure),
}

/// Why an upload failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UploadFailure {
    /// No bill server is configured, or not what the mode needs.
    NotConfigured,
    /// No connection, or none any more.
    Unreachable,
    /// The server does not answer in time.
    Timeout,
    /// The host key is not the one that is expected.
    HostKey,
    /// User, password or key are refused.
    LoginRefused,
    /// The server refuses the file.
    Refused,
    /// The server has no room.
    NoSpace,
    /// The server took the whole file and has less of it: it has no room, most often.
    Incomplete,
    /// The server does not show that it has the whole file.
    Unverified,
    /// The server has another file of that name.
    NameTaken,
    /// The server has a file of that name, and does not show what is in it: it may be an earlier try's.
    NameTakenUnseen,
    /// The server has the file, and another manifest of the manifest's name.
    ManifestTaken,
    /// The server breaks the protocol.
    Protocol,
}

impl fmt::Display for UploadFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            UploadFailure::NotConfigured => "not configured",
            UploadFailure::Unreachable => "unreachable",
            UploadFailure::Timeout => "timeout",
            UploadFailure::HostKey => "host key not accepted",
            UploadFailure::LoginRefused => "login refused",
            UploadFailure::Refused => "file refused",
            UploadFailure::NoSpace => "no space on server",
            UploadFailure::Incomplete => "not whole on server",
            UploadFailure::Unverified => "not verified",
            UploadFailure::NameTaken => "another file of that name",
            UploadFailure::NameTakenUnseen => "a file of that name that cannot be read",
            UploadFailure::ManifestTaken => "another manifest of that name",
            UploadFailure::Protocol => "protocol error",
        })
    }
}

/// What was asked for at one trigger: every bill that there was, in as many files as it takes.
#[derive(Clone, Debug)]
pub(crate) struct Job {
    /// What file names begin with.
    pub(crate) stem: String,
    /// The moment in them, seconds since 1970.
    pub(crate) stamp: u64,
    /// The number of the next file, from 1.
    pub(crate) sequence: u16,
    /// The newest bill that goes.
    pub(crate) through: BillId,
}

/// A file whose bills are being read, one after the other.
pub(crate) struct Gather {
    pub(crate) ids: Vec<BillId>,
    pub(crate) next: usize,
    pub(crate) is_reading: bool,
    pub(crate) file: BillFile,
    /// The sysname in it.
    pub(crate) nas: String,
}

impl Gather {
    pub(crate) fn new(ids: Vec<BillId>, format: Format, nas: &str) -> Gather {
        Gather { ids, next: 0, is_reading: false, file: BillFile::new(format, nas), nas: nas.to_owned() }
    }
}

/// A file on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Trip {
    pub(crate) number: u64,
    /// Nothing of it was ever sent before.
    pub(crate) is_first_try: bool,
    /// The sums of its bills: their store may be out of reach when the file has arrived.
    pub(crate) in_octets: u64,
    pub(crate) out_octets: u64,
}

/// A file that is made.
pub(crate) struct Made {
    pub(crate) trip: Trip,
    pub(crate) name: String,
    pub(crate) octets: Vec<u8>,
    pub(crate) manifest: Vec<u8>,
}

/// How far the file on its way is.
#[derive(Default)]
pub(crate) enum Stage {
    #[default]
    Idle,
    Gathering(Box<Gather>),
    Announcing(Made),
    Ready(Made),
    Uploading(Trip),
    Waiting(u64),
    Remaking(u64, Box<Gather>),
    Settling(u64),
}

/// The files of one store.
pub(crate) struct Shipping {
    pub(crate) store: BillStore,
    pub(crate) job: Option<Job>,
    pub(crate) stage: Stage,
    /// The server that the file on its way was sent to in this life, unless it surely has nothing of it.
    pub(crate) sent_to: Option<Ipv4Addr>,
}

/// Moments for file names, in seconds since 1970: no two jobs share one, even if the wall clock steps back.
#[derive(Debug, Default)]
pub(crate) struct Stamps(pub(crate) u64);

impl Stamps {
    pub(crate) fn fresh(&mut self, at: Wall) -> u64 {
        self.0 = (at.as_millis() / 1000).max(self.0 + 1);
        self.0
    }
}

impl Shipping {
    pub(crate) fn new(store: BillStore) -> Shipping {
        Shipping { store, job: None, stage: Stage::Idle, sent_to: None }
    }

    /// Begins a job, or extends the one under way to the bills there are now.
    pub(crate) fn begin(&mut self, stem: &str, through: BillId, stamp: impl FnOnce() -> u64) {
        match &mut self.job {
            Some(job) if job.stem == stem => job.through = job.through.max(through),
            _ => self.job = Some(Job { stem: stem.to_owned(), stamp: stamp(), sequence: 1, through }),
        }
    }
}

/// The bills of the next file, in age order: at most `len_max`, in as many runs as a record names, all of one method. `true` with
/// those that no detail entry can be made of, which go into files of their own; HWTACACS has none of any (owner's decision 9).
pub(crate) fn choose<'a>(
    bills: impl Iterator<Item = &'a BillRef>,
    through: BillId,
    len_max: usize,
) -> (Vec<BillId>, bool) {
    let mut ids: Vec<BillId> = Vec::new();
    let mut runs = 0;
    let mut own_kind = (AccountingMode::Radius, Hindrance::None);
    let free = |bill: &&BillRef| bill.state == BillState::Free && !bill.is_leaving && !bill.hindrance.is_unread();
    for bill in bills.take_while(|bill| bill.id <= through).filter(free) {
        if ids.is_empty() {
            own_kind = (bill.method, bill.hindrance);
        } else if (bill.method, bill.hindrance) != own_kind {
            continue;
        }
        let follows =
            ids.last().is_some_and(|last| last.epoch == bill.id.epoch && last.sequence + 1 == bill.id.sequence);
        runs += usize::from(!follows);
        if runs > BillRuns::RUN_COUNT_MAX {
            break;
        }
        ids.push(bill.id);
        if ids.len() == len_max {
            break;
        }
    }
    (ids, matches!(own_kind, (AccountingMode::Hwtacacs, _) | (_, Hindrance::NoPacket)))
}

/// Ascending ids as runs, in the octets of a record, at most as many runs as one record names; and how many ids that took.
pub(crate) fn runs_of(ids: &[BillId]) -> (Vec<u8>, usize) {
    let mut octets = Vec::new();
    let mut rest = ids;
    while let Some(first) = rest.first()
        && octets.len() < BillRuns::RUN_COUNT_MAX * BillRuns::RUN_LEN
    {
        let follows = |(offset, id): &(u64, &BillId)| id.epoch == first.epoch && id.sequence == first.sequence + offset;
        let count = (0..).zip(rest).take_while(follows).count();
        BillRun { first: *first, count: u32::try_from(count).expect("a store has fewer than 2^32 bills") }
            .push_to(&mut octets);
        rest = &rest[count..];
    }
    (octets, ids.len() - rest.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(sequence: u64) -> BillId {
        BillId { epoch: 1, sequence }
    }

    #[test]
    fn ids_become_runs_as_far_as_a_record_goes() {
        let (octets, taken) = runs_of(&[id(1), id(2), id(5), BillId { epoch: 2, sequence: 6 }]);
        let runs: Vec<(u64, u32)> =
            BillRuns::from_octets(&octets).expect("runs").iter().map(|run| (run.first.sequence, run.count)).collect();
        assert_eq!((runs, taken), (vec![(1, 2), (5, 1), (6, 1)], 4));
        let scattered: Vec<BillId> = (1..=250).map(|number| id(2 * number)).collect();
        assert_eq!(runs_of(&scattered).1, BillRuns::RUN_COUNT_MAX);
    }

    #[test]
    fn no_two_jobs_have_the_same_moment() {
        let mut stamps = Stamps::default();
        let given = [5_000, 5_900, 4_000, 9_000].map(|at| stamps.fresh(Wall::from_millis(at)));
        assert_eq!(given, [5, 6, 7, 9]);
    }
}
