//! Cards that are full, damaged, missing or reset while something is done with them.

use std::time::Duration;

use model::ids::BillId;
use model::record::{BillStore, Delivered, Departure, Record, Returned};
use model::settings::{BillReplay, CacheBackupMode};
use model::time::Mono;

use super::world::{World, settings};
use crate::keeper::{Alarm, CardFault};
use crate::log::DiskFault;
use crate::segment::SEGMENT_HEAD_LEN;
use crate::transfer::{Stage, UploadFailure};

/// A card with so many bills on it, and an empty pool.
fn with_card(bills: u64) -> World {
    let mut world = World::new(settings(CacheBackupMode::Cfcard));
    for counted in 1..=bills {
        world.bill(counted);
    }
    world.settle().unwrap();
    world.keeper.backup_cache(world.now).ok();
    world.settle().unwrap();
    assert_eq!((world.pool().len() as u64, world.on_card().len() as u64), (0, bills));
    world
}

/// One more bill gets onto the card and from there to the server. Those of before are accounted for.
fn check_goes_on(world: &mut World, counted: u64) {
    world.announced.clear();
    world.bill(counted);
    world.settle().unwrap();
    world.keeper.backup_cache(world.now).unwrap();
    world.pass(61).unwrap();
    assert_eq!(world.on_card(), [counted]);
    world.keeper.backup_cfcard(None, world.now).unwrap();
    world.settle().unwrap();
    assert!(world.in_files().contains_key(&counted) && world.on_card().is_empty());
    world.check();
}

#[test]
fn bills_that_come_faster_than_the_card_takes_them_wait_while_it_has_room() {
    for (capacity, drops) in [(5_000, false), (50, true)] {
        let mut world = World::new(settings(CacheBackupMode::Cfcard));
        world.configure(|settings| settings.cfcard.capacity = capacity);
        world.servers.failure = Some(UploadFailure::Refused);
        world.settle().unwrap();
        for counted in 1..=3_000 {
            world.bill(counted);
        }
        world.settle().unwrap();
        let (pool, card) = (world.pool().len(), world.on_card().len());
        let dropped = usize::try_from(world.keeper.book().pool().dropped(BillStore::Cache).bills).unwrap();
        assert_eq!(pool + card + dropped, 3_000);
        assert_eq!(dropped > 0, drops, "{dropped} dropped, {card} of {capacity} on the card");
        assert!(drops || pool <= 100, "the pool's own capacity: {pool}");
    }
}

#[test]
fn a_reset_while_a_bill_of_the_card_is_read_leaves_uploads_alive() {
    let mut world = with_card(30);
    world.keeper.backup_cfcard(None, world.now).unwrap();
    world.keeper.handle_timeout(world.now);
    assert!(matches!(world.keeper.ships[1].stage, Stage::Gathering(_)));
    assert_eq!(world.keeper.reset_cfcard(world.now), Ok(30));
    world.pass(5).unwrap();
    assert!(world.on_card().is_empty() && world.in_files().is_empty());
    check_goes_on(&mut world, 31);
}

#[test]
fn a_reset_abandons_a_file_whose_beginning_is_on_its_way_to_the_disk() {
    let mut world = with_card(30);
    world.keeper.backup_cfcard(None, world.now).unwrap();
    world.keeper.handle_timeout(world.now);
    while !matches!(world.keeper.ships[1].stage, Stage::Announcing(_)) {
        assert!(world.operate().unwrap());
    }
    assert_eq!(world.keeper.reset_cfcard(world.now), Ok(30));
    world.pass(5).unwrap();
    assert_eq!((world.servers.uploads, world.keeper.book().transfers().count()), (0, 0));
    let departures: Vec<_> = world.keeper.book().departures().runs().map(|run| (run.count, run.departure)).collect();
    assert_eq!(departures, [(30, Departure::Reset)]);
    check_goes_on(&mut world, 31);
}

