//! One accounting server: its source ports and identifiers, whether it is alive, and what was counted of it.
//!
//! An identifier names one request at a time (DESIGN.md section 3, rule 4). It is free again after a verified
//! reply, or when its quarantine has passed: the server's timeout, and at least five seconds, from the give-up.

mod connections;

use std::collections::VecDeque;
use std::net::IpAddr;
use std::time::Duration;

use model::marks::{self, Mark};
use model::report::ServerReport;
use model::settings::{ServerPath, Transport};
use model::time::Mono;

use crate::connection::{Calls, Connection};
use crate::health::{Health, News, Rules};
use crate::pace::Pace;
use crate::probe::Probe;
use crate::sequence::Sequence;
use crate::session::NONE;
use crate::window::Window;

/// A source port of a shard, numbered in the order of their making; the worker binds a socket for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PortId(pub u32);

/// What stands for a probe where a request would: no shard has so many.
const PROBE: u32 = NONE - 1;

/// The same for an Accounting-On or -Off.
const ANNOUNCEMENT: u32 = NONE - 2;

/// The same for what asks whether anybody is at the other end of a connection.
const WATCH: u32 = NONE - 3;

const QUARANTINE_MIN: Duration = Duration::from_secs(5);

/// How many identifiers in a row are taken from one port, so that datagrams of one port follow each other.
const RUN: u32 = 64;

/// An identifier of one source port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Identifier {
    /// Which of the server's ports.
    pub(crate) port: u16,
    /// The octet on the wire.
    pub(crate) value: u8,
    /// The connection's, where the port is one.
    pub(crate) life: u8,
}

/// The identifiers of one source port.
struct Port {
    id: PortId,
    used: [u64; 4],
    next: u8,
    /// The request behind each identifier; [`NONE`] while free or in quarantine.
    requests: Box<[u32; 256]>,
    /// Where the port is a connection.
    connection: Option<Connection>,
}

impl Port {
    fn life(&self) -> u8 {
        self.connection.as_ref().map_or(0, |connection| connection.life)
    }

    /// Identifiers that are in use or rest.
    fn used(&self) -> u32 {
        self.used.iter().map(|word| word.count_ones()).sum()
    }

    fn next_watch(&self) -> Option<Mono> {
        self.connection.as_ref().and_then(Connection::next_watch)
    }

    /// Whether it is a connection that takes a request more.
    fn has_room(&self, transport: Transport) -> bool {
        self.connection.as_ref().is_some_and(|connection| connection.has_room(transport, self.used()))
    }

    fn take(&mut self) -> Option<u8> {
        // From the one after the last taken, so that an identifier rests as long as it can.
        for step in 0..=4u8 {
            let word = (self.next / 64 + step) % 4;
            let mut free = !self.used[usize::from(word)];
            let bit = u32::from(self.next % 64);
            if step == 0 {
                free &= u64::MAX << bit;
            } else if step == 4 {
                free &= !(u64::MAX << bit);
            }
            if free != 0 {
                #[expect(clippy::cast_possible_truncation, reason = "below 64")]
                let value = word * 64 + free.trailing_zeros() as u8;
                self.used[usize::from(word)] |= 1 << (value % 64);
                self.next = value.wrapping_add(1);
                return Some(value);
            }
        }
        None
    }
}

/// Where the search for a waiting request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lookup {
    /// It waits.
    Request(u32),
    /// It is the probe that is out.
    Probe,
    /// It is the Accounting-On or -Off that is out.
    Announcement,
    /// It is what asks whether anybody is at the other end of a connection.
    Watch,
    /// None waits, or it was given up.
    Unknown,
}

