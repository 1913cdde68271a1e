//! The lettered cases of `ledger::recover`, each made on purpose.
//!
//! The store under test is a [`Scene`]: a test changes its octets, `check` says what recovery must find.

#![expect(clippy::cast_possible_truncation, reason = "the numbers of a test are small")]

mod support;

use ledger::log::LogBounds;
use ledger::recover::{Case, RecordBatch, RecordSink, Recovery, RecoveryError};
use ledger::segment::{BLOCK, Place};
use model::record::Record;
use support::scene::Scene;
use support::{life, records, recover};

fn all_but(count: usize, missing: &[usize]) -> impl Iterator<Item = usize> {
    (0..count).filter(|index| !missing.contains(index))
}

#[test]
fn a_an_empty_store_and_one_that_was_left_between_two_writes() {
    let (recovered, start) = recover([]).unwrap();
    assert_eq!((recovered.epoch_last, recovered.key, recovered.report.findings.len()), (0, None, 0));
    assert_eq!(start.epoch(), 1);

    let scene = Scene::new(1);
    let start = scene.check("A", 0, 0..3);
    assert_eq!((start.epoch(), start.carried_count()), (2, 2));
    scene.check_goes_on(start);
}

#[test]
fn a_segments_follow_each_other() {
    let scene = Scene::new(9);
    assert!(scene.segments.len() > 3, "the store has several segments");
    let start = scene.check("A", 0, 0..19);
    scene.check_goes_on(start);
}

#[test]
fn b_a_torn_tail_keeps_what_stands_before_the_gap() {
    let whole = Scene::new(2);
    let last = whole.batches.len() - 1;
    // (block of the last batch that is missing, records that are left)
    for (block, left) in [(0, 3), (1, 3), (3, 4), (4, 4)] {
        let mut scene = whole.clone();
        scene.batch(last)[block * BLOCK..][..BLOCK].fill(0);
        let start = scene.check("B", 0, 0..left);
        scene.check_goes_on(start);
    }
}

#[test]
fn b_a_torn_first_write_leaves_a_segment_without_a_header() {
    let mut scene = Scene::new(9);
    let (segment, ..) = *scene.batches.last().unwrap();
    let first = scene.batches.iter().position(|(found, ..)| *found == segment).unwrap();
    let kept = 1 + 2 * (first - 1);
    scene.batches.truncate(first + 1);
    let octets = scene.segment(segment);
    octets[..2 * BLOCK + BLOCK].fill(0);
    octets[2 * BLOCK + 3000..].fill(0);
    let start = scene.check("AB", 0, 0..kept);
    scene.check_goes_on(start);
}

#[test]
fn c_a_hole_with_batches_behind_it() {
    let mut scene = Scene::new(9);
    scene.batch(1).fill(0);
    let start = scene.check("CA", 2, all_but(19, &[1, 2]));
    scene.check_goes_on(start);

    // Only some blocks of the batch are gone.
    let mut scene = Scene::new(9);
    scene.batch(1)[3 * BLOCK..4 * BLOCK].fill(0);
    scene.check("CA", 1, all_but(19, &[2]));
}

#[test]
fn d_a_damaged_frame_takes_no_other_with_it() {
    let whole = Scene::new(9);
    let head = 40;
    // (octet of batch 2 that is flipped, records lost)
    let cases: [(usize, &[usize]); 6] = [
        (head + 100, &[3]),  // the first record
        (head, &[3]),        // its length
        (head + 2, &[3]),    // its index
        (head + 4, &[3]),    // its checksum
        (head + 1500, &[4]), // the second record
        (8, &[3, 4]),        // the batch's header
    ];
    for (octet, lost) in cases {
        let mut scene = whole.clone();
        scene.batch(2)[octet] ^= 0x10;
        let start = scene.check("DA", lost.len() as u64, all_but(19, lost));
        scene.check_goes_on(start);
    }
}

