//! How a life begins: the store is read, its sessions are handed to the shards that own them now.

use std::collections::BTreeMap;
use std::net::IpAddr;

use engine::{Boot, Restored};
use ledger::card::{CardFound, CardReading};
use ledger::keeper::{Keeper, KeeperStart};
use ledger::log::LogBounds;
use ledger::recover::{CheckedSegment, Life, LogStart, RecordBatch, RecordSink, Recovered, Recovery, RecoveryError};
use ledger::replay::{Replay, RingPosition};
use ledger::segment::Place;
use model::record::{Record, Started, TakenOver};
use model::settings::Settings;
use model::time::Now;

use super::worker::{Worker, shard_of};
use super::{Around, Links, Start};
use crate::disk::Disk;
use crate::seed::Dice;

/// Where requests come from.
pub(crate) const NAS: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));

/// What the records add up to, and the records themselves.
pub(crate) struct Memory {
    pub(crate) replay: Replay,
    pub(crate) records: Vec<(u64, Vec<u8>)>,
    /// The boot in which the last life began.
    boot_last: Option<[u8; 16]>,
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
}

impl RecordSink for Memory {
    fn record(&mut self, sequence: u64, place: Place, record: &Record<'_>, octets: &[u8]) {
        self.records.push((sequence, octets.to_vec()));
        self.replay.record(sequence, place, record, octets);
    }

    fn records(&mut self, batch: &RecordBatch<'_>) {
        self.records.extend(batch.iter().map(|stored| (stored.sequence, stored.octets.to_vec())));
        self.replay.records(batch);
    }

    fn take_memory(&mut self, memory: Vec<u8>) -> Option<Vec<u8>> {
        self.replay.take_memory(memory)
    }
}

/// Reads the store and lets the oracle know. `None`: the disk does not bring all of it.
pub(super) fn recover(disk: &Disk, around: &mut Around) -> Option<(Recovered<Memory>, LogStart)> {
    if disk.segments().any(|_| around.fallible.recovery()) {
        return None;
    }
    let (recovered, start) = read_segments(disk.segments()).expect("nothing later has written to the store");
    around.oracle.recovered(&recovered);
    Some((recovered, start))
}

/// What the store says now, for whoever does not go on with it.
pub(crate) fn read_store(disk: &Disk) -> Recovered<Memory> {
    read_segments(disk.segments()).expect("nothing later has written to the store").0
}

/// Reads segments as they are.
pub(super) fn read_segments(
    segments: impl Iterator<Item = (u64, Vec<u8>)>,
) -> Result<(Recovered<Memory>, LogStart), RecoveryError> {
    let memory = Memory { replay: Replay::new(), records: Vec::new(), boot_last: None };
    let mut recovery = Recovery::new(memory);
    for (number, octets) in segments {
        let _ = recovery.checked_segment(CheckedSegment::new(number, octets));
    }
    let (mut recovered, start) = recovery.finish()?;
    recovered.state.boot_last = recovered.boot_id;
    Ok((recovered, start))
}

/// What the card says now, for whoever does not go on with it.
pub(crate) fn read_card(disk: &Disk) -> CardFound {
    let mut reading = CardReading::new();
    for (number, octets) in disk.segments() {
        reading.segment(number, &octets);
    }
    reading.finish().expect("nothing later has written to the card")
}

/// Begins the log, and everything about bills with it.
pub(super) fn begin(
    recovered: &mut Recovered<Memory>,
    log_start: LogStart,
    start: &Start<'_>,
    dice: &mut Dice,
) -> (Keeper, Started, Boot) {
    let Start { scenario, boot_id, now, shard_count, .. } = *start;
    let (segment_len, batch_len) = scenario.log;
    let bounds = LogBounds::new(segment_len, batch_len).expect("the bounds are possible");
    let mut fresh = [[0; 16]; 2];
    for half in fresh.as_flattened_mut().chunks_exact_mut(8) {
        half.copy_from_slice(&dice.next().to_le_bytes());
    }
    let replay = &recovered.state.replay;
    let boot = Boot::new(boot_id, replay.booted(), replay.announced(), &scenario.settings);
    let (log, started) = log_start.begin(Life { boot_id, at: now, fresh_store: fresh[0], fresh_key: fresh[1] }, bounds);
    let keeper = Keeper::begin(
        KeeperStart {
            log,
            started,
            damaged: recovered.report.damaged_segments(),
            book: recovered.state.replay.take_book(),
            segments: std::mem::take(&mut recovered.segments),
            sources: shard_count,
            settings: scenario.settings.local_aaa_server.clone(),
            nas: scenario.settings.sysname.clone(),
            card: scenario.has_card.then_some(bounds),
            new_boot: boot.is_new.then(|| boot.announced.clone()),
        },
        now,
    );
    (keeper, started, boot)
}

/// Hands every session to the shard that owns its name now. Returns the next free source port.
pub(super) fn restore(
    workers: &mut [Worker],
    memory: &Memory,
    boot_id: [u8; 16],
    now: Now,
    settings: &Settings,
    links: &mut Links,
    mut port_next: u16,
) -> u16 {
    for (plane, events) in memory.taken_over() {
        let index = links.index_of(&plane);
        for worker in workers.iter_mut() {
            worker.shard.handle_plane_known(now.mono, index, &plane, events.clone());
        }
    }
    let mut heard: Vec<_> = memory.replay.heard().collect();
    heard.sort_by_key(|heard| (heard.plane, heard.plane_epoch, heard.ring, heard.shard_count, heard.shard));
    for heard in &heard {
        let index = links.index_of(heard.plane);
        workers.iter_mut().for_each(|worker| worker.shard.handle_heard(index, heard));
    }
    for worker in workers.iter_mut() {
        worker.shard.configure(settings);
        port_next = worker.bind(NAS, port_next);
    }
    for session in memory.replay.sessions() {
        let opened = &session.whole.opened;
        let owner = shard_of(opened.session, workers.len());
        let rebooted = session.rebooted(memory.boot_last, boot_id);
        let restored = Restored { plane: links.index_of(opened.plane), whole: session.whole, rebooted };
        workers[owner].shard.restore(now, &[restored]).expect("there are slots enough");
    }
    port_next
}
