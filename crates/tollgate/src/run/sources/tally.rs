//! What a session has counted, out of counters that are not its own: those of an interface or of a map were there before it, and
//! may begin again while it lasts.

use model::counters::{Counters, Totals};
use serde::{Deserialize, Serialize};

/// The totals of one session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Tally {
    /// What was counted by counters that are gone.
    #[serde(with = "numbers")]
    carried: Counters,
    /// What stood in the present ones when the session began.
    #[serde(with = "numbers")]
    pub(crate) base: Counters,
    /// What was read last.
    #[serde(with = "numbers")]
    read: Counters,
    /// Which counters these are: the number of an interface, or 0.
    pub(crate) from: u32,
}

impl Tally {
    /// A session whose counters stand here when it begins.
    pub(crate) fn from_here(from: u32, base: Counters) -> Tally {
        Tally { carried: Counters::ZERO, base, read: base, from }
    }

    /// What the session has counted since it came up.
    pub(crate) fn total(&self) -> Counters {
        self.carried.plus(self.read.minus(self.base))
    }

    /// The counters were read. Others than before, or less than before: what is there was counted from zero, and true is said.
    pub(crate) fn take(&mut self, from: u32, read: Counters) -> bool {
        let others = from != self.from || read.falls_below(self.read);
        if others {
            self.begin_again();
            self.from = from;
        }
        self.read = read;
        others
    }

    /// The counters were read for the last time. Less than before is no new beginning then: of a pair of interfaces that was taken
    /// apart one direction is not told any more.
    pub(crate) fn take_last(&mut self, from: u32, read: Counters) -> bool {
        if from == self.from { self.take(from, read.most(self.read)) } else { self.take(from, read) }
    }

    /// Other counters count from now on, which say this much already.
    pub(crate) fn go_on_from(&mut self, from: u32, base: Counters) {
        *self = Tally { carried: self.total(), base, read: base, from };
    }

    /// The counters begin again at zero.
    pub(crate) fn begin_again(&mut self) {
        *self = Tally { carried: self.total(), base: Counters::ZERO, read: Counters::ZERO, from: self.from };
    }
}

/// Counters as eight numbers.
mod numbers {
    use serde::{Deserializer, Serializer};

    use super::{Counters, Deserialize, Serialize, Totals};

    pub(super) fn serialize<S: Serializer>(counters: &Counters, serializer: S) -> Result<S::Ok, S::Error> {
        let of = |totals: Totals| [totals.in_octets, totals.in_packets, totals.out_octets, totals.out_packets];
        [of(counters.v4), of(counters.v6)].serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Counters, D::Error> {
        let [v4, v6] = <[[u64; 4]; 2]>::deserialize(deserializer)?;
        let of = |[in_octets, in_packets, out_octets, out_packets]: [u64; 4]| Totals {
            in_octets,
            in_packets,
            out_octets,
            out_packets,
        };
        Ok(Counters { v4: of(v4), v6: of(v6) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn octets(in_octets: u64) -> Counters {
        Counters { v4: Totals { in_octets, ..Totals::default() }, ..Counters::ZERO }
    }

    #[test]
    fn what_was_there_before_is_nobody_s_and_what_is_gone_is_kept() {
        let mut tally = Tally::from_here(3, octets(100));
        assert_eq!(tally.total(), Counters::ZERO);
        for (from, read, total) in [(3, 150, 50), (3, 160, 60), (3, 5, 65), (9, 700, 765), (9, 701, 766)] {
            tally.take(from, octets(read));
            assert_eq!(tally.total(), octets(total), "{from}, {read}");
        }
        tally.begin_again();
        tally.take(9, octets(4));
        assert_eq!(tally.total(), octets(770));
        let text = serde_json::to_string(&tally).unwrap();
        assert_eq!(serde_json::from_str::<Tally>(&text).unwrap(), tally);
    }
}