#[test]
fn d_damage_in_the_last_batch_is_no_torn_write() {
    let mut scene = Scene::new(2);
    let last = scene.batches.len() - 1;
    scene.batch(last)[100] ^= 1;
    let start = scene.check("D", 1, all_but(5, &[3]));
    assert_eq!(start.carried_count(), 1);
    scene.check_goes_on(start);

    let mut scene = Scene::new(2);
    scene.batch(last)[8] ^= 1;
    let start = scene.check("D", 0, 0..3);
    scene.check_goes_on(start);
}

#[test]
fn d_a_damaged_record_that_ends_with_zeros_is_no_torn_write() {
    // The last frame reaches into the batch's last block with nothing but the zeros at its end.
    let (_, start) = recover([]).unwrap();
    let mut scene = Scene::empty();
    let (mut log, _) = start.begin(life(1), LogBounds::new(8192, 5120).unwrap());
    scene.drain(&mut log);
    for sequence in 0..20 {
        log.append(&records::octets(&records::acknowledged(sequence))).unwrap();
    }
    scene.drain(&mut log);
    let (_, at, len) = scene.batches[1];
    assert_eq!((len, 40 + 20 * 24), (2 * BLOCK, BLOCK + 8));
    scene.segment(1)[at + BLOCK - 10] ^= 1;
    let (recovered, _) = recover(scene.segments()).unwrap();
    assert!(recovered.report.is_damaged(), "{:?}", recovered.report);
    assert_eq!(recovered.state.0.len(), 1 + 19);
}

#[test]
fn d_a_file_that_was_cut_short() {
    let mut scene = Scene::new(9);
    let (segment, at, _) = scene.batches[2];
    scene.segment(segment).truncate(at + 700);
    let lost = scene.batches.iter().filter(|batch| batch.0 == segment && batch.1 >= at).count() * 2;
    let missing: Vec<usize> = (3..3 + lost).collect();
    let (recovered, _) = recover(scene.segments()).unwrap();
    assert!(recovered.report.is_damaged());
    assert_eq!(recovered.report.records_lost, lost as u64);
    scene.check("DDA", lost as u64, all_but(19, &missing));
}

#[test]
fn e_a_segment_of_another_store_or_place_is_set_aside() {
    // Of another store: the name in the header decides.
    let mut scene = Scene::new(1);
    let (_, start) = recover([]).unwrap();
    let other = ledger::recover::Life { fresh_store: [1; 16], ..life(1) };
    let (mut log, _) = start.begin(other, LogBounds::new(8192, 5120).unwrap());
    let mut foreign = Scene::empty();
    foreign.drain(&mut log);
    scene.segments.push((9, foreign.segment(1).clone()));
    let start = scene.check("AE", 0, 0..3);
    scene.check_goes_on(start);

    // Under another number.
    let mut scene = Scene::new(9);
    let copy = scene.segment(2).clone();
    scene.segments.push((99, copy));
    scene.check("AE", 0, 0..19);
}

#[test]
fn e_a_segment_from_an_older_copy_is_set_aside() {
    // The store as it was, and two lives that each went on from there.
    let before = Scene::new(1);
    let went_on = |born| {
        let mut scene = Scene { born, ..before.clone() };
        let (_, start) = recover(scene.segments()).unwrap();
        scene.live(start, 9);
        scene
    };
    let mut other = went_on(2);
    let mut scene = went_on(3);
    // Number, epoch and sequence numbers fit; what went before does not.
    let lost: Vec<usize> = (3..scene.appended.len()).filter(|index| scene.segment_of(*index) == 3).collect();
    *scene.segment(3) = other.segment(3).clone();
    assert!(!lost.is_empty());
    let count = scene.appended.len();
    let start = scene.check("HEFA", lost.len() as u64, all_but(count, &lost));
    scene.check_goes_on(start);
}

