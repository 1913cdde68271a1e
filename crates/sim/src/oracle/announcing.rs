//! What servers are told of the beginning and the end of accounting.
//!
//! The oracle has a truth of its own: with each boot of the box every server is owed an Accounting-On whose group asks for it when
//! the first life of that boot begins, and so is every one behind an Accounting-Off. It gets that before any Start of the
//! boot, whoever is killed meanwhile; nobody else gets one; and what a commit takes away nobody is owed.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use model::record::{Announced, Announcement};
use model::settings::{AccountingOn, RadiusGroup};
use model::time::{Mono, Now};
use wire::radius::attribute::acct_status_type::{ACCOUNTING_OFF, ACCOUNTING_ON};
use wire::radius::authenticator::{verify_request, verify_response};
use wire::radius::{Code, Packet};

use super::Oracle;
use crate::network::Datagram;
use crate::server::Said;
use crate::trace::Trace;

/// What is known of one server in this boot.
#[derive(Default)]
struct Told {
    /// It has an Accounting-On to come, or one that no durable record tells of.
    is_owed: bool,
    /// That has left, in whatever life.
    was_sent: bool,
    /// A Start has left for it since it was last owed one.
    has_started: bool,
    /// What the ledger was told last that is durable, and what it was told since.
    durable: Option<Announcement>,
    later: Vec<Announcement>,
    out: Option<Out>,
}

/// What was sent in this life.
struct Out {
    is_off: bool,
    from: SocketAddr,
    octets: Vec<u8>,
    authenticator: [u8; 16],
    transmissions: u8,
    /// What its groups said when it left first: how often at most and at least, how fast, and whether Starts wait.
    most: u8,
    least: u8,
    timeout: Duration,
    waits: bool,
    last: Mono,
    is_answered: bool,
}

impl Out {
    fn is_over(&self) -> bool {
        self.is_answered || self.transmissions >= self.least
    }
}

/// All of it, in this boot.
#[derive(Default)]
pub(super) struct Announcing {
    servers: BTreeMap<SocketAddr, Told>,
    /// A life has begun in this boot.
    is_begun: bool,
    /// Accounting was shut down in this life.
    is_shut: bool,
}

impl Announcing {
    /// The box was booted: nothing was told.
    pub(super) fn boot(&mut self) {
        *self = Announcing::default();
    }

    pub(super) fn is_shut(&self) -> bool {
        self.is_shut
    }

    pub(super) fn make_durable(&mut self, server: SocketAddr, state: Announcement) {
        let told = self.servers.entry(server).or_default();
        let through = told.later.iter().position(|later| *later == state).map_or(0, |at| at + 1);
        told.later.drain(..through);
        told.durable = Some(state);
        if state == Announcement::Told {
            told.is_owed = false;
        }
    }
}

impl Oracle {
    /// A life begins, whose ledger says this of servers.
    pub(crate) fn announcing_begins(&mut self, boot_id: [u8; 16], announced: &[Announced]) {
        let is_first = !std::mem::replace(&mut self.announcing.is_begun, true);
        self.announcing.is_shut = false;
        let mut wrong = None;
        for server in self.every_server() {
            let of_boot = announced.iter().find(|known| known.server.address == server && known.boot_id == boot_id);
            let read = of_boot.map(|known| known.state);
            let is_told = self.telling_groups(server).next().is_some();
            let told = self.announcing.servers.entry(server).or_default();
            if is_first {
                told.is_owed = is_told;
                // Where this life was preceded by one that died before it had any shard, the ledger may know already.
                told.durable = is_told.then_some(Announcement::Due);
                if read.is_some() && read != told.durable {
                    wrong.get_or_insert(format!("{server}: {read:?} is read in a new boot"));
                }
            } else {
                if read != told.durable && !read.is_some_and(|read| told.later.contains(&read)) {
                    wrong.get_or_insert(format!("{server}: {read:?} is read, {:?} was durable", told.durable));
                }
                told.durable = read;
                match read {
                    Some(Announcement::Off) if !told.is_owed => {
                        (told.is_owed, told.was_sent, told.has_started) = (is_told, false, false);
                    }
                    // That no group had it told any more was not durable, and now one has.
                    Some(Announcement::Due) => told.is_owed |= is_told && !told.has_started,
                    Some(Announcement::Told) => told.is_owed = false,
                    _ => {}
                }
            }
            (told.out, told.later) = (None, Vec::new());
        }
        self.require(wrong.is_none(), "a new life knows what servers were told", || wrong.unwrap_or_default());
    }

    /// Groups are configured otherwise: who is in none that has it told is owed nothing.
    pub(super) fn announcing_configured(&mut self) {
        for server in self.every_server() {
            if self.telling_groups(server).next().is_none()
                && let Some(told) = self.announcing.servers.get_mut(&server)
            {
                (told.is_owed, told.out) = (false, None);
            }
        }
    }

    /// An operator shuts accounting down.
    pub(crate) fn shut(&mut self) {
        self.announcing.is_shut = true;
    }

    /// A shard hands out what a server is told.
    pub(super) fn owed_announced(&mut self, announced: &Announced) {
        let (server, state) = (announced.server.address, announced.state);
        let told = self.announcing.servers.entry(server).or_default();
        told.later.push(state);
        let is_true = match state {
            Announcement::Due => told.durable == Some(Announcement::Due),
            Announcement::Told => !told.is_owed || told.was_sent,
            Announcement::Off => self.announcing.is_shut || told.durable == Some(Announcement::Off),
        };
        self.require(is_true, "the ledger is told what is true of servers", || format!("{server}: {state:?}"));
    }

