//! The relay: the accounting server that the box is to NAS that speak RADIUS (INTERFACES.md section 5). One [`Relay`] for each
//! shard, beside it.
//!
//! ```text
//!                    verified, read, named         Report                     records
//!  datagrams ─▶ handle_datagrams ────────────────────────────▶ Shard ──────────────────▶ the ledger
//!                  │  ▲ another shard's              │                                      │
//!                  ▼  │                              └─ verdicts ─▶ handle_verdict          │ durable through N
//!               the ring between shards                                 │                   ▼
//!                                                  Disconnect-Requests ◀┘    poll_answer ─▶ responses
//! ```
//!
//! **Answered when durable.** A request is answered when everything that it led to is on the disk, and not before; one that
//! cannot be taken, for want of room or of a domain, is not answered: the NAS asks again, or another server.
//!
//! **Once.** A request that comes again is known by its source, identifier and authenticator for half a minute; with another
//! identifier, by the NAS, the session, its Acct-Status-Type and the event: Event-Timestamp, or what it says.
//!
//! **Whose.** A client is a plane. Behind its address may be many NAS, told apart by NAS-IP-Address, NAS-IPv6-Address and
//! NAS-Identifier. An Accounting-On or -Off ends the sessions of every NAS that it can mean, of this client and on all shards,
//! that began before it.
//!
//! **What is believed.** The source address is a configured client, and the request is signed with its secret; anything else is
//! counted and discarded. A hostile client can harm only its own sessions: no other client's can be named by it, and what it
//! sends too much is dropped by the socket that it comes to. Slots it shares with everybody, as planes do: it can use up what is
//! free, and ends nobody's session by that.
//!
//! **Full:** 65,536 answers wait for the disk, the ring to the other shard has no room, or the
//! shard has no slot: the request is not taken. **Memory:** 5 MiB for each shard when the first client is configured, and up to 10
//! for answers that wait, besides long Proxy-States that they echo.
//!
//! **Never:** a clock, a socket, an error.

mod answers;
mod disconnect;
mod due;
mod handover;
mod name;
mod recent;

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use arrayvec::ArrayVec;
use hashbrown::HashMap;
use model::ids::PlaneIndex;
use model::report::{RelayClientReport, RelayCounts, RelayReport};
use model::settings::RelayClient;
use model::time::{Mono, Now, Wall};
use model::verdict::{CutBy, Reason, Sentence};
use wire::radius::accounting::{self, AccountingRequest, Status};
use wire::radius::attribute::acct_terminate_cause;
use wire::radius::authenticator::{Unjudged, verify_requests};
use wire::radius::{Code, Encoder, Packet};

use crate::attributes::RUN_MAX;
use crate::shard::{
    BATCH_MAX, Disconnected, NAS_REQUEST, NasGone, NotTaken, RelayRules, Report, Reported, Shard, Taken,
};
use answers::{Answer, Answers};
use disconnect::Disconnects;
use due::Due;
use handover::{Head, Kind};
use name::{SessionName, session_name};
use recent::Recent;

/// An Accounting-On or -Off without Event-Timestamp that follows another one of its NAS so soon is the same.
const SAME_PARTING: Duration = Duration::from_secs(30);
/// The same of one with the same Event-Timestamp: some clocks begin at one time whenever their NAS starts.
const SAME_STAMP: Duration = Duration::from_secs(900);
/// NAS of one client whose going is seen to at once; more are asked to come again.
const PARTINGS_MAX: usize = 8;
/// Accounting-Ons and -Offs of one client that are remembered.
const PARTED_MAX: usize = 256;

/// A datagram as it came in.
#[derive(Clone, Copy, Debug)]
pub struct Arrived<'a> {
    /// Who sent it, or pretends to have.
    pub from: SocketAddr,
    /// Its octets.
    pub octets: &'a [u8],
    /// It was longer than any packet.
    pub truncated: bool,
}

