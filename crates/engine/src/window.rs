//! How many requests may wait for one server's replies: a congestion window, and how fast they may follow each other.
//!
//! A server that is asked for more than it bears first queues and then drops. What it drops is sent again, seconds later, and
//! what it queues makes the next log-in wait; so the window looks for the place just before: the server is busy, and its queue
//! is short. It is measured in rounds. A round is as many replies as the window is wide, all to requests that were sent in it
//! for the first time (Karn's rule, RFC 6298 section 3), and its mean round trip is compared with the least that was ever seen.
//!
//! ```text
//!                 queue short                      queue long, or a wait ran out
//!   opening ──────────────────▶ twice as wide     ─────────────────────────────▶ steady
//!   steady  ──────────────────▶ STEP wider        narrower by so much, or by half
//! ```
//!
//! The queue is *long* when more than [`QUEUE_MOST`] requests lie in it (Little's law: width × the part of the round trip that
//! is waiting), for socket buffers hold hardly more; or when they lie there longer than [`WAIT_MOST`] and half of the round trip
//! itself, for a log-in lies there as well. A window that is not made use of does not grow. One that has become as narrow as it
//! can be without the wait getting shorter has learnt that the server is slower than it was, and measures anew.
//!
//! Comes in: a place taken, a reply, a wait that ran out. Goes out: a number. Nothing is allocated.

use std::time::Duration;

use model::time::Mono;

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
        Window { width: FIRST, most: MOST, is_opening: true, round, least_ns: 0, halved: Mono::ZERO }
    }

    /// How many requests may wait for a reply.
    pub(crate) fn width(&self) -> u32 {
        self.width.min(self.most)
    }

    /// Whether it is the operator that keeps it narrow.
    pub(crate) fn is_limited(&self) -> bool {
        self.most < MOST && self.width >= self.most
    }

    /// Never more than so many; `None`: as many as the server bears.
    pub(crate) fn limit(&mut self, most: Option<u32>) {
        self.most = most.unwrap_or(MOST).clamp(1, MOST);
    }

    /// The server is Up after it was Down: it may be another one.
    pub(crate) fn open_anew(&mut self, now: Mono) {
        let round = Round::begin(now, FIRST.min(self.most));
        *self = Window { most: self.most, least_ns: self.least_ns, round, halved: now, ..Window::new() };
    }

    /// One more request went out, and now so many wait.
    pub(crate) fn handle_sent(&mut self, waiting: u32) {
        self.round.peak = self.round.peak.max(waiting);
    }

    /// A reply came to a request that was transmitted once, at `sent`.
    pub(crate) fn handle_reply(&mut self, sent: Mono, now: Mono) {
        if sent < self.round.began {
            return;
        }
        let took = nanos(now.since(sent)).max(1);
        self.round.replies += 1;
        self.round.sum_ns = self.round.sum_ns.saturating_add(took);
        if self.is_opening && self.round.peak >= self.width() && self.queue(took) == Queue::Short {
            // One for each reply, and not all at the end of the round: what leaves at once lies in the queue at once.
            self.width += 1;
        }
        if self.round.replies >= self.round.width {
            self.judge();
            self.round = Round::begin(now, self.width());
        }
    }

    fn judge(&mut self) {
        let mean = self.round.sum_ns / u64::from(self.round.replies);
        self.least_ns = if self.least_ns == 0 { mean } else { self.least_ns.min(mean) };
        match self.queue(mean) {
            Queue::Long { excess } => {
                // As narrow as it can be, it is not our queue: the server has become slower.
                self.is_opening = self.width() <= LEAST;
                if self.is_opening {
                    self.least_ns = mean;
                }
                let most = self.width().div_ceil(8);
                let excess = u32::try_from(excess).unwrap_or(most);
                self.width = (self.width() - excess.clamp(1, most)).max(LEAST);
            }
            Queue::Fair if self.is_opening => self.is_opening = false,
            Queue::Short if self.is_opening => {}
            Queue::Fair | Queue::Short if self.round.peak >= self.round.width => {
                self.width += STEP.max(self.width / STEP_PART);
            }
            Queue::Fair | Queue::Short => {}
        }
        self.width = self.width();
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

    /// The wait for the reply to what was transmitted at `sent` ran out. What was lost together halves the window once.
    pub(crate) fn handle_loss(&mut self, sent: Mono, now: Mono) {
        if sent < self.halved {
            return;
        }
        self.halved = now;
        self.is_opening = false;
        self.width = (self.width() / 2).max(LEAST);
        self.round = Round::begin(now, self.width());
    }
}

/// How many requests may be sent in some seconds: they follow each other evenly, a hundredth of them at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pace {
    /// Nanoseconds from one to the next.
    interval_ns: u64,
    /// How far ahead of that they may be.
    slack_ns: u64,
    /// When the next one would leave if all were even.
    next: Mono,
}

