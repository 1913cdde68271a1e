//! Durable records: the keeper, driven as the daemon's writer drives it, against a bare write and sync of as many octets into a
//! zeroed file, and against SQLite. All write batches of records of 256 octets to one file system, in turns.
//!
//! | contender | what is durable after a batch |
//! |---|---|
//! | `bare` | the octets: one write into a zeroed file that is written round and round, one `fdatasync` |
//! | `bare, as segments` | the same octets in files that another thread fills with zeros meanwhile: every octet goes to the disk twice |
//! | `keeper` | the records, with everything that makes them a log; segments made and removed by another thread |
//! | `SQLite` | the records as rows, one transaction, write-ahead log, `synchronous=FULL`; with the feature `peers` |
//!
//! First the ratios, as medians of rounds in which each contender has its turn, for a disk has moods; then each by itself.
//!
//! Files go to `BENCH_DIR`, or below the target directory; a directory in memory measures nothing.

mod contenders;

use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};

use self::contenders::{Contender, Directory, contenders};

const BATCHES: [usize; 2] = [64, 1024];
const RECORD_LEN: usize = 256;
const ROUNDS: usize = 15;
/// Each contender's turn in a round.
const TURN: Duration = Duration::from_millis(300);

/// Records in a second, over one turn.
fn turn(contender: &mut dyn Contender, batch: usize) -> f64 {
    let began = Instant::now();
    let mut records = 0;
    while began.elapsed() < TURN {
        contender.append(batch);
        records += batch;
    }
    records as f64 / began.elapsed().as_secs_f64()
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

#[expect(clippy::print_stdout, reason = "the ratios are what the bench is for")]
fn ratios() {
    if std::env::args().any(|argument| ["--test", "--list", "--profile-time", "--quick"].contains(&argument.as_str())) {
        return;
    }
    for batch in BATCHES {
        let directory = Directory::new();
        let mut contenders = contenders(&directory);
        let mut speeds = vec![Vec::new(); contenders.len()];
        for _ in 0..ROUNDS {
            for (contender, speeds) in contenders.iter_mut().zip(&mut speeds) {
                speeds.push(turn(contender.as_mut(), batch));
            }
        }
        println!("durable records of {RECORD_LEN} octets in batches of {batch}:");
        for (contender, own) in contenders.iter().zip(&speeds) {
            // Within a round the disk is in one mood: the ratio is taken there.
            let share = own.iter().zip(&speeds[0]).map(|(own, bare)| own / bare).collect();
            println!("  {:20} {:>9.0} records/s, {:.2} of bare", contender.name(), median(own.clone()), median(share));
        }
    }
}

fn durable(c: &mut Criterion) {
    let mut group = c.benchmark_group("durable");
    group.sample_size(20).measurement_time(Duration::from_secs(5));
    for batch in BATCHES {
        let directory = Directory::new();
        group.throughput(Throughput::Elements(batch as u64));
        for mut contender in contenders(&directory) {
            group.bench_function(BenchmarkId::new(contender.name(), batch), |b| b.iter(|| contender.append(batch)));
        }
    }
    group.finish();
}

criterion_group!(benches, durable);
criterion_main!(ratios, benches);
