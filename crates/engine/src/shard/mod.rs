//! The shard: every session of one core, from its Up to its last record.

mod announcing;
mod attempts;
mod authorize;
mod checkpoint;
mod configure;
mod copying;
mod counting;
mod cut;
mod deadlines;
mod delay;
mod gathering;
mod history;
mod intake;
mod life;
mod lookup;
mod missing;
mod paths;
mod planes;
mod probing;
mod queue;
mod quota;
mod records;
mod relaying;
mod replay;
mod replies;
mod reporting;
mod restore;
mod sampling;
mod stayed;
mod story;
mod streams;
mod survey;
mod timing;
mod transmit;
mod verdicts;
mod watching;

use std::collections::VecDeque;

use hashbrown::HashMap;
use model::counters::Counters;
use model::ids::SessionSerial;
use model::report::{Discards, Lateness};
use model::settings::{AccountingMode, RadiusHealth, ServerPath};
use model::time::{Mono, Now, Wall};

pub use announcing::Ceasing;
pub use configure::TACACS_CONNECTIONS;
pub(crate) use intake::NAS_REQUEST;
pub use relaying::{Disconnected, NasGone, NotTaken, RelayRules, Report, Reported, Taken};
pub use replies::Received;
pub use restore::{NoSlot, RESTORE_BATCH, Restored};
pub use streams::{StreamEnd, StreamOrder};
pub use survey::{Found, Search, Searched, Survey};
pub use transmit::{BATCH_MAX, Transmit, TransmitBatch};

use wire::tacacs::ReplyError;

use crate::annex::Annex;
use crate::authenticators::Authenticators;
use crate::blob::ATTRIBUTES_MAX;
use crate::brake::Brake;
use crate::contract::Contracts;
use crate::copies::Copies;
use crate::group::Group;
use crate::health::{News, Rules};
use crate::identity::Key;
use crate::journal::{self, Journal};
use crate::line::Line;
use crate::memory::Memory;
use crate::relayed::RelayedSessions;
use crate::request::Requests;
use crate::run::Run;
use crate::sequence::Links;
use crate::server::{PortId, Server};
use crate::session::{Account, Beginning, Flags, Lane, Session, Slot};
use crate::table::Table;
use crate::wheel::Wheel;
use announcing::Announcing;
use authorize::Orders;
use checkpoint::Checkpoints;
use gathering::Gathering;
use history::Share;
use lookup::Lookup;
use planes::Planes;
use probing::Probing;
pub(crate) use queue::REST_COUNT;
use queue::StopQueue;
use records::Awaited;
use replay::ReplayedRun;
use sampling::Sampling;
use stayed::Stayed;
use verdicts::Refusals;

/// How much a shard can hold; taken at start, never more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Sessions, those whose Stop is not acknowledged included.
    pub sessions: usize,
    /// Requests that are out at once, over all servers.
    pub requests: u32,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { sessions: 1 << 20, requests: 4096 }
    }
}

/// Who this shard is in this life of the engine.
#[derive(Clone, Copy)]
pub struct Birth {
    /// The engine start, durable before anything uses it.
    pub epoch: u32,
    /// The key behind session ids and phases, the same in every life.
    pub key: [u8; 16],
    /// When the engine started.
    pub started: Wall,
    /// Which of the shards.
    pub shard: u16,
    /// How many shards there are.
    pub shard_count: u16,
    /// The hash of a plane's own name of a session that gives the session to its shard: the remainder after division by
    /// the number of shards. The same in every life.
    pub session_hash: fn(&[u8]) -> u64,
}

/// The event cannot be taken now; leave it where it is and come again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Busy;

