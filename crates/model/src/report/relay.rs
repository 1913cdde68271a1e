//! What relay clients have said, and what they were told.

use std::net::IpAddr;

/// All of it. Counters only grow, but for those that say so.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RelayReport {
    /// Each client that is configured.
    pub clients: Vec<RelayClientReport>,
    /// Datagrams from addresses that are no client's.
    pub unknown_client: u64,
    /// Messages that the system dropped as the receive buffer was full.
    pub overflow: u64,
    /// Requests that another worker, or the ledger, had no room for.
    pub crowded: u64,
}

/// One client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RelayClientReport {
    /// Its address.
    pub client: IpAddr,
    /// What was counted.
    pub counts: RelayCounts,
}

/// What was counted of one client.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RelayCounts {
    /// Sessions that are online; goes up and down.
    pub sessions: u64,
    /// Start requests that were believed, duplicates included, as all that follow.
    pub starts: u64,
    /// Interim-Update.
    pub interims: u64,
    /// Stop.
    pub stops: u64,
    /// Accounting-On.
    pub ons: u64,
    /// Accounting-Off.
    pub offs: u64,
    /// Status-Server.
    pub status_servers: u64,
    /// Responses that have left.
    pub responses: u64,
    /// Requests that wait for the ledger; goes up and down.
    pub waiting: u64,
    /// Requests that had come before, with the same identifier or another.
    pub duplicates: u64,
    /// Requests that tell less than one that had come before them.
    pub stale: u64,
    /// Sessions first heard of by something else than their Start.
    pub joined: u64,
    /// Sessions that ended because nothing was heard of them.
    pub silent: u64,
    /// Discarded: signed with another secret, or forged.
    pub bad_authenticators: u64,
    /// Discarded: no packet, of another code, or with attributes that are none.
    pub malformed: u64,
    /// Not answered: the domain is not configured.
    pub no_domain: u64,
    /// Not answered: there is no room for the session or the answer, or accounting is being shut down.
    pub no_room: u64,
    /// What became of Disconnect-Requests.
    pub disconnects: DisconnectCounts,
}

/// What became of Disconnect-Requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DisconnectCounts {
    /// Requests, each counted once.
    pub requests: u64,
    /// Sent once more.
    pub retransmissions: u64,
    /// Disconnect-ACK.
    pub acks: u64,
    /// Disconnect-NAK.
    pub naks: u64,
    /// Given up without an answer.
    pub timeouts: u64,
    /// Not sent: the client takes none.
    pub unsent: u64,
    /// Discarded answers: to no request, or not with our secret.
    pub bad_replies: u64,
    /// Wait for an answer or for a place; goes up and down.
    pub pending: u64,
}

impl RelayReport {
    /// Adds what another shard knows.
    pub fn add(&mut self, other: &RelayReport) {
        self.unknown_client += other.unknown_client;
        self.overflow += other.overflow;
        self.crowded += other.crowded;
        for row in &other.clients {
            match self.clients.iter_mut().find(|known| known.client == row.client) {
                Some(known) => known.counts.add(&row.counts),
                None => self.clients.push(*row),
            }
        }
    }
}

impl RelayCounts {
    fn add(&mut self, other: &RelayCounts) {
        self.sessions += other.sessions;
        self.starts += other.starts;
        self.interims += other.interims;
        self.stops += other.stops;
        self.ons += other.ons;
        self.offs += other.offs;
        self.status_servers += other.status_servers;
        self.responses += other.responses;
        self.waiting += other.waiting;
        self.duplicates += other.duplicates;
        self.stale += other.stale;
        self.joined += other.joined;
        self.silent += other.silent;
        self.bad_authenticators += other.bad_authenticators;
        self.malformed += other.malformed;
        self.no_domain += other.no_domain;
        self.no_room += other.no_room;
        let (sum, more) = (&mut self.disconnects, &other.disconnects);
        sum.requests += more.requests;
        sum.retransmissions += more.retransmissions;
        sum.acks += more.acks;
        sum.naks += more.naks;
        sum.timeouts += more.timeouts;
        sum.unsent += more.unsent;
        sum.bad_replies += more.bad_replies;
        sum.pending += more.pending;
    }
}
