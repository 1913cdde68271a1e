//! The second stream of a session's accounting: signed, in order, with retries of its own; and at the end, whether the copy
//! server heard of everybody whom nothing kept from it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use model::counters::Counters;
use model::ids::SessionSerial;
use model::time::{Mono, Now};
use wire::radius::attribute::acct_status_type::{INTERIM_UPDATE, START, STOP};
use wire::radius::authenticator::{verify_request, verify_response};
use wire::radius::{Code, Packet};

use super::wire::{Attempt, Leaving};
use super::{Oracle, Violation, as_sent, is_within};
use crate::network::Datagram;
use crate::scenario::CopyServer;
use crate::server::{Said, Server};
use crate::trace::{Trace, text};

/// Transmissions of a packet, and the wait after each (BEHAVIOUR.md 4).
const TRANSMISSIONS: u8 = 3;
const TIMEOUT: Duration = Duration::from_secs(5);

/// What is known of copies.
pub(super) struct Copies {
    server: Option<CopyServer>,
    /// Nothing keeps the server from hearing all of them.
    is_well: bool,
    attempts: BTreeMap<(SocketAddr, u8), Attempt>,
    /// What was sent of each session in this life.
    sent: BTreeMap<SessionSerial, Sent>,
}

#[derive(Default)]
struct Sent {
    current: Option<(SocketAddr, u8)>,
    counters: Counters,
    stopped: bool,
}

impl Copies {
    pub(super) fn new(server: Option<CopyServer>, is_well: bool) -> Copies {
        Copies { server, is_well, attempts: BTreeMap::new(), sent: BTreeMap::new() }
    }

    /// Copies begin anew, and what was due when the last life ended is not told.
    pub(super) fn new_life(&mut self, lives: u32) {
        self.sent.clear();
        self.is_well &= lives <= 1;
    }
}

impl Oracle {
    /// A datagram leaves; true when it was a copy.
    pub(super) fn copy_leaves(
        &mut self,
        now: Now,
        from: SocketAddr,
        to: SocketAddr,
        octets: &[u8],
        trace: &mut Trace,
    ) -> bool {
        let Some(server) = self.copies.server.clone().filter(|server| server.address == to) else { return false };
        let Some(Leaving { packet, said, serial, id }) = self.read_leaving(octets) else { return true };
        let key = (from, packet.identifier());
        trace.say(format_args!("a copy of a {} of {id} leaves {}/{}", said.kind(), key.0.port(), key.1));
        let known = self.copies.attempts.get_mut(&key);
        if let Some(attempt) = known.filter(|attempt| attempt.authenticator == *packet.authenticator()) {
            let again = attempt.leaves_again(now.mono, to, octets);
            self.check_again(&again, TRANSMISSIONS, &id);
            return true;
        }
        let life = self.lives;
        let is_free = self.copies.attempts.get(&key).is_none_or(|attempt| attempt.is_free(now.mono, life));
        let current = self.copies.sent.get(&serial).and_then(|sent| sent.current);
        let current = current.and_then(|key| self.copies.attempts.get(&key)).filter(|other| other.serial == serial);
        let is_alone = current.is_none_or(|attempt| attempt.has_ended(now.mono));
        let is_signed = verify_request(&packet, &server.secret).is_ok();
        self.require(is_signed, "every request is signed", || id.clone());
        self.require(is_free, "an identifier names one request at a time", || format!("{id}, {key:?}"));
        self.require(is_alone, "a session's copy has one transaction at a time", || id.clone());
        if said.status != STOP {
            self.check_told(to);
        }
        self.copy_says(serial, &said, &id);
        let attempt = Attempt { timeout: TIMEOUT, ..Attempt::new(serial, life, to, &packet, now.mono) };
        self.copies.attempts.insert(key, attempt);
        self.copies.sent.entry(serial).or_default().current = Some(key);
        true
    }

