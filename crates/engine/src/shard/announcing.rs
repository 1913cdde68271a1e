//! Servers are told when accounting begins and ceases: see [`crate::announce`].
//!
//! It begins with a boot of the box, and never with a mere restart of the engine: a server that hears of it closes what it knows
//! of the box's sessions. Per server the order is: Stops of earlier boots (at most 30 s), Accounting-On, the first Start (DESIGN.md
//! section 4). The first shard tells; the others tell it when they have no such Stops left, and are told when Starts may go.
//!
//! **Full:** one errand for each server. A server that has no socket or no identifier in time is given up like one that does not
//! answer. **Memory:** an errand and its packet, as long as it lasts; an address for each server that was ever told.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;

use arrayvec::ArrayString;
use model::record::{Announced, Announcement};
use model::settings::{AccountingOn, Secret};
use model::time::{Mono, Now};
use model::verdict::CutBy;
use wire::radius::attribute::{Type, acct_status_type};
use wire::radius::authenticator::{Unsigned, sign_request, verify_response};
use wire::radius::{Code, Encoder, Packet};

use super::restore::OLD_STOPS_FIRST;
use super::transmit::TransmitBatch;
use super::{Notice, Shard};
use crate::announce::{Errand, Out, Phase};
use crate::request::PACKET_MAX;
use crate::server::Identifier;
use crate::session::{Flags, Slot, State};

/// The shard that tells.
const TELLING: u16 = 0;

/// What a shard knows of it.
#[derive(Default)]
pub(super) struct Announcing {
    boot_id: [u8; 16],
    /// What the ledger says of each server in this boot.
    known: Vec<(SocketAddr, Announcement)>,
    to_tell: VecDeque<(SocketAddr, Announcement)>,
    errands: Vec<Errand>,
    /// Other shards that have no Stops of earlier boots left.
    others_ready: u16,
    /// The same of this one; it has said so.
    said_ready: bool,
    began: Mono,
    /// Accounting has ceased.
    is_shut: bool,
    /// Servers that were told so: those that answered, and the others.
    offs: (u64, u64),
}

/// How far the end of accounting is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ceasing {
    /// Who is online still.
    pub online: u64,
    /// Who has gone, and has a Stop or something before it that servers have not acknowledged.
    pub owing: u64,
}

impl Announcing {
    pub(super) fn is_shut(&self) -> bool {
        self.is_shut
    }

    pub(super) fn has_records(&self) -> bool {
        !self.to_tell.is_empty()
    }

    pub(super) fn next_record(&mut self) -> Option<Announced> {
        let (server, state) = self.to_tell.pop_front()?;
        Some(Announced { server, boot_id: self.boot_id, state })
    }

    /// The record is the shard's so-manieth. Only the last one told of a server is awaited.
    pub(super) fn handed_out(&mut self, announced: &Announced, count: u64) {
        self.known.retain(|(server, _)| *server != announced.server);
        self.known.push((announced.server, announced.state));
        for errand in &mut self.errands {
            if let Some((state, through)) = &mut errand.awaits
                && (errand.address, *state) == (announced.server, announced.state)
            {
                through.get_or_insert(count);
            }
        }
    }

    /// What was told before is to be told once more, before that is forgotten.
    pub(super) fn tell_again(&mut self) {
        for &(server, state) in &self.known {
            if !self.to_tell.iter().any(|(other, _)| *other == server) {
                self.to_tell.push_back((server, state));
            }
        }
    }
}

