//! Servers that are spoken to over TCP or TLS. Whoever carries the octets is told which connections to make and to end, and tells
//! what becomes of them; here is decided when there is one, and what a request does whose connection ends.
//!
//! A server is called when something waits for it, and again later and later while it does not answer. One that cannot be
//! reached is Down at once, and so is one that takes a call and hangs up; but one that has answered through its last connection over
//! TLS is called once more before, for what cut that one, a restart or a box on the way, may have cut the next as well.
//!
//! A request goes once through a connection; when its wait runs out, the connection is closed (owner's decision 15), for a peer
//! that has not answered one request answers none behind it in time either. The others that were out on it go through the next one
//! if the server speaks RADIUS, and to the next server if it speaks TACACS+ (BEHAVIOUR.md 6.1), where a connection that had answered
//! before may have ended for want of use: that is tried once more.

use std::net::SocketAddr;

use arrayvec::ArrayVec;
use model::settings::{Algorithm, ServerPath, Transport};
use model::time::{Mono, Now};
use wire::tacacs::{self, Flags, Header, Reply, ReplyError, Status};

use super::replies::Received;
use super::transmit::BATCH_MAX;
use super::{Notice, Shard};
use crate::choice::Choice;
use crate::connection::{Connection, State};
use crate::group::{Group, Member};
use crate::journal::Step;
use crate::policy::Outcome;
use crate::request::{Place, Request};
use crate::server::{Identifier, Lookup, PortId};

/// So often a request whose connection ends is sent through another one to the same server.
const MOVES_MAX: u8 = 3;

/// What is to become of the connection that a port stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamOrder {
    /// It is to be made; [`Shard::handle_connected`] or [`Shard::handle_stream_end`] tells what came of it.
    Connect {
        /// The port.
        port: PortId,
        /// The server, and the way to it.
        server: ServerPath,
    },
    /// It is to be closed, whatever it was; nothing more is told of it.
    Close {
        /// The port.
        port: PortId,
    },
}

/// Why a connection is none any more, or never came to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StreamEnd {
    /// Nobody listens there.
    Refused,
    /// No way leads there.
    Unreachable,
    /// The network gave it up.
    TimedOut,
    /// The peer tore it down.
    Reset,
    /// The peer closed it in good order.
    Closed,
    /// The peer is not whom it should be, or does not take us for whom we say we are.
    Tls,
    /// This box has no address or no descriptor for it.
    Local,
    /// The peer does not read what it is sent.
    Overflow,
}

impl Shard {
    /// The next connection to make or to close; to be polled behind [`Shard::handle_timeout`], [`Shard::poll_transmit`] and
    /// whatever tells of a stream, until there is none.
    pub fn poll_stream_order(&mut self) -> Option<StreamOrder> {
        self.stream_orders.pop_front()
    }

    /// A connection stands.
    pub fn handle_connected(&mut self, now: Mono, port: PortId) {
        let Some((server, place)) = self.stream_port(port) else { return };
        // It may have been given up meanwhile.
        let connection = self.servers[usize::from(server)].connection(place);
        if let Some(connection) = connection.filter(|connection| matches!(connection.state, State::Calling(_))) {
            connection.open(now);
        }
    }

    /// So many octets of what was transmitted through it have left.
    pub fn handle_written(&mut self, port: PortId, octets: usize) {
        if let Some((server, place)) = self.stream_port(port)
            && let Some(connection) = self.servers[usize::from(server)].connection(place)
        {
            connection.handle_written(octets);
        }
    }

    /// The connection is none any more, or never came to be, without an order to close it.
    pub fn handle_stream_end(&mut self, now: Mono, port: PortId, end: StreamEnd) {
        self.let_leave();
        let Some((server, place)) = self.stream_port(port) else { return };
        let hangs_up = matches!(end, StreamEnd::Closed | StreamEnd::Reset);
        let server_of = &self.servers[usize::from(server)];
        let is_forgiven = hangs_up && server_of.path.transport == Transport::Tls && server_of.calls.is_proved;
        match self.servers[usize::from(server)].connection_state(place) {
            State::Closed => {}
            State::Calling(_) => self.call_failed(server, place, is_forgiven, now),
            State::Open => {
                let has_hung_up = !is_forgiven && self.servers[usize::from(server)].has_hung_up(place, now);
                self.connection_ended(server, place, end != StreamEnd::Tls, now);
                if has_hung_up {
                    let news = self.servers[usize::from(server)].unreachable(now);
                    self.tell_news(server, news);
                }
            }
        }
    }

