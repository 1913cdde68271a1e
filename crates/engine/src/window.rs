//! How many requests may wait for one server's replies: a congestion window.
//!
//! A server that is asked for more than it bears first queues and then drops. What it drops is sent again, seconds later, and
//! what it queues makes the next log-in wait; so the window looks for the place just before: the server is busy, and its queue
//! is short. It is measured in rounds. A round is as many replies as the window is wide, all to requests that were sent in it
//! for the first time (Karn's rule, RFC 6298 section 3), and its mean round trip is compared with the least that was ever seen.
//!
//! ```text
//!                 queue short                      queue long, too many missed, or a wait ran out
//!   opening ──────────────────▶ twice as wide     ───────────────────────────────────────────────▶ steady
//!   steady  ──────────────────▶ STEP wider        narrower by so much, by as many, or by half
//! ```
//!
//! The queue is *long* when more than [`QUEUE_MOST`] requests lie in it (Little's law: width × the part of the round trip that
//! is waiting), for socket buffers hold hardly more; or when they lie there longer than [`WAIT_MOST`] and half of the round trip
//! itself, for a log-in lies there as well. A window that is not made use of does not grow. One that has become as narrow as it
//! can be without the wait getting shorter has learnt that the server is slower than it was, and measures anew.
//!
//! What got lost waits for nothing but the vendor's timer and has no place in the window; whether the line loses it or the server
//! drops it is told by `losses`. A wait that runs out before anything tells that the request is lost is a server that has ceased.
//!
//! Comes in: a place taken, a reply, a request that is missed, a wait that ran out. Goes out: a number. Nothing is allocated.

use std::time::Duration;

use model::marks::{self, Mark};
use model::time::Mono;

use crate::losses::{Judgement, Losses};

/// As wide as it ever is: as many requests as a shard has.
const MOST: u32 = 4096;
/// As narrow as it ever is: those of three timeouts are enough to tell that the server is dead (dead-count, BEHAVIOUR.md 5.2).
/// One that is Down is asked less, by other rules.
const LEAST: u32 = 4;
/// Its first width: so few that their round trip tells what a server takes without a queue.
const FIRST: u32 = 4;
/// What a round without a queue adds, and a part of the width if that is more.
const STEP: u32 = 4;
const STEP_PART: u32 = 32;
/// Places beside a window in which nothing stirs.
const EXTRA_MOST: u32 = 6;
/// Replies to requests that left in these tell what was lost in the window (`losses`).
const FOLLOWED_MOST: u32 = 3;
/// Requests in the server's queue.
const QUEUE_MOST: u128 = 128;
/// How long they lie there.
const WAIT_MOST: Duration = Duration::from_millis(20);

/// One server's window, of one shard.
#[derive(Clone, Debug)]
pub(crate) struct Window {
    width: u32,
    /// What the operator allows; [`MOST`] otherwise.
    most: u32,
    /// Nothing is known of the server yet.
    is_opening: bool,
    round: Round,
    /// The least mean round trip of any round, nanoseconds; 0: none yet.
    least_ns: u64,
    /// When it was halved last: what was sent before says nothing new.
    halved: Mono,
    losses: Losses,
    /// What it was before it was made narrower to see whether fewer are missed then.
    untried: Option<Untried>,
    /// A narrower window has helped: the server drops what it has no room for, and is asked more only when it is known what
    /// became of the last step.
    drops: bool,
    /// That is known.
    may_widen: bool,
    /// When a request left, or a reply came.
    stirred: Mono,
    /// Places that were given beside it, since nothing stirred; 0 as soon as no more wait than may.
    extra: u32,
    /// When the first of these was given: what left since then, left beside the window.
    beside_since: Mono,
    /// Replies to such requests that let one more leave, since nothing stirred.
    followed: u32,
    /// A place beside it is free.
    has_extra: bool,
}

#[derive(Clone, Copy, Debug)]
struct Untried {
    width: u32,
    is_opening: bool,
}

