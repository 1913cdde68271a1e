//! One acknowledged interim through the shard, without the kernel: it falls due, is read, written and signed, told to the
//! ledger, and its reply is verified. The bench plays the worker, the server and the plane; only the calls of the shard, and
//! the copying of records into the ring's form, are timed. As many interims a tick whatever the number of sessions is, so what
//! differs between the figures is the memory that they lie in.

use std::cell::Cell;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use engine::{BATCH_MAX, Birth, Limits, PortId, Received, Shard, TransmitBatch};
use lanes::md5::{Job, digest_all};
use lanes::prefetch;
use ledger::frame::{RECORD_LEN_MAX, encode};
use model::counters::{CounterSlot, CounterSource, Counters, Totals};
use model::event::{EventOrigin, PlaneEvent, Subscriber, Up};
use model::ids::PlaneIndex;
use model::settings::{
    AccountingScheme, Domain, Interim, InterimSpelling, IntervalUnit, ObjectName, RadiusGroup, RadiusServer, Secret,
    Settings,
};
use model::time::{Mono, Now, Wall};

const PLANE: PlaneIndex = PlaneIndex(0);
const SECRET: &[u8] = b"sixteen octets..";
/// Interims a second.
const RATE: u32 = 14_900;
const TICK: Duration = Duration::from_millis(16);

/// A cache line each, as in the plane's memory.
#[derive(Clone, Copy)]
#[repr(align(64))]
struct Line([u64; 4]);

/// Whatever is read has moved since it was read before.
struct Table {
    lines: Vec<Line>,
    moved: Cell<u64>,
}

impl CounterSource for Table {
    fn read(&self, _: PlaneIndex, slot: CounterSlot) -> Option<Counters> {
        let line = self.lines.get(slot.slot as usize)?;
        let [in_octets, in_packets, out_octets, out_packets] = line.0.map(|total| total + self.moved.get());
        Some(Counters { v4: Totals { in_octets, in_packets, out_octets, out_packets }, v6: Totals::default() })
    }

    fn prefetch(&self, _: PlaneIndex, slot: CounterSlot) {
        self.lines.get(slot.slot as usize).into_iter().for_each(prefetch::read);
    }
}

fn settings(sessions: u32) -> Settings {
    let name = |name: &str| ObjectName::from(name);
    let mut settings = Settings { sysname: "BNG1".to_owned(), ..Settings::default() };
    let shared_key = Some(Secret::new(SECRET.to_vec(), String::new()));
    let server = RadiusServer { shared_key, ..RadiusServer::new(SocketAddr::from(([192, 0, 2, 9], 1813))) };
    settings.radius_groups.insert(name("g"), RadiusGroup { accounting: vec![server], ..RadiusGroup::default() });
    let value = u16::try_from(sessions.div_ceil(RATE)).unwrap_or(u16::MAX);
    let interim =
        Interim { value, unit: IntervalUnit::Second, hash: true, traffic: false, spelling: InterimSpelling::Interval };
    settings.schemes.insert(name("s"), AccountingScheme { interim: Some(interim), ..AccountingScheme::default() });
    let (accounting_scheme, radius_group) = (Some(name("s")), Some(name("g")));
    settings.domains.insert(name("isp"), Domain { accounting_scheme, radius_group, ..Domain::default() });
    settings
}

struct Play {
    shard: Shard,
    now: Now,
    table: Table,
    batch: TransmitBatch,
    /// Port and octets of what was sent.
    asked: Vec<(PortId, SocketAddr, Vec<u8>)>,
    record: Vec<u8>,
    records: u64,
    /// Time in the shard, and interims that were acknowledged.
    spent: Duration,
    answered: u64,
}

impl Play {
    /// All online, and their interims run.
    fn new(sessions: u32) -> Play {
        let now = Now { mono: Mono::from_nanos(1 << 40), wall: Wall::from_millis(1_795_000_000_000) };
        let session_hash = |_: &[u8]| 0;
        let birth = Birth { epoch: 1, key: [7; 16], started: now.wall, shard: 0, shard_count: 1, session_hash };
        let limits = Limits { sessions: sessions as usize, ..Limits::default() };
        let mut shard = Shard::new(birth, limits, now.mono);
        let settings = settings(sessions);
        shard.configure(&settings);
        let server = settings.radius_groups.values().flat_map(|group| &group.accounting).map(|server| server.address);
        server.for_each(|address| shard.handle_bound(address.into(), IpAddr::from([192, 0, 2, 1])));
        shard.handle_plane_linked(now.mono, PLANE, "bench", 1, 1);
        let mut play = Play {
            shard,
            now,
            table: Table { lines: vec![Line([1 << 33; 4]); sessions as usize], moved: Cell::new(0) },
            batch: TransmitBatch::default(),
            asked: Vec::new(),
            record: vec![0; RECORD_LEN_MAX],
            records: 0,
            spent: Duration::ZERO,
            answered: 0,
        };
        for number in 0..sessions {
            play.up(number);
            if number % 1024 == 0 {
                play.turn();
            }
        }
        let starts = u64::from(sessions);
        while play.answered < starts + starts / 4 {
            play.turn();
        }
        play
    }