/// Something that an operator may want to read in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notice {
    /// A server did not answer for too long, or answers again (BEHAVIOUR.md 5.2): each told once, in turn. The other shards
    /// are to be told as well, see [`Shard::handle_server_news`].
    Server(ServerPath, News),
    /// An HWTACACS server said something that is no reply to it, or not with our key. Its connection was closed.
    BadReply {
        /// The server.
        server: ServerPath,
        /// What is wrong with it.
        error: ReplyError,
    },
    /// Real-time accounting of a session has failed; the policy keeps the subscriber online.
    InterimFailed(SessionSerial),
    /// No group leads to this path any more: nobody is told of its life and death from now on.
    PathLeft(ServerPath),
    /// `offline` would have cut this session; `shadow` keeps it.
    WouldCut(SessionSerial),
    /// `offline` would have refused this session; `shadow` keeps it.
    WouldRefuse(SessionSerial),
    /// The brake begins to hold cuts.
    BrakeHolds {
        /// Subscribers of the shard that are online.
        online: u64,
    },
    /// The brake has held nobody for its time.
    BrakeReleased {
        /// Times that it held a cut since the start of the engine.
        held: u64,
    },
    /// The queue of Stops is filled as far as the operator wants to hear of.
    QueueFills {
        /// Users in the shard's share of it.
        users: u32,
        /// As many as it takes.
        most: u32,
    },
    /// It is as empty again.
    QueueDrains {
        /// Users in the shard's share of it.
        users: u32,
        /// As many as it takes.
        most: u32,
    },
    /// This shard has no Stops of an earlier boot that go before Starts. The first shard is to be told, see
    /// [`Shard::handle_old_stops_gone`].
    OldStopsGone,
    /// Starts may go to this server: it was told that accounting begins. The other shards are to be told as well, see
    /// [`Shard::handle_starts_may_go`].
    StartsMayGo(ServerPath),
    /// A server was told that accounting begins, or has ceased.
    Announced {
        /// The server.
        server: ServerPath,
        /// Accounting-Off.
        is_off: bool,
        /// It has answered.
        is_answered: bool,
    },
    /// A session's counters fell without a new generation; they were taken to have begun again.
    CountersFell(SessionSerial),
    /// A quota of a session is used up, or its Session-Timeout has run out; it stays, redirected or not.
    QuotaOut(SessionSerial),
    /// No copy server answered for this session, whose accounting is not copied any more.
    CopyGivenUp(SessionSerial),
}

/// One core's sessions, without I/O: it is told what happened and asked what to do.
///
/// Four kinds of method, to be called in this order from one loop:
///
/// 1. `handle_*` tell it something: an event of a packet plane, datagrams, time, *durable through N*, a new
///    configuration. They change state and never wait.
/// 2. [`Shard::poll_transmit`] writes the datagrams that are due into the caller's batch. Poll until it adds none,
///    or stop whenever the way to the wire is full: what is not polled waits here, in its lane.
/// 3. [`Shard::poll_record`] and [`Shard::poll_verdict`] give what the ledger and the planes must take. Call them only
///    when there is room for one more: what was polled is gone.
/// 4. [`Shard::poll_timeout`] says when `handle_timeout` or [`Shard::sweep`], which follows it, has something to do.
///    Calling them earlier does no harm.
///
/// `now` never goes backwards. No method fails: bad input is counted and named, and a broken invariant of the
/// shard's own stops the process (DESIGN.md section 3, rule 7).
pub struct Shard {
    birth: Birth,
    key: Key,
    /// The next session's number within the shard.
    next_sequence: u64,
    sysname: String,
    /// What Acct-Session-Id begins with.
    prefix: String,
    table: Table,
    /// Counters of earlier generations, for the few sessions whose plane lost them.
    baselines: HashMap<Slot, Counters>,
    /// Each session's timer: whatever time alone brings about first.
    timers: Wheel,
    requests: Requests,
    /// In the order in which they were transmitted, for each server.
    sequence: Links,
    /// Requests that are missed, of all servers.
    missed: u32,
    /// Each request's timer: the end of the wait for a reply.
    deadlines: Wheel,
    /// Requests whose turn it is to be transmitted again.
    again: VecDeque<u32>,
    /// Requests that wait for a place on the next server.
    failover: VecDeque<u32>,
    servers: Vec<Server>,
    /// Of every server.
    health_rules: Rules,
    probing: Probing,
    /// Who authenticated users.
    authenticators: Authenticators,
    /// The server, and its port, behind each port of the shard.
    ports: Vec<(u16, u16)>,
    /// Those whose sockets are not used any more.
    unused_ports: Vec<PortId>,
    groups: Vec<Group>,
    group_turn: usize,
    /// Some server is spoken to through connections.
    has_streams: bool,
    /// Connections to make and to close.
    stream_orders: VecDeque<StreamOrder>,
    /// How much waits for each server's connections; kept for its memory only.
    calls_waiting: Vec<u32>,
    /// Calls that were in vain: what is drawn for one is drawn for no other.
    call_count: u64,
    contracts: Contracts,
    brake: Brake,
    queue: StopQueue,
    copies: Copies,
    lookup: Lookup,
    orders: Orders,
    announcing: Announcing,
    /// The contract of each domain, by its name in lower case.
    domains: HashMap<Box<[u8]>, u16>,
    planes: Planes,
    /// What NAS have said of the sessions that they report.
    relayed: RelayedSessions,
    /// Sessions that owe records, each once.
    owing: Line,
    /// Sessions whose samples are told together.
    gathering: Gathering,
    /// Records in the ring whose durability somebody waits for, in their order.
    awaited: VecDeque<Awaited>,
    /// Attributes in one piece, for whoever copies the record that has them.
    joined: Vec<u8>,
    /// Records polled in this life.
    record_count: u64,
    sampling: Sampling,
    checkpoints: Checkpoints,
    replayed: ReplayedRun,
    /// The last time that was told; only records that nobody measures by are dated with it.
    latest: Now,
    /// Sessions whose verdict waits for the plane, each once.
    verdicts: Line,
    /// Verdicts on subscribers that got no session.
    refusals: Refusals,
    stayed: Stayed,
    /// When events of the planes were last left unread.
    events_left: Option<Mono>,
    /// The session whose last record or verdict is borrowed by the caller.
    leaving: Option<Slot>,
    /// Sessions that are over and have their names still.
    lingering: u64,
    notices: VecDeque<Notice>,
    /// Waits of the caller, and whether replies were kept waiting for others in the last one.
    waits: u32,
    gathers: bool,
    /// What an operator may ask for: why.
    journal: Journal,
    counts: Counts,
    discards: Discards,
    lateness: Lateness,
}

