//! Boots of the box: its clock begins anew, the planes have lost everything, and who was online ended with the box. The
//! ledger says how, as far as it was told: with the last durable sample, at the time of that sample, NAS-Reboot.

use std::collections::BTreeMap;
use std::time::Duration;

use model::counters::{Counters, Totals};
use model::ids::SessionSerial;
use model::record::{Closed, Opened, Record, Sampled};
use model::time::{Mono, Now};

use super::book::Book;
use super::{Oracle, is_within};
use crate::driver::{Memory, shard_of};
use crate::trace::text;

/// Acct-Terminate-Cause *NAS Reboot*; no plane says it.
pub(super) const NAS_REBOOT: u8 = 11;
/// A sample that is due is durable so long after.
const SLACK_NANOS: u64 = 1_500_000_000;
/// So long after a life began a shard's Starts wait for its Stops of earlier boots (DESIGN.md section 4).
const OLD_STOPS_FIRST: Duration = Duration::from_secs(30);
/// Moments that are kept of each session: at one in two seconds, more than the longest checkpoint interval has.
const COUNTED_MAX: usize = 64;

/// What the ledger was told of a session's counters.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Samples {
    /// The last that recovery read.
    read: Option<Sampled>,
    /// What its earlier generations of counters came to, as recovery read it last.
    baseline: Counters,
    /// When the last was taken that is durable.
    durable: Mono,
    /// What must be in the next one that recovery reads, after the life that has just ended.
    least: Counters,
}

impl Samples {
    pub(super) fn forget(&mut self) {
        (self.read, self.baseline) = (None, Counters::ZERO);
    }

    pub(super) fn opened(&mut self, opened: &Opened<'_>) {
        self.baseline = opened.baseline;
    }

    pub(super) fn sampled(&mut self, sampled: Option<Sampled>) {
        self.read = sampled;
    }

    pub(super) fn make_durable(&mut self, at: Mono) {
        self.durable = self.durable.max(at);
    }

    /// When the last was taken that a later life knows.
    pub(super) fn latest(&self) -> Mono {
        self.read.map_or(self.durable, |read| read.at.max(self.durable))
    }

    fn counters(&self) -> Counters {
        let known = self.read.map_or(Counters::ZERO, |sampled| sampled.counters);
        most(&known, &self.baseline)
    }
}

/// The box's boots, and what could be sampled in the present life.
pub(super) struct Boots {
    /// The present boot's number.
    current: usize,
    /// Since when each plane is linked without a break.
    linked: Vec<Option<Mono>>,
    /// Whether samples are in time but for faults of the engine.
    samples_in_time: bool,
    interval_nanos: u64,
    /// By shard and group: sessions of earlier boots whose Stops go before its Starts, until this moment.
    old_stops: BTreeMap<(usize, String), Vec<SessionSerial>>,
    began: Mono,
    /// The process was told to end, and samples no more.
    ends: Option<Mono>,
    held_until: Mono,
    shard_count: usize,
}

impl Boots {
    pub(super) fn new(planes: usize, samples_in_time: bool, interval_s: u32) -> Boots {
        Boots {
            current: 0,
            linked: vec![None; planes],
            samples_in_time,
            interval_nanos: u64::from(interval_s) * 1_000_000_000,
            old_stops: BTreeMap::new(),
            began: Mono::ZERO,
            ends: None,
            held_until: Mono::ZERO,
            shard_count: 1,
        }
    }

    pub(super) fn current(&self) -> usize {
        self.current
    }

    pub(super) fn shard_count(&self) -> usize {
        self.shard_count
    }

    /// When the present life began.
    pub(super) fn began(&self) -> Mono {
        self.began
    }

    /// Whether the process was not told to end.
    pub(super) fn is_running(&self) -> bool {
        self.ends.is_none()
    }
}