    /// Octets have come in, however they were cut on the way. What is no packet ends the connection.
    pub fn handle_octets(&mut self, now: Now, port: PortId, octets: &[u8]) {
        self.let_leave();
        self.latest = now;
        let Some((server, place)) = self.stream_port(port) else { return };
        let path = self.servers[usize::from(server)].path;
        let mut rest = octets;
        while !rest.is_empty() {
            if self.servers[usize::from(server)].connection_state(place) != State::Open {
                return;
            }
            let Some(connection) = self.servers[usize::from(server)].connection(place) else { return };
            connection.handle_heard(now.mono);
            let (life, mut inbox) = (connection.life, connection.take_inbox());
            let (taken, later) = rest.split_at(rest.len().min(Connection::inbox_room(&inbox)));
            inbox.extend_from_slice(taken);
            rest = later;
            let used = match path.transport.is_tacacs() {
                true => self.take_tacacs(server, place, life, &mut inbox, now),
                false => self.take_radius(port, path.address, &inbox, now),
            };
            let ends = match used {
                Some(used) => {
                    inbox.copy_within(used.., 0);
                    inbox.truncate(inbox.len() - used);
                    false
                }
                None => true,
            };
            if let Some(connection) = self.servers[usize::from(server)].connection(place) {
                if connection.life != life {
                    inbox.clear();
                }
                connection.put_inbox(inbox);
            }
            if ends {
                self.end_connection(server, place, true, now.mono);
                return;
            }
        }
    }

    /// Whole RADIUS packets at the beginning of what came in (RFC 6614 section 2.4): how many octets they are. `None`: garbage.
    fn take_radius(&mut self, port: PortId, from: SocketAddr, inbox: &[u8], now: Now) -> Option<usize> {
        let mut used = 0;
        loop {
            let mut packets = ArrayVec::<Received<'_>, BATCH_MAX>::new();
            let mut is_garbage = false;
            while !packets.is_full() {
                let rest = &inbox[used..];
                let &[_, _, high, low, ..] = rest else { break };
                let length = usize::from(u16::from_be_bytes([high, low]));
                is_garbage = !(20..=crate::request::PACKET_MAX).contains(&length);
                if is_garbage || rest.len() < length {
                    break;
                }
                packets.push(Received { port, from, octets: &rest[..length], truncated: false });
                used += length;
            }
            if packets.is_empty() && !is_garbage {
                return Some(used);
            }
            self.handle_batch(now, &packets);
            if is_garbage {
                self.discards.malformed += 1;
                return None;
            }
        }
    }

    /// Whole TACACS+ replies at the beginning of what came in: how many octets they are. `None`: what came is none, or says that
    /// the key is another.
    fn take_tacacs(&mut self, server: u16, place: u16, life: u8, inbox: &mut [u8], now: Now) -> Option<usize> {
        let mut used = 0;
        loop {
            // A connection for each request is closed behind its reply, whatever the peer says then.
            let stands = self.servers[usize::from(server)].identifier(place, 0).life == life;
            if !stands {
                return Some(inbox.len());
            }
            match tacacs::next_packet(&inbox[used..]) {
                Ok(tacacs::Received::Needs(_)) => return Some(used),
                Ok(tacacs::Received::Packet(length)) => {
                    let packet = &mut inbox[used..used + length];
                    used += length;
                    self.take_tacacs_reply(server, place, packet, now)?;
                }
                Err(error) => {
                    self.discard_reply(server, error);
                    return None;
                }
            }
        }
    }

    /// `None`: the connection is to end.
    fn take_tacacs_reply(&mut self, server: u16, place: u16, packet: &mut [u8], now: Now) -> Option<()> {
        let session_id = Header::parse(packet)?.session_id;
        let identifier = self.servers[usize::from(server)].identifier(place, session_id.to_be_bytes()[3]);
        let index = match self.servers[usize::from(server)].lookup(identifier) {
            Lookup::Request(index) if self.requests.get(index).tacacs_session() == session_id => index,
            _ => {
                self.discards.unknown_identifier += 1;
                return Some(());
            }
        };
        let secret = self.requests.get(index).secret.clone();
        let reply = match Reply::open(packet, secret.as_ref().map(|secret| secret.octets())) {
            Ok(reply) => reply,
            Err(error) => {
                self.discard_reply(server, error);
                return None;
            }
        };
        let agrees = reply.flags.has(Flags::SINGLE_CONNECT);
        let (status, is_first) = (reply.status, self.is_first_reply(server, place));
        if is_first && self.servers[usize::from(server)].path.transport == Transport::TacacsSingle {
            self.servers[usize::from(server)].learn_single(place, agrees);
        }
        match status {
            Status::Success => self.request_answered(index, server, identifier, now),
            Status::Error | Status::Follow | Status::Other(_) => self.request_refused(index, server, identifier, now),
        }
        let server_of = &self.servers[usize::from(server)];
        let goes_on = server_of.path.transport == Transport::TacacsSingle && (agrees || !is_first);
        if !goes_on {
            self.end_connection(server, place, true, now.mono);
        }
        Some(())
    }