impl Shard {
    /// Finds out which servers are to be told that accounting begins, and holds Starts for them. To be called once, behind
    /// [`Shard::configure`] and [`Shard::restore`]. `is_new_boot`: no earlier life was in this boot of the box. `announced`: what
    /// the ledger says of servers.
    pub fn begin_announcing(&mut self, now: Now, boot_id: [u8; 16], is_new_boot: bool, announced: &[Announced]) {
        let of_boot = announced.iter().filter(|announced| announced.boot_id == boot_id);
        let known: Vec<_> = of_boot.map(|announced| (announced.server, announced.state)).collect();
        self.announcing.boot_id = boot_id;
        self.announcing.began = now.mono;
        let state_of = |address| known.iter().find(|(server, _)| *server == address).map(|(_, state)| *state);
        for mut errand in self.errands(now, false) {
            let address = errand.address;
            let state = state_of(address);
            let is_due = match state {
                None => is_new_boot,
                Some(Announcement::Due | Announcement::Off) => true,
                Some(Announcement::Told) => false,
            };
            if !is_due {
                continue;
            }
            if self.birth.shard == TELLING && state != Some(Announcement::Due) {
                self.announcing.to_tell.push_back((address, Announcement::Due));
                errand.awaits = Some((Announcement::Due, None));
            }
            errand.groups.iter().for_each(|group| self.groups[usize::from(*group)].untold += 1);
            self.announcing.errands.push(errand);
        }
        if self.birth.shard == TELLING {
            self.announcing.known = known;
        }
        self.say_ready(now.mono);
    }

    /// Another shard gave [`Notice::OldStopsGone`].
    pub fn handle_old_stops_gone(&mut self) {
        self.announcing.others_ready += 1;
    }

    /// Another shard gave [`Notice::StartsMayGo`].
    pub fn handle_starts_may_go(&mut self, server: SocketAddr) {
        for number in 0..self.announcing.errands.len() {
            if self.announcing.errands[number].address == server {
                self.let_starts_go_to(number);
            }
        }
        self.announcing.errands.retain(|errand| !errand.is_over());
    }

    /// Accounting ceases: nobody is let in any more, and everybody is logged out. To be asked again until nobody is left.
    pub fn shut_down(&mut self, now: Now) -> Ceasing {
        self.let_leave();
        self.announcing.is_shut = true;
        let mut ceasing = Ceasing::default();
        for slot in self.table.slots() {
            if self.is_up(slot) {
                ceasing.online += 1;
                if self.is_online(slot) {
                    self.cut(slot, CutBy::Shutdown, now.mono);
                }
            } else if self.has_more_to_tell(slot) {
                ceasing.owing += 1;
            }
        }
        ceasing
    }

    /// Whether something of one who has gone may still leave for a server. Bills that are sent once more may do so at any time.
    fn has_more_to_tell(&self, slot: Slot) -> bool {
        let session = self.session(slot);
        match session.state {
            State::Free => false,
            State::Ending => !self.copies.is_over(slot),
            _ => !session.flags.has(Flags::REPLAY),
        }
    }

    /// Tells the servers of every group that asks for it that accounting has ceased. The first shard does; see
    /// [`Shard::told_off`].
    pub fn announce_off(&mut self, now: Now) {
        if self.birth.shard != TELLING {
            return;
        }
        self.drop_errands(now.mono);
        self.announcing.offs = (0, 0);
        for errand in self.errands(now, true) {
            let address = errand.address;
            self.announcing.to_tell.push_back((address, Announcement::Off));
            self.announcing.errands.push(errand);
        }
    }

    /// What was to be told is overtaken.
    fn drop_errands(&mut self, now: Mono) {
        for number in 0..self.announcing.errands.len() {
            self.let_starts_go_to(number);
        }
        for errand in std::mem::take(&mut self.announcing.errands) {
            if let Phase::Out(out) = errand.phase {
                self.servers[usize::from(errand.server)].rest(out.identifier, now, out.timeout);
            }
        }
        self.announcing.to_tell.clear();
    }

    /// Servers that have heard of [`Shard::announce_off`]: those that answered, and the others. `None`: not all have had their
    /// transmissions.
    pub fn told_off(&self) -> Option<(u64, u64)> {
        let is_out = self.announcing.errands.iter().any(|errand| errand.is_off);
        (!is_out).then_some(self.announcing.offs)
    }

