//! What recovery has told of the last batch, it tells at every later start as well; and a later start loses nothing more.

#![expect(clippy::unwrap_used, reason = "a test may fail loudly")]

mod support;

use ledger::recover::{Case, RecordBatch, RecordSink, Recovered, Recovery};
use ledger::replay::Replay;
use ledger::segment::{BLOCK, Place};
use ledger::verify::StoreCheck;
use model::record::Record;
use support::scene::{Scene, damage, opened};
use support::{life, records};

/// Octets of a batch before its first frame, and of a frame before its record.
const BATCH_HEAD: usize = 40;
const FRAME_HEAD: usize = 8;

/// Octets of the frame of an `opened` here.
fn frame_len() -> usize {
    (FRAME_HEAD + opened(0).len()).next_multiple_of(8)
}

/// A life whose last batch has so many records.
fn scene_of(records: u64) -> Scene {
    let mut scene = Scene::empty();
    let batch = |first: u64, count: u64| (first..first + count).map(opened).collect::<Vec<_>>();
    scene.live_as(scene.recover(), life(1), &[batch(0, 2), batch(2, records)]);
    scene
}

#[test]
fn damage_in_the_last_batch_is_named_at_every_start() {
    // (records in the batch, those whose frames rot, records that are left and carried)
    let cases: [(u64, &[usize], usize); 7] =
        [(1, &[0], 0), (2, &[0], 1), (2, &[1], 1), (2, &[0, 1], 0), (3, &[0], 2), (3, &[1], 2), (3, &[0, 1, 2], 0)];
    for (count, rotten, left) in cases {
        let mut scene = scene_of(count);
        let last = scene.batches.len() - 1;
        for frame in rotten {
            scene.batch(last)[BATCH_HEAD + frame * frame_len() + 100] ^= 1;
        }
        let read = (0..scene.appended.len()).filter(|index| !rotten.iter().any(|frame| *index == 3 + frame));
        let start = scene.check("D", rotten.len() as u64, read);
        assert_eq!(start.carried_count(), left);
        scene.check_goes_on(start);
    }
}

#[test]
fn a_rotten_header_of_the_last_batch_is_named_at_every_start() {
    for octet in 0..36 {
        let mut scene = scene_of(2);
        let last = scene.batches.len() - 1;
        scene.batch(last)[octet] ^= 0x40;
        let start = scene.check("D", 0, 0..3);
        scene.check_goes_on(start);
    }
    // Of the only batch that there is.
    let mut scene = Scene::new(0);
    scene.batch(0)[8] ^= 1;
    let start = scene.check("D", 0, 0..0);
    scene.check_goes_on(start);
}

#[test]
fn a_lost_bill_is_missed_after_a_restart() {
    let is_sound = |scene: &Scene| {
        let mut check = StoreCheck::new();
        scene.segments().for_each(|(number, octets)| check.segment(number, octets));
        check.finish().unwrap().is_sound()
    };
    let bills: Vec<_> =
        (1..=3).map(|number| vec![records::octets(&Record::Billed(records::bill(number, 9)))]).collect();
    let mut scene = Scene::empty();
    scene.live_as(scene.recover(), life(1), &bills);
    assert!(is_sound(&scene));
    let last = scene.batches.len() - 1;
    scene.batch(last)[BATCH_HEAD + 60] ^= 1;
    for _ in 0..3 {
        assert!(!is_sound(&scene));
        scene.live(scene.recover(), 1);
    }
    assert!(!is_sound(&scene));
}

#[test]
fn a_torn_tail_is_no_damage_at_any_start() {
    for records in 1..=3 {
        let whole = scene_of(records);
        let last = whole.batches.len() - 1;
        let blocks = whole.batches[last].2 / BLOCK;
        // Every way in which the blocks of the batch may be there or not.
        for missing in 1..1_u32 << blocks {
            let mut scene = whole.clone();
            for block in (0..blocks).filter(|block| missing >> block & 1 == 1) {
                scene.batch(last)[block * BLOCK..][..BLOCK].fill(0);
            }
            assert_eq!(damage(&scene.report()), [], "{missing:b}");
            scene.check_goes_on(scene.recover());
        }
    }
}

/// The first two lives, the last batch of the first one with a rotten frame; of the second life nothing is left but what it carried,
/// and `change` is done to that.
fn carried(rotten: usize, change: impl FnOnce(&mut Scene, usize)) -> Scene {
    let mut scene = scene_of(3);
    let last = scene.batches.len() - 1;
    scene.batch(last)[BATCH_HEAD + rotten * frame_len() + 100] ^= 1;
    scene.live(scene.recover(), 0);
    let began = scene.batches.len() - 1;
    scene.batch(began).fill(0);
    scene.appended.truncate(6);
    scene.appended.remove(3 + rotten);
    change(&mut scene, began - 1);
    scene
}

