//! The timer wheel and its peers with a million timers, each of 300 s: insert, fire and re-arm, cancel. The time of each
//! group is that of one operation.
//!
//! | contender | what it is |
//! |---|---|
//! | `wheel` | [`Wheel`] |
//! | `wheel, in runs` | the same as the shard uses it: the sessions of 32 owners are asked for, and then served |
//! | `hierarchical` | `hierarchical_hash_wheel_timer`, four levels; it cannot cancel |
//! | `hierarchical, fetched ahead` | the same, which gives all that fires in a tick at once: eight sessions are asked for ahead |
//! | `hierarchical, cancellable` | the wheel of that crate that can: a counted pointer and a place in a map for each timer |
//!
//! All count in ticks of 4 ms and touch the 64 octets of the session that they fire. `tokio-util`'s `DelayQueue` is not here: it
//! fires by the clock of a runtime, so that firing cannot be measured without waiting.

use std::hint::black_box;
use std::time::{Duration, Instant};

use arrayvec::ArrayVec;
use criterion::{Criterion, criterion_group, criterion_main};
use engine::wheel::{TICK, Wheel};
use hierarchical_hash_wheel_timer::IdOnlyTimerEntry;
use hierarchical_hash_wheel_timer::wheels::cancellable::QuadWheelWithOverflow as CancellableWheel;
use hierarchical_hash_wheel_timer::wheels::quad_wheel::QuadWheelWithOverflow as QuadWheel;
use lanes::prefetch;
use model::time::Mono;

const TIMERS: u32 = 1_000_000;
/// 300 s.
const PERIOD_TICKS: u32 = 75_000;

/// A session as the wheel's user keeps it: one cache line that every fire touches.
#[repr(align(64))]
#[derive(Clone)]
struct Session {
    fired: u64,
}

/// What all contenders can do.
trait Contender {
    fn new() -> Self;

    /// So many ticks from now.
    fn set(&mut self, owner: u32, ticks: u32);

    /// Goes one tick on: touches each session whose timer fires and sets its timer again. How many did.
    fn tick(&mut self, sessions: &mut [Session]) -> u64;
}

trait Cancel: Contender {
    fn cancel(&mut self, owner: u32);
}

/// Ours, and how many owners are taken before any of them is served.
struct Ours<const RUN: usize> {
    wheel: Wheel,
    now: Mono,
}

impl<const RUN: usize> Contender for Ours<RUN> {
    fn new() -> Self {
        Ours { wheel: Wheel::new(TIMERS as usize, Mono::ZERO), now: Mono::ZERO }
    }

    fn set(&mut self, owner: u32, ticks: u32) {
        self.wheel.set(owner, self.now.plus(TICK * ticks));
    }

    fn tick(&mut self, sessions: &mut [Session]) -> u64 {
        self.now = self.now.plus(TICK);
        let mut fired = 0;
        loop {
            let mut due = ArrayVec::<u32, RUN>::new();
            while !due.is_full()
                && let Some(owner) = self.wheel.expire(self.now)
            {
                prefetch::read(&sessions[owner as usize]);
                due.push(owner);
            }
            for &owner in &due {
                sessions[owner as usize].fired += 1;
                self.set(owner, PERIOD_TICKS);
            }
            fired += due.len() as u64;
            if !due.is_full() {
                return fired;
            }
        }
    }
}

impl<const RUN: usize> Cancel for Ours<RUN> {
    fn cancel(&mut self, owner: u32) {
        self.wheel.cancel(owner);
    }
}

/// The crate counts in milliseconds; one of them stands for a tick, which spares it fifteen empty ones in sixteen.
fn delay(ticks: u32) -> Duration {
    Duration::from_millis(ticks.into())
}

/// The peer, and whether the sessions that are coming are asked for.
struct Hierarchical<const AHEAD: bool>(QuadWheel<u32>);

impl<const AHEAD: bool> Contender for Hierarchical<AHEAD> {
    fn new() -> Self {
        Hierarchical(QuadWheel::default())
    }

    fn set(&mut self, owner: u32, ticks: u32) {
        self.0.insert_with_delay(owner, delay(ticks)).expect("it lies ahead");
    }

    fn tick(&mut self, sessions: &mut [Session]) -> u64 {
        let due = self.0.tick();
        for (index, &owner) in due.iter().enumerate() {
            if AHEAD && let Some(&ahead) = due.get(index + 8) {
                prefetch::read(&sessions[ahead as usize]);
            }
            sessions[owner as usize].fired += 1;
            self.set(owner, PERIOD_TICKS);
        }
        due.len() as u64
    }
}