/// A move was cut off, and its copy stands on the card in the page cache only. Before it is synced, the bill is claimed for a
/// replay: the card is told to let its copy go. Nothing is sent, and the bill is free again when the card is settled: then
/// the pool's copy is the only one, and the move was none.
#[test]
fn a_copy_that_the_card_lets_go_is_not_taken_for_a_move() {
    let mut claimed_early = 0;
    for fuse in 0..1000 {
        let mut world = World::new(settings(CacheBackupMode::Cfcard));
        world.bill(1);
        world.settle().unwrap();
        world.keeper.backup_cache(world.now).unwrap();
        world.fuse = Some(fuse);
        if world.settle().is_ok() {
            assert!(claimed_early > 0, "no move was cut off where it matters");
            return;
        }
        world.settings.replay = BillReplay::Enabled;
        world.is_card_held = true;
        world.servers.replays_are_refused = true;
        world.restart();
        world.keeper.handle_servers_answer(true, world.now);
        world.settle().unwrap();
        claimed_early += u64::from(!world.on_card().is_empty() && world.pool() == [1]);
        world.release_card();
        world.settle().unwrap();
        world.check();
        assert_eq!(world.pool().len() + world.on_card().len(), 1, "step {fuse}");
        assert!(world.proof().is_complete(), "step {fuse}: {:?}", world.proof());
    }
    panic!("the move has no end");
}

#[test]
fn damage_on_the_card_is_told() {
    let mut world = with_card(30);
    world.bill(31);
    world.settle().unwrap();
    world.keeper.backup_cache(world.now).unwrap();
    world.settle().unwrap();
    let number = world.card.segments().next().unwrap().0;
    world.card.change(number, |octets| octets[SEGMENT_HEAD_LEN + 1024..][..1024].fill(0xAA));
    world.alarms.clear();
    world.restart();
    world.pass(1).unwrap();
    let [Alarm::CardDamaged { findings, records_lost, .. }] = world.alarms[..] else { panic!("{:?}", world.alarms) };
    assert!(findings > 0 && records_lost > 0);
    assert!(world.on_card().len() < 31, "some are gone");
    // It is read again after every failure, and told once.
    world.card.fault = Some(DiskFault::Io);
    world.bill(32);
    world.settle().unwrap();
    world.keeper.backup_cache(world.now).unwrap();
    world.pass(10).unwrap();
    world.card.fault = None;
    world.pass(61).unwrap();
    assert_eq!(world.alarms[1..], [Alarm::CardFailing(CardFault::Disk(DiskFault::Io)), Alarm::CardHealed]);
}

#[test]
fn a_mount_point_without_its_card_is_not_written_to() {
    let mut world = with_card(30);
    let card = std::mem::take(&mut world.card);
    world.restart();
    world.bill(31);
    world.settle().unwrap();
    world.keeper.backup_cache(world.now).unwrap();
    world.pass(600).unwrap();
    assert_eq!(world.alarms, [Alarm::CardFailing(CardFault::Missing)]);
    assert_eq!((world.pool(), world.card.segments().count()), (vec![31], 0));
    world.card = card;
    world.pass(61).unwrap();
    assert_eq!(world.alarms[1..], [Alarm::CardHealed]);
    assert_eq!((world.pool().len(), world.on_card().len()), (0, 31));
    world.check();
}

#[test]
fn a_reset_gives_a_missing_card_up() {
    let mut world = with_card(30);
    world.configure(|settings| settings.cfcard.backup_interval_min = 5_000);
    world.card = Default::default();
    world.restart();
    world.pass(1).unwrap();
    assert_eq!(world.alarms, [Alarm::CardFailing(CardFault::Missing)]);
    assert!(!world.proof().is_complete());
    assert_eq!(world.keeper.reset_cfcard(world.now), Ok(30));
    world.pass(61).unwrap();
    assert!(world.proof().is_complete(), "a reset explains the gap");
    assert_eq!(world.keeper.information().cfcard.bills, 0);
    check_goes_on(&mut world, 31);
    assert_eq!(world.alarms[1..], [Alarm::CardHealed]);
}

#[test]
fn another_card_is_taken_when_nothing_is_missed_on_it() {
    let mut world = with_card(30);
    world.keeper.backup_cfcard(None, world.now).unwrap();
    world.settle().unwrap();
    world.card = Default::default();
    world.restart();
    check_goes_on(&mut world, 31);
    assert_eq!(world.alarms, []);
}

