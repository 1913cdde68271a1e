//! Compaction: every session is written again, whole, in turns over the table, so that what lies before the last whole
//! turn may be forgotten.
//!
//! ```text
//!   records   … │ checkpoints of slots 0 … 1023, heard │ … 2047, heard │ … │ checkpoints of slots 0 … 1023, heard │ …
//!               mark 0                                 mark 1              mark 0 of the next turn               mark 1
//! ```
//!
//! When the next turn has come to its mark *i*, everybody below has been written anew, and nobody needs what lies before
//! mark *i* of the turn before: [`Shard::needed_from`] says so as soon as it is durable.
//!
//! **Who is written.** A session that owes no record, so that its checkpoint says exactly what was said of it before:
//! online, or down with its Stop owed. The cursor waits for one that owes; records are handed out in order, so that is
//! soon. Samples that are told together go before any checkpoint. Whose `opened` was not handed out yet, who is
//! provisional, who is over (its last record was handed out before) and who is not accounted for needs none. No
//! durability of a session hangs on a checkpoint.
//!
//! **How fast.** For each octet of other records, half as much again of checkpoints; so between two turns lies at most two
//! thirds of what lives. What one turn and its neighbours leave is then at most 1.67 times what lives; frames, which weigh
//! more on short records, and the distance between two marks bring that to about 1.75 where there are many marks, and
//! segments that are not full come on top (`ledger::keeper`). The first turn of a life, before which nothing of earlier lives is
//! forgotten, ends within [`FIRST_TURN`] all the same; until it has, what the earlier life left comes on top.
//!
//! **Heard.** Before anything may be forgotten, it is told how far each ring was heard, behind every record owed up to then.
//! Forgotten records named the events that they took over; and the `closed` of a session that was over when the cursor
//! came names its event in vain when the rest of the session is forgotten.

use std::collections::VecDeque;
use std::time::Duration;

use model::ids::PlaneIndex;
use model::record::{Accepted, Checkpointed, Heard, StartFailed};
use model::time::Mono;

use super::Shard;
use super::history::HeardBefore;
use super::records::zero_stop;
use super::sampling::PACE;
use crate::session::{Flags, Owed, Slot, State};

/// The first turn of a life takes so long, or less when there is much to write anyway.
const FIRST_TURN: Duration = Duration::from_secs(180);
/// The first turn waits so long for planes whose rings tell what earlier lives took over.
const FIRST_TURN_WAITS: Duration = Duration::from_secs(60);
/// Octets of other records that a turn is begun for at least.
const TURN_OCTETS_MIN: u64 = 16 << 10;
/// Octets that checkpoints may be behind before they go first.
const BACKLOG: i64 = 8 << 10;
/// Slots between two marks.
const STRIDE: u32 = 1024;
/// Rings that there is room for; with more, room is made when they are told of first.
const RINGS: usize = 64;
/// Slots that are looked at for one record.
const SCAN_MAX: u32 = 4096;

/// What the cursor does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// The first turn has not begun.
    First,
    /// Between two turns.
    Resting,
    /// Over the table.
    Walking,
    /// At a mark, or at the end: records that are owed are handed out, then what was heard.
    Hearing,
}

/// Where the turns stand.
pub(super) struct Checkpoints {
    phase: Phase,
    cursor: Slot,
    /// Records handed out when the present turn came to each 1,024th slot, from the first.
    marks: Vec<u64>,
    /// The same of the last whole turn; empty while there was none that anything may be forgotten for.
    previous: Vec<u64>,
    /// Nothing but records of earlier lives tells some events: the turn that has come to its end makes nothing forgotten.
    keeps_history: bool,
    /// The turn has come to its end.
    is_over: bool,
    /// What is to be told of the rings, when so many sessions more have handed out what they owe.
    heard: VecDeque<(PlaneIndex, HeardBefore)>,
    heard_behind: usize,
    /// Octets of checkpoints that are due.
    credit: i64,
    /// Octets of other records since the turn began.
    others: u64,
    /// When this life and its present turn began.
    born: Mono,
    began: Mono,
    /// The last look at the time, and the slot before which it lets the first turn go.
    paced: Mono,
    due: Slot,
    /// What is needed when so many records are durable.
    agreed: VecDeque<(u64, u64)>,
    needed_from: u64,
}

/// What the cursor finds in a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Found {
    Nobody,
    /// A session that owes a record first.
    Owing,
    Somebody,
}

impl Checkpoints {
    /// For so many sessions.
    pub(super) fn new(sessions: usize, now: Mono) -> Checkpoints {
        let mark_count = sessions.div_ceil(STRIDE as usize) + 1;
        Checkpoints {
            phase: Phase::First,
            cursor: 0,
            marks: Vec::with_capacity(mark_count),
            previous: Vec::with_capacity(mark_count),
            keeps_history: false,
            is_over: false,
            heard: VecDeque::with_capacity(RINGS),
            heard_behind: 0,
            credit: 0,
            others: 0,
            born: now,
            began: now,
            paced: now,
            due: 0,
            agreed: VecDeque::with_capacity(mark_count),
            needed_from: 0,
        }
    }

