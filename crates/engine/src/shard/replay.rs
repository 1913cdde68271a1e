//! Bills that are sent once more. A replay is a Stop without a session: it takes a slot and waits behind every Stop of a
//! session, but no event, no display and no checkpoint finds it. It has one transaction, whatever comes of it.
//!
//! In its slot, the session's serial is the bill's id, and `opened` the time of the reply.

use model::counters::Counters;
use model::domain::QuotaAction;
use model::ids::{BillId, PlaneIndex, RELAY_PLANE, SessionSerial};
use model::record::{Bill, BillRun, BillRuns, BillStore, Departed, Departure, Returned};
use model::settings::{AccountingMode, ObjectName};
use model::time::{Mono, Now};

use super::Shard;
use super::configure::NO_GROUP;
use super::restore::NoSlot;
use crate::contract::Contract;
use crate::policy::Outcome;
use crate::serial::Serial;
use crate::session::{Flags, Lane, Owed, Slot, State};

/// The bill of the last `departed` record, for whoever copies it.
pub(super) type ReplayedRun = [u8; BillRuns::RUN_LEN];

impl Shard {
    /// Sends a bill's Stop once more: with the session id, counters, cause and event time that it has, and a delay counted
    /// anew on the wall. A verified reply leads to a `departed` record, anything else to a `returned` one; at once when the
    /// bill's group has no servers any more. The caller has made the claim durable.
    ///
    /// # Errors
    /// [`NoSlot`]: the table is full, and nothing was taken.
    pub fn replay_bill(&mut self, now: Now, id: BillId, bill: &Bill<'_>) -> Result<(), NoSlot> {
        self.let_leave();
        self.latest = now;
        let serial = SessionSerial { epoch: id.epoch, sequence: id.sequence };
        let serial = Serial::new(serial).ok_or(NoSlot)?;
        let opened = &bill.opened;
        let group = self.group_with_servers(opened.scheme.mode, opened.group);
        let contract = Contract {
            scheme: opened.scheme,
            terms: opened.terms,
            quota_out: QuotaAction::default(),
            group: group.unwrap_or(NO_GROUP),
            copy_group: NO_GROUP,
            domain: ObjectName::from(opened.domain),
        };
        let contract = self.contracts.hold(contract).ok_or(NoSlot)?;
        let Some(slot) = self.table.insert(PlaneIndex::default(), &[], opened.attributes) else {
            self.contracts.release(contract);
            return Err(NoSlot);
        };
        self.counts.replays += 1;
        let session = self.session_mut(slot);
        session.serial = serial;
        session.contract = contract;
        session.state = State::Replaying;
        session.flags.set(Flags::REPLAY);
        session.flags.set(Flags::DOWN);
        session.flags.put(Flags::RELAYED, opened.plane.starts_with(RELAY_PLANE));
        self.beginning_mut(slot).opened = opened.at.wall;
        self.table.set_counted(slot, bill.closed.counters);
        let annex = self.annex_mut(slot);
        annex.closed = Now { mono: Mono::ZERO, wall: bill.closed.at.wall };
        annex.session_time_s = bill.closed.session_time_s;
        annex.cause = bill.closed.cause;
        match group {
            Some(_) => self.enqueue(slot, Lane::Parked, now.mono),
            None => self.replay_ended(slot, Outcome::Unanswered),
        }
        Ok(())
    }

    /// Whether a server of some group answers: its last request was answered, and no wait has run out since.
    pub fn has_answering_server(&self) -> bool {
        let mut members = self.groups.iter().flat_map(|group| &group.members);
        members.any(|member| self.servers[usize::from(member.server)].answers())
    }

    fn group_with_servers(&self, method: AccountingMode, name: &str) -> Option<u16> {
        let is_it =
            |group: &crate::group::Group| !group.name.is_empty() && group.is(method, name) && !group.members.is_empty();
        self.groups.iter().position(is_it).and_then(|index| u16::try_from(index).ok())
    }

    pub(super) fn replay_ended(&mut self, slot: Slot, outcome: Outcome) {
        self.beginning_mut(slot).opened = self.latest.wall;
        match outcome {
            Outcome::Acknowledged => self.end(slot, Owed::Acknowledged),
            Outcome::Unanswered => self.end(slot, Owed::Billed),
        }
    }

    /// Where a `departed` record finds its bill while it is copied.
    pub(super) fn note_replayed(&mut self, slot: Slot) {
        self.replayed = BillRun { first: self.bill_of(slot), count: 1 }.to_octets();
    }

    fn bill_of(&self, slot: Slot) -> BillId {
        let serial = self.session(slot).serial.parts();
        BillId { epoch: serial.epoch, sequence: serial.sequence }
    }

    pub(super) fn departed(&self, slot: Slot) -> Departed<'_> {
        let Counters { v4, v6 } = self.table.counted(slot);
        Departed {
            store: BillStore::Cache,
            departure: Departure::Replayed,
            transfer: 0,
            at: self.beginning(slot).opened,
            bills: BillRuns::from_octets(&self.replayed).expect("one run, which was written just now"),
            in_octets: v4.in_octets.wrapping_add(v6.in_octets),
            out_octets: v4.out_octets.wrapping_add(v6.out_octets),
        }
    }

    pub(super) fn returned(&self, slot: Slot) -> Returned {
        Returned { id: self.bill_of(slot), was_sent: self.session(slot).flags.has(Flags::STOP_SENT) }
    }
}