#[test]
fn f_a_missing_segment_is_counted_to_the_record() {
    let whole = Scene::new(9);
    let missing = whole.segments[1].0;
    let lost: Vec<usize> = whole
        .batches
        .iter()
        .enumerate()
        .filter(|(_, batch)| batch.0 == missing)
        .flat_map(|(index, _)| [2 * index - 1, 2 * index])
        .collect();
    let mut scene = whole.clone();
    scene.segments.remove(1);
    let start = scene.check("FA", lost.len() as u64, all_but(19, &lost));
    scene.check_goes_on(start);

    let mut scene = whole;
    scene.segments.remove(0);
    let (recovered, _) = recover(scene.segments()).unwrap();
    assert_eq!(recovered.report.findings[0].case, Case::Missing);
    assert_eq!(recovered.report.records_lost as usize + recovered.state.0.len(), 19);
}

/// Writes another base into a segment's header, as if the log had known it when it began the segment.
fn set_base(segment: &mut [u8], base: u64) {
    let block = &mut segment[..2 * BLOCK];
    block[56..64].copy_from_slice(&base.to_le_bytes());
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&block[8..12]);
    hasher.update(&block[16..BLOCK]);
    let checksum = hasher.finalize().to_le_bytes();
    block[12..16].copy_from_slice(&checksum);
    let copy = block[..BLOCK].to_vec();
    block[BLOCK..].copy_from_slice(&copy);
}

#[test]
fn f_what_lies_below_the_base_may_be_gone() {
    let whole = Scene::new(9);
    // The first record of each segment, from 1; the last segment was made ahead.
    let mut firsts = Vec::new();
    for (index, (segment, ..)) in whole.batches.iter().enumerate() {
        if firsts.last().is_none_or(|(last, _)| last != segment) {
            firsts.push((*segment, if index == 0 { 1 } else { 2 * index as u64 }));
        }
    }
    assert!(firsts.len() >= 4, "{firsts:?}");
    let newest = firsts[firsts.len() - 1].0;
    // (the base's segment in `firsts`, segments deleted, letters, records lost)
    let first = |number: usize| firsts[number].1;
    let cases: [(usize, usize, &str, u64); 7] = [
        (0, 0, "A", 0),
        (1, 0, "A", 0), // what may go has not gone yet
        (2, 1, "A", 0),
        (2, 2, "A", 0),
        (1, 2, "FA", first(2) - first(1)), // what is needed has gone
        (0, 1, "FA", first(1) - 1),
        (3, 3, "A", 0),
    ];
    for (base, deleted, letters, lost) in cases {
        let mut scene = whole.clone();
        set_base(scene.segment(newest), first(base));
        scene.segments.drain(..deleted);
        let start = scene.check(letters, lost, first(deleted) as usize - 1..19);
        scene.check_goes_on(start);
    }

    // A gap behind the front is one, wherever the base is: segments go oldest first.
    let mut scene = whole.clone();
    set_base(scene.segment(newest), first(3));
    scene.segments.remove(1);
    let lost = first(2) - first(1);
    let missing: Vec<usize> = (first(1) as usize - 1..first(2) as usize - 1).collect();
    scene.check("FA", lost, all_but(19, &missing));
}

#[test]
fn g_a_header_has_a_copy_and_its_batches_know_their_place() {
    for copy in [0, 1] {
        let mut scene = Scene::new(9);
        scene.segment(1)[copy * BLOCK + 30] ^= 1;
        scene.check("GA", 0, 0..19);
    }
    // Both copies of a later segment: the store's name is known from the first.
    let mut scene = Scene::new(9);
    scene.segment(2)[..2 * BLOCK].fill(0xAA);
    let start = scene.check("GA", 0, 0..19);
    scene.check_goes_on(start);
    // Both copies of the first: nothing tells whose batches these are.
    let mut scene = Scene::new(9);
    scene.segment(1)[..2 * BLOCK].fill(0xAA);
    let lost = scene.batches.iter().filter(|batch| batch.0 == 1).count() * 2 - 1;
    scene.check("DFA", lost as u64, lost..19);
}