/// One accounting server, shared by all groups that lead to it on the same path (BEHAVIOUR.md 5.1).
pub(crate) struct Server {
    pub(crate) path: ServerPath,
    /// Some group leads to it.
    pub(crate) is_wanted: bool,
    /// Attributes that are the same in every request from this source: NAS-IP-Address, NAS-Identifier, …
    pub(crate) nas_attributes: Vec<u8>,
    /// The address that requests come from, once its ports are bound.
    pub(crate) source: Option<IpAddr>,
    /// The same of a path that was left.
    pub(crate) source_before: Option<IpAddr>,
    ports: Vec<Port>,
    current: usize,
    run: u32,
    quarantine: VecDeque<(Mono, Identifier)>,
    /// Requests that are out: each has an identifier.
    pub(crate) in_flight: u32,
    /// Those of them that are missed: they take no place in the window.
    pub(crate) missed: u32,
    /// As many requests may be out while some are missed; more would keep other servers waiting (`shard::missing`).
    pub(crate) share: u32,
    /// The others that were transmitted, in that order.
    pub(crate) sent: Sequence,
    health: Health,
    window: Window,
    /// What the operator allows in some time.
    pace: Option<Pace>,
    /// What is asked while it is Down.
    pub(crate) probe: Probe,
    /// When it may be connected to.
    pub(crate) calls: Calls,
    /// It wants a connection for each request, whatever we offer.
    refuses_single: bool,
    /// How long a connection is waited for.
    pub(crate) call_timeout: Duration,
    /// What was counted.
    pub(crate) counts: Counts,
}

/// A request that was transmitted once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Once {
    pub(crate) sent: Mono,
    /// It was missed meanwhile.
    pub(crate) was_missed: bool,
    /// The reply was taken as soon as it came: it tells the round trip.
    pub(crate) is_measured: bool,
}

/// Whether one more request may go to a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It may.
    Free,
    /// It is Up, and has as many requests as it may have now.
    Full,
    /// It is assumed to be Up, and one request tries that out.
    OnTrial,
    /// It is Down, or cannot be spoken to for want of source ports.
    Down,
}

/// What was counted of one server.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    pub(crate) starts: u64,
    pub(crate) interims: u64,
    pub(crate) stops: u64,
    pub(crate) retransmissions: u64,
    pub(crate) responses: u64,
    pub(crate) timeouts: u64,
    pub(crate) identifiers_exhausted: u64,
    pub(crate) refusals: u64,
    pub(crate) no_source_ip_blocks: u64,
    probes: u64,
    probe_responses: u64,
    pending_limit_blocks: u64,
    speed_limit_blocks: u64,
    round_trip_ns: u64,
}

impl Counts {
    /// Mean of the recent round trips: an eighth of each new one (RFC 6298 section 2).
    fn round_trip(&mut self, took: Duration) {
        let took = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX / 8);
        self.round_trip_ns =
            if self.round_trip_ns == 0 { took } else { self.round_trip_ns - self.round_trip_ns / 8 + took / 8 };
    }
}

impl Server {
    /// A server that nothing is known of: taken for alive, without ports.
    pub(crate) fn new(path: ServerPath, rules: Rules) -> Server {
        Server {
            path,
            is_wanted: false,
            nas_attributes: Vec::new(),
            source: None,
            source_before: None,
            ports: Vec::new(),
            current: 0,
            run: 0,
            quarantine: VecDeque::new(),
            in_flight: 0,
            missed: 0,
            share: u32::MAX,
            sent: Sequence::default(),
            health: Health::new(rules),
            window: Window::new(),
            pace: None,
            probe: Probe::default(),
            calls: Calls::default(),
            refuses_single: false,
            call_timeout: QUARANTINE_MIN,
            counts: Counts::default(),
        }
    }

    /// Gives it one source port more. Not on the packet path.
    pub(crate) fn add_port(&mut self, id: PortId) -> u16 {
        let connection = self.path.transport.is_stream().then(Connection::new);
        self.ports.push(Port { id, used: [0; 4], next: 0, requests: Box::new([NONE; 256]), connection });
        self.quarantine.reserve(256 * self.ports.len() - self.quarantine.len());
        #[expect(clippy::cast_possible_truncation, reason = "at most 256 ports")]
        let number = (self.ports.len() - 1) as u16;
        number
    }

    pub(crate) fn port_count(&self) -> usize {
        self.ports.len()
    }

    /// All of them.
    pub(crate) fn port_ids(&self) -> impl Iterator<Item = PortId> {
        self.ports.iter().map(|port| port.id)
    }

