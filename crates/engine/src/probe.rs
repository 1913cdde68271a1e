//! Probes of a server that is Down, instead of the end of its dead-time (BEHAVIOUR.md 5.2).
//!
//! ```text
//!   Down ──interval──▶ asked ──reply──▶ answered, as often in a row as the threshold says ──▶ Up
//!     ▲                  │ no reply                      │ not yet
//!     └──────────────────┴───────────────────────────────┘
//! ```
//!
//! A probe is Status-Server (RFC 5997), or a Start and then a Stop of a test user; the pair counts once, with the reply to its
//! Stop, and a test session whose Stop nobody acknowledged is begun anew under the same Acct-Session-Id, so that none is left
//! open. One probe is out at a time, each is transmitted once, and it takes no place from the accounting: it has an identifier
//! and no request. Nothing is allocated.

use std::sync::Arc;
use std::time::Duration;

use model::settings::{RecoveryDetect, Secret};
use model::time::Mono;

use crate::server::Identifier;

/// How servers are probed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rules {
    /// From one probe to the next, before the jitter.
    pub(crate) interval: Duration,
    threshold: u8,
    /// The test user; `None`: Status-Server.
    pub(crate) user: Option<String>,
}

impl From<&RecoveryDetect> for Rules {
    fn from(settings: &RecoveryDetect) -> Rules {
        Rules {
            interval: Duration::from_secs(settings.interval_s.into()),
            threshold: settings.threshold,
            user: settings.user.clone(),
        }
    }
}

/// What one datagram asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ask {
    /// Whether it lives.
    Status,
    /// To account for a test session that begins.
    Start,
    /// And that it has ended.
    Stop,
}

/// A probe that is out.
pub(crate) struct Waiting {
    pub(crate) ask: Ask,
    pub(crate) identifier: Identifier,
    pub(crate) authenticator: [u8; 16],
    /// It travels with the probe, as with any request.
    pub(crate) secret: Arc<Secret>,
    /// How long its reply is waited for.
    pub(crate) timeout: Duration,
    pub(crate) sent: Mono,
}

impl Waiting {
    fn until(&self) -> Mono {
        self.sent.plus(self.timeout)
    }
}

/// The probes of one server.
#[derive(Default)]
pub(crate) struct Probe {
    /// When the next one leaves, if none is out; `None`: the server needs none.
    due: Option<Mono>,
    waiting: Option<Waiting>,
    /// In a row.
    answered: u8,
    /// The test session whose Stop nobody has acknowledged.
    session: Option<u64>,
    /// Its Start was acknowledged, and the Stop follows.
    is_started: bool,
}

impl Probe {
    /// Ends the wait for a reply as `now` allows, and gives back what nobody answered. A server that is Down is probed after
    /// `first`.
    pub(crate) fn handle_timeout(
        &mut self,
        now: Mono,
        is_down: bool,
        first: impl FnOnce() -> Duration,
    ) -> Option<Waiting> {
        let lost = self.waiting.take_if(|waiting| waiting.until() <= now);
        if lost.is_some() {
            (self.answered, self.is_started) = (0, false);
        }
        if !is_down && !self.is_started {
            (self.due, self.answered) = (None, 0);
        } else if self.due.is_none() {
            self.due = Some(now.plus(first()));
        }
        lost
    }

    /// What is to be asked now.
    pub(crate) fn due(&self, now: Mono, rules: &Rules) -> Option<Ask> {
        let is_due = self.waiting.is_none() && self.due.is_some_and(|due| due <= now);
        is_due.then_some(match (&rules.user, self.is_started) {
            (None, _) => Ask::Status,
            (Some(_), false) => Ask::Start,
            (Some(_), true) => Ask::Stop,
        })
    }

    /// The number of the test session, which is `new` when none is open.
    pub(crate) fn session(&mut self, new: u64) -> u64 {
        *self.session.get_or_insert(new)
    }

    /// It left; the next one follows after `next`, or when its wait is over, if that takes longer.
    pub(crate) fn handle_sent(&mut self, waiting: Waiting, next: Duration) {
        self.due = Some(waiting.sent.plus(next));
        self.waiting = Some(waiting);
    }

    /// It found no way out, and is tried again later.
    pub(crate) fn postpone(&mut self, until: Mono) {
        self.due = Some(until);
    }

    /// The one that is out.
    pub(crate) fn waiting(&self) -> Option<&Waiting> {
        self.waiting.as_ref()
    }

