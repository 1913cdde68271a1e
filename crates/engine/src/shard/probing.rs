//! Servers that are Down are asked whether they live (BEHAVIOUR.md 5.2). The first shard asks for all of them: what it finds
//! out is told like all news of servers.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use arrayvec::ArrayString;
use model::settings::{Secret, Settings};
use model::time::{Mono, Now};
use wire::radius::attribute::{Type, acct_authentic, acct_status_type, acct_terminate_cause};
use wire::radius::authenticator::{Unsigned, sign_request};
use wire::radius::{Code, Encoder, Packet, status_server};

use super::Shard;
use super::transmit::TransmitBatch;
use crate::probe::{Ask, Rules, Waiting};
use crate::request::PACKET_MAX;
use crate::server::{Identifier, Server};

/// The shard that asks.
const ASKING: u16 = 0;

/// What a shard knows of probes.
#[derive(Default)]
pub(super) struct Probing {
    /// `None`: it sends none.
    rules: Option<Rules>,
    /// Probes and pauses of this life: what is drawn for one is drawn for no other.
    count: u64,
}

impl Probing {
    /// The number of the next draw, which no other has.
    pub(super) fn next(&mut self) -> u64 {
        self.count += 1;
        self.count
    }

    /// Whether this shard probes.
    pub(super) fn asks(&self) -> bool {
        self.rules.is_some()
    }
}

/// A probe as it is to be written.
pub(super) struct Draft<'a> {
    pub(super) ask: Ask,
    pub(super) identifier: u8,
    pub(super) authenticator: [u8; 16],
    pub(super) user: &'a str,
    pub(super) session_id: ArrayString<32>,
    pub(super) message_authenticator: bool,
    pub(super) secret: &'a Secret,
}

impl Shard {
    pub(super) fn configure_probes(&mut self, settings: &Settings) {
        let detect = settings.radius_recovery.accounting.as_ref();
        let rules = detect.filter(|_| self.birth.shard == ASKING).map(Rules::from);
        if rules.as_ref().map(|rules| &rules.user) != self.probing.rules.as_ref().map(|rules| &rules.user) {
            self.servers.iter_mut().for_each(|server| server.probe.cease());
        }
        self.probing.rules = rules;
    }

    /// Ends waits for replies, and makes probes due, as `now` allows.
    pub(super) fn end_probes(&mut self, now: Mono) {
        for number in 0..self.servers.len() {
            let rules = self.probing.rules.as_ref().filter(|_| self.servers[number].takes_probes());
            let pause = rules.map(|rules| self.jittered(rules.interval));
            self.probing.count += u64::from(pause.is_some());
            let server = &mut self.servers[number];
            if let Some(lost) = server.probe.handle_timeout(now, pause.is_some(), || pause.unwrap_or_default()) {
                server.rest(lost.identifier, now, lost.timeout);
            }
        }
    }

    /// When [`Shard::end_probes`] has something to do, or a probe is due.
    pub(super) fn next_probe(&self) -> Option<Mono> {
        self.servers.iter().filter_map(|server| server.probe.next_timeout(self.latest.mono)).min()
    }

    /// Sends the probes that are due.
    pub(super) fn transmit_probes(&mut self, now: Now, room: usize, batch: &mut TransmitBatch) {
        let Some(rules) = self.probing.rules.take() else { return };
        for number in 0..self.servers.len() {
            if batch.len() == room {
                break;
            }
            if let Some(ask) = self.servers[number].probe.due(now.mono, &rules) {
                let next = self.jittered(rules.interval);
                if !self.probe(number, ask, &rules, next, now, batch) {
                    self.servers[number].probe.postpone(now.mono.plus(next));
                }
                self.probing.count += 1;
            }
        }
        self.probing.rules = Some(rules);
    }

