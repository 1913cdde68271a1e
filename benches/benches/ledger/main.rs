//! The log: what the append machine costs in memory (durable appends are in the bench of that name);
//! a whole restart against a bare loop that reads, checks and indexes every record ([`recovery`]); and how long the log of a day
//! becomes ([`day`]).
//!
//! Files go to `BENCH_DIR`, or the directory for temporary files; a directory in memory measures nothing.

mod day;
mod recovery;

use std::fs::File;
use std::hint::black_box;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use benches::{new_life, record};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use ledger::log::{Log, LogBounds, Request};
use ledger::recover::{RecordSink, Recovery};
use ledger::segment::Place;
use model::record::Record;
use model::time::{Mono, Now};

const BATCHES: [usize; 2] = [64, 1024];
const RECORD_LEN: usize = 256;
/// As the daemon has it.
const SEGMENT_OCTETS: u64 = 16 << 20;

struct Nothing;

impl RecordSink for Nothing {
    fn record(&mut self, _: u64, _: Place, _: &Record<'_>, _: &[u8]) {}
}

fn new_log() -> Log {
    let (_, start) = Recovery::new(Nothing).finish().expect("nothing is wrong with nothing");
    start.begin(new_life(Now::default()), LogBounds::new(SEGMENT_OCTETS, 1 << 20).expect("they are possible")).0
}

/// Does what the log asks with `perform`, until it asks for nothing more.
fn drain(log: &mut Log, mut perform: impl FnMut(Request<'_>)) {
    while let Some(operation) = log.poll_operation() {
        perform(operation.request);
        let id = operation.id;
        log.handle_completed(id, Ok(()), Mono::ZERO);
    }
}

fn append(c: &mut Criterion) {
    let mut group = c.benchmark_group("ledger/append");
    let record = record(RECORD_LEN);
    for batch in BATCHES {
        group.throughput(Throughput::Elements(batch as u64));
        group.bench_function(BenchmarkId::new("machine", batch), |b| {
            let mut log = new_log();
            drain(&mut log, |_| {});
            b.iter(|| {
                for _ in 0..batch {
                    black_box(log.append(&record)).expect("the batch has room");
                }
                drain(&mut log, |request| {
                    black_box(request);
                });
            });
        });
    }
    group.finish();
}

/// Directories made so far.
static MADE: AtomicU32 = AtomicU32::new(0);

/// Files that a bench makes, removed when it ends.
struct Directory(PathBuf);

impl Directory {
    fn new() -> Directory {
        let parent = std::env::var_os("BENCH_DIR").map_or_else(std::env::temp_dir, PathBuf::from);
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        let path = parent.join(format!("ledger-bench-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&path).expect("a directory can be made");
        Directory(path)
    }

    fn zeroed(&self, name: &str, len: u64) -> File {
        let path: &Path = &self.0.join(name);
        let file = File::options().read(true).write(true).create(true).truncate(true).open(path).expect("a file");
        let zeros = vec![0; 1 << 20];
        for at in (0..len).step_by(zeros.len()) {
            let part = usize::try_from(len - at).map_or(zeros.len(), |rest| rest.min(zeros.len()));
            file.write_all_at(&zeros[..part], at).expect("space for zeros");
        }
        file.sync_all().expect("a sync");
        file
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

criterion_group!(benches, append);
criterion_main!(day::log_of_a_day, recovery::recover, benches);
