//! A shard with many subscribers, its ledger, and a server that answers one request after the other.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::time::Duration;

use engine::{Birth, Limits, PortId, Received, Shard, TransmitBatch};
use model::counters::{CounterSlot, CounterSource, Counters};
use model::event::{Down, EventOrigin, PlaneEvent, Subscriber, Up};
use model::ids::PlaneIndex;
use model::record::Record;
use model::settings::Settings;
use model::time::{Mono, Now, Wall};
use model::verdict::Sentence;
use wire::radius::attribute::{self, Type, acct_status_type};
use wire::radius::{Packet, server::respond};

use crate::one_server::{self, PLANE, SECRET, SERVER};

/// Nobody has moved anything.
struct Idle;

impl CounterSource for Idle {
    fn read(&self, _: PlaneIndex, _: CounterSlot) -> Option<Counters> {
        Some(Counters::ZERO)
    }
}

/// Who logs in waits for the server. Interims every minute, hashed; Stops are tried again until they are answered, and the queue is as large as it can be.
pub(crate) fn settings() -> Settings {
    let mut settings = one_server::settings(100);
    settings.radius_cache.packets = 256_000;
    settings.radius_cache.memory_threshold = 85;
    settings
}

/// What a server bears.
#[derive(Clone, Copy)]
pub(crate) struct Bears {
    pub(crate) per_second: u64,
    /// Requests that may wait in its socket; what is more is dropped.
    pub(crate) room: usize,
    /// How far it is away, there and back.
    pub(crate) way: Duration,
    /// Of a thousand datagrams, so many get lost on each way.
    pub(crate) lost: u64,
}

impl Bears {
    /// At the end of a short line that loses nothing.
    pub(crate) const fn near(per_second: u64, room: usize) -> Bears {
        Bears { per_second, room, way: WAY, lost: 0 }
    }
}

/// How far a near server is away.
pub(crate) const WAY: Duration = Duration::from_millis(2);

/// One second as the server saw it.
#[derive(Clone, Copy, Default)]
pub(crate) struct Second {
    pub(crate) interims: u32,
    /// Requests that left.
    pub(crate) asked: u32,
    /// Replies that came.
    pub(crate) answered: u32,
}

pub(crate) struct Card {
    pub(crate) shard: Shard,
    pub(crate) now: Now,
    batch: TransmitBatch,
    records: u64,
    bills: u64,
    /// Verdicts that let somebody in.
    pub(crate) admitted: u64,
    position: u64,
    bears: Option<Bears>,
    /// When it has done all that waits.
    busy_until: u64,
    /// Answers on their way.
    replies: BinaryHeap<Reverse<(u64, u64)>>,
    reply_octets: HashMap<u64, (PortId, Vec<u8>)>,
    reply_next: u64,
    /// Requests that the server dropped.
    pub(crate) dropped: u64,
    /// As many waited in its socket at once.
    pub(crate) most_waiting: usize,
    dice: u64,
    pub(crate) seconds: Vec<Second>,
    /// When whose interims left, as far as somebody wants to know.
    pub(crate) interims: Option<HashMap<Vec<u8>, Vec<Mono>>>,
}

impl Card {
    pub(crate) fn new(key: u8, sessions: usize, settings: &Settings) -> Card {
        let now = Now { mono: Mono::from_nanos(1_000_000_000), wall: Wall::from_millis(1_795_000_000_000) };
        let session_hash = |name: &[u8]| u64::from(name.last().copied().unwrap_or_default());
        let birth = Birth { epoch: 1, key: [key; 16], started: now.wall, shard: 0, shard_count: 1, session_hash };
        let mut shard = Shard::new(birth, Limits { sessions, requests: 4096 }, now.mono);
        one_server::link(&mut shard, settings, now.mono);
        Card {
            shard,
            now,
            batch: TransmitBatch::default(),
            records: 0,
            bills: 0,
            admitted: 0,
            position: 0,
            bears: None,
            busy_until: 0,
            replies: BinaryHeap::new(),
            reply_octets: HashMap::new(),
            reply_next: 0,
            dropped: 0,
            most_waiting: 0,
            dice: u64::from(key) << 32 | 1,
            seconds: Vec::new(),
            interims: None,
        }
    }

    /// From now on the server bears so much; `None`: it is silent.
    pub(crate) fn server(&mut self, bears: Option<Bears>) {
        self.bears = bears;
        self.most_waiting = 0;
    }

    fn event(&mut self, event: PlaneEvent<'_>) {
        let origin = EventOrigin { plane: PLANE, ring: 0, position: self.position };
        self.position += 1;
        while self.shard.handle_event(self.now, origin, event, &Idle).is_err() {
            self.turn();
        }
    }

    pub(crate) fn up(&mut self, number: usize) {
        let name = format!("s{number}");
        let user = format!("{name}@isp");
        let subscriber = Subscriber { user: Some(user.as_bytes()), domain: Some(b"isp"), ..Subscriber::default() };
        #[expect(clippy::cast_possible_truncation, reason = "a hundred thousand")]
        let counters = CounterSlot { slot: number as u32, generation: 1 };
        self.event(PlaneEvent::Up(Up { session: name.as_bytes(), subscriber, counters, at: None }));
    }