    /// True: it is one of these, and was judged.
    pub(super) fn announcement_leaves(&mut self, now: Now, datagram: &Datagram, trace: &mut Trace) -> bool {
        let (from, to) = (datagram.from, datagram.to);
        let Ok(packet) = Packet::parse(&datagram.octets) else { return false };
        let is_off = match Said::read(&packet).map(|said| said.status) {
            Some(ACCOUNTING_ON) => false,
            Some(ACCOUNTING_OFF) => true,
            _ => return false,
        };
        let word = if is_off { "off" } else { "on" };
        trace.say(format_args!("{word} leaves {}/{} to {to}", from.port(), packet.identifier()));
        let is_told = self.telling_groups(to).next().is_some();
        self.require(is_told, "who is to be told is configured", || to.to_string());
        let told = self.announcing.servers.entry(to).or_default();
        if let Some(out) = told.out.as_mut().filter(|out| out.is_off == is_off) {
            let same = out.octets == datagram.octets && out.from == from;
            let waited = now.mono >= out.last.plus(out.timeout);
            (out.transmissions, out.last) = (out.transmissions + 1, now.mono);
            let (answered, count, most) = (out.is_answered, out.transmissions, out.most);
            self.require(same, "transmissions to one server are the same octets", || to.to_string());
            self.require(waited && !answered, "each reply is waited for", || to.to_string());
            self.require(count <= most, "a server gets so many transmissions", || format!("{to}: {count}"));
        } else {
            self.announcement_begins(now, datagram, &packet, is_off);
        }
        true
    }

    fn announcement_begins(&mut self, now: Now, datagram: &Datagram, packet: &Packet<'_>, is_off: bool) {
        let (from, to) = (datagram.from, datagram.to);
        let groups: Vec<&RadiusGroup> = self.telling_groups(to).collect();
        let transmissions = || groups.iter().map(|group| group.retransmit);
        let out = Out {
            is_off,
            from,
            octets: datagram.octets.clone(),
            authenticator: *packet.authenticator(),
            transmissions: 1,
            most: transmissions().max().unwrap_or(0),
            least: transmissions().min().unwrap_or(0),
            timeout: Duration::from_secs(groups.iter().map(|group| group.timeout_s).min().unwrap_or(0).into()),
            waits: groups.iter().any(|group| group.accounting_on == AccountingOn::Wait),
            last: now.mono,
            is_answered: false,
        };
        let signed = verify_request(packet, self.secret_of(to)).is_ok();
        self.require(signed, "every request is signed", || to.to_string());
        let is_shut = self.announcing.is_shut;
        let told = self.announcing.servers.entry(to).or_default();
        let (durable, is_owed, has_started) = (told.durable, told.is_owed, told.has_started);
        told.was_sent |= !is_off;
        told.out = Some(out);
        self.tally(if is_off { "accounting-off" } else { "accounting-on" }, 1);
        if is_off {
            let is_durable = durable == Some(Announcement::Off);
            self.require(is_shut && is_durable, "Accounting-Off is durable before it leaves", || to.to_string());
            return;
        }
        let is_due = matches!(durable, Some(Announcement::Due | Announcement::Off));
        self.require(is_owed, "a restart and a commit tell servers nothing", || to.to_string());
        self.require(is_due, "Accounting-On is durable before it leaves", || format!("{to}: {durable:?}"));
        self.require(!has_started, "no Accounting-On behind a Start", || to.to_string());
    }

    /// A Start leaves for a server that may have to be told before.
    pub(super) fn check_told(&mut self, to: SocketAddr) {
        let is_shut = self.announcing.is_shut;
        let Some(told) = self.announcing.servers.get_mut(&to) else { return };
        let durable = matches!(told.durable, None | Some(Announcement::Told));
        let waits = told.out.as_ref().is_some_and(|out| !out.is_off && out.waits && !out.is_over());
        // What was held when accounting ceased goes: its Stop follows, and so does an Accounting-On in the next life.
        let ceased = is_shut && told.durable == Some(Announcement::Off);
        let is_owed = told.is_owed;
        told.has_started = true;
        self.require(ceased || durable && !is_owed, "Accounting-On goes before Starts", || to.to_string());
        self.require(ceased || !waits, "`wait` waits for the answer", || to.to_string());
    }

    /// A datagram is handed to the engine that may be the answer.
    pub(super) fn announcement_answered(&mut self, datagram: &Datagram) {
        let Ok(packet) = Packet::parse(&datagram.octets) else { return };
        let secrets = self.secrets_of(datagram.from);
        let Some(out) = self.announcing.servers.get_mut(&datagram.from).and_then(|known| known.out.as_mut()) else {
            return;
        };
        let is_genuine = |secret: &Vec<u8>| verify_response(&packet, &out.authenticator, secret).is_ok();
        if packet.code() == Code::ACCOUNTING_RESPONSE && out.from == datagram.to && secrets.iter().any(is_genuine) {
            out.is_answered = true;
        }
    }

    /// Who is still owed an Accounting-On when everything has come to its end.
    pub(super) fn reckon_announcing(&mut self) {
        let owed: Vec<_> = self.announcing.servers.iter().filter(|(_, told)| told.is_owed).map(|(at, _)| *at).collect();
        self.require(owed.is_empty(), "whoever is to be told is told in the end", || format!("{owed:?}"));
    }

    /// Groups that have this server told.
    fn telling_groups(&self, server: SocketAddr) -> impl Iterator<Item = &RadiusGroup> {
        let has = move |group: &&RadiusGroup| group.accounting.iter().any(|member| member.address == server);
        let groups = self.settings.radius_groups.values().filter(|group| group.accounting_on != AccountingOn::Disabled);
        groups.filter(has)
    }
}
