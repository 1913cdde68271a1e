//! Work becomes octets: what is transmitted again, what goes on to the next server, and what waits in the lanes.

use std::net::SocketAddr;

use arrayvec::ArrayVec;
use model::counters::CounterSource;
use model::marks::{self, Mark};
use model::settings::Transport;
use model::time::{Mono, Now};
use wire::radius::authenticator::{Unsigned, sign_requests};
use wire::tacacs::{Clear, obfuscate_all};

use super::Shard;
use super::deadlines::DUE_MAX;
use crate::choice::Choice;
use crate::copies;
use crate::journal::Step;
use crate::packet::{self, Constant};
use crate::policy::{Kind, Outcome};
use crate::request::{PACKET_MAX, Place, Request};
use crate::server::{Identifier, PortId, Server};
use crate::session::{Flags, NONE, Slot};
use crate::tacacs;

/// Datagrams in one batch: as many as segmentation offload takes, and enough to fill every MD5 lane.
pub const BATCH_MAX: usize = 64;

/// One datagram of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transmit<'a> {
    /// The source port.
    pub port: PortId,
    /// The server.
    pub to: SocketAddr,
    /// What to send.
    pub octets: &'a [u8],
}

/// Datagrams that the shard wants sent, in order. The caller owns it and uses it again.
pub struct TransmitBatch {
    pub(super) octets: Vec<u8>,
    entries: Vec<Entry>,
}

#[derive(Clone, Copy)]
struct Entry {
    port: PortId,
    to: SocketAddr,
    start: usize,
    length: usize,
    request: u32,
    /// What is still to be done to the octets.
    finish: Finish,
}

/// What is still to be done to a packet that was written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Finish {
    /// Nothing: it is sent once more, or was signed alone.
    Nothing,
    /// Its authenticators are to be computed.
    Sign,
    /// Its body is to be obfuscated.
    Obfuscate,
}

impl Default for TransmitBatch {
    fn default() -> TransmitBatch {
        TransmitBatch { octets: vec![0; BATCH_MAX * PACKET_MAX], entries: Vec::with_capacity(BATCH_MAX) }
    }
}

impl TransmitBatch {
    /// Empties it.
    pub fn clear(&mut self) {
        self.entries.clear();
    }

    /// How many datagrams there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The datagrams.
    pub fn iter(&self) -> impl Iterator<Item = Transmit<'_>> {
        self.entries.iter().map(|entry| Transmit {
            port: entry.port,
            to: entry.to,
            octets: &self.octets[entry.start..entry.start + entry.length],
        })
    }

    /// Where the next datagram is written; one after the other, so that equal lengths can be sent as one.
    pub(super) fn next_start(&self) -> usize {
        self.entries.last().map_or(0, |entry| entry.start + entry.length)
    }

    /// What was written at `start`, signed, belongs to no request.
    pub(super) fn add_signed(&mut self, server: &mut Server, identifier: Identifier, start: usize, length: usize) {
        if let Some(connection) = server.connection(identifier.port) {
            connection.handle_sent(length);
        }
        let (port, to) = (server.port_id(identifier.port), server.path.address);
        self.entries.push(Entry { port, to, start, length, request: NONE, finish: Finish::Nothing });
    }
}

impl Shard {
    /// Fills `batch`, which is emptied first, with at most `room` datagrams that are due now. An empty batch: nothing
    /// is due, or what is due waits for a place on its server.
    pub fn poll_transmit(&mut self, now: Now, counters: &impl CounterSource, room: usize, batch: &mut TransmitBatch) {
        self.let_leave();
        batch.clear();
        let room = room.min(BATCH_MAX);
        self.transmit_probes(now, room, batch);
        self.transmit_announcements(now, room, batch);
        self.transmit_watches(now, room, batch);
        while batch.len() < room
            && let Some(index) = self.again.pop_front()
        {
            self.transmit_again(index, now, batch);
        }
        self.share_requests();
        self.transmit_failovers(now, room, batch);
        self.transmit_new(now, counters, room, batch);
        self.transmit_copies(now, room, batch);
        self.call_servers(now.mono);
        self.finish(batch);
    }

