//! Replays: bills are sent to an accounting server that answers again (`local-bill cache replay`). A bill is claimed, durably,
//! before its record leaves here; what came of it comes back as a record of the shard that sent it.
//!
//! Bills are taken in age order. One that comes back is tried again only when all the others have had their turn, and some
//! time has passed.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use model::ids::BillId;
use model::marks::{self, Mark};
use model::record::{BillReason, BillRun, Claimed, Record, Returned};
use model::settings::BillReplay;
use model::time::{Mono, Now};

use super::reads::Why;
use super::{Area, Keeper};
use crate::pool::{BillRef, BillState};

/// Bills that are being replayed at once.
pub const REPLAYS_MAX: usize = 64;
/// After the last bill had its turn.
const PAUSE: Duration = Duration::from_secs(30);

/// Bills that are being replayed.
#[derive(Default)]
pub(super) struct Replays {
    server_answers: bool,
    outstanding: BTreeSet<BillId>,
    /// Those that were read, or are being read: a claim may be told again.
    asked: BTreeSet<BillId>,
    ready: VecDeque<(BillId, Box<[u8]>)>,
    behind: BillId,
    resume_at: Option<Mono>,
}

impl Replays {
    pub(super) fn resume_at(&self) -> Option<Mono> {
        self.resume_at
    }

    pub(super) fn handle_timeout(&mut self, now: Mono) {
        if self.resume_at.is_some_and(|at| at <= now) {
            self.begin_anew();
        }
    }

    /// Every bill has its turn again, at once.
    pub(super) fn begin_anew(&mut self) {
        self.resume_at = None;
        self.behind = BillId::default();
    }

    pub(super) fn handle_read(&mut self, id: BillId, record: &[u8]) {
        if self.outstanding.contains(&id) {
            self.ready.push_back((id, record.into()));
        }
    }

    pub(super) fn handle_outcome(&mut self, id: BillId) {
        self.outstanding.remove(&id);
        self.asked.remove(&id);
        self.ready.retain(|(ready, _)| *ready != id);
    }

    /// These bills have left.
    pub(super) fn handle_settled(&mut self, run: BillRun) {
        let end = BillId { sequence: run.first.sequence.saturating_add(u64::from(run.count)), ..run.first };
        let ids: Vec<BillId> = self.outstanding.range(run.first..end).copied().collect();
        ids.into_iter().for_each(|id| self.handle_outcome(id));
    }
}

impl Keeper {
    /// Whether an accounting server answers. True may be told again and again.
    pub fn handle_servers_answer(&mut self, answers: bool, now: Now) {
        if answers && !self.replays.server_answers {
            self.replays.begin_anew();
        }
        self.replays.server_answers = answers;
        self.advance(now);
    }

    /// The next bill to be sent as a Stop, in the octets of its record. Its claim is durable. What comes of it is appended
    /// as `departed: replayed` or `returned`.
    pub fn poll_replay(&mut self) -> Option<(BillId, Box<[u8]>)> {
        self.replays.ready.pop_front()
    }

    /// A bill that was polled for replay could not be taken: nothing was sent.
    pub fn handle_replay_refused(&mut self, id: BillId, now: Now) {
        if self.replays.outstanding.contains(&id) {
            marks::hit(Mark::ReplayRefused);
            self.tell(&Record::Returned(Returned { id, was_sent: false }));
        }
        self.advance(now);
    }

    /// Claims of an earlier life: whether a server has them is not known.
    pub(super) fn return_claims(&mut self) {
        let ids: Vec<BillId> = self.book.claims().collect();
        for id in ids {
            marks::hit(Mark::ClaimReturned);
            self.tell(&Record::Returned(Returned { id, was_sent: true }));
        }
    }

    pub(super) fn advance_replays(&mut self, now: Now) {
        let with_start_failed = match self.settings.replay {
            BillReplay::Disabled => return,
            BillReplay::Enabled => false,
            BillReplay::EnabledStartFailed => true,
        };
        if !self.replays.server_answers || self.replays.resume_at.is_some() {
            return;
        }
        while self.replays.outstanding.len() < REPLAYS_MAX && self.own.is_calm() {
            let [bills, _] = self.book.pool.shelves();
            let is_meant = |bill: &&BillRef| {
                bill.state == BillState::Free
                    && !bill.is_leaving
                    && !bill.hindrance.is_unread()
                    && (with_start_failed || bill.reason != BillReason::StartFailed)
            };
            let found = {
                let mut behind = bills.iter_behind(self.replays.behind);
                behind.find(is_meant).map(|bill| bill.id)
            };
            let Some(id) = found else {
                // Those that are there and not meant are not looked through at every turn.
                if bills.last().is_some() {
                    self.replays.resume_at = Some(now.mono.plus(PAUSE));
                }
                return;
            };
            self.replays.behind = id;
            self.replays.outstanding.insert(id);
            self.book.set_state(id, BillState::Claimed);
            self.tell(&Record::Claimed(Claimed { id }));
        }
    }

    /// A claim is durable: the bill is read.
    pub(super) fn replay_claimed(&mut self, id: BillId) {
        let is_ending = self.book.claims.get(&id).is_none_or(|claim| claim.is_ending);
        if !is_ending && self.replays.outstanding.contains(&id) && self.replays.asked.insert(id) {
            self.read(Why::Replay, Area::Ledger, id);
        }
    }
}
