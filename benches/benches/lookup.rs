//! What the index of sessions for authorization servers costs who comes and goes, of a quarter of a million online: one log-out and
//! log-in, one new address, each without the index and with it; and the walk that makes it, by session. Nobody is accounted for,
//! so that nothing but the table, the timer and the index is at work.

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use criterion::{Criterion, criterion_group, criterion_main};
use engine::{Birth, Limits, Shard};
use model::counters::{CounterSlot, CounterSource, Counters};
use model::event::{Down, EventOrigin, PlaneEvent, Prefix, Subscriber, Up, Update};
use model::ids::PlaneIndex;
use model::settings::{AuthorizationServer, Secret, Settings};
use model::time::{Mono, Now, Wall};

const SESSIONS: u32 = 1 << 18;
const PLANE: PlaneIndex = PlaneIndex(0);

struct NoCounters;

impl CounterSource for NoCounters {
    fn read(&self, _: PlaneIndex, _: CounterSlot) -> Option<Counters> {
        None
    }
}

struct Play {
    shard: Shard,
    now: Now,
    position: u64,
}

/// Everybody has a name, addresses of both families and a prefix.
fn up(number: u32, play: impl FnOnce(PlaneEvent<'_>)) {
    let (session, user) = (format!("s{number}"), format!("subscriber-{number}@isp.example"));
    let prefix = u128::from(number) << 64 | 0x2001_0db8 << 96;
    let subscriber = Subscriber {
        user: Some(user.as_bytes()),
        domain: Some(b"default0"),
        framed_ip: Some(Ipv4Addr::from_bits(0x0a00_0000 + number)),
        framed_ipv6_prefix: Some(Prefix { address: prefix.into(), length: 64 }),
        mac: Some([2, 0, 0, 0, 0, 1]),
        ..Subscriber::default()
    };
    let counters = CounterSlot { slot: number, generation: 1 };
    play(PlaneEvent::Up(Up { session: session.as_bytes(), subscriber, counters, at: None }));
}

/// In no order of the slots.
fn scattered(number: u64) -> u32 {
    let hash = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    u32::try_from(hash >> 46).unwrap_or_default()
}

fn settings(is_indexed: bool) -> Settings {
    let mut settings = Settings::default();
    if is_indexed {
        let shared_key = Some(Secret::new(b"secret".to_vec(), String::new()));
        let server = AuthorizationServer { shared_key, ..AuthorizationServer::default() };
        let ip = std::net::IpAddr::from([192, 0, 2, 7]);
        settings.radius_authorization.servers.insert(ip.into(), server);
    }
    settings
}

impl Play {
    /// All of them are online.
    fn new(is_indexed: bool) -> Play {
        let now = Now { mono: Mono::from_nanos(1 << 40), wall: Wall::from_millis(1_795_000_000_000) };
        let session_hash = |_: &[u8]| 0;
        let birth = Birth { epoch: 1, key: [7; 16], started: now.wall, shard: 0, shard_count: 1, session_hash };
        let limits = Limits { sessions: SESSIONS as usize + 64, requests: 16 };
        let mut play = Play { shard: Shard::new(birth, limits, now.mono), now, position: 0 };
        play.shard.configure(&settings(is_indexed));
        play.shard.handle_plane_linked(now.mono, PLANE, "bench", 1, 1);
        for number in 0..SESSIONS {
            up(number, |event| play.take(event));
        }
        play.walk();
        play.check();
        play
    }

    /// Nobody was refused, and nobody is left over.
    fn check(&self) {
        assert_eq!(self.shard.report().sessions, u64::from(SESSIONS));
    }

    fn take(&mut self, event: PlaneEvent<'_>) {
        let origin = EventOrigin { plane: PLANE, ring: 0, position: self.position };
        self.position += 1;
        self.shard.handle_event(self.now, origin, event, &NoCounters).expect("verdicts are taken");
        while self.shard.poll_verdict().is_some() {}
    }

    /// Until everybody is in the index.
    fn walk(&mut self) {
        self.shard.handle_timeout(self.now, &NoCounters);
        for _ in 0..SESSIONS / 1024 + 1 {
            self.shard.sweep(self.now, &NoCounters);
        }
    }

    fn relog(&mut self, number: u32) {
        let session = format!("s{number}");
        self.take(PlaneEvent::Down(Down { session: session.as_bytes(), cause: 1, totals: None, at: None }));
        up(number, |event| self.take(event));
    }

    fn readdress(&mut self, number: u32, address: u32) {
        let session = format!("s{number}");
        let changed = Subscriber { framed_ip: Some(Ipv4Addr::from_bits(address)), ..Subscriber::default() };
        self.take(PlaneEvent::Update(Update { session: session.as_bytes(), changed, at: None }));
    }
}

fn come_and_go(criterion: &mut Criterion) {
    for (is_indexed, name) in [(false, "without"), (true, "with")] {
        let mut play = Play::new(is_indexed);
        let mut round = 0u64;
        criterion.bench_function(&format!("lookup/log-out and log-in/{name}"), |bencher| {
            bencher.iter(|| {
                round += 1;
                play.relog(scattered(round));
            });
        });
        criterion.bench_function(&format!("lookup/new address/{name}"), |bencher| {
            bencher.iter(|| {
                round += 1;
                play.readdress(scattered(round), scattered(round ^ 0x5555));
            });
        });
        play.check();
    }
}

fn walk(criterion: &mut Criterion) {
    let mut play = Play::new(false);
    criterion.bench_function("lookup/walk, by session", |bencher| {
        bencher.iter_custom(|rounds| {
            let mut spent = Duration::ZERO;
            for _ in 0..rounds.div_ceil(SESSIONS.into()) {
                play.shard.configure(&settings(false));
                let began = Instant::now();
                play.shard.configure(&settings(true));
                play.walk();
                spent += began.elapsed();
            }
            spent.mul_f64(rounds as f64 / (rounds.div_ceil(SESSIONS.into()) * u64::from(SESSIONS)) as f64)
        });
    });
}

criterion_group!(benches, come_and_go, walk);
criterion_main!(benches);