    /// The same octets to the same server once more.
    fn transmit_again(&mut self, index: u32, now: Now, batch: &mut TransmitBatch) {
        let Place::Again(identifier) = self.requests.get(index).place else { return };
        if self.is_overtaken(index) {
            marks::hit(Mark::OvertakenBeforeAgain);
            let request = self.requests.get(index);
            self.servers[usize::from(request.server)].given_up(identifier, now.mono, request.timeout);
            self.close_request(index, Outcome::Unanswered, now.mono);
            return;
        }
        let server = &mut self.servers[usize::from(self.requests.get(index).server)];
        server.counts.retransmissions += 1;
        let (port, to) = (server.port_id(identifier.port), server.path.address);
        self.journal_sent(index, now.mono);
        let (start, packet) = (batch.next_start(), self.requests.packet(index));
        batch.octets[start..start + packet.len()].copy_from_slice(packet);
        batch.entries.push(Entry { port, to, start, length: packet.len(), request: index, finish: Finish::Nothing });
        self.wait_for_reply(index, Place::Reply(identifier), now);
    }

    /// Transactions that one server did not answer go to the next; one that finds no place waits on.
    fn transmit_failovers(&mut self, now: Now, room: usize, batch: &mut TransmitBatch) {
        for _ in 0..self.failover.len() {
            if batch.len() == room {
                return;
            }
            let Some(index) = self.failover.pop_front() else { return };
            if self.is_overtaken(index) {
                self.close_request(index, Outcome::Unanswered, now.mono);
                continue;
            }
            // A commit may have given the group a server that is to be told before.
            let request = self.requests.get(index);
            let goes_behind = matches!(request.kind, Kind::Start | Kind::Interim);
            if goes_behind && self.groups[usize::from(request.group)].untold {
                marks::hit(Mark::FailoverWaitsForTold);
                self.failover.push_back(index);
                continue;
            }
            match self.choose(index, now.mono) {
                Choice::Member(member) if self.place(index, member, now, batch) => self.tell_news_behind(index),
                Choice::Member(_) | Choice::Wait => self.failover.push_back(index),
                Choice::Exhausted => {
                    marks::hit(Mark::ServersExhausted);
                    self.close_request(index, Outcome::Unanswered, now.mono);
                }
            }
        }
    }

    /// Sessions that wait in the lanes, group by group.
    fn transmit_new(&mut self, now: Now, counters: &impl CounterSource, room: usize, batch: &mut TransmitBatch) {
        let group_count = self.groups.len();
        for step in 0..group_count {
            let group = (self.group_turn + step) % group_count;
            while batch.len() < room && self.requests.has_room() && !self.groups[group].is_idle() {
                self.look_ahead(group, counters);
                let Some((slot, member)) = self.next_in(group, now.mono) else { break };
                self.groups[group].end_turn();
                if !self.begin(slot, group, member, now, counters, batch) {
                    break;
                }
            }
        }
        self.group_turn = (self.group_turn + 1) % group_count;
    }

    /// Those who have waited for long have left the cache: the memory of some of the next is asked for, and they are found by way
    /// of those before them.
    fn look_ahead(&mut self, group: usize, counters: &impl CounterSource) {
        for queue in self.groups[group].lanes.iter_mut().filter(|queue| queue.count as usize > DUE_MAX) {
            // One takes the place of the one that leaves, and another shortens the way to go.
            for _ in 0..2 {
                let Some(slot) = self.table.look_ahead(queue) else { break };
                let session = &self.table.sessions[slot as usize];
                counters.prefetch(session.plane, session.counters);
                self.table.blobs.prefetch(session.blob);
            }
        }
    }

