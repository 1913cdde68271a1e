//! Whatever lies before `needed_from` may be forgotten: what is left adds up to the same sessions.

use std::time::Duration;

use model::event::{EventOrigin, PlaneEvent};
use model::record::Heard;
use model::settings::StartFail;
use proptest::prelude::*;

use crate::stage::{Kept, PLANE, PLANE_NAME, Setup, Stage, at, moved, replay};

/// Something that happens to a shard.
#[derive(Clone, Debug)]
enum Step {
    Up(u8),
    Down(u8),
    Count(u8, u16),
    Pass(u16),
    Transmit,
    Answer,
    HandOut(u8),
    Durable(u8),
    Sweep,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..24u8).prop_map(Step::Up),
        2 => (0..24u8).prop_map(Step::Down),
        3 => (0..24u8, any::<u16>()).prop_map(|(name, octets)| Step::Count(name, octets)),
        3 => (0..9000u16).prop_map(Step::Pass),
        3 => Just(Step::Transmit),
        2 => Just(Step::Answer),
        6 => (0..60u8).prop_map(Step::HandOut),
        4 => (0..100u8).prop_map(Step::Durable),
        4 => Just(Step::Sweep),
    ]
}

/// How far the stage has come, for a proof that the property means something.
#[derive(Clone, Copy, Debug, Default)]
struct Reached {
    needed_from: u64,
    records: u64,
}

fn play(steps: &[Step], setup: Setup) -> Reached {
    let mut stage = Stage::new(1, at(1000), setup).linked(1, 0);
    let mut needed = 0;
    for step in steps {
        match *step {
            Step::Up(name) => stage.up(&format!("s{name}"), name.into()),
            Step::Down(name) => stage.down(&format!("s{name}")),
            Step::Count(name, octets) => stage.table.set(name.into(), moved(octets.into())),
            Step::Pass(millis) => {
                stage.pass(Duration::from_millis(millis.into()));
                stage.shard.handle_timeout(stage.now, &stage.table);
            }
            Step::Transmit => stage.transmit(),
            Step::Answer => drop(stage.answer()),
            Step::HandOut(most) => stage.hand_out(most.into()),
            Step::Durable(percent) => {
                let all = stage.records.len() as u64;
                stage.make_durable(stage.durable + (all - stage.durable) * u64::from(percent) / 100);
            }
            Step::Sweep => stage.shard.sweep(stage.now, &stage.table),
        }
        while stage.shard.poll_verdict().is_some() {}
        let now_needed = stage.shard.needed_from();
        assert!(now_needed >= needed, "it never falls: {needed}, {now_needed}");
        assert!(now_needed <= stage.durable + 1, "what replaces the forgotten is durable");
        if now_needed != needed {
            needed = now_needed;
            check_forgotten(&stage.records, stage.durable, needed);
        }
    }
    Reached { needed_from: needed, records: stage.records.len() as u64 }
}

