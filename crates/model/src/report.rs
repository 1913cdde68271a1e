//! The rows of every display. The engine and the ledger fill them, `vrp` prints them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::counters::Counters;
use crate::ids::SessionSerial;
use crate::settings::ServerPath;
use crate::time::Wall;

mod authorization;
mod commits;
mod lateness;
mod relay;
mod sources;
mod story;
mod survey;

pub use authorization::{AuthorizationReport, AuthorizationServerReport, DynamicCounts};
pub use commits::{CommitRecord, TrialReport};
pub use lateness::Lateness;
pub use relay::{DisconnectCounts, RelayClientReport, RelayCounts, RelayReport};
pub use sources::SourceReport;
pub use story::{SessionStory, StorySource, StoryStep};
pub use survey::SurveyReport;

/// Which subscribers an operator means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UserSelector {
    /// The session of this name for life.
    UserId(SessionSerial),
    /// All with this User-Name, octet for octet.
    UserName(String),
    /// All that have this address, or a prefix with it inside.
    Address(IpAddr),
    /// The one with this Acct-Session-Id.
    SessionId(String),
}

/// One row of `display access-user`, and all of `display access-user session-id X`.
#[derive(Clone, Debug, PartialEq)]
pub struct AccessUser {
    /// The session's name for life.
    pub serial: SessionSerial,
    /// Acct-Session-Id.
    pub session_id: String,
    /// User-Name.
    pub user: String,
    /// The domain.
    pub domain: String,
    /// The plane, and its own name of the session.
    pub plane: String,
    /// The plane's own name of the session.
    pub plane_session: String,
    /// Framed-IP-Address.
    pub framed_ip: Option<Ipv4Addr>,
    /// MAC address.
    pub mac: Option<[u8; 6]>,
    /// Where the session's accounting stands.
    pub state: AccountingState,
    /// The group it reports to.
    pub group: String,
    /// When it came up.
    pub opened: Wall,
    /// Seconds since then.
    pub session_time_s: u64,
    /// The interim interval in force, seconds; 0: none.
    pub interim_s: u32,
    /// Seconds until the next interim is due.
    pub next_interim_s: Option<u64>,
    /// Consecutive interim failures, 0–256.
    pub interim_failures: u16,
    /// What it has counted, as last read.
    pub counters: Counters,
}

/// Where a session's accounting stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccountingState {
    /// Its `opened` record is on the way to the disk.
    Opening,
    /// Its Start is due or out.
    Starting,
    /// Accounting runs.
    Accounting,
    /// Its Start failed and it stays online without accounting.
    StartFailed,
    /// The scheme does no accounting.
    NotAccounted,
    /// It is down, and its Stop is due or out.
    Stopping,
    /// It is down, and its Stop waits to be tried again.
    Parked,
    /// It is over, and the last record is on the way to the disk.
    Ending,
}

impl AccountingState {
    /// All of them.
    pub const ALL: [AccountingState; 8] = [
        AccountingState::Opening,
        AccountingState::Starting,
        AccountingState::Accounting,
        AccountingState::StartFailed,
        AccountingState::NotAccounted,
        AccountingState::Stopping,
        AccountingState::Parked,
        AccountingState::Ending,
    ];

    /// The word in displays.
    pub const fn as_str(self) -> &'static str {
        match self {
            AccountingState::Opening => "Opening",
            AccountingState::Starting => "Starting",
            AccountingState::Accounting => "Accounting",
            AccountingState::StartFailed => "Start-failed",
            AccountingState::NotAccounted => "No accounting",
            AccountingState::Stopping => "Stopping",
            AccountingState::Parked => "Parked",
            AccountingState::Ending => "Ending",
        }
    }
}

/// `display local-bill information` (BEHAVIOUR.md 7.7).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LocalBillInformation {
    /// The pool.
    pub cache: BillStoreInformation,
    /// The CF card.
    pub cfcard: BillStoreInformation,
    /// Whether a transfer holds the pool.
    pub is_locked: bool,
    /// Given-up Stops that wait for a pool.
    pub unbilled: u64,
    /// Octets, both directions, that no bill accounts for: those of the unbilled and the dropped.
    pub octets_unaccounted: u64,
    /// The ledger's disk.
    pub disk: LedgerDisk,
}

