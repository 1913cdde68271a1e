//! A restart: a million live sessions read back from their segments and handed over to a shard, with their names and timers,
//! against a bare loop that reads the same files, checks the CRC of every record and puts its key into the same kind of index.
//! Both read the same files from the page cache, in turn, in one run. The target: at most 1.5 times the bare loop, on the clock;
//! what all threads took on the cores is told beside it.

use std::fs::File;
use std::hash::BuildHasherDefault;
use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant};

use benches::BOOT_ID;
use criterion::Criterion;
use crossbeam::channel::{bounded, unbounded};
use engine::{Birth, Limits, Memory, RESTORE_BATCH, Restored, Shard};
use hashbrown::HashMap;
use ledger::frame;
use ledger::recover::{CheckedSegment, Recovered, Recovery};
use ledger::replay::{Replay, RingPosition};
use model::counters::{Counters, Totals};
use model::ids::{PlaneIndex, SessionSerial};
use model::record::{Accepted, Checkpointed, Opened, Record, Sampled, TakenOver};
use model::samples::{Samples, SamplesWriter};
use model::settings::{ObjectName, PinnedScheme, RadiusGroup, Settings};
use model::time::{Mono, Now, Wall};
use siphasher::sip::SipHasher13;

use super::{Directory, SEGMENT_OCTETS, drain, new_log};
use ledger::log::{Log, Request};

