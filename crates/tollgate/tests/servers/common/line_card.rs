//! A packet plane with as many subscribers as a line card has, who come, and go, all at once.

use std::ops::Range;
use std::time::{Duration, Instant};

use model::counters::{CounterSlot, Counters, Totals};
use model::event::{Down, Subscriber, Up};
use model::verdict::Sentence;
use plane::client::{LinkState, Options, PlaneClient};
use plane::{Geometry, SendError};

use super::Site;

/// How long anything may take.
const PATIENCE: Duration = super::seconds(300);
/// How many may wait for their verdict at once.
const WAITING_MAX: usize = 10_000;

/// The plane. Dropped, it is gone with its memory.
pub(crate) struct LineCard {
    client: PlaneClient,
    slots: Vec<CounterSlot>,
    admitted: usize,
}

impl LineCard {
    /// Linked, with room for so many subscribers. Everybody belongs to the domain `isp`.
    pub(crate) fn link(site: &Site, sessions: usize) -> LineCard {
        let sessions = u32::try_from(sessions).unwrap();
        let records = sessions.next_power_of_two();
        let geometry = Geometry { rings: 1, records, slots: sessions, dual_stack: false, verdicts: records };
        let mut client = PlaneClient::create(&Options { name: "card", geometry }).unwrap();
        client.connect(site.link());
        let began = Instant::now();
        while !matches!(client.poll_connect(), LinkState::Fresh | LinkState::Up) {
            assert!(began.elapsed() < PATIENCE, "the daemon does not link");
            client.wait(Duration::from_millis(10));
        }
        client.resync_begin().unwrap();
        client.resync_end().unwrap();
        LineCard { client, slots: Vec::new(), admitted: 0 }
    }

    /// What subscriber `number` moves in its life, input octets.
    pub(crate) fn octets(number: usize) -> u64 {
        1_000 + 7 * number as u64
    }

    /// The next subscriber comes.
    pub(crate) fn up(&mut self) {
        let number = self.slots.len();
        let slot = self.client.alloc_slot().expect("a slot is free");
        let (name, user) = (format!("s{number}"), format!("s{number}@isp"));
        let subscriber = Subscriber { user: Some(user.as_bytes()), ..Subscriber::default() };
        self.client.up(0, Up { session: name.as_bytes(), subscriber, counters: slot, at: None }).unwrap();
        let v4 = Totals { in_octets: LineCard::octets(number), in_packets: 1, out_octets: 0, out_packets: 0 };
        self.client.counters().store(slot, Counters { v4, ..Counters::ZERO });
        self.slots.push(slot);
    }

    /// So many more come, and each is let in.
    pub(crate) fn come(&mut self, count: usize) {
        let (began, until) = (Instant::now(), self.slots.len() + count);
        while self.admitted < until {
            while self.slots.len() < until && self.slots.len() < self.admitted + WAITING_MAX {
                self.up();
            }
            self.hear(Duration::from_millis(5));
            assert!(began.elapsed() < PATIENCE, "{} of {until} were let in", self.admitted);
        }
    }

    /// Takes verdicts for so long, or until there are some. Says how many were let in.
    pub(crate) fn hear(&mut self, patience: Duration) -> usize {
        let before = self.admitted;
        self.client.wait(patience);
        while let Some(verdict) = self.client.poll_verdict() {
            assert!(verdict.sentence == Sentence::Admit, "{:?} {:?}", verdict.sentence, verdict.reason);
            self.admitted += 1;
        }
        self.admitted - before
    }

    /// The next subscriber comes. How long it waited to be let in.
    pub(crate) fn log_in(&mut self) -> Duration {
        let began = Instant::now();
        self.up();
        while self.hear(Duration::from_millis(5)) == 0 {
            assert!(began.elapsed() < PATIENCE, "nobody is let in");
        }
        began.elapsed()
    }

    /// Those of these numbers go, all at once. How long it took until that is durable of each of them.
    pub(crate) fn go(&mut self, numbers: Range<usize>) -> Duration {
        let began = Instant::now();
        for number in numbers {
            let name = format!("s{number}");
            let down = || Down { session: name.as_bytes(), cause: 2, totals: None, at: None };
            while let Err(error) = self.client.down(0, down()) {
                assert_eq!(error, SendError::Full);
                assert!(began.elapsed() < PATIENCE, "nobody takes them over");
                self.client.wait(Duration::from_millis(1));
            }
        }
        while !self.client.taken_over() {
            assert!(began.elapsed() < PATIENCE, "they are not taken over");
            self.client.wait(Duration::from_millis(1));
        }
        began.elapsed()
    }
}