    /// Begins the transaction that a session waits for. False: it found no identifier and waits on.
    fn begin(
        &mut self,
        slot: Slot,
        group: usize,
        member: usize,
        now: Now,
        counters: &impl CounterSource,
        batch: &mut TransmitBatch,
    ) -> bool {
        let kind = self.kind_of(slot);
        let event = match kind {
            Kind::Start => Now { mono: self.session(slot).opened, wall: self.beginning(slot).opened },
            Kind::Interim => self.reported(slot).map_or(now, |reported| reported.at),
            Kind::ZeroStop => now,
            Kind::Stop => self.annex(slot).closed,
        };
        #[expect(clippy::cast_possible_truncation, reason = "groups are numbered with 16 bits")]
        let Some(index) = self.requests.open(slot, kind, group as u16, event) else { return false };
        match kind {
            Kind::Start | Kind::ZeroStop => {}
            Kind::Interim => {
                // What fell due just now was read then; a NAS has said what there is to know.
                if self.account(slot).sampled != now.mono && self.reported(slot).is_none() {
                    let read = self.read_on(slot, counters);
                    if let Some(read) = read {
                        self.table.set_counted(slot, read);
                    }
                    self.account_mut(slot).sampled = now.mono;
                }
                let lasted = now.mono.since(self.session(slot).opened).as_secs();
                let lasted = u32::try_from(lasted).unwrap_or(u32::MAX);
                let session_time_s = self.reported(slot).map_or(lasted, |reported| reported.last.session_time_s);
                let request = self.requests.get_mut(index);
                request.counters = self.table.counted(slot);
                request.session_time_s = session_time_s;
            }
            Kind::Stop => {
                let annex = self.table.annex(slot);
                let request = self.requests.get_mut(index);
                request.counters = self.table.counted(slot);
                request.session_time_s = annex.session_time_s;
                request.cause = annex.cause;
            }
        }
        if !self.place(index, member, now, batch) {
            self.requests.close(index);
            return false;
        }
        self.note_lateness(slot, now.mono);
        self.dequeue(slot);
        self.session_mut(slot).request = index;
        match kind {
            Kind::Interim if self.reported(slot).is_some() => self.relayed.get_mut(slot).is_news = false,
            Kind::Interim => self.owe_sample(slot),
            Kind::Stop => self.session_mut(slot).flags.set(Flags::STOP_SENT),
            Kind::Start | Kind::ZeroStop => {}
        }
        true
    }

