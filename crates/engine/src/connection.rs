//! One connection of a server that is spoken to over TCP or TLS, as the machine sees it: whether it stands, what has not left
//! yet, and the beginning of a packet that has not come in whole. And when a server is called again that could not be reached.
//!
//! ```text
//!            order                      connected
//!   Closed ─────────▶ Calling(until) ─────────────▶ Open
//!     ▲                    │ too late, refused        │ ended by the peer, garbage, a request unanswered
//!     └────────────────────┴─────────────────────────┘
//! ```
//!
//! A connection takes the place that a source port has for datagrams: it has 256 identifiers of its own. Each time that it is
//! opened begins another *life*, and an identifier of an earlier one means nothing any more.
//!
//! **Full:** a connection takes no request while [`UNWRITTEN_MAX`] octets wait for the peer to read them. What comes in is kept up
//! to one packet of the longest; a longer one ends the connection.

use std::sync::Arc;
use std::time::Duration;

use model::settings::{Secret, Transport};
use model::time::Mono;
use wire::tacacs::REPLY_SIZE_MAX;

use crate::request::PACKET_MAX;
use crate::server::Identifier;

/// Octets that were transmitted and have not left; then the connection takes no more.
const UNWRITTEN_MAX: usize = 1 << 16;

/// The longest packet that may come in, of either protocol.
const INBOX_SIZE: usize = if PACKET_MAX > REPLY_SIZE_MAX { PACKET_MAX } else { REPLY_SIZE_MAX };

/// After a first failure a server is called again so much later; twice as much after each further one.
const FIRST_PAUSE: Duration = Duration::from_secs(1);

/// But no more than this.
const PAUSE_MAX: Duration = Duration::from_secs(30);

/// The same of TACACS+: less than a Stop rests before it is sent once more, so that every one of its sends is one.
const TACACS_PAUSE_MAX: Duration = Duration::from_secs(4);

/// A peer that ends a connection so soon, and unasked, takes none.
const HANG_UP: Duration = Duration::from_secs(1);

/// So long nothing may come in before the peer is asked whether it is there.
const QUIET_MAX: Duration = Duration::from_secs(30);

/// Whether a connection stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// It does not.
    Closed,
    /// It was ordered, and is given up then.
    Calling(Mono),
    /// It does.
    Open,
}

/// Whether a server takes several TACACS+ sessions on one connection (RFC 8907 section 4.3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Single {
    /// Its first reply will tell; until then there is one request.
    #[default]
    Unknown,
    /// It does.
    Agreed,
    /// It does not.
    Refused,
}

/// One connection.
pub(crate) struct Connection {
    pub(crate) state: State,
    pub(crate) life: u8,
    /// Octets that were transmitted and have not left.
    unwritten: usize,
    /// Whether a reply came on it.
    pub(crate) has_answered: bool,
    pub(crate) single: Single,
    /// When something came in, or it was opened.
    heard: Mono,
    /// What is asked of a peer that has been quiet.
    pub(crate) watch: Option<Watch>,
    inbox: Vec<u8>,
}

/// A Status-Server that asks whether anybody is at the other end (RFC 6613 section 2.6.5).
pub(crate) struct Watch {
    pub(crate) identifier: Identifier,
    pub(crate) authenticator: [u8; 16],
    pub(crate) secret: Arc<Secret>,
    /// The peer is taken for gone then.
    pub(crate) until: Mono,
}

impl Connection {
    pub(crate) fn new() -> Connection {
        Connection {
            state: State::Closed,
            life: 0,
            unwritten: 0,
            has_answered: false,
            single: Single::Unknown,
            heard: Mono::ZERO,
            watch: None,
            inbox: Vec::with_capacity(INBOX_SIZE),
        }
    }

    /// It stands now.
    pub(crate) fn open(&mut self, now: Mono) {
        self.heard = now;
        self.watch = None;
        self.state = State::Open;
        self.unwritten = 0;
        self.has_answered = false;
        self.single = Single::Unknown;
        self.inbox.clear();
    }

    /// It does not stand any more.
    pub(crate) fn close(&mut self) {
        self.state = State::Closed;
        self.life = self.life.wrapping_add(1);
        self.watch = None;
        self.inbox.clear();
    }

    /// Whether a request more may go through it, beside so many that wait for replies.
    pub(crate) fn has_room(&self, transport: Transport, waiting: u32) -> bool {
        let most = match (transport, self.single) {
            (Transport::Datagrams | Transport::Tls, _) | (Transport::TacacsSingle, Single::Agreed) => 256,
            (Transport::Tacacs, _) | (Transport::TacacsSingle, Single::Unknown) => 1,
            // One that said no closes behind its first reply.
            (Transport::TacacsSingle, Single::Refused) => 0,
        };
        self.state == State::Open && self.unwritten < UNWRITTEN_MAX && waiting < most
    }

    /// Something is transmitted.
    pub(crate) fn handle_sent(&mut self, octets: usize) {
        self.unwritten += octets;
    }

    /// So much of it has left.
    pub(crate) fn handle_written(&mut self, octets: usize) {
        self.unwritten = self.unwritten.saturating_sub(octets);
    }

    /// Something came in.
    pub(crate) fn handle_heard(&mut self, now: Mono) {
        self.heard = now;
    }

    /// Whether nothing came of it, if it ends now.
    pub(crate) fn was_in_vain(&self, now: Mono) -> bool {
        !self.has_answered && now.since(self.heard) < HANG_UP
    }