    /// Its verified reply came. True when the server is Up by that. Without rules nobody wants to know any more.
    pub(crate) fn handle_reply(&mut self, now: Mono, rules: Option<&Rules>) -> bool {
        let Some(waiting) = self.waiting.take() else { return false };
        let Some(rules) = rules else {
            self.cease();
            return false;
        };
        match waiting.ask {
            // Another configuration may ask otherwise by now.
            Ask::Start if rules.user.is_some() => {
                (self.is_started, self.due) = (true, Some(now));
                return false;
            }
            Ask::Start => return false,
            Ask::Stop => (self.is_started, self.session) = (false, None),
            Ask::Status => {}
        }
        self.answered += 1;
        let is_up = self.answered >= rules.threshold;
        if is_up {
            self.answered = 0;
        }
        is_up
    }

    /// No more probes; what is out is waited for.
    pub(crate) fn cease(&mut self) {
        (self.due, self.answered, self.session, self.is_started) = (None, 0, None, false);
    }

    /// When a wait ends, or the next one leaves, if that is after `latest`.
    pub(crate) fn next_timeout(&self, latest: Mono) -> Option<Mono> {
        match &self.waiting {
            Some(waiting) => Some(waiting.until()),
            None => self.due.filter(|due| *due > latest),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: Duration = Duration::from_secs(5);

    fn at(seconds: u64) -> Mono {
        Mono::from_nanos(seconds * 1_000_000_000)
    }

    fn rules(user: Option<&str>, threshold: u8) -> Rules {
        Rules::from(&RecoveryDetect { user: user.map(str::to_owned), interval_s: 10, threshold })
    }

    /// Lets `seconds` pass for a server that is Down, and answers those that are sent at these; what was asked, and when the
    /// server is Up.
    fn play(rules: &Rules, answers: &[u64], seconds: u64) -> Vec<(u64, String)> {
        let (mut probe, mut told, mut is_down) = (Probe::default(), Vec::new(), true);
        for second in 0..seconds {
            let now = at(second);
            if let Some(lost) = probe.handle_timeout(now, is_down, || rules.interval) {
                told.push((second, format!("lost {:?}", lost.ask)));
            }
            while let Some(ask) = probe.due(now, rules) {
                let session = probe.session(second);
                told.push((
                    second,
                    if rules.user.is_some() { format!("{ask:?} {session}") } else { format!("{ask:?}") },
                ));
                let secret = Arc::new(Secret::new(Vec::new(), String::new()));
                let identifier = Identifier { port: 0, value: 0, life: 0 };
                let waiting = Waiting { ask, identifier, authenticator: [0; 16], secret, timeout: S, sent: now };
                probe.handle_sent(waiting, rules.interval);
                if answers.contains(&second) && probe.handle_reply(now, Some(rules)) {
                    told.push((second, "Up".to_owned()));
                    is_down = false;
                }
            }
        }
        told
    }

    #[test]
    fn so_many_in_a_row_bring_it_up() {
        let expect = |told: Vec<(u64, String)>, expected: &[(u64, &str)]| {
            let told: Vec<_> = told.iter().map(|(second, text)| (*second, text.as_str())).collect();
            assert_eq!(told, expected);
        };
        let status = [(10, "Status"), (15, "lost Status"), (20, "Status"), (20, "Up")];
        expect(play(&rules(None, 1), &[20, 30], 60), &status);
        // The one that is lost begins the row anew.
        let row = [
            (10, "Status"),
            (20, "Status"),
            (25, "lost Status"),
            (30, "Status"),
            (40, "Status"),
            (50, "Status"),
            (50, "Up"),
        ];
        expect(play(&rules(None, 3), &[10, 30, 40, 50], 90), &row);
    }

    #[test]
    fn a_reply_ends_the_wait_whatever_is_configured_by_then() {
        let rules = rules(None, 1);
        for asked in [Some(&rules), None] {
            let mut probe = Probe::default();
            let (secret, identifier) =
                (Arc::new(Secret::new(Vec::new(), String::new())), Identifier { port: 0, value: 0, life: 0 });
            let ask = Ask::Status;
            let waiting = Waiting { ask, identifier, authenticator: [0; 16], secret, timeout: S, sent: at(0) };
            probe.handle_sent(waiting, S);
            probe.cease();
            assert_eq!(probe.handle_reply(at(1), asked), asked.is_some());
            assert!(probe.handle_timeout(at(100), false, || S).is_none(), "its identifier is another's by now");
        }
    }

    #[test]
    fn a_test_user_comes_and_goes_and_its_stop_counts() {
        let told = play(&rules(Some("u"), 1), &[20], 60);
        let told: Vec<_> = told.iter().map(|(second, text)| (*second, text.as_str())).collect();
        let expected = [(10, "Start 10"), (15, "lost Start"), (20, "Start 10"), (20, "Stop 10"), (20, "Up")];
        assert_eq!(told, expected, "the session is the same one until its Stop is acknowledged");
    }
}
