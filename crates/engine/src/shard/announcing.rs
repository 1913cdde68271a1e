//! Servers are told when accounting begins and ceases: see [`crate::announce`].
//!
//! It begins with a boot of the box, and never with a mere restart of the engine: a server that hears of it closes what it knows
//! of the box's sessions. Per server the order is: Stops of earlier boots (at most 30 s), Accounting-On, the first Start (DESIGN.md
//! section 4). The first shard tells; the others tell it when they have no such Stops left, and are told when Starts may go.
//!
//! Every group of a server that is still to be told holds its Starts, as the groups are now: a commit may take a server out of all
//! groups that have it told, and then it is not told in this boot. Secret, timeout and transmissions are those of the first
//! transmission, as with any request.
//!
//! **Full:** one errand for each server. A server that has no identifier in time is given up like one that does not answer. One that
//! no socket leads to is given up as soon as it would be its turn, if its groups could send to another: Starts are not held for what
//! cannot be sent. While they can send to nobody, it waits. **Memory:** an errand and its packet, as long as it lasts; a path for
//! each server that was told in this boot.

use std::collections::VecDeque;
use std::sync::Arc;

use model::record::{Announced, Announcement, Booted};
use model::settings::{AccountingOn, ServerPath};
use model::time::{Mono, Now};
use model::verdict::CutBy;
use wire::radius::Packet;
use wire::radius::authenticator::verify_response;

use super::restore::OLD_STOPS_FIRST;
use super::transmit::TransmitBatch;
use super::{Notice, Shard};
use crate::announce::{Boot, Draft, Errand, Out, Phase};
use crate::group::{Group, Member};
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
    known: Vec<(ServerPath, Announcement)>,
    to_tell: VecDeque<(ServerPath, Announcement)>,
    /// The ledger is to be told once more that the boot has begun.
    tells_boot: bool,
    errands: Vec<Errand>,
    /// Other shards that have no Stops of earlier boots left.
    others_ready: u16,
    /// The same of this one; it has said so.
    said_ready: bool,
    /// When this life was told of its boot.
    began: Option<Mono>,
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
    /// Whether what is out waits for the server of this number.
    pub(super) fn names(&self, server: u16) -> bool {
        self.errands.iter().any(|errand| matches!(&errand.phase, Phase::Out(out) if out.server == server))
    }

    /// Whether something is still to be said to this server.
    pub(super) fn waits_for(&self, server: &ServerPath) -> bool {
        let waits = |errand: &Errand| matches!(errand.phase, Phase::Waiting) && errand.server.is_same_server(server);
        self.errands.iter().any(waits)
    }

    /// What was out on a connection that has ended is said on the next one.
    pub(super) fn handle_connection_end(&mut self, server: u16, port: u16) {
        for errand in &mut self.errands {
            if matches!(&errand.phase, Phase::Out(out) if out.server == server && out.identifier.port == port) {
                errand.phase = Phase::Waiting;
            }
        }
    }

    pub(super) fn is_shut(&self) -> bool {
        self.is_shut
    }

    /// So long Stops of earlier boots go first.
    fn old_stops_end(&self) -> Option<Mono> {
        self.began.map(|began| began.plus(OLD_STOPS_FIRST))
    }

    pub(super) fn has_records(&self) -> bool {
        self.tells_boot || !self.to_tell.is_empty()
    }

    pub(super) fn next_booted(&mut self) -> Option<Booted> {
        std::mem::take(&mut self.tells_boot).then_some(Booted { boot_id: self.boot_id })
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
                && (errand.server, *state) == (announced.server, announced.state)
            {
                through.get_or_insert(count);
            }
        }
    }

    /// What was told before is to be told once more, before that is forgotten: servers first, then that the boot has begun.
    fn tell_again(&mut self) {
        self.tells_boot = self.began.is_some();
        for &(server, state) in &self.known {
            if !self.to_tell.iter().any(|(other, _)| *other == server) {
                self.to_tell.push_back((server, state));
            }
        }
    }
}

