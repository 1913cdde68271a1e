//! How a life begins: the store is read, its sessions are handed to the shards that own them now.

use std::collections::BTreeMap;
use std::net::IpAddr;

use engine::Restored;
use ledger::log::{Log, LogBounds};
use ledger::recover::{Life, LogStart, RecordSink, Recovered, Recovery};
use ledger::replay::{LiveSession, Replay, StartOutcome};
use ledger::segment::Place;
use model::record::{Accepted, Record, StartFailed, Started, TakenOver};
use model::settings::Settings;
use model::time::Now;

use super::worker::{Worker, shard_of};
use super::{Around, Links};
use crate::disk::Disk;
use crate::seed::Dice;

/// The box was never rebooted.
const BOOT_ID: [u8; 16] = *b"the same boot ID";
/// Octets of a segment: a few batches, so that there are many.
const SEGMENT_LEN: u64 = 256 << 10;
const BATCH_LEN: usize = 16 << 10;
/// Where requests come from.
pub(crate) const NAS: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));

/// What the records add up to, the events of each plane that they took over, and the records themselves.
#[derive(Default)]
pub(crate) struct Memory {
    replay: Replay,
    taken_over: BTreeMap<String, Vec<TakenOver>>,
    pub(crate) records: Vec<(u64, Vec<u8>)>,
}

impl Memory {
    /// Sessions that live on, or owe a Stop.
    pub(crate) fn sessions(&self) -> usize {
        self.replay.session_count()
    }

    fn take_over(&mut self, plane: &str, event: TakenOver) {
        let events = self.taken_over.entry(plane.to_owned()).or_default();
        if event.plane_epoch != 0 && !events.contains(&event) {
            events.push(event);
        }
    }
}

impl RecordSink for Memory {
    fn record(&mut self, sequence: u64, place: Place, record: &Record<'_>, octets: &[u8]) {
        match record {
            Record::Opened(opened) => self.take_over(opened.plane, opened.taken_over),
            Record::Closed(closed) => {
                if let Some(session) = self.replay.session(closed.serial) {
                    let plane = session.opened.plane.to_owned();
                    self.take_over(&plane, closed.taken_over);
                }
            }
            _ => {}
        }
        self.replay.record(sequence, place, record, octets);
        self.records.push((sequence, octets.to_vec()));
    }
}

/// Reads the store.
pub(super) fn recover(disk: &Disk, around: &mut Around) -> (Recovered<Memory>, LogStart) {
    let mut recovery = Recovery::new(Memory::default());
    for (number, octets) in disk.segments() {
        recovery.segment(number, &octets);
    }
    let (recovered, start) = recovery.finish().expect("nothing later has written to the store");
    around.oracle.recovered(&recovered);
    (recovered, start)
}

/// Begins the log.
pub(super) fn begin(start: LogStart, now: Now, dice: &mut Dice) -> (Log, Started) {
    let bounds = LogBounds::new(SEGMENT_LEN, BATCH_LEN).expect("the bounds are possible");
    let mut fresh = [[0; 16]; 2];
    for half in fresh.as_flattened_mut().chunks_exact_mut(8) {
        half.copy_from_slice(&dice.next().to_le_bytes());
    }
    start.begin(Life { boot_id: BOOT_ID, at: now, fresh_store: fresh[0], fresh_key: fresh[1] }, bounds)
}

/// Hands every session to the shard that owns its name now. Returns the next free source port.
pub(super) fn restore(
    workers: &mut [Worker],
    memory: &Memory,
    now: Now,
    settings: &Settings,
    links: &mut Links,
    mut port_next: u16,
) -> u16 {
    // In an order that no hash map decides.
    let mut sessions: Vec<LiveSession<'_>> = memory.replay.sessions().collect();
    sessions.sort_by_key(|session| session.opened.serial);
    for (plane, events) in &memory.taken_over {
        let index = links.index_of(plane);
        for worker in workers.iter_mut() {
            worker.shard.handle_plane_known(now.mono, index, plane, events.clone());
        }
    }
    for worker in workers.iter_mut() {
        worker.shard.configure(settings);
        port_next = worker.bind(NAS, port_next);
    }
    for session in &sessions {
        let index = links.index_of(session.opened.plane);
        let owner = shard_of(session.opened.session, workers.len());
        workers[owner].shard.restore(now, index, &restored(session)).expect("there are slots enough");
    }
    port_next
}

fn restored<'a>(session: &LiveSession<'a>) -> Restored<'a> {
    let serial = session.opened.serial;
    let (accepted, start_failed) = match session.start {
        StartOutcome::Pending => (None, None),
        StartOutcome::Accepted { at, keep_accounting } => (Some(Accepted { serial, at, keep_accounting }), None),
        StartOutcome::Failed { zero_stop } => (None, Some(StartFailed { serial, zero_stop })),
    };
    Restored { opened: session.opened, accepted, start_failed, sampled: session.sampled, closed: session.closed }
}
