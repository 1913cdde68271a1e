//! Requests that are out: one for each session at most, kept with their octets so that every transmission to a
//! server is the same (owner's decision 3), and with the secret that they were signed with (DESIGN.md, rule 9).

use std::sync::Arc;
use std::time::Duration;

use model::counters::Counters;
use model::settings::Secret;
use model::time::{Mono, Now};

use crate::choice::Tried;
use crate::policy::Kind;
use crate::server::Identifier;
use crate::session::{NONE, Slot};

/// The longest RADIUS packet (RFC 2865 section 3).
pub(crate) const PACKET_MAX: usize = 4096;

/// Octets of those that are kept close together: an interim with all that most sessions say. No power of two, so that the packets
/// of neighbours do not crowd the same sets of the caches.
const SHORT_MAX: usize = 448;

/// One transaction, on the server that now has it.
#[derive(Clone)]
pub(crate) struct Request {
    pub(crate) session: Slot,
    pub(crate) kind: Kind,
    /// It is a copy (`accounting-copy`).
    pub(crate) is_copy: bool,
    pub(crate) group: u16,
    /// The server that has it; meaningless while [`Place::Failover`].
    pub(crate) server: u16,
    pub(crate) place: Place,
    /// Transmissions made to this server.
    pub(crate) transmissions: u8,
    /// Transmissions that this server gets.
    pub(crate) transmissions_max: u8,
    /// Wait after each transmission.
    pub(crate) timeout: Duration,
    /// Its number among the shard's transactions.
    pub(crate) number: u64,
    /// The servers that have had it.
    pub(crate) tried: Tried,
    /// Times that its connection ended and it went through another to the same server.
    pub(crate) moves: u8,
    /// When what it tells of happened.
    pub(crate) event: Now,
    /// The last transmission.
    pub(crate) sent: Mono,
    /// No reply to it will come, by what the server has answered since: it has no place in the window.
    pub(crate) is_missed: bool,
    /// What it says of the session: fixed with the event, whatever server it goes to.
    pub(crate) counters: Counters,
    pub(crate) session_time_s: u32,
    /// Acct-Terminate-Cause of a Stop.
    pub(crate) cause: u8,
    pub(crate) secret: Option<Arc<Secret>>,
    pub(crate) message_authenticator: bool,
    pub(crate) authenticator: [u8; 16],
    length: u16,
}

impl Request {
    /// The TACACS+ session that it is, where it is one.
    pub(crate) fn tacacs_session(&self) -> u32 {
        let [a, b, c, d, ..] = self.authenticator;
        u32::from_be_bytes([a, b, c, d])
    }
}

/// What a request waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// Nobody's.
    Free,
    /// A server that has a place for it.
    Failover,
    /// Its turn to be transmitted again.
    Again(Identifier),
    /// A reply.
    Reply(Identifier),
}

/// All requests of a shard, counted out at start.
pub(crate) struct Requests {
    slots: Vec<Request>,
    /// A packet of each stands in one of these, by its length.
    short: Vec<u8>,
    long: Vec<u8>,
    free: Vec<u32>,
    next_number: u64,
    /// How many of those that are taken are Starts.
    starts: u32,
}

impl Requests {
    /// Room for `capacity` requests of 4,096 octets; memory is touched as it is used, the last freed first: 448 octets for each
    /// that is out at once, or a page where a packet is longer.
    pub(crate) fn new(capacity: u32) -> Requests {
        let empty = Request {
            session: NONE,
            kind: Kind::Start,
            is_copy: false,
            group: 0,
            server: 0,
            place: Place::Free,
            transmissions: 0,
            transmissions_max: 0,
            timeout: Duration::ZERO,
            number: 0,
            tried: Tried::default(),
            moves: 0,
            event: Now::default(),
            sent: Mono::ZERO,
            is_missed: false,
            counters: Counters::ZERO,
            session_time_s: 0,
            cause: 0,
            secret: None,
            message_authenticator: false,
            authenticator: [0; 16],
            length: 0,
        };
        Requests {
            slots: vec![empty; capacity as usize],
            short: vec![0; capacity as usize * SHORT_MAX],
            long: vec![0; capacity as usize * PACKET_MAX],
            free: (0..capacity).rev().collect(),
            next_number: 0,
            starts: 0,
        }
    }