/// The ways to the other shards.
pub trait Handover {
    /// Hands these octets, one piece behind the other, to a shard. False: there is no room.
    fn hand_over(&mut self, shard: u16, head: &[u8], packet: &[u8]) -> bool;
}

/// One client as it is configured, and the plane that it is.
#[derive(Clone, Debug)]
pub struct ClientPlane {
    /// Where it sends from.
    pub address: IpAddr,
    /// Its plane's number, and name: [`RELAY_PLANE`](model::ids::RELAY_PLANE) and the address.
    pub plane: PlaneIndex,
    /// How it is configured.
    pub settings: RelayClient,
}

impl ClientPlane {
    /// What the plane of the client at this address is called.
    pub fn name(address: IpAddr) -> String {
        format!("{}{address}", model::ids::RELAY_PLANE)
    }
}

/// One client.
struct Client {
    address: IpAddr,
    plane: PlaneIndex,
    settings: RelayClient,
    counts: RelayCounts,
    disconnects: Disconnects,
    /// The last Accounting-Ons and -Offs of its NAS, and when they came.
    parted: VecDeque<(Parted, Mono)>,
}

/// By what one Accounting-On is told from another.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Parted {
    status: Status,
    stamp: Option<u32>,
    /// Of the NAS that says it, as sessions have it.
    nas: u64,
}

/// The sessions of a NAS that has gone are being ended.
struct Parting {
    plane: PlaneIndex,
    at: Now,
    cause: u8,
    /// The request, whose attributes say which NAS.
    packet: Box<[u8]>,
    /// How far this shard has looked; `None`: to the end.
    cursor: Option<u32>,
    /// When so many records are durable, this shard's part is done; `None`: not known yet.
    through: Option<u64>,
    /// Who is to be told when it is.
    for_whom: ForWhom,
}

/// Who waits for it.
enum ForWhom {
    /// The NAS, when so many shards besides have done their part as well.
    Nas { to: SocketAddr, token: u32, others: u16 },
    /// This shard.
    Shard(u32),
}

/// The accounting server of one shard.
pub struct Relay {
    shard: u16,
    shard_count: u16,
    session_hash: fn(&[u8]) -> u64,
    clients: Vec<Client>,
    by_address: HashMap<IpAddr, usize>,
    by_plane: HashMap<PlaneIndex, usize>,
    /// When Disconnect-Requests to a client are to be sent or given up.
    due: Due,
    recent: Recent,
    answers: Answers,
    partings: Vec<Parting>,
    next_token: u32,
    /// Room for what a session is named by.
    run: Vec<u8>,
    unknown_client: u64,
    crowded: u64,
}

impl Relay {
    /// Without clients. `key` keeps a client from choosing requests that collide; `session_hash` says which shard has a session,
    /// as for any plane.
    pub fn new(key: [u8; 16], shard: u16, shard_count: u16, session_hash: fn(&[u8]) -> u64) -> Relay {
        Relay {
            shard,
            shard_count,
            session_hash,
            clients: Vec::new(),
            by_address: HashMap::new(),
            by_plane: HashMap::new(),
            due: Due::default(),
            recent: Recent::new(key),
            answers: Answers::default(),
            partings: Vec::new(),
            next_token: 0,
            run: Vec::new(),
            unknown_client: 0,
            crowded: 0,
        }
    }