impl Oracle {
    /// So many shards live, with what recovery told.
    pub(crate) fn begun(&mut self, now: Mono, shard_count: usize) {
        self.boots.shard_count = shard_count;
        self.boots.began = now;
        self.boots.held_until = now.plus(OLD_STOPS_FIRST);
        self.boots.old_stops.clear();
        self.interims_begin();
        let boot = self.boots.current();
        let is_old = |book: &&Book| {
            book.boot < boot && book.over.is_none() && book.start_failed.is_none() && !book.is_never_begun()
        };
        for book in self.books.values().filter(is_old) {
            let shard = shard_of(&self.incarnations[book.incarnation].name, shard_count);
            self.boots.old_stops.entry((shard, book.group.clone())).or_default().push(book.serial);
        }
    }

    /// A Start leaves: those who ended with the box have told so.
    pub(super) fn check_old_stops(&mut self, now: Mono, serial: SessionSerial) {
        // While every server is Down an old Stop fails unsent, and has had its turn.
        if now >= self.boots.held_until || self.health_changed.is_some_and(|at| at >= self.boots.began) {
            return;
        }
        let Some(book) = self.books.get(&serial) else { return };
        let shard = shard_of(&self.incarnations[book.incarnation].name, self.boots.shard_count);
        let old = self.boots.old_stops.get(&(shard, book.group.clone()));
        let has_told = |book: &&Book| book.over.is_some() || book.sent.stops_now > 0;
        let owes = |serial: &&SessionSerial| self.books.get(serial).is_some_and(|book| !has_told(&book));
        let owing = old.into_iter().flatten().find(owes).and_then(|serial| self.books.get(serial));
        let owing = owing.map(|owing| format!("{} before {}", text(&book.session_id), text(&owing.session_id)));
        self.require(owing.is_none(), "Stops of earlier boots go before Starts", || owing.unwrap_or_default());
    }

    /// A plane is linked from now on.
    pub(crate) fn linked(&mut self, plane: usize, now: Mono) {
        self.boots.linked[plane].get_or_insert(now);
    }

    /// And not any more.
    pub(crate) fn unlinked(&mut self, plane: usize) {
        self.boots.linked[plane] = None;
    }

    /// A session has moved so much so far.
    pub(super) fn keep_counted(&mut self, now: Mono, incarnation: usize) {
        if !self.boots.samples_in_time {
            return;
        }
        let truth = &mut self.incarnations[incarnation];
        if truth.history.len() == COUNTED_MAX {
            truth.history.pop_front();
        }
        truth.history.push_back((now, truth.counted));
    }

    /// The process is told to end.
    pub(crate) fn ends(&mut self, now: Mono) {
        self.boots.ends.get_or_insert(now);
    }

    /// The process has died: what was counted an interval before was sampled, and is durable.
    pub(crate) fn died(&mut self, now: Mono) {
        let now = self.boots.ends.take().unwrap_or(now);
        self.orders_died(now);
        self.interims_died(now);
        let Boots { samples_in_time, interval_nanos, .. } = self.boots;
        let boot = self.boots.current();
        if samples_in_time {
            for book in self.books.values_mut().filter(|book| book.boot == boot && book.closed.is_none()) {
                let truth = &self.incarnations[book.incarnation];
                let since = self.boots.linked[truth.plane].map(|linked| linked.max(book.opened_at.mono));
                let due = now.as_nanos().checked_sub(interval_nanos + SLACK_NANOS).map(Mono::from_nanos);
                if let (Some(since), Some(due)) = (since, due)
                    && since < due
                    && !truth.counters_lost
                    && !truth.vanished
                    && truth.gone.is_none()
                {
                    let counted = truth.history.iter().rev().find(|(at, _)| *at <= due);
                    book.samples.least = counted.map_or(book.samples.least, |(_, counted)| *counted);
                }
            }
        }
        self.boots.linked.iter_mut().for_each(|linked| *linked = None);
    }

    /// The box is booted.
    pub(crate) fn booted(&mut self) {
        self.boots.current += 1;
        self.announcing.boot();
        (self.health_changed, self.asked_changed) = (None, None);
    }