    /// One for each server of the groups that ask for it.
    fn errands(&self, now: Now, is_off: bool) -> Vec<Errand> {
        let mut errands: Vec<Errand> = Vec::new();
        for (number, group) in (0..).zip(&self.groups) {
            if group.accounting_on == AccountingOn::Disabled {
                continue;
            }
            let waits = group.accounting_on == AccountingOn::Wait;
            for member in &group.members {
                if let Some(known) = errands.iter_mut().find(|errand| errand.server == member.server) {
                    known.groups.push(number);
                    known.waits |= waits;
                    continue;
                }
                let last_stop = if is_off { now.mono } else { now.mono.plus(OLD_STOPS_FIRST) };
                errands.push(Errand {
                    server: member.server,
                    address: self.servers[usize::from(member.server)].path.address,
                    groups: vec![number],
                    is_off,
                    waits,
                    event: now,
                    begin_by: last_stop.plus(group.patience()),
                    phase: Phase::Waiting,
                    awaits: is_off.then_some((Announcement::Off, None)),
                    is_released: is_off,
                });
            }
        }
        // Whoever else reports to one of these servers waits as well: what left before it would be closed by it.
        for errand in &mut errands {
            let others =
                (0..).zip(&self.groups).filter(|(_, group)| group.has(errand.server)).map(|(number, _)| number);
            let others: Vec<u16> = others.filter(|number| !errand.groups.contains(number)).collect();
            errand.groups.extend(others);
        }
        errands
    }

    /// So many of the shard's records are durable.
    pub(super) fn announcements_are_durable(&mut self, through: u64) {
        for number in 0..self.announcing.errands.len() {
            let errand = &mut self.announcing.errands[number];
            let is_durable = |awaits: &mut (_, Option<u64>)| awaits.1.is_some_and(|needed| needed <= through);
            if let Some((Announcement::Told, _)) = errand.awaits.take_if(is_durable) {
                self.let_starts_go_to(number);
                let address = self.announcing.errands[number].address;
                self.notice(Notice::StartsMayGo(address));
            }
        }
        self.announcing.errands.retain(|errand| !errand.is_over());
    }

    /// Starts need not wait for this one.
    fn let_starts_go_to(&mut self, number: usize) {
        let errand = &mut self.announcing.errands[number];
        if std::mem::replace(&mut errand.is_released, true) {
            return;
        }
        if self.birth.shard != TELLING {
            errand.phase = Phase::Ended;
        }
        for group in &errand.groups {
            let group = &mut self.groups[usize::from(*group)];
            group.untold = group.untold.saturating_sub(1);
        }
    }

    /// Ends waits as `now` allows.
    pub(super) fn end_announcements(&mut self, now: Mono) {
        self.say_ready(now);
        if self.birth.shard != TELLING {
            return;
        }
        for number in 0..self.announcing.errands.len() {
            let errand = &mut self.announcing.errands[number];
            match &errand.phase {
                Phase::Waiting if now >= errand.begin_by && errand.awaits.is_none() => self.errand_ended(number, false),
                Phase::Out(out) if out.is_overdue(now) && out.is_spent() => {
                    let (identifier, timeout) = (out.identifier, out.timeout);
                    let server = usize::from(errand.server);
                    self.servers[server].rest(identifier, now, timeout);
                    self.errand_ended(number, false);
                }
                Phase::Waiting | Phase::Out(_) | Phase::Ended => {}
            }
        }
        self.announcing.errands.retain(|errand| !errand.is_over());
    }

