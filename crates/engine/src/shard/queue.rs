//! What no server acknowledged and is tried again (BEHAVIOUR.md 5.5): Stops, and as far as the group says so Starts of sessions
//! whose accounting goes on without them, and interims.
//!
//! A Stop whose transaction has failed rests, half a minute the first time and twice as long after each further one, up to ten
//! minutes, each time a tenth more or less; then it waits in its group's lane of parked Stops like other work. A server that comes back ends all rests of its
//! groups: what they hold goes into the lane in the order of its coming, as fast as the lane's share and the server's window
//! take it. `cache retransmit K timeout S` goes by rounds instead: every S seconds the K that have rested longest.
//!
//! ```text
//!                failed                 rest over, server back, round, operator
//!   in flight ──────────▶ rests ──────────────────────────────────────▶ lane ──▶ in flight
//!                           └── N used up, thrown out, reset ──▶ bill
//! ```
//!
//! A user holds one place of the queue, for what is newest: a due interim replaces one that is queued, and lets a queued Start
//! go first; a Down takes both out, for the Stop tells all. What an interim of the queue leads to never counts as success or
//! failure of real-time accounting (owner's decision 5). Resting needs no memory of its own:
//! the links of the lanes hold a list for each length of rest, so the first of each list is the first whose rest is over.
//!
//! **Full:** who has rested longest is thrown out, and a bill stands for its Stop. The queue is full at the operator's number of
//! users, and when it holds more than the memory threshold of the session slots that nobody else has, so that log-ins find room.

use std::time::Duration;

use model::marks::{self, Mark};
use model::record::BillReason;
use model::report::{QueueSelector, QueuedStop};
use model::settings::{AccountingMode, RadiusCache};
use model::time::Mono;

use super::{Notice, Shard};
use crate::attributes;
use crate::group::Group;
use crate::policy::Outcome;
use crate::session::{Flags, Lane, Owed, Slot, State};
use crate::table::Table;

/// Each length of rest comes in so many variants, a tenth shorter to a tenth longer: what failed together is not tried again
/// together (RFC 5080 section 2.2.1, RAND).
const VARIANTS: usize = 4;
/// Seconds; each is about twice the one before it, up to ten minutes.
const LENGTHS_S: [u64; 6] = [30, 60, 120, 240, 480, 600];
/// Lists of rests.
pub(crate) const REST_COUNT: usize = LENGTHS_S.len() * VARIANTS;
/// How many go into the lane in one turn of the caller's loop.
const TURN_MAX: u32 = 2048;

/// How long a rest of this list lasts.
fn rest(list: usize) -> Duration {
    let (length_s, variant) = (LENGTHS_S[list / VARIANTS], list % VARIANTS);
    let length_ms = length_s * 1000;
    let spread_ms = length_ms / 5 * variant as u64 / (VARIANTS as u64 - 1);
    Duration::from_millis(length_ms - length_ms / 10 + spread_ms)
}

/// What the operator says of the queue, this shard's share of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct StopQueue {
    /// Users at most.
    most: u32,
    /// Per cent of the session slots that it shares with log-ins to come.
    memory: u32,
    /// Per cent of `most`: the alarm is raised at the first and cleared at the second.
    warning: Option<(u32, u32)>,
    /// So many every so often.
    rounds: Option<(u32, Duration)>,
    round_next: Mono,
    /// No Stop is given up because its tries are used up.
    keep: bool,
    /// A try that found no place is none.
    optimize: bool,
    users: u32,
    is_told: bool,
    /// Thrown out.
    dropped: u64,
}

impl StopQueue {
    pub(super) fn new() -> StopQueue {
        let mut queue = StopQueue {
            most: 0,
            memory: 0,
            warning: None,
            rounds: None,
            round_next: Mono::ZERO,
            keep: false,
            optimize: false,
            users: 0,
            is_told: false,
            dropped: 0,
        };
        queue.set(&RadiusCache::default(), 1);
        queue
    }

