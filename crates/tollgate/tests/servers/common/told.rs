//! Everything that was said of sessions, in detail files and in bills, against what the plane counted.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{Detail, Life, Record, Totals};

/// In how many places sessions were found.
#[derive(Debug, Default)]
pub(crate) struct Places {
    pub(crate) stopped: usize,
    pub(crate) billed: usize,
    pub(crate) both: usize,
    pub(crate) start_failed: usize,
    pub(crate) octets: u64,
}

/// Everything that was said of one session, wherever.
#[derive(Default)]
pub(crate) struct Account<'a> {
    records: Vec<&'a Record>,
    bills: Vec<&'a Value>,
}

/// The accounts by user: each has one session.
pub(crate) struct Told<'a> {
    pub(crate) accounts: BTreeMap<&'a str, Account<'a>>,
}

impl<'a> Told<'a> {
    pub(crate) fn gather(detail: &'a Detail, bills: &'a [Value]) -> Told<'a> {
        let mut accounts: BTreeMap<&str, Account<'_>> = BTreeMap::new();
        for record in &detail.records {
            accounts.entry(record.text("User-Name")).or_default().records.push(record);
        }
        for bill in bills {
            accounts.entry(bill["user"].as_str().unwrap()).or_default().bills.push(bill);
        }
        Told { accounts }
    }

    pub(crate) fn check_all(&self, lives: &[Life]) -> Places {
        let (mut places, mut ids) = (Places::default(), BTreeSet::new());
        for life in lives {
            let account = self.accounts.get(life.user.as_str()).unwrap_or_else(|| panic!("{} is nowhere", life.user));
            let id = account.id(&life.user);
            assert!(ids.insert(id), "{} has another session's id {id}", life.user);
            account.check(life, &mut places);
        }
        assert_eq!(ids.len(), self.accounts.len(), "somebody was accounted for who never came");
        places
    }
}

impl Account<'_> {
    /// The one id that the session has everywhere.
    pub(crate) fn id(&self, user: &str) -> &str {
        let of_bills = self.bills.iter().map(|bill| bill["session"].as_str().unwrap());
        let ids: BTreeSet<&str> = self.records.iter().map(|record| record.session()).chain(of_bills).collect();
        assert_eq!(ids.len(), 1, "{user} has several ids");
        ids.into_iter().next().unwrap()
    }

    fn of(&self, kind: &str) -> impl Iterator<Item = &Record> {
        self.records.iter().copied().filter(move |record| record.text("Acct-Status-Type") == kind)
    }

    /// What its Stops say; a Stop that was sent again says the same.
    pub(crate) fn stop(&self) -> Option<(Totals, &str)> {
        let say = |stop: &Record| (stop.totals(), stop.event_time(), stop.text("Acct-Terminate-Cause").to_owned());
        let mut stops = self.of("Stop");
        let first = stops.next()?;
        for again in stops {
            assert_eq!(say(again), say(first), "{again:?}");
        }
        Some((first.totals(), first.text("Acct-Terminate-Cause")))
    }

    /// It is in one place, exactly, or in both and says so.
    fn check(&self, life: &Life, places: &mut Places) {
        let (user, totals, stop) = (&life.user, life.totals(), self.stop());
        assert!(self.bills.len() < 2, "{user} has two bills: {:?}", self.bills);
        for interim in self.of("Interim-Update") {
            let so_far = interim.totals();
            assert!(so_far.in_octets <= totals.in_octets && so_far.out_octets <= totals.out_octets, "{interim:?}");
        }
        places.octets += totals.in_octets + totals.out_octets;
        let Some(bill) = self.bills.first() else {
            assert_eq!(stop.map(|(totals, _)| totals), Some(totals), "{user}");
            places.stopped += 1;
            return;
        };
        assert_eq!(Totals::of_bill(bill), totals, "{bill}");
        places.billed += 1;
        if bill["reason"] == "start-failed" {
            // The Stop after the failed Start is not the accounting of the session.
            assert!(stop.is_none_or(|(totals, _)| totals == Totals::default()), "{stop:?} and {bill}");
            places.start_failed += 1;
            return;
        }
        assert_eq!(bill["reason"], "stop-unanswered", "{bill}");
        if let Some((recorded, _)) = stop {
            assert_eq!((recorded, bill["delivered"].as_str()), (totals, Some("unknown")), "{bill}");
            places.both += 1;
        }
    }
}
