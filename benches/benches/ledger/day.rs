//! The log of a day: a shard samples its sessions at every quarter of an hour and at every interim between two of them, writes
//! all of them again in turns, and says what may be forgotten; a keeper writes the log and removes its segments. How long all
//! segments together, the newest and its spare included, ever are, against what the sessions take when each is written once. The
//! target: at most twice that. Segments are as small beside what lives as the daemon's are beside a million sessions.

use std::collections::BTreeMap;
use std::time::Instant;

use benches::new_store;
use engine::{Birth, Limits, Restored, Shard};
use ledger::frame;
use ledger::keeper::{Keeper, Request};
use ledger::log::LogBounds;
use model::counters::{CounterSlot, CounterSource, Counters, Totals};
use model::ids::PlaneIndex;
use model::record::{Accepted, Checkpointed, Record, TakenOver};
use model::settings::Settings;
use model::time::{Mono, Now, Wall};

use super::SEGMENT_OCTETS;
use super::recovery::opened;

/// `DAY_SESSIONS` asks for another number.
const SESSIONS: u32 = 50_000;
/// So many have segments of [`SEGMENT_OCTETS`].
const SESSIONS_OF_FULL_SEGMENTS: u64 = 1_000_000;
const BATCH_OCTETS: usize = 64 << 10;
const BEGIN_S: u64 = 1_000;
const DAY_S: u64 = 86_400;
/// An interim and a sample in a quarter of an hour.
const SAMPLE_EVERY_S: u16 = 450;
const PLANE: &str = "vpp0";

/// Every session's counters have grown whenever somebody looks.
struct Growing(u64);

impl CounterSource for Growing {
    fn read(&self, _: PlaneIndex, slot: CounterSlot) -> Option<Counters> {
        let octets = Totals { in_octets: self.0 + u64::from(slot.slot), ..Totals::default() };
        Some(Counters { v4: octets, v6: Totals::default() })
    }
}

/// The lengths of the segments that there are, at most so much at once.
#[derive(Default)]
struct Disk {
    segments: BTreeMap<u64, u64>,
    octets_most: u64,
    written: u64,
}

impl Disk {
    fn perform(&mut self, request: Request<'_>) {
        match request {
            Request::CreateSegment { segment, len } => {
                self.segments.insert(segment, len);
                self.octets_most = self.octets_most.max(self.segments.values().sum());
            }
            Request::Write { bytes, .. } => self.written += bytes.len() as u64,
            Request::RemoveSegment { segment } | Request::SetAside { segment } => {
                self.segments.remove(&segment);
            }
            Request::Sync { .. } => {}
            Request::Read { .. } | Request::OpenCard => unreachable!("there are no bills, and there is no card"),
        }
    }
}

struct Day {
    shard: Shard,
    keeper: Keeper,
    disk: Disk,
}

fn at(seconds: u64) -> Now {
    let mono = Mono::from_nanos(seconds * 1_000_000_000);
    Now { mono, wall: Wall::from_millis(1_800_000_000_000 + seconds * 1_000) }
}

fn session<'a>(number: u32, name: &'a [u8], attributes: &'a [u8]) -> Checkpointed<'a> {
    let mut opened = opened(number.into(), name, attributes);
    opened.taken_over = TakenOver { plane_epoch: 0, ring: 0, position: 0 };
    opened.interim_s = 0;
    opened.counters.slot = number;
    let accepted = Accepted { serial: opened.serial, at: Mono::from_nanos(1), keep_accounting: false };
    Checkpointed { opened, accepted: Some(accepted), start_failed: None, sampled: None, closed: None }
}