impl Contender for CancellableWheel<IdOnlyTimerEntry<u32>> {
    fn new() -> Self {
        CancellableWheel::new()
    }

    fn set(&mut self, owner: u32, ticks: u32) {
        self.insert(IdOnlyTimerEntry { id: owner, delay: delay(ticks) }).expect("it lies ahead");
    }

    fn tick(&mut self, sessions: &mut [Session]) -> u64 {
        let due = self.tick();
        let fired = due.len() as u64;
        for entry in due {
            sessions[entry.id as usize].fired += 1;
            self.set(entry.id, PERIOD_TICKS);
        }
        fired
    }
}

impl Cancel for CancellableWheel<IdOnlyTimerEntry<u32>> {
    fn cancel(&mut self, owner: u32) {
        self.cancel(&owner).expect("it was set");
    }
}

/// One period ahead and spread over another like hashed interims, in no order of the owners.
fn first_ticks(owner: u32) -> u32 {
    let hash = owner.wrapping_mul(0x9e37_79b9);
    let phase = ((u64::from(hash) * u64::from(PERIOD_TICKS)) >> 32) as u32;
    PERIOD_TICKS + phase
}

fn full<C: Contender>() -> C {
    let mut contender = C::new();
    for owner in 0..TIMERS {
        contender.set(owner, first_ticks(owner));
    }
    contender
}

/// The time that `each` takes for `rounds` owners, on as many new contenders as that takes.
fn on_new<C>(rounds: u64, new: impl Fn() -> C, each: impl Fn(&mut C, u32)) -> Duration {
    let mut spent = Duration::ZERO;
    let mut left = rounds;
    while left > 0 {
        let mut contender = new();
        let count = u32::try_from(left).unwrap_or(TIMERS).min(TIMERS);
        let began = Instant::now();
        for owner in 0..count {
            each(&mut contender, owner);
        }
        spent += began.elapsed();
        left -= u64::from(count);
        black_box(&contender);
    }
    spent
}

fn insert(criterion: &mut Criterion) {
    fn bench<C: Contender>(group: &mut Group<'_>, name: &str) {
        group.bench_function(name, |bencher| {
            bencher.iter_custom(|rounds| on_new(rounds, C::new, |timers, owner| timers.set(owner, first_ticks(owner))));
        });
    }
    let mut group = criterion.benchmark_group("wheel/insert");
    bench::<Ours<1>>(&mut group, "wheel");
    bench::<Hierarchical<false>>(&mut group, "hierarchical");
    bench::<CancellableWheel<IdOnlyTimerEntry<u32>>>(&mut group, "hierarchical, cancellable");
    group.finish();
}

fn fire_and_rearm(criterion: &mut Criterion) {
    fn bench<C: Contender>(group: &mut Group<'_>, name: &str) {
        let mut sessions = vec![Session { fired: 0 }; TIMERS as usize];
        let mut timers: C = full();
        for _ in 0..PERIOD_TICKS {
            timers.tick(&mut sessions);
        }
        group.bench_function(name, |bencher| {
            bencher.iter_custom(|rounds| {
                let began = Instant::now();
                let mut fired = 0;
                while fired < rounds {
                    fired += timers.tick(&mut sessions);
                }
                // A tick fires more than was asked for.
                began.elapsed().mul_f64(rounds as f64 / fired as f64)
            });
        });
    }
    let mut group = criterion.benchmark_group("wheel/fire-and-rearm");
    bench::<Ours<1>>(&mut group, "wheel");
    bench::<Ours<32>>(&mut group, "wheel, in runs");
    bench::<Hierarchical<false>>(&mut group, "hierarchical");
    bench::<Hierarchical<true>>(&mut group, "hierarchical, fetched ahead");
    bench::<CancellableWheel<IdOnlyTimerEntry<u32>>>(&mut group, "hierarchical, cancellable");
    group.finish();
}

fn cancel(criterion: &mut Criterion) {
    fn bench<C: Cancel>(group: &mut Group<'_>, name: &str) {
        group.bench_function(name, |bencher| {
            bencher.iter_custom(|rounds| on_new(rounds, full::<C>, |timers, owner| timers.cancel(owner)));
        });
    }
    let mut group = criterion.benchmark_group("wheel/cancel");
    bench::<Ours<1>>(&mut group, "wheel");
    bench::<CancellableWheel<IdOnlyTimerEntry<u32>>>(&mut group, "hierarchical, cancellable");
    group.finish();
}

type Group<'a> = criterion::BenchmarkGroup<'a, criterion::measurement::WallTime>;

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(10).measurement_time(Duration::from_secs(2));
    targets = insert, fire_and_rearm, cancel
}
criterion_main!(benches);