#[test]
fn the_segments_that_are_named_are_the_stores_own() {
    let named = |scene: &Scene| -> Vec<(u64, u64)> {
        let (recovered, _) = recover(scene.segments()).unwrap();
        recovered.segments.iter().map(|segment| (segment.number, segment.first)).collect()
    };
    let whole = Scene::new(9);
    let expected = named(&whole);
    assert!(expected.len() > 3 && expected[0] == (1, 1));
    let changes: [fn(&mut Scene); 5] = [
        |scene| {
            // A foreign one, whose header says where its records begin.
            let copy = scene.segment(2).clone();
            scene.segments.push((99, copy));
        },
        |scene| scene.segment(1)[..2 * BLOCK].fill(0xAA),
        |scene| scene.segment(2)[..2 * BLOCK].fill(0xAA),
        |scene| scene.segment(1).fill(0xAA),
        |scene| scene.segment(2).fill(0xAA),
    ];
    for change in changes {
        let mut scene = whole.clone();
        change(&mut scene);
        assert_eq!(named(&scene), expected);
    }
}

#[test]
fn h_the_last_batch_is_written_again_by_the_next_life() {
    let mut scene = Scene::new(2);
    let start = scene.check("A", 0, 0..5);
    scene.live(start, 1);
    let start = scene.check("HA", 0, 0..8);
    assert_eq!(start.epoch(), 3);

    // Where the second copy is damaged, the first one stands in.
    let (segment, at, _) = scene.batches[3];
    scene.segment(segment)[at + 100] ^= 1;
    scene.check("HA", 0, 0..8);
    // And where the first one is.
    for octets in [100..101, 40..2200] {
        let mut scene = Scene::new(2);
        let (_, start) = recover(scene.segments()).unwrap();
        scene.live(start, 1);
        scene.batch(2)[octets].iter_mut().for_each(|octet| *octet ^= 1);
        let start = scene.check("HA", 0, 0..8);
        scene.check_goes_on(start);
    }
}

#[test]
fn i_a_segment_that_was_made_ahead_is_used_by_number() {
    let mut scene = Scene::new(1);
    // One was made ahead already; another was being made.
    assert_eq!(scene.segments[1], (2, vec![0; 8192]));
    scene.segments.push((3, vec![0; 100]));
    let start = scene.check("AII", 0, 0..3);
    scene.live(start, 1);
    assert!(scene.batches.iter().any(|batch| batch.0 == 2));
}

#[test]
fn another_release_is_refused() {
    for version in [4, 6] {
        let mut scene = Scene::new(1);
        let block = &mut scene.segment(1)[..2 * BLOCK];
        // With its checksum: over the version and what follows the checksum.
        block[8] = version;
        let mut hasher = crc32fast::Hasher::new();
        hasher.update(&block[8..12]);
        hasher.update(&block[16..BLOCK]);
        let checksum = hasher.finalize().to_le_bytes();
        block[12..16].copy_from_slice(&checksum);
        let copy = block[..BLOCK].to_vec();
        block[BLOCK..].copy_from_slice(&copy);
        let refusal = recover(scene.segments()).unwrap_err();
        assert_eq!(refusal, RecoveryError::OtherRelease { segment: 1 }, "version {version}");
    }

    // A record of a kind to come.
    let (_, start) = recover([]).unwrap();
    let (mut log, _) = start.begin(life(1), LogBounds::new(8192, 5120).unwrap());
    log.append(&[200, 1, 2, 3]).unwrap();
    let mut scene = Scene::empty();
    scene.drain(&mut log);
    assert_eq!(recover(scene.segments()).unwrap_err(), RecoveryError::OtherRelease { segment: 1 });
}

