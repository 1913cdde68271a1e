//! What comes back from the servers. A datagram that is not the verified reply to a request that waits is counted
//! by name and changes nothing.

use std::net::SocketAddr;

use arrayvec::ArrayVec;
use model::marks::{self, Mark};
use model::time::Now;
use wire::radius::authenticator::{Unverified, VerifyError, verify_responses};
use wire::radius::packet::ParseError;
use wire::radius::{Code, Packet};

use super::{Shard, transmit::BATCH_MAX};
use crate::group::Group;
use crate::journal::Step;
use crate::policy::Outcome;
use crate::request::{Place, Request};
use crate::server::{Identifier, Lookup, Once, PortId};

/// One wait in so many is for the first reply, whose round trip is measured.
const MEASURED_ONCE_IN: u32 = 16;

/// A datagram as it came in.
#[derive(Clone, Copy, Debug)]
pub struct Received<'a> {
    /// The port that it came in on.
    pub port: PortId,
    /// Who sent it, or pretends to have.
    pub from: SocketAddr,
    /// Its octets; more than 4,096 of them, or cut short by the receiver, is *oversized*.
    pub octets: &'a [u8],
    /// The receiver's buffer was shorter than the datagram.
    pub truncated: bool,
}

/// A reply whose request was found; only its authenticator is still to be believed.
#[derive(Clone, Copy)]
struct Candidate<'a> {
    request: u32,
    server: u16,
    identifier: Identifier,
    packet: Packet<'a>,
}

impl Shard {
    /// Takes datagrams, at best many at once: their authenticators are computed together.
    pub fn handle_datagrams(&mut self, now: Now, datagrams: &[Received<'_>]) {
        self.let_leave();
        self.latest = now;
        for datagrams in datagrams.chunks(BATCH_MAX) {
            self.handle_batch(now, datagrams);
        }
    }

    pub(super) fn handle_batch(&mut self, now: Now, datagrams: &[Received<'_>]) {
        let candidates: ArrayVec<Candidate<'_>, BATCH_MAX> =
            datagrams.iter().filter_map(|datagram| self.candidate(datagram, now)).collect();
        // While the digests are computed, the memory of the sessions comes.
        candidates.iter().for_each(|candidate| self.table.prefetch(self.requests.get(candidate.request).session));
        let genuine = self.genuine(&candidates);
        for (candidate, genuine) in candidates.iter().zip(genuine) {
            // The same reply may stand in the batch twice: the second finds its request gone.
            let server = &self.servers[usize::from(candidate.server)];
            if server.lookup(candidate.identifier) != Lookup::Request(candidate.request) {
                marks::hit(Mark::SameReplyTwice);
                self.discards.unknown_identifier += 1;
            } else if genuine {
                self.request_answered(candidate.request, candidate.server, candidate.identifier, now);
            } else {
                marks::hit(Mark::ReplyNotSigned);
                self.discards.bad_authenticator += 1;
            }
        }
    }

    /// Which of the candidates their servers have signed.
    fn genuine(&self, candidates: &[Candidate<'_>]) -> ArrayVec<bool, BATCH_MAX> {
        let mut responses = ArrayVec::<Unverified<'_>, BATCH_MAX>::new();
        for candidate in candidates {
            let request = self.requests.get(candidate.request);
            responses.push(Unverified {
                packet: candidate.packet,
                request_authenticator: &request.authenticator,
                secret: request.secret.as_ref().map_or(&[], |secret| secret.octets()),
                verdict: Err(VerifyError::Authenticator),
            });
        }
        verify_responses(&mut responses);
        responses.iter().map(|response| response.verdict.is_ok()).collect()
    }

    /// Finds the request that a datagram may be the reply to. A reply to a probe or to Accounting-On is judged at once: there
    /// are few.
    fn candidate<'a>(&mut self, datagram: &Received<'a>, now: Now) -> Option<Candidate<'a>> {
        let discards = &mut self.discards;
        if datagram.truncated {
            discards.oversized += 1;
            return None;
        }
        let packet = match Packet::parse(datagram.octets) {
            Ok(packet) => packet,
            Err(ParseError::Truncated) => {
                discards.truncated += 1;
                return None;
            }
            Err(ParseError::Oversized) => {
                discards.oversized += 1;
                return None;
            }
            Err(_) => {
                discards.malformed += 1;
                return None;
            }
        };
        let &(server, port) = self.ports.get(datagram.port.0 as usize)?;
        if self.servers[usize::from(server)].path.address != datagram.from {
            marks::hit(Mark::ReplyFromElsewhere);
            discards.wrong_address += 1;
            return None;
        }
        if packet.code() != Code::ACCOUNTING_RESPONSE {
            discards.unexpected_code += 1;
            return None;
        }
        let identifier = self.servers[usize::from(server)].identifier(port, packet.identifier());
        match self.servers[usize::from(server)].lookup(identifier) {
            Lookup::Request(request) => Some(Candidate { request, server, identifier, packet }),
            Lookup::Probe => {
                self.probe_is_answered(server, identifier, &packet, now);
                None
            }
            Lookup::Announcement => {
                self.announcement_is_answered(server, identifier, &packet);
                None
            }
            Lookup::Watch => {
                self.watch_is_answered(server, identifier, &packet);
                None
            }
            Lookup::Unknown => {
                discards.unknown_identifier += 1;
                None
            }
        }
    }

    /// How many replies the caller may wait for together, as nobody waits for one of them or for the ledger; 1: somebody does. A
    /// Start is somebody's who wants to go online. While others wait for places on a server it is half of what is out: the other
    /// half keeps the server busy meanwhile, and who takes the places leaves as one. Now and then nobody waits and it is 1 all the
    /// same: what comes then tells how long the servers take. To be asked right before the wait.
    pub fn replies_in_no_hurry(&mut self) -> usize {
        self.waits = self.waits.wrapping_add(1);
        let hurries = self.has_streams
            || !self.awaited.is_empty()
            || self.requests.starts() > 0
            || !self.failover.is_empty()
            || self.groups.iter().any(Group::has_starts)
            || self.waits.is_multiple_of(MEASURED_ONCE_IN);
        let out = self.servers.iter().map(|server| server.in_flight - server.missed).sum::<u32>() as usize;
        let some = if self.groups.iter().all(Group::is_idle) { out } else { out / 2 };
        let together = if hurries { 1 } else { some.clamp(1, BATCH_MAX) };
        self.gathers = together > 1;
        together
    }

    /// The verified reply to a request has come.
    pub(super) fn request_answered(&mut self, index: u32, server: u16, identifier: Identifier, now: Now) {
        let request = self.requests.get(index);
        let (once, sent) = (request.transmissions == 1, request.sent);
        // One that waited to be transmitted again need not be any more.
        if matches!(request.place, Place::Again(_)) {
            marks::hit(Mark::ReplyBeforeAgain);
            self.again.retain(|&other| other != index);
        }
        let was_missed = self.end_waiting(index);
        let once = once.then_some(Once { sent, was_missed, is_measured: !self.gathers });
        let news = self.servers[usize::from(server)].answered(identifier, once, now.mono);
        if self.servers[usize::from(server)].is_stream() {
            self.stream_answered(server, identifier.port);
        } else {
            self.miss_overtaken(server, now.mono);
        }
        self.tell_news(server, news);
        let Request { session, kind, is_copy, .. } = *self.requests.get(index);
        self.note(session, now.mono, Step::Answered { kind, is_copy, server });
        self.close_request(index, Outcome::Acknowledged, now.mono);
    }
}