    pub(crate) fn down(&mut self, number: usize) {
        let name = format!("s{number}");
        self.event(PlaneEvent::Down(Down { session: name.as_bytes(), cause: 1, totals: None, at: None }));
    }

    /// Bills that were made.
    pub(crate) fn bills(&self) -> u64 {
        self.bills
    }

    /// Once around the worker's loop, with a disk that takes everything.
    pub(crate) fn turn(&mut self) {
        self.deliver();
        self.shard.handle_timeout(self.now, &Idle);
        self.shard.sweep(self.now, &Idle);
        self.transmit();
        while let Some(record) = self.shard.poll_record() {
            self.records += 1;
            self.bills += u64::from(matches!(record, Record::Billed(_)));
        }
        self.shard.handle_durable(self.now, self.records);
        while let Some(verdict) = self.shard.poll_verdict() {
            self.admitted += u64::from(verdict.sentence == Sentence::Admit);
        }
        while self.shard.poll_notice().is_some() {}
        self.transmit();
    }

    fn transmit(&mut self) {
        let mut batch = std::mem::take(&mut self.batch);
        loop {
            self.shard.poll_transmit(self.now, &Idle, 64, &mut batch);
            if batch.is_empty() {
                break;
            }
            for sent in batch.iter() {
                self.arrive(sent.port, sent.octets);
            }
        }
        self.batch = batch;
    }

    fn second(&mut self, at: u64) -> &mut Second {
        let second = usize::try_from(at / 1_000_000_000).unwrap();
        if self.seconds.len() <= second {
            self.seconds.resize(second + 1, Second::default());
        }
        &mut self.seconds[second]
    }

    fn arrive(&mut self, port: PortId, octets: &[u8]) {
        let now = self.now.mono.as_nanos();
        let packet = Packet::parse(octets).unwrap();
        if packet.find(Type::ACCT_STATUS_TYPE).and_then(attribute::as_u32) == Some(acct_status_type::INTERIM_UPDATE) {
            self.second(now).interims += 1;
            if let Some(interims) = &mut self.interims {
                let user = packet.find(Type::USER_NAME).unwrap();
                interims.entry(user.to_vec()).or_default().push(self.now.mono);
            }
        }
        self.second(now).asked += 1;
        let Some(Bears { per_second, room, way, lost }) = self.bears else { return };
        if self.is_lost(lost) {
            return;
        }
        let way = u64::try_from(way.as_nanos()).unwrap();
        let (arrives, each) = (now + way / 2, 1_000_000_000 / per_second);
        let waiting = usize::try_from(self.busy_until.saturating_sub(arrives).div_ceil(each)).unwrap();
        self.most_waiting = self.most_waiting.max(waiting);
        if waiting >= room {
            self.dropped += 1;
            return;
        }
        self.busy_until = self.busy_until.max(arrives) + each;
        if self.is_lost(lost) {
            return;
        }
        let mut answer = [0; 4096];
        let answer = respond(&packet, SECRET, &mut answer).unwrap().to_vec();
        self.reply_octets.insert(self.reply_next, (port, answer));
        self.replies.push(Reverse((self.busy_until + way / 2, self.reply_next)));
        self.reply_next += 1;
    }

    /// Whether the line loses this one of a thousand (xorshift).
    fn is_lost(&mut self, lost: u64) -> bool {
        self.dice ^= self.dice << 13;
        self.dice ^= self.dice >> 7;
        self.dice ^= self.dice << 17;
        (self.dice >> 16) % 1_000 < lost
    }

    fn deliver(&mut self) {
        let now = self.now.mono.as_nanos();
        while let Some(&Reverse((at, number))) = self.replies.peek()
            && at <= now
        {
            self.replies.pop();
            let (port, octets) = self.reply_octets.remove(&number).unwrap();
            self.second(now).answered += 1;
            let received = Received { port, from: SERVER, octets: &octets, truncated: false };
            self.shard.handle_datagrams(self.now, &[received]);
        }
    }

    /// Lets time pass, `step` by step.
    pub(crate) fn pass(&mut self, time: Duration) {
        let end = self.now.mono.plus(time);
        loop {
            self.turn();
            let next = self.shard.poll_timeout().unwrap_or(end);
            let reply = self.replies.peek().map_or(end, |Reverse((at, _))| Mono::from_nanos(*at));
            // Like a worker's loop, not more often than it takes to go around.
            let soonest = self.now.mono.plus(Duration::from_micros(200));
            let next = next.min(reply).max(soonest).min(end);
            let passed = next.since(self.now.mono);
            self.now.mono = next;
            let wall = u64::try_from(passed.as_micros()).unwrap();
            self.now.wall = Wall::from_millis(self.now.wall.as_millis() + wall / 1000);
            if next >= end {
                return;
            }
        }
    }

    /// How many packets of the group wait, and in how many seconds they will not.
    pub(crate) fn backlog(&self) -> (u64, Option<u64>) {
        let report = self.shard.report();
        let group = report.groups.first().unwrap();
        (group.backlog(), group.empty_in_s())
    }
}