/// The ledger's disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LedgerDisk {
    /// It fails; records wait in memory.
    pub is_failing: bool,
    /// Segments of the log.
    pub segments: u64,
    /// Octets that they take.
    pub octets: u64,
}

/// How full a store of bills is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BillStoreInformation {
    /// Bills in it.
    pub bills: u64,
    /// Its capacity.
    pub capacity: u64,
    /// The alarm threshold in per cent.
    pub alarm_threshold_percent: u8,
}

/// One bill of `display local-bill cache` (BEHAVIOUR.md 7.6).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LocalBill {
    /// Its number in the pool, from 0, oldest first.
    pub number: u64,
    /// Acct-Session-Id.
    pub session_id: String,
    /// User-Name.
    pub user: String,
    /// When the session came up.
    pub start: Wall,
    /// When it went down.
    pub stop: Wall,
    /// Acct-Session-Time, seconds.
    pub session_time_s: u32,
    /// Framed-IP-Address.
    pub framed_ip: Option<Ipv4Addr>,
    /// MAC address.
    pub mac: Option<[u8; 6]>,
    /// Framed-IPv6-Address, or the first address of the prefix.
    pub ipv6: Option<Ipv6Addr>,
    /// How the subscriber was authenticated; empty when unknown.
    pub auth_type: String,
    /// How it reached the box; empty when unknown.
    pub access_type: String,
    /// NAS-Port-Id; empty when unknown.
    pub interface: String,
    /// Outer and inner VLAN, as far as NAS-Port-Id tells.
    pub vlans: (Option<u16>, Option<u16>),
    /// Acct-Terminate-Cause.
    pub cause: u8,
    /// What it counted.
    pub counters: Counters,
}

/// What waits in a group of RADIUS servers, and how fast that changes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GroupReport {
    /// The group.
    pub name: String,
    /// Starts that wait for a place on a server.
    pub starts: u64,
    /// Stops that have not been tried.
    pub stops: u64,
    /// Stops that have failed before, and bills that are sent once more.
    pub parked: u64,
    /// Interims.
    pub interims: u64,
    /// Stops in the queue that are not tried again yet.
    pub resting: u64,
    /// Users whose copy waits for a place on a server; not part of the backlog.
    pub copies: u64,
    /// Packets that became due in the last [`GroupReport::SECONDS`].
    pub came: u64,
    /// Packets that were acknowledged in them.
    pub went: u64,
}

impl GroupReport {
    /// What came and went is counted over the last so many full seconds: long enough that a burst is not taken for the rule, and
    /// short enough that the first answers after an outage tell something.
    pub const SECONDS: u64 = 5;

    /// Packets that wait.
    pub fn backlog(&self) -> u64 {
        self.starts + self.stops + self.parked + self.interims + self.resting
    }

    /// In how many seconds nothing will wait any more, if it goes on like this; `None`: the backlog does not shrink.
    pub fn empty_in_s(&self) -> Option<u64> {
        match self.went.checked_sub(self.came) {
            _ if self.backlog() == 0 => Some(0),
            None | Some(0) => None,
            Some(shrinks) => Some((self.backlog() * GroupReport::SECONDS).div_ceil(shrinks)),
        }
    }

    /// Adds what another shard says of the same group.
    pub fn add(&mut self, other: &GroupReport) {
        self.starts += other.starts;
        self.stops += other.stops;
        self.parked += other.parked;
        self.interims += other.interims;
        self.resting += other.resting;
        self.copies += other.copies;
        self.came += other.came;
        self.went += other.went;
    }
}