    /// Whether nothing is out from its ports, and no reply to what was can come any more.
    pub(crate) fn is_at_rest(&self) -> bool {
        self.ports.iter().all(|port| port.used == [0; 4])
    }

    /// Its ports are another server's from now on: it is at rest.
    pub(crate) fn become_another(&mut self, path: ServerPath, rules: Rules) {
        let ports = std::mem::take(&mut self.ports);
        let quarantine = std::mem::take(&mut self.quarantine);
        *self = Server { ports, quarantine, ..Server::new(path, rules) };
    }

    /// Nothing is known of its life any more.
    pub(crate) fn forget_health(&mut self, rules: Rules, now: Mono) {
        self.health = Health::new(rules);
        self.window.open_anew(now);
    }

    pub(crate) fn port_id(&self, port: u16) -> PortId {
        self.ports[usize::from(port)].id
    }

    /// Other rules of life and death from now on.
    pub(crate) fn set_rules(&mut self, rules: Rules) {
        self.health.set_rules(rules);
    }

    /// Another shard found this out.
    pub(crate) fn heard(&mut self, now: Mono, news: News) {
        self.health.heard(now, news);
        self.reopen(Some(news), now);
    }

    /// What the operator allows: so many requests at once, and so fast.
    pub(crate) fn set_limits(&mut self, pending: Option<u32>, pace: Option<Pace>) {
        self.window.limit(pending);
        match (&mut self.pace, pace) {
            (Some(current), Some(pace)) => current.change(pace),
            (current, pace) => *current = pace,
        }
    }

    /// Whether one more request may go to it now.
    pub(crate) fn standing(&self, now: Mono) -> Standing {
        match self.in_flight {
            _ if !self.is_up() => Standing::Down,
            1.. if self.health.is_on_trial() => Standing::OnTrial,
            out if !self.window.has_room(out, self.missed) => Standing::Full,
            out if self.missed > 0 && out >= self.share => Standing::Full,
            _ if self.pace.is_some_and(|pace| now < pace.due()) => Standing::Full,
            // One that is tried out again, or may not be called now, is waited for only where there is no other.
            _ if !self.is_connected() && self.is_doubtful(now) => Standing::OnTrial,
            _ if !self.is_connected() => Standing::Full,
            _ => Standing::Free,
        }
    }

    /// A request left for it the first time.
    pub(crate) fn handle_sent(&mut self, now: Mono) {
        self.window.handle_sent(self.in_flight - self.missed, now);
        self.counts.pending_limit_blocks += u64::from(self.window.is_limit(self.in_flight));
        if let Some(pace) = &mut self.pace {
            pace.handle_sent(now);
            self.counts.speed_limit_blocks += u64::from(now < pace.due());
        }
    }

    /// Takes an identifier for `request`. `None`: all are in use or in quarantine; counted.
    pub(crate) fn take_identifier(&mut self, request: u32) -> Option<Identifier> {
        let identifier = self.take(request)?;
        self.in_flight += 1;
        Some(identifier)
    }

    /// The same for a probe, which takes no place from the accounting.
    pub(crate) fn take_probe(&mut self) -> Option<Identifier> {
        let identifier = self.take(PROBE)?;
        self.counts.probes += 1;
        Some(identifier)
    }

    /// The same for an Accounting-On or -Off.
    pub(crate) fn take_announcement(&mut self) -> Option<Identifier> {
        self.take(ANNOUNCEMENT)
    }

    fn take(&mut self, request: u32) -> Option<Identifier> {
        if self.is_stream() {
            return self.take_on_stream(request);
        }
        // The current port as long as its run lasts, then the others, and at last the current one again.
        for _ in 0..=self.ports.len() {
            if self.run < RUN
                && let Some(value) = self.ports[self.current].take()
            {
                self.run += 1;
                self.ports[self.current].requests[usize::from(value)] = request;
                #[expect(clippy::cast_possible_truncation, reason = "at most 256 ports")]
                return Some(Identifier { port: self.current as u16, value, life: 0 });
            }
            self.current = (self.current + 1) % self.ports.len();
            self.run = 0;
        }
        marks::hit(Mark::IdentifiersExhausted);
        self.counts.identifiers_exhausted += 1;
        None
    }