#[test]
fn while_the_ledger_fails_a_card_that_came_back_is_not_looked_at_without_end() {
    let mut world = with_card(30);
    world.card.fault = Some(DiskFault::Io);
    world.bill(31);
    world.settle().unwrap();
    world.keeper.backup_cache(world.now).unwrap();
    world.settle().unwrap();
    world.ledger.write_fault = Some(DiskFault::Io);
    let told = Record::Returned(Returned { id: BillId { epoch: 1, sequence: 31 }, was_sent: false });
    (0..2_000).for_each(|_| world.keeper.tell(&told));
    world.card.fault = None;
    world.now.mono = world.now.mono.plus(Duration::from_secs(61));
    for _ in 0..50 {
        world.turn().unwrap();
    }
    assert!(world.keeper.card.has_more(), "the card is read and waits for the ledger");
    assert_ne!(world.keeper.poll_timeout(), Some(Mono::ZERO));
    world.ledger.write_fault = None;
    world.now.mono = world.now.mono.plus(Duration::from_secs(61));
    world.settle().unwrap();
    assert!(!world.keeper.card.has_more());
    world.check();
}

#[test]
fn bills_that_the_card_does_not_bring_any_more_are_counted_and_told() {
    let mut world = with_card(12);
    world.alarms.clear();
    // The disk has changed what it was given, where bills stand. The next ones make the segment one that is to go.
    let segment = world.keeper.card_bills().next().unwrap().place.segment;
    let lost: Vec<_> = world.keeper.card_bills().map(|bill| (bill.id, bill.place)).take(2).collect();
    for (_, place) in &lost {
        let at = usize::try_from(place.offset).unwrap();
        world.card.change(place.segment, |octets| octets[at..at + 64].fill(0xAA));
    }
    let mut counted = 12;
    while world.keeper.book().departures().find(lost[1].0).is_none_or(|way| way.1 != Departure::Dropped) {
        assert!(counted < 5_000, "segment {segment} is never compacted");
        for _ in 0..30 {
            counted += 1;
            world.bill(counted);
        }
        world.settle().unwrap();
        let _ = world.keeper.backup_cache(world.now);
        world.settle().unwrap();
        let _ = world.keeper.backup_cfcard(None, world.now);
        world.settle().unwrap();
    }
    let dropped = world.keeper.book().pool().dropped(BillStore::Cfcard);
    assert_eq!((dropped.bills, dropped.octets), (2, 1 + 2));
    assert_eq!(world.keeper.information().octets_unaccounted, 1 + 2);
    let told: Vec<&Alarm> = world.alarms.iter().filter(|alarm| matches!(alarm, Alarm::BillDropped { .. })).collect();
    assert!(matches!(told[..], [.., Alarm::BillDropped { store: BillStore::Cfcard, dropped: 2 }]), "{told:?}");
    world.restart();
    world.settle().unwrap();
    assert_eq!(world.keeper.book().pool().dropped(BillStore::Cfcard), dropped);
}

#[test]
fn a_replay_that_ends_while_the_card_is_opened_costs_no_bill() {
    let mut world = World::new(settings(CacheBackupMode::Cfcard));
    world.configure(|settings| settings.replay = BillReplay::Enabled);
    (1..=3).for_each(|counted| world.bill(counted));
    world.settle().unwrap();
    // They are on the card, and the ledger was not told so.
    world.ledger.write_fault = Some(DiskFault::Io);
    world.keeper.backup_cache(world.now).unwrap();
    while world.operate().unwrap() {}
    world.ledger.write_fault = None;
    world.restart();
    world.keeper.handle_servers_answer(true, world.now);
    let mut replayed = Vec::new();
    while replayed.len() < 3 {
        assert!(world.operate().unwrap());
        replayed.extend(std::iter::from_fn(|| world.keeper.poll_replay()).map(|(id, _)| id));
    }
    assert_eq!(world.on_card().len(), 3, "the card was read, and cannot be written to yet");
    for id in replayed {
        world.append(&Record::Returned(Returned { id, was_sent: false }));
    }
    world.settle().unwrap();
    world.check();
    assert_eq!(world.pool().len() + world.on_card().len(), 3);
    assert!(world.proof().is_complete());
}

