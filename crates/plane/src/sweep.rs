//! Counters that are fetched by the sweep: who is asked for, and what is answered.
//!
//! A source answers a batch of [`Subject`]s with [`Reading`]s. A source that finds somebody else behind a subject gives the next
//! readings another generation, and may do so where totals have begun again at zero. Within one generation the totals of a direction
//! grow, or they have fallen because that direction has begun again: who adds readings up looks at each by itself.
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
    /// Totals, as they stand there.
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

#[cfg(test)]
#[cfg(not(loom))]
mod tests {
    use super::*;

    #[test]
    fn families_are_kept_apart() {
        let totals = Totals { out_packets: 7, ..Totals::default() };
        assert_eq!(Subject::V4(Ipv4Addr::LOCALHOST).counters(totals).v4, totals);
        let prefix = Prefix { address: std::net::Ipv6Addr::LOCALHOST, length: 128 };
        assert_eq!(Subject::V6(prefix).counters(totals), Counters { v6: totals, ..Counters::ZERO });
    }
}