    /// Whether checkpoints go before what is owed.
    pub(super) fn is_behind(&self) -> bool {
        self.credit > BACKLOG
    }

    /// Whether rings wait to be told of.
    pub(super) fn has_heard(&self) -> bool {
        !self.heard.is_empty()
    }

    /// The next ring, when all that was owed before has been handed out. Behind the last, with so many records handed out,
    /// something may be forgotten.
    pub(super) fn next_heard(&mut self, record_count: u64) -> Option<(PlaneIndex, HeardBefore)> {
        if self.heard_behind > 0 {
            return None;
        }
        let heard = self.heard.pop_front();
        if self.phase == Phase::Hearing && heard.is_none() {
            if self.is_over {
                self.end_turn(record_count);
            } else {
                self.phase = Phase::Walking;
                self.pass_mark(record_count);
            }
        }
        heard
    }

    /// A session has handed out all that it owed.
    pub(super) fn owed_less(&mut self) {
        self.heard_behind = self.heard_behind.saturating_sub(1);
    }

    /// A record was handed out.
    pub(super) fn weigh(&mut self, octets: usize, is_checkpoint: bool) {
        let weight = i64::try_from(octets).unwrap_or(i64::MAX / 8);
        if is_checkpoint {
            self.credit -= weight;
        } else {
            self.credit += weight + weight / 2;
            self.others += octets as u64;
        }
    }

    /// So many records are durable.
    pub(super) fn handle_durable(&mut self, through: u64) {
        while let Some(&(_, needed)) = self.agreed.front().filter(|agreed| agreed.0 <= through) {
            self.agreed.pop_front();
            self.needed_from = needed;
        }
    }

    /// Whether the cursor stands at a mark that it has not passed.
    fn is_at_mark(&self) -> bool {
        self.cursor.is_multiple_of(STRIDE) && self.marks.len() == (self.cursor / STRIDE) as usize
    }

    /// With so many records handed out.
    fn pass_mark(&mut self, record_count: u64) {
        let before = self.previous.get(self.marks.len()).or(self.previous.last());
        if let Some(before) = before {
            self.agreed.push_back((record_count, before + 1));
        }
        self.marks.push(record_count);
    }

    fn end_turn(&mut self, record_count: u64) {
        self.phase = Phase::Resting;
        if self.keeps_history && self.previous.is_empty() {
            return;
        }
        if self.previous.is_empty() {
            // It went ahead of what was due. Were that waited for, all that comes meanwhile would stand between two turns.
            self.credit = self.credit.max(0);
        }
        std::mem::swap(&mut self.previous, &mut self.marks);
        self.marks.clear();
        self.agreed.push_back((record_count, self.previous[0] + 1));
    }
}

impl Shard {
    /// The first record of this life that anybody still needs, counted as [`Shard::record_count`] counts: what this shard
    /// wrote before it may be forgotten. 0: everything is needed, that of earlier lives too. Never falls.
    pub fn needed_from(&self) -> u64 {
        self.checkpoints.needed_from
    }

    /// The last words before an orderly end: how far the rings were heard, behind all that is owed. So the next life need
    /// not keep this one's records until it has read them again. Hand out records until none is owed.
    pub fn handle_end(&mut self) {
        self.tell_heard();
    }

    /// How far the rings are heard is told when all that is owed now has been handed out.
    fn tell_heard(&mut self) {
        self.announce_again();
        let mut heard = std::mem::take(&mut self.checkpoints.heard);
        heard.clear();
        self.add_heard_so_far(&mut heard);
        self.checkpoints.heard = heard;
        self.checkpoints.heard_behind = self.owing.len();
    }

    fn begin_turn(&mut self) {
        let checkpoints = &mut self.checkpoints;
        checkpoints.began = checkpoints.paced;
        checkpoints.phase = Phase::Walking;
        checkpoints.cursor = 0;
        checkpoints.marks.clear();
        checkpoints.marks.push(self.record_count);
        checkpoints.others = 0;
        checkpoints.due = 0;
    }

    /// Tells what was heard, so that something may be forgotten behind it. While a session is provisional, what was heard
    /// ends before it; then this waits.
    fn hear(&mut self, is_over: bool) {
        if self.planes.has_provisional() {
            return;
        }
        self.tell_heard();
        self.checkpoints.keeps_history = self.history_is_needed();
        self.checkpoints.is_over = is_over;
        self.checkpoints.phase = Phase::Hearing;
    }

    /// Begins the first turn, and drives it.
    pub(super) fn pace_checkpoints(&mut self, now: Mono) {
        self.checkpoints.paced = now;
        let Checkpoints { phase, born, .. } = self.checkpoints;
        let none_whole = self.checkpoints.previous.is_empty();
        let begins = match phase {
            Phase::First => now >= born.plus(FIRST_TURN_WAITS) || !self.history_is_needed(),
            Phase::Resting => none_whole && !self.history_is_needed(),
            Phase::Hearing | Phase::Walking => false,
        };
        if begins {
            self.begin_turn();
        }
        if none_whole && self.checkpoints.phase == Phase::Walking {
            let slots = u128::from(self.table.slots().end);
            let due = slots * now.since(self.checkpoints.began).as_nanos() / FIRST_TURN.as_nanos();
            self.checkpoints.due = u32::try_from(due).unwrap_or(Slot::MAX);
        }
    }

