//! Where the octets of a source's sessions are counted: by whoever tells of them, or in counters that are swept.
//!
//! A sweep reads all sessions at once. Between sweeps a session is read when it comes up, for what its counters say then is not its
//! own; when it moves to other counters; and when it goes, for the last octets. What could not be read then is made up for as soon as it
//! can be, by the rules of [`Tally`]: nothing is counted twice, and nothing of somebody else's.

use std::time::{Duration, Instant};

use model::counters::Counters;
use plane::sweep::Subject;

use super::register::Entry;
use super::source_plane::{Recounted, SourcePlane, Taken, person_of};
use super::sweeper::{Findings, Found, FoundBy, Sweeper, begun, take};
use super::tally::{Origin, Step, Tally, leave_past};
use crate::script::Person;

/// Who counts the octets of a source's sessions.
pub(crate) enum Counting {
    /// Whoever tells of them.
    Told,
    /// The kernel, which is asked now and then.
    Swept(Box<Sweeper>),
}

/// The interface that a session is, where its source knows that.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Port {
    /// Its index.
    pub(crate) index: u32,
    /// What it said when the session began, if that is known.
    pub(crate) base: Option<Counters>,
}

impl Counting {
    /// A session comes up: what it has counted, which is nothing, and what went wrong. `port`: it is an interface.
    pub(crate) fn begin(
        &mut self,
        session: &str,
        person: &Person,
        port: Option<Port>,
    ) -> ([Tally; 2], Result<(), String>) {
        let Counting::Swept(sweeper) = self else { return (told_from_zero(), Ok(())) };
        let kept_up = sweeper.keep_up();
        sweeper.follow(session, sweeper.subjects_of(port.map(|port| port.index), person));
        let known = port.filter(|_| sweeper.found_by == FoundBy::Interface).and_then(|port| port.base);
        let (findings, read) = match known {
            Some(_) => (Findings::new(), Ok(())),
            None => sweeper.read([session].into_iter()),
        };
        let found = findings.get(session).copied().unwrap_or_default();
        let mut tallies = begun(sweeper.followed.get(session), known);
        if let Some(followed) = sweeper.followed.get_mut(session) {
            take(followed, found, &mut tallies);
        }
        (tallies, kept_up.and(read))
    }

    /// What is said of a session has changed, and with it perhaps where it is counted. What the counters of before say last is its
    /// own, and what those from now on say first is not.
    pub(crate) fn moved(&mut self, session: &str, plane: &mut SourcePlane) -> Result<(), String> {
        let Counting::Swept(sweeper) = self else { return Ok(()) };
        let (Some(live), Some(followed)) = (plane.live().get(session), sweeper.followed.get(session)) else {
            return Ok(());
        };
        let before = followed.counters.map(|counter| counter.map(|counter| counter.subject));
        let mut subjects = sweeper.subjects_of(live.entry.interface, &live.person);
        for (subject, counter) in subjects.iter_mut().zip(followed.counters) {
            // One that is gone may come again.
            *subject = subject.or(counter.filter(|counter| counter.ended).map(|counter| counter.subject));
        }
        if before == subjects {
            return Ok(());
        }
        let read = sweeper.read_now(session, plane);
        let kept = sweeper.followed.get(session).copied().unwrap_or_default();
        sweeper.follow(session, subjects);
        if let Some(followed) = sweeper.followed.get_mut(session) {
            let parts = followed.counters.iter_mut().zip(kept.counters).zip(before.iter().zip(&subjects));
            parts.filter(|(_, (before, now))| before == now).for_each(|((now, kept), _)| *now = kept);
        }
        plane.sample(session, |tallies| {
            for ((tally, subject), before) in tallies.iter_mut().zip(subjects).zip(before) {
                if subject != before {
                    count_at(tally, subject);
                }
            }
            Taken::default()
        });
        read.and(sweeper.read_now(session, plane))
    }

    /// Octets are counted here from now on, of a session that was counted elsewhere before.
    pub(crate) fn take_over(&mut self, session: &str, plane: &mut SourcePlane) -> Result<(), String> {
        let Counting::Swept(sweeper) = self else {
            // Totals are told since the session came up: those of before were counted elsewhere.
            plane.sample(session, |tallies| {
                tallies[0].go_on_from(Origin::Told, None);
                tallies[1].stand_still();
                Taken::default()
            });
            return Ok(());
        };
        let Some(live) = plane.live().get(session) else { return Ok(()) };
        let subjects = sweeper.subjects_of(live.entry.interface, &live.person);
        sweeper.follow(session, subjects);
        plane.sample(session, |tallies| {
            tallies.iter_mut().zip(subjects).for_each(|(tally, subject)| count_at(tally, subject));
            Taken::default()
        });
        sweeper.read_now(session, plane)
    }

    /// A session is gone.
    pub(crate) fn forget(&mut self, session: &str) {
        if let Counting::Swept(sweeper) = self {
            sweeper.forget(session);
        }
    }

    /// Sweeps this often from now on.
    pub(crate) fn set_interval(&mut self, interval: Duration) {
        if let Counting::Swept(sweeper) = self {
            sweeper.next = sweeper.next.min(Instant::now() + interval);
            sweeper.interval = interval;
        }
    }

