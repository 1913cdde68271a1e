//! Peers that have been quiet: a RADIUS connection on which nothing has come in for half a minute is asked by Status-Server whether
//! anybody is at its other end (RFC 6613 section 2.6.5), and closed when nobody answers. That tells nothing of the server's health:
//! a connection that is missed by then is one that a firewall has forgotten, and the next request makes another.

use arrayvec::ArrayString;
use model::time::{Mono, Now};
use wire::radius::{Packet, status_server};

use super::Shard;
use super::probing::Draft;
use super::transmit::TransmitBatch;
use crate::connection::Watch;
use crate::probe::Ask;
use crate::request::PACKET_MAX;
use crate::server::Identifier;

impl Shard {
    /// Asks where it has been quiet.
    pub(super) fn transmit_watches(&mut self, now: Now, room: usize, batch: &mut TransmitBatch) {
        if !self.has_streams {
            return;
        }
        for server in 0..self.servers.len() {
            let due: Vec<u16> = self.servers[server].watches_due(now.mono).collect();
            for port in due {
                if batch.len() < room {
                    self.watch(server, port, now, batch);
                }
            }
        }
    }

    fn watch(&mut self, server: usize, port: u16, now: Now, batch: &mut TransmitBatch) {
        let spoken_to = self.spoken_to(server);
        let authenticator = self.key.authenticator(self.birth.epoch, self.birth.shard, self.probing.next());
        let of_server = &mut self.servers[server];
        if of_server.connection(port).is_none_or(|connection| connection.watch.is_some()) {
            return;
        }
        let identifier = spoken_to.as_ref().and_then(|_| of_server.take_watch(port));
        let (Some((secret, _, timeout)), Some(identifier)) = (spoken_to, identifier) else {
            // No group leads to it any more, or every identifier is out: what is out tells, and it is not asked now.
            if let Some(connection) = of_server.connection(port) {
                connection.handle_heard(now.mono);
            }
            return;
        };
        let draft = Draft {
            ask: Ask::Status,
            identifier: identifier.value,
            authenticator,
            user: "",
            session_id: ArrayString::new(),
            message_authenticator: true,
            secret: &secret,
        };
        let start = batch.next_start();
        let packet =
            draft.write(&mut batch.octets[start..start + PACKET_MAX], &self.sysname, &self.servers[server], now);
        let (authenticator, length) = (packet[4..20].try_into().unwrap_or(authenticator), packet.len());
        batch.add_signed(&mut self.servers[server], identifier, start, length);
        if let Some(connection) = self.servers[server].connection(port) {
            connection.watch = Some(Watch { identifier, authenticator, secret, until: now.mono.plus(timeout) });
        }
    }

    /// Somebody is there.
    pub(super) fn watch_is_answered(&mut self, server: u16, identifier: Identifier, packet: &Packet<'_>) {
        let of_server = &mut self.servers[usize::from(server)];
        let watch = of_server.connection(identifier.port).and_then(|connection| connection.watch.take());
        let Some(watch) = watch.filter(|watch| watch.identifier == identifier) else { return };
        if status_server::verify_reply(packet, &watch.authenticator, watch.secret.octets()).is_err() {
            self.discards.bad_authenticator += 1;
            if let Some(connection) = of_server.connection(identifier.port) {
                connection.watch = Some(watch);
            }
            return;
        }
        of_server.answered_beside(identifier);
        self.stream_answered(server, identifier.port);
    }

    /// Closes connections whose peers have not answered.
    pub(super) fn end_watches(&mut self, now: Mono) {
        if !self.has_streams {
            return;
        }
        for number in 0..self.servers.len() {
            let due: Vec<u16> = self.servers[number].watches_due(now).collect();
            for port in due {
                let connection = self.servers[number].connection(port);
                if connection.is_some_and(|connection| connection.watch.is_some()) {
                    #[expect(clippy::cast_possible_truncation, reason = "servers are numbered with 16 bits")]
                    self.end_connection(number as u16, port, true, now);
                }
            }
        }
    }
}
