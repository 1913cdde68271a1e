//! Dynamic authorization (RFC 5176): servers have subscribers logged out (Disconnect-Request) or changed (CoA-Request).
//!
//! One [`Authorization`] judges for the whole box; the [`Order`] that comes of a request goes to every shard
//! ([`Shard::handle_order`](crate::Shard::handle_order)), and when all have answered, so has the box:
//!
//! ```text
//!  datagram ─▶ handle_datagram ─┬─▶ Nothing: forged, stale, unknown, or asked before and not answered yet
//!                               ├─▶ Reply: asked before, or refused at once
//!                               └─▶ Ask(token, order) ─▶ shards ─▶ handle_outcomes(token) ─┬─▶ Reply
//!                                                          ▲                               │
//!                                                          └───────────── Ask(order) ◀─────┘
//! ```
//!
//! **All or none** (RFC 5176 section 2.3). Shards are asked twice: first what would come of the order, and if none of them has
//! anything against it, to obey. What changes between the two, as when the last room is taken by a log-in, may still have some
//! sessions obey an order that is refused.
//!
//! **What is believed.** The sender is configured in the VRF that it speaks by, speaks to the address and port that it may speak
//! to, and has signed with its secret. An Event-Timestamp lies within [`WINDOW`] of our clock and behind the start of this life.
//! Whatever fails one of these is discarded in silence and counted. A request that names another NAS, or more than is understood,
//! is refused with an Error-Cause, and nothing of it is done.
//!
//! **Once.** A request is known by its sender and its authenticator. Its answer is kept for `ack-reserved-interval`,
//! and as long as its Event-Timestamp would let it in again, so nobody can play it once more; who asks again hears the same.
//! Answers are not durable: a request that says that it was made before this life began is as good as stale. The answer to a
//! request that was obeyed is given when the ledger has what it changed.
//!
//! **Full:** [`KEPT_MAX`] requests are known, or [`PENDING_MAX`] wait for the shards: *Resources Unavailable*. **Memory:** a
//! known request is its answer, 26 octets as a rule, and about 100 octets around it; nothing while none comes.
//!
//! **Never:** a clock, a socket, an error; a session of its own.

mod order;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use hashbrown::HashMap;
use model::report::{AuthorizationReport, AuthorizationServerReport, DynamicCounts};
use model::settings::{AuthorizationPath, InterfaceName, Secret, Settings};
use model::time::{Mono, Now};
use wire::radius::attribute::error_cause;
use wire::radius::authenticator::verify_request;
use wire::radius::authorization::{ANSWER_EXCESS, answer};
use wire::radius::{Authenticator, Code, PACKET_SIZE_MAX, Packet, Type, attribute};

pub use order::{Change, Deed, Order, Outcome};
pub(crate) use order::{LOOKED_UP, is_meant};

/// How far an Event-Timestamp may lie from our clock, either way (owner's decision 14, RFC 5176 section 6.3).
pub const WINDOW: Duration = Duration::from_secs(300);
/// Requests that are known at once.
pub const KEPT_MAX: usize = 65_536;
/// Requests that wait for the shards at once.
pub const PENDING_MAX: usize = 1024;

/// Names a request between [`Judgement::Ask`] and [`Authorization::handle_outcomes`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Token(pub u64);

/// What comes of a datagram.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Judgement {
    /// Nothing is said.
    Nothing,
    /// This goes back to the sender.
    Reply(Box<[u8]>),
    /// Every shard is to take this.
    Ask(Token, Order),
}

/// What comes of all shards' words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Conclusion {
    /// Nothing is said.
    Nothing,
    /// This goes back to there, from where it was asked.
    Reply(SocketAddr, Box<[u8]>),
    /// Every shard is to take this next.
    Ask(Order),
}

