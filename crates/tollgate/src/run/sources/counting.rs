//! Where the octets of a source's sessions are counted: by whoever tells of them, or in counters that are swept.
//!
//! A sweep reads all sessions at once. Between sweeps a session is read when it comes up, for what its counters say then is not its
//! own; when it moves to other counters; and when it goes, for the last octets. What could not be read then is made up for as soon as it
//! can be, by the rules of [`Tally`]: nothing is counted twice, and nothing of somebody else's.

use std::time::{Duration, Instant};

use model::counters::Counters;

use super::source_plane::SourcePlane;
use super::sweeper::{Findings, FoundBy, Sweeper, take};
use super::tally::{Origin, Tally};
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
        // Nothing of one that had the name before.
        sweeper.forget(session);
        sweeper.follow(session, sweeper.subjects_of(port.map(|port| port.index), person));
        let known = port.filter(|_| sweeper.found_by == FoundBy::Interface).and_then(|port| port.base);
        let (findings, read) = match known {
            Some(_) => (Findings::new(), Ok(())),
            None => sweeper.read([session].into_iter()),
        };
        let found = findings.get(session).copied().unwrap_or_default();
        let mut tallies = sweeper.begun(session, known);
        if let Some(followed) = sweeper.followed.get_mut(session) {
            take(followed, found, &mut tallies);
        }
        (tallies, kept_up.and(read))
    }

    /// What is said of a session has changed, and with it perhaps where it is counted. What the counters of before say last is its
    /// own, and what those from now on say first is not.
    pub(crate) fn moved(&mut self, session: &str, plane: &mut SourcePlane) -> Result<(), String> {
        let Counting::Swept(sweeper) = self else { return Ok(()) };
        let kept_up = sweeper.keep_up();
        let (Some(live), Some(followed)) = (plane.live().get(session), sweeper.followed.get(session)) else {
            return kept_up;
        };
        let before = followed.map(|counter| counter.map(|counter| counter.subject));
        let mut subjects = sweeper.subjects_of(live.entry.interface, &live.person);
        for (subject, counter) in subjects.iter_mut().zip(followed) {
            // One that is gone may come again.
            *subject = subject.or(counter.filter(|counter| counter.ended).map(|counter| counter.subject));
        }
        if before == subjects {
            return kept_up;
        }
        let (_, read) = sweeper.read_now(session, plane);
        sweeper.follow(session, subjects);
        let origins = sweeper.origins_of(subjects);
        plane.take(session, |tallies| {
            for (part, tally) in tallies.iter_mut().enumerate().filter(|(part, _)| subjects[*part] != before[*part]) {
                count_at(tally, origins[part]);
            }
            true
        });
        let read = kept_up.and(read).and(sweeper.read_now(session, plane).1);
        read.and(plane.keep(session))
    }

    /// Octets of all sessions are counted here from now on, and were counted elsewhere before.
    pub(crate) fn take_over(&mut self, plane: &mut SourcePlane) -> Result<(), String> {
        let Counting::Swept(sweeper) = self else { return count_as_told(plane) };
        let sessions: Vec<String> = plane.live().keys().cloned().collect();
        let kept_up = sweeper.keep_up();
        for session in &sessions {
            let Some(live) = plane.live().get(session) else { continue };
            let subjects = sweeper.subjects_of(live.entry.interface, &live.person);
            sweeper.follow(session, subjects);
            let origins = sweeper.origins_of(subjects);
            plane.take(session, |tallies| {
                tallies.iter_mut().zip(origins).for_each(|(tally, origin)| count_at(tally, origin));
                true
            });
        }
        kept_up.and(sweeper.read_all(plane).1)
    }

    /// Reads all sessions, whenever that is due.
    pub(crate) fn read_all(&mut self, plane: &mut SourcePlane) -> Result<(), String> {
        match self {
            Counting::Told => Ok(()),
            Counting::Swept(sweeper) => sweeper.read_all(plane).1,
        }
    }

    /// Goes on with the sessions that an earlier life has left.
    pub(crate) fn resume(&mut self, plane: &mut SourcePlane) -> Result<(), String> {
        match self {
            Counting::Told => count_as_told(plane),
            Counting::Swept(sweeper) => sweeper.resume(plane),
        }
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
        let (uncounted, read) = sweeper.read_all(plane);
        Some((began.elapsed(), uncounted, read))
    }

    /// The session of an interface is over. Gives back what the interface said last, where that counts. `told`: what the source has
    /// heard of it, which serves where it cannot be read now: it may be gone, and its end not heard here.
    pub(crate) fn end(
        &mut self,
        session: &str,
        told: Option<Counters>,
        plane: &mut SourcePlane,
    ) -> (Option<Counters>, Result<(), String>) {
        let Counting::Swept(sweeper) = self else { return (None, Ok(())) };
        let (was_read, read) = sweeper.read_now(session, plane);
        if sweeper.found_by == FoundBy::Address {
            return (None, read);
        }
        if let Some(told) = told.filter(|_| !was_read) {
            plane.take(session, |tallies| tallies[0].take_last(told));
        }
        (plane.live().get(session).and_then(|live| live.entry.tallies[0].last()), read)
    }

    /// Keeps up with what the kernel tells between sweeps, lest it be lost.
    pub(crate) fn keep_up(&mut self) -> Result<(), String> {
        let Counting::Swept(sweeper) = self else { return Ok(()) };
        sweeper.keep_up()
    }

    /// Reads one session, for the last time.
    pub(crate) fn read_last(&mut self, session: &str, plane: &mut SourcePlane) -> Result<(), String> {
        let Counting::Swept(sweeper) = self else { return Ok(()) };
        sweeper.read_now(session, plane).1
    }
}

/// A session is counted elsewhere from now on, where something may stand already.
fn count_at(tally: &mut Tally, origin: Option<Origin>) {
    match origin {
        Some(origin) => tally.go_on_from(origin, None),
        None => tally.stand_still(),
    }
}

/// Octets of all sessions are told from now on: those of before were counted elsewhere, where they were not told already.
fn count_as_told(plane: &mut SourcePlane) -> Result<(), String> {
    let is_elsewhere = |tallies: &[Tally; 2]| tallies[0].origin() != Some(Origin::Told);
    let live = plane.live().iter().filter(|(_, live)| is_elsewhere(&live.entry.tallies));
    let sessions: Vec<String> = live.map(|(session, _)| session.clone()).collect();
    for session in &sessions {
        plane.take(session, |tallies| {
            count_at(&mut tallies[0], Some(Origin::Told));
            count_at(&mut tallies[1], None);
            true
        });
    }
    plane.keep_all(0)
}

/// The tallies of a session whose octets are told from its beginning.
fn told_from_zero() -> [Tally; 2] {
    [Tally::from_here(Origin::Told, Some(Counters::ZERO)), Tally::default()]
}

#[cfg(test)]
mod tests;