#[derive(Clone, Copy, Debug)]
struct Round {
    began: Mono,
    /// How wide the window was then.
    width: u32,
    replies: u32,
    sum_ns: u64,
    /// As many waited at once.
    peak: u32,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Queue {
    Short,
    /// As it should be.
    Fair,
    Long {
        /// Requests in it that are more than there should be.
        excess: u128,
    },
}

impl Round {
    fn begin(now: Mono, width: u32) -> Round {
        Round { began: now, width, replies: 0, sum_ns: 0, peak: 0 }
    }
}

impl Window {
    /// Of a server that nothing is known of.
    pub(crate) fn new() -> Window {
        let round = Round::begin(Mono::ZERO, FIRST);
        Window {
            width: FIRST,
            most: MOST,
            is_opening: true,
            round,
            least_ns: 0,
            halved: Mono::ZERO,
            losses: Losses::new(Mono::ZERO),
            untried: None,
            drops: false,
            may_widen: false,
            stirred: Mono::ZERO,
            extra: 0,
            beside_since: Mono::ZERO,
            followed: 0,
            has_extra: false,
        }
    }

    /// How many requests may wait for a reply.
    pub(crate) fn width(&self) -> u32 {
        self.width.min(self.most)
    }

    /// Whether one more may go out beside so many, of which so many are missed. The operator's limit counts them all.
    pub(crate) fn has_room(&self, out: u32, missed: u32) -> bool {
        (out - missed < self.width || self.has_extra) && out < self.most
    }

    /// Whether so many are as many as the operator allows.
    pub(crate) fn is_limit(&self, out: u32) -> bool {
        self.most < MOST && out == self.most
    }

    /// Never more than so many; `None`: as many as the server bears.
    pub(crate) fn limit(&mut self, most: Option<u32>) {
        self.most = most.unwrap_or(MOST).clamp(1, MOST);
    }

    /// The server is Up after it was Down: it may be another one.
    pub(crate) fn open_anew(&mut self, now: Mono) {
        let round = Round::begin(now, FIRST.min(self.most));
        let losses = Losses::new(now);
        *self = Window { most: self.most, least_ns: self.least_ns, round, halved: now, losses, ..Window::new() };
    }

    /// One more request went out, and now so many wait.
    pub(crate) fn handle_sent(&mut self, waiting: u32, now: Mono) {
        self.round.peak = self.round.peak.max(waiting);
        self.stirred = now;
        self.has_extra = false;
        self.extra = if waiting <= self.width { 0 } else { self.extra };
        self.losses.handle_sent(now, self.width());
    }

    /// When one more place may be had although as many wait as may, for nothing stirs: all of them may be lost, and what leaves
    /// in that place tells (a tail loss probe, RFC 8985 section 7). Each time twice as late; a server that has ceased is asked
    /// [`EXTRA_MOST`] times in vain.
    pub(crate) fn next_extra(&self, out: u32, missed: u32) -> Option<Mono> {
        let is_full = !self.has_room(out, missed) && out < self.most;
        let overdue = self.losses.overdue().filter(|_| is_full && self.extra < EXTRA_MOST)?;
        Some(self.stirred.plus(overdue.saturating_mul(1 << self.extra)))
    }

    /// Gives that place when its time has come.
    pub(crate) fn handle_timeout(&mut self, out: u32, missed: u32, now: Mono) -> bool {
        let is_due = self.next_extra(out, missed).is_some_and(|at| at <= now);
        if is_due {
            marks::hit(Mark::PlaceBesideWindow);
            self.beside_since = if self.extra == 0 { now } else { self.beside_since };
            self.extra += 1;
            self.followed = 0;
            self.has_extra = true;
        }
        is_due
    }

    /// What left at this time or before and has no reply is missed.
    pub(crate) fn missed_until(&self) -> Option<Mono> {
        self.losses.missed_until()
    }