/// A datagram as it came in.
#[derive(Clone, Copy, Debug)]
pub struct Arrived<'a> {
    /// Who sent it, or pretends to have.
    pub from: SocketAddr,
    /// The VRF that it came in by.
    pub vpn: Option<InterfaceName>,
    /// Where it came in: the address is unspecified where any may be meant.
    pub to: SocketAddr,
    /// Its octets.
    pub octets: &'a [u8],
}

/// By what a request is known. One that says when it was made is the same wherever it comes from; any other is the same from
/// the same port only, for two programs may well ask the same in the same words (RFC 5176 section 2.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Key {
    path: AuthorizationPath,
    port: Option<u16>,
    authenticator: Authenticator,
}

/// What became of a request that is known.
#[derive(Clone, Debug)]
enum Known {
    /// It waits for the shards.
    Pending,
    /// It was answered.
    Answered(Box<[u8]>),
}

/// A request that waits for the shards, with all that its answer needs.
struct Pending {
    key: Key,
    from: SocketAddr,
    octets: Box<[u8]>,
    secret: Secret,
    order: Order,
    kept_for: Duration,
}

/// Which kind of request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Disconnect,
    Coa,
}

/// One server that may speak to us.
struct Server {
    path: AuthorizationPath,
    /// `None`: it is configured no more, and only its counters stay.
    trust: Option<Trust>,
    disconnect: DynamicCounts,
    coa: DynamicCounts,
    malformed: u64,
}

struct Trust {
    secret: Secret,
    destination: SocketAddr,
    ack_reserved: Duration,
}

impl Server {
    fn counts(&mut self, kind: Kind) -> &mut DynamicCounts {
        match kind {
            Kind::Disconnect => &mut self.disconnect,
            Kind::Coa => &mut self.coa,
        }
    }
}

/// The judge of a box.
pub struct Authorization {
    /// When this life of it began.
    born: Mono,
    sysname: String,
    realtime_packet_disabled: bool,
    servers: Vec<Server>,
    known: HashMap<Key, Known>,
    /// Answered requests with the end of their time. These differ, so one may stand behind another that ends later: it is
    /// forgotten with that.
    ends: VecDeque<(Mono, Key)>,
    pending: HashMap<u64, Pending>,
    next_token: u64,
    unknown_server: u64,
}

impl Authorization {
    /// Nobody is trusted yet. Its life begins at `born`.
    pub fn new(born: Mono) -> Authorization {
        Authorization {
            born,
            sysname: String::new(),
            realtime_packet_disabled: false,
            servers: Vec::new(),
            known: HashMap::new(),
            ends: VecDeque::new(),
            pending: HashMap::new(),
            next_token: 0,
            unknown_server: 0,
        }
    }

    /// Takes a configuration that was checked. A server without a secret is not trusted. Requests that wait are answered with
    /// the secret that they came with.
    pub fn configure(&mut self, settings: &Settings) {
        self.sysname.clone_from(&settings.sysname);
        self.realtime_packet_disabled = settings.radius_authorization.realtime_packet_disabled;
        for server in &mut self.servers {
            server.trust = None;
        }
        for (&path, server) in &settings.radius_authorization.servers {
            let trust = settings.authorization_secret(path, server).map(|secret| Trust {
                secret: secret.clone(),
                destination: server.destination(path.ip),
                ack_reserved: Duration::from_secs(server.ack_reserved_s.into()),
            });
            match self.servers.iter_mut().find(|known| known.path == path) {
                Some(known) => known.trust = trust,
                None => {
                    let (disconnect, coa) = (DynamicCounts::default(), DynamicCounts::default());
                    self.servers.push(Server { path, trust, disconnect, coa, malformed: 0 });
                }
            }
        }
    }

