//! The log: what the append machine costs in memory; durable appends against a bare write and sync of as many octets;
//! and reading a store back against a bare loop that checks and indexes every record.
//!
//! Files go to `BENCH_DIR`, or the directory for temporary files; a directory in memory measures nothing.

use std::fs::File;
use std::hint::black_box;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use hashbrown::HashMap;
use ledger::frame;
use ledger::log::{Log, LogBounds, Request};
use ledger::recover::{Life, RecordSink, Recovery};
use ledger::replay::Replay;
use ledger::segment::Place;
use model::counters::{CounterSlot, Counters};
use model::ids::SessionSerial;
use model::record::{Accepted, Opened, Record, Sampled, TakenOver};
use model::settings::PinnedScheme;
use model::time::{Mono, Now};

const BATCHES: [usize; 2] = [64, 1024];
const RECORD_LEN: usize = 256;

struct Nothing;

impl RecordSink for Nothing {
    fn record(&mut self, _: u64, _: Place, _: &Record<'_>, _: &[u8]) {}
}

fn new_log() -> Log {
    let (_, start) = Recovery::new(Nothing).finish().expect("nothing is wrong with nothing");
    let life = Life { boot_id: [0; 16], at: Now::default(), fresh_store: [1; 16], fresh_key: [2; 16] };
    start.begin(life, LogBounds::default()).0
}

fn opened(sequence: u64, attributes: &[u8]) -> Record<'_> {
    Record::Opened(Opened {
        serial: SessionSerial { epoch: 1, sequence },
        taken_over: TakenOver { plane_epoch: 1, ring: 0, position: sequence },
        plane: "vpp0",
        session: b"session",
        domain: "isp",
        group: "g1",
        scheme: PinnedScheme::default(),
        interim_s: 600,
        session_timeout_s: 0,
        at: Now::default(),
        counters: CounterSlot::default(),
        baseline: Counters::ZERO,
        attributes,
    })
}

