//! Disconnect-Requests to one client (RFC 5176): sent, sent again, and what came of them.
//!
//! **Which session.** It is named by what the NAS itself has said of it: its own name and the NAS's, the user's, its address.
//! Acct-Terminate-Cause says why; a NAS that knows no such attribute there (Error-Cause 401) is asked once more without.
//!
//! **Full:** as many are out as there are identifiers, [`QUEUE_MAX`] wait behind them; what comes then is not taken, and the
//! session asks again. One session has one request at a time.

use std::collections::VecDeque;
use std::time::Duration;

use model::report::DisconnectCounts;
use model::time::{Mono, Now};
use wire::radius::attribute::{Attributes, as_u32, error_cause};
use wire::radius::authenticator::{Unsigned, sign_request, verify_response};
use wire::radius::{Code, Encoder, PACKET_SIZE_MAX, Packet, Type};

use super::name::SessionName;
use crate::shard::Disconnected;

/// Requests that wait for an identifier.
const QUEUE_MAX: usize = 4096;
/// As many as there are.
const IDENTIFIERS: usize = 1 << u8::BITS;
/// Times that a request is sent.
const TRANSMISSIONS: u8 = 5;
/// How long the first waits for an answer; each that follows twice as long as the one before.
const TIMEOUT: Duration = Duration::from_secs(2);

/// What names a session to its NAS, in its own words.
const NAMES: [Type; 7] = [
    Type::USER_NAME,
    Type::NAS_IP_ADDRESS,
    Type::FRAMED_IP_ADDRESS,
    Type::CALLING_STATION_ID,
    Type::NAS_IDENTIFIER,
    Type::ACCT_SESSION_ID,
    Type::NAS_IPV6_ADDRESS,
];

/// Octets of that, so that a packet has room for the rest.
const NAMES_MAX: usize = PACKET_SIZE_MAX - 64;

/// A session that is to be logged out.
struct Parting {
    session: SessionName,
    /// What it is named by.
    names: Box<[u8]>,
    cause: u8,
    has_cause: bool,
    transmissions: u8,
    due: Mono,
    packet: Box<[u8]>,
}

/// All of one client.
#[derive(Default)]
pub(super) struct Disconnects {
    /// By their identifiers.
    out: Vec<Option<Parting>>,
    /// How many of them are.
    in_flight: usize,
    queue: VecDeque<Parting>,
    next: u8,
    pub(super) counts: DisconnectCounts,
}

impl Disconnects {
    /// A session is to be logged out; `run` are its attributes. Whoever is asked already is not asked twice, and whoever finds no room
    /// asks again. False: what it is named by is longer than a packet.
    pub(super) fn ask(&mut self, session: &[u8], run: &[u8], cause: u8) -> bool {
        let is_it = |parting: &Parting| parting.session == *session;
        let is_known = self.out.iter().flatten().any(is_it) || self.queue.iter().any(is_it);
        if is_known || self.queue.len() >= QUEUE_MAX {
            return true;
        }
        let Ok(session) = SessionName::try_from(session) else { return false };
        let mut room = [0; NAMES_MAX];
        let mut names = Encoder::run(&mut room);
        for attribute in Attributes::of_run(run).filter(|attribute| NAMES.contains(&attribute.kind)) {
            names.attribute(attribute);
        }
        let Ok(names) = names.finish() else { return false };
        self.counts.requests += 1;
        self.queue.push_back(Parting {
            session,
            names: (&*names).into(),
            cause,
            has_cause: true,
            transmissions: 0,
            due: Mono::ZERO,
            packet: Box::default(),
        });
        true
    }

    /// Nobody is asked any more.
    pub(super) fn forget(&mut self) {
        *self = Disconnects { counts: self.counts, ..Disconnects::default() };
    }

    /// How many wait for an answer or a place.
    pub(super) fn pending(&self) -> usize {
        self.queue.len() + self.in_flight
    }

    /// When something is to be sent, or given up.
    pub(super) fn next_timeout(&self) -> Option<Mono> {
        if self.pending() == 0 {
            return None;
        }
        if !self.queue.is_empty() && self.in_flight < IDENTIFIERS {
            return Some(Mono::ZERO);
        }
        self.out.iter().flatten().map(|parting| parting.due).min()
    }

    /// Gives up who has not been answered in all transmissions; one at a time.
    pub(super) fn expire(&mut self, now: Mono) -> Option<SessionName> {
        if self.in_flight == 0 {
            return None;
        }
        let is_over = |parting: &Option<Parting>| {
            parting.as_ref().is_some_and(|parting| parting.due <= now && parting.transmissions == TRANSMISSIONS)
        };
        let place = self.out.iter().position(is_over)?;
        self.counts.timeouts += 1;
        self.in_flight -= 1;
        self.out[place].take().map(|parting| parting.session)
    }

