//! Files and octets that somebody has made on purpose, checksums and all. They are told of, nothing panics, and the store goes on.

mod support;

use ledger::recover::Case;
use ledger::segment::BLOCK;
use model::record::Record;
use support::scene::{Scene, opened};
use support::{life, records, recover};

fn checksum(from: u32, parts: &[&[u8]]) -> u32 {
    let mut hasher = crc32fast::Hasher::new_with_initial(from);
    parts.iter().for_each(|part| hasher.update(part));
    hasher.finalize()
}

/// Changes a segment's header, and makes its checksum and the other copy fit.
fn forge_header(segment: &mut [u8], change: impl FnOnce(&mut [u8])) {
    let (block, rest) = segment.split_at_mut(BLOCK);
    change(block);
    let sum = checksum(0, &[&block[8..12], &block[16..]]);
    block[12..16].copy_from_slice(&sum.to_le_bytes());
    rest[..BLOCK].copy_from_slice(block);
}

/// Changes the kind of a batch's record to that of a bill, and makes its checksum fit. `at`: the record's frame.
fn forge_bill(scene: &mut Scene, batch: usize, at: usize) {
    let kind = records::octets(&Record::Billed(records::bill(1, 1)))[0];
    let number = scene.batches[batch].0;
    let store = scene.segment(number)[16..32].to_vec();
    let octets = scene.batch(batch);
    let seed = checksum(0, &[&store, &number.to_le_bytes(), &octets[16..28]]);
    let frame = &mut octets[at..];
    let len = usize::from(u16::from_le_bytes([frame[0], frame[1]]));
    frame[8] = kind;
    let sum = checksum(seed, &[&frame[..4], &frame[8..8 + len]]);
    frame[4..8].copy_from_slice(&sum.to_le_bytes());
}

#[test]
fn a_bill_that_is_none_in_the_last_batch_is_not_carried() {
    let acknowledged = |number| records::octets(&records::acknowledged(number));
    for (count, forged) in [(1, 0), (2, 0), (2, 1), (3, 1)] {
        let mut scene = Scene::empty();
        scene.live_as(scene.recover(), life(1), &[vec![opened(1)], (0..count).map(acknowledged).collect()]);
        let last = scene.batches.len() - 1;
        let frame_len = (8 + acknowledged(0).len()).next_multiple_of(8);
        forge_bill(&mut scene, last, 40 + forged * frame_len);
        let read = (0..scene.appended.len()).filter(|index| *index != 2 + forged);
        let start = scene.check("AJ", 1, read);
        assert_eq!(start.carried_count() as u64, count - 1);
        scene.check_goes_on(start);
    }
}

#[test]
fn a_header_with_numbers_that_cannot_be_is_damaged() {
    // (first octet of the field, its value): first and base.
    for (at, value) in [(48, 0), (48, 1 << 63), (48, u64::MAX), (56, 1 << 63), (56, u64::MAX)] {
        // With batches behind it, and without.
        for is_empty in [false, true] {
            let mut scene = Scene::new(1);
            let segment = scene.segment(1);
            forge_header(segment, |block| block[at..at + 8].copy_from_slice(&u64::to_le_bytes(value)));
            if is_empty {
                segment[2 * BLOCK..].fill(0);
            }
            let start = scene.check("D", 0, 0..0);
            scene.appended.clear();
            scene.live(start, 1);
            scene.check("DA", 0, 0..3);
        }
    }
    // In a later segment, where the batches still tell their places.
    let mut scene = Scene::new(9);
    forge_header(scene.segment(2), |block| block[48..56].fill(0));
    let start = scene.check("GA", 0, 0..19);
    scene.check_goes_on(start);
}

#[test]
fn a_file_with_a_number_that_no_log_comes_to_is_foreign() {
    let ours = Scene::new(9).segment(2).clone();
    for number in [u64::MAX, u64::MAX - 1, 1 << 63, (1 << 63) - 1, 1 << 62] {
        for octets in [vec![0xEE; 4096], ours.clone(), Vec::new(), vec![0; 4096]] {
            let is_unused = octets.iter().all(|octet| *octet == 0) && number < 1 << 63;
            let mut scene = Scene::new(1);
            scene.segments.retain(|(_, octets)| octets[0] != 0);
            scene.segments.push((number, octets));
            let start = scene.check(if is_unused { "AI" } else { "AE" }, 0, 0..3);
            scene.live(start, 1);
            let last = scene.batches[scene.batches.len() - 1].0;
            assert_eq!(last, 2, "numbers go on from the store's own");
            scene.segments.retain(|(number, octets)| *number > 1000 || octets[0] != 0);
            scene.segments.sort_unstable_by_key(|(number, _)| *number);
            let (recovered, _) = recover(scene.segments()).unwrap();
            assert_eq!(recovered.state.0.len(), scene.appended.len());
            let found: Vec<Case> = recovered.report.findings.iter().map(|finding| finding.case).collect();
            assert_eq!(found, [Case::Again, Case::CleanEnd, if is_unused { Case::Unused } else { Case::Foreign }]);
        }
    }
}