    /// Recovery has read everything: no sample that was durable is missing.
    pub(super) fn check_samples(&mut self, memory: &Memory) {
        let mut wrong = None;
        for book in self.books.values().filter(|book| book.closed.is_none() && book.over.is_none()) {
            let Samples { read, durable, least, .. } = book.samples;
            let told = memory.replay.session(book.serial).and_then(|session| session.whole.sampled);
            let is_kept = durable == Mono::ZERO || read.is_some_and(|read| read.at >= durable);
            if !is_kept || read.map(|read| (read.at, read.counters)) != told.map(|told| (told.at, told.counters)) {
                wrong.get_or_insert(format!(
                    "{}: {durable:?} was durable, {read:?} is read, {told:?} is known",
                    text(&book.session_id)
                ));
            }
            if !is_within(&least, &book.samples.counters()) {
                wrong.get_or_insert(format!(
                    "{}: {read:?} lacks what was to be sampled, {least:?}",
                    text(&book.session_id)
                ));
            }
        }
        self.require(wrong.is_none(), "a crash costs one checkpoint interval of samples", || wrong.unwrap_or_default());
    }

    /// Whether a session of an earlier boot ends as it must.
    pub(super) fn ends_with_box(&self, book: &Book, closed: &Closed) -> bool {
        let Samples { read, .. } = book.samples;
        // The wall clock may have been set meanwhile.
        let lasted = read.map_or(0, |sampled| sampled.at.since(book.opened_at.mono).as_millis());
        let at = u128::from(book.opened_at.wall.as_millis()) + lasted;
        (closed.cause == NAS_REBOOT || book.is_never_begun())
            && closed.taken_over.plane_epoch == 0
            && closed.counters == book.samples.counters()
            && closed.at.mono == Mono::ZERO
            && u128::from(closed.at.wall.as_millis()).abs_diff(at) <= 2
            && u128::from(closed.session_time_s).abs_diff(lasted / 1000) <= 1
    }

    /// The seconds since a session ended, as its Stop says them: on the clock of the boot in which it did, or on the wall.
    pub(super) fn delay_since(&self, now: Now, book: &Book, closed: &Closed) -> u64 {
        if closed.at.mono != Mono::ZERO && book.closed_boot == self.boots.current() {
            now.mono.since(closed.at.mono).as_secs()
        } else {
            now.wall.as_millis().saturating_sub(closed.at.wall.as_millis()) / 1000
        }
    }

    /// Whether two records tell of the same end. What ended in an earlier boot has no moment on the clock of this one.
    pub(super) fn is_same_end(&self, book: &Book, closed: &Closed) -> bool {
        let Some(known) = book.closed.map(|known| known.fact) else { return false };
        let told = if book.closed_boot == self.boots.current() { *closed } else { on_no_clock(*closed) };
        let known = if book.closed_boot == self.boots.current() { known } else { on_no_clock(known) };
        known == told
    }
}

fn on_no_clock(closed: Closed) -> Closed {
    Closed { at: Now { mono: Mono::ZERO, ..closed.at }, ..closed }
}

/// What a record says of a session's counters.
pub(super) fn learn(samples: &mut Samples, record: &Record<'_>) {
    match record {
        Record::Opened(opened) => samples.opened(opened),
        Record::Checkpointed(checkpointed) => {
            samples.opened(&checkpointed.opened);
            samples.sampled(checkpointed.sampled);
        }
        Record::Sampled(sampled) => samples.sampled(Some(*sampled)),
        _ => {}
    }
}

/// Number by number, whatever is more.
fn most(a: &Counters, b: &Counters) -> Counters {
    let most = |a: &Totals, b: &Totals| Totals {
        in_octets: a.in_octets.max(b.in_octets),
        in_packets: a.in_packets.max(b.in_packets),
        out_octets: a.out_octets.max(b.out_octets),
        out_packets: a.out_packets.max(b.out_packets),
    };
    Counters { v4: most(&a.v4, &b.v4), v6: most(&a.v6, &b.v6) }
}