    /// Takes the settings; each shard has its share.
    pub(super) fn set(&mut self, settings: &RadiusCache, shards: u16) {
        let share = |count: u32| (count / u32::from(shards)).max(1);
        self.most = share(settings.users_most());
        self.memory = settings.memory_threshold.into();
        self.warning = settings.warning.map(|warning| (warning.upper.into(), warning.lower.into()));
        self.rounds =
            settings.rounds.map(|rounds| (share(rounds.users.into()), Duration::from_secs(rounds.seconds.into())));
        self.keep = settings.keep_packets;
        self.optimize = settings.pending_limit_optimize;
    }

    pub(super) fn users(&self) -> u32 {
        self.users
    }

    pub(super) fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Whether a Stop that has no tries left stays.
    pub(super) fn keeps(&self) -> bool {
        self.keep
    }

    /// Whether a try that found no place is none.
    pub(super) fn forgives_unsent(&self) -> bool {
        self.optimize
    }

    /// What to tell the operator of the fill, each once: `true` when it is high.
    fn fill_to_tell(&mut self) -> Option<bool> {
        let [users, most] = [self.users, self.most].map(u64::from);
        let is_high = match self.warning {
            Some((upper, _)) if !self.is_told => users * 100 >= u64::from(upper) * most,
            Some((_, lower)) => users * 100 > u64::from(lower) * most,
            None => false,
        };
        (std::mem::replace(&mut self.is_told, is_high) != is_high).then_some(is_high)
    }
}

impl Group {
    /// How long a rest of this list lasts.
    fn rest(&self, list: usize) -> Duration {
        self.pause.unwrap_or_else(|| rest(list))
    }

    /// How many rest.
    pub(crate) fn resting(&self) -> u64 {
        self.rests.iter().map(|list| u64::from(list.count)).sum()
    }

    /// Whose rest ends first, and when.
    fn first_rested(&self, table: &Table) -> Option<(Slot, Mono)> {
        let heads = self.rests.iter().enumerate().filter(|(_, list)| list.count > 0);
        let ends = heads.map(|(index, list)| {
            let since = table.accounts[list.head as usize].queued;
            let is_woken = self.woken.is_some_and(|woken| since <= woken);
            (list.head, if is_woken { since } else { since.plus(self.rest(index)) })
        });
        ends.min_by_key(|&(_, at)| at)
    }

    /// Who has rested longest, and since when.
    fn longest_rested(&self, table: &Table) -> Option<(Slot, Mono)> {
        let heads = self.rests.iter().filter(|list| list.count > 0);
        heads.map(|list| (list.head, table.accounts[list.head as usize].queued)).min_by_key(|&(_, since)| since)
    }
}

impl Shard {
    /// What failed rests before it is tried again.
    pub(super) fn rest(&mut self, slot: Slot, now: Mono) {
        let group = usize::from(self.group_of(slot));
        self.join_queue(slot);
        self.account_mut(slot).queued = now;
        let annex = self.annex_mut(slot);
        let length = usize::from(annex.tries).min(LENGTHS_S.len() - 1);
        annex.tries = annex.tries.saturating_add(1);
        let tries = u8::try_from(annex.tries).unwrap_or(u8::MAX);
        let number = self.session(slot).serial.parts().sequence;
        let variant = usize::try_from(self.draw(number, tries, VARIANTS as u64)).unwrap_or(0);
        let list = length * VARIANTS + variant;
        self.annex_mut(slot).rest = u8::try_from(list).expect("a list of rests");
        self.table.push_back(&mut self.groups[group].rests[list], Lane::Rest, slot);
        self.make_room();
        self.tell_fill();
    }

    /// A Start failed, and accounting goes on without it.
    pub(super) fn queue_start(&mut self, slot: Slot, now: Mono) {
        let tries = self.groups[usize::from(self.group_of(slot))].start_resend;
        self.queue_for(slot, tries, Flags::START_QUEUED, now);
    }

