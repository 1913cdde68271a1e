//! What a session has counted, out of counters that are not its own: those of an interface or of a map were there before it, and
//! may begin again while it lasts.
//!
//! ```text
//!   total = what counters that are gone have counted + (what the present ones say − what they said when they became its own)
//! ```
//!
//! What counters said when they became the session's may not be known: nobody could read them just then. What is read next stands
//! for it. Little is lost by that, and nothing is counted that may be somebody else's, or that was counted already.

use std::net::IpAddr;

use model::counters::{Counters, Totals};
use model::event::Prefix;
use plane::sweep::Subject;
use serde::{Deserialize, Serialize};

/// Where a session is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Origin {
    /// By whoever tells of it.
    Told,
    /// At the network interface of this index.
    Interface(u32),
    /// In a map, for this prefix. The last says which map, by where it is pinned and what stands in it.
    Entry(IpAddr, u8, u64),
}

impl Origin {
    /// Where a subject is counted; `map` says in which map.
    pub(crate) fn of(subject: Subject, map: u64) -> Origin {
        match subject {
            Subject::Interface(index) => Origin::Interface(index),
            Subject::V4(address) => Origin::Entry(address.into(), 32, map),
            Subject::V6(prefix) => Origin::Entry(prefix.address.into(), prefix.length, map),
        }
    }

    /// What is swept there; `None`: nothing is.
    pub(crate) fn subject(self) -> Option<Subject> {
        match self {
            Origin::Told => None,
            Origin::Interface(index) => Some(Subject::Interface(index)),
            Origin::Entry(IpAddr::V4(address), ..) => Some(Subject::V4(address)),
            Origin::Entry(IpAddr::V6(address), length, _) => Some(Subject::V6(Prefix { address, length })),
        }
    }
}

/// The totals of one session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Tally {
    /// What was counted by counters that are gone.
    #[serde(with = "numbers")]
    carried: Counters,
    /// Where it is counted; `None`: nowhere yet.
    origin: Option<Origin>,
    /// What the counters say, as far as that is known.
    present: Option<Present>,
}

/// The present counters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Present {
    /// What stood in them when they became the session's.
    #[serde(with = "numbers")]
    base: Counters,
    /// What was read last.
    #[serde(with = "numbers")]
    read: Counters,
}

impl Tally {
    /// A session that has counted nothing. `base`: what its counters say as it begins, if that is known.
    pub(crate) fn from_here(origin: Origin, base: Option<Counters>) -> Tally {
        let present = base.map(|base| Present { base, read: base });
        Tally { carried: Counters::ZERO, origin: Some(origin), present }
    }

    /// Where it is counted.
    pub(crate) fn origin(&self) -> Option<Origin> {
        self.origin
    }

    /// What the session has counted since it came up.
    pub(crate) fn total(&self) -> Counters {
        self.carried.plus(self.present.map(|present| present.read.minus(present.base)).unwrap_or_default())
    }

    /// What was read last.
    pub(crate) fn last(&self) -> Option<Counters> {
        self.present.map(|present| present.read)
    }

    /// The counters were read. A direction that says less than before has begun again at zero; the others go on. True: something else
    /// than the reading has changed.
    pub(crate) fn take(&mut self, read: Counters) -> bool {
        let Some(present) = self.present else {
            self.present = Some(Present { base: read, read });
            return true;
        };
        let (before, now) = (directions(present.read), directions(read));
        let fell = std::array::from_fn(|at| now[at].0 < before[at].0 || now[at].1 < before[at].1);
        if fell.contains(&true) {
            let only = |of: Counters| only(of, fell);
            self.carried = self.carried.plus(only(present.read.minus(present.base)));
            let base = present.base.minus(only(present.base));
            self.present = Some(Present { base, read });
            return true;
        }
        self.present = Some(Present { read, ..present });
        false
    }

    /// The counters were read for the last time. Less than before is no new beginning then: of a pair of interfaces that was taken
    /// apart one direction is not told any more.
    pub(crate) fn take_last(&mut self, read: Counters) -> bool {
        self.take(self.last().map_or(read, |last| read.most(last)))
    }

    /// A reading of an earlier life, behind that which stands here.
    pub(crate) fn recall(&mut self, read: Counters) {
        if let Some(present) = &mut self.present {
            present.read = read;
        }
    }

    /// Other counters count from now on. `base`: what they say already, if that is known.
    pub(crate) fn go_on_from(&mut self, origin: Origin, base: Option<Counters>) {
        *self = Tally { carried: self.total(), ..Tally::from_here(origin, base) };
    }

    /// Nothing counts any more.
    pub(crate) fn stand_still(&mut self) {
        *self = Tally { carried: self.total(), origin: None, present: None };
    }