impl Shard {
    /// Takes the boot that this life is in, and holds Starts for the servers that are to be told of it. To be called once, behind
    /// [`Shard::configure`] and [`Shard::restore`], when what the boot says is durable.
    pub fn begin_announcing(&mut self, now: Now, boot: &Boot) {
        let to_tell = boot.announced.iter().filter(|announced| announced.state != Announcement::Told);
        self.announcing.errands = to_tell.map(|announced| Errand::on(announced.server, now)).collect();
        self.announcing.boot_id = boot.id;
        self.announcing.began = Some(now.mono);
        if self.birth.shard == TELLING {
            self.announcing.known =
                boot.announced.iter().map(|announced| (announced.server, announced.state)).collect();
        }
        self.rebind_announcements();
        self.say_ready(now.mono);
    }

    /// Another shard gave [`Notice::OldStopsGone`].
    pub fn handle_old_stops_gone(&mut self) {
        self.announcing.others_ready += 1;
    }

    /// Another shard gave [`Notice::StartsMayGo`].
    pub fn handle_starts_may_go(&mut self, server: ServerPath) {
        self.announcing.errands.retain(|errand| errand.server != server);
        self.hold_for_untold();
    }

    /// What was told is told once more, before it is forgotten.
    pub(super) fn announce_again(&mut self) {
        if self.birth.shard == TELLING {
            self.announcing.tell_again();
        }
    }

    /// Accounting ceases: nobody is let in any more, and everybody is logged out. To be asked again until nobody is left.
    pub fn shut_down(&mut self, now: Now) -> Ceasing {
        self.let_leave();
        self.announcing.is_shut = true;
        let mut ceasing = Ceasing::default();
        for slot in self.table.slots() {
            if self.session(slot).flags.has(Flags::RELAYED) {
                // Its NAS goes on.
                continue;
            }
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
    /// [`Shard::told_off`]. Starts that were held for an Accounting-On go when the ledger has this: the next life tells it.
    pub fn announce_off(&mut self, now: Now) {
        if self.birth.shard != TELLING {
            return;
        }
        self.announcing.offs = (0, 0);
        let mut servers: Vec<ServerPath> = Vec::new();
        for member in self.telling_groups().flat_map(|group| &group.members) {
            let server = self.servers[usize::from(member.server)].path.server();
            if !servers.contains(&server) {
                servers.push(server);
            }
        }
        for server in servers {
            let before = self.announcing.errands.iter().position(|errand| errand.server == server);
            let before = before.map(|number| self.announcing.errands.swap_remove(number));
            let is_released = before.as_ref().is_none_or(|errand| errand.is_released);
            if let Some(Phase::Out(out)) = before.map(|errand| errand.phase) {
                self.servers[usize::from(out.server)].rest(out.identifier, now.mono, out.timeout);
            }
            self.announcing.to_tell.retain(|(other, _)| *other != server);
            self.announcing.to_tell.push_back((server, Announcement::Off));
            self.announcing.errands.push(Errand { is_released, ..Errand::off(server, now) });
        }
    }

    /// Servers that have heard of [`Shard::announce_off`]: those that answered, and the others. `None`: not all have had their
    /// transmissions.
    pub fn told_off(&self) -> Option<(u64, u64)> {
        let is_out = self.announcing.errands.iter().any(|errand| errand.is_off);
        (!is_out).then_some(self.announcing.offs)
    }

    /// Groups that have their servers told.
    fn telling_groups(&self) -> impl Iterator<Item = &Group> {
        self.groups.iter().filter(|group| group.accounting_on != AccountingOn::Disabled && !group.removed)
    }

    /// Those that have this one told, and what it is in each.
    fn tellers(&self, server: ServerPath) -> impl Iterator<Item = (&Group, &Member)> {
        let groups = self.telling_groups();
        groups.filter_map(move |group| self.member_of(group, server).map(|member| (group, member)))
    }

    fn member_of<'a>(&self, group: &'a Group, server: ServerPath) -> Option<&'a Member> {
        group.members.iter().find(|member| self.servers[usize::from(member.server)].path.is_same_server(&server))
    }

    /// Groups that report to this server, told or not: what they send before it would be closed by it.
    fn groups_of(&self, server: ServerPath) -> impl Iterator<Item = &Group> {
        self.groups.iter().filter(move |group| self.member_of(group, server).is_some())
    }