    /// An interim failed. A queued Start stays what it is.
    pub(super) fn queue_interim(&mut self, slot: Slot, now: Mono) {
        let tries = self.groups[usize::from(self.group_of(slot))].interim_resend;
        let session = self.session(slot);
        if session.lane == Lane::Out && !session.flags.has(Flags::CUT) {
            self.queue_for(slot, tries, Flags::INTERIM_QUEUED, now);
        }
    }

    fn queue_for(&mut self, slot: Slot, tries: u16, what: Flags, now: Mono) {
        if tries > 0 {
            self.annex_mut(slot).resends_left = tries - 1;
            self.session_mut(slot).flags.set(what);
            self.rest(slot, now);
        }
    }

    /// Whether it is the Start that waits in a session's place of the queue.
    pub(super) fn is_queued_start(&self, slot: Slot) -> bool {
        let session = self.session(slot);
        session.lane == Lane::Parked && session.flags.has(Flags::START_QUEUED)
    }

    /// An interim's time has come.
    pub(super) fn tick(&mut self, slot: Slot, now: Mono) {
        let session = self.session_mut(slot);
        if session.lane == Lane::Rest && session.flags.has(Flags::START_QUEUED) {
            session.flags.set(Flags::TICK_WAITS);
            marks::hit(Mark::QueuedStartTellsTick);
            self.go_into_lane(slot, now);
        } else {
            session.flags.set(Flags::INTERIM_DUE);
            self.settle(slot, now);
        }
    }

    /// Something is to be told while something rests: an older interim is replaced, and a Start tells it.
    pub(super) fn make_way(&mut self, slot: Slot, now: Mono) {
        let session = self.session(slot);
        let is_due = session.lane == Lane::Rest && session.flags.has(Flags::INTERIM_DUE);
        if is_due && session.flags.has(Flags::START_QUEUED) {
            self.go_into_lane(slot, now);
        } else if is_due {
            marks::hit(Mark::InterimReplacesQueued);
            self.leave_queue(slot);
        }
    }

    /// The subscriber has gone, or is to go: the Stop tells what a queued Start or interim would.
    pub(super) fn withdraw_queued(&mut self, slot: Slot) {
        let session = self.session(slot);
        if session.flags.has(Flags::START_QUEUED) || session.flags.has(Flags::INTERIM_QUEUED) {
            if session.lane == Lane::Parked {
                self.dequeue(slot);
            }
            marks::hit(Mark::QueuedWithdrawn);
            self.leave_queue(slot);
        }
    }

    /// A Start of the queue has had its transaction.
    pub(super) fn queued_start_ended(&mut self, slot: Slot, outcome: Outcome, now: Mono) {
        match outcome {
            Outcome::Acknowledged => {
                let session = self.session_mut(slot);
                let tick_waits = session.flags.has(Flags::TICK_WAITS);
                session.flags.put(Flags::START_KEPT, false);
                session.flags.put(Flags::INTERIM_DUE, tick_waits);
                self.leave_queue(slot);
                self.owe(slot, Owed::Accepted);
            }
            Outcome::Unanswered => {
                // An interim that waited behind it is skipped.
                self.session_mut(slot).flags.put(Flags::TICK_WAITS, false);
                self.rest_again(slot, now);
            }
        }
    }

    /// An interim of the queue has had its transaction.
    pub(super) fn queued_interim_ended(&mut self, slot: Slot, outcome: Outcome, now: Mono) {
        match outcome {
            Outcome::Acknowledged => self.leave_queue(slot),
            Outcome::Unanswered => self.rest_again(slot, now),
        }
    }

    fn rest_again(&mut self, slot: Slot, now: Mono) {
        if !self.session(slot).flags.has(Flags::QUEUED) {
            // The subscriber has gone meanwhile.
            return;
        }
        let left = self.annex(slot).resends_left;
        if left == 0 && !self.queue.keeps() {
            marks::hit(Mark::QueueGivesUp);
            self.leave_queue(slot);
        } else {
            self.annex_mut(slot).resends_left = left.saturating_sub(1);
            self.rest(slot, now);
        }
    }

