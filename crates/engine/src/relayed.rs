//! What a shard remembers of sessions that a NAS reports by RADIUS: what it said last, so that what is said twice is known; and
//! of those that have ended, how, for a Stop that was answered may come again.
//!
//! **Memory:** nothing before the first relay client is configured; then 80 octets for each slot, touched as sessions are
//! relayed, and 56 for each of [`ENDED`] endings. **Full:** the place of an ending is taken by a later one of the same hash. Its
//! Stop, if it comes once more, is then sent once more, with the totals that it had.

pub(crate) mod usage;

use std::time::Duration;

use model::counters::Counters;
use model::time::{Mono, Now, Wall};

use crate::session::Slot;
use usage::low_of;

/// Endings that are remembered, a power of two.
pub(crate) const ENDED: usize = 1 << 16;
/// For so long a Stop that comes again is known.
const ENDED_FOR: Duration = Duration::from_secs(900);
/// For so long a Start without Event-Timestamp that comes behind the Stop is taken for that of the session which has ended.
const LATE_START: Duration = Duration::from_secs(60);

/// By what one report of a session is told from another: its Event-Timestamp, or else what it says (never arrival minus delay,
/// which differs whenever it is sent).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Event {
    /// Event-Timestamp.
    pub(crate) stamp: Option<u32>,
    pub(crate) session_time_s: u32,
    /// What was counted, by the low octets of both directions.
    pub(crate) octets: u64,
}

impl Event {
    /// Whether both are one interim. Two that say the same at two times are two: the session is idle.
    pub(crate) fn is_interim(&self, other: &Event) -> bool {
        let stamps = self.stamp.zip(other.stamp);
        self.says(other) && stamps.is_none_or(|(one, another)| one == another)
    }

    /// Whether both are one Stop. Some NAS stamp a request whenever they send it, so one that says the same is the same.
    fn is_stop(&self, other: &Event) -> bool {
        let stamps = self.stamp.zip(other.stamp);
        self.says(other) || stamps.is_some_and(|(one, another)| one == another)
    }

    fn says(&self, other: &Event) -> bool {
        (self.session_time_s, self.octets) == (other.session_time_s, other.octets)
    }
}

/// One session.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Relayed {
    /// When what was reported last was true: the NAS's own time on the wall, arrival minus delay on the measuring clock.
    /// [`Mono::ZERO`] there: before the box was booted.
    pub(crate) at: Now,
    /// When the NAS spoke of it last.
    pub(crate) heard: Mono,
    /// The last report.
    pub(crate) last: Event,
    /// Event-Timestamp of its Start; 0: none, or the Start was not heard.
    pub(crate) started: u32,
    /// The longest time between two interims of it, by its own Acct-Session-Time, seconds; 0: not known.
    pub(crate) gap_s: u32,
    /// Interims that were heard in this life of the engine.
    pub(crate) interims: u32,
    /// When it was found silent, and left alone for a while.
    pub(crate) looked: Mono,
    /// No server was told of the last report.
    pub(crate) is_news: bool,
    /// The NAS says gigawords.
    pub(crate) is_wide: bool,
    /// The NAS has agreed to log it out.
    pub(crate) is_leaving: bool,
    /// It counts among the sessions of its client that are online.
    pub(crate) is_online: bool,
}

impl Relayed {
    const NONE: Relayed = Relayed {
        at: Now { mono: Mono::ZERO, wall: Wall::from_millis(0) },
        heard: Mono::ZERO,
        last: Event { stamp: None, session_time_s: 0, octets: 0 },
        started: 0,
        gap_s: 0,
        interims: 0,
        looked: Mono::ZERO,
        is_news: false,
        is_wide: false,
        is_leaving: false,
        is_online: false,
    };
}

/// How a session ended.
#[derive(Clone, Copy, Debug)]
struct Ended {
    /// Of its name; 0: nobody's.
    hash: u64,
    at: Mono,
    event: Event,
    started: u32,
    /// Its NAS said so, and not anybody else.
    by_stop: bool,
}

impl Ended {
    const NONE: Ended = Ended {
        hash: 0,
        at: Mono::ZERO,
        event: Event { stamp: None, session_time_s: 0, octets: 0 },
        started: 0,
        by_stop: false,
    };
}

/// What a report is to a session that is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Afterwards {
    /// It tells of another session, or of one that went on.
    New,
    /// It is what the session ended with, or began with.
    Again,
    /// It tells less than what the session ended with.
    Stale,
}

/// All of a shard.
#[derive(Default)]
pub(crate) struct RelayedSessions {
    rows: Vec<Relayed>,
    ended: Vec<Ended>,
}

impl RelayedSessions {
    /// There will be some, in so many slots.
    pub(crate) fn make_room(&mut self, slots: usize) {
        if self.ended.is_empty() {
            self.rows.reserve_exact(slots);
            self.ended = vec![Ended::NONE; ENDED];
        }
    }

    pub(crate) fn get(&self, slot: Slot) -> &Relayed {
        self.rows.get(slot as usize).unwrap_or(&Relayed::NONE)
    }

