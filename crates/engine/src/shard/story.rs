//! One session's life as far as the shard knows it, and what it waits for.

use std::time::Duration;

use model::counters::CounterSource;
use model::report::{SessionStory, StorySource, StoryStep};
use model::settings::ServerPath;
use model::time::{Mono, Now, Wall};

use super::{Found, Shard};
use crate::annex::Annex;
use crate::journal::{NO_SERVER, Step};
use crate::policy::Kind;
use crate::request::Place;
use crate::session::{Flags, Lane, NONE, Slot, State};

impl Shard {
    /// Notes what happened to a session.
    pub(super) fn note(&mut self, slot: Slot, at: Mono, step: Step) {
        let serial = self.session(slot).serial.parts();
        self.journal.note(at, serial, step);
    }

    /// The story of a session that [`Shard::search`] has found.
    pub fn story(&self, now: Now, counters: &impl CounterSource, found: Found) -> SessionStory {
        let Found(slot) = found;
        let user = self.access_user(slot, now, counters);
        let step = |(at, step)| self.told(at, step, now);
        let steps = self.journal.of(user.serial).map(step).collect();
        SessionStory { user, steps, next: self.comes_next(slot, now.mono) }
    }

    fn told(&self, mono: Mono, step: Step, now: Now) -> StoryStep {
        let copy = |is_copy| if is_copy { " (copy)" } else { "" };
        let (event, server) = match step {
            Step::Up => ("came up".to_owned(), None),
            Step::Down { cause } => (format!("went down, Acct-Terminate-Cause {cause}"), None),
            Step::Sent { kind, is_copy, server, transmission } => {
                (format!("{}{} sent, transmission {transmission}", word(kind), copy(is_copy)), Some(server))
            }
            Step::Answered { kind, is_copy, server } => {
                (format!("{}{} acknowledged", word(kind), copy(is_copy)), Some(server))
            }
            Step::Silent { kind, is_copy, server } => {
                (format!("{}{} not acknowledged in all its transmissions", word(kind), copy(is_copy)), Some(server))
            }
            Step::Failed { kind, is_copy } => {
                (format!("{}{} failed: no server acknowledged it", word(kind), copy(is_copy)), None)
            }
            Step::Rests => ("the Stop rests, to be tried again".to_owned(), None),
            Step::Billed => ("the Stop was given up: a bill stands for it".to_owned(), None),
            Step::Reported => ("reported by its NAS".to_owned(), None),
            Step::Verdict { sentence, reason } => (format!("verdict {}, {}", sentence.as_str(), reason.as_str()), None),
        };
        let past = now.mono.since(mono);
        let at = now.wall.as_millis().checked_sub(u64::try_from(past.as_millis()).unwrap_or(u64::MAX));
        let server = server.filter(|server| *server != NO_SERVER).map(|server| self.path_of(server));
        StoryStep { at: at.map(Wall::from_millis), source: StorySource::Journal, event, server }
    }

    fn path_of(&self, server: u16) -> ServerPath {
        self.servers[usize::from(server)].path
    }

    /// What the session waits for, a sentence each.
    fn comes_next(&self, slot: Slot, now: Mono) -> Vec<String> {
        let (session, account) = (self.session(slot), self.account(slot));
        let mut next = Vec::new();
        let flags = session.flags;
        match session.state {
            State::Starting if !flags.has(Flags::OPENED_DURABLE) => {
                next.push("The ledger has not made its opened record durable; its Start goes behind that.".to_owned());
            }
            State::Stopping if !flags.has(Flags::CLOSED_DURABLE) => {
                next.push("The ledger has not made its closed record durable; its Stop goes behind that.".to_owned());
            }
            State::NotAccounted => next.push("Its scheme does no accounting.".to_owned()),
            State::Ending => next.push("It is over; the last record is on its way to the ledger.".to_owned()),
            _ => {}
        }
        if flags.has(Flags::DELAYED) {
            next.push("Its Start waits for addresses (accounting-start-delay).".to_owned());
        }
        next.extend(self.waits_for_server(slot, now));
        if session.lane == Lane::Rest {
            let rested = seconds(now.since(account.queued));
            let Annex { tries: tried, resends_left: left, .. } = *self.annex(slot);
            next.push(format!("It rests in the queue since {rested}; tried {tried} times, {left} tries are left."));
        }
        if flags.has(Flags::CUT) {
            let awaited = seconds(session.next_interim.since(now));
            next.push(format!("It is logged out; the plane's Down is awaited for {awaited} more."));
        } else if self.has_next_interim(slot) {
            let every = session.interim_s;
            next.push(format!(
                "Its next interim is due in {}, every {every} s.",
                seconds(session.next_interim.since(now))
            ));
        }
        if account.interim_failures > 0 {
            let scheme = self.contracts.get(session.contract).scheme;
            let (failures, acts_at) = (account.interim_failures, u32::from(scheme.interim_fail.max_times) + 1);
            next.push(format!("{failures} interims have failed in a row; the policy acts at {acts_at}."));
        }
        next
    }

    /// The request that is out, or the lane that it waits in.
    fn waits_for_server(&self, slot: Slot, now: Mono) -> Option<String> {
        let session = self.session(slot);
        if session.request != NONE {
            let request = self.requests.get(session.request);
            let (kind, transmissions, most) = (word(request.kind), request.transmissions, request.transmissions_max);
            let server = self.path_of(request.server);
            return Some(match request.place {
                Place::Reply(_) => {
                    let left = seconds(request.sent.plus(request.timeout).since(now));
                    format!(
                        "{kind} waits for the reply of {server}, transmission {transmissions} of {most}, {left} more."
                    )
                }
                Place::Again(_) => format!("{kind} is transmitted to {server} again at once."),
                Place::Failover => format!("{kind} waits for a place on the next server."),
                Place::Free => return None,
            });
        }
        session.lane.index()?;
        let waited = seconds(now.since(self.account(slot).queued));
        let group = &self.groups[usize::from(self.group_of(slot))];
        let kind = self.kind_of(slot);
        let why = match kind {
            Kind::Start if group.untold => "; a server of its group is to be told of Accounting-On before",
            Kind::Start if group.holds_for_old_stops(now) => "; Stops of an earlier boot go before",
            _ if group.down_since(&self.servers).is_some() => "; all its servers are Down",
            _ => "",
        };
        Some(format!("{} waits for a place on a server since {waited}{why}.", word(kind)))
    }
}

fn word(kind: Kind) -> &'static str {
    match kind {
        Kind::Start => "Start",
        Kind::Interim => "Interim-Update",
        Kind::Stop => "Stop",
        Kind::ZeroStop => "Stop with zero counters",
    }
}

fn seconds(duration: Duration) -> String {
    let tenths = duration.as_millis() / 100;
    format!("{}.{} s", tenths / 10, tenths % 10)
}
