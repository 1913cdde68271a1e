//! Whether a server is taken for alive (BEHAVIOUR.md 5.2).
//!
//! ```text
//!        C unanswered in a row over more than D s, or F % of what ended         dead-time
//!    Up ───────────────────────────────────────────────────────────────▶ Down ───────────▶ Assumed
//!    ▲ ▲                                                                 │  ▲                 │ │
//!    │ └─── a reply, unless `recover-count invalid` ─────────────────────┘  └── one unanswered ┘ │
//!    └─── a reply ───────────────────────────────────────────────────────────────────────────────┘
//! ```
//!
//! Where probes are configured there is no dead-time: what they find out brings the server Up.
//!
//! A server that is *assumed* to be Up is on trial: it has one request at a time, so that nothing else waits for a server
//! that is still dead. Down is told once and Up once: a trial that fails tells nothing new.
//!
//! Every reply and every wait that ran out comes in, and time; nothing is allocated.

use std::time::Duration;

use model::marks::{self, Mark};
use model::settings::RadiusHealth;
use model::time::Mono;

/// When a server is Down, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rules {
    dead_count: u32,
    /// Per cent; `None`: only the count is looked at.
    fail_rate: Option<u32>,
    dead_interval: Duration,
    /// `None`: probes tell when it is over.
    dead_time: Option<Duration>,
    revived_by_reply: bool,
}

impl From<&RadiusHealth> for Rules {
    fn from(settings: &RadiusHealth) -> Rules {
        Rules {
            dead_count: settings.dead_count.into(),
            // With 100 % nothing was answered, and the count tells that already.
            fail_rate: (settings.fail_rate < 100).then_some(settings.fail_rate.into()),
            dead_interval: Duration::from_secs(settings.dead_interval_s.into()),
            dead_time: Some(Duration::from_secs(u64::from(settings.dead_time_min) * 60)),
            revived_by_reply: !settings.recover_count_invalid,
        }
    }
}

impl Rules {
    /// Of an HWTACACS server (BEHAVIOUR.md 6.1): Down with the first request that fails, for so many minutes; 0: until those that
    /// are asked in its place have failed.
    pub(crate) fn of_hwtacacs(quiet_min: u8) -> Rules {
        Rules {
            dead_count: 1,
            fail_rate: None,
            dead_interval: Duration::ZERO,
            dead_time: (quiet_min > 0).then(|| Duration::from_secs(u64::from(quiet_min) * 60)),
            revived_by_reply: true,
        }
    }

    /// The same where probes take the place of the dead-time.
    pub(crate) fn with_probes(self) -> Rules {
        Rules { dead_time: None, ..self }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Up,
    Down,
    /// The dead-time is over, and nobody knows.
    Assumed,
}

/// What a reply, or its absence, says of a server that the operator does not know yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum News {
    /// It went Down.
    Down,
    /// It is Up again.
    Up,
}

/// One server's health.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Health {
    rules: Rules,
    state: State,
    /// Down was told, and Up was not.
    told_down: bool,
    /// In a row.
    unanswered: u32,
    first_unanswered: Mono,
    down_since: Mono,
    /// What ended since the rate was last judged.
    judged: Mono,
    replies: u32,
    timeouts: u32,
}

impl Health {
    /// Of a server that nothing is known of: Up.
    pub(crate) fn new(rules: Rules) -> Health {
        Health {
            rules,
            state: State::Up,
            told_down: false,
            unanswered: 0,
            first_unanswered: Mono::ZERO,
            down_since: Mono::ZERO,
            judged: Mono::ZERO,
            replies: 0,
            timeouts: 0,
        }
    }

    /// Another shard found it out and told the operator: down for one is down for all (BEHAVIOUR.md 5.1).
    pub(crate) fn heard(&mut self, now: Mono, news: News) {
        match news {
            News::Down if self.state == State::Down => self.told_down = true,
            News::Down => (self.state, self.told_down, self.down_since) = (State::Down, true, now),
            News::Up => (self.state, self.told_down, self.unanswered) = (State::Up, false, 0),
        }
    }

    /// Other rules from now on; what was counted stays.
    pub(crate) fn set_rules(&mut self, rules: Rules) {
        self.rules = rules;
    }

    /// A verified reply came.
    pub(crate) fn answered(&mut self) -> Option<News> {
        self.replies = self.replies.saturating_add(1);
        self.unanswered = 0;
        if self.state == State::Down && !self.rules.revived_by_reply {
            marks::hit(Mark::ReplyRevivesNobody);
            return None;
        }
        self.state = State::Up;
        std::mem::take(&mut self.told_down).then_some(News::Up)
    }

