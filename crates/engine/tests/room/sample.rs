//! Every session is sampled once in a checkpoint interval, as far as there is something new.

use std::time::Duration;

use model::counters::{CounterSlot, Counters, Totals};
use model::event::{PlaneEvent, Reset};
use model::record::{Record, Sampled};
use model::report::UserSelector;
use model::settings::StartFail;
use model::verdict::CutBy;

use crate::stage::{Kept, PLANE, Setup, Stage, at, kept, moved, settings};

fn samples(stage: &Stage) -> Vec<Sampled> {
    let sampled = stage.records.iter().map(|record| match record {
        Kept::Sampled(sampled) => std::slice::from_ref(sampled),
        Kept::SampledMany(samples) => samples,
        _ => &[],
    });
    sampled.flatten().copied().collect()
}

/// One session that counts every second, for ten minutes: the greatest age that its last sample had, in seconds, and how
/// many samples there were.
fn oldest(setup: Setup, answers: bool) -> (u64, usize) {
    oldest_of(Stage::new(1, at(1000), setup), answers)
}

fn oldest_of(stage: Stage, answers: bool) -> (u64, usize) {
    let mut stage = stage.linked(1, 0);
    stage.up("a", 1);
    let (mut oldest, mut last) = (0, stage.now.mono);
    for second in 1..=600 {
        stage.table.set(1, moved(second));
        stage.run(Duration::from_secs(1), answers);
        last = samples(&stage).last().map_or(last, |sampled| sampled.at);
        oldest = oldest.max(stage.now.mono.since(last).as_secs());
    }
    (oldest, samples(&stage).len())
}

#[test]
fn no_sample_grows_older_than_the_interval() {
    let setup = |interim_s, checkpoint_interval_s| Setup { interim_s, checkpoint_interval_s, ..Setup::default() };
    for (what, setup, answers, most, count) in [
        ("without interims", setup(0, 60), true, 60, 9..=11),
        ("with rare interims", setup(300, 60), true, 60, 9..=13),
        ("with interims as often", setup(60, 60), true, 61, 9..=20),
        ("with interims more often", setup(30, 60), true, 60, 19..=21),
        ("every ten seconds", setup(0, 10), true, 10, 58..=61),
        ("start-failed", setup(0, 60), false, 60, 9..=11),
    ] {
        let (oldest, samples) = oldest(setup, answers);
        assert!(oldest <= most, "{what}: {oldest} s");
        assert!(count.contains(&samples), "{what}: {samples} samples");
    }
}

/// The walk leaves a session to its next interim, and then that is skipped: nobody has answered the last one.
#[test]
fn no_sample_grows_older_than_the_interval_where_nobody_answers() {
    for interim_s in [5, 7, 9, 11, 13, 15] {
        let start_fail = StartFail::OnlineKeepAccounting;
        let setup = Setup { interim_s, start_fail, checkpoint_interval_s: 10, ..Setup::default() };
        let mut settings = settings(setup);
        for group in settings.radius_groups.values_mut() {
            (group.retransmit, group.timeout_s) = (5, 5);
        }
        let (oldest, samples) = oldest_of(Stage::with(1, at(1000), &settings, 1), false);
        assert!(oldest <= 10, "every {interim_s} s: {oldest} s");
        let most = 60 + 2 * 600 / usize::from(interim_s);
        assert!((58..=most).contains(&samples), "every {interim_s} s: {samples} samples");
    }
}

#[test]
fn nothing_new_is_not_written() {
    let mut stage = Stage::new(1, at(1000), Setup::default()).linked(1, 0);
    stage.table.set(1, Counters::ZERO);
    stage.up("a", 1);
    stage.run(Duration::from_secs(300), true);
    assert_eq!(samples(&stage).len(), 0);
    stage.table.set(1, moved(5));
    stage.run(Duration::from_secs(300), true);
    assert_eq!(samples(&stage).len(), 1);
    stage.down("a");
    stage.table.set(1, moved(9));
    stage.run(Duration::from_secs(300), true);
    assert_eq!(samples(&stage).len(), 1, "a session that is down is sampled no more");
    assert_eq!(stage.live().len(), 0);
}

#[test]
fn a_start_failed_session_bills_what_it_counted() {
    let setup = Setup { start_fail: StartFail::Online, ..Setup::default() };
    let mut stage = Stage::new(1, at(1000), setup).linked(1, 0);
    stage.up("a", 1);
    stage.run(Duration::from_secs(60), false);
    assert!(stage.only_live().start_failed.is_some());
    stage.table.set(1, moved(70));
    stage.run(Duration::from_secs(120), false);
    assert_eq!(stage.only_live().sampled.map(|sampled| sampled.counters), Some(moved(70)));
}

/// What a session of some hours has counted.
fn much(slot: u32) -> Counters {
    let in_octets = (1 << 33) + u64::from(slot);
    Counters {
        v4: Totals { in_octets, in_packets: 1 << 24, out_octets: 1 << 36, out_packets: 1 << 27 },
        v6: Totals::default(),
    }
}

/// So many sessions whose interims have just fallen due at once; all have counted, and nothing is handed out since.
fn interims_due(sessions: u32) -> Stage {
    let setup =
        Setup { interim_s: 900, checkpoint_interval_s: 3600, sessions: sessions as usize + 1, ..Setup::default() };
    let mut stage = Stage::new(1, at(1000), setup).linked(1, 0);
    (0..sessions).for_each(|n| stage.up(&format!("s{n}"), n));
    stage.run(Duration::from_secs(300), true);
    assert_eq!(samples(&stage).len(), 0);
    (0..sessions).for_each(|slot| stage.table.set(slot, much(slot)));
    stage.records.clear();
    stage.pass(Duration::from_secs(900));
    // Many fall due in several calls.
    (0..sessions.div_ceil(100)).for_each(|_| stage.shard.handle_timeout(stage.now, &stage.table));
    stage
}

