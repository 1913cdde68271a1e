//! What the detail file and the local bills say of each subscriber, and whether that is what the plane counted.

use std::collections::HashMap;
use std::fmt;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use model::counters::Totals;
use serde_json::Value;

use crate::detail::{self, Kind, Record};

/// Of what is wrong, so much is told.
const TOLD: usize = 10;

/// Of one subscriber, who has one session.
#[derive(Debug, Clone, Default)]
struct Entry {
    session: Option<Box<str>>,
    starts: u32,
    interims: u32,
    /// The most that an interim told.
    most: Totals,
    stops: u32,
    stop: Option<Totals>,
    bill: Option<Bill>,
}

#[derive(Debug, Clone, Copy)]
struct Bill {
    totals: Totals,
    /// A Stop was sent, and nobody knows whether it came.
    may_be_delivered: bool,
}

pub(crate) struct Books {
    entries: Vec<Entry>,
    wrong: Vec<String>,
    torn: u64,
}

/// How many of what there were.
#[derive(Debug, Default)]
pub(crate) struct Sums {
    sessions: usize,
    /// In the detail file, in bills, and in both.
    stops: u64,
    bills: u64,
    both: u64,
    interims: u64,
    /// Starts and Stops that repeat another.
    repeated: u64,
    without_start: u64,
    torn: u64,
    octets: u128,
    octets_of_bills: u128,
}

impl Books {
    pub(crate) fn new(sessions: u32) -> Books {
        Books { entries: vec![Entry::default(); sessions as usize], wrong: Vec::new(), torn: 0 }
    }

    /// How many octets the file has.
    ///
    /// # Errors
    /// It cannot be read.
    pub(crate) fn read_detail(&mut self, path: &Path) -> Result<u64> {
        let mut wrong = std::mem::take(&mut self.wrong);
        let (octets, torn) = detail::read(path, |record| {
            if record.kind != Some(Kind::Other) {
                self.add(record, &mut wrong);
            }
            Ok(())
        })?;
        (self.wrong, self.torn) = (wrong, torn);
        Ok(octets)
    }

    fn add(&mut self, record: &Record, wrong: &mut Vec<String>) {
        let Some(entry) = entry(&mut self.entries, &record.user) else {
            wrong.push(format!("nobody is called {:?}", record.user));
            return;
        };
        entry.belongs_to(&record.session, &record.user, wrong);
        match record.kind {
            Some(Kind::Start) => entry.starts += 1,
            Some(Kind::Interim) => {
                entry.interims += 1;
                entry.most = most(entry.most, record.totals);
            }
            Some(Kind::Stop) => {
                entry.stops += 1;
                if *entry.stop.get_or_insert(record.totals) != record.totals {
                    wrong.push(format!("{} has two Stops that differ", record.user));
                }
            }
            Some(Kind::Other) | None => {}
        }
    }

    /// A line of JSON for each bill.
    ///
    /// # Errors
    /// A line makes no sense.
    pub(crate) fn read_bills(&mut self, text: &str) -> Result<()> {
        for line in text.lines() {
            let bill: Value = serde_json::from_str(line)?;
            let text = |name: &str| bill[name].as_str().with_context(|| format!("a bill without {name}: {line}"));
            let number = |name: &str| bill[name].as_u64().with_context(|| format!("a bill without {name}: {line}"));
            let (user, session) = (text("user")?, text("session")?);
            let totals = Totals {
                in_octets: number("in_octets")?,
                in_packets: number("in_packets")?,
                out_octets: number("out_octets")?,
                out_packets: number("out_packets")?,
            };
            let may_be_delivered = text("delivered")? == "unknown";
            let Some(entry) = entry(&mut self.entries, user) else { bail!("a bill of nobody: {line}") };
            entry.belongs_to(session, user, &mut self.wrong);
            if entry.bill.replace(Bill { totals, may_be_delivered }).is_some() {
                self.wrong.push(format!("{user} has two bills"));
            }
        }
        Ok(())
    }

    /// Holds everybody against what the plane has counted.
    ///
    /// # Errors
    /// Somebody is missing, or was told of twice, or not to the octet.
    pub(crate) fn check(mut self, truth: &[Totals]) -> Result<Sums> {
        let mut sums = Sums { sessions: truth.len(), torn: self.torn, ..Sums::default() };
        let mut sessions = HashMap::with_capacity(truth.len());
        for (number, (entry, moved)) in self.entries.iter().zip(truth).enumerate() {
            let mut is_wrong = |what: &str| self.wrong.push(format!("user{number:07}: {what}: {entry:?}, {moved:?}"));
            if let Some(session) = &entry.session
                && sessions.insert(session.clone(), number).is_some()
            {
                is_wrong("its session is another's too");
            }
            match (entry.stop, entry.bill) {
                (None, None) => is_wrong("neither a Stop nor a bill"),
                (Some(_), Some(bill)) if !bill.may_be_delivered => is_wrong("a Stop, and a bill that denies it"),
                (stop, bill) => {
                    let told = stop.into_iter().chain(bill.map(|bill| bill.totals));
                    if told.into_iter().any(|told| told != *moved) {
                        is_wrong("not what it has moved");
                    }
                }
            }
            if most(entry.most, *moved) != *moved {
                is_wrong("an interim tells more than it has moved");
            }
            sums.add(entry, *moved);
        }
        let count = self.wrong.len();
        self.wrong.truncate(TOLD);
        ensure!(count == 0, "{count} things are wrong, such as\n{}", self.wrong.join("\n"));
        Ok(sums)
    }
}

