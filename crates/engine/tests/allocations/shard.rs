//! A shard, its server, its ledger and its plane, of which only the shard's allocations are counted.

use std::cell::Cell;
use std::collections::{BTreeMap, VecDeque};
use std::net::Ipv4Addr;
use std::time::Duration;

use engine::{Birth, Limits, PortId, Received, Shard, TransmitBatch};
use model::counters::{CounterSlot, CounterSource, Counters, Totals};
use model::event::{Access, Down, EventOrigin, PlaneEvent, Subscriber, Up};
use model::ids::PlaneIndex;
use model::record::Record;
use model::time::{Mono, Now, Wall};
use model::verdict::Sentence;
use wire::radius::{Packet, server::respond};

use crate::one_server::{self, PLANE, SECRET, SERVER};

/// There and back.
const WAY: Duration = Duration::from_millis(3);

/// Everybody moves all the time.
#[derive(Default)]
struct Moving(Cell<u64>);

impl CounterSource for Moving {
    fn read(&self, _: PlaneIndex, slot: CounterSlot) -> Option<Counters> {
        let packets = self.0.get() + u64::from(slot.slot);
        let v4 =
            Totals { in_octets: packets * 90, in_packets: packets, out_octets: packets * 900, out_packets: packets };
        Some(Counters { v4, v6: v4 })
    }
}

/// What the shard told, in all.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Told {
    pub(crate) sent: u64,
    pub(crate) answered: u64,
    pub(crate) samples: u64,
    pub(crate) checkpoints: u64,
    pub(crate) admitted: u64,
    pub(crate) ended: u64,
}

pub(crate) struct Counted {
    shard: Shard,
    now: Now,
    moving: Moving,
    batch: TransmitBatch,
    /// When which reply arrives.
    replies: VecDeque<(Mono, PortId, Vec<u8>)>,
    position: u64,
    records: u64,
    /// Of so many requests one is lost; 0: none.
    lost: u64,
    pub(crate) told: Told,
    /// Allocations of each method.
    pub(crate) allocations: BTreeMap<&'static str, u64>,
}

impl Counted {
    pub(crate) fn new(sessions: usize, lost: u64) -> Counted {
        let now = Now { mono: Mono::from_nanos(1_000_000_000), wall: Wall::from_millis(1_795_000_000_000) };
        let birth = Birth { epoch: 1, key: [7; 16], started: now.wall, shard: 0, shard_count: 1, session_hash: |_| 0 };
        let mut shard = Shard::new(birth, Limits { sessions, requests: 1024 }, now.mono);
        one_server::link(&mut shard, &one_server::settings(3), now.mono);
        Counted {
            shard,
            now,
            moving: Moving::default(),
            batch: TransmitBatch::default(),
            replies: VecDeque::new(),
            position: 0,
            records: 0,
            lost,
            told: Told::default(),
            allocations: BTreeMap::new(),
        }
    }

    /// From here on.
    pub(crate) fn begin(&mut self) {
        self.allocations.clear();
        self.told = Told::default();
    }

    pub(crate) fn sessions(&self) -> u64 {
        self.shard.report().sessions
    }

    /// A subscriber comes, with both families and everything that a plane usually knows.
    pub(crate) fn up(&mut self, number: u32) {
        let [a, b, c, d] = number.to_be_bytes();
        let (name, user) = (format!("s{number}"), format!("user{number}@isp"));
        let calling = format!("02-00-{a:02x}-{b:02x}-{c:02x}-{d:02x}");
        let subscriber = Subscriber {
            user: Some(user.as_bytes()),
            framed_ip: Some(Ipv4Addr::new(100, 64 + b, c, d)),
            mac: Some([2, 0, a, b, c, d]),
            calling: Some(calling.as_bytes()),
            nas_port: Some(number),
            nas_port_id: Some(b"eth-trunk 1.100"),
            access: Some(Access::Pppoe),
            ..Subscriber::default()
        };
        let counters = CounterSlot { slot: number, generation: 1 };
        self.event(PlaneEvent::Up(Up { session: name.as_bytes(), subscriber, counters, at: None }));
    }

    pub(crate) fn down(&mut self, number: u32) {
        let name = format!("s{number}");
        self.event(PlaneEvent::Down(Down { session: name.as_bytes(), cause: 1, totals: None, at: None }));
    }