    /// How many Starts there are.
    pub(crate) fn starts(&self) -> u32 {
        self.starts
    }

    /// How many there may be.
    pub(crate) fn capacity(&self) -> u32 {
        u32::try_from(self.slots.len()).unwrap_or(u32::MAX)
    }

    /// Whether one more can be taken.
    pub(crate) fn has_room(&self) -> bool {
        !self.free.is_empty()
    }

    /// How many can be taken.
    pub(crate) fn free(&self) -> u32 {
        u32::try_from(self.free.len()).unwrap_or(u32::MAX)
    }

    /// Whether one more copy can be taken beside so many: copies have half of the places at most.
    pub(crate) fn has_room_for_copies(&self, copies: u32) -> bool {
        self.has_room() && (copies as usize) * 2 < self.slots.len()
    }

    /// The number of the transaction that is opened next.
    pub(crate) fn next_number(&self) -> u64 {
        self.next_number
    }

    /// Takes a place for a transaction; it has no server yet.
    pub(crate) fn open(&mut self, session: Slot, kind: Kind, group: u16, event: Now) -> Option<u32> {
        let index = self.free.pop()?;
        let request = &mut self.slots[index as usize];
        *request = Request {
            session,
            kind,
            is_copy: false,
            group,
            event,
            place: Place::Failover,
            number: self.next_number,
            tried: Tried::default(),
            moves: 0,
            counters: Counters::ZERO,
            session_time_s: 0,
            cause: 0,
            secret: None,
            ..*request
        };
        self.next_number += 1;
        self.starts += u32::from(kind == Kind::Start);
        Some(index)
    }

    /// Gives the place back.
    pub(crate) fn close(&mut self, index: u32) {
        let request = &mut self.slots[index as usize];
        assert!(request.place != Place::Free, "a request is closed once");
        request.place = Place::Free;
        self.starts -= u32::from(request.kind == Kind::Start);
        request.secret = None;
        request.session = NONE;
        self.free.push(index);
    }

    /// Whether one is with this server, or was.
    pub(crate) fn names(&self, server: u16) -> bool {
        let mut open = self.slots.iter().filter(|request| request.place != Place::Free);
        open.any(|request| request.tried.has(server))
    }

    pub(crate) fn get(&self, index: u32) -> &Request {
        &self.slots[index as usize]
    }

    pub(crate) fn get_mut(&mut self, index: u32) -> &mut Request {
        &mut self.slots[index as usize]
    }

    /// Keeps the packet as it was sent.
    pub(crate) fn keep(&mut self, index: u32, packet: &[u8]) {
        let (packets, size) =
            if packet.len() <= SHORT_MAX { (&mut self.short, SHORT_MAX) } else { (&mut self.long, PACKET_MAX) };
        let at = index as usize * size;
        packets[at..at + packet.len()].copy_from_slice(packet);
        #[expect(clippy::cast_possible_truncation, reason = "at most PACKET_MAX")]
        let length = packet.len() as u16;
        self.slots[index as usize].length = length;
    }

    /// The packet as it was sent.
    pub(crate) fn packet(&self, index: u32) -> &[u8] {
        let length = usize::from(self.slots[index as usize].length);
        let (packets, size) = if length <= SHORT_MAX { (&self.short, SHORT_MAX) } else { (&self.long, PACKET_MAX) };
        let at = index as usize * size;
        &packets[at..at + length]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_of_any_length_are_kept_as_they_were_sent() {
        let mut requests = Requests::new(3);
        let packet = |index: u32, length: usize| vec![u8::try_from(index).unwrap_or(u8::MAX) + 1; length];
        for length in [20, SHORT_MAX - 1, SHORT_MAX, SHORT_MAX + 1, PACKET_MAX, 21] {
            for index in [0, 1, 2] {
                requests.keep(index, &packet(index, length));
            }
            // One of them is another one now.
            requests.keep(1, &packet(7, SHORT_MAX + 9));
            assert_eq!(requests.packet(0), packet(0, length));
            assert_eq!(requests.packet(1), packet(7, SHORT_MAX + 9));
            assert_eq!(requests.packet(2), packet(2, length));
        }
    }
}