    /// On the first connection that has room; what there is too little of is told by `standing`.
    fn take_on_stream(&mut self, request: u32) -> Option<Identifier> {
        let transport = self.path.transport;
        let place = self.ports.iter().position(|port| port.has_room(transport))?;
        let port = &mut self.ports[place];
        let value = port.take()?;
        port.requests[usize::from(value)] = request;
        #[expect(clippy::cast_possible_truncation, reason = "at most 256 ports")]
        Some(Identifier { port: place as u16, value, life: port.life() })
    }

    /// The request that waits under this identifier.
    pub(crate) fn lookup(&self, identifier: Identifier) -> Lookup {
        if !self.is_alive(identifier) {
            return Lookup::Unknown;
        }
        match self.ports[usize::from(identifier.port)].requests[usize::from(identifier.value)] {
            NONE => Lookup::Unknown,
            PROBE => Lookup::Probe,
            ANNOUNCEMENT => Lookup::Announcement,
            WATCH => Lookup::Watch,
            request => Lookup::Request(request),
        }
    }

    /// What left at this time or before and has no reply is missed.
    pub(crate) fn missed_until(&self) -> Option<Mono> {
        self.window.missed_until()
    }

    /// A request is missed. `sent`: when it was transmitted, if that was once.
    pub(crate) fn handle_missed(&mut self, sent: Option<Mono>) {
        self.missed += 1;
        if let Some(sent) = sent {
            self.window.handle_missed(sent);
        }
    }

    /// Whoever is missed by now was told.
    pub(crate) fn handle_all_missed(&mut self, now: Mono) {
        self.window.handle_all_missed(now);
    }

    /// A verified reply came: the identifier is free at once. A reply to one of several transmissions tells no round trip
    /// (Karn's rule, RFC 6298 section 3).
    pub(crate) fn answered(&mut self, identifier: Identifier, once: Option<Once>, now: Mono) -> Option<News> {
        self.forget(identifier);
        self.free(identifier);
        self.in_flight -= 1;
        self.counts.responses += 1;
        if let Some(Once { sent, was_missed, is_measured }) = once {
            if is_measured {
                self.counts.round_trip(now.since(sent));
            }
            self.window.handle_reply(sent, now, was_missed, is_measured);
        }
        let news = self.health.answered();
        self.reopen(news, now);
        news
    }

    /// The wait for the reply to what was transmitted at `sent` ran out.
    pub(crate) fn unanswered(&mut self, sent: Mono, now: Mono) -> Option<News> {
        self.counts.timeouts += 1;
        self.window.handle_loss(sent, now);
        self.health.unanswered(now)
    }

    /// It cannot be reached, or does not keep its connections.
    pub(crate) fn unreachable(&mut self, now: Mono) -> Option<News> {
        self.counts.timeouts += 1;
        self.health.unreachable(now)
    }

    fn reopen(&mut self, news: Option<News>, now: Mono) {
        if news == Some(News::Up) {
            self.window.open_anew(now);
        }
    }

    /// The request was given up: nothing else may use the identifier until a late reply cannot come any more.
    pub(crate) fn given_up(&mut self, identifier: Identifier, now: Mono, timeout: Duration) {
        self.in_flight -= 1;
        self.rest(identifier, now, timeout);
    }

    /// No reply came in time, be it to a request or beside: the identifier is free when none can come any more.
    pub(crate) fn rest(&mut self, identifier: Identifier, now: Mono, timeout: Duration) {
        self.forget(identifier);
        self.quarantine.push_back((now.plus(timeout.max(QUARANTINE_MIN)), identifier));
    }

    /// A reply came that says that the record was not taken: the server lives.
    pub(crate) fn refused(&mut self, identifier: Identifier, now: Mono) -> Option<News> {
        self.answered_beside(identifier);
        self.in_flight -= 1;
        self.counts.refusals += 1;
        let news = self.health.answered();
        self.reopen(news, now);
        news
    }

    /// The verified reply to a probe came.
    pub(crate) fn probe_answered(&mut self, identifier: Identifier) {
        self.answered_beside(identifier);
        self.counts.probe_responses += 1;
    }

