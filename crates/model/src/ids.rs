//! Names of planes, sessions and bills.

/// A linked packet plane, numbered by the daemon as it first links; meaningless after a restart, where the
/// plane's own name counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PlaneIndex(pub u16);

/// A session's name for life, and over every restart: the engine start it was born in, and a sequence number
/// that is unique in that start. Acct-Session-Id is printed from it (BEHAVIOUR.md 8.2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionSerial {
    /// Engine starts counted on the state directory, 1–16,777,215 (six hex digits).
    pub epoch: u32,
    /// 0–62⁶ − 1 (six Base62 digits).
    pub sequence: u64,
}

/// A bill's name: `nas-epoch-sequence` with the sysname in front. Dense within an epoch, so that a gap is a lost bill.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BillId {
    /// The engine start that made the bill.
    pub epoch: u32,
    /// From 1, without gaps.
    pub sequence: u64,
}

/// The longest session name that a plane may use, in octets.
pub const PLANE_SESSION_MAX: usize = 64;

/// The longest name that a packet plane may give itself, in octets.
pub const PLANE_NAME_MAX: usize = 32;

/// The longest name of a plane in the ledger, in octets: a relay client is one too, see [`RELAY_PLANE`].
pub const PLANE_RECORD_NAME_MAX: usize = 48;

/// What the names of planes begin with that are relay clients, before their addresses. No packet plane has a name with a space
/// in it.
pub const RELAY_PLANE: &str = "relay ";
