//! What authorization servers have asked for (after RFC 4672 and RFC 4673).

use crate::settings::AuthorizationPath;

/// All of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuthorizationReport {
    /// Each that is configured, or was.
    pub servers: Vec<AuthorizationServerReport>,
    /// Datagrams from addresses that are no server's.
    pub unknown_server: u64,
}

/// One server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AuthorizationServerReport {
    /// Which.
    pub server: AuthorizationPath,
    /// Disconnect-Requests.
    pub disconnect: DynamicCounts,
    /// CoA-Requests.
    pub coa: DynamicCounts,
    /// Datagrams that are no packet, or of another code.
    pub malformed: u64,
}

/// What became of one kind of request. Counters only grow, but for `pending`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DynamicCounts {
    /// Received, whatever became of them.
    pub requests: u64,
    /// Of these, those that had been received before.
    pub duplicates: u64,
    /// Answered with yes, duplicates not counted.
    pub acks: u64,
    /// Answered with no, duplicates not counted.
    pub naks: u64,
    /// Discarded: signed with another secret, or forged.
    pub bad_authenticators: u64,
    /// Discarded: sent to another address or port than the server may speak to.
    pub wrong_destination: u64,
    /// Discarded: their Event-Timestamp is out of the window.
    pub stale: u64,
    /// Wait for the ledger.
    pub pending: u64,
}
