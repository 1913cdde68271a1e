//! Segments that are not what they were: another store's among ours, and those without a header.

use model::counters::Counters;
use model::ids::SessionSerial;
use model::record::{Record, Sampled};
use model::settings::CacheBackupMode;
use model::time::Mono;

use super::world::{World, settings};
use crate::recover::Case;
use crate::segment::{SEGMENT_HEAD_LEN, SegmentHead};

/// The number of the segment that is written to.
fn active(world: &World) -> u64 {
    world.keeper.log.active().map_or(0, |(number, _)| number)
}

/// Counts sessions until the log has begun so many segments more.
fn fill(world: &mut World, segments: u64) {
    world.settle().unwrap();
    let end = active(world) + segments;
    while active(world) < end {
        for sequence in 1..=80 {
            let serial = SessionSerial { epoch: 1, sequence };
            let sampled = Sampled { serial, at: Mono::ZERO, counters: Counters::ZERO, interim_failures: 0, cut: None };
            world.append(&Record::Sampled(sampled));
        }
        world.settle().unwrap();
    }
}

/// The numbers of the ledger's files.
fn numbers(world: &World) -> Vec<u64> {
    world.ledger.segments().map(|(number, _)| number).collect()
}

#[test]
fn a_segment_of_another_store_does_not_say_what_may_go() {
    let mut world = World::new(settings(CacheBackupMode::None));
    fill(&mut world, 3);
    let number = active(&world) + 1;
    let mut octets = vec![0; 8192];
    let foreign = SegmentHead {
        store: [5; 16],
        number,
        epoch: 1,
        chain: 0,
        first: 1_000_000_000,
        base: 1,
        len: 8192,
        life: [0; 53],
        writer: [0; 53],
    };
    foreign.write(&mut octets[..SEGMENT_HEAD_LEN]);
    world.ledger.insert(number, octets);
    world.restart();
    // What earlier lives wrote is needed by nobody, and everything of this life is.
    world.keeper.handle_needed_from(0, 1);
    fill(&mut world, 4);
    assert!(numbers(&world)[0] > number, "the old ones are gone: {:?}", numbers(&world));
    assert_eq!(world.ledger.aside, [number]);
    let report = world.report();
    assert!(!report.is_damaged(), "{:?}", report.findings);
    assert!(report.records > world.written(), "nothing of this life is gone: {}", report.records);
}

/// Two bills in segments of their own; `change` is done to the second one, or to the first.
fn check_without_headers(which: u64, bills_left: &[u64], change: impl FnOnce(&mut [u8])) {
    let mut world = World::new(settings(CacheBackupMode::None));
    for counted in 1..=2 {
        world.bill(counted);
        fill(&mut world, 1);
    }
    fill(&mut world, 1);
    let bills: Vec<u64> = world.keeper.book().pool().bills(0).map(|bill| bill.place.segment).collect();
    assert_eq!(bills, [1, 2]);
    world.ledger.change(which, change);
    world.restart();
    world.settle().unwrap();
    assert_eq!(world.pool(), bills_left);
    world.keeper.handle_needed_from(0, 1);
    fill(&mut world, 4);
    assert!(numbers(&world)[0] > 2, "the old ones are gone: {:?}", numbers(&world));
    assert_eq!(world.pool(), bills_left);
    let found: Vec<Case> = world.report().findings.iter().map(|finding| finding.case).collect();
    assert!(!found.contains(&Case::Missing) && !found.contains(&Case::Header), "{found:?}");
}

#[test]
fn a_segment_without_a_header_is_compacted_like_any_other() {
    check_without_headers(2, &[1, 2], |octets| octets[..SEGMENT_HEAD_LEN].fill(0xFF));
}

#[test]
fn a_segment_of_which_nothing_is_left_goes_with_the_others() {
    check_without_headers(1, &[2], |octets| octets.fill(0xFF));
    check_without_headers(2, &[1], |octets| octets.fill(0xFF));
}