    /// The groups are others, or what they ask for is: a server that nobody wants to be told any more is not told in this boot.
    pub(super) fn rebind_announcements(&mut self) {
        if self.birth.shard == TELLING {
            for number in 0..self.announcing.errands.len() {
                if self.tellers(self.announcing.errands[number].server).next().is_none() {
                    self.give_up_announcement(number, self.latest.mono);
                }
            }
            self.announcing.errands.retain(|errand| !errand.is_over());
        }
        self.hold_for_untold();
    }

    fn hold_for_untold(&mut self) {
        let mut groups = std::mem::take(&mut self.groups);
        for group in &mut groups {
            let mut untold = self.announcing.errands.iter().filter(|errand| !errand.is_released);
            group.untold = untold.any(|errand| self.member_of(group, errand.server).is_some());
        }
        self.groups = groups;
    }

    /// So many of the shard's records are durable.
    pub(super) fn announcements_are_durable(&mut self, through: u64) {
        let mut released = Vec::new();
        for errand in &mut self.announcing.errands {
            let is_durable = |awaits: &mut (_, Option<u64>)| awaits.1.is_some_and(|needed| needed <= through);
            if errand.awaits.take_if(is_durable).is_some() && !std::mem::replace(&mut errand.is_released, true) {
                released.push(errand.server);
            }
        }
        if !released.is_empty() {
            self.hold_for_untold();
            released.into_iter().for_each(|server| self.notice(Notice::StartsMayGo(server)));
        }
        self.announcing.errands.retain(|errand| !errand.is_over());
    }

    /// Ends waits for replies as `now` allows.
    pub(super) fn end_announcements(&mut self, now: Mono) {
        self.say_ready(now);
        for number in 0..self.announcing.errands.len() {
            if let Phase::Out(out) = &self.announcing.errands[number].phase
                && out.is_overdue(now)
                && out.is_spent()
            {
                self.give_up_announcement(number, now);
            }
        }
        self.announcing.errands.retain(|errand| !errand.is_over());
    }

    /// When [`Shard::end_announcements`] has something to do, or a transmission may be due.
    pub(super) fn next_announcement(&self) -> Option<Mono> {
        if self.birth.shard != TELLING {
            return None;
        }
        let latest = self.latest.mono;
        let stops = self.announcing.old_stops_end().filter(|end| *end > latest);
        let timeouts = self.announcing.errands.iter().filter_map(|errand| match &errand.phase {
            Phase::Waiting if stops.is_some() => stops,
            Phase::Waiting => self.begin_by(errand),
            Phase::Out(out) => Some(out.last.plus(out.timeout)),
            Phase::Ended => None,
        });
        timeouts.filter(|at| *at > latest).min()
    }

