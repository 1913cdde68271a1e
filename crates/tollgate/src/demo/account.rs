//! The account: what the plane counted is held against what the server heard and what the bills hold, session by
//! session and in sum.

use std::path::Path;

use model::counters::Totals;
use model::record::{Bill, Delivered};
use wire::radius::attribute::{Attributes, Type, as_u32};

use super::server::Hearsay;
use crate::bills::BillReader;
use crate::exit::Failure;
use crate::run::disk::CardDirectory;

/// One bill.
#[derive(Clone, Copy, Debug)]
pub(super) struct Billed {
    /// The life that Class names.
    life: Option<u32>,
    totals: Totals,
    delivered: Delivered,
}

/// Sessions, and their octets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Sum {
    pub(super) sessions: u64,
    pub(super) in_octets: u64,
    pub(super) out_octets: u64,
}

impl Sum {
    fn add(&mut self, totals: Totals) {
        self.sessions += 1;
        self.in_octets += totals.in_octets;
        self.out_octets += totals.out_octets;
    }
}

/// What does not agree, by name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Differences {
    /// Sessions that were not let in.
    pub(super) refused: u64,
    /// Sessions that have neither a Stop nor a bill.
    pub(super) untold: u64,
    /// Stops with other numbers than the plane's.
    pub(super) wrong_stops: u64,
    /// Bills with other numbers than the plane's.
    pub(super) wrong_bills: u64,
    /// Sessions told twice: two Stops that differ, or two bills.
    pub(super) told_twice: u64,
    /// Stops and bills of sessions that the plane does not know.
    pub(super) strangers: u64,
}

/// The account of one play.
#[derive(Clone, Debug, Default)]
pub(super) struct Account {
    pub(super) counted: Sum,
    /// Sessions whose octets in one direction need more than 33 bits.
    pub(super) large: u64,
    pub(super) starts: u64,
    pub(super) interims: u64,
    /// Sessions that the server heard an interim of.
    pub(super) with_interims: u64,
    pub(super) stops: Sum,
    pub(super) bills: Sum,
    /// Bills whose Stop was sent and not answered.
    pub(super) delivery_unknown: u64,
    /// In a Stop that the server heard, and in a bill.
    pub(super) both: Sum,
    pub(super) differences: Differences,
}

impl Account {
    /// Holds one against the other. `lives`: what the plane counted of each; `None`: it was not let in.
    pub(super) fn settle(lives: &[Option<Totals>], heard: &Hearsay, bills: &[Billed]) -> Account {
        let mut account = Account::default();
        let mut told = vec![Told::default(); lives.len()];
        for session in heard.values() {
            account.starts += u64::from(session.started);
            account.interims += u64::from(session.interims);
            account.with_interims += u64::from(session.interims > 0);
            account.differences.told_twice += u64::from(session.contradicted);
            if let Some(totals) = session.stopped {
                account.stops.add(totals);
                let known = session.life.and_then(|life| told.get_mut(life as usize));
                account.differences.note(known.map(|told| &mut told.stop), totals);
            }
        }
        for bill in bills {
            account.bills.add(bill.totals);
            account.delivery_unknown += u64::from(bill.delivered == Delivered::Unknown);
            let known = bill.life.and_then(|life| told.get_mut(life as usize));
            account.differences.note(known.map(|told| &mut told.bill), bill.totals);
        }
        for (&life, told) in lives.iter().zip(&told) {
            account.hold(life, told);
        }
        account
    }

    fn hold(&mut self, counted: Option<Totals>, told: &Told) {
        let Some(counted) = counted else {
            self.differences.refused += 1;
            return;
        };
        self.counted.add(counted);
        self.large += u64::from(counted.in_octets.max(counted.out_octets) > 1 << 33);
        let counted = on_the_wire(counted);
        self.differences.wrong_stops += u64::from(told.stop.is_some_and(|stop| on_the_wire(stop) != counted));
        self.differences.wrong_bills += u64::from(told.bill.is_some_and(|bill| on_the_wire(bill) != counted));
        match (told.stop, told.bill) {
            (Some(stop), Some(_)) => self.both.add(stop),
            (None, None) => self.differences.untold += 1,
            _ => {}
        }
    }

    /// Stops and bills together, each session once.
    pub(super) fn told(&self) -> Sum {
        let once = |stops: u64, bills: u64, both: u64| (stops + bills).wrapping_sub(both);
        Sum {
            sessions: once(self.stops.sessions, self.bills.sessions, self.both.sessions),
            in_octets: once(self.stops.in_octets, self.bills.in_octets, self.both.in_octets),
            out_octets: once(self.stops.out_octets, self.bills.out_octets, self.both.out_octets),
        }
    }

