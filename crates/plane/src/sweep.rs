//! Counters that are fetched by the sweep: who is asked for, what is answered, and what a session makes of it.
//!
//! A source answers a batch of [`Subject`]s with [`Reading`]s. Within one generation the totals of a subject only grow. A
//! source that finds them fallen, or finds somebody else behind the subject, gives the next readings another generation;
//! then they have begun at zero again. A [`Meter`] adds the readings of one session up over all generations, so that
//! nothing is lost that was read, and nothing is counted twice.
//!
//! Directions: *in* is what the subscriber sent, as everywhere. On an interface of the BNG that is what was received (RX).

use std::net::Ipv4Addr;

use model::counters::{Counters, Totals};
use model::event::Prefix;

/// Whose counters are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Subject {
    /// A network interface, by its index. Its totals are [`Counters::v4`], for an interface does not tell families apart.
    Interface(u32),
    /// A subscriber by its IPv4 address. Its totals are [`Counters::v4`].
    V4(Ipv4Addr),
    /// A subscriber by its IPv6 prefix, an address where the length is 128. Its totals are [`Counters::v6`].
    V6(Prefix),
}

impl Subject {
    /// Totals of this subject, in the family that they belong to.
    pub fn counters(self, totals: Totals) -> Counters {
        match self {
            Subject::Interface(_) | Subject::V4(_) => Counters { v4: totals, ..Counters::ZERO },
            Subject::V6(_) => Counters { v6: totals, ..Counters::ZERO },
        }
    }
}

/// What stands in a source for one subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    /// Totals since the generation began.
    pub counters: Counters,
    /// Who or what counted them; never 0. Numbers mean nothing beyond being equal, and are not reused while the source lives.
    pub generation: u32,
}

/// A subject that is gone for good, with what it had counted at its end. Whoever is found behind the same [`Subject`] later
/// is somebody else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended {
    /// Who it was.
    pub subject: Subject,
    /// Its last reading, of the generation that it had.
    pub reading: Reading,
}

/// What one session has moved, from the readings of one subject.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Meter {
    /// Counted in generations that are over.
    carried: Counters,
    /// What the last reading's generation had counted before the session came up.
    begin: Counters,
    last: Option<Reading>,
}

impl Meter {
    /// A session that came up together with its subject: everything that the subject ever counts is the session's.
    pub fn from_birth() -> Meter {
        Meter::default()
    }

    /// A session that came up on a subject which had counted this much for somebody else.
    pub fn from_now(reading: Reading) -> Meter {
        Meter { carried: Counters::ZERO, begin: reading.counters, last: Some(reading) }
    }

    /// Takes a new reading, and says what the session has moved.
    pub fn read(&mut self, reading: Reading) -> Counters {
        if self.last.is_some_and(|last| last.generation != reading.generation) {
            self.carried = self.moved();
            self.begin = Counters::ZERO;
        }
        self.last = Some(reading);
        self.moved()
    }

    /// What the session has moved, by the last reading.
    pub fn moved(&self) -> Counters {
        self.last.map_or(self.carried, |last| self.carried.plus(last.counters.minus(self.begin)))
    }

    /// The generation of the last reading, if there was one.
    pub fn generation(&self) -> Option<u32> {
        self.last.map(|last| last.generation)
    }
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests {
    use super::*;

    fn reading(generation: u32, in_octets: u64) -> Reading {
        let totals = Totals { in_octets, ..Totals::default() };
        Reading { counters: Subject::Interface(1).counters(totals), generation }
    }

    /// Feeds the readings; what the session has moved after each.
    fn check(mut meter: Meter, readings: &[(u32, u64)], moved: &[u64]) {
        for (&(generation, octets), &expected) in readings.iter().zip(moved) {
            assert_eq!(meter.read(reading(generation, octets)).octets(), expected, "{generation} {octets}");
            assert_eq!(meter.moved().octets(), expected);
        }
    }

    #[test]
    fn a_session_moves_what_its_subject_counts() {
        check(Meter::from_birth(), &[(3, 5), (3, 5), (3, 9)], &[5, 5, 9]);
        assert_eq!(Meter::from_birth().moved(), Counters::ZERO);
    }

    #[test]
    fn what_stood_there_before_is_not_the_session_s() {
        check(Meter::from_now(reading(3, 100)), &[(3, 100), (3, 130)], &[0, 30]);
    }

    #[test]
    fn a_new_generation_adds_to_what_was_read() {
        check(Meter::from_now(reading(3, 100)), &[(3, 130), (4, 7), (4, 8), (9, 0), (9, 2)], &[30, 37, 38, 38, 40]);
        check(Meter::from_birth(), &[(3, 5), (4, 7)], &[5, 12]);
    }

    #[test]
    fn families_are_kept_apart() {
        let totals = Totals { out_packets: 7, ..Totals::default() };
        assert_eq!(Subject::V4(Ipv4Addr::LOCALHOST).counters(totals).v4, totals);
        let prefix = Prefix { address: std::net::Ipv6Addr::LOCALHOST, length: 128 };
        assert_eq!(Subject::V6(prefix).counters(totals), Counters { v6: totals, ..Counters::ZERO });
    }
}