    /// Takes a configuration. Clients that stay keep their counters and what is out to them; the sessions of those that do not
    /// end with the grace of planes. To be called behind [`Shard::configure`].
    pub fn configure(&mut self, now: Now, shard: &mut Shard, clients: &[ClientPlane]) {
        if !clients.is_empty() {
            self.recent.make_room();
        }
        // By the secrets that their requests were judged by.
        self.sign();
        let mut old = std::mem::take(&mut self.clients);
        for client in old.iter().filter(|old| clients.iter().all(|new| new.address != old.address)) {
            shard.handle_relay_client(now.mono, client.plane, &ClientPlane::name(client.address), None);
        }
        (self.by_address, self.by_plane) = (HashMap::new(), HashMap::new());
        let addresses: Vec<IpAddr> = old.iter().map(|client| client.address).collect();
        for new in clients {
            let rules = RelayRules::from(&new.settings);
            shard.handle_relay_client(now.mono, new.plane, &ClientPlane::name(new.address), Some(rules));
            let known = old.iter().position(|old| old.address == new.address).map(|place| old.swap_remove(place));
            let place = self.clients.len();
            self.by_address.insert(new.address, place);
            self.by_plane.insert(new.plane, place);
            let client = known.unwrap_or_else(|| Client {
                address: new.address,
                plane: new.plane,
                settings: new.settings.clone(),
                counts: RelayCounts::default(),
                disconnects: Disconnects::default(),
                parted: VecDeque::new(),
            });
            let mut client = Client { settings: new.settings.clone(), ..client };
            if client.settings.disconnect_port.is_none() {
                // Whoever was asked says so no more, and what waits is told of again by its session.
                client.disconnects.forget();
            }
            self.clients.push(client);
        }
        self.due = Due::of(self.clients.len());
        (0..self.clients.len()).for_each(|place| self.disconnects_changed(place));
        let by_plane = &self.by_plane;
        self.partings.retain(|parting| by_plane.contains_key(&parting.plane));
        let place_of = |answer: &Answer| self.by_address.get(addresses.get(answer.client)?).copied();
        self.answers.replace_clients(place_of);
    }