    /// When [`Shard::end_announcements`] has something to do, or the next transmission is due.
    pub(super) fn next_announcement(&self) -> Option<Mono> {
        let latest = self.latest.mono;
        let timeouts = self.announcing.errands.iter().filter_map(|errand| match errand.phase {
            Phase::Waiting if self.birth.shard != TELLING => None,
            Phase::Waiting => {
                let stops = self.announcing.began.plus(OLD_STOPS_FIRST);
                errand.next_timeout().map(|end| if stops > latest { stops.min(end) } else { end })
            }
            _ => errand.next_timeout(),
        });
        timeouts.filter(|at| *at > latest).min()
    }

    /// Says once that no Stop of an earlier boot goes before Starts any more.
    fn say_ready(&mut self, now: Mono) {
        let announcing = &self.announcing;
        if self.birth.shard == TELLING || announcing.said_ready || announcing.errands.is_empty() {
            return;
        }
        if !self.groups.iter().any(|group| group.holds_for_old_stops(now)) {
            self.announcing.said_ready = true;
            self.notice(Notice::OldStopsGone);
        }
    }

    /// Sends what is due.
    pub(super) fn transmit_announcements(&mut self, now: Now, room: usize, batch: &mut TransmitBatch) {
        if self.birth.shard != TELLING {
            return;
        }
        for number in 0..self.announcing.errands.len() {
            if batch.len() == room {
                return;
            }
            match &self.announcing.errands[number].phase {
                Phase::Waiting if self.is_due(number, now.mono) => self.transmit_first(number, now, batch),
                Phase::Out(out) if out.is_overdue(now.mono) && !out.is_spent() => {
                    self.transmit_once_more(number, now.mono, batch);
                }
                Phase::Waiting | Phase::Out(_) | Phase::Ended => {}
            }
        }
    }

    /// Whether nothing goes before it any more.
    fn is_due(&self, number: usize, now: Mono) -> bool {
        let errand = &self.announcing.errands[number];
        let holds = |group: &u16| self.groups[usize::from(*group)].holds_for_old_stops(now);
        let others = self.announcing.others_ready + 1 >= self.birth.shard_count
            || now >= self.announcing.began.plus(OLD_STOPS_FIRST);
        errand.awaits.is_none() && (errand.is_off || others && !errand.groups.iter().any(holds))
    }

    fn transmit_first(&mut self, number: usize, now: Now, batch: &mut TransmitBatch) {
        let errand = &self.announcing.errands[number];
        let (server, is_off, event) = (errand.server, errand.is_off, errand.event);
        let group = &self.groups[usize::from(errand.groups[0])];
        let member = group.members.iter().find(|member| member.server == server);
        let Some(member) = member.filter(|_| self.servers[usize::from(server)].source.is_some()) else { return };
        let (secret, signs) = (Arc::clone(&member.secret), member.message_authenticator);
        let (transmissions_max, timeout) = (group.retransmit, group.timeout);
        let Some(identifier) = self.servers[usize::from(server)].take_announcement() else { return };
        let start = batch.next_start();
        let room = &mut batch.octets[start..start + PACKET_MAX];
        let nas = &self.servers[usize::from(server)].nas_attributes;
        let draft = Draft { is_off, identifier, epoch: self.birth.epoch, sysname: &self.sysname, nas, event };
        let packet = draft.write(room, signs, &secret, now);
        let (octets, authenticator) = (packet.to_vec(), packet[4..20].try_into().expect("16 octets"));
        batch.add_signed(&self.servers[usize::from(server)], identifier, start, octets.len());
        let out = Out {
            identifier,
            authenticator,
            secret,
            octets,
            transmissions: 1,
            transmissions_max,
            timeout,
            last: now.mono,
        };
        self.announcing.errands[number].phase = Phase::Out(out);
        if !self.announcing.errands[number].waits {
            self.tell_told(number);
        }
    }

    fn transmit_once_more(&mut self, number: usize, now: Mono, batch: &mut TransmitBatch) {
        let errand = &mut self.announcing.errands[number];
        let Phase::Out(out) = &mut errand.phase else { return };
        (out.transmissions, out.last) = (out.transmissions + 1, now);
        let start = batch.next_start();
        batch.octets[start..start + out.octets.len()].copy_from_slice(&out.octets);
        batch.add_signed(&self.servers[usize::from(errand.server)], out.identifier, start, out.octets.len());
    }