#[test]
fn a_carried_batch_that_is_torn_or_rots_is_read_from_the_damaged_one() {
    for rotten in 0..3 {
        let whole = carried(rotten, |_, _| {});
        let found = damage(&whole.report());
        assert!(matches!(found[..], [finding] if (finding.case, finding.records_lost) == (Case::Damage, 1)));
        whole.check_goes_on(whole.check("DHA", 1, 0..5));
        let blocks = whole.batches[whole.batches.len() - 2].2 / BLOCK;
        for block in 1..blocks {
            let torn = carried(rotten, |scene, again| scene.batch(again)[block * BLOCK..][..BLOCK].fill(0));
            torn.check_goes_on(torn.check("DHA", 1, 0..5));
            let rots = carried(rotten, |scene, again| scene.batch(again)[block * BLOCK + 3] ^= 1);
            rots.check_goes_on(rots.check("DHA", 1, 0..5));
        }
        // Its header is gone, so it was written for nothing; the damaged batch is the last one again.
        let torn = carried(rotten, |scene, again| scene.batch(again)[..BLOCK].fill(0));
        assert_eq!(damage(&torn.report()), found);
        torn.check_goes_on(torn.recover());
    }
}

#[test]
fn what_was_announced_is_no_torn_tail_because_its_copy_is_torn() {
    let mut scene = scene_of(3);
    let last = scene.batches.len() - 1;
    scene.live(scene.recover(), 0);
    scene.batch(last + 2).fill(0);
    scene.appended.truncate(6);
    scene.batch(last + 1)[BLOCK..2 * BLOCK].fill(0);
    scene.check("HA", 0, 0..6);
    // The first record of the first copy rots as well.
    scene.batch(last)[BATCH_HEAD + 100] ^= 1;
    let start = scene.check("HD", 1, [0, 1, 2, 4, 5]);
    scene.check_goes_on(start);
}

/// Whose records a sink is told they are, by sequence number.
#[derive(Default)]
struct Lives(Vec<(u64, Option<u32>)>);

impl RecordSink for Lives {
    fn record(&mut self, _: u64, _: Place, _: &Record<'_>, _: &[u8]) {}

    fn records(&mut self, batch: &RecordBatch<'_>) {
        let life = batch.life().map(|life| life.epoch);
        self.0.extend(batch.iter().map(|stored| (stored.sequence, life)));
    }
}

fn recovered<S: RecordSink>(scene: &Scene, sink: S) -> Recovered<S> {
    let mut recovery = Recovery::new(sink);
    scene.segments().for_each(|(number, octets)| recovery.segment(number, octets));
    recovery.finish().unwrap().0
}

/// A life, and another one in a later boot of the box; and where the batch of its `started` is.
fn two_lives() -> (Scene, usize) {
    let mut scene = Scene::new(1);
    let began = scene.batches.len() + 1;
    let later = ledger::recover::Life { boot_id: [8; 16], ..life(2) };
    scene.live_as(scene.recover(), later, &[vec![opened(7)], vec![opened(8)]]);
    (scene, began)
}

#[test]
fn a_life_is_known_though_its_started_rots() {
    let (scene, began) = two_lives();
    let expected: Vec<_> = (1..=6).map(|number| (number, Some(if number < 4 { 1 } else { 2 }))).collect();
    let whole = recovered(&scene, Lives::default());
    assert_eq!((&whole.state.0, whole.boot_id, whole.epoch_last), (&expected, Some([8; 16]), 2));
    // Its frame; the batch's header; all of it; and of the batch that was carried.
    let changes: [fn(&mut Scene, usize); 4] = [
        |scene, began| scene.batch(began)[BATCH_HEAD + FRAME_HEAD + 20] ^= 1,
        |scene, began| scene.batch(began)[8] ^= 1,
        |scene, began| scene.batch(began).fill(0x11),
        |scene, began| {
            scene.batch(began - 1)[BATCH_HEAD + FRAME_HEAD + 20] ^= 1;
            scene.batch(began)[BATCH_HEAD + FRAME_HEAD + 20] ^= 1;
        },
    ];
    for change in changes {
        let mut scene = scene.clone();
        change(&mut scene, began);
        let rotten = recovered(&scene, Lives::default());
        let expected: Vec<_> = expected.iter().copied().filter(|(number, _)| *number != 4).collect();
        assert_eq!((rotten.state.0, rotten.boot_id, rotten.epoch_last), (expected, Some([8; 16]), 2));
        // A session of that life is of that boot, and goes on when only the engine was started again.
        let replay = recovered(&scene, Replay::new());
        let session = replay.state.sessions().last().unwrap();
        assert_eq!((session.boot_id, session.rebooted(replay.boot_id, [8; 16])), (Some([8; 16]), None));
    }
}

#[test]
fn a_rotten_started_is_known_when_it_is_the_last_and_a_torn_one_never_was() {
    let (mut scene, began) = two_lives();
    (began + 1..scene.batches.len()).for_each(|batch| scene.batch(batch).fill(0));
    for octet in [BATCH_HEAD, BATCH_HEAD + FRAME_HEAD + 20] {
        let mut scene = scene.clone();
        scene.batch(began)[octet] ^= 0xFF;
        let rotten = recovered(&scene, Lives::default());
        assert_eq!((rotten.boot_id, rotten.report.is_damaged()), (Some([8; 16]), true));
    }
    scene.batch(began).fill(0);
    let torn = recovered(&scene, Lives::default());
    assert_eq!((torn.boot_id, torn.report.is_damaged()), (Some([7; 16]), false));
    assert_eq!(torn.state.0.iter().map(|(_, life)| *life).collect::<Vec<_>>(), [Some(1); 3]);
}