/// What a shard counts of itself.
#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    bills_made: u64,
    refused: u64,
    cut: u64,
    /// Sessions that were cut and had to be ended without a Down.
    cuts_unanswered: u64,
    /// Cuts and refusals that `shadow` turned into words.
    would_cut: u64,
    would_refuse: u64,
    /// Times that the brake held a cut.
    cuts_held: u64,
    /// Users whose copying was given up.
    copies_given_up: u64,
    /// Times that counters fell without a new generation.
    counter_regressions: u64,
    /// Events about sessions that are not known: delivered twice, or of a refused subscriber.
    unknown_session: u64,
    /// Events of the planes that made no sense.
    malformed: u64,
    /// Stops that are due, out or parked.
    stops_unacknowledged: u64,
    /// Slots that bills take which are sent once more.
    replays: u64,
}

/// Notices that are kept for the log; more than these at once tell nothing new.
const NOTICE_COUNT_MAX: usize = 256;

impl Shard {
    /// An empty shard without a configuration. All memory that it will ever use on the packet path is taken here.
    pub fn new(birth: Birth, limits: Limits, now: Mono) -> Shard {
        Shard::with_memory(birth, Memory::new(limits), now)
    }

    /// The same in memory that was taken before.
    pub fn with_memory(birth: Birth, memory: Memory, now: Mono) -> Shard {
        let Memory { limits, table } = memory;
        let requests = limits.requests as usize;
        Shard {
            birth,
            key: Key::new(birth.key),
            next_sequence: 0,
            sysname: String::new(),
            prefix: String::new(),
            table: table.begin(birth.key),
            baselines: HashMap::new(),
            timers: Wheel::new(limits.sessions, now),
            requests: Requests::new(limits.requests),
            sequence: Links::new(limits.requests),
            missed: 0,
            deadlines: Wheel::new(requests, now),
            again: VecDeque::with_capacity(requests),
            failover: VecDeque::with_capacity(requests),
            servers: Vec::new(),
            health_rules: Rules::from(&RadiusHealth::default()),
            probing: Probing::default(),
            authenticators: Authenticators::default(),
            ports: Vec::new(),
            unused_ports: Vec::new(),
            groups: vec![Group::new(AccountingMode::None, String::new())],
            group_turn: 0,
            has_streams: false,
            stream_orders: VecDeque::new(),
            calls_waiting: Vec::new(),
            call_count: 0,
            contracts: Contracts::default(),
            brake: Brake::default(),
            queue: StopQueue::new(),
            copies: Copies::default(),
            lookup: Lookup::default(),
            orders: Orders::default(),
            announcing: Announcing::default(),
            domains: HashMap::new(),
            planes: Planes::new(Share { shard: birth.shard, shard_count: birth.shard_count }, birth.session_hash),
            relayed: RelayedSessions::default(),
            owing: Line::new(limits.sessions),
            gathering: Gathering::new(limits.sessions),
            awaited: VecDeque::with_capacity(records::AWAITED_MAX),
            joined: Vec::with_capacity(ATTRIBUTES_MAX),
            record_count: 0,
            sampling: Sampling::new(now),
            checkpoints: Checkpoints::new(limits.sessions, now),
            replayed: ReplayedRun::default(),
            latest: Now { mono: now, wall: birth.started },
            verdicts: Line::new(limits.sessions),
            refusals: Refusals::new(),
            stayed: Stayed::new(),
            events_left: None,
            leaving: None,
            lingering: 0,
            notices: VecDeque::with_capacity(NOTICE_COUNT_MAX),
            waits: 0,
            gathers: false,
            journal: Journal::new(journal::STEPS),
            counts: Counts::default(),
            discards: Discards::default(),
            lateness: Lateness::default(),
        }
    }