    /// Judges a datagram.
    pub fn handle_datagram(&mut self, now: Now, arrived: &Arrived<'_>) -> Judgement {
        self.forget(now.mono);
        let path = AuthorizationPath { ip: arrived.from.ip(), vpn: arrived.vpn };
        let place = self.servers.iter().position(|server| server.path == path);
        let Some((place, trust)) = place.and_then(|place| Some((place, self.servers[place].trust.as_ref()?))) else {
            self.unknown_server += 1;
            return Judgement::Nothing;
        };
        let (secret, destination, reserved) = (trust.secret.clone(), trust.destination, trust.ack_reserved);
        let server = &mut self.servers[place];
        let kind = Packet::parse(arrived.octets).ok().and_then(|packet| Some((packet, kind_of(packet.code())?)));
        let Some((packet, kind)) = kind else {
            server.malformed += 1;
            return Judgement::Nothing;
        };
        let counts = server.counts(kind);
        counts.requests += 1;
        if !is_for(destination, arrived.to) {
            counts.wrong_destination += 1;
            return Judgement::Nothing;
        }
        if verify_request(&packet, secret.octets()).is_err() {
            counts.bad_authenticators += 1;
            return Judgement::Nothing;
        }
        let from = arrived.from;
        let port = packet.find(Type::EVENT_TIMESTAMP).is_none().then_some(from.port());
        let key = Key { path, port, authenticator: *packet.authenticator() };
        if let Some(known) = self.known.get(&key) {
            counts.duplicates += 1;
            return match known {
                Known::Pending => Judgement::Nothing,
                Known::Answered(reply) => Judgement::Reply(reply.clone()),
            };
        }
        let Ok(rest) = rest_of_window(&packet, now, self.born) else {
            counts.stale += 1;
            return Judgement::Nothing;
        };
        let to = arrived.to.ip();
        let order = order::read(&packet, kind == Kind::Disconnect, &self.sysname, !self.realtime_packet_disabled);
        // Where it came in is an address of ours.
        let order = order.map(|order| {
            let others = order.nas_addresses.iter().copied().filter(|address| *address != to).collect();
            Order { nas_addresses: others, ..order }
        });
        let is_full = self.known.len() >= KEPT_MAX || self.pending.len() >= PENDING_MAX;
        let refused = match order {
            Ok(_) if is_full => error_cause::RESOURCES_UNAVAILABLE,
            Ok(order) => {
                counts.pending += 1;
                let token = Token(self.next_token);
                self.next_token += 1;
                self.known.insert(key, Known::Pending);
                let (octets, kept_for) = (arrived.octets.into(), reserved.max(rest));
                let pending = Pending { key, from, octets, secret, order: order.clone(), kept_for };
                self.pending.insert(token.0, pending);
                return Judgement::Ask(token, order);
            }
            Err(cause) => cause,
        };
        counts.naks += 1;
        // What was refused unread may be read another time; it changed nothing.
        signed(&packet, Err(refused), &secret).map_or(Judgement::Nothing, Judgement::Reply)
    }

    /// All shards have taken the order, each with this outcome.
    pub fn handle_outcomes(&mut self, now: Now, token: Token, outcomes: &[Outcome]) -> Conclusion {
        let Some(mut pending) = self.pending.remove(&token.0) else { return Conclusion::Nothing };
        let verdict = pending.order.verdict(outcomes);
        if pending.order.is_trial && verdict.is_ok() {
            pending.order.is_trial = false;
            let order = pending.order.clone();
            self.pending.insert(token.0, pending);
            return Conclusion::Ask(order);
        }
        match self.conclude(now, pending, verdict) {
            Some((to, reply)) => Conclusion::Reply(to, reply),
            None => Conclusion::Nothing,
        }
    }