    fn is_first_reply(&mut self, server: u16, place: u16) -> bool {
        let connection = self.servers[usize::from(server)].connection(place);
        connection.is_some_and(|connection| !std::mem::replace(&mut connection.has_answered, true))
    }

    /// The server lives, and does not take the record: the next one is asked.
    fn request_refused(&mut self, index: u32, server: u16, identifier: Identifier, now: Now) {
        self.end_waiting(index);
        let news = self.servers[usize::from(server)].refused(identifier, now.mono);
        self.tell_news(server, news);
        self.stream_answered(server, identifier.port);
        self.deadlines.cancel(index);
        self.leave_server(index, false, now.mono);
    }

    fn discard_reply(&mut self, server: u16, error: ReplyError) {
        let discards = &mut self.discards;
        match error {
            ReplyError::Garbled | ReplyError::Unencrypted | ReplyError::Obfuscated => discards.bad_authenticator += 1,
            ReplyError::Oversized => discards.oversized += 1,
            ReplyError::Truncated | ReplyError::Undersized => discards.truncated += 1,
            ReplyError::Version | ReplyError::Type | ReplyError::Sequence => discards.malformed += 1,
        }
        let server = self.servers[usize::from(server)].path;
        self.notice(Notice::BadReply { server, error });
    }

    /// Something of a reply came on a stream.
    pub(super) fn stream_answered(&mut self, server: u16, port: u16) {
        let server = &mut self.servers[usize::from(server)];
        server.calls.handle_reply();
        if let Some(connection) = server.connection(port) {
            connection.has_answered = true;
        }
    }

    /// Gives up calls that took too long, and calls servers that something waits for.
    pub(super) fn tend_streams(&mut self, now: Mono) {
        if !self.has_streams {
            return;
        }
        for server in 0..self.servers.len() {
            #[expect(clippy::cast_possible_truncation, reason = "servers are numbered with 16 bits")]
            let number = server as u16;
            while let Some(place) = { self.servers[server].calls_overdue(now).next() } {
                self.order_close(number, place);
                self.call_failed(number, place, false, now);
            }
        }
        self.call_servers(now);
    }

    /// Makes the connections that something waits for.
    pub(super) fn call_servers(&mut self, now: Mono) {
        if !self.has_streams {
            return;
        }
        let probes = self.probing.asks();
        let mut waiting = std::mem::take(&mut self.calls_waiting);
        waiting.clear();
        waiting.resize(self.servers.len(), 0_u32);
        for group in &self.groups {
            self.count_calls(group, &mut waiting, now);
        }
        for &index in &self.failover {
            if let Some(server) = self.next_untried(index, now) {
                waiting[usize::from(server)] += 1;
            }
        }
        for (number, &waiting) in waiting.iter().enumerate() {
            let server = &mut self.servers[number];
            let is_wanted = waiting > 0 || self.announcing.waits_for(&server.path) || (probes && server.takes_probes());
            if !server.is_stream() || !server.is_wanted || server.source.is_none() {
                continue;
            }
            let count = if is_wanted { server.connections_wanted(waiting.max(1)) } else { 0 };
            let path = server.path;
            self.stream_orders.extend(server.call(count, now).map(|port| StreamOrder::Connect { port, server: path }));
        }
        self.calls_waiting = waiting;
    }

    /// Whom a group's work waits for: the first that is Up, or all of them where they share the load. One that is to be tried out
    /// again is called beside them, so that nothing waits for it meanwhile: work or not where it goes before them, for who takes the
    /// work through a connection that stands leaves none waiting. While none is Up all are called, so that the first that is back is
    /// found at once.
    fn count_calls(&self, group: &Group, waiting: &mut [u32], now: Mono) {
        let server_of = |member: &Member| &self.servers[usize::from(member.server)];
        let is_any_up = group.members.iter().any(|member| server_of(member).is_up());
        let work = group.waiting();
        let mut is_first = true;
        for member in &group.members {
            let server = server_of(member);
            let is_tried_out = server.is_doubtful(now);
            let is_steady = server.is_up() && !is_tried_out;
            let waiting = &mut waiting[usize::from(member.server)];
            if is_steady && (is_first || group.algorithm == Algorithm::LoadingShare) {
                *waiting += work;
            } else if !is_any_up || is_tried_out && (is_first || work > 0) {
                *waiting += 1;
            }
            is_first &= !is_steady;
        }
    }

