//! A restart: a million live sessions read back from their segments, against a bare loop that reads the same files, checks the
//! CRC of every record and puts its key into the same kind of index. Both read from the page cache into one buffer, in turn, in
//! one run.

use std::fs::File;
use std::hint::black_box;
use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant};

use criterion::Criterion;
use hashbrown::HashMap;
use ledger::frame;
use ledger::recover::Recovery;
use ledger::replay::{Replay, SessionIndex};
use model::counters::{CounterSlot, Counters};
use model::ids::SessionSerial;
use model::record::{Accepted, Checkpointed, Opened, Record, Sampled, TakenOver};
use model::settings::PinnedScheme;
use model::time::{Mono, Now};

use super::{Directory, drain, new_log};
use ledger::log::{Log, Request};

/// `RECOVERY_SESSIONS` asks for another number.
const SESSIONS: u64 = 1_000_000;
const ROUNDS: usize = 7;

/// A store as it was written.
struct Store {
    directory: Directory,
    files: Vec<File>,
    records: u64,
}

impl Store {
    /// Every session came up, one in four was written again whole, and was sampled once or twice, in an order of its own.
    fn new(sessions: u64) -> Store {
        let mut store = Store { directory: Directory::new(), files: Vec::new(), records: 0 };
        let mut log = new_log();
        let attributes = [0x5A; 320];
        for sequence in 0..sessions {
            // Attributes of 200 to 300 octets make records of 350 to 450.
            let opened = opened(sequence, &attributes[..190 + spread(sequence, 100)]);
            if sequence % 4 == 0 {
                let (accepted, sampled) = (Some(accepted(sequence)), Some(sampled(sequence, 0)));
                let session = Checkpointed { opened, accepted, start_failed: None, sampled, closed: None };
                store.append(&mut log, &Record::Checkpointed(session));
            } else {
                store.append(&mut log, &Record::Opened(opened));
            }
            // Servers answer a little later.
            if let Some(earlier) = sequence.checked_sub(500).filter(|earlier| earlier % 4 > 0) {
                store.append(&mut log, &Record::Accepted(accepted(earlier)));
            }
        }
        for turn in 0..2 {
            for number in 0..sessions / (turn + 1) {
                // The stride visits every session once, none near the one before.
                let sequence = number * 7_368_787 % sessions;
                store.append(&mut log, &Record::Sampled(sampled(sequence, number)));
            }
        }
        drain(&mut log, |request| keep(&mut store, request));
        store
    }

    fn append(&mut self, log: &mut Log, record: &Record<'_>) {
        let mut room = [0; frame::RECORD_LEN_MAX];
        let len = frame::encode(record, &mut room).expect("it fits");
        self.records += 1;
        while log.append(&room[..len]).is_err() {
            drain(log, |request| keep(self, request));
        }
        // A batch is what came while the disk wrote the one before.
        if self.records.is_multiple_of(1024) {
            drain(log, |request| keep(self, request));
        }
    }

    /// Each segment in turn, through one buffer.
    fn read(&self, mut each: impl FnMut(u64, &[u8])) {
        let mut octets = Vec::new();
        for (number, file) in (1..).zip(&self.files) {
            let len = file.metadata().expect("it has a length").len();
            octets.resize(usize::try_from(len).expect("it fits into memory"), 0);
            file.read_exact_at(&mut octets, 0).expect("it can be read");
            each(number, &octets);
        }
    }
}

fn spread(sequence: u64, end: u64) -> usize {
    usize::try_from(sequence.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32).expect("32 bits")
        % usize::try_from(end).unwrap_or(1)
}

fn serial(sequence: u64) -> SessionSerial {
    SessionSerial { epoch: 1, sequence }
}

fn opened(sequence: u64, attributes: &[u8]) -> Opened<'_> {
    Opened {
        serial: serial(sequence),
        taken_over: TakenOver { plane_epoch: 1, ring: 0, position: 4 * sequence },
        plane: "vpp0",
        session: b"session8",
        domain: "isp.example",
        group: "group-1",
        scheme: PinnedScheme::default(),
        interim_s: 600,
        session_timeout_s: 0,
        at: Now::default(),
        counters: CounterSlot::default(),
        baseline: Counters::ZERO,
        attributes,
    }
}

fn accepted(sequence: u64) -> Accepted {
    Accepted { serial: serial(sequence), at: Mono::from_nanos(sequence), keep_accounting: false }
}

fn sampled(sequence: u64, at: u64) -> Sampled {
    Sampled { serial: serial(sequence), at: Mono::from_nanos(at), counters: Counters::ZERO, interim_failures: 0 }
}

fn keep(store: &mut Store, request: Request<'_>) {
    match request {
        Request::CreateSegment { segment, len } => {
            let file = store.directory.zeroed(&segment.to_string(), len);
            store.files.push(file);
        }
        Request::Write { segment, offset, bytes } => {
            let number = usize::try_from(segment - 1).expect("there are few");
            store.files[number].write_all_at(bytes, offset).expect("a write");
        }
        Request::Sync { .. } => {}
    }
}

/// Reads, checks, indexes: the newest record of every session, by its key. As `ledger::segment` lays batches and frames out.
fn bare(store: &Store) -> usize {
    let mut index = SessionIndex::default();
    walk(store, |serial, newest| {
        let entry = index.insert(serial.into(), || newest);
        if let Some(value) = index.get_mut(entry) {
            *value = newest;
        }
    });
    index.len()
}