/// `RECOVERY_SESSIONS` asks for another number.
const SESSIONS: usize = 1_000_000;
const ROUNDS: usize = 7;
/// Samples that one record has: as many as interims fall due in a few milliseconds. `RECOVERY_SAMPLES` asks for another number, 0 for
/// a record of each sample's own.
const SAMPLES: usize = 64;
/// Sessions that are handed over together, as the daemon has it.
const BATCH: usize = 8 * RESTORE_BATCH;
const PLANE: &str = "vpp0";
const GROUP: &str = "group-1";

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
            let name = sequence.to_be_bytes();
            // Attributes of 200 to 300 octets make records of 350 to 450.
            let opened = opened(sequence, &name, &attributes[..190 + spread(sequence, 100)]);
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
            // The stride visits every session once, none near the one before.
            let samples = (0..sessions / (turn + 1)).map(|number| sampled(number * 7_368_787 % sessions, number));
            match asked_for("RECOVERY_SAMPLES", SAMPLES) {
                0 => samples.for_each(|sampled| store.append(&mut log, &Record::Sampled(sampled))),
                many => store.append_samples(&mut log, &samples.collect::<Vec<_>>(), many),
            }
        }
        drain(&mut log, |request| keep(&mut store, request));
        store
    }

    fn append_samples(&mut self, log: &mut Log, samples: &[Sampled], many: usize) {
        for samples in samples.chunks(many) {
            let mut room = [0; Samples::LEN_MAX];
            let mut writer = SamplesWriter::new(&mut room);
            samples.iter().for_each(|sampled| writer.push(sampled).expect("there is room"));
            self.append(log, &Record::SampledMany(writer.finish().expect("there is one")));
        }
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

    /// Each segment in turn; `each` gives memory for the next.
    fn read(&self, mut each: impl FnMut(u64, Vec<u8>) -> Vec<u8>) {
        let mut octets = Vec::new();
        for (number, file) in (1..).zip(&self.files) {
            let len = file.metadata().expect("it has a length").len();
            let len = usize::try_from(len).expect("it fits into memory");
            if octets.capacity() < len {
                octets = vec![0; len];
            }
            octets.resize(len, 0);
            file.read_exact_at(&mut octets, 0).expect("it can be read");
            octets = each(number, octets);
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

pub(super) fn opened<'a>(sequence: u64, name: &'a [u8], attributes: &'a [u8]) -> Opened<'a> {
    Opened {
        taken_over: TakenOver { plane_epoch: 1, ring: 0, position: 4 * sequence },
        plane: PLANE,
        domain: "isp.example",
        group: GROUP,
        scheme: PinnedScheme { interim_hash: true, ..PinnedScheme::default() },
        ..benches::opened(sequence, name, attributes)
    }
}

fn accepted(sequence: u64) -> Accepted {
    Accepted { serial: serial(sequence), at: Mono::from_nanos(sequence), keep_accounting: false }
}

fn sampled(sequence: u64, at: u64) -> Sampled {
    let moved = 1_000_000_000 + 997 * at;
    let v4 = Totals { in_octets: moved, in_packets: moved >> 9, out_octets: 20 * moved, out_packets: moved >> 5 };
    Sampled {
        serial: serial(sequence),
        at: Mono::from_nanos(at << 16),
        counters: Counters { v4, v6: Totals::default() },
        interim_failures: 0,
        cut: None,
    }
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

/// Reads, checks, indexes: the newest record of every session, by its serial, in a table of the kind that a shard finds its
/// sessions in, made as large as a shard makes it. As `ledger::segment` lays batches and frames out.
fn bare(store: &Store, sessions: usize) -> usize {
    let mut index = HashMap::with_capacity_and_hasher(sessions, BuildHasherDefault::<SipHasher13>::default());
    walk(store, |serial, newest| {
        index.insert(serial, newest);
    });
    index.len()
}

/// The same with hashbrown's own hash, which is a quicker one that strangers could make collide.
fn bare_with_quick_hash(store: &Store, sessions: usize) -> usize {
    let mut index = HashMap::with_capacity(sessions);
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
                if record[0] == 19 {
                    for sampled in Samples::read(&record[3..]) {
                        newest = newest.wrapping_add(1);
                        each(sampled.serial, newest);
                    }
                    continue;
                }
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
        segment
    });
}

/// As the daemon does it: a second thread reads ahead and computes checksums, and makes the shard's memory ready for the sessions
/// that are known so far.
fn recovered(store: &Store, sessions: usize) -> (Recovered<Replay>, Memory) {
    let mut shard_memory = Memory::new(Limits { sessions, ..Limits::default() });
    let mut recovery = Recovery::new(Replay::new());
    std::thread::scope(|scope| {
        let (ahead, segments) = bounded(2);
        let (used, progress) = unbounded::<(Option<Vec<u8>>, usize)>();
        let shard_memory = &mut shard_memory;
        scope.spawn(move || {
            let (mut sessions, mut memory) = (0, None);
            let mut learn = |memory: &mut Option<Vec<u8>>| {
                for (used, known) in progress.try_iter() {
                    sessions = known;
                    *memory = used.or(memory.take());
                }
                sessions
            };
            store.read(|number, octets| {
                let segment = CheckedSegment::new(number, octets);
                while ahead.is_full() && shard_memory.make_ready(learn(&mut memory)) {}
                ahead.send(segment).expect("it is taken");
                learn(&mut memory);
                memory.take().unwrap_or_default()
            });
            while shard_memory.make_ready(learn(&mut memory)) {}
        });
        for segment in segments {
            let memory = recovery.checked_segment(segment);
            let _ = used.send((memory, recovery.sink().session_count()));
        }
    });
    let (recovered, _) = recovery.finish().expect("it is good");
    assert!(!recovered.report.is_damaged());
    (recovered, shard_memory)
}

/// A shard that has every session. As the daemon does it: this thread finds out what the store says of each, and another one makes
/// sessions of that.
fn handed_over(recovered: &Recovered<Replay>, memory: Memory) -> Shard {
    let now = Now { mono: Mono::from_nanos(86_400_000_000_000), wall: Wall::from_millis(1_800_000_000_000) };
    let session_hash = plane::record::session_hash;
    let birth = Birth { epoch: 2, key: [7; 16], started: now.wall, shard: 0, shard_count: 1, session_hash };
    let mut shard = Shard::with_memory(birth, memory, now.mono);
    let mut settings = Settings::default();
    settings.radius_groups.insert(ObjectName::from(GROUP), RadiusGroup::default());
    shard.configure(&settings);
    let plane = PlaneIndex(0);
    let taken_over = recovered.state.taken_over().map(|event| {
        let RingPosition { plane_epoch, ring, position, .. } = event;
        TakenOver { plane_epoch, ring, position }
    });
    shard.handle_plane_known(now.mono, plane, PLANE, taken_over.collect());
    std::thread::scope(|scope| {
        let (batches, taken) = bounded::<Vec<Restored<'_>>>(16);
        let (used, empty) = unbounded::<Vec<Restored<'_>>>();
        let heir = &mut shard;
        scope.spawn(move || {
            for mut batch in taken {
                heir.restore(now, &batch).expect("there are slots enough");
                batch.clear();
                let _ = used.send(batch);
            }
        });
        let mut batch = Vec::with_capacity(BATCH);
        for session in recovered.state.sessions() {
            let opened = &session.whole.opened;
            assert_eq!((opened.plane, session_hash(opened.session) % u64::from(birth.shard_count)), (PLANE, 0));
            let rebooted = session.rebooted(recovered.boot_id, BOOT_ID);
            batch.push(Restored { plane, whole: session.whole, rebooted });
            if batch.len() == BATCH {
                let next = empty.try_recv().unwrap_or_else(|_| Vec::with_capacity(BATCH));
                batches.send(std::mem::replace(&mut batch, next)).expect("it is taken");
            }
        }
        batches.send(batch).expect("it is taken");
    });
    shard
}

/// What something took.
#[derive(Clone, Copy)]
struct Took {
    wall: Duration,
    /// Of all threads together, on the cores. What the system tells in hundredths of a second.
    on_cores: Duration,
}

fn timed<T>(work: impl FnOnce() -> T) -> (Took, T) {
    let (begin, on_cores) = (Instant::now(), on_cores());
    let made = work();
    (Took { wall: begin.elapsed(), on_cores: self::on_cores().saturating_sub(on_cores) }, made)
}

fn on_cores() -> Duration {
    let text = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let behind_name = text.rsplit(')').next().unwrap_or_default();
    // The fourteenth and fifteenth field: user and system time.
    let ticks = behind_name.split_whitespace().skip(11).take(2).filter_map(|ticks| ticks.parse::<u64>().ok());
    Duration::from_millis(10 * ticks.sum::<u64>())
}

fn asked_for(variable: &str, otherwise: usize) -> usize {
    std::env::var(variable).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

pub(super) fn recover() {
    let mut criterion = Criterion::default().configure_from_args();
    // Tests and lists of benches have no use for figures.
    if std::env::args().any(|argument| argument == "--test" || argument == "--list") {
        return;
    }
    let sessions = asked_for("RECOVERY_SESSIONS", SESSIONS);
    let store = Store::new(sessions as u64);
    ratios(&store, sessions);
    let mut group = criterion.benchmark_group("ledger/restart");
    group.sample_size(10).throughput(criterion::Throughput::Elements(sessions as u64));
    group.bench_function("floor: read, check, index", |b| b.iter(|| bare(&store, sessions)));
    group.bench_function("recovery", |b| b.iter(|| recovered(&store, sessions).0.state.session_count()));
    group.bench_function("restart", |b| {
        b.iter(|| {
            let (recovered, memory) = recovered(&store, sessions);
            handed_over(&recovered, memory).report().sessions
        });
    });
    group.finish();
}

/// The best of some rounds, taken in turn so that a slow moment of the machine meets all alike.
#[expect(clippy::print_stdout, reason = "the ratios are what the bench is for")]
fn ratios(store: &Store, sessions: usize) {
    let never = Took { wall: Duration::MAX, on_cores: Duration::MAX };
    let mut best = [never; 4];
    for _ in 0..ROUNDS {
        let (floor_took, found) = timed(|| bare(store, sessions));
        assert_eq!(found, sessions);
        let (quick_took, _) = timed(|| bare_with_quick_hash(store, sessions));
        let (recovery_took, (recovered, memory)) = timed(|| recovered(store, sessions));
        assert_eq!(recovered.state.session_count(), sessions);
        let (handing_took, shard) = timed(|| handed_over(&recovered, memory));
        assert_eq!(shard.report().sessions, sessions as u64);
        // The daemon is up by then, and another thread does that.
        let (dropping_took, ()) = timed(|| drop(recovered));
        let restart_took = Took {
            wall: recovery_took.wall + handing_took.wall,
            on_cores: recovery_took.on_cores + handing_took.on_cores + dropping_took.on_cores,
        };
        for (best, took) in best.iter_mut().zip([floor_took, quick_took, recovery_took, restart_took]) {
            *best = Took { wall: took.wall.min(best.wall), on_cores: took.on_cores.min(best.on_cores) };
        }
    }
    let [floor, quick, recovery, restart] = best;
    println!(
        "{sessions} sessions, {} records, {} segments of {} MiB; the floor has one thread, the restart two",
        store.records,
        store.files.len(),
        SEGMENT_OCTETS >> 20,
    );
    let line = |what: &str, took: Took, floor: Took| {
        let figures = |took: Duration, floor: Duration| {
            let (took, floor) = (took.as_secs_f64(), floor.as_secs_f64());
            format!("{:.0} ms, floor {:.0} ms, ratio {:.2}", took * 1e3, floor * 1e3, took / floor)
        };
        println!("{what}: {}", figures(took.wall, floor.wall));
        println!("{what}, time on all cores: {}", figures(took.on_cores, floor.on_cores));
    };
    line("restart", restart, floor);
    line("recovery alone", recovery, floor);
    line("restart, against a floor with hashbrown's own hash", restart, quick);
}