    /// The verified reply came to something that has no request: a probe, an Accounting-On or -Off.
    pub(crate) fn answered_beside(&mut self, identifier: Identifier) {
        self.forget(identifier);
        self.free(identifier);
    }

    /// Probes have shown that it lives.
    pub(crate) fn revived(&mut self, now: Mono) -> Option<News> {
        let news = self.health.revived();
        self.reopen(news, now);
        news
    }

    /// Ends quarantines and the time of death as `now` allows. True when something became possible by it.
    pub(crate) fn handle_timeout(&mut self, now: Mono) -> bool {
        let mut changed = false;
        // Timeouts differ between groups by at most 20 s; one that ends early waits behind one that ends late.
        while let Some(&(until, identifier)) = self.quarantine.front()
            && until <= now
        {
            self.quarantine.pop_front();
            self.free(identifier);
            changed = true;
        }
        changed |= self.window.handle_timeout(self.in_flight, self.missed, now);
        changed | self.health.handle_timeout(now)
    }

    /// When [`Server::handle_timeout`] has something to do, or the next request may leave; not before `latest`.
    pub(crate) fn next_timeout(&self, latest: Mono) -> Option<Mono> {
        let quarantine = self.quarantine.front().map(|&(until, _)| until);
        let pace = self.pace.map(|pace| pace.due()).filter(|due| *due > latest);
        let extra = self.window.next_extra(self.in_flight, self.missed);
        let call = self.calls.next(latest);
        let watch = self.next_watch();
        [quarantine, self.health.next_timeout(), pace, extra, call, self.next_call_end(), watch]
            .into_iter()
            .flatten()
            .min()
    }

    /// Whether it answers: the last request that has ended was answered.
    pub(crate) fn answers(&self) -> bool {
        self.health.is_unblemished() && self.counts.responses + self.counts.probe_responses > 0
    }

    /// Whether it is taken for alive. One without source ports cannot be spoken to, which comes to the same.
    pub(crate) fn is_up(&self) -> bool {
        self.health.is_up() && self.source.is_some()
    }

    /// Whether it is taken for dead, and could be asked whether it lives.
    pub(crate) fn is_down(&self) -> bool {
        !self.health.is_up() && self.source.is_some()
    }

    /// Whether probes may be sent to it; HWTACACS has none.
    pub(crate) fn takes_probes(&self) -> bool {
        self.is_down() && !self.path.transport.is_tacacs()
    }

    /// Whether it is assumed to be Up, and tried out.
    pub(crate) fn is_on_trial(&self) -> bool {
        self.health.is_on_trial()
    }

    /// Since when it is Down; meaningless while it is Up.
    pub(crate) fn down_since(&self) -> Mono {
        self.health.down_since()
    }

    pub(crate) fn report(&self) -> ServerReport {
        ServerReport {
            path: self.path,
            up: self.is_up(),
            pending: self.in_flight.into(),
            window: self.window.width().into(),
            starts: self.counts.starts,
            interims: self.counts.interims,
            stops: self.counts.stops,
            retransmissions: self.counts.retransmissions,
            responses: self.counts.responses,
            timeouts: self.counts.timeouts,
            identifiers_exhausted: self.counts.identifiers_exhausted,
            refusals: self.counts.refusals,
            pending_limit_blocks: self.counts.pending_limit_blocks,
            speed_limit_blocks: self.counts.speed_limit_blocks,
            no_source_ip_blocks: self.counts.no_source_ip_blocks,
            probes: self.counts.probes,
            probe_responses: self.counts.probe_responses,
            round_trip_ns: self.counts.round_trip_ns,
        }
    }

    /// Whether the identifier is of the connection that its port has now.
    fn is_alive(&self, identifier: Identifier) -> bool {
        self.ports[usize::from(identifier.port)].life() == identifier.life
    }

    fn forget(&mut self, identifier: Identifier) {
        if !self.is_alive(identifier) {
            return;
        }
        self.ports[usize::from(identifier.port)].requests[usize::from(identifier.value)] = NONE;
    }