/// A bill stands in the pool, and on the card where a move that was cut off left a copy. The pool's has had its end, a file that
/// arrived or a replay, and the disk does not take the record of it. The card comes back meanwhile.
fn check_copy_is_left_alone(what: &str, begin: impl FnOnce(&mut World), has_ended: fn(&World) -> bool) {
    let mut world = World::new(settings(CacheBackupMode::Cfcard));
    world.bill(1);
    world.settle().unwrap();
    world.ledger.write_fault = Some(DiskFault::Io);
    world.keeper.backup_cache(world.now).unwrap();
    while world.operate().unwrap() {}
    world.ledger.write_fault = None;
    world.card.fault = Some(DiskFault::Io);
    world.settings.cache.backup_mode = CacheBackupMode::Sftp;
    world.restart();
    world.settle().unwrap();
    begin(&mut world);
    while !has_ended(&world) {
        assert!(world.turn().unwrap(), "{what}: it comes to no end");
    }
    world.ledger.write_fault = Some(DiskFault::Io);
    world.card.fault = None;
    world.now.mono = world.now.mono.plus(Duration::from_secs(61));
    for _ in 0..50 {
        world.turn().unwrap();
    }
    assert!(world.keeper.card.is_ready() && world.keeper.book().pool().bill_count() == 1, "{what}");
    world.keeper.backup_cfcard(None, world.now).ok();
    for _ in 0..50 {
        world.turn().unwrap();
    }
    world.ledger.write_fault = None;
    world.now.mono = world.now.mono.plus(Duration::from_secs(61));
    world.settle().unwrap();
    let places = (world.pool(), world.on_card(), world.in_files(), &world.servers.acknowledged);
    let count = places.0.len() + places.1.len() + places.2.len() + places.3.len();
    assert_eq!(count, 1, "{what}: pool, card, files, acknowledged: {places:?}");
    assert!(world.proof().is_complete(), "{what}: {:?}", world.proof());
}

#[test]
fn a_copy_on_the_card_of_a_bill_whose_end_waits_for_the_disk_goes_into_no_file() {
    let is_recorded = |world: &World| world.written() > 0;
    let replay = |world: &mut World| {
        world.configure(|settings| settings.replay = BillReplay::Enabled);
        world.keeper.handle_servers_answer(true, world.now);
    };
    let file = |world: &mut World| world.keeper.backup_cache(world.now).unwrap();
    check_copy_is_left_alone("its file arrived", file, |world| world.servers.uploads > 0);
    check_copy_is_left_alone("its replay was acknowledged", replay, is_recorded);
    let fails = |world: &mut World| {
        world.servers.accounting_fails = true;
        replay(world);
    };
    check_copy_is_left_alone("its replay came back", fails, is_recorded);
}

/// A reset that is told again by compaction while another is under way is not that one: the card is emptied only when the
/// ledger has every bill's own.
#[test]
fn an_earlier_reset_told_again_empties_no_card() {
    let mut world = with_card(12);
    assert_eq!(world.keeper.reset_cfcard(world.now), Ok(12));
    world.pass(61).unwrap();
    world.announced.clear();
    for counted in 13..=17 {
        world.bill(counted);
    }
    world.settle().unwrap();
    world.keeper.backup_cache(world.now).unwrap();
    world.pass(61).unwrap();
    assert_eq!(world.on_card(), [13, 14, 15, 16, 17]);
    let was_reset = (BillStore::Cfcard, Departure::Reset);
    let told_in = (1..50).find(|segment| world.keeper.book().departures().told_in(*segment).contains_key(&was_reset));
    let now = world.now;
    world.keeper.tell_again(told_in.expect("a segment tells of the reset"), now);
    world.keeper.handle_timeout(now);
    // The record that is told again is written, and becomes durable while the second reset waits.
    assert!(world.operate().unwrap());
    assert_eq!(world.keeper.reset_cfcard(now), Ok(5));
    assert!(world.operate().unwrap());
    world.ledger.write_fault = Some(DiskFault::Io);
    for _ in 0..200 {
        if !world.turn().unwrap() {
            break;
        }
    }
    assert!(world.card.segments().count() > 0, "nothing durable says that these bills are gone");
}

/// What is told again of a bill says as much of its delivery as what was told before.
#[test]
fn a_copy_that_was_read_before_a_bill_came_back_says_that_it_did() {
    let mut world = with_card(12);
    let id = world.keeper.card_bills().next().unwrap().id;
    // Compaction reads the bill, and a file with it is abandoned meanwhile.
    assert!(world.keeper.read(crate::keeper::reads::Why::Copy, crate::keeper::Area::Card, id));
    world.keeper.card.tell(&Record::Returned(Returned { id, was_sent: true }));
    world.settle().unwrap();
    let place = world.keeper.card_bills().find(|bill| bill.id == id).unwrap().place;
    let (_, octets) = world.card.segments().find(|(number, _)| *number == place.segment).unwrap();
    let frame = &octets[place.offset as usize..][..place.len.into()];
    let Ok(Record::Billed(bill)) = crate::frame::decode(place.record(frame).unwrap()) else { panic!("it is a bill") };
    assert_eq!(bill.delivered, Delivered::Unknown);
}
