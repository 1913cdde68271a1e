//! What the ledger must remember: sessions owe records, the worker takes them one by one as the ring has room, and
//! *durable through N* lets the sessions go on.

use std::net::IpAddr;

use model::counters::Counters;
use model::ids::{BillId, PlaneIndex};
use model::record::{
    Accepted, Acknowledged, Announced, Bill, BillReason, Booted, Closed, Delivered, Opened, Record, StartFailed,
    ZeroStop,
};
use model::time::{Mono, Now};
use model::verdict::{Reason, Sentence};

use super::Shard;
use super::history::HeardBefore;
use crate::octets::record_octets;
use crate::policy;
use crate::session::{Flags, Owed, Slot, State};

/// Records that may be on the way to the disk at once while somebody waits for them; then the ring counts as full.
pub(super) const AWAITED_MAX: usize = 1 << 16;

/// A record in the ring that a session waits for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Awaited {
    /// Durable when so many records of this shard are.
    through: u64,
    slot: Slot,
    what: Flags,
}

/// What is handed out next.
#[derive(Clone, Copy, Debug)]
enum Next {
    /// What a server is told of the accounting of the box.
    Announced(Announced),
    /// That the boot of the box has begun.
    Booted(Booted),
    /// How far a ring was heard.
    Heard(PlaneIndex, HeardBefore),
    /// A session, written again.
    Checkpoint(Slot),
    /// What a session, or a replay, owes.
    Owed(Slot, Owed),
}

impl Shard {
    /// The session owes this record.
    pub(super) fn owe(&mut self, slot: Slot, owed: Owed) {
        let records = &mut self.account_mut(slot).records;
        let first = records.is_empty();
        records.add(owed);
        if first {
            self.owing.push(slot);
        }
    }