    /// Sends the next request that is due, for the first time or once more; gives its place, for [`Disconnects::packet`].
    pub(super) fn poll(&mut self, now: Now, secret: &[u8]) -> Option<usize> {
        if self.pending() == 0 {
            return None;
        }
        let is_due = |parting: &Option<Parting>| {
            parting.as_ref().is_some_and(|parting| parting.due <= now.mono && parting.transmissions < TRANSMISSIONS)
        };
        let place = match self.out.iter().position(is_due) {
            Some(place) => {
                self.counts.retransmissions += 1;
                place
            }
            None => self.begin(now, secret)?,
        };
        let parting = self.out[place].as_mut()?;
        let wait = TIMEOUT * (1 << parting.transmissions.min(TRANSMISSIONS));
        parting.transmissions += 1;
        parting.due = now.mono.plus(wait);
        Some(place)
    }

    /// The octets of a request that is out.
    pub(super) fn packet(&self, place: usize) -> &[u8] {
        self.out[place].as_ref().map_or(&[][..], |parting| &parting.packet)
    }

    fn free_identifier(&self) -> Option<usize> {
        if self.out.is_empty() {
            return Some(usize::from(self.next));
        }
        (0..=u8::MAX)
            .map(|step| usize::from(self.next.wrapping_add(step)))
            .find(|&identifier| self.out[identifier].is_none())
    }

    /// Gives the next in the queue an identifier, and signs its request.
    fn begin(&mut self, now: Now, secret: &[u8]) -> Option<usize> {
        let identifier = self.free_identifier().filter(|_| !self.queue.is_empty())?;
        let mut parting = self.queue.pop_front()?;
        let number = u8::try_from(identifier).ok()?;
        let mut room = [0; PACKET_SIZE_MAX];
        let mut packet = Encoder::packet(&mut room, Code::DISCONNECT_REQUEST, number);
        packet.raw(&parting.names).u32(Type::EVENT_TIMESTAMP, now.wall.event_timestamp());
        if parting.has_cause {
            packet.u32(Type::ACCT_TERMINATE_CAUSE, parting.cause.into());
        }
        let packet = packet.finish().ok()?;
        sign_request(&mut Unsigned { packet, secret, message_authenticator: false });
        parting.packet = (&*packet).into();
        if self.out.is_empty() {
            self.out.resize_with(IDENTIFIERS, || None);
        }
        self.next = number.wrapping_add(1);
        self.out[identifier] = Some(parting);
        self.in_flight += 1;
        Some(identifier)
    }

    /// A datagram of the client. Gives the session that it is about, and what came of it.
    pub(super) fn handle_reply(&mut self, octets: &[u8], secret: &[u8]) -> Option<(SessionName, Disconnected)> {
        let answered = Packet::parse(octets).ok().filter(|reply| {
            let asked = self.out.get(usize::from(reply.identifier())).and_then(Option::as_ref);
            let is_answer = matches!(reply.code(), Code::DISCONNECT_ACK | Code::DISCONNECT_NAK);
            asked
                .and_then(|parting| Packet::parse(&parting.packet).ok())
                .is_some_and(|request| is_answer && verify_response(reply, request.authenticator(), secret).is_ok())
        });
        let Some(reply) = answered else {
            self.counts.bad_replies += 1;
            return None;
        };
        let mut parting = self.out[usize::from(reply.identifier())].take()?;
        self.in_flight -= 1;
        if reply.code() == Code::DISCONNECT_ACK {
            self.counts.acks += 1;
            return Some((parting.session, Disconnected::Agreed));
        }
        self.counts.naks += 1;
        match reply.find(Type::ERROR_CAUSE).and_then(as_u32) {
            Some(error_cause::SESSION_CONTEXT_NOT_FOUND) => Some((parting.session, Disconnected::Unknown)),
            Some(error_cause::UNSUPPORTED_ATTRIBUTE) if parting.has_cause => {
                (parting.has_cause, parting.transmissions, parting.due) = (false, 0, Mono::ZERO);
                self.queue.push_front(parting);
                None
            }
            _ => Some((parting.session, Disconnected::Failed)),
        }
    }
}

#[cfg(test)]
mod tests {
    use model::time::Wall;
    use wire::radius::authenticator::verify_request;
    use wire::radius::authorization::answer;

    use super::*;

    const SECRET: &[u8] = b"s3cret";

    fn at(seconds: u64) -> Now {
        Now { mono: Mono::from_nanos(seconds * 1_000_000_000), wall: Wall::from_millis(1_795_000_000_000) }
    }

    /// User-Name, Acct-Session-Id, and something that names nobody.
    const RUN: [u8; 14] = [1, 4, b'a', b'b', 44, 4, b's', b'1', 6, 6, 0, 0, 0, 2];