/// What one shard has counted of one accounting server (after RFC 4670). Counters only grow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServerReport {
    /// The server, and the way to it.
    pub path: ServerPath,
    /// Whether it is taken for alive, and can be spoken to.
    pub up: bool,
    /// Requests now waiting for a reply.
    pub pending: u64,
    /// Requests that may wait at once.
    pub window: u64,
    /// First transmissions, by kind.
    pub starts: u64,
    /// First transmissions of interims.
    pub interims: u64,
    /// First transmissions of Stops.
    pub stops: u64,
    /// Transmissions after the first.
    pub retransmissions: u64,
    /// Verified replies that ended a request.
    pub responses: u64,
    /// Waits for a reply that ran out.
    pub timeouts: u64,
    /// Times that no identifier was free.
    pub identifiers_exhausted: u64,
    /// Replies that said the record was not taken (HWTACACS: ERROR or FOLLOW).
    pub refusals: u64,
    /// Times that `pending-limit` held work back.
    pub pending_limit_blocks: u64,
    /// Times that `speed-limit` held work back.
    pub speed_limit_blocks: u64,
    /// Times that its source ports could not be had, for want of an interface or an address.
    pub no_source_ip_blocks: u64,
    /// Probes of `state-recovery-detect`, while it was Down.
    pub probes: u64,
    /// Verified replies to them.
    pub probe_responses: u64,
    /// Mean of the last round trips, nanoseconds.
    pub round_trip_ns: u64,
}

impl ServerReport {
    /// Of a server that is up and of which nothing has been counted.
    pub const fn new(path: ServerPath) -> ServerReport {
        ServerReport {
            path,
            up: true,
            pending: 0,
            window: 0,
            starts: 0,
            interims: 0,
            stops: 0,
            retransmissions: 0,
            responses: 0,
            timeouts: 0,
            identifiers_exhausted: 0,
            refusals: 0,
            pending_limit_blocks: 0,
            speed_limit_blocks: 0,
            no_source_ip_blocks: 0,
            probes: 0,
            probe_responses: 0,
            round_trip_ns: 0,
        }
    }

    /// Adds what another shard, or another way to the same server, has counted. It is up where one of both hears it.
    pub fn add(&mut self, other: &ServerReport) {
        self.round_trip_ns = self.mean_round_trip_with(other);
        self.up |= other.up;
        self.pending += other.pending;
        self.window += other.window;
        self.starts += other.starts;
        self.interims += other.interims;
        self.stops += other.stops;
        self.retransmissions += other.retransmissions;
        self.responses += other.responses;
        self.timeouts += other.timeouts;
        self.identifiers_exhausted += other.identifiers_exhausted;
        self.refusals += other.refusals;
        self.pending_limit_blocks += other.pending_limit_blocks;
        self.speed_limit_blocks += other.speed_limit_blocks;
        self.no_source_ip_blocks += other.no_source_ip_blocks;
        self.probes += other.probes;
        self.probe_responses += other.probe_responses;
    }

    /// What has been counted since `earlier`; what is so of now stays. All of it, when the server was counted anew meanwhile.
    #[must_use]
    pub fn since(&self, earlier: &ServerReport) -> ServerReport {
        self.checked_since(earlier).unwrap_or(*self)
    }

    fn checked_since(&self, earlier: &ServerReport) -> Option<ServerReport> {
        let ServerReport { path, up, pending, window, round_trip_ns, .. } = *self;
        Some(ServerReport {
            path,
            up,
            pending,
            window,
            starts: self.starts.checked_sub(earlier.starts)?,
            interims: self.interims.checked_sub(earlier.interims)?,
            stops: self.stops.checked_sub(earlier.stops)?,
            retransmissions: self.retransmissions.checked_sub(earlier.retransmissions)?,
            responses: self.responses.checked_sub(earlier.responses)?,
            timeouts: self.timeouts.checked_sub(earlier.timeouts)?,
            identifiers_exhausted: self.identifiers_exhausted.checked_sub(earlier.identifiers_exhausted)?,
            refusals: self.refusals.checked_sub(earlier.refusals)?,
            pending_limit_blocks: self.pending_limit_blocks.checked_sub(earlier.pending_limit_blocks)?,
            speed_limit_blocks: self.speed_limit_blocks.checked_sub(earlier.speed_limit_blocks)?,
            no_source_ip_blocks: self.no_source_ip_blocks.checked_sub(earlier.no_source_ip_blocks)?,
            probes: self.probes.checked_sub(earlier.probes)?,
            probe_responses: self.probe_responses.checked_sub(earlier.probe_responses)?,
            round_trip_ns,
        })
    }