/// Hands out all that is owed, and says how many octets the ledger takes for each record.
fn handed_out(stage: &mut Stage) -> Vec<usize> {
    let mut octets = Vec::new();
    while let Some(record) = stage.shard.poll_record() {
        octets.push(engine::record_octets(&record));
        stage.records.push(kept(&record));
    }
    octets
}

#[test]
fn a_burst_of_interims_takes_few_records() {
    let mut stage = interims_due(1000);
    let weights = handed_out(&mut stage);
    // Checkpoints follow.
    let many = stage.records.iter().take_while(|record| matches!(record, Kept::SampledMany(_))).count();
    assert_eq!(samples(&stage).len(), 1000);
    assert!(many <= 6, "{many} records");
    let octets: usize = weights[..many].iter().sum();
    assert!(octets < 22 * 1000, "{octets} octets");
    // Each is told once, with what it counted.
    let mut told: Vec<u64> = samples(&stage).iter().map(|sampled| sampled.counters.v4.in_octets - (1 << 33)).collect();
    told.sort_unstable();
    assert!(told.into_iter().eq(0..1000));
}

#[test]
fn what_follows_a_sample_is_told_behind_it() {
    let mut stage = interims_due(300);
    stage.down("s7");
    stage.up("s7", 7);
    assert!(stage.shard.owes_records() && !stage.shard.has_told_all());
    handed_out(&mut stage);
    let sampled = stage.records.iter().rposition(|record| matches!(record, Kept::SampledMany(_))).unwrap();
    let of_s7 = |record: &Kept| match record {
        Kept::Closed(_) => true,
        Kept::Opened(born) => born.session == b"s7",
        _ => false,
    };
    let others: Vec<_> = (0..).zip(&stage.records).filter(|(_, record)| of_s7(record)).map(|(at, _)| at).collect();
    assert_eq!(others.len(), 2);
    assert!(others.iter().all(|at| *at > sampled), "{others:?} and {sampled}");
    assert_eq!(samples(&stage).len(), 300);
    assert!(stage.shard.has_told_all());
}

/// Were it known sooner, a life that hears of the new generation again would count twice what it has in it.
#[test]
fn what_is_counted_in_a_new_generation_is_told_behind_the_record_of_it() {
    let mut stage = interims_due(3);
    let counters = CounterSlot { slot: 100, generation: 2 };
    stage.event(PlaneEvent::Reset(Reset { session: b"s1", counters }));
    stage.table.set(100, moved(5));
    stage.pass(Duration::from_secs(900));
    stage.shard.handle_timeout(stage.now, &stage.table);
    handed_out(&mut stage);
    let opened = stage.records.iter().position(|record| match record {
        Kept::Opened(born) => born.session == b"s1" && born.baseline == much(1),
        _ => false,
    });
    let sampled = stage.records.iter().position(|record| match record {
        Kept::Sampled(sampled) => sampled.counters == much(1).plus(moved(5)),
        _ => false,
    });
    assert!(opened.is_some() && opened < sampled, "{opened:?}, {sampled:?}");
    assert_eq!(samples(&stage).len(), 3);
}

/// The word of the one that was cut comes alone, and once.
#[test]
fn who_is_cut_meanwhile_is_told_of_alone() {
    let mut stage = interims_due(300);
    let selector = UserSelector::UserName("s9@isp".to_owned());
    assert_eq!(stage.shard.cut_access_users(stage.now, &selector), 1);
    handed_out(&mut stage);
    let alone = stage.records.iter().filter_map(|record| match record {
        Kept::Sampled(sampled) => Some((sampled.cut, sampled.counters)),
        _ => None,
    });
    assert!(alone.eq([(Some(CutBy::Operator), much(9))]));
    let together = samples(&stage).iter().filter(|sampled| sampled.cut.is_none()).count();
    assert_eq!(together, 299);
}

/// One after the other is cut, and none is left to be told of together.
#[test]
fn nothing_is_told_together_when_all_are_cut() {
    let mut stage = interims_due(3);
    for name in ["s0", "s1", "s2"] {
        stage.shard.cut_access_users(stage.now, &UserSelector::UserName(format!("{name}@isp")));
    }
    handed_out(&mut stage);
    assert!(stage.records.iter().all(|record| matches!(record, Kept::Sampled(_))), "{:?}", stage.records);
    assert_eq!(samples(&stage).len(), 3);
}

#[test]
fn a_plane_that_is_lost_leaves_few_records() {
    let mut stage = Stage::new(1, at(1000), Setup { sessions: 1000, ..Setup::default() }).linked(1, 0);
    (0..1000).for_each(|n| stage.up(&format!("s{n}"), n));
    stage.run(Duration::from_secs(1), true);
    (0..1000).for_each(|slot| stage.table.set(slot, moved(1 << 40)));
    stage.records.clear();
    stage.shard.handle_plane_lost(stage.now.mono, PLANE, &stage.table);
    handed_out(&mut stage);
    assert_eq!(samples(&stage).len(), 1000);
    assert!(stage.records.len() <= 4, "{} records", stage.records.len());
}

#[test]
fn records_weigh_something() {
    let mut stage = Stage::new(1, at(1000), Setup::default()).linked(1, 0);
    stage.up("a", 1);
    let record = stage.shard.poll_record();
    let Some(Record::Opened(opened)) = record else { panic!("{record:?}") };
    let longer = engine::record_octets(&Record::Opened(model::record::Opened { domain: "longer", ..opened }));
    assert_eq!(longer, engine::record_octets(&Record::Opened(opened)) + 3);
}