    /// A datagram has the identifier of one that is out.
    pub(super) fn announcement_is_answered(&mut self, server: u16, identifier: Identifier, packet: &Packet<'_>) {
        let is_it = |errand: &Errand| {
            errand.server == server && matches!(&errand.phase, Phase::Out(out) if out.identifier == identifier)
        };
        let number = self.announcing.errands.iter().position(is_it);
        let Some((number, Phase::Out(out))) = number.map(|number| (number, &self.announcing.errands[number].phase))
        else {
            self.discards.unknown_identifier += 1;
            return;
        };
        if verify_response(packet, &out.authenticator, out.secret.octets()).is_err() {
            self.discards.bad_authenticator += 1;
            return;
        }
        self.servers[usize::from(server)].answered_beside(identifier);
        self.errand_ended(number, true);
        self.announcing.errands.retain(|errand| !errand.is_over());
    }

    /// It was answered, or is given up: an outage of accounting holds nobody up any longer.
    fn errand_ended(&mut self, number: usize, is_answered: bool) {
        let errand = &mut self.announcing.errands[number];
        let was_told = errand.is_released || errand.awaits.is_some();
        errand.phase = Phase::Ended;
        let (is_off, server) = (errand.is_off, errand.address);
        if is_off {
            self.announcing.offs.0 += u64::from(is_answered);
            self.announcing.offs.1 += u64::from(!is_answered);
        }
        self.notice(Notice::Announced { server, is_off, is_answered });
        if !was_told {
            self.tell_told(number);
        }
    }

    /// Starts may go when the ledger has it that the server need not be told any more.
    fn tell_told(&mut self, number: usize) {
        let errand = &mut self.announcing.errands[number];
        if !errand.is_off {
            errand.awaits = Some((Announcement::Told, None));
            let address = errand.address;
            self.announcing.to_tell.push_back((address, Announcement::Told));
        }
    }
}

/// A packet as it is to be written.
struct Draft<'a> {
    is_off: bool,
    identifier: Identifier,
    epoch: u32,
    sysname: &'a str,
    nas: &'a [u8],
    event: Now,
}

impl Draft<'_> {
    /// Writes and signs it. Its Acct-Session-Id is no session's: those have 33 octets (BEHAVIOUR.md 8.2).
    fn write<'a>(&self, room: &'a mut [u8], signs: bool, secret: &Secret, now: Now) -> &'a mut [u8] {
        let (word, status) = match self.is_off {
            false => ("on", acct_status_type::ACCOUNTING_ON),
            true => ("off", acct_status_type::ACCOUNTING_OFF),
        };
        let mut id = ArrayString::<32>::new();
        write!(id, "{word}{:08x}", self.epoch).expect("eleven of 32 octets");
        let delay = now.mono.since(self.event.mono).as_secs();
        let mut packet = Encoder::packet(room, Code::ACCOUNTING_REQUEST, self.identifier.value);
        packet
            .bytes(Type::ACCT_SESSION_ID, id.as_bytes())
            .bytes(Type::NAS_IDENTIFIER, self.sysname.as_bytes())
            .raw(self.nas)
            .u32(Type::ACCT_STATUS_TYPE, status)
            .u32(Type::ACCT_DELAY_TIME, u32::try_from(delay).unwrap_or(u32::MAX))
            .u32(Type::EVENT_TIMESTAMP, self.event.wall.event_timestamp());
        if signs {
            packet.message_authenticator();
        }
        let packet = packet.finish().expect("a name and what every request carries are less than a packet");
        sign_request(&mut Unsigned { packet, secret: secret.octets(), message_authenticator: signs });
        packet
    }
}