    fn up(&mut self, number: u32) {
        let (session, user) = (format!("s{number}"), format!("user{number:07}@isp"));
        let calling = format!("02-00-00-00-{:02x}-{:02x}", number >> 8 & 0xff, number & 0xff);
        let subscriber = Subscriber {
            user: Some(user.as_bytes()),
            framed_ip: Some(Ipv4Addr::from_bits(0x6440_0000 + number)),
            calling: Some(calling.as_bytes()),
            nas_port: Some(number),
            ..Subscriber::default()
        };
        // Counters and sessions lie in no common order.
        let slot = u64::from(number) * 7_368_787 % self.table.lines.len() as u64;
        let slot = u32::try_from(slot).unwrap_or_default();
        let up =
            Up { session: session.as_bytes(), subscriber, counters: CounterSlot { slot, generation: 1 }, at: None };
        let origin = EventOrigin { plane: PLANE, ring: 0, position: number.into() };
        self.shard.handle_event(self.now, origin, PlaneEvent::Up(up), &self.table).expect("a shard that is not busy");
    }

    /// One tick of a worker, and what the server answers in it.
    fn turn(&mut self) {
        self.now.mono = self.now.mono.plus(TICK);
        self.table.moved.set(self.table.moved.get() + 20_000);
        self.now.wall = Wall::from_millis(self.now.wall.as_millis() + 16);
        loop {
            let began = Instant::now();
            self.shard.handle_timeout(self.now, &self.table);
            self.shard.sweep(self.now, &self.table);
            self.spent += began.elapsed();
            self.transmit();
            self.hand_out();
            let is_due = self.shard.poll_timeout().is_some_and(|at| at <= self.now.mono);
            if self.asked.is_empty() && !is_due {
                return;
            }
            self.answer();
        }
    }

    fn transmit(&mut self) {
        loop {
            let began = Instant::now();
            self.shard.poll_transmit(self.now, &self.table, BATCH_MAX, &mut self.batch);
            self.spent += began.elapsed();
            if self.batch.is_empty() {
                return;
            }
            self.asked.extend(self.batch.iter().map(|sent| (sent.port, sent.to, sent.octets.to_vec())));
        }
    }

    fn hand_out(&mut self) {
        let began = Instant::now();
        while let Some(record) = self.shard.poll_record() {
            encode(&record, &mut self.record).expect("a record is no longer than the longest");
            self.records += 1;
        }
        self.shard.handle_durable(self.now, self.records);
        self.spent += began.elapsed();
        while self.shard.poll_verdict().is_some() {}
    }

    fn answer(&mut self) {
        let heads: Vec<[u8; 4]> = self.asked.iter().map(|(_, _, octets)| [5, octets[1], 0, 20]).collect();
        let mut jobs: Vec<Job<'_>> = self
            .asked
            .iter()
            .zip(&heads)
            .map(|((_, _, octets), head)| Job { parts: [head, &octets[4..20], SECRET, &[]], digest: [0; 16] })
            .collect();
        digest_all(&mut jobs);
        let replies: Vec<Vec<u8>> =
            jobs.iter().zip(&heads).map(|(job, head)| [&head[..], &job.digest].concat()).collect();
        let received: Vec<Received<'_>> = (self.asked.iter().zip(&replies))
            .map(|(&(port, from, _), octets)| Received { port, from, octets, truncated: false })
            .collect();
        self.answered += received.len() as u64;
        let began = Instant::now();
        for received in received.chunks(BATCH_MAX) {
            self.shard.handle_datagrams(self.now, received);
        }
        self.spent += began.elapsed();
        self.asked.clear();
    }
}

fn interim(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("interim");
    group.sample_size(10).warm_up_time(Duration::from_secs(1)).measurement_time(Duration::from_secs(4));
    for sessions in [10_000, 100_000, 1_000_000] {
        let mut play = Play::new(sessions);
        group.bench_function(BenchmarkId::from_parameter(sessions), |bencher| {
            bencher.iter_custom(|rounds| {
                (play.spent, play.answered) = (Duration::ZERO, 0);
                while play.answered < rounds {
                    play.turn();
                }
                // A tick answers more than was asked for.
                play.spent.mul_f64(rounds as f64 / play.answered as f64)
            });
        });
        assert_eq!(play.shard.report().sessions, u64::from(sessions));
    }
    group.finish();
}

criterion_group!(benches, interim);
criterion_main!(benches);