/// Recovery may find any number of records from the durable ones on.
fn check_forgotten(records: &[Kept], durable: u64, needed_from: u64) {
    let durable = usize::try_from(durable).unwrap();
    let forgotten = usize::try_from(needed_from - 1).unwrap();
    for found in [durable, durable + (records.len() - durable) / 2, records.len()] {
        let whole = replay(&records[..found]);
        let rest = replay(&records[forgotten..found]);
        assert_eq!(rest, whole, "{found} records, without the first {forgotten}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn what_is_left_adds_up_to_the_same(
        steps in prop::collection::vec(step(), 300..1500),
        interim_s in prop::sample::select(vec![0u16, 30]),
        start_fail in prop::sample::select(vec![StartFail::Online, StartFail::OnlineKeepAccounting, StartFail::Offline]),
        stop_resend in 0..2u16,
    ) {
        play(&steps, Setup { interim_s, start_fail, stop_resend, checkpoint_interval_s: 1, sessions: 64 });
    }
}

/// Many sessions, kept busy, so that several turns pass and marks lie within them.
#[test]
fn the_log_of_many_turns_stays_in_proportion() {
    let setup = Setup { interim_s: 60, sessions: 2000, ..Setup::default() };
    let mut stage = Stage::new(1, at(1000), setup).linked(1, 0);
    for n in 0..1500u32 {
        stage.up(&format!("s{n}"), n);
    }
    stage.run(Duration::from_secs(5), true);
    let mut kept_most = 0;
    for minute in 1..=80u64 {
        (0..1500).for_each(|slot| stage.table.set(slot, moved(minute * 1000)));
        stage.run(Duration::from_secs(60), true);
        let needed = stage.shard.needed_from();
        if minute.is_multiple_of(20) {
            check_forgotten(&stage.records, stage.durable, needed);
        }
        if minute > 40 {
            let forgotten = usize::try_from(needed - 1).unwrap();
            kept_most = kept_most.max(stage.weights[forgotten..].iter().sum::<usize>());
        }
    }
    let written: Vec<_> = stage.records.iter().collect();
    let checkpoints = written.iter().filter(|record| matches!(record, Kept::Checkpointed(_))).count();
    assert!(checkpoints > 4 * 1500, "only {checkpoints} checkpoints");
    let weights = written.iter().zip(&stage.weights);
    let live = weights.rev().filter(|(record, _)| matches!(record, Kept::Checkpointed(_))).take(1500);
    let live: usize = live.map(|(_, weight)| weight).sum();
    // A turn leaves five thirds of what lives. At the first of two marks, the turn before is needed from there on, and what has
    // come since it began: two thirds of the sessions once more.
    assert!(kept_most < 3 * live, "{kept_most} octets are kept, {live} live");
}

/// A few steps that must reach a second turn, or the property above proves little.
#[test]
fn a_busy_shard_forgets() {
    let steps = [Step::Up(1), Step::HandOut(50), Step::Durable(100), Step::Transmit, Step::Answer, Step::Down(1)];
    let tail = [Step::HandOut(50), Step::Durable(100), Step::Transmit, Step::Answer, Step::Sweep];
    let round: Vec<Step> = steps.into_iter().chain(tail).collect();
    let steps: Vec<Step> = std::iter::repeat_n(round, 300).flatten().collect();
    let reached = play(&steps, Setup::default());
    assert!(reached.needed_from > reached.records / 2, "{reached:?}");
}

/// After an orderly end, nothing but `heard` tells the next life what was taken over.
#[test]
fn events_that_were_heard_are_not_taken_again() {
    let mut stage = Stage::new(1, at(1000), Setup::default()).linked(7, 0);
    stage.up("a", 1);
    stage.run(Duration::from_secs(1), true);
    stage.down("a");
    stage.run(Duration::from_secs(1), true);
    stage.up("b", 2);
    stage.shard.handle_end();
    stage.hand_out(usize::MAX);
    assert_eq!(stage.live().len(), 1);
    let heard = stage.records.last().cloned();
    let Some(Kept::Heard { plane_epoch, ring, through, shard, shard_count }) = heard else { panic!("{heard:?}") };
    assert_eq!((plane_epoch, ring, through, shard, shard_count), (7, 0, 3, 0, 1));

    for (heard_through, sessions) in [(3, 1), (2, 2), (0, 2)] {
        let mut next = Stage::new(2, at(9000), Setup::default());
        let heard = Heard { plane: PLANE_NAME, plane_epoch, ring, through: heard_through, shard, shard_count };
        next.shard.handle_heard(PLANE, &heard);
        next = next.linked(7, 0);
        // Read again from the beginning: Up and Down of `a`, and the Up of `b`, whose session is not restored here.
        next.up("a", 1);
        next.down("a");
        next.up("b", 2);
        next.up("c", 3);
        next.run(Duration::from_secs(1), false);
        let born = next.records.iter().filter(|record| matches!(record, Kept::Opened(_))).count();
        let expected = if heard_through == 0 { 3 } else { sessions };
        assert_eq!(born, expected, "heard through {heard_through}");
    }
}

/// A life that has not read what earlier ones took over keeps their records, and hands on what they had heard.
#[test]
fn the_past_is_kept_until_it_is_read_again() {
    for (relinks_as, forgets) in [(Some(7), true), (Some(8), true), (None, false)] {
        let mut stage = Stage::new(2, at(1000), Setup::default());
        let taken_over = vec![model::record::TakenOver { plane_epoch: 7, ring: 0, position: 12 }];
        stage.shard.handle_plane_known(stage.now.mono, PLANE, PLANE_NAME, taken_over);
        let heard = Heard { plane: PLANE_NAME, plane_epoch: 7, ring: 0, through: 9, shard: 0, shard_count: 1 };
        stage.shard.handle_heard(PLANE, &heard);
        stage.run(Duration::from_secs(300), true);
        assert_eq!(stage.shard.needed_from(), 0, "the plane may come and say it again");
        let handed_on = stage.records.iter().any(|record| matches!(record, Kept::Heard { through: 9, .. }));
        assert!(handed_on, "{:?}", stage.records);
        if let Some(epoch) = relinks_as {
            stage = stage.linked(epoch, 10);
            let origin = EventOrigin { plane: PLANE, ring: 0, position: 13 };
            stage.shard.handle_event(stage.now, origin, PlaneEvent::ResyncBegin, &stage.table).unwrap();
            stage.run(Duration::from_secs(300), true);
        }
        assert_eq!(stage.shard.needed_from() > 0, forgets, "{relinks_as:?}");
    }
}
