//! What servers are told of the beginning of accounting: once in a boot of the box, before any Start, never at a mere restart.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use model::record::{Announced, Announcement};
use model::settings::{AccountingOn, ObjectName, RadiusGroup};
use model::time::{Mono, Now};
use wire::radius::attribute::acct_status_type::ACCOUNTING_ON;
use wire::radius::authenticator::{verify_request, verify_response};
use wire::radius::{Code, Packet};

use super::Oracle;
use crate::network::Datagram;
use crate::server::Said;
use crate::trace::Trace;

/// What is known of one server.
#[derive(Default)]
struct Told {
    /// What the ledger was told last in this boot, and what of that is durable.
    told: Option<Announcement>,
    durable: Option<Announcement>,
    /// This life is to tell it.
    is_due: bool,
    out: Option<Out>,
}

/// What was sent in this life.
struct Out {
    from: SocketAddr,
    octets: Vec<u8>,
    authenticator: [u8; 16],
    transmissions: u8,
    last: Mono,
    is_answered: bool,
}

/// All of it, in this boot.
#[derive(Default)]
pub(super) struct Announcing {
    servers: BTreeMap<SocketAddr, Told>,
}

impl Announcing {
    /// The box was booted: nothing was told.
    pub(super) fn boot(&mut self) {
        self.servers.clear();
    }

    pub(super) fn owed(&mut self, announced: &Announced) {
        self.servers.entry(announced.server).or_default().told = Some(announced.state);
    }

    pub(super) fn make_durable(&mut self, server: SocketAddr, state: Announcement) {
        self.servers.entry(server).or_default().durable = Some(state);
    }
}

impl Oracle {
    /// A life begins with what its store says.
    pub(crate) fn announcing_begins(&mut self, boot_id: [u8; 16], is_new_boot: bool, announced: &[Announced]) {
        let read = |server| {
            let of_boot = announced.iter().find(|known| known.server == server && known.boot_id == boot_id);
            of_boot.map(|known| known.state)
        };
        let mut wrong = None;
        for server in self.every_server() {
            let read = read(server);
            let known = self.announcing.servers.entry(server).or_default();
            if read != known.durable && read != known.told {
                wrong.get_or_insert(format!("{server}: {read:?} is read, {:?} was durable", known.durable));
            }
            let is_due = match read {
                None => is_new_boot,
                Some(state) => state != Announcement::Told,
            };
            *known = Told { told: read, durable: read, is_due, out: None };
        }
        self.require(wrong.is_none(), "a new life knows what servers were told", || wrong.unwrap_or_default());
    }

    /// True: it is one of these, and was judged.
    pub(super) fn announcement_leaves(&mut self, now: Now, datagram: &Datagram, trace: &mut Trace) -> bool {
        let (from, to) = (datagram.from, datagram.to);
        let Ok(packet) = Packet::parse(&datagram.octets) else { return false };
        if Said::read(&packet).is_none_or(|said| said.status != ACCOUNTING_ON) {
            return false;
        }
        trace.say(format_args!("on leaves {}/{} to {to}", from.port(), packet.identifier()));
        let groups: Vec<&RadiusGroup> = self.telling_groups(to).collect();
        let most = groups.iter().map(|group| group.retransmit).max().unwrap_or(0);
        let least = groups.iter().map(|group| group.timeout_s).min().unwrap_or(0);
        let waits = groups.iter().any(|group| group.accounting_on == AccountingOn::Wait);
        let signed = verify_request(&packet, self.secret_of(to)).is_ok();
        self.require(!groups.is_empty(), "who is to be told is configured", || to.to_string());
        self.require(signed, "every request is signed", || to.to_string());
        let known = self.announcing.servers.entry(to).or_default();
        let (is_due, durable) = (known.is_due, known.durable);
        let authenticator = *packet.authenticator();
        match &mut known.out {
            Some(out) => {
                let same = out.octets == datagram.octets && out.from == from;
                let waited = now.mono >= out.last.plus(Duration::from_secs(least.into()));
                let answered = out.is_answered;
                (out.transmissions, out.last) = (out.transmissions + 1, now.mono);
                let count = out.transmissions;
                self.require(same, "transmissions to one server are the same octets", || to.to_string());
                self.require(waited && !answered, "each reply is waited for", || to.to_string());
                self.require(count <= most, "a server gets so many transmissions", || format!("{to}: {count}"));
            }
            None => {
                let octets = datagram.octets.clone();
                let is_first = durable == Some(Announcement::Due);
                known.out =
                    Some(Out { from, octets, authenticator, transmissions: 1, last: now.mono, is_answered: false });
                self.tally("accounting-on", 1);
                self.require(is_first, "Accounting-On is durable before it leaves", || format!("{to}: {durable:?}"));
            }
        }
        let told = durable == Some(Announcement::Told);
        self.require(is_due, "a restart tells servers nothing", || to.to_string());
        self.require(!(told && waits), "no Accounting-On behind a Start", || to.to_string());
        true
    }

    /// A Start leaves for a server that is to be told before.
    pub(super) fn check_told(&mut self, group: &RadiusGroup, to: SocketAddr) {
        if group.accounting_on == AccountingOn::Disabled {
            return;
        }
        let Some(known) = self.announcing.servers.get(&to).filter(|known| known.is_due) else { return };
        let durable = known.durable == Some(Announcement::Told);
        let most = self.telling_groups(to).map(|group| group.retransmit).min().unwrap_or(0);
        let is_over = known.out.as_ref().is_some_and(|out| out.is_answered || out.transmissions >= most);
        let waits = group.accounting_on == AccountingOn::Wait;
        let was_sent = known.out.is_some();
        self.require(durable && was_sent, "Accounting-On goes before Starts", || to.to_string());
        self.require(!waits || is_over, "`wait` waits for the answer", || to.to_string());
    }

    /// A datagram is handed to the engine that may be the answer.
    pub(super) fn announcement_answered(&mut self, datagram: &Datagram) {
        let Ok(packet) = Packet::parse(&datagram.octets) else { return };
        let secret = self.secret_of(datagram.from).to_vec();
        let Some(out) = self.announcing.servers.get_mut(&datagram.from).and_then(|known| known.out.as_mut()) else {
            return;
        };
        if packet.code() == Code::ACCOUNTING_RESPONSE
            && out.from == datagram.to
            && verify_response(&packet, &out.authenticator, &secret).is_ok()
        {
            out.is_answered = true;
        }
    }

    /// Groups that have this server told.
    fn telling_groups(&self, server: SocketAddr) -> impl Iterator<Item = &RadiusGroup> {
        let has = move |group: &&RadiusGroup| group.accounting.iter().any(|member| member.address == server);
        let groups = self.settings.radius_groups.values().filter(|group| group.accounting_on != AccountingOn::Disabled);
        groups.filter(has)
    }

    /// The group of a session, where Starts wait.
    pub(super) fn check_start_told(&mut self, group: &str, to: SocketAddr) {
        if let Some(group) = self.settings.radius_groups.get(&ObjectName::from(group)).cloned() {
            self.check_told(&group, to);
        }
    }
}