    /// So long an identifier is waited for.
    fn begin_by(&self, errand: &Errand) -> Option<Mono> {
        let (group, _) = self.tellers(errand.server).next()?;
        let last_stop = if errand.is_off { errand.event.mono } else { errand.event.mono.plus(OLD_STOPS_FIRST) };
        Some(last_stop.plus(group.patience()))
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
                break;
            }
            match &self.announcing.errands[number].phase {
                Phase::Waiting if self.is_due(number, now.mono) => {
                    if !self.transmit_first(number, now, batch) && self.is_in_vain(number, now.mono) {
                        self.give_up_announcement(number, now.mono);
                    }
                }
                Phase::Out(out) if out.is_overdue(now.mono) && !out.is_spent() => {
                    self.transmit_once_more(number, now.mono, batch);
                }
                Phase::Waiting | Phase::Out(_) | Phase::Ended => {}
            }
        }
        self.announcing.errands.retain(|errand| !errand.is_over());
    }

    /// Whether nothing goes before it any more.
    fn is_due(&self, number: usize, now: Mono) -> bool {
        let errand = &self.announcing.errands[number];
        let others = self.announcing.others_ready + 1 >= self.birth.shard_count
            || self.announcing.old_stops_end().is_none_or(|end| now >= end);
        let stops_gone = || others && !self.groups_of(errand.server).any(|group| group.holds_for_old_stops(now));
        errand.awaits.is_none() && (errand.is_off || stops_gone())
    }

    /// Whether it cannot be sent, and is not waited for.
    fn is_in_vain(&self, number: usize, now: Mono) -> bool {
        let errand = &self.announcing.errands[number];
        let source_of = |member: &Member| self.servers[usize::from(member.server)].source;
        let mut tellers = self.tellers(errand.server);
        if tellers.any(|(_, member)| source_of(member).is_some()) {
            return self.begin_by(errand).is_none_or(|end| now >= end);
        }
        let mut members = self.groups_of(errand.server).flat_map(|group| &group.members);
        errand.is_off || members.any(|member| source_of(member).is_some())
    }

    /// False: no socket, or no identifier.
    fn transmit_first(&mut self, number: usize, now: Now, batch: &mut TransmitBatch) -> bool {
        let errand = &self.announcing.errands[number];
        let (server, is_off, event) = (errand.server, errand.is_off, errand.event);
        let waits = self.tellers(server).any(|(group, _)| group.accounting_on == AccountingOn::Wait);
        let bound = |member: &Member| self.servers[usize::from(member.server)].source.is_some();
        let Some((group, member)) = self.tellers(server).find(|(_, member)| bound(member)) else { return false };
        let (index, signs) = (member.server, member.message_authenticator);
        let (transmissions_max, timeout) = group.transmissions_to(&self.servers[usize::from(index)]);
        let secret = Arc::clone(&member.secret);
        let Some(identifier) = self.servers[usize::from(index)].take_announcement() else { return false };
        let start = batch.next_start();
        let room = &mut batch.octets[start..start + PACKET_MAX];
        let nas = &self.servers[usize::from(index)].nas_attributes;
        let draft = Draft { is_off, identifier, epoch: self.birth.epoch, sysname: &self.sysname, nas, event };
        let packet = draft.write(room, signs, &secret, now);
        let (octets, authenticator) = (packet.to_vec(), packet[4..20].try_into().expect("16 octets"));
        batch.add_signed(&mut self.servers[usize::from(index)], identifier, start, octets.len());
        self.announcing.errands[number].phase = Phase::Out(Out {
            server: index,
            identifier,
            authenticator,
            secret,
            octets,
            transmissions: 1,
            transmissions_max,
            timeout,
            last: now.mono,
        });
        if !waits {
            self.tell_told(number);
        }
        true
    }

    fn transmit_once_more(&mut self, number: usize, now: Mono, batch: &mut TransmitBatch) {
        let errand = &mut self.announcing.errands[number];
        let Phase::Out(out) = &mut errand.phase else { return };
        (out.transmissions, out.last) = (out.transmissions + 1, now);
        let start = batch.next_start();
        batch.octets[start..start + out.octets.len()].copy_from_slice(&out.octets);
        batch.add_signed(&mut self.servers[usize::from(out.server)], out.identifier, start, out.octets.len());
    }

    /// A datagram has the identifier of one that is out.
    pub(super) fn announcement_is_answered(&mut self, server: u16, identifier: Identifier, packet: &Packet<'_>) {
        let is_it = |errand: &Errand| matches!(&errand.phase, Phase::Out(out) if (out.server, out.identifier) == (server, identifier));
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
        self.announcement_ended(number, true);
        self.announcing.errands.retain(|errand| !errand.is_over());
    }

    /// It is not sent, or not once more. An outage of accounting holds nobody up any longer.
    fn give_up_announcement(&mut self, number: usize, now: Mono) {
        if let Phase::Out(out) = &self.announcing.errands[number].phase {
            self.servers[usize::from(out.server)].rest(out.identifier, now, out.timeout);
        }
        self.announcement_ended(number, false);
    }

    fn announcement_ended(&mut self, number: usize, is_answered: bool) {
        let errand = &mut self.announcing.errands[number];
        if matches!(std::mem::replace(&mut errand.phase, Phase::Ended), Phase::Ended) {
            return;
        }
        let was_told = errand.is_released || errand.awaits.is_some();
        let (is_off, server) = (errand.is_off, errand.server);
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
            self.announcing.to_tell.push_back((errand.server, Announcement::Told));
        }
    }
}