    fn join_queue(&mut self, slot: Slot) {
        let flags = &mut self.session_mut(slot).flags;
        if !flags.has(Flags::QUEUED) {
            flags.set(Flags::QUEUED);
            self.queue.users += 1;
        }
    }

    /// How often Stops of this group are tried again has changed, for those too that wait to be (BEHAVIOUR.md 6.2): who has no tries
    /// left is given up.
    pub(super) fn stop_resend_changed(&mut self, group: u16) {
        self.let_leave();
        let tries_most = self.groups[usize::from(group)].stop_resend;
        for slot in self.table.slots() {
            let session = self.session(slot);
            let is_parked = session.state == State::Parked && matches!(session.lane, Lane::Rest | Lane::Parked);
            if !is_parked || self.group_of(slot) != group {
                continue;
            }
            let annex = self.annex_mut(slot);
            let tries = annex.tries;
            // One of its tries rests now, or waits in its lane.
            annex.resends_left = tries_most.saturating_sub(tries);
            if tries > tries_most {
                self.dequeue(slot);
                self.give_up_stop(slot, BillReason::StopUnanswered);
            }
        }
    }

    /// What was in the queue is over.
    pub(super) fn leave_queue(&mut self, slot: Slot) {
        self.end_rest(slot);
        let flags = &mut self.session_mut(slot).flags;
        if flags.has(Flags::QUEUED) {
            flags.put(Flags::QUEUED, false);
            flags.put(Flags::START_QUEUED, false);
            flags.put(Flags::INTERIM_QUEUED, false);
            flags.put(Flags::TICK_WAITS, false);
            self.annex_mut(slot).tries = 0;
            self.queue.users -= 1;
            self.tell_fill();
        }
    }

    fn end_rest(&mut self, slot: Slot) {
        if self.session(slot).lane == Lane::Rest {
            let group = usize::from(self.group_of(slot));
            let index = usize::from(self.annex(slot).rest);
            self.table.unlink(&mut self.groups[group].rests[index], slot);
        }
    }

    /// Throws out who has rested longest, until the queue has no more than it may.
    fn make_room(&mut self) {
        loop {
            let users = u64::from(self.queue.users);
            let open = (self.table.capacity() - self.table.len()) as u64 + users;
            let is_crowded = users * 100 > u64::from(self.queue.memory) * open;
            if self.queue.users <= self.queue.most && !is_crowded {
                return;
            }
            if is_crowded && self.abandon_copy() {
                continue;
            }
            let Some((slot, _)) = self.longest_rested(|_| true) else { return };
            self.queue.dropped += 1;
            if self.session(slot).is_down() {
                marks::hit(Mark::StopThrownOut);
                self.give_up_stop(slot, BillReason::QueueDropped);
            } else {
                marks::hit(Mark::InterimThrownOut);
                self.leave_queue(slot);
            }
            if is_crowded {
                // Its slot is free only when its bill is on the way: one goes for one that comes.
                return;
            }
        }
    }

    /// Who has rested longest of these groups, and since when.
    fn longest_rested(&self, groups: impl Fn(&Group) -> bool) -> Option<(Slot, Mono)> {
        let groups = self.groups.iter().filter(|group| groups(group));
        let longest = groups.filter_map(|group| group.longest_rested(&self.table));
        longest.min_by_key(|&(_, since)| since)
    }

    fn tell_fill(&mut self) {
        let (users, most) = (self.queue.users, self.queue.most);
        match self.queue.fill_to_tell() {
            Some(true) => self.notice(Notice::QueueFills { users, most }),
            Some(false) => self.notice(Notice::QueueDrains { users, most }),
            None => {}
        }
    }

    /// Lets those go into their lane whose rest is over.
    pub(super) fn end_rests(&mut self, now: Mono) {
        self.end_due_rests(now);
        let Some((users, every)) = self.queue.rounds else { return };
        if now < self.queue.round_next {
            return;
        }
        self.queue.round_next = now.plus(every);
        for _ in 0..users {
            let Some((slot, since)) = self.longest_rested(|group| group.pause.is_none()) else { return };
            if since == now {
                return;
            }
            marks::hit(Mark::RoundEndsRest);
            self.go_into_lane(slot, now);
        }
    }