/// A record of exactly [`RECORD_LEN`] octets.
fn record() -> Vec<u8> {
    let attributes = vec![0x5A; RECORD_LEN - frame::encoded_len(&opened(1, b""))];
    let mut octets = vec![0; RECORD_LEN];
    assert_eq!(frame::encode(&opened(1, &attributes), &mut octets), Ok(RECORD_LEN));
    octets
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
    let record = record();
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

/// Files that a bench makes, removed when it ends.
struct Directory(PathBuf);

impl Directory {
    fn new() -> Directory {
        let parent = std::env::var_os("BENCH_DIR").map_or_else(std::env::temp_dir, PathBuf::from);
        let path = parent.join(format!("ledger-bench-{}", std::process::id()));
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

fn durable(c: &mut Criterion) {
    let mut group = c.benchmark_group("ledger/durable");
    group.sample_size(20).measurement_time(Duration::from_secs(5));
    let record = record();
    let directory = Directory::new();
    let len = 64 << 20;
    for batch in BATCHES {
        group.throughput(Throughput::Elements(batch as u64));
        group.bench_function(BenchmarkId::new("bare write and fdatasync", batch), |b| {
            let file = directory.zeroed("bare", len);
            let octets: Vec<u8> = record.iter().copied().cycle().take(batch * RECORD_LEN).collect();
            let mut at = 0;
            b.iter(|| {
                if at + octets.len() as u64 > len {
                    at = 0;
                }
                file.write_all_at(&octets, at).expect("a write");
                file.sync_data().expect("a sync");
                at += octets.len() as u64;
            });
        });
        group.bench_function(BenchmarkId::new("log", batch), |b| {
            // Segments are made before the measurement, two in turn, as the daemon makes them beside it.
            let files = [directory.zeroed("even", len), directory.zeroed("odd", len)];
            let file = |segment: u64| &files[usize::from(!segment.is_multiple_of(2))];
            let perform = |request: Request<'_>| match request {
                Request::CreateSegment { .. } => {}
                Request::Write { segment, offset, bytes } => {
                    file(segment).write_all_at(bytes, offset).expect("a write");
                }
                Request::Sync { segment } => file(segment).sync_data().expect("a sync"),
            };
            let mut log = new_log();
            drain(&mut log, perform);
            b.iter(|| {
                for _ in 0..batch {
                    log.append(&record).expect("the batch has room");
                }
                drain(&mut log, perform);
            });
        });
    }
    group.finish();
}

const SESSIONS: u64 = 100_000;

/// A store with `opened`, `accepted` and `sampled` of each session, and the same records bare: length, checksum, octets.
fn store() -> (Vec<Vec<u8>>, Vec<u8>) {
    let attributes = [0x5A; 120];
    let mut log = new_log();
    let mut segments: Vec<Vec<u8>> = Vec::new();
    let mut bare = Vec::new();
    let mut room = [0; frame::RECORD_LEN_MAX];
    for sequence in 0..SESSIONS {
        let serial = SessionSerial { epoch: 1, sequence };
        let sampled = Sampled { serial, at: Mono::ZERO, counters: Counters::ZERO, interim_failures: 0 };
        let accepted = Accepted { serial, at: Mono::ZERO, keep_accounting: false };
        for record in [opened(sequence, &attributes), Record::Accepted(accepted), Record::Sampled(sampled)] {
            let len = frame::encode(&record, &mut room).expect("it fits");
            let octets = &room[..len];
            bare.extend_from_slice(&u32::try_from(len).expect("it is short").to_le_bytes());
            bare.extend_from_slice(&crc32fast::hash(octets).to_le_bytes());
            bare.extend_from_slice(octets);
            while log.append(octets).is_err() {
                drain(&mut log, |request| keep(&mut segments, request));
            }
        }
        if sequence % 256 == 0 {
            drain(&mut log, |request| keep(&mut segments, request));
        }
    }
    drain(&mut log, |request| keep(&mut segments, request));
    (segments, bare)
}

fn keep(segments: &mut Vec<Vec<u8>>, request: Request<'_>) {
    match request {
        Request::CreateSegment { len, .. } => segments.push(vec![0; usize::try_from(len).expect("it is in memory")]),
        Request::Write { segment, offset, bytes } => {
            let at = usize::try_from(offset).expect("it is in memory");
            let number = usize::try_from(segment - 1).expect("it is in memory");
            segments[number][at..at + bytes.len()].copy_from_slice(bytes);
        }
        Request::Sync { .. } => {}
    }
}

fn recover(c: &mut Criterion) {
    let mut group = c.benchmark_group("ledger/recover");
    group.sample_size(10).throughput(Throughput::Elements(SESSIONS));
    let (segments, bare) = store();
    group.bench_function("bare read, check, index", |b| {
        b.iter(|| {
            // As the log does it: the newest record of a session by its serial.
            let mut index: HashMap<[u8; 12], usize> = HashMap::new();
            let mut at = 0;
            while let Some((head, rest)) = bare[at..].split_first_chunk::<8>() {
                let [a, b, c, d, checksum @ ..] = *head;
                let len = u32::from_le_bytes([a, b, c, d]) as usize;
                assert_eq!(crc32fast::hash(&rest[..len]), u32::from_le_bytes(checksum));
                let serial = rest[1..13].try_into().expect("twelve octets");
                index.insert(serial, at);
                at += 8 + len;
            }
            index.len()
        });
    });
    group.bench_function("recover and replay", |b| {
        b.iter(|| {
            let mut recovery = Recovery::new(Replay::new());
            for (number, segment) in (1..).zip(&segments) {
                recovery.segment(number, segment);
            }
            let (recovered, _) = recovery.finish().expect("it is good");
            assert_eq!(recovered.state.session_count() as u64, SESSIONS);
            recovered
        });
    });
    group.finish();
}

criterion_group!(benches, append, recover, durable);
criterion_main!(benches);