    /// When the peer is to be asked whether it is there, or is taken for gone; of RADIUS only.
    pub(crate) fn next_watch(&self) -> Option<Mono> {
        (self.state == State::Open).then(|| self.watch.as_ref().map_or(self.heard.plus(QUIET_MAX), |watch| watch.until))
    }

    /// Takes what has come in, for packets to be cut from it; to be given back with what is left.
    pub(crate) fn take_inbox(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.inbox)
    }

    /// Gives it back.
    pub(crate) fn put_inbox(&mut self, inbox: Vec<u8>) {
        self.inbox = inbox;
    }

    /// Octets that fit behind what has come in.
    pub(crate) fn inbox_room(inbox: &[u8]) -> usize {
        INBOX_SIZE - inbox.len()
    }
}

/// When a server may be called.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Calls {
    /// Calls in a row that led to no reply.
    failures: u8,
    /// Not before.
    next: Mono,
    /// A reply came since the last failure.
    pub(crate) is_proved: bool,
    /// Something waits for a connection.
    pub(crate) is_wanted: bool,
}

impl Calls {
    /// A call failed, or its connection ended before any reply. `draw` gives a number below the one that it is given.
    pub(crate) fn handle_failure(&mut self, now: Mono, transport: Transport, draw: impl Fn(u64) -> u64) {
        let most = if transport.is_tacacs() { TACACS_PAUSE_MAX } else { PAUSE_MAX };
        let pause = (FIRST_PAUSE * 2_u32.saturating_pow(self.failures.into())).min(most);
        // A tenth more or less, so that the boxes of a network do not call together.
        let fifth = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX) / 5;
        let pause = pause - Duration::from_millis(fifth / 2) + Duration::from_millis(draw(fifth + 1));
        self.failures = self.failures.saturating_add(1).min(8);
        self.is_proved = false;
        self.next = now.plus(pause);
    }

    /// A reply came.
    pub(crate) fn handle_reply(&mut self) {
        self.failures = 0;
        self.is_proved = true;
    }

    /// Whether it may be called now.
    pub(crate) fn may(&self, now: Mono) -> bool {
        self.next <= now
    }

    /// When it may be called, where that is waited for.
    pub(crate) fn next(&self, latest: Mono) -> Option<Mono> {
        Some(self.next).filter(|next| self.is_wanted && *next > latest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Mono {
        Mono::from_nanos(seconds * 1_000_000_000)
    }

    #[test]
    fn a_connection_takes_what_its_transport_allows() {
        let mut connection = Connection::new();
        assert!(!connection.has_room(Transport::Tls, 0), "closed");
        connection.state = State::Calling(at(1));
        assert!(!connection.has_room(Transport::Tls, 0), "on the way");
        connection.open(at(1));
        let table = [
            (Transport::Tls, Single::Unknown, 256),
            (Transport::Tacacs, Single::Unknown, 1),
            (Transport::Tacacs, Single::Agreed, 1),
            (Transport::TacacsSingle, Single::Unknown, 1),
            (Transport::TacacsSingle, Single::Agreed, 256),
            (Transport::TacacsSingle, Single::Refused, 0),
        ];
        for (transport, single, most) in table {
            connection.single = single;
            let taken = (0..300).take_while(|&waiting| connection.has_room(transport, waiting)).count();
            assert_eq!(taken, most, "{transport:?} {single:?}");
        }
    }

    #[test]
    fn a_peer_that_does_not_read_gets_no_more() {
        let mut connection = Connection::new();
        connection.open(at(1));
        connection.handle_sent(UNWRITTEN_MAX);
        assert!(!connection.has_room(Transport::Tls, 3));
        connection.handle_written(1);
        assert!(connection.has_room(Transport::Tls, 3));
        connection.close();
        connection.open(at(1));
        assert!(connection.has_room(Transport::Tls, 0), "a new one begins with nothing");
        assert_eq!(connection.life, 1);
    }

    #[test]
    fn a_server_that_cannot_be_reached_is_called_less_and_less() {
        let mut calls = Calls::default();
        assert!(calls.may(at(0)));
        for (least_ms, most_ms) in [(900, 1100), (1800, 2200), (3600, 4400), (7200, 8800)] {
            for draw in [0, u64::MAX] {
                let mut calls = calls;
                calls.handle_failure(at(100), Transport::Tls, |range| draw.min(range - 1));
                let pause = calls.next.since(at(100)).as_millis();
                assert_eq!(pause, if draw == 0 { least_ms } else { most_ms });
            }
            calls.handle_failure(at(100), Transport::Tls, |_| 0);
            assert!(!calls.may(at(100)));
        }
        for _ in 0..300 {
            calls.handle_failure(at(100), Transport::Tls, |_| 0);
        }
        assert_eq!(calls.next, at(127), "half a minute, and a tenth less");
        assert_eq!(calls.next(at(100)), None, "nobody wants it");
        calls.is_wanted = true;
        assert_eq!(calls.next(at(100)), Some(at(127)));
        calls.handle_reply();
        calls.handle_failure(at(200), Transport::Tls, |_| 0);
        assert_eq!(calls.next.since(at(200)).as_millis(), 900);
        for _ in 0..300 {
            calls.handle_failure(at(200), Transport::Tacacs, |range| range - 1);
        }
        assert_eq!(calls.next.since(at(200)).as_millis(), 4400);
    }
}