/// The same with the usual map, to see that the index is none that slows the bare loop down.
fn bare_with_map(store: &Store) -> usize {
    let mut index = HashMap::new();
    walk(store, |serial, newest| {
        index.insert(serial, newest);
    });
    index.len()
}

fn walk(store: &Store, mut each: impl FnMut(SessionSerial, u32)) {
    let mut newest = 0_u32;
    let number = |octets: &[u8]| u32::from_le_bytes(octets.try_into().expect("four octets"));
    store.read(|_, segment| {
        let store_id = &segment[16..32];
        let mut at = 1024;
        while let Some(head) = segment.get(at..at + 40).filter(|head| head.starts_with(b"tgb1")) {
            let mut seed = crc32fast::Hasher::new();
            seed.update(store_id);
            seed.update(&head[8..28]);
            let seed = seed.finalize();
            let (count, len) = (number(&head[28..32]), number(&head[32..36]) as usize);
            let mut frames = &segment[at + 40..at + 40 + len];
            for _ in 0..count {
                let len = usize::from(u16::from_le_bytes([frames[0], frames[1]]));
                let record = &frames[8..8 + len];
                let mut sum = crc32fast::Hasher::new_with_initial(seed);
                sum.update(&frames[..4]);
                sum.update(record);
                assert_eq!(sum.finalize(), number(&frames[4..8]));
                frames = &frames[(8 + len).next_multiple_of(8)..];
                // A whole session has one octet more in front; the first record of all is of none.
                let Some(key_at) = [(2, 1), (3, 1), (5, 1), (9, 2)].iter().find(|(kind, _)| *kind == record[0]) else {
                    continue;
                };
                let (epoch, sequence) = record[key_at.1..key_at.1 + 12].split_at(4);
                let sequence = u64::from_le_bytes(sequence.try_into().expect("eight octets"));
                let serial = SessionSerial { epoch: number(epoch), sequence };
                newest = newest.wrapping_add(1);
                each(serial, newest);
            }
            at = (at + 40 + len).next_multiple_of(512);
        }
    });
}

fn recovered(store: &Store) -> Replay {
    let mut recovery = Recovery::new(Replay::new());
    store.read(|number, segment| recovery.segment(number, segment));
    let (recovered, _) = recovery.finish().expect("it is good");
    assert!(!recovered.report.is_damaged());
    recovered.state
}

/// Every session as a shard is handed it.
fn hand_out(replay: &Replay) -> usize {
    replay.sessions().map(|session| black_box(&session).opened.attributes.len()).sum()
}

/// What the work took: of this thread's time on a core, where the system tells it, for others may use the machine.
fn timed<T>(work: impl FnOnce() -> T) -> (Duration, T) {
    let (begin, on_core) = (Instant::now(), on_core());
    let made = work();
    let took = self::on_core().zip(on_core).map_or_else(|| begin.elapsed(), |(end, begin)| end - begin);
    (took, made)
}

fn on_core() -> Option<Duration> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    text.split(' ').next()?.parse().ok().map(Duration::from_nanos)
}

pub(super) fn recover() {
    let mut criterion = Criterion::default().configure_from_args();
    // Tests and lists of benches have no use for figures.
    if std::env::args().any(|argument| argument == "--test" || argument == "--list") {
        return;
    }
    let sessions = std::env::var("RECOVERY_SESSIONS").ok().and_then(|text| text.parse().ok()).unwrap_or(SESSIONS);
    let store = Store::new(sessions);
    ratios(&store, sessions);
    let mut group = criterion.benchmark_group("ledger/recover");
    group.sample_size(10).throughput(criterion::Throughput::Elements(sessions));
    group.bench_function("bare read, check, index", |b| b.iter(|| bare(&store)));
    group.bench_function("recover and replay", |b| b.iter(|| recovered(&store).session_count()));
    group.bench_function("recover, replay, hand out", |b| b.iter(|| hand_out(&recovered(&store))));
    group.finish();
}

/// The best of some rounds, taken in turn so that a slow moment of the machine meets all alike.
#[expect(clippy::print_stdout, reason = "the ratios are what the bench is for")]
fn ratios(store: &Store, sessions: u64) {
    let mut best = [Duration::MAX; 4];
    for _ in 0..ROUNDS {
        let (bare_took, found) = timed(|| bare(store));
        assert_eq!(found as u64, sessions);
        let (map_took, _) = timed(|| bare_with_map(store));
        let (recovery_took, replay) = timed(|| recovered(store));
        assert_eq!(replay.session_count() as u64, sessions);
        let (handing_took, octets) = timed(|| hand_out(&replay));
        assert!(octets > 0);
        for (best, took) in best.iter_mut().zip([bare_took, recovery_took, recovery_took + handing_took, map_took]) {
            *best = took.min(*best);
        }
    }
    let [bare, recovery, handed, map] = best.map(|took| took.as_secs_f64());
    println!(
        "{sessions} sessions, {} records, {} segments of 64 MiB: bare {bare:.3} s, recovered {recovery:.3} s, handed out {handed:.3} s",
        store.records,
        store.files.len(),
    );
    println!("recovery ratio: {:.2}", recovery / bare);
    println!("recovery ratio, the bare loop with hashbrown's map: {:.2}", recovery / map);
    println!("recovery and hand-out ratio: {:.2}", handed / bare);
}