    /// Probes have shown that it lives; they are asked for, so `recover-count invalid` does not speak of them.
    pub(crate) fn revived(&mut self) -> Option<News> {
        marks::hit(Mark::ProbeRevives);
        (self.state, self.unanswered) = (State::Up, 0);
        std::mem::take(&mut self.told_down).then_some(News::Up)
    }

    /// It cannot be reached: that is sure, whatever the rules count.
    pub(crate) fn unreachable(&mut self, now: Mono) -> Option<News> {
        if self.state == State::Down {
            return None;
        }
        (self.state, self.down_since) = (State::Down, now);
        (!std::mem::replace(&mut self.told_down, true)).then_some(News::Down)
    }

    /// The wait for one transmission's reply ran out.
    pub(crate) fn unanswered(&mut self, now: Mono) -> Option<News> {
        if self.unanswered == 0 {
            self.first_unanswered = now;
        }
        self.unanswered = self.unanswered.saturating_add(1);
        if self.timeouts == 0 && self.replies == 0 {
            self.judged = now;
        }
        self.timeouts = self.timeouts.saturating_add(1);
        let dead = match self.state {
            State::Up => self.is_silent(now) | self.fails_too_often(now),
            State::Assumed => {
                marks::hit(Mark::DiesOnTrial);
                true
            }
            State::Down => false,
        };
        if !dead {
            return None;
        }
        self.state = State::Down;
        self.down_since = now;
        (!std::mem::replace(&mut self.told_down, true)).then_some(News::Down)
    }

    /// So many in a row, and not all of them at once. With an interval of zero the count alone tells.
    fn is_silent(&self, now: Mono) -> bool {
        let lasts = now.since(self.first_unanswered) > self.rules.dead_interval || self.rules.dead_interval.is_zero();
        self.unanswered >= self.rules.dead_count && lasts
    }

    /// Judged whenever as many transmissions as the count have failed over more than the interval, of all that ended
    /// meanwhile; then counting begins anew.
    fn fails_too_often(&mut self, now: Mono) -> bool {
        let Some(rate) = self.rules.fail_rate else { return false };
        if self.timeouts < self.rules.dead_count || now.since(self.judged) <= self.rules.dead_interval {
            return false;
        }
        let (timeouts, ended) = (u64::from(self.timeouts), u64::from(self.timeouts) + u64::from(self.replies));
        (self.judged, self.replies, self.timeouts) = (now, 0, 0);
        let fails = timeouts * 100 >= ended * u64::from(rate);
        if fails {
            marks::hit(Mark::DiesOfRate);
        }
        fails
    }

    /// Ends the dead-time as `now` allows. True when it did.
    pub(crate) fn handle_timeout(&mut self, now: Mono) -> bool {
        let over = self.next_timeout().is_some_and(|at| at <= now);
        if over {
            self.state = State::Assumed;
            self.unanswered = 0;
        }
        over
    }

    /// When the dead-time ends.
    pub(crate) fn next_timeout(&self) -> Option<Mono> {
        let dead_time = self.rules.dead_time.filter(|_| self.state == State::Down)?;
        Some(self.down_since.plus(dead_time))
    }

    /// Up or assumed to be.
    pub(crate) fn is_up(&self) -> bool {
        self.state != State::Down
    }

    /// The dead-time is over, and no reply has come yet.
    pub(crate) fn is_on_trial(&self) -> bool {
        self.state == State::Assumed
    }

    /// Surely Up, and no wait has run out since the last reply.
    pub(crate) fn is_unblemished(&self) -> bool {
        self.state == State::Up && self.unanswered == 0
    }