    fn event(&mut self, event: PlaneEvent<'_>) {
        let origin = EventOrigin { plane: PLANE, ring: 0, position: self.position };
        self.position += 1;
        let (now, Counted { shard, moving, allocations, .. }) = (self.now, &mut *self);
        let taken = count(allocations, "handle_event", || shard.handle_event(now, origin, event, moving));
        assert!(taken.is_ok(), "the shard has room");
    }

    /// Lets time pass, a round of the worker's loop every two milliseconds.
    pub(crate) fn pass(&mut self, time: Duration) {
        let end = self.now.mono.plus(time);
        while self.now.mono < end {
            self.now.mono = self.now.mono.plus(Duration::from_millis(2));
            self.now.wall = Wall::from_millis(self.now.wall.as_millis() + 2);
            self.moving.0.set(self.now.mono.as_millis() / 100);
            self.turn();
        }
    }

    fn turn(&mut self) {
        self.hear_replies();
        let (now, records) = (self.now, self.records);
        let Counted { shard, moving, allocations, .. } = &mut *self;
        count(allocations, "handle_timeout", || shard.handle_timeout(now, moving));
        count(allocations, "sweep", || shard.sweep(now, moving));
        count(allocations, "handle_durable", || shard.handle_durable(now, records));
        self.transmit();
        self.take_records();
        let Counted { shard, allocations, told, .. } = &mut *self;
        while let Some(sentence) =
            count(allocations, "poll_verdict", || shard.poll_verdict().map(|verdict| verdict.sentence))
        {
            told.admitted += u64::from(sentence == Sentence::Admit);
        }
        while count(allocations, "poll_notice", || shard.poll_notice()).is_some() {}
        count(allocations, "poll_timeout", || shard.poll_timeout());
        count(allocations, "replies_in_no_hurry", || shard.replies_in_no_hurry());
    }

    fn hear_replies(&mut self) {
        let due = self.replies.partition_point(|(at, ..)| *at <= self.now.mono);
        let arrived: Vec<_> = self.replies.drain(..due).collect();
        let received: Vec<_> = arrived
            .iter()
            .map(|(_, port, octets)| Received { port: *port, from: SERVER, octets, truncated: false })
            .collect();
        self.told.answered += received.len() as u64;
        let (now, Counted { shard, allocations, .. }) = (self.now, &mut *self);
        for some in received.chunks(64) {
            count(allocations, "handle_datagrams", || shard.handle_datagrams(now, some));
        }
    }

    fn transmit(&mut self) {
        let (now, Counted { shard, moving, batch, replies, told, lost, allocations, .. }) = (self.now, &mut *self);
        loop {
            count(allocations, "poll_transmit", || shard.poll_transmit(now, moving, 64, batch));
            if batch.is_empty() {
                return;
            }
            for sent in batch.iter() {
                told.sent += 1;
                if told.sent.checked_rem(*lost) != Some(0) {
                    let (packet, mut room) = (Packet::parse(sent.octets).unwrap(), [0; 4096]);
                    let reply = respond(&packet, SECRET, &mut room).unwrap();
                    replies.push_back((now.mono.plus(WAY), sent.port, reply.to_vec()));
                }
            }
        }
    }

    fn take_records(&mut self) {
        let Counted { shard, allocations, told, records, .. } = self;
        loop {
            let mut is_any = false;
            count(allocations, "poll_record", || {
                let Some(record) = shard.poll_record() else { return };
                is_any = true;
                match record {
                    Record::Sampled(_) | Record::SampledMany(_) => told.samples += 1,
                    Record::Checkpointed(_) => told.checkpoints += 1,
                    Record::Acknowledged(_) => told.ended += 1,
                    _ => {}
                }
            });
            if !is_any {
                return;
            }
            *records += 1;
        }
    }
}

/// Calls a method, and notes what it allocates.
fn count<R>(allocations: &mut BTreeMap<&'static str, u64>, method: &'static str, call: impl FnOnce() -> R) -> R {
    let mut result = None;
    let measured = allocation_counter::measure(|| result = Some(call()));
    if measured.count_total > 0 {
        *allocations.entry(method).or_default() += measured.count_total;
    }
    result.unwrap()
}