    /// Reads the counters of sessions that an earlier life has left.
    pub(crate) fn find(&mut self, entries: &[Entry]) -> (Findings, Result<(), String>) {
        let Counting::Swept(sweeper) = self else { return (Findings::new(), Ok(())) };
        let kept_up = sweeper.keep_up();
        let alive = || entries.iter().filter(|entry| entry.gone.is_none());
        for entry in alive() {
            if let Ok(person) = person_of(&entry.session, entry.said.clone()) {
                sweeper.follow(&entry.session, sweeper.subjects_of(entry.interface, &person));
            }
        }
        let (findings, read) = sweeper.read(alive().map(|entry| &*entry.session));
        (findings, kept_up.and(read))
    }

    /// What such a session has counted by now.
    pub(crate) fn recount(&mut self, entry: &mut Entry, findings: &Findings) -> Recounted {
        let tallies = &mut entry.tallies;
        let before = tallies.map(|tally| tally.origin());
        let Counting::Swept(sweeper) = self else {
            if before == told_from_zero().map(|tally| tally.origin()) {
                return Recounted::Known;
            }
            *tallies = [Tally::from_here(Origin::Told, None), Tally::default()];
            return Recounted::Others;
        };
        let Some(followed) = sweeper.followed.get_mut(&entry.session) else { return Recounted::Unknown };
        let now = followed.counters.map(|counter| counter.map(|counter| Origin::from(counter.subject)));
        let found = findings.get(&entry.session).copied().unwrap_or_default();
        // An interface that is not there may come again; an entry that is not there counts from zero when it does.
        let is_nowhere = now == [None; 2];
        let lost_entry =
            tallies.iter().zip(found).any(|(tally, found)| found == Found::Absent && tally.last().is_some());
        if is_nowhere || now == before && !lost_entry {
            let taken = take(followed, found, tallies);
            if taken.begun_again == [false; 2] {
                return if taken.is_known { Recounted::Known } else { Recounted::Unknown };
            }
            leave_past(tallies, taken.begun_again);
            return Recounted::Others;
        }
        let came_later =
            matches!((before[0], now[0]), (Some(Origin::Interface(old)), Some(Origin::Interface(new))) if new > old);
        *tallies = begun(Some(followed), came_later.then_some(Counters::ZERO));
        take(followed, found, tallies);
        Recounted::Others
    }

    /// When the next sweep is due.
    pub(crate) fn due(&self) -> Option<Instant> {
        match self {
            Counting::Told => None,
            Counting::Swept(sweeper) => Some(sweeper.next),
        }
    }

    /// Reads all sessions, if that is due; says how long it took, how many nothing counts, and what went wrong.
    pub(crate) fn sweep(&mut self, plane: &mut SourcePlane) -> Option<(Duration, u64, Result<(), String>)> {
        let Counting::Swept(sweeper) = self else { return None };
        let began = Instant::now();
        if sweeper.next > began {
            return None;
        }
        sweeper.next = began + sweeper.interval;
        let kept_up = sweeper.keep_up();
        sweeper.settle_ends(plane);
        sweeper.look_for_others(plane);
        let (findings, read) = sweeper.read(plane.live().keys().map(String::as_str));
        let nowhere = plane.live().keys().filter(|session| !findings.contains_key(*session)).count() as u64;
        let missing = sweeper.apply(findings, plane);
        Some((began.elapsed(), nowhere + missing, kept_up.and(read)))
    }

    /// The interface that a session is said this last; false where its octets are counted elsewhere.
    pub(crate) fn end(&mut self, session: &str, last: Counters, plane: &mut SourcePlane) -> bool {
        match self {
            Counting::Swept(sweeper) if sweeper.found_by == FoundBy::Interface => {
                plane.sample(session, |tallies| {
                    let has_base = tallies[0].take_last(last) == Step::Based;
                    Taken { is_known: true, has_base, ..Taken::default() }
                });
                true
            }
            Counting::Swept(_) | Counting::Told => false,
        }
    }

    /// Keeps up with what the kernel tells between sweeps, lest it be lost.
    pub(crate) fn keep_up(&mut self) -> Result<(), String> {
        let Counting::Swept(sweeper) = self else { return Ok(()) };
        sweeper.keep_up()
    }

    /// Reads one session, for the last time.
    pub(crate) fn read_last(&mut self, session: &str, plane: &mut SourcePlane) -> Result<(), String> {
        let Counting::Swept(sweeper) = self else { return Ok(()) };
        sweeper.read_now(session, plane)
    }
}

/// A session is counted elsewhere from now on, where something may stand already.
fn count_at(tally: &mut Tally, subject: Option<Subject>) {
    match subject {
        Some(subject) => tally.go_on_from(subject.into(), None),
        None => tally.stand_still(),
    }
}

/// The tallies of a session whose octets are told from its beginning.
fn told_from_zero() -> [Tally; 2] {
    [Tally::from_here(Origin::Told, Some(Counters::ZERO)), Tally::default()]
}

#[cfg(test)]
mod tests;