    /// Whom a request that has no server waits for: one that can be spoken to without doubt before all others.
    fn next_untried(&self, index: u32, now: Mono) -> Option<u16> {
        let request = self.requests.get(index);
        let members = || self.groups[usize::from(request.group)].members.iter().map(|member| member.server);
        let untried = |server: &u16| !request.tried.has(*server);
        let up = |server: &u16| self.servers[usize::from(*server)].is_up();
        let steady = |server: &u16| up(server) && !self.servers[usize::from(*server)].is_doubtful(now);
        let next = members().filter(untried).find(steady);
        next.or_else(|| members().filter(untried).find(up)).or_else(|| members().find(untried))
    }

    /// A connection did not come to be: its server cannot be reached, unless that is forgiven, or it answers on another.
    fn call_failed(&mut self, server: u16, place: u16, is_forgiven: bool, now: Mono) {
        self.servers[usize::from(server)].disconnect(place);
        self.call_was_in_vain(server, now);
        if is_forgiven || self.servers[usize::from(server)].answers_elsewhere() {
            return;
        }
        let news = self.servers[usize::from(server)].unreachable(now);
        self.tell_news(server, news);
    }

    fn call_was_in_vain(&mut self, server: u16, now: Mono) {
        self.call_count += 1;
        let (epoch, shard, number) = (self.birth.epoch, self.birth.shard, self.call_count);
        let (key, server) = (self.key, &mut self.servers[usize::from(server)]);
        server.calls.handle_failure(now, server.path.transport, |range| key.call(epoch, shard, number, range));
    }

    /// It ends by our own will.
    pub(super) fn end_connection(&mut self, server: u16, place: u16, may_move: bool, now: Mono) {
        self.order_close(server, place);
        self.connection_ended(server, place, may_move, now);
    }

    /// What was out on it goes elsewhere.
    fn connection_ended(&mut self, server: u16, place: u16, may_move: bool, now: Mono) {
        let is_radius = !self.servers[usize::from(server)].path.transport.is_tacacs();
        let Some(connection) = self.servers[usize::from(server)].connection(place) else { return };
        let has_answered = connection.has_answered;
        let cut_off = self.servers[usize::from(server)].disconnect(place);
        if !has_answered {
            self.call_was_in_vain(server, now);
        }
        self.announcing.handle_connection_end(server, place);
        let moves_most = if is_radius { MOVES_MAX } else { u8::from(has_answered) };
        for index in cut_off {
            self.end_waiting(index);
            self.deadlines.cancel(index);
            let request = self.requests.get(index);
            let (sent, is_overdue) = (request.sent, request.sent.plus(request.timeout) <= now);
            let may_move = may_move && !is_overdue && request.moves < moves_most;
            let stays = may_move && !self.is_sent_once(index);
            if !may_move {
                let server_of = &mut self.servers[usize::from(server)];
                // Some have waited as long as the one whose wait has ended the connection.
                let news = if is_overdue { server_of.unanswered(sent, now) } else { server_of.unreachable(now) };
                self.tell_news(server, news);
            }
            self.leave_server(index, stays, now);
        }
    }

    /// A request that its server has not answered, or has no connection any more to do so: it goes on to the next, if any. `stays`:
    /// the same one may have it once more, but not for ever.
    pub(super) fn leave_server(&mut self, index: u32, stays: bool, now: Mono) {
        let overtaken = self.is_overtaken(index);
        let request = self.requests.get_mut(index);
        request.place = Place::Failover;
        let Request { session, kind, is_copy, server, timeout, .. } = *request;
        if stays {
            request.tried.remove(server);
            request.moves += 1;
        } else {
            self.note(session, now, Step::Silent { kind, is_copy, server });
        }
        if overtaken || (is_copy && !stays) || self.choose(index, now) == Choice::Exhausted {
            self.close_request(index, Outcome::Unanswered, now);
        } else {
            if stays {
                self.deadlines.set(index, now.plus(timeout));
            }
            self.failover.push_back(index);
        }
    }

    /// The wait for another connection has run out.
    pub(super) fn move_is_overdue(&mut self, index: u32, now: Mono) {
        if let Some(place) = self.failover.iter().position(|&other| other == index) {
            self.failover.remove(place);
            self.close_request(index, Outcome::Unanswered, now);
        }
    }

    fn order_close(&mut self, server: u16, place: u16) {
        let port = self.servers[usize::from(server)].port_id(place);
        self.stream_orders.push_back(StreamOrder::Close { port });
    }

    /// Every connection of a server whose path is left.
    pub(super) fn close_connections(&mut self, server: u16) {
        let open: Vec<u16> = self.servers[usize::from(server)].connections().collect();
        for place in open {
            self.order_close(server, place);
            self.servers[usize::from(server)].disconnect(place);
        }
    }

    fn stream_port(&self, port: PortId) -> Option<(u16, u16)> {
        let &(server, place) = self.ports.get(port.0 as usize)?;
        self.servers[usize::from(server)].is_stream().then_some((server, place))
    }
}