    /// Judges datagrams, and has the shard take what is its own.
    pub fn handle_datagrams(
        &mut self,
        now: Now,
        shard: &mut Shard,
        arrived: &[Arrived<'_>],
        others: &mut impl Handover,
    ) {
        for arrived in arrived.chunks(BATCH_MAX) {
            let mut senders = ArrayVec::<(usize, SocketAddr), BATCH_MAX>::new();
            let mut packets = ArrayVec::<Packet<'_>, BATCH_MAX>::new();
            for datagram in arrived {
                let Some(&client) = self.by_address.get(&datagram.from.ip()) else {
                    self.unknown_client += 1;
                    continue;
                };
                let packet = Packet::parse(datagram.octets).ok().filter(|packet| {
                    !datagram.truncated && matches!(packet.code(), Code::ACCOUNTING_REQUEST | Code::STATUS_SERVER)
                });
                let Some(packet) = packet else {
                    self.clients[client].counts.malformed += 1;
                    continue;
                };
                senders.push((client, datagram.from));
                packets.push(packet);
            }
            let judged: ArrayVec<bool, BATCH_MAX> = {
                let clients = &self.clients;
                let secret_of = |client: usize| clients[client].settings.shared_key.octets();
                let unjudged = senders.iter().zip(&packets).map(|(&(client, _), &packet)| Unjudged {
                    packet,
                    secret: secret_of(client),
                    verdict: Ok(()),
                });
                let mut unjudged: ArrayVec<Unjudged<'_>, BATCH_MAX> = unjudged.collect();
                verify_requests(&mut unjudged);
                unjudged.iter().map(|judged| judged.verdict.is_ok()).collect()
            };
            for ((&(client, from), packet), is_right) in senders.iter().zip(&packets).zip(judged) {
                if is_right {
                    self.take(now, shard, (client, from), packet, others);
                } else {
                    self.clients[client].counts.bad_authenticators += 1;
                }
            }
        }
    }

    /// What another shard has handed over.
    pub fn handle_handed(&mut self, now: Now, shard: &mut Shard, octets: &[u8], others: &mut impl Handover) {
        let Some((head, octets)) = Head::decode(octets) else { return };
        let Ok(packet) = Packet::parse(octets) else {
            if head.kind == Kind::Ended {
                self.another_has_ended(head.token);
            }
            return;
        };
        let Some(&client) = self.by_address.get(&head.from.ip()) else {
            // The configuration has changed on the way: nothing of it is left to be done here.
            if head.kind == Kind::Gone {
                self.tell_ended(head.token, others);
            }
            return;
        };
        match head.kind {
            Kind::Request => self.take(now, shard, (client, head.from), &packet, others),
            Kind::Gone => {
                let Ok(request) = accounting::read(&packet) else { return };
                let for_whom = ForWhom::Shard(head.token);
                self.begin_parting(now, client, &request, &packet, for_whom);
            }
            Kind::Ended => self.another_has_ended(head.token),
        }
    }

    /// A request that is believed.
    fn take(
        &mut self,
        now: Now,
        shard: &mut Shard,
        (client, from): (usize, SocketAddr),
        packet: &Packet<'_>,
        others: &mut impl Handover,
    ) {
        let counts = &mut self.clients[client].counts;
        if packet.code() == Code::STATUS_SERVER {
            counts.status_servers += 1;
            self.answer_at_once(client, from, packet);
            return;
        }
        let Ok(request) = accounting::read(packet) else {
            counts.malformed += 1;
            return;
        };
        let name = session_name(&request.nas, request.session_id);
        if self.shard_count > 1 {
            let owner = (self.session_hash)(&name) % u64::from(self.shard_count);
            let owner = u16::try_from(owner).unwrap_or_default();
            if owner != self.shard {
                let head = Head { kind: Kind::Request, from, token: 0 };
                self.crowded += u64::from(!others.hand_over(owner, &head.encode(), packet.octets()));
                return;
            }
        }
        *match request.status {
            Status::Start => &mut counts.starts,
            Status::Interim => &mut counts.interims,
            Status::Stop => &mut counts.stops,
            Status::On => &mut counts.ons,
            Status::Off => &mut counts.offs,
        } += 1;
        let hash = self.recent.hash_of(from, packet);
        if let Some(number) = self.recent.find(hash, now.mono) {
            counts.duplicates += 1;
            if !self.answers.is_waiting(number) {
                self.answer_at_once(client, from, packet);
            }
            return;
        }
        if !request.status.is_of_session() {
            self.nas_goes(now, client, from, &request, packet, others);
            return;
        }
        if self.answers.is_full() {
            counts.no_room += 1;
            // It speaks, and is not heard.
            shard.handle_plane_events_left(now.mono, self.clients[client].plane);
            return;
        }
        let Some(taken) = self.report(now, shard, client, &name, &request, packet) else { return };
        let counts = &mut self.clients[client].counts;
        match taken {
            Taken::News => {}
            Taken::Joined => counts.joined += 1,
            Taken::Again => counts.duplicates += 1,
            Taken::Stale => counts.stale += 1,
        }
        let answer = Answer::new(from, client, packet, &self.clients[client].settings.shared_key);
        let number = self.answers.wait(answer);
        self.recent.note(hash, number, now.mono);
    }

    /// Hands the shard what a request says. `None`: it was not taken, and is not answered.
    fn report(
        &mut self,
        now: Now,
        shard: &mut Shard,
        client: usize,
        name: &SessionName,
        request: &AccountingRequest<'_>,
        packet: &Packet<'_>,
    ) -> Option<Taken> {
        let Client { address, plane, settings, counts, .. } = &mut self.clients[client];
        let mut room = [0; RUN_MAX];
        let mut run = Encoder::run(&mut room);
        accounting::pass_on(packet, *address, &mut run);
        let Ok(attributes) = run.finish() else {
            counts.no_room += 1;
            return None;
        };
        let report = Report {
            session: name,
            what: match request.status {
                Status::Start => Reported::Start,
                Status::Stop => Reported::Stop(match request.terminate_cause {
                    // As of a plane that does not say why.
                    0 => NAS_REQUEST,
                    cause => cause,
                }),
                _ => Reported::Interim,
            },
            at: moment_of(request, now),
            stamp: request.event_timestamp,
            session_time_s: request.session_time_s,
            usage: request.usage,
            user: request.user,
            domain: settings.domain.as_ref().map(|domain| domain.as_str().as_bytes()),
            attributes,
        };
        match shard.handle_report(now, *plane, &report) {
            Ok(taken) => return Some(taken),
            Err(NotTaken::NoDomain) => counts.no_domain += 1,
            Err(NotTaken::NoRoom) => counts.no_room += 1,
        }
        None
    }

    fn answer_at_once(&mut self, client: usize, from: SocketAddr, packet: &Packet<'_>) {
        let secret = &self.clients[client].settings.shared_key;
        let mut answer = Answer::new(from, client, packet, secret);
        wire::radius::authenticator::sign_response(answer.octets_mut(), packet.authenticator(), secret.octets());
        self.answers.is_ready(answer);
    }

    /// Accounting-On or -Off.
    fn nas_goes(
        &mut self,
        now: Now,
        client: usize,
        from: SocketAddr,
        request: &AccountingRequest<'_>,
        packet: &Packet<'_>,
        others: &mut impl Handover,
    ) {
        let nas = (self.session_hash)(&session_name(&request.nas, &[]));
        let parted = Parted { status: request.status, stamp: request.event_timestamp, nas };
        let Client { parted: known, plane, counts, .. } = &mut self.clients[client];
        let known_for = if parted.stamp.is_some() { SAME_STAMP } else { SAME_PARTING };
        let is_known = |(other, at): &(Parted, Mono)| *other == parted && now.mono.since(*at) < known_for;
        let under_way = self.partings.iter().filter(|parting| parting.plane == *plane).count();
        if known.iter().any(is_known) {
            counts.duplicates += 1;
            if under_way == 0 {
                self.answer_at_once(client, from, packet);
            }
            return;
        }
        if under_way >= PARTINGS_MAX {
            counts.no_room += 1;
            return;
        }
        if known.len() == PARTED_MAX {
            known.pop_front();
        }
        known.push_back((parted, now.mono));
        let token = u32::from(self.shard) << 24 | self.next_token & 0x00ff_ffff;
        self.next_token = self.next_token.wrapping_add(1);
        let head = Head { kind: Kind::Gone, from, token };
        let told = (0..self.shard_count).filter(|&other| other != self.shard);
        let told = told.map(|other| others.hand_over(other, &head.encode(), packet.octets())).collect::<Vec<bool>>();
        if !told.iter().all(|&told| told) {
            // It comes again.
            self.crowded += 1;
            self.clients[client].parted.pop_back();
            return;
        }
        let for_whom = ForWhom::Nas { to: from, token, others: self.shard_count - 1 };
        self.begin_parting(now, client, request, packet, for_whom);
    }

    fn begin_parting(
        &mut self,
        now: Now,
        client: usize,
        request: &AccountingRequest<'_>,
        packet: &Packet<'_>,
        for_whom: ForWhom,
    ) {
        let cause = match request.status {
            Status::Off => acct_terminate_cause::ADMIN_REBOOT,
            _ => acct_terminate_cause::NAS_REBOOT,
        };
        self.partings.push(Parting {
            plane: self.clients[client].plane,
            at: moment_of(request, now),
            cause: u8::try_from(cause).unwrap_or_default(),
            packet: packet.octets().into(),
            cursor: Some(0),
            through: None,
            for_whom,
        });
    }

    /// Says to the shard that this came from that its sessions here have ended. False: there is no room.
    fn tell_ended(&self, token: u32, others: &mut impl Handover) -> bool {
        let head = Head { kind: Kind::Ended, from: SocketAddr::from(([0, 0, 0, 0], 0)), token };
        others.hand_over(shard_of(token), &head.encode(), &[])
    }

    fn another_has_ended(&mut self, done: u32) {
        for parting in &mut self.partings {
            if let ForWhom::Nas { token, others, .. } = &mut parting.for_whom
                && *token == done
            {
                *others = others.saturating_sub(1);
            }
        }
    }

    /// Does what is due: ends sessions of NAS that have gone, a bounded part in one call, and gives up Disconnect-Requests.
    pub fn handle_timeout(&mut self, now: Now, shard: &mut Shard) {
        // One after the other: each is a walk over all sessions.
        if let Some(parting) = self.partings.iter_mut().find(|parting| parting.cursor.is_some()) {
            let cursor = parting.cursor.unwrap_or_default();
            let read = Packet::parse(&parting.packet).ok().and_then(|packet| accounting::read(&packet).ok());
            let nas = read.map(|request| request.nas).unwrap_or_default();
            let gone = NasGone { nas, at: parting.at, cause: parting.cause };
            parting.cursor = shard.handle_nas_gone(now, parting.plane, &gone, cursor);
        }
        let due: Vec<usize> = self.due.until(now.mono).collect();
        for place in due {
            let client = &mut self.clients[place];
            while let Some(session) = client.disconnects.expire(now.mono) {
                shard.handle_disconnected(now, client.plane, &session, Disconnected::Failed);
            }
            self.disconnects_changed(place);
        }
    }

    /// To be called behind whatever changes what is out to a client, or waits to be.
    fn disconnects_changed(&mut self, place: usize) {
        self.due.set(place, self.clients[place].disconnects.next_timeout());
    }

    /// When [`Relay::handle_timeout`], or [`Relay::poll_disconnect`], has something to do.
    pub fn poll_timeout(&self) -> Option<Mono> {
        if self.partings.iter().any(|parting| parting.cursor.is_some()) {
            return Some(Mono::ZERO);
        }
        self.due.first()
    }

    /// Everything that was taken so far stands in the first `through` records of this life.
    pub fn mark(&mut self, through: u64) {
        self.sign();
        self.answers.mark(through);
        for parting in &mut self.partings {
            if parting.cursor.is_none() && parting.through.is_none() {
                parting.through = Some(through);
            }
        }
    }

    /// Signs the answers to what was taken, whether it came from a socket or from another shard.
    fn sign(&mut self) {
        let clients = &self.clients;
        self.answers.sign(|client| clients[client].settings.shared_key.octets());
    }

    /// Whether somebody waits for the disk.
    pub fn waits(&self) -> bool {
        self.answers.len() > 0 || !self.partings.is_empty()
    }

    /// The first `durable` records are on the disk: what has gone with them is said to whoever waits for it.
    pub fn handle_durable(&mut self, durable: u64, others: &mut impl Handover) {
        for mut parting in std::mem::take(&mut self.partings) {
            let is_durable = parting.through.is_some_and(|through| through <= durable);
            let is_over = match &mut parting.for_whom {
                _ if !is_durable => false,
                ForWhom::Nas { others, .. } if *others > 0 => false,
                ForWhom::Nas { to, .. } => {
                    if let Ok(packet) = Packet::parse(&parting.packet)
                        && let Some(&client) = self.by_plane.get(&parting.plane)
                    {
                        self.answer_at_once(client, *to, &packet);
                    }
                    true
                }
                // Where there is no room it is said the next time.
                ForWhom::Shard(token) => self.tell_ended(*token, others),
            };
            if !is_over {
                self.partings.push(parting);
            }
        }
    }

    /// The next response that may leave when so many records are durable.
    pub fn poll_answer(&mut self, durable: u64) -> Option<(SocketAddr, &[u8])> {
        let answer = self.answers.poll(durable)?;
        if let Some(client) = self.clients.get_mut(answer.client) {
            client.counts.responses += 1;
        }
        Some((answer.to, answer.octets()))
    }

    /// Whether the plane of this number is a client.
    pub fn is_client(&self, plane: PlaneIndex) -> bool {
        self.by_plane.contains_key(&plane)
    }

    /// The shard's sentence on a session of a client. To be called behind [`Shard::poll_verdict`], before anything else is asked
    /// of the shard.
    pub fn handle_verdict(
        &mut self,
        now: Now,
        shard: &mut Shard,
        plane: PlaneIndex,
        session: &[u8],
        (sentence, reason): (Sentence, Reason),
    ) {
        // Where it would be led to is known to planes only.
        if !matches!(sentence, Sentence::Cut | Sentence::Refuse) {
            return;
        }
        let Some(&place) = self.by_plane.get(&plane) else { return };
        let client = &mut self.clients[place];
        if client.settings.disconnect_port.is_none() {
            client.disconnects.counts.unsent += 1;
            shard.handle_disconnected(now, plane, session, Disconnected::Failed);
        } else if shard.attributes_of(plane, session, &mut self.run) {
            let is_asked = client.disconnects.ask(session, &self.run, cause_of(reason));
            self.disconnects_changed(place);
            if !is_asked {
                shard.handle_disconnected(now, plane, session, Disconnected::Failed);
            }
        }
    }

    /// The next Disconnect-Request that is due, and where it goes.
    pub fn poll_disconnect(&mut self, now: Now) -> Option<(SocketAddr, &[u8])> {
        let (place, to, sent) = self.due.until(now.mono).find_map(|place| {
            let Client { address, settings, disconnects, .. } = &mut self.clients[place];
            let to = SocketAddr::new(*address, settings.disconnect_port?);
            Some((place, to, disconnects.poll(now, settings.shared_key.octets())?))
        })?;
        self.disconnects_changed(place);
        Some((to, self.clients[place].disconnects.packet(sent)))
    }

    /// A datagram to the socket that Disconnect-Requests leave from.
    pub fn handle_disconnect_reply(&mut self, now: Now, shard: &mut Shard, arrived: &Arrived<'_>) {
        let Some(&place) = self.by_address.get(&arrived.from.ip()) else {
            self.unknown_client += 1;
            return;
        };
        let client = &mut self.clients[place];
        let reply = client.disconnects.handle_reply(arrived.octets, client.settings.shared_key.octets());
        if let Some((session, outcome)) = reply {
            shard.handle_disconnected(now, client.plane, &session, outcome);
        }
        self.disconnects_changed(place);
    }

    /// What was counted here.
    pub fn report_counts(&self, shard: &Shard) -> RelayReport {
        let clients = self.clients.iter().map(|client| {
            let (sessions, silent) = shard.relayed_sessions(client.plane);
            let mut disconnects = client.disconnects.counts;
            disconnects.pending = client.disconnects.pending() as u64;
            let counts = RelayCounts { sessions, silent, disconnects, ..client.counts };
            RelayClientReport { client: client.address, counts }
        });
        let mut clients: Vec<RelayClientReport> = clients.collect();
        for place in self.answers.waiting_clients() {
            if let Some(row) = clients.get_mut(place) {
                row.counts.waiting += 1;
            }
        }
        RelayReport { clients, unknown_client: self.unknown_client, overflow: 0, crowded: self.crowded }
    }
}

/// When what a request tells of was so: on the measuring clock, when it came less its Acct-Delay-Time; on the wall by its own
/// word, if it has one.
fn moment_of(request: &AccountingRequest<'_>, now: Now) -> Now {
    let delay = u64::from(request.delay_s);
    // Zero stands for another boot's clock.
    let mono = Mono::from_nanos(now.mono.as_nanos().saturating_sub(delay * 1_000_000_000).max(1));
    let wall = match request.event_timestamp {
        Some(stamp) => u64::from(stamp) * 1000,
        None => now.wall.as_millis().saturating_sub(delay * 1000),
    };
    Now { mono, wall: Wall::from_millis(wall) }
}

/// The shard that a token comes from.
fn shard_of(token: u32) -> u16 {
    u16::try_from(token >> 24).unwrap_or_default()
}

/// Acct-Terminate-Cause of a session that is logged out for this reason.
fn cause_of(reason: Reason) -> u8 {
    let by = match reason {
        Reason::CutByOperator => CutBy::Operator,
        Reason::Disconnected => CutBy::Disconnect,
        Reason::SessionTimeout | Reason::QuotaOut | Reason::AccountingStopped => CutBy::QuotaOut,
        Reason::ShuttingDown => CutBy::Shutdown,
        _ => CutBy::InterimFail,
    };
    by.terminate_cause()
}