#[test]
fn j_a_record_that_is_none_is_named() {
    let (_, start) = recover([]).unwrap();
    let (mut log, _) = start.begin(life(1), LogBounds::new(8192, 5120).unwrap());
    log.append(&records::octets(&records::acknowledged(1))[..5]).unwrap();
    log.append(&records::octets(&records::acknowledged(2))).unwrap();
    let mut scene = Scene::empty();
    scene.drain(&mut log);
    let (recovered, _) = recover(scene.segments()).unwrap();
    assert_eq!(recovered.report.findings.iter().filter(|finding| finding.case == Case::Undecodable).count(), 1);
    assert_eq!(recovered.state.0.len(), 2);
}

#[test]
fn an_epoch_is_never_used_twice_even_if_its_start_is_damaged() {
    let mut scene = Scene::new(1);
    let (_, start) = recover(scene.segments()).unwrap();
    scene.live(start, 1);
    let (recovered, _) = recover(scene.segments()).unwrap();
    assert_eq!((recovered.epoch_last, recovered.key), (2, Some([9; 16])));
    // The second life's segment keeps its header only.
    let number = scene.segments.last().unwrap().0;
    scene.segment(number)[2 * BLOCK..].fill(0xEE);
    let (recovered, _) = recover(scene.segments()).unwrap();
    assert_eq!(recovered.epoch_last, 2);
}

/// Whose records a sink is told they are, by sequence number.
#[derive(Default)]
struct Lives(Vec<(u64, u32)>);

impl RecordSink for Lives {
    fn record(&mut self, _: u64, _: Place, _: &Record<'_>, _: &[u8]) {}

    fn records(&mut self, batch: &RecordBatch<'_>) {
        let life = batch.life().map_or(0, |life| life.epoch);
        self.0.extend(batch.iter().map(|stored| (stored.sequence, life)));
    }
}

#[test]
fn every_record_is_of_the_life_that_wrote_it_first() {
    let mut scene = Scene::new(9);
    let (_, start) = recover(scene.segments()).unwrap();
    let first_of_second = scene.appended.len() as u64 + 1;
    assert!(start.carried_count() > 0);
    scene.live(start, 9);
    let second = scene.segments.iter().position(|(number, _)| *number == scene.segment_of_second()).unwrap();
    let lives = |deleted: usize| {
        let mut recovery = Recovery::new(Lives::default());
        scene.segments[deleted..].iter().for_each(|(number, octets)| recovery.segment(*number, octets));
        recovery.finish().unwrap().0.state.0
    };
    let count = scene.appended.len() as u64;
    let whole: Vec<_> = (1..=count).map(|number| (number, if number < first_of_second { 1 } else { 2 })).collect();
    assert_eq!(lives(0), whole);
    // The store begins within the first life.
    let begun = lives(1);
    assert!(!begun.is_empty() && whole.ends_with(&begun), "{begun:?}");
    // It begins with what the second life has carried.
    let begun = lives(second);
    assert!(begun.iter().any(|(_, life)| *life == 1) && whole.ends_with(&begun), "{begun:?}");
    // And within the second.
    let begun = lives(second + 1);
    assert!(!begun.is_empty() && whole.ends_with(&begun), "{begun:?}");
}

mod any_octets {
    use super::{Scene, recover};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn are_read_without_a_panic(octets in prop::collection::vec(any::<u8>(), 0..4096)) {
            let _ = recover([(1, octets.as_slice())]);
        }

        /// Whatever happens to a store, nothing is invented and what is lost is called damage.
        #[test]
        fn never_pass_for_records(changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6)) {
            let mut scene = Scene::new(4);
            let count = scene.segments.len();
            for (index, value) in &changes {
                let (_, octets) = &mut scene.segments[index.index(count)];
                let at = index.index(octets.len());
                octets[at] = *value;
            }
            let Ok((recovered, _)) = recover(scene.segments()) else { return Ok(()) };
            for (sequence, octets) in &recovered.state.0 {
                prop_assert_eq!(Some(octets), scene.appended.get(*sequence as usize - 1));
            }
            prop_assert!(recovered.state.0.len() == scene.appended.len() || recovered.report.is_damaged());
        }
    }
}
