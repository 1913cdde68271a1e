//! Counters that are swept: which of them count which session, and what is found of them.

use std::collections::{HashMap, HashSet};
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use model::counters::Counters;
use plane::sweep::{Reading, Subject};

use super::source_plane::SourcePlane;
use super::tally::{Origin, Tally};
use crate::run::sweep::Sweep;
use crate::run::sweep::links::Links;
use crate::script::Person;

/// By what a session is found in swept counters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FoundBy {
    /// The interface that it is, or that its NAS-Port-Id names.
    Interface,
    /// Its IPv4 address, and its IPv6 prefix.
    Address,
}

impl FoundBy {
    fn finds(self, subject: Subject) -> bool {
        match subject {
            Subject::Interface(_) => self == FoundBy::Interface,
            Subject::V4(_) | Subject::V6(_) => self == FoundBy::Address,
        }
    }
}

/// Swept counters.
pub(crate) struct Sweeper {
    sweep: Swept,
    pub(super) found_by: FoundBy,
    pub(super) interval: Duration,
    pub(super) next: Instant,
    pub(super) followed: HashMap<String, Followed>,
    /// Whom each counts.
    followers: HashMap<Subject, Vec<String>>,
    /// The greatest number of an interface that was there when interfaces were looked for last: one above it came later. `None`: not all
    /// were known.
    newest: Option<u32>,
    /// Interfaces that were given to a session since: they are not new to another one.
    given: HashSet<u32>,
    /// What was heard of counters at their end, and no tally has yet.
    heard: HashMap<String, [Option<Reading>; 2]>,
}

/// What is swept.
enum Swept {
    Links(Box<Links>),
    Map(Box<dyn Sweep>),
}

impl Swept {
    /// The number of the interface of this name, as far as the kernel was heard.
    fn index(&self, name: &str) -> Option<u32> {
        match self {
            Swept::Links(links) => links.index(name),
            Swept::Map(_) => None,
        }
    }

    /// The greatest number that an interface ever had; `None`: not all are known.
    fn highest(&self) -> Option<u32> {
        match self {
            Swept::Links(links) => (!links.is_behind()).then(|| links.highest()),
            Swept::Map(_) => None,
        }
    }

    /// Whether an interface is there.
    fn has(&self, index: u32) -> bool {
        match self {
            Swept::Links(links) => links.link(index).is_some(),
            Swept::Map(_) => false,
        }
    }

    /// Hears the kernel out.
    fn keep_up(&mut self) -> Result<(), String> {
        match self {
            Swept::Links(links) => links.wait(Duration::ZERO).map(drop).map_err(|error| error.to_string()),
            Swept::Map(_) => Ok(()),
        }
    }

    fn source(&mut self) -> &mut dyn Sweep {
        match self {
            Swept::Links(links) => &mut **links,
            Swept::Map(map) => &mut **map,
        }
    }
}

/// What counts one session: a place for each of its tallies.
pub(super) type Followed = [Option<Counter>; 2];

#[derive(Clone, Copy, Debug)]
pub(super) struct Counter {
    pub(super) subject: Subject,
    /// Of its last reading in this life.
    generation: Option<u32>,
    /// It is gone, and was read to its end.
    pub(super) ended: bool,
}

impl Counter {
    fn of(subject: Subject) -> Counter {
        Counter { subject, generation: None, ended: false }
    }
}

/// What is found of one of a session's counters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Found {
    /// It could not be read, or is not told of yet.
    #[default]
    Unknown,
    /// Nothing counts there.
    Absent,
    Read(Reading),
}

/// What is found of sessions.
pub(crate) type Findings = HashMap<String, [Found; 2]>;

impl Sweeper {
    /// The statistics of network interfaces.
    pub(crate) fn of_interfaces(interval: Duration) -> Result<Sweeper, String> {
        let links = Links::open().map_err(|error| error.to_string())?;
        Ok(Sweeper::new(Swept::Links(Box::new(links)), FoundBy::Interface, interval))
    }

    /// A map by addresses.
    pub(crate) fn of_map(map: Box<dyn Sweep>, interval: Duration) -> Sweeper {
        Sweeper::new(Swept::Map(map), FoundBy::Address, interval)
    }

    /// Interfaces that are read by something else.
    #[cfg(test)]
    pub(super) fn of_ports(ports: Box<dyn Sweep>) -> Sweeper {
        Sweeper::new(Swept::Map(ports), FoundBy::Interface, Duration::ZERO)
    }