    /// Answers a request, and keeps the answer.
    fn conclude(&mut self, now: Now, pending: Pending, verdict: Result<(), u32>) -> Option<(SocketAddr, Box<[u8]>)> {
        let Pending { key, from, octets, secret, kept_for, .. } = pending;
        let packet = Packet::parse(&octets).ok()?;
        let kind = kind_of(packet.code())?;
        if let Some(server) = self.servers.iter_mut().find(|server| server.path == key.path) {
            let counts = server.counts(kind);
            counts.pending = counts.pending.saturating_sub(1);
            match verdict {
                Ok(()) => counts.acks += 1,
                Err(_) => counts.naks += 1,
            }
        }
        let reply = signed(&packet, verdict, &secret);
        match &reply {
            Some(reply) if !kept_for.is_zero() => {
                self.known.insert(key, Known::Answered(reply.clone()));
                self.ends.push_back((now.mono.plus(kept_for), key));
            }
            _ => {
                self.known.remove(&key);
            }
        }
        reply.map(|reply| (from, reply))
    }

    /// A shard has ended before it answered: the request was never heard, and may come again.
    pub fn abandon(&mut self, token: Token) {
        let Some(pending) = self.pending.remove(&token.0) else { return };
        self.known.remove(&pending.key);
        let kind = Packet::parse(&pending.octets).ok().and_then(|packet| kind_of(packet.code()));
        let server = self.servers.iter_mut().find(|server| server.path == pending.key.path);
        if let (Some(kind), Some(server)) = (kind, server) {
            let counts = server.counts(kind);
            counts.pending = counts.pending.saturating_sub(1);
        }
    }

    /// What was counted.
    pub fn report(&self) -> AuthorizationReport {
        let servers = self.servers.iter().map(|server| AuthorizationServerReport {
            server: server.path,
            disconnect: server.disconnect,
            coa: server.coa,
            malformed: server.malformed,
        });
        AuthorizationReport { servers: servers.collect(), unknown_server: self.unknown_server }
    }

    /// Requests whose time is over are known no more.
    fn forget(&mut self, now: Mono) {
        while let Some((_, key)) = self.ends.front().filter(|(end, _)| *end <= now) {
            self.known.remove(key);
            self.ends.pop_front();
        }
    }
}

fn kind_of(code: Code) -> Option<Kind> {
    match code {
        Code::DISCONNECT_REQUEST => Some(Kind::Disconnect),
        Code::COA_REQUEST => Some(Kind::Coa),
        _ => None,
    }
}

/// Whether a server that may speak to `destination` may have spoken here.
fn is_for(destination: SocketAddr, to: SocketAddr) -> bool {
    let is_any = destination.ip().is_unspecified() && destination.is_ipv4() == to.is_ipv4();
    destination.port() == to.port() && (is_any || destination.ip() == to.ip())
}

/// How long the request could still be played once more; nothing where it does not say when it was made.
///
/// # Errors
/// It is too old, of a time to come, or made before this life began or in the second of that: an earlier one may have obeyed it.
fn rest_of_window(packet: &Packet<'_>, now: Now, born: Mono) -> Result<Duration, ()> {
    let Some(stamp) = packet.find(Type::EVENT_TIMESTAMP) else { return Ok(Duration::ZERO) };
    let stamp = attribute::as_u32(stamp).ok_or(())?;
    let window = i64::try_from(WINDOW.as_secs()).unwrap_or(i64::MAX);
    // The attribute wraps in 2106; the difference does not care.
    let ahead = i64::from(stamp.wrapping_sub(now.wall.event_timestamp()).cast_signed());
    // By the clock as it is set now, whatever it was then.
    let life = i64::try_from(now.mono.since(born).as_secs()).unwrap_or(i64::MAX);
    if ahead.abs() > window || ahead <= -life {
        return Err(());
    }
    // A second more, for both clocks are cut to whole ones.
    Ok(Duration::from_secs(u64::try_from(window + ahead + 1).unwrap_or_default()))
}

fn signed(packet: &Packet<'_>, verdict: Result<(), u32>, secret: &Secret) -> Option<Box<[u8]>> {
    let mut room = vec![0; PACKET_SIZE_MAX.min(packet.octets().len() + ANSWER_EXCESS)];
    answer(packet, verdict, secret.octets(), &mut room).ok().map(|octets| (&*octets).into())
}