    /// The next thing worth a line in the log.
    pub fn poll_notice(&mut self) -> Option<Notice> {
        self.notices.pop_front()
    }

    fn notice(&mut self, notice: Notice) {
        // The other shards have to hear what one finds out of a server, whatever else there is to tell.
        if self.notices.len() < NOTICE_COUNT_MAX
            || matches!(
                notice,
                Notice::Server(..) | Notice::PathLeft(_) | Notice::OldStopsGone | Notice::StartsMayGo(_)
            )
        {
            self.notices.push_back(notice);
        }
    }

    fn session(&self, slot: Slot) -> &Session {
        &self.table.sessions[slot as usize]
    }

    fn session_mut(&mut self, slot: Slot) -> &mut Session {
        &mut self.table.sessions[slot as usize]
    }

    /// What it says of itself.
    fn run(&self, slot: Slot) -> Run<'_> {
        self.table.blobs.attributes(self.session(slot).blob)
    }

    fn account(&self, slot: Slot) -> &Account {
        &self.table.accounts[slot as usize]
    }

    fn account_mut(&mut self, slot: Slot) -> &mut Account {
        &mut self.table.accounts[slot as usize]
    }

    fn beginning(&self, slot: Slot) -> &Beginning {
        &self.table.beginnings[slot as usize]
    }

    fn beginning_mut(&mut self, slot: Slot) -> &mut Beginning {
        &mut self.table.beginnings[slot as usize]
    }

    /// What it has beside its account.
    fn annex(&self, slot: Slot) -> &Annex {
        self.table.annex(slot)
    }

    fn annex_mut(&mut self, slot: Slot) -> &mut Annex {
        self.table.annex_mut(slot)
    }

    fn group_of(&self, slot: Slot) -> u16 {
        self.contracts.get(self.session(slot).contract).group
    }

    /// Something new of a session is due: it waits in this lane of its group, and so does its copy elsewhere.
    fn fall_due(&mut self, slot: Slot, lane: Lane, now: Mono) {
        let group = usize::from(self.group_of(slot));
        self.groups[group].flow.handle_came(now);
        self.enqueue(slot, lane, now);
        self.copy(slot, self.kind_of(slot), now);
    }

    /// Puts a session at the end of a lane of its group.
    fn enqueue(&mut self, slot: Slot, lane: Lane, now: Mono) {
        let group = usize::from(self.group_of(slot));
        self.account_mut(slot).queued = now;
        if let Some(index) = lane.index() {
            self.table.push_back(&mut self.groups[group].lanes[index], lane, slot);
        }
    }

    /// Takes a session out of the lane that it stands in, if any.
    fn dequeue(&mut self, slot: Slot) {
        self.session_mut(slot).flags.put(Flags::SCHEDULED, false);
        let group = usize::from(self.group_of(slot));
        if let Some(index) = self.session(slot).lane.index() {
            self.table.unlink(&mut self.groups[group].lanes[index], slot);
        }
    }
}