    /// What was transmitted once, at `sent`, is missed.
    pub(crate) fn handle_missed(&mut self, sent: Mono) {
        // While more wait than may, its place is another's at once, whose reply tells of the next that is missed.
        self.has_extra |= self.extra > 0;
        self.losses.handle_missed(sent);
    }

    /// Whoever is missed by now was told.
    pub(crate) fn handle_all_missed(&mut self, now: Mono) {
        if let Some(judgement) = self.losses.judge(now) {
            self.heed(judgement, now);
        }
    }

    /// A reply came to a request that was transmitted once, at `sent`, and may have been missed. One that was kept waiting by
    /// ourselves (`is_measured` is false) tells nothing of the server's queue; that happens only while the window has room.
    pub(crate) fn handle_reply(&mut self, sent: Mono, now: Mono, was_missed: bool, is_measured: bool) {
        self.stirred = now;
        // One to what left beside the window lets one more leave: three are needed to tell what was lost. One to what left in it
        // does not, or as many would go on waiting beside it, however narrow it becomes.
        self.has_extra = self.extra > 0 && sent >= self.beside_since && self.followed < FOLLOWED_MOST;
        self.followed += u32::from(self.has_extra);
        self.extra = self.extra.min(1);
        self.losses.handle_reply(sent, now, was_missed);
        if sent < self.round.began || !is_measured {
            return;
        }
        let took = nanos(now.since(sent)).max(1);
        self.round.replies += 1;
        self.round.sum_ns = self.round.sum_ns.saturating_add(took);
        let is_full = self.round.peak >= self.width();
        if self.is_opening && is_full && self.queue(took) == Queue::Short && !self.losses.is_suspicious() {
            // One for each reply, and not all at the end of the round: what leaves at once lies in the queue at once.
            self.width += 1;
        }
        if self.round.replies >= self.round.width {
            self.judge(now);
            self.round = Round::begin(now, self.width());
        }
    }

    /// More is missed than the line is known to lose, or that was found to be the line.
    fn heed(&mut self, judgement: Judgement, now: Mono) {
        let untried = self.untried.take();
        self.drops = judgement != Judgement::NotOurs && (self.drops || untried.is_some());
        self.may_widen = judgement == Judgement::Fair;
        match judgement {
            Judgement::Fair => return,
            Judgement::TooWide { width } => {
                marks::hit(Mark::WindowTooWide);
                self.untried = Some(Untried { width: self.width(), is_opening: self.is_opening });
                self.is_opening = false;
                let most = (self.width() - self.width() / 8).max(LEAST);
                self.narrow(u32::try_from(width).unwrap_or(most).clamp(LEAST, most));
            }
            Judgement::NotOurs => {
                let Some(Untried { width, is_opening }) = untried else { return };
                (self.width, self.is_opening) = (self.width.max(width), is_opening);
            }
        }
        self.round = Round::begin(now, self.width());
    }

    fn judge(&mut self, now: Mono) {
        let mean = self.round.sum_ns / u64::from(self.round.replies);
        self.least_ns = if self.least_ns == 0 { mean } else { self.least_ns.min(mean) };
        match self.queue(mean) {
            Queue::Long { excess } => {
                self.untried = None;
                self.losses.give_up_trial(now);
                // As narrow as it can be, it is not our queue: the server has become slower.
                self.is_opening = self.width() <= LEAST;
                if self.is_opening {
                    self.least_ns = mean;
                }
                let most = self.width().div_ceil(8);
                let excess = u32::try_from(excess).unwrap_or(most);
                self.narrow((self.width() - excess.clamp(1, most)).max(LEAST));
            }
            Queue::Fair if self.is_opening => self.is_opening = false,
            Queue::Short if self.is_opening => {}
            Queue::Fair | Queue::Short if self.round.peak >= self.round.width && self.may_grow() => {
                self.width += STEP.max(self.width / STEP_PART);
                self.may_widen = false;
            }
            Queue::Fair | Queue::Short => {}
        }
        self.width = self.width();
    }

    /// So wide from now on, by what replies tell: the server lives, and whoever is beside the window has no follower.
    fn narrow(&mut self, width: u32) {
        self.width = width;
        self.extra = 0;
        self.has_extra = false;
    }