    /// Each mean weighs as much as its replies.
    fn mean_round_trip_with(&self, other: &ServerReport) -> u64 {
        let weighed = |report: &ServerReport| u128::from(report.round_trip_ns) * u128::from(report.responses);
        let responses = u128::from(self.responses) + u128::from(other.responses);
        let mean = (weighed(self) + weighed(other)).checked_div(responses).unwrap_or(0);
        u64::try_from(mean).unwrap_or(u64::MAX)
    }
}

/// Which Stops of the queue an operator means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueSelector {
    /// Those of HWTACACS templates; else those of RADIUS groups.
    pub hwtacacs: bool,
    /// Those that this server was asked last; `None`: all.
    pub server: Option<IpAddr>,
}

/// A Stop that waits to be tried again (BEHAVIOUR.md 5.5, 6.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueuedStop {
    /// The HWTACACS template that its session reports to; `None`: a RADIUS group.
    pub template: Option<String>,
    /// When the session ended.
    pub closed: Wall,
    /// Transactions after the first that it has had.
    pub resend_times: u16,
    /// Acct-Session-Time, seconds.
    pub session_time_s: u32,
    /// User-Name.
    pub user: String,
    /// The server that was asked last.
    pub server: Option<SocketAddr>,
}

/// Datagrams that changed nothing, by name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Discards {
    /// Shorter than 20 octets, or than its own length field says.
    pub truncated: u64,
    /// Longer than 4,096 octets.
    pub oversized: u64,
    /// A malformed attribute or an impossible length field.
    pub malformed: u64,
    /// Not an Accounting-Response.
    pub unexpected_code: u64,
    /// From an address that is no server's.
    pub wrong_address: u64,
    /// No request waits under this identifier on this port.
    pub unknown_identifier: u64,
    /// The Response Authenticator (or Message-Authenticator) is wrong.
    pub bad_authenticator: u64,
}

impl Discards {
    /// Adds what another shard has seen.
    pub fn add(&mut self, other: &Discards) {
        self.truncated += other.truncated;
        self.oversized += other.oversized;
        self.malformed += other.malformed;
        self.unexpected_code += other.unexpected_code;
        self.wrong_address += other.wrong_address;
        self.unknown_identifier += other.unknown_identifier;
        self.bad_authenticator += other.bad_authenticator;
    }
}

/// What one shard knows of itself.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ShardReport {
    /// Session slots in use.
    pub sessions: u64,
    /// Session slots.
    pub session_capacity: u64,
    /// Stops not acknowledged, parked ones included.
    pub stops_unacknowledged: u64,
    /// Stops in the queue, which are among them.
    pub stops_queued: u64,
    /// Stops that were thrown out of the queue to make room.
    pub stops_dropped: u64,
    /// Bills made since the start.
    pub bills_made: u64,
    /// Up events refused.
    pub refused: u64,
    /// Sessions logged out by a policy.
    pub cut: u64,
    /// Users that a policy would have cut, were it not `shadow`.
    pub would_cut: u64,
    /// Log-ins that a policy would have refused, were it not `shadow`.
    pub would_refuse: u64,
    /// Users whose accounting is not copied any more, because no copy server answered.
    pub copies_given_up: u64,
    /// Times that the brake held a cut.
    pub cuts_held: u64,
    /// Whether the brake holds cuts now.
    pub brake_holds: bool,
    /// Sessions that were cut and had to be ended without the plane's Down.
    pub cuts_unanswered: u64,
    /// Times that a session's counters fell without a new generation.
    pub counter_regressions: u64,
    /// Per server.
    pub servers: Vec<ServerReport>,
    /// What waits in each group.
    pub groups: Vec<GroupReport>,
    /// Datagrams that changed nothing.
    pub discards: Discards,
    /// How late interims have left.
    pub lateness: Lateness,
}