    /// Rounds are RADIUS's: a Stop of HWTACACS has a pause of its own.
    fn end_due_rests(&mut self, now: Mono) {
        let mut left = TURN_MAX;
        for group in 0..self.groups.len() {
            if self.queue.rounds.is_some() && self.groups[group].pause.is_none() {
                continue;
            }
            while left > 0
                && let Some((slot, at)) = self.groups[group].first_rested(&self.table)
                && at <= now
            {
                self.go_into_lane(slot, now);
                left -= 1;
            }
        }
    }

    fn go_into_lane(&mut self, slot: Slot, now: Mono) {
        self.end_rest(slot);
        self.enqueue(slot, Lane::Parked, now);
    }

    /// When [`Shard::end_rests`] has something to do.
    pub(super) fn next_rest_end(&self) -> Option<Mono> {
        let ends = self.groups.iter().filter_map(|group| {
            let (_, at) = group.first_rested(&self.table)?;
            let is_in_rounds = self.queue.rounds.is_some() && group.pause.is_none();
            Some(if is_in_rounds { self.queue.round_next } else { at })
        });
        ends.min()
    }

    /// Somebody answers again: whatever rests now for one of its groups goes into the lane.
    pub(super) fn wake_groups_of(&mut self, server: u16, now: Mono) {
        for group in self.groups.iter_mut().filter(|group| group.has(server)) {
            group.woken = Some(now);
        }
    }

    /// `radius-server cache resend packet`: every rest ends now. Says how many there were.
    pub fn resend_queued(&mut self, now: Mono) -> u64 {
        let mut count = 0;
        for group in self.groups.iter_mut().filter(|group| group.method == AccountingMode::Radius) {
            count += group.resting();
            group.woken = Some(now);
        }
        count
    }

    /// The Stops in the queue, at most `count` rows, in no order.
    pub fn queued_stops(&self, count: usize) -> Vec<QueuedStop> {
        let is_queued = |slot: &Slot| self.session(*slot).is_down() && self.session(*slot).flags.has(Flags::QUEUED);
        self.table.slots().filter(is_queued).take(count).map(|slot| self.queued_stop(slot)).collect()
    }

    fn queued_stop(&self, slot: Slot) -> QueuedStop {
        let (account, annex) = (self.account(slot), self.annex(slot));
        let run = self.run(slot);
        let group = &self.groups[usize::from(self.group_of(slot))];
        QueuedStop {
            template: (group.method == AccountingMode::Hwtacacs).then(|| group.name.clone()),
            closed: annex.closed.wall,
            resend_times: annex.tries.saturating_sub(1),
            session_time_s: annex.session_time_s,
            user: String::from_utf8_lossy(attributes::user_name(run).unwrap_or_default()).into_owned(),
            server: self.servers.get(usize::from(account.server)).map(|server| server.path.address),
        }
    }

    /// `reset { radius-server | hwtacacs-server } accounting-stop-packet`: what rests, for this server or any, is given up; a bill
    /// stands for each. Says how many. What is out at the time is left to its answer.
    pub fn reset_queued(&mut self, selector: QueueSelector) -> u64 {
        self.let_leave();
        let mut count = 0;
        for slot in self.table.slots() {
            let session = self.session(slot);
            let rests = matches!(session.lane, Lane::Rest | Lane::Parked) && session.state == State::Parked;
            let asked = self.servers.get(usize::from(self.account(slot).server)).map(|server| server.path.address.ip());
            let method = self.groups[usize::from(self.group_of(slot))].method;
            let is_meant = (method == AccountingMode::Hwtacacs) == selector.hwtacacs
                && (selector.server.is_none() || selector.server == asked);
            if rests && is_meant {
                self.dequeue(slot);
                self.give_up_stop(slot, BillReason::QueueDropped);
                count += 1;
            }
        }
        count
    }
}