impl Entry {
    fn belongs_to(&mut self, session: &str, user: &str, wrong: &mut Vec<String>) {
        match &self.session {
            None => self.session = Some(session.into()),
            Some(own) if **own == *session => {}
            Some(own) => wrong.push(format!("{user} has two sessions, {own} and {session}")),
        }
    }
}

impl Sums {
    fn add(&mut self, entry: &Entry, moved: Totals) {
        let octets = u128::from(moved.in_octets) + u128::from(moved.out_octets);
        self.octets += octets;
        self.stops += u64::from(entry.stop.is_some());
        self.bills += u64::from(entry.bill.is_some());
        self.both += u64::from(entry.stop.is_some() && entry.bill.is_some());
        if entry.stop.is_none() {
            self.octets_of_bills += octets;
        }
        self.interims += u64::from(entry.interims);
        self.repeated += u64::from(entry.starts.saturating_sub(1)) + u64::from(entry.stops.saturating_sub(1));
        self.without_start += u64::from(entry.starts == 0);
    }
}

impl fmt::Display for Sums {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Sums { sessions, stops, bills, both, interims, repeated, without_start, torn, octets, octets_of_bills } =
            self;
        writeln!(
            f,
            "{sessions} sessions, each accounted for once: {stops} by a Stop in the detail file, {bills} by a bill, {both} of them by both, and the bill says so"
        )?;
        writeln!(
            f,
            "{interims} interims; {repeated} Starts and Stops repeat another and say the same; {without_start} have no Start; {torn} records are torn"
        )?;
        write!(f, "{octets} octets as the plane counted them, {octets_of_bills} of them by bills alone")
    }
}

fn most(one: Totals, two: Totals) -> Totals {
    Totals {
        in_octets: one.in_octets.max(two.in_octets),
        in_packets: one.in_packets.max(two.in_packets),
        out_octets: one.out_octets.max(two.out_octets),
        out_packets: one.out_packets.max(two.out_packets),
    }
}

/// `user0000042@isp`
fn entry<'a>(entries: &'a mut [Entry], user: &str) -> Option<&'a mut Entry> {
    let number: usize = user.strip_prefix("user")?.strip_suffix("@isp")?.parse().ok()?;
    entries.get_mut(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOVED: Totals = Totals { in_octets: 5, in_packets: 1, out_octets: 9, out_packets: 2 };

    fn record(kind: Kind, user: u32, session: &str, totals: Totals) -> Record {
        Record { kind: Some(kind), session: session.into(), user: format!("user{user:07}@isp"), totals }
    }

    fn bill(user: u32, session: &str, octets: u64, delivered: &str) -> String {
        format!(
            "{{\"user\":\"user{user:07}@isp\",\"session\":\"{session}\",\"in_octets\":{octets},\"in_packets\":1,\
             \"out_octets\":9,\"out_packets\":2,\"delivered\":\"{delivered}\"}}\n"
        )
    }

    /// What is wrong with the books of one subscriber who has moved that.
    fn wrong(records: &[Record], bills: &str) -> String {
        let mut books = Books::new(1);
        let mut wrong = Vec::new();
        records.iter().for_each(|record| books.add(record, &mut wrong));
        books.wrong = wrong;
        let checked = books.read_bills(bills).and_then(|()| books.check(&[MOVED]));
        checked.map_or_else(|error| format!("{error:#}"), |_| String::new())
    }

    #[test]
    fn a_stop_or_a_bill_or_a_bill_that_may_be_delivered_is_right() {
        let stop = || record(Kind::Stop, 0, "a", MOVED);
        assert_eq!(wrong(&[stop(), stop()], ""), "");
        assert_eq!(wrong(&[], &bill(0, "a", 5, "no")), "");
        assert_eq!(wrong(&[stop()], &bill(0, "a", 5, "unknown")), "");
    }

    #[test]
    fn whatever_is_missing_or_too_much_is_found() {
        let stop = |session: &str, totals| record(Kind::Stop, 0, session, totals);
        let more = Totals { out_octets: 10, ..MOVED };
        for (records, bills, what) in [
            (vec![], String::new(), "neither"),
            (vec![stop("a", more)], String::new(), "not what it has moved"),
            (vec![stop("a", MOVED), stop("a", more)], String::new(), "differ"),
            (vec![stop("a", MOVED), stop("b", MOVED)], String::new(), "two sessions"),
            (vec![stop("a", MOVED)], bill(0, "a", 5, "no"), "denies"),
            (vec![stop("a", MOVED)], bill(0, "a", 6, "unknown"), "not what it has moved"),
            (vec![], bill(0, "a", 5, "no").repeat(2), "two bills"),
            (vec![stop("a", MOVED), record(Kind::Interim, 0, "a", more)], String::new(), "an interim tells more"),
            (vec![stop("a", MOVED), record(Kind::Start, 7, "c", MOVED)], String::new(), "nobody is called"),
        ] {
            let found = wrong(&records, &bills);
            assert!(found.contains(what), "{what}: {found}");
        }
    }
}
