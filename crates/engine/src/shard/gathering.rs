//! Samples on their way to the ledger, many in one record: each interim brings one, and so does each session's turn in
//! [`sampling`](super::sampling). A record of its own would take four times as much for each.
//!
//! **Who is gathered.** A session that owes nothing, and for whose sample nobody waits. Any other is told of alone, in the
//! order of its life: one that is cut, so that the plane may hear of it; one whose wait for addresses ends with its sample;
//! and one that owes other records first.
//!
//! **When they are told.** Before everything else that is owed, and before checkpoints: so no later record of a session
//! overtakes its sample, and no slot is somebody else's by then. What a session has counted is read when its turn comes. If
//! it owes something else by then, that may have to be known first, as the generation that its counters are of: it is told
//! of alone after all.
//!
//! **Full.** Each session stands here once, so there is room for all.

use model::marks::{self, Mark};
use model::record::Record;
use model::samples::{Samples, SamplesWriter};

use super::Shard;
use crate::line::Line;
use crate::octets::record_octets;
use crate::session::{Flags, Owed, Slot, State};

/// How many sessions ahead memory is asked for.
const LOOK_AHEAD: usize = 8;

/// Sessions that are gathered, and the record that is made of them.
pub(super) struct Gathering {
    slots: Line,
    /// For whoever copies it.
    record: Box<[u8]>,
}

impl Gathering {
    pub(super) fn new(sessions: usize) -> Gathering {
        Gathering { slots: Line::new(sessions), record: vec![0; Samples::LEN_MAX].into() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }
}

impl Shard {
    /// The ledger is to learn the session's sample, if it knows the session, which is not over.
    pub(super) fn owe_sample(&mut self, slot: Slot) {
        let (session, account) = (self.session(slot), self.account(slot));
        let flags = session.flags;
        let is_known = match session.state {
            State::Starting | State::Accounting | State::StartFailed | State::Stopping | State::Parked => true,
            State::Free | State::NotAccounted | State::Refused | State::Replaying | State::Ending => false,
        };
        if !is_known || flags.has(Flags::PROVISIONAL) {
            return;
        }
        let is_awaited = flags.has(Flags::CUT) || flags.has(Flags::DELAYED) && self.has_waited(slot);
        let is_gathered = flags.has(Flags::SAMPLE_DUE);
        if is_awaited || !is_gathered && !account.records.is_empty() {
            self.owe(slot, Owed::Sampled);
        } else if !is_gathered {
            self.session_mut(slot).flags.set(Flags::SAMPLE_DUE);
            self.gathering.slots.push(slot);
        }
    }

    /// Whether samples are to be told together. Those in front whose sessions have come to owe something else are not.
    pub(super) fn has_gathered(&mut self) -> bool {
        while let Some(slot) = self.gathering.slots.first()
            && !self.account(slot).records.is_empty()
        {
            marks::hit(Mark::GatheredOwesMore);
            self.gathering.slots.pop();
            self.session_mut(slot).flags.put(Flags::SAMPLE_DUE, false);
            self.owe(slot, Owed::Sampled);
        }
        !self.gathering.is_empty()
    }

    /// As many of them as one record takes.
    pub(super) fn gathered(&mut self) -> Option<Record<'_>> {
        let Gathering { slots, record } = &mut self.gathering;
        let mut writer = SamplesWriter::new(record);
        while let Some(slot) = slots.first() {
            slots.behind(LOOK_AHEAD).into_iter().for_each(|later| self.table.prefetch(later));
            let sampled = self.table.sampled(slot);
            let (session, account) = (&mut self.table.sessions[slot as usize], &mut self.table.accounts[slot as usize]);
            if !account.records.is_empty() {
                account.records.add(Owed::Sampled);
            } else if writer.push(&sampled).is_err() {
                break;
            }
            session.flags.put(Flags::SAMPLE_DUE, false);
            slots.pop();
        }
        let record = Record::SampledMany(writer.finish()?);
        self.record_count += 1;
        self.checkpoints.weigh(record_octets(&record), false);
        Some(record)
    }
}