    /// False: no group names the server, or it has no identifier free.
    fn probe(
        &mut self,
        number: usize,
        ask: Ask,
        rules: &Rules,
        next: Duration,
        now: Now,
        batch: &mut TransmitBatch,
    ) -> bool {
        let Some((secret, message_authenticator, timeout)) = self.spoken_to(number) else { return false };
        let (epoch, count) = (self.birth.epoch, self.probing.count);
        let drawn = self.key.authenticator(epoch, self.birth.shard, count);
        let Some(identifier) = self.servers[number].take_probe() else { return false };
        let session = self.servers[number].probe.session(count);
        let mut session_id = ArrayString::new();
        write!(session_id, "probe{epoch:08x}{session:016x}").expect("29 of 32 octets");
        let draft = Draft {
            ask,
            identifier: identifier.value,
            authenticator: drawn,
            user: rules.user.as_deref().unwrap_or_default(),
            session_id,
            message_authenticator,
            secret: &secret,
        };
        let start = batch.next_start();
        let room = &mut batch.octets[start..start + PACKET_MAX];
        let packet = draft.write(room, &self.sysname, &self.servers[number], now);
        let (authenticator, length) = (packet[4..20].try_into().unwrap_or(drawn), packet.len());
        batch.add_signed(&mut self.servers[number], identifier, start, length);
        let waiting = Waiting { ask, identifier, authenticator, secret, timeout, sent: now.mono };
        self.servers[number].probe.handle_sent(waiting, next);
        true
    }

    /// How the first group that names the server speaks to it: the secret, Message-Authenticator, and the wait for a reply.
    pub(super) fn spoken_to(&self, number: usize) -> Option<(Arc<Secret>, bool, Duration)> {
        self.groups.iter().find_map(|group| {
            let member = group.members.iter().find(|member| usize::from(member.server) == number)?;
            Some((Arc::clone(&member.secret), member.message_authenticator, group.timeout))
        })
    }

    /// A datagram has the identifier of the probe that is out.
    pub(super) fn probe_is_answered(&mut self, number: u16, identifier: Identifier, packet: &Packet<'_>, now: Now) {
        let server = &mut self.servers[usize::from(number)];
        let waiting = server.probe.waiting().filter(|waiting| waiting.identifier == identifier);
        let Some(waiting) = waiting else {
            self.discards.unknown_identifier += 1;
            return;
        };
        if status_server::verify_reply(packet, &waiting.authenticator, waiting.secret.octets()).is_err() {
            self.discards.bad_authenticator += 1;
            return;
        }
        server.probe_answered(identifier);
        if server.probe.handle_reply(now.mono, self.probing.rules.as_ref()) {
            let news = server.revived(now.mono);
            self.tell_news(number, news);
        }
    }

    /// Within a tenth of it (RFC 5080 section 2.2.1), so that the boxes of a network do not ask together.
    fn jittered(&self, interval: Duration) -> Duration {
        let fifth = u64::try_from(interval.as_millis()).unwrap_or(u64::MAX) / 5;
        let drawn = self.key.pause(self.birth.epoch, self.birth.shard, self.probing.count, fifth + 1);
        interval - Duration::from_millis(fifth / 2) + Duration::from_millis(drawn)
    }
}

impl Draft<'_> {
    /// Writes and signs it.
    pub(super) fn write<'a>(&self, room: &'a mut [u8], sysname: &str, server: &Server, now: Now) -> &'a mut [u8] {
        let secret = self.secret.octets();
        let fits = "a name, a user and what every request carries are less than a packet";
        if self.ask == Ask::Status {
            let mut own = [0; 512];
            let mut run = Encoder::run(&mut own);
            run.bytes(Type::NAS_IDENTIFIER, sysname.as_bytes()).raw(&server.nas_attributes);
            let run = run.finish().expect(fits);
            return status_server::encode(room, self.identifier, &self.authenticator, run, secret).expect(fits);
        }
        let mut packet = Encoder::packet(room, Code::ACCOUNTING_REQUEST, self.identifier);
        packet
            .bytes(Type::USER_NAME, self.user.as_bytes())
            .bytes(Type::ACCT_SESSION_ID, self.session_id.as_bytes())
            .u32(Type::ACCT_AUTHENTIC, acct_authentic::LOCAL)
            .bytes(Type::NAS_IDENTIFIER, sysname.as_bytes())
            .raw(&server.nas_attributes)
            .u32(Type::ACCT_DELAY_TIME, 0)
            .u32(Type::EVENT_TIMESTAMP, now.wall.event_timestamp());
        if self.ask == Ask::Start {
            packet.u32(Type::ACCT_STATUS_TYPE, acct_status_type::START);
        } else {
            packet
                .u32(Type::ACCT_STATUS_TYPE, acct_status_type::STOP)
                .u32(Type::ACCT_SESSION_TIME, 0)
                .u32(Type::ACCT_TERMINATE_CAUSE, acct_terminate_cause::USER_REQUEST);
        }
        if self.message_authenticator {
            packet.message_authenticator();
        }
        let packet = packet.finish().expect(fits);
        sign_request(&mut Unsigned { packet, secret, message_authenticator: self.message_authenticator });
        packet
    }
}