    /// Since when it is Down; meaningless while it is Up.
    pub(crate) fn down_since(&self) -> Mono {
        self.down_since
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Mono {
        Mono::from_nanos(seconds * 1_000_000_000)
    }

    fn health(change: impl FnOnce(&mut RadiusHealth)) -> Health {
        let mut settings = RadiusHealth::default();
        change(&mut settings);
        Health::new(Rules::from(&settings))
    }

    /// Unanswered at each of these seconds; what was told.
    fn silence(health: &mut Health, seconds: impl IntoIterator<Item = u64>) -> Vec<(u64, News)> {
        seconds.into_iter().filter_map(|second| Some((second, health.unanswered(at(second))?))).collect()
    }

    #[test]
    fn the_count_and_the_interval_must_both_be_exceeded() {
        // (dead-count, dead-interval, one unanswered each so many seconds, when it is Down)
        let table = [
            (10, 5, 1, Some(9)),
            (10, 5, 0, None),
            (10, 0, 0, Some(0)),
            (10, 0, 1, Some(9)),
            (3, 60, 10, Some(70)),
            (3, 5, 3, Some(6)),
        ];
        for (count, interval, every, dead) in table {
            let mut health = health(|rules| (rules.dead_count, rules.dead_interval_s) = (count, interval));
            let told = silence(&mut health, (0..20).map(|n| n * every));
            assert_eq!(told.first().map(|&(second, _)| second), dead, "{count}, {interval}, {every}");
            assert_eq!(told.len(), usize::from(dead.is_some()), "told once");
        }
    }

    #[test]
    fn a_reply_begins_the_count_anew() {
        let mut health = health(|_| {});
        for round in 0..10 {
            assert_eq!(silence(&mut health, (0..9).map(|n| round * 100 + n)), []);
            assert_eq!(health.answered(), None);
        }
        assert!(health.is_up());
    }

    #[test]
    fn the_rate_counts_what_failed_between_replies() {
        // Of ten transmissions, so many fail; one each second.
        for (rate, failing, dead) in
            [(50, 4, false), (50, 5, true), (50, 9, true), (91, 9, false), (100, 9, false), (1, 1, true)]
        {
            let mut health = health(|rules| rules.fail_rate = rate);
            let mut told = Vec::new();
            for second in 0..1_000 {
                if second % 10 < 10 - failing {
                    told.extend(health.answered());
                } else {
                    told.extend(health.unanswered(at(second)));
                }
            }
            assert_eq!(told.first() == Some(&News::Down), dead, "{failing} of 10 at {rate} %: {told:?}");
        }
    }

    #[test]
    fn after_dead_time_it_is_on_trial_and_one_failure_is_enough() {
        let mut health = health(|rules| rules.dead_time_min = 1);
        assert_eq!(silence(&mut health, 0..10), [(9, News::Down)]);
        assert_eq!(health.next_timeout(), Some(at(69)));
        assert!(!health.handle_timeout(at(68)) && !health.is_up());
        assert!(health.handle_timeout(at(69)) && health.is_up() && health.is_on_trial() && !health.is_unblemished());
        assert_eq!(health.unanswered(at(75)), None, "it was told, and nobody was told otherwise");
        assert!(!health.is_up());
        assert_eq!(health.next_timeout(), Some(at(135)));
        assert!(health.handle_timeout(at(135)));
        assert_eq!(health.answered(), Some(News::Up));
        assert!(!health.is_on_trial() && health.is_unblemished());
        assert_eq!(silence(&mut health, [140]), [], "the trial is over");
        assert!(health.is_up());
    }

    #[test]
    fn a_reply_ends_the_dead_time_unless_it_is_invalid() {
        for invalid in [false, true] {
            let mut health = health(|rules| rules.recover_count_invalid = invalid);
            silence(&mut health, 0..10);
            assert_eq!(health.answered(), (!invalid).then_some(News::Up));
            assert_eq!(health.is_up(), !invalid);
            if invalid {
                assert!(health.handle_timeout(at(189)));
                assert_eq!(health.answered(), Some(News::Up));
            }
        }
    }

    #[test]
    fn what_another_shard_found_out_is_not_told_again() {
        let mut here = health(|_| {});
        here.heard(at(100), News::Down);
        assert_eq!((here.is_up(), here.next_timeout()), (false, Some(at(280))));
        assert_eq!(silence(&mut here, 101..130), [], "it is Down already");
        here.heard(at(130), News::Up);
        assert_eq!((here.is_up(), here.answered()), (true, None));
        // Two find it out at once: the one that hears of it later stays as it is.
        assert_eq!(silence(&mut here, 200..210), [(209, News::Down)]);
        here.heard(at(210), News::Down);
        assert_eq!(here.next_timeout(), Some(at(389)));
        assert_eq!(here.answered(), Some(News::Up), "whoever has the first reply tells it");
    }

    #[test]
    fn where_it_is_probed_nothing_but_an_answer_ends_its_death() {
        let mut health = health(|rules| rules.recover_count_invalid = true);
        silence(&mut health, 0..10);
        health.set_rules(health.rules.with_probes());
        assert_eq!(health.next_timeout(), None);
        assert!(!health.handle_timeout(at(100_000)) && !health.is_up());
        assert_eq!(health.revived(), Some(News::Up));
        assert!(health.is_unblemished());
        assert_eq!(silence(&mut health, [100_001]), []);
    }

    #[test]
    fn other_rules_hold_for_a_server_that_is_down() {
        let mut health = health(|_| {});
        silence(&mut health, 0..10);
        health.set_rules(Rules::from(&RadiusHealth { dead_time_min: 1, ..RadiusHealth::default() }));
        assert_eq!(health.next_timeout(), Some(at(69)));
    }
}