    /// Whether every octet that was counted is told, once.
    pub(super) fn is_balanced(&self) -> bool {
        self.differences == Differences::default() && self.told() == self.counted
    }
}

impl Differences {
    /// Notes a Stop or a bill at its place.
    fn note(&mut self, place: Option<&mut Option<Totals>>, totals: Totals) {
        match place {
            None => self.strangers += 1,
            Some(place) => self.told_twice += u64::from(place.replace(totals).is_some()),
        }
    }
}

/// What is told of one life.
#[derive(Clone, Copy, Debug, Default)]
struct Told {
    stop: Option<Totals>,
    bill: Option<Totals>,
}

/// Of packets a request carries the low 32 bits (RFC 2866 section 5.8); octets are whole.
fn on_the_wire(totals: Totals) -> Totals {
    let low = |packets: u64| packets & u64::from(u32::MAX);
    Totals { in_packets: low(totals.in_packets), out_packets: low(totals.out_packets), ..totals }
}

/// The bills of a store that lies still, as its recovery finds them.
pub(super) fn read_bills(state_dir: &Path) -> Result<Vec<Billed>, Failure> {
    let card = CardDirectory::new(None, state_dir);
    let mut reader = BillReader::new(state_dir, card.path());
    let bills = crate::bills::stored(state_dir)?;
    bills.iter().map(|kept| Ok(billed(&reader.bill(kept)?))).collect()
}

fn billed(bill: &Bill<'_>) -> Billed {
    let mut attributes = Attributes::of_run(bill.opened.attributes);
    let class = attributes.find(|attribute| attribute.kind == Type::CLASS);
    let counters = bill.closed.counters;
    Billed {
        life: class.and_then(|class| as_u32(class.value)),
        totals: counters.v4.plus(counters.v6),
        delivered: bill.delivered,
    }
}

#[cfg(test)]
mod tests {
    use super::super::server::Heard;
    use super::*;

    fn octets(in_octets: u64) -> Totals {
        Totals { in_octets, out_octets: 2 * in_octets, ..Totals::default() }
    }

    /// Lives that moved these octets; Stops and bills as pairs of a life and octets.
    fn settle(lives: &[u64], stops: &[(u32, u64)], bills: &[(u32, u64)]) -> Account {
        let lives: Vec<Option<Totals>> = lives.iter().map(|&moved| Some(octets(moved))).collect();
        let heard = stops.iter().enumerate().map(|(index, &(life, told))| {
            let heard = Heard { life: Some(life), stopped: Some(octets(told)), ..Heard::default() };
            (index.to_string().into_bytes().into(), heard)
        });
        let bills: Vec<Billed> = bills
            .iter()
            .map(|&(life, told)| Billed { life: Some(life), totals: octets(told), delivered: Delivered::Unknown })
            .collect();
        Account::settle(&lives, &heard.collect(), &bills)
    }

    #[test]
    fn what_is_told_once_or_in_both_ways_is_balanced() {
        let account = settle(&[5, 1 << 40, 0], &[(0, 5), (2, 0)], &[(1, 1 << 40), (0, 5)]);
        assert!(account.is_balanced(), "{account:?}");
        assert_eq!(account.both, Sum { sessions: 1, in_octets: 5, out_octets: 10 });
        assert_eq!(account.large, 1);
    }

    #[test]
    fn every_difference_is_named() {
        let none = Differences::default();
        for (name, stops, bills, expected) in [
            ("neither", &[(0, 5)][..], &[][..], Differences { untold: 1, ..none }),
            ("one octet", &[(0, 5), (1, 8)], &[], Differences { wrong_stops: 1, ..none }),
            ("one octet of a bill", &[(0, 5)], &[(1, 6)], Differences { wrong_bills: 1, ..none }),
            ("two bills", &[(0, 5)], &[(1, 7), (1, 7)], Differences { told_twice: 1, ..none }),
            ("a stranger", &[(0, 5), (1, 7), (2, 0)], &[], Differences { strangers: 1, ..none }),
        ] {
            let account = settle(&[5, 7], stops, bills);
            assert_eq!(account.differences, expected, "{name}");
            assert!(!account.is_balanced(), "{name}");
        }
    }

    #[test]
    fn who_was_not_let_in_is_a_difference() {
        let account = Account::settle(&[None], &Hearsay::new(), &[]);
        assert_eq!(account.differences, Differences { refused: 1, ..Differences::default() });
    }
}