    fn new(sweep: Swept, found_by: FoundBy, interval: Duration) -> Sweeper {
        Sweeper {
            newest: sweep.highest(),
            sweep,
            found_by,
            interval,
            next: Instant::now() + interval,
            followed: HashMap::new(),
            followers: HashMap::new(),
            given: HashSet::new(),
            heard: HashMap::new(),
        }
    }

    /// By what a session is counted; `interface`: it is one.
    pub(super) fn subjects_of(&self, interface: Option<u32>, person: &Person) -> [Option<Subject>; 2] {
        match self.found_by {
            FoundBy::Interface => {
                let index = interface.or_else(|| person.nas_port_id().and_then(|name| self.sweep.index(name)));
                [index.map(Subject::Interface), None]
            }
            FoundBy::Address => {
                let (address, prefix) = person.addresses();
                [address.filter(|address| *address != Ipv4Addr::UNSPECIFIED).map(Subject::V4), prefix.map(Subject::V6)]
            }
        }
    }

    /// Counts a session by these from now on. What counts it already is followed as it was.
    pub(super) fn follow(&mut self, session: &str, subjects: [Option<Subject>; 2]) {
        let before = self.followed.get(session).copied().unwrap_or_default();
        self.forget(session);
        let mut followed = subjects.map(|subject| subject.map(Counter::of));
        for (counter, before) in followed.iter_mut().zip(before) {
            if counter.map(|counter| counter.subject) == before.map(|before| before.subject) {
                *counter = before;
            }
        }
        for counter in followed.into_iter().flatten() {
            if let Subject::Interface(index) = counter.subject {
                self.given.insert(index);
            }
            self.followers.entry(counter.subject).or_default().push(session.to_owned());
        }
        self.followed.insert(session.to_owned(), followed);
    }

    /// A session is gone.
    pub(super) fn forget(&mut self, session: &str) {
        for counter in self.followed.remove(session).into_iter().flatten().flatten() {
            if let Some(followers) = self.followers.get_mut(&counter.subject) {
                followers.retain(|follower| follower != session);
                if followers.is_empty() {
                    self.followers.remove(&counter.subject);
                }
            }
        }
        self.heard.remove(session);
    }

    /// Takes in what the kernel has told of counters that are gone. It is kept until the session's tally has it, whoever asked.
    fn hear_ends(&mut self) {
        for ended in self.sweep.source().take_ended() {
            for session in self.followers.get(&ended.subject).into_iter().flatten() {
                let Some(followed) = self.followed.get_mut(session) else { continue };
                for (part, counter) in followed.iter_mut().enumerate() {
                    if let Some(counter) = counter
                        && counter.subject == ended.subject
                        && !counter.ended
                    {
                        counter.ended = true;
                        self.heard.entry(session.clone()).or_default()[part] = Some(ended.reading);
                    }
                }
            }
        }
    }

    /// Hears the kernel out.
    pub(super) fn keep_up(&mut self) -> Result<(), String> {
        let kept_up = self.sweep.keep_up();
        self.hear_ends();
        kept_up
    }

