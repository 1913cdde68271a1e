//! What is asked of servers that are Down: how often, signed, and of nobody else.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

use engine::News;
use model::ids::SessionSerial;
use model::time::{Mono, Now};
use wire::radius::attribute::{Type, acct_status_type::STOP, as_u32};
use wire::radius::authenticator::verify_request;
use wire::radius::{Code, Packet};

use super::Oracle;
use super::wire::Attempt;
use crate::trace::Trace;

/// What the Acct-Session-Id of a test session begins with; no box of the simulator is called so.
const PREFIX: &[u8] = b"probe";
/// The name of a probe among the sessions, whose it is none.
const NOBODY: SessionSerial = SessionSerial { epoch: u32::MAX, sequence: 0 };

/// What is known of probes.
#[derive(Default)]
pub(super) struct Probes {
    /// Servers that every shard takes for dead.
    down: BTreeSet<SocketAddr>,
    last: BTreeMap<SocketAddr, Last>,
}

struct Last {
    key: (SocketAddr, u8),
    life: u32,
    at: Mono,
}

impl Probes {
    pub(super) fn news(&mut self, server: SocketAddr, news: News) {
        match news {
            News::Down => self.down.insert(server),
            News::Up => self.down.remove(&server),
        };
    }

    /// Whether every server is asked.
    pub(super) fn is_nobody_down(&self) -> bool {
        self.down.is_empty()
    }

    /// Nothing is known of any server.
    pub(super) fn new_life(&mut self) {
        self.down.clear();
    }
}

impl Oracle {
    /// A datagram leaves; true when it was a probe.
    pub(super) fn probe_leaves(
        &mut self,
        now: Now,
        from: SocketAddr,
        to: SocketAddr,
        octets: &[u8],
        trace: &mut Trace,
    ) -> bool {
        let Ok(packet) = Packet::parse(octets) else { return false };
        let is_of_test_user = packet.find(Type::ACCT_SESSION_ID).is_some_and(|id| id.starts_with(PREFIX));
        if packet.code() != Code::STATUS_SERVER && !is_of_test_user {
            return false;
        }
        let key = (from, packet.identifier());
        trace.say(format_args!("a probe leaves {}/{} to {to}", from.port(), key.1));
        let Some(detect) = self.settings.radius_recovery.accounting.clone() else {
            self.violate("nobody is probed where it is not configured", to.to_string());
            return true;
        };
        let is_stop = packet.find(Type::ACCT_STATUS_TYPE).and_then(as_u32) == Some(STOP);
        let secret = self.secret_of(to);
        let signed = verify_request(&packet, secret).is_ok();
        let free = self.attempts.get(&key).is_none_or(|attempt| attempt.is_free(now.mono, self.lives));
        let is_down = self.probes.down.contains(&to);
        let last = self.probes.last.get(&to).filter(|last| last.life == self.lives);
        // Its identifier may be a session's by now.
        let before = last.and_then(|last| self.attempts.get(&last.key)).filter(|attempt| attempt.serial == NOBODY);
        let alone = before.is_none_or(|attempt| attempt.has_ended(now.mono));
        let interval = Duration::from_secs(detect.interval_s.into()) * 9 / 10;
        let paced = last.is_none_or(|last| now.mono >= last.at.plus(interval));
        self.require(signed, "every request is signed", || to.to_string());
        self.require(free, "an identifier names one request at a time", || format!("{to}, {key:?}"));
        self.require(is_of_test_user == detect.user.is_some(), "a probe is of the kind that is configured", || {
            to.to_string()
        });
        self.require(is_down || is_stop, "only a server that is Down is probed", || to.to_string());
        self.require(alone, "one probe of a server is out at a time", || to.to_string());
        self.require(paced || is_stop, "probes follow each other as configured", || to.to_string());
        let groups = self.settings.radius_groups.values();
        let naming = groups.filter(|group| group.accounting.iter().any(|member| member.address == to));
        let timeout_s = naming.map(|group| group.timeout_s).min().unwrap_or_default();
        let timeout = Duration::from_secs(timeout_s.into());
        let attempt = Attempt { timeout, ..Attempt::new(NOBODY, self.lives, to, &packet, now.mono) };
        self.attempts.insert(key, attempt);
        self.probes.last.insert(to, Last { key, life: self.lives, at: now.mono });
        true
    }
}