    /// The counters begin again at zero.
    pub(crate) fn begin_again(&mut self) {
        let zero = Present { base: Counters::ZERO, read: Counters::ZERO };
        *self = Tally { carried: self.total(), present: Some(zero), ..*self };
    }
}

/// Octets and packets of each direction of each family.
fn directions(Counters { v4, v6 }: Counters) -> [(u64, u64); 4] {
    let inward = |of: Totals| (of.in_octets, of.in_packets);
    let outward = |of: Totals| (of.out_octets, of.out_packets);
    [inward(v4), outward(v4), inward(v6), outward(v6)]
}

/// What was counted in these directions, and nothing in the others.
fn only(of: Counters, [v4_in, v4_out, v6_in, v6_out]: [bool; 4]) -> Counters {
    let family = |of: Totals, inward: bool, outward: bool| Totals {
        in_octets: of.in_octets * u64::from(inward),
        in_packets: of.in_packets * u64::from(inward),
        out_octets: of.out_octets * u64::from(outward),
        out_packets: of.out_packets * u64::from(outward),
    };
    Counters { v4: family(of.v4, v4_in, v4_out), v6: family(of.v6, v6_in, v6_out) }
}

/// Counters as eight numbers.
mod numbers {
    use serde::{Deserializer, Serializer};

    use super::{Counters, Deserialize, Serialize, Totals};

    pub(super) fn serialize<S: Serializer>(counters: &Counters, serializer: S) -> Result<S::Ok, S::Error> {
        [counters.v4.fields(), counters.v6.fields()].serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Counters, D::Error> {
        let [v4, v6] = <[[u64; 4]; 2]>::deserialize(deserializer)?;
        Ok(Counters { v4: Totals::from_fields(v4), v6: Totals::from_fields(v6) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn octets(in_octets: u64) -> Counters {
        Counters { v4: Totals { in_octets, ..Totals::default() }, ..Counters::ZERO }
    }

    const PPP: Origin = Origin::Interface(3);

    #[test]
    fn what_was_there_before_is_nobody_s_and_what_is_gone_is_kept() {
        let mut tally = Tally::from_here(PPP, Some(octets(100)));
        assert_eq!(tally.total(), Counters::ZERO);
        for (read, total) in [(150, 50), (160, 60), (5, 65)] {
            assert_eq!(tally.take(octets(read)), read == 5);
            assert_eq!(tally.total(), octets(total), "{read}");
        }
        tally.go_on_from(Origin::Interface(9), Some(octets(700)));
        tally.take(octets(701));
        assert_eq!(tally.total(), octets(66));
        tally.begin_again();
        tally.take(octets(4));
        assert_eq!(tally.total(), octets(70));
        let text = serde_json::to_string(&tally).unwrap();
        assert_eq!(serde_json::from_str::<Tally>(&text).unwrap(), tally);
    }

    #[test]
    fn what_counters_said_when_nobody_could_read_them_is_not_counted() {
        let mut tally = Tally::from_here(PPP, None);
        for (read, total) in [(5_000, 0), (5_010, 10)] {
            assert_eq!(tally.take(octets(read)), total == 0);
            assert_eq!(tally.total(), octets(total));
        }
        tally.go_on_from(Origin::Told, None);
        for (read, total) in [(9_000, 10), (9_001, 11)] {
            tally.take(octets(read));
            assert_eq!(tally.total(), octets(total));
        }
        tally.stand_still();
        assert_eq!((tally.total(), tally.origin()), (octets(11), None));
    }

    #[test]
    fn a_direction_that_begins_again_takes_no_other_with_it() {
        let of = |in_octets, out_octets, v6: u64| Counters {
            v4: Totals { in_octets, out_octets, ..Totals::default() },
            v6: Totals { in_octets: v6, ..Totals::default() },
        };
        let mut tally = Tally::from_here(PPP, Some(of(1_000, 2_000_000, 7)));
        for (read, total) in [
            (of(1_500, 2_000_500, 8), of(500, 500, 1)),
            (of(100, 2_000_600, 9), of(600, 600, 2)),
            (of(110, 5, 9), of(610, 605, 2)),
            (of(111, 6, 1), of(611, 606, 3)),
        ] {
            tally.take(read);
            assert_eq!(tally.total(), total, "{read:?}");
        }
    }

    #[test]
    fn a_last_reading_is_never_less() {
        let mut tally = Tally::from_here(PPP, Some(Counters::ZERO));
        let (both, one) = (Totals { in_octets: 10, out_octets: 20, ..Totals::default() }, 25);
        tally.take(Counters { v4: both, ..Counters::ZERO });
        tally.take_last(Counters { v4: Totals { in_octets: 0, out_octets: one, ..both }, ..Counters::ZERO });
        assert_eq!(tally.total().v4, Totals { out_octets: one, ..both });
    }
}
