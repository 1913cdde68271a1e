use std::collections::{BTreeSet, VecDeque};

use model::counters::{Counters, Totals};
use model::ids::SessionSerial;
use model::record::{Checkpointed, Record, Sampled};
use model::settings::{BillReplay, CacheBackupMode};
use model::time::Mono;

use super::world::{Dice, World, bill, settings};
use crate::log::LogBounds;

/// What a shard does: it counts its sessions, and for each octet of that it writes 1.5 octets of sessions again, in turn.
struct Shard {
    sessions: u64,
    cursor: u64,
    written: u64,
    octets: u64,
    owed: f64,
    /// The number of each session's last record of all that is known of it.
    marks: VecDeque<u64>,
}

impl Shard {
    fn new(sessions: u64) -> Shard {
        Shard { sessions, cursor: 0, written: 0, octets: 0, owed: 0.0, marks: VecDeque::new() }
    }

    fn append(&mut self, world: &mut World, record: &Record<'_>) -> usize {
        world.append(record);
        self.written += 1;
        let len = crate::frame::encoded_len(record);
        self.octets += len as u64;
        len
    }

    fn count(&mut self, world: &mut World, session: u64, counted: u64) {
        let counters = Counters { v4: Totals { in_octets: counted, ..Totals::default() }, v6: Totals::default() };
        let serial = SessionSerial { epoch: 1, sequence: session };
        let sampled = Sampled { serial, at: Mono::ZERO, counters, interim_failures: 0, cut: None };
        let len = self.append(world, &Record::Sampled(sampled));
        self.owed += 1.5 * f64::from(u32::try_from(len).unwrap());
        while self.owed > 0.0 {
            self.checkpoint(world, counters);
        }
    }

    fn checkpoint(&mut self, world: &mut World, counters: Counters) {
        let opened = bill(self.cursor + 1).opened;
        let sampled = Some(Sampled { serial: opened.serial, at: Mono::ZERO, counters, interim_failures: 0, cut: None });
        let record = Checkpointed { opened, accepted: None, start_failed: None, sampled, closed: None };
        let len = self.append(world, &Record::Checkpointed(record));
        self.owed -= f64::from(u32::try_from(len).unwrap());
        self.cursor += 1;
        self.cursor %= self.sessions;
        self.marks.push_back(self.written);
        if self.marks.len() > usize::try_from(self.sessions).unwrap() {
            self.marks.pop_front();
            world.keeper.handle_needed_from(0, self.marks[0]);
        }
    }

    /// Octets of one turn, as they stand in the log.
    fn live(&self) -> u64 {
        let opened = bill(1).opened;
        let sampled =
            Sampled { serial: opened.serial, at: Mono::ZERO, counters: Counters::ZERO, interim_failures: 0, cut: None };
        let record = Record::Checkpointed(Checkpointed {
            opened,
            accepted: None,
            start_failed: None,
            sampled: Some(sampled),
            closed: None,
        });
        self.sessions * crate::segment::frame_len(crate::frame::encoded_len(&record)) as u64
    }
}

#[test]
fn the_log_of_a_day_stays_within_twice_its_live_size() {
    let segment_len = 1024 + 16 * 16_384;
    let bounds = LogBounds::new(segment_len, 16_384).unwrap();
    let mut settings = settings(CacheBackupMode::None);
    settings.cache.capacity = 2_000;
    let mut world = World::with_bounds(settings, bounds);
    let mut shard = Shard::new(4_000);
    let mut largest = 0;
    // Bills that stay, come and go in between.
    let mut bills = 0_u64;
    for round in 0..24 {
        for session in 1..=shard.sessions {
            shard.count(&mut world, session, round);
            if session % 100 == 0 && bills < 1_000 {
                bills += 1;
                world.bill(bills);
                shard.written += 1;
            }
            if session % 40 == 0 {
                world.turn().unwrap();
            }
        }
        world.settle().unwrap();
        if round > 2 {
            largest = largest.max(world.ledger.len());
        }
    }
    assert_eq!(world.pool().len(), usize::try_from(bills).unwrap());
    let live = shard.live() + bills * 300;
    let ratio = largest as f64 / live as f64;
    println!("{} octets written, {largest} on the disk at most, {live} live: {ratio:.2}", shard.octets);
    // The window of one turn is live and two thirds of live; the newest segment, its spare, the one that waits for a header and
    // one that is partly needed come on top.
    assert!(largest <= 2 * live + 4 * segment_len, "{largest} octets for {live}: {ratio:.2}");
    // Nothing is lost on the way.
    assert_eq!(world.recovered().snapshot(), world.keeper.book().snapshot());
    world.restart();
    world.settle().unwrap();
    assert_eq!(world.pool(), (1..=bills).collect::<Vec<_>>());
}

#[test]
fn any_run_adds_up_to_what_recovery_makes_of_it() {
    for seed in 0..12 {
        let mut dice = Dice(seed);
        let mode = [CacheBackupMode::Cfcard, CacheBackupMode::Sftp, CacheBackupMode::None][(seed % 3) as usize];
        let mut settings = settings(mode);
        settings.replay = [BillReplay::Enabled, BillReplay::Disabled][(seed % 2) as usize];
        // Nothing is dropped here.
        settings.cache.capacity = 20_000;
        let mut world = World::new(settings);
        let mut shard = Shard::new(20);
        let mut next = 1;
        for _ in 0..60 {
            match dice.below(8) {
                0 => world.servers.failure = Some(crate::transfer::UploadFailure::Timeout),
                1 => world.servers.failure = None,
                2 => world.keeper.backup_cache(world.now).unwrap_or(()),
                3 => world.keeper.backup_cfcard(None, world.now).unwrap_or(()),
                4 => world.servers.accounting_fails = dice.below(2) == 0,
                5 => world.keeper.handle_servers_answer(dice.below(2) == 0, world.now),
                6 => world.card.fault = (dice.below(3) == 0).then_some(crate::log::DiskFault::Io),
                _ => world.pass(dice.below(200)).unwrap(),
            }
            for _ in 0..dice.below(12) {
                world.bill(next);
                shard.written += 1;
                next += 1;
            }
            for session in 0..dice.below(400) {
                shard.count(&mut world, session % 20, next);
                if session % 16 == 0 {
                    // Replays write records of this source, too.
                    world.turn().unwrap();
                    shard.written = world.written();
                }
            }
            world.settle().unwrap();
            shard.written = world.written();
            assert_eq!(world.recovered().snapshot(), world.keeper.book().snapshot(), "seed {seed}");
            if dice.below(12) == 0 {
                world.crash(&mut dice);
                shard = Shard::new(20);
                world.settle().unwrap();
                shard.written = world.written();
            }
        }
        world.card.fault = None;
        world.pass(100).unwrap();
        world.check();
        let first = world.ledger.segments().next().unwrap().0;
        assert!(first > 3, "seed {seed}: the log was compacted");
        let distinct: BTreeSet<u64> = world.announced.clone();
        assert!(distinct.len() > 50);
    }
}