    /// When [`Shard::pace_checkpoints`] has something to do.
    pub(super) fn next_checkpoint_pace(&self) -> Option<Mono> {
        let Checkpoints { phase, cursor, born, began, paced, .. } = self.checkpoints;
        match phase {
            Phase::First => Some(born.plus(FIRST_TURN_WAITS).max(paced.plus(PACE))),
            Phase::Walking if self.checkpoints.previous.is_empty() => {
                let slots = u128::from(self.table.slots().end.max(1));
                let after = (FIRST_TURN.as_nanos() * u128::from(cursor + 1)).div_ceil(slots).min(FIRST_TURN.as_nanos());
                let after = Duration::from_nanos(u64::try_from(after).unwrap_or(u64::MAX));
                Some(began.plus(after).max(paced.plus(PACE)))
            }
            Phase::Resting | Phase::Hearing | Phase::Walking => None,
        }
    }

    /// The next session to be written again, if one is due.
    pub(super) fn next_checkpoint(&mut self) -> Option<Slot> {
        let checkpoints = &self.checkpoints;
        if checkpoints.phase == Phase::Resting && checkpoints.credit > 0 && checkpoints.others >= TURN_OCTETS_MIN {
            self.begin_turn();
        }
        if self.checkpoints.phase != Phase::Walking {
            return None;
        }
        for _ in 0..SCAN_MAX {
            let slot = self.checkpoints.cursor;
            let is_over = slot >= self.table.slots().end;
            let is_at_mark = self.checkpoints.is_at_mark();
            if is_over || is_at_mark && !self.checkpoints.previous.is_empty() {
                self.hear(is_over);
                return None;
            }
            if is_at_mark {
                self.checkpoints.pass_mark(self.record_count);
            }
            if self.checkpoints.credit <= 0 && slot >= self.checkpoints.due {
                return None;
            }
            let found = self.found(slot);
            if found == Found::Owing {
                return None;
            }
            self.checkpoints.cursor += 1;
            if found == Found::Somebody {
                return Some(slot);
            }
        }
        None
    }

    fn found(&self, slot: Slot) -> Found {
        let session = self.session(slot);
        let is_kept = !matches!(session.state, State::Free | State::NotAccounted);
        if !is_kept || session.flags.has(Flags::PROVISIONAL) || session.flags.has(Flags::REPLAY) {
            return Found::Nobody;
        }
        let account = self.account(slot);
        if !account.records.is_empty() {
            let is_told =
                session.flags.has(Flags::OPENED_DURABLE) || account.awaited > 0 || !account.records.has(Owed::Opened);
            return if is_told { Found::Owing } else { Found::Nobody };
        }
        if matches!(session.state, State::Refused | State::Ending) { Found::Nobody } else { Found::Somebody }
    }

    pub(super) fn heard_record(&self, plane: PlaneIndex, heard: HeardBefore) -> Heard<'_> {
        let HeardBefore { plane_epoch, ring, through, share } = heard;
        let plane = self.planes.name(plane);
        Heard { plane, plane_epoch, ring, through, shard: share.shard, shard_count: share.shard_count }
    }

    pub(super) fn checkpointed(&self, slot: Slot) -> Checkpointed<'_> {
        let (session, account) = (self.session(slot), self.account(slot));
        let serial = session.serial.parts();
        let accounting = self.beginning(slot).accounting;
        let was_accepted = accounting != Mono::ZERO;
        let accepted = match session.state {
            State::Accounting | State::Stopping | State::Parked if was_accepted => {
                Some(Accepted { serial, at: accounting, keep_accounting: session.flags.has(Flags::START_KEPT) })
            }
            _ => None,
        };
        let failed = session.state == State::StartFailed;
        let sampled = self.table.sampled(slot);
        // The last sample of one that is down is its end's.
        let was_sampled = !session.is_down()
            && (account.sampled != Mono::ZERO || account.interim_failures > 0 || account.cut.is_some());
        Checkpointed {
            opened: self.opened(slot),
            accepted,
            start_failed: failed.then(|| StartFailed { serial, zero_stop: zero_stop(session.flags) }),
            sampled: was_sampled.then_some(sampled),
            closed: session.is_down().then(|| self.closed(slot)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first turn writes what is not due; the second begins with what comes next, and is paid for.
    #[test]
    fn what_the_first_turn_wrote_ahead_is_not_waited_for() {
        let mut checkpoints = Checkpoints::new(1, Mono::ZERO);
        for (turn, credit) in [(1, 0), (2, -850)] {
            checkpoints.marks.push(10 * turn);
            checkpoints.weigh(1_000, true);
            checkpoints.end_turn(10 * turn + 5);
            assert_eq!(checkpoints.credit, credit, "turn {turn}");
            checkpoints.weigh(100, false);
            assert_eq!(checkpoints.credit, credit + 150, "turn {turn}");
        }
    }
}