    pub(crate) fn get_mut(&mut self, slot: Slot) -> &mut Relayed {
        let place = slot as usize;
        if self.rows.len() <= place {
            self.rows.resize(place + 1, Relayed::NONE);
        }
        &mut self.rows[place]
    }

    /// The slot is another session's from now on.
    pub(crate) fn begin(&mut self, slot: Slot) -> &mut Relayed {
        let row = self.get_mut(slot);
        *row = Relayed::NONE;
        row
    }

    /// The session of this name has ended with this report, which was a Stop or the last one before it, and had begun with a Start
    /// of this Event-Timestamp.
    pub(crate) fn end(&mut self, hash: u64, at: Mono, event: Event, started: u32, by_stop: bool) {
        let place = place_of(hash);
        if let Some(ended) = self.ended.get_mut(place) {
            *ended = Ended { hash, at, event, started, by_stop };
        }
    }

    /// What a report is whose session is not known, and which began then by its own word.
    pub(crate) fn judge(
        &self,
        hash: u64,
        now: Mono,
        (event, began): (&Event, Mono),
        is_start: bool,
        is_stop: bool,
    ) -> Afterwards {
        let known = self.ended.get(place_of(hash)).filter(|ended| ended.hash == hash);
        let Some(ended) = known.filter(|ended| now < ended.at.plus(ENDED_FOR)) else { return Afterwards::New };
        if is_start {
            let is_its = match event.stamp {
                Some(stamp) => stamp == ended.started,
                // A NAS that has started gives its names again.
                None => ended.by_stop && ended.started == 0 && now < ended.at.plus(LATE_START),
            };
            return if is_its { Afterwards::Again } else { Afterwards::New };
        }
        if is_stop && event.is_stop(&ended.event) {
            return Afterwards::Again;
        }
        let is_older = match (event.stamp, ended.event.stamp) {
            (Some(stamp), Some(end)) => stamp <= end,
            _ => true,
        };
        match is_older && began <= ended.at && event.session_time_s <= ended.event.session_time_s && !is_stop {
            true => Afterwards::Stale,
            false => Afterwards::New,
        }
    }
}

fn place_of(hash: u64) -> usize {
    usize::try_from(hash >> 32).unwrap_or_default() & (ENDED - 1)
}

/// By what reports of a session differ, of what was counted.
pub(crate) fn octets_of(counters: &Counters) -> u64 {
    let (one, other) = (low_of(counters.v4.in_octets), low_of(counters.v4.out_octets));
    u64::from(one) << 32 | u64::from(other)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Mono {
        Mono::from_nanos(seconds * 1_000_000_000)
    }

    fn event(stamp: Option<u32>, session_time_s: u32, octets: u64) -> Event {
        Event { stamp, session_time_s, octets }
    }

    #[test]
    fn an_ending_is_known_for_a_while() {
        let mut sessions = RelayedSessions::default();
        sessions.make_room(1);
        let stop = event(Some(500), 90, 7);
        sessions.end(1 << 40, at(100), stop, 410, true);
        let judge = |hash, now: u64, event: Event, start, stop| {
            let began = at(now.saturating_sub(event.session_time_s.into()));
            sessions.judge(hash, at(now), (&event, began), start, stop)
        };
        for (now, said, is_start, is_stop, expected) in [
            (110, stop, false, true, Afterwards::Again),
            (110, event(None, 90, 7), false, true, Afterwards::Again),
            (110, event(Some(500), 60, 7), false, false, Afterwards::Stale),
            (110, event(Some(470), 60, 5), false, false, Afterwards::Stale),
            (110, event(Some(560), 150, 9), false, false, Afterwards::New),
            (200, event(None, 60, 3), false, false, Afterwards::New),
            (110, event(Some(500), 90, 8), false, true, Afterwards::Again),
            (110, event(Some(504), 90, 7), false, true, Afterwards::Again),
            (110, event(Some(504), 94, 8), false, true, Afterwards::New),
            (110, event(Some(410), 0, 0), true, false, Afterwards::Again),
            (110, event(Some(505), 0, 0), true, false, Afterwards::New),
            (110, event(None, 0, 0), true, false, Afterwards::New),
            (1100, stop, false, true, Afterwards::New),
        ] {
            assert_eq!(judge(1 << 40, now, said, is_start, is_stop), expected, "{said:?} at {now}");
        }
        assert_eq!(judge(2 << 40, 110, stop, false, true), Afterwards::New);
    }

    #[test]
    fn a_late_start_without_a_stamp_is_that_of_the_one_that_has_ended() {
        let mut sessions = RelayedSessions::default();
        sessions.make_room(1);
        sessions.end(9, at(100), event(None, 90, 7), 0, true);
        let start = event(None, 0, 0);
        assert_eq!(sessions.judge(9, at(110), (&start, at(110)), true, false), Afterwards::Again);
        assert_eq!(sessions.judge(9, at(170), (&start, at(170)), true, false), Afterwards::New);
        sessions.end(9, at(200), event(None, 90, 7), 0, false);
        assert_eq!(sessions.judge(9, at(210), (&start, at(210)), true, false), Afterwards::New, "its NAS was started");
    }
}
