//! The timer wheel with a million timers, each of 300 s: insert, fire and re-arm, cancel. The time of each group is that
//! of one operation.

use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::{Criterion, criterion_group, criterion_main};
use engine::wheel::{TICK, Wheel};
use model::time::Mono;

const TIMERS: u32 = 1_000_000;
const PERIOD: Duration = Duration::from_secs(300);

/// A session as the wheel's user keeps it: one cache line that every fire touches.
#[repr(align(64))]
#[derive(Clone)]
struct Session {
    fired: u64,
}

fn phase(owner: u32) -> Duration {
    // Spread like hashed interims, in no order of the owners.
    let hash = u64::from(owner).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    Duration::from_nanos(((u128::from(hash) * PERIOD.as_nanos()) >> 64) as u64)
}

fn full() -> Wheel {
    let mut wheel = Wheel::new(TIMERS as usize, Mono::ZERO);
    for owner in 0..TIMERS {
        wheel.set(owner, Mono::ZERO.plus(PERIOD + phase(owner)));
    }
    wheel
}

fn insert(criterion: &mut Criterion) {
    criterion.bench_function("wheel/insert", |bencher| {
        bencher.iter_custom(|rounds| {
            let mut spent = Duration::ZERO;
            let mut left = rounds;
            while left > 0 {
                let mut wheel = Wheel::new(TIMERS as usize, Mono::ZERO);
                let count = left.min(TIMERS.into());
                let began = Instant::now();
                for owner in 0..u32::try_from(count).unwrap_or(TIMERS) {
                    wheel.set(owner, Mono::ZERO.plus(PERIOD + phase(owner)));
                }
                spent += began.elapsed();
                left -= count;
                black_box(&wheel);
            }
            spent
        });
    });
}

fn fire_and_rearm(criterion: &mut Criterion) {
    let mut wheel = full();
    let mut sessions = vec![Session { fired: 0 }; TIMERS as usize];
    let mut now = Mono::ZERO.plus(PERIOD);
    criterion.bench_function("wheel/fire-and-rearm", |bencher| {
        bencher.iter_custom(|rounds| {
            let began = Instant::now();
            let mut fired = 0;
            while fired < rounds {
                now = now.plus(TICK);
                while let Some(owner) = wheel.expire(now) {
                    sessions[owner as usize].fired += 1;
                    wheel.set(owner, now.plus(PERIOD));
                    fired += 1;
                }
            }
            // A tick fires more than was asked for.
            began.elapsed().mul_f64(rounds as f64 / fired as f64)
        });
    });
}

fn cancel(criterion: &mut Criterion) {
    criterion.bench_function("wheel/cancel", |bencher| {
        bencher.iter_custom(|rounds| {
            let mut spent = Duration::ZERO;
            let mut left = rounds;
            while left > 0 {
                let mut wheel = full();
                let count = left.min(TIMERS.into());
                let began = Instant::now();
                for owner in 0..u32::try_from(count).unwrap_or(TIMERS) {
                    wheel.cancel(owner);
                }
                spent += began.elapsed();
                left -= count;
                black_box(&wheel);
            }
            spent
        });
    });
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(10).measurement_time(Duration::from_secs(2));
    targets = insert, fire_and_rearm, cancel
}
criterion_main!(benches);