impl Day {
    fn new(sessions: u32, segment_len: u64) -> Day {
        let now = at(BEGIN_S);
        let bounds = LogBounds::new(segment_len, BATCH_OCTETS).expect("they are possible");
        let keeper = new_store(bounds, now);
        let session_hash = plane::record::session_hash;
        let birth = Birth { epoch: 2, key: [7; 16], started: now.wall, shard: 0, shard_count: 1, session_hash };
        let limits = Limits { sessions: sessions as usize, ..Limits::default() };
        let mut shard = Shard::new(birth, limits, now.mono);
        shard.configure(&Settings { checkpoint_interval_s: SAMPLE_EVERY_S, ..Settings::default() });
        shard.handle_plane_known(now.mono, PlaneIndex(0), PLANE, Vec::new());
        shard.handle_plane_linked(now.mono, PlaneIndex(0), PLANE, 1, 1);
        for number in 0..sessions {
            let name = u64::from(number).to_be_bytes();
            let restored =
                Restored { plane: PlaneIndex(0), whole: session(number, &name, &[0x5A; 240]), rebooted: None };
            shard.restore(now, &[restored]).expect("there are slots enough");
        }
        Day { shard, keeper: Keeper::begin(keeper, now), disk: Disk::default() }
    }

    fn second(&mut self, seconds: u64) {
        let now = at(seconds);
        self.shard.handle_timeout(now, &Growing(seconds));
        self.shard.sweep(now, &Growing(seconds));
        self.keeper.handle_timeout(now);
        let mut room = [0; frame::RECORD_LEN_MAX];
        while let Some(record) = self.shard.poll_record() {
            let len = frame::encode(&record, &mut room).expect("it fits");
            while self.keeper.append(0, &room[..len]).is_err() {
                Day::drain(&mut self.keeper, &mut self.disk, now);
            }
        }
        Day::drain(&mut self.keeper, &mut self.disk, now);
        self.shard.handle_durable(now, self.keeper.durable_through(0));
        self.keeper.handle_needed_from(0, self.shard.needed_from());
    }

    fn drain(keeper: &mut Keeper, disk: &mut Disk, now: Now) {
        while let Some(operation) = keeper.poll_operation() {
            let id = operation.id;
            disk.perform(operation.request);
            keeper.handle_completed(id, Ok(()), now);
        }
    }
}

/// What the sessions take when each is written once: its record with a sample, and what a frame has before and behind it.
fn live(sessions: u32) -> u64 {
    let whole = session(0, &[0; 8], &[0x5A; 240]);
    let serial = whole.opened.serial;
    let sampled =
        model::record::Sampled { serial, at: Mono::ZERO, counters: Counters::ZERO, interim_failures: 0, cut: None };
    let len = frame::encoded_len(&Record::Checkpointed(Checkpointed { sampled: Some(sampled), ..whole }));
    u64::from(sessions) * (8 + len).next_multiple_of(8) as u64
}

#[expect(clippy::print_stdout, reason = "the ratio is what the bench is for")]
pub(super) fn log_of_a_day() {
    if std::env::args().any(|argument| argument == "--test" || argument == "--list") {
        return;
    }
    let sessions = std::env::var("DAY_SESSIONS").ok().and_then(|text| text.parse().ok()).unwrap_or(SESSIONS);
    let segment_len = (SEGMENT_OCTETS * u64::from(sessions) / SESSIONS_OF_FULL_SEGMENTS / 512 * 512).max(128 << 10);
    let began = Instant::now();
    let mut day = Day::new(sessions, segment_len);
    for second in 0..DAY_S {
        day.second(BEGIN_S + second);
    }
    let (live, most) = (live(sessions) as f64, day.disk.octets_most as f64);
    assert_eq!(day.shard.report().sessions, u64::from(sessions));
    let mib = |octets: f64| octets / f64::from(1 << 20);
    println!(
        "log of a day, {sessions} sessions, segments of {} KiB, {:.0} MiB written in {:.0} s: at most {:.1} MiB, live {:.1} MiB, ratio {:.2} (target 2)",
        segment_len >> 10,
        mib(day.disk.written as f64),
        began.elapsed().as_secs_f64(),
        mib(most),
        mib(live),
        most / live,
    );
}