    fn free(&mut self, identifier: Identifier) {
        let Identifier { port, value, .. } = identifier;
        if !self.is_alive(identifier) {
            return;
        }
        self.ports[usize::from(port)].used[usize::from(value / 64)] &= !(1 << (value % 64));
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::net::SocketAddr;

    use super::*;

    fn server(ports: u32) -> Server {
        let rules = Rules::from(&model::settings::RadiusHealth::default());
        let mut server = Server::new(SocketAddr::from(([127, 0, 0, 1], 1813)).into(), rules);
        server.source = Some(IpAddr::from([127, 0, 0, 1]));
        for port in 0..ports {
            server.add_port(PortId(port));
        }
        server
    }

    fn at(seconds: u64) -> Mono {
        Mono::from_nanos(seconds * 1_000_000_000)
    }

    #[test]
    fn every_identifier_is_given_once_and_then_none() {
        for ports in [1, 2, 16] {
            let mut server = server(ports);
            let mut seen = HashSet::new();
            while let Some(id) = server.take_identifier(7) {
                assert!(seen.insert((id.port, id.value)), "{id:?} twice");
                assert_eq!(server.lookup(id), Lookup::Request(7));
            }
            assert_eq!(seen.len(), ports as usize * 256);
            assert_eq!(server.counts.identifiers_exhausted, 1);
        }
    }

    #[test]
    fn a_probe_has_an_identifier_and_no_place() {
        let mut server = server(1);
        let probe = server.take_probe().unwrap();
        assert_eq!((server.lookup(probe), server.in_flight), (Lookup::Probe, 0));
        server.rest(probe, at(10), Duration::from_secs(3));
        assert_eq!((server.lookup(probe), server.in_flight), (Lookup::Unknown, 0));
        let all = (0..256).filter(|_| server.take_identifier(1).is_some()).count();
        assert_eq!(all, 255, "one rests");
        assert!(!server.answers());
        assert!(server.handle_timeout(at(15)));
        let again = server.take_probe().unwrap();
        server.probe_answered(again);
        assert_eq!(server.take_identifier(7), Some(again), "free at once");
        assert!(server.answers());
        assert_eq!((server.report().probes, server.report().probe_responses, server.report().responses), (2, 1, 0));
    }

    #[test]
    fn an_identifier_given_up_rests_for_its_quarantine() {
        let mut server = server(1);
        let ids: Vec<_> = (0..256).filter_map(|n| server.take_identifier(n)).collect();
        server.given_up(ids[9], at(10), Duration::from_secs(3));
        assert_eq!(server.lookup(ids[9]), Lookup::Unknown);
        assert_eq!(server.take_identifier(1), None);
        assert!(!server.handle_timeout(at(14)));
        assert_eq!(server.take_identifier(1), None);
        assert!(server.handle_timeout(at(15)));
        assert_eq!(server.take_identifier(1), Some(ids[9]));
    }

    #[test]
    fn a_server_on_trial_has_one_request_at_a_time() {
        let mut server = server(2);
        let ids: Vec<_> = (0..2).filter_map(|n| server.take_identifier(n)).collect();
        for second in 0..10 {
            server.unanswered(at(second), at(second));
        }
        assert!(!server.is_up() && server.standing(at(9)) == Standing::Down);
        assert_eq!(server.next_timeout(at(9)), Some(at(189)));
        assert!(server.handle_timeout(at(189)));
        assert_eq!(server.standing(at(189)), Standing::OnTrial);
        server.given_up(ids[0], at(189), Duration::ZERO);
        server.given_up(ids[1], at(189), Duration::ZERO);
        assert_eq!(server.standing(at(189)), Standing::Free);
        let trial = server.take_identifier(3).unwrap();
        assert_eq!(server.standing(at(189)), Standing::OnTrial);
        assert_eq!(server.answered(trial, None, at(190)), Some(News::Up));
        for request in 0..server.window.width() {
            assert_eq!(server.standing(at(190)), Standing::Free);
            server.take_identifier(request).unwrap();
        }
        assert_eq!(server.standing(at(190)), Standing::Full);
    }
}
