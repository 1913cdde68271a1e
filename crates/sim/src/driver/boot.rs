//! How a life begins: the store is read, its sessions are handed to the shards that own them now.

use std::collections::BTreeMap;
use std::net::IpAddr;

use engine::Restored;
use ledger::frame;
use ledger::log::{Log, LogBounds};
use ledger::recover::{Life, LogStart, RecordSink, Recovered, Recovery};
use ledger::replay::{LiveSession, Replay, RingPosition};
use ledger::segment::Place;
use model::record::{Checkpointed, Heard, Record, Started, TakenOver};
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

/// What the records add up to, and the records themselves.
pub(crate) struct Memory {
    replay: Replay,
    /// Nothing is known of what lies before this record, as if its segments had been thrown away.
    needed_from: u64,
    /// How far each plane's rings were heard: by plane, its epoch, ring, shard, and number of shards.
    heard: BTreeMap<(String, u64, u16, u16, u16), u64>,
    pub(crate) records: Vec<(u64, Vec<u8>)>,
}

impl Memory {
    /// Sessions that live on, or owe a Stop.
    pub(crate) fn sessions(&self) -> usize {
        self.replay.session_count()
    }

    /// The events of each plane that were taken over.
    fn taken_over(&self) -> BTreeMap<String, Vec<TakenOver>> {
        let mut planes: BTreeMap<String, Vec<TakenOver>> = BTreeMap::new();
        for event in self.replay.taken_over() {
            let RingPosition { plane, plane_epoch, ring, position } = event;
            planes.entry(plane.to_owned()).or_default().push(TakenOver { plane_epoch, ring, position });
        }
        planes
    }

    /// A session, whole: as if all of its records were read.
    fn checkpointed(&mut self, sequence: u64, place: Place, checkpointed: &Checkpointed<'_>) {
        let Checkpointed { opened, accepted, start_failed, sampled, closed } = *checkpointed;
        let parts = [
            Some(Record::Opened(opened)),
            accepted.map(Record::Accepted),
            start_failed.map(Record::StartFailed),
            sampled.map(Record::Sampled),
            closed.map(Record::Closed),
        ];
        for part in parts.into_iter().flatten() {
            let mut octets = vec![0; frame::RECORD_LEN_MAX];
            let length = frame::encode(&part, &mut octets).expect("a part is no longer than the whole");
            self.replay.record(sequence, place, &part, &octets[..length]);
        }
    }
}

impl RecordSink for Memory {
    fn record(&mut self, sequence: u64, place: Place, record: &Record<'_>, octets: &[u8]) {
        self.records.push((sequence, octets.to_vec()));
        match record {
            _ if sequence < self.needed_from => {}
            Record::Checkpointed(checkpointed) => self.checkpointed(sequence, place, checkpointed),
            Record::Heard(heard) => {
                let Heard { plane, plane_epoch, ring, through, shard, shard_count } = *heard;
                let known = self.heard.entry((plane.to_owned(), plane_epoch, ring, shard, shard_count)).or_default();
                *known = through.max(*known);
            }
            _ => self.replay.record(sequence, place, record, octets),
        }
    }
}

/// Reads the store and lets the oracle know.
pub(super) fn recover(disk: &Disk, around: &mut Around) -> (Recovered<Memory>, LogStart) {
    let (recovered, start) = read(disk);
    around.oracle.recovered(&recovered);
    (recovered, start)
}

/// What the store says now, for whoever does not go on with it.
pub(crate) fn read_store(disk: &Disk) -> Recovered<Memory> {
    read(disk).0
}

fn read(disk: &Disk) -> (Recovered<Memory>, LogStart) {
    let memory =
        Memory { replay: Replay::new(), needed_from: disk.needed_from, heard: BTreeMap::new(), records: Vec::new() };
    let mut recovery = Recovery::new(memory);
    for (number, octets) in disk.segments() {
        recovery.segment(number, &octets);
    }
    recovery.finish().expect("nothing later has written to the store")
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
    for (plane, events) in memory.taken_over() {
        let index = links.index_of(&plane);
        for worker in workers.iter_mut() {
            worker.shard.handle_plane_known(now.mono, index, &plane, events.clone());
        }
    }
    for ((plane, plane_epoch, ring, shard, shard_count), &through) in &memory.heard {
        let (index, plane_epoch) = (links.index_of(plane), *plane_epoch);
        let heard = Heard { plane, plane_epoch, ring: *ring, through, shard: *shard, shard_count: *shard_count };
        workers.iter_mut().for_each(|worker| worker.shard.handle_heard(index, &heard));
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
    let LiveSession { opened, accepted, start_failed, sampled, closed, .. } = *session;
    Restored { opened, accepted, start_failed, sampled, closed, rebooted: None }
}