impl Pace {
    /// At most `count` in any `seconds`, both at least 1.
    pub(crate) fn new(count: u32, seconds: u32) -> Pace {
        let burst = u64::from((count / 100).max(1));
        let interval_ns = u64::from(seconds) * 1_000_000_000;
        let interval_ns = interval_ns.div_ceil(u64::from(count) - (burst - 1));
        Pace { interval_ns, slack_ns: interval_ns * (burst - 1), next: Mono::ZERO }
    }

    /// When the next one may leave.
    pub(crate) fn due(&self) -> Mono {
        Mono::from_nanos(self.next.as_nanos().saturating_sub(self.slack_ns))
    }

    /// One has left.
    pub(crate) fn handle_sent(&mut self, now: Mono) {
        self.next = self.next.max(now).plus(Duration::from_nanos(self.interval_ns));
    }

    /// The other's pace from now on.
    pub(crate) fn change(&mut self, other: Pace) {
        *self = Pace { next: self.next, ..other };
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::cmp::Reverse;
    use std::collections::BinaryHeap;

    use super::*;

    /// A server that answers one request after the other, has room for some that wait, and drops the rest.
    struct Server {
        per_second: u64,
        /// The way there and back, microseconds.
        way_us: u64,
        room: u64,
    }

    /// How a backlog without end went, after a second and thirty ways.
    struct Went {
        /// Of what the server bears, per cent.
        share: u64,
        answered: u64,
        lost: u64,
        /// The longest wait in the server's queue, microseconds.
        wait_us: u64,
        width: u32,
    }

    #[derive(PartialEq, Eq, PartialOrd, Ord)]
    enum Happening {
        Answered { sent: u64 },
        Lost { sent: u64 },
    }

    fn play(window: &mut Window, from_s: u64, seconds: u64, server: &Server) -> Went {
        let at = |micros: u64| Mono::from_nanos(micros * 1_000);
        let (mut now, end) = (from_s * 1_000_000, (from_s + seconds) * 1_000_000);
        let open = now + 1_000_000 + 30 * server.way_us;
        let served = |count: u64| count * 1_000_000 / server.per_second;
        let (mut events, mut waiting, mut begun, mut free) = (BinaryHeap::new(), 0, now, 0);
        let mut went = Went { share: 0, answered: 0, lost: 0, wait_us: 0, width: 0 };
        while now < end {
            while waiting < window.width() {
                waiting += 1;
                window.handle_sent(waiting);
                let arrives = now + server.way_us / 2;
                // The server's work is counted from where it last had none, so that no part of a microsecond is lost.
                if begun + served(free) <= arrives {
                    (begun, free) = (arrives, 0);
                }
                let wait = begun + served(free) - arrives;
                if wait * server.per_second / 1_000_000 >= server.room {
                    events.push(Reverse((now + 5_000_000, Happening::Lost { sent: now })));
                } else {
                    free += 1;
                    let replies = begun + served(free) + server.way_us / 2;
                    events.push(Reverse((replies, Happening::Answered { sent: now })));
                    if now > open {
                        went.wait_us = went.wait_us.max(wait);
                    }
                }
            }
            let Some(Reverse((then, what))) = events.pop() else { break };
            now = then;
            waiting -= 1;
            match what {
                Happening::Answered { sent } => {
                    went.answered += u64::from(now > open);
                    window.handle_reply(at(sent), at(now));
                }
                Happening::Lost { sent } => {
                    went.lost += 1;
                    window.handle_loss(at(sent), at(now));
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
                let server = Server { per_second, way_us, room: 250 };
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
    fn a_server_that_became_slower_or_faster_is_measured_anew() {
        let mut window = Window::new();
        let fast = Server { per_second: 20_000, way_us: 200, room: 250 };
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
            window.handle_sent(3);
            window.handle_reply(
                Mono::from_nanos(second * 1_000_000_000),
                Mono::from_nanos(second * 1_000_000_000 + 1_000),
            );
        }
        assert_eq!(window.width(), FIRST);
    }

    #[test]
    fn an_operators_limit_holds() {
        let server = Server { per_second: 100_000, way_us: 10_000, room: 250 };
        for most in [1, 3, 50] {
            let mut window = Window::new();
            window.limit(Some(most));
            assert_eq!(play(&mut window, 1, 3, &server).width, most);
            window.limit(None);
            assert!(play(&mut window, 4, 5, &server).share >= 95);
        }
    }

    #[test]
    fn a_pace_holds_in_any_of_its_times() {
        for (count, seconds) in [(1, 1), (7, 3), (100, 1), (250, 2), (65_535, 1), (65_535, 3_600)] {
            let mut pace = Pace::new(count, seconds);
            let (mut now, mut times) = (Mono::from_nanos(5), Vec::new());
            for _ in 0..3 * u64::from(count) {
                now = now.max(pace.due());
                times.push(now.as_nanos());
                pace.handle_sent(now);
            }
            let length = u64::from(seconds) * 1_000_000_000;
            let most =
                (0..times.len()).map(|first| times[first..].partition_point(|time| time - times[first] < length));
            let most = most.max().unwrap();
            assert!(most <= count as usize, "{count} in {seconds} s: {most}");
            assert!(most * 100 >= count as usize * 95, "{count} in {seconds} s: {most}");
        }
    }
}