    /// What a copy says is what the first servers are told, or were last.
    fn copy_says(&mut self, serial: SessionSerial, said: &Said, id: &str) {
        let Some(book) = self.books.get(&serial) else { return };
        let sent = self.copies.sent.entry(serial).or_default();
        let is_open = !sent.stopped;
        let grows = said.status == START || is_within(&sent.counters, &said.counters);
        sent.stopped |= said.status == STOP;
        sent.counters = said.counters;
        let truth = &self.incarnations[book.incarnation];
        let (counts_lost, counted) = (truth.counters_lost, as_sent(&book.terms, &truth.counted));
        let is_true = counts_lost || is_within(&said.counters, &counted);
        let is_zero = said.counters == Counters::ZERO && said.session_time_s == 0;
        let dated = said.status != START || said.event_timestamp == book.opened_at.wall.event_timestamp();
        let closed = book.closed.filter(|closed| closed.durable && book.start_failed.is_none());
        let says_closed = closed.is_none_or(|closed| {
            let closed = closed.fact;
            let times = (closed.session_time_s, closed.at.wall.event_timestamp(), u32::from(closed.cause));
            (said.session_time_s, said.event_timestamp, said.cause) == times
                && said.counters == as_sent(&book.terms, &closed.counters)
        });
        let is_stop = said.status == STOP;
        self.require(is_open, "nothing follows the Stop of a copy", || id.to_owned());
        self.require(grows || is_zero || counts_lost, "copies count up", || format!("{id}: {said:?}"));
        self.require(is_true, "copies say what was counted", || format!("{id}: {said:?}"));
        self.require(dated || self.clock_is_set, "a request says when it was", || format!("{id}: {said:?}"));
        self.require(!is_stop || says_closed, "the Stop of a copy says what `closed` says", || {
            format!("{id}: {said:?}")
        });
        let is_known = [START, INTERIM_UPDATE, STOP].contains(&said.status);
        self.require(is_known, "every datagram is an accounting request", || id.to_owned());
    }

    /// A datagram is handed to the engine: if it is the genuine answer to a copy, that is answered.
    pub(super) fn copy_reply_handed(&mut self, now: Mono, datagram: &Datagram) {
        let Some(server) = self.copies.server.as_ref().filter(|server| server.address == datagram.from) else { return };
        let Ok(packet) = Packet::parse(&datagram.octets) else { return };
        let Some(attempt) = self.copies.attempts.get_mut(&(datagram.to, packet.identifier())) else { return };
        let is_answer = attempt.life == self.lives
            && packet.code() == Code::ACCOUNTING_RESPONSE
            && verify_response(&packet, &attempt.authenticator, &server.secret).is_ok();
        if is_answer {
            attempt.answered.get_or_insert(now);
        }
    }

    /// What copies lack, where nothing stood in their way.
    pub(super) fn reckon_copies(&self, servers: &[Server]) -> Option<Violation> {
        let copy_server = self.copies.server.as_ref().filter(|_| self.copies.is_well)?;
        let server = servers.iter().find(|server| server.address == copy_server.address)?;
        let accounted = |book: &&super::book::Book| book.accepted.is_some() && book.closed.is_some();
        for book in self.books.values().filter(accounted).filter(|book| self.is_copied(book)) {
            let Some(closed) = book.closed.map(|closed| as_sent(&book.terms, &closed.fact.counters)) else { continue };
            let of_it = || server.memory.iter().filter(|accounted| accounted.said.session_id == book.session_id);
            let starts = of_it().filter(|accounted| accounted.said.status == START).count();
            let stops = of_it().filter(|accounted| accounted.said.status == STOP && accounted.said.counters == closed);
            let stops = stops.count();
            if starts > 1 || stops != 1 {
                let what = format!("{}: {starts} Starts, {stops} Stops", text(&book.session_id));
                return Some(Violation { rule: "the copy server hears of everybody", what });
            }
        }
        None
    }

    /// Those of the first streams, and the copies'.
    pub(super) fn every_server(&self) -> Vec<SocketAddr> {
        let copy = self.copies.server.iter().map(|copy| copy.address);
        self.servers.keys().copied().chain(copy).collect()
    }

    /// What a server is spoken to with, whatever it is asked.
    pub(super) fn secret_of(&self, server: SocketAddr) -> &[u8] {
        let copy = self.copies.server.as_ref().filter(|copy| copy.address == server);
        let known = self.servers.get(&server).and_then(|secrets| secrets.last());
        known.or(copy.map(|copy| &copy.secret)).map_or(&[], |secret| secret)
    }

    /// With what it may answer: what it was spoken to with before, too.
    pub(super) fn secrets_of(&self, server: SocketAddr) -> Vec<Vec<u8>> {
        self.servers.get(&server).cloned().unwrap_or_else(|| vec![self.secret_of(server).to_vec()])
    }

    fn is_copied(&self, book: &super::book::Book) -> bool {
        self.settings.domains.get(&book.domain).is_some_and(|domain| domain.accounting_copy.is_some())
    }
}
