//! What several servers have recorded, as whoever bills from it reads it: a request that was sent again, to the same server or
//! to another, is recognised and counts once (RFC 5080 section 2.2.1).

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::{Detail, Life, Record, Totals};

/// What all copies of a request have: the session, the kind, and the time of the event; Acct-Delay-Time may differ. One that waited
/// for its Start may leave in the same second as the next, so interims are told apart by what they count as well.
type Key<'a> = (&'a str, &'a str, u64, u64);

/// Every request, once.
pub(crate) struct HeardOnce<'a> {
    requests: BTreeMap<Key<'a>, &'a Record>,
    repeated: usize,
}

/// How many of what there were.
#[derive(Debug, Default)]
pub(crate) struct Sums {
    pub(crate) sessions: usize,
    /// They had gone before a server had acknowledged their Start, and only their Stop tells of them.
    pub(crate) without_start: usize,
    pub(crate) interims: usize,
    /// Records that repeat another.
    pub(crate) repeated: usize,
}

impl<'a> HeardOnce<'a> {
    /// # Panics
    /// Where two copies say something different.
    pub(crate) fn gather(details: impl IntoIterator<Item = &'a Detail>) -> HeardOnce<'a> {
        let mut heard = HeardOnce { requests: BTreeMap::new(), repeated: 0 };
        for record in details.into_iter().flat_map(|detail| &detail.records) {
            let kind = record.text("Acct-Status-Type");
            if !["Start", "Interim-Update", "Stop"].contains(&kind) {
                // It is about the box, not about a session.
                continue;
            }
            let says = |record: &Record| {
                let totals = (kind != "Start").then(|| record.totals());
                let rest = ["User-Name", "Acct-Terminate-Cause"].map(|name| record.all(name).join(","));
                (totals, rest)
            };
            let counted = if kind == "Interim-Update" { record.totals().in_octets } else { 0 };
            match heard.requests.insert((record.session(), kind, record.event_time(), counted), record) {
                None => {}
                Some(before) => {
                    heard.repeated += 1;
                    assert_eq!(says(before), says(record), "two copies of one request differ");
                }
            }
        }
        heard
    }

    /// Records that repeat another.
    pub(crate) fn repeated(&self) -> usize {
        self.repeated
    }

    fn of(&self, session: &str, kind: &str) -> Vec<&'a Record> {
        let all = (session, kind, 0, 0)..=(session, kind, u64::MAX, u64::MAX);
        // The map's keys outlive any lookup.
        self.requests.range::<Key<'_>, _>(all).map(|(_, record)| *record).collect()
    }

    /// Every session of the plane has one Start, interims that only grow, and one Stop with all that it moved; and nobody
    /// else was accounted for. `start`: how long one that no server hears goes on; it ends at once when its session does
    /// (owner's decision 6), so a session that lived no longer may be without.
    pub(crate) fn check_all(&self, lives: &[Life], start: Duration) -> Sums {
        let mut sessions: BTreeMap<&str, &str> = BTreeMap::new();
        for ((session, ..), record) in &self.requests {
            let user = record.text("User-Name");
            let before = sessions.insert(user, session);
            assert!(before.is_none_or(|before| before == *session), "{user} has two ids");
        }
        let ids: BTreeSet<&str> = sessions.values().copied().collect();
        assert_eq!((ids.len(), sessions.len()), (lives.len(), lives.len()), "as many sessions as came");
        let mut sums = Sums { sessions: lives.len(), repeated: self.repeated, ..Sums::default() };
        for life in lives {
            let session = sessions.get(life.user.as_str()).unwrap_or_else(|| panic!("{} is nowhere", life.user));
            self.check(session, life, start, &mut sums);
        }
        sums
    }

    fn check(&self, session: &str, life: &Life, start: Duration, sums: &mut Sums) {
        let user = &life.user;
        let [stop] = self.of(session, "Stop")[..] else { panic!("{user}: {:?}", self.of(session, "Stop")) };
        assert_eq!(stop.totals(), life.totals(), "{user}: {stop:?}");
        match self.of(session, "Start")[..] {
            [start] => assert!(start.event_time() <= stop.event_time(), "{user}: {start:?}, {stop:?}"),
            [] if life.lasted() < start => sums.without_start += 1,
            ref other => panic!("{user}: {} Starts in {:?}", other.len(), life.lasted()),
        }
        let interims = self.of(session, "Interim-Update");
        let mut before = Totals::default();
        for record in interims.iter().chain(&[stop]) {
            let now = record.totals();
            assert!(before.in_octets <= now.in_octets && before.out_octets <= now.out_octets, "{user} moves backwards");
            before = now;
        }
        sums.interims += interims.len();
    }
}