    /// Reads these sessions, as far as that is possible; of counters that are gone there is what was heard last.
    pub(super) fn read<'a>(&mut self, sessions: impl Iterator<Item = &'a str>) -> (Findings, Result<(), String>) {
        let mut all = Findings::new();
        let mut asked: Vec<(&str, usize, Subject)> = Vec::new();
        for session in sessions {
            let Some(followed) = self.followed.get(session) else { continue };
            all.insert(session.to_owned(), Default::default());
            let standing = followed.iter().enumerate();
            let standing =
                standing.filter_map(|(part, counter)| Some((part, counter.filter(|counter| !counter.ended)?)));
            asked.extend(standing.map(|(part, counter)| (session, part, counter.subject)));
        }
        let subjects: Vec<Subject> = asked.iter().map(|(.., subject)| *subject).collect();
        let mut readings = vec![None; subjects.len()];
        let swept = match subjects.is_empty() {
            true => Ok(()),
            false => self.sweep.source().sweep(&subjects, &mut readings).map_err(|error| error.to_string()),
        };
        self.hear_ends();
        for ((session, part, subject), reading) in asked.into_iter().zip(readings) {
            let Some(of_session) = all.get_mut(session) else { continue };
            of_session[part] = match reading {
                Some(reading) => Found::Read(reading),
                None if self.sweep.source().has_read(subject) => Found::Absent,
                None => Found::Unknown,
            };
        }
        for (session, of_session) in &mut all {
            let heard = self.heard.remove(session).unwrap_or_default();
            let heard = of_session.iter_mut().zip(heard);
            heard.for_each(|(found, heard)| *found = heard.map_or(*found, Found::Read));
        }
        (all, swept)
    }

    /// Puts what was found into the tallies of sessions; says how many nothing counts.
    fn apply(&mut self, findings: Findings, plane: &mut SourcePlane) -> u64 {
        let mut missing = 0;
        for (session, found) in findings {
            let Some(followed) = self.followed.get_mut(&session) else { continue };
            missing += u64::from(!found.iter().any(|found| matches!(found, Found::Read(_))));
            plane.take(&session, |tallies| take(followed, found, tallies));
        }
        missing
    }

    /// Reads one session now; says whether all that counts it was read, and what went wrong.
    pub(super) fn read_now(&mut self, session: &str, plane: &mut SourcePlane) -> (bool, Result<(), String>) {
        let kept_up = self.keep_up();
        let (findings, read) = self.read([session].into_iter());
        let counters = self.followed.get(session).into_iter().flatten();
        let found = findings.get(session).into_iter().flatten();
        let was_read = counters.zip(found).all(|(counter, found)| counter.is_none() || matches!(found, Found::Read(_)));
        self.apply(findings, plane);
        (was_read, kept_up.and(read))
    }

    /// Reads all sessions now, and shows the engine what was read; says how many nothing counts, and what went wrong.
    pub(super) fn read_all(&mut self, plane: &mut SourcePlane) -> (u64, Result<(), String>) {
        let kept_up = self.keep_up();
        self.settle_ends(plane);
        self.look_for_others(plane);
        let (findings, read) = self.read(plane.live().keys().map(String::as_str));
        let nowhere = plane.live().keys().filter(|session| !findings.contains_key(*session)).count() as u64;
        let missing = self.apply(findings, plane);
        let settled = plane.keep_all(self.newest.unwrap_or(0));
        (nowhere + missing, kept_up.and(read).and(settled))
    }

    /// Puts what was heard of counters that are gone into the tallies.
    fn settle_ends(&mut self, plane: &mut SourcePlane) {
        let found = |reading: Option<Reading>| reading.map_or(Found::Unknown, Found::Read);
        let heard = std::mem::take(&mut self.heard).into_iter();
        self.apply(heard.map(|(session, readings)| (session, readings.map(found))).collect(), plane);
    }

    /// Sessions whose interface is gone, or was not there, may have one by now.
    fn look_for_others(&mut self, plane: &mut SourcePlane) {
        if self.found_by != FoundBy::Interface {
            return;
        }
        let mut found = Vec::new();
        for (session, live) in plane.live().iter().filter(|(_, live)| live.entry.interface.is_none()) {
            let counter = self.followed.get(session).and_then(|followed| followed[0]);
            let is_free = |index: &u32| {
                let subject = Subject::Interface(*index);
                counter.is_some_and(|counter| counter.subject == subject) || !self.followers.contains_key(&subject)
            };
            if counter.is_none_or(|counter| counter.ended || !self.has(&counter))
                && let Some(index) = live.person.nas_port_id().and_then(|name| self.sweep.index(name)).filter(is_free)
            {
                found.push((session.clone(), counter.map(|counter| counter.subject), index));
            }
        }
        for (session, before, index) in found {
            let subject = Subject::Interface(index);
            if before == Some(subject) {
                // It was lent to somebody, or another one has its number: what it says goes on, or has begun again at zero.
                if let Some([Some(counter), _]) = self.followed.get_mut(&session) {
                    *counter = Counter::of(subject);
                }
                continue;
            }
            // All that one has counted that came just now is the session's.
            let base = self.is_new(index).then_some(Counters::ZERO);
            self.follow(&session, [Some(subject), None]);
            plane.take(&session, |tallies| {
                tallies[0].go_on_from(Origin::Interface(index), base);
                true
            });
        }
        self.newest = self.sweep.highest();
        self.given.clear();
    }

    /// Whether an interface has come since interfaces were looked for last, and was nobody's.
    fn is_new(&self, index: u32) -> bool {
        self.newest.is_some_and(|newest| index > newest) && !self.given.contains(&index)
    }

    /// The tallies of a session that has counted nothing, by its counters; `base`: what its interface says, if that is known.
    pub(super) fn begun(&mut self, session: &str, base: Option<Counters>) -> [Tally; 2] {
        let counters = self.followed.get(session).copied().unwrap_or_default();
        counters.map(|counter| match counter.map(|counter| counter.subject) {
            None => Tally::default(),
            Some(subject @ Subject::Interface(_)) => Tally::from_here(self.origin_of(subject), base),
            Some(subject) => Tally::from_here(self.origin_of(subject), None),
        })
    }

    /// Where a subject is counted.
    fn origin_of(&mut self, subject: Subject) -> Origin {
        Origin::of(subject, self.sweep.source().place(subject))
    }

    /// Where those of a session are.
    pub(super) fn origins_of(&mut self, subjects: [Option<Subject>; 2]) -> [Option<Origin>; 2] {
        subjects.map(|subject| subject.map(|subject| self.origin_of(subject)))
    }

    fn has(&self, counter: &Counter) -> bool {
        matches!(counter.subject, Subject::Interface(index) if self.sweep.has(index))
    }

    /// Follows the sessions that an earlier life has left, and reads them. Of counters that are others than those of then only what came
    /// since that life has swept last is a session's from zero.
    pub(super) fn resume(&mut self, plane: &mut SourcePlane) -> Result<(), String> {
        let sessions: Vec<String> = plane.live().keys().cloned().collect();
        let by = self.found_by;
        for session in &sessions {
            let Some(live) = plane.live().get(session) else { continue };
            let subject = |tally: Tally| tally.origin().and_then(Origin::subject).filter(|subject| by.finds(*subject));
            self.follow(session, live.entry.tallies.map(subject));
        }
        // Whatever has gone since the kernel is heard was followed by them.
        let kept_up = self.keep_up();
        self.settle_ends(plane);
        let highest = plane.swept_highest();
        self.newest = (highest != 0).then_some(highest);
        for session in &sessions {
            let Some(live) = plane.live().get(session) else { continue };
            let mut subjects = self.subjects_of(live.entry.interface, &live.person);
            let followed = self.followed.get(session).copied().unwrap_or_default();
            if by == FoundBy::Interface {
                // It may come again.
                subjects[0] = subjects[0].or(followed[0].map(|counter| counter.subject));
            }
            let origins = self.origins_of(subjects);
            plane.take(session, |tallies| {
                let parts = tallies.iter_mut().zip(origins);
                parts.fold(false, |has_changed, (tally, origin)| self.take_up(tally, origin) || has_changed)
            });
            self.follow(session, subjects);
        }
        kept_up.and(self.read_all(plane).1)
    }

    /// A tally of an earlier life is counted here now; says whether that is elsewhere.
    fn take_up(&self, tally: &mut Tally, now: Option<Origin>) -> bool {
        let before = tally.origin();
        match (before, now) {
            _ if now == before => return false,
            (_, None) => tally.stand_still(),
            // Gone, and here again under another number.
            (Some(Origin::Interface(old)), Some(now @ Origin::Interface(index)))
                if self.is_new(index) && !self.sweep.has(old) =>
            {
                tally.go_on_from(now, Some(Counters::ZERO));
            }
            (_, Some(now)) => tally.go_on_from(now, None),
        }
        true
    }
}

/// Puts what was found of one session into its tallies; says whether anything has changed beside the readings.
pub(super) fn take(followed: &mut Followed, found: [Found; 2], tallies: &mut [Tally; 2]) -> bool {
    let mut has_changed = false;
    for ((counter, found), tally) in followed.iter_mut().zip(found).zip(tallies) {
        let Some(counter) = counter else { continue };
        has_changed |= match found {
            Found::Read(reading) if counter.generation.is_some_and(|generation| generation != reading.generation) => {
                tally.begin_again();
                tally.take(reading.counters);
                true
            }
            Found::Read(reading) if counter.ended => tally.take_last(reading.counters),
            Found::Read(reading) => tally.take(reading.counters),
            // What comes to be there counts from zero.
            Found::Absent if tally.last().is_none() => tally.take(Counters::ZERO),
            Found::Absent | Found::Unknown => false,
        };
        if let Found::Read(reading) = found {
            counter.generation = Some(reading.generation);
        }
    }
    has_changed
}