    /// Encodes a request for a member of its group, with an identifier of its own. False: none is free.
    pub(super) fn place(&mut self, index: u32, member: usize, now: Now, batch: &mut TransmitBatch) -> bool {
        let group = &self.groups[usize::from(self.requests.get(index).group)];
        let member_of = group.members[member].clone();
        let server = &self.servers[usize::from(member_of.server)];
        let (retransmit, timeout) = match self.requests.get(index).is_copy {
            true if server.is_stream() => (1, copies::TIMEOUT * u32::from(copies::TRANSMISSIONS)),
            true => (copies::TRANSMISSIONS, copies::TIMEOUT),
            false => group.transmissions_to(server),
        };
        let watchdog_alone = group.watchdog_alone;
        let server = &mut self.servers[usize::from(member_of.server)];
        let Some(identifier) = server.take_identifier(index) else { return false };
        server.handle_sent(now.mono);
        let request = self.requests.get_mut(index);
        match request.kind {
            Kind::Start => server.counts.starts += 1,
            Kind::Interim => server.counts.interims += 1,
            Kind::Stop | Kind::ZeroStop => server.counts.stops += 1,
        }
        request.server = member_of.server;
        request.secret = Some(member_of.secret);
        request.message_authenticator = member_of.message_authenticator;
        request.transmissions = 0;
        request.transmissions_max = retransmit;
        request.timeout = timeout;
        request.tried.add(member_of.server);
        let (slot, is_copy) = (request.session, request.is_copy);
        if !is_copy {
            self.table.accounts[slot as usize].server = member_of.server;
        }
        let start = batch.next_start();
        let room = &mut batch.octets[start..start + PACKET_MAX];
        let own = self.table.blobs.attributes(self.table.sessions[slot as usize].blob);
        let terms = &self.contracts.get(self.table.sessions[slot as usize].contract).terms;
        let transport = server.path.transport;
        let (length, finish) = if transport.is_tacacs() {
            let (epoch, shard, turn) = (self.birth.epoch, self.birth.shard, request.tried.count() + request.moves);
            let drawn = self.key.tacacs_session(epoch, shard, request.number, turn);
            let session_id = drawn << 8 | u32::from(identifier.value);
            request.authenticator[..4].copy_from_slice(&session_id.to_be_bytes());
            let opened = self.table.beginnings[slot as usize].opened;
            let offers_single = transport == Transport::TacacsSingle;
            let facts = tacacs::Facts { own, terms, opened, session_id, offers_single, watchdog_alone };
            (tacacs::encode(room, request, &facts), Finish::Obfuscate)
        } else {
            let is_relayed = self.table.sessions[slot as usize].flags.has(Flags::RELAYED);
            // Its NAS says who it is.
            let nas = if is_relayed { &[][..] } else { &server.nas_attributes };
            let constant = Constant { own, nas, terms, cause: request.cause };
            (packet::encode(room, identifier.value, request, &constant, now), Finish::Sign)
        };
        if let Some(connection) = server.connection(identifier.port) {
            connection.handle_sent(length);
        }
        let entry = Entry {
            port: server.port_id(identifier.port),
            to: server.path.address,
            start,
            length,
            request: index,
            finish,
        };
        batch.entries.push(entry);
        self.journal_sent(index, now.mono);
        if !is_copy {
            // These octets say where the subscriber is now.
            self.session_mut(slot).flags.put(Flags::INTERIM_DUE, false);
        }
        self.wait_for_reply(index, Place::Reply(identifier), now);
        true
    }

    fn journal_sent(&mut self, index: u32, now: Mono) {
        let Request { session, kind, is_copy, server, transmissions, .. } = *self.requests.get(index);
        self.note(session, now, Step::Sent { kind, is_copy, server, transmission: transmissions + 1 });
    }

    fn wait_for_reply(&mut self, index: u32, place: Place, now: Now) {
        let request = self.requests.get_mut(index);
        request.place = place;
        request.sent = now.mono;
        request.transmissions += 1;
        let deadline = now.mono.plus(request.timeout);
        self.deadlines.set(index, deadline);
        self.begin_waiting(index);
    }

    /// Signs and obfuscates what was encoded in this round, all together, and keeps what may be sent once more.
    fn finish(&mut self, batch: &mut TransmitBatch) {
        let mut unsigned = ArrayVec::<Unsigned<'_>, BATCH_MAX>::new();
        let mut clear = ArrayVec::<Clear<'_>, BATCH_MAX>::new();
        let mut rest = &mut batch.octets[..];
        let mut cut = 0;
        for entry in batch.entries.iter().filter(|entry| entry.finish != Finish::Nothing) {
            let (_, tail) = rest.split_at_mut(entry.start - cut);
            let (packet, tail) = tail.split_at_mut(entry.length);
            (rest, cut) = (tail, entry.start + entry.length);
            let request = self.requests.get(entry.request);
            let secret = request.secret.as_ref().map_or(&[][..], |secret| secret.octets());
            if entry.finish == Finish::Sign {
                unsigned.push(Unsigned { packet, secret, message_authenticator: request.message_authenticator });
            } else {
                clear.push(Clear { packet, key: secret });
            }
        }
        sign_requests(&mut unsigned);
        obfuscate_all(&mut clear);
        drop((unsigned, clear));
        for entry in batch.entries.iter().filter(|entry| entry.finish == Finish::Sign) {
            let packet = &batch.octets[entry.start..entry.start + entry.length];
            self.requests.get_mut(entry.request).authenticator.copy_from_slice(&packet[4..20]);
            self.requests.keep(entry.request, packet);
        }
    }
}