    fn may_grow(&self) -> bool {
        self.untried.is_none() && (!self.drops || self.may_widen && !self.losses.is_suspicious())
    }

    /// What a round trip tells of the server's queue.
    fn queue(&self, took_ns: u64) -> Queue {
        let waits = if self.least_ns == 0 { 0 } else { took_ns.saturating_sub(self.least_ns) };
        let waits_most = nanos(WAIT_MOST).max(self.least_ns / 2);
        let requests = |waits: u64| u128::from(self.round.peak) * u128::from(waits) / u128::from(took_ns);
        let (length, length_most) = (requests(waits), requests(waits_most).min(QUEUE_MOST));
        if length > length_most {
            Queue::Long { excess: length - length_most / 2 }
        } else if length > length_most / 2 {
            Queue::Fair
        } else {
            Queue::Short
        }
    }

    /// The wait for the reply to what was transmitted at `sent` ran out. What was lost together halves the window once, and what
    /// was missed before does not.
    pub(crate) fn handle_loss(&mut self, sent: Mono, now: Mono) {
        if sent < self.halved || self.missed_until().is_some_and(|until| sent <= until) {
            return;
        }
        self.untried = None;
        self.losses.give_up_trial(now);
        marks::hit(Mark::WindowHalved);
        self.halved = now;
        self.is_opening = false;
        self.width = (self.width() / 2).max(LEAST);
        self.round = Round::begin(now, self.width());
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::cmp::Reverse;
    use std::collections::{BTreeSet, BinaryHeap, VecDeque};

    use proptest::prelude::*;

    use super::*;

    /// A server that answers one request after the other, has room for some that wait, and drops the rest.
    #[derive(Clone, Copy, Debug)]
    struct Server {
        per_second: u64,
        /// The way there and back, microseconds.
        way_us: u64,
        room: u64,
        /// Of a thousand datagrams, so many get lost each way.
        line: u64,
        misses: bool,
    }

    impl Server {
        /// At the end of a line that loses nothing.
        fn new(per_second: u64, way_us: u64, room: u64) -> Server {
            Server { per_second, way_us, room, line: 0, misses: true }
        }
    }

    /// How a backlog without end went, after a second and thirty ways.
    #[derive(Debug)]
    struct Went {
        /// Of what the server bears, per cent.
        share: u64,
        answered: u64,
        /// What the server dropped, from the beginning.
        lost: u64,
        /// The same after that time.
        lost_late: u64,
        /// The longest wait in the server's queue, microseconds.
        wait_us: u64,
        width: u32,
    }

    #[derive(PartialEq, Eq, PartialOrd, Ord)]
    enum Happening {
        Answered { sent: u64, number: u64 },
        Lost { sent: u64, number: u64 },
    }

    fn play(window: &mut Window, from_s: u64, seconds: u64, server: &Server) -> Went {
        let at = |micros: u64| Mono::from_nanos(micros * 1_000);
        let (mut now, end) = (from_s * 1_000_000, (from_s + seconds) * 1_000_000);
        let open = now + 1_000_000 + 30 * server.way_us;
        let served = |count: u64| count * 1_000_000 / server.per_second;
        let (mut events, mut begun, mut free, mut number) = (BinaryHeap::new(), now, 0, 0_u64);
        // Who waits for a reply, and who is missed.
        let (mut waiting, mut missed) = (BTreeSet::new(), BTreeSet::new());
        let mut went = Went { share: 0, answered: 0, lost: 0, lost_late: 0, wait_us: 0, width: 0 };
        let mut dice = 88_172_645_463_325_252_u64;
        let mut gets_lost = || {
            dice ^= dice << 13;
            dice ^= dice >> 7;
            dice ^= dice << 17;
            (dice >> 16) % 1_000 < server.line
        };
        let count = |set: &BTreeSet<(u64, u64)>| u32::try_from(set.len()).unwrap();
        while now < end {
            while window.has_room(count(&waiting) + count(&missed), count(&missed)) {
                number += 1;
                waiting.insert((now, number));
                window.handle_sent(count(&waiting), at(now));
                let lost = Reverse((now + 5_000_000, Happening::Lost { sent: now, number }));
                if gets_lost() {
                    events.push(lost);
                    continue;
                }
                let arrives = now + server.way_us / 2;
                // The server's work is counted from where it last had none, so that no part of a microsecond is lost.
                if begun + served(free) <= arrives {
                    (begun, free) = (arrives, 0);
                }
                let wait = begun + served(free) - arrives;
                if wait * server.per_second / 1_000_000 >= server.room {
                    events.push(lost);
                    went.lost += 1;
                    went.lost_late += u64::from(now > open);
                    continue;
                }
                free += 1;
                let replies = begun + served(free) + server.way_us / 2;
                went.answered += u64::from(now > open && replies < end);
                if now > open {
                    went.wait_us = went.wait_us.max(wait);
                }
                let answered = Reverse((replies, Happening::Answered { sent: now, number }));
                events.push(if gets_lost() { lost } else { answered });
            }
            let Some(Reverse((then, what))) = events.pop() else { break };
            let out = count(&waiting) + count(&missed);
            if server.misses
                && let Some(extra) = window.next_extra(out, count(&missed))
                && extra < at(then)
            {
                now = extra.as_nanos() / 1_000 + 1;
                assert!(window.handle_timeout(out, count(&missed), at(now)));
                events.push(Reverse((then, what)));
                continue;
            }
            now = then;
            match what {
                Happening::Answered { sent, number } => {
                    waiting.remove(&(sent, number));
                    window.handle_reply(at(sent), at(now), missed.remove(&(sent, number)), true);
                    let until = window.missed_until();
                    let is_missed = |&&(sent, _): &&(u64, u64)| until.is_some_and(|until| at(sent) <= until);
                    match waiting.first().filter(is_missed).copied() {
                        Some((sent, number)) if server.misses => {
                            waiting.remove(&(sent, number));
                            missed.insert((sent, number));
                            window.handle_missed(at(sent));
                        }
                        _ => window.handle_all_missed(at(now)),
                    }
                }
                Happening::Lost { sent, number } => {
                    if !missed.remove(&(sent, number)) {
                        waiting.remove(&(sent, number));
                        window.handle_loss(at(sent), at(now));
                    }
                }
            }
        }
        went.share = went.answered * 100 * 1_000_000 / (server.per_second * (end - open));
        went.width = window.width();
        went
    }

    #[test]
    fn a_server_is_kept_busy_and_its_queue_short() {
        for per_second in [100, 3_000, 20_000, 200_000] {
            for way_us in [100, 1_000, 20_000, 100_000] {
                let server = Server::new(per_second, way_us, 250);
                if per_second * way_us / 1_000_000 > u64::from(MOST / 2) {
                    continue;
                }
                let went = play(&mut Window::new(), 1, 9 + way_us / 4_000, &server);
                let name =
                    format!("{per_second}/s, {way_us} us: {} %, {} us, {}", went.share, went.wait_us, went.width);
                // Some thousand on the way at once are approached in small steps.
                let share = if per_second * way_us > 1_000_000_000 { 90 } else { 95 };
                assert!(went.share >= share, "{name}");
                // A request or two more make a difference at a slow server.
                let wait_most = 50_000 + way_us + 4_000_000 / per_second;
                assert!(went.wait_us <= wait_most, "{name}");
                assert!(went.lost * 1_000 <= went.answered, "{name}");
            }
        }
    }

    #[test]
    fn what_the_line_loses_makes_no_window_narrow() {
        for per_second in [100, 3_000] {
            for way_us in [200, 5_000, 40_000] {
                for line in [10, 30, 100] {
                    let server = Server { line, ..Server::new(per_second, way_us, 250) };
                    let name = format!("{server:?}");
                    let went = play(&mut Window::new(), 1, 20, &server);
                    // Some of a hundred requests a second are seen to be lost only by the next, much later.
                    let share = if per_second == 100 { 80 } else { 93 };
                    assert!(went.share >= share, "{name}: {went:?}");
                    assert!(
                        went.lost == 0 && went.wait_us <= 50_000 + way_us + 8_000_000 / per_second,
                        "{name}: {went:?}"
                    );
                    // Each place is lost for as long as the vendor's timer runs when nobody is missed before.
                    let held = play(&mut Window::new(), 1, 20, &Server { misses: false, ..server });
                    assert!(line < 30 || held.share < 90, "{name}: {held:?}");
                }
            }
        }
    }

    #[test]
    fn what_a_server_drops_is_not_taken_for_the_lines() {
        for (per_second, way_us) in [(3_000, 200), (3_000, 5_000), (3_000, 40_000), (20_000, 200), (20_000, 5_000)] {
            for line in [0, 10] {
                let server = Server { line, ..Server::new(per_second, way_us, 20) };
                let went = play(&mut Window::new(), 1, 20, &server);
                assert!(went.share >= 70 && went.lost_late * 14 <= went.answered, "{server:?}: {went:?}");
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn over_any_line_a_server_is_asked_no_more_than_it_bears(
            per_second in 50..6_000_u64,
            way_us in 100..60_000_u64,
            line in 0..=100_u64,
            room in 150..400_u64,
        ) {
            let server = Server { line, ..Server::new(per_second, way_us, room) };
            let went = play(&mut Window::new(), 1, 12, &server);
            prop_assert!(went.lost_late * 100 <= went.answered, "{went:?}");
            prop_assert!(went.wait_us <= 50_000 + way_us + 8_000_000 / per_second, "{went:?}");
            prop_assert!(went.share >= 40, "{went:?}");
        }
    }

    #[test]
    fn a_server_that_ceases_is_asked_a_few_times_more() {
        let at = |micros: u64| Mono::from_nanos(micros * 1_000);
        let mut window = Window::new();
        play(&mut window, 1, 5, &Server::new(3_000, 5_000, 250));
        let (width, mut out, mut now) = (window.width(), window.width() - 1, at(6_000_000));
        window.handle_sent(out, now);
        out += 1;
        window.handle_sent(out, now);
        while let Some(next) = window.next_extra(out, 0) {
            assert!(!window.has_room(out, 0) && next > now);
            now = next;
            assert!(window.handle_timeout(out, 0, now) && window.has_room(out, 0));
            out += 1;
            window.handle_sent(out, now);
        }
        assert_eq!(out, width + EXTRA_MOST);
        // The first answer lets them go on one by one, and three tell of all that left long before.
        let until = window.missed_until();
        for _ in 0..3 {
            window.handle_reply(now, now.plus(Duration::from_millis(5)), false, true);
            assert!(window.has_room(out - 1, 0));
            window.handle_sent(out, now);
        }
        assert!(window.missed_until() > until && window.missed_until() > Some(at(6_000_000)));
    }

    #[test]
    fn a_server_that_became_slower_or_faster_is_measured_anew() {
        let mut window = Window::new();
        let fast = Server::new(20_000, 200, 250);
        assert!(play(&mut window, 1, 5, &fast).share >= 95);
        let far = Server { way_us: 80_000, per_second: 5_000, ..fast };
        let went = play(&mut window, 6, 60, &far);
        assert!(went.share >= 80, "{} %, {}", went.share, went.width);
        let went = play(&mut window, 66, 30, &far);
        assert!(went.share >= 95, "{} %, {}", went.share, went.width);
        play(&mut window, 96, 10, &fast);
        let went = play(&mut window, 106, 10, &fast);
        assert!(went.share >= 95, "{} %, {}, {} lost", went.share, went.width, went.lost);
    }

    #[test]
    fn what_is_lost_together_halves_it_once() {
        let at = |millis: u64| Mono::from_nanos(millis * 1_000_000);
        let mut window = Window { width: 64, ..Window::new() };
        for _ in 0..10 {
            window.handle_loss(at(1_000), at(6_000));
        }
        assert_eq!(window.width(), 32);
        window.handle_loss(at(5_999), at(6_500));
        assert_eq!(window.width(), 32, "it was out before");
        window.handle_loss(at(6_100), at(11_100));
        assert_eq!(window.width(), 16);
        for round in 0..10_u64 {
            window.handle_loss(at(20_000 + round), at(20_000 + round));
        }
        assert_eq!(window.width(), LEAST);
    }

    #[test]
    fn one_that_is_not_made_use_of_does_not_grow() {
        let mut window = Window::new();
        for second in 1..1_000 {
            let sent = Mono::from_nanos(second * 1_000_000_000);
            window.handle_sent(3, sent);
            window.handle_reply(sent, Mono::from_nanos(second * 1_000_000_000 + 1_000), false, true);
        }
        assert_eq!(window.width(), FIRST);
    }

    /// A server with a backlog pauses, and then answers at this pace; nothing is lost. The window at the end, and how many waited
    /// at most beside it when one more had left, from when what waited during the pause was answered.
    fn pause(pause_us: u64, step_us: u64) -> (Window, u32) {
        let at = |micros: u64| Mono::from_nanos(micros * 1_000);
        let mut window = Window::new();
        play(&mut window, 1, 10, &Server::new(20_000, 5_000, 250));
        let (width, mut now) = (window.width(), 12_000_000);
        let mut waiting = VecDeque::new();
        let count = |waiting: &VecDeque<u64>| u32::try_from(waiting.len()).unwrap();
        let fill = |window: &mut Window, waiting: &mut VecDeque<u64>, now| {
            while window.has_room(count(waiting), 0) {
                waiting.push_back(now);
                window.handle_sent(count(waiting), at(now));
            }
        };
        fill(&mut window, &mut waiting, now);
        let resumes = now + pause_us;
        while let Some(next) = window.next_extra(count(&waiting), 0).filter(|&next| next < at(resumes)) {
            now = next.as_nanos() / 1_000 + 1;
            assert!(window.handle_timeout(count(&waiting), 0, at(now)));
            fill(&mut window, &mut waiting, now);
        }
        assert!(count(&waiting) <= width + EXTRA_MOST);
        now = resumes;
        let mut beside = 0;
        for answered in 0..30_000 {
            now += step_us;
            let sent = waiting.pop_front().expect("the backlog has no end");
            window.handle_reply(at(sent), at(now), false, true);
            let until = window.missed_until();
            assert!(until.is_none_or(|until| at(waiting[0]) > until), "nobody is missed");
            window.handle_all_missed(at(now));
            window.handle_timeout(count(&waiting), 0, at(now));
            let before = count(&waiting);
            fill(&mut window, &mut waiting, now);
            if answered > width && count(&waiting) > before {
                beside = beside.max(count(&waiting).saturating_sub(window.width()));
            }
        }
        (window, beside)
    }

    #[test]
    fn after_a_pause_no_more_wait_than_the_server_bears() {
        // Milliseconds of a pause, and microseconds from one answer to the next.
        for (pause_ms, step_us) in [(100, 50), (300, 50), (1, 1_000), (100, 1_000), (1_000, 1_000)] {
            let (window, beside) = pause(pause_ms * 1_000, step_us);
            assert!(
                beside <= EXTRA_MOST,
                "{pause_ms} ms, {step_us} us: {beside} beside a window of {}",
                window.width()
            );
        }
    }

    #[test]
    fn an_operators_limit_holds() {
        let server = Server::new(100_000, 10_000, 250);
        for most in [1, 3, 50] {
            let mut window = Window::new();
            window.limit(Some(most));
            assert_eq!(play(&mut window, 1, 3, &server).width, most);
            window.limit(None);
            assert!(play(&mut window, 4, 5, &server).share >= 95);
        }
    }
}
