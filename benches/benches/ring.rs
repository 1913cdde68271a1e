//! The bill ring against its peers: one record pushed on one core and popped on another. Each figure is the time of a
//! whole run divided by its records; no side waits for anything but the ring. On a machine that does other things at
//! the same time the figures are those of its scheduler.

use std::hint::black_box;
use std::thread;
use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use crossbeam::queue::ArrayQueue;

/// Records that each peer has room for.
const RECORDS: usize = 4096;

/// Records between two publications: a worker publishes once per turn of its loop.
const BATCH: u64 = 16;

fn benches(criterion: &mut Criterion) {
    records::<128>(criterion);
    records::<512>(criterion);
}

fn records<const LEN: usize>(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group(format!("ring/{LEN}"));
    group.throughput(Throughput::Elements(1)).sample_size(10).measurement_time(Duration::from_secs(3));
    group.bench_function("lanes", |bencher| bencher.iter_custom(lanes_ring::<LEN>));
    group.bench_function("crossbeam ArrayQueue", |bencher| bencher.iter_custom(array_queue::<LEN>));
    group.bench_function("rtrb", |bencher| bencher.iter_custom(rtrb_ring::<LEN>));
    group.finish();
}

/// Frames are written in place, as the ledger's records are; the peers take a record that was built elsewhere.
fn lanes_ring<const LEN: usize>(records: u64) -> Duration {
    let (mut producer, mut consumer) = lanes::ring::ring(RECORDS * LEN);
    race(
        records,
        move |record| {
            loop {
                if let Some(mut grant) = producer.reserve(LEN) {
                    grant.fill(black_box(record.to_le_bytes()[0]));
                    grant.commit();
                    break;
                }
                producer.publish();
                thread::yield_now();
            }
            if record % BATCH == 0 || record == records {
                producer.publish();
            }
        },
        move || {
            let first = consumer.peek().map(|frame| black_box(frame)[0]);
            consumer.release();
            first.is_some()
        },
    )
}

fn array_queue<const LEN: usize>(records: u64) -> Duration {
    let queue = ArrayQueue::<[u8; LEN]>::new(RECORDS);
    race(
        records,
        |record| {
            let mut value = filled::<LEN>(record);
            while let Err(returned) = queue.push(value) {
                value = returned;
                thread::yield_now();
            }
        },
        || queue.pop().map(black_box).is_some(),
    )
}

fn rtrb_ring<const LEN: usize>(records: u64) -> Duration {
    let (mut producer, mut consumer) = rtrb::RingBuffer::<[u8; LEN]>::new(RECORDS);
    race(
        records,
        move |record| {
            let mut value = filled::<LEN>(record);
            while let Err(rtrb::PushError::Full(returned)) = producer.push(value) {
                value = returned;
                thread::yield_now();
            }
        },
        move || consumer.pop().map(black_box).is_ok(),
    )
}

fn filled<const LEN: usize>(record: u64) -> [u8; LEN] {
    black_box([record.to_le_bytes()[0]; LEN])
}

/// From the first push to the last pop.
fn race(records: u64, mut push: impl FnMut(u64) + Send, mut pop: impl FnMut() -> bool) -> Duration {
    let cores = core_affinity::get_core_ids().unwrap_or_default();
    let pin = |core: usize| cores.get(core).is_some_and(|id| core_affinity::set_for_current(*id));
    pin(0);
    let start = Instant::now();
    thread::scope(|scope| {
        let pin = &pin;
        scope.spawn(move || {
            pin(1);
            (1..=records).for_each(&mut push);
        });
        let mut popped = 0;
        while popped < records {
            if pop() {
                popped += 1;
            } else {
                thread::yield_now();
            }
        }
    });
    start.elapsed()
}

criterion_group!(ring, benches);
criterion_main!(ring);