    fn asked() -> Disconnects {
        let mut disconnects = Disconnects::default();
        disconnects.ask(b"s1#0", &RUN, 9);
        disconnects
    }

    /// What is sent then.
    fn sent(disconnects: &mut Disconnects, seconds: u64) -> Option<Vec<u8>> {
        let place = disconnects.poll(at(seconds), SECRET)?;
        Some(disconnects.packet(place).to_vec())
    }

    fn reply(request: &[u8], verdict: Result<(), u32>) -> Vec<u8> {
        let mut room = [0; 100];
        answer(&Packet::parse(request).unwrap(), verdict, SECRET, &mut room).unwrap().to_vec()
    }

    #[test]
    fn a_request_names_the_session_in_the_words_of_its_nas() {
        let mut disconnects = asked();
        disconnects.ask(b"s1#0", &RUN, 9);
        assert_eq!((disconnects.pending(), disconnects.counts.requests), (1, 1), "nobody is asked twice");
        let packet = sent(&mut disconnects, 1).unwrap();
        let request = Packet::parse(&packet).unwrap();
        assert_eq!(verify_request(&request, SECRET), Ok(()));
        let kinds: Vec<u8> = request.attributes().map(|attribute| attribute.kind.0).collect();
        assert_eq!(kinds, [1, 44, 55, 49]);
        assert_eq!(disconnects.poll(at(1), SECRET), None);
        let ack = reply(&packet, Ok(()));
        assert_eq!(disconnects.handle_reply(&ack, b"other"), None);
        let (session, outcome) = disconnects.handle_reply(&ack, SECRET).unwrap();
        assert_eq!((&session[..], outcome), (&b"s1#0"[..], Disconnected::Agreed));
        assert_eq!(disconnects.handle_reply(&ack, SECRET), None, "it is answered once");
        assert_eq!((disconnects.counts.acks, disconnects.counts.bad_replies, disconnects.pending()), (1, 2, 0));
    }

    #[test]
    fn what_is_not_answered_is_sent_again_and_given_up() {
        let mut disconnects = asked();
        let first = sent(&mut disconnects, 0).unwrap();
        let mut seconds = 0;
        for wait in [2, 4, 8, 16] {
            assert_eq!(disconnects.poll(at(seconds + wait - 1), SECRET), None);
            seconds += wait;
            assert_eq!(disconnects.next_timeout(), Some(at(seconds).mono));
            assert_eq!(sent(&mut disconnects, seconds).as_ref(), Some(&first), "the same octets");
        }
        assert_eq!(disconnects.expire(at(seconds + 31).mono), None);
        assert_eq!(disconnects.poll(at(seconds + 32), SECRET), None);
        assert_eq!(disconnects.expire(at(seconds + 32).mono).as_deref(), Some(&b"s1#0"[..]));
        assert_eq!((disconnects.counts.retransmissions, disconnects.counts.timeouts), (4, 1));
        assert_eq!(disconnects.next_timeout(), None);
    }

    #[test]
    fn a_nas_says_why_not() {
        for (cause, expected) in [
            (error_cause::SESSION_CONTEXT_NOT_FOUND, Disconnected::Unknown),
            (error_cause::ADMINISTRATIVELY_PROHIBITED, Disconnected::Failed),
        ] {
            let mut disconnects = asked();
            let nak = reply(&sent(&mut disconnects, 0).unwrap(), Err(cause));
            assert_eq!(disconnects.handle_reply(&nak, SECRET).unwrap().1, expected);
        }
        let mut disconnects = asked();
        let nak = reply(&sent(&mut disconnects, 0).unwrap(), Err(error_cause::UNSUPPORTED_ATTRIBUTE));
        assert_eq!(disconnects.handle_reply(&nak, SECRET), None);
        let without = sent(&mut disconnects, 0).unwrap();
        assert_eq!(Packet::parse(&without).unwrap().find(Type::ACCT_TERMINATE_CAUSE), None);
        let nak = reply(&without, Err(error_cause::UNSUPPORTED_ATTRIBUTE));
        assert_eq!(disconnects.handle_reply(&nak, SECRET).unwrap().1, Disconnected::Failed);
    }

    #[test]
    fn as_many_are_out_as_there_are_identifiers() {
        let mut disconnects = Disconnects::default();
        for number in 0..5000_u32 {
            disconnects.ask(format!("s{number}").as_bytes(), &RUN, 9);
        }
        assert_eq!(disconnects.pending(), QUEUE_MAX);
        let mut identifiers = Vec::new();
        while let Some(packet) = sent(&mut disconnects, 0) {
            identifiers.push(packet[1]);
        }
        assert_eq!(identifiers, (0..=255).collect::<Vec<u8>>());
        assert_eq!(disconnects.next_timeout(), Some(at(2).mono));
    }
}
