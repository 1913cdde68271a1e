//! A plane as it should be: its subscribers come, are let in, move something, and go, and each batch of them in time.

use std::time::{Duration, Instant};

use model::counters::{CounterSlot, Counters, Totals};
use model::event::{Down, Subscriber, Up};
use model::verdict::Sentence;
use plane::Geometry;
use plane::client::{LinkState, Options, PlaneClient};

use super::{Site, seconds};

/// Subscribers who come and go at once.
pub(crate) const BATCH: usize = 20;
/// The longest that a batch may take on a busy machine. Without anybody else it takes some milliseconds.
const BATCH_TAKES: Duration = seconds(5);

/// The plane.
pub(crate) struct HonestPlane {
    client: PlaneClient,
    gone: usize,
}

impl HonestPlane {
    /// Linked, with nobody online.
    pub(crate) fn link(site: &Site, name: &str) -> HonestPlane {
        let geometry = Geometry { rings: 1, records: 256, slots: 64, dual_stack: false, verdicts: 64 };
        let mut client = PlaneClient::create(&Options { name, geometry }).unwrap();
        client.connect(site.link());
        let until = Instant::now() + seconds(20);
        while client.poll_connect() != LinkState::Fresh {
            assert!(Instant::now() < until, "{name} is not let in");
            client.wait(Duration::from_millis(100));
        }
        client.resync_begin().unwrap();
        client.resync_end().unwrap();
        HonestPlane { client, gone: 0 }
    }

    /// How many have come and gone.
    pub(crate) fn gone(&self) -> usize {
        self.gone
    }

    /// What each moves.
    pub(crate) fn octets(number: usize) -> u64 {
        1_000 + 3 * number as u64
    }

    /// So many batches come, are let in, and go. How long the slowest took until it was durable that it went.
    pub(crate) fn serve(&mut self, batches: usize) -> Duration {
        (0..batches).map(|_| self.serve_one()).max().unwrap()
    }

    fn serve_one(&mut self) -> Duration {
        let (began, first) = (Instant::now(), self.gone);
        let in_time = || assert!(began.elapsed() < BATCH_TAKES, "{BATCH} are not served in {BATCH_TAKES:?}");
        let names: Vec<String> = (first..first + BATCH).map(|number| format!("good{number}")).collect();
        let slots: Vec<CounterSlot> = names.iter().map(|_| self.client.alloc_slot().unwrap()).collect();
        for (name, slot) in names.iter().zip(&slots) {
            let user = format!("{name}@isp");
            let subscriber = Subscriber { user: Some(user.as_bytes()), ..Subscriber::default() };
            self.client.up(0, Up { session: name.as_bytes(), subscriber, counters: *slot, at: None }).unwrap();
        }
        let mut admitted = 0;
        while admitted < BATCH {
            assert_ne!(self.client.poll_connect(), LinkState::Down, "the link is lost");
            while let Some(verdict) = self.client.poll_verdict() {
                assert!(verdict.sentence == Sentence::Admit, "{:?} {:?}", verdict.sentence, verdict.reason);
                admitted += 1;
            }
            in_time();
            self.client.wait(Duration::from_millis(100));
        }
        for (number, (name, slot)) in (first..).zip(names.iter().zip(&slots)) {
            let v4 = Totals { in_octets: HonestPlane::octets(number), in_packets: 1, out_octets: 0, out_packets: 0 };
            let totals = Some(Counters { v4, ..Counters::ZERO });
            self.client.down(0, Down { session: name.as_bytes(), cause: 1, totals, at: None }).unwrap();
            self.client.free_slot(*slot);
        }
        while !self.client.taken_over() {
            in_time();
            self.client.wait(Duration::from_millis(100));
        }
        self.gone += BATCH;
        began.elapsed()
    }
}