    /// The next record for the ledger, to be copied before the next call. Poll only when the ring has room for the
    /// longest record. The n-th record polled in this life is the one that *durable through n* covers.
    pub fn poll_record(&mut self) -> Option<Record<'_>> {
        self.let_leave();
        if self.awaited.len() == AWAITED_MAX {
            return None;
        }
        if self.has_gathered() {
            return self.gathered();
        }
        let next = self.next_record()?;
        self.record_count += 1;
        match next {
            Next::Owed(slot, owed) => self.await_durable(slot, owed),
            Next::Announced(announced) => self.announcing.handed_out(&announced, self.record_count),
            Next::Booted(_) | Next::Checkpoint(_) | Next::Heard(..) => {}
        }
        if let Next::Checkpoint(slot) | Next::Owed(slot, Owed::Opened | Owed::Billed) = next {
            self.table.blobs.attributes(self.table.sessions[slot as usize].blob).join(&mut self.joined);
        }
        let octets = record_octets(&self.record(next));
        self.checkpoints.weigh(octets, !matches!(next, Next::Owed(..)));
        Some(self.record(next))
    }

    /// What was heard waits for all that was owed before; checkpoints give way, unless they are far behind. No sample is left
    /// to be told with others.
    fn next_record(&mut self) -> Option<Next> {
        if let Some(next) = self.next_of_shard() {
            return Some(next);
        }
        if self.checkpoints.is_behind() || self.owing.is_empty() {
            if let Some(slot) = self.next_checkpoint() {
                return Some(Next::Checkpoint(slot));
            }
            // It may have come to a mark, and what is known of servers goes before that.
            if let Some(next) = self.next_of_shard() {
                return Some(next);
            }
        }
        let slot = self.owing.first()?;
        let owed = self.account_mut(slot).records.take_first()?;
        if self.account(slot).records.is_empty() {
            self.owing.pop();
            self.checkpoints.owed_less();
            self.orders.owed_less(self.record_count + 1);
        }
        Some(Next::Owed(slot, owed))
    }

    /// What is no session's.
    fn next_of_shard(&mut self) -> Option<Next> {
        if let Some(announced) = self.announcing.next_record() {
            return Some(Next::Announced(announced));
        }
        if let Some(booted) = self.announcing.next_booted() {
            return Some(Next::Booted(booted));
        }
        let (plane, heard) = self.checkpoints.next_heard(self.record_count)?;
        Some(Next::Heard(plane, heard))
    }

    /// The record is about to stand in the ring: what waits for its durability is noted.
    fn await_durable(&mut self, slot: Slot, owed: Owed) {
        self.leaving = Some(slot);
        if self.session(slot).flags.has(Flags::REPLAY) {
            self.note_replayed(slot);
            return;
        }
        let what = match owed {
            Owed::Opened => Some(Flags::OPENED_DURABLE),
            Owed::Closed => Some(Flags::CLOSED_DURABLE),
            Owed::StartFailed => Some(Flags::START_FAILED_DURABLE),
            Owed::Accepted
                if self.waits_for_start(slot)
                    || self.sends_update(slot)
                    || self.session(slot).flags.has(Flags::INTERIM_DUE) =>
            {
                Some(Flags::ACCEPTED_DURABLE)
            }
            Owed::Acknowledged if !self.session(slot).is_down() || self.session(slot).state == State::Refused => {
                Some(Flags::REFUSED_DURABLE)
            }
            Owed::Sampled if self.session(slot).flags.has(Flags::CUT) => Some(Flags::CUT_DURABLE),
            // It tells that the wait for addresses is over, as the attributes do that an `opened` record has.
            Owed::Sampled if self.session(slot).flags.has(Flags::DELAYED) && self.has_waited(slot) => {
                Some(Flags::OPENED_DURABLE)
            }
            Owed::Accepted | Owed::Sampled | Owed::Acknowledged | Owed::Billed => None,
        };
        if let Some(what) = what {
            self.awaited.push_back(Awaited { through: self.record_count, slot, what });
            self.account_mut(slot).awaited += 1;
        }
    }

    /// How many records were polled in this life.
    pub fn record_count(&self) -> u64 {
        self.record_count
    }

    /// Whether a record is owed: by a session, or because what was heard has to be told.
    pub fn owes_records(&self) -> bool {
        self.owe_sessions() || self.checkpoints.has_heard() || self.announcing.has_records()
    }

    /// Whether everything that the shard was told of is in the records polled so far: what was read of a plane's rings
    /// may be given back when these are durable. A session may owe nothing and still wait for events that were read
    /// before a crash.
    pub fn has_told_all(&self) -> bool {
        !self.owe_sessions() && !self.planes.has_provisional()
    }

    /// Whether what every session owes is in the records polled so far.
    pub fn has_told_of_sessions(&self) -> bool {
        !self.owe_sessions()
    }

    /// Whether a session owes a record, or its sample is told with others.
    fn owe_sessions(&self) -> bool {
        !self.owing.is_empty() || !self.gathering.is_empty()
    }

    /// The first `through` records of this life are on the disk.
    pub fn handle_durable(&mut self, now: Now, through: u64) {
        self.let_leave();
        self.checkpoints.handle_durable(through);
        self.orders.handle_durable(through);
        self.announcements_are_durable(through);
        while let Some(&Awaited { through: needed, slot, what }) = self.awaited.front()
            && needed <= through
        {
            self.awaited.pop_front();
            self.account_mut(slot).awaited -= 1;
            let flags = self.session(slot).flags;
            let may_end_wait = what == Flags::OPENED_DURABLE && flags.has(Flags::DELAYED);
            self.session_mut(slot).flags.set(what);
            if !flags.has(what) || may_end_wait {
                self.give_verdict(slot, what, now.mono);
            }
            self.settle(slot, now.mono);
        }
    }

    /// What became durable allows a verdict. None is given sooner: a crash would bring the session back as it was
    /// before, and refuse whom it has admitted, or admit whom it has refused.
    fn give_verdict(&mut self, slot: Slot, durable: Flags, now: Mono) {
        if self.session(slot).is_down() {
            return;
        }
        match durable {
            Flags::CUT_DURABLE => self.pronounce_cut(slot, now),
            Flags::OPENED_DURABLE => {
                self.delay_is_over(slot);
                self.admit_if_due(slot);
            }
            Flags::ACCEPTED_DURABLE => {
                // The first report follows the Start at once.
                if self.sends_update(slot) {
                    self.session_mut(slot).flags.set(Flags::INTERIM_DUE);
                }
                let flags = self.session(slot).flags;
                match self.waits_for_start(slot) && !flags.has(Flags::CUT) {
                    // It has used up its quota while the record was on its way.
                    true if flags.has(Flags::REDIRECTED) => self.pronounce_redirect(slot),
                    true => self.pronounce(slot, Sentence::Admit, Reason::StartAccepted),
                    false => {}
                }
            }
            Flags::REFUSED_DURABLE if self.session(slot).flags.has(Flags::DELAYED) => {
                self.pronounce(slot, Sentence::Refuse, Reason::StartDelay);
            }
            Flags::REFUSED_DURABLE => self.pronounce(slot, Sentence::Refuse, Reason::StartFailed),
            _ => {}
        }
    }

    /// Under every policy but `start-fail offline` the subscriber goes online as soon as its session is durable.
    pub(super) fn admit_if_due(&mut self, slot: Slot) {
        let session = self.session(slot);
        let is_cut = session.is_down() || session.flags.has(Flags::CUT);
        let is_delayed = session.flags.has(Flags::DELAYED);
        if session.state == State::Starting && !is_cut && !is_delayed && !self.waits_for_start(slot) {
            self.pronounce(slot, Sentence::Admit, Reason::Opened);
        }
    }

    /// Whether the subscriber waits for what becomes of its Start.
    pub(super) fn waits_for_start(&self, slot: Slot) -> bool {
        let scheme = self.contracts.get(self.session(slot).contract).scheme;
        policy::waits_for_start(scheme.start_fail, scheme.shadow)
    }

    /// Whether the scheme asks for an interim behind the Start, and the Start was acknowledged.
    fn sends_update(&self, slot: Slot) -> bool {
        let session = self.session(slot);
        self.contracts.get(session.contract).scheme.send_update && !session.flags.has(Flags::START_KEPT)
    }

    /// Frees the session whose last record or verdict the caller has copied by now.
    pub(super) fn let_leave(&mut self) {
        if let Some(slot) = self.leaving.take() {
            self.release(slot);
        }
    }

    fn record(&self, next: Next) -> Record<'_> {
        match next {
            Next::Announced(announced) => Record::Announced(announced),
            Next::Booted(booted) => Record::Booted(booted),
            Next::Heard(plane, heard) => Record::Heard(self.heard_record(plane, heard)),
            Next::Checkpoint(slot) => Record::Checkpointed(self.checkpointed(slot)),
            Next::Owed(slot, Owed::Acknowledged) if self.session(slot).flags.has(Flags::REPLAY) => {
                Record::Departed(self.departed(slot))
            }
            Next::Owed(slot, _) if self.session(slot).flags.has(Flags::REPLAY) => Record::Returned(self.returned(slot)),
            Next::Owed(slot, owed) => self.owed_record(slot, owed),
        }
    }

    fn owed_record(&self, slot: Slot, owed: Owed) -> Record<'_> {
        let session = self.session(slot);
        let serial = session.serial.parts();
        match owed {
            Owed::Opened => Record::Opened(self.opened(slot)),
            Owed::Accepted => Record::Accepted(Accepted {
                serial,
                at: self.beginning(slot).accounting,
                keep_accounting: session.flags.has(Flags::START_KEPT),
            }),
            Owed::StartFailed => Record::StartFailed(StartFailed { serial, zero_stop: zero_stop(session.flags) }),
            Owed::Sampled => Record::Sampled(self.table.sampled(slot)),
            Owed::Closed => Record::Closed(self.closed(slot)),
            Owed::Acknowledged => Record::Acknowledged(Acknowledged { serial }),
            Owed::Billed => Record::Billed(self.billed(slot)),
        }
    }

    /// Its attributes have been [joined](Shard::poll_record).
    pub(super) fn opened(&self, slot: Slot) -> Opened<'_> {
        let session = self.session(slot);
        let (contract, annex) = (self.contracts.get(session.contract), self.annex(slot));
        Opened {
            serial: session.serial.parts(),
            taken_over: self.table.opened_by(slot),
            plane: self.planes.name(session.plane),
            session: self.table.blobs.name(session.blob),
            domain: contract.domain.as_str(),
            group: &self.groups[usize::from(contract.group)].name,
            scheme: contract.scheme,
            terms: contract.terms,
            allowance: annex.allowance,
            interim_s: session.interim_s,
            session_timeout_s: annex.session_timeout_s,
            at: Now { mono: session.opened, wall: self.beginning(slot).opened },
            counters: session.counters,
            baseline: self.baseline(slot),
            attributes: &self.joined,
        }
    }

    pub(super) fn closed(&self, slot: Slot) -> Closed {
        let annex = self.annex(slot);
        Closed {
            serial: self.session(slot).serial.parts(),
            taken_over: annex.closed_by,
            at: annex.closed,
            cause: annex.cause,
            session_time_s: annex.session_time_s,
            counters: self.table.counted(slot),
        }
    }

    fn billed(&self, slot: Slot) -> Bill<'_> {
        let (session, account) = (self.session(slot), self.account(slot));
        let sent = session.flags.has(Flags::STOP_SENT);
        Bill {
            id: BillId::default(),
            reason: self.annex(slot).bill.unwrap_or(BillReason::StopUnanswered),
            delivered: if sent { Delivered::Unknown } else { Delivered::No },
            zero_stop: zero_stop(session.flags),
            server: self.servers.get(usize::from(account.server)).map(|server| server.path.address),
            // What a NAS says of itself stands among the attributes.
            nas_address: self.nas_address(slot).filter(|_| !session.flags.has(Flags::RELAYED)),
            opened: self.opened(slot),
            closed: self.closed(slot),
        }
    }

    /// Where the session's requests come from: towards the server that was last asked, or else the first that could be.
    fn nas_address(&self, slot: Slot) -> Option<IpAddr> {
        let asked = self.servers.get(usize::from(self.account(slot).server));
        let members = &self.groups[usize::from(self.group_of(slot))].members;
        let others = members.iter().map(|member| &self.servers[usize::from(member.server)]);
        asked.into_iter().chain(others).find_map(|server| server.source.or(server.source_before))
    }

    /// What the session counted in earlier generations.
    pub(super) fn baseline(&self, slot: Slot) -> Counters {
        if self.session(slot).flags.has(Flags::BASELINE) {
            self.baselines.get(&slot).copied().unwrap_or_default()
        } else {
            Counters::ZERO
        }
    }
}

pub(super) fn zero_stop(flags: Flags) -> ZeroStop {
    if flags.has(Flags::ZERO_STOP_ACKNOWLEDGED) { ZeroStop::Acknowledged } else { ZeroStop::Unknown }
}
